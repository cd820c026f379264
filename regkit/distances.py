"""Distances between two images: J = ½‖r‖², and what its derivatives need.

t (n,) are the values of the moved template at the points of the grid, s (n,) those of the reference, ω (n,)
the weights of the points: the cell volume, times a mask or another weight ≥ 0. A distance gives

    residual   r (n,), with J = ½‖r‖²                 jacobian   ∂r/∂t, applied to columns (n, p)
    first      ∂J/∂t (n,)                             second     ∂²J/∂t², or ∂rᵀ∂r, as diag D + U K Uᵀ
    mixed      ∂²J/∂t∂s, applied to a vector (n,)
"""

from __future__ import annotations

from dataclasses import dataclass

import torch


@dataclass(frozen=True)
class SSD:
    """Sum of squared differences: r = √ω (t − s), so J = ½ Σ ω (t − s)², an integral over the (masked) box.

    For two images with the same grey values. Source: Modersitzki, FAIR (2009), section 6.2.
    """

    def residual(self, t, s, weights):
        return weights.sqrt() * (t - s)

    def jacobian(self, t, s, weights, columns):
        return (weights.sqrt() * columns.T).T

    def first(self, t, s, weights):
        return weights * (t - s)

    def second(self, t, s, weights, kind):
        """D, U, K. J is quadratic in t, so both kinds agree, and there is no U."""
        return weights, None, None

    def mixed(self, t, s, weights, vector):
        return -weights * vector


@dataclass(frozen=True)
class NCC:
    """Normalised cross-correlation: r = √ω (t̂ − ŝ), so J = 1 − ν with the correlation ν = ⟨t̂, ŝ⟩ in [−1, 1].

    ⟨a, b⟩ = Σ ω a b, t̂ = (t − mean t)/N with N = ‖t − mean t‖, and ŝ likewise. J stays the same when every
    grey value v of an image becomes a v + b, a > 0: for images of one kind that differ in brightness or
    contrast.

    Where the moved template is constant, ν is 0/0 and every result is NaN. Source: FAIR (2009), section 7.2
    (1 − ν² there); Evangelidis & Psarakis (2008), https://doi.org/10.1109/TPAMI.2008.113.
    """

    @staticmethod
    def _normalise(t, weights):
        """t̂ and N."""
        centred = t - (weights @ t) / weights.sum()
        norm = (weights @ centred**2).sqrt()
        return centred / norm, norm

    def _slope(self, unit, norm, weights, rows):
        """∂t̂/∂t applied to rows (…, n): they lose their mean and their part along t̂, and are divided by
        N.
        """
        rest = rows - (rows @ weights)[..., None] / weights.sum()
        return (rest - (rest @ (weights * unit))[..., None] * unit) / norm

    def residual(self, t, s, weights):
        return weights.sqrt() * (self._normalise(t, weights)[0] - self._normalise(s, weights)[0])

    def jacobian(self, t, s, weights, columns):
        return (weights.sqrt() * self._slope(*self._normalise(t, weights), weights, columns.T)).T

    def first(self, t, s, weights):
        """−ω (ŝ − ν t̂)/N."""
        (t, norm), (s, _) = self._normalise(t, weights), self._normalise(s, weights)
        return -weights * (s - ((weights * t) @ s) * t) / norm

    def second(self, t, s, weights, kind):
        """N² ∂²J/∂t² = ν (W − ωωᵀ/Σω) + W (t̂ŝᵀ + ŝt̂ᵀ − 3ν t̂t̂ᵀ) W with W = diag ω.

        N² ∂rᵀ∂r = W − ωωᵀ/Σω − W t̂t̂ᵀ W: the same as long as ŝ = t̂."""
        (t, norm), (s, _) = self._normalise(t, weights), self._normalise(s, weights)
        nu = (weights * t) @ s if kind == "exact" else torch.ones_like(norm)
        K = torch.diag(torch.stack([-nu / weights.sum(), -3 * nu if kind == "exact" else -nu, 0 * nu]))
        K[1, 2] = K[2, 1] = float(kind == "exact")
        U = weights * torch.stack([torch.ones_like(t), t, s])
        return nu * weights / norm**2, U.T, K / norm**2

    def mixed(self, t, s, weights, vector):
        """−ω (∂ŝ − ⟨∂ŝ, t̂⟩ t̂)/N with ∂ŝ the derivative of ŝ along the vector."""
        (t, norm), s = self._normalise(t, weights), self._normalise(s, weights)
        change = self._slope(*s, weights, vector)
        return -weights * (change - ((weights * t) @ change) * t) / norm
