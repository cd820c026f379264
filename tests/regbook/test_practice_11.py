"""The checkers of chapter 11 accept right answers and name the errors that people make."""

import pytest
import torch

from regbook.practice import ch11 as practice

grad, jacfwd = torch.func.grad, torch.func.jacfwd


def product(loss, w, v):
    return torch.func.jvp(grad(loss), (w,), (v,))[1]


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        (lambda J, w, v: grad(J)(w) @ v, "derivative of the loss along v"),
        (lambda J, w, v: v @ product(J, w, v), "shape of v"),
        (lambda J, w, v: J(w), "got a number"),
        (lambda J, w, v: torch.zeros_like(v), "is a constant"),
        (lambda J, w, v: grad(J)(w), "Where is v"),
        (lambda J, w, v: grad(J)(w + v) - grad(J)(w), "difference of two gradients"),
        (lambda J, w, v: grad(J)(v), "gradient at v"),
        (lambda J, w, v: product(J, v, w), "are exchanged"),
        (lambda J, w, v: jacfwd(grad(J))(w).diagonal() * v, "the diagonal of H"),
        (lambda J, w, v: (grad(J)(w + 1e-4 * v) - grad(J)(w)) / 1e-4, "difference quotient"),
        (lambda J, w, v: 2 * product(J, w, v), "not Hv"),
    ],
)
def test_11_2_names_the_error(answer, says):
    with pytest.raises(AssertionError, match=says):
        practice.check_11_2(answer)


def test_11_2_finds_the_whole_matrix():
    """As it ends where there is no room for 80 gigabytes: the allocator's error."""

    def whole(loss, w, v):
        if len(w) > 1000:
            raise RuntimeError("DefaultCPUAllocator: can't allocate memory")
        return jacfwd(grad(loss))(w) @ v

    with pytest.raises(AssertionError, match="is the whole matrix built"):
        practice.check_11_2(whole)


def test_11_2_accepts_both_ways():
    assert practice.check_11_2(product).startswith("Right")
    back = lambda J, w, v: grad(lambda u: grad(J)(u) @ v)(w)  # noqa: E731
    assert practice.check_11_2(back).startswith("Right")


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
        (lambda u, x: 2 * det(u, x), "these are other numbers"),
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
