"""What is graded, what was handed in, and which of its cells is the answer to an exercise.

An answer is found by the id of its cell, else by the name of its function. Of the other cells only imports,
definitions and plain assignments count.
"""

from __future__ import annotations

import ast
import json
import re
import warnings
from dataclasses import dataclass, replace
from pathlib import Path

import nbformat

from tools import student
from tools.chapters import lessons, tags


@dataclass(frozen=True)
class Exercise:
    """A cell to write in: its id, the function (empty: numbers in the call), the checker, its points."""

    id: str
    function: str
    check: str
    points: float
    title: str = ""

    @property
    def number(self) -> str:
        """As it stands in the text: "G1.2"."""
        return self.id.removeprefix("ex-").replace("-", ".").upper()


@dataclass(frozen=True)
class Work:
    """What is graded: an assignment, or a notebook for students; with the module of its checkers."""

    name: str
    title: str
    checkers: str
    exercises: tuple[Exercise, ...]
    given: tuple[str, ...]  # its other cells of code


def work(notebook: nbformat.NotebookNode) -> Work:
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    text = "\n".join(cell.source for cell in notebook.cells if cell.cell_type == "markdown")
    imported = re.search(r"^from (\S+) import (\w+) as practice$", "\n".join(c.source for c in cells), re.M)
    titles, exercises = dict(re.findall(r"^## (G\S+) (.+)$", text, re.M)), []
    for cell in (cell for cell in cells if "exercise" in tags(cell)):
        function = next((n.name for n in ast.parse(cell.source).body if isinstance(n, ast.FunctionDef)), "")
        check = f"check_{student.CALL.search(cell.source)[1]}"
        found = Exercise(cell.id, function, check, cell.metadata.get("points", 1))
        exercises.append(replace(found, title=titles.get(found.number, function)))
    given = tuple(cell.source for cell in cells if "exercise" not in tags(cell))
    title = re.search("^# (.+)", text, re.M)[1]
    checkers = ".".join(imported.groups()) if imported else ""
    return Work(notebook.metadata.regkit.notebook, title, checkers, tuple(exercises), given)


def works() -> dict[str, Path]:
    """All that can be graded: the assignments and the notebooks for students, by name."""
    return {path.stem: path for path in (*sorted(student.ASSIGNMENTS.glob("*.ipynb")), *lessons())}


def chosen_work(name: str) -> Work:
    path = works()[name]
    notebook = nbformat.read(path, as_version=4)
    return work(notebook if path.parent == student.ASSIGNMENTS else student.for_students(notebook, name))


# ---------------------------------------------------------------------------------------- what was handed in


def read(path: Path) -> tuple[nbformat.NotebookNode | None, str]:
    """The notebook, or None, and what there is to say of the file."""
    try:
        text = path.read_bytes().decode("utf-8", "replace")
        if not text.strip():
            return None, "empty file"
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # cells without an id
            found = json.loads(text)
            older = found["nbformat"] < 4 or not all("id" in cell for cell in found["cells"])
            notebook = nbformat.reads(text, as_version=4)
            assert all(isinstance(cell.source, str) and cell.cell_type for cell in notebook.cells)
    except Exception:  # whatever is wrong with it
        return None, "not a notebook"
    return notebook, "older version" if older else "graded"


def parsed(source: str) -> ast.Module | None:
    lines = ["" if line[:1] in ("%", "!") or line[:3] == "```" else line for line in source.split("\n")]
    try:
        return ast.parse("\n".join(lines))
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None


def defined(tree: ast.Module | None) -> list[str]:
    return [node.name for node in tree.body if isinstance(node, ast.FunctionDef)] if tree else []


def answer(notebook: nbformat.NotebookNode, exercise: Exercise) -> tuple[int, str, str]:
    """Which cell answers an exercise, the name of its function, and what is unusual about it.

    Raises: LookupError with a status and a sentence where no cell does.
    """

    def answers(cell: nbformat.NotebookNode) -> bool:
        if exercise.function:
            return exercise.function in defined(parsed(cell.source))
        return bool(parsed(cell.source)) and f"{exercise.check}(" in cell.source

    own = [place for place, cell in enumerate(notebook.cells) if cell.get("id") == exercise.id][:1]
    for place in [*own, *reversed(range(len(notebook.cells)))]:
        if answers(cell := notebook.cells[place]):
            where = "" if place in own else "found by its name"
            return place, exercise.function, where if cell.cell_type == "code" else "was a cell of text"
    if not own:
        raise LookupError("missing", "There is no answer to this exercise.")
    tree = parsed(notebook.cells[own[0]].source)
    if tree is None:
        raise LookupError("syntax error", "Python cannot read this cell: look for a bracket or a colon.")
    if len(others := defined(tree)) == 1:
        return own[0], others[0], f"{exercise.function} is called {others[0]}"
    raise LookupError("missing", f"There is no function {exercise.function} in this cell.")


def plain(source: str, mine: frozenset[str] = frozenset()) -> list[ast.stmt]:
    """Imports, functions, classes, and assignments that use none of the names `mine`."""
    chosen, tree = [], parsed(source)
    for node in tree.body if tree else ():
        if isinstance(node, ast.Assign) and all(isinstance(t, ast.Name | ast.Tuple) for t in node.targets):
            names = {inside.id for inside in ast.walk(node) if isinstance(inside, ast.Name)}
            chosen += [] if names & {"practice", *mine} else [node]
        elif isinstance(node, ast.Import | ast.ImportFrom | ast.FunctionDef | ast.ClassDef):
            chosen.append(node)
    return chosen
