"""What moves on the first page: a registration and a super-resolution, step by step."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch

from regkit import SmoothingBasis, data, evaluate
from regkit.linear import Cholesky
from regkit.optimize import levenberg_marquardt, newton_trust
from regkit.registration import Registration
from regkit.templates import Synthetic, register_templates, synthetic
from regkit.varpro import Kaufman, Reduced


@dataclass(frozen=True, eq=False)
class Hands:
    """A registration by Newton's method over several scales.

    path: (θ, w) of the images as they came, of their blurring, and of the iterations, one after the other.
    """

    pair: data.Pair
    problem: Registration
    path: list[tuple[float, torch.Tensor]]

    @cached_property
    def _bases(self) -> tuple[SmoothingBasis, SmoothingBasis]:
        return SmoothingBasis(self.pair.template), SmoothingBasis(self.pair.reference)

    def images(self, k: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """In the k-th place: moved template and reference at the scale of then, and the former unblurred."""
        (theta, w), grid = self.path[k], self.pair.grid
        x = grid.points()
        y, (template, reference) = self.problem.transform(w, x), self._bases
        return tuple(
            evaluate(basis.coefficients(t), grid, points).reshape(grid.shape)
            for basis, t, points in ((template, theta, y), (reference, theta, x), (template, 0.0, y))
        )

    def left(self, sharp: torch.Tensor) -> float:
        """How much is left of the difference at the start, for a moved template that is not blurred."""
        start = self.pair.template - self.pair.reference
        return float((sharp - self.pair.reference).norm() / start.norm())


def hands(size: int = 64, scales: int = 7) -> Hands:
    """The drawn hands: sharp, then blurred, then from the scale 1000 to the scale 0.001."""
    pair = data.hands_phantom(size)
    problem = Registration(pair.template, pair.reference, pair.grid)
    w = problem.transform.identity()
    path = [(theta, w) for theta in (0.0, 1.0, 30.0)]
    for theta in np.logspace(3, -3, scales):
        result = newton_trust(problem.at(theta), w)
        path += [(theta, entry.x) for entry in result.history if entry.accepted]
        w = result.x
    return Hands(pair, problem, path)


def superres(size: int = 32) -> tuple[Synthetic, list[torch.Tensor]]:
    """A hand from four coarse images, by variable projection: the problem, and the image after each step."""
    pair = data.hands_phantom(size)
    made = synthetic(pair.reference, pair.grid)
    problem, start = made.problem, register_templates(made.problem)
    reduced = Reduced(problem, Cholesky(), Kaufman())
    steps = levenberg_marquardt(reduced, start, damping=1e-2, iterations=8).history
    return made, [reduced.point(step.x).f.reshape(pair.grid.shape) for step in steps]
