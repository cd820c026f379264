"""What a chapter says itself of what teachers need: its votes, objectives, exercises, claims and headings."""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import nbformat

from tools import times
from tools.chapters import CHOICE, CHOICES, cells, sections
from tools.teach_page import front, page

HEADING = re.compile(r"^#{2,3} +(.+)$", re.MULTILINE)
CLAIM = re.compile(r"<!-- claim: ([a-z0-9-]+) -->\s*\*\*(.+?)\*\*", re.DOTALL)
GAP = "…"  # stands where a sentence has a number that is computed


@dataclass(frozen=True)
class Vote:
    """A question to vote on; the right one of its choices, or None where a place on a slider is asked for."""

    name: str
    where: str
    question: str
    choices: tuple[str, ...]
    feedback: tuple[str, ...]
    right: int | None


@cache
def votes(chapter: Path) -> list[Vote]:
    """All guesses and all questions of a chapter, in reading order: "guess 1", "predict", "checkpoint 3"."""
    found: list[Vote] = []
    where = ""

    def named(kind: str) -> str:
        return f"{kind} {1 + sum(vote.name.split()[0] == kind for vote in found)}"

    for cell in nbformat.read(chapter, as_version=4).cells:
        if cell.cell_type == "code":
            found += [_guess(call, named("guess"), where) for call in _guesses(cell.source)]
            continue
        end = 0
        for together in CHOICES.finditer(cell.source):
            before = cell.source[end : together.start()]
            where = (HEADING.findall(cell.source[: together.start()]) or [where])[-1]
            pairs = [(one_line(a), one_line(b)) for a, b in CHOICE.findall(together[0])]
            choices, feedback = zip(*pairs, strict=True)
            right = next(k for k, words in enumerate(feedback) if words.startswith("Yes"))
            name = named("checkpoint") if where == "Checkpoint" else "predict"
            found.append(Vote(name, where, _asked(before), choices, feedback, right))
            end = together.end()
        where = (HEADING.findall(cell.source) or [where])[-1]
    return found


def _asked(text: str) -> str:
    """The question above its choices: the last paragraph, without its number."""
    paragraph = one_line(text.strip().rpartition("\n\n")[2])
    return re.sub(r"^\d+\. ", "", paragraph.strip("*"))


def one_line(text: str) -> str:
    return " ".join(text.split())


def _guesses(source: str) -> list[ast.Call]:
    if "Guess(" not in source:
        return []
    calls = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Call)]
    return [call for call in calls if isinstance(call.func, ast.Name) and call.func.id == "Guess"]


def _guess(call: ast.Call, name: str, where: str) -> Vote:
    given = dict(zip(("question", "options", "answer", "explain"), call.args, strict=False))
    given |= {keyword.arg: keyword.value for keyword in call.keywords}
    options = given.get("options")
    choices = tuple(map(string_of, options.elts)) if isinstance(options, ast.List) else ()
    right = ast.literal_eval(given["answer"]) if choices else None
    return Vote(name, where, string_of(given["question"]), choices, (), right)


def string_of(node: ast.expr) -> str:
    """A string of the code, with a gap where a value stands in it."""
    if isinstance(node, ast.JoinedStr):
        return "".join(part.value if isinstance(part, ast.Constant) else GAP for part in node.values)
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else ""


@cache
def objectives(chapter: Path) -> list[str]:
    """The objectives of a chapter, in its own words."""
    text = next(text for title, text in sections(chapter) if title.startswith("What you will learn"))
    return [one_line(item) for item in re.findall(r"^\d+\. (.+?)[;.]?$", text, re.MULTILINE)]


def stated(objective: str) -> list[str]:
    """What an objective names itself: "(exercises 1.1 to 1.3)", "(checkpoint 3, 1.6)"."""
    names = []
    for inside in re.findall(r"\(([^()]+)\)", objective):
        for first, last in re.findall(r"(\d+\.\d+)(?: to (\d+\.\d+))?", inside):
            chapter, _, start = first.partition(".")
            end = last.partition(".")[2] or start
            names += [f"{chapter}.{k}" for k in range(int(start), int(end) + 1)]
        names += re.findall(r"checkpoint \d+", inside)
    return names


def served(chapter: Path) -> list[list[str]]:
    """For each objective what serves it: the names in the chapter, then those of the page."""
    more = front(page(chapter))["objectives"]
    return [
        list(dict.fromkeys([*stated(words), *map(str, names)]))
        for words, names in zip(objectives(chapter), more, strict=True)
    ]


@cache
def exercises(chapter: Path) -> dict[str, str]:
    """The numbers of the exercises, and their kinds: {"5.1": "on paper"}."""
    text = "\n".join(cell.source for cell in cells(chapter, "markdown"))
    return dict(times.ANNOUNCED.findall(text))


@cache
def claims(chapter: Path) -> dict[str, str]:
    """The labels of the claims, and their words."""
    text = "\n\n".join(cell.source for cell in cells(chapter, "markdown"))
    return {label: one_line(words) for label, words in CLAIM.findall(text)}


@cache
def headings(chapter: Path) -> list[str]:
    return [title for cell in cells(chapter, "markdown") for title in HEADING.findall(cell.source)]


def slug(heading: str) -> str:
    """The anchor of a heading."""
    return re.sub(r"[^\w\u4e00-\u9fff\- ]", "", heading.strip().lower().replace(" ", "-"))
