"""Experiments of chapter 4: landscapes over one and two parameters, and registrations through the scales."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch

from regkit import SmoothingBasis, evaluate
from regkit.data import Pair
from regkit.optimize import newton_trust
from regkit.registration import Registration


def local_minima(values: torch.Tensor) -> torch.Tensor:
    """Indices of the interior points of a 1-D tensor that lie below both of their neighbours."""
    inner = values[1:-1]
    return ((inner < values[:-2]) & (inner < values[2:])).nonzero().flatten() + 1


def landscape_1d(
    problem: Registration, shifts: torch.Tensor, theta: float
) -> tuple[torch.Tensor, torch.Tensor]:
    """The loss at every shift, and the shifts of its local minima."""
    objective = problem.at(theta)
    losses = torch.stack([objective.loss(shift[None]) for shift in shifts])
    return losses, shifts[local_minima(losses)]


def drift(problem: Registration, thetas: Sequence[float], first: float = 10.0) -> dict[float, float]:
    """Where the minimum near ``first`` lies at each θ, followed from a small θ upwards."""
    places, shift = {}, torch.tensor([first], dtype=torch.float64)
    for theta in sorted(thetas):
        shift = newton_trust(problem.at(theta), shift).x
        places[theta] = float(shift)
    return places


def landscape_2d(
    problem: Registration, angles: Sequence[float], shifts: Sequence[float], theta: float
) -> torch.Tensor:
    """The loss over a rotation in radians and a horizontal shift, (angles, shifts)."""
    objective = problem.at(theta)
    values = torch.empty(len(angles), len(shifts), dtype=torch.float64)
    for i, angle in enumerate(angles):
        for j, shift in enumerate(shifts):
            values[i, j] = objective.loss(torch.tensor([angle, shift, 0.0], dtype=torch.float64))
    return values


def valleys(values: torch.Tensor) -> torch.Tensor:
    """Indices (k, 2) of the interior points of a 2-D tensor that lie below all eight neighbours."""
    inner = values[1:-1, 1:-1]
    below = torch.ones_like(inner, dtype=torch.bool)
    for i in (0, 1, 2):
        for j in (0, 1, 2):
            if (i, j) != (1, 1):
                rows, columns = values.shape
                below &= inner < values[i : rows - 2 + i, j : columns - 2 + j]
    return below.nonzero() + 1


def map_error(pair: Pair, w: torch.Tensor) -> float:
    """Mean distance, in cells, between the map y = A x + b of w and the true one, over the hand."""
    x = pair.grid.points()[pair.reference.reshape(-1) > 25]
    change = w - pair.w_true
    moved = x @ change[:4].reshape(2, 2).T + change[4:]
    return float((moved / moved.new_tensor(pair.grid.spacing)).norm(dim=1).mean())


def moved(problem: Registration) -> Callable[[torch.Tensor], torch.Tensor]:
    """w ↦ the template, unblurred, as w shows it."""
    grid, template = problem.grid, SmoothingBasis(problem.template).coefficients(0.0)
    x = grid.points()
    return lambda w: evaluate(template, grid, problem.transform(w, x)).reshape(grid.shape)


def schedule(
    problem: Registration, coarsest: float, scales: int, least: float = 1e-3
) -> tuple[torch.Tensor, int]:
    """Register through so many scales from ``coarsest`` down to ``least``, evenly in log θ; one is ``least``.

    Returns:
        tuple: w at the end, and how many Hessians it took.
    """
    w, evaluations = problem.transform.identity(), 0
    for theta in np.geomspace(coarsest, least, scales) if scales > 1 else [least]:
        result = newton_trust(problem.at(theta), w)
        w, evaluations = result.x, evaluations + result.evaluations["hessian"]
    return w, evaluations
