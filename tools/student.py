"""The notebooks for students, in student/: readers' copies without any solution, with places for answers.

python -m tools.student

What is dropped: cells with the tag `solution`, and in the section of the exercises every fold that is not a
hint. What is added: below each exercise without a cell to write in an empty cell for its answer. The cell of
exercise 5.2, of either kind, has the id ``ex-5-2`` in every version, so that an answer can be found by it.
"""

from __future__ import annotations

import re
import shutil
import sys
from itertools import pairwise
from pathlib import Path

import nbformat
from nbformat import NotebookNode
from nbformat.v4 import new_markdown_cell

from tools import book, copies, executed, lab
from tools.chapters import tags
from tools.times import ANNOUNCED
from tools.toc import ROOT, notebooks

STUDENT = ROOT / "student"
BUILT = ROOT / "_build" / "student"
ASSIGNMENTS = ROOT / "teach" / "assignments"

CALL = re.compile(r"\bpractice\.check_(\w+)\(")
FOLD = re.compile(r"<details[^>]*><summary>(.*?)</summary>.*?</details>\s*", re.DOTALL)
_SECTION = re.compile(r"^## +(\w+)", re.MULTILINE)


def cell_id(number: str) -> str:
    """ "5.2" → "ex-5-2" """
    return "ex-" + number.replace(".", "-").lower()


def for_students(notebook: NotebookNode, name: str) -> NotebookNode:
    """`notebook`, a page of the book or a reader's copy of it, as students get it."""
    given, here = NotebookNode(notebook), Exercises(notebook)
    given.metadata = NotebookNode(notebook.metadata | {"regkit": NotebookNode(notebook=name)})
    given.cells = []
    for cell in notebook.cells:
        if "solution" not in tags(cell):
            given.cells += here.cells(NotebookNode(cell))
    given.cells += here.still_to_come()
    nbformat.validate(given)
    return given


class Exercises:
    """Goes through the cells of a notebook, and remembers the exercise that it is in."""

    def __init__(self, notebook: NotebookNode):
        to_write_in = [cell.source for cell in notebook.cells if "exercise" in tags(cell)]
        self.in_code = {cell_id(found[1].replace("_", ".")) for s in to_write_in if (found := CALL.search(s))}
        self.inside, self.waiting = False, ""  # in the section; the id of the answer that has no cell yet

    def cells(self, cell: NotebookNode) -> list[NotebookNode]:
        """What becomes of one cell."""
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
            if "exercise" in tags(cell):
                cell.id = cell_id(CALL.search(cell.source)[1].replace("_", "."))
            return [cell]
        if section := _SECTION.search(cell.source):
            before = self.still_to_come()
            self.inside = section[1] == "Exercises"
        else:
            before = []
        return before + (self._text(cell) if self.inside else [cell])

    def still_to_come(self) -> list[NotebookNode]:
        """The empty cell for the answer that waits for one."""
        name, self.waiting = self.waiting, ""
        return [new_markdown_cell("", id=name, metadata={"tags": ["answer"]})] if name else []

    def _text(self, cell: NotebookNode) -> list[NotebookNode]:
        """Text of the section, in pieces: an answer is written below its question, and before the hints."""
        source = FOLD.sub(lambda fold: fold[0] if "hint" in fold[1].lower() else "", cell.source)
        begins = [0, *(found.start() for found in ANNOUNCED.finditer(source)), len(source)]
        made = []
        for piece in (source[a:b] for a, b in pairwise(begins)):
            if announced := ANNOUNCED.match(piece):
                made += self.still_to_come()
                name = cell_id(announced[1])
                self.waiting = "" if name in self.in_code else name
            question, fold, hints = piece.partition("<details")
            made += self._piece(cell, question)
            if fold:
                made += self.still_to_come() + self._piece(cell, fold + hints)
        for place, piece in enumerate(p for p in made if p.source):
            piece.id = f"{cell.id}-{place}" if place else cell.id
        return made

    @staticmethod
    def _piece(cell: NotebookNode, source: str) -> list[NotebookNode]:
        text = source.strip()
        return [NotebookNode(cell | {"source": text})] if text else []


def build(folder: Path = BUILT) -> list[Path]:
    """Write the students' notebooks, what lies beside them and the wheel into `folder`, anew."""
    written = copies.write(folder, lambda notebook: for_students(copies.copy(notebook), notebook.stem))
    for path in sorted(ASSIGNMENTS.glob("*.ipynb")):
        written.append(folder / path.name)
        nbformat.write(assignment(path), written[-1])
    return written


def assignment(path: Path) -> NotebookNode:
    """An assignment as it is handed out: with the first cell of every copy."""
    notebook = nbformat.read(path, as_version=4)
    notebook.cells.insert(0, copies.packages())
    return notebook


def main() -> None:
    if waiting := executed.stale():
        print("The notebooks are executed first: their text shows measured numbers.", flush=True)
        if not book.execute(waiting):
            sys.exit("A notebook failed, see above.")
    build()
    for name in lab.update(STUDENT, BUILT):
        print(f"student/{name} stays as you changed it; the newer one is in _build/student")
    for old in STUDENT.glob("*.whl"):
        old.unlink()
    for wheel in BUILT.glob("*.whl"):
        shutil.copy(wheel, STUDENT)
    work = len(list(ASSIGNMENTS.glob("*.ipynb")))
    print(f"{len(notebooks())} notebooks without solutions, and {work} assignments: {STUDENT}")


if __name__ == "__main__":
    main()
