"""One slider, three surfaces: live in Jupyter, self-contained in the book's HTML, still without scripts.

``explore`` takes a function that draws, and the values to draw it for. ``page_widget`` takes a figure that
the page computes itself, in JavaScript. What both look like and do in a page is in explore.css and
explore.js, what ``explore`` does in Jupyter in live.py.
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

from regbook.plots import style

MOST_FRAMES = 120
_NAMES = "alpha beta gamma delta epsilon zeta eta theta iota kappa lam mu nu xi omicron pi rho . sigma tau"
GREEK = {name: chr(ord("α") + k) for k, name in enumerate(_NAMES.split())} | {"phi": "φ", "omega": "ω"}


# ----------------------------------------------------------------------------------------- parameters


def number_text(value: float) -> str:
    """``value`` to three digits, as people write it: 0.001, 37.5, 10⁻⁴, 2.5·10⁶."""
    if value == 0 or 1e-3 <= abs(value) < 99950:
        return f"{float(f'{value:.3g}'):.10g}".replace("-", "−")
    digits, exponent = f"{value:.2e}".split("e")
    digits = digits.rstrip("0").rstrip(".").replace("-", "−")
    power = "10" + str(int(exponent)).translate(str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"))
    return {"1": power, "−1": f"−{power}"}.get(digits, f"{digits}·{power}")


@dataclass(frozen=True)
class Slider:
    """Numbers to slide over, evenly spaced on the screen.

    ``label`` stands before the slider (if not given, the name: theta → θ), ``unit`` after the number.
    ``format`` is a format specification (``".2f"``) or a function from a number to its text.
    """

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
        differences, ratios = np.diff(positive), np.diff(np.log(positive))
        return bool(np.std(ratios) / abs(np.mean(ratios)) < np.std(differences) / abs(np.mean(differences)))

    def at(self, position: float) -> float:
        """The value at a position from 0 to n − 1: the k-th at k, and between them one between."""
        k = min(int(position), len(self.values) - 1)
        t = position - k
        if t == 0:
            return self.values[k]
        a, b = self.values[k], self.values[k + 1]
        value = a * (b / a) ** t if self.is_log and a > 0 and b > 0 else a + t * (b - a)
        return round(value) if isinstance(a, int) else value

    def position(self, value: float) -> float:
        """The inverse of ``at``; for values beyond an end, that end."""
        rising = self.values[-1] > self.values[0]
        values = list(self.values) if rising else list(self.values)[::-1]
        value = min(max(value, values[0]), values[-1])
        k = min(bisect.bisect_right(values, value), len(values) - 1) - 1
        a, b = values[k], values[k + 1]
        in_logs = self.is_log and a > 0
        t = math.log(value / a) / math.log(b / a) if in_logs else (value - a) / (b - a)
        return k + t if rising else len(values) - 1 - (k + t)

    def nearest(self, value: float) -> int:
        return round(self.position(float(value)))


@dataclass(frozen=True)
class Choice:
    """Names to choose from in a drop-down list; a mapping says for each what ``draw`` is given for it."""

    options: Sequence[str] | Mapping[str, object]
    label: str | None = None

    @property
    def values(self) -> list:
        return list(self.options.values() if isinstance(self.options, Mapping) else self.options)

    def text(self, value) -> str:
        return list(self.options)[self.values.index(value)]

    def nearest(self, value) -> int:
        names = list(self.options)
        if value not in names and value not in self.values:
            raise ValueError(f"expected a start among {names}, got {value!r}")
        return names.index(value) if value in names else self.values.index(value)


def _parameter(name: str, given) -> Slider | Choice:
    """What the caller wrote after ``name=``, checked, and with a label."""
    label = GREEK.get(name, name.replace("_", " ").strip())
    if isinstance(given, str) or not (hasattr(given, "__len__") or isinstance(given, Slider | Choice)):
        raise ValueError(f"expected a sequence of numbers or of names for {name}, got {given!r}")
    if isinstance(given, Mapping):
        given = Choice(given)
    elif not isinstance(given, Slider | Choice):
        names = len(given) and all(isinstance(v, str) for v in given)
        given = Choice(list(given)) if names else Slider(given)
    if isinstance(given, Choice):
        if len(given.values) < 2:
            raise ValueError(f"expected two or more names for {name}, got {list(given.options)}")
        return Choice(given.options, given.label or label)
    try:
        values = [v.item() if hasattr(v, "item") else v for v in given.values]
        whole = all(isinstance(v, int) for v in values)
        values = [int(v) if whole else float(v) for v in values]
    except (TypeError, ValueError):
        raise ValueError(f"expected numbers, or names, for {name}, got {given.values!r}") from None
    steps = np.diff(values)
    if not np.isfinite(values).all() or len(values) < 2 or not ((steps > 0).all() or (steps < 0).all()):
        raise ValueError(f"expected two or more finite numbers, rising or falling, for {name}, got {values}")
    return Slider(values, given.label or label, given.unit, given.format)


@dataclass(frozen=True)
class Guess:
    """A prediction that the reader makes before the figure moves.

    With ``options`` the reader picks one of these texts, and ``answer`` is the index of the right one.
    Without, the reader picks a value of the figure's first slider, and ``answer`` is the right value.
    ``explain`` is a text. Answer and explanation are folded away until the reader has guessed, or chosen
    not to.
    """

    question: str
    options: Sequence[str] | None = None
    answer: float | None = None
    explain: str = ""

    def __post_init__(self):
        last = None if self.options is None else len(self.options) - 1
        if last is not None and self.answer not in (None, *range(last + 1)):
            raise ValueError(f"expected an answer from 0 to {last}, got {self.answer}")

    def data(self, parameters: Sequence[Slider | Choice] = ()) -> dict:
        """What is shown. ``on`` is the index of the slider, ``place`` where the answer is on it, 0 to 1."""
        on, place, right = None, None, ""
        if self.options is None:
            on = next((k for k, p in enumerate(parameters) if isinstance(p, Slider)), None)
            if on is None:
                raise ValueError("expected a Guess with options, as there is no slider to guess on")
            if self.answer is not None:
                slider = parameters[on]
                place = slider.position(self.answer) / (len(slider.values) - 1)
                right = f"{slider.label} ≈ {slider.text(self.answer)}. "
        elif self.answer is not None:
            right = f"{self.options[self.answer].rstrip('.')}. "
        answer = f"{right}{self.explain}".strip()
        names = ("question", "options", "answer", "on", "place")
        return dict(zip(names, (self.question, self.options, answer, on, place), strict=True))


# ----------------------------------------------------------------------------------------- explore


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

        explore(draw, theta=np.logspace(-3, 4, 22), view=["value", "gradient"], start=100)

    ``draw(figure, **values)`` draws on an empty Matplotlib figure and returns the read-out: a sentence or
    two made of the computed values, plain text. It stands below the figure, and a screen reader reads it
    out. Set the limits of the axes, so that only moves what the slider moves. None stands for the values of
    the sliders alone.

    Each parameter has the name that it has in ``draw``. Numbers that rise or fall make a slider (a
    logarithmic one if they are spaced so), names or a mapping from names to values a drop-down list;
    ``Slider`` and ``Choice`` set a label, a unit, a format. There may be 120 combinations.

    title, caption  a heading above the figure, and a fixed text below it
    alt             what kind of picture it is; the alternative text is this, followed by the read-out
    guess           a question to answer on the slider before it moves the figure, or a ``Guess``
    start           where the figure starts: a value of the first parameter, or values by their names
    figsize, dpi    the size in inches, and the embedded pictures' dots per inch
    interval        how long a frame is shown while playing, in milliseconds

    In Jupyter the figure is drawn anew at any value, also between the given ones. In the book it shows the
    frames, which are all drawn when ``explore`` is called: an error in ``draw`` is raised there and then.

    Errors: ValueError for anything else than one or two parameters with two or more values each, for
    numbers that are not finite or neither rise nor fall, and for more than 120 combinations.
    """
    if not 1 <= len(parameters) <= 2:
        names = ", ".join(parameters) or "none"
        raise ValueError(f"expected one or two parameters to slide over, got {len(parameters)}: {names}")
    known = {name: _parameter(name, given) for name, given in parameters.items()}
    count = math.prod(len(p.values) for p in known.values())
    if count > MOST_FRAMES:
        raise ValueError(f"expected at most {MOST_FRAMES} frames, got {count}")
    start = start if isinstance(start, Mapping) else {} if start is None else {next(iter(known)): start}
    if not set(start) <= set(known):
        raise ValueError(f"expected a start for {', '.join(known)}, got one for {', '.join(start)}")
    first = tuple(p.nearest(start[name]) if name in start else 0 for name, p in known.items())
    guess = Guess(guess) if isinstance(guess, str) else guess
    question = guess and guess.data(list(known.values()))
    return Explorer(draw, known, first, question, title, caption, alt, figsize, dpi, interval)


class Explorer:
    """What ``explore`` returns. Jupyter and the book display it; ``html()`` is the page's figure."""

    def __init__(self, draw, parameters, first, question, title, caption, alt, figsize, dpi, interval):
        self.draw, self.parameters, self.first, self.question = draw, parameters, first, question
        self.title, self.caption, self.alt = title, caption, alt
        self.figsize, self.dpi, self.interval = figsize, dpi, interval
        self.positions = list(itertools.product(*(range(len(p.values)) for p in parameters.values())))
        drawn = {position: self.drawn(self.values(position)) for position in {first, self.positions[-1]}}
        still, last = drawn[first][0], drawn[self.positions[-1]][0]
        self.lossless = _is_drawing(still, last)
        self.still, self.changes, self.texts = encode(still, self.lossless), [], []
        for position in self.positions:
            picture, text = drawn.get(position) or self.drawn(self.values(position))
            self.changes.append(encode(picture, self.lossless, still))
            self.texts.append(text)

    def values(self, position: tuple[int, ...]) -> dict:
        return {n: p.values[k] for (n, p), k in zip(self.parameters.items(), position, strict=True)}

    def drawn(self, values: dict) -> tuple[np.ndarray, str]:
        """The pixels (height, width, 3) and the read-out for these values, each time on a new figure."""
        with matplotlib.rc_context(style()):
            figure = Figure(figsize=self.figsize, dpi=self.dpi)
            canvas = FigureCanvasAgg(figure)
            text = self.draw(figure, **values)
            canvas.draw()
        if text is not None and not isinstance(text, str):
            raise ValueError(f"expected draw to return a text or None, got {type(text).__name__}")
        if not text:
            settings = zip(self.parameters.values(), values.values(), strict=True)
            text = ", ".join(f"{p.label} = {p.text(v)}" for p, v in settings) + "."
        return np.array(canvas.buffer_rgba())[..., :3], text

    def frame(self, **values) -> bytes:
        """The WebP picture that the live figure shows, at any values."""
        return encode(self.drawn(values)[0], self.lossless)

    def static_frame(self, **values) -> np.ndarray:
        """The pixels (height, width, 3) that the page shows, at values that it has a frame for."""
        position = tuple(p.values.index(values[name]) for name, p in self.parameters.items())
        return compose(self.still, self.changes[self.positions.index(position)])

    def html(self) -> str:
        """A <figure> that needs nothing else: no kernel, no network, and for its still picture no script."""
        data = {
            "parameters": [
                {"label": p.label, "texts": [p.text(v) for v in p.values], "slider": isinstance(p, Slider)}
                for p in self.parameters.values()
            ],
            "frames": [[c and _base64(c), t] for c, t in zip(self.changes, self.texts, strict=True)],
            "start": self.first,
            "alt": (self.alt or self.title or "Figure").rstrip(". "),
            "interval": self.interval,
        }
        text = self.texts[self.positions.index(self.first)]
        height, width, _ = decode(self.still).shape
        image = f'<img width="{width}" height="{height}" class="dark-light"'
        picture = (
            f'<div class="rk-picture">{image} alt="{html.escape(data["alt"])}. {html.escape(text)}"'
            f' src="data:image/webp;base64,{_base64(self.still)}">{image} alt="" hidden></div>'
        )
        return _figure(picture, data, "rk.frames", text, self.title, self.caption, self.question)

    def _repr_mimebundle_(self, include=None, exclude=None) -> dict:
        texts = {"text/plain": repr(self), "text/html": self.html()}
        try:
            from .live import view
        except ImportError:  # without ipywidgets Jupyter shows what the page shows
            return texts
        return view(self)._repr_mimebundle_() | texts

    def __repr__(self) -> str:
        return f"explore({', '.join(f'{n}: {len(p.values)} values' for n, p in self.parameters.items())})"


# ----------------------------------------------------------------------------------------- pictures


def encode(pixels: np.ndarray, lossless: bool, base: np.ndarray | None = None) -> bytes | None:
    """WebP of ``pixels`` (height, width, 3); with ``base`` of what differs from it, the rest transparent.

    Lossless pictures have 32 levels a colour, which no eye sees in a drawing and which halves their size.
    None if nothing differs.
    """
    if lossless:
        levels = np.round(np.round(np.arange(256) * (31 / 255)) * (255 / 31)).astype(np.uint8)
        pixels, base = levels[pixels], None if base is None else levels[base]
    if base is not None:
        red, green, blue = np.moveaxis(pixels != base, -1, 0)
        differs = red | green | blue
        if not differs.any():
            return None
        # two pixels more all round: a browser that scales the pictures then mixes only what is equal in both
        for axis, shift in [(0, 1), (0, -1), (1, 1), (1, -1)] * 2:
            differs = differs | np.roll(differs, shift, axis)
        visible = pixels * differs[..., None] if lossless else pixels
        pixels = np.dstack([visible, 255 * differs.astype(np.uint8)])
    options = {"lossless": True, "quality": 50, "method": 2} if lossless else {"quality": 82, "method": 4}
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, format="WEBP", **options)
    return stream.getvalue()


def decode(picture: bytes, mode: str = "RGB") -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(picture)).convert(mode))


def compose(still: bytes, change: bytes | None) -> np.ndarray:
    """What a browser shows of a picture with a change on top of it: pixels (height, width, 3)."""
    if change is None:
        return decode(still)
    above = decode(change, "RGBA")
    return np.where(above[..., 3:] > 0, above[..., :3], decode(still))


def _is_drawing(still: np.ndarray, other: np.ndarray) -> bool:
    """Is the lossless picture the smaller one? It is for lines, and it is not for photographs."""
    return len(encode(other, True, still) or b"") <= len(encode(other, False, still) or b"")


def _base64(numbers: bytes) -> str:
    return base64.b64encode(numbers).decode()


# ----------------------------------------------------------------------------------------- pages


def _figure(body: str, data, run: str, text: str, title, caption, question: dict | None) -> str:
    """The frame around every figure. It has no ids and no global names: a page holds as many as it likes."""
    folder = resources.files(__package__)
    css, js = (folder.joinpath(name).read_text("utf-8") for name in ("explore.css", "explore.js"))
    heading = f'<p class="rk-title">{html.escape(title)}</p>' if title else ""
    fixed = f'<p class="rk-caption">{html.escape(caption)}</p>' if caption else ""
    name = html.escape(f"Interactive figure: {title}" if title else "Interactive figure")
    return f"""<figure class="rk" role="group" aria-label="{name}">
<style>{css}</style>
{heading}{body}{_question_without_script(question)}
<figcaption><p class="rk-readout" aria-live="polite">{html.escape(text)}</p>{fixed}</figcaption>
<script type="application/json">{_json({"figure": data, "guess": question})}</script>
<script>(() => {{
const figure = document.currentScript.closest("figure");
{js}
rk.start(figure, {run});
}})();</script>
</figure>"""


def _question_without_script(question: dict | None) -> str:
    if question is None:
        return ""
    options = "".join(f"<li>{html.escape(option)}</li>" for option in question["options"] or ())
    asked, answer = html.escape(question["question"]), html.escape(question["answer"])
    folded = f"<details><summary>The answer</summary><p>{answer}</p></details>" if answer else ""
    return f'<div class="rk-plain"><p>Predict: {asked}</p><ul>{options}</ul>{folded}</div>'


def _json(data) -> str:
    """JSON that may stand in a page. Of an array it holds the bytes, in base64, and the shape."""

    def array(value):
        value = value.detach().cpu().numpy() if hasattr(value, "detach") else value
        if not isinstance(value, np.ndarray | np.generic) or value.dtype.kind not in "fiu":
            raise ValueError(f"expected numbers, texts, lists or arrays as data, got a {type(value)}")
        if value.ndim == 0:
            return value.item()
        kind = value.dtype.name if value.dtype.name in ("float32", "int32", "uint8") else "float64"
        numbers = np.ascontiguousarray(value, dtype=np.dtype(kind).newbyteorder("<"))
        return {"$array": kind, "shape": value.shape, "base64": _base64(numbers.tobytes())}

    text = json.dumps(data, default=array, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return text.replace("<", "\\u003c")


@dataclass(frozen=True)
class PageWidget:
    """What ``page_widget`` returns. Jupyter and the book display it; ``html()`` is the figure as a text."""

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
    guess: Guess | None = None,
) -> PageWidget:
    """A figure that the page computes itself, in the book and in Jupyter alike.

    ``js`` is the source of a function ``(root, data, kit) => { ... }``. It is called once, with an empty
    <div>, the ``data``, and helpers that give all figures one look:

    kit.slider({label, min, max, step, value, text, input})
        a row with a range input. ``text(v)`` is the text of a value, ``input(v)`` is called when the reader
        moves it. Returns {row, input, set(v)}
    kit.select({label, options, value, input})
        the same for a drop-down list; its values are indices
    kit.button(text, click), kit.row(...nodes)
        a button; nodes side by side
    kit.play(left, step, interval)
        Play and Pause: every ``interval`` milliseconds ``step(false)`` is called, while ``left()`` is not 0;
        ``step(true)`` goes back to the beginning. Returns {button, stop()}
    kit.el(tag, attributes, ...children), kit.svg(tag, attributes, ...children)
        an element; an attribute onX is a handler
    kit.say(text)
        the read-out: call it whenever the figure changes
    kit.colors
        Okabe and Ito's by name, and ``text``, ``muted``, ``line``, ``card``: for CSS and SVG, light or dark
        as the page is. For a canvas, ``kit.color(name)`` is what it is now

    ``data`` is what JSON holds, and arrays or tensors: these arrive as Float64Array (or Float32Array,
    Int32Array, Uint8Array), row by row, with a property ``shape``. ``alt`` says what the figure shows.
    ``still`` is HTML (an SVG, say) for where scripts are off, ``readout`` the first read-out, ``guess`` a
    ``Guess`` with options, to be made before the figure is seen.

    Errors: ValueError for data that are none of these, and for a text that is not such a function.
    """
    if not isinstance(js, str) or not ("=>" in js or "function" in js) or "</script" in js.lower():
        raise ValueError(f"expected the source of a function (root, data, kit) => {{...}}, got {js!r:.80}")
    body = f'<div class="rk-stage" role="group" aria-label="{html.escape(alt)}">{still}</div>'
    run = f"rk.page({js.strip().rstrip(';')}\n)"
    return PageWidget(_figure(body, data, run, readout, title, caption, guess and guess.data()))
