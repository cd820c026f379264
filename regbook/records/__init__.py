"""Runs that take too long for a page: made by the scripts in ``benchmarks/``, shown by the chapters."""

from __future__ import annotations

import json
from importlib import resources
from pathlib import Path

import numpy as np

COSTS = "costs.json"  # what the records took on the computer that made them


def path(name: str) -> Path:
    """Where the record of that file name is, or is to be written: ``path("superres.json")``."""
    return Path(str(resources.files(__package__))) / name


def load(name: str) -> dict:
    """The record ``name``, a file of JSON or of arrays (.npz), as a dictionary.

    Raises: ValueError if there is no record of that name; the message lists those that there are.
    """
    file = path(name)
    if file.suffix not in (".json", ".npz") or not file.is_file():
        there = sorted(f.name for f in file.parent.iterdir() if f.suffix in (".json", ".npz"))
        raise ValueError(f"expected a record among {there}, got {name!r}")
    if file.suffix == ".json":
        return json.loads(file.read_text(encoding="utf-8"))
    with np.load(file) as arrays:
        return dict(arrays)


def costs(name: str) -> dict[str, float]:
    """What the record ``name`` (its file) took when it was made: seconds of one processor core, and so on."""
    return load(COSTS)[name]
