"""The figures of the built book: each can be heard as well as seen, and says what people would write."""

from __future__ import annotations

import html
import json
import re
from collections import Counter
from functools import cache
from pathlib import Path

import pytest
from bs4 import BeautifulSoup

from tests.words import strange
from tools import executed
from tools.toc import ROOT, notebooks

NOTEBOOKS = notebooks()
each_notebook = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
FIGURE = re.compile(r'<figure class="rk"(.*?)</figure>', re.DOTALL)
SENT = re.compile(r'<script type="application/json">(.*?)</script>', re.DOTALL)
WIDEST = 76  # columns of what a cell prints
PATH = re.compile(r"\.(?:png|svg|jpe?g|webp)\b|_images|^\s*$|[0-9a-f]{16}")
PICTURE_TYPES = {"image/png", "image/svg+xml", "image/jpeg"}


def page(book: Path, path: Path) -> str:
    """The built page of a notebook."""
    return _read(book / path.relative_to(ROOT).with_suffix(".html"))


@cache
def _read(path: Path) -> str:
    text = path.read_text(encoding="utf-8")
    return text[text.index("<article") : text.index("</article>")]


@each_notebook
def test_markdown_is_read_as_markdown(book, path):
    """No role and no emphasis is left as it was typed: in raw HTML, say, or with a mark missing."""
    text = BeautifulSoup(page(book, path), "html.parser")
    for part in text.select("pre, code, script, style, figure, .math"):
        part.decompose()
    left = re.findall(r".{0,40}(?:\{(?:glue|term|cite)\b|\*\*).{0,40}", text.get_text())
    assert not left


def figures(page: str) -> list[str]:
    return FIGURE.findall(page)


def data(figure: str):
    """What the figure's script was given."""
    return json.loads(SENT.search(figure)[1])


def attribute(name: str, source: str) -> list[str]:
    return [html.unescape(value) for value in re.findall(rf'\b{name}="([^"]*)"', source)]


def alternatives(figure: str) -> list[str]:
    """What is read out in the place of a figure's picture."""
    images = [attribute("alt", tag) or [""] for tag in re.findall(r"<img\b[^>]*>", figure)]
    stages = [attribute("aria-label", tag) for tag in re.findall(r'<div class="rk-stage"[^>]*>', figure)]
    return [words for found in (*images, *stages) for words in found]


@each_notebook
def test_every_picture_has_an_alternative_in_words(book: Path, path: Path):
    source = page(book, path)
    for tag in re.findall(r"<img\b[^>]*>", source):
        (words,) = attribute("alt", tag) or [""]
        assert len(words.split()) >= 4 and not PATH.search(words), f"{words!r} of {tag[:120]}"
    for figure in figures(source):
        assert alternatives(figure), f"a figure without an alternative: {figure[:200]}"


def test_no_two_figures_have_the_same_alternative(book: Path):
    said = [
        (path.stem, words)
        for path in NOTEBOOKS
        for f in figures(page(book, path))
        for words in {*alternatives(f)}
    ]
    twice = {words for words, count in Counter(words for _, words in said).items() if count > 1}
    assert not twice, [(where, words) for where, words in said if words in twice]


@each_notebook
def test_static_figures_are_made_for_phones_and_the_dark(path: Path):
    """They come through ``regbook.plots.show``, and not as a picture of Matplotlib's alone."""
    for cell in executed.read(path).cells:
        for output in cell.get("outputs", []):
            kinds = set(output.get("data", {}))
            assert not kinds & PICTURE_TYPES or "text/html" in kinds, cell.source


def texts(figure: str) -> list[str]:
    """All that a figure says, in each of its frames, and of its controls."""
    sent = data(figure)
    said = [
        html.unescape(re.sub(r"<[^>]*>", " ", part)) for part in re.findall(r"<p\b.*?</p>", figure, re.DOTALL)
    ]
    if isinstance(sent, dict):
        question = sent["guess"] or {}
        said += [
            question.get("question") or "",
            question.get("answer") or "",
            *(question.get("options") or []),
        ]
        if isinstance(sent["figure"], dict) and "texts" in sent["figure"]:
            said += sent["figure"]["texts"]
            said += [text for parameter in sent["figure"]["parameters"] for text in parameter["texts"]]
    return said + alternatives(figure)


@each_notebook
def test_figures_say_what_people_would_write(book: Path, path: Path):
    """In each frame: not "1 steps", not "2.3e+03" (tests/browser looks at what pages compute themselves)."""
    said = {text for figure in figures(page(book, path)) for text in texts(figure)}
    wrong = {text: found for text in said if (found := strange(text))}
    assert not wrong, wrong


@each_notebook
def test_a_fold_with_the_code_of_a_figure_stands_below_it(book: Path, path: Path):
    source = page(book, path)
    for found in re.finditer(
        r"<details\b[^>]*>\s*<summary[^>]*>(?:<[^>]*>|\s)*Code of this (figure|table)", source
    ):
        cell = source[source.rindex('<div class="cell', 0, found.start()) : found.start()]
        shown = '<figure class="rk"' in cell if found[1] == "figure" else "cell_output" in cell
        assert shown, f"expected the {found[1]} above: {source[found.start() : found.start() + 600]}"


@each_notebook
def test_what_is_printed_does_not_scroll_sideways(path: Path):
    for cell in executed.read(path).cells:
        for output in cell.get("outputs", []):
            text = output.get("text") or output.get("data", {}).get("text/plain", "")
            if "text/html" in output.get("data", {}) or "remove-input" in cell.metadata.get("tags", []):
                continue
            wide = [line for line in text.splitlines() if len(line) > WIDEST]
            assert not wide, f"expected at most {WIDEST} columns, got {len(wide[0])}: {wide[0]}"


# --- guesses


def guesses(book: Path) -> list[dict]:
    sent = [data(figure) for path in NOTEBOOKS for figure in figures(page(book, path))]
    return [each["guess"] for each in sent if isinstance(each, dict) and each["guess"]]


def test_the_right_guess_is_not_always_in_the_same_place(book: Path):
    """No place among the options has half of the right ones; on sliders less than half are at an end."""
    asked = guesses(book)
    places = [
        next(
            k
            for k, option in enumerate(guess["options"])
            if guess["answer"].startswith(f"Answer: {option.rstrip('.')}")
        )
        for guess in asked
        if guess["options"]
    ]
    assert len(places) >= 6
    assert max(Counter(places).values()) <= len(places) / 2, f"right are the options {places}"
    last = [
        place == len(guess["options"]) - 1
        for place, guess in zip(places, filter(_options, asked), strict=True)
    ]
    assert sum(last) <= len(last) / 2, "the last option is right too often"
    at = [guess["place"] for guess in asked if not guess["options"] and guess["place"] is not None]
    assert at and sum(place in (0, 1) for place in at) <= len(at) / 2, f"right are the places {at}"


def _options(guess: dict):
    return guess["options"]
