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
        "sleeper": (["import time", "time.sleep(1000)"], "time"),
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


def grade(folder: Path, *options: str) -> dict[str, dict[str, str]]:
    """Student -> the row of the table."""
    call = [sys.executable, "-m", "tools.grade", str(folder), "--seed", "11", *options]
    done = subprocess.run(call, cwd=ROOT, capture_output=True, encoding="utf-8")
    assert done.returncode == 0, done.stderr
    out = Path(done.stdout.strip().removeprefix("The grades: "))
    with out.open(newline="", encoding="utf-8") as file:
        return {row["student"]: row for row in csv.DictReader(file)}


@pytest.mark.slow
def test_each_hostile_notebook_has_its_own_status_and_nobody_else_suffers(tmp_path):
    outside = tmp_path / "outside.txt"
    cases = hostile(outside)
    folder = write(tmp_path / "Ü b", cases)
    options = ("--seconds", "3", "--memory", "600")
    rows = grade(folder, *options, "--jobs", "2")
    assert {*rows} == {*cases}
    for name, (_, status) in cases.items():
        row = rows[name]
        if status in ("not a notebook", "empty file"):
            assert (row["status"], row["total"], row["results"]) == (status, "0", "")
            continue
        results = dict(part.split(": ", 1) for part in row["results"].split("; "))
        assert results["ex-g1-2"] == status, name
        assert row["ex-g1-2"] == ("2" if status.startswith("right") else "0"), name
        others = {"right"} | ({"right (found by its name)"} if name == "older" else set())
        assert {result for key, result in results.items() if key != "ex-g1-2"} <= others, name
        assert row["total"] == ("10" if status.startswith("right") else "8") and row["of"] == "10", name
    assert rows["older"]["status"] == "older version" and rows["good"]["status"] == "graded"
    assert not outside.exists()
    page = (tmp_path / "Ü b_grades" / "feedback" / "renamed.html").read_text("utf-8")
    assert "10 of 10 points" in page and "G1.2" in page
    assert "The remainder after the second term has slope 2" in (
        tmp_path / "Ü b_grades" / "feedback" / "wrong.html"
    ).read_text("utf-8")
    calm = {name: case for name, case in cases.items() if case[1] != "time"}
    again = grade(write(tmp_path / "again", calm), *options, "--jobs", "1", "--shuffle")
    assert again == {name: row for name, row in rows.items() if name in again}


def test_the_seed_matters_to_an_answer_that_knows_the_public_one():
    """Right for the numbers that the student saw, wrong for those of the grader."""
    draw = properties.random(1)
    names: dict = {"seen": [draw.normal(size=shape) for shape in ((3, 3), (3, 3), 3)][-1][0]}
    spoilt = FUNCTIONS["ahead"].replace("return", "return w if abs(float(w[0] - seen)) > 1e-9 else")
    exec(spoilt, names)
    assert first.check_g1_5(names["ahead"], seed=1).startswith("Right")
    with pytest.raises(AssertionError):
        first.check_g1_5(names["ahead"], seed=11)


@pytest.mark.slow
def test_a_students_notebook_is_graded_too_and_the_numbers_in_a_call(tmp_path):
    page = next((ROOT / "book").glob("01_*.ipynb"))
    notebook = student.for_students(nbformat.read(page, as_version=4), page.stem)
    for one in notebook.cells:
        if one.id == "ex-1-1":
            one.source = "practice.check_1_1(da=27 / 16, db=9 / 16, dx=3 / 32, dR=-1 / 2)"
        if one.id == "ex-1-4":
            one.source = "def hessian_times(f, w, v):\n    return jvp(grad(f), (w,), (v,))[1]"
    rows = grade(write(tmp_path / "in", {"anna/01": (notebook, "")}))
    results = dict(part.split(": ", 1) for part in rows["anna/01"]["results"].split("; "))
    assert results["ex-1-1"] == results["ex-1-4"] == "right" and results["ex-1-2"] == "not done"
    assert rows["anna/01"]["total"] == "2"


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
        (
            [".", "--seed", "1", "--assignment", "x"],
            "as --assignment, got 'x': assignment_1, assignment_2, 01_ad",
        ),
    ],
)
def test_the_command_names_what_it_needs(call, says, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["grade", *call])
    with pytest.raises(SystemExit) as end:
        command.main()
    assert says in f"{end.value}{capsys.readouterr().err}"
