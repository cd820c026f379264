"""Distances for images of two kinds: where one scanner shows bone as bright, the other as dark.

Neither a difference nor a correlation of grey values means anything then. What is left is where the
edges are, and in which direction they run (``NGF``), and how much the grey values of one image tell
about those of the other (``MutualInformation``). Both stay the same when every grey value v of an
image becomes a v + b, a ≠ 0: inverted images are no special case.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import reduce

import torch
from torch import Tensor

from regkit._require import require
from regkit.distances import Distance, ResidualDistance, root
from regkit.grid import Grid


@dataclass(frozen=True)
class NGF(ResidualDistance):
    """Normalised gradient fields: J = Σ ω (1 − ⟨a, b⟩²), small where edges are parallel.

    With the gradients ∇T and ∇R of the moved template and of the reference

        a = ∇T / √(|∇T|² + η_T²),    b = ∇R / √(|∇R|² + η_R²),

    whose length is nearly 1 on edges, and nearly 0 where the gradient is much smaller than the edge
    parameter η: noise is no edge. ⟨a, b⟩² does not know light from dark. Without η it would be the
    squared cosine of the angle between two edges.

    It has a residual. Since ⟨a, b⟩² = |a|²|b|² − |a × b|²,

        r = √(2ω) (a × b, √(1 − |a|²|b|²)),

    the second part of which is smooth, as |a| < 1 and |b| < 1; a × b has one entry a point in the
    plane, three in space and none on a line. Gradients are differences of grey values on the grid
    of the reference, at the corners in which 2ᵈ cells meet. ω is the harmonic mean of the weights
    of these cells: a corner does not count unless all of them do.

    Args:
        eta (grey values per unit of length): η > 0, one number for both images, or one for the
            template and one for the reference. None: for each image the root mean square of its
            gradient as it is now, blurred and moved, so that J depends on no unit.
        grid: of the reference; ``Registration`` puts in its own.

    Raises:
        ValueError: for η ≤ 0.

    Example:
        >>> t = torch.tensor([[0.0, 1.0, 2.0], [0.0, 1.0, 2.0], [0.0, 1.0, 2.0]])
        >>> distance = NGF(eta=0.1).on(Grid((3.0, 3.0), (3, 3)))
        >>> pairs = (t, 7 - 5 * t), (t, t.T), (t, 0 * t)  # inverted; across; nothing to compare with
        >>> [round(float(distance.value(t.flatten(), s.flatten(), torch.ones(9))), 2) for t, s in pairs]
        [0.04, 4.0, 4.0]

    Source:
        Haber & Modersitzki (2006), https://doi.org/10.1007/11866763_89;
        Modersitzki, FAIR (2009), section 7.4
    """

    eta: float | tuple[float, float] | None = None
    grid: Grid | None = None

    def __post_init__(self):
        given = () if self.eta is None else self.eta if isinstance(self.eta, tuple) else (self.eta,)
        usable = all(isinstance(eta, int | float) and math.isfinite(eta) and eta > 0 for eta in given)
        usable = usable and len(given) in ((0,) if self.eta is None else (1, 2))
        require(usable, f"expected eta > 0, two of them or None, got {self.eta!r}")

    def on(self, grid: Grid) -> NGF:
        """The same for images on ``grid``."""
        return replace(self, grid=grid)

    def residual(self, t: Tensor, s: Tensor, weights: Tensor) -> Tensor:
        """√(2ω) (a × b, √(1 − |a|²|b|²)), first all first entries; 2n of them at most in the plane."""
        omega = self._corner_weights(weights)
        etas = self.eta if isinstance(self.eta, tuple) else (self.eta, self.eta)
        (a, rest_a), (b, rest_b) = (self._field(v, omega, eta) for v, eta in zip((t, s), etas, strict=True))
        pairs = [(i, j) for i in range(len(a)) for j in range(i)]
        parts = [a[j] * b[i] - a[i] * b[j] for i, j in pairs]
        parts.append((rest_a + rest_b - rest_a * rest_b).sqrt())  # 1 − |a|²|b|², without cancellation
        return torch.cat([root(2 * omega) * part for part in parts])

    def _field(self, values: Tensor, omega: Tensor, eta: float | None) -> tuple[Tensor, Tensor]:
        """a at all corners (d, corners), and 1 − |a|² = η²/(|∇|² + η²)."""
        slopes = self._slopes(values)
        squared = (slopes**2).sum(0)
        if eta is None:
            mean = (omega @ squared) / omega.sum()
            square = torch.where(mean == 0, 1.0, mean)
        else:
            square = torch.full_like(squared[0], eta**2)
        return slopes / (squared + square).sqrt(), square / (squared + square)

    def _slopes(self, values: Tensor) -> Tensor:
        """∇ of grey values (n,) at all corners, (d, corners)."""
        grid = self._grid(values)
        image = values.reshape(grid.shape)
        return torch.stack(
            [
                _at_corners(image, lambda axis, k=k: _difference if axis == k else _mean).reshape(-1) / h
                for k, h in enumerate(grid.spacing)
            ]
        )

    def _corner_weights(self, weights: Tensor) -> Tensor:
        """ω, (corners,): the harmonic mean of 2ᵈ weights, and zero if one of them is."""
        grid = self._grid(weights)
        zero = weights <= torch.finfo(weights.dtype).eps * weights.mean()
        pair = torch.stack([torch.where(zero, 0.0, 1 / torch.where(zero, 1.0, weights)), zero.to(weights)])
        inverse, none = _at_corners(pair.reshape(2, *grid.shape), lambda axis: _mean, 1).reshape(2, -1)
        return torch.where(none > 0, 0.0, 1 / torch.where(none > 0, 1.0, inverse))

    def _grid(self, values: Tensor) -> Grid:
        require(self.grid is not None, "expected NGF with a grid: NGF().on(grid)")
        assert self.grid is not None
        fits = len(values) == self.grid.count
        require(fits, f"expected {self.grid.count} grey values, one a cell, got {len(values)}")
        return self.grid


def _mean(a: Tensor, b: Tensor) -> Tensor:
    return (a + b) / 2


def _difference(a: Tensor, b: Tensor) -> Tensor:
    return b - a


def _at_corners(
    image: Tensor, join: Callable[[int], Callable[[Tensor, Tensor], Tensor]], first: int = 0
) -> Tensor:
    """An image whose cells are joined with their neighbours along one axis after the other.

    The only cell of an axis is its own neighbour."""

    def along(image: Tensor, axis: int) -> Tensor:
        count = image.shape[axis] - 1
        if count == 0:
            return join(axis - first)(image, image)
        return join(axis - first)(image.narrow(axis, 0, count), image.narrow(axis, 1, count))

    return reduce(along, range(first, image.ndim), image)


@dataclass(frozen=True)
class MutualInformation(Distance):
    """Mutual information: J = −Σ p log(p / q r), small where one image tells much about the other.

    p is the joint histogram of the grey values of both images, q and r are those of one. So that J
    is twice continuously differentiable, a grey value v is shared between four neighbouring bins,
    by cubic B-splines at the place

        x = 1 + (bins − 3)(1 + z)/2,    z = u/√(1 + u²),    u = (v − mean)/deviation,

    which squeezes any range of grey values into the bins, and depends on no unit. J ≤ 0, and 0 for
    images that tell nothing about each other. It has no residual: minimise it with
    ``newton_trust``, not with Gauss-Newton or Levenberg-Marquardt. Where an image is constant, u is
    0/0 and every result is NaN.

    Args:
        bins: how many bins there are for each image, 4 at least. Few are smooth, many need many points.

    Raises:
        ValueError: for less than 4 bins.

    Example:
        >>> t, weights = torch.linspace(0, 1, 100), torch.ones(100)
        >>> values = [MutualInformation().value(t, s, weights) for s in (t, 1 - t**2, (40 * t).sin())]
        >>> values[0] < values[1] < values[2] < 0
        tensor(True)

    Source:
        Viola & Wells (1997), https://doi.org/10.1023/A:1007958904918;
        Thévenaz & Unser (2000), https://doi.org/10.1109/83.887976
    """

    bins: int = 16

    def __post_init__(self):
        whole = isinstance(self.bins, int) and self.bins >= 4
        require(whole, f"expected bins as a whole number of at least 4, got {self.bins!r}")

    def value(self, t: Tensor, s: Tensor, weights: Tensor) -> Tensor:
        """−Σ p log(p / q r), a tensor without dimensions."""
        p = (weights[:, None] * self.shares(t, weights)).T @ self.shares(s, weights) / weights.sum()
        expected = p.sum(1, keepdim=True) * p.sum(0)
        some = p > 0
        ratio = torch.where(some, p, 1.0) / torch.where(some, expected, 1.0)
        return -(p * ratio.log()).sum()

    def shares(self, values: Tensor, weights: Tensor) -> Tensor:
        """How much of each grey value (n,) each bin gets, (n, bins); every row adds up to one."""
        centred = values - (weights @ values) / weights.sum()
        u = centred / ((weights @ centred**2) / weights.sum()).sqrt()
        x = 1 + (self.bins - 3) * (1 + u / (1 + u**2).sqrt()) / 2
        a = (x[:, None] - torch.arange(self.bins, dtype=values.dtype, device=values.device)).abs()
        return torch.where(a < 1, (4 - 6 * a**2 + 3 * a**3) / 6, (2 - a).clamp(min=0) ** 3 / 6)
