"""The checkers of chapter 4 accept right answers and name the errors that people make."""

import numpy as np
import pytest

from regbook.practice import ch04 as practice


def count(values):
    distinct = [v for k, v in enumerate(values) if k == 0 or v != values[k - 1]]
    return sum(a > b < c for a, b, c in zip(distinct, distinct[1:], distinct[2:], strict=False))


def strict(values):
    return sum(a > b < c for a, b, c in zip(values, values[1:], values[2:], strict=False))


def weak(values):
    return sum(a >= b <= c for a, b, c in zip(values, values[1:], values[2:], strict=False))


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        (strict, "flat valley"),
        (weak, "flat valley"),
        (lambda values: count([-v for v in values]), "maxima"),
        (lambda values: count([9e9, *values, 9e9]), "ends of the list"),
        (lambda values: 2, "three turns"),
    ],
)
def test_4_2_names_the_error(answer, says):
    with pytest.raises(AssertionError, match=says):
        practice.check_4_2(answer)


def test_4_2_accepts_the_solution():
    assert practice.check_4_2(count).startswith("Right")


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        (lambda a, b, n: np.geomspace(b, a, n), "from fine to coarse"),
        (lambda a, b, n: np.linspace(a, b, n), "equal amounts"),
        (lambda a, b, n: np.linspace(a**0.25, b**0.25, n) ** 4, "sizes differ"),
        (lambda a, b, n: np.geomspace(a, b, n + 1), "expected 6 scales"),
        (lambda a, b, n: np.geomspace(a, b, n + 1)[:-1], "as the last"),
        (lambda a, b, n: [a, 100, 50, 3, 1, b], "not all the same"),
    ],
)
def test_4_3_names_the_error(answer, says):
    with pytest.raises(AssertionError, match=says):
        practice.check_4_3(answer)


def test_4_3_accepts_the_solution():
    assert practice.check_4_3(np.geomspace).startswith("Right")


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        ((1e-3, 1), "the finest alone"),
        ((0.01, 2), "the first scale is too fine"),
        ((10.0, 20), "30 are allowed"),
        ((10.0, 1.5), "expected a coarsest"),
        ((-1.0, 2), "expected a coarsest"),
    ],
)
def test_4_4_names_the_error(answer, says):
    with pytest.raises(AssertionError, match=says):
        practice.check_4_4(*answer)


def test_4_4_accepts_the_solution():
    assert practice.check_4_4(coarsest=10.0, scales=2).startswith("Right")
