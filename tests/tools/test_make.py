"""The commands: which there are, and what they do where something is in the way."""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
import sys
import urllib.request
from pathlib import Path

import nbformat
import pytest

import make
from tools.no_outputs import stored

COMMANDS = list(make.COMMANDS)


def python(*arguments: str, **options) -> subprocess.CompletedProcess:
    return subprocess.run([sys.executable, *arguments], capture_output=True, encoding="utf-8", **options)


def test_help_lists_every_command(root):
    environment = {name: value for name, value in os.environ.items() if name != "MAKELEVEL"}
    done = python(str(root / "make.py"), "help", env=environment)
    assert done.returncode == 0
    assert re.findall(r"^  python make.py ([\w-]+) +\S", done.stdout, re.M) == COMMANDS


def test_an_unknown_command_is_answered_by_the_list(root):
    done = python(str(root / "make.py"), "bokk")
    assert done.returncode == 1 and "got bokk" in done.stderr and "book" in done.stdout
    assert "Traceback" not in done.stderr


@pytest.mark.skipif(not shutil.which("make"), reason="needs make")
def test_make_knows_the_same_commands_and_passes_on_its_variables(root, tmp_path):
    shutil.copy(root / "Makefile", tmp_path)
    script = "import os, sys; print(sys.argv[1:], os.environ.get('CHROMIUM'), sys.executable)"
    (tmp_path / "make.py").write_text(script, encoding="utf-8")
    # the make that runs these tests hands its flags and its level down, and the inner one would speak of them
    alone = {key: value for key, value in os.environ.items() if not re.match("MAKE|MFLAGS", key)}
    for name in COMMANDS:
        call = ["make", name, f"PYTHON={sys.executable}", "ARGS=-k 'a b'", "CHROMIUM=/a browser"]
        done = subprocess.run(call, cwd=tmp_path, env=alone, capture_output=True, encoding="utf-8")
        assert done.stdout.strip() == f"{[name, '-k', 'a b']} /a browser {sys.executable}", done.stderr


def test_a_digest_changes_with_any_file_and_with_its_name(tmp_path, monkeypatch):
    monkeypatch.setattr(make, "ROOT", tmp_path)
    (tmp_path / "folder" / "__pycache__").mkdir(parents=True)
    (tmp_path / "folder" / "a").write_text("1", encoding="utf-8")
    first = make.digest(["folder"])
    (tmp_path / "folder" / "__pycache__" / "b").write_text("1", encoding="utf-8")
    (tmp_path / "folder" / ".hidden").write_text("1", encoding="utf-8")
    assert make.digest(["folder"]) == first
    (tmp_path / "folder" / "a").write_text("2", encoding="utf-8")
    second = make.digest(["folder"])
    (tmp_path / "folder" / "a").rename(tmp_path / "folder" / "c")
    assert len({first, second, make.digest(["folder"]), make.digest(["folder"], "also")}) == 4


def test_a_port_that_is_taken_is_left_to_its_owner(root, tmp_path):
    """Two sockets listen on ports 8000 and 8001, ours or another's: the pages are served at the next one."""
    (tmp_path / "index.html").write_text("the pages", encoding="utf-8")
    taken = []
    for port in (8000, 8001):
        listener = socket.socket()
        try:
            listener.bind(("127.0.0.1", port))
            listener.listen()
        except OSError:
            pass
        taken.append(listener)
    own = f"make.book, make.HTML = (lambda: None), pathlib.Path({str(tmp_path)!r})"
    code = f"import make, pathlib; {own}; make.serve()"
    server = subprocess.Popen(
        [sys.executable, "-c", code], cwd=root, stdout=subprocess.PIPE, encoding="utf-8"
    )
    try:
        line = server.stdout.readline()
        address = re.search(r"http://localhost:(\d+)", line)
        assert address and int(address[1]) > 8001, line
        with urllib.request.urlopen(f"http://127.0.0.1:{address[1]}/index.html", timeout=60) as answer:
            assert answer.read() == b"the pages"
    finally:
        server.terminate()
        server.wait()
        server.stdout.close()
        for listener in taken:
            listener.close()


def test_notebooks_with_outputs_are_found(tmp_path: Path):
    cell = nbformat.v4.new_code_cell("1")
    path = tmp_path / "a.ipynb"
    nbformat.write(nbformat.v4.new_notebook(cells=[nbformat.v4.new_markdown_cell("text"), cell]), path)
    assert stored(path) == []
    cell.execution_count = 1
    nbformat.write(nbformat.v4.new_notebook(cells=[cell]), path)
    assert stored(path) == ["the execution count of cell 1"]
    cell.outputs = [nbformat.v4.new_output("stream", text="1")]
    nbformat.write(nbformat.v4.new_notebook(cells=[cell], metadata={"widgets": {}}), path)
    assert stored(path) == ["the state of widgets", "outputs of cell 1"]
