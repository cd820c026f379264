"""What stands in a chapter: its cells, sections and questions, read from the notebook as it is stored.

A *lesson* is a chapter or an appendix. An appendix, ``A1_topic.ipynb``, belongs to a chapter: it holds what a
reader may leave out, and need not have all the sections of a chapter.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import nbformat

from tools.toc import notebooks

# A choice with its feedback; and several of them, with nothing between.
CHOICE = re.compile(r'<details class="choice"><summary>(.*?)</summary>(.*?)</details>', re.DOTALL)
CHOICES = re.compile(rf"(?:{CHOICE.pattern.replace('(.*?)', '.*?')}\s*)+", re.DOTALL)


def chapters() -> list[Path]:
    """The notebooks of the book that are chapters, in reading order."""
    return [path for path in notebooks() if re.match(r"\d\d_", path.name)]


def appendices() -> list[Path]:
    """The notebooks of the book that are appendices, in reading order."""
    return [path for path in notebooks() if re.match(r"A\d_", path.name)]


def lessons() -> list[Path]:
    """The chapters and the appendices, in reading order."""
    return [*chapters(), *appendices()]


def number(lesson: Path) -> str:
    """As it stands before the title: "3", or "A1"."""
    return lesson.name.partition("_")[0].lstrip("0")


def module(lesson: Path) -> str:
    """What the modules of a lesson are called, in regbook's folders: "ch03", or "a1"."""
    prefix = lesson.name.partition("_")[0]
    return f"ch{prefix}" if prefix.isdigit() else prefix.lower()


def needed(lesson: Path) -> list[str]:
    """The chapters that the card of a lesson links to after "You need", as "03", sorted."""
    card = cells(lesson, "markdown")[0].source
    return sorted(re.findall(r"\]\((\d\d)_\w+\.ipynb\)", card.partition("**You need**")[2]))


def home(lesson: Path) -> int:
    """The number of the chapter that a lesson is, or belongs to: the last one that an appendix needs."""
    return int(number(lesson) if lesson in chapters() else needed(lesson)[-1])


def cells(path: Path, kind: str) -> list[nbformat.NotebookNode]:
    """The cells of one kind, "code" or "markdown"."""
    notebook = nbformat.read(path, as_version=4)
    return [cell for cell in notebook.cells if cell.cell_type == kind]


def tags(cell: nbformat.NotebookNode) -> set[str]:
    return set(cell.metadata.get("tags", []))


def sections(path: Path) -> list[tuple[str, str]]:
    """(title, text) of the sections at level two; the text before the first has an empty title."""
    text = "\n\n".join(cell.source for cell in cells(path, "markdown"))
    parts = re.split(r"^## +(.+)$", text, flags=re.MULTILINE)
    return [("", parts[0]), *zip(parts[1::2], parts[2::2], strict=True)]


@dataclass(frozen=True)
class Question:
    """The choices that stand together, each with its feedback; the right ones' feedback begins with "Yes"."""

    choices: tuple[str, ...]
    feedback: tuple[str, ...]

    @property
    def right(self) -> list[int]:
        """The places of the right choices, from 0 on."""
        return [place for place, words in enumerate(self.feedback) if re.match(r"Yes\b", words)]


def questions(path: Path) -> list[Question]:
    """All questions with choices in the text of a lesson, in order."""
    found = []
    for cell in cells(path, "markdown"):
        for together in CHOICES.findall(cell.source):
            pairs = [(choice.strip(), words.strip()) for choice, words in CHOICE.findall(together)]
            found.append(Question(*map(tuple, zip(*pairs, strict=True))))
    return found
