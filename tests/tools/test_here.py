"""What containers install: everything as pinned, but PyTorch and NumPy that fit stay."""

from __future__ import annotations

import json
import re
import stat
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest
import yaml

import make
from tools import here
from tools.toc import ROOT

CALL = "python make.py here"


def having(**versions: str):
    """What `metadata.version` answers where these are installed."""

    def version(name: str) -> str:
        if name not in versions:
            raise metadata.PackageNotFoundError(name)
        return versions[name]

    return version


def names(pins: list[str]) -> set[str]:
    return {line.split("==")[0] for line in pins}


ALL = names(here.pins(having()))


@pytest.mark.parametrize(
    ("versions", "kept"),
    [
        ({}, set()),
        ({"torch": "2.14.1", "numpy": "2.0.2"}, {"torch", "numpy"}),
        ({"torch": "2.10.0+cpu"}, {"torch"}),  # and 2.10 is newer
        ({"torch": "2.8.1", "numpy": "2.10.0"}, {"numpy"}),  # 2.8 is older than 2.9
        ({"numpy": "1.26.4", "scipy": "1.99"}, set()),
    ],
)
def test_what_fits_is_kept(versions, kept):
    assert {"torch", "numpy", "scipy", "jupyterlab"} <= ALL
    assert names(here.pins(having(**versions))) == ALL - kept


@pytest.mark.parametrize("index", [None, "https://index.example/cpu"])
@pytest.mark.parametrize("versions", [{}, {"torch": "2.14.0", "numpy": "2.4.0"}])
def test_the_steps(monkeypatch, index, versions):
    """The packages, the project, the notebooks; before them PyTorch from its index, if one is named."""
    steps = []

    def run(command, **_):
        steps.append(command)
        if "--requirement" in command:
            listed.extend(Path(command[-1]).read_text(encoding="utf-8").split())
        return subprocess.CompletedProcess(command, 0)

    listed = []
    pins = here.pins(having(**versions))
    monkeypatch.setattr(here, "pins", lambda: pins)
    monkeypatch.setattr(here.subprocess, "run", run)
    monkeypatch.delenv("TORCH_INDEX", raising=False)
    if index:
        monkeypatch.setenv("TORCH_INDEX", index)
    here.main()
    *first, packages, project, notebooks = steps
    assert all(step[0] == sys.executable for step in steps)
    assert "--requirement" in packages and listed == pins
    assert project[-2:] == ["--editable", "."] and notebooks[-1] == "tools.lab"
    assert len(first) == (1 if index and not versions else 0)
    if first:
        assert first[0][-3:-1] == ["--index-url", index] and first[0][-1].startswith("torch==")


def test_a_step_that_fails_ends_it(monkeypatch):
    steps = []
    monkeypatch.setattr(here, "pins", list)
    monkeypatch.setattr(
        here.subprocess, "run", lambda step, **_: steps.append(step) or subprocess.CompletedProcess(step, 3)
    )
    with pytest.raises(SystemExit, match="3"):
        here.main()
    assert len(steps) == 1


# ------------------------------------------------------------------------- the three that call it


def test_docker():
    lines = (ROOT / "Dockerfile").read_text(encoding="utf-8").splitlines()
    assert [line for line in lines if line.startswith("RUN") and "useradd" not in line] == [f"RUN {CALL}"]
    assert [line for line in lines if line.startswith("ARG")] == ["ARG TORCH_INDEX"]  # names no host
    ignored = (ROOT / ".dockerignore").read_text(encoding="utf-8").split()
    assert {*make.MADE} - {"regkit.egg-info"} <= {*ignored} and "*.egg-info" in ignored


def test_devcontainer():
    settings = json.loads((ROOT / ".devcontainer" / "devcontainer.json").read_text(encoding="utf-8"))
    assert settings["postCreateCommand"] == CALL
    assert settings["hostRequirements"] == {"cpus": 2, "memory": "8gb", "storage": "32gb"}
    [opened] = settings["customizations"]["codespaces"]["openFiles"]
    assert (ROOT / opened).is_file()


def test_binder():
    script = ROOT / "binder" / "postBuild"
    assert script.read_text(encoding="utf-8").splitlines() == ["#!/bin/sh", f"exec {CALL}"]
    assert script.stat().st_mode & stat.S_IXUSR
    environment = yaml.safe_load((ROOT / "binder" / "environment.yml").read_text(encoding="utf-8"))
    assert environment["channels"] == ["conda-forge", "nodefaults"]
    asked = dict(re.match(r"([\w-]+)(?:>?=([\d.]+))?", line).groups() for line in environment["dependencies"])
    assert here.numbers(asked["pytorch-cpu"]) >= here.bounds()["torch"]
    assert here.numbers(asked["python"]) >= make.OLDEST and "pip" in asked


def test_containers_have_one_python():
    asked = re.search(
        r"^FROM python:([\d.]+)-slim$", (ROOT / "Dockerfile").read_text(encoding="utf-8"), re.M
    )[1]
    image = json.loads((ROOT / ".devcontainer" / "devcontainer.json").read_text(encoding="utf-8"))["image"]
    assert image == f"python:{asked}"
    assert f"python={asked}" in (ROOT / "binder" / "environment.yml").read_text(encoding="utf-8")
    for path in (ROOT / ".github" / "workflows").glob("*.yml"):
        assert set(re.findall(r'python-version: "(.+)"', path.read_text(encoding="utf-8"))) == {asked}
