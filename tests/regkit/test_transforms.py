"""Transformations: what they do to points, their algebra, and closed-form derivatives against torch.func."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import partial
from itertools import pairwise

import numpy as np
import pytest
import torch
from scipy.integrate import solve_ivp

from regkit.checks import taylor_test
from regkit.data import hands_phantom
from regkit.grid import Grid
from regkit.registration import Registration
from regkit.transforms import Affine, NeuralODE, Rigid, Transform, Translation

tensor = partial(torch.tensor, dtype=torch.float64)

CENTRE = (1.0, -2.0, 0.5)
ALL = [
    *(Affine(d) for d in (1, 2, 3)),
    *(Affine(d, CENTRE[:d]) for d in (1, 2, 3)),
    *(Rigid(d) for d in (2, 3)),
    *(Rigid(d, CENTRE[:d]) for d in (2, 3)),
    *(Translation(d, CENTRE[:d]) for d in (1, 2, 3)),
]
each = pytest.mark.parametrize("t", ALL, ids=str)


@dataclass(frozen=True)
class Bend(Transform):
    """A transformation that gives only y: y = x + w₁ sin(w₂ x) + w₃ w₁."""

    parameters = 3

    def __call__(self, w, x):
        return x + w[0] * (w[1] * x).sin() + w[2] * w[0]


def start(t, random):
    return t.identity() + 0.3 * random(t.parameters)


def close(a, b, tolerance=1e-10):
    assert a.shape == b.shape
    assert (a - b).norm() <= tolerance * (1 + b.norm())


def test_affine_by_hand():
    w = tensor([1, 2, 3, 4, 5, 6])
    x = tensor([[1, 1], [2, 0]])
    assert Affine()(w, x).tolist() == [[8, 13], [7, 12]]
    assert Affine(center=(1, 1))(w, x).tolist() == [[6, 7], [5, 6]]  # the centre itself moves by b
    A, b = Affine(center=(1, 1)).matrix(w)
    close(x @ A.T + b, Affine(center=(1, 1))(w, x))


def test_rotations_turn_counter_clockwise():
    quarter = math.pi / 2
    turned = Rigid()(tensor([quarter, 0, 0]), tensor([[1.0, 0.0]]))
    close(turned, tensor([[0.0, 1.0]]))
    unit = torch.eye(3, dtype=torch.float64)
    for axis, (before, after) in enumerate([(1, 2), (2, 0), (0, 1)]):  # about x: y to z; about y: z to x; …
        w = torch.zeros(6, dtype=torch.float64)
        w[axis] = quarter
        close(Rigid(3)(w, unit[before : before + 1]), unit[after : after + 1])
    w = tensor([0.3, -0.4, 0.5, 0, 0, 0])
    single = [torch.where(torch.arange(6) == k, w, 0.0) for k in range(3)]
    product = Rigid(3).matrix(single[2])[0] @ Rigid(3).matrix(single[1])[0] @ Rigid(3).matrix(single[0])[0]
    close(Rigid(3).matrix(w)[0], product)


@each
def test_identity_inverse_and_composition(t, random):
    x, w1, w2 = random(7, t.dim), start(t, random), start(t, random)
    assert len(t.identity()) == t.parameters
    close(t(t.identity(), x), x)
    close(t(t.inverse(w1), t(w1, x)), x)
    close(t(w1, t(t.inverse(w1), x)), x)
    close(t(t.compose(w1, w2), x), t(w1, t(w2, x)))
    close(t.from_matrix(*t.matrix(w1)), w1)


def test_a_grid_stands_for_its_points():
    grid = Grid((4.0, 6.0), (3, 2))
    for t, w in ((Bend(2), tensor([0.3, 0.7, -0.2])), (Affine(center=(2, 3)), tensor([1, 2, 3, 4, 5, 6]))):
        motion = t.on(grid)
        assert motion.points.equal(grid.points())
        close(motion(w), t(w, grid.points()), 1e-15)
        assert repr(motion).endswith(f"of 6 points: {t}")
        assert t.on(grid, torch.float32).points.dtype == torch.float32
    with pytest.raises(ValueError, match=r"expected points of shape \(n, 3\), got \(6, 2\)"):
        Affine(3).on(grid)


def test_parameters_mean_the_same_at_every_size(random):
    for t in ALL:
        w = start(t, random)
        assert t.coarser() == t and t.refine(w) is w


def test_dtype_is_inherited(random):
    for t in ALL:
        w = t.identity(dtype=torch.float32)
        assert t(w, random(3, t.dim).float()).dtype == torch.float32
        H = random(3, t.dim, t.dim).float()
        assert t.on(random(3, t.dim).float()).chain_hessian(w, H).dtype == torch.float32


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Affine(4), r"expected dimension 1, 2 or 3, got 4"),
        (lambda: Rigid(1), r"expected dimension 2 or 3 for a rigid map, got 1"),
        (lambda: Affine(2, (1, 2, 3)), r"expected a centre in 2 dimensions, got \(1.0, 2.0, 3.0\)"),
        (
            lambda: Affine()(torch.zeros(5), torch.zeros(1, 2)),
            r"expected parameters of shape \(6,\), got \(5,\)",
        ),
        (
            lambda: Affine()(torch.zeros(6), torch.zeros(2, 50)),
            r"expected points of shape \(n, 2\), got \(2, 50\)",
        ),
        (lambda: Affine().inverse(torch.zeros(6)), r"expected an invertible matrix A"),
        (lambda: Rigid().from_matrix(2 * torch.eye(2), torch.zeros(2)), r"expected a rotation matrix"),
        (
            lambda: Rigid().from_matrix(torch.diag(torch.tensor([1.0, -1])), torch.zeros(2)),
            r"rotation matrix",
        ),
        (lambda: Translation().from_matrix(2 * torch.eye(2), torch.zeros(2)), r"expected the unit matrix"),
        (lambda: NeuralODE(steps=0), r"expected steps to be 1, 2, …, got 0"),
        (lambda: NeuralODE(hidden=2.5), r"expected hidden to be 1, 2, …, got 2.5"),
        (lambda: NeuralODE(unit=-1.0), r"expected a unit above 0, got -1.0"),
        (lambda: NeuralODE(center=(1.0,)), r"expected a centre in 2 dimensions, got \(1.0,\)"),
        (
            lambda: NeuralODE()(torch.zeros(6), torch.zeros(1, 2)),
            r"expected parameters of shape \(50,\), got \(6,\)",
        ),
        (
            lambda: NeuralODE()(torch.zeros(50), torch.zeros(2, 50)),
            r"expected points of shape \(n, 2\), got \(2, 50\)",
        ),
    ],
)
def test_bad_input_says_what_is_wrong(make, message):
    with pytest.raises(ValueError, match=message):
        make()


# ---- the neural ODE

flows = pytest.mark.parametrize(
    "flow", [NeuralODE(), NeuralODE(3, hidden=4, steps=3), NeuralODE(2, 5, 4, CENTRE[:2], 2.5)], ids=str
)


def field_of(flow, w):
    """The velocity of y in the units of x, by NumPy, one point at a time: (d,) and a time."""
    d, h = flow.dim, flow.hidden
    W1, b1, W2, b2 = np.split(w.numpy(), np.cumsum([h * (d + 1), h, d * h]))
    c = np.zeros(d) if flow.center is None else np.array(flow.center)

    def velocity(t, y):
        inputs = np.append((y - c) / flow.unit, t)
        return flow.unit * (W2.reshape(d, h) @ np.tanh(W1.reshape(h, d + 1) @ inputs + b1) + b2)

    return velocity


@flows
def test_a_neural_ode_is_the_flow_of_its_network(flow, random):
    """With short steps the points end where SciPy's adaptive integrator takes them, and the order is four."""
    w, x = 0.7 * random(flow.parameters), random(4, flow.dim)
    ends = [
        solve_ivp(field_of(flow, w), (0, 1), p.numpy(), method="DOP853", rtol=1e-12, atol=1e-12).y[:, -1]
        for p in x
    ]
    errors = []
    for steps in (20, 40):
        finer = NeuralODE(flow.dim, flow.hidden, steps, flow.center, flow.unit)
        errors.append(float((finer(w, x) - torch.tensor(np.array(ends))).abs().max()))
    assert errors[1] < 1e-5
    assert 10 < errors[0] / errors[1] < 26  # 2⁴ = 16


def test_the_neural_ode_of_table_1(random):
    """3 → 8 → 2 with tanh, classical Runge-Kutta steps between the times linspace(0, 1, 10)."""
    flow, w, x = NeuralODE(), 0.5 * random(50), random(6, 2)
    velocity, times = field_of(flow, w), np.linspace(0, 1, 10)
    for k, point in enumerate(x.numpy()):
        for t, following in pairwise(times):
            dt = following - t
            k1 = velocity(t, point)
            k2 = velocity(t + dt / 2, point + dt / 2 * k1)
            k3 = velocity(t + dt / 2, point + dt / 2 * k2)
            k4 = velocity(following, point + dt * k3)
            point = point + dt / 6 * (k1 + 2 * k2 + 2 * k3 + k4)
        close(flow(w, x)[k], tensor(point), 1e-12)


@flows
def test_a_neural_ode_starts_at_the_identity_and_can_leave_it(flow, random):
    w, x = flow.identity(), random(5, flow.dim)
    close(flow(w, x), x, 1e-15)
    assert flow.identity(seed=1).ne(w).any() and flow.identity(torch.float32).dtype == torch.float32
    moves = flow.jacobian(w, x).square().sum((0, 1)) > 0
    output = flow.dim * (flow.hidden + 1)
    assert moves[-output:].all() and not moves[:-output].any()


@flows
def test_derivatives_of_a_neural_ode(flow, random):
    """Forward over reverse, reverse over reverse and differences agree; vmap over w works."""
    w, x = 0.5 * random(flow.parameters), random(5, flow.dim)
    g = random(5, flow.dim)

    def weighted(v):
        return (g * flow(v, x)).sum()

    motion, p = flow.on(x), flow.parameters
    hessian = torch.func.jacrev(torch.func.grad(weighted))(w)
    close(torch.func.jacfwd(torch.func.grad(weighted))(w), hessian, 1e-12)
    close(motion.second(w, g).dense(w), hessian, 1e-12)
    close(motion.jacobian(w), torch.func.jacrev(lambda v: flow(v, x))(w), 1e-12)
    v, step = random(p), 1e-5
    difference = (torch.func.grad(weighted)(w + step * v) - torch.func.grad(weighted)(w - step * v)) / (
        2 * step
    )
    close(hessian @ v, difference, 1e-7)
    several = 0.5 * random(3, p)
    close(torch.func.vmap(flow, (0, None))(several, x), torch.stack([flow(u, x) for u in several]), 1e-12)
    gradients = torch.func.vmap(torch.func.grad(weighted))(several)
    close(gradients, torch.stack([torch.func.grad(weighted)(u) for u in several]), 1e-12)


def test_registration_with_a_neural_ode(random):
    """The loss of an image has a Taylor expansion of second order in the 50 parameters."""
    pair = hands_phantom(24)
    centre = tuple(side / 2 for side in pair.grid.extent)
    flow = NeuralODE(center=centre, unit=5.0)
    problem = Registration(pair.template, pair.reference, pair.grid, flow).at(1.0)
    w, v = flow.identity() + 0.05 * random(50), random(50)
    v /= v.norm()
    point = problem.point(w, 2)
    first, second = point.gradient @ v, v @ point.hessian("exact") @ v
    assert taylor_test(problem.loss, w, v, order=2, first=first, second=second).passes()
    y = flow.on(pair.grid)
    by_point = torch.func.vmap(torch.func.jacfwd(lambda q: flow(w, q[None])[0]))(y.points)
    assert torch.linalg.det(by_point).min() > 0
