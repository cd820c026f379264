"""The checkers of chapter 8 accept right answers and name the errors that people make."""

import pytest
import torch

from regbook.practice import ch08 as practice


def solve(A, B):
    return torch.linalg.solve(A.T @ A, B)


def kaufman(A, D):
    return D - A @ solve(A, A.T @ D)


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        (lambda A, D: solve(A, A.T @ D), "coefficients"),
        (lambda A, D: A @ solve(A, A.T @ D), "shadow on the range"),
        (lambda A, D: -kaufman(A, D), "sign"),
        (lambda A, D: A @ solve(A, A.T @ D) * -1, "sign"),
        (lambda A, D: D + A @ solve(A, A.T @ D), "added"),
        (lambda A, D: D - A @ (A.T @ D), "orthonormal"),
        (lambda A, D: D, "held fixed"),
        (lambda A, D: kaufman(A, D) * 2, "something else"),
        (lambda A, D: kaufman(A, D).T, "something else"),
    ],
)
def test_8_2_names_the_error(answer, says):
    with pytest.raises(AssertionError, match=says):
        practice.check_8_2(answer)


def test_8_2_accepts_solutions():
    assert practice.check_8_2(kaufman).startswith("Right")
    by_qr = practice.check_8_2(lambda A, D: D - (Q := torch.linalg.qr(A).Q) @ (Q.T @ D))
    assert by_qr.startswith("Right")


def pieces(A, dA, b):
    f = solve(A, A.T @ b)
    return f, dA @ f, dA.T @ (b - A @ f)


def slope(A, dA, b, sign_E=1.0, sign_D=-1.0):
    _, D, E = pieces(A, dA, b)
    return D + A @ solve(A, sign_E * E + sign_D * (A.T @ D))


def slope_without_second_term(A, dA, b):
    return kaufman(A, pieces(A, dA, b)[1]) + A @ solve(A, dA.T @ b)


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        (lambda *args: pieces(*args)[1], "f is held"),
        (lambda A, dA, b: kaufman(A, pieces(A, dA, b)[1]), "Kaufman"),
        (lambda *args: slope(*args, sign_E=-1.0), "sign of E"),
        (slope_without_second_term, "not .dA.ᵀb"),
        (lambda *args: slope(*args, sign_D=1.0), "sign of AᵀD"),
        (lambda A, dA, b: solve(A, pieces(A, dA, b)[2] - A.T @ pieces(A, dA, b)[1]), "this is f′"),
        (lambda *args: 2 * slope(*args), "Try finite"),
    ],
)
def test_8_3_names_the_error(answer, says):
    with pytest.raises(AssertionError, match=says):
        practice.check_8_3(answer)


def test_8_3_accepts_the_solution():
    assert practice.check_8_3(slope).startswith("Right")


def share(A, D):
    return kaufman(A, D).square().sum() / D.square().sum()


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        (lambda A, D: 1 - share(A, D), "cos²"),
        (lambda A, D: share(A, D).sqrt(), "sine"),
        (lambda A, D: 1 / share(A, D), "upside down"),
        (lambda A, D: (1 - share(A, D)).sqrt(), "cosine"),
        (lambda A, D: 0.5, "expected"),
    ],
)
def test_8_4_names_the_error(answer, says):
    with pytest.raises(AssertionError, match=says):
        practice.check_8_4(answer)


def test_8_4_accepts_the_solution():
    assert practice.check_8_4(share).startswith("Right")
