"""The <figure> of a page: its frame, its data, and figures that the page computes itself.

What a figure looks like is in explore.css, what it does in explore.js; what it draws with if the page
computes it, in plot.js.
"""

from __future__ import annotations

import base64
import html
import json
from dataclasses import dataclass
from importlib import resources
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from regbook.explore import Guess


def base64_text(numbers: bytes) -> str:
    return base64.b64encode(numbers).decode()


def figure_html(
    body: str, data, run: str, text: str, title, caption, question: dict | None, scripts=("explore.js",)
) -> str:
    """The frame around every figure. It has no ids and no global names: a page holds as many as it likes."""
    folder = resources.files(__package__)
    css, *js = (folder.joinpath(name).read_text("utf-8") for name in ("explore.css", *scripts))
    heading = f'<p class="rk-title">{html.escape(title)}</p>' if title else ""
    fixed = f'<p class="rk-caption">{html.escape(caption)}</p>' if caption else ""
    name = html.escape(f"Interactive figure: {title}" if title else "Interactive figure")
    return f"""<figure class="rk" role="group" aria-label="{name}">
<style>{css}</style>
{heading}{body}{_question_without_script(question)}
<figcaption><p class="rk-readout" aria-live="polite">{html.escape(text)}</p>{fixed}</figcaption>
<script type="application/json">{json_text({"figure": data, "guess": question})}</script>
<script>(() => {{
const figure = document.currentScript.closest("figure");
{"".join(js)}
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
    kit.logSlider({label, low, high, value, zero, text, input})
        a slider over powers of ten: ``low`` and ``high`` are exponents, all else are the numbers themselves
    kit.drawing(width, height), kit.text(defaults)(x, y, words)
        an SVG with its own units, and words in it
    kit.plot({svg, box, x, y})
        axes in a drawing, ``x`` and ``y`` as {low, high, scale, ticks, text, label}. Returns {px, py}, the
        places of numbers, and {line, dot, rule}: each adds one, and returns the function that places it
    kit.image([m, n], {width, height})
        a canvas of m × n cells. Returns {node, paint(color)}
    kit.number(value, digits), kit.power(exponent), kit.whole(value), kit.minus(text)
        numbers as read-outs write them: 2.5·10⁶, 10⁻⁴, 12,000, −1
    kit.say(text)
        the read-out: call it whenever the figure changes
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
        still: HTML (an SVG, say) for where scripts are off.
        guess: a ``Guess`` with options, to be made before the figure is seen.

    Returns:
        PageWidget: what Jupyter and the book display.

    Raises:
        ValueError: for data that are none of these, and for a text that is not such a function.
    """
    if not isinstance(js, str) or not ("=>" in js or "function" in js) or "</script" in js.lower():
        raise ValueError(f"expected the source of a function (root, data, kit) => {{...}}, got {js!r:.80}")
    body = f'<div class="rk-stage" role="group" aria-label="{html.escape(alt)}">{still}</div>'
    run = f"rk.page({js.strip().rstrip(';')}\n)"
    scripts = ("explore.js", "plot.js")
    question = guess and guess.data()
    return PageWidget(figure_html(body, data, run, readout, title, caption, question, scripts))
