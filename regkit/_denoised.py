"""An image without its noise, as far as that can be told from the image alone.

It is split into bands, what one θ leaves and the next does not. Each cell of a band is multiplied by

    m = max(0, 1 − 5N/E),

where E is the mean square around it, and N what noise alone would have there. The noise is told
from the finest band, which holds little else: its median absolute value is 0.6745 standard
deviations. Cells in which that band is zero, as in a background that was cut off, do not count.

Source:
    Donoho & Johnstone (1994), section 4.2, https://doi.org/10.1093/biomet/81.3.425
"""

from __future__ import annotations

import math
from functools import lru_cache
from itertools import pairwise

import numpy as np
import torch
from scipy.ndimage import uniform_filter
from torch import Tensor

from regkit.registration import Registration
from regkit.spline import _MODES, _along, at_centres, coefficients, smoothing_modes

THETAS = (0.1, 1.0, 10.0)  # between the bands
_STRICT = 5  # noise that is kept costs more than signal that is lost, most of all in space


def denoised(problem: Registration) -> Tensor:
    """The reference without its noise, less what it is beyond its box, of its shape."""
    counts = problem.omega.reshape(problem.grid.shape) != 0
    finer, clean, noise = problem.reference - problem.beyond[1], 0.0, None
    for theta, next in pairwise((0.0, *THETAS)):
        coarser = smoothed(problem.reference - problem.beyond[1], next)
        band, gain = finer - coarser, _gain(theta, next, problem.grid.dim)
        if noise is None:
            size = band.abs() * counts
            seen = size[size > 1e-9 * size.max()]
            noise = (seen.median() / 0.6745) ** 2 / gain if len(seen) else 0.0
        around = uniform_filter((band * band).numpy(force=True), 5, mode="constant")
        around = torch.from_numpy(around).to(band)
        share = _STRICT * noise * gain / torch.where(around > 0, around, math.inf)
        clean = clean + band * (1 - share).clamp(min=0)
        finer = coarser
    return clean + finer


def smoothed(image: Tensor, theta: float) -> Tensor:
    """The spline of an image for one θ, at its cell centres: one product an axis, without coefficients.

    Example:
        >>> smoothed(torch.tensor([0.0, 6.0, 0.0]).double(), 0.0).round()
        tensor([0., 6., 0.], dtype=torch.float64)
    """
    if max(image.shape) > _MODES:
        return at_centres(coefficients(image, theta)).reshape(image.shape)
    for axis, cells in enumerate(image.shape):
        image = _along(torch.from_numpy(_smoother(cells, theta)).to(image), image, axis)
    return image


@lru_cache(maxsize=32)
def _smoother(cells: int, theta: float) -> np.ndarray:
    """What ``smoothed`` multiplies lines with: B (BᵀB + θM)⁻¹Bᵀ = BV diag(1/(1 + θμ)) VᵀBᵀ."""
    mu, _, analysis = (part.numpy() for part in smoothing_modes(cells))
    return analysis.T @ (analysis / (1 + theta * mu[:, None]))


@lru_cache(maxsize=32)
def _gain(theta: float, next: float, dim: int) -> float:
    """The variance of white noise of variance 1 in the band between two θ: its squared weights, summed."""
    first, second = (_smoother(65, each)[32] for each in (theta, next))
    return sum(
        k * float(a @ b) ** dim for k, a, b in ((1, first, first), (-2, first, second), (1, second, second))
    )
