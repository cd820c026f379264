"""The experiments of chapter 4, against SciPy, shifts by hand and maps of single points."""

import math
from types import SimpleNamespace

import numpy as np
import pytest
import scipy.optimize
import torch
from scipy.ndimage import minimum_filter
from scipy.signal import argrelmin

from regbook.experiments import ch04
from regkit import Grid, SmoothingBasis, data, evaluate
from regkit.optimize import newton_trust
from regkit.registration import Registration
from regkit.transforms import Affine, Rigid, Translation

pytestmark = pytest.mark.usefixtures("double_precision")
CENTER = (9.2, 11.5)


def combs():
    comb, grid = data.bumps()
    return Registration(comb, data.bumps(shift=10)[0], grid, transform=Translation(dim=1))


def test_minima_are_those_that_scipy_sees():
    generator = torch.Generator().manual_seed(1)
    values = torch.rand(60, generator=generator)
    assert ch04.local_minima(values).tolist() == argrelmin(values.numpy())[0].tolist()


def test_low_points_are_those_that_scipy_sees_around_the_first_axis():
    values = torch.rand(12, 15, generator=torch.Generator().manual_seed(2))
    cross = np.array([[0, 1, 0], [1, 1, 1], [0, 1, 0]])
    around = np.pad(values.numpy(), ((1, 1), (0, 0)), mode="wrap")
    low = (around == minimum_filter(around, footprint=cross))[1:-1]
    low[:, [0, -1]] = False
    assert ch04.low_points(values).tolist() == np.argwhere(low).tolist()


def test_extrema_are_the_minima_and_the_maxima():
    values = torch.rand(60, generator=torch.Generator().manual_seed(3))
    both = np.sort(np.concatenate([argrelmin(values.numpy())[0], argrelmin(-values.numpy())[0]]))
    assert ch04.extrema(values).tolist() == both.tolist()


def test_a_gaussian_of_that_width_halves_what_theta_halves():
    """A long stripe in the middle of a long signal, blurred by the spline."""
    theta, m = 10.0, 400
    period = 2 * math.pi * theta**0.25
    grid = Grid((float(m),), (m,))
    stripes = torch.cos(2 * math.pi * (grid.axis(0) - 200) / period)
    blurred = evaluate(SmoothingBasis(stripes).coefficients(theta), grid, grid.points())
    assert float(blurred[150:250].abs().max()) == pytest.approx(0.5, abs=0.02)
    omega, sigma = 2 * math.pi / period, ch04.gaussian_width(theta)
    assert math.exp(-0.5 * (sigma * omega) ** 2) == pytest.approx(0.5, rel=1e-12)


def test_blur_leaves_one_minimum_of_the_comb():
    problem, shifts = combs(), torch.linspace(-15, 30, 226)
    losses, fine = ch04.landscape_1d(problem, shifts, 1e-3)
    _, coarse = ch04.landscape_1d(problem, shifts, 100.0)
    assert len(fine) > 3 and len(coarse) == 1
    assert float(losses[100]) == pytest.approx(float(problem.at(1e-3).loss(shifts[100:101])))


def test_the_drift_is_followed_from_below():
    places = ch04.drift(combs(), [100.0, 1e-3, 1.0])
    assert list(places) == [1e-3, 1.0, 100.0] and abs(places[1e-3] - 10) < 0.01
    problem = combs()
    for theta, place in places.items():
        slope = problem.at(theta).gradient(torch.tensor([place]))
        scale = float(problem.at(theta).hessian(torch.tensor([place])))
        assert abs(float(slope)) < 1e-6 * scale


def test_the_landscape_is_the_loss_at_its_places_and_valleys_are_minima(pair):
    problem = Registration(pair.template, pair.reference, pair.grid, transform=Rigid(center=CENTER))
    angles, shifts = np.radians(np.arange(-100, 260, 30)), np.linspace(-4, 6, 7)
    found, objective = ch04.landscape_2d(problem, angles, shifts, 1e3), problem.at(1e3)
    expected = objective.loss(torch.tensor([angles[4], shifts[2], 0.0]))
    assert found.losses.shape == (12, 7) and float(found.losses[4, 2]) == pytest.approx(float(expected))

    def loss(place):
        return float(objective.loss(torch.tensor([*place, 0.0])))

    assert len(found.valleys) == 2
    for place, depth in zip(found.valleys.tolist(), found.depths.tolist(), strict=True):
        lowest = scipy.optimize.minimize(loss, place, method="Nelder-Mead", options={"xatol": 1e-7})
        assert lowest.x == pytest.approx(place, abs=1e-4) and lowest.fun == pytest.approx(depth)
        assert angles[0] <= place[0] < angles[0] + 2 * math.pi


def test_no_bottom_is_found_on_a_hill():
    """In two of three parameters; the third is left alone."""

    def objective(f):
        return SimpleNamespace(gradient=torch.func.grad(f), hessian=torch.func.hessian(f))

    hill = objective(lambda w: -(w[:2] ** 2).sum() + w[2])
    bowl = objective(lambda w: ((w[:2] - torch.tensor([1.0, 2.0])) ** 2).sum() + w[2])
    assert ch04.bottom(hill, torch.tensor([0.1, 0, 5.0])) is None
    assert ch04.bottom(bowl, torch.tensor([0.0, 0, 5.0])).tolist() == pytest.approx([1, 2, 5])


def test_the_error_of_a_map_is_in_cells(pair):
    assert ch04.map_error(pair, pair.w_true) == 0
    shift = torch.tensor([0, 0, 0, 0, 3 * pair.grid.spacing[0], 4 * pair.grid.spacing[1]])
    assert ch04.map_error(pair, pair.w_true + shift) == pytest.approx(5)


def test_the_template_at_the_identity_is_itself(pair):
    problem = Registration(pair.template, pair.reference, pair.grid)
    seen = ch04.moved(problem)(problem.transform.identity())
    torch.testing.assert_close(seen, pair.template, rtol=1e-9, atol=1e-9)


def test_scales_find_the_map_that_one_scale_does_not(pair):
    problem = Registration(pair.template, pair.reference, pair.grid)
    alone, _ = ch04.schedule(problem, 1000.0, 1)
    found, work = ch04.schedule(problem, 10.0, 2)
    assert ch04.map_error(pair, alone) > 1 and ch04.map_error(pair, found) < 0.2
    assert 3 < work < 100


def test_work_counts_the_evaluations_of_newton(pair):
    problem = Registration(pair.template, pair.reference, pair.grid)
    w, expected = problem.transform.identity(), 0
    for theta in (100.0, 1.0):
        run = newton_trust(problem.at(theta), w)
        w, expected = run.x, expected + run.evaluations["loss"]
    end, work = ch04.multiscale(problem, [100.0, 1.0], problem.transform.identity())
    assert work == expected and torch.equal(end, w)


@pytest.mark.parametrize("transform", [Affine(), Affine(center=(10, 12.5))], ids=["corner", "centre"])
def test_a_start_is_the_true_map_turned_about_the_place_of_the_centre(pair, transform):
    w = ch04.start_at(pair, transform, 40.0, CENTER)
    A, b = pair.w_true[:4].reshape(2, 2), pair.w_true[4:]
    x = torch.tensor([CENTER, (11.0, 4.0)])
    true, middle = x @ A.T + b, torch.tensor(CENTER) @ A.T + b
    z = torch.view_as_complex((true - middle).contiguous()) * np.exp(1j * math.radians(40))
    torch.testing.assert_close(transform(w, x), torch.view_as_real(z) + middle)
    corner = ch04.in_the_corner(transform, w)
    torch.testing.assert_close(Affine()(corner, x), transform(w, x))
    assert ch04.turned_by(pair, transform, w) == pytest.approx(40)


def test_a_strip_says_which_starts_come_home(pair):
    problem = Registration(pair.template, pair.reference, pair.grid)
    strip = ch04.strip(pair, problem, [0.0, 180.0], CENTER, [1e-3])
    assert strip.home == [True, False] and strip.errors[0] < 0.1 and strip.work > 5
    assert ch04.nearest_lost([-30, -15, 0, 15], [False, True, True, True]) == 30


def test_a_leap_keeps_the_paths_of_all_its_scales(pair):
    problem = Registration(pair.template, pair.reference, pair.grid)
    run = ch04.leap(pair, problem, ch04.start_at(pair, problem.transform, 20.0, CENTER), counts=(3, 4))
    assert [len(run.turns(n)) for n in (3, 4)] == [3, 4] == [len(run.errors(n)) for n in (3, 4)]
    assert abs(run.turns(4)[-1]) < 0.5 and run.errors(4)[-1] < 0.1
    assert run.paths[3].thetas.tolist() == pytest.approx([1e3, 1, 1e-3])
