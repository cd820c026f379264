"""The checkers of chapter 10 accept right answers and name the errors that people make."""

import math

import pytest
import torch

from regbook.practice import ch10 as practice


def parts(A, b, f0, f):
    vectors = torch.linalg.eigh(A.T @ A).eigenvectors
    exact = torch.linalg.lstsq(A, b[:, None]).solution[:, 0]
    return vectors, exact


def factors(A, b, f0, f):
    vectors, exact = parts(A, b, f0, f)
    return (vectors.T @ (f - f0)) / (vectors.T @ (exact - f0))


def without_start(A, b, f0, f):
    vectors, exact = parts(A, b, f0, f)
    return (vectors.T @ f) / (vectors.T @ exact)


def along_pixels(A, b, f0, f):
    return (f - f0) / (parts(A, b, f0, f)[1] - f0)


def transposed(A, b, f0, f):
    vectors, exact = parts(A, b, f0, f)
    return (vectors @ (f - f0)) / (vectors @ (exact - f0))


def scaled(A, b, f0, f):
    return factors(A, b, f0, f) * torch.linalg.eigvalsh(A.T @ A)


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        (lambda *x: factors(*x).flip(0), "order"),
        (lambda *x: 1 - factors(*x), "left"),
        (lambda *x: 1 / factors(*x), "upside down"),
        (without_start, "f₀ is missing"),
        (along_pixels, "pixels"),
        (transposed, "columns of V"),
        (scaled, "eigenvalues"),
        (lambda *x: torch.zeros(5).double(), "expected"),
    ],
)
def test_10_2_names_the_error(answer, says):
    with pytest.raises(AssertionError, match=says):
        practice.check_10_2(answer)


def test_10_2_accepts_the_solution():
    assert practice.check_10_2(factors).startswith("Right")


def stays(products, errors, target):
    last = max((k for k, error in enumerate(errors) if error > target), default=-1)
    return products[last + 1] if last + 1 < len(products) else math.inf


def first(products, errors, target):
    return next((p for p, e in zip(products, errors, strict=True) if e <= target), math.inf)


def number(products, errors, target):
    spent = stays(products, errors, target)
    return products.index(spent) if spent in products else math.inf


def strict(products, errors, target):
    last = max((k for k, error in enumerate(errors) if error >= target), default=-1)
    return products[last + 1] if last + 1 < len(products) else math.inf


def early(products, errors, target):
    spent = stays(products, errors, target)
    return products[max(products.index(spent) - 1, 0)] if spent in products else math.inf


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        (first, "rises again"),
        (number, "number of a step"),
        (lambda p, e, t: p[-1], "whole run"),
        (strict, "equal to the target"),
        (early, "too early"),
        (lambda p, e, t: stays(p, e, t) if stays(p, e, t) < math.inf else None, "math.inf"),
        (lambda p, e, t: 17, "expected"),
    ],
)
def test_10_3_names_the_error(answer, says):
    with pytest.raises(AssertionError, match=says):
        practice.check_10_3(answer)


def test_10_3_accepts_the_solution():
    assert practice.check_10_3(stays).startswith("Right")
