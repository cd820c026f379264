"""Install the project into the Python that runs this, and write notebooks/: what containers do.

python tools/here.py

Dockerfile, .devcontainer/ and binder/ call this, and nothing else. PyTorch and NumPy stay as they are where
they fit the bounds of pyproject.toml; all other packages get the versions of requirements.txt. Where PyTorch
is missing, the variable TORCH_INDEX may name an index from which to take it: the usual build for Linux has
gigabytes for GPUs.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Callable
from importlib import metadata
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
KEPT = ("torch", "numpy")


def bounds() -> dict[str, tuple[int, ...]]:
    """The lower bounds of the packages that are kept."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    found = re.findall(r"^([\w-]+)>=([\d.]+)", "\n".join(project["dependencies"]), re.M)
    return {name: numbers(version) for name, version in found if name in KEPT}


def numbers(version: str) -> tuple[int, ...]:
    """ "2.13.0+cpu" → (2, 13)"""
    return tuple(int(part) for part in re.match(r"\d+(\.\d+)?", version)[0].split("."))


def fits(name: str, installed: Callable[[str], str] = metadata.version) -> bool:
    """Whether a package is there in a version that is new enough."""
    try:
        return numbers(installed(name)) >= bounds()[name]
    except metadata.PackageNotFoundError:
        return False


def pins(installed: Callable[[str], str] = metadata.version) -> list[str]:
    """The lines of requirements.txt without what is kept."""
    lines = (ROOT / "requirements.txt").read_text(encoding="utf-8").split("\n")
    lines = [line for line in lines if line and not line.startswith("#")]
    kept = {name for name in KEPT if fits(name, installed)}
    return [line for line in lines if line.split("==")[0] not in kept]


def main() -> None:
    wanted = pins()
    pip = [sys.executable, "-m", "pip", "install", "--no-cache-dir", "--disable-pip-version-check"]
    torch, index = [line for line in wanted if line.startswith("torch==")], os.environ.get("TORCH_INDEX")
    with tempfile.TemporaryDirectory() as folder:
        listed = Path(folder) / "requirements.txt"
        listed.write_text("\n".join(wanted) + "\n", encoding="utf-8")
        steps = [[*pip, "--index-url", index, *torch]] if torch and index else []
        steps += [[*pip, "--requirement", str(listed)]]
        steps += [[*pip, "--no-deps", "--no-build-isolation", "--editable", "."]]
        steps += [[sys.executable, "-m", "tools.lab"]]
        for step in steps:
            if done := subprocess.run(step, cwd=ROOT).returncode:
                sys.exit(done)


if __name__ == "__main__":
    main()
