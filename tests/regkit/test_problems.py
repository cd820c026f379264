"""Objectives and points: derivatives by hand, what is computed once, and what is refused."""

from __future__ import annotations

import copy
import math
from collections import Counter

import pytest
import torch

from regkit.checks import taylor_test
from regkit.operators import Jacobian
from regkit.problems import Counted, Formula, Functions, Objective, Point, Residual

W = torch.tensor([0.7, -1.3], dtype=torch.float64)


def loss(w):
    return w[0] ** 4 + w[0] * w[1] ** 2


def gradient(w):
    return torch.stack([4 * w[0] ** 3 + w[1] ** 2, 2 * w[0] * w[1]])


def hessian(w):
    return torch.stack([torch.stack([12 * w[0] ** 2, 2 * w[1]]), torch.stack([2 * w[1], 2 * w[0]])])


def residual(w):
    return torch.stack([w[0] ** 2, w[0] * w[1], w.sum().sin()])


@pytest.mark.parametrize("given", [(), (gradient,), (gradient, hessian)], ids=["loss", "gradient", "hessian"])
def test_functions_have_the_derivatives_by_hand_whatever_is_given(given):
    point = Functions(loss, *given).point(W)
    assert isinstance(point, Point) and isinstance(Functions(loss), Objective)
    assert point.w is W and float(point.loss) == float(loss(W))
    assert torch.allclose(point.gradient, gradient(W), rtol=1e-14)
    assert torch.allclose(point.hessian(), hessian(W), rtol=1e-14)
    assert torch.allclose(point.curvature().dense(W), hessian(W), rtol=1e-14)
    with pytest.raises(ValueError, match="expected kind \"exact\", got 'gauss-newton'"):
        point.hessian("gauss-newton")


def test_a_given_gauss_newton_matrix_is_used():
    point = Functions(loss, gauss_newton=lambda w: torch.eye(2).to(w)).point(W)
    assert torch.equal(point.hessian("gauss-newton"), torch.eye(2).double())
    assert torch.equal(point.curvature("gauss-newton").dense(W), torch.eye(2).double())
    assert torch.allclose(point.hessian(), hessian(W))
    with pytest.raises(ValueError, match='expected kind "exact" or "gauss-newton"'):
        point.curvature("bfgs")


def test_a_residual_may_have_a_jacobian_that_is_never_stored():
    """By forward mode, as a matrix, as an operator: one objective."""
    plain = Residual(residual).point(W)
    rows = torch.tensor([[2 * W[0], 0], [W[1], W[0]], [math.cos(W.sum())] * 2]).double()
    assert torch.allclose(plain.jacobian, rows)
    operator = Residual(residual, lambda w: Jacobian(residual, w)).point(W)
    for point in (plain, operator):
        assert torch.allclose(point.gradient, rows.T @ residual(W), rtol=1e-14)
        assert torch.allclose(point.hessian("gauss-newton"), rows.T @ rows, rtol=1e-14)
        assert torch.allclose(point.curvature("gauss-newton").dense(W), rows.T @ rows, rtol=1e-14)
        with pytest.raises(ValueError, match='expected kind "gauss-newton" for a residual'):
            point.curvature("exact")
    test = taylor_test(lambda w: Residual(residual).point(w).loss, W, first=None)
    assert test.passes(), test.slopes


def test_formula_differentiates_in_w_and_in_theta():
    problem = Formula(lambda w, theta: theta * w[0] ** 2 + w[1] * theta.log()).at(2.0)
    assert problem.gradient(W).tolist() == pytest.approx([4 * 0.7, math.log(2)])
    assert problem.hessian(W).tolist() == [[4, 0], [0, 0]]
    assert problem.gradient_theta(W).tolist() == pytest.approx([2 * 0.7, 0.5])
    assert isinstance(problem.point(W), Point)


def test_counted_computes_once_and_passes_on_what_else_there_is():
    made = Counter()

    def watched(w):
        made["residual"] += 1
        return residual(w)

    counts = Counter()
    point = Counted(Residual(watched, lambda w: Jacobian(residual, w)).point(W), counts)
    assert not made and not counts
    first, again = point.hessian("gauss-newton"), point.hessian("gauss-newton")
    assert again is first and point.gradient is point.gradient
    assert isinstance(point.loss, float) and point.loss == point.loss
    assert counts == {"loss": 1, "gradient": 1, "hessian": 1} and made == {"residual": 1}
    assert torch.equal(point.residual, residual(W)), "what only this kind of point knows"
    assert copy.deepcopy(point).loss == point.loss
    with pytest.raises(AttributeError, match="nothing"):
        point.nothing  # noqa: B018
