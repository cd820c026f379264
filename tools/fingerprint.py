"""The fingerprint of a notebook: it changes when, and only when, the notebook must be executed again.

It covers what decides a notebook's outputs: its code cells; the project's modules that they import, directly
or through others; the files beside these modules (JavaScript, style sheets, records); the pinned versions of
all packages; the version of Python; and the plugin that executes. A better sentence costs no run.
"""

from __future__ import annotations

import ast
import hashlib
import json
import platform
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from tools.toc import ROOT

ALWAYS = ("requirements.txt", "tools/keep_outputs.py")


def fingerprint(notebook: Path, root: Path = ROOT) -> str:
    """A text of 64 letters and digits for the state of `notebook` and of all that it uses under `root`."""
    parts = [platform.python_version(), *code_cells(notebook)]
    for path in [*(root / name for name in ALWAYS), *sources(notebook, root)]:
        parts += [path.relative_to(root).as_posix(), hashlib.sha256(path.read_bytes()).hexdigest()]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


def code_cells(notebook: Path) -> list[str]:
    """The sources of the code cells, in order."""
    cells = json.loads(notebook.read_text(encoding="utf-8"))["cells"]
    return ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]


def sources(notebook: Path, root: Path = ROOT) -> list[Path]:
    """The files under `root` that `notebook` uses: modules, through however many others, and their data."""
    waiting = [name for cell in code_cells(notebook) for name in _imports(_python(cell))]
    known, found = set(), set()
    while waiting:
        name = waiting.pop()
        if name in known:
            continue
        known.add(name)
        if "." in name:
            waiting.append(name.rpartition(".")[0])  # a package is executed before its modules
        path = root.joinpath(*name.split("."))
        if path.with_suffix(".py").is_file():
            path = path.with_suffix(".py")
            package = name.rpartition(".")[0]
        elif (path / "__init__.py").is_file():
            found |= set(_data(path))
            path, package = path / "__init__.py", name
        else:
            continue  # installed, or not a module but a name in one
        found.add(path)
        waiting += _imports_of(path, package, path.stat().st_mtime_ns)
    return sorted(found)


def _python(cell: str) -> str:
    """The cell without the lines that only Jupyter understands."""
    lines = cell.splitlines()
    if lines and lines[0].startswith("%%"):
        return ""
    return "\n".join("pass" if line.startswith(("%", "!")) else line for line in lines)


@cache
def _imports_of(path: Path, package: str, changed: int) -> list[str]:
    return list(_imports(path.read_text(encoding="utf-8"), package))


def _imports(source: str, package: str = "") -> Iterator[str]:
    """Full names of everything that an import statement anywhere in `source` may bring in."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            module = node.module or ""
            if node.level:  # from . import name; from ..package import name
                base = package.split(".")[: len(package.split(".")) + 1 - node.level]
                module = ".".join([*base, *filter(None, [module])])
            yield module
            yield from (f"{module}.{alias.name}" for alias in node.names)


def _data(folder: Path) -> Iterator[Path]:
    """What lies in a package's folder besides modules and other packages."""
    for path in folder.iterdir():
        if path.is_dir():
            if path.name != "__pycache__" and not (path / "__init__.py").is_file():
                yield from _data(path)
        elif path.suffix not in (".py", ".pyc") and not path.name.startswith("."):
            yield path
