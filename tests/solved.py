"""The two assignments with right answers, or with others: what students could hand in."""

from __future__ import annotations

import ast
from pathlib import Path

import nbformat

from tools import student
from tools.toc import ROOT

ANSWERS = ROOT / "tests" / "regbook" / "test_assignments.py"  # where they are held against the checkers
HELPERS = ("bump", "matrix")
FUNCTIONS = {
    node.name: ast.unparse(node)
    for node in ast.parse(ANSWERS.read_text(encoding="utf-8")).body
    if isinstance(node, ast.FunctionDef)
}
ONE, TWO = sorted(student.ASSIGNMENTS.glob("*.ipynb"))


def handed_in(path: Path = ONE, **changed: str) -> nbformat.NotebookNode:
    """An assignment with all exercises solved, but for those given by the names of their functions."""
    return filled(nbformat.read(path, as_version=4), **changed)


def filled(notebook: nbformat.NotebookNode, **changed: str) -> nbformat.NotebookNode:
    """`notebook` with an answer in each cell to write in, and one more cell that some of them need."""
    for cell in notebook.cells:
        if "exercise" in cell.metadata.get("tags", []):
            name = ast.parse(cell.source).body[0].name
            call = cell.source.splitlines()[-1]
            cell.source = f"{changed.get(name, FUNCTIONS[name])}\n\n\n{call}"
    imports = next(k for k, cell in enumerate(notebook.cells) if cell.id.endswith("-imports"))
    helpers = "\n\n\n".join(FUNCTIONS[name] for name in HELPERS)
    notebook.cells.insert(imports + 1, nbformat.v4.new_code_cell(helpers, id="helper"))
    return notebook
