"""One slider, three surfaces: live in Jupyter, self-contained in the HTML of the book, still without scripts.

``explore`` takes a function that draws, and values to draw it for. ``page_widget`` takes a figure that the page
computes itself, in JavaScript. The look and the behaviour of both in a page are in explore.css and explore.js.
"""

from __future__ import annotations

import base64
import bisect
import html
import io
import itertools
import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib import resources

import matplotlib
import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image

from .plots import style

MOST_FRAMES = 120
GREEK = {"lam": "λ"} | {n: chr(945 + k) for k, n in enumerate(
    "alpha beta gamma delta epsilon zeta eta theta iota kappa lambda_ mu nu xi omicron pi rho _ sigma tau".split())}


# ------------------------------------------------------------------------------------------- parameters


def number_text(value: float) -> str:
    """``value`` to three digits, as people write it: 0.001, 37.5, 10⁻⁴, 2.5·10⁶."""
    if value == 0 or 1e-3 <= abs(value) < 99950:
        return f"{float(f'{value:.3g}'):.10g}".replace("-", "−")
    digits, exponent = f"{value:.2e}".split("e")
    digits = digits.rstrip("0").rstrip(".").replace("-", "−")
    power = "10" + str(int(exponent)).translate(str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"))
    return power if digits == "1" else "−" + power if digits == "−1" else f"{digits}·{power}"


@dataclass(frozen=True)
class Slider:
    """Numbers to slide over. ``label`` stands before the slider (from the name: theta → θ), ``unit`` after the
    number; ``format`` is a format specification (``".2f"``) or a function from the number to its text."""

    values: Sequence[float]
    label: str | None = None
    unit: str = ""
    format: str | Callable[[float], str] = number_text

    def text(self, value: float) -> str:
        shown = self.format(value) if callable(self.format) else format(value, self.format)
        return f"{shown} {self.unit}".strip()

    @property
    def is_log(self) -> bool:
        """Are the steps nearer to being equal as ratios than as differences?"""
        positive = np.array([v for v in self.values if v > 0], dtype=float)
        if len(positive) < 3 or min(self.values) < 0:
            return False
        spread = [np.std(d) / abs(np.mean(d)) for d in (np.diff(positive), np.diff(np.log(positive)))]
        return bool(spread[1] < spread[0])

    def at(self, position: float) -> float:
        """The value at a position between 0 and n − 1: the k-th value at k, and between them in between."""
        k = min(int(position), len(self.values) - 1)
        t = position - k
        if t == 0:
            return self.values[k]
        a, b = self.values[k], self.values[k + 1]
        value = a * (b / a) ** t if self.is_log and a > 0 and b > 0 else a + t * (b - a)
        return round(value) if isinstance(a, int) else value

    def position(self, value: float) -> float:
        """The inverse of ``at``; beyond the ends, the end."""
        ascending = self.values[-1] > self.values[0]
        values = list(self.values) if ascending else list(self.values)[::-1]
        value = min(max(value, values[0]), values[-1])
        k = min(bisect.bisect_right(values, value), len(values) - 1) - 1
        a, b = values[k], values[k + 1]
        in_logs = self.is_log and a > 0 and b > 0
        t = math.log(value / a) / math.log(b / a) if in_logs else (value - a) / (b - a)
        return k + t if ascending else len(values) - 1 - (k + t)


@dataclass(frozen=True)
class Choice:
    """Names to choose from, in a drop-down list. ``options`` is a list of names, or maps a name to what is drawn."""

    options: Sequence[str] | Mapping[str, object]
    label: str | None = None

    @property
    def values(self) -> list:
        return list(self.options.values()) if isinstance(self.options, Mapping) else list(self.options)

    def text(self, value) -> str:
        return list(self.options)[self.values.index(value)]


def _parameter(name: str, given) -> Slider | Choice:
    """What the caller wrote after ``name=``, checked and with a label."""
    label = GREEK.get(name, name.replace("_", " ").strip())
    if isinstance(given, Choice) or isinstance(given, Mapping):
        found = given if isinstance(given, Choice) else Choice(given)
    elif isinstance(given, Slider):
        found = given
    elif isinstance(given, str) or not hasattr(given, "__len__"):
        raise ValueError(f"expected a sequence of numbers or of names for {name}, got {given!r}")
    elif len(given) and all(isinstance(v, str) for v in given):
        found = Choice(list(given))
    else:
        found = Slider(given)
    if isinstance(found, Slider):
        try:
            values = [v.item() if hasattr(v, "item") else v for v in found.values]
            whole = all(isinstance(v, int) and not isinstance(v, bool) for v in values)
            values = [int(v) if whole else float(v) for v in values]
        except (TypeError, ValueError):
            raise ValueError(f"expected numbers, or names, for {name}, got {found.values!r}") from None
        steps = np.diff(values)
        if not np.isfinite(values).all() or not len(steps) or not ((steps > 0).all() or (steps < 0).all()):
            raise ValueError(f"expected two or more finite numbers that rise or fall for {name}, got {values}")
        return Slider(values, found.label or label, found.unit, found.format)
    if len(found.values) < 2:
        raise ValueError(f"expected two or more names for {name}, got {list(found.options)}")
    return Choice(found.options, found.label or label)


@dataclass(frozen=True)
class Guess:
    """A prediction that the reader makes before the figure moves.

    With ``options`` the reader picks one of these texts, and ``answer`` is the index of the right one. Without, the
    reader picks a value of the figure's (first) slider, and ``answer`` is the right value. ``explain`` is a text.
    Answer and explanation are folded away until the reader has guessed, or chosen not to.
    """

    question: str
    options: Sequence[str] | None = None
    answer: float | None = None
    explain: str = ""


# ------------------------------------------------------------------------------------------- the figure


def explore(
    draw: Callable[..., str | None],
    *,
    title: str | None = None,
    caption: str | None = None,
    alt: str | None = None,
    guess: str | Guess | None = None,
    start=None,
    figsize: tuple[float, float] = (6.4, 3.6),
    dpi: int = 160,
    interval: int = 400,
    **parameters,
) -> Explorer:
    """A figure with one or two sliders or drop-down lists.

    ``draw(figure, **values)`` draws on an empty Matplotlib figure and returns the read-out: a sentence or two made
    from the computed values, plain text. It is shown below the figure and is what a screen reader reads out. Keep the
    axes' limits fixed, so that only what the slider moves moves. Return None for the value of the slider alone.

    Each parameter is named as in ``draw``: a rising or falling sequence of numbers makes a slider (evenly spaced
    positions, so ``np.logspace`` makes a logarithmic one), a sequence of names or a mapping from names to values a
    drop-down list. ``Slider`` and ``Choice`` set a label, a unit or a format. 120 combinations at most.

    title, caption  a heading above and a fixed text below the figure
    alt             what kind of picture it is; the alternative text is this, followed by the read-out
    guess           a question to be answered on the slider before it moves the figure, or a ``Guess``
    start           where the figure starts: a value of the first parameter, or a mapping from names to values
    figsize, dpi    inches, and dots per inch of the embedded pictures
    interval        milliseconds a frame is shown while playing

    In Jupyter the figure is drawn anew at any value, also between the given ones. In the built book it shows the
    frames that are drawn, all of them, when ``explore`` is called: an error in ``draw`` is raised there and then.

        explore(draw, theta=np.logspace(-3, 4, 22), view=["value", "gradient"], start=100)
    """
    if not 1 <= len(parameters) <= 2:
        raise ValueError(f"expected one or two parameters, got {len(parameters)}: {', '.join(parameters) or 'none'}")
    known = {name: _parameter(name, given) for name, given in parameters.items()}
    count = math.prod(len(p.values) for p in known.values())
    if count > MOST_FRAMES:
        raise ValueError(f"expected at most {MOST_FRAMES} frames, got {count}")
    guess = Guess(guess) if isinstance(guess, str) else guess
    sliders = [p for p in known.values() if isinstance(p, Slider)]
    if guess and guess.options is None and not sliders:
        raise ValueError("expected a Guess with options, as there is no slider to guess on")
    if guess and guess.options is not None and guess.answer is not None and guess.answer not in range(len(guess.options)):
        raise ValueError(f"expected the index of the right one of {len(guess.options)} options, got {guess.answer}")
    given = start if isinstance(start, Mapping) else {} if start is None else {next(iter(known)): start}
    if not set(given) <= set(known):
        raise ValueError(f"expected a start for {', '.join(known)}, got {', '.join(given)}")
    first = tuple(_nearest(name, p, given[name]) if name in given else 0 for name, p in known.items())
    return Explorer(draw, known, first, guess, title, caption, alt, figsize, dpi, interval)


def _nearest(name: str, parameter: Slider | Choice, value) -> int:
    if isinstance(parameter, Slider):
        return round(parameter.position(float(value)))
    for choices in (list(parameter.options), parameter.values):
        if value in choices:
            return choices.index(value)
    raise ValueError(f"expected {name} to start at one of {list(parameter.options)}, got {value!r}")


class Explorer:
    """What ``explore`` returns: displayed by Jupyter and by the book. ``html()`` is the page's figure."""

    def __init__(self, draw, parameters, first, guess, title, caption, alt, figsize, dpi, interval):
        self.draw, self.parameters, self.first, self.guess = draw, parameters, first, guess
        self.title, self.caption, self.alt = title, caption, alt
        self.figsize, self.dpi, self.interval = figsize, dpi, interval
        self.positions = list(itertools.product(*(range(len(p.values)) for p in parameters.values())))
        last = self.positions[-1]
        drawn = {p: self.drawn(self.values(p)) for p in {first, last}}
        still = drawn[first][0]
        self.lossless = _is_drawing(still, drawn[last][0])
        self.still = encode(still, self.lossless)
        self.changes, self.texts = [], []
        for position in self.positions:
            picture, text = drawn[position] if position in drawn else self.drawn(self.values(position))
            self.changes.append(encode(picture, self.lossless, still))
            self.texts.append(text)

    # --- drawing

    def values(self, position) -> dict:
        return {n: p.values[k] for (n, p), k in zip(self.parameters.items(), position, strict=True)}

    def drawn(self, values: dict) -> tuple[np.ndarray, str]:
        """Pixels (height, width, 3) and read-out for these values, each time on a new figure."""
        with matplotlib.rc_context(style()):
            figure = Figure(figsize=self.figsize, dpi=self.dpi)
            canvas = FigureCanvasAgg(figure)
            text = self.draw(figure, **values)
            canvas.draw()
        if text is not None and not isinstance(text, str):
            raise ValueError(f"expected draw to return a text or None, got {type(text).__name__}")
        settings = ", ".join(f"{p.label} = {p.text(v)}" for p, v in zip(self.parameters.values(), values.values(), strict=True))
        return np.array(canvas.buffer_rgba())[..., :3], text or f"{settings}."

    def frame(self, **values) -> bytes:
        """The WebP picture that the live figure shows at any values."""
        return encode(self.drawn(values)[0], self.lossless)

    def static_frame(self, **values) -> np.ndarray:
        """The pixels (height, width, 3) that the page shows at values that it has a frame for."""
        change = self.changes[self.positions.index(tuple(p.values.index(values[n]) for n, p in self.parameters.items()))]
        return compose(self.still, change)

    # --- surfaces

    def _repr_mimebundle_(self, include=None, exclude=None) -> dict:
        try:
            from .live import view
        except ImportError:  # no ipywidgets: the page's figure works in Jupyter, too
            return {"text/plain": repr(self), "text/html": self.html()}
        return view(self)._repr_mimebundle_() | {"text/plain": repr(self), "text/html": self.html()}

    def __repr__(self) -> str:
        return f"explore({', '.join(f'{n}: {len(p.values)} values' for n, p in self.parameters.items())})"

    def html(self) -> str:
        """A <figure> that needs nothing else: no kernel, no network, and for a still picture no script."""
        height, width, _ = decode(self.still).shape
        parameters = [{"label": p.label, "texts": [p.text(v) for v in p.values], "slider": isinstance(p, Slider)}
                      for p in self.parameters.values()]
        data = {
            "parameters": parameters, "start": self.first, "alt": self._alt(""), "interval": self.interval,
            "frames": [[c and base64.b64encode(c).decode(), t] for c, t in zip(self.changes, self.texts, strict=True)],
            "guess": self.guess_data(),
        }
        text = self.texts[self.positions.index(self.first)]
        size = f'width="{width}" height="{height}" class="dark-light"'
        picture = (
            f'<div class="rk-picture"><img {size} alt="{html.escape(self._alt(text))}" src="{data_uri(self.still)}">'
            f'<img {size} alt="" hidden></div>'
        )
        return _figure(self.title, picture, text, self.caption, data, "rk.frames", self._guess_without_script())

    def _alt(self, text: str) -> str:
        return f"{(self.alt or self.title or 'Figure').rstrip('.')}. {text}".strip()

    @property
    def first_slider(self) -> int | None:
        """The index of the parameter that plays, and that a reader guesses on."""
        return next((k for k, p in enumerate(self.parameters.values()) if isinstance(p, Slider)), None)

    def guess_data(self) -> dict | None:
        if self.guess is None:
            return None
        guess, place, answer = self.guess, None, None
        on = self.first_slider if guess.options is None else None
        slider = None if on is None else list(self.parameters.values())[on]
        if guess.answer is not None:
            answer = f"{slider.label} ≈ {slider.text(guess.answer)}" if slider else guess.options[guess.answer]
            place = slider.position(guess.answer) / (len(slider.values) - 1) if slider else None
        return {"question": guess.question, "options": guess.options, "explain": guess.explain, "answer": answer,
                "place": place, "on": on}

    def _guess_without_script(self) -> str:
        if self.guess is None:
            return ""
        data = self.guess_data()
        answer = " ".join(filter(None, [data["answer"] and f"{data['answer']}.", data["explain"]]))
        options = "".join(f"<li>{html.escape(o)}</li>" for o in self.guess.options or ())
        folded = f"<details><summary>The answer</summary><p>{html.escape(answer)}</p></details>" if answer else ""
        return f"<noscript><p>Predict: {html.escape(self.guess.question)}</p><ul>{options}</ul>{folded}</noscript>"


# ------------------------------------------------------------------------------------------- pictures


def encode(pixels: np.ndarray, lossless: bool, base: np.ndarray | None = None) -> bytes | None:
    """WebP of ``pixels`` (height, width, 3). With ``base`` only what differs from it, the rest transparent.

    Lossless pictures have 32 levels a colour: no eye sees it in a drawing, and it halves the size.
    None if nothing differs.
    """
    if lossless:
        pixels, base = _levels(pixels), None if base is None else _levels(base)
    if base is not None:
        differs = (pixels != base).any(axis=-1)
        if not differs.any():
            return None
        # two pixels more all round, so that a browser that scales the pictures mixes only equal neighbours
        for axis in (0, 1):
            differs = np.any([np.roll(differs, k, axis) for k in range(-2, 3)], axis=0)
        shown = pixels * differs[..., None] if lossless else pixels
        pixels = np.dstack([shown, 255 * differs.astype(np.uint8)])
    stream = io.BytesIO()
    how = {"lossless": True, "quality": 50, "method": 2} if lossless else {"quality": 82, "method": 4}
    Image.fromarray(pixels).save(stream, format="WEBP", **how)
    return stream.getvalue()


def _levels(pixels: np.ndarray) -> np.ndarray:
    return np.round(np.round(np.arange(256) * (31 / 255)) * (255 / 31)).astype(np.uint8)[pixels]


def _is_drawing(still: np.ndarray, other: np.ndarray) -> bool:
    """Is the lossless picture the smaller one? So it is for lines; not for photographs."""
    return len(encode(other, True, still) or b"") <= len(encode(other, False, still) or b"")


def decode(picture: bytes, mode: str = "RGB") -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(picture)).convert(mode))


def compose(still: bytes, change: bytes | None) -> np.ndarray:
    """What a browser shows of a picture and the change on top of it: pixels (height, width, 3)."""
    pixels = decode(still)
    if change is None:
        return pixels
    above = decode(change, "RGBA")
    return np.where(above[..., 3:] > 0, above[..., :3], pixels)


def data_uri(picture: bytes) -> str:
    return "data:image/webp;base64," + base64.b64encode(picture).decode()


# ------------------------------------------------------------------------------------------- the page


def _figure(title, body: str, text: str, caption, data, call: str, extra: str = "") -> str:
    """The frame around every interactive figure of a page. No ids: any number of figures fits on a page."""
    package = resources.files(__package__)
    css, js = (package.joinpath(name).read_text("utf-8") for name in ("explore.css", "explore.js"))
    heading = f'<p class="rk-title">{html.escape(title)}</p>' if title else ""
    fixed = f'<p class="rk-caption">{html.escape(caption)}</p>' if caption else ""
    name = html.escape(f"Interactive figure: {title}" if title else "Interactive figure")
    return (
        f'<figure class="rk" role="group" aria-label="{name}">\n<style>{css}</style>\n{heading}{body}{extra}\n'
        f'<figcaption><p class="rk-readout" aria-live="polite">{html.escape(text)}</p>{fixed}</figcaption>\n'
        f'<script type="application/json">{_json(data)}</script>\n'
        f"<script>(() => {{\nconst figure = document.currentScript.closest('figure');\n{js}\n"
        f"rk.start(figure, {call});\n}})();</script>\n</figure>"
    )


def _json(data) -> str:
    """JSON that may stand in a page. An array becomes base64 of its numbers, in its own precision."""

    def other(value):
        if hasattr(value, "detach"):
            value = value.detach().cpu().numpy()
        if isinstance(value, np.generic):
            return value.item()
        if isinstance(value, np.ndarray) and value.dtype.kind in "fiu":
            kind = value.dtype.name if value.dtype.name in ("float32", "int32", "uint8") else "float64"
            numbers = np.ascontiguousarray(value, dtype=np.dtype(kind).newbyteorder("<"))
            return {"$array": kind, "shape": value.shape, "base64": base64.b64encode(numbers.tobytes()).decode()}
        raise ValueError(f"expected numbers, texts, lists, mappings or arrays as data, got {type(value).__name__}")

    return json.dumps(data, default=other, ensure_ascii=False, allow_nan=False, separators=(",", ":")).replace("<", "\\u003c")


@dataclass(frozen=True)
class PageWidget:
    """What ``page_widget`` returns."""

    source: str

    def html(self) -> str:
        return self.source

    def _repr_mimebundle_(self, include=None, exclude=None) -> dict:
        return {"text/plain": "a figure that the page computes", "text/html": self.source}


def page_widget(
    js: str,
    data=None,
    *,
    alt: str,
    title: str | None = None,
    caption: str | None = None,
    readout: str = "",
    still: str = "",
) -> PageWidget:
    """A figure that the page computes itself, in the book and in Jupyter alike.

    ``js`` is the source of a function ``(root, data, kit) => { ... }``. It is called once, with an empty <div>, the
    ``data``, and helpers that give all figures one look:

    kit.slider({label, min, max, step, value, text, input})  a row with a range input; ``text(v)`` is what is shown for
                                                             it, ``input(v)`` is called when it moves; returns
                                                             {row, input, set(v)}
    kit.select({label, options, value, input})               a row with a drop-down list; values are indices
    kit.button(text, click)                                  a button
    kit.row(...nodes)                                        puts its arguments side by side
    kit.svg(tag, attributes, ...children), kit.el(...)       make elements; attributes named on... are handlers
    kit.say(text)                                            the read-out: call it whenever the figure changes
    kit.colors                                               Okabe-Ito by name, and ``text``, ``muted``, ``line``

    ``data`` is anything that JSON holds, and arrays or tensors: they arrive as Float64Array (Float32Array, Int32Array,
    Uint8Array for such arrays), row by row, with a property ``shape``.
    ``alt`` says what the figure shows; ``still`` is HTML (a picture, an SVG) to be seen where scripts are off, and
    ``readout`` the first read-out.
    """
    if not isinstance(js, str) or "=>" not in js and "function" not in js:
        raise ValueError(f"expected the source of a JavaScript function (root, data, kit) => {{...}}, got {js!r:.60}")
    if "</script" in js.lower():
        raise ValueError('expected JavaScript without "</script": it would end the script in the page')
    body = f'<div class="rk-stage" role="group" aria-label="{html.escape(alt)}">{still}</div>'
    return PageWidget(_figure(title, body, readout, caption, data, f"rk.page({js.strip().rstrip(';')}\n)"))
