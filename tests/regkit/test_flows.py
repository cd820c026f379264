"""The neural ODE as a flow, and its gradient in little memory."""

from __future__ import annotations

from functools import partial
from itertools import accumulate, pairwise

import numpy as np
import pytest
import torch
from scipy.integrate import solve_ivp

from regkit.checks import adjoint_test, taylor_test
from regkit.data import hands_phantom
from regkit.flows import NeuralODE, pulled_back
from regkit.registration import Registration

tensor = partial(torch.tensor, dtype=torch.float64)
CENTRE = (1.0, -2.0)


def close(a, b, tolerance):
    torch.testing.assert_close(a, b, rtol=tolerance, atol=tolerance)


flows = pytest.mark.parametrize(
    "flow", [NeuralODE(), NeuralODE(3, hidden=4, steps=3), NeuralODE(2, 5, 4, CENTRE, 2.5)], ids=str
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


@pytest.mark.parametrize("steps", [1, 2, 9, 10, 11, 33, 65, 100])
def test_points_that_are_kept_change_nothing(steps, random):
    """Against reverse mode with everything kept, for numbers of steps that stretches do and do not divide."""
    flow = NeuralODE(hidden=4, steps=steps, unit=2.0)
    w, x, g = 0.5 * random(flow.parameters), random(6, 2), random(6, 2)
    known = torch.func.vjp(flow, w, x)[1](g)

    def stretch(w, a, b, z):
        def walk(w, z):
            for k in range(a, b):
                z = flow.step(w, k, z)
            return z

        return torch.func.vjp(walk, w, z)

    for whole in (1, 3, 10):
        found = pulled_back(stretch, w, flow.begin(w, x), steps, flow.unit * g.T, whole)
        assert (found[0] - known[0]).norm() < 1e-12 * known[0].norm()
        assert (found[1].T / flow.unit - known[1]).norm() < 1e-12 * known[1].norm()
    Y = flow.on(x).derivative(w)
    assert adjoint_test(Y.forward, Y.adjoint, random(len(w))) < 1e-12
    columns = random(12, 2)
    assert torch.allclose(Y.T @ columns, torch.stack([Y.T @ c for c in columns.T], 1), atol=1e-12)


def test_no_step_is_no_change(random):
    w, z = random(3), random(2, 4)
    change, out = pulled_back(None, w, z, 0, z)
    assert not change.any() and torch.equal(out, z)


def peak(compute) -> float:
    """The most memory that ``compute`` holds at one time, in bytes, by the allocator's own account."""
    compute()
    with torch.profiler.profile(
        activities=[torch.profiler.ProfilerActivity.CPU], profile_memory=True
    ) as profile:
        compute()
    events = [e for e in profile.profiler.kineto_results.events() if e.name() == "[memory]"]
    return max(accumulate(e.nbytes() for e in sorted(events, key=lambda e: e.start_ns())))


def test_memory_does_not_grow_with_the_steps(random):
    """Ten times as many steps: reverse mode takes about ten times as much, this little more, never less."""
    x, held = random(1000, 2), {}
    for steps in (3, 9, 12, 90):
        flow = NeuralODE(steps=steps, unit=2.0)
        w, motion = flow.identity(), flow.on(x)
        plain = lambda v, flow=flow: flow(v, x).square().sum()  # noqa: E731
        held[steps] = (
            peak(lambda f=plain, w=w: torch.func.grad(f)(w)) if steps in (9, 90) else None,
            peak(lambda m=motion, w=w: m.chain_gradient(w, 2 * m(w))),
        )
    assert held[90][0] > 7 * held[9][0]
    few = [kept for _, kept in held.values()]
    assert few[0] < few[1] < 1.2 * few[2] and few[1] < few[3] < 1.2 * few[1] and few[3] < held[9][0]
