"""Which packages of Google Colab the bounds of this project accept, by a dated list of what Colab has."""

from __future__ import annotations

import re
import tomllib

import pytest
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

from tools import here
from tools.toc import ROOT

# The newest of Colab's past runtimes that its own list names (repository googlecolab/backend-info, README.md,
# and pip-freeze.txt at commit bd8aaa4580401a7fbf96a52fab5a7acf96f50b73). A newer list replaces this one.
RUNTIME = "2026.01"
COLAB = {
    "python": "3.12.12",
    "torch": "2.9.0+cpu",
    "numpy": "2.0.2",
    "scipy": "1.16.3",
    "matplotlib": "3.10.0",
    "pillow": "11.3.0",
    "ipywidgets": "7.7.1",
}
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
ASKED = [Requirement(line) for line in PROJECT["dependencies"] + PROJECT["optional-dependencies"]["book"]]


def replaced() -> list[str]:
    """What an installation of regkit[book] has to replace there."""
    return [each.name for each in ASKED if COLAB[each.name] not in each.specifier]


def test_the_list_has_all_that_is_asked_for():
    assert {each.name for each in ASKED} | {"python"} == set(COLAB)


def test_python_torch_and_numpy_stay():
    """Another NumPy under packages that were built for Colab's breaks them; PyTorch has gigabytes."""
    assert COLAB["python"] in SpecifierSet(PROJECT["requires-python"])
    assert not {"torch", "numpy"} & {*replaced()}


@pytest.mark.parametrize("name", here.KEPT)
def test_what_is_kept_is_what_the_bounds_accept(name: str):
    assert here.fits(name, COLAB.__getitem__) == (name not in replaced())


def test_the_text_says_what_is_replaced():
    text = " ".join((ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8").split())
    found = re.search(r"There is none for Colab.*? Its runtime (\S+) has older versions of (.+?) than", text)
    assert found and found[1] == RUNTIME and re.split(", | and ", found[2]) == replaced()
