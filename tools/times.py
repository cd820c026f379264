"""How long a chapter takes, from what stands in it: for reading, and for the exercises.

    python -m tools.times

A reader reads so many words a minute, the visible code among them; looks at each figure, works through each
formula that stands alone, and thinks about each question; and needs for an exercise what its kind takes. No
chapter and no appendix states a time of its own: the text has ``{{ reading }}`` and ``{{ exercises }}``, the
first page also ``{{ 03 reading }}``, ``{{ A1 reading }}`` and the like, and pages and readers' copies have
the minutes there.
"""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

import nbformat

from tools.chapters import chapters, lessons, questions, tags

WORDS_A_MINUTE = 130
FIGURE, FORMULA, QUESTION = 3, 1, 1  # minutes for each
EXERCISE = {
    "hit a target": 12,
    "open": 10,
    "on paper": 8,
    "code": 8,
    "find the bug": 5,
}  # minutes; longest first
DRAWING = re.compile(r"regbook\.(explore|figures|plots|widgets)\b")  # modules whose functions make figures
ANNOUNCED = re.compile(r"^\*\*(A?\d+\.\d+) \(([^)]+)\)\.\*\*", re.MULTILINE)  # **9.2 (code).**
PLACEHOLDER = re.compile(r"\{\{ *(?:(\d\d|A\d) )?(\w+) *\}\}")


@cache
def minutes(lesson: Path) -> dict[str, int]:
    """The minutes for "reading" and for "exercises", in steps of five."""
    notebook = nbformat.read(lesson, as_version=4)
    words = figures = formulas = exercises = 0
    drawing = names_that_draw(notebook)
    in_exercises = False
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            titles = re.findall(r"^## +(.+)$", cell.source, re.MULTILINE)
            in_exercises = titles[-1].startswith("Exercises") if titles else in_exercises
            exercises += sum(exercise(kinds) for _, kinds in ANNOUNCED.findall(cell.source))
        if in_exercises:
            continue
        if cell.cell_type == "markdown":
            text, count = re.subn(r"\$\$.+?\$\$", "", cell.source, flags=re.DOTALL)
            formulas += count
            words += len(re.sub(r"<.*?>|\$.+?\$", " x ", text, flags=re.DOTALL).split())
        else:
            figures += draws(cell.source, drawing)
            words += 0 if tags(cell) & {"hide-input", "remove-input"} else len(cell.source.split())
    reading = words / WORDS_A_MINUTE + FIGURE * figures + FORMULA * formulas
    reading += QUESTION * len(questions(lesson))
    return {"reading": _round(reading), "exercises": _round(exercises)}


def filled(text: str, page: Path) -> str:
    """`text` of a page with the minutes in the place of ``{{ reading }}`` and its like.

    Raises: ValueError for a name that says nothing here.
    """
    return PLACEHOLDER.sub(lambda found: str(_number(found[1], found[2], page)), text)


def _number(lesson: str | None, name: str, page: Path) -> int:
    if lesson is None and name in ("shortest", "longest"):
        reading = [minutes(path)["reading"] for path in chapters()]
        return min(reading) if name == "shortest" else max(reading)
    path = {path.name[:2]: path for path in lessons()}.get(lesson or page.name[:2])
    if path is None or name not in ("reading", "exercises"):
        what = f"{lesson or ''} {name}".strip()
        raise ValueError(f"expected reading or exercises of a chapter in {page.name}, got {{{{ {what} }}}}")
    return minutes(path)[name]


def exercise(kinds: str) -> int:
    """Minutes for an exercise of these kinds; of several the longest counts."""
    return max(EXERCISE[kind.strip()] for kind in kinds.split(","))


def names_that_draw(notebook: nbformat.NotebookNode) -> set[str]:
    """What the notebook has imported from the modules that make figures."""
    names = {"HTML", "Markdown"}  # tables that are drawn by hand
    for cell in notebook.cells:
        if cell.cell_type == "code":
            for node in ast.walk(ast.parse(cell.source)):
                if isinstance(node, ast.ImportFrom) and node.module:
                    for alias in node.names:
                        if DRAWING.match(f"{node.module}.{alias.name}"):
                            names.add(alias.asname or alias.name)
    return names


def draws(source: str, drawing: set[str]) -> int:
    """How many figures a cell shows: statements that are a call, and of a function that draws."""
    count = 0
    for statement in ast.parse(source).body:
        if isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Call):
            function = statement.value.func
            while isinstance(function, ast.Attribute):
                function = function.value
            count += isinstance(function, ast.Name) and function.id in drawing
    return count


def _round(value: float) -> int:
    return 5 * round(value / 5)


def main() -> None:
    print("chapter                  reading  exercises")
    for path in lessons():
        found = minutes(path)
        print(f"{path.stem:24} {found['reading']:7} {found['exercises']:10}")


if __name__ == "__main__":
    main()
