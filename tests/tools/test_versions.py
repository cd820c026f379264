"""What the command for versions asks pip for."""

import tomllib

import pytest

from tools.toc import ROOT
from tools.versions import requirements


def test_the_oldest_are_the_lower_bounds():
    declared = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["dependencies"]
    oldest = requirements("oldest")
    assert [each.replace(">=", "==") for each in declared] == oldest[: len(declared)]
    assert all("==" in each and ">=" not in each for each in oldest[: len(declared)])
    assert {each.split("=")[0] for each in oldest[: len(declared)]} == {"torch", "numpy", "scipy"}
    assert {each.split(">")[0] for each in oldest[len(declared) :]} == {"pytest", "pillow", "matplotlib"}


def test_the_newest_are_what_is_declared():
    newest = requirements("newest")
    assert all(">=" in each for each in newest) and len(newest) == len(requirements("oldest"))


def test_one_version_can_be_changed():
    changed = requirements("oldest", ("torch==2.13.0",))
    assert "torch==2.13.0" in changed and len(changed) == len(requirements("oldest"))
    with pytest.raises(ValueError, match="expected packages that regkit depends on, got flask"):
        requirements("oldest", ("flask==1.0",))
