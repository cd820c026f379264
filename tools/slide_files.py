"""A deck as one file, which needs nothing beside itself: reveal.js, MathJax, the figures' code, styles."""

from __future__ import annotations

import html as escape
import json
import re
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from tools.slide_html import words

if TYPE_CHECKING:
    from tools.slides import Deck, Slide

OWN = Path(__file__).parent / "deck"
# reveal.js 5, MIT: the data files of sphinx-revealjs. MathJax 3, Apache 2.0: those of sphinx-mathjax-offline.
REVEAL = Path(find_spec("sphinx_revealjs").origin).parent / "_static" / "revealjs"
MATHJAX = REVEAL.parents[2] / "sphinx-mathjax-offline" / "static" / "mathjax" / "tex-svg.js"
MATHS = {
    "startup": {"typeset": False},
    "options": {"enableMenu": False, "processHtmlClass": "math", "ignoreHtmlClass": "highlight"},
    "svg": {"fontCache": "local"},
}
KEYS = "→ next, S speaker window, T light or dark, Esc all slides, F full screen"


def document(chapter: Path, deck: Deck, html: Path) -> str:
    """The whole file of a deck."""
    code, style = figures(html / "book" / f"{chapter.stem}.html")
    plan = [
        {"begin": row.begin, "minutes": row.minutes, "what": row.what, "who": row.who}
        for row in deck.teacher.rows
    ]
    title = escape.escape(re.sub("<[^>]*>", "", deck.slides[0].title))
    styles = [(REVEAL / "dist" / "reveal.css").read_text("utf-8"), style]
    styles += [(html / "_static" / "pygments.css").read_text("utf-8"), (OWN / "deck.css").read_text("utf-8")]
    scripts = [MATHJAX.read_text("utf-8"), (REVEAL / "dist" / "reveal.js").read_text("utf-8")]
    scripts += [(OWN / name).read_text("utf-8") for name in ("fit.js", "votes.js", "speaker.js", "deck.js")]
    left = "\n".join(f"<!-- left out: {label} -->" for label in deck.left_out)
    return f"""<!DOCTYPE html>
<html lang="en" data-theme="light">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}: slides</title>
<!-- reveal.js: Copyright (C) 2011-2024 Hakim El Hattab and contributors, MIT License -->
<!-- MathJax: Copyright (C) The MathJax Consortium, Apache License 2.0 -->
<style>{chr(10).join(styles)}</style>
<script>{(OWN / "theme.js").read_text("utf-8")}</script>
<script>{code}</script>
</head>
<body class="laid-out">
<main class="reveal" aria-label="{title}"><div class="slides">
{chr(10).join(section(slide, k) for k, slide in enumerate(deck.slides))}
</div></main>
{left}
<script type="application/json" class="plan">{_json(plan)}</script>
<script>window.MathJax = {_json(MATHS)};</script>
{chr(10).join(f"<script>{_safe(script)}</script>" for script in scripts)}
</body>
</html>
"""


def section(slide: Slide, place: int) -> str:
    """One slide."""
    level = "h1" if place == 0 else "h2"
    kicker = f'<p class="kicker">{slide.kicker}</p>' if slide.kicker else ""
    keys = f'<p class="keys">{KEYS}</p>' if place == 0 else ""
    long = " long" if words(slide.title) > 14 else ""
    name = f' data-name="{slide.name}"' if slide.name else ""
    return (
        f'<section data-kind="{slide.kind}" data-row="{slide.row}"{name}><div class="slide">{kicker}'
        f'<{level} class="title{long}">{slide.title}</{level}>'
        f'<div class="body">{"".join(slide.body)}</div>{keys}</div>'
        f'<aside class="notes">{"".join(slide.notes)}</aside></section>'
    )


def figures(page: Path) -> tuple[str, str]:
    """The code and the style that all figures of a page share."""
    source = page.read_text("utf-8")
    code = re.search(r"<script>(const regbookFigures = .*?)</script>", source, re.DOTALL)
    style = re.search(r'<style class="rk-style">(.*?)</style>', source, re.DOTALL)
    return (code[1] if code else ""), (style[1] if style else "")


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False).replace("<", "\\u003c")


def _safe(script: str) -> str:
    """A script that may stand within a page."""
    return re.sub(r"</(?=script)", r"<\\/", script, flags=re.IGNORECASE)
