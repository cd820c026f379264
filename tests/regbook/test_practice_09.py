"""The checkers of chapter 9 accept right answers and name the errors that people make."""

import pytest
import torch

from regbook.practice import ch09 as practice

solve = torch.linalg.solve


def tangent(A, A_dot, b, b_dot):
    return solve(A, b_dot - A_dot @ solve(A, b))


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        (lambda A, dA, b, db: solve(A, db + dA @ solve(A, b)), "sign"),
        (lambda A, dA, b, db: -solve(A, dA @ solve(A, b)), "ḃ is missing"),
        (lambda A, dA, b, db: solve(A, db), "Ȧ x is missing"),
        (lambda A, dA, b, db: db - dA @ solve(A, b), "Solve it"),
        (lambda A, dA, b, db: solve(dA, db - dA @ solve(A, b)), "not with Ȧ"),
        (lambda A, dA, b, db: solve(A, db - dA @ b), "applied to b"),
        (lambda A, dA, b, db: b, "expected"),
    ],
)
def test_9_2_names_the_error(answer, says):
    with pytest.raises(AssertionError, match=says):
        practice.check_9_2(answer)


def test_9_2_accepts_the_solution():
    assert practice.check_9_2(tangent).startswith("Right")


def polynomial(alphas, betas, value, sign=-1.0, old=False, result="p"):
    p = q = 1.0
    for alpha, beta in zip(alphas, betas, strict=False):
        before, p = p, p + sign * alpha * value * q
        q = (before if old else p) + beta * q
    return p if result == "p" else q


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        (lambda a, b, v: polynomial(a, b, v, sign=1.0), "sign"),
        (lambda a, b, v: polynomial(a, b, v, result="q"), "polynomial of the direction"),
        (lambda a, b, v: polynomial(a, b, v, old=True), "old p"),
        (lambda a, b, v: polynomial(a, [0.0, *b], v), "off by one"),
        (lambda a, b, v: polynomial(a, [0.0] * 3, v), "gradient descent"),
        (lambda a, b, v: 0.0, "expected"),
    ],
)
def test_9_3_names_the_error(answer, says):
    with pytest.raises(AssertionError, match=says):
        practice.check_9_3(answer)


def test_9_3_accepts_the_solution():
    assert practice.check_9_3(polynomial).startswith("Right")


def changes(f, x, size=1e-10):
    generator = torch.Generator().manual_seed(0)
    return [f(x + size * torch.randn(x.shape, generator=generator, dtype=x.dtype)) - f(x) for _ in range(3)]


def noisy(f, x):
    return any(bool(change.norm() > 0.01 * f(x).norm()) for change in changes(f, x))


def moves_x(f, x):
    answer = noisy(f, x)
    x += 1e-10
    return answer


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        (lambda f, x: changes(f, x)[0], "True or False"),
        (lambda f, x: any(bool(c.norm() > 0.01 * f(x).norm()) for c in changes(f, x, 1.0)), "moves 1e-10"),
        (lambda f, x: any(bool(c.norm() > 0.01) for c in changes(f, x)), "called calm"),
        (lambda f, x: any(bool((c.abs() > 0.01 * f(x).abs()).any()) for c in changes(f, x)), "each entry"),
        (moves_x, "changes x itself"),
    ],
)
def test_9_4_names_the_error(answer, says):
    with pytest.raises(AssertionError, match=says):
        practice.check_9_4(answer)


def test_9_4_accepts_the_solution():
    assert practice.check_9_4(noisy).startswith("Right")
