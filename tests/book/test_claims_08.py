"""The bold claims of chapter 8, with dense matrices, finite differences, SciPy, and other optimisers."""

import numpy as np
import pytest
import scipy.linalg
import scipy.optimize
import torch

from regkit import data
from regkit.implicit import Frozen
from regkit.linear import Cholesky
from regkit.templates import register_templates, synthetic
from regkit.varpro import GolubPereyra, Kaufman, Matrices, Reduced

EXACT = Cholesky()

# ---- a spot beyond the window, in NumPy


PIXELS = np.arange(6) + 0.5


def shape(w):
    return np.exp(-((PIXELS - w) ** 2) / 8)


SEEN = shape(7.0) + 0.01 * np.random.default_rng(0).normal(size=6)


def best_intensity(w):
    return shape(w) @ SEEN / (shape(w) @ shape(w))


def floor(w):
    return best_intensity(w) * shape(w) - SEEN


def test_claim_alternation_takes_ten_times_the_steps():
    """Alternation that minimises over w exactly, and Gauss-Newton with a finite-difference Jacobian."""
    best = scipy.optimize.minimize_scalar(
        lambda w: floor(w) @ floor(w), bounds=(5, 9), method="bounded", options={"xatol": 1e-10}
    ).x
    for start in (4.5, 8.5):
        w, alternating = start, 0
        while abs(w - best) >= 0.01 and alternating < 1000:
            f, alternating = best_intensity(w), alternating + 1
            w = scipy.optimize.least_squares(lambda v, f=f: f * shape(v[0]) - SEEN, [w], xtol=1e-12).x[0]
        w, projected = start, 0
        while abs(w - best) >= 0.01 and projected < 100:
            J, projected = (floor(w + 1e-6) - floor(w - 1e-6)) / 2e-6, projected + 1
            w = w - J @ floor(w) / (J @ J)
        assert alternating > 10 * projected > 0


# ---- dense problems


def exponentials(w):
    return torch.exp(-torch.linspace(0, 3, 40, dtype=torch.float64)[:, None] * w)


@pytest.fixture
def decay():
    noise = torch.randn(40, dtype=torch.float64, generator=torch.Generator().manual_seed(3))
    b = exponentials(torch.tensor([0.5, 2.0]).double()) @ torch.tensor([1.0, 3.0]).double() + 0.05 * noise
    return Matrices(exponentials, b), torch.tensor([0.8, 1.5], dtype=torch.float64)


def undamped(problem, w, jacobian):
    point = Reduced(problem, EXACT, jacobian).point(w)
    return -torch.linalg.solve(point.hessian(), point.gradient).numpy()


def parts(problem, w):
    """A, b, best f, r, and D by central differences of A(w) f, all in NumPy."""

    def matrix(v):
        return problem.matrix(torch.from_numpy(v)).numpy()

    w, h = w.numpy(), 1e-6
    A, b = matrix(w), problem.b.numpy()
    f = np.linalg.lstsq(A, b)[0]
    D = np.stack([(matrix(w + e) - matrix(w - e)) @ f / (2 * h) for e in h * np.eye(len(w))], axis=1)
    return A, b, f, A @ f - b, D


def test_claim_none_is_alternation_in_disguise(decay):
    """The step in w of an alternation is the least-squares solution of D s ≈ −r, with f held."""
    problem, w = decay
    *_, r, D = parts(problem, w)
    np.testing.assert_allclose(undamped(problem, w, Frozen()), np.linalg.lstsq(D, -r)[0], rtol=1e-5)


def test_claim_kaufman_is_the_joint_step_from_the_floor(decay):
    problem, w = decay
    A, _, _, r, D = parts(problem, w)
    joint = np.linalg.lstsq(np.hstack([D, A]), -r)[0]
    np.testing.assert_allclose(undamped(problem, w, Kaufman()), joint[:2], rtol=1e-5)


def test_claim_none_steps_are_short_by_principal_angles():
    """SciPy's principal angles against the two steps, in the basis that makes both matrices diagonal."""
    random = np.random.default_rng(4)
    A, D, g = random.normal(size=(15, 5)), random.normal(size=(15, 3)), random.normal(size=3)
    across = D - A @ np.linalg.lstsq(A, D)[0]
    shares, basis = scipy.linalg.eigh(across.T @ across, D.T @ D)
    angles = scipy.linalg.subspace_angles(A, D)
    np.testing.assert_allclose(shares, np.sort(np.sin(angles) ** 2), rtol=1e-9)
    none, kaufman = np.linalg.solve(D.T @ D, g), np.linalg.solve(across.T @ across, g)
    np.testing.assert_allclose(np.linalg.solve(basis, none), shares * np.linalg.solve(basis, kaufman))


# ---- super-resolution: A(w) as a full matrix, and everything else without regkit.varpro


@pytest.fixture(scope="module")
def hand():
    pair = data.hands_phantom(20)
    made = synthetic(pair.reference, pair.grid)
    return made, register_templates(made.problem)


class Dense:
    """The reduced problem at w, by a Cholesky factorisation of the full matrix."""

    def __init__(self, made, w):
        self.problem, self.w = made.problem, w
        n, self.b = made.problem.grid.count, made.problem.b.numpy()
        self.A = made.problem.at(w).forward(torch.eye(n, dtype=torch.float64)).numpy()
        self.factor = scipy.linalg.cho_factor(self.A.T @ self.A)
        self.f = scipy.linalg.cho_solve(self.factor, self.A.T @ self.b)
        self.r = self.A @ self.f - self.b

    def jacobian(self, kind):
        D = self.problem.at(self.w).derivative(torch.from_numpy(self.f)).numpy()
        return D if kind == "none" else D - self.A @ scipy.linalg.cho_solve(self.factor, self.A.T @ D)


def marquardt(made, w, kind, rows, steps=9, same=False):
    """A plain Levenberg-Marquardt method: δ times diag JᵀJ, a third after success, four times after failure.

    same: δ times the largest entry at the start for all. Returns errors in % and losses of accepted steps.
    """
    rows = slice(None) if rows == "full" else slice(made.problem.templates.numel())
    point, mu = Dense(made, w), 1e-3 if same else 1e-2
    errors, losses, J, largest = [], [], None, None
    for _ in range(steps + 1):
        if J is None:
            r, J = point.r[rows], point.jacobian(kind)[rows]
            errors.append(100 * made.error(torch.from_numpy(point.f)))
            losses.append(0.5 * r @ r)
        H = J.T @ J
        largest = largest or np.diag(H).max()
        C = largest * np.eye(len(H)) if same else np.diag(np.diag(H))
        step = -np.linalg.solve(H + mu * C, J.T @ r)
        trial = Dense(made, point.w + torch.from_numpy(step))
        if trial.r[rows] @ trial.r[rows] < r @ r:
            point, J, mu = trial, None, mu / 3
        else:
            mu *= 4
    return errors, losses


def minpack(made, w, rows="full", evaluations=None):
    """Where SciPy's Levenberg-Marquardt ends: w, the loss, and the error of the image in %."""
    reduced = Reduced(made.problem, EXACT, rows=rows)

    def residual(w):
        return reduced.residual(torch.from_numpy(w)).numpy()

    def jacobian(w):
        return reduced.point(torch.from_numpy(w)).jacobian.numpy()

    found = scipy.optimize.least_squares(
        residual, w.numpy(), jacobian, method="lm", x_scale="jac", max_nfev=evaluations
    )
    w = torch.from_numpy(found.x)
    return w, found.cost, 100 * made.error(torch.from_numpy(Dense(made, w).f))


def loss_gradient(made, w, rows, h=1e-5):
    """By central differences of the loss, each with an exact projection."""
    steps = h * torch.eye(len(w), dtype=torch.float64)

    def loss(w):
        r = Dense(made, w).r[rows]
        return 0.5 * r @ r

    return np.array([(loss(w + e) - loss(w - e)) / (2 * h) for e in steps])


def cosine(a, b):
    return a @ b / (np.linalg.norm(a) * np.linalg.norm(b))


def test_claim_ignoring_the_projection_keeps_the_gradient(hand):
    made, w = hand
    expected = loss_gradient(made, w, slice(None))
    for jacobian in (Frozen(), Kaufman()):
        mine = Reduced(made.problem, EXACT, jacobian).point(w).gradient.numpy()
        assert np.linalg.norm(mine - expected) < 1e-5 * np.linalg.norm(expected)


def test_claim_the_data_block_spoils_the_gradient(hand):
    made, w = hand
    expected = loss_gradient(made, w, slice(400))
    true = Reduced(made.problem, EXACT, GolubPereyra(), rows="data").point(w).jacobian.numpy()
    for jacobian, least in ((Frozen(), 30), (Kaufman(), 10), (GolubPereyra(), 0)):
        mine = Reduced(made.problem, EXACT, jacobian, rows="data").point(w).gradient.numpy()
        scale = np.linalg.norm(true, axis=0)
        angle = np.degrees(np.arccos(min(1.0, cosine(mine / scale, expected / scale))))
        assert angle > least if least else angle < 0.1


def test_claim_none_is_slow_and_not_stuck(hand):
    """Plain alternation falls in all of a hundred steps, and does not pass what Kaufman reaches in 9."""
    made, w = hand
    quick, _ = marquardt(made, w, "kaufman", "full")
    point, losses = Dense(made, w), []
    for _ in range(100):
        losses.append(0.5 * point.r @ point.r)
        step = np.linalg.lstsq(point.jacobian("none"), -point.r)[0]
        point = Dense(made, point.w + torch.from_numpy(step))
    error = 100 * made.error(torch.from_numpy(point.f))
    assert (np.diff(losses) < 0).all() and quick[-1] < 11.5
    assert quick[-1] + 2 < error < quick[0] / 2


def test_claim_the_residual_falls_while_the_error_grows(hand):
    """SciPy's MINPACK goes from the best w with template 0 held to the best w without: lower, and worse."""
    held, start = hand
    pair = data.hands_phantom(20)
    free = synthetic(pair.reference, pair.grid, fixed=0)
    w, cost, error = minpack(held, start)
    _, lower, worse = minpack(free, torch.cat([free.problem.transform.identity(), w]))
    assert lower < cost - 0.2 and worse > error + 1.5


@pytest.mark.slow
def test_claim_rows_and_damping_together_spoil_the_picture():
    made = synthetic(*data.mri(32))
    w = register_templates(made.problem)
    for same in (False, True):
        errors, _ = marquardt(made, w, "kaufman", "full", same=same)
        assert errors[-1] < 0.4 * errors[0]
    errors, losses = marquardt(made, w, "kaufman", "data", same=True)
    assert losses[-1] < losses[0] / 2 and errors[-1] > errors[0] + 3
    errors, _ = marquardt(made, w, "kaufman", "data")
    assert errors[-1] < errors[0] / 2


def test_claim_the_data_block_has_another_minimum():
    """SciPy's MINPACK on the data block and on the full residual, from the same start; and on the data block
    from where the full residual ends: a lower minimum, with a better image, that it did not find."""
    made = synthetic(*data.mri(32), seed=22)
    w = register_templates(made.problem)
    end, _, right = minpack(made, w, "full", evaluations=12)
    _, high, wrong = minpack(made, w, "data", evaluations=25)
    _, low, again = minpack(made, end, "data", evaluations=12)
    assert right < 7 and wrong > 1.6 * right
    assert low < high / 2 and again < wrong / 1.5
