"""The experiments of chapter 11: prices against whole matrices, fits against SciPy, and the record."""

from itertools import pairwise

import numpy as np
import pytest
import scipy.ndimage
import torch

from regbook.experiments import ch11
from regbook.meter import price
from regkit import _stages, data
from regkit.flows import NeuralODE
from regkit.freeform import DisplacementField, FreeForm
from regkit.grid import Grid
from regkit.path_energy import PathEnergy
from regkit.registration import Registration


def test_prices_of_columns_are_those_of_the_whole_matrices():
    """jacfwd computes all columns, the experiment one and two."""
    pair, free = data.bent_hands_phantom(16), FreeForm(Grid(data.HAND_BOX, (2, 2)))
    problem = Registration(pair.template, pair.reference, pair.grid, free, outside=0.0).at(ch11.THETA)
    w = free.identity()
    found, loss = ch11.costs(free, pair, w), price(problem.loss, w)
    hessian = price(torch.func.jacfwd(torch.func.grad(problem.loss)), w)
    jacobian = price(torch.func.jacfwd(problem.residual), w)
    assert found["Hessian"] * loss == pytest.approx(hessian, rel=0.02)
    assert found["Jacobian"] * price(problem.residual, w) == pytest.approx(jacobian, rel=0.02)
    assert found["loss"] == 1 and found["gradient"] == price(torch.func.grad(problem.loss), w) / loss


def deformations():
    """With 50 to 50,000 parameters, at a point: those of a lattice, and flows, where p counts the neurons."""
    for cells in (2, 13, 155):
        free = FreeForm(Grid(data.HAND_BOX, (cells, cells)))
        yield free, free.identity(), 64
    for cells in (5, 158):
        field = DisplacementField(Grid(data.HAND_BOX, (cells, cells)))
        yield field, field.identity(), 64
    for hidden, steps, size in ((8, 9, 64), (8, 27, 16), (800, 3, 16), (8333, 2, 8)):
        flow = NeuralODE(hidden=hidden, steps=steps, center=ch11.CENTRE, unit=5.0)
        yield flow, ch11.off_the_start(flow), size


def test_a_product_costs_less_than_three_gradients_for_fifty_to_fifty_thousand_parameters():
    """By counts, the same for both; also where no stage of a flow is kept for the next product."""
    found = {(type(t), len(w)): ch11.own_products(t, w, size) for t, w, size in deformations()}
    assert {kind for kind, _ in found} == {FreeForm, DisplacementField, NeuralODE}
    for kind in (FreeForm, DisplacementField, NeuralODE):
        sizes = [p for other, p in found if other is kind]
        assert min(sizes) == 50 and max(sizes) > 49_000
    assert all(another < first < 3 for first, another in found.values())
    assert all(another < 1.5 for _, another in found.values())


def test_a_product_of_a_flow_costs_less_than_three_gradients_without_room_for_its_stages(monkeypatch):
    monkeypatch.setattr(_stages, "_HELD", 0)
    flow = ch11.flow_of(9)
    first, another = ch11.own_products(flow, ch11.off_the_start(flow), 64)
    assert another < first < 3


def test_a_product_with_the_hessian_of_a_path_energy_costs_about_a_gradient():
    """By counts, for both kinds; with all that it needs a third of what the matrix does at most."""
    flow = ch11.flow_of(9)
    energy, w = PathEnergy(flow, Grid(data.HAND_BOX, (16, 16))), ch11.off_the_start(flow)
    gradient, v = price(energy.gradient, w), torch.ones_like(w)
    for kind in ("exact", "gauss-newton"):
        H = energy.hessian(w, kind)
        first = price(lambda kind=kind: energy.hessian(w, kind) @ v)
        assert first < 3 * gradient < price(H.dense, w) / 3
        assert price(lambda H=H: H @ v) < 1.8 * gradient


def test_what_is_counted_is_the_product_with_the_hessian():
    """That of torch.func, which knows nothing of regkit's Hessian."""
    pair = data.bent_hands_phantom(16)
    free, flow = FreeForm(Grid(data.HAND_BOX, (2, 2))), ch11.flow_of(9)
    for transform, w in ((free, free.identity() + 0.1), (flow, ch11.off_the_start(flow))):
        images = pair.template, pair.reference
        problem = Registration(*images, pair.grid, transform, outside=0.0).at(ch11.THETA)
        v = torch.linspace(-1, 1, 50, dtype=w.dtype)
        known = torch.func.jvp(torch.func.grad(problem.loss), (w,), (v,))[1]
        product = problem.point(w, 2).curvature("exact") @ v
        assert torch.allclose(product, known, rtol=1e-8, atol=1e-8 * float(known.abs().max()))


def test_what_is_left_is_that_of_scipys_spline():
    """And a fit goes on from the one before: a smaller α has a smaller difference."""
    bent = ch11.hands(cells=5, size=32, noise=0.0)
    fits = bent.fits([1.0, 0.1])
    grid, pair = bent.pair.grid, bent.pair

    def squared(w):
        y = bent.transform(w, grid.points()).numpy() / np.array(grid.spacing) - 0.5
        moved = scipy.ndimage.map_coordinates(pair.template.numpy(), y.T, order=3, mode="grid-constant")
        return float(np.square(moved - pair.reference.numpy().reshape(-1)).mean())

    for fit in fits:
        assert bent.rms(fit.w) == pytest.approx(squared(fit.w) ** 0.5, rel=0.02)
        assert fit.left == pytest.approx(100 * squared(fit.w) / squared(0 * fit.w), rel=0.04)
        assert fit.least == pytest.approx(float(bent.transform.determinant(fit.w, grid).min()))
    assert all(later.left < earlier.left for earlier, later in pairwise(fits))


def test_the_whirl_keeps_areas_and_turns_its_middle_by_the_speed():
    """Near the middle tanh z = z: a turn by the speed, in radians."""
    flow, speed = ch11.flow_of(50), 1.2
    middle = torch.tensor([ch11.CENTRE], dtype=torch.float64)
    away = torch.tensor([[1e-4, 0.0]], dtype=torch.float64)
    turned = flow(ch11.swirl(speed), middle + away) - flow(ch11.swirl(speed), middle)
    expected = 1e-4 * torch.tensor([[np.cos(speed), np.sin(speed)]])
    assert torch.allclose(turned, expected, atol=1e-9)
    points = Grid(data.HAND_BOX, (8, 8)).points()
    assert ch11.smallest_determinant(flow, ch11.swirl(speed), points) == pytest.approx(1, abs=1e-6)


def test_the_record_is_what_the_chapter_computes():
    """Of the lattice with 512 parameters: the same pair, and the same way to it."""
    row = ch11.recorded()["maps"]["free-form, 13 × 13"]
    fit = ch11.hands(cells=13).fits([alpha for alpha in ch11.ALPHAS if alpha > 0.009])[-1]
    assert row["p"] == len(fit.w) == 512
    assert fit.left == pytest.approx(row["left"], rel=1e-2) and fit.miss == pytest.approx(
        row["miss"], rel=0.05
    )
    assert fit.folded == row["folded"] == 0
