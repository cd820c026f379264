"""The students' notebooks: no solution in them, a place for each answer, checkers that judge it.

They are made here from the pages themselves, which needs no execution; `test_copies.py` holds what copies do
to text. That they run is tested where copies are, in `test_alone.py`.
"""

from __future__ import annotations

import ast
import importlib.util
import json
import re
from pathlib import Path
from types import ModuleType, SimpleNamespace

import nbformat
import pytest
from nbformat import NotebookNode

from tools import copies, student
from tools.chapters import lessons, number, tags
from tools.times import ANNOUNCED
from tools.toc import ROOT, notebooks

each_notebook = pytest.mark.parametrize("path", notebooks(), ids=lambda path: path.stem)
each_lesson = pytest.mark.parametrize("path", lessons(), ids=lambda path: path.stem)
LEAST = 20  # characters: a shorter line of a solution says nothing
FREE = {  # lines of solutions that the chapter itself shows, most of them in code with a bug to be found
    "bar[j] += bar[k] * derivative",
    "assert mismatch < 1e-14",
    "fine = Grid(grid.extent, tuple(2 * m for m in grid.shape))",
    "c = coefficients(image, 0.0)",
    "return grid.cell_volume * (value - reference) @ slope",
    "return w + math.log(following / theta) * velocity",
    "cell = torch.arange(cells)",
    "for _ in range(steps):",
    "J_r, r = torch.func.jacfwd(residual)(w), residual(w)",
    "w = w - torch.linalg.solve(J_r.T @ J_r, J_r.T @ r)",
}


def source(path: Path) -> NotebookNode:
    return nbformat.read(path, as_version=4)


def given(path: Path) -> NotebookNode:
    return student.for_students(source(path), path.stem)


def exercises(path: Path) -> dict[str, NotebookNode]:
    """The cells to write in, of the student's notebook."""
    return {cell.id: cell for cell in given(path).cells if "exercise" in tags(cell)}


def solutions(path: Path) -> dict[str, str]:
    """Id of the exercise -> the cell that solves it."""
    called = (
        (student.CALL.search(cell.source), cell) for cell in source(path).cells if "solution" in tags(cell)
    )
    return {student.cell_id(found[1].replace("_", ".")): cell.source for found, cell in called if found}


def told(path: Path) -> list[str]:
    """All that solves exercises: the cells, and what is folded below questions, but for hints."""
    texts = [cell.source for cell in source(path).cells if "solution" in tags(cell)]
    prose = "\n\n".join(cell.source for cell in source(path).cells if cell.cell_type == "markdown")
    section = prose.partition("\n## Exercises\n")[2].partition("\n## ")[0]
    folds = section.split("<details><summary>")[1:]
    texts += [
        fold.partition("</details>")[0] for fold in folds if not re.match("(First |Second )?[Hh]int<", fold)
    ]
    return [re.sub("^.*?</summary>", "", text) for text in texts]


def leaks(notebook: NotebookNode, texts: list[str]) -> set[str]:
    """The lines of `texts` that stand anywhere in the file, but for those of the cells to write in."""
    stub = {
        line.strip()
        for cell in notebook.cells
        if "exercise" in tags(cell)
        for line in cell.source.split("\n")
    }
    lines = {line.strip() for text in texts for line in text.split("\n")} - stub - FREE
    cells = "\n".join(cell.source for cell in notebook.cells)
    file = nbformat.writes(notebook)  # outputs and metadata, too
    return {
        line
        for line in lines
        if len(line) >= LEAST and (line in cells or json.dumps(line, ensure_ascii=False)[1:-1] in file)
    }


@each_notebook
def test_no_line_of_a_solution_is_left(path):
    assert not leaks(given(path), told(path))


@each_notebook
def test_nothing_that_was_put_out_is_left_and_nothing_but_solutions_is_missing(path):
    cells, before = given(path).cells, source(path).cells
    assert given(path).metadata.regkit.notebook == path.stem
    assert not any(cell.get("outputs") or cell.get("execution_count") for cell in cells)
    kept = [cell.source for cell in before if cell.cell_type == "code" and "solution" not in tags(cell)]
    assert [cell.source for cell in cells if cell.cell_type == "code"] == kept
    text, text_before = (
        "\n\n".join(cell.source for cell in some if cell.cell_type == "markdown") for some in (cells, before)
    )
    for kind in ("int</summary>", 'class="choice"', "after-guess", "<!-- claim:"):
        assert text.count(kind) == text_before.count(kind)
    assert text.count("<details") == text.count("</details>")
    missing = {line.strip() for line in text_before.split("\n")} - {line.strip() for line in text.split("\n")}
    for line in missing - {"</details>"}:
        assert line.startswith("<details><summary>") or any(line in solved for solved in told(path)), line


def test_a_line_that_was_forgotten_is_found():
    """In the text, in an output and in the metadata."""
    path = lessons()[0]
    line = "return jvp(grad(f), (w,), (v,))[1]"
    assert any(line in text for text in told(path))
    for spoil in (
        lambda notebook: notebook.cells.append(nbformat.v4.new_markdown_cell(f"Try `{line}`.")),
        lambda notebook: notebook.cells[-1].metadata.update(answer={"code": line}),
        lambda notebook: notebook.cells.append(
            nbformat.v4.new_code_cell("1", outputs=[nbformat.v4.new_output("stream", text=line)])
        ),
    ):
        notebook = given(path)
        spoil(notebook)
        assert leaks(notebook, told(path)) == {line}


@each_lesson
def test_each_exercise_has_one_cell_for_its_answer_below_its_question(path):
    ids = [cell.id for cell in given(path).cells]
    assert len(ids) == len({*ids})
    waiting, answered = [], []
    for cell in given(path).cells:
        if cell.id.startswith("ex-"):
            assert waiting[-1:] == [cell.id], f"{cell.id} does not stand below its question"
            assert tags(cell) == {"exercise"} if cell.cell_type == "code" else cell.source == ""
            answered.append(waiting.pop())
        elif cell.cell_type == "markdown":
            assert "<details" not in cell.source or not waiting, f"a hint stands before the cell of {waiting}"
            waiting += [student.cell_id(exercise) for exercise, _ in ANNOUNCED.findall(cell.source)]
    announced = [
        n
        for cell in source(path).cells
        if cell.cell_type == "markdown"
        for n in ANNOUNCED.findall(cell.source)
    ]
    assert not waiting and answered == [student.cell_id(exercise) for exercise, _ in announced]


def functions(code: str) -> dict[str, list[str]]:
    found = (node for node in ast.parse(code).body if isinstance(node, ast.FunctionDef))
    return {node.name: [argument.arg for argument in node.args.args] for node in found}


@each_lesson
def test_the_function_to_write_is_the_one_of_the_solution(path):
    for name, cell in exercises(path).items():
        solved = functions(solutions(path)[name])
        assert functions(cell.source).items() <= solved.items()


# ---------------------------------------------------------------------------------------- there and back


def prepared(path: Path) -> dict:
    """What the imports of the student's notebook bind, and nothing else of it."""
    names: dict = {}
    for cell in given(path).cells:
        if cell.cell_type == "code":
            imports = [n for n in ast.parse(cell.source).body if isinstance(n, ast.Import | ast.ImportFrom)]
            exec(compile(ast.Module(imports, []), path.name, "exec"), names)
    return names


def verdict(cell: NotebookNode, names: dict, answer: str = "") -> str:
    """What the check in a cell says, of the functions in `names` or of those of `answer`."""
    *_, call = ast.parse(cell.source).body
    body = [node for node in ast.parse(answer).body if isinstance(node, ast.FunctionDef)]
    exec(compile(ast.Module(body, []), cell.id, "exec"), names)
    return eval(compile(ast.Expression(call.value), cell.id, "eval"), names)


@each_lesson
def test_solutions_put_back_are_right(path, double_precision):
    names = prepared(path)
    for name, cell in exercises(path).items():
        if functions(cell.source):
            assert verdict(cell, names, solutions(path)[name]).startswith("Right"), name
        else:  # numbers, in the call itself
            line = next(line for line in solutions(path)[name].split("\n") if student.CALL.match(line))
            assert verdict(NotebookNode(cell | {"source": line}), names).startswith("Right"), name


def answers_to(path: Path) -> ModuleType:
    """The module that gives a lesson's checkers right and wrong answers."""
    file = ROOT / "tests" / "regbook" / f"test_practice_{path.name.partition('_')[0].lower()}.py"
    spec = importlib.util.spec_from_file_location(f"wrong_answers_{number(path)}", file)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def through_the_cells(path: Path) -> SimpleNamespace:
    """Stands for the module with the checkers, and asks the cells of the student's notebook."""
    names = prepared(path)

    def ask(cell: NotebookNode):
        def check(*answers, **named):
            if written := [*functions(cell.source)]:
                return verdict(cell, names | {written[0]: answers[0]})
            call = ast.parse(cell.source).body[-1].value
            keywords = [keyword.arg for keyword in call.keywords]
            values = dict(zip(keywords, answers, strict=False)) | named
            line = f"{ast.unparse(call.func)}({', '.join(f'{name}=given[{name!r}]' for name in keywords)})"
            return verdict(NotebookNode(cell | {"source": line}), names | {"given": values})

        return check

    return SimpleNamespace(
        **{student.CALL.search(cell.source)[0][9:-1]: ask(cell) for cell in exercises(path).values()}
    )


@pytest.mark.parametrize("path", [p for p in lessons() if exercises(p)], ids=lambda path: path.stem)
def test_each_listed_wrong_answer_gets_its_sentence_in_the_students_notebook(path, double_precision):
    """The cases of the checkers' own tests, asked through the cells."""
    tests, asked = answers_to(path), 0
    tests.practice = through_the_cells(path)
    for name, test in vars(tests).items():
        if name.endswith("names_the_error"):
            parameters = next(mark for mark in test.pytestmark if mark.name == "parametrize")
            for values in parameters.args[1]:
                test(*values)
                asked += 1
    assert asked >= 3


def test_the_files_are_the_same_each_time_and_hold_no_solution_either(book, tmp_path, monkeypatch):
    """Two notebooks, and the assignments, as `make student` writes them: numbers and sources are text."""
    two = [path for path in notebooks() if path.stem in ("01_ad_basics", "A3_which_derivative")]
    monkeypatch.setattr(copies, "notebooks", lambda: two)
    first, second = (student.build(tmp_path / name) for name in ("first", "second"))
    work = sorted(student.ASSIGNMENTS.glob("*.ipynb"))
    assert [path.name for path in first] == [path.name for path in (*two, *work)] and len(work) == 2
    assert [path.read_bytes() for path in first] == [path.read_bytes() for path in second]
    for page, one in zip(two, first, strict=False):
        assert not leaks(source(one), told(page))
        assert {cell.id for cell in given(page).cells} <= {cell.id for cell in source(one).cells}
    assert {path.suffix for path in first[0].parent.iterdir()} == {".ipynb", ".md", ".whl"}
