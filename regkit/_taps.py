"""A spline at a point: a sum over the 4^d coefficients around it.

Points are taken in portions, so that what is fetched for them stays in the processor's cache.
"""

from __future__ import annotations

from functools import lru_cache, reduce
from itertools import product
from operator import add, mul

import numpy as np
import torch
from torch import Tensor

# In one pass, times 2^d. The tables of a pass should fit into the processor's cache, and be small enough
# that the allocator keeps their memory: fetching pages anew from the operating system costs more than the
# arithmetic.
POINTS_AT_ONCE = 24576

# b(t + 1), b(t), b(t − 1), b(t − 2) for t in [0, 1), one row each, as coefficients of t³, t², t, 1; and the
# first and second derivatives of these.
_PIECES = [
    torch.tensor([[-1, 3, -3, 1], [3, -6, 0, 4], [-3, 3, 3, 1], [1, 0, 0, 0]], dtype=torch.float64),
    torch.tensor([[-3, 6, -3], [9, -12, 0], [-9, 6, 3], [3, 0, 0]], dtype=torch.float64),
    torch.tensor([[-6, 6], [18, -12], [-18, 6], [6, 0]], dtype=torch.float64),
]


def _weights(t: Tensor, order: int) -> Tensor:
    """The derivative of this order of the four pieces of b at t (d, n), by Horner's rule: shape (4, d, n)."""
    value, *coefficients = _PIECES[order].to(t)[:, :, None, None].unbind(1)
    for coefficient in coefficients:
        value = torch.addcmul(coefficient, value, t)
    return value


def neighbours(padded: Tensor, cells: tuple[int, ...]) -> tuple[Tensor, ...]:
    """What all points share: steps in memory to the 4^d neighbours, (4^d, 1); first and last cell, (d, 1).

    Args:
        padded (m₁ + 8, …, m_d + 8): the coefficients, with four zeros at each end of every axis.
        cells: m.
    """
    integer = np.int32 if padded.numel() < 2**31 else np.int64  # the shorter, the faster
    real = np.float32 if padded.dtype == torch.float32 else np.float64
    return tuple(
        torch.from_numpy(part).to(padded.device) for part in _table(padded.stride(), cells, integer, real)
    )


@lru_cache(maxsize=64)
def _table(stride: tuple[int, ...], cells: tuple[int, ...], integer: type, real: type):
    """``neighbours`` in memory, for small images: there they cost as much as the points. As arrays."""
    steps = [[sum(map(mul, stride, tap))] for tap in product(range(4), repeat=len(cells))]
    last = np.array(cells, dtype=real)[:, None] + 1
    return np.array(steps, dtype=integer), np.full_like(last, -3.0), last


def derivatives(padded: Tensor, around: tuple[Tensor, ...], u: Tensor, order: int) -> dict:
    """All partial derivatives ∂ᵠT of total order ≤ ``order`` at u (d, n), keyed by the multi-index q.

    The 4^d coefficients around every point are fetched; each axis then contracts four of them with
    its weights. Points outside are sent to cells whose neighbours are all zero, so no branch is
    needed (good for vmap). In space the four along the last axis are fetched and contracted one
    after the other: 64 numbers for each point would not stay in the cache.

    Args:
        padded: the coefficients, as for ``neighbours``.
        around: their ``neighbours``.
        u (d, n): y/h − ½, points in cells.
        order: the highest.
    """
    (dim, n), (steps, first, last) = u.shape, around
    cell, flat = u.floor(), padded.reshape(-1)
    weights = [_weights(u - cell, q) for q in range(order + 1)]
    first_tap = (cell.nan_to_num(0.0).clamp(first, last) - first).to(steps.dtype)
    corner = reduce(add, map(mul, padded.stride(), first_tap))
    if dim < 3:
        partial = {(): flat.index_select(0, (steps + corner).reshape(-1)).reshape(*[4] * dim, n)}
    else:
        at, partial = (steps[::4] + corner).reshape(-1), {}
        for k in range(4):
            taps = flat[k:].index_select(0, at).reshape(4, 4, n)
            for q in range(order + 1):
                weight = weights[q][k, 2]
                partial[q,] = taps * weight if k == 0 else torch.addcmul(partial[q,], taps, weight)
    for axis in reversed(range(min(dim, 2))):
        partial = {
            (q, *rest): (values * weights[q][:, axis]).sum(-2)
            for rest, values in partial.items()
            for q in range(order + 1 - sum(rest))
        }
    return partial
