"""What a page folds: the code of a figure in one line below it, imports, solutions. Each says what it holds.

myst-nb folds the source of a cell above its output, and calls all of them "Show code cell source". Here the
fold stands below the figure, for a reader who has seen it, and holds the cells before it that prepare it.
"""

from __future__ import annotations

import ast

from docutils import nodes
from myst_nb.sphinx_ import HideCodeCellNode
from nbformat import NotebookNode
from sphinx.application import Sphinx
from sphinx.transforms.post_transforms import SphinxPostTransform

FIGURE, TABLE, IMPORTS, SOLUTION = "Code of this figure", "Code of this table", "Imports", "Solution"


def name(cell: NotebookNode) -> str | None:
    """What the fold of a cell is called, or None if the cell is not folded."""
    tags = cell.metadata.get("tags", [])
    if "hide-cell" in tags:
        return SOLUTION
    if "hide-input" not in tags:
        return None
    if imports_only(cell.source):
        return IMPORTS
    shown = [output.get("data", {}) for output in cell.get("outputs", [])]
    drawn = any("image/png" in data or "<figure" in data.get("text/html", "") for data in shown)
    return FIGURE if drawn or not shown else TABLE


def imports_only(source: str) -> bool:
    """Does a cell do no more than import, and call ``setup()``?"""
    kinds = ast.Import | ast.ImportFrom
    return all(isinstance(s, kinds) or ast.unparse(s) == "setup()" for s in ast.parse(source).body)


def label(notebook: NotebookNode) -> None:
    """Tell myst-nb the names of the folds."""
    for cell in notebook.cells:
        if cell.cell_type == "code" and (words := name(cell)):
            cell.metadata["mystnb"] = {"code_prompt_show": words, "code_prompt_hide": words}


class Below(SphinxPostTransform):
    """The code of a figure goes below it, with that of the cells just before it which show nothing."""

    default_priority = 200  # myst-nb folds at 199
    formats = ("html",)

    def run(self, **options: object) -> None:
        for parent in {cell.parent for cell in self.document.findall(_is_cell)}:
            waiting: list[nodes.Element] = []
            for node in list(parent.children):
                if not _is_cell(node):
                    waiting = []
                elif not _shows(node) and not _fold(node) and not _source(node):
                    parent.remove(node)  # numbers for the text, and nothing else
                elif not (fold := _fold(node)) or node.get("hide_mode") != "input":
                    waiting = []
                elif _shows(node):
                    for cell in waiting:
                        parent.remove(cell)
                    fold[:0] = [source for cell in waiting for source in _fold(cell).children]
                    node.remove(fold)
                    node.append(fold)
                    fold["classes"] = ["below-output"]
                    waiting = []
                else:
                    waiting.append(node)
        for fold in self.document.findall(HideCodeCellNode):
            if fold["prompt_show"] == SOLUTION:
                fold["classes"].append("solution")


def _is_cell(node: nodes.Node) -> bool:
    return isinstance(node, nodes.container) and node.get("nb_element") == "cell_code"


def _fold(cell: nodes.Element) -> HideCodeCellNode | None:
    return next((child for child in cell.children if isinstance(child, HideCodeCellNode)), None)


def _source(cell: nodes.Element) -> nodes.Node | None:
    return next((child for child in cell.children if child.get("nb_element") == "cell_code_source"), None)


def _shows(cell: nodes.Element) -> bool:
    """Has the cell an output that a reader sees?"""
    outputs = [child for child in cell.children if child.get("nb_element") == "cell_code_output"]
    return any(not isinstance(child, nodes.comment) for output in outputs for child in output.children)


def setup(app: Sphinx) -> None:
    app.add_post_transform(Below)
