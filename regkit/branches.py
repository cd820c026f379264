"""Curves of stationary points of J(·; θ), and the folds in which they end.

Along a branch ∇J(w; θ) = 0. Where H = ∇²J becomes singular, a minimum meets a saddle (or a
maximum), the branch turns back, and beyond that θ neither of them exists: a fold. There dw/dθ is
infinite, but the curve (w, log θ) is smooth, so one follows it by its arc length.

Source:
    Allgower & Georg (2003), chapters 2 and 6, https://doi.org/10.1137/1.9780898719154
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch

from regkit._require import flat, number, require, whole
from regkit.continuation import gradient_s
from regkit.problems import Problem


@dataclass(frozen=True, eq=False, repr=False)
class Branch:
    """A curve of k stationary points.

    Args:
        thetas (k,): θ.
        w (k, p): the points.
        negative (k,): how many eigenvalues of H are negative; 0 at a minimum.
        folds: the indices of the points where θ turns back.
    """

    thetas: torch.Tensor
    w: torch.Tensor
    negative: torch.Tensor
    folds: list[int]

    def __repr__(self) -> str:
        ends = f"θ = {float(self.thetas[0]):g} to {float(self.thetas[-1]):g}"
        return f"Branch of {len(self.thetas)} points: {ends}, folds at {self.folds}"


def arclength(
    problem: Problem,
    theta: float,
    w: torch.Tensor,
    *,
    step: float = 0.1,
    count: int = 100,
    low: float = 1e-3,
    high: float = 1e4,
    scale: float = 1.0,
    upwards: bool = False,
) -> Branch:
    """Walk along a branch and around its folds: pseudo-arclength continuation in z = (w/scale, log θ).

    From z along the unit tangent ż, Newton's method solves ∇J = 0 on the plane across ż through z +
    step · ż. Its matrix (scale H, ∂ₛ∇J; ż) is regular at a fold, where H is not. Where it fails the
    step is halved.

    Args:
        problem: J(·; θ) for every θ.
        theta: where the walk begins.
        w (p,): a stationary point there.
        step: its length in z.
        count: of the points after which it ends.
        low, high: the θ between which it stays.
        scale (in the unit of w): what counts as much as a factor e in θ.
        upwards: towards larger θ at first, not smaller.

    Returns:
        The ``Branch``.

    Raises:
        ValueError: if w is no stationary point, not even nearly; for a step, a count, a scale or
            bounds that are not positive.

    Example:
        >>> from regkit.problems import Formula
        >>> fold = Formula(lambda w, theta: w[0] ** 3 / 3 - (theta - 1) * w[0])  # w = ±√(θ − 1)
        >>> branch = arclength(fold, 5.0, torch.tensor([2.0], dtype=torch.float64), high=5.0)
        >>> round(float(branch.thetas.min()), 1), round(float(branch.w[-1]))
        (1.0, -2)
    """
    for name, value in (("theta", theta), ("step", step), ("scale", scale)):
        number(value, f"{name} > 0", 1e-100)
    count = whole(count, "a count of points of at least 1")
    bounds = f"bounds 0 ≤ low < high, got {low!r} and {high!r}:"
    require(number(low, bounds, 0) < number(high, bounds, 0, math.inf), f"expected {bounds}")
    p, up = len(flat(w)), torch.cat([w.new_zeros(len(w)), w.new_ones(1)])

    def matrix(z: torch.Tensor, along: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """∇J (p,) and its derivative by z, bordered by ``along``: (p + 1, p + 1)."""
        w, theta = scale * z[:p], math.exp(float(z[p]))
        objective = problem.at(theta)
        point = objective.point(w, 2)
        slope = gradient_s(objective, w, theta)
        rows = torch.cat([scale * point.hessian("exact"), slope[:, None]], dim=1)
        return point.gradient, torch.cat([rows, along[None]])

    def corrected(z: torch.Tensor, along: torch.Tensor, radius: float):
        """Newton's method from z on the plane across ``along``: the new z and the matrix there, or None."""
        start = z
        for _ in range(8):
            gradient, M = matrix(z, along)
            change = torch.linalg.solve_ex(M, torch.cat([-gradient, gradient.new_zeros(1)]))[0]
            z = z + change
            if not (z - start).norm() <= radius:  # too far, or NaN
                return None
            if change.norm() <= 1e-9 * (1 + z.norm()):
                return z, M
        return None

    along, h, points = up if upwards else -up, step, []
    ahead = corrected(torch.cat([w / scale, w.new_tensor([math.log(theta)])]), along, step)
    require(ahead is not None, f"expected a stationary point at θ = {theta}, got w = {w.tolist()}")
    while len(points) < count and h > 1e-6 * step:
        if ahead is not None:
            z, M = ahead
            if points and not low <= math.exp(float(z[p])) <= high:
                break
            points.append((z, int((torch.linalg.eigvalsh(M[:p, :p]) < 0).sum())))
            along = torch.linalg.solve(M, up)  # the direction with a positive product with the one before
            along, h = along / along.norm(), min(step, 1.5 * h)
        ahead = corrected(z + h * along, along, 0.5 * h)
        h = h if ahead is not None else 0.5 * h
    z, negative = torch.stack([z for z, _ in points]), torch.tensor([number for _, number in points])
    turns = z[:, p].diff().sign().diff().nonzero().flatten() + 1
    return Branch(z[:, p].exp(), scale * z[:, :p], negative, turns.tolist())
