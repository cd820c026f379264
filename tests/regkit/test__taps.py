"""Points in portions, and the sum over the coefficients around one, against SciPy's B-splines."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
import torch
from scipy.interpolate import NdBSpline

from regkit import _taps
from regkit.grid import Grid
from regkit.spline import evaluate

GRIDS = [Grid((3.5,), (7,)), Grid((2.0, 9.0), (6, 5)), Grid((1.0, 2.0, 4.0), (4, 5, 3))]
by_dimension = pytest.mark.parametrize("grid", GRIDS, ids=["1-D", "2-D", "3-D"])


def scattered(grid, n):
    """n points spread over the box and three cells around it."""
    cells, h = torch.tensor([grid.shape, grid.spacing], dtype=torch.float64)
    at = torch.rand(n, grid.dim, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    return (at * (cells + 6) - 3) * h


@by_dimension
def test_derivatives_are_those_of_scipy(grid, random):
    """The keys say how often along which axis, and there is one for every order in total."""
    d, padded = grid.dim, torch.nn.functional.pad(random(*grid.shape), (4, 4) * grid.dim)
    u = scattered(grid, 40).T / torch.tensor(grid.spacing, dtype=torch.float64)[:, None] - 0.5
    got = _taps.derivatives(padded, _taps.neighbours(padded, grid.shape), u, 2)
    assert set(got) == {q for q in product(range(3), repeat=d) if sum(q) <= 2}
    knots = tuple(np.arange(cells + 4.0) - 2 - 4 for cells in padded.shape)
    spline = NdBSpline(knots, padded.numpy() * 6.0**d, 3)
    for q, values in got.items():
        torch.testing.assert_close(values.numpy(), spline(u.T.numpy(), nu=q), atol=1e-11, rtol=0)


@by_dimension
@pytest.mark.parametrize("order", [0, 1, 2])
def test_many_points_in_pieces_are_the_same_as_in_one(grid, order, random, monkeypatch):
    c = random(*grid.shape)
    x = scattered(grid, 23)
    together = evaluate(c, grid, x, order)
    monkeypatch.setattr(_taps, "POINTS_AT_ONCE", 5 << grid.dim)
    parts = evaluate(c, grid, x, order)
    singly = [evaluate(c, grid, p[None], order) for p in x]
    if order == 0:
        together, parts, singly = (together,), (parts,), [(one,) for one in singly]
    for whole, part, one in zip(together, parts, zip(*singly, strict=True), strict=True):
        assert torch.allclose(part, whole, atol=1e-13)
        assert torch.allclose(torch.cat(one), whole, atol=1e-13)


@by_dimension
def test_the_real_size_of_a_piece(grid, random):
    c = random(*grid.shape)
    n = (_taps.POINTS_AT_ONCE >> grid.dim) + 1
    x = scattered(grid, n)
    edge = slice(n - 3, n)
    assert torch.allclose(evaluate(c, grid, x)[edge], evaluate(c, grid, x[edge]), atol=1e-13)
