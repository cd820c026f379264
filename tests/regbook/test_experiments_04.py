"""The experiments of chapter 4, against SciPy, shifts by hand and maps of single points."""

import numpy as np
import pytest
import torch
from scipy.ndimage import minimum_filter
from scipy.signal import argrelmin

from regbook.experiments import ch04
from regkit import data
from regkit.registration import Registration
from regkit.transforms import Rigid, Translation


@pytest.fixture(autouse=True)
def double_precision():
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(before)


@pytest.fixture(scope="module")
def pair():
    return data.hands_phantom(32)


def combs():
    comb, grid = data.bumps()
    return Registration(comb, data.bumps(shift=10)[0], grid, transform=Translation(dim=1))


def test_minima_are_those_that_scipy_sees():
    generator = torch.Generator().manual_seed(1)
    values = torch.rand(60, generator=generator)
    assert ch04.local_minima(values).tolist() == argrelmin(values.numpy())[0].tolist()


def test_valleys_are_those_that_scipy_sees():
    values = torch.rand(12, 15, generator=torch.Generator().manual_seed(2))
    low = values.numpy() == minimum_filter(values.numpy(), size=3, mode="constant", cval=np.inf)
    low[[0, -1]] = low[:, [0, -1]] = False
    assert ch04.valleys(values).tolist() == np.argwhere(low).tolist()


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


def test_the_landscape_is_the_loss_at_its_places(pair):
    problem = Registration(pair.template, pair.reference, pair.grid, transform=Rigid(center=(9.2, 11.5)))
    values = ch04.landscape_2d(problem, [0.0, 0.5], [-1.0, 0.0, 2.0], 10.0)
    assert values.shape == (2, 3)
    expected = problem.at(10.0).loss(torch.tensor([0.5, 2.0, 0.0]))
    assert float(values[1, 2]) == pytest.approx(float(expected))


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
    found, hessians = ch04.schedule(problem, 10.0, 2)
    assert ch04.map_error(pair, alone) > 1 and ch04.map_error(pair, found) < 0.2
    assert 3 < hessians < 100
