"""The checkers of chapter 3 accept right answers and name the errors that people make."""

import math

import pytest
import torch

from regbook.practice import ch03 as practice
from regkit import evaluate
from regkit.optimize import newton_trust


def turn(degrees, x, center):
    angle, c = math.radians(degrees), torch.as_tensor(center, dtype=x.dtype)
    R = torch.tensor([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]], dtype=x.dtype)
    return (x - c) @ R.T + c


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        (lambda d, x, c: turn(math.degrees(d), x, c), "radians"),
        (lambda d, x, c: turn(-d, x, c), "clockwise"),
        (lambda d, x, c: turn(d, x, (0, 0)), "corner"),
        (lambda d, x, c: turn(d, x, c) - torch.tensor(c), "not added again"),
        (lambda d, x, c: turn(d, x, (0, 0)) + torch.tensor(c), "not subtracted"),
        (lambda d, x, c: turn(d, x, (-c[0], -c[1])), "exchanged"),
        (lambda d, x, c: turn(d, x, c).T, "shape"),
        (lambda d, x, c: 1.1 * turn(d, x, c), "lengths"),
    ],
)
def test_3_2_names_the_error(answer, says):
    with pytest.raises(AssertionError, match=says):
        practice.check_3_2(answer)


def test_3_2_accepts_the_solution():
    assert practice.check_3_2(turn).startswith("Right")


def gradient(c, grid, reference, w):
    x = grid.points()
    value, g = evaluate(c, grid, x @ w[:4].reshape(2, 2).T + w[4:], order=1)
    force = grid.cell_volume * (value - reference)[:, None] * g
    return torch.cat([(force.T @ x).flatten(), force.sum(0)])


def gradient_with_y(c, grid, reference, w):
    y = grid.points() @ w[:4].reshape(2, 2).T + w[4:]
    value, g = evaluate(c, grid, y, order=1)
    force = grid.cell_volume * (value - reference)[:, None] * g
    return torch.cat([(force.T @ y).flatten(), force.sum(0)])


def gradient_at_x(c, grid, reference, w):
    x = grid.points()
    value = evaluate(c, grid, x @ w[:4].reshape(2, 2).T + w[4:])
    force = grid.cell_volume * (value - reference)[:, None] * evaluate(c, grid, x, order=1)[1]
    return torch.cat([(force.T @ x).flatten(), force.sum(0)])


def scaled(factor):
    return lambda c, grid, reference, w: factor(grid) * gradient(c, grid, reference, w)


def permuted(order):
    return lambda c, grid, reference, w: gradient(c, grid, reference, w)[order]


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        (scaled(lambda grid: -1), "sign"),
        (scaled(lambda grid: 2), "twice too large"),
        (scaled(lambda grid: 1 / grid.cell_volume), "volume of a cell is missing"),
        (scaled(lambda grid: grid.cell_volume**-0.5), "not its root"),
        (scaled(lambda grid: 1 / grid.cell_volume / grid.count), "mean"),
        (permuted([0, 2, 1, 3, 4, 5]), "row by row"),
        (permuted([4, 5, 0, 1, 2, 3]), "b comes last"),
        (gradient_with_y, "coordinates of x"),
        (gradient_at_x, "needed at y"),
        (lambda *given: gradient(*given)[:4], "shape"),
        (lambda *given: 1.01 * gradient(*given), "central differences"),
    ],
)
def test_3_3_names_the_error(answer, says):
    with pytest.raises(AssertionError, match=says):
        practice.check_3_3(answer)


def test_3_3_accepts_the_solution():
    assert practice.check_3_3(gradient).startswith("Right")


def register(objective, w, sign=-1.0, steps=60, again=1, enough=1e-10):
    r, D, mu = objective.residual(w), objective.jacobian(w), 1e-3
    for _ in range(steps):
        H = D.T @ D
        trial = w + sign * torch.linalg.solve(H + mu * H.diagonal().diag(), D.T @ r)
        s = objective.residual(trial)
        if s @ s >= r @ r:
            mu = 10 * mu
            continue
        gain, w, r, mu = r @ r - s @ s, trial, s, mu / 10
        if gain < enough * (r @ r):
            break
        for _ in range(again):
            D = objective.jacobian(w)
    return w


def uses_the_gradient(objective, w):
    return w - 1e-9 * objective.gradient(w)


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        (lambda objective, w: register(objective, w, sign=1.0, steps=10), "not fallen"),
        (lambda objective, w: register(objective, w, steps=3), "Go on a little"),
        (lambda objective, w: register(objective, w, again=5), "enough"),
        (lambda objective, w: w / 0, "not finite"),
        (uses_the_gradient, "only objective.residual"),
        (lambda objective, w: register(objective, w)[:4], "shape"),
    ],
)
def test_3_4_names_the_error(answer, says):
    with pytest.raises(AssertionError, match=says):
        practice.check_3_4(answer)


def test_3_4_accepts_the_solution():
    assert practice.check_3_4(register).startswith("Right")


def shift_gradient(c, grid, reference, w, value_at=1.0, slope_at=1.0):
    x = grid.points()
    slope = evaluate(c, grid, x + slope_at * w, order=1)[1]
    return grid.cell_volume * (evaluate(c, grid, x + value_at * w) - reference) @ slope


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        (lambda *given: shift_gradient(*given, slope_at=0.0), "still taken at x"),
        (lambda *given: shift_gradient(*given, value_at=0.0), "value is taken at x"),
        (lambda *given: -shift_gradient(*given), "sign"),
        (lambda *given: 2 * shift_gradient(*given), "central differences"),
        (lambda *given: shift_gradient(*given)[:1], "shape"),
    ],
)
def test_3_5_names_the_error(answer, says):
    with pytest.raises(AssertionError, match=says):
        practice.check_3_5(answer)


def test_3_5_accepts_the_solution():
    assert practice.check_3_5(shift_gradient).startswith("Right")


def is_right(objective, w, starts, margin=0.999):
    return all(newton_trust(objective, start).loss > margin * objective.loss(w) for start in starts)


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        (lambda *given: True, "upside down passes"),
        (lambda *given: is_right(*given, margin=1.5), "leave a margin"),
        (lambda objective, w, starts: float(objective.loss(w)) < 1e4, "no evidence"),
        (lambda *given: "yes", "True or False"),
    ],
)
def test_3_6_names_the_error(answer, says):
    with pytest.raises(AssertionError, match=says):
        practice.check_3_6(answer)


def test_3_6_accepts_the_solution():
    assert practice.check_3_6(is_right).startswith("Right")
