"""The bold claims of chapter 3, each held against something that regkit's derivatives did not compute."""

import math

import numpy as np
import pytest
import scipy.optimize
import torch
from numpy.polynomial import Polynomial

from regbook.experiments import ch03 as experiments
from regkit import Grid, coefficients, data, evaluate
from regkit.optimize import newton_trust
from regkit.registration import Registration
from regkit.transforms import Affine

pytestmark = pytest.mark.usefixtures("double_precision")


def head(size=64, contrast=1.0):
    """The image of the chapter, and its copy: moved by 8°, a stretch, a shear and a shift."""
    image, moved, grid, about, _ = experiments.head_pair(size)
    return image, contrast * moved, grid, about


def hessian_by_differences(f, w, steps):
    """∇²f by central differences of values alone."""
    p = len(w)
    e = torch.diag(torch.as_tensor(steps))
    H = torch.zeros(p, p)
    for i in range(p):
        for j in range(p):
            corners = [s * t * f(w + s * e[i] + t * e[j]) for s in (1, -1) for t in (1, -1)]
            H[i, j] = sum(float(c) for c in corners) / (4 * steps[i] * steps[j])
    return H


def test_claim_newton_lands_in_the_wrong_minimum():
    w = Polynomial([0, 1])
    J = ((w**2 - 1) ** 2 + ((1 + w) ** 2 - 4) ** 2) / 2
    assert np.allclose(np.sort(J.deriv().roots()), [-1.5, -1, 1])
    assert np.all(J.deriv(2)(np.array([-1.5, 1])) > 0) and J(-1.5) == 7.8125 and J(1) == 0
    assert 0 - J.deriv()(0) / J.deriv(2)(0) == -1.5 and J(-1.5) > J(0)
    at = 0.0
    for _ in range(5):
        slopes = np.array([2 * at, 2 * (1 + at)])
        at -= J.deriv()(at) / (slopes @ slopes)
    assert at == pytest.approx(1)


def test_claim_only_edges_pull():
    """Rows of the Jacobian by central differences of the residual, one parameter after the other."""
    image, moved, grid, about = head()
    objective = Registration(image, moved, grid, about).at(1.0)
    w = about.identity()
    steps = 1e-5 * torch.diag(torch.tensor([1.0, 1.0, 1.0, 1.0, 100.0, 100.0]))
    columns = [(objective.residual(w + e) - objective.residual(w - e)) / (2 * e.sum()) for e in steps]
    pull = torch.stack(columns, dim=1).square().sum(1)
    largest = pull.sort(descending=True).values.cumsum(0) / pull.sum()
    assert float((largest < 0.9).double().mean()) < 0.25
    values = evaluate(objective.coefficients, grid, grid.points()).reshape(grid.shape).numpy()
    steepness = np.hypot(*np.gradient(values)).flatten()
    assert pull[torch.from_numpy(steepness < 1)].sum() < 0.01 * pull.sum()
    assert (steepness < 1).mean() > 0.3


def test_claim_parameters_decide_the_condition():
    """The Hessian in other parameters is SᵀHS: H by differences about the corner, S by hand."""
    image, moved, _, _ = head()
    cases = experiments.conditioning(image, moved, 256.0, 128.0, theta=1.0, limit=100)
    corner, best = cases["the corner", "millimetres"], cases["the centre", "units of 64 mm"]
    scale = [1e-5, 1e-5, 1e-5, 1e-5, 1e-3, 1e-3]
    H = hessian_by_differences(corner.objective.loss, corner.w, scale)
    S = torch.diag(torch.tensor([1.0, 1.0, 1.0, 1.0, 64.0, 64.0]))
    S[4, :2] = S[5, 2:4] = -128.0  # b = 64 b′ + c − A c
    assert float(torch.linalg.cond(H)) == pytest.approx(corner.condition, rel=0.05)
    # the loss is an integral over a box, whose area is measured in the new unit too: a factor for all of H
    assert float(torch.linalg.cond(S.T @ H @ S)) == pytest.approx(best.condition, rel=0.05)
    assert corner.condition > 1e4 * best.condition
    assert corner.counts["descent"] == "not done after 100" and int(best.counts["descent"]) < 60
    for about in ("the corner", "the centre"):
        assert cases[about, "units of 64 mm"].condition < cases[about, "millimetres"].condition
    for lengths in ("millimetres", "units of 64 mm"):
        assert cases["the centre", lengths].condition < 0.1 * cases["the corner", lengths].condition


def test_claim_gauss_newton_is_affine_invariant():
    """Plain steps by NumPy's least squares, in two sets of parameters."""
    image, moved, grid, about = head()
    paths = []
    for transform in (about, Affine()):
        objective, w, path = Registration(image, moved, grid, transform).at(1.0), transform.identity(), []
        for _ in range(4):
            r, D = objective.residual(w).numpy(), objective.jacobian(w, method="autodiff").numpy()
            length = np.linalg.norm(D, axis=0)  # for the sake of rounding only
            w = w - torch.from_numpy(np.linalg.lstsq(D / length, r, rcond=None)[0] / length)
            path.append(transform(w, grid.points()))
        paths.append(torch.stack(path))
    assert float((paths[0] - paths[1]).abs().max()) < 1e-6
    assert float((paths[0][0] - grid.points()).abs().max()) > 5


def test_claim_gauss_newton_is_not_the_hessian():
    """Halve the step: the remainder falls by 8 with the Hessian, by 4 with JᵣᵀJᵣ."""
    image, moved, grid, about = head()
    objective, w = Registration(image, moved, grid, about).at(1.0), about.identity()
    v = torch.tensor([0.02, -0.01, 0.03, 0.01, 2.0, -1.0])
    slope = float(objective.loss(w + 1e-6 * v) - objective.loss(w - 1e-6 * v)) / 2e-6

    def remainder(h, kind):
        bend = float(v @ objective.hessian(w, kind) @ v)
        return abs(float(objective.loss(w + h * v) - objective.loss(w)) - h * slope - h**2 / 2 * bend)

    assert remainder(1e-2, "exact") / remainder(5e-3, "exact") == pytest.approx(8, rel=0.1)
    assert remainder(1e-2, "gauss-newton") / remainder(5e-3, "gauss-newton") == pytest.approx(4, rel=0.1)


def test_claim_newton_doubles_its_digits():
    """Plain steps from near the minimiser; the factor of Gauss-Newton is an eigenvalue of I − (JᵣᵀJᵣ)⁻¹H."""
    about_best = Affine(center=(2, 2))
    factors = []
    for contrast in (0.7, 0.85, 1.0):
        image, moved, grid, _ = head(contrast=contrast)
        small = type(grid)((4.0, 4.0), grid.shape)
        objective = Registration(image, moved, small, about_best).at(1.0)
        w_star = experiments.refined(objective, newton_trust(objective, about_best.identity()).x)

        def errors(kind, objective=objective, w_star=w_star):
            w = w_star + 1e-2 * torch.tensor([1.0, -1.0, 1.0, 1.0, 1.0, -1.0])
            found = []
            for _ in range(14):
                found.append(float((w - w_star).norm()))
                w = w - torch.linalg.solve(objective.hessian(w, kind), objective.gradient(w))
            return np.array(found)

        newton, gauss = errors("exact"), errors("gauss-newton")
        digits = -np.log10(newton[newton > 1e-13])
        assert len(digits) >= 3 and digits[-1] > 1.6 * digits[-2] > 2.2 * digits[-3]
        H = hessian_by_differences(objective.loss, w_star, [1e-4] * 6)
        G = objective.hessian(w_star, "gauss-newton")
        expected = float(torch.linalg.eigvals(torch.eye(6) - torch.linalg.solve(G, H)).abs().max())
        factors.append(expected)
        usable = gauss > 1e-11
        if usable.sum() > 10:  # with a tiny factor it is at rounding before it is on its line
            assert gauss[10] / gauss[9] == pytest.approx(expected, rel=0.1)
    assert factors[0] > 1.5 * factors[1] > 3 * factors[2]


def test_claim_without_a_residual_gauss_newton_doubles_too():
    """Plain steps by NumPy's least squares, at θ = 0, where the reference is the moved template itself."""
    image, moved, grid, about, w_true = experiments.head_pair(64)
    objective = Registration(image, moved, grid, about).at(0.0)
    assert float(objective.residual(w_true).norm()) < 1e-9 * float(objective.reference.norm())
    scale = torch.tensor([1.0, 1.0, 1.0, 1.0, 128.0, 128.0])
    w, digits = w_true + 2e-3 * scale * torch.tensor([1.0, -1.0, 1.0, 1.0, 1.0, -1.0]), []
    for _ in range(5):
        digits.append(-math.log10(max(float(((w - w_true) / scale).norm()), 1e-16)))
        r, D = objective.residual(w).numpy(), objective.jacobian(w, method="autodiff").numpy()
        w = w - scale * torch.from_numpy(np.linalg.lstsq(D * scale.numpy(), r, rcond=None)[0])
    assert digits[0] < 2.5 and digits[2] > 1.7 * digits[1] > 2.4 * digits[0] and digits[4] > 12


@pytest.fixture(scope="module")
def hands():
    pair = data.hands_phantom(64)
    about = Affine(center=(10, 12.5))
    return pair, about, Registration(pair.template, pair.reference, pair.grid, about).at(0.1)


def test_claim_converged_is_not_correct(hands):
    """SciPy, from values alone, finds nothing lower near by; the truth is far away and much lower."""
    pair, about, objective = hands
    run = newton_trust(objective, about.identity())
    truth = about.from_matrix(pair.w_true[:4].reshape(2, 2), pair.w_true[4:])
    assert run.converged and 0.4 < run.loss / run.history[0].loss < 0.7

    def loss(w):
        return float(objective.loss(torch.from_numpy(w))) / run.loss

    simplex = run.x.numpy() + 0.01 * np.vstack([np.zeros(6), np.eye(6)])
    options = {"initial_simplex": simplex, "maxiter": 400, "xatol": 1e-7, "fatol": 1e-12}
    lowest = scipy.optimize.minimize(loss, run.x.numpy(), method="Nelder-Mead", options=options)
    assert lowest.fun > 1 - 1e-9 and np.abs(lowest.x - run.x.numpy()).max() < 1e-3
    assert experiments.mean_distance(about, run.x, truth, pair.grid) > 10
    turn = about.matrix(run.x)[0] @ torch.linalg.inv(about.matrix(truth)[0])
    assert abs(math.degrees(math.atan2(turn[1, 0] - turn[0, 1], turn[0, 0] + turn[1, 1]))) > 120
    assert loss(truth.numpy()) < 0.01


def test_folded_answers_about_the_hands(hands):
    """What the chapter says under 'What you should see', for it names no numbers that were computed."""
    pair, _, objective = hands
    assert 50 <= experiments.comes_home(pair, objective, [10 * k for k in range(10)]).largest < 90
    small = data.hands_phantom(32)
    turn_and_slide = experiments.TurnAndSlide(pair=small)
    flat = Registration(small.template, small.reference, small.grid, turn_and_slide).at(0.1)

    def end(method, degrees):
        start = torch.tensor([math.radians(degrees) * experiments.REACH, 2.0])
        run = experiments.METHODS[method](flat, start, iterations=60, gtol=1e-7)
        return math.degrees(float(run.x[0]) / experiments.REACH), float(run.x[1]), run

    def home(method, degrees):
        turn, slide, _ = end(method, degrees)
        return abs(turn) < 3 and abs(slide) < 0.3

    assert all(home(method, 50) for method in experiments.METHODS)
    assert end("Newton, trust region", 50)[2].iterations < end("gradient descent", 50)[2].iterations
    assert [home(method, 80) for method in experiments.METHODS] == [True, False, False]
    _, slide, run = end("gradient descent", 100)
    assert abs(slide) > 25 and run.loss < run.history[0].loss and not run.converged


def test_claim_a_bright_background_is_an_edge():
    """The pattern is a formula. SciPy from values alone; and without the grey the truth stays where it is."""
    grid, about, true = Grid((20.0, 20.0), (64, 64)), Affine(center=(10, 10)), [1.1, 0.0, 0.0, 1.1, 0.0, 0.0]

    def pattern(points, grey):
        z = points.numpy() - 10
        waves = np.cos(1.5 * z[:, 0]) * np.cos(1.1 * z[:, 1])
        values = grey + 60 * np.exp(-0.5 * (z**2).sum(1) / 2.5**2) * waves
        return torch.from_numpy(values).reshape(64, 64)

    truth, ends = torch.tensor(true), {}
    places = grid.points(), about(truth, grid.points())
    for grey, outside in ((0, 0.0), (128, 0.0), (128, "overlap"), (128, 128.0)):
        images = (pattern(p, grey) for p in places)
        objective = Registration(*images, grid, about, outside=outside).at(1.0)
        run = newton_trust(objective, truth)
        assert run.converged
        ends[grey, outside] = run.x[[0, 3]].tolist(), run.history[0].loss / run.loss

        def loss(s, objective=objective):
            return float(objective.loss(torch.tensor([s, 0.0, 0.0, s, 0.0, 0.0])))

        best = scipy.optimize.minimize_scalar(loss, bounds=(0.97, 1.13), method="bounded")
        assert best.x == pytest.approx(float(run.x[0]), abs=0.01)
    right, lost = pytest.approx([1.1, 1.1], abs=0.01), ends.pop((128, 0.0))
    assert lost[0] == pytest.approx([1, 1], abs=0.01) and lost[1] > 100
    assert all(size == right and ratio < 2 for size, ratio in ends.values())


@pytest.mark.parametrize("seed", [11, 12])
def test_claim_a_noisy_head_is_found_to_a_fraction_of_a_pixel(seed):
    """MINPACK's Levenberg-Marquardt, which knows nothing but residual and Jacobian, on other noise."""
    image, grid = data.mri(256)
    about = Affine(center=(128, 128))
    w_true = torch.cat([1.1 * experiments.rotation(20).flatten(), torch.tensor([8.0, -5.0])])
    moved = evaluate(coefficients(image, 0.0), grid, about(w_true, grid.points())).reshape(grid.shape)
    noise = torch.Generator().manual_seed(seed)
    scans = [scan + 10 * torch.randn(grid.shape, generator=noise) for scan in (image, moved)]
    objective = Registration(*scans, grid, about).at(10.0)
    found = scipy.optimize.least_squares(
        lambda w: objective.residual(torch.from_numpy(w)).numpy(),
        about.identity().numpy(),
        jac=lambda w: objective.jacobian(torch.from_numpy(w)).numpy(),
        method="lm",
        x_scale="jac",
    )
    by_scipy = torch.from_numpy(found.x)
    assert experiments.mean_distance(about, by_scipy, w_true, grid) < 0.1
    ours = newton_trust(objective, about.identity())
    assert experiments.mean_distance(about, ours.x, by_scipy, grid) < 1e-3
