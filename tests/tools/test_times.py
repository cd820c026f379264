"""How long a chapter takes is counted from what stands in it."""

import nbformat
import pytest

from tools import times
from tools.toc import ROOT

INDEX = ROOT / "book" / "index.ipynb"
THIRD = ROOT / "book" / "03_registration.ipynb"


def chapter(tmp_path, *cells):
    """A notebook of these cells: text begins with a mark, "text:" or "code:" or "folded:"."""
    made = nbformat.v4.new_notebook()
    for cell in cells:
        kind, _, source = cell.partition(":")
        if kind == "text":
            made.cells.append(nbformat.v4.new_markdown_cell(source))
        else:
            metadata = {"tags": ["hide-input"]} if kind == "folded" else {}
            made.cells.append(nbformat.v4.new_code_cell(source, metadata=metadata))
    path = tmp_path / "99_made.ipynb"
    nbformat.write(made, path)
    return times.minutes(path)


WORDS = "word " * 650  # five minutes
ASKED = """<details class="choice"><summary>One</summary>

Yes.

</details>
"""


@pytest.mark.parametrize(
    ("cells", "reading"),
    [
        ([f"text:{WORDS}"], 5),
        ([f"text:{WORDS}", f"code:{WORDS.replace('word', '0;')}"], 10),  # visible code is read
        ([f"text:{WORDS}", f"folded:{WORDS.replace('word', '0;')}"], 5),  # what is folded is not
        ([f"text:{WORDS}<!-- {WORDS} -->"], 5),
        (["folded:from regbook.figures import ch01 as f\nf.one()", *["folded:f.two();"] * 4], 15),
        (["code:from regbook.explore import explore\nx = explore()", *["code:explore(\n    1,\n)"] * 5], 15),
        (["code:from regbook import glue, widgets\nglue(a=1)", *["code:widgets.one()"] * 5], 15),
        (["text:$$ a $$\n\n$$\nb\n$$\n" * 5], 10),
        ([f"text:Why?\n\n{ASKED}"] * 5, 5),
        ([f"text:{WORDS}", "text:## Exercises", f"text:{WORDS}", "text:## Take-away", f"text:{WORDS}"], 10),
    ],
)  # fmt: skip
def test_reading_counts_words_figures_formulas_and_questions(tmp_path, cells, reading):
    assert chapter(tmp_path, *cells)["reading"] == reading


def test_exercises_count_by_their_kinds(tmp_path):
    asked = ("1.1 (on paper)", "1.2 (code)", "1.3 (code, hit a target)", "1.4 (find the bug)", "1.5 (open)")
    cells = ["text:## Exercises", *(f"text:**{name}.** Do it." for name in asked)]
    right = sum(times.EXERCISE[kind] for kind in ("on paper", "code", "hit a target", "find the bug", "open"))
    assert abs(chapter(tmp_path, *cells)["exercises"] - right) <= 2.5


def test_text_gets_the_minutes_of_its_chapter_or_of_a_named_one():
    third = times.minutes(THIRD)
    assert (
        times.filled("{{ reading }} and {{exercises}}", THIRD)
        == f"{third['reading']} and {third['exercises']}"
    )
    assert times.filled("{{ 03 reading }}", INDEX) == str(third["reading"])
    shortest, longest = map(int, times.filled("{{ shortest }} {{ longest }}", INDEX).split())
    assert shortest <= third["reading"] <= longest


@pytest.mark.parametrize("text", ["{{ reading }}", "{{ 77 reading }}", "{{ 03 pages }}"])
def test_a_name_that_says_nothing_is_an_error(text):
    with pytest.raises(ValueError, match=r"expected reading or exercises of a chapter in index\.ipynb"):
        times.filled(text, INDEX)
