"""The assignments for Otter-Grader: its blocks, our checkers in its tests, and Otter itself where it is."""

from __future__ import annotations

import ast
import json
import os
import shutil
import subprocess
from pathlib import Path

import nbformat
import pytest
import yaml

from regbook.assignments import first
from regbook.practice.report import Wrong
from tests.solved import FUNCTIONS, ONE, TWO, filled
from tools import otter, student
from tools.toc import ROOT

SEED = 918273
OTTER = shutil.which(os.environ.get("OTTER", "otter"))
each_assignment = pytest.mark.parametrize("path", (ONE, TWO), ids=lambda path: path.stem)


@pytest.fixture(scope="module")
def masters(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("masters")
    assert [path.name for path in otter.build(SEED, folder)] == [ONE.name, TWO.name]
    return folder


def read(path: Path) -> nbformat.NotebookNode:
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    return notebook


def written_for_otter(cell: nbformat.NotebookNode) -> bool:
    return cell.cell_type == "raw" or "BEGIN TEST CONFIG" in cell.source


@each_assignment
def test_a_master_is_the_students_notebook_with_a_question_around_each_exercise(path, masters):
    cells = read(masters / path.name).cells
    given = student.assignment(path).cells
    assert [cell for cell in cells if not written_for_otter(cell)] == given
    assert len({cell.id for cell in cells}) == len(cells)
    assert cells[0].source.startswith("# ASSIGNMENT CONFIG\n")
    config = yaml.safe_load(cells[0].source)
    needed = (masters / config["requirements"]).read_text("utf-8")
    assert all((masters / name).is_file() and name in needed for name in config["files"])
    kinds = [cell.source.splitlines()[0] if written_for_otter(cell) else cell.cell_type for cell in cells]
    test = '""" # BEGIN TEST CONFIG'
    block = ["# BEGIN QUESTION", "markdown", "# BEGIN PROMPT", "code", "# END PROMPT"]
    block += ["# BEGIN TESTS", test, test, "# END TESTS", "# END QUESTION"]
    assert kinds == ["# ASSIGNMENT CONFIG", "code", "markdown", "code", *5 * block]


def cases_of(path: Path) -> dict[str, tuple[dict, str]]:
    """Name of a test -> its settings and its code, read as Otter reads a cell of tests."""
    found = {}
    for cell in read(path).cells:
        if written_for_otter(cell) and cell.cell_type == "code":
            begin, _, rest = cell.source.partition("\n")
            config, end, code = rest.partition('""" # END TEST CONFIG\n')
            assert begin == '""" # BEGIN TEST CONFIG' and end
            [function] = ast.parse(code).body
            found[function.name] = yaml.safe_load(config), code
    return found


def run(code: str, *answers):
    names: dict = {}
    exec(code, names)
    return next(value for value in names.values() if callable(value))(*answers)


@each_assignment
def test_the_seed_and_the_points_are_those_of_the_hidden_tests(path, masters):
    tests = cases_of(masters / path.name)
    hidden = {name: test for name, test in tests.items() if name.startswith("hidden_")}
    assert len(tests) == 10 and len(hidden) == 5
    for name, (config, code) in tests.items():
        assert config == {"hidden": name in hidden, "points": 2 if name in hidden else 0}
        assert f"seed={SEED if name in hidden else 1})" in code
    others = (cell.source for cell in read(masters / path.name).cells if "hidden: true" not in cell.source)
    assert str(SEED) not in "".join(others)


def test_a_test_says_what_the_checker_says(masters, monkeypatch, double_precision):
    asked = []

    def check(answer, seed):
        asked.append(seed)
        return first_check(answer, seed=seed)

    first_check = first.check_g1_5
    monkeypatch.setattr(first, "check_g1_5", check)
    names: dict = {}
    exec(FUNCTIONS["ahead"], names)
    tests = cases_of(masters / ONE.name)
    for name in ("seen_g1_5", "hidden_g1_5"):
        assert run(tests[name][1], names["ahead"]) is None
        with pytest.raises(Wrong, match="Euler"):
            run(tests[name][1], lambda v, w, s, h: w + h * v(w, s))
        for untouched in (None, lambda *_: ...):
            with pytest.raises(AssertionError, match="not done yet"):
                run(tests[name][1], untouched)
    assert {*asked[:4]} == {1} and {*asked[4:]} == {SEED}


# ---------------------------------------------------------------------------------------- Otter itself


def call(folder: Path, *command: str) -> None:
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [OTTER, *command], cwd=folder, env=environment, capture_output=True, encoding="utf-8"
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.slow
@pytest.mark.skipif(not OTTER, reason="Otter-Grader is not here: the variable OTTER can name its command")
@each_assignment
def test_otter_makes_the_students_notebook_and_grades_it(path, masters, tmp_path):
    """Where Otter is installed together with what this project needs. All right, then one wrong answer."""
    name = ast.parse(read(path).cells[-1].source).body[0].name
    made = shutil.copytree(masters, tmp_path / "made")
    call(made, "assign", path.name, "out")
    given = made / "out" / "student" / path.name
    assert str(SEED) not in given.read_text("utf-8")
    assert [cell.source for cell in read(given).cells] == [
        cell.source for cell in student.assignment(path).cells
    ]
    [archive] = (made / "out" / "autograder").glob("*.zip")
    for points, changed in ((10, {}), (8, {name: FUNCTIONS[name].replace("return ", "return 2 * ")})):
        done = tmp_path / str(points)
        done.mkdir()
        nbformat.write(filled(read(given), **changed), done / path.name)
        call(done, "run", path.name, "-a", str(archive), "-o", ".", "--no-logo")
        results = json.loads((done / "results.json").read_text("utf-8"))["tests"]
        assert sum(test.get("score") or 0 for test in results) == points
        assert sum(test.get("max_score") or 0 for test in results) == 10
    said = "".join(test["output"] for test in results)
    assert said.count("Wrong: ") == 3 and f"seed={SEED})" in said  # all together, and each with its test
