"""What nbval executed is kept once, shown as it was, and not believed longer than its code holds."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest

from tools.executed import ABOUT, read
from tools.toc import notebooks

MOST = 1500  # megabytes of a kernel
GOOD = [
    "import pkg\nprint('one')\nprint('two')",
    "x = [pkg.VALUE]\nx",
    "len(b'x' * 300_000_000);",
    "display({'text/html': '<b>b</b>'}, raw=True)",
]
WARNS = ["import warnings\nwarnings.warn('too hot')", "1"]
FAILS = ["2", "def inner():\n    raise ArithmeticError('too cold')\n\ninner()", "print('not reached')"]
TOC = "format: jb-book\nroot: book/good\nchapters:\n  - file: book/warns\n  - file: book/fails\n"
STATE = """
import json
from tools.executed import stale, whole
from tools.toc import ROOT
answer = {"stale": [path.stem for path in stale()]}
try:
    answer["whole"] = whole(ROOT / "book" / "good.ipynb")
except ValueError as error:
    answer["error"] = str(error)
print(json.dumps(answer))
"""


def write(path: Path, code: list[str], text: str = "# Title") -> None:
    cells = [nbformat.v4.new_markdown_cell(text), *map(nbformat.v4.new_code_cell, code)]
    kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    nbformat.write(nbformat.v4.new_notebook(cells=cells, metadata=kernel), path)


def python(folder: Path, *arguments: str) -> subprocess.CompletedProcess:
    command = [sys.executable, *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, encoding="utf-8")


def state(folder: Path) -> dict:
    done = python(folder, "-c", STATE)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.fixture(scope="module")
def project(root: Path, tmp_path_factory) -> Path:
    """A project of three notebooks and one package, in a folder with a space and an umlaut."""
    folder = tmp_path_factory.mktemp("a") / "Ü b"
    shutil.copytree(root / "tools", folder / "tools", ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "requirements.txt"):
        shutil.copy(root / name, folder)
    (folder / "_toc.yml").write_text(TOC, encoding="utf-8")
    (folder / "pkg").mkdir()
    (folder / "pkg" / "__init__.py").write_text("VALUE = 7\n", encoding="utf-8")
    (folder / "book").mkdir()
    for name, cells in (("good", GOOD), ("warns", WARNS), ("fails", FAILS)):
        write(folder / "book" / f"{name}.ipynb", cells)
    return folder


@pytest.fixture(scope="module")
def run(project: Path) -> str:
    """What the execution of the three prints."""
    code = "from tools.book import execute; from tools.executed import stale; print(execute(stale()))"
    environment = {"PYTHONPATH": str(project)}
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=project,
        env=os.environ | environment,
        capture_output=True,
        encoding="utf-8",
    )
    assert done.stdout.endswith("False\n"), done.stdout + done.stderr
    return re.sub(r"\x1b\[[0-9;]*m", "", done.stdout)


def test_each_notebook_has_a_line_and_nothing_else_is_said_of_those_that_pass(run):
    lines = re.findall(r"^  ([123]) of 3: (good executed in \d+ s|warns failed|fails failed)$", run, re.M)
    assert sorted(number for number, _ in lines) == ["1", "2", "3"]
    assert {words.split()[0] for _, words in lines} == {"good", "warns", "fails"}
    assert "good" not in run.replace("good executed", "")


def test_a_failing_cell_shows_its_traceback_and_ends_its_notebook(run):
    assert "ArithmeticError: too cold" in run and "def inner():" in run
    assert sorted(re.findall(r"^Cell (\d): ", run, re.M)) == ["0", "1"]  # one in each of the two that fail


def test_a_warning_fails(run):
    assert "The cell warned, or wrote to stderr" in run and "UserWarning: too hot" in run


def test_outputs_are_kept_as_jupyter_would_store_them(run, project):
    answer = state(project)
    assert sorted(answer["stale"]) == ["fails", "warns"]
    notebook = nbformat.from_dict(answer["whole"])
    nbformat.validate(notebook)
    assert notebook.metadata.language_info.pygments_lexer == "ipython3"
    _, first, second, third, fourth = notebook.cells
    assert first.outputs == [{"output_type": "stream", "name": "stdout", "text": "one\ntwo\n"}]
    assert second.outputs[0].data == {"text/plain": "[7]"} and second.outputs[0].execution_count == 2
    assert third.outputs == []  # IPython sees the semicolon
    assert fourth.outputs[0].data == {"text/html": "<b>b</b>"}
    assert [cell.execution_count for cell in notebook.cells[1:]] == [1, 2, 3, 4]


LINUX = pytest.mark.skipif(not Path("/proc/self/status").is_file(), reason="only Linux says it")


@LINUX
def test_the_most_memory_is_kept_not_the_last(run, project):
    copy = nbformat.read(project / "_build" / "executed" / "good.ipynb", as_version=4)
    assert 300 < copy.metadata[ABOUT]["megabytes"] < 900


@LINUX
@pytest.mark.parametrize("path", notebooks(), ids=lambda path: path.stem)
def test_a_notebook_of_the_book_runs_in_a_small_machine(path, book):
    """Binder gives 2 GB, and a class server has one such kernel for each student."""
    assert 100 < read(path).metadata[ABOUT]["megabytes"] < MOST


def test_new_text_needs_no_run_and_reaches_the_page(run, project):
    write(project / "book" / "good.ipynb", GOOD, text="# A better title")
    answer = state(project)
    assert "good" not in answer["stale"]
    assert answer["whole"]["cells"][0]["source"] == "# A better title"
    assert answer["whole"]["cells"][1]["outputs"]


@pytest.mark.parametrize("what", ["code", "package"])
def test_a_run_does_not_count_after_a_change(run, project, what):
    path = project / ("book/good.ipynb" if what == "code" else "pkg/__init__.py")
    before = path.read_text(encoding="utf-8")
    if what == "code":
        write(path, [*GOOD, "8"])
    else:
        path.write_text("VALUE = 8\n", encoding="utf-8")
    answer = state(project)
    path.write_text(before, encoding="utf-8")
    assert "good" in answer["stale"]
    assert answer["error"] == "expected good.ipynb to have been executed as it is: `make book` does that"
    assert "good" not in state(project)["stale"]
