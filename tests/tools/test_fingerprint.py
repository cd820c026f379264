"""A notebook is executed again when, and only when, something that it uses has changed."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tools import fingerprint as tool
from tools.toc import notebooks

SOURCES = {
    "requirements.txt": "numpy==2.0\n",
    "tools/keep_outputs.py": "",
    "pkg/__init__.py": "",
    "pkg/a.py": "from . import b\n",
    "pkg/b.py": "def later():\n    from pkg.deep.c import name\n",
    "pkg/deep/__init__.py": "from ..d import value\n",
    "pkg/deep/c.py": "import numpy, os.path\nname = 1\n",
    "pkg/deep/style.css": "figure {}",
    "pkg/deep/more/record.npz": "numbers",
    "pkg/d.py": "value = 1\n",
    "pkg/alone.py": "",
}
REACHED_FROM_A = [name for name in SOURCES if name.startswith("pkg/") and name != "pkg/alone.py"]


def write(path: Path, *cells: str, text: str = "# A title") -> Path:
    code = [{"cell_type": "code", "source": cell.splitlines(keepends=True)} for cell in cells]
    path.write_text(json.dumps({"cells": [{"cell_type": "markdown", "source": [text]}, *code]}), "utf-8")
    return path


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project of eight modules with two notebooks, one.ipynb and two.ipynb."""
    for name, content in SOURCES.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content, encoding="utf-8")
    write(tmp_path / "one.ipynb", "%matplotlib inline\nfrom pkg import a", "!ls\na.b.later()")
    write(tmp_path / "two.ipynb", "import pkg.alone as alone")
    return tmp_path


def marks(root: Path) -> dict[str, str]:
    return {path.stem: tool.fingerprint(path, root) for path in sorted(root.glob("*.ipynb"))}


def changed(before: dict[str, str], after: dict[str, str]) -> set[str]:
    return {name for name in before if before[name] != after[name]}


def test_sources_are_followed_through_packages_functions_and_relative_imports(project):
    found = [path.relative_to(project).as_posix() for path in tool.sources(project / "one.ipynb", project)]
    assert found == sorted(REACHED_FROM_A)


@pytest.mark.parametrize("name", sorted(SOURCES))
def test_a_change_counts_for_exactly_the_notebooks_that_use_the_file(project, name):
    before = marks(project)
    (project / name).write_text(SOURCES[name] + "# changed", encoding="utf-8")
    expected = {"one"} if name in REACHED_FROM_A else {"two"} if name == "pkg/alone.py" else {"one", "two"}
    if name == "pkg/__init__.py":
        expected = {"one", "two"}
    assert changed(before, marks(project)) == expected


def test_new_and_removed_data_count(project):
    before = marks(project)
    (project / "pkg/deep/figure.js").write_text("1", encoding="utf-8")
    after = marks(project)
    assert changed(before, after) == {"one"}
    (project / "pkg/deep/style.css").unlink()
    assert changed(after, marks(project)) == {"one"}


def test_text_does_not_count_and_code_does(project):
    cells, before = tool.code_cells(project / "two.ipynb"), marks(project)
    write(project / "two.ipynb", *cells, text="# A better title")
    assert changed(before, marks(project)) == set()
    write(project / "two.ipynb", *cells, "1 + 1")
    assert changed(before, marks(project)) == {"two"}


def test_another_python_counts(project, monkeypatch):
    before = marks(project)
    monkeypatch.setattr(tool.platform, "python_version", lambda: "3.99.0")
    assert changed(before, marks(project)) == {"one", "two"}


@pytest.fixture(scope="module")
def book(root, tmp_path_factory) -> Path:
    """A copy of the real packages and notebooks."""
    copy = tmp_path_factory.mktemp("project")
    for name in ("regkit", "regbook", "book", "tools"):
        shutil.copytree(root / name, copy / name, ignore=shutil.ignore_patterns("__pycache__", ".*"))
    shutil.copy(root / "requirements.txt", copy)
    shutil.copy(root / "_toc.yml", copy)
    return copy


@pytest.mark.parametrize("chapter", ["03", "10"])
def test_a_figure_of_one_chapter_counts_for_that_chapter(book, chapter):
    """Also for a chapter that borrows from it; the packages of all chapters are not among its sources."""
    path = book / "regbook" / "figures" / f"ch{chapter}.py"
    paths = notebooks(book)
    before = {notebook.stem: tool.fingerprint(notebook, book) for notebook in paths}
    source = path.read_text(encoding="utf-8")
    path.write_text(source + "\n# changed\n", encoding="utf-8")
    after = {notebook.stem: tool.fingerprint(notebook, book) for notebook in paths}
    path.write_text(source, encoding="utf-8")
    assert {name[:2] for name in changed(before, after)} == {chapter}


LOADED = """
import json, sys
from pathlib import Path
from tools.fingerprint import _imports, _python, code_cells
from tools.toc import notebooks

def own():
    names = [name for name in sys.modules if name.split(".")[0] in ("regkit", "regbook")]
    return {name: sys.modules[name] for name in names}

def load(name):
    try:
        __import__(name)
    except ModuleNotFoundError:  # not a module, but a name in one
        pass

for notebook in notebooks():
    for name in own():
        del sys.modules[name]
    for cell in code_cells(notebook):
        for name in _imports(_python(cell)):
            load(name)
    print(json.dumps([notebook.name, [str(Path(module.__file__)) for module in own().values()]]))
"""


def test_python_loads_nothing_else(book):
    """What Python itself loads for a notebook's imports is among the sources that are found by reading."""
    command = [sys.executable, "-c", LOADED]
    done = subprocess.run(command, cwd=book, capture_output=True, encoding="utf-8", check=True)
    answers = [json.loads(line) for line in done.stdout.splitlines()]
    assert [name for name, _ in answers] == [path.name for path in notebooks(book)]
    for name, loaded in answers:
        assert loaded
        assert set(map(Path, loaded)) <= set(tool.sources(book / "book" / name, book)), name
