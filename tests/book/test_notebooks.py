"""How every notebook of the book is made. (That each runs is checked by nbval, before the pages are made.)"""

import re
from itertools import pairwise
from pathlib import Path

import nbformat
import pytest

from tools import folds, times
from tools.chapters import cells, chapters, lessons, sections, tags
from tools.no_outputs import stored
from tools.toc import ROOT, notebooks

# The sections of a chapter, in this order. A title may go on after the name: "Explore: along a line".
# An image that is shown as a whole is real, or it is said to be drawn.
SECTIONS = (
    "What you will learn",
    "The finished figure",
    "Predict",
    "The simplest exact case",
    "The mathematics and the code",
    "Check the derivative",
    "Explore",
    "What goes wrong",
    "A (?:real|drawn) image",
    "Checkpoint",
    "Exercises",
    "Take-away",
    "Further reading",
)
LONGEST_CELL = 20  # lines
FILLER = re.compile(r"\b(just|obviously|simply|clearly|trivial(?:ly)?|of course)\b", re.IGNORECASE)
HEARSAY = re.compile(
    r"\b(?:most|many|all|some) people\b|\b(?:everyone|everybody)\b|\banyone (?:who|has)\b|\bmost common\b",
    re.IGNORECASE,
)
PLACED = re.compile(  # on a phone panels stand below each other; in the dark black and white change places
    r"\b(?:left|right|middle|upper|lower)(?:-hand)? panel|\blines on the (?:left|right)"
    r"|\(the middle\)|\(right\)|^(?:Left|Right) (?:are|is) |\b(?:black|white|red|vermillion|purple) "
    r"(?:arrow|band|box|circle|cross|curve|dot|frame|line|mark|point|ring|square|star)",
    re.MULTILINE,
)
BOLD = re.compile(r"\*\*(.+?)\*\*", re.DOTALL)
CLAIM = re.compile(r"<!-- claim: ([a-z0-9]+(?:-[a-z0-9]+)*) -->")
CLAIM_WORDS = 6  # a bold passage of so many words is a claim, not an emphasis
TEST_OF_CLAIM = re.compile(r"^\s*def test_claim_(\w+)\(", re.MULTILINE)

NOTEBOOKS = notebooks()
CHAPTERS = chapters()
each_notebook = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
each_chapter = pytest.mark.parametrize("path", CHAPTERS, ids=lambda path: path.stem)
each_lesson = pytest.mark.parametrize("path", lessons(), ids=lambda path: path.stem)


def paragraphs(path: Path) -> list[tuple[str, str]]:
    """(title of the section, paragraph): what stands between empty lines."""
    return [(title, part) for title, text in sections(path) for part in re.split(r"\n\s*\n", text)]


def claims(path: Path) -> list[str]:
    return CLAIM.findall("\n".join(cell.source for cell in cells(path, "markdown")))


def claims_with_tests() -> set[str]:
    """The labels of all claims that a test holds."""
    sources = (path.read_text(encoding="utf-8") for path in (ROOT / "tests").rglob("test_*.py"))
    return {name.replace("_", "-") for source in sources for name in TEST_OF_CLAIM.findall(source)}


@each_notebook
def test_is_valid_and_runs_in_the_readers_python(path: Path):
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    assert notebook.metadata.kernelspec.name == "python3"


@each_notebook
def test_is_stored_without_outputs(path: Path):
    assert stored(path) == []


@each_notebook
def test_code_cells_are_short(path: Path):
    for cell in cells(path, "code"):
        lines = len(cell.source.splitlines())
        assert lines <= LONGEST_CELL, f"expected at most {LONGEST_CELL} lines, got {lines}:\n{cell.source}"


@each_notebook
def test_no_cell_is_excused(path: Path):
    """A staged failure is caught in its cell and asserted; then it is checked like everything else."""
    for cell in cells(path, "code"):
        excuses = [tag for tag in tags(cell) if tag.lower().startswith(("nbval", "raises", "skip"))]
        assert not excuses, f"excused by {excuses}:\n{cell.source}"
        assert not cell.source.lstrip().startswith("# NBVAL"), cell.source


@each_notebook
def test_prose_has_no_filler_words(path: Path):
    for cell in cells(path, "markdown"):
        found = FILLER.findall(cell.source)
        assert not found, f"{found} in:\n{cell.source}"


@each_notebook
def test_prose_says_what_is_where_on_a_phone_and_in_the_dark_too(path: Path):
    for cell in cells(path, "markdown"):
        found = PLACED.findall(cell.source)
        assert not found, f"{found} in:\n{cell.source}"


@each_notebook
def test_prose_says_nothing_of_people_that_was_not_measured(path: Path):
    for cell in cells(path, "markdown"):
        found = HEARSAY.findall(cell.source)
        assert not found, f"{found} in:\n{cell.source}"


@each_chapter
def test_has_the_sections_of_a_chapter_in_order(path: Path):
    titles = [title for title, _ in sections(path)]
    found = [next((name for name in SECTIONS if re.match(rf"{name}\b", title)), None) for title in titles]
    assert [name for name in dict.fromkeys(found) if name] == list(SECTIONS)


@each_lesson
def test_bold_claims_are_labelled_and_labels_have_a_claim(path: Path):
    for title, text in paragraphs(path):
        bold, labels = BOLD.findall(text), CLAIM.findall(text)
        assert text.count("claim:") == len(labels), f"expected <!-- claim: like-this -->, got:\n{text}"
        assert len(labels) <= len(bold), f"a label without a bold claim in its paragraph:\n{text}"
        if not title.startswith(("Checkpoint", "Exercises")):
            long = [passage for passage in bold if len(passage.split()) >= CLAIM_WORDS]
            assert len(long) <= len(labels), f"a bold claim without a label:\n{text}"


@each_lesson
def test_every_claim_has_a_test(path: Path):
    labels = claims(path)
    assert labels or path not in CHAPTERS, "expected at least one claim with a label"
    missing = sorted(set(labels) - claims_with_tests())
    assert not missing, f"no test is named {['test_claim_' + label.replace('-', '_') for label in missing]}"


def test_every_test_of_a_claim_has_its_claim():
    labels = [label for path in sorted((ROOT / "book").glob("*.ipynb")) for label in claims(path)]
    assert len(labels) == len(set(labels)), "expected each label once in the book"
    assert claims_with_tests() <= set(labels), f"claimed nowhere: {sorted(claims_with_tests() - set(labels))}"


WIDEST = 76  # columns: more would scroll sideways in the page
UNSEEN = {"hide-input", "remove-input"}


@each_notebook
def test_code_does_not_scroll_sideways(path: Path):
    for cell in cells(path, "code"):
        wide = [line for line in cell.source.splitlines() if len(line) > WIDEST]
        assert not wide, f"expected at most {WIDEST} columns, got {len(wide[0])}:\n{wide[0]}"


@each_notebook
def test_visible_code_has_nothing_for_the_page_alone(path: Path):
    """Numbers for the text are stored in cells of their own, which the page does not show."""
    for cell in cells(path, "code"):
        if not tags(cell) & {"remove-input"}:
            assert "glue(" not in cell.source, f"expected glue in a cell with remove-input:\n{cell.source}"


@each_notebook
def test_a_fold_holds_a_figure_or_what_prepares_it_or_imports(path: Path):
    """Cells that hide no more than bookkeeping have no fold at all: they have the tag remove-input."""
    notebook = nbformat.read(path, as_version=4)
    drawing = times.names_that_draw(notebook)
    for cell, following in pairwise([*notebook.cells, nbformat.v4.new_markdown_cell()]):
        shows = (
            times.draws(cell.source, drawing) or "print(" in cell.source if cell.cell_type == "code" else 0
        )
        if "remove-input" in tags(cell):
            assert not shows, f"expected a fold around the code of what is shown:\n{cell.source}"
        if "hide-input" in tags(cell) and not shows and not folds.imports_only(cell.source):
            assert "hide-input" in tags(following), f"a fold that shows nothing:\n{cell.source}"
