"""Conjugate gradients that rounding does not lead astray.

In exact arithmetic the residuals of a run are orthogonal, rⱼᵀM rₖ = 0 for j ≠ k. Rounding destroys
that: as soon as an eigenvector is found, what is left of it, a rounding error, grows anew in each
iteration, by as much as the eigenvalue is apart from the others. After some twenty iterations two
runs that differ in the sixteenth digit, as with another number of threads, have nothing but the
first few digits in common; and eigenvectors that were found already are looked for again, which
takes iterations. So the residuals are kept, and of each new one only what is orthogonal to them
goes on.

Source:
    Paige (1980), https://doi.org/10.1016/0024-3795(80)90167-6;
    Saad (2003), section 6.5, https://doi.org/10.1137/1.9780898718003
"""

from __future__ import annotations

import math
from dataclasses import replace

import torch
from torch import Tensor

from regkit.linear import CG, Solver
from regkit.operators import Map

# So many numbers are kept at most, twice: 128 MB each in double precision.
_NUMBERS = 1 << 24


class Orthogonal:
    """The preconditioner r ↦ M r of one run of ``linear.CG``, less what rounding brings back.

    With zⱼ what was returned for the earlier residuals rⱼ, and ρⱼ = rⱼᵀzⱼ, it is

        z = M r − Σⱼ zⱼ (rⱼᵀM r)/ρⱼ.

    Args:
        apply: r (n,) ↦ M r, symmetric positive definite.
        most: residuals that are kept, the first ones; fewer where they are very long.

    Example:
        >>> M = Orthogonal(lambda r: r, 10)
        >>> M(torch.tensor([2.0, 0.0])), M(torch.tensor([0.1, 3.0]))
        (tensor([2., 0.]), tensor([0., 3.]))
    """

    def __init__(self, apply: Map, most: float = math.inf):
        self.apply, self.most, self.count = apply, most, 0

    def __call__(self, r: Tensor) -> Tensor:
        """z (n,) for the next residual r (n,)."""
        z, k = self.apply(r), self.count
        if k > 0:
            residuals, applied = self.kept[:, :k]
            z = z - (residuals @ z) @ applied
        rho = r @ z
        if k < min(self.most, _NUMBERS // len(r)) and rho > 0:
            if k == 0:
                self.kept = r.new_empty(2, 16, len(r))
            elif k == self.kept.shape[1]:
                self.kept = torch.cat([self.kept, torch.empty_like(self.kept)], 1)
            self.kept[:, k] = torch.stack([r, z]) / rho.sqrt()
            self.count = k + 1
        return z


def kept_orthogonal(solver: Solver) -> Solver:
    """The solver for one right-hand side: conjugate gradients with ``Orthogonal``, any other as it is."""
    if not isinstance(solver, CG):
        return solver
    most = math.inf if solver.maxiter is None else solver.maxiter
    return replace(solver, preconditioner=Orthogonal(solver.preconditioner or (lambda r: r), most))
