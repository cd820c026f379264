"""Whether two images that lie on each other tell the map, or it may slide along stripes, or turn a disc.

A small motion u(x) of the template is not seen where it goes along the edges. How much is seen,

    Σ (∇T·u)(∇R·u) / Σ (∇T·∇R) ‖u‖²,

is the mean square of the cosine between u and the gradients, weighted with them: ½ for gradients of
all directions, 0 for stripes that slide along themselves or a disc that turns. The smallest such
number over all u(x) = A x + b that the transformation knows is an eigenvalue, as both sums are
quadratic in (A, b). Each product takes one factor from each image: so noise, which the two have not
in common, cancels, however strong. What is left of it in the first sum has the standard deviation

    √(2 κ Σ(∇T·u)² Σ(∇R·u)² / n),

with n cells, κ the squared correlations of filtered white noise, summed, and 2 for u of unequal size.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from itertools import combinations_with_replacement

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import grid_sample

from regkit.distances import NCC, SSD
from regkit.registration import Registration
from regkit.transforms import Affine

LEAST = 0.02  # of a motion that is seen
SURE = 3  # standard deviations
CELLS = 1 << 13  # of the images to begin with
FEWEST = 8  # cells a side: of five a slope is told
ALONG, ACROSS = 1.98, 2.63  # κ for one axis, of the filters (1, 2, 0, −2, −1) and (1, 4, 6, 4, 1)


def undetermined(levels: Sequence[Registration], w: Tensor) -> str | None:
    """In which way the map may go on moving without a change, in words, or None.

    Levels of the pyramid are asked in turn, from middle-sized images to smaller ones, which have
    less noise, until one knows. Small detail is seen in large images only, so these can still say
    that the map is determined.

    Args:
        levels: the problem on images of several sizes, the smallest first, with an affine map.
        w (p,): where the images lie on each other.
    """
    first = max((k for k, level in enumerate(levels) if level.grid.count <= CELLS), default=0)
    seen: dict[int, list[Slopes]] = {}

    def told(k: int, shifts: bool) -> bool | None:
        """Whether all motions are seen on level k; None if it is not sure."""
        if k not in seen:
            seen[k] = [Slopes(*images) for images in _pairs(levels[k], w)]
        ways = _ways(levels[k], w, shifts)
        answers = [slopes.told(ways) for slopes in seen[k]] or [None]
        return next((each for each in (False, None) if each in answers), True)

    def determined(shifts: bool) -> bool | None:
        known = next((each for k in range(first, -1, -1) if (each := told(k, shifts)) is not None), None)
        if known is False and any(told(k, shifts) for k in range(first + 1, len(levels))):
            return True
        return known

    everything = determined(shifts=False)
    if everything is True:
        return None
    if determined(shifts=True) is False:
        return "along one direction: the images hardly change there, as stripes do"
    if everything is False:
        return "about a point: the images hardly change when they are turned or stretched, as a disc does"
    return None


class Slopes:
    """The gradients of two images on one grid, as far as their sums need them.

    Args:
        moved, fixed (cells): the images.
        counts (cells, bool): which cells count.
        spacing (d numbers): of the cells.
    """

    def __init__(self, moved: np.ndarray, fixed: np.ndarray, counts: np.ndarray, spacing: Sequence[float]):
        d = moved.ndim
        counts = _along(counts, [4] * d, np.logical_and)
        self.count, self.spacing = max(1, int(counts.sum())), np.array(spacing)
        a, b = ([counts * g / h for g, h in zip(_slopes(i), spacing, strict=True)] for i in (moved, fixed))
        entries = list(combinations_with_replacement(range(d), 2))
        pairs = (a, a), (b, b), (a, b)
        sums = np.stack([[(x[k] * y[m] + y[k] * x[m]) / 2 for k, m in entries] for x, y in pairs])
        for axis in range(d):  # times 1, x, x² from the middle
            x = spacing[axis] * (np.arange(sums.shape[2]) - (sums.shape[2] - 1) / 2)
            sums = np.moveaxis(sums, 2, -1) @ np.stack([x**0, x, x * x], 1)
        self.moved, self.fixed, self.both = sums[(slice(None), *_places(d))]

    def least(self, ways: np.ndarray) -> tuple[float, float]:
        """The smallest share of a motion that is seen, and the standard deviation that noise gives it.

        Which it is depends on the unit of ‖u‖ and ∇, where cells are longer than wide: of lengths
        and cells the larger share counts.

        Args:
            ways (d (d + 1), k): the motions, (A, b) row by row as columns, about the middle.
        """
        d, best = len(self.spacing), (-math.inf, 0.0)
        blocks = self.both.reshape(d, d + 1, d, d + 1)
        sign = 1 if blocks[:, d, :, d].trace() >= 0 else -1  # bright may be dark in the other image
        for unit in (np.ones(d), self.spacing):
            total = sum(sign * unit[k] ** 2 * blocks[k, :, k] for k in range(d))
            whole = ways.T @ np.kron(np.diag(unit**-2.0), total) @ ways
            size = whole.diagonal()
            if size.min() <= 0:
                return 0.0, math.inf
            scaled = ways / np.sqrt(size)
            values, vectors = np.linalg.eigh(whole / np.sqrt(np.outer(size, size)))
            if values[0] < 1e-6 * values[-1]:
                return 0.0, math.inf
            scaled = scaled @ (vectors / np.sqrt(values))
            shares, directions = np.linalg.eigh(sign * scaled.T @ self.both @ scaled)
            u = scaled @ directions[:, 0]
            kappa = ALONG * ACROSS ** (d - 1)
            noise = 2 * kappa * max(0, u @ self.moved @ u) * max(0, u @ self.fixed @ u) / self.count
            best = max(best, (float(shares[0]), math.sqrt(noise)))
        return best

    def told(self, ways: np.ndarray) -> bool | None:
        """Are all motions seen? None where noise does not let that be told."""
        share, noise = self.least(ways)
        return share > LEAST if abs(share - LEAST) > SURE * noise else None


def _pairs(level: Registration, w: Tensor) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray, tuple]]:
    """The two images on the cells of the reference; or each with itself where grey values do not compare."""
    shape, box = level.grid.shape, level.grids[1]
    y, sides = level.motion(w), w.new_tensor(box.extent)
    at = (2 * y / sides - 1).flip(1).reshape(1, *shape, len(shape))

    def moved(image: Tensor) -> np.ndarray:
        image = image.to(at)[None, None]
        return grid_sample(image, at, padding_mode="border", align_corners=False)[0, 0].numpy(force=True)

    half = w.new_tensor(box.spacing) / 2
    counts = ((y >= half) & (y <= sides - half)).all(1).reshape(shape).numpy(force=True)
    if level.template_weights is not None:
        counts &= moved(level.template_weights) > 0.99 * float(level.template_weights.max())
    if level.weights is not None:
        counts &= (level.weights > 0.99 * level.weights.max()).numpy(force=True)
    images = moved(level.template), level.reference.to(at).numpy(force=True)
    if min(shape) >= FEWEST:
        alike = isinstance(level.distance, SSD | NCC)
        for pair in [images] if alike else [(image, image) for image in images]:
            yield *pair, counts, level.grid.spacing


def _ways(level: Registration, w: Tensor, shifts: bool) -> np.ndarray:
    """The motions u of points of the reference that a change of w gives: all, or shifts alone."""
    transform, d = level.transform, level.grid.dim
    assert isinstance(transform, Affine)
    if shifts:
        return np.eye(d * (d + 1))[:, d :: d + 1]
    A, lifted = transform.matrix(w)[0], transform.lift(w, 1)
    lifted = torch.eye(d * d + d).to(A) if lifted is None else lifted
    turned, shift = lifted[: d * d].reshape(d, d, -1), lifted[d * d :]
    middle = A.new_tensor(level.grid.extent) / 2 - transform._center(A)
    motion = torch.cat([turned, (torch.einsum("ijp,j->ip", turned, middle) + shift)[:, None]], 1)
    return torch.linalg.solve(A, motion.reshape(d, -1)).reshape(d * (d + 1), -1).numpy(force=True)


def _along(values: np.ndarray, times: Sequence[int], of: Callable) -> np.ndarray:
    """Sums, or what else ``of`` makes, of neighbours along each axis, so many times."""
    for axis, count in enumerate(times):
        for _ in range(count):
            later, earlier = (values[(slice(None),) * axis + (part,)] for part in (slice(1, None), slice(-1)))
            values = of(later, earlier)
    return values


def _slopes(image: np.ndarray) -> Iterator[np.ndarray]:
    """Derivatives of the smoothed image along each axis, up to one factor, less two cells at each side."""
    smooth = _along(image, [3] * image.ndim, np.add)
    for axis in range(image.ndim):
        once = [int(other != axis) for other in range(image.ndim)]
        yield _along(_along(smooth, once, np.add), [1 - n for n in once], np.subtract)


@lru_cache
def _places(d: int) -> tuple[np.ndarray, ...]:
    """Which sum each entry of the matrix of Σ(g·u)² over (A, b) is: of which gₖgₘ, with which powers of x."""
    k, i, m, j = np.indices((d, d + 1, d, d + 1)).reshape(4, d * (d + 1), -1)
    numbers = {pair: n for n, pair in enumerate(combinations_with_replacement(range(d), 2))}
    products = np.vectorize(lambda a, b: numbers[min(a, b), max(a, b)])(k, m)
    return products, *(1 * (i == axis) + (j == axis) for axis in range(d))
