"""Docstrings of one form: a page, a hover and a reader find the same things in the same places."""

from __future__ import annotations

import ast
import dataclasses
import inspect
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tools.api_pages import modules, public
from tools.toc import ROOT

SECTIONS = ("Args", "Returns", "Raises", "Example", "Source")
WIDTH = 100  # of prose
SHORTEST = 8  # letters of the last line of a paragraph, in two words: one alone reads like a slip
HEADING = re.compile(r"^([A-Z]\w+):$", re.MULTILINE)
DONE = ("regkit.checks", "regkit.data", "regkit.grid", "regkit.spline")
FILES = [ROOT.joinpath(*name.split(".")).with_suffix(".py") for name in (*DONE, "regkit._require")]


def documented() -> Iterator[tuple[str, object]]:
    """Every public class and function, and what is public in the classes, by its full name."""
    for module in (module for module in modules() if module.__name__ in DONE):
        for name in public(module):
            thing = getattr(module, name)
            yield f"{module.__name__}.{name}", thing
            for member, value in vars(thing).items() if inspect.isclass(thing) else ():
                if member[0] != "_" and (callable(value) or hasattr(value, "__get__")):
                    yield f"{module.__name__}.{name}.{member}", getattr(thing, member)


def parameters(thing: object) -> dict[str, object]:
    """The names of what a function takes, or a dataclass is made of, with their annotations."""
    if dataclasses.is_dataclass(thing):
        return {field.name: field.type for field in dataclasses.fields(thing) if field.init}
    if not inspect.isroutine(thing):
        return {}
    taken = inspect.signature(thing).parameters
    return {name: p.annotation for name, p in taken.items() if name not in ("self", "cls")}


def sections(docstring: str) -> dict[str, str]:
    """What stands under each heading; what stands before the first is under ""."""
    parts = HEADING.split(docstring)
    return {"": parts[0], **dict(zip(parts[1::2], parts[2::2], strict=True))}


def entries(text: str) -> dict[str, str]:
    """From the lines ``name (shape, unit): meaning`` of Args, what stands in brackets after each name."""
    return dict(re.findall(r"^    \*{0,2}(\w+)(?: \((.+?)\))?: ", text, re.MULTILINE))


DOCUMENTED = dict(documented())
each = pytest.mark.parametrize("thing", DOCUMENTED.values(), ids=DOCUMENTED.keys())


@each
def test_begins_with_a_sentence(thing):
    docstring = inspect.getdoc(thing)
    assert docstring, "expected a docstring"
    first = docstring.split("\n\n")[0]
    assert first[0].isupper() or not first[0].isalpha() or first[0] == "`" or "=" in first, first
    assert first.endswith((".", "?", ":")), first
    assert len(first.splitlines()) == 1, f"expected one line, got:\n{first}"


@each
def test_has_the_sections_in_order(thing):
    found = [name for name in HEADING.findall(inspect.getdoc(thing)) if name]
    assert found == [name for name in SECTIONS if name in found]
    assert not re.search(
        r"^(Errors?|Sources?|Returns?|Raises|Examples?): \S", inspect.getdoc(thing), re.MULTILINE
    )


@each
def test_names_every_argument(thing):
    """In order, for two or more; and what is a tensor with its shape, or that of which other one it has."""
    taken = parameters(thing)
    listed = entries(sections(inspect.getdoc(thing)).get("Args", ""))
    if len(taken) >= 2 or listed:
        assert list(listed) == list(taken)
    for name, annotation in taken.items():
        if listed and str(annotation).startswith(("torch.Tensor", "Tensor")):
            assert listed[name], f"expected the shape of {name} in brackets after its name"


def paragraphs(path: Path) -> Iterator[str]:
    """The prose of all docstrings of a file: no examples, no formulas that stand apart."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef):
            docstring = ast.get_docstring(node, clean=True) or ""
            indent = " " * (getattr(node, "col_offset", -4) + 4)
            example = False
            for paragraph in docstring.split("\n\n"):
                example = paragraph.startswith("Example:") or (example and not HEADING.match(paragraph))
                if not example:
                    yield indent + paragraph.replace("\n", f"\n{indent}")


@pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_prose_is_wrapped_well(path: Path):
    for paragraph in paragraphs(path):
        lines = paragraph.splitlines()
        if len(lines) > 1 and not re.search(r"\S {3,}\S", paragraph):
            assert max(map(len, lines)) <= WIDTH, f"expected at most {WIDTH} columns:\n{paragraph}"
            ends = [
                a for a, b in zip(lines, [*lines[1:], ""], strict=True) if _indent(b) < _indent(a) or not b
            ]
            lonely = [line for line in ends if len(line.strip()) < SHORTEST or " " not in line.strip()]
            lonely = [line for line in lonely if "https://" not in line]
            assert not lonely, f"a lonely last word:\n{paragraph}"


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip())
