"""The exercises: each one in code has a cell to write in, which runs as it is, and a folded solution."""

import ast
import builtins
import importlib.util
import re
from pathlib import Path
from types import ModuleType

import nbformat
import pytest

from tools.chapters import chapters, lessons, module, tags
from tools.times import ANNOUNCED

each_lesson = pytest.mark.parametrize("path", lessons(), ids=lambda path: path.stem)
CALL = re.compile(r"\bpractice\.(check_a?\d+_\d+)\(")
FOLDED = {"outputs_hidden": True, "source_hidden": True}  # in JupyterLab and VS Code


def all_cells(path: Path) -> list[nbformat.NotebookNode]:
    return nbformat.read(path, as_version=4).cells


def practice_of(path: Path) -> ModuleType | None:
    """The module with the checkers; an appendix without exercises has none."""
    name = f"regbook.practice.{module(path)}"
    there = path in chapters() or importlib.util.find_spec(name)
    return importlib.import_module(name) if there else None


def checkers(path: Path) -> list[str]:
    if (practice := practice_of(path)) is None:
        return []
    return [name for name in vars(practice) if name.startswith("check_")]


def checker(number: str) -> str:
    """ "A1.2" → "check_a1_2" """
    return "check_" + number.replace(".", "_").lower()


def is_in_code(kinds: str) -> bool:
    return any(kind.strip() in ("code", "hit a target") for kind in kinds.split(","))


@each_lesson
def test_each_exercise_in_code_has_a_checker(path: Path):
    text = "\n".join(cell.source for cell in all_cells(path) if cell.cell_type == "markdown")
    for number, kinds in ANNOUNCED.findall(text):
        if is_in_code(kinds):
            assert checker(number) in checkers(path)


@each_lesson
def test_each_checker_is_called_in_a_cell_to_write_in_and_then_in_a_solution(path: Path):
    places = {name: {} for name in checkers(path)}
    for index, cell in enumerate(all_cells(path)):
        if cell.cell_type == "code":
            for name in CALL.findall(cell.source):
                kind = "exercise" if "exercise" in tags(cell) else "solution"
                assert kind in tags(cell) and kind not in places[name], f"{name} in:\n{cell.source}"
                places[name][kind] = index
    for name, found in places.items():
        assert len(found) == 2 and found["exercise"] < found["solution"], f"{name}: {found}"


@each_lesson
def test_the_cell_stands_between_the_exercise_and_its_hint(path: Path):
    """What was announced last above it is its own exercise, and nothing of that has been folded yet."""
    above = ""
    for cell in all_cells(path):
        if cell.cell_type == "markdown":
            above += cell.source + "\n\n"
        elif "exercise" in tags(cell):
            last = list(ANNOUNCED.finditer(above))[-1]
            assert CALL.findall(cell.source) == [checker(last[1])]
            assert "<details" not in above[last.end() :], f"the cell comes after a hint:\n{cell.source}"


@each_lesson
def test_the_cell_runs_as_it_is_and_says_that_it_is_not_done(path: Path):
    practice = practice_of(path)
    for cell in all_cells(path):
        if cell.cell_type == "code" and "exercise" in tags(cell):
            *before, last = ast.parse(cell.source).body
            names = {"practice": practice}
            exec(compile(ast.Module(before, []), str(path), "exec"), names)
            said = eval(compile(ast.Expression(last.value), str(path), "eval"), names)
            number = CALL.findall(cell.source)[0].removeprefix("check_").replace("_", ".").upper()
            assert said == f"{number}: not done yet."
            for function in before:
                assert isinstance(function, ast.FunctionDef) and ast.get_docstring(function), cell.source


@each_lesson
def test_solutions_are_folded_in_the_page_and_in_jupyter(path: Path):
    solutions = [cell for cell in all_cells(path) if "solution" in tags(cell)]
    assert solutions or path not in chapters()
    for cell in solutions:
        assert "hide-cell" in tags(cell) and cell.metadata.get("jupyter") == FOLDED, cell.source


def names_of(source: str) -> tuple[set[str], set[str], set[str]]:
    """The names that a cell binds, that it needs when it runs, and when its functions are called."""
    bound, now, later = set(), set(), set()
    for statement in ast.parse(source).body:
        if isinstance(statement, ast.FunctionDef | ast.ClassDef):
            later |= loaded(statement)
        else:
            now |= loaded(statement) - bound
        bound |= stored(statement)
    known = set(dir(builtins))
    return bound, now - known, later - bound - known


SCOPES = (ast.Lambda, ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)


def stored(node: ast.AST) -> set[str]:
    """The names that a piece of code binds around it."""
    if isinstance(node, ast.FunctionDef | ast.ClassDef):
        return {node.name}
    if isinstance(node, SCOPES):
        return set()
    if isinstance(node, ast.Import | ast.ImportFrom):
        return {(alias.asname or alias.name).split(".")[0] for alias in node.names}
    if isinstance(node, ast.ExceptHandler):
        return {node.name or ""}.union(*map(stored, node.body))
    if isinstance(node, ast.Name):
        return {node.id} if isinstance(node.ctx, ast.Store) else set()
    return set().union(*map(stored, ast.iter_child_nodes(node)))


def loaded(node: ast.AST) -> set[str]:
    """The names that a piece of code needs from around it."""
    if isinstance(node, ast.Name):
        return {node.id} if isinstance(node.ctx, ast.Load) else set()
    found = set().union(*map(loaded, ast.iter_child_nodes(node)))
    own = set()
    if isinstance(node, ast.FunctionDef | ast.Lambda):
        own = {inside.arg for inside in ast.walk(node.args) if isinstance(inside, ast.arg)}
    if isinstance(node, ast.FunctionDef | ast.ClassDef):
        own = own.union(*map(stored, node.body))
    if isinstance(node, ast.ListComp | ast.SetComp | ast.DictComp | ast.GeneratorExp):
        own = own.union(*(stored(part.target) for part in node.generators))
    if isinstance(node, ast.For | ast.With | ast.Try):
        own = stored(node)
    return found - own


@each_lesson
def test_nothing_needs_what_an_exercise_or_its_solution_defines(path: Path):
    """Without the solutions, and with the exercises as they are, the chapter runs as it is."""
    safe: dict[str, bool] = {}  # name -> was it bound last by a cell of neither kind?
    called, ever = set(), set()
    for cell in all_cells(path):
        if cell.cell_type != "code":
            continue
        bound, now, later = names_of(cell.source)
        own = bool(tags(cell) & {"exercise", "solution"})
        if not own:
            unsafe = sorted(name for name in now if not safe.get(name, False))
            assert not unsafe, f"{unsafe} of an exercise, or of nowhere, in:\n{cell.source}"
            called, ever = called | later, ever | bound
        safe |= dict.fromkeys(bound, not own)
    assert called <= ever, f"functions need {sorted(called - ever)}"
