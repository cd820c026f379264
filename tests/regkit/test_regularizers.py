"""Regularisers by hand, with a matrix and with an operator, and against torch.func."""

from __future__ import annotations

import pytest
import torch

from regkit.operators import Diagonal, FunctionOperator
from regkit.regularizers import Quadratic, Refined, Regulariser

M = torch.tensor([[2.0, 1.0], [1.0, 4.0]], dtype=torch.float64)
W0 = torch.tensor([1.0, 0.0], dtype=torch.float64)
W = torch.tensor([3.0, 1.0], dtype=torch.float64)


def test_by_hand():
    pull = Quadratic(0.5, M, W0)
    assert float(pull.value(W)) == 0.25 * (2 * 4 + 2 * 2 + 4)
    assert pull.gradient(W).tolist() == [0.5 * 5, 0.5 * 6]
    assert pull.hessian().dense(W).tolist() == [[1, 0.5], [0.5, 2]]
    assert float(Quadratic(3.0, Diagonal(torch.ones(2).double()), W0).value(W)) == 1.5 * (4 + 1)


def test_an_operator_does_what_its_matrix_does(random):
    A, w, w0 = random(4, 4), random(4), random(4)
    dense = Quadratic(0.7, A.T @ A, w0)
    free = Quadratic(0.7, FunctionOperator((4, 4), lambda x: A.T @ (A @ x), lambda y: A.T @ (A @ y)), w0)
    assert torch.allclose(free.value(w), dense.value(w))
    assert torch.allclose(free.gradient(w), dense.gradient(w))
    assert torch.allclose(free.hessian().dense(w), 0.7 * A.T @ A)
    assert torch.allclose(dense.hessian(w).dense(w), 0.7 * A.T @ A)
    assert torch.allclose(torch.func.grad(free.value)(w), free.gradient(w))
    assert torch.allclose(torch.func.hessian(free.value)(w), free.hessian().dense(w))


def test_a_value_is_enough(random):
    """Everything by torch.func, against the closed forms; and the same seen through another parameter."""
    A, w, w0, R = random(4, 4), random(4), random(4), random(4, 2)
    quadratic = Quadratic(0.7, A.T @ A, w0)

    class Plain(Regulariser):
        value = staticmethod(quadratic.value)

    assert torch.allclose(Plain().gradient(w), quadratic.gradient(w))
    assert torch.allclose(Plain().hessian(w).dense(w), quadratic.hessian().dense(w))
    refined, v = Refined(quadratic, lambda v: R @ v), random(2)
    assert float(refined.value(v)) == float(quadratic.value(R @ v))
    assert torch.allclose(refined.gradient(v), R.T @ quadratic.gradient(R @ v))
    assert torch.allclose(refined.hessian(v).dense(v), R.T @ quadratic.hessian().dense(w) @ R)


def test_bad_input_says_what_is_wrong():
    with pytest.raises(ValueError, match=r"expected M of shape \(3, 3\), as w0 has 3 entries, got \(2, 2\)"):
        Quadratic(1.0, M, torch.zeros(3))
    with pytest.raises(ValueError, match="expected a strength ≥ 0, got -1"):
        Quadratic(-1, M, W0)
    assert repr(Quadratic(0.5, M, W0)) == "Quadratic(0.5, p = 2)"
