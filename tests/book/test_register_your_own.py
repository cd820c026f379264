"""The guide from two files to the aligned picture: all of its code runs, and finds what it says."""

from __future__ import annotations

import matplotlib
import numpy as np
import pytest
import torch
from PIL import Image

from tools.chapters import cells
from tools.toc import ROOT

PAGE = ROOT / "book" / "register_your_own.ipynb"


@pytest.fixture(scope="module")
def page(tmp_path_factory) -> dict:
    """What the names on the page stand for, once all of its code has run in a folder that stays empty."""
    names = {"__name__": "page"}
    folder, kind, threads = tmp_path_factory.mktemp("own"), torch.get_default_dtype(), torch.get_num_threads()
    with pytest.MonkeyPatch.context() as patch, matplotlib.rc_context():
        patch.chdir(folder)
        try:
            for cell in cells(PAGE, "code"):
                exec(compile(cell.source, str(PAGE), "exec", dont_inherit=True), names)
        finally:
            torch.set_default_dtype(kind)
            torch.set_num_threads(threads)
    assert not [*folder.iterdir()]
    yield names
    names["folder"].cleanup()


def off(matrix, page):
    """The largest distance in cells from the true map, within the head."""
    true = np.eye(3)
    true[:2, :2], true[:2, 2] = page["turn"], [19.0, -12.0]
    return np.abs(page["corners"] @ (matrix - true).T).max()


def test_the_map_is_found(page):
    assert off(page["found"].matrix("scipy"), page) < 0.3
    assert page["found"].warnings == ()


def test_the_aligned_picture_is_the_reference(page):
    aligned = np.asarray(Image.open(page["here"] / "aligned.png"), dtype=float)
    reference = np.asarray(page["reference"])
    assert np.corrcoef(aligned.ravel(), reference.ravel())[0, 1] > 0.98
    assert (page["here"] / "look.png").stat().st_size > 10_000


def test_each_failure_has_its_figure_and_its_advice_in_the_text(page):
    text = "\n".join(cell.source for cell in cells(PAGE, "markdown"))
    figures = [cell.source for cell in cells(PAGE, "code") if "figures.failure(" in cell.source]
    assert len(figures) == len(page["staged"]) == 6
    for (name, made), source in zip(page["staged"].items(), figures, strict=True):
        assert f"experiments.{name}()" in source and f"`{made.advice}`" in text


def test_what_it_says_of_trust(page):
    assert page["known_error"] < 0.5 and page["way_back_error"] < 0.5


def test_the_table_of_pairs(page):
    errors = [row["error"] for row in page["rows"]]
    assert errors[:2] == ["", ""] and errors[2].startswith("FileNotFoundError")
    assert (page["here"] / "table.csv").read_text(encoding="utf-8").count("\n") == 4
