"""The card of a chapter, its first cell: the times are computed, and the first page agrees with it."""

import re
from pathlib import Path

import pytest

from tools.chapters import cells, chapters
from tools.toc import ROOT, notebooks

CHAPTERS = chapters()
each_chapter = pytest.mark.parametrize("path", CHAPTERS, ids=lambda path: path.stem)
NUMBER = r"(?:\d+|one|two|three|five|ten|twenty|thirty|forty|fifty|sixty|ninety)"
TYPED = re.compile(
    rf"\b{NUMBER} (?:minutes?|hours?) (?:to read|of reading|for the exercises)|\babout an hour\b"
)


def card(path: Path) -> str:
    return cells(path, "markdown")[0].source


def needed(path: Path) -> list[str]:
    """The chapters that the card links to after "You need", as "03", sorted."""
    return sorted(re.findall(r"\]\((\d\d)_\w+\.ipynb\)", card(path).partition("**You need**")[2]))


@each_chapter
def test_the_card_has_computed_times_and_says_what_the_chapter_needs(path: Path):
    assert "**Time** {{ reading }} minutes to read, {{ exercises }} for the exercises. **You need** " in card(
        path
    )
    assert all(number < path.name[:2] for number in needed(path)), "expected earlier chapters only"


@pytest.mark.parametrize("path", notebooks(), ids=lambda path: path.stem)
def test_no_time_is_typed(path: Path):
    for cell in cells(path, "markdown"):
        assert not TYPED.findall(cell.source), cell.source


def test_the_first_page_lists_each_chapter_with_its_question_its_needs_and_its_times():
    text = "\n".join(cell.source for cell in cells(ROOT / "book" / "index.ipynb", "markdown"))
    rows = re.findall(
        r"^\| \[(\d+)\]\(((\d\d)_\w+)\.ipynb\) \| (.+?) \| (.*?) ?\| (.+) \|$", text, re.MULTILINE
    )
    assert [row[1] for row in rows] == [path.stem for path in CHAPTERS]
    for (number, _, two, question, needs, times), path in zip(rows, CHAPTERS, strict=True):
        assert int(number) == int(two)
        assert card(path).splitlines()[0] == f"# {number}. {question}"
        assert re.findall(r"\d+", needs) == [str(int(name)) for name in needed(path)], f"chapter {number}"
        assert times == f"{{{{ {two} reading }}}} + {{{{ {two} exercises }}}}"
