"""The checkers of chapter 5 accept right answers and name the errors that people make."""

import math

import pytest
import torch

from regbook.practice import ch05 as practice


def velocity(H, rate):
    return -torch.linalg.solve(H, rate)


def euler(w, H, rate, theta, following):
    return w + math.log(following / theta) * theta * velocity(H, rate)


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        (lambda w, H, r, a, b: w - math.log(b / a) * a * velocity(H, r), "wrong side"),
        (lambda w, H, r, a, b: w + math.log(b / a) * velocity(H, r), "factor θ is missing"),
        (lambda w, H, r, a, b: w + math.log(b / a) / a * velocity(H, r), "divided by θ"),
        (lambda w, H, r, a, b: w + (b - a) * velocity(H, r), "straight in θ"),
        (lambda w, H, r, a, b: w + (b - a) * a * velocity(H, r), "same variable"),
        (lambda w, H, r, a, b: w + math.log10(b / a) * a * velocity(H, r), "base 10"),
        (lambda w, H, r, a, b: w - math.log(b / a) * a * (H @ r), "multiplied by H"),
        (lambda w, H, r, a, b: euler(w, H, r, a, b) - w, "step alone"),
        (lambda w, H, r, a, b: w, "not the prediction"),
    ],
)
def test_5_2_names_the_error(answer, says):
    with pytest.raises(AssertionError, match=says):
        practice.check_5_2(answer)


def test_5_2_accepts_the_solution():
    assert practice.check_5_2(euler).startswith("Right")


def adams(w, t, last, h, before):
    return w + h * (t + h / before * (t - last) / 2)


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        (lambda w, t, last, h, b: adams(w, t, last, h, h), "one length only"),
        (lambda w, t, last, h, b: w + h * (t + b / h * (t - last) / 2), "upside down"),
        (lambda w, t, last, h, b: w + h * (t + h / b * (t - last)), "end of the step"),
        (lambda w, t, last, h, b: w + h * (t - h / b * (t - last) / 2), "looks back"),
        (lambda w, t, last, h, b: w + h * (t + last) / 2, "step that is done"),
        (lambda w, t, last, h, b: w + h * t, "Euler"),
        (lambda w, t, last, h, b: w, "not w"),
    ],
)
def test_5_3_names_the_error(answer, says):
    with pytest.raises(AssertionError, match=says):
        practice.check_5_3(answer)


def test_5_3_accepts_the_solution():
    assert practice.check_5_3(adams).startswith("Right")


def balance(plain, ahead):
    spent = sum(step.tangent is not None for step in ahead.steps)
    return plain.evaluations - (ahead.evaluations - spent), spent


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        (lambda plain, ahead: balance(plain, ahead)[0], "two numbers"),
        (lambda plain, ahead: (8, len(ahead.steps)), "no prediction"),
        (lambda plain, ahead: (8, len(ahead.accepted) - 1), "one of the steps before the last"),
        (
            lambda plain, ahead: (7, sum(step.tangent is None for step in ahead.steps)),
            "counts the steps without a tangent",
        ),
        (lambda plain, ahead: (plain.evaluations - ahead.evaluations, 3), "take them out"),
        (lambda plain, ahead: (plain.evaluations - ahead.evaluations - 3, 3), "twice"),
        (lambda plain, ahead: (plain.iterations - ahead.iterations, 3), "iterations"),
        (lambda plain, ahead: (-balance(plain, ahead)[0], 3), "sign"),
        (lambda plain, ahead: balance(plain, ahead)[::-1], "exchanged"),
        (lambda plain, ahead: (0, 0), "expected 8"),
    ],
)
def test_5_5_names_the_error(answer, says):
    with pytest.raises(AssertionError, match=says):
        practice.check_5_5(answer)


def test_5_5_accepts_the_solution():
    assert practice.check_5_5(balance).startswith("Right")
