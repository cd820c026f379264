"""The tests of regkit with the oldest and with the newest versions that pyproject.toml allows.

Each has an environment of its own in _build/versions, made with the Python that runs this. The
oldest are the lower bounds of regkit's own dependencies, the newest whatever the package index has;
what only the tests need is the newest in both. A bound that cannot be installed is an error: it
promises what nobody can have.

    python tools/versions.py                        both
    python tools/versions.py oldest                 one of them
    python tools/versions.py oldest torch==2.13.0   with another version of one package
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / "_build" / "versions"
TESTED = ("pytest", "pillow", "matplotlib")  # what the tests of regkit import besides


def requirements(which: str, changes: tuple[str, ...] = ()) -> list[str]:
    """What pip is asked for: the lower bounds, or the packages as they are declared.

    Args:
        which: "oldest" or "newest".
        changes: requirements that replace those of the same package.
    """
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = [each for group in ("book", "test") for each in project["optional-dependencies"][group]]
    own, tools = project["dependencies"], [each for each in extras if _name(each) in TESTED]
    changed = {_name(each): each for each in changes}
    if unknown := {*changed} - {_name(each) for each in own + tools}:
        raise ValueError(f"expected packages that regkit depends on, got {', '.join(sorted(unknown))}")
    if which == "oldest":
        own = [re.sub(r">=([\w.]+).*", r"==\1", each) for each in own]
    return [changed.get(_name(each), each) for each in own + tools]


def _name(requirement: str) -> str:
    return re.split(r"[<>=!~;\[ ]", requirement)[0].lower()


def try_out(which: str, changes: tuple[str, ...] = ()) -> bool:
    """Whether the tests pass in a new environment with these versions."""
    folder = FOLDER / which
    python = folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    wanted = requirements(which, changes)
    print(f"{which}: {', '.join(wanted)}", flush=True)
    venv.create(folder, clear=True, with_pip=True)
    pip = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    if subprocess.run([*pip, *wanted], cwd=ROOT).returncode:
        print(f"{which}: these versions cannot be installed together, see above")
        return False
    options = ["-q", "-o", "addopts=", "-p", "no:cacheprovider", "-m", "not slow", "tests/regkit"]
    alone = {**os.environ, "PYTHONPATH": str(ROOT)}
    failed = subprocess.run([python, "-m", "pytest", *options], cwd=ROOT, env=alone).returncode
    print(f"{which}: the tests {'fail, see above' if failed else 'pass'}", flush=True)
    return not failed


def main(words: list[str]) -> None:
    """Both, or those that are named."""
    which = [word for word in words if word in ("oldest", "newest")] or ["oldest", "newest"]
    changes = tuple(word for word in words if word not in ("oldest", "newest"))
    if not all([try_out(each, changes) for each in which]):
        sys.exit("FAILED, see above")


if __name__ == "__main__":
    main(sys.argv[1:])
