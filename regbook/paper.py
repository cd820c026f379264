"""The paper's experiment on super-resolution: its problem, its optimiser, and what its code does otherwise.

The paper is Watson, Cherry & Lang (2024), https://arxiv.org/abs/2411.02806. Its images are not part of this
project; ``superresolution`` finds them through the environment variable ``REGKIT_DATA``.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

import torch

from regkit import data, optimize
from regkit.grid import Grid
from regkit.linear import CG
from regkit.problems import Objective
from regkit.templates import Synthetic, synthetic

# Its Table 1 as factors: in runs of the loss, and of the forward function for the Jacobian.
TABLE_1 = {
    6: {"loss": 1, "gradient": 2.5, "Hessian": 5.7, "forward": 1, "Jacobian": 11},
    50: {"loss": 1, "gradient": 2.7, "Hessian": 24, "forward": 1, "Jacobian": 17},
}


def levenberg_marquardt(objective: Objective, w: torch.Tensor, **limits) -> optimize.Result:
    """Nine steps with the same δ added to every diagonal entry, at first 1e-3 of the largest.

    The paper counts the start and speaks of ten iterations.

    Args:
        objective: a ``Reduced``.
        w (p,): the start.
        limits: of ``optimize.levenberg_marquardt``, and its ``advance``.

    Returns:
        The ``Result``.
    """
    how = {"damping": 1e-3, "scaling": "identity", "iterations": 9}
    return optimize.levenberg_marquardt(objective, w, **(how | limits))


def cg(maxiter: int = 500) -> CG:
    """Conjugate gradients that stop at ‖b − A x‖ ≤ 1e-3, in grey values times cm, or at the limit."""
    return CG(rtol=0.0, atol=1e-3, maxiter=maxiter)


def cut_edge(grid: Grid, y: torch.Tensor) -> torch.Tensor:
    """A window that ends one cell beyond the last centre on the upper sides; the spline is not zero there.

    Args:
        grid: of the fine image.
        y (n, 2): points, in the units of the grid.

    Returns:
        Which of them are seen, (n,).

    Example:
        >>> cut_edge(Grid((4.0, 4.0), (4, 4)), torch.tensor([[4.4, 2.0], [4.6, 2.0]]))
        tensor([ True, False])
    """
    u = y / y.new_tensor(grid.spacing) - 0.5
    return (u < y.new_tensor(grid.shape)).all(1)


def superresolution(fixed: int = 0, **options) -> tuple[Synthetic, torch.Tensor]:
    """The paper's problem, a hand of 20 × 20 from four of 10 × 10, and the start of its run.

    Args:
        fixed: how many templates are held; the paper's text holds one, its program none.
        options: of ``SuperResolution``; the paper's code has ``window=cut_edge``.

    Returns:
        The problem with its true answer, and w (p,).

    Raises:
        FileNotFoundError: if REGKIT_DATA does not name the folder with the images and with
            ``superres_start.json``.
    """
    hands = data.paper_hands(20)
    made = synthetic(hands.reference, hands.grid, fixed=fixed, **options)
    start = json.loads((Path(os.environ["REGKIT_DATA"]) / "superres_start.json").read_text())["norm"]
    return made, torch.tensor(start, dtype=torch.float64)[made.problem.transform.parameters * fixed :]
