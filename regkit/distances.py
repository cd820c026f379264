"""Distances between two images: one number J, and what its derivatives need.

t (n,) are the values of the moved template at the points of the grid, s (n,) those of the
reference, ω (n,) the weights of the points: the cell volume, times a mask or another weight ≥ 0. A
distance gives

    value       J                             first       ∂J/∂t, (n,)
    curvature   ∂²J/∂t², operator n ← n       mixed       ∂²J/∂t∂s, applied to a vector (n,)

A new ``Distance`` needs only ``value``: the rest is by torch.func. If J = ½‖r‖² it is a
``ResidualDistance``, which needs only r. Then it has a Jacobian too, and a Gauss-Newton curvature,
which is positive semidefinite:

    residual    r, (n,)                       jacobian    ∂r/∂t, applied to columns (n, p)
    curvature("gauss-newton")                             ∂rᵀ/∂t ∂r/∂t

``SSD`` and ``NCC`` have all this in closed form. Those for images of two kinds, ``NGF`` and
``MutualInformation``, are in the module ``multimodal``.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from regkit._require import require
from regkit.grid import Grid
from regkit.operators import Diagonal, Hessian, Jacobian, LowRankUpdate, Operator
from regkit.problems import Kind


def root(weights: Tensor) -> Tensor:
    """√ω, with the derivative 0 where ω = 0: weights may depend on w, and smoothly fall to zero.

    Args:
        weights (n,): ω ≥ 0.

    Example:
        >>> torch.func.vmap(torch.func.grad(root))(torch.tensor([0.0, 4.0]))
        tensor([0.0000, 0.2500])
    """
    zero = weights == 0
    return torch.where(zero, 1, weights).sqrt() * ~zero


class Distance:
    """Any measure J of how much two images differ: a subclass gives ``value``.

    It has no Gauss-Newton part unless it replaces ``curvature`` and says what that is to be.

    Example:
        >>> class Huber(Distance):
        ...     def value(self, t, s, weights):
        ...         return weights @ ((1 + (t - s) ** 2).sqrt() - 1)
        >>> t, s, weights = torch.tensor([0.0, 1.0]), torch.zeros(2), torch.ones(2)
        >>> Huber().first(t, s, weights)
        tensor([0.0000, 0.7071])
        >>> Huber().curvature(t, s, weights) @ torch.ones(2)
        tensor([1.0000, 0.3536])
    """

    def on(self, grid: Grid) -> Distance:
        """The same for images on ``grid``; another one only if it has to know which points are neighbours."""
        return self

    def value(self, t: Tensor, s: Tensor, weights: Tensor) -> Tensor:
        """J, a tensor without dimensions."""
        raise NotImplementedError("a distance says what its value is")

    def first(self, t: Tensor, s: Tensor, weights: Tensor) -> Tensor:
        """∂J/∂t, (n,)."""
        return torch.func.grad(self.value)(t, s, weights)

    def curvature(self, t: Tensor, s: Tensor, weights: Tensor, kind: Kind = "exact") -> Operator:
        """∂²J/∂t² as an operator n ← n, or its Gauss-Newton part."""
        name = type(self).__name__
        require(kind == "exact", f'expected kind "exact" for {name}, which has no residual, got {kind!r}')
        return Hessian(lambda u: self.first(u, s, weights), t)

    def mixed(self, t: Tensor, s: Tensor, weights: Tensor, vector: Tensor) -> Tensor:
        """∂²J/∂t∂s times a vector (n,): how ∂J/∂t changes when s changes along it."""
        return torch.func.jvp(lambda u: self.first(t, u, weights), (s,), (vector,))[1]

    def residual(self, t: Tensor, s: Tensor, weights: Tensor) -> Tensor:
        """r, (n,), if J = ½‖r‖²; a ValueError if not."""
        raise ValueError(f"expected a distance with a residual, got {type(self).__name__}, which has none")

    def jacobian(self, t: Tensor, s: Tensor, weights: Tensor, columns: Tensor) -> Tensor:
        """∂r/∂t times the columns (n, p), if J = ½‖r‖²."""
        return Jacobian(lambda u: self.residual(u, s, weights), t) @ columns


class ResidualDistance(Distance):
    """A distance J = ½‖r‖²: a subclass gives ``residual``.

    Example:
        >>> class Logarithmic(ResidualDistance):
        ...     def residual(self, t, s, weights):
        ...         return weights.sqrt() * (t / s).log()
        >>> t, s, weights = torch.tensor([1.0, 2.0]), torch.ones(2), torch.ones(2)
        >>> Logarithmic().curvature(t, s, weights, "gauss-newton") @ torch.ones(2)
        tensor([1.0000, 0.2500])
    """

    def value(self, t: Tensor, s: Tensor, weights: Tensor) -> Tensor:
        """½‖r‖², a tensor without dimensions."""
        r = self.residual(t, s, weights)
        return 0.5 * (r @ r)

    def curvature(self, t: Tensor, s: Tensor, weights: Tensor, kind: Kind = "exact") -> Operator:
        """∂²J/∂t², or ∂rᵀ/∂t ∂r/∂t for "gauss-newton", as an operator n ← n."""
        if kind != "gauss-newton":
            return super().curvature(t, s, weights, kind)
        J = Jacobian(lambda u: self.residual(u, s, weights), t)
        return J.T @ J


@dataclass(frozen=True)
class SSD(ResidualDistance):
    """Sum of squared differences: r = √ω (t − s), so J = ½ Σ ω (t − s)², an integral over the box.

    For two images with the same grey values. J is quadratic in t, so both kinds of curvature agree.

    Source:
        Modersitzki, FAIR (2009), section 6.2, https://doi.org/10.1137/1.9780898718843
    """

    def residual(self, t: Tensor, s: Tensor, weights: Tensor) -> Tensor:
        """√ω (t − s), (n,)."""
        return root(weights) * (t - s)

    def jacobian(self, t: Tensor, s: Tensor, weights: Tensor, columns: Tensor) -> Tensor:
        """√ω times the columns, (n, p)."""
        return (root(weights) * columns.T).T

    def first(self, t: Tensor, s: Tensor, weights: Tensor) -> Tensor:
        """ω (t − s), (n,)."""
        return weights * (t - s)

    def curvature(self, t: Tensor, s: Tensor, weights: Tensor, kind: Kind = "exact") -> Operator:
        """diag ω, for both kinds."""
        return Diagonal(weights)

    def mixed(self, t: Tensor, s: Tensor, weights: Tensor, vector: Tensor) -> Tensor:
        """−ω times the vector, (n,)."""
        return -weights * vector


@dataclass(frozen=True)
class NCC(ResidualDistance):
    """Normalised cross-correlation: r = √ω (t̂ − ŝ), so J = 1 − ν with the correlation ν = ⟨t̂, ŝ⟩.

    ⟨a, b⟩ = Σ ω a b, t̂ = (t − mean t)/N with N = ‖t − mean t‖, and ŝ likewise; ν lies in [−1, 1].
    J stays the same when every grey value v of an image becomes a v + b, a > 0: for images of one
    kind that differ in brightness or contrast. Where the moved template is constant, ν is 0/0 and
    every result is NaN.

    Source:
        Modersitzki, FAIR (2009), section 7.2 (1 − ν² there);
        Evangelidis & Psarakis (2008), https://doi.org/10.1109/TPAMI.2008.113
    """

    @staticmethod
    def _normalise(t: Tensor, weights: Tensor) -> tuple[Tensor, Tensor]:
        """t̂ and N."""
        centred = t - (weights @ t) / weights.sum()
        norm = (weights @ centred**2).sqrt()
        return centred / norm, norm

    def _slope(self, unit: Tensor, norm: Tensor, weights: Tensor, rows: Tensor) -> Tensor:
        """∂t̂/∂t applied to rows (…, n): less their mean and their part along t̂, and divided by N."""
        rest = rows - (rows @ weights)[..., None] / weights.sum()
        return (rest - (rest @ (weights * unit))[..., None] * unit) / norm

    def residual(self, t: Tensor, s: Tensor, weights: Tensor) -> Tensor:
        """√ω (t̂ − ŝ), (n,)."""
        return root(weights) * (self._normalise(t, weights)[0] - self._normalise(s, weights)[0])

    def jacobian(self, t: Tensor, s: Tensor, weights: Tensor, columns: Tensor) -> Tensor:
        """√ω ∂t̂/∂t times the columns, (n, p)."""
        return (root(weights) * self._slope(*self._normalise(t, weights), weights, columns.T)).T

    def first(self, t: Tensor, s: Tensor, weights: Tensor) -> Tensor:
        """−ω (ŝ − ν t̂)/N."""
        (t, norm), (s, _) = self._normalise(t, weights), self._normalise(s, weights)
        return -weights * (s - ((weights * t) @ s) * t) / norm

    def curvature(self, t: Tensor, s: Tensor, weights: Tensor, kind: Kind = "exact") -> Operator:
        """N² ∂²J/∂t² = ν (W − ωωᵀ/Σω) + W (t̂ŝᵀ + ŝt̂ᵀ − 3ν t̂t̂ᵀ) W with W = diag ω.

        N² ∂rᵀ∂r = W − ωωᵀ/Σω − W t̂t̂ᵀ W: the same as long as ŝ = t̂."""
        (t, norm), (s, _) = self._normalise(t, weights), self._normalise(s, weights)
        nu = (weights * t) @ s if kind == "exact" else torch.ones_like(norm)
        K = torch.diag(torch.stack([-nu / weights.sum(), -3 * nu if kind == "exact" else -nu, 0 * nu]))
        K[1, 2] = K[2, 1] = float(kind == "exact")
        U = weights * torch.stack([torch.ones_like(t), t, s])
        return LowRankUpdate(nu * weights / norm**2, U.T, K / norm**2)

    def mixed(self, t: Tensor, s: Tensor, weights: Tensor, vector: Tensor) -> Tensor:
        """−ω (∂ŝ − ⟨∂ŝ, t̂⟩ t̂)/N with ∂ŝ the derivative of ŝ along the vector."""
        (t, norm), (s, other) = self._normalise(t, weights), self._normalise(s, weights)
        change = self._slope(s, other, weights, vector)
        return -weights * (change - ((weights * t) @ change) * t) / norm
