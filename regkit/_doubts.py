"""Whether two images that have been registered have anything in common."""

from __future__ import annotations

import numpy as np
from scipy.ndimage import gaussian_filter
from torch import Tensor

from regkit.distances import NCC, SSD
from regkit.registration import Registration


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


def contrast(problem: Registration, unknown: float = 0.0) -> float:
    """What the distance would be of images that have nothing in common, if it is one that is known."""
    if isinstance(problem.distance, SSD):
        omega, image = problem.omega, problem.reference.reshape(-1)
        return float(omega @ (image - omega @ image / omega.sum()) ** 2)
    return 2.0 if isinstance(problem.distance, NCC) else unknown
