"""What an optimiser is given: objectives, and what is known of them at one point.

An ``Objective`` is asked for a ``Point``: ``objective.point(w, order)`` evaluates what the derivatives up to
``order`` have in common, once. The point then has

    loss         J(w)                              gradient        ∇J(w), (p,)
    hessian      ∇²J(w), (p, p), or its            curvature       the same as an ``Operator``: its products
                 Gauss-Newton part                                 with vectors, never the matrix

The kinds of second derivative are "exact" and "gauss-newton". ``Residual`` makes an objective ½‖r(w)‖² of any
r, ``Formula`` one of any formula in w and θ; both differentiate by torch.func.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Literal, Protocol, runtime_checkable

import torch

from regkit._require import require
from regkit.operators import FunctionOperator, Matrix, Operator

Kind = Literal["exact", "gauss-newton"]


@runtime_checkable
class Point(Protocol):
    """An objective at one w: values that are computed when first asked for, and kept."""

    w: torch.Tensor

    @property
    def loss(self) -> torch.Tensor:
        """J(w), a tensor without dimensions."""

    @property
    def gradient(self) -> torch.Tensor:
        """∇J(w), (p,)."""

    def hessian(self, kind: Kind = "exact") -> torch.Tensor:
        """∇²J(w) or its Gauss-Newton part, (p, p)."""

    def curvature(self, kind: Kind = "exact") -> Operator:
        """The same as an operator p ← p."""


@runtime_checkable
class Objective(Protocol):
    """A function J of w (p,) that can be minimised."""

    def point(self, w: torch.Tensor, order: int = 2) -> Point:
        """J at w, prepared for ``order`` derivatives."""


class ResidualPoint:
    """½‖r‖² at one w: a subclass gives ``w`` (p,), ``residual`` r (n,) and ``jacobian`` J (n, p)."""

    w: torch.Tensor
    residual: torch.Tensor
    jacobian: torch.Tensor

    @property
    def loss(self) -> torch.Tensor:
        """½‖r‖²."""
        return 0.5 * (self.residual @ self.residual)

    @property
    def gradient(self) -> torch.Tensor:
        """Jᵀr, (p,)."""
        return self.jacobian.T @ self.residual

    def hessian(self, kind: Kind = "gauss-newton") -> torch.Tensor:
        """The Gauss-Newton matrix JᵀJ, (p, p); the exact Hessian has r's second derivatives as well."""
        require(kind == "gauss-newton", f'expected kind "gauss-newton" for a residual, got {kind!r}')
        return self.jacobian.T @ self.jacobian

    def curvature(self, kind: Kind = "gauss-newton") -> Operator:
        """JᵀJ as an operator: J is stored, JᵀJ is not."""
        require(kind == "gauss-newton", f'expected kind "gauss-newton" for a residual, got {kind!r}')
        J = Matrix(self.jacobian)
        return J.T @ J


@dataclass(frozen=True, eq=False)
class Residual:
    """The objective ½‖r(w)‖² of any r: ℝᵖ → ℝⁿ.

    Args:
        residual: w (p,) ↦ r (n,).
        jacobian: w ↦ ∂r/∂w (n, p); by forward mode if it is not given.

    Example:
        >>> import torch
        >>> point = Residual(lambda w: w**2 - 2).point(torch.tensor([1.0]))
        >>> point.loss, point.gradient
        (tensor(0.5000), tensor([-2.]))
    """

    residual: Callable[[torch.Tensor], torch.Tensor]
    jacobian: Callable[[torch.Tensor], torch.Tensor] | None = None

    def point(self, w: torch.Tensor, order: int = 1) -> ResidualPoint:
        """r and J at w, computed when first asked for."""
        return _ResidualAt(self, w)


@dataclass(frozen=True, eq=False)
class _ResidualAt(ResidualPoint):
    objective: Residual
    w: torch.Tensor

    @cached_property
    def residual(self) -> torch.Tensor:
        return self.objective.residual(self.w)

    @cached_property
    def jacobian(self) -> torch.Tensor:
        return (self.objective.jacobian or torch.func.jacfwd(self.objective.residual))(self.w)


@dataclass(frozen=True, eq=False)
class Formula:
    """A problem from a formula in w and θ, for small examples; all derivatives are by torch.func.

    Args:
        formula: (w (p,), θ, a tensor without dimensions) ↦ J, a tensor without dimensions.
        theta: the θ of this objective; ``at`` gives another.

    Example:
        >>> import torch
        >>> problem = Formula(lambda w, theta: (w[0] - theta) ** 2)
        >>> problem.at(2.0).gradient(torch.tensor([3.0]))
        tensor([2.])
    """

    formula: Callable[[torch.Tensor, torch.Tensor], torch.Tensor]
    theta: float = 0.0

    def at(self, theta: float) -> Formula:
        """The same formula at another θ."""
        return replace(self, theta=theta)

    def point(self, w: torch.Tensor, order: int = 2) -> FormulaPoint:
        """J and its derivatives at w, computed when first asked for."""
        return FormulaPoint(self, w)

    def loss(self, w: torch.Tensor) -> torch.Tensor:
        """J(w; θ)."""
        return self.formula(w, w.new_tensor(self.theta))

    def gradient(self, w: torch.Tensor) -> torch.Tensor:
        """∇J(w; θ), (p,)."""
        return torch.func.grad(self.loss)(w)

    def hessian(self, w: torch.Tensor, kind: Kind = "exact") -> torch.Tensor:
        """∇²J(w; θ), (p, p), forward over reverse."""
        require(kind == "exact", f"expected hessian 'exact' for a formula, got {kind!r}")
        return torch.func.jacfwd(torch.func.grad(self.loss))(w)

    def gradient_theta(self, w: torch.Tensor) -> torch.Tensor:
        """∂/∂θ ∇J(w; θ), (p,)."""
        return torch.func.jacfwd(lambda t: torch.func.grad(self.formula)(w, t))(w.new_tensor(self.theta))


@dataclass(frozen=True, eq=False)
class FormulaPoint:
    """A ``Formula`` at one w."""

    objective: Formula
    w: torch.Tensor

    @cached_property
    def loss(self) -> torch.Tensor:
        """J(w; θ)."""
        return self.objective.loss(self.w)

    @cached_property
    def gradient(self) -> torch.Tensor:
        """∇J(w; θ), (p,)."""
        return self.objective.gradient(self.w)

    def hessian(self, kind: Kind = "exact") -> torch.Tensor:
        """∇²J(w; θ), (p, p)."""
        return self.objective.hessian(self.w, kind)

    def curvature(self, kind: Kind = "exact") -> Operator:
        """∇²J as an operator: each product is a forward derivative of the gradient."""
        require(kind == "exact", f"expected hessian 'exact' for a formula, got {kind!r}")
        p, gradient = len(self.w), self.objective.gradient

        def times(v: torch.Tensor) -> torch.Tensor:
            product = torch.func.jvp(gradient, (self.w,), (v,))[1] if v.ndim == 1 else None
            return torch.stack([times(c) for c in v.T], dim=1) if product is None else product

        return FunctionOperator((p, p), times, times)
