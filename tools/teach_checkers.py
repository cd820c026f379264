"""The wrong answers that the tests give to the checkers of a chapter, and the sentences that they get."""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from tools.chapters import module
from tools.teach_chapter import GAP, string_of
from tools.toc import ROOT


@dataclass(frozen=True)
class Case:
    """A wrong answer that the tests give to a checker, and the sentence that it gets."""

    exercise: str
    answer: str
    says: str
    sentence: str


@cache
def cases(chapter: Path) -> list[Case]:
    """Every wrong answer of ``tests/regbook/test_practice_NN.py``, with the checker's sentence for it.

    Raises: ValueError where the checker has no such sentence.
    """
    tree = ast.parse(tests(chapter).read_text(encoding="utf-8"))
    found = []
    for test in tree.body:
        name = re.fullmatch(r"test_(\d+_\d+)_names_the_error", getattr(test, "name", ""))
        if name and isinstance(test, ast.FunctionDef):
            for answer, says in _parameters(test):
                sentence = _sentence(chapter, f"check_{name[1]}", says)
                found.append(Case(name[1].replace("_", "."), _code(answer), says, sentence))
    return found


def tests(chapter: Path) -> Path:
    return ROOT / "tests" / "regbook" / f"test_practice_{chapter.name[:2]}.py"


def checkers(chapter: Path) -> Path:
    return ROOT / "regbook" / "practice" / f"{module(chapter)}.py"


def _parameters(test: ast.FunctionDef) -> list[tuple[ast.expr, str]]:
    """The pairs (answer, what the checker says) that a test runs with."""
    pairs = []
    for decorator in test.decorator_list:
        if isinstance(decorator, ast.Call) and ast.unparse(decorator.func) == "pytest.mark.parametrize":
            for case in decorator.args[1].elts:
                *_, answer, says = case.elts
                pairs.append((answer, ast.literal_eval(says)))
    return pairs


def _code(answer: ast.expr) -> str:
    """What a wrong answer computes: the body of a lambda, or the name that the tests gave it."""
    return ast.unparse(answer.body if isinstance(answer, ast.Lambda) else answer)


@cache
def _messages(chapter: Path) -> dict[str, list[str]]:
    """The sentences of each checker, with a gap where a value stands."""
    found: dict[str, list[str]] = {}
    for function in ast.parse(checkers(chapter).read_text(encoding="utf-8")).body:
        if isinstance(function, ast.FunctionDef):
            inside = {
                id(part)
                for node in ast.walk(function)
                if isinstance(node, ast.JoinedStr)
                for part in node.values
            }
            texts = [
                string_of(node)
                for node in ast.walk(function)
                if isinstance(node, ast.Constant | ast.JoinedStr) and id(node) not in inside
            ]
            found[function.name] = [
                text
                for text in texts
                if " " in text and not text.startswith("Right") and text != ast.get_docstring(function)
            ]
    return found


def _sentence(chapter: Path, checker: str, says: str) -> str:
    """The sentence of a checker in which a test looks for ``says``."""
    messages = _messages(chapter)
    others = [text for name, texts in messages.items() if not name.startswith("check_") for text in texts]
    for text in [*messages[checker], *others]:
        if re.search(says, text):
            return text
    words = re.findall(r"'?\w+'?", says)
    for pattern in [
        re.sub(r"\d+", GAP, says),
        *(says.replace(word, GAP, 1) for word in words),
    ]:  # one is computed
        for text in [*messages[checker], *others]:
            if re.search(pattern, text):
                return text
    raise ValueError(f"expected a sentence of {checker} with {says!r}, found none")
