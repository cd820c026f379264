"""One slider, three surfaces: live in Jupyter, self-contained in the book's HTML, still without scripts.

``explore`` takes a function that draws, and the values to draw it for. ``page_widget`` takes a
figure that the page computes itself, in JavaScript. ``running`` takes one of these, and what a
kernel computes in its place, step by step. ``compare`` takes what ``regkit.register`` found.

    frames     what is drawn, as pixels and as small pictures
    narrow     the drawing for phones
    page       the <figure> of a page; what it looks like is in explore.css, what it does in
               picture.js (its drawings) and explore.js (everything that moves)
    live       the same figure in Jupyter
    running    a computation in the background, and a figure of it
    live_running  that figure in Jupyter
    bundle     what Jupyter is given of both
    compare    what ``regkit.register`` found, from the reference to the moved template
"""

from __future__ import annotations

import bisect
import itertools
import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from regbook.explore.bundle import bundle
from regbook.explore.compare import compare
from regbook.explore.frames import Film, compose, render
from regbook.explore.page import PageWidget, figure_html, page_widget, picture_html
from regbook.explore.running import Running, Whole, running
from regbook.text import number_text, readable

__all__ = [
    "Choice", "Explorer", "Guess", "PageWidget", "Running", "Slider", "Whole",
    "compare", "explore", "page_widget", "running",
]  # fmt: skip

MOST_FRAMES = 120
_NAMES = "alpha beta gamma delta epsilon zeta eta theta iota kappa lam mu nu xi omicron pi rho . sigma tau"
GREEK = {name: chr(ord("α") + k) for k, name in enumerate(_NAMES.split())} | {"phi": "φ", "omega": "ω"}


# ----------------------------------------------------------------------------------------- parameters


@dataclass(frozen=True)
class Slider:
    """Numbers to slide over, evenly spaced on the screen.

    Args:
        values: the numbers, rising or falling.
        label: what stands before the slider; if None the name, theta as θ.
        unit: what stands after the number.
        format: a format specification such as ``".2f"``, or a function from a number to its text.

    Example:
        >>> slider = Slider([1.0, 10.0, 100.0], unit="mm", format=".0f")
        >>> slider.text(10.0), slider.is_log, Slider([1, 2], unit="cells").text(1)
        ('10 mm', True, '1 cell')
    """

    values: Sequence[float]
    label: str | None = None
    unit: str = ""
    format: str | Callable[[float], str] = number_text

    def text(self, value: float) -> str:
        """What the reader sees of a value: the number and its unit."""
        shown = self.format(value) if callable(self.format) else format(value, self.format)
        unit = self.unit[:-1] if shown == "1" and re.fullmatch("[a-z]{3,}s", self.unit) else self.unit
        return readable(f"{shown} {unit}").strip()

    @property
    def is_log(self) -> bool:
        """Are the steps nearer to being equal as ratios than as differences?"""
        positive = np.array([v for v in self.values if v > 0], dtype=float)
        if len(positive) < 3 or min(self.values) < 0:
            return False
        differences, ratios = np.diff(positive), np.diff(np.log(positive))
        return bool(np.std(ratios) / abs(np.mean(ratios)) < np.std(differences) / abs(np.mean(differences)))

    def value_at(self, position: float) -> float:
        """The value at a position from 0 to n − 1: the k-th at k, and between them one between."""
        k = min(int(position), len(self.values) - 1)
        t = position - k
        if t == 0:
            return self.values[k]
        a, b = self.values[k], self.values[k + 1]
        value = a * (b / a) ** t if self.is_log and a > 0 and b > 0 else a + t * (b - a)
        return round(value) if isinstance(a, int) else value

    def position(self, value: float) -> float:
        """The inverse of ``value_at``; for values beyond an end, that end."""
        rising = self.values[-1] > self.values[0]
        values = list(self.values) if rising else list(self.values)[::-1]
        value = min(max(value, values[0]), values[-1])
        k = min(bisect.bisect_right(values, value), len(values) - 1) - 1
        a, b = values[k], values[k + 1]
        in_logs = self.is_log and a > 0
        t = math.log(value / a) / math.log(b / a) if in_logs else (value - a) / (b - a)
        return k + t if rising else len(values) - 1 - (k + t)

    def nearest(self, value: float) -> int:
        """The index of the value that is nearest on the screen."""
        return round(self.position(float(value)))


@dataclass(frozen=True)
class Choice:
    """Names to choose from in a drop-down list.

    Args:
        options: the names, or a mapping from each to what ``draw`` is given for it.
        label: what stands before the list; if None the parameter's name.

    Example:
        >>> Choice({"coarse": 8, "fine": 64}).values
        [8, 64]
    """

    options: Sequence[str] | Mapping[str, object]
    label: str | None = None

    @property
    def values(self) -> list:
        """What ``draw`` is given, one for each name."""
        return list(self.options.values() if isinstance(self.options, Mapping) else self.options)

    def text(self, value: object) -> str:
        """The name of a value."""
        return list(self.options)[self.values.index(value)]

    def nearest(self, value: object) -> int:
        """The index of a name, or of its value.

        Raises:
            ValueError: if it is among neither.
        """
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

    Until the reader has guessed, or chosen not to, answer, explanation, read-out and caption are
    not to be seen, nor is the picture: an empty place says that it will appear. Text of the chapter
    that belongs to the answer can wait, too, in a fold that opens with the guess:

        <details class="after-guess"><summary>What the figure shows</summary>
        …
        </details>

    Args:
        question: what is asked.
        options: texts to pick one of; without them the reader picks a value of the figure's
            first slider.
        answer: the index of the right option, or the right value.
        explain: why it is right.
        before: "nothing", or "start" to show the picture from the beginning, as the figure starts;
            choose this only where it gives nothing away.

    Raises:
        ValueError: for another ``before``, or an answer that is no index of the options.
    """

    question: str
    options: Sequence[str] | None = None
    answer: float | None = None
    explain: str = ""
    before: str = "nothing"

    def __post_init__(self):
        if self.before not in ("nothing", "start"):
            raise ValueError(f'expected before="nothing" or before="start", got {self.before!r}')
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
            right = f"Answer: {self.options[self.answer].rstrip('.')}. "
        answer = f"{right}{self.explain}".strip()
        return {
            "question": readable(self.question),
            "options": self.options and [readable(option) for option in self.options],
            "answer": readable(answer),
            "on": on,
            "place": place,
            "before": self.before,
        }


# ----------------------------------------------------------------------------------------- explore


def explore(
    draw: Callable[..., str | None],
    *,
    title: str | None = None,
    caption: str | None = None,
    alt: str | None = None,
    guess: str | Guess | None = None,
    start: object = None,
    figsize: tuple[float, float] = (6.4, 3.6),
    dpi: int = 160,
    interval: int = 400,
    **parameters: object,
) -> Explorer:
    """A figure with one or two sliders or drop-down lists.

        explore(draw, theta=np.logspace(-3, 4, 22), view=["value", "gradient"], start=100)

    ``draw(figure, **values)`` draws on an empty Matplotlib figure and returns the read-out: a
    sentence or two made of the computed values, plain text. It stands below the figure, and a
    screen reader reads it out; numbers get the signs that people write, −3 for -3, 10⁻⁴ for 1e-4.
    Set the limits of the axes, so that only moves what the slider moves. None stands for the values
    of the sliders alone.

    Each parameter has the name that it has in ``draw``. Numbers that rise or fall make a slider (a
    logarithmic one if they are spaced so), names or a mapping from names to values a drop-down
    list; ``Slider`` and ``Choice`` set a label, a unit, a format. There may be 120 combinations.

    In Jupyter the figure is drawn anew at any value, also between the given ones. In the book it
    shows the frames, which are all drawn when ``explore`` is called: an error in ``draw`` is raised
    there and then.

    Args:
        draw: function that draws.
        title: heading above the figure.
        caption: fixed text below it.
        alt: what kind of picture it is; the alternative text is this, followed by the read-out.
        guess: question to answer on the slider before it moves the figure, or a ``Guess``.
        start: where the figure starts: a value of the first parameter, or values by their names.
        figsize (inches): width and height.
        dpi: dots per inch of the embedded pictures.
        interval (milliseconds): how long a frame is shown while playing.
        parameters: one or two, by their names in ``draw``.

    Returns:
        What Jupyter and the book display.

    Raises:
        ValueError: for anything else than one or two parameters with two or more values
            each, for numbers that are not finite or neither rise nor fall, and for more than
            120 combinations.

    Example:
        >>> def draw(figure, height):
        ...     axes = figure.add_subplot()
        ...     axes.plot([0, 1], [0, height])
        ...     axes.set_ylim(0, 2)
        ...     return f"The line rises to {height:g}."
        >>> explore(draw, height=[0.5, 1.0, 2.0], figsize=(2.0, 1.5), dpi=50)
        explore(height: 3 values)
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
    """What ``explore`` returns. Jupyter and the book display it; ``html()`` is the page's figure.

    Args:
        draw: as in ``explore``.
        parameters: sliders and choices by their names.
        first: for each the index at which the figure starts.
        question: what a ``Guess`` shows, or None.
        title, caption, alt, figsize, dpi, interval: as in ``explore``.
    """

    def __init__(self, draw, parameters, first, question, title, caption, alt, figsize, dpi, interval):
        self.draw, self.parameters, self.first, self.question = draw, parameters, first, question
        self.title, self.caption, self.alt = title, caption, readable(alt or title or "Figure").rstrip(". ")
        self.figsize, self.dpi, self.interval = figsize, dpi, interval
        self.positions = list(itertools.product(*(range(len(p.values)) for p in parameters.values())))
        self.layout = None
        start = self.drawn(self.values(first))
        self.layout = start.layout
        drawn = {first: start, self.positions[-1]: self.drawn(self.values(self.positions[-1]))}
        ends = zip(start.drawings, drawn[self.positions[-1]].drawings, strict=True)
        self.films, self.texts = [Film(*pair) for pair in ends], []
        for position in self.positions:
            frame = drawn.get(position) or self.drawn(self.values(position))
            self.texts.append(frame.text)
            for film, drawing in zip(self.films, frame.drawings, strict=True):
                film.add(drawing)

    def values(self, position: tuple[int, ...]) -> dict:
        """What ``draw`` is given where the sliders stand at these indices."""
        return {n: p.values[k] for (n, p), k in zip(self.parameters.items(), position, strict=True)}

    def drawn(self, values: dict, *, phones: bool = True):
        """The frame for these values, drawn anew: its drawings and its read-out."""
        frame = render(self.draw, values, self.figsize, self.dpi, self.layout, phones=phones)
        settings = zip(self.parameters.values(), values.values(), strict=True)
        text = frame.text or ", ".join(f"{p.label} = {p.text(v)}" for p, v in settings) + "."
        return replace(frame, text=readable(text))

    def frame(self, *, narrow: bool = False, **values) -> bytes:
        """The WebP picture at any values: the one that the live figure shows, or the narrow one."""
        return self.films[narrow].frame(self.drawn(values).drawings[narrow])

    def static_frame(self, *, narrow: bool = False, **values) -> np.ndarray:
        """The pixels (height, width, 3) that the page shows, at values that it has a frame for."""
        position = tuple(p.values.index(values[name]) for name, p in self.parameters.items())
        film = self.films[narrow]
        return compose(film.still, film.changes[self.positions.index(position)])

    def html(self) -> str:
        """A <figure> that needs nothing else: no kernel, no network, and for its still picture no script."""
        data = {
            "parameters": [
                {"label": p.label, "texts": [p.text(v) for v in p.values], "slider": isinstance(p, Slider)}
                for p in self.parameters.values()
            ],
            "texts": self.texts,
            "drawings": [film.data() for film in self.films],
            "start": self.first,
            "alt": self.alt,
            "interval": self.interval,
        }
        text = self.texts[self.positions.index(self.first)]
        early = self.question and self.question["before"] == "start"  # seen before the guess, and not told
        picture = picture_html(self.films, f"{self.alt}." if early else f"{self.alt}. {text}")
        return figure_html(picture, data, "rk.frames", text, self.title, self.caption, self.question)

    def _repr_mimebundle_(self, include=None, exclude=None) -> dict:
        def live():
            from regbook.explore.live import view

            return view(self)

        return bundle({"text/plain": repr(self), "text/html": self.html()}, live)

    def __repr__(self) -> str:
        return f"explore({', '.join(f'{n}: {len(p.values)} values' for n, p in self.parameters.items())})"
