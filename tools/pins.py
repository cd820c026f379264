"""Write requirements.txt and hub/requirements.txt: an exact version of everything that is installed, within
pyproject.toml's bounds.

Versions that still fit are kept; `--upgrade` chooses the newest of everything. A package that stands in both
files has one version. The work is done by pip-tools, in an environment of its own.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
import tomllib
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PINS, HUB = ROOT / "requirements.txt", ROOT / "hub" / "requirements.txt"
TORCH = "torch==2.13.0"
HEADERS = {
    PINS: """\
# Every package that the book, its tests and regkit use, at the versions that they were checked with.
# Made from pyproject.toml by `make pins`: pip-compile (of pip-tools) on all its extras but `hub` and `peers`.
""",
    HUB: """\
# Every package that the class server needs, to be installed beside what ../requirements.txt lists.
# Made from the extra `hub` of pyproject.toml by `make pins`.
""",
}
# torch on Linux asks for these where it is the build for Nvidia's GPUs; the book needs none of them.
GPU = re.compile(r"^(nvidia|cuda|triton)\b")
LEFT_OUT = {"peers"}  # extras that neither the book nor a test needs


def wanted() -> dict[Path, list[str]]:
    """What pyproject.toml asks for, for each of the files: the extra `hub`, and all else."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = project["optional-dependencies"]
    others = [line for name in extras if name not in LEFT_OUT | {"hub"} for line in extras[name]]
    return {PINS: [*project["dependencies"], *others], HUB: extras["hub"]}


def compiled(python: Path, asked: list[str], whole: list[str], upgrade: bool = False) -> list[str]:
    """The pins as pip-compile writes them, one package a line; those of `whole` are kept where they fit."""
    with tempfile.TemporaryDirectory() as folder:
        source, output = Path(folder) / "asked.in", Path(folder) / "pins.txt"
        source.write_text("\n".join(asked) + "\n", encoding="utf-8")
        output.write_text("\n".join(whole) + "\n", encoding="utf-8")
        command = [python, "-m", "piptools", "compile", *"--quiet --no-header --no-annotate".split()]
        command += "--strip-extras --allow-unsafe --no-emit-options --output-file".split()
        command += [str(output), str(source), *["--upgrade"] * upgrade]
        subprocess.run(command, check=True, cwd=folder)
        return portable(output.read_text(encoding="utf-8").splitlines())


def portable(lines: list[str]) -> list[str]:
    """The pins without comments, names of local builds (2.13.0+cpu) and the packages for GPUs."""
    pins = [re.sub(r"\+[\w.]+$", "", line.strip()) for line in lines]
    pins = sorted(line for line in pins if line and not line.startswith("#") and not GPU.match(line))
    for line in pins:
        if not re.fullmatch(r"[A-Za-z0-9._-]+==[\w.!]+", line):
            raise ValueError(f"expected a line such as numpy==2.0.0, got {line!r}")
    return pins


def written(path: Path) -> list[str]:
    """The pins that a file has."""
    return portable(path.read_text(encoding="utf-8").splitlines()) if path.is_file() else []


def all_pins(upgrade: bool) -> dict[Path, list[str]]:
    """The pins of both files: versions for everything together, of which each file has what it needs."""
    with tempfile.TemporaryDirectory() as folder:
        venv.create(folder, with_pip=True)
        python = Path(folder) / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
        subprocess.run([python, "-m", "pip", "install", "--quiet", "pip-tools"], check=True)
        asked = wanted()
        everything = [*(line for lines in asked.values() for line in lines), TORCH]
        whole = compiled(python, everything, sorted({*written(PINS), *written(HUB)}), upgrade)
        bound = Path(folder) / "whole.txt"
        bound.write_text("\n".join(whole) + "\n", encoding="utf-8")
        return {path: compiled(python, [f"-c {bound}", *lines], whole) for path, lines in asked.items()}


def check_oldest(path: Path) -> None:
    """Stop with a message unless all pins of a file install on the first release of Python 3.11, too."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, *"-m pip install --quiet --dry-run --no-deps --ignore-installed".split()]
        command += ["--python-version", "3.11.0", "--only-binary", ":all:", "--target", folder]
        if subprocess.run([*command, "--requirement", str(path)]).returncode:
            sys.exit("The package named above does not install on Python 3.11.0: bound it in pyproject.toml.")


if __name__ == "__main__":
    if sys.version_info[:2] != (3, 11):
        sys.exit("The pins are made with the oldest Python that is supported: make pins PYTHON=python3.11")
    for path, pins in all_pins("--upgrade" in sys.argv).items():
        path.write_text(HEADERS[path] + "\n".join(pins) + "\n", encoding="utf-8")
        check_oldest(path)
        print(f"{path.relative_to(ROOT)}: {len(pins)} packages")
