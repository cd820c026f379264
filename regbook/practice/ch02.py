"""Checkers for the exercises of chapter 2. Each says what is wrong for the errors that are easily made."""

import numpy as np
import torch
from scipy.interpolate import BSpline

from regkit import Grid, coefficients, data, evaluate

from .report import close, exercise, wrong

_bump = BSpline.basis_element(np.arange(-2.0, 3.0), extrapolate=False)


@exercise
def check_2_2(bspline):
    """``bspline(xi)``: the cubic B-spline with b(0) = 4, for a tensor of any shape."""
    xi = torch.linspace(-2.9, 2.9, 30, dtype=torch.float64).reshape(5, 6)
    right = 6 * torch.from_numpy(np.nan_to_num(_bump(xi.numpy())))
    given = bspline(xi)
    if not isinstance(given, torch.Tensor) or given.shape != xi.shape:
        wrong(
            f"expected a tensor of the shape of xi, {tuple(xi.shape)}, "
            f"got {tuple(getattr(given, 'shape', ()))}."
        )
    if close(given, right):
        return "Right: this is the cubic B-spline, six times SciPy's."
    if close(6 * given, right):
        wrong("your bump is the normalised one, with b(0) = 2/3. Here b(0) = 4: multiply by 6.")
    outside = xi.abs() > 2
    if not close(given[outside], right[outside]):
        wrong(
            "beyond |ξ| = 2 the bump is zero. A cubic does not stop by itself: clamp it, or use torch.where."
        )
    if close(given[xi > 0], right[xi > 0]):
        wrong("right for positive ξ only. The bump is even: take |ξ| first.")
    inner = xi.abs() < 1
    if not close(given[inner], right[inner]):
        wrong("the inner piece, |ξ| ≤ 1, is off. It is 3|ξ|³ − 6ξ² + 4; at 1 it has the value 1.")
    wrong("the outer piece, 1 ≤ |ξ| ≤ 2, is off. It is (2 − |ξ|)³.")


def _mu(omega):
    """μ of a wave by brute force: both stencils on cos(ωj), on a long line, divided at its centre."""
    j = np.arange(-8, 9)
    wave = np.cos(omega * j)
    bending = np.convolve(wave, [6, 0, -54, 96, -54, 0, 6], mode="same")
    values = np.convolve(np.convolve(wave, [1, 4, 1], mode="same"), [1, 4, 1], mode="same")
    return bending[8] / values[8]


@exercise
def check_2_3(contrast_kept):
    """``contrast_kept(theta, width)``: the gain 1/(1 + θμ(2π/width))."""
    cases = [(0.5, 3.0), (10.0, 12.0), (300.0, 25.0)]
    given = np.array([contrast_kept(theta, width) for theta, width in cases])

    def gains(frequency, gain=lambda theta, mu: 1 / (1 + theta * mu)):
        return np.array([gain(theta, _mu(frequency(width))) for theta, width in cases])

    right = gains(lambda width: 2 * np.pi / width)
    if close(given, gains(lambda width: np.pi / width)):
        wrong("your frequency is half of the right one. A wave turns by 2π in `width` cells.")
    if close(given, gains(lambda width: 1 / width)):
        wrong("your frequency is in turns per cell. ω is in radians per cell: multiply by 2π.")
    if close(given, gains(lambda width: width)):
        wrong("you used the width as the frequency. ω = 2π / width.")
    if close(given, 1 - right):
        wrong("this is the contrast that is lost. Kept is the rest.")
    if close(given, gains(lambda width: 2 * np.pi / width, lambda theta, mu: 1 / (1 + theta * mu) ** 2)):
        wrong("squared. The wave runs along one axis; only that axis damps it, once.")
    if not close(given, right, 1e-3):
        wrong(
            f"for θ = {cases[1][0]:g} and 12 cells the fraction is {right[1]:.4f}, you have {given[1]:.4f}."
        )
    return "Right: the gain of a wave is 1/(1 + θμ)."


@exercise
def check_2_4(physical_gradient):
    """``physical_gradient(by_cell, grid, x)``: shape (n, 2), per unit of length."""
    image, _ = data.mri(32)
    grid, cells = Grid((64.0, 16.0), image.shape), Grid((32.0, 32.0), image.shape)
    c, h = coefficients(image, 0.1), torch.tensor(grid.spacing, dtype=torch.float64)
    x = torch.rand(40, 2, generator=torch.Generator().manual_seed(2)).double()
    x = x * torch.tensor(grid.extent, dtype=torch.float64)

    def by_cell(u):
        return evaluate(c, cells, u + 0.5, order=1)[1]

    given = physical_gradient(by_cell, grid, x)
    if getattr(given, "shape", None) != x.shape:
        wrong(
            f"expected the shape {tuple(x.shape)}, one row a point, got {tuple(getattr(given, 'shape', ()))}."
        )
    step = 1e-5
    axes = step * torch.eye(2, dtype=torch.float64)
    right = torch.stack(
        [(evaluate(c, grid, x + e) - evaluate(c, grid, x - e)) / (2 * step) for e in axes], dim=1
    )
    for name, other in {
        "this is the derivative per cell. Divide by the spacing h to have it per millimetre.": right * h,
        "multiplied by the spacing. The longer a cell, the smaller the slope per millimetre: divide by h.": (
            right * h * h
        ),
        "x and y swapped: column 0 belongs to the first coordinate.": right.flip(1),
        "this has the wrong sign.": -right,
        "divided by the spacing twice: a first derivative has it once.": right / h,
        "half a cell off: the centre of the first cell is at x = h/2, and there u = 0.": by_cell(x / h) / h,
        "`by_cell` takes places in cells, u = x/h − ½: you gave it millimetres.": by_cell(x) / h,
        "`by_cell` takes places in cells: x − ½ is still in millimetres.": by_cell(x - 0.5) / h,
    }.items():
        if close(given, other, 1e-6):
            wrong(name)
    if not close(given, right, 1e-6):
        wrong("finite differences disagree. Ask `by_cell` at u = x/h − ½, and divide what it says by h.")
    return "Right: it agrees with central differences."


@exercise
def check_2_5(refine):
    """``refine(image, grid)``: the image on a grid twice as fine, with the same box."""
    image, grid = data.mri(64)
    given = refine(image, grid)
    fine = Grid(grid.extent, (128, 128))
    if getattr(given, "shape", None) != fine.shape:
        wrong(f"expected shape {fine.shape}, got {tuple(getattr(given, 'shape', ()))}.")
    c, h = coefficients(image, 0.0), torch.tensor(fine.spacing, dtype=torch.float64)

    def sampled(offset):
        return evaluate(c, grid, fine.points() + offset * h).reshape(fine.shape)

    for offset, name in (
        (-0.5, "half a fine cell to the left and down: a cell's centre is at (i + ½)h, not at ih"),
        (0.5, "half a fine cell too far: was the ½ added twice?"),
        (-1.5, "a cell and a half too far to the left and down"),
    ):
        if close(given, sampled(offset)):
            wrong(f"the points lie {name}.")
    if close(given, sampled(0.0).T):
        wrong("transposed: the first index is x.")
    if not close(given, sampled(0.0)):
        wrong("not the spline at the centres of the fine cells.")
    return "Right: the fine centres are at (i + ½)h of the fine grid."
