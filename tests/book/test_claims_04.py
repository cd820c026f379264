"""The bold claims of chapter 4, held against NumPy and SciPy where regkit computed them."""

import math

import numpy as np
import pytest
import scipy.linalg
import scipy.ndimage
import scipy.optimize
import torch

from regbook.experiments import ch04 as experiments
from regkit import data
from regkit.continuation import follow
from regkit.optimize import gauss_newton, gradient_descent, levenberg_marquardt, newton_trust
from regkit.pyramid import multilevel
from regkit.registration import Registration
from regkit.transforms import Affine, Rigid, Translation

pytestmark = pytest.mark.usefixtures("double_precision")
CENTER = (9.2, 11.5)


def bump(xi):
    return np.clip(2 - abs(xi), 0, None) ** 3 - 4 * np.clip(1 - abs(xi), 0, None) ** 3


class Dense:
    """The 1-D problem without regkit: dense smoothing matrices and basis functions one by one."""

    def __init__(self, template, reference):
        self.m = len(template)
        column = np.zeros((2, self.m))
        column[0, :2], column[1, :4] = (4, 1), (96, -54, 0, 6)
        self.basis, self.bending = (scipy.linalg.toeplitz(c) for c in column)
        self.images = template.numpy(), reference.numpy()

    def smoothed(self, theta):
        system = self.basis.T @ self.basis + theta * self.bending
        return (np.linalg.solve(system, self.basis.T @ image) for image in self.images)

    def loss(self, theta):
        template, reference = self.smoothed(theta)
        u = np.arange(self.m)

        def value(shift):
            moved = bump(u[:, None] + shift - u) @ template
            return 0.5 * np.sum((moved - self.basis @ reference) ** 2)

        return value


@pytest.fixture(scope="module")
def combs():
    (template, grid), (reference, _) = data.bumps(), data.bumps(shift=10)
    return Registration(template, reference, grid, transform=Translation(dim=1)), Dense(template, reference)


def minima(values):
    return int(((values[1:-1] < values[:-2]) & (values[1:-1] < values[2:])).sum())


def test_claim_minima_melt_into_one(combs):
    shifts = np.linspace(-15, 30, 451)
    found = {}
    for theta in (1e-3, 1.0, 2.0, 10.0, 1e3):
        loss = combs[1].loss(theta)
        found[theta] = minima(np.array([loss(s) for s in shifts]))
        objective = combs[0].at(theta)
        ours = np.array([float(objective.loss(torch.tensor([s]))) for s in shifts])
        assert minima(ours) == found[theta]
    assert found[1e-3] >= 7  # a comb of four teeth can be off by −3, …, 3 of them
    assert 1 < found[1.0] < found[1e-3]
    assert found[2.0] == found[10.0] == found[1e3] == 1
    for method in (gradient_descent, gauss_newton, levenberg_marquardt, newton_trust):
        lost = float(method(combs[0].at(1e-3), torch.zeros(1)).x)
        assert abs(lost - 10) > 5, "the finest scale alone leads each method of chapter 3 to a wrong tooth"


def test_claim_blur_moves_the_minimum(combs):
    places = {}
    for theta in (1e-3, 10.0, 1e3, 1e4):
        loss = combs[1].loss(theta)
        places[theta] = scipy.optimize.minimize_scalar(loss, bounds=(4, 13), options={"xatol": 1e-8}).x
        ours = newton_trust(combs[0].at(theta), torch.tensor([9.0], dtype=torch.float64)).x.item()
        assert ours == pytest.approx(places[theta], abs=1e-4)
    assert abs(places[10.0] - 10) < 1e-3 < abs(places[1e3] - 10) < 0.05
    assert places[1e4] < 7


def test_claim_coarse_to_fine_can_lie():
    _, grid = data.bumps()
    x = grid.points().flatten()
    texture = 0.5 * torch.exp(-0.5 * ((x - 32) / 8) ** 2) * torch.cos(2 * torch.pi * (x - 32) / 5)
    glow = [0.2 * torch.exp(-0.5 * ((x - middle) / 9) ** 2) for middle in (36, 28)]
    template, reference = texture + glow[0], texture + glow[1]
    dense = Dense(template, reference)
    shift = 0.0
    for theta in np.geomspace(1e3, 1e-3, 7):
        shift = scipy.optimize.minimize(dense.loss(theta), shift, method="BFGS", tol=1e-9).x.item()
    alone = scipy.optimize.minimize(dense.loss(1e-3), 0.0, method="BFGS", tol=1e-9).x.item()
    assert shift == pytest.approx(10, abs=0.2) and alone == pytest.approx(0, abs=0.1)
    assert dense.loss(1e-3)(shift) > 2 * dense.loss(1e-3)(alone)


def test_claim_one_scale_fails_thirty_succeed():
    pair = data.hands_phantom(32)
    problem = Registration(pair.template, pair.reference, pair.grid)
    x = pair.grid.points()[pair.reference.reshape(-1) > 25]
    h = torch.tensor(pair.grid.spacing)

    def error(w):
        change = w - pair.w_true
        return float(((x @ change[:4].reshape(2, 2).T + change[4:]) / h).norm(dim=1).mean())

    w = identity = problem.transform.identity()
    fine = problem.at(1e-3)
    one = newton_trust(fine, identity)
    for theta in np.geomspace(1e3, 1e-3, 30):
        w = newton_trust(problem.at(theta), w).x
    assert one.converged and fine.loss(one.x) < 0.6 * fine.loss(identity) and error(one.x) > 5
    assert fine.loss(w) < 0.01 * fine.loss(identity) and error(w) < 0.1


def test_claim_both_together_save_work():
    pair = data.hands_phantom(32)
    problem = Registration(pair.template, pair.reference, pair.grid)
    start = problem.transform.identity()
    blur = follow(problem, np.geomspace(1e3, 1e-3, 10).tolist(), start, predictor="none")
    pyramid = multilevel(problem, start, predictor="none")
    both = multilevel(problem, start, thetas=[10, 0.1, 1e-3], predictor="none")
    fine = problem.at(1e-3)
    losses = [float(fine.loss(run.w) / fine.loss(start)) for run in (blur, pyramid, both)]
    assert losses[0] < 0.01 and losses[2] < 0.01 < 0.1 < losses[1]
    assert both.work < 0.5 * blur.work


def test_claim_the_hands_keep_two_valleys(combs):
    """SciPy's simplex, from values alone, from all around; the comb has one valley at the same θ."""
    pair = data.hands_phantom(32)
    for theta in (100.0, 1e4):
        objective = Registration(pair.template, pair.reference, pair.grid, Rigid(center=CENTER)).at(theta)

        def loss(w, objective=objective):
            return float(objective.loss(torch.tensor([*w, 0.0]))) / 1e4

        found = []
        for degrees in range(-90, 270, 60):
            simplex = np.array(
                [[math.radians(degrees), 1], [math.radians(degrees + 15), 1], [math.radians(degrees), 2]]
            )
            end = scipy.optimize.minimize(
                loss, simplex[0], method="Nelder-Mead", options={"initial_simplex": simplex}
            )
            turn = math.degrees(end.x[0])
            if end.fun < loss(simplex[0]) and not any(abs((turn - t + 180) % 360 - 180) < 5 for t in found):
                found.append(turn)
        assert len(found) == 2 and 140 < abs((found[0] - found[1] + 180) % 360 - 180), found
    values = np.array([combs[1].loss(1e4)(s) for s in np.linspace(-15, 30, 226)])
    assert minima(values) == 1


def test_claim_this_blur_creates_extrema():
    """Dense algebra for the spline; a true Gaussian blur of the same bump leaves one extremum."""
    x = torch.arange(64) + 0.5
    bump_of_three = torch.exp(-0.5 * ((x - 32) / 3) ** 2)
    (c, _), u = Dense(bump_of_three, bump_of_three).smoothed(10.0), np.linspace(8, 56, 481) - 0.5
    blurred = bump(u[:, None] - np.arange(64)) @ c

    def extrema(values):
        signs = np.sign(np.diff(values))
        return int((np.diff(signs[signs != 0]) != 0).sum())  # between two equal values there is one, too

    assert extrema(blurred) == 5 and blurred.min() < -0.01 * blurred.max()
    gaussian = scipy.ndimage.gaussian_filter1d(bump_of_three.numpy(), experiments.gaussian_width(10.0))
    assert extrema(gaussian[8:56]) == 1


def test_claim_scales_widen_the_basin():
    """Ends are judged point by point; a quarter of the chapter's starts."""
    pair = data.hands_phantom(32)
    images, x = (pair.template, pair.reference, pair.grid), pair.grid.points()
    corner, centred = Registration(*images), Registration(*images, Affine(center=(10, 12.5)))
    true = x @ pair.w_true[:4].reshape(2, 2).T + pair.w_true[4:]

    def home(problem, end):
        return float((problem.transform(end, x) - true).norm(dim=1).mean()) < 0.5

    degrees, alone = [*range(-180, 180, 90), -15, 15], {"corner": [], "centre": []}
    for turn in degrees:
        start = experiments.start_at(pair, corner.transform, turn, CENTER)
        assert home(corner, follow(corner, np.geomspace(1e3, 1e-3, 10), start, predictor="none").w)
        path = multilevel(corner, start, thetas=[10, 0.1, 1e-3], predictor="none")
        assert home(corner, path.w) and path.work < 35
        for name, problem in (("corner", corner), ("centre", centred)):
            start = experiments.start_at(pair, problem.transform, turn, CENTER)
            alone[name].append(home(problem, newton_trust(problem.at(1e-3), start).x))
    assert sum(alone["corner"]) < sum(alone["centre"]) < len(degrees) - 1
    assert not all(alone["corner"][-2:]) and all(alone["centre"][-2:])


def test_claim_the_run_leaps_home():
    """At θ = 1000 a minimum, by differences of values; at 215 even short steps from it lead home."""
    pair = data.hands_phantom(32)
    problem = Registration(pair.template, pair.reference, pair.grid)
    start = experiments.start_at(pair, problem.transform, 180, CENTER)
    false = newton_trust(problem.at(1e3), start).x
    assert experiments.map_error(pair, false) > 5
    objective, steps = problem.at(1e3), 1e-3 * torch.tensor([1.0, 1, 1, 1, 10, 10])
    middle = float(objective.loss(false))
    generator = torch.Generator().manual_seed(1)
    for _ in range(20):
        v = steps * torch.randn(6, generator=generator)
        assert float(objective.loss(false + v)) > middle < float(objective.loss(false - v))
    for radius in (1.0, 0.05):
        after = newton_trust(problem.at(1e3 * 10 ** (-2 / 3)), false, radius=radius).x
        assert experiments.map_error(pair, after) < 1.5
