"""Grid: geometry by hand, and what it refuses."""

from __future__ import annotations

import dataclasses
import math
from itertools import product

import pytest
import torch

from regkit.grid import Grid


def test_geometry_by_hand():
    grid = Grid((20, 25), (4, 5))
    assert (grid.dim, grid.count) == (2, 20)
    assert grid.spacing == (5.0, 5.0)
    assert grid.cell_volume == 25.0
    assert Grid((3.0,), (6,)).spacing == (0.5,)
    assert Grid((1, 2, 3), (2, 2, 2)).cell_volume == pytest.approx(0.5 * 1 * 1.5)


def test_points_are_cell_centres_first_index_x_row_major():
    grid = Grid((2, 9), (2, 3))
    expected = [[0.5, 1.5], [0.5, 4.5], [0.5, 7.5], [1.5, 1.5], [1.5, 4.5], [1.5, 7.5]]
    assert grid.points().tolist() == expected
    assert grid.axis(1).tolist() == [1.5, 4.5, 7.5]


@pytest.mark.parametrize("shape", [(5,), (3, 4), (2, 3, 4)])
def test_reshaped_image_matches_points(shape):
    grid = Grid(tuple(2.0 + k for k in range(len(shape))), shape)
    x = grid.points()
    assert x.shape == (math.prod(shape), len(shape))
    image = torch.arange(grid.count).reshape(shape)
    for row, index in enumerate(product(*map(range, shape))):
        assert image[index] == row
        centre = [(i + 0.5) * h for i, h in zip(index, grid.spacing, strict=True)]
        assert x[row].tolist() == pytest.approx(centre)


def test_midpoint_rule_converges_with_order_two():
    """Points and cell volume together: ∫ sin x cos y over the box, error falling as h²."""
    exact = (1 - math.cos(2.0)) * math.sin(3.0)
    errors = []
    for cells in (10, 20, 40):
        grid = Grid((2, 3), (cells, cells))
        x, y = grid.points().T
        errors.append(abs(float((x.sin() * y.cos()).sum()) * grid.cell_volume - exact))
    assert errors[0] / errors[1] == pytest.approx(4, rel=0.02)
    assert errors[1] / errors[2] == pytest.approx(4, rel=0.02)


def test_dtype_and_immutability():
    grid = Grid((2, 3), (4, 5))
    assert grid.points().dtype == torch.float64
    assert grid.points(dtype=torch.float32).dtype == torch.float32
    assert grid == Grid((2.0, 3.0), (4, 5)) and hash(grid) == hash(Grid((2, 3), (4, 5)))
    with pytest.raises(dataclasses.FrozenInstanceError):
        grid.extent = (1, 1)


@pytest.mark.parametrize(
    ("extent", "shape", "message"),
    [
        ((2, 3), (4,), r"as many sides as numbers of cells.*\(2.0, 3.0\) and \(4,\)"),
        ((), (), "1 to 3 of each"),
        ((1, 1, 1, 1), (2, 2, 2, 2), "1 to 3 of each"),
        ((0, 3), (4, 4), r"positive length, got \(0, 3\)"),
        ((-1, 3), (4, 4), "positive length"),
        ((math.nan, 3), (4, 4), "positive length"),
        ((math.inf, 3), (4, 4), "positive length"),
        ((2, 3), (4, 0), r"at least one cell.*\(4, 0\)"),
        ((2, 3), (-4, 4), "at least one cell"),
        ((2, 3), (4, 3.5), r"at least one cell.*\(4, 3.5\)"),
        ((2, 3), (4, math.inf), "at least one cell"),
        (("a", 3), (4, 4), "positive length"),
        ((2j, 3), (4, 4), "positive length"),
        (3.0, 4, "as many sides as numbers of cells, 1 to 3 of each, got 3.0 and 4"),
        (None, None, "got None and None"),
    ],
)
def test_refuses(extent, shape, message):
    with pytest.raises(ValueError, match=message):
        Grid(extent, shape)
