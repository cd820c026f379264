"""Derivatives of a flow that are written out by hand, against torch.func and differences."""

from __future__ import annotations

import pytest
import torch

from regkit import _stages
from regkit._stages import Stages
from regkit.checks import adjoint_test, taylor_test
from regkit.data import hands_phantom
from regkit.distances import NCC, SSD
from regkit.flows import NeuralODE
from regkit.motions import Motion
from regkit.operators import Diagonal, Matrix
from regkit.registration import Registration

flows = pytest.mark.parametrize(
    "flow",
    [NeuralODE(), NeuralODE(3, 4, 3, None, 2.0), NeuralODE(1, 3, 12), NeuralODE(2, 5, 4, (1.0, -2.0), 2.5)],
)


def apart(a, b) -> float:
    return float((a - b).norm() / b.norm())


@flows
def test_chain_rules_by_hand_are_those_of_torch_func(flow, random):
    """``Motion`` knows nothing of a flow but its points; 1,100 points are more than are taken at one time."""
    n, d = 1100 if flow.dim == 1 else 7, flow.dim
    w, x, g, H = 0.5 * random(flow.parameters), random(n, d), random(n, d), random(n, d, d)
    H = H + H.mT
    ours, known = flow.on(x), Motion(flow, x)
    assert apart(ours.chain_gradient(w, g), known.chain_gradient(w, g)) < 1e-12
    assert apart(ours.chain_rows(w, g), known.chain_rows(w, g)) < 1e-12
    assert apart(ours.jacobian(w), known.jacobian(w)) < 1e-12
    assert apart(ours.chain_hessian(w, H), known.chain_hessian(w, H)) < 1e-12
    assert apart(ours.chain_hessian(w, H, g), known.chain_hessian(w, H, g)) < 1e-12


@flows
def test_the_end_and_its_derivatives_in_the_beginning(flow, random):
    """Taylor's theorem for ⟨g, z⟩ as a function of the parameters, to second order; z̄ by torch.func."""
    w, z, g, v = (
        0.5 * random(flow.parameters),
        random(flow.dim, 5),
        random(flow.dim, 5),
        random(flow.parameters),
    )
    v /= v.norm()
    weighted = lambda w, z: (g * Stages(flow, w, 0, flow.steps, z).end).sum()  # noqa: E731
    stages = Stages(flow, w, 0, flow.steps, z)
    by_w, by_z = stages.gradient(g)
    H = stages.hessian(torch.zeros(flow.dim, flow.dim, 5, dtype=w.dtype), g)
    along = {"first": by_w @ v, "second": v @ H @ v}
    assert taylor_test(lambda u: weighted(u, z), w, v, order=2, **along).passes()
    assert apart(by_z, torch.func.grad(weighted, 1)(w, z)) < 1e-12
    assert torch.allclose(stages.rows(g).sum(0), by_w, atol=1e-12)


def test_a_registration_has_the_derivatives_of_torch_func(random):
    """Loss, gradient, Jacobian and Hessian in the 50 parameters of Table 1."""
    pair = hands_phantom(8)
    flow = NeuralODE(center=(10.0, 12.5), unit=5.0)
    objective = Registration(pair.template, pair.reference, pair.grid, flow, outside=0.0).at(1e-3)
    w = flow.identity() + 0.1 * random(50)
    for kind in (objective.gradient, objective.jacobian, objective.hessian):
        assert apart(kind(w), kind(w, method="autodiff")) < 1e-10


@flows
@pytest.mark.parametrize("held", [0, 2**25])
def test_products_are_those_of_the_matrices(flow, held, random, monkeypatch):
    """With stages that are kept, and with none; for a matrix at each point, and one between points."""
    monkeypatch.setattr(_stages, "_POINTS", 4)
    monkeypatch.setattr(_stages, "_HELD", held)
    n, d, p = 7, flow.dim, flow.parameters
    w, x, g, H, slopes = (
        0.5 * random(p), random(n, d), random(n, d), random(n, d, d), random(n, 1, d),
    )  # fmt: skip
    H, C, between = H + H.mT, Diagonal(random(n)), random(n, n)
    ours, known = flow.on(x), Motion(flow, x)
    assert apart(ours.second(w, g).dense(w), known.second(w, g).dense(w)) < 1e-12
    for inner in (C, Matrix(between + between.T)):
        for more in ((None, None), (H, None), (None, g), (H, g)):
            mine, other = (motion.bent(w, inner, slopes, *more) for motion in (ours, known))
            expected, columns = other.dense(w), random(p, 2)
            assert apart(mine.dense(w), expected) < 1e-12
            assert apart(mine @ columns, expected @ columns) < 1e-12
            assert adjoint_test(mine.forward, mine.adjoint, w) < 1e-12


@pytest.mark.parametrize("distance", [SSD(), NCC()], ids=str)
@pytest.mark.parametrize("outside", [0.0, "overlap"])
def test_a_product_of_a_registration_is_that_of_torch_func(distance, outside, random):
    """One pass forward and one back, and for distances between points another back."""
    pair = hands_phantom(8)
    flow = NeuralODE(hidden=3, steps=2, center=(10.0, 12.5), unit=5.0)
    problem = Registration(pair.template, pair.reference, pair.grid, flow, distance, outside=outside)
    objective, w = problem.at(1e-3), flow.identity() + 0.1 * random(flow.parameters)
    v = random(flow.parameters)
    product = torch.func.jvp(torch.func.grad(objective.loss), (w,), (v,))[1]
    curvature = objective.point(w).curvature()
    assert apart(curvature @ v, product) < 1e-10
    assert apart(torch.func.vmap(curvature.forward, 1, 1)(torch.stack([v, w], 1))[:, 0], product) < 1e-10
    assert torch.func.jvp(curvature.forward, (w,), (v,))[1].sub(product).norm() < 1e-10 * product.norm()
