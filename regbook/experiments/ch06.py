"""Experiments of chapter 6: predictions with the exact Hessian and with Gauss-Newton's matrix, judged."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch

from regbook import records
from regbook.experiments.euler import MATRICES, Scale, gains, misses
from regkit.continuation import follow
from regkit.paths import Path


def compare(
    problem, scales: Sequence[Scale], matrix_of: Callable[[Scale], torch.Tensor], judged: str = "at the new θ"
) -> np.ndarray:
    """The paper's two measures of the predictions with one matrix, (k, 2), see ``gains``."""
    return gains(problem, scales, [scale.prediction(matrix_of(scale)) for scale in scales], judged)


def table(problem, scales: Sequence[Scale]) -> dict[str, dict]:
    """Counts and medians for every matrix, judged fairly."""
    return {
        name: _row(problem, scales, [scale.prediction(matrix_of(scale)) for scale in scales])
        for name, matrix_of in MATRICES.items()
    }


def newton_instead(problem, scales: Sequence[Scale]) -> dict:
    """The same row for one step of Newton's method at the new θ, which costs as much as a prediction."""
    ws = []
    for scale in scales:
        new = problem.at(scale.following)
        ws.append(scale.w - torch.linalg.solve(new.hessian(scale.w), new.gradient(scale.w)))
    return _row(problem, scales, ws)


def _row(problem, scales: Sequence[Scale], ws: Sequence[torch.Tensor]) -> dict:
    better = gains(problem, scales, ws, "at the new θ")
    return {
        "loss": int((better[:, 0] > 0).sum()),
        "gradient": int((better[:, 1] > 0).sum()),
        "median": float(np.median(better[:, 1])),
        "miss": float(np.median(misses(scales, ws))),
    }


def recorded() -> dict[int, dict]:
    """The same table for the paper's images: number of cells along a side ↦ its rows."""
    sizes = records.load("predictions.json")["sizes"]
    return {int(size): rows for size, rows in sizes.items()}


def work(problem, thetas: Sequence[float], start: torch.Tensor) -> dict[str, Path]:
    """The runs through all scales without a prediction, and with Euler's by both Hessians."""
    return {
        "no prediction": follow(problem, thetas, start, predictor="none"),
        "exact Hessian": follow(problem, thetas, start),
        "Gauss-Newton": follow(problem, thetas, start, hessian="gauss-newton"),
    }


def along(objective, w: torch.Tensor, step: torch.Tensor, parts: torch.Tensor) -> torch.Tensor:
    """The loss after each part of the step, divided by the loss at the first of them."""
    losses = torch.stack([objective.loss(w + part * step) for part in parts])
    return losses / losses[0]
