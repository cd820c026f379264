"""The energy of a flow's path, against SciPy's integral, torch.func and Taylor's expansion."""

from __future__ import annotations

import math
from functools import partial

import numpy as np
import pytest
import torch
from scipy.integrate import solve_ivp

from regkit import _stages, path_energy
from regkit.checks import adjoint_test, taylor_test
from regkit.data import hands_phantom
from regkit.flows import NeuralODE
from regkit.grid import Grid
from regkit.linear import CG
from regkit.optimize import gauss_newton, levenberg_marquardt
from regkit.path_energy import PathEnergy
from regkit.registration import Registration
from regkit.transforms import Affine

ENERGIES = [
    PathEnergy(NeuralODE(1, 3, 4), Grid((2.0,), (5,)), 0.7),
    PathEnergy(NeuralODE(2, 5, 3, (1.0, -2.0), 2.5), Grid((2.0, 3.0), (2, 3)), 2.0),
    PathEnergy(NeuralODE(3, 4, 2, None, 2.0), Grid((1.0, 2.0, 1.5), (2, 1, 2)), 0.3),
]
each = pytest.mark.parametrize("energy", ENERGIES, ids=str)


def by_scipy(flow, grid, w):
    """½ ∫ ∫ |dy/dt|² dt dx, point by point as one more coordinate of the flow."""
    d, h, centre = flow.dim, flow.hidden, np.array(flow.center or [0.0] * flow.dim)
    W1, b1, W2, b2 = (part.numpy() for part in w.split(flow.sizes))

    def rate(t, state):
        under = W1.reshape(h, d + 1) @ [*(state[:d] - centre) / flow.unit, t] + b1
        velocity = flow.unit * (W2.reshape(d, h) @ np.tanh(under) + b2)
        return [*velocity, velocity @ velocity / 2]

    ends = [solve_ivp(rate, (0, 1), [*x, 0.0], rtol=1e-11, atol=1e-12).y[-1, -1] for x in grid.points()]
    return grid.cell_volume * sum(ends)


@each
def test_the_value_is_the_integral_over_time_to_fourth_order(energy, random):
    flow, w = energy.transform, 0.5 * random(energy.transform.parameters)
    expected, errors = energy.strength * by_scipy(flow, energy.grid, w), []
    for steps in (20, 40):
        finer = NeuralODE(flow.dim, flow.hidden, steps, flow.center, flow.unit)
        errors.append(abs(float(PathEnergy(finer, energy.grid, energy.strength).value(w)) - expected))
    assert errors[1] < 1e-6 * expected
    assert 10 < errors[0] / errors[1] < 26 or errors[0] < 1e-9 * expected  # 2⁴ = 16


@each
def test_no_way_is_shorter_than_the_straight_one(energy, random):
    """½ ∫ |y − x|² is a bound for any number of steps, and reached where the velocity is constant."""
    flow, x = energy.transform, energy.grid.points()

    def straight(w):
        return 0.5 * energy.strength * energy.grid.cell_volume * (flow(w, x) - x).square().sum()

    w = random(flow.parameters)
    assert energy.value(w) > 1.001 * straight(w)
    w[: -flow.dim] = 0
    assert math.isclose(energy.value(w), straight(w), rel_tol=1e-12)
    assert energy.value(flow.identity()) == 0 and not energy.gradient(flow.identity()).any()


@each
@pytest.mark.parametrize(("points", "held"), [(2, 0), (2, 600), (1024, 2**25)])
def test_derivatives_of_the_path_energy(energy, points, held, random, monkeypatch):
    """With all stages kept, with none, and with some."""
    monkeypatch.setattr(_stages, "_HELD", held)
    for module in (path_energy, _stages):
        monkeypatch.setattr(module, "_POINTS", points)
    w, v = 0.5 * random(energy.transform.parameters), random(energy.transform.parameters)
    v /= v.norm()
    first, second = torch.func.grad(energy.value)(w), torch.func.hessian(energy.value)(w)
    assert torch.allclose(energy.gradient(w), first, rtol=1e-10, atol=1e-12 * float(first.abs().max()))
    H, scale = energy.hessian(w), float(second.abs().max())
    assert torch.allclose(H.dense(w), second, rtol=0, atol=1e-11 * scale)
    steps = torch.logspace(-1, -4, 13, dtype=torch.float64)
    test = taylor_test(
        energy.value, w, v, order=2, first=energy.gradient(w) @ v, second=v @ (H @ v), steps=steps
    )
    assert test.passes()

    def residual(w):
        parts = [part.shares().sqrt() * part.slopes() for part in energy._paths(w)]
        return math.sqrt(energy.weight) * torch.cat([part.flatten() for part in parts])

    J = torch.func.jacfwd(residual)(w)
    close = energy.hessian(w, "gauss-newton")
    assert torch.allclose(close.dense(w), J.T @ J, rtol=0, atol=1e-11 * scale)
    for operator in (H, close):
        columns = random(len(w), 2)
        product = operator.dense(w) @ columns
        assert torch.allclose(operator @ columns, product, atol=1e-11 * float(product.abs().max()))
        assert adjoint_test(operator.forward, operator.adjoint, v) < 1e-12


RUNS = {
    "levenberg_marquardt": levenberg_marquardt,
    "gauss_newton": partial(gauss_newton, solver=CG(rtol=0.1, maxiter=15)),
}


@pytest.mark.parametrize("run", RUNS.values(), ids=RUNS)
def test_a_registration_with_a_path_energy(run, random):
    """Its derivatives are those of the whole loss; a stronger one makes the way shorter."""
    pair, energies = hands_phantom(16), []
    flow = NeuralODE(hidden=4, steps=3, center=tuple(side / 2 for side in pair.grid.extent), unit=5.0)
    coarse, start = Grid(pair.grid.extent, (6, 6)), flow.identity()
    for strength in (0.1, 1.0):
        energy = PathEnergy(flow, coarse, strength)
        problem = Registration(pair.template, pair.reference, pair.grid, flow, regulariser=energy).at(10.0)
        found = run(problem, start, iterations=5)
        assert found.point.loss < 0.5 * problem.loss(start)
        energies.append(float(energy.value(found.x)) / strength)
    assert energies[1] < 0.8 * energies[0]
    for kind in ("exact", "gauss-newton"):
        expected = problem.hessian(found.x, kind, method="autodiff")
        scale = float(expected.abs().max())
        assert torch.allclose(problem.hessian(found.x, kind), expected, rtol=0, atol=1e-9 * scale)
        v = random(len(start))
        product = problem.point(found.x).curvature(kind) @ v
        assert torch.allclose(product, expected @ v, rtol=0, atol=1e-9 * scale * float(v.norm()))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: PathEnergy(Affine(), Grid((1.0, 1.0), (2, 2))), r"expected a NeuralODE, got Affine"),
        (
            lambda: PathEnergy(NeuralODE(), Grid((1.0,), (2,))),
            r"expected a grid in 2 dimensions, got one in 1",
        ),
        (lambda: PathEnergy(NeuralODE(), Grid((1.0, 1.0), (2, 2)), -1.0), r"expected a strength ≥ 0, got -1"),
    ],
)
def test_errors_say_what_was_expected(make, message):
    with pytest.raises(ValueError, match=message):
        make()
