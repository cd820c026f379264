"""What all checkers of the exercises share."""

import numpy as np
import pytest
import torch

from regbook.practice.report import Wrong, close, wrong


@pytest.mark.parametrize(
    ("given", "right", "verdict"),
    [
        (1.0, 1.0 + 1e-10, True),
        (1.0, 1.0 + 1e-6, False),
        ([1.0, 2.0], np.array([1.0, 2.0]), True),
        (torch.tensor([1, 2]), [1.0, 2.0], True),
        ([1e6, 1.0], [1e6, 1.001], True),  # measured by the largest
        ([1.0, 2.0], [[1.0, 2.0]], False),  # another shape
        (float("nan"), 1.0, False),
    ],
)
def test_close(given, right, verdict):
    assert close(given, right) is verdict


def test_the_tolerance_is_that_of_the_caller():
    assert close(1.0, 1.01, tolerance=0.02) and not close(1.0, 1.01)


def test_wrong_speaks_to_the_reader():
    with pytest.raises(Wrong, match="the sign is the other one"):
        wrong("the sign is the other one")
