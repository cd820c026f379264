"""Write requirements.txt: an exact version of everything that is installed, within pyproject.toml's bounds.

Versions that still fit are kept; `--upgrade` chooses the newest of everything. The work is done by pip-tools,
in an environment of its own.
"""

import os
import re
import subprocess
import sys
import tempfile
import tomllib
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PINS = ROOT / "requirements.txt"
TORCH = "torch==2.13.0"
HEADER = """\
# Every package that the book, its tests and regkit use, at the versions that they were checked with.
# Made from pyproject.toml by `make pins`, which runs pip-compile (of pip-tools) on its extras but `peers`.
"""
# torch on Linux asks for these where it is the build for Nvidia's GPUs; the book needs none of them.
GPU = re.compile(r"^(nvidia|cuda|triton)\b")
LEFT_OUT = {"peers"}  # extras that neither the book nor a test needs


def extras() -> list[str]:
    """The extras of pyproject.toml whose packages are pinned."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return [name for name in project["optional-dependencies"] if name not in LEFT_OUT]


def compiled(upgrade: bool) -> list[str]:
    """The pins as pip-compile writes them, one package a line."""
    with tempfile.TemporaryDirectory() as folder:
        tools, output = Path(folder) / "tools", Path(folder) / "requirements.txt"
        venv.create(tools, with_pip=True)
        python = tools / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
        subprocess.run([python, "-m", "pip", "install", "--quiet", "pip-tools"], check=True)
        if PINS.is_file() and not upgrade:
            output.write_text(PINS.read_text(encoding="utf-8"), encoding="utf-8")
        command = [python, "-m", "piptools", "compile", *"--quiet --no-header --no-annotate".split()]
        command += "--strip-extras --allow-unsafe --no-emit-options".split()
        command += [part for name in extras() for part in ("--extra", name)]
        command += ["--upgrade-package", TORCH, "--output-file", str(output), str(ROOT / "pyproject.toml")]
        subprocess.run(command + ["--upgrade"] * upgrade, check=True, cwd=folder)
        return output.read_text(encoding="utf-8").splitlines()


def portable(lines: list[str]) -> list[str]:
    """The pins without comments, names of local builds (2.13.0+cpu) and the packages for GPUs."""
    pins = [re.sub(r"\+[\w.]+$", "", line.strip()) for line in lines]
    pins = sorted(line for line in pins if line and not line.startswith("#") and not GPU.match(line))
    for line in pins:
        if not re.fullmatch(r"[A-Za-z0-9._-]+==[\w.!]+", line):
            raise ValueError(f"expected a line such as numpy==2.0.0, got {line!r}")
    return pins


def check_oldest() -> None:
    """Stop with a message unless all pins install on the first release of Python 3.11, too."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, *"-m pip install --quiet --dry-run --no-deps --ignore-installed".split()]
        command += ["--python-version", "3.11.0", "--only-binary", ":all:", "--target", folder]
        if subprocess.run([*command, "--requirement", str(PINS)]).returncode:
            sys.exit("The package named above does not install on Python 3.11.0: bound it in pyproject.toml.")


if __name__ == "__main__":
    if sys.version_info[:2] != (3, 11):
        sys.exit("The pins are made with the oldest Python that is supported: make pins PYTHON=python3.11")
    pins = portable(compiled("--upgrade" in sys.argv))
    PINS.write_text(HEADER + "\n".join(pins) + "\n", encoding="utf-8")
    check_oldest()
    print(f"requirements.txt: {len(pins)} packages")
