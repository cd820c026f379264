"""The checkers of chapter 2 accept right answers and name the errors that people make."""

import numpy as np
import pytest
import torch

from regbook.practice import ch02 as practice
from regkit import Grid, coefficients, evaluate


def bspline(xi):
    d = xi.abs()
    return (2 - d).clamp(min=0) ** 3 - 4 * (1 - d).clamp(min=0) ** 3


def inner_wrong(xi):
    d = xi.abs()
    return torch.where(d < 1, 3 * d**3 + 6 * d**2 + 4, (2 - d).clamp(min=0) ** 3)


def outer_wrong(xi):
    d = xi.abs()
    return torch.where(d < 1, bspline(xi), (2 - d).clamp(min=0) ** 2)


def unbounded(xi):
    d = xi.abs()
    return torch.where(d < 1, bspline(xi), (2 - d) ** 3)


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        (lambda xi: bspline(xi) / 6, "normalised"),
        (unbounded, "beyond"),
        (lambda xi: torch.where(xi > 0, bspline(xi), torch.where(xi < -2, 0.0, (2 - xi) ** 3)), "positive"),
        (inner_wrong, "inner piece"),
        (outer_wrong, "outer piece"),
        (lambda xi: bspline(xi).flatten(), "shape"),
    ],
)
def test_2_2_names_the_error(answer, says):
    with pytest.raises(AssertionError, match=says):
        practice.check_2_2(answer)


def test_2_2_accepts_the_solution():
    assert practice.check_2_2(bspline).startswith("Right")


def gain(theta, omega):
    mu = (96 - 108 * np.cos(omega) + 12 * np.cos(3 * omega)) / (4 + 2 * np.cos(omega)) ** 2
    return 1 / (1 + theta * mu)


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        (lambda theta, width: gain(theta, np.pi / width), "half of the right one"),
        (lambda theta, width: gain(theta, 1 / width), "turns per cell"),
        (lambda theta, width: gain(theta, width), "width as the frequency"),
        (lambda theta, width: 1 - gain(theta, 2 * np.pi / width), "lost"),
        (lambda theta, width: gain(theta, 2 * np.pi / width) ** 2, "squared"),
        (lambda theta, width: 0.5, "fraction is"),
    ],
)
def test_2_3_names_the_error(answer, says):
    with pytest.raises(AssertionError, match=says):
        practice.check_2_3(answer)


def test_2_3_accepts_the_solution():
    assert practice.check_2_3(lambda theta, width: gain(theta, 2 * np.pi / width)).startswith("Right")


def gradient(by_cell, grid, x):
    return by_cell(x / h(grid) - 0.5) / h(grid)


def h(grid):
    return torch.tensor(grid.spacing, dtype=torch.float64)


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        (lambda by_cell, grid, x: gradient(by_cell, grid, x) * h(grid), "per cell"),
        (lambda by_cell, grid, x: gradient(by_cell, grid, x) * h(grid) ** 2, "multiplied"),
        (lambda by_cell, grid, x: gradient(by_cell, grid, x) / h(grid), "twice"),
        (lambda by_cell, grid, x: gradient(by_cell, grid, x).flip(1), "swapped"),
        (lambda by_cell, grid, x: -gradient(by_cell, grid, x), "sign"),
        (lambda by_cell, grid, x: by_cell(x / h(grid)) / h(grid), "half a cell off"),
        (lambda by_cell, grid, x: by_cell(x) / h(grid), "millimetres"),
        (lambda by_cell, grid, x: by_cell(x - 0.5) / h(grid), "still in millimetres"),
        (lambda by_cell, grid, x: gradient(by_cell, grid, x).T, "shape"),
        (lambda by_cell, grid, x: torch.zeros_like(x), "finite differences disagree"),
    ],
)
def test_2_4_names_the_error(answer, says):
    with pytest.raises(AssertionError, match=says):
        practice.check_2_4(answer)


def test_2_4_accepts_the_solution():
    assert practice.check_2_4(gradient).startswith("Right")


def refined(offset=0.0):
    def refine(image, grid):
        fine = Grid(grid.extent, tuple(2 * m for m in grid.shape))
        return evaluate(coefficients(image, 0.0), grid, fine.points() + offset * h(fine)).reshape(fine.shape)

    return refine


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        (refined(-0.5), "half a fine cell to the left"),
        (refined(0.5), "twice"),
        (lambda image, grid: refined()(image, grid).T, "transposed"),
        (lambda image, grid: image, "shape"),
        (refined(0.1), "not the spline"),
    ],
)
def test_2_5_names_the_error(answer, says):
    with pytest.raises(AssertionError, match=says):
        practice.check_2_5(answer)


def test_2_5_accepts_the_solution():
    assert practice.check_2_5(refined()).startswith("Right")
