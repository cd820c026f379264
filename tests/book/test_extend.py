"""The page for those who add to the package: all of its code runs, and finds what it says."""

from __future__ import annotations

import math
import re

import pytest

from tools.toc import ROOT

pytestmark = pytest.mark.slow

PAGE = ROOT / "book" / "extend.md"
BLOCKS = re.findall(r"^```python\n(.+?)^```", PAGE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)


@pytest.fixture(scope="module")
def page() -> dict:
    """What the names on the page stand for, once all of its code has run."""
    names = {"__name__": "page"}
    for block in BLOCKS:
        exec(compile(block, str(PAGE), "exec", dont_inherit=True), names)
    return names


@pytest.mark.parametrize("name", ["free_test", "information_test"])
def test_the_derivatives_of_new_parts_are_right(page, name):
    assert page[name].slopes.tolist() == pytest.approx([1, 2, 3], abs=0.15)


def test_the_free_form_finds_the_displacement(page):
    before = page["displacement"][page["head"]].norm(dim=1).mean()
    assert page["found"].converged, page["found"].message
    assert page["miss"] < 0.25 * before


def test_the_motion_by_hand_is_the_map(page):
    """Its derivative too, against forward mode of the map of which only y is known."""
    free, fast, w, grid = (page[name] for name in ("free", "motion", "start", "grid"))
    v = page["torch"].sin(page["torch"].arange(len(w)).to(w))
    known = free.on(grid).derivative(w) @ v
    assert (fast.derivative(w) @ v - known).norm() < 1e-12 * known.norm()
    assert page["adjoint_error"] < 1e-12


def test_mutual_information_sees_through_the_inversion_and_a_difference_does_not(page):
    by_information, by_difference = page["errors"]
    cell = page["grid"].spacing[0]
    assert by_information[0] < math.radians(1.0) and by_information[1:].max() < 0.25 * cell
    assert by_difference[1:].max() > cell
