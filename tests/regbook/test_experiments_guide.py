"""The staged failures: each happens, by a map that SciPy knows, and the advice mends it."""

import numpy as np
import pytest
from scipy import ndimage

from regbook.experiments import guide
from regkit import register

FAILURES = [guide.symmetric, guide.overlapping, guide.contrast, guide.bent, guide.covered, guide.mirrored]


@pytest.mark.parametrize("stage", FAILURES, ids=lambda stage: stage.__name__)
def test_it_fails_as_it_comes_and_the_advice_mends_it(stage):
    wrong, right = stage().errors
    assert wrong > 1.5 and right < 0.5 and right < wrong / 6


def test_the_error_is_that_of_the_matrix():
    """Against SciPy's convention, in which the first cell's centre is at 0."""
    found, x = guide.covered().right, np.indices((guide.SIZE, guide.SIZE)).reshape(2, -1).T
    M, still = found.matrix("scipy"), np.ones((guide.SIZE, guide.SIZE), bool)
    y = x @ M[:2, :2].T + M[:2, 2]
    expected = np.sqrt(((y - x) ** 2).sum(1).mean())
    assert guide.off(found, lambda points: points, still) == pytest.approx(expected, rel=1e-6)


def test_the_reference_is_the_template_as_the_true_map_moves_it():
    """SciPy's rotation of the head below the frame is what the frame shows."""
    made = guide.covered()
    inside = np.s_[14:-14, 14:-14]
    M = made.right.matrix("scipy")
    moved = ndimage.affine_transform(guide._head(), M[:2, :2], M[:2, 2], order=3)
    assert np.abs(moved - made.reference)[inside].mean() < 4  # of noise with a deviation of 2, twice


def test_what_it_says_and_does_not_say():
    """What the page tells: few warnings name the cause, and two failures have none."""
    first = [guide.said(stage().wrong) for stage in FAILURES]
    then = [guide.said(stage().right) for stage in FAILURES]
    assert "ambiguous" in first[0] and "little overlap" not in first[1]
    assert "contrast inverted" in first[2] and first[3] == first[4] == "nothing"
    assert "little overlap" in then[1]
    assert not any("ambiguous" in words or "nothing in common" in words for words in then)


def test_where_the_light_differs_more_nothing_warns():
    made = guide.symmetric(0.15)
    assert made.errors[0] > 2 and made.wrong.warnings == ()


def test_of_a_plain_negative_the_negative_can_be_taken():
    made = guide.contrast()
    found = register(255 - made.template, made.reference)
    assert (found.points - made.right.points).abs().max() < 1
