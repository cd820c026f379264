"""Grades notebooks: each exercise in a process of its own, by the grader's checkers, on data from a seed.

python -m tools.grade FOLDER --seed 7

FOLDER holds the students' notebooks, also in folders. Beside it, in FOLDER_grades, come grades.csv and a page
of feedback for each student. An answer is found by the id of its cell, else by the name of its function. Of a
notebook only imports, definitions and plain assignments are run, never its own calls of checkers.
"""

from __future__ import annotations

import argparse
import ast
import csv
import html
import json
import os
import random
import re
import sys
import warnings
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import nbformat

from tools import judge, student
from tools.chapters import lessons, tags

PAGE = """<!doctype html>
<html lang="en"><meta charset="utf-8"><title>{title}</title>
<style>body {{ font: 1rem/1.5 sans-serif; max-width: 50rem; margin: 2rem auto; padding: 0 1rem }}
td, th {{ text-align: left; vertical-align: top; padding: .4rem 1rem .4rem 0; border-top: 1px solid #ccc }}
table {{ border-collapse: collapse }}</style>
<h1>{title}</h1>
<p>{summary}</p>
<table><tr><th>Exercise</th><th>Points</th><th>Result</th><th>What the checker says</th></tr>
{rows}
</table></html>
"""


@dataclass(frozen=True)
class Exercise:
    """A cell to write in: its id, the function (empty: numbers in the call), the checker, its points."""

    id: str
    function: str
    check: str
    points: float


@dataclass(frozen=True)
class Work:
    """What is graded: an assignment, or a notebook for students; with the module of its checkers."""

    name: str
    checkers: str
    exercises: tuple[Exercise, ...]
    given: tuple[str, ...]  # its other cells of code


def work(notebook: nbformat.NotebookNode) -> Work:
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    imported = re.search(r"^from (\S+) import (\w+) as practice$", "\n".join(c.source for c in cells), re.M)
    exercises = []
    for cell in (cell for cell in cells if "exercise" in tags(cell)):
        functions = [n.name for n in ast.parse(cell.source).body if isinstance(n, ast.FunctionDef)]
        check = f"check_{student.CALL.search(cell.source)[1]}"
        exercises.append(Exercise(cell.id, (functions or [""])[0], check, cell.metadata.get("points", 1)))
    given = tuple(cell.source for cell in cells if "exercise" not in tags(cell))
    checkers = ".".join(imported.groups()) if imported else ""
    return Work(notebook.metadata.regkit.notebook, checkers, tuple(exercises), given)


def works() -> dict[str, Work]:
    """All that can be graded, by name."""
    assignments = [nbformat.read(path, as_version=4) for path in sorted(student.ASSIGNMENTS.glob("*.ipynb"))]
    chapters = [student.for_students(nbformat.read(path, as_version=4), path.stem) for path in lessons()]
    return {(found := work(notebook)).name: found for notebook in (*assignments, *chapters)}


# ---------------------------------------------------------------------------------------- what was handed in


def read(path: Path) -> tuple[nbformat.NotebookNode | None, str]:
    """The notebook, or None, and what there is to say of the file."""
    text = path.read_bytes().decode("utf-8", "replace")
    if not text.strip():
        return None, "empty file"
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # cells without an id
            found = json.loads(text)
            older = found["nbformat"] < 4 or not all("id" in cell for cell in found["cells"])
            return nbformat.reads(text, as_version=4), "older version" if older else "graded"
    except Exception:  # whatever nbformat finds wrong with it
        return None, "not a notebook"


def parsed(source: str) -> ast.Module | None:
    lines = [line for line in source.split("\n") if line[:1] not in ("%", "!") and line[:3] != "```"]
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


def task(who: str, notebook: nbformat.NotebookNode, exercise: Exercise, names: dict, chosen: Work, options):
    place, function, note = answer(notebook, exercise)
    others = [
        cell.source for at, cell in enumerate(notebook.cells) if at != place and cell.cell_type == "code"
    ]
    mine = frozenset(name for source in others for name in defined(parsed(source)))
    before = [node for source in others for node in plain(source, mine)]
    source = notebook.cells[place].source
    own = plain(source) if function else parsed(source).body
    about = (function, chosen.checkers, exercise.check, note, options.seed, options.seconds)
    return judge.Task((who, exercise.id), names, before, own, *about, options.memory << 20)


# ---------------------------------------------------------------------------------------- grades


def grade(options: argparse.Namespace) -> Path:
    """Grade all notebooks of a folder; returns the table."""
    files = sorted(path for path in options.folder.rglob("*.ipynb") if ".ipynb_checkpoints" not in path.parts)
    handed_in = {path.relative_to(options.folder).with_suffix("").as_posix(): read(path) for path in files}
    known, names = works(), Counter()
    for notebook, _ in handed_in.values():
        names[notebook.metadata.get("regkit", {}).get("notebook") if notebook else None] += 1
    likely = [name for name, _ in names.most_common() if name in known]
    name = options.assignment or (likely or [""])[0]
    if name not in known:
        raise SystemExit(f"expected one of these as --assignment, got {name!r}: {', '.join(known)}")
    tasks, results, chosen = [], {}, known[name]
    given = judge.prepared(chosen.given)
    for who, (notebook, _) in handed_in.items():
        for exercise in chosen.exercises if notebook else ():
            try:
                tasks.append(task(who, notebook, exercise, given, chosen, options))
            except LookupError as missing:
                results[who, exercise.id] = [*missing.args, ""]
    if options.shuffle:
        random.Random(options.seed).shuffle(tasks)
    results |= judge.run(tasks, options.jobs)
    options.out.mkdir(parents=True, exist_ok=True)
    with (options.out / "grades.csv").open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(["student", *(e.id for e in chosen.exercises), "total", "of", "status", "results"])
        for who, (_, status) in handed_in.items():
            table.writerow(row(who, status, chosen, results))
            page = options.out / "feedback" / f"{who}.html"
            page.parent.mkdir(parents=True, exist_ok=True)
            page.write_text(feedback(who, status, chosen, results), encoding="utf-8")
    return options.out / "grades.csv"


def points(who: str, exercise: Exercise, results: dict) -> float:
    return exercise.points if results.get((who, exercise.id), [""])[0] == "right" else 0


def row(who: str, status: str, chosen: Work, results: dict) -> list:
    marks = [points(who, exercise, results) for exercise in chosen.exercises]
    said = [(e.id, *results[who, e.id]) for e in chosen.exercises if (who, e.id) in results]
    words = "; ".join(f"{name}: {result}{f' ({note})' if note else ''}" for name, result, _, note in said)
    return [who, *marks, sum(marks), sum(e.points for e in chosen.exercises), status, words]


def feedback(who: str, status: str, chosen: Work, results: dict) -> str:
    _, *_, total, of, _, _ = row(who, status, chosen, results)
    rows = []
    for exercise in chosen.exercises:
        result, said, note = results.get((who, exercise.id), [status, "", ""])
        number = exercise.id.removeprefix("ex-").replace("-", ".").upper()
        mark = f"{points(who, exercise, results)} of {exercise.points}"
        cells = (number, mark, result + (f" ({note})" if note else ""), said)
        rows.append("<tr>" + "".join(f"<td>{html.escape(str(cell))}</td>" for cell in cells) + "</tr>")
    summary = f"{total} of {of} points. The file: {status}."
    return PAGE.format(title=html.escape(f"{chosen.name}: {who}"), summary=summary, rows="\n".join(rows))


def main() -> None:
    if not hasattr(os, "fork"):
        sys.exit("Grading needs Linux or macOS: each answer is run in a process that is forked.")
    ask = argparse.ArgumentParser(prog="grade", description=__doc__.partition("\n")[0])
    ask.add_argument("folder", type=Path, help="with the notebooks that were handed in")
    ask.add_argument("--seed", type=int, required=True, help="of the data; choose one that nobody knows")
    ask.add_argument("--out", type=Path, help="where the grades go; beside the folder unless given")
    ask.add_argument("--assignment", help="the name of a notebook; else what most of the files are")
    ask.add_argument("--jobs", type=int, default=os.cpu_count(), help="how many answers at once")
    ask.add_argument("--seconds", type=int, default=30, help="of computing, for one answer")
    ask.add_argument("--memory", type=int, default=1500, help="megabytes that an answer may add")
    ask.add_argument("--shuffle", action="store_true", help="in another order; it changes nothing")
    options = ask.parse_args()
    if not options.folder.is_dir():
        ask.error(f"expected a folder, got {options.folder}")
    folder = options.folder.resolve()
    options.out = options.out or folder.with_name(f"{folder.name}_grades")
    print(f"The grades: {grade(options)}")


if __name__ == "__main__":
    main()
