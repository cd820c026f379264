"""Similarity: its derivatives, and what it has in common with Rigid and Affine."""

from functools import partial

import pytest
import torch

from regkit import Affine, Grid, Rigid, Similarity


@pytest.mark.parametrize("dim", [2, 3])
def test_derivatives_are_those_of_torch(dim: int, random):
    transform = Similarity(dim, (0.5,) * dim)
    w = 0.3 * random(transform.parameters)
    for order in (1, 2):
        expected = torch.func.jacfwd(partial(transform.lift, order=order - 1))(w)
        torch.testing.assert_close(transform.lift(w, order), expected, atol=1e-12, rtol=0)


@pytest.mark.parametrize("dim", [2, 3])
def test_angles_are_kept_and_lengths_scale(dim: int, random):
    transform, x = Similarity(dim, (1.0,) * dim), random(5, dim)
    w = torch.cat([0.4 * random(transform.turns), torch.tensor([0.3]).double(), random(dim)])
    torch.testing.assert_close(
        torch.cdist(transform(w, x), transform(w, x)), w[transform.turns].exp() * torch.cdist(x, x)
    )
    rigid = torch.cat([w[: transform.turns], w[transform.turns + 1 :]])
    w[transform.turns] = 0
    torch.testing.assert_close(transform(w, x), Rigid(dim, (1.0,) * dim)(rigid, x))


@pytest.mark.parametrize("dim", [2, 3])
def test_matrix_and_back(dim: int, random):
    transform = Similarity(dim, (2.0,) * dim)
    w = 0.4 * random(transform.parameters)
    torch.testing.assert_close(transform.from_matrix(*transform.matrix(w)), w)
    torch.testing.assert_close(
        transform.compose(w, transform.inverse(w)), transform.identity(), atol=1e-12, rtol=0
    )


@pytest.mark.parametrize("A", [torch.diag(torch.tensor([1.0, 2.0])), torch.diag(torch.tensor([1.0, -1.0]))])
def test_other_matrices_are_refused(A):
    with pytest.raises(ValueError, match="expected a rotation"):
        Similarity().from_matrix(A.double(), torch.zeros(2).double())


def test_a_motion_has_the_hessian_of_an_affine_one(random):
    """The chain rule through (A, b), against torch.func."""
    grid, transform = Grid((2.0, 2.0), (3, 3)), Similarity(2, (1.0, 1.0))
    motion, w, g = transform.on(grid), 0.2 * random(4), random(9, 2)
    expected = torch.func.hessian(lambda v: (g * motion(v)).sum())(w)
    torch.testing.assert_close(motion.second(w, g).matrix, expected)
    assert isinstance(transform, Affine)
