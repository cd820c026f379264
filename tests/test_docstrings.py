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
FILES = [*sorted((ROOT / "regkit").glob("*.py")), ROOT / "regbook" / "explore" / "__init__.py"]


def documented() -> Iterator[tuple[str, object]]:
    """Every public class and function, and what is public in the classes, by its full name."""
    for module in modules():
        for name in public(module):
            thing = getattr(module, name)
            yield f"{module.__name__}.{name}", thing
            for member, value in vars(thing).items() if inspect.isclass(thing) else ():
                if member[0] != "_" and member not in getattr(thing, "_fields", ()) and _is_code(value):
                    yield f"{module.__name__}.{name}.{member}", getattr(thing, member)


def _is_code(value: object) -> bool:
    """Is this a method or a property?"""
    return callable(value) or hasattr(value, "__get__")


def parameters(thing: object) -> dict[str, object]:
    """The names of what a function takes, or a dataclass is made of, with their annotations."""
    if dataclasses.is_dataclass(thing):
        if not inspect.get_annotations(thing):  # the fields are those of the class that it is a child of
            return {}
        return {field.name: field.type for field in dataclasses.fields(thing) if field.init}
    if inspect.isclass(thing) and "__init__" in vars(thing) and not getattr(thing, "_is_protocol", False):
        thing = thing.__init__
    if not (inspect.isroutine(thing) and callable(inspect.unwrap(thing))):
        return {}
    taken = inspect.signature(thing).parameters
    return {name: p.annotation for name, p in taken.items() if name not in ("self", "cls")}


def sections(docstring: str) -> dict[str, str]:
    """What stands under each heading; what stands before the first is under ""."""
    parts = HEADING.split(docstring)
    return {"": parts[0], **dict(zip(parts[1::2], parts[2::2], strict=True))}


def entries(text: str) -> dict[str, str]:
    """From the lines ``name (shape, unit): meaning`` of Args, what stands in brackets after each name.

    Several names before one colon share their meaning, ``w, x0: as in ...``, which stands for a shape too.
    """
    found = re.findall(r"^    \*{0,2}(\w+(?:, \w+)*)(?: \((.+)\))?: (as in )?", text, re.MULTILINE)
    return {name: shape or as_in for names, shape, as_in in found for name in names.split(", ")}


DOCUMENTED = dict(documented())
each = pytest.mark.parametrize("thing", DOCUMENTED.values(), ids=DOCUMENTED.keys())


@each
def test_begins_with_a_sentence(thing):
    docstring = inspect.getdoc(thing)
    assert docstring, "expected a docstring"
    first = docstring.split("\n\n")[0]
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
    """All in order, if two or more; what is a tensor with its shape, or that of which other one it has.

    A method may leave it to its sentence, for the symbols of its class or module.
    """
    taken = parameters(thing)
    listed = entries(sections(inspect.getdoc(thing)).get("Args", ""))
    method = not inspect.isclass(thing) and "." in getattr(thing, "__qualname__", ".")
    if (listed and taken) or (len(taken) >= 2 and not method):
        assert list(listed) == list(taken)
    assert not [name for name, shape in listed.items() if ":" in shape], "a page ends the brackets there"
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
                if not example and not paragraph.startswith(" "):
                    yield indent + paragraph.replace("\n", f"\n{indent}")


def passages(paragraph: str) -> list[list[str]]:
    """The lines that run on: of a section those of each entry, else all."""
    first, *lines = paragraph.splitlines()
    if not HEADING.match(first.strip()):
        return [[first, *lines]]
    entry = re.compile(re.match(" *", lines[0])[0] + r"\S")
    begins = [k for k, line in enumerate(lines) if entry.match(line)]
    return [lines[a:b] for a, b in zip(begins, [*begins[1:], len(lines)], strict=True)]


@pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_prose_is_wrapped_well(path: Path):
    for paragraph in paragraphs(path):
        if re.search(r"\S {3,}\S", paragraph):  # a table
            continue
        for lines in passages(paragraph):
            last = lines[-1].strip()
            assert len(lines) == 1 or max(map(len, lines)) <= WIDTH, (
                f"more than {WIDTH} columns:\n{paragraph}"
            )
            lonely = len(lines) > 1 and (len(last) < SHORTEST or " " not in last) and "https://" not in last
            assert not lonely, f"a lonely last word:\n{paragraph}"
