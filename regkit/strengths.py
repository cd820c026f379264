"""How strong the penalty of super-resolution should be: λ from the size of the noise.

A small λ fits the coarse images and lets the noise into f, a large one smooths f and misfits. The
discrepancy principle takes the largest λ whose misfit is not above the noise: the data are not to
be explained better than they are.

Sources: Morozov (1966), Soviet Mathematics Doklady 7, 414-417; Hansen (1998), chapter 7,
https://doi.org/10.1137/1.9780898719697.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch

from regkit._require import number, require
from regkit._systems import left
from regkit.linear import CG, Solver, require_solver
from regkit.superres import Stacked, SuperResolution


@dataclass(frozen=True, eq=False, repr=False)
class Chosen:
    """A λ and what it makes of the coarse images.

    Args:
        strength: λ, in the units of Ω.
        f (n,): the fine image, in grey values.
        misfit: of f, as ``misfit`` has it, in grey values.
    """

    strength: float
    f: torch.Tensor
    misfit: float

    def __repr__(self) -> str:
        return f"Chosen(strength={self.strength:g}, misfit={self.misfit:g}, f of {len(self.f)} cells)"


def misfit(problem: SuperResolution, w: torch.Tensor, f: torch.Tensor) -> float:
    """How far the coarse images of f are from the measured ones: ‖K I(w) f − d‖ / √m.

    Args:
        problem: the model and its templates d, m pixels in all; its λ does not matter.
        w (p,): the motions.
        f (n,): the fine image, in grey values.

    Returns:
        float: the misfit, in grey values.

    Example:
        >>> from regkit.grid import Grid
        >>> problem = SuperResolution(torch.full((2, 2, 2), 3.0).double(), Grid((4.0, 4.0), (4, 4)))
        >>> round(misfit(problem, problem.identity(), torch.ones(16).double()), 12)
        2.0
    """
    return _misfit(problem, problem.at(w), f)


def _misfit(problem: SuperResolution, A: Stacked, f: torch.Tensor) -> float:
    rows = (A.forward(f) - problem.b)[: A.data_rows]
    return float(rows.square().mean().sqrt()) / problem.scales[0]


def by_discrepancy(
    problem: SuperResolution,
    w: torch.Tensor,
    noise: float,
    strengths: Sequence[float],
    solver: Solver | None = None,
) -> Chosen:
    """The largest of some λ whose misfit is not above the noise, and the fine image there.

    The misfit of f(λ) = argmin ½‖A(w) f − b‖² rises with λ. So the λ are tried from the largest
    down, each system is solved from the solution of the one before, and the first that fits is it.

    Args:
        problem: the model and its templates; its own λ is not used.
        w (p,): the motions.
        noise: its standard deviation in each coarse pixel, in grey values.
        strengths: the λ to choose from, in any order, in the units of Ω.
        solver: of the normal equations; CG(rtol=1e-8) if None.

    Returns:
        Chosen: λ, f and the misfit.

    Raises:
        ValueError: if the misfit is above the noise for every λ; for a noise or a λ that is not
            positive, or no λ at all.

    Example:
        >>> from regkit.grid import Grid
        >>> coarse = torch.tensor([[10.0, 20.0], [30.0, 40.0]]).double()
        >>> problem = SuperResolution(torch.stack([coarse, coarse]), Grid((4.0, 4.0), (4, 4)))
        >>> found = by_discrepancy(problem, problem.identity(), 2.0, [0.1, 1.0, 10.0])
        >>> found.strength, found.misfit <= 2.0
        (0.1, True)
    """
    given = list(strengths) if hasattr(strengths, "__iter__") else []
    words = "one or more strengths λ > 0"
    tried = sorted((number(strength, words, 1e-300, got=given) for strength in given), reverse=True)
    require(bool(tried), f"expected {words}, got {strengths!r}")
    number(noise, "a noise > 0", 1e-300)
    solver = CG(rtol=1e-8) if solver is None else solver
    require_solver(solver)
    f, off = problem.upsampled(), math.inf
    for strength in tried:
        model = replace(problem, strength=strength)
        A = model.at(w)
        found = solver.solve(A.normal, A.adjoint(model.b), f)
        require(left(found) <= 1e-3, f"expected a solver that solves, got {found}, {left(found):.0e} is left")
        f = found.checked()
        off = _misfit(model, A, f)
        if off <= noise:
            return Chosen(strength, f, off)
    raise ValueError(
        f"expected a λ with a misfit of at most {noise:g}, got {off:.3g} at the smallest, {tried[-1]:g}"
    )
