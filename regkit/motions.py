"""Transformations at fixed points: w ↦ y, with derivatives.

Many parameters need derivatives as operators; a few are faster with the chain rule written out. For
functions φᵢ of the points yᵢ, with gᵢ = ∇φᵢ and Hᵢ = ∇²φᵢ:

    derivative       ∂y/∂w                                                    operator (n·d ← p)
    second           Σᵢ gᵢᵀ ∂²yᵢ/∂w²                                          operator (p ← p)
    chain_rows       dφᵢ/dw      = gᵢᵀ ∂yᵢ/∂w                                 (n, p)
    chain_gradient   dΣφᵢ/dw     = Σᵢ gᵢᵀ ∂yᵢ/∂w                              (p,)
    chain_hessian    d²Σφᵢ/dw²   = Σᵢ (∂yᵢ/∂w)ᵀ Hᵢ ∂yᵢ/∂w + gᵢᵀ ∂²yᵢ/∂w²      (p, p)

``Motion`` leaves all of them to torch.func, ``AffineMotion`` has closed forms.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from regkit.operators import Blocks, Hessian, Jacobian, Matrix, Operator

if TYPE_CHECKING:
    from regkit.transforms import Affine, Transform


@dataclass(frozen=True, eq=False, repr=False)
class Motion:
    """A transformation at fixed points: w ↦ y (n, d), with its derivatives by torch.func.

    Args:
        transform: the transformation.
        points (n, d): where it is evaluated.

    A subclass that knows better replaces ``derivative`` and ``second``, or the chain rules.
    """

    transform: Transform
    points: Tensor

    def __repr__(self) -> str:
        return f"{type(self).__name__} of {len(self.points)} points: {self.transform}"

    def __call__(self, w: Tensor) -> Tensor:
        """y(xᵢ; w) at all points, (n, d)."""
        return self.transform(w, self.points)

    def derivative(self, w: Tensor) -> Operator:
        """∂y/∂w as an operator n·d ← p; y is read point by point, as ``y.reshape(-1)``."""
        return Jacobian(lambda v: self(v).reshape(-1), w)

    def second(self, w: Tensor, g: Tensor) -> Operator | None:
        """Σᵢ gᵢᵀ ∂²yᵢ/∂w² as an operator p ← p, for g (n, d); None where y is known to be linear in w."""
        return Hessian(torch.func.grad(lambda v: (g * self(v)).sum()), w)

    def jacobian(self, w: Tensor) -> Tensor:
        """∂y/∂w in full, (n, d, p): to look at, and for a few parameters."""
        return self.derivative(w).dense(w).reshape(*self.points.shape, len(w))

    def chain_rows(self, w: Tensor, g: Tensor) -> Tensor:
        """Rows gᵢᵀ ∂yᵢ/∂w, (n, p), for g (n, d)."""
        return torch.einsum("nd,ndp->np", g, self.jacobian(w))

    def chain_gradient(self, w: Tensor, g: Tensor) -> Tensor:
        """Σᵢ gᵢᵀ ∂yᵢ/∂w, (p,), for g (n, d): one product with the adjoint."""
        return self.derivative(w).adjoint(g.reshape(-1))

    def bent(
        self, w: Tensor, C: Operator, slopes: Tensor, H: Tensor | None = None, g: Tensor | None = None
    ) -> Operator:
        """(∂y/∂w)ᵀ (GᵀCG + H) ∂y/∂w + Σᵢ gᵢᵀ ∂²yᵢ/∂w² as an operator p ← p: no matrix is formed.

        Args:
            w (p,): the parameters.
            C: an operator of k values a point, read point by point.
            slopes (n, k, d): G, their derivatives in y.
            H (n, d, d): a matrix for every point; None for 0.
            g (n, d): of the second derivatives; None for 0.
        """
        Y, G, second = self.derivative(w), Blocks(slopes), None if g is None else self.second(w, g)
        inner = G.T @ C @ G if H is None else G.T @ C @ G + Blocks(H)
        return Y.T @ inner @ Y if second is None else Y.T @ inner @ Y + second

    def chain_hessian(self, w: Tensor, H: Tensor, g: Tensor | None = None) -> Tensor:
        """Σᵢ (∂yᵢ/∂w)ᵀ Hᵢ ∂yᵢ/∂w + gᵢᵀ ∂²yᵢ/∂w², (p, p), for H (n, d, d). Without g: the first term."""
        jacobian = self.jacobian(w)
        hessian = torch.einsum("ndp,nde,neq->pq", jacobian, H, jacobian)
        second = None if g is None else self.second(w, g)
        return hessian if second is None else hessian + second.dense(w)


@dataclass(frozen=True, eq=False, repr=False)
class AffineMotion(Motion):
    """``Affine``, or a child of it, at fixed points: closed forms that never build ∂y/∂w (n, d, p).

    z, g and H are used axis by axis, as (d, n) and (d², n): long rows suit the processor.

    Args:
        transform: the affine map.
        points (n, d): where it is evaluated.
    """

    transform: Affine

    @cached_property
    def z(self) -> Tensor:
        """x − c, (n, d)."""
        c = self.transform.center
        return self.points if c is None else self.points - self.transform._center(self.points)

    @cached_property
    def _extended(self) -> Tensor:
        """(x − c, 1), as (d + 1, n)."""
        return torch.nn.functional.pad(self.z.T, (0, 0, 0, 1), value=1.0)

    @cached_property
    def _order(self) -> Tensor:
        """Where the entries of (A | b), row by row, are in the order that w wants: A, then b."""
        d = self.transform.dim
        table = torch.arange(d * (d + 1)).reshape(d, d + 1)
        return torch.cat([table[:, :d].reshape(-1), table[:, d]]).to(self.points.device)

    def __call__(self, w: Tensor) -> Tensor:
        """y(xᵢ; w) at all points, (n, d)."""
        A, b = self.transform.split(w)
        shift = b if self.transform.center is None else b + self.transform._center(b)
        return torch.addmm(shift[:, None], A, self.z.T).T

    def jacobian(self, w: Tensor) -> Tensor:
        """∂y/∂w in full, (n, d, p): to look at."""
        unit = torch.eye(self.transform.dim, dtype=w.dtype, device=w.device)
        return torch.stack([self.chain_rows(w, e.expand(self.points.shape)) for e in unit], dim=1)

    def second(self, w: Tensor, g: Tensor) -> Matrix | None:
        """(Σ gᵢzᵢᵀ, Σ gᵢ) times ∂²a/∂w², (p, p); None where (A, b) is linear in w."""
        F = self.transform.lift(w, 2)
        return None if F is None else Matrix(torch.tensordot(self._lifted_gradient(g), F, dims=1))

    def chain_rows(self, w: Tensor, g: Tensor) -> Tensor:
        """y is linear in (A, b): a row is the outer product (gᵢzᵢᵀ, gᵢ); then times ∂a/∂w."""
        z, g, E = self.z.T, g.T, self.transform.lift(w, 1)
        rows = torch.cat([(g[:, None] * z).reshape(-1, len(self.points)), g]).T
        return rows if E is None else rows @ E

    def chain_gradient(self, w: Tensor, g: Tensor) -> Tensor:
        """(Σ gᵢzᵢᵀ, Σ gᵢ): a matrix product; then times ∂a/∂w."""
        gradient, E = self._lifted_gradient(g), self.transform.lift(w, 1)
        return gradient if E is None else gradient @ E

    def _lifted_gradient(self, g: Tensor) -> Tensor:
        return torch.cat([(g.T @ self.z).reshape(-1), g.sum(0)])

    def chain_hessian(self, w: Tensor, H: Tensor, g: Tensor | None = None) -> Tensor:
        """A table of moments Σ Hₖₗ zᵢzⱼ, here with z = (x − c, 1): again a matrix product."""
        d, z = self.transform.dim, self._extended
        # (k, l, i) by (j), then (k, i) by (l, j)
        moments = (H.reshape(-1, d * d).T[:, None] * z).reshape(-1, len(self.points)) @ z.T
        moments = moments.reshape(d, d, d + 1, d + 1).transpose(1, 2).reshape(d * (d + 1), -1)
        hessian, E = moments[self._order][:, self._order], self.transform.lift(w, 1)
        if E is not None:
            hessian = E.T @ hessian @ E
        second = None if g is None else self.second(w, g)
        return hessian if second is None else hessian + second.matrix
