"""Experiments of chapter 2: what a smoothing spline leaves of waves, and what an optimiser sees of it."""

from __future__ import annotations

import numpy as np
import torch

from regkit import Grid, evaluate

FREQUENCIES = np.linspace(1e-3, np.pi, 400)


def mu_of(omega):
    """μ of a wave with ω radians per cell, far from the border: ω⁴ + O(ω⁶)."""
    return (96 - 108 * np.cos(omega) + 12 * np.cos(3 * omega)) / (4 + 2 * np.cos(omega)) ** 2


def half_width(theta: float) -> float:
    """Wavelength in cells at which the gain 1/(1 + θμ) is one half; 2 cells is the shortest there is."""
    kept = FREQUENCIES[theta * mu_of(FREQUENCIES) <= 1]
    return 2 * np.pi / kept.max() if len(kept) else np.inf


def decay(theta: float) -> float:
    """How much of the influence of one datum is left a cell further away, far from it and from the border.

    There (B² + θM)c = 0, whose solutions are powers zʲ: the largest |z| < 1 is what counts. For θ = 0 that is
    2 − √3; for most other θ z is complex, and the influence a damped wave.
    """
    roots = np.roots([6 * theta, 1, 8 - 54 * theta, 18 + 96 * theta, 8 - 54 * theta, 1, 6 * theta])
    sizes = np.abs(roots)
    return float(sizes[sizes < 1].max())


def spectrum(image: torch.Tensor, bins: int = 64) -> torch.Tensor:
    """Amplitudes of the waves in an image, zero in the middle, averaged over ``bins`` × ``bins`` squares."""
    m, n = image.shape
    amplitudes = torch.fft.fftshift(torch.fft.fft2(image).abs())
    return amplitudes.reshape(bins, m // bins, bins, n // bins).mean((1, 3))


def grating(width: float, shape: tuple[int, int] = (96, 32)) -> tuple[torch.Tensor, Grid]:
    """Stripes from 0 to 1, one every ``width`` cells, and their grid of cells of length 1."""
    cells = torch.arange(float(shape[0]), dtype=torch.float64)[:, None].expand(shape)
    return 0.5 + 0.5 * torch.cos(2 * torch.pi * cells / width), Grid(tuple(map(float, shape)), shape)


def contrast(stripes: torch.Tensor) -> float:
    """Largest minus smallest value on the middle line, in its middle third."""
    m, n = stripes.shape
    middle = stripes[m // 3 : 2 * m // 3, n // 2]
    return float(middle.max() - middle.min())


def along(c, grid: Grid, x: torch.Tensor, y: float, interpolation: str):
    """Value, ∂/∂x and ∂²/∂x² at (x, y): of the spline, or of straight lines between its values at centres.

    Args:
        c (m, n): coefficients of the spline.
        grid: where its cells lie.
        x (k,): places on the line.
        y: height of the line.
        interpolation: "cubic spline" or "linear".

    Returns:
        tuple: three tensors (k,).
    """
    if interpolation == "cubic spline":
        value, gradient, hessian = evaluate(c, grid, torch.stack([x, torch.full_like(x, y)], dim=1), order=2)
        return value, gradient[:, 0], hessian[:, 0, 0]
    centers = grid.axis(0)
    samples = evaluate(c, grid, torch.stack([centers, torch.full_like(centers, y)], dim=1))
    cell = (x / grid.spacing[0] - 0.5).floor().long().clamp(0, len(centers) - 2)
    slope = (samples.diff() / grid.spacing[0])[cell]
    return torch.from_numpy(np.interp(x, centers, samples)), slope, torch.zeros_like(x)
