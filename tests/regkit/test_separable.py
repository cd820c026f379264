"""Products along the axes, against Kronecker products written out."""

from __future__ import annotations

from functools import reduce

import numpy as np
import pytest
import scipy.linalg
import torch

from regkit.checks import adjoint_test
from regkit.separable import Band, Separable, factor, generalised_modes, product, transposed


def test_a_product_is_the_kronecker_product_with_the_numbers_in_a_row(random):
    shapes = (4, 3), (2, 5), (6, 3)
    matrices = [random(*shape) for shape in shapes]
    x = random(3, 5, 3)
    full = reduce(torch.kron, matrices)
    assert torch.allclose(product(matrices, x).reshape(-1), full @ x.reshape(-1), atol=1e-12)
    y = random(4, 2, 6)
    assert torch.allclose(product(transposed(matrices), y).reshape(-1), full.T @ y.reshape(-1), atol=1e-12)
    partly = product([None, matrices[1], None], random(7, 3, 5, 3))
    assert partly.shape == (7, 3, 2, 3)


@pytest.mark.parametrize("same", [False, True])
@pytest.mark.parametrize("axis", [0, 1, 2])
def test_a_band_is_its_matrix(axis, same, random):
    """Of any entries, and of those that are the same but for the ends, as differences have them."""
    size, matrix = 100, torch.zeros(100, 100, dtype=torch.float64)
    for o in (-2, 0, 1):
        entries = random(size - abs(o))
        if same:
            entries[2:-1] = entries[50]
        matrix += torch.diag(entries, o)
    band = factor(matrix)
    assert isinstance(band, Band) and len(band.diagonals) == 3
    shape = [2, 3, 4]
    shape[axis] = size
    x = random(*shape)
    expected = torch.tensordot(matrix, x, dims=([1], [axis])).movedim(0, axis)
    assert torch.allclose(band.along(x, axis), expected, atol=1e-13)
    assert torch.allclose(band.T.along(x, axis), factor(matrix.T).along(x, axis), atol=1e-13)
    assert band.to(torch.empty(0)).along(x.float(), axis).dtype == torch.float32
    tangent = lambda v: torch.func.jvp(lambda z: band.along(z, 0), (v,), (v,))[1]  # noqa: E731
    both = torch.func.vmap(torch.func.vmap(tangent))
    assert torch.allclose(both(x.movedim(axis, -1)).movedim(-1, axis), expected, atol=1e-13)


def test_small_or_full_matrices_stay_as_they_are(random):
    for matrix in (torch.eye(8), random(100, 100), random(100, 90)):
        assert factor(matrix) is matrix


def test_blocks_of_sums_against_the_matrix_in_full(random):
    """Two components with terms between them, the same for both, and one that has none."""
    F, G = random(4, 3), random(5, 2)
    terms = [(None, None, 2.0, (F, G)), (0, 1, -0.5, (F, G)), (1, 1, 3.0, (F, G))]
    A = Separable(2, ((3, 2), (4, 5)), terms)
    blocks = torch.tensor([[2.0, -0.5], [0.0, 5.0]], dtype=torch.float64)
    expected = torch.kron(blocks, torch.kron(F, G))
    assert A.shape == expected.shape == (40, 12)
    assert torch.allclose(A.dense(F), expected, atol=1e-13)
    assert torch.allclose(A.T.dense(F), expected.T, atol=1e-13)
    assert adjoint_test(A.forward, A.adjoint, random(12)) < 1e-12
    assert not (Separable(2, ((3, 2), (4, 5)), terms[1:2]) @ random(12))[20:].any()


def test_modes_are_those_of_scipy(random, spd):
    half = random(8, 6)
    A, G = half @ half.T, spd(8, 50.0)
    values, V = generalised_modes(A, G)
    assert np.allclose(values, scipy.linalg.eigh(A.numpy(), G.numpy(), eigvals_only=True), atol=1e-10)
    assert torch.allclose(V.T @ G @ V, torch.eye(8, dtype=torch.float64), atol=1e-10)
    assert torch.allclose(V.T @ A @ V, values.diag(), atol=1e-10)
    assert values.min() >= 0
    with pytest.raises(ValueError, match="expected a positive definite matrix G"):
        generalised_modes(A, -G)
