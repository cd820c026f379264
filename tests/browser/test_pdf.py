"""The PDF: three of its pages, printed. Nothing is cut, no sheet is empty, numbers and outline are true."""

from __future__ import annotations

import io
import re
from dataclasses import dataclass

import pytest
from pypdf import PdfReader

from tools import pdf, pdf_pages
from tools.chapters import chapters
from tools.toc import ROOT

pytestmark = [pytest.mark.browser, pytest.mark.slow]

CHOSEN = [ROOT / "book" / "index.ipynb", chapters()[1], chapters()[8]]  # 9: drawn by scripts
# What goes over the edge of the text, what is cut off in its own box, and what only a screen should have.
FAULTS = """() => {
  const found = [];
  for (const article of document.querySelectorAll("article")) {
    const { left, right } = article.getBoundingClientRect();
    const say = (what, node) => found.push(`${article.id}: ${what}: ${node.textContent.trim().slice(0, 40)}`);
    for (const node of article.querySelectorAll("*")) {
      const box = node.getBoundingClientRect();
      if (!box.width || node.parentElement.closest("mjx-container")) continue;
      if (box.right > right + 1 || box.left < left - 1) say(`${node.localName} over the edge`, node);
      const cut = getComputedStyle(node).overflowX !== "visible" && node.scrollWidth > node.clientWidth + 1;
      if (cut && node.clientWidth > 1) say(`${node.localName} cut off`, node);
      if (node.matches("button, input, select, output")) say("for a screen", node);
    }
  }
  return found;
}"""
FIGURES = """() => [...document.querySelectorAll("figure.rk:has(.rk-said)")].map((f) => ({
  said: f.querySelector(".rk-readout").textContent,
  seen: [...f.querySelectorAll("img, svg, canvas")].some((part) => part.getBoundingClientRect().height > 80),
}))"""

# How full each sheet is, but the last one of a part. A column is a sheet meanwhile, as in tools/print/fit.js.
FULL = """() => {
  document.body.classList.add("sheets");
  const found = [...document.querySelectorAll("article")].flatMap((part) => {
    const { left, top, height } = part.getBoundingClientRect(), full = [];
    for (const node of part.querySelectorAll("p, li, td, pre, img, svg, canvas, mjx-container")) {
      for (const box of node.getClientRects()) {
        const sheet = Math.round((box.left - left) / part.offsetWidth - 0.4);
        if (box.width) full[sheet] = Math.max(full[sheet] ?? 0, (box.bottom - top) / height);
      }
    }
    return full.slice(0, -1);
  });
  document.body.classList.remove("sheets");
  return found;
}"""
# Questions whose choices stand on another sheet, or that point to their answer from another one.
PARTED = """() => {
  document.body.classList.add("sheets");
  const parted = [...document.querySelectorAll(".vote")].filter((vote) => vote.getClientRects().length > 1);
  document.body.classList.remove("sheets");
  return parted.map((vote) => vote.textContent);
}"""


@dataclass
class Printed:
    reader: PdfReader
    book: pdf_pages.Book
    faults: list[str]
    figures: list[dict]
    full: list[float]
    parted: list[str]
    twice: list[bytes]
    text: list[str]


@pytest.fixture(scope="module")
def printed(browser, book, tmp_path_factory) -> Printed:
    made, seen = pdf_pages.book(CHOSEN, html=book), {}

    def look(page):
        seen["faults"], seen["figures"] = page.evaluate(FAULTS), page.evaluate(FIGURES)
        seen["full"], seen["parted"] = page.evaluate(FULL), page.evaluate(PARTED)
        seen["twice"] = [pdf.written(pdf.finished(pdf.printed(page), made)) for _ in range(2)]

    reader = PdfReader(pdf.make(browser, made, tmp_path_factory.mktemp("pdf"), look))
    return Printed(reader, made, text=[page.extract_text() for page in reader.pages], **seen)


def test_nothing_is_cut_at_the_edge_and_nothing_is_for_the_mouse(printed):
    assert printed.faults == []


def test_every_figure_with_a_read_out_can_be_seen_and_says_something(printed):
    assert len(printed.figures) >= 8
    assert all(figure["seen"] and len(figure["said"]) > 20 for figure in printed.figures)


def test_no_sheet_is_empty_and_each_has_its_number(printed):
    assert 30 <= len(printed.text) <= 80
    for number, text in enumerate(printed.text[1:], 2):
        assert len(text) > 60, number
        assert re.search(rf"(^|\s){number}(\s|$)", text), number


def test_few_sheets_end_early_because_a_figure_needs_the_next_one(printed):
    assert 25 <= len(printed.full) <= len(printed.text)
    early = [round(full, 2) for full in printed.full if full < 0.75]
    assert len(early) <= len(printed.full) / 10, early
    assert printed.parted == []


def test_the_outline_leads_to_the_chapters_and_their_sections(printed):
    reader, level = printed.reader, 1
    listed = []

    def walk(items, level):
        for item in items:
            if isinstance(item, list):
                walk(item, level + 1)
            else:
                listed.append((level, item.title, reader.get_destination_page_number(item)))

    walk(reader.outline, level)
    assert [(level, title) for level, title, _ in listed] == [
        (heading.level, pdf_pages.plain(heading.title)) for heading in printed.book.headings
    ]
    places = [page for _, _, page in listed]
    assert places == sorted(places)
    for _, title, page in listed:
        assert re.sub(r"\W", "", title)[:20] in re.sub(r"\W", "", printed.text[page]), title


def test_the_contents_say_the_true_pages(printed):
    places = [printed.reader.get_destination_page_number(item) + 1 for item in printed.reader.outline[::2]]
    contents = re.sub(r"\s+", " ", printed.text[1])
    for heading, place in zip((h for h in printed.book.headings if h.level == 1), places, strict=False):
        title = pdf_pages.plain(heading.title)
        assert re.search(rf"{re.escape(title)} ?{place}\b", contents), (title, place, contents)


def test_formulas_are_set_and_words_can_be_found(printed):
    text = "".join(printed.text)
    assert not re.search(r"\\\(|\\\[|\\frac|\\begin", text)
    assert "Answers and solutions" in text and "Taylor" in text


def test_the_same_pages_give_the_same_bytes_and_no_date(printed):
    first, second = printed.twice
    assert first == second
    assert "/CreationDate" not in PdfReader(io.BytesIO(first)).metadata
    assert printed.reader.metadata["/Title"] == printed.book.title
