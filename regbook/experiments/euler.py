"""Euler's predictions from one scale to the next, judged: in chapter 6, and in the paper's Fig 3."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from regkit.optimize import newton_trust


@dataclass(frozen=True)
class Scale:
    """One minimiser on the path, and what Euler's method predicts from it for the next scale.

    w: minimiser at ``theta``; after: at ``following``; exact, gauss_newton: the two Hessians at w;
    rate: ∂θ∇J there.
    """

    theta: float
    following: float
    w: torch.Tensor
    after: torch.Tensor
    exact: torch.Tensor
    gauss_newton: torch.Tensor
    rate: torch.Tensor

    def prediction(self, matrix: torch.Tensor) -> torch.Tensor:
        """Euler's step w + (θ₊ − θ) · (−matrix⁻¹ ∂θ∇J)."""
        return self.w - (self.following - self.theta) * torch.linalg.solve(matrix, self.rate)

    @property
    def missing(self) -> float:
        """‖H − JᵣᵀJᵣ‖ / ‖H‖: how much of the Hessian Gauss-Newton leaves out."""
        left_out = torch.linalg.norm(self.exact - self.gauss_newton, 2)
        return float(left_out / torch.linalg.norm(self.exact, 2))

    @property
    def eigenvalues(self) -> np.ndarray:
        """Of (JᵣᵀJᵣ)⁻¹H, rising: 1 where Gauss-Newton is right."""
        factor = torch.linalg.cholesky(self.gauss_newton)
        half = torch.linalg.solve_triangular(factor, self.exact, upper=False)
        return torch.linalg.eigvalsh(torch.linalg.solve_triangular(factor, half.T, upper=False)).numpy()

    @property
    def largest_factor(self) -> float:
        """max |1 − λ|: what a prediction with Gauss-Newton leaves of a component, at most, to first order."""
        return float(np.abs(1 - self.eigenvalues).max())

    @property
    def left(self) -> float:
        """‖(I − HB⁻¹)g‖ / ‖g‖: what it leaves of the length of the gradient, to first order."""
        g = self.rate  # times a number that cancels
        return float((g - self.exact @ torch.linalg.solve(self.gauss_newton, g)).norm() / g.norm())


MATRICES = {
    "exact Hessian": lambda scale: scale.exact,
    "Gauss-Newton, matching": lambda scale: scale.gauss_newton,
    "Gauss-Newton, half of it": lambda scale: scale.gauss_newton / 2,
}


def path(problem, thetas: Sequence[float], w: torch.Tensor) -> list[Scale]:
    """Minimisers over decreasing θ, each with what a prediction needs."""
    minimisers = []
    for theta in thetas:
        w = newton_trust(problem.at(theta), w).x
        minimisers.append(w)
    scales = []
    for k in range(len(thetas) - 1):
        w, objective = minimisers[k], problem.at(thetas[k])
        hessians = objective.hessian(w), objective.hessian(w, "gauss-newton")
        rate = problem.gradient_theta(w, thetas[k])
        scales.append(Scale(thetas[k], thetas[k + 1], w, minimisers[k + 1], *hessians, rate))
    return scales


def gains(problem, scales: Sequence[Scale], ws: Sequence[torch.Tensor], judged: str) -> np.ndarray:
    """The paper's two measures of any w, one for each scale, (k, 2): relative gains in loss and ‖∇J‖.

    Positive is better. Each w is judged at the new θ. What it is compared with, staying at the scale's w,
    is judged there too in a fair comparison; "at the old θ" judges it where it came from.
    """
    rows = []
    for scale, predicted in zip(scales, ws, strict=True):
        new = problem.at(scale.following)
        stay = new if judged == "at the new θ" else problem.at(scale.theta)
        before = float(stay.loss(scale.w)), float(stay.gradient(scale.w).norm())
        after = float(new.loss(predicted)), float(new.gradient(predicted).norm())
        rows.append([(b - a) / b for b, a in zip(before, after, strict=True)])
    return np.array(rows)


def misses(scales: Sequence[Scale], ws: Sequence[torch.Tensor]) -> list[float]:
    """How far each w is from the next minimiser, in parts of the way to it."""
    return [
        float((w - scale.after).norm() / (scale.w - scale.after).norm())
        for w, scale in zip(ws, scales, strict=True)
    ]
