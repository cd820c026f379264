"""The wheel of this project: regkit and regbook in one file, for notebooks that leave the book."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from functools import cache
from pathlib import Path

from tools.toc import ROOT

FOLDER = ROOT / "_build" / "wheel"
PARTS = ("regkit", "regbook", "pyproject.toml", "README.md", "LICENSE", "LICENSE-content")
LONG_AGO = "315532800"  # the first of January 1980: the same sources give the same bytes


def state() -> str:
    """A text that changes with what the wheel is made from."""
    files = [
        file
        for part in PARTS
        for file in ([ROOT / part] if (ROOT / part).is_file() else (ROOT / part).rglob("*"))
    ]
    digest = hashlib.sha256()
    for file in sorted(file for file in files if file.is_file() and "__pycache__" not in file.parts):
        digest.update(
            f"{file.relative_to(ROOT).as_posix()} {hashlib.sha256(file.read_bytes()).hexdigest()}".encode()
        )
    return digest.hexdigest()


@cache
def wheel() -> Path:
    """The wheel of the sources as they are, built if it is not there yet."""
    stamp, now = FOLDER / "sources", state()
    built = sorted(FOLDER.glob("*.whl"))
    if len(built) == 1 and stamp.is_file() and stamp.read_text(encoding="utf-8") == now:
        return built[0]
    shutil.rmtree(FOLDER, ignore_errors=True)
    FOLDER.mkdir(parents=True)
    with tempfile.TemporaryDirectory() as name:  # setuptools leaves its own files where it builds
        folder = Path(name)
        for part in PARTS:
            here = ROOT / part
            if here.is_dir():
                shutil.copytree(here, folder / part, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                shutil.copy(here, folder)
        build = "import setuptools.build_meta as s, sys; s.build_wheel(sys.argv[1])"
        done = subprocess.run(
            [sys.executable, "-c", build, str(FOLDER)],
            cwd=folder,
            env=os.environ | {"SOURCE_DATE_EPOCH": LONG_AGO},
            capture_output=True,
            encoding="utf-8",
        )
    if done.returncode:
        raise RuntimeError(f"the wheel could not be built:\n{done.stdout}\n{done.stderr}")
    stamp.write_text(now, encoding="utf-8")
    return next(FOLDER.glob("*.whl"))
