"""The checkers of chapter 12 accept right answers and name the errors that people make."""

import statistics

import pytest
import torch

from regbook.practice import ch12 as practice


def parts(J, r, seconds):
    return J.T @ J, torch.einsum("i,ijk->jk", r, seconds)


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        (lambda *given: sum(parts(*given)), "paper prints"),
        (lambda *given: 2 * parts(*given)[0] + parts(*given)[1], "before both"),
        (lambda *given: parts(*given)[0] + 2 * parts(*given)[1], "before JᵀJ, too"),
        (lambda *given: 2 * parts(*given)[0], "Gauss-Newton"),
        (lambda *given: 2 * (parts(*given)[0] - parts(*given)[1]), "sign"),
        (lambda J, r, seconds: 2 * (J.T @ J + seconds.sum(0)), "multiplied by its residual"),
        (lambda J, r, seconds: J @ J.T, "a matrix"),
        (lambda J, r, seconds: torch.eye(3).double(), "product rule on"),
    ],
)
def test_12_2_names_the_error(answer, says):
    with pytest.raises(AssertionError, match=says):
        practice.check_12_2(answer)


def test_12_2_accepts_the_solution():
    assert practice.check_12_2(lambda *given: 2 * sum(parts(*given))).startswith("Right")


def better(first, second):
    if max(first) < min(second):
        return "first"
    return "second" if max(second) < min(first) else "undecided"


OTHER = {"first": "second", "second": "first", "undecided": "undecided"}


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        (lambda a, b: OTHER[better(a, b)], "smaller error"),
        (lambda a, b: "first" if statistics.mean(a) < statistics.mean(b) else "second", "overlap"),
        (lambda a, b: "first" if max(a) <= min(b) else better(a, b), "touch"),
        (lambda a, b: "first" if a[-1] < b[0] else "second" if b[-1] < a[0] else "undecided", "overlap"),
        (lambda a, b: "undecided", "All runs of one"),
        (lambda a, b: better(a, b).replace("undecided", "neither"), "expected 'undecided'"),
    ],
)
def test_12_3_names_the_error(answer, says):
    with pytest.raises(AssertionError, match=says):
        practice.check_12_3(answer)


def test_12_3_accepts_the_solution():
    assert practice.check_12_3(better).startswith("Right")
