"""The pinned packages: the book's and the class server's agree, and hold to what pyproject.toml asks."""

from __future__ import annotations

import os
import re
from itertools import pairwise

import pytest
from packaging.requirements import Requirement

import make
from tools import pins
from tools.toc import ROOT

FILES = [pins.PINS, pins.HUB]


def name(text: str) -> str:
    return re.sub(r"[-_.]+", "-", text).lower()


def versions(path) -> dict[str, str]:
    """Package -> version."""
    return {name(line.split("==")[0]): line.split("==")[1] for line in pins.written(path)}


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.parent.name)
def test_a_file_is_as_its_command_writes_it(path):
    text, written = path.read_text(encoding="utf-8"), pins.written(path)
    assert text == pins.HEADERS[path] + "\n".join(written) + "\n"
    assert len(versions(path)) == len(written) > 20


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.parent.name)
def test_all_that_is_asked_for_is_pinned_within_its_bounds(path):
    found, asked = versions(path), [Requirement(line) for line in pins.wanted()[path]]
    assert asked and all(found[name(each.name)] in each.specifier for each in asked)


def test_the_class_server_has_a_file_of_its_own_that_agrees_with_the_other():
    book, hub = map(versions, FILES)
    assert not {name(Requirement(line).name) for line in pins.wanted()[pins.HUB]} & {*book}
    shared = {*book} & {*hub}
    assert shared and [each for each in shared if book[each] != hub[each]] == []
    assert not {"torch", "numpy", "scipy"} & {*hub}  # of a container they stay as they are


def test_what_is_too_large_for_everybody_is_not_pinned():
    asked = [line for lines in pins.wanted().values() for line in lines]
    assert {Requirement(line).name for line in asked} >= {"torch", "jupyterlab", "pytest", "jupyterhub"}
    assert not any(line.startswith("itk-elastix") for line in asked)


def test_what_is_written_is_the_same_everywhere():
    lines = ["# a comment", "torch==2.13.0+cpu", "nvidia-cublas-cu12==12.8", "numpy==2.0.0", ""]
    assert pins.portable(lines) == ["numpy==2.0.0", "torch==2.13.0"]
    with pytest.raises(ValueError, match=r"expected a line such as numpy==2\.0\.0, got 'numpy>=2'"):
        pins.portable(["numpy>=2"])


def test_make_installs_both_and_again_when_either_changes(tmp_path, monkeypatch):
    listed = ["requirements.txt"] if os.name == "nt" else ["requirements.txt", "hub/requirements.txt"]
    assert [ROOT / each for each in listed] == FILES[: len(listed)]
    (tmp_path / "hub").mkdir()
    for each in ("pyproject.toml", *listed):
        (tmp_path / each).write_bytes((ROOT / each).read_bytes())
    venv, steps = tmp_path / ".venv", []
    for attribute, value in {"ROOT": tmp_path, "VENV": venv, "PY": venv / "python"}.items():
        monkeypatch.setattr(make, attribute, value)
    venv.mkdir()
    make.PY.touch()
    monkeypatch.setattr(make, "run", lambda *command: steps.append([*map(str, command)]))

    def installed() -> list[list[str]]:
        """The files of each installation so far."""
        return [[b for a, b in pairwise(s) if a == "-r"] for s in steps if "-r" in s]

    for changed in (None, None, *listed):
        if changed:
            (tmp_path / changed).write_text("pip==1\n", encoding="utf-8")
        make.install()
    assert installed() == [listed] * (1 + len(listed))
