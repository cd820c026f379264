"""The folder in which a reader works: new chapters come in, and nothing that the reader wrote is lost."""

from __future__ import annotations

from pathlib import Path

import nbformat
import pytest

from tools import lab


def write(path: Path, *sources: str, output: str = "") -> None:
    cells = [nbformat.v4.new_code_cell(source, id=f"cell-{k}") for k, source in enumerate(sources)]
    if output:
        cells[0].outputs = [nbformat.v4.new_output("stream", text=output)]
    nbformat.write(nbformat.v4.new_notebook(cells=cells), path)


def code(path: Path) -> list[str]:
    return [cell.source for cell in nbformat.read(path, as_version=4).cells]


@pytest.fixture
def folders(tmp_path, monkeypatch) -> tuple[Path, Path]:
    """A working folder, and copies of two chapters and a glossary."""
    monkeypatch.setenv("JUPYTER_DATA_DIR", str(tmp_path / "data"))  # where the signatures are kept
    work, source = tmp_path / "Ü b", tmp_path / "source"
    source.mkdir()
    write(source / "one.ipynb", "1")
    write(source / "two.ipynb", "2")
    (source / "glossary.md").write_text("words", encoding="utf-8")
    (source / "regkit-0.1.0-py3-none-any.whl").write_text("", encoding="utf-8")
    assert lab.update(work, source) == []
    return work, source


def test_first_all_texts_are_written(folders):
    work, source = folders
    assert {path.name for path in work.iterdir()} == {"one.ipynb", "two.ipynb", "glossary.md", lab.WRITTEN}
    assert (work / "one.ipynb").read_bytes() == (source / "one.ipynb").read_bytes()


def test_what_was_not_touched_follows_the_book(folders):
    work, source = folders
    write(source / "one.ipynb", "1 + 1")
    (source / "glossary.md").write_text("more words", encoding="utf-8")
    assert lab.update(work, source) == []
    assert code(work / "one.ipynb") == ["1 + 1"]
    assert (work / "glossary.md").read_text(encoding="utf-8") == "more words"


def test_what_was_only_run_follows_the_book(folders):
    work, source = folders
    write(work / "one.ipynb", "1", output="one")
    write(source / "one.ipynb", "1 + 1")
    assert lab.update(work, source) == []
    assert code(work / "one.ipynb") == ["1 + 1"]


@pytest.mark.parametrize("times", [1, 2])
def test_what_the_reader_wrote_stays_and_is_named_when_the_book_has_moved_on(folders, times):
    work, source = folders
    write(work / "one.ipynb", "1", "my own work")
    before = (work / "one.ipynb").read_bytes()
    assert lab.update(work, source) == []  # the book has nothing newer
    write(source / "one.ipynb", "1 + 1")
    write(source / "two.ipynb", "2 + 2")
    for _ in range(times):
        assert lab.update(work, source) == ["one.ipynb"]
    assert (work / "one.ipynb").read_bytes() == before
    assert code(work / "two.ipynb") == ["2 + 2"]


def test_what_was_there_before_is_the_readers(tmp_path, folders):
    _, source = folders
    work = tmp_path / "other"
    work.mkdir()
    write(work / "one.ipynb", "a notebook of my own")
    assert lab.update(work, source) == ["one.ipynb"]
    assert code(work / "one.ipynb") == ["a notebook of my own"]


def test_what_was_deleted_comes_again(folders):
    work, source = folders
    (work / "one.ipynb").unlink()
    assert lab.update(work, source) == []
    assert code(work / "one.ipynb") == ["1"]


def test_jupyter_trusts_what_was_written_here_and_nothing_else(folders):
    work, _ = folders
    notary = lab.NotebookNotary()
    assert notary.check_signature(nbformat.read(work / "one.ipynb", as_version=4))
    write(work / "three.ipynb", "3")
    assert not notary.check_signature(nbformat.read(work / "three.ipynb", as_version=4))
