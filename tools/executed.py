"""The executed notebooks in ``_build/executed``: which of them still hold, and what a page gets of them."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import nbformat

from tools import times
from tools.fingerprint import fingerprint
from tools.toc import ROOT, notebooks

EXECUTED = ROOT / "_build" / "executed"
ABOUT = "executed"  # the entry in a notebook's metadata: its fingerprint, its seconds, its megabytes


def place(notebook: Path) -> Path:
    """Where the executed copy of `notebook` is kept: in the same folders as below book/."""
    book = ROOT / "book"
    return EXECUTED / notebook.relative_to(book if notebook.is_relative_to(book) else ROOT)


@cache
def _read(path: Path, changed: int) -> nbformat.NotebookNode:
    return nbformat.read(path, as_version=4)


def read(notebook: Path) -> nbformat.NotebookNode | None:
    """The executed copy, or None. Do not change it: others get the same."""
    path = place(notebook)
    return _read(path, path.stat().st_mtime_ns) if path.is_file() else None


def holds(notebook: Path) -> bool:
    """Has `notebook` been executed since its code, or anything that it uses, changed?"""
    copy = read(notebook)
    return copy is not None and copy.metadata.get(ABOUT, {}).get("fingerprint") == fingerprint(notebook)


def stale() -> list[Path]:
    """The notebooks of the book that must be executed, those that took longest first."""
    waiting = [path for path in notebooks() if not holds(path)]

    def seconds(path: Path) -> float:
        copy = read(path)
        return copy.metadata.get(ABOUT, {}).get("seconds", 0.0) if copy else 0.0

    return sorted(waiting, key=seconds, reverse=True)


def whole(notebook: Path) -> nbformat.NotebookNode:
    """`notebook` with its present text, the times in it filled in, and the outputs of its execution.

    Raises: ValueError if it has not been executed as it is.
    """
    if not holds(notebook):
        raise ValueError(f"expected {notebook.name} to have been executed as it is: `make book` does that")
    current, copy = nbformat.read(notebook, as_version=4), read(notebook)
    current.metadata.language_info = copy.metadata.language_info
    ran = iter([cell for cell in copy.cells if cell.cell_type == "code"])
    for cell in current.cells:
        if cell.cell_type == "code":
            done = next(ran)
            cell.outputs, cell.execution_count = done.outputs, done.execution_count
        elif cell.cell_type == "markdown":
            cell.source = times.filled(cell.source, notebook)
    return current
