"""Regularisers λS(w): what w should be like when the images alone do not say.

A regulariser gives ``value(w)``, ``gradient(w)`` (p,) and ``hessian(w)``, an operator p ← p. A new
``Regulariser`` needs only its value: the rest is by torch.func. Those of a deformation are in the
module ``energies``.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch

from regkit._require import number, require
from regkit.operators import Hessian, Map, Matrix, Operator
from regkit.problems import Kind


class Regulariser:
    """Any λS(w): a subclass gives ``value``.

    Example:
        >>> class Barrier(Regulariser):
        ...     def value(self, w):
        ...         return -w.log().sum()
        >>> Barrier().gradient(torch.tensor([1.0, 2.0]))
        tensor([-1.0000, -0.5000])
    """

    def value(self, w: torch.Tensor) -> torch.Tensor:
        """λS(w), a tensor without dimensions, for w (p,)."""
        raise NotImplementedError("a regulariser says what its value is")

    def gradient(self, w: torch.Tensor) -> torch.Tensor:
        """λ∇S(w), (p,)."""
        return torch.func.grad(self.value)(w)

    def hessian(self, w: torch.Tensor, kind: Kind = "exact") -> Operator:
        """λ∇²S(w) as an operator p ← p; for "gauss-newton" one that may leave out what is not positive."""
        return Hessian(self.gradient, w)

    def coarser(self, refine: Map) -> Regulariser:
        """The regulariser for a transformation with fewer parameters v, w = refine(v): λS(refine(v))."""
        return Refined(self, refine)


@dataclass(frozen=True, eq=False)
class Quadratic(Regulariser):
    """λS(w) = ½ λ (w − w₀)ᵀ M (w − w₀) keeps w near w₀, or smooth.

    Args:
        strength: λ ≥ 0.
        M (p, p): symmetric and positive semidefinite, a matrix (p, p) or an operator p ← p.
            ``Diagonal`` of ones keeps w near w₀; DᵀD with a difference operator D keeps w −
            w₀ smooth.
        w0 (p,): where S is zero.

    Raises:
        ValueError: for an M that is not square or does not fit w₀, or a negative strength.

    Example:
        >>> pull = Quadratic(0.5, torch.tensor([[2.0, 1.0], [1.0, 4.0]]), torch.zeros(2))
        >>> w = torch.tensor([1.0, 1.0])
        >>> pull.value(w), pull.gradient(w), pull.hessian()
        (tensor(2.), tensor([1.5000, 2.5000]), Matrix 2 × 2)
    """

    strength: float
    M: torch.Tensor | Operator
    w0: torch.Tensor

    def __post_init__(self):
        flat = isinstance(self.w0, torch.Tensor) and self.w0.ndim == 1
        require(flat, f"expected w0 as a flat tensor, got {self.w0!r}")
        p, shape = len(self.w0), tuple(getattr(self.M, "shape", ()))
        require(shape == (p, p), f"expected M of shape {(p, p)}, as w0 has {p} entries, got {shape}")
        if isinstance(self.M, torch.Tensor):
            askew, most = (self.M - self.M.T).abs().max(), self.M.abs().max()
            require(askew <= 1e-5 * most, "expected a symmetric M of finite numbers, got one that is not")
        number(self.strength, "a strength ≥ 0", 0)

    def hessian(self, w: torch.Tensor | None = None, kind: Kind = "exact") -> Operator:
        """λM as an operator p ← p, the same at every w."""
        M = self.strength * self.M
        return M if isinstance(M, Operator) else Matrix(M)

    def gradient(self, w: torch.Tensor) -> torch.Tensor:
        """λM (w − w₀), (p,)."""
        shapes = tuple(w.shape), tuple(self.w0.shape)
        require(shapes[0] == shapes[1], f"expected w of shape {shapes[1]}, as w0, got {shapes[0]}")
        return self.hessian() @ (w - self.w0)

    def value(self, w: torch.Tensor) -> torch.Tensor:
        """½ λ (w − w₀)ᵀ M (w − w₀), a tensor without dimensions."""
        return 0.5 * (w - self.w0) @ self.gradient(w)

    def __repr__(self) -> str:
        return f"Quadratic({self.strength:g}, p = {len(self.w0)})"


@dataclass(frozen=True, eq=False)
class Refined(Regulariser):
    """Another regulariser, as coarser parameters v see it: λS(refine(v)).

    Args:
        regulariser: λS(w).
        refine: v ↦ w, such as ``transform.refine``.
    """

    regulariser: Regulariser
    refine: Map

    def value(self, w: torch.Tensor) -> torch.Tensor:
        """λS(refine(v)), a tensor without dimensions."""
        return self.regulariser.value(self.refine(w))
