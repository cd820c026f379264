"""The checkers of chapter 11 accept right answers and name the errors that people make."""

import pytest
import torch

from regbook.practice import ch11 as practice

jacfwd = torch.func.jacfwd


def forward(r, w, v):
    return torch.func.jvp(r, (w,), (v,))[1]


def back(r, w, u):
    return torch.func.vjp(r, w)[1](u)


def product(r, w, v):
    return back(r, w, forward(r, w, v))[0]


def exact(r, w, v):
    return forward(lambda w: back(r, w, r(w))[0], w, v)


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        (lambda r, w, v: back(r, w, forward(r, w, v)), "a tuple"),
        (forward, "went forward"),
        (lambda r, w, v: v @ product(r, w, v), "of shape"),
        (lambda r, w, v: back(r, w, r(w))[0], "Where is v"),
        (exact, "exact Hessian"),
        (lambda r, w, v: 2 * product(r, w, v), "twice as much"),
        (lambda r, w, v: jacfwd(r)(w).square().sum(0) * v, "the diagonal"),
        (lambda r, w, v: back(r, w, (r(w + 1e-4 * v) - r(w)) / 1e-4)[0], "difference quotient"),
        (lambda r, w, v: -product(r, w, v), "these are other numbers than J"),
        (lambda r, w, v: jacfwd(r)(w).T @ forward(r, w, v), "is the whole matrix built"),
    ],
)
def test_11_2_names_the_error(answer, says):
    with pytest.raises(AssertionError, match=says):
        practice.check_11_2(answer)


def test_11_2_accepts_the_solution():
    assert practice.check_11_2(product).startswith("Right")


def slopes(u, x):
    return torch.func.vmap(jacfwd(u))(x)


def F(u, x):
    return torch.eye(2, dtype=x.dtype) + slopes(u, x)


def det(u, x):
    return torch.linalg.det(F(u, x))


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        (lambda u, x: det(u, x).min(), "for each of the 7 points"),
        (lambda u, x: torch.linalg.det(slopes(u, x)), "where is the identity"),
        (lambda u, x: 1 + torch.linalg.det(slopes(u, x)), "before the determinant"),
        (lambda u, x: 1 + slopes(u, x).diagonal(dim1=1, dim2=2).sum(1), "small displacements"),
        (lambda u, x: F(u, x)[:, 0, 0] * F(u, x)[:, 1, 1] + F(u, x)[:, 0, 1] * F(u, x)[:, 1, 0], "a plus"),
        (lambda u, x: F(u, x).diagonal(dim1=1, dim2=2).prod(1), "product of the diagonal"),
        (lambda u, x: det(u, x).abs(), "absolute value"),
        (lambda u, x: 2 * det(u, x), "these are other numbers than the"),
    ],
)
def test_11_4_names_the_error(answer, says):
    with pytest.raises(AssertionError, match=says):
        practice.check_11_4(answer)


def test_11_4_accepts_the_solution():
    assert practice.check_11_4(det).startswith("Right")


def honest(alphas, misfits, noise, factor=2**0.5):
    for alpha, misfit in zip(alphas, misfits, strict=True):
        if misfit <= factor * noise:
            return alpha
    return alphas[-1]


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        (lambda a, m, s: a[-1], "it fits the noise"),
        (lambda a, m, s: honest(a, m, s, 1.0), "one image alone"),
        (lambda a, m, s: honest(a, m, s, 2.0), "one too large"),
        (lambda a, m, s: a[0], "far above the noise"),
        (lambda a, m, s: a[1], "expected 0.01"),
        (lambda a, m, s: next(x for x, y in zip(a, m, strict=True) if y <= 2**0.5 * s), "there was an error"),
        (lambda a, m, s: honest(a, m, s) if m[-1] < 2 * s else None, "returned None"),
    ],
)
def test_11_5_names_the_error(answer, says):
    with pytest.raises(AssertionError, match=says):
        practice.check_11_5(answer)


def test_11_5_accepts_the_solution():
    assert practice.check_11_5(honest).startswith("Right")
