"""The book for paper as one HTML document: its built pages, one after the other, made still.

What becomes of a page says ``tools/pdf_sheets.py``. Answers and solutions of all pages are the last part.
"""

from __future__ import annotations

import html as escape
import json
import os
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import matplotlib
import yaml

from tools import slide_files
from tools.pdf_sheets import ANSWERS, HTML, Heading, Sheet, place, plain
from tools.toc import ROOT, pages

OWN = Path(__file__).parent / "print"
FONTS = Path(matplotlib.get_data_path()) / "fonts" / "ttf"  # the same on every computer
SCREEN = ("workshop", "register_your_own")  # pages that are programs
SCREEN_FOLDERS = ("teach", "api")  # what only teachers should have; what is looked up where one types


def printed() -> list[Path]:
    """The pages that go on paper, in reading order."""
    return [p for p in pages() if p.stem not in SCREEN and p.parent.name not in SCREEN_FOLDERS]


@dataclass
class Book:
    """The pages on paper, and the part at the end."""

    sheets: list[Sheet]
    html: Path = HTML

    def __post_init__(self) -> None:
        config = yaml.safe_load((ROOT / "_config.yml").read_text("utf-8"))
        self.title, self.author = config["title"], config["author"]

    @property
    def headings(self) -> list[Heading]:
        """All that the outline lists, in the order of the pages."""
        found = [heading for sheet in self.sheets for heading in sheet.headings]
        told = [
            Heading(2, sheet.headings[0].title, f"{sheet.key}--{ANSWERS}")
            for sheet in self.sheets
            if sheet.answers
        ]
        return [*found, Heading(1, "Answers and solutions", ANSWERS), *told]

    def document(self, folder: Path) -> str:
        """The whole document, as it stands in `folder`."""
        base = os.path.relpath(self.html, folder).replace(os.sep, "/")
        code, style = slide_files.figures(next(sheet.file for sheet in self.sheets if _drawn(sheet)))
        maths = re.search(r"<script>(window\.MathJax = .*?)</script>", self.sheets[0].file.read_text("utf-8"))
        told = "".join(sheet.answered() for sheet in self.sheets)
        return f"""<!DOCTYPE html>
<html lang="en" data-theme="light">
<head>
<meta charset="utf-8">
<title>{escape.escape(self.title)}</title>
<style>{style}</style>
<style>{_fonts()}
{(OWN / "book.css").read_text("utf-8")}
{self._heads()}</style>
<script>{code}</script>
<script>{maths[1] if maths else "window.MathJax = {}"};
Object.assign(window.MathJax.options, {{ enableMenu: false, enableAssistiveMml: false }});</script>
<script defer src="{base}/_static/mathjax/tex-chtml.js"></script>
<script>{(OWN / "fit.js").read_text("utf-8")}</script>
</head>
<body>
{self._front()}
{self._contents()}
{"".join(str(sheet.article) for sheet in self.sheets)}
<article id="{ANSWERS}" data-page="{ANSWERS}"><h1>Answers and solutions</h1>
<p>What the pages fold away until a reader has thought about it. Each entry says where it was asked.</p>
{told}</article>
</body>
</html>
"""

    def _heads(self) -> str:
        """The line at the head of each page says which chapter it belongs to."""
        rules = []
        firsts = [(sheet.key, sheet.headings[0].title) for sheet in self.sheets]
        for k, (key, title) in enumerate([*firsts, (ANSWERS, "Answers and solutions")]):
            words = json.dumps(plain(title), ensure_ascii=False)
            rules.append(f'article[data-page="{key}"] {{ page: part{k}; }}')
            rules.append(f"@page part{k} {{ @top-left {{ content: {words}; }} }}")
        return "\n".join(rules)

    def _front(self) -> str:
        from tools.release import version

        return f"""<section class="front"><div><h1>{escape.escape(self.title)}</h1>
<p class="kind">An interactive book, printed</p>
<p class="by">{escape.escape(self.author)}</p>
<p class="which">Version {version()}</p>
<div class="colophon"><p>On the pages of the book, figures with a slider move. Here each of them shows one
frame, with what the page reads out there. Answers and solutions are at the end. The code that draws the
figures, the reference of the package, and the pages for teachers are not in this file.</p>
<p>Text and figures: Creative Commons Attribution 4.0. Code: MIT License.</p></div></div></section>"""

    def _contents(self) -> str:
        toc = yaml.safe_load((ROOT / "_toc.yml").read_text("utf-8"))
        starts = {part["chapters"][0]["file"]: part["caption"] for part in toc["parts"]}
        captions = {sheet.headings[0].anchor: starts.get(sheet.name) for sheet in self.sheets}
        rows = []
        for heading in self.headings:
            if heading.level == 1 and (caption := captions.get(heading.anchor)):
                rows.append(f'<p class="part">{escape.escape(caption)}</p>')
            rows.append(
                f'<p class="level{heading.level}"><a href="#{heading.anchor}">{heading.title}</a> '
                f"{place(heading.anchor)}</p>"
            )
        return f'<nav class="contents"><h1>Contents</h1><div class="list">{"".join(rows)}</div></nav>'


def _drawn(sheet: Sheet) -> bool:
    return sheet.article.find("figure", class_="rk") is not None


def _fonts() -> str:
    faces = (
        ("Book", "normal", "normal", "STIXGeneral"),
        ("Book", "normal", "italic", "STIXGeneralItalic"),
        ("Book", "bold", "normal", "STIXGeneralBol"),
        ("Book", "bold", "italic", "STIXGeneralBolIta"),
        ("Code", "normal", "normal", "DejaVuSansMono"),
        ("Code", "bold", "normal", "DejaVuSansMono-Bold"),
        ("Code", "normal", "italic", "DejaVuSansMono-Oblique"),
        ("Sans", "normal", "normal", "DejaVuSans"),
        ("Sans", "bold", "normal", "DejaVuSans-Bold"),
    )
    return "\n".join(
        f'@font-face {{ font-family: "{family}"; font-weight: {weight}; font-style: {style}; '
        f'src: url("{(FONTS / f"{file}.ttf").as_uri()}"); }}'
        for family, weight, style, file in faces
    )


def book(paths: Iterable[Path] | None = None, html: Path = HTML) -> Book:
    """The book, or only these of its pages."""
    among = list(printed() if paths is None else paths)
    return Book([Sheet(path, among, html) for path in among], html)
