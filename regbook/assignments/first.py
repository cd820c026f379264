"""Checkers on chapters 1 to 6: a gradient, a Hessian, a spline and its transpose, a step along a path."""

from __future__ import annotations

import numpy as np
import torch
from scipy.integrate import solve_ivp
from scipy.interpolate import BSpline

from regbook.assignments.properties import derivative_fits, near, numbers, random, slope, tensor
from regbook.practice.report import exercise, wrong
from regkit import Grid, coefficients, evaluate


@exercise
def check_g1_1(gradient, seed: int = 0):
    """The gradient of ½ Σ (T(y) − R)² times the cell, for a turn about the middle and a shift."""
    draw = random(seed)
    grid = Grid((12 * draw.uniform(1.2, 1.6), 14 * draw.uniform(0.6, 0.9)), (12, 14))
    c = coefficients(tensor(draw.normal(size=grid.shape)), 1.0)
    reference, points = tensor(draw.normal(size=12 * 14)), grid.points().double()
    middle = tensor(grid.extent) / 2

    def loss(w):
        cos, sin = np.cos(w[0]), np.sin(w[0])
        y = (points - middle) @ tensor([[cos, sin], [-sin, cos]]) + middle + tensor(w[1:])
        return 0.5 * grid.cell_volume * float((evaluate(c, grid, y) - reference).square().sum())

    def passes(g, w):
        lines = draw.normal(size=(3, 3)) * [0.1, 1.0, 1.0]
        return all(derivative_fits(lambda h, v=v: loss(w + h * v), float(g @ v)) for v in lines)

    w = draw.normal(size=3) * [0.3, 0.5, 0.5]
    g = numbers(gradient(c, grid, reference, tensor(w)), (3,))
    if passes(g, w):
        return "Right. The remainder has slope 2 along three lines."
    if passes(-g, w):
        wrong("The sign is wrong: this is the direction in which the loss falls.")
    if passes(g * grid.cell_volume, w):
        wrong("The volume of a cell is missing.")
    if passes(g / 2, w):
        wrong("This is twice the gradient: the loss has a factor ½.")
    still = numbers(gradient(c, grid, reference, tensor(np.zeros(3))), (3,))
    if passes(still, np.zeros(3)):
        wrong("It is right at w = 0 only. Where is the template's slope taken, and what does an angle move?")
    if passes(g * [0, 1, 1], w * [0, 1, 1]) or _along(g, w, loss, draw):
        wrong("The shift's part is right, the angle's is not: how does a point move when the angle grows?")
    wrong("The remainder of the loss has slope 1: this is not its gradient.")


def _along(g, w, loss, draw) -> bool:
    """Is the part of the shift right?"""
    v = np.array([0.0, *draw.normal(size=2)])
    return derivative_fits(lambda h: loss(w + h * v), float(g @ v))


@exercise
def check_g1_2(hessian, seed: int = 0):
    """The Hessian of ½‖r(w)‖²."""
    draw = random(seed)
    A, B, shift = (tensor(draw.normal(size=shape)) for shape in ((6, 4), (6, 4), (6,)))

    def residual(w):
        return A @ w + torch.sin(B @ w) + shift

    def loss(w):
        return 0.5 * residual(w).square().sum()

    w = tensor(draw.normal(size=4))
    H = numbers(hessian(residual, w), (4, 4))
    g = torch.func.grad(loss)(w)
    if not near(H, H.T, 1e-8):
        wrong("A Hessian is symmetric, and this matrix is not.")

    def passes(H):
        for v in tensor(draw.normal(size=(3, 4))):
            bend = float(v @ tensor(H) @ v)
            third = slope(
                lambda h, v=v, bend=bend: float(loss(w + h * v) - loss(w) - h * g @ v) - h * h * bend / 2
            )
            if third < 2.7:
                return False
        return True

    if passes(H):
        return "Right. The remainder has slope 3 along three lines."
    if passes(H / 2):
        wrong("This is twice the Hessian: the loss has a factor ½.")
    if passes(-H):
        wrong("The sign is wrong.")
    if (
        np.linalg.eigvalsh(H).min() >= -1e-9
        and np.linalg.matrix_rank(H) == 4
        and passes(H + _bent(residual, w))
    ):
        wrong("This is Gauss-Newton's matrix. The residual bends: its second derivatives meet the residual.")
    wrong("The remainder after the second term has slope 2: this is not the Hessian.")


def _bent(residual, w) -> np.ndarray:
    """What Gauss and Newton leave out."""
    return torch.einsum("i,ijk->jk", residual(w), torch.func.hessian(residual)(w)).numpy()


def _spline(c, u, order: int = 0) -> np.ndarray:
    """Σ c_k b(u − k) with the bump of chapter 2, or its derivative, by SciPy."""
    m, nothing = len(c), np.zeros(3)
    curve = BSpline(np.arange(-5, m + 5), np.concatenate([nothing, c, nothing]), 3)
    values = 6 * (curve.derivative(order) if order else curve)(u)
    return np.where((u > -2) & (u < m + 1), values, 0.0)


@exercise
def check_g1_3(spline_slope, seed: int = 0):
    """The derivative of a spline, where SciPy has it."""
    draw = random(seed)
    c = draw.normal(size=9)
    u = np.concatenate([draw.uniform(-1, 9, 40), [-3.5, 11.5], draw.integers(0, 9, 3).astype(float)])
    found = numbers(spline_slope(tensor(c), tensor(u)), u.shape)
    right = _spline(c, u, 1)
    if near(found, right):
        return "Right. SciPy says the same."
    if near(found, _spline(c, u)):
        wrong("These are the values of the spline, and not its slopes.")
    if near(found, -right):
        wrong("The sign is wrong: b depends on the distance |u − k|, and the distance may fall as u grows.")
    if near(6 * found, right):
        wrong("A factor 6 is missing: the bump of chapter 2 has the height 4.")
    if near(np.abs(found), np.abs(right)):
        wrong("The sizes are right, some signs are not. On which side of its centre is each point?")
    inside = (u > 1) & (u < 7)
    if near(found[inside], right[inside]):
        wrong(
            "It is right inside only. At the border some coefficients do not exist, and beyond all is zero."
        )
    wrong("SciPy has other slopes.")


@exercise
def check_g1_4(spread, seed: int = 0):
    """The transpose of "from coefficients to values"."""
    draw = random(seed)
    m = 9

    def mismatch(u, factor=1.0):
        c, r = draw.normal(size=m), draw.normal(size=len(u))
        back = factor * numbers(spread(tensor(u), tensor(r), m), (m,))
        return abs(_spline(c, u) @ r - c @ back) / (np.linalg.norm(c) * np.linalg.norm(r))

    u = draw.uniform(-1, m, 30)
    if mismatch(u) < 1e-10:
        return "Right. It passes the adjoint test."
    for factor, words in (
        (6, "a factor 6 is missing, as the bump has the height 4"),
        (-1, "the sign is wrong"),
    ):
        if mismatch(u, factor) < 1e-10:
            wrong(f"It fails the adjoint test: {words}.")
    if max(mismatch(np.array([place])) for place in draw.uniform(2, 6, 3)) < 1e-10:
        wrong("It passes the adjoint test with one point only: what many give to a coefficient adds up.")
    wrong("It fails the adjoint test: ⟨A c, r⟩ is not ⟨c, Aᵀr⟩.")


@exercise
def check_g1_5(ahead, seed: int = 0):
    """One step of second order along a path, with two velocities."""
    draw = random(seed)
    A, B, w = draw.normal(size=(3, 3)), draw.normal(size=(3, 3)), draw.normal(size=3)
    s, calls = float(draw.uniform(0, 1)), []

    def velocity(w, s):
        calls.append(s)
        return tensor(A) @ torch.tanh(tensor(B) @ torch.as_tensor(w).double()) + float(np.cos(3 * s))

    def exact(h):
        path = solve_ivp(
            lambda s, w: velocity(tensor(w), s).numpy(), (s, s + h), w, "DOP853", rtol=1e-12, atol=1e-13
        )
        return path.y[:, -1]

    def error(h, sign=1):
        return float(np.linalg.norm(numbers(ahead(velocity, tensor(w), s, sign * h), (3,)) - exact(h)))

    order = slope(error, (0.08, 0.04, 0.02, 0.01))
    calls.clear()
    step = numbers(ahead(velocity, tensor(w), s, 0.1), (3,))
    asked = len(calls)
    if asked > 2:
        wrong(f"It asks for {asked} velocities, and two are enough.")
    if order > 2.6:
        return "Right. The error of one step has slope 3."
    if near(step, w):
        wrong("It does not move.")
    if slope(lambda h: error(h, -1), (0.08, 0.04, 0.02, 0.01)) > 1.7:
        wrong("It goes backwards.")
    if order > 1.6 and asked == 1:
        wrong(
            "This is Euler's step: its error has slope 2. Where is the velocity a better mean of the step's?"
        )
    if order > 1.6:
        wrong("The error has slope 2. At which w, and at which s, is the second velocity taken?")
    wrong("The error of a step has slope 1: this does not follow the path.")
