"""Grades notebooks: each exercise in a process of its own, by the grader's checkers, on data from a seed.

python -m tools.grade FOLDER --seed 7

FOLDER holds the students' notebooks, also in folders. Beside it, in FOLDER_grades, come grades.csv and a page
of feedback for each student. Which cell is an answer, `tools/answers.py` says; `tools/judge.py` runs it.
"""

from __future__ import annotations

import argparse
import csv
import html
import os
import random
import sys
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import nbformat

from regbook.text import counted
from tools import judge
from tools.answers import Exercise, Work, answer, chosen_work, defined, parsed, plain, read, works

PAGE = """<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>{who}: {title}</title>
<style>:root {{ color-scheme: light dark }}
body {{ font: 1rem/1.5 system-ui, sans-serif; max-width: 42rem; margin: 2rem auto; padding: 0 1rem;
  overflow-wrap: anywhere }}
h1 {{ font-size: 1.4rem; line-height: 1.3 }}
h2 {{ font-size: 1.1rem; margin: 0; border-top: 1px solid; padding-top: .8rem }}
p {{ margin: .2rem 0 .8rem }}</style>
</head>
<body><main>
<h1>{title}</h1>
<p>{who}: <strong>{total:g} of {of:g} points</strong>. {about}</p>
{parts}
</main></body>
</html>
"""
PART = """<section><h2>{name}</h2>
<p><strong>{points:g} of {of:g} points.</strong> {said}</p></section>"""


class File(NamedTuple):
    """Whether the answers of a file are graded, and what its student reads of it."""

    graded: bool
    said: str = ""


FILES = {
    "graded": File(True),
    "older version": File(True, "The file has an older format, without ids of cells: names were looked for."),
    "empty file": File(False, "The file is empty: please hand it in again."),
    "not a notebook": File(
        False, "The file is no whole notebook: please save it in Jupyter and hand it in again."
    ),
    "another notebook": File(False, "This is another notebook: please hand in the right one."),
}


@dataclass(frozen=True)
class Mark:
    """What became of one answer."""

    exercise: Exercise
    status: str
    said: str = ""
    note: str = ""

    @property
    def points(self) -> float:
        return self.exercise.points if self.status == "right" else 0

    @property
    def result(self) -> str:
        return f"{self.status} ({self.note})" if self.note else self.status


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


def grade(options: argparse.Namespace) -> Path:
    """Grade all notebooks of a folder; returns the table."""
    files = sorted(path for path in options.folder.rglob("*.ipynb") if ".ipynb_checkpoints" not in path.parts)
    handed_in = {path.relative_to(options.folder).with_suffix("").as_posix(): read(path) for path in files}
    names = Counter(map(kind, (notebook for notebook, _ in handed_in.values())))
    likely = [name for name, _ in names.most_common() if name in works()]
    if not (name := options.assignment or next(iter(likely), "")):
        message = "found none; --assignment names what they do not say"
        raise SystemExit(f"expected notebooks of the book or assignments in {options.folder}, {message}")
    chosen = chosen_work(name)
    exercises = counted(len(chosen.exercises), "exercise")
    print(f"{name}: {counted(len(files), 'notebook')} with {exercises}", flush=True)
    for who, (notebook, _) in handed_in.items():
        if kind(notebook) in {*works()} - {name}:
            handed_in[who] = None, "another notebook"
    marks = marked(handed_in, chosen, options)
    numbers = [exercise.number for exercise in chosen.exercises]
    table = [["student", *numbers, "total", "of", "status", "remarks"]]
    for who, (_, status) in handed_in.items():
        table.append(row(who, status, marks[who]))
        page = options.out / "feedback" / f"{who}.html"
        page.parent.mkdir(parents=True, exist_ok=True)
        page.write_text(feedback(who, status, chosen, marks[who]), encoding="utf-8")
    grades = options.out / "grades.csv"
    with grades.open("w", newline="", encoding="utf-8-sig") as file:  # so that Excel knows the encoding
        csv.writer(file, lineterminator="\n").writerows(table)
    return grades


def kind(notebook: nbformat.NotebookNode | None) -> str:
    """The name that a notebook of this project has."""
    about = notebook.metadata.get("regkit") if notebook else None
    return str(about.get("notebook", "")) if isinstance(about, dict) else ""


def marked(handed_in: dict, chosen: Work, options: argparse.Namespace) -> dict[str, list[Mark]]:
    """Student -> a mark for each exercise."""
    tasks, results, given = [], {}, judge.prepared(chosen.given)
    for who, (notebook, status) in handed_in.items():
        for exercise in chosen.exercises:
            try:
                if notebook is None:
                    raise LookupError(status, "")
                tasks.append(task(who, notebook, exercise, given, chosen, options))
            except LookupError as missing:
                results[who, exercise.id] = missing.args
    if options.shuffle:
        random.Random(options.seed).shuffle(tasks)
    results |= judge.run(tasks, options.jobs)
    return {who: [Mark(e, *results[who, e.id]) for e in chosen.exercises] for who in handed_in}


def row(who: str, status: str, marks: list[Mark]) -> list:
    """A line of the table; remarks say what is not plainly right."""
    total, of = sums(marks)
    said = [f"{mark.exercise.number}: {mark.result}" for mark in marks if mark.result != "right"]
    remarks = "; ".join(said) if FILES[status].graded else ""
    student = f"'{who}" if who[0] in "=+-@" else who  # no formula in a spreadsheet
    return [student, *(mark.points for mark in marks), total, of, status, remarks]


def feedback(who: str, status: str, chosen: Work, marks: list[Mark]) -> str:
    """The page for a student."""
    parts = []
    for mark in marks if FILES[status].graded else ():
        name = html.escape(f"{mark.exercise.number} {mark.exercise.title}")
        note = f" ({mark.note})" if mark.note not in mark.said else ""
        said = html.escape(mark.said + note)
        parts.append(PART.format(name=name, points=mark.points, of=mark.exercise.points, said=said))
    total, of = sums(marks)
    about = {"title": html.escape(chosen.title), "who": html.escape(who), "about": FILES[status].said}
    return PAGE.format(**about, total=total, of=of, parts="\n".join(parts))


def sums(marks: list[Mark]) -> tuple[float, float]:
    return sum(mark.points for mark in marks), sum(mark.exercise.points for mark in marks)


def main() -> None:
    if not hasattr(os, "fork"):
        sys.exit("Grading needs Linux or macOS: each answer is run in a process that is forked.")
    ask = argparse.ArgumentParser(prog="grade", description=__doc__.partition("\n")[0])
    ask.add_argument("folder", type=Path, help="with the notebooks that were handed in")
    ask.add_argument("--seed", type=int, required=True, help="of the data; choose one that nobody knows")
    ask.add_argument("--out", type=Path, help="where the grades go; beside the folder unless given")
    ask.add_argument("--assignment", choices=[*works()], help="if it is not what most of the files say")
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
