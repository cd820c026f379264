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

from torch import Tensor

from regkit.operators import Map

# So many numbers are kept at most, twice: 128 MB each in double precision.
_NUMBERS = 1 << 24


class Orthogonal:
    """The preconditioner r ↦ M r of one run of ``linear.CG``, less what rounding brings back.

    With zⱼ what was returned for the earlier residuals rⱼ, and ρⱼ = rⱼᵀzⱼ, it is

        z = M r − Σⱼ zⱼ (rⱼᵀM r)/ρⱼ.

    Args:
        apply: r (n,) ↦ M r, symmetric positive definite.
        most: residuals that are kept, the first ones; fewer where they are long.

    Example:
        >>> M = Orthogonal(lambda r: r, 10)
        >>> M(torch.tensor([2.0, 0.0])), M(torch.tensor([0.1, 3.0]))
        (tensor([2., 0.]), tensor([0., 3.]))
    """

    def __init__(self, apply: Map, most: int):
        self.apply, self.most, self.count = apply, most, 0

    def __call__(self, r: Tensor) -> Tensor:
        """z (n,) for the next residual r (n,)."""
        z, k = self.apply(r), self.count
        if k == 0:
            self.most = min(self.most, _NUMBERS // len(r))
            self.residuals, self.applied = r.new_empty(2, self.most, len(r))
        else:
            z = z - (self.residuals[:k] @ z) @ self.applied[:k]
        rho = r @ z
        if k < self.most and rho > 0:
            self.residuals[k], self.applied[k] = r / rho.sqrt(), z / rho.sqrt()
            self.count = k + 1
        return z
