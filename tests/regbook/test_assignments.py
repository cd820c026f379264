"""The checkers of assignments accept right answers for any seed, and name the errors that people make."""

import numpy as np
import pytest
import torch

from regbook.assignments import first, properties, second
from regkit import evaluate

pytestmark = pytest.mark.usefixtures("double_precision")


def gradient(c, grid, reference, w, at=1.0):
    """The gradient of G1.1; with at = 0 the slopes are taken, and turned, where w = 0."""
    x, middle = grid.points().double(), torch.tensor(grid.extent) / 2
    cos, sin = torch.cos(w[0]), torch.sin(w[0])
    arm = (x - middle) @ torch.stack([torch.stack([cos, sin]), torch.stack([-sin, cos])])
    y = arm + middle + w[1:]
    value = evaluate(c, grid, y)
    slope = evaluate(c, grid, y if at else x, order=1)[1]
    arm = arm if at else x - middle
    force = grid.cell_volume * (value - reference)[:, None] * slope
    turn = torch.stack([-arm[:, 1], arm[:, 0]], dim=1)
    return torch.stack([(force * turn).sum(), *force.sum(0)])


def hessian(residual, w):
    return torch.func.hessian(lambda w: 0.5 * residual(w).square().sum())(w)


def gauss_newton(residual, w):
    J_r = torch.func.jacfwd(residual)(w)
    return J_r.T @ J_r


def bump(x, order=0):
    d, power = x.abs(), 3 - order
    value = (2 - d).clamp(min=0) ** power - 4 * (1 - d).clamp(min=0) ** power
    return -3 * x.sign() * value if order else value


def matrix(u, m, order=0):
    return bump(u[:, None] - torch.arange(m), order)


def spline_slope(c, u):
    return matrix(u, len(c), 1) @ c


def spread(u, r, m):
    return matrix(u, m).T @ r


def overwriting(u, r, m):
    found = torch.zeros(m)
    for place, number in zip(u, r, strict=True):
        row = bump(place - torch.arange(m))
        found = torch.where(row != 0, row * number, found)
    return found


def ahead(v, w, s, h):
    return w + h * v(w + h / 2 * v(w, s), s + h / 2)


def expand(coarse, factor):
    return torch.kron(coarse, torch.ones(factor, factor)) / factor**2


def smoothed(A, L, b, strength):
    return torch.linalg.solve(A.T @ A + strength * L.T @ L, A.T @ b)


def reduced_gradient(matrix, w, b):
    f = torch.linalg.lstsq(matrix(w), b[:, None]).solution[:, 0]
    return torch.func.grad(lambda w: 0.5 * (matrix(w) @ f - b).square().sum())(w)


def pull_back(A, b, x_bar):
    b_bar = torch.linalg.solve(A.T, x_bar)
    return -torch.outer(b_bar, torch.linalg.solve(A, b)), b_bar


def iterate(product, b, count, conjugate=1.0):
    x, r = torch.zeros_like(b), b
    p = r
    for _ in range(count):
        q = product(p)
        alpha = (r @ r if conjugate else r @ p) / (p @ q)
        x, following = x + alpha * p, r - alpha * q
        p = following + conjugate * (following @ following) / (r @ r) * p
        r = following
    return x


def heun(v, w, s, h):
    here = v(w, s)
    return w + h / 2 * (here + v(w + h * here, s + h))


@pytest.mark.parametrize(
    ("check", "answer"),
    [
        (first.check_g1_1, gradient),
        (first.check_g1_2, hessian),
        (first.check_g1_3, spline_slope),
        (first.check_g1_4, spread),
        (first.check_g1_5, ahead),
        (first.check_g1_5, heun),
        (second.check_g2_1, expand),
        (second.check_g2_2, smoothed),
        (second.check_g2_3, reduced_gradient),
        (second.check_g2_4, pull_back),
        (second.check_g2_5, iterate),
    ],
)
@pytest.mark.parametrize("seed", range(12))
def test_right_answers_are_right_for_every_seed(check, answer, seed):
    assert check(answer, seed=seed).startswith("Right")


WRONG = [
    (first.check_g1_1, lambda *a: -gradient(*a), "sign"),
    (first.check_g1_1, lambda *a: 2 * gradient(*a), "twice"),
    (first.check_g1_1, lambda *a: gradient(*a) / a[1].cell_volume, "volume"),
    (first.check_g1_1, lambda *a: gradient(*a, at=0), "w = 0 only"),
    (first.check_g1_1, lambda *a: gradient(*a) * torch.tensor([0.0, 1.0, 1.0]), "shift's part is right"),
    (first.check_g1_1, lambda *a: gradient(*a) + 0.1, "slope 1"),
    (first.check_g1_1, lambda *a: gradient(*a)[:2], r"should be \(3,\), and is \(2,\)"),
    (first.check_g1_2, gauss_newton, "Gauss-Newton"),
    (first.check_g1_2, lambda r, w: 2 * hessian(r, w), "twice"),
    (first.check_g1_2, lambda r, w: -hessian(r, w), "sign"),
    (first.check_g1_2, lambda r, w: hessian(r, w).triu(), "symmetric"),
    (first.check_g1_2, lambda r, w: hessian(r, w) + torch.eye(4), "slope 2"),
    (first.check_g1_3, lambda c, u: matrix(u, 9) @ c, "values"),
    (first.check_g1_3, lambda c, u: -spline_slope(c, u), "sign"),
    (first.check_g1_3, lambda c, u: spline_slope(c, u) / 6, "factor 6"),
    (first.check_g1_3, lambda c, u: spline_slope(c, u).abs(), "some signs"),
    (first.check_g1_3, lambda c, u: spline_slope(c, u) * ((u > 0) & (u < 8)), "inside only"),
    (first.check_g1_3, lambda c, u: 2 * spline_slope(c, u), "other slopes"),
    (first.check_g1_4, lambda u, r, m: -spread(u, r, m), "sign"),
    (first.check_g1_4, lambda u, r, m: spread(u, r, m) / 6, "factor 6"),
    (first.check_g1_4, overwriting, "one point only"),
    (first.check_g1_4, lambda u, r, m: matrix(u, m, 1).T @ r, "adjoint test: ⟨"),
    (first.check_g1_5, lambda v, w, s, h: w + h * v(w, s), "Euler"),
    (first.check_g1_5, lambda v, w, s, h: w + h * v(w + h * v(w, s), s + h), "second velocity"),
    (first.check_g1_5, lambda v, w, s, h: ahead(v, w, s, -h), "backwards"),
    (first.check_g1_5, lambda v, w, s, h: w + 0, "not move"),
    (first.check_g1_5, lambda v, w, s, h: ahead(v, w, s, h) + 0 * v(w, s), "3 velocities"),
    (first.check_g1_5, lambda v, w, s, h: ahead(v, w, s, h / 3), "does not follow"),
    (second.check_g2_1, lambda d, n: expand(d, n) * n**2, "a mean divides"),
    (second.check_g2_1, lambda d, n: expand(d, n) * n, "one factor"),
    (second.check_g2_1, lambda d, n: d.repeat(n, n) / n**2, "repeated as a whole"),
    (second.check_g2_1, lambda d, n: expand(d, n).roll(1, 0), "adjoint test: ⟨"),
    (second.check_g2_2, lambda A, L, b, s: smoothed(A, L, b, s**2), "squared"),
    (second.check_g2_2, lambda A, L, b, s: smoothed(A, L, b, 2 * s), "twice"),
    (second.check_g2_2, lambda A, L, b, s: smoothed(A, L, b, s / 2), "by half"),
    (second.check_g2_2, lambda A, L, b, s: smoothed(A, L, b, 1.0), "not used"),
    (second.check_g2_2, lambda A, L, b, s: torch.linalg.pinv(A) @ b, "penalty is missing"),
    (second.check_g2_2, lambda A, L, b, s: 2 * smoothed(A, L, b, s), "lower value"),
    (second.check_g2_3, lambda A, w, b: -reduced_gradient(A, w, b), "sign"),
    (second.check_g2_3, lambda A, w, b: 2 * reduced_gradient(A, w, b), "twice"),
    (second.check_g2_3, lambda A, w, b: 0 * w, "zero"),
    (second.check_g2_3, lambda A, w, b: reduced_gradient(A, w, b) + 1, "slope 1"),
    (second.check_g2_4, lambda A, b, x: pull_back(A, b, x)[0], "Two things"),
    (second.check_g2_4, lambda A, b, x: (pull_back(A, b, x)[0], -pull_back(A, b, x)[1]), "sign of b̄"),
    (second.check_g2_4, lambda A, b, x: pull_back(A.T, b, x), "with A"),
    (second.check_g2_4, lambda A, b, x: (pull_back(A, b, x)[0], 2 * pull_back(A, b, x)[1]), "b̄ is wrong"),
    (second.check_g2_4, lambda A, b, x: (-pull_back(A, b, x)[0], pull_back(A, b, x)[1]), "sign of Ā"),
    (second.check_g2_4, lambda A, b, x: (pull_back(A, b, x)[0].T, pull_back(A, b, x)[1]), "Ā is transposed:"),
    (
        second.check_g2_4,
        lambda A, b, x: (-pull_back(A, b, x)[0].T, pull_back(A, b, x)[1]),
        "and has the wrong",
    ),
    (second.check_g2_4, lambda A, b, x: (A, pull_back(A, b, x)[1]), "Ā is not"),
    (second.check_g2_5, lambda A, b, n: iterate(A, b, n, conjugate=0.0), "the later ones are not"),
    (second.check_g2_5, lambda A, b, n: iterate(A, b, n + 1), "products|after 2"),
    (second.check_g2_5, lambda A, b, n: iterate(A, b, n - 1), "after 0"),
    (second.check_g2_5, lambda A, b, n: 0.1 * b, "first step"),
    (second.check_g2_5, lambda A, b, n: iterate(A, b, n) + 0 * A(A(b)), "products"),
]


@pytest.mark.parametrize(("check", "answer", "says"), WRONG)
def test_wrong_answers_get_their_sentence(check, answer, says):
    for seed in (3, 4):
        with pytest.raises(AssertionError, match=says):
            check(answer, seed=seed)


def test_untouched_answers_are_not_done():
    for check in {check for check, _, _ in WRONG}:
        number = ".".join(check.__name__.split("_")[1:]).upper()
        assert check(lambda *_: ...) == f"{number}: not done yet."


def test_numbers_are_numbers_of_the_right_shape():
    with pytest.raises(AssertionError, match="something else"):
        properties.numbers("many", (2,))
    with pytest.raises(AssertionError, match="finite"):
        properties.numbers([1.0, np.nan], (2,))


def test_the_slope_of_a_power_is_its_exponent():
    assert properties.slope(lambda h: 7 * h**3) == pytest.approx(3)
    assert properties.derivative_fits(np.exp, 1.0) and not properties.derivative_fits(np.exp, 1.01)
