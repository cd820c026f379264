"""A reader's copy runs alone: in an empty folder, without a network, where only its wheel is installed.

Each test has a Python of its own. It sees the installed packages one by one, as links, and of this project
nothing; a socket that leaves the computer raises an error.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import threading
import venv
import zipfile
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from importlib.util import find_spec
from pathlib import Path

import nbformat
import pytest

from tools import copies, kit, launch, student
from tools.chapters import lessons, tags
from tools.toc import notebooks
from tools.wheel import wheel

pytestmark = pytest.mark.skipif(os.name == "nt", reason="a user of Windows may not make links")

# Those that are executed in every run of the tests, --all-copies: all of them. Interactive figures, exercises
# with their solutions, and a whole chapter without solutions; each the quickest of its kind.
READERS = ("index", "A3_which_derivative")
STUDENTS = ("01_ad_basics",)
PACKAGES = Path(find_spec("numpy").origin).parents[1]
BEGIN = "import regbook\nprint(regbook.__file__)"
NO_NETWORK = """
import socket

HERE = (None, "127.0.0.1", "::1", "localhost")

def connect(self, address, _connect=socket.socket.connect):
    if self.family in (socket.AF_INET, socket.AF_INET6) and address[0] not in HERE:
        raise OSError("there is no network")
    return _connect(self, address)

def getaddrinfo(host, *arguments, _look_up=socket.getaddrinfo, **options):
    if host not in HERE:
        raise socket.gaierror("there is no network")
    return _look_up(host, *arguments, **options)

socket.socket.connect, socket.getaddrinfo = connect, getaddrinfo
"""


class Alone:
    """A Python with all packages but this project's and those of `without`, and a folder to work in."""

    def __init__(self, folder: Path, without: tuple[str, ...] = ()):
        self.folder = folder / "Ü b"
        self.folder.mkdir()
        venv.create(folder / "environment", symlinks=True)
        self.python = folder / "environment" / "bin" / "python"
        self.site = next((folder / "environment" / "lib").glob("python*/site-packages"))
        self.own = set(os.listdir(self.site))
        seen, left_out = folder / "packages", ("regkit", "regbook", *without)
        seen.mkdir()
        for path in PACKAGES.iterdir():
            name = path.name.partition("-")[0]
            if path.suffix != ".pth" and name not in left_out and not name.startswith("__editable__"):
                (seen / path.name).symlink_to(path)
        (self.site / "seen.pth").write_text(str(seen), encoding="utf-8")
        (self.site / "sitecustomize.py").write_text(NO_NETWORK, encoding="utf-8")
        kernel = folder / "jupyter" / "kernels" / "alone"
        kernel.mkdir(parents=True)
        start = [str(self.python), "-m", "ipykernel_launcher", "-f", "{connection_file}"]
        spec = {"argv": start, "display_name": "alone", "language": "python"}
        (kernel / "kernel.json").write_text(json.dumps(spec), encoding="utf-8")
        own = {"JUPYTER_PATH": folder / "jupyter", "IPYTHONDIR": folder / "ipython"}
        own["PIP_CONFIG_FILE"] = os.devnull  # which may name a place where packages lie
        inherited = {k: v for k, v in os.environ.items() if not k.startswith(("PYTHON", "PIP_", "JPY_"))}
        self.environment = inherited | {name: str(value) for name, value in own.items()}

    def run(self, *command: str, **more: str) -> subprocess.CompletedProcess:
        call, environment = [str(self.python), "-m", *command], self.environment | more
        return subprocess.run(call, cwd=self.folder, env=environment, capture_output=True, encoding="utf-8")

    def install_wheel(self) -> None:
        done = self.run("pip", "install", "--no-deps", "--no-index", str(wheel()))
        assert done.returncode == 0, done.stderr

    def execute(self, notebook: nbformat.NotebookNode, **more: str) -> nbformat.NotebookNode:
        """Run `notebook` in the folder, whatever its cells raise."""
        nbformat.write(notebook, self.folder / "in.ipynb")
        chosen = {"kernel_name": "alone", "timeout": 600, "startup_timeout": 600, "allow_errors": True}
        options = [f"--ExecutePreprocessor.{name}={value}" for name, value in chosen.items()]
        convert = [
            "nbconvert",
            "--to",
            "notebook",
            "--execute",
            *options,
            "in.ipynb",
            "--output",
            "out.ipynb",
        ]
        done = self.run(*convert, **more)
        assert done.returncode == 0, done.stderr
        return nbformat.read(self.folder / "out.ipynb", as_version=4)

    def first_cell(self, **more: str) -> tuple[str, str]:
        """Run the first cell, and after it what a chapter begins with: what they say in Jupyter."""
        cells = [nbformat.v4.new_code_cell(source) for source in (copies.first_cell(), BEGIN)]
        done = self.execute(nbformat.v4.new_notebook(cells=cells), **more)
        return tuple("".join(map(said, cell.outputs)) for cell in done.cells)

    def first_cell_without_jupyter(self, **more: str) -> tuple[str, str]:
        """The same by Python alone, which is quicker."""
        done = []
        for name, source in (("first", copies.first_cell()), ("begin", BEGIN)):
            (self.folder / f"{name}.py").write_text(source, encoding="utf-8")
            answer = self.run(name, **more)
            done.append(answer.stdout + answer.stderr.partition("MissingPackage: ")[2])
        return tuple(done)

    def installed(self) -> set[str]:
        """What has come into the environment since it was made."""
        return set(os.listdir(self.site)) - self.own - {"seen.pth", "sitecustomize.py", "__pycache__"}


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass


def said(output: nbformat.NotebookNode) -> str:
    if output.output_type == "error":
        return re.sub(r"\x1b\[[0-9;]*m", "", "\n".join(output.traceback))
    return output.get("text", "")


@pytest.fixture
def alone(tmp_path: Path):
    return lambda without=(): Alone(tmp_path, without)


def test_the_environments_of_these_tests_have_neither_this_project_nor_a_network(alone):
    python = alone()
    look = "from importlib.util import find_spec as f; print(f('regkit'), f('regbook'), bool(f('torch')))"
    (python.folder / "look.py").write_text(look, encoding="utf-8")
    assert python.run("look").stdout == "None None True\n"
    ask = "import socket; socket.create_connection(('1.1.1.1', 80), 5)"
    (python.folder / "ask.py").write_text(ask, encoding="utf-8")
    assert "there is no network" in python.run("ask").stderr


def test_nothing_happens_where_the_packages_are(alone):
    python = alone()
    python.install_wheel()
    before = {path: path.stat().st_mtime_ns for path in python.site.rglob("*") if path.suffix != ".pyc"}
    first, begin = python.first_cell_without_jupyter(PIP_NO_INDEX="1")
    assert first == "" and str(python.site) in begin
    assert {p: p.stat().st_mtime_ns for p in python.site.rglob("*") if p in before} == before


def test_a_wheel_in_the_folder_is_installed_and_nothing_else(alone):
    python = alone()
    shutil.copy(wheel(), python.folder)
    first, begin = python.first_cell()
    assert first == f"Installed {wheel().name}\n" and str(python.site) in begin
    assert {name.partition("-")[0] for name in python.installed()} == {"regkit", "regbook"}


def test_without_a_wheel_in_the_folder_that_of_the_release_is_installed(alone, tmp_path, monkeypatch):
    """Here a server on this computer has the release."""
    released = tmp_path / "released"
    released.mkdir()
    shutil.copy(wheel(), released)
    handler = partial(Quiet, directory=str(released))
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    here = f"http://127.0.0.1:{server.server_port}"
    monkeypatch.setattr(launch, "released", lambda name: f"{here}/{name}")
    python = alone()
    try:
        first, begin = python.first_cell_without_jupyter(PIP_NO_INDEX="1")
        assert first == f"Installed {wheel().name}\n" and begin.startswith(str(python.site))
    finally:
        server.shutdown()
        server.server_close()
    monkeypatch.setattr(launch, "released", lambda name: f"{here}/{name}")  # where nobody answers any more
    python.run("pip", "uninstall", "--yes", "regkit")
    first, _ = python.first_cell_without_jupyter(PIP_NO_INDEX="1", PIP_RETRIES="0")
    assert "pip says:" in first and "Three ways" in first


def test_without_wheel_and_network_the_reader_is_told_three_ways(alone):
    first, begin = alone().first_cell()
    lines = first.splitlines()
    assert lines[0] == f"This notebook needs regbook, regkit. No {wheel().name} lies beside it."
    assert [line[:2] for line in lines if re.match(r"\d\.", line)] == ["1.", "2.", "3."]
    assert len(lines) <= 6 and "Traceback" not in first and "File" not in first
    assert "ModuleNotFoundError" in begin


def test_what_the_wheel_needs_and_cannot_be_had_is_named(alone):
    python = alone(("ipywidgets",))
    shutil.copy(wheel(), python.folder)
    first, _ = python.first_cell_without_jupyter()
    assert first.startswith("This notebook needs regbook, regkit, ipywidgets. pip says: ")
    assert "Three ways" in first and "Traceback" not in first


def package(folder: Path, name: str, version: str, *needs: str) -> None:
    """A wheel with one module that says its version."""
    path, about = folder / f"{name}-{version}-py3-none-any.whl", f"{name}-{version}.dist-info"
    lines = ["Metadata-Version: 2.1", f"Name: {name}", f"Version: {version}"]
    content = {
        f"{name}.py": f"__version__ = {version!r}\n",
        f"{about}/METADATA": "\n".join([*lines, *(f"Requires-Dist: {need}" for need in needs), ""]),
        f"{about}/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    content[f"{about}/RECORD"] = "".join(f"{entry},,\n" for entry in [*content, f"{about}/RECORD"])
    with zipfile.ZipFile(path, "w") as archive:
        for entry, text in content.items():
            archive.writestr(entry, text)


def test_a_numpy_that_fits_is_not_replaced_by_one_that_another_package_would_like(alone, tmp_path):
    """Matplotlib is missing; its newest version wants a newer NumPy, an older one takes what is there."""
    python, index = alone(("matplotlib",)), tmp_path / "index"
    index.mkdir()
    package(index, "numpy", "99.0")
    package(index, "matplotlib", "98.0", "numpy>=99")
    package(index, "matplotlib", "97.0")
    shutil.copy(wheel(), python.folder)
    first, _ = python.first_cell_without_jupyter(PIP_NO_INDEX="1", PIP_FIND_LINKS=index.as_uri())
    assert first == f"Installed {wheel().name}\n"
    names = {name.partition(".dist-info")[0] for name in python.installed() if name.endswith(".dist-info")}
    assert names == {wheel().name.removesuffix("-py3-none-any.whl"), "matplotlib-97.0"}


@pytest.mark.parametrize(
    ("version", "fits"),
    [("2.9.0+cpu", True), ("2.13.0", True), ("3.0.0a0+git", True), ("2.8.1", False), ("1.13", False)],
)
def test_a_version_fits_from_the_bound_on(version, fits, monkeypatch):
    definitions = copies.first_cell().partition("\nif missing")[0]
    names: dict = {}
    exec(definitions, names)
    monkeypatch.setattr(names["metadata"], "version", lambda name: version)
    assert bool(names["fits"]("torch")) == fits


def assert_quiet(cell):
    """It passes, and nothing warns."""
    outputs = cell.get("outputs", [])
    kinds, names = {output.output_type for output in outputs}, {output.get("name") for output in outputs}
    text = "".join(map(said, outputs))
    assert "error" not in kinds and "stderr" not in names, f"{cell.source}\n{text}"


@pytest.mark.slow
@pytest.mark.parametrize("notebook", notebooks(), ids=lambda path: path.stem)
def test_copy_runs_alone(notebook, alone, book, request):
    """In an empty folder, offline: each cell passes, nothing warns, and figures are drawn as on the page."""
    if notebook.stem not in READERS and not request.config.getoption("--all-copies"):
        pytest.skip("--all-copies runs all of them")
    python = alone()
    python.install_wheel()
    copy = nbformat.read(copies.COPIES / notebook.name, as_version=4)
    done = python.execute(copy)
    for before, after in zip(copy.cells, done.cells, strict=True):
        assert_quiet(after)
        assert [*figures(after)] == [*figures(before)], after.source
        assert "widget-view" not in str(after.get("outputs", ""))  # nobody watches


@pytest.mark.slow
@pytest.mark.parametrize("notebook", lessons(), ids=lambda path: path.stem)
def test_students_notebook_runs_alone(notebook, alone, book, request):
    """As it lies in a kit, offline: the first cell installs the wheel, all pass, and nothing is done yet."""
    if notebook.stem not in STUDENTS and not request.config.getoption("--all-copies"):
        pytest.skip("--all-copies runs all of them")
    python, files = alone(), dict(kit.notebooks("student", sorted(student.BUILT.iterdir())))
    [name] = [name for name in files if name.endswith(".whl")]
    (python.folder / Path(name).name).write_bytes(files[name])
    text = files[f"student/{notebook.name}"].decode()
    first, *cells = python.execute(nbformat.reads(text, as_version=4)).cells
    assert "".join(map(said, first.outputs)) == f"Installed {Path(name).name}\n"
    for cell in [first, *cells]:
        assert_quiet(cell)
        if "exercise" in tags(cell):
            assert "not done yet" in str(cell.outputs), cell.source


def figures(cell: nbformat.NotebookNode):
    """How many interactive figures each output holds."""
    for output in cell.get("outputs", []):
        page = output.get("data", {}).get("text/html", "")
        if "<figure" in page:
            yield page.count("<figure")
