"""The guide from two files to the aligned picture: all of its code runs, and finds what it says."""

from __future__ import annotations

import re

import numpy as np
import pytest
from PIL import Image

from tools.toc import ROOT

PAGE = ROOT / "book" / "register_your_own.md"
BLOCKS = re.findall(r"^```python\n(.+?)^```", PAGE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)


@pytest.fixture(scope="module")
def page(tmp_path_factory) -> dict:
    """What the names on the page stand for, once all of its code has run in an empty folder."""
    names = {"__name__": "page", "folder": tmp_path_factory.mktemp("own")}
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(names["folder"])
        for block in BLOCKS:
            exec(compile(block, str(PAGE), "exec", dont_inherit=True), names)
    return names


def off(matrix, page):
    """The largest distance in cells from the true map, within the head."""
    true = np.eye(3)
    true[:2, :2], true[:2, 2] = page["turn"], [19.0, -12.0]
    return np.abs(page["corners"] @ (matrix - true).T).max()


def test_the_map_is_found(page):
    assert off(page["found"].matrix("scipy"), page) < 0.3
    assert page["found"].warnings == ()


def test_the_aligned_picture_is_the_reference(page):
    aligned = np.asarray(Image.open(page["folder"] / "aligned.png"), dtype=float)
    reference = np.asarray(page["reference"])
    assert np.corrcoef(aligned.ravel(), reference.ravel())[0, 1] > 0.98
    assert (page["folder"] / "look.png").stat().st_size > 10_000


def test_edges_see_through_a_bent_contrast(page):
    assert off(page["edges"].matrix("scipy"), page) < 1.2


def test_what_it_says_of_trust(page):
    assert page["known_error"] < 0.5 and page["way_back_error"] < 0.5


def test_the_table_of_pairs(page):
    errors = [row["error"] for row in page["rows"]]
    assert errors[:2] == ["", ""] and errors[2].startswith("FileNotFoundError")
    assert (page["folder"] / "table.csv").read_text(encoding="utf-8").count("\n") == 4
