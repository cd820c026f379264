"""The card of a chapter or an appendix, its first cell: the times are computed, and the first page agrees."""

import re
from pathlib import Path

import pytest

from tools.chapters import cells, chapters, home, lessons, needed, number
from tools.times import ANNOUNCED, minutes
from tools.toc import ROOT, notebooks

LESSONS = lessons()
each_lesson = pytest.mark.parametrize("path", LESSONS, ids=lambda path: path.stem)
NUMBER = r"(?:\d+|one|two|three|five|ten|twenty|thirty|forty|fifty|sixty|ninety)"
TYPED = re.compile(
    rf"\b{NUMBER} (?:minutes?|hours?) (?:to read|of reading|for the exercises)|\babout an hour\b"
)


def card(path: Path) -> str:
    return cells(path, "markdown")[0].source


def exercises(path: Path) -> bool:
    """An appendix may have none."""
    return any(ANNOUNCED.search(cell.source) for cell in cells(path, "markdown"))


@each_lesson
def test_the_card_has_computed_times_and_says_what_is_needed(path: Path):
    times = "{{ reading }} minutes to read" + ", {{ exercises }} for the exercises" * exercises(path)
    assert f"**Time** {times}. **You need** " in card(path)
    assert all(name < path.name[:2] for name in needed(path)), "expected earlier chapters only"
    assert path in chapters() or needed(path), "expected the chapter that the appendix belongs to"


@pytest.mark.parametrize("path", chapters(), ids=lambda path: path.stem)
def test_a_chapter_is_read_in_one_sitting(path: Path):
    assert minutes(path)["reading"] <= 75


@pytest.mark.parametrize("path", notebooks(), ids=lambda path: path.stem)
def test_no_time_is_typed(path: Path):
    for cell in cells(path, "markdown"):
        assert not TYPED.findall(cell.source), cell.source


def test_the_first_page_lists_each_chapter_and_below_it_its_appendices():
    text = "\n".join(cell.source for cell in cells(ROOT / "book" / "index.ipynb", "markdown"))
    rows = re.findall(
        r"^\| \[(A?\d+)\]\(((\d\d|A\d)_\w+)\.ipynb\) \| (.+?) \| (.*?) ?\| (.+) \|$", text, re.MULTILINE
    )
    in_order = sorted(LESSONS, key=lambda path: (home(path), path not in chapters(), path.name))
    assert [row[1] for row in rows] == [path.stem for path in in_order]
    for (name, _, two, question, needs, times), path in zip(rows, in_order, strict=True):
        assert name == number(path)
        assert card(path).splitlines()[0] == f"# {name}. {question}"
        assert re.findall(r"\d+", needs) == [str(int(each)) for each in needed(path)], f"row {name}"
        kinds = ("reading", "exercises") if exercises(path) else ("reading",)
        assert times == " + ".join(f"{{{{ {two} {kind} }}}}" for kind in kinds)
