"""Operators against matrices: every expression is what the same expression of matrices is."""

from __future__ import annotations

import pytest
import torch

from regkit.checks import adjoint_test
from regkit.operators import (
    Blocks,
    Diagonal,
    FunctionOperator,
    Hessian,
    Jacobian,
    LowRankUpdate,
    Matrix,
)


@pytest.fixture
def parts(random):
    """Matrices A (4, 3), B (3, 5), d (3,), and A as an operator of two functions."""
    A, B, d = random(4, 3), random(3, 5), random(3)
    return A, B, d, FunctionOperator((4, 3), lambda x: A @ x, lambda y: A.T @ y)


def test_expressions_are_those_of_matrices(parts, random):
    A, B, d, F = parts
    like = random(1)
    cases = {
        "forward": (F, A),
        "transposed": (F.T, A.T),
        "twice transposed": (F.T.T, A),
        "composed": (F @ Matrix(B), A @ B),
        "composed and transposed": ((F @ Matrix(B)).T, (A @ B).T),
        "sum": (F + Matrix(2 * A), 3 * A),
        "scaled": (2.5 * F, 2.5 * A),
        "diagonal": (F @ Diagonal(d), A * d),
        "normal": (F.T @ F + Diagonal(d.abs()), A.T @ A + d.abs().diag()),
    }
    for name, (operator, matrix) in cases.items():
        assert operator.shape == tuple(matrix.shape), name
        assert torch.allclose(operator.dense(like), matrix, atol=1e-14), name
        x = random(matrix.shape[1])
        assert torch.allclose(operator @ x, matrix @ x, atol=1e-14), name
        assert adjoint_test(operator.forward, operator.adjoint, x) < 1e-14, name


def test_diagonals_of_all_kinds(parts, random):
    A, _, d, F = parts
    for operator in (F.T @ F, Matrix(A.T @ A)):
        assert torch.allclose(operator.diagonal(d), (A * A).sum(0), atol=1e-14)
    assert torch.equal(Diagonal(d).diagonal(d), d)
    assert torch.equal(Diagonal(d).dense(d), d.diag())


def test_blocks_and_low_rank_updates_are_the_matrices_they_stand_for(random):
    B, d, U, K = random(3, 2, 4), random(5), random(5, 2), random(2, 2)
    cases = (
        (Blocks(B), torch.block_diag(*B)),
        (Blocks(B[:, :1]), torch.block_diag(*B[:, :1])),
        (LowRankUpdate(d, U, K + K.T), d.diag() + U @ (K + K.T) @ U.T),
    )
    for operator, matrix in cases:
        assert operator.shape == tuple(matrix.shape)
        x, columns = random(matrix.shape[1]), random(matrix.shape[1], 3)
        for right in (x, columns):
            assert torch.allclose(operator @ right, matrix @ right, atol=1e-14)
        assert torch.allclose(operator.dense(x), matrix, atol=1e-14)
        assert torch.allclose(operator.T.dense(x), matrix.T, atol=1e-14)
    assert torch.allclose(operator.diagonal(x), matrix.diagonal(), atol=1e-14)


def test_derivatives_of_a_function_are_those_by_hand(random):
    """f = (x₁x₂, sin x₂, x₃²), and ∇φ of φ = x₁x₂² + x₃⁴."""
    x = random(3)
    J = Jacobian(lambda x: torch.stack([x[0] * x[1], x[1].sin(), x[2] ** 2, x[0]]), x)
    a, b, c = x
    zero = torch.zeros(())
    rows = [[b, a, zero], [zero, b.cos(), zero], [zero, zero, 2 * c], [zero + 1, zero, zero]]
    H = Hessian(lambda x: torch.stack([x[1] ** 2, 2 * x[0] * x[1], 4 * x[2] ** 3]), x)
    second = [[zero, 2 * b, zero], [2 * b, 2 * a, zero], [zero, zero, 12 * c**2]]
    for operator, entries in ((J, rows), (H, second)):
        matrix = torch.tensor(entries, dtype=torch.float64)
        assert operator.shape == tuple(matrix.shape)
        assert torch.allclose(operator.dense(x), matrix, atol=1e-15)
        assert torch.allclose(operator.T.dense(x), matrix.T, atol=1e-15)
        v = random(3)
        assert torch.allclose(operator @ v, matrix @ v, atol=1e-15)
        assert adjoint_test(operator.forward, operator.adjoint, v) < 1e-15


def test_what_does_not_fit_is_refused(parts, random):
    F = parts[-1]
    with pytest.raises(ValueError, match="expected 3 rows"):
        F @ random(4)
    with pytest.raises(ValueError, match="fit together"):
        F @ F
    with pytest.raises(ValueError, match="of one shape"):
        F + F.T
    with pytest.raises(ValueError, match=r"expected a product of shape \(2, 3\), got \(6,\): see columnwise"):
        FunctionOperator((2, 2), lambda x: x.reshape(-1), lambda y: y) @ random(2, 3)
    with pytest.raises(TypeError):
        F + 1.0
    with pytest.raises(TypeError):
        F @ "x"


def test_prints_and_compares(parts):
    F = parts[-1]
    assert repr(F) == "FunctionOperator 4 × 3" and F == F and F != F.T
