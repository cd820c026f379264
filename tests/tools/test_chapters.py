"""Which notebooks are chapters and which appendices, their names, and the chapter of each."""

import nbformat
import pytest

from tools import chapters as tool
from tools import times
from tools.toc import ROOT

INDEX = ROOT / "book" / "index.ipynb"


@pytest.fixture
def book(tmp_path, monkeypatch):
    """Three lessons and a first page, in the order of a made-up _toc.yml."""
    needs = {
        "index": "",
        "03_move": "**You need** [chapter 1](01_a.ipynb).",
        "10_last": "",
        "A1_more": "[chapter 10](10_last.ipynb). **You need** [1](01_a.ipynb) and [3](03_move.ipynb).",
    }
    paths = []
    for name, card in needs.items():
        notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_markdown_cell(f"# Title\n\n{card}")])
        paths.append(tmp_path / f"{name}.ipynb")
        nbformat.write(notebook, paths[-1])
    monkeypatch.setattr(tool, "notebooks", lambda: paths)
    return paths


def test_lessons_are_chapters_and_appendices_and_have_numbers(book):
    _, third, tenth, first = book
    assert (tool.chapters(), tool.appendices()) == ([third, tenth], [first])
    assert tool.lessons() == [third, tenth, first]
    assert [tool.number(path) for path in tool.lessons()] == ["3", "10", "A1"]
    assert [tool.module(path) for path in tool.lessons()] == ["ch03", "ch10", "a1"]


def test_an_appendix_belongs_to_the_last_chapter_that_it_needs(book):
    assert tool.needed(book[-1]) == ["01", "03"]
    assert [tool.home(path) for path in tool.lessons()] == [3, 10, 3]


def test_an_appendix_has_minutes_of_its_own():
    for path in tool.appendices():
        reading = str(times.minutes(path)["reading"])
        assert times.filled("{{ reading }}", path) == reading
        assert times.filled(f"{{{{ {path.name[:2]} reading }}}}", INDEX) == reading
    assert tool.appendices()
