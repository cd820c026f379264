"""Whether two images that have been registered have anything in common, and enough to tell the map."""

from __future__ import annotations

import numpy as np
import torch
from scipy.ndimage import binary_erosion, gaussian_filter
from torch import Tensor

from regkit.registration import Registration
from regkit.spline import at_centres, coefficients


def detail(problem: Registration, moved: Tensor, y: Tensor) -> float:
    """How well the two images agree in their details, as a correlation from −1 to 1.

    Bright objects on a dark background agree roughly however little they have in common, once a map
    has laid one on the other. So each is split into bands, what a blur of σ cells leaves and one of
    2σ does not, for σ from ½ to 1/64 of the side, and at least to 2. The best of their correlations
    counts: noise spoils the finest ones.

    Args:
        problem: the two images.
        moved (cells of the reference): the template where the map has laid it.
        y (n, d): the map.
    """
    sides = y.new_tensor(problem.grids[1].extent)
    seen = ((y >= 0) & (y <= sides)).all(1).to(y) * problem.omega
    weights = (seen / seen.max().clamp(min=1e-300)).reshape(problem.grid.shape).numpy(force=True)
    images = [image.numpy(force=True) for image in (moved, problem.reference)]

    def blurred(image: np.ndarray, sigma: float) -> np.ndarray:
        return gaussian_filter(weights * image, sigma) / np.maximum(gaussian_filter(weights, sigma), 1e-3)

    best, sigma = -1.0, 0.5
    finer = [blurred(image, sigma) for image in images]
    while sigma <= max(2, min(problem.grid.shape) / 64):
        coarser = [blurred(image, 2 * sigma) for image in images]
        a, b = (weights * (fine - coarse) for fine, coarse in zip(finer, coarser, strict=True))
        size = np.sqrt((a * a).sum() * (b * b).sum())
        best = max(best, float((a * b).sum() / size) if size > 0 else -1.0)
        finer, sigma = coarser, 2 * sigma
    return best


def least_change(problem: Registration, clean: Tensor) -> float:
    """How much less the reference changes along one direction than along another: from 0 to 1.

    That is the ratio of the smallest to the largest eigenvalue of Σ∇D∇Dᵀ, 0 for stripes, an edge or
    a ramp at any angle. D is the reference without its noise, smoothed by θ = 1: an oblique edge
    that is not smooth has the steps of the cells along it. The border of the box, which is an edge
    for the spline, does not count, nor do that of the mask and what is near. Which images change
    little depends on the unit, where cells are longer than wide. So of lengths and cells the larger
    ratio counts. It is 1 where nothing is left to tell it from.

    Args:
        problem: the two images.
        clean (of the shape of the reference): the reference without its noise.
    """
    shape, c = problem.grid.shape, coefficients(clean, 1.0)
    counts = binary_erosion((problem.omega != 0).reshape(shape).numpy(force=True), iterations=3)
    inner = np.zeros(shape, bool)
    inner[tuple(slice(max(3, n // 8), -max(3, n // 8)) for n in shape)] = True
    slope = torch.stack([at_centres(c, k).reshape(-1) for k in range(len(shape))]).numpy(force=True)
    slope, ratio = slope[:, (counts & inner).reshape(-1)].astype(float), 0.0
    for unit in (np.ones(len(shape)), np.array(problem.grid.spacing)):
        scaled = slope / unit[:, None]
        values = np.linalg.eigvalsh(scaled @ scaled.T)
        ratio = max(ratio, float(values[0] / values[-1]) if values[-1] > 0 else 1.0)
    return ratio
