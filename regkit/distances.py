"""Distances between two images: J = ½‖r‖², and what its derivatives need.

t (n,) are the values of the moved template at the points of the grid, s (n,) those of the reference, ω
(n,) the weights of the points: the cell volume, times a mask or any other weight ≥ 0. A distance gives

    residual   r(t)  (n,)                                  jacobian   ∂r/∂t applied to columns (n, p)
    first      ∂J/∂t (n,)                                  second     ∂²J/∂t² as D + U K Uᵀ, with D diagonal
"""

from __future__ import annotations

from dataclasses import dataclass

import torch


@dataclass(frozen=True)
class LeastSquares:
    """r = √ω (t − s), so that J = ½ Σ ω (t − s)²: half the squared difference, integrated over the
    (masked) box.

    For two images with the same grey values. Source: Modersitzki, FAIR (2009), section 6.2.
    """

    def residual(self, t, s, weights):
        return weights.sqrt() * (t - s)

    def jacobian(self, t, s, weights, columns):
        return weights.sqrt()[:, None] * columns

    def first(self, t, s, weights):
        return weights * (t - s)

    def second(self, t, s, weights, kind):
        """Diagonal (n,), U, K. J is quadratic in t: exact and Gauss-Newton are the same, and there is no
        U.
        """
        return weights, None, None


@dataclass(frozen=True)
class NormalisedCrossCorrelation:
    """r = √ω (t̂ − ŝ), so that J = 1 − NCC with NCC = ⟨t̂, ŝ⟩ in [−1, 1].

    t̂ = (t − mean t) / ‖t − mean t‖, and ŝ likewise, mean and norm weighted by ω. J does not change when a
    grey value g becomes a g + b with a > 0: for images of one kind whose brightness or contrast differ.

    Where the moved template is constant, NCC is 0/0 and every result is NaN. Source: FAIR (2009), section
    7.2 (there with the square of NCC); Evangelidis & Psarakis (2008), https://doi.org/10.1109/TPAMI.2008.113.
    """

    @staticmethod
    def _normalise(t, weights):
        """t̂ and ‖t − mean t‖."""
        centred = t - (weights @ t) / weights.sum()
        norm = (weights @ centred**2).sqrt()
        return centred / norm, norm

    def residual(self, t, s, weights):
        return weights.sqrt() * (self._normalise(t, weights)[0] - self._normalise(s, weights)[0])

    def jacobian(self, t, s, weights, columns):
        """Derivative of t̂ along each column: what is left of it when mean and t̂-component are removed."""
        unit, norm = self._normalise(t, weights)
        columns = columns - (weights @ columns) / weights.sum() - unit[:, None] * ((weights * unit) @ columns)
        return weights.sqrt()[:, None] * columns / norm

    def first(self, t, s, weights):
        (t, norm), (s, _) = self._normalise(t, weights), self._normalise(s, weights)
        return -weights * (s - ((weights * t) @ s) * t) / norm

    def second(self, t, s, weights, kind):
        """With ν = NCC and N = ‖t − mean t‖:  N² ∂²J/∂t² = ν (W − 11ᵀ/Σω − 3 t̂t̂ᵀ) + t̂ŝᵀ + ŝt̂ᵀ, all in
        the ω-product.

        Gauss-Newton, ∂rᵀ∂r, is W − 11ᵀ/Σω − t̂t̂ᵀ: the same where ν = 1.
        """
        (t, norm), (s, _) = self._normalise(t, weights), self._normalise(s, weights)
        U = weights[:, None] * torch.stack([torch.ones_like(t), t, s], dim=1)
        if kind == "gauss-newton":
            correlation, K = 1.0, torch.diag(t.new_tensor([0.0, -1.0, 0.0]))
        else:
            correlation = (weights * t) @ s
            K = t.new_tensor([[0.0, 0.0, 0.0], [0.0, 0.0, 1.0], [0.0, 1.0, 0.0]])
            K[1, 1] = -3 * correlation
        K[0, 0] = -correlation / weights.sum()
        return correlation * weights / norm**2, U, K / norm**2
