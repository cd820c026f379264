"""What is written by hand for the teachers of a chapter: the front matter of ``book/teach/NN.md``.

It has these entries:

    plan        rows: minutes, what, where (a heading of the chapter), who (teacher or students), and perhaps
                optional: true, or split: true for the last row of the first of two sessions of 45 minutes
    objectives  for each objective of the chapter the exercises, votes and claims that serve it: "5.1",
                "guess 1", "the-label-of-a-claim"; those that the chapter names itself are left out
    votes       for each vote what to say if few, half or most are right; for a guess also what each of its
                wrong options reveals, in their order

That of the index has the plans of courses.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from tools.chapters import chapters, needed, number
from tools.toc import ROOT

FOLDER = ROOT / "book" / "teach"
INDEX = FOLDER / "index.md"
APPENDICES = FOLDER / "appendices.md"  # one page for all: when to use them, and half a session for each
SESSION, LEAST, DOING, HALF = 90, 60, 0.4, 45  # minutes, minutes, part of them, minutes
TEACHER, STUDENTS = "teacher", "students"
FRONT = re.compile(r"\A---\n(.*?)^---\n", re.DOTALL | re.MULTILINE)


@dataclass(frozen=True)
class Row:
    """One line of a plan."""

    minutes: int
    what: str
    where: str
    who: str
    optional: bool = False
    split: bool = False


def page(chapter: Path) -> Path:
    """Where the page for the teachers of a chapter is."""
    return FOLDER / f"{chapter.name[:2]}.md"


def chapter_of(page: Path) -> Path:
    """The chapter that a page belongs to."""
    return next(path for path in chapters() if path.name[:2] == page.stem)


def front(page: Path) -> dict[str, Any]:
    """The front matter of a page.

    Raises: ValueError where there is none.
    """
    if not (found := FRONT.match(page.read_text(encoding="utf-8"))):
        raise ValueError(f"expected front matter between two lines --- in {page.name}, got none")
    return yaml.safe_load(found[1])


def plan(page: Path) -> list[Row]:
    return [Row(**row) for row in front(page)["plan"]]


def half_plan(appendix: Path) -> list[Row]:
    """The plan for an appendix."""
    return [Row(**row) for row in front(APPENDICES)["plans"][number(appendix)]]


# --------------------------------------------------------------------------- the course


@dataclass(frozen=True)
class Course:
    """A plan over several sessions: the chapters of each, as "03", and those to be read before it."""

    name: str
    about: str
    sessions: tuple[dict[str, Any], ...]


def courses() -> list[Course]:
    return [Course(each["name"], each["about"], tuple(each["sessions"])) for each in front(INDEX)["courses"]]


def unprepared(course: Course) -> list[str]:
    """The chapters of a course that come before one that they need, in words: none, in a plan that works."""
    by_number = {number(path): path for path in chapters()}
    known: set[str] = set()
    wrong = []
    for session in course.sessions:
        for name in [*map(str, session.get("read", [])), *map(str, session["chapters"])]:
            missing = {str(int(each)) for each in needed(by_number[name])} - known
            wrong += [f"{course.name}: chapter {name} needs {each}" for each in sorted(missing)]
            known.add(name)
    return wrong
