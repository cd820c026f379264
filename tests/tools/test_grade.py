"""Grading: every answer is found and judged by itself, whatever else is in the notebook, or in the batch."""

from __future__ import annotations

import ast
import csv
import json
import os
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest

from regbook.assignments import first, properties
from tests.solved import FUNCTIONS, ONE, TWO, handed_in
from tools import grade as command
from tools import student
from tools.grade import FILES
from tools.toc import ROOT

pytestmark = pytest.mark.skipif(
    not hasattr(os, "fork"), reason="answers are judged in processes that are forked"
)
NAMES = ("gradient", "hessian", "spline_slope", "spread", "ahead")
IDS = [f"ex-g1-{k}" for k in range(1, 6)]


def body(*lines: str, name: str = "hessian", arguments: str = "residual, w") -> str:
    """An answer to G1.2 that does something first and is right then."""
    return "\n    ".join(
        [f"def {name}({arguments}):", *lines, *FUNCTIONS["hessian"].splitlines()[1:]]
    ).replace("        return", "    return")


def cell(notebook: nbformat.NotebookNode, name: str) -> nbformat.NotebookNode:
    return next(cell for cell in notebook.cells if cell.id == IDS[NAMES.index(name)])


def hostile(outside: Path) -> dict[str, tuple[nbformat.NotebookNode | bytes, str]]:
    """Name -> what is handed in, and what the table says of G1.2, or of the file."""
    found: dict = {"good": (handed_in(), "right")}
    answers = {
        "asleep": (["import time", "time.sleep(1000)"], "time"),
        "loop": (["while True: pass"], "time"),
        "exit": (["import os", "os._exit(0)"], "ended"),
        "memory": (["torch.ones(10**9)"], "memory"),
        "numpy memory": (["np.ones(10**9)"], "memory"),
        "much print": (["for _ in range(100): print('x' * 10**6)"], "right (printed 95 MB)"),
        "network": (
            ["import socket", "socket.create_connection(('1.1.1.1', 80), 5)"],
            "refused (asks the network)",
        ),
        "outside": (
            [f"open({str(outside)!r}, 'w').write('here')"],
            "refused (changes files outside of its folder)",
        ),
        "double precision": (["assert torch.zeros(1).dtype == torch.float64"], "right"),
        "inside": (["open('notes.txt', 'w').write('here')"], "right"),
        "process": (["import os", "os.system('true')"], "refused (starts or stops a process)"),
        "patched": (["import regbook.practice.report as r", "r.wrong = print"], "changed the checker"),
        "patched torch": (["torch.Tensor.__lt__ = lambda *_: True"], "changed the checker"),
        "raises": (["raise KeyError('lost')"], "error"),
    }
    for name, (lines, status) in answers.items():
        found[name] = (handed_in(hessian=body(*lines)), status)
    found["not done"] = (handed_in(hessian="def hessian(residual, w):\n    ..."), "not done")
    found["wrong"] = (handed_in(hessian=body("return torch.eye(4)")), "wrong")
    found["renamed"] = (handed_in(hessian=body(name="hesse")), "right (hessian is called hesse)")
    found["own syntax"] = (handed_in(hessian="def hessian(residual, w:"), "syntax error")

    notebook = found["no check"] = handed_in(), "right"
    cell(notebook[0], "hessian").source = FUNCTIONS["hessian"]
    notebook = found["as text"] = handed_in(), "right (was a cell of text)"
    place = notebook[0].cells.index(cell(notebook[0], "hessian"))
    notebook[0].cells[place] = nbformat.v4.new_markdown_cell(FUNCTIONS["hessian"], id="ex-g1-2")
    notebook = found["deleted"] = handed_in(), "missing"
    notebook[0].cells.remove(cell(notebook[0], "hessian"))
    notebook = found["moved"] = handed_in(), "right (found by its name)"
    cell(notebook[0], "hessian").id = "other"
    notebook = found["syntax elsewhere"] = handed_in(), "right"
    notebook[0].cells.insert(3, nbformat.v4.new_code_cell("def half(:\n    endless", id="broken"))
    notebook = found["loop elsewhere"] = handed_in(), "right"
    notebook[0].cells.insert(3, nbformat.v4.new_code_cell("while True:\n    pass", id="loop"))
    notebook = found["other checker"] = handed_in(hessian=body("return torch.eye(4)")), "wrong"
    patch = "practice.check_g1_2 = lambda *_, **__: 'Right.'\nimport regbook.assignments.first as practice"
    notebook[0].cells.insert(3, nbformat.v4.new_code_cell(patch, id="patch"))

    older = json.loads(nbformat.writes(handed_in()))
    for old in older["cells"]:
        del old["id"]
    older["nbformat_minor"] = 2
    found["older"] = (json.dumps(older).encode(), "right (found by its name)")
    notebook = found["=other metadata"] = handed_in(), "right"
    notebook[0].metadata.regkit = ["lost"]
    found["another"] = handed_in(TWO), "another notebook"
    found["no source"] = json.dumps(older | {"cells": [{"cell_type": "code"}]}).encode(), "not a notebook"
    found["broken"] = (nbformat.writes(handed_in()).encode()[:900], "not a notebook")
    found["no notebook"] = (b"[1, 2]", "not a notebook")
    found["empty"] = (b"", "empty file")
    return found


def write(folder: Path, notebooks: dict) -> Path:
    for name, (content, _) in notebooks.items():
        path = folder / f"{name}.ipynb"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else nbformat.writes(content).encode())
    return folder


LIMITS = ("--seconds", "3", "--memory", "600")
ALL = "import json, sys; from tools import grade\nfor sys.argv in json.loads(sys.argv[1]): grade.main()"


class Graded:
    """A folder that has been graded: the rows of its table, and the pages of feedback."""

    def __init__(self, folder: Path):
        self.folder = folder.with_name(f"{folder.name}_grades")
        with (self.folder / "grades.csv").open(newline="", encoding="utf-8-sig") as file:
            self.rows = {row["student"].lstrip("'"): row for row in csv.DictReader(file)}

    def remarks(self, who: str) -> dict[str, str]:
        return dict(part.split(": ", 1) for part in self.rows[who]["remarks"].split("; ") if part)

    def page(self, who: str) -> str:
        return (self.folder / "feedback" / f"{who}.html").read_text("utf-8")


@pytest.fixture(scope="module")
def outside(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("outside") / "outside.txt"


@pytest.fixture(scope="module")
def graded(tmp_path_factory, outside) -> dict[str, Graded]:
    """All folders of these tests, graded one after the other by one process, which imports torch once."""
    cases = hostile(outside)
    calm = {name: case for name, case in cases.items() if case[1] != "time"}
    folders = {
        "Ü b": (cases, [*LIMITS, "--jobs", "2"]),
        "again": (dict([*calm.items()][::2]), [*LIMITS, "--jobs", "1", "--shuffle"]),
        "second": ({name: (notebook, "") for name, notebook in second().items()}, []),
        "chapter": ({"anna/01": (chapter(), "")}, []),
    }
    base = tmp_path_factory.mktemp("handed in")
    written = [(write(base / name, these), options) for name, (these, options) in folders.items()]
    calls = [["grade", str(folder), "--seed", "11", *options] for folder, options in written]
    done = subprocess.run(
        [sys.executable, "-c", ALL, json.dumps(calls)], cwd=ROOT, capture_output=True, encoding="utf-8"
    )
    assert done.returncode == 0, done.stderr
    assert [line for line in done.stdout.splitlines() if line.startswith("The grades: ")] == [
        f"The grades: {base / name}_grades{os.sep}grades.csv" for name in folders
    ]
    return {name: Graded(base / name) for name in folders}


@pytest.mark.slow
def test_each_hostile_notebook_has_its_own_status_and_nobody_else_suffers(graded, outside):
    cases, done = hostile(outside), graded["Ü b"]
    assert {*done.rows} == {*cases}
    for name, (_, status) in cases.items():
        row = done.rows[name]
        if status in FILES:
            assert (row["status"], row["total"], row["remarks"]) == (status, "0", "")
            assert FILES[status].said in done.page(name) and "G1.2" not in done.page(name)
            continue
        assert done.remarks(name).get("G1.2", "right") == status, name
        assert row["G1.2"] == ("2" if status.startswith("right") else "0"), name
        others = {result for number, result in done.remarks(name).items() if number != "G1.2"}
        assert others == ({"right (found by its name)"} if name == "older" else set()), name
        assert row["total"] == ("10" if status.startswith("right") else "8") and row["of"] == "10", name
    assert done.rows["older"]["status"] == "older version" and done.rows["good"]["status"] == "graded"
    assert not outside.exists()


@pytest.mark.slow
def test_the_pages_of_feedback_say_what_the_checkers_say(graded):
    page = graded["Ü b"].page
    assert "10 of 10 points" in page("renamed") and "hessian is called hesse" in page("renamed")
    assert "G1.2 The Hessian of a sum of squares" in page("wrong") and "8 of 10 points" in page("wrong")
    assert "The remainder after the second term has slope 2" in page("wrong")
    assert "Your answer raises KeyError in line 2 of the cell: &#x27;lost&#x27;" in page("raises")
    assert "Your answer asks the network, which is not allowed here.</p>" in page("network")
    assert not any("Traceback" in page(name) for name in graded["Ü b"].rows)


@pytest.mark.slow
def test_one_job_in_another_order_gives_the_same_grades(graded):
    again = graded["again"].rows
    assert len(again) > 12 and again == {name: graded["Ü b"].rows[name] for name in again}


def second() -> dict[str, nbformat.NotebookNode]:
    """The second assignment, right, and with an error in each answer."""
    spoilt = {
        "expand": FUNCTIONS["expand"].replace("/ factor ** 2", "/ factor"),
        "smoothed": FUNCTIONS["smoothed"].replace("strength *", "strength ** 2 *"),
        "reduced_gradient": FUNCTIONS["reduced_gradient"].replace("0.5 *", "-0.5 *"),
        "pull_back": FUNCTIONS["pull_back"].replace("-torch.outer", "torch.outer"),
        "iterate": FUNCTIONS["iterate"].replace("range(count)", "range(count + 1)"),
    }
    assert all(spoilt[name] != FUNCTIONS[name] for name in spoilt)
    return {"right": handed_in(TWO), "wrong": handed_in(TWO, **spoilt)}


@pytest.mark.slow
def test_the_second_assignment_is_graded_too(graded):
    done = graded["second"]
    assert done.rows["right"]["total"] == "10" and not done.remarks("right")
    assert done.remarks("wrong") == {f"G2.{k}": "wrong" for k in range(1, 6)}
    for said in ("one factor", "squared", "sign", "sign of Ā", "after 2"):
        assert said in done.page("wrong")


def test_the_seed_matters_to_an_answer_that_knows_the_public_one():
    """Right for the numbers that the student saw, wrong for those of the grader."""
    draw = properties.random(1)
    names: dict = {"seen": [draw.normal(size=shape) for shape in ((3, 3), (3, 3), 3)][-1][0]}
    spoilt = FUNCTIONS["ahead"].replace("return", "return w if abs(float(w[0] - seen)) > 1e-9 else")
    exec(spoilt, names)
    assert first.check_g1_5(names["ahead"], seed=1).startswith("Right")
    with pytest.raises(AssertionError):
        first.check_g1_5(names["ahead"], seed=11)


def chapter() -> nbformat.NotebookNode:
    """Chapter 1 as a student has it, with two answers: numbers in a call, and a function."""
    page = next((ROOT / "book").glob("01_*.ipynb"))
    notebook = student.for_students(nbformat.read(page, as_version=4), page.stem)
    for one in notebook.cells:
        if one.id == "ex-1-1":
            one.source = "practice.check_1_1(da=27 / 16, db=9 / 16, dx=3 / 32, dR=-1 / 2)"
        if one.id == "ex-1-4":
            one.source = "def hessian_times(f, w, v):\n    return jvp(grad(f), (w,), (v,))[1]"
    return notebook


@pytest.mark.slow
def test_a_students_notebook_is_graded_too_and_the_numbers_in_a_call(graded):
    done = graded["chapter"]
    row, remarks = done.rows["anna/01"], done.remarks("anna/01")
    assert row["1.1"] == row["1.4"] == "1" and row["total"] == "2"
    assert not {"1.1", "1.4"} & {*remarks} and remarks["1.2"] == "not done"


@pytest.mark.parametrize("path", (ONE, TWO), ids=lambda path: path.stem)
def test_an_assignment_runs_as_it_is_and_says_what_is_to_be_done(path, double_precision):
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    assert notebook.metadata.regkit.notebook == path.stem
    names: dict = {}
    numbers = []
    for one in notebook.cells:
        if one.cell_type == "code":
            assert one.outputs == [] and max(map(len, one.source.splitlines())) <= 76
            *before, last = ast.parse(one.source).body
            exec(compile(ast.Module(before, []), path.name, "exec"), names)
            said = eval(compile(ast.Expression(last.value), path.name, "eval"), names)
            if "exercise" in one.metadata.get("tags", []):
                numbers.append(one.id.removeprefix("ex-").replace("-", ".").upper())
                assert said == f"{numbers[-1]}: not done yet." and one.metadata.points == 2
    text = "\n".join(one.source for one in notebook.cells if one.cell_type == "markdown")
    assert len(numbers) == 5 and all(f"\n## {number} " in f"\n{text}" for number in numbers)


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (["none", "--seed", "1"], "expected a folder, got none"),
        (["."], "--seed"),
        ([".", "--seed", "1"], "expected notebooks of the book or assignments in ., found none"),
        ([".", "--seed", "1", "--assignment", "x"], "assignment_1"),
    ],
)
def test_the_command_names_what_it_needs(call, says, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["grade", *call])
    with pytest.raises(SystemExit) as end:
        command.main()
    assert says in f"{end.value}{capsys.readouterr().err}"
