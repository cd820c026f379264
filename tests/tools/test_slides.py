"""The slides: all that the rule promises is on one, and no word that chapter and teacher's page lack."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

import pytest
from bs4 import BeautifulSoup, Tag

from tools import slide_files, slide_html, slides, teach_chapter, teach_page
from tools.chapters import chapters
from tools.slide_notes import Teacher

each_chapter = pytest.mark.parametrize("path", chapters(), ids=lambda path: path.stem)
LARGEST = 8_000_000  # bytes
FEWEST, MOST = 15, 40  # slides
pytestmark = pytest.mark.browser  # they need a built book


@cache
def deck(path: Path, book: Path) -> slides.Deck:
    return slides.deck(path, book)


def soup(markup: str) -> Tag:
    return BeautifulSoup(markup, "html.parser")


def plain(markup: str | Tag) -> str:
    """The letters of some text: where lines and tags begin is of no matter."""
    tag = soup(markup) if isinstance(markup, str) else markup
    return re.sub(r"\s+", "", tag.get_text()).translate(
        {ord(a): b for a, b in zip("’‘“”", "''\"\"", strict=True)}
    )


# ---------------------------------------------------------------------------------------- what is on them


@each_chapter
def test_a_deck_is_one_file_of_bounded_size_that_fetches_nothing(path: Path, book: Path):
    file = book / "slides" / f"{path.name[:2]}.html"
    text = file.read_text("utf-8")
    assert file.stat().st_size <= LARGEST and FEWEST <= text.count("<section data-kind") <= MOST
    markup = re.sub(r"<(script|style)\b(?![^>]*\bsrc=).*?</\1>", "", text, flags=re.DOTALL)
    addresses = re.findall(r'<[a-z][^>]*?\b(?:src|srcset|href)="([^"]{0,40})', markup)
    assert all(address.startswith("data:") for address in addresses)


@each_chapter
def test_each_claim_is_on_a_slide_or_is_listed_as_left_out(path: Path, book: Path):
    made = deck(path, book)
    shown, listed = set(made.claims()), set(made.left_out)
    claims = re.findall(r"<!-- claim: ([a-z0-9-]+) -->", path.read_text("utf-8"))
    assert shown | listed == set(claims) and not shown & listed
    assert all(f"<!-- left out: {name} -->" in slide_files.document(path, made, book) for name in listed)


@each_chapter
def test_each_vote_has_its_question_and_its_advice(path: Path, book: Path):
    page, made = teach_page.page(path), {slide.name: slide for slide in deck(path, book).slides if slide.name}
    for vote in teach_chapter.votes(path):
        slide = made[vote.name]
        few = teach_page.front(page)["votes"][vote.name]["few"]
        assert plain(slide_html.clean(soup(f"<p>{few.split('$')[0].split('`')[0]}</p>").p)) in plain(
            "".join(slide.notes)
        )
        if vote.choices and vote.feedback:
            body = soup("".join(slide.body))
            assert len(body.select("ul.choices > li")) == len(vote.choices)
            assert [k for k, row in enumerate(body.select("li")) if row.has_attr("data-right")] == [
                vote.right
            ]
            assert len(body.select(".fragment.answer")) == 1  # and it waits for a key


@each_chapter
def test_each_part_of_the_plan_has_a_slide_and_they_are_in_its_order(path: Path, book: Path):
    rows = [slide.row for slide in deck(path, book).slides]
    assert rows == sorted(rows)
    assert set(rows) == set(range(1, len(teach_page.plan(teach_page.page(path))) + 1))


@each_chapter
def test_each_figure_of_the_chapter_is_on_one_slide(path: Path, book: Path):
    page = soup((book / "book" / f"{path.stem}.html").read_text("utf-8"))
    parts = [
        part for part in page.select("article section") if part.h2 and part.find(["h1", "h2"]) is part.h2
    ]
    told = [part for part in parts if not part.h2.get_text().startswith(("Exercises", "What you will learn"))]
    figures = {figure.script.string for part in told for figure in part.select("figure.rk")}
    shown = [soup("".join(slide.body)).figure for slide in deck(path, book).slides]
    assert sorted(filter(None, {figure.script.string for figure in shown if figure})) == sorted(figures)


# ---------------------------------------------------------------------------------------- nothing else is


def sentences(slide: slides.Slide) -> list[str]:
    """What stands on a slide, in pieces that have to stand together somewhere."""
    body = soup("".join(slide.body))
    for other in body.select("figure, .counts-head, .answer > b, li > b, output"):
        other.decompose()
    pieces = [
        slide.title,
        slide.kicker,
        *map(str, body.select("p, li > .choice, td, th, li > p, pre, div.math")),
    ]
    return [sentence for piece in pieces for sentence in slide_html.sentences(soup(f"<p>{piece}</p>").p)]


@each_chapter
def test_every_sentence_stands_in_the_chapter_or_on_its_teachers_page(path: Path, book: Path):
    page, notes = (
        soup((book / "book" / name).read_text("utf-8")).article
        for name in (f"{path.stem}.html", f"teach/{path.name[:2]}.html")
    )
    told = plain(page) + plain(notes)
    checked = 0
    for slide in deck(path, book).slides:
        for sentence in sentences(slide):
            assert plain(sentence) in told, f"{slide.name or slide.kind}: {sentence}"
            checked += 1
        for note in soup("".join(slide.notes)).select("p"):
            for sentence in slide_html.sentences(note):
                assert plain(sentence) in told, f"notes of {slide.name or slide.kind}: {sentence}"
    assert checked > 2 * FEWEST


def test_a_changed_sentence_changes_the_deck(book: Path, tmp_path: Path):
    path = chapters()[2]
    place, notes = tmp_path / "book" / f"{path.stem}.html", tmp_path / "book" / "teach" / "03.html"
    notes.parent.mkdir(parents=True)
    notes.write_text((book / "book/teach/03.html").read_text("utf-8"), encoding="utf-8")
    text, claim = (
        (book / "book" / place.name).read_text("utf-8"),
        "A converged optimiser is not a correct registration.",
    )
    assert text.count(claim) == 1
    place.write_text(text.replace(claim, "Nothing is known."), encoding="utf-8")
    titles = [slide.title for slide in slides.deck(path, tmp_path).slides]
    assert any("Nothing is known." in title for title in titles) and not any(
        claim in title for title in titles
    )


# ---------------------------------------------------------------------------------------- tags, and sentences

PAGE = """<article><section id="top"><h1>1. Why?</h1><p>A card. More.</p>
<section id="learn"><h2>What you will learn</h2><p>You can</p><ol><li><p>add.</p></li></ol></section>
<section id="maths"><h2>The mathematics and the code</h2>
<!-- slide --><p>Shown as it is.</p><!-- end of the cell -->
<p>Not shown.</p>
<!-- claim: seen --><p><strong>This claim is seen.</strong> Because of that.</p>
<!-- no-slide --><!-- claim: unseen --><p><strong>This claim is not.</strong></p><!-- end of the cell -->
<div class="cell tag_slide"><div class="cell_output"><pre>printed</pre></div></div></section>
<section id="take"><h2>Take-away</h2><ol><li><p>It adds.</p></li></ol></section></section></article>"""
NOTES = """<article><section id="the-plan"><table><tbody><tr><td>0</td><td>90</td>
<td>All <a href="../01.html#maths">there</a></td><td>teacher</td></tr></tbody></table></section></article>"""


def test_a_tag_adds_a_cell_and_another_drops_one():
    made = slides.Deck(soup(PAGE), Teacher(soup(NOTES)))
    assert [slide.kind for slide in made.slides] == ["title", "list", "cell", "claim", "cell", "list"]
    assert made.slides[2].body == ["<p>Shown as it is.</p>"] and "printed" in made.slides[4].body[0]
    assert made.left_out == ["unseen"] and list(made.claims()) == ["seen"]
    assert "Not shown" not in slide_files.section(made.slides[2], 2)


def test_tags_of_text_come_into_the_page_and_those_of_code_are_there():
    import nbformat

    cells = nbformat.v4.new_markdown_cell("Words."), nbformat.v4.new_code_cell("1")
    for cell in cells:
        cell.metadata.tags = ["slide"]
    slide_html.mark(nbformat.v4.new_notebook(cells=list(cells)))
    assert [part.strip() for part in cells[0].source.split("\n\n")] == [
        "<!-- slide -->", "Words.", "<!-- end of the cell -->",
    ]  # fmt: skip
    assert cells[1].source == "1"


@pytest.mark.parametrize(
    ("paragraph", "said"),
    [
        ("<p>One. Two?</p>", ["One.", "Two?"]),
        ("<p><strong>It is so.</strong> But why?</p>", ["<strong>It is so.</strong>", "But why?"]),
        ("<p><b>It is</b>: 3.5 % of all. So.</p>", ["<b>It is</b>: 3.5 % of all.", "So."]),
        ('<p>A <a href="x">link</a> goes. On.</p>', ["A link goes.", "On."]),
        (r'<p>Let <span class="math">\(a. B\)</span> be. It is.</p>',
         [r'Let <span class="math">\(a. B\)</span> be.', "It is."]),
        ("<p>It is 1 &lt; 2. Then.</p>", ["It is 1 &lt; 2.", "Then."]),
    ],
)  # fmt: skip
def test_sentences_keep_their_markup(paragraph: str, said: list[str]):
    assert slide_html.sentences(soup(paragraph).p) == said


def test_an_exercise_that_is_not_there_is_told():
    with pytest.raises(ValueError, match=r"expected exercise 9\.9, which the plan names"):
        slide_html.exercise(soup(PAGE), "9.9")


def test_what_is_cut_does_not_end_with_what_it_announces():
    paragraph = soup("<p>One two. How many? Three four five six.</p>").p
    assert slide_html.trimmed(paragraph, 5) == "One two."
    assert slide_html.trimmed(paragraph, 50) == "One two. How many? Three four five six."
