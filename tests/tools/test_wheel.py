"""The wheel holds both packages with all their data, and is built without a trace in the project's folder."""

from __future__ import annotations

import email
import re
import zipfile
from pathlib import Path

import pytest

from tools import wheel as tool
from tools.toc import ROOT


@pytest.fixture(scope="module")
def wheel() -> Path:
    return tool.wheel()


def test_it_holds_all_files_of_both_packages(wheel):
    with zipfile.ZipFile(wheel) as archive:
        inside = {name for name in archive.namelist() if ".dist-info/" not in name}
    folders = (ROOT / "regkit", ROOT / "regbook")
    files = [file for folder in folders for file in folder.rglob("*") if file.is_file()]
    there = {file.relative_to(ROOT).as_posix() for file in files if file.suffix != ".pyc"}
    assert inside == there


def test_it_asks_for_little_and_for_figures_only_if_told(wheel):
    with zipfile.ZipFile(wheel) as archive:
        name = next(name for name in archive.namelist() if name.endswith("METADATA"))
        asked = email.message_from_bytes(archive.read(name)).get_all("Requires-Dist")
    always = {re.match(r"[\w-]+", line)[0] for line in asked if "extra ==" not in line}
    book = {re.match(r"[\w-]+", line)[0] for line in asked if re.search(r"""extra == ["']book["']""", line)}
    assert always == {"torch", "numpy", "scipy"}
    assert book == {"matplotlib", "pillow", "ipywidgets"}


def test_it_is_the_same_each_time_and_leaves_nothing_behind(wheel, tmp_path, monkeypatch):
    before = sorted(path.name for path in ROOT.iterdir())
    monkeypatch.setattr(tool, "FOLDER", tmp_path)
    again = tool.wheel.__wrapped__()
    assert again.name == wheel.name and again.read_bytes() == wheel.read_bytes()
    assert sorted(path.name for path in ROOT.iterdir()) == before
