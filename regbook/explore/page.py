"""The <figure> of a page: its frame, its data, and figures that the page computes itself.

What a figure looks like is in explore.css, what it does in explore.js. Its drawings are the matter of
picture.js; what it draws with if the page computes it, of plot.js.
"""

from __future__ import annotations

import html
import io
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import resources
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from regbook.explore.frames import Film, base64_text, both
from regbook.text import readable

if TYPE_CHECKING:
    from regbook.explore import Guess

_BEGIN, _END = "// the code of all figures", "// the end of this code"
NARROW = 550  # pixels: in a narrower window the narrow drawing is shown, where no script measures the figure


# ----------------------------------------------------------------------------------------- the figure


def figure_html(
    body: str,
    data,
    run: str,
    text: str,
    title,
    caption,
    question: dict | None,
    scripts: Sequence[str] = ("picture.js", "explore.js"),
    longest: Sequence[str] = (),
) -> str:
    """The frame around every figure. It has no ids and no global names: a page holds as many as it likes."""
    sent = {"figure": data, "guess": question, "longest": list(longest)}
    heading = f'<p class="rk-title">{html.escape(title)}</p>' if title else ""
    fixed = f'<p class="rk-caption">{html.escape(readable(caption))}</p>' if caption else ""
    readout = f'<p class="rk-readout" aria-live="polite">{html.escape(readable(text))}</p>'
    said = f'<div class="rk-said">{readout}</div>{fixed}'
    name = html.escape(f"Interactive figure: {title}" if title else "Interactive figure")
    return f"""<figure class="rk" role="group" aria-label="{name}">
{_style()}
{heading}{_folded(body, said, question) if question else body + said}
<script type="application/json">{json_text(sent)}</script>
<script>(() => {{
const figure = document.currentScript.closest("figure");
{_code(*scripts)}
rk.start(figure, {run});
}})();</script>
</figure>"""


@dataclass(frozen=True, repr=False)
class Still:
    """A figure that does not move, as a page and as Jupyter show it; see ``regbook.plots.show``.

    ``films``: its two drawings, wide and narrow. ``alt``: what it shows, in words.
    """

    films: Sequence[Film]
    alt: str
    caption: str | None = None

    def html(self) -> str:
        fixed = f'<p class="rk-caption">{html.escape(readable(self.caption))}</p>' if self.caption else ""
        return f"""<figure class="rk">
{_style()}
{picture_html(self.films, self.alt)}{fixed}
<script type="application/json">{json_text([film.data() for film in self.films])}</script>
<script>(() => {{
const figure = document.currentScript.closest("figure");
{_code("picture.js")}
pictures(figure, JSON.parse(figure.querySelector("script[type='application/json']").textContent));
}})();</script>
</figure>"""

    def __repr__(self) -> str:
        return f"Still({self.alt!r})"

    def png(self) -> bytes:
        stream = io.BytesIO()
        Image.fromarray(self.films[0].first.pixels).save(stream, format="PNG")
        return stream.getvalue()

    def _repr_mimebundle_(self, include=None, exclude=None) -> dict:
        return {"text/plain": self.alt, "text/html": self.html(), "image/png": base64_text(self.png())}


def picture_html(films: Sequence[Film], alt: str) -> str:
    """The still picture, with the narrow one for where no script can choose."""
    wide, narrow = films
    sources = [f"data:image/webp;base64,{base64_text(film.still)}" for film in (wide, narrow)]
    (height, width), (tall, small) = (film.first.pixels.shape[:2] for film in (wide, narrow))
    media = f'media="(max-width: {NARROW}px)"'
    return (
        f'<div class="rk-picture"><picture><source {media} width="{small}" height="{tall}"'
        f' srcset="{sources[1]}"><img class="dark-light" width="{width}" height="{height}"'
        f' alt="{html.escape(readable(alt))}" src="{sources[0]}"></picture></div>'
    )


def _file(name: str) -> str:
    return (resources.files(__package__) / name).read_text("utf-8")


def _style() -> str:
    return f'<style class="rk-style">{_file("explore.css")}</style>'


def _code(*names: str) -> str:
    return "\n".join([_BEGIN, *map(_file, names), _END])


def once(page: str) -> str:
    """A page of many figures, in which the code that each of them brings along stands once."""
    figures = re.compile(f"{re.escape(_BEGIN)}.*?{re.escape(_END)}", re.DOTALL)
    if not figures.search(page):
        return page
    code = _code("picture.js", "explore.js", "plot.js")
    shared = f"const regbookFigures = (figure) => {{\n{code}\nreturn {{ rk, pictures }};\n}};"
    page = figures.sub("const { rk, pictures } = regbookFigures(figure);", page.replace(_style(), ""))
    first = page.index('<figure class="rk"')
    return f"{page[:first]}{_style()}<script>{shared}</script>{page[first:]}"


def _folded(body: str, said: str, question: dict) -> str:
    """Question and figure as they are without scripts: what answers is folded away."""
    options = "".join(f"<li>{html.escape(option)}</li>" for option in question["options"] or ())
    listed = f"<ul>{options}</ul>" if options else ""
    asked = f'<div class="rk-asked"><p>Predict: {html.escape(question["question"])}</p>{listed}</div>'
    answer = f'<p class="rk-answer">{html.escape(question["answer"])}</p>' if question["answer"] else ""
    shown = question["before"] == "start"
    name = "The answer" if shown else "The figure and the answer"
    inside = f"<summary>{name}</summary>{answer}{'' if shown else body}{said}"
    return f'{body if shown else ""}{asked}<details class="rk-after">{inside}</details>'


# ----------------------------------------------------------------------------------------- computed figures


def json_text(data) -> str:
    """JSON that may stand in a page. Of an array it holds the bytes, in base64, and the shape."""

    def array(value):
        value = value.detach().cpu().numpy() if hasattr(value, "detach") else value
        if not isinstance(value, np.ndarray | np.generic) or value.dtype.kind not in "fiu":
            raise ValueError(f"expected numbers, texts, lists or arrays as data, got a {type(value)}")
        if value.ndim == 0:
            return value.item()
        kind = value.dtype.name if value.dtype.name in ("float32", "int32", "uint8") else "float64"
        numbers = np.ascontiguousarray(value, dtype=np.dtype(kind).newbyteorder("<"))
        return {"$array": kind, "shape": value.shape, "base64": base64_text(numbers.tobytes())}

    text = json.dumps(data, default=array, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return text.replace("<", "\\u003c")


@dataclass(frozen=True)
class PageWidget:
    """What ``page_widget`` returns. Jupyter and the book display it.

    Args:
        source: the figure.
        title, caption: as given.
        question: what a ``Guess`` shows.
    """

    source: str
    title: str | None = None
    caption: str | None = None
    question: dict | None = None

    def html(self) -> str:
        """The <figure>, as a page shows it."""
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
    longest: str | Sequence[str] = (),
    still="",
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
    kit.controls(...rows)
        rows that stay on a phone's screen while what they move is looked at. Rows that the function puts
        into the <div> one after the other are treated so in any case
    kit.reserve(node, ...samples)
        the node, in a box that has room for each of the samples: nodes or texts that are as large as the
        node's content will ever be. Nothing below it moves when the content comes, changes or goes
    kit.play(left, step, interval)
        Play and Pause: every ``interval`` milliseconds ``step(false)`` is called, while ``left()`` is not 0;
        ``step(true)`` goes back to the beginning. Returns {button, stop()}
    kit.el(tag, attributes, ...children), kit.svg(tag, attributes, ...children)
        an element; an attribute onX is a handler
    kit.logSlider({label, low, high, value, zero, text, input})
        a slider over powers of ten: ``low`` and ``high`` are exponents, all else are the numbers themselves
    kit.drawing(width, height), kit.text(defaults)(x, y, words)
        an SVG with its own units, and words in it. It is scaled to the page: where ``kit.narrow()`` says
        that there is a phone's width only, take fewer units, so that the words stay as large as the text
    kit.plot({svg, box, x, y})
        axes in a drawing, ``x`` and ``y`` as {low, high, scale, ticks, text, label}. Returns {px, py}, the
        places of numbers, and {line, dot, rule}: each adds one, and returns the function that places it
    kit.image([m, n], {width, height})
        a canvas of m × n cells. Returns {node, paint(color)}
    kit.number(value, digits), kit.power(exponent), kit.whole(value), kit.minus(text)
        numbers as read-outs write them: 2.5·10⁶, 10⁻⁴, 12,000, −1
    kit.counted(count, one, many)
        a number and what is counted: 1 step, 12 steps, 3 minima
    kit.say(text)
        the read-out: call it whenever the figure changes
    kit.longest(...texts)
        read-outs as long as any: there will be room for them, as for ``longest``
    kit.colors
        Okabe and Ito's by name, and ``text``, ``muted``, ``line``, ``card``: for CSS and SVG, light or dark
        as the page is. For a canvas, ``kit.color(name)`` is what it is now

    Args:
        js: source of the function.
        data: what JSON holds, and arrays or tensors: these arrive as Float64Array (or Float32Array,
            Int32Array, Uint8Array), row by row, with a property ``shape``.
        alt: what the figure shows.
        title: heading above the figure.
        caption: fixed text below it.
        readout: the first read-out.
        longest: a read-out as long as any, or several: the place below the figure has room for them.
        still: a Matplotlib figure, or HTML (an SVG, say), for where scripts are off.
        guess: a ``Guess`` with options, to be made before the figure is seen. With ``before="start"`` it can
            be seen, but not moved.

    Returns:
        PageWidget: what Jupyter and the book display.

    Raises:
        ValueError: for data that are none of these, and for a text that is not such a function.
    """
    if not isinstance(js, str) or not ("=>" in js or "function" in js) or "</script" in js.lower():
        raise ValueError(f"expected the source of a function (root, data, kit) => {{...}}, got {js!r:.80}")
    if not isinstance(still, str):
        still = picture_html([Film(drawing, drawing) for drawing in both(still)[0]], alt)
    body = f'<div class="rk-stage" role="group" aria-label="{html.escape(alt)}">{still}</div>'
    longest = [longest] if isinstance(longest, str) else longest
    run = f"rk.page({js.strip().rstrip(';')}\n)"
    scripts, question = ("explore.js", "plot.js"), guess and guess.data()
    source = figure_html(body, data, run, readout, title, caption, question, scripts, longest)
    return PageWidget(source, title, caption, question)
