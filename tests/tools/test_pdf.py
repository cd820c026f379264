"""The book for paper: every page, still, with answers only at the end, and links that lead somewhere."""

from __future__ import annotations

import json
import re
from collections import Counter
from pathlib import Path

import pytest
from bs4 import BeautifulSoup, Tag

from tools import pdf_pages, pdf_sheets
from tools.chapters import lessons
from tools.toc import pages

pytestmark = pytest.mark.browser  # they need a built book


def squeezed(text: str) -> str:
    """The letters of some text: where lines begin is of no matter."""
    return re.sub(r"\s+", "", text)


def letters(node: Tag) -> str:
    return squeezed(node.get_text())


def game(figure: Tag) -> bool:
    title = figure.select_one(".rk-title")
    return title is not None and title.text in pdf_sheets.GAMES


@pytest.fixture(scope="module")
def printed(book: Path) -> pdf_pages.Book:
    return pdf_pages.book(html=book)


@pytest.fixture(scope="module")
def document(printed: pdf_pages.Book, tmp_path_factory) -> Tag:
    return BeautifulSoup(printed.document(tmp_path_factory.mktemp("paper")), "html.parser")


@pytest.fixture(scope="module")
def built(printed: pdf_pages.Book) -> dict[str, Tag]:
    """The pages as they were built, without scripts, by the name of their notebook."""
    sources = {sheet.key: sheet.file.read_text("utf-8") for sheet in printed.sheets}
    parsed = {key: pdf_sheets.SCRIPT.sub("", source) for key, source in sources.items()}
    return {key: BeautifulSoup(source, "html.parser").article for key, source in parsed.items()}


def test_all_is_printed_but_programs_the_reference_and_what_is_for_teachers(printed):
    names = [sheet.name for sheet in printed.sheets]
    left = [str(p) for p in pages() if p.relative_to(pdf_pages.ROOT).with_suffix("").as_posix() not in names]
    assert {"index", "references", "glossary", *(path.stem for path in lessons())} <= {
        name.removeprefix("book/") for name in names
    }
    assert all(re.search(r"/(api|teach)/|/(workshop|register_your_own)\.ipynb$", path) for path in left)


def test_each_figure_stands_once_with_its_title_its_caption_and_what_it_reads_out(printed, built):
    checked = 0
    for sheet in printed.sheets:
        before, after = (
            [
                [letters(part) for part in figure.select(".rk-title, .rk-caption, .rk-readout")]
                for figure in article.select("figure.rk")
                if not game(figure)
            ]
            for article in (built[sheet.key], sheet.article)
        )
        assert before == after, sheet.key
        assert not sheet.article.select("details, summary, source, .rk-answer")
        checked += len(after)
    assert checked > 3 * len(lessons())


def test_a_figure_keeps_its_script_only_if_nothing_else_can_draw_it(printed):
    for sheet in printed.sheets:
        for figure in sheet.article.select("figure.rk"):
            drawn = bool(figure.select_one("script"))
            assert drawn == bool(figure.select_one(".rk-stage") and not game(figure))
            if drawn:
                assert (
                    json.loads(figure.select_one("script[type='application/json']").string)["guess"] is None
                )


def test_answers_stand_at_the_end_and_not_where_they_are_asked_for(printed, built):
    counted = Counter()
    for sheet in printed.sheets:
        here = letters(sheet.article)
        told = letters(BeautifulSoup(f"<div>{sheet.answered()}</div>", "html.parser"))
        page = built[sheet.key]
        folded = {
            "feedback": [fold.find_all(recursive=False)[1:] for fold in page.select("details.choice")],
            "solution": [[code] for code in page.select("details.solution pre")],
            "guess": [[BeautifulSoup(str(p), "html.parser")] for p in page.select(".rk-answer")],
            "words": [
                fold.find_all(recursive=False)[1:]
                for fold in page.find_all("details", class_=False)
                if "hint" not in fold.summary.text.lower()
            ],
        }
        for kind, answers in folded.items():
            for parts in answers:
                said = "".join(map(letters, parts)).removeprefix("Answer:")
                assert said in told, f"{sheet.key}, {kind}: {said}"
                assert said not in here or len(said) < 40, f"{sheet.key}, {kind}: {said}"
                counted[kind] += 1
    assert min(counted[kind] for kind in ("feedback", "solution", "guess", "words")) > 10


def test_each_answer_has_a_place_that_says_where_it_is_and_says_where_it_was_asked(printed, document):
    told = [node["id"] for node in document.select(".answer")]
    assert len(told) == sum(len(sheet.answers) for sheet in printed.sheets) > 100
    pointers = {
        place["data-of"]: place.find_parent("p")["id"] for place in document.select(".pointer .place")
    }
    backs = {
        place.find_parent(class_="answer")["id"]: place["data-of"] for place in document.select("h3 .place")
    }
    assert sorted(pointers) == sorted(told)
    assert backs == pointers


def test_a_question_its_choices_and_where_the_answer_is_stay_together(document):
    for choices in document.select("ol.choices"):
        parts = [part.name for part in choices.parent.find_all(recursive=False)]
        assert parts in (["p", "ol", "p"], ["ol", "p"]) and choices.parent["class"] == ["vote"]
        assert choices.find_next_sibling()["class"] == ["pointer"] and len(choices.select("li")) >= 2
    assert len(document.select(".vote > p:first-child")) > 30


def test_links_lead_to_one_place_of_the_document_or_to_an_address(document):
    names = Counter(node["id"] for node in document.find_all(id=True))
    assert [name for name, count in names.items() if count > 1] == []
    addresses = [link["href"] for link in document.select("body a[href]")]
    assert len(addresses) > 1000
    assert {a for a in addresses if not re.match("#|https?:|mailto:", a)} == set()
    assert {a for a in addresses if a.startswith("#") and a[1:] not in names} == set()


def test_contents_and_outline_list_all_chapters_in_order(printed, document):
    titles = [pdf_pages.plain(heading.title) for heading in printed.headings if heading.level == 1]
    assert titles == [article.h1.get_text() for article in document.select("article")]
    listed = [link.get_text() for link in document.select(".contents .level1 a")]
    assert [" ".join(text.split()) for text in listed] == titles


def test_no_text_is_left_unprocessed_and_nothing_is_for_the_mouse(document):
    for article in document.select("article"):
        for other in article.select("pre, script"):
            other.extract()
    words = "".join(article.get_text() for article in document.select("article"))
    assert not re.findall(r"\{(?:glue|cite|term|doc|ref|math)[:\w]*\}|\{\{|<!--", words)
    assert not document.select("article :is(.headerlink, .toctree-wrapper, .copybtn)")
    assert "not done yet" not in words and "student notebook" not in words
