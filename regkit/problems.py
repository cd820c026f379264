"""What an optimiser is given: objectives, and what is known of them at one point.

An ``Objective`` is asked for a ``Point``: ``objective.point(w, order)`` evaluates what the
derivatives up to ``order`` have in common, once. The point then has

    loss         J(w)                              gradient        ∇J(w), (p,)
    hessian      ∇²J(w), (p, p), or its            curvature       the same as an ``Operator``: its products
                 Gauss-Newton part                                 with vectors, never the matrix

The kinds of second derivative are "exact" and "gauss-newton". Three ways to an objective without
writing a class: ``Functions`` takes J and whichever derivatives there are, ``Residual`` makes
½‖r(w)‖² of any r, and ``Formula`` is any formula in w and θ. What is not given is by torch.func.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Literal, Protocol, runtime_checkable

import torch

from regkit._require import require, require_words
from regkit.operators import Hessian, Map, Matrix, Operator

Kind = Literal["exact", "gauss-newton"]


@runtime_checkable
class Point(Protocol):
    """An objective at one w."""

    @property
    def w(self) -> torch.Tensor:
        """The parameters (p,)."""
        ...

    @property
    def loss(self) -> torch.Tensor:
        """J(w), a tensor without dimensions."""
        ...

    @property
    def gradient(self) -> torch.Tensor:
        """∇J(w), (p,)."""
        ...

    def hessian(self, kind: Kind = "exact") -> torch.Tensor:
        """∇²J(w) or its Gauss-Newton part, (p, p)."""
        ...

    def curvature(self, kind: Kind = "exact") -> Operator:
        """The same as an operator p ← p."""
        ...


@runtime_checkable
class Objective(Protocol):
    """A function J of w (p,) that can be minimised."""

    def point(self, w: torch.Tensor, order: int = 2) -> Point:
        """J at w, prepared for ``order`` derivatives."""
        ...


class ScaledObjective(Objective, Protocol):
    """J(·; θ) at one scale θ, which also knows how its gradient changes with θ."""

    def gradient_theta(self, w: torch.Tensor) -> torch.Tensor:
        """∂/∂θ ∇J(w; θ), (p,)."""
        ...


class Problem(Protocol):
    """A family of objectives over θ, as ``continuation`` and ``branches`` follow it."""

    def at(self, theta: float) -> ScaledObjective:
        """J(·; θ)."""
        ...


class Counted:
    """A point whose values are computed once each, when first asked for, kept, and counted.

    They are numbers: what an image or an objective has for a tape ends here, and w is not on it.

    Args:
        point: any ``Point``, afterwards ``alone``. What else it knows, such as a residual, is passed on.
        counts: where loss, gradient and Hessian are counted; None counts for this point alone.

    Example:
        >>> import torch
        >>> point = Counted(Residual(lambda w: w - 1).point(torch.tensor([3.0])))
        >>> point.loss, point.loss, dict(point.counts)
        (2.0, 2.0, {'loss': 1})
    """

    def __init__(self, point: Point, counts: Counter[str] | None = None):
        self.w, self.counts = point.w, Counter() if counts is None else counts
        self.alone, self._hessians = point, {}

    def __getattr__(self, name: str):
        if name.startswith("_") or name == "alone":  # while it is copied it has no attributes of its own yet
            raise AttributeError(name)
        return getattr(self.alone, name)

    @cached_property
    def loss(self) -> float:
        """J(w) as a number."""
        self.counts["loss"] += 1
        loss = self.alone.loss
        return float(loss.detach() if isinstance(loss, torch.Tensor) else loss)

    @cached_property
    def gradient(self) -> torch.Tensor:
        """∇J(w), (p,)."""
        self.counts["gradient"] += 1
        gradient = self.alone.gradient
        fits = isinstance(gradient, torch.Tensor) and gradient.shape == self.w.shape
        require(fits, lambda: f"expected a gradient of shape {tuple(self.w.shape)}, got {gradient!r}")
        return gradient.detach()

    def hessian(self, kind: Kind = "exact") -> torch.Tensor:
        """∇²J(w) or its Gauss-Newton part, (p, p)."""
        if kind not in self._hessians:
            self.counts["hessian"] += 1
            self._hessians[kind] = self.alone.hessian(kind).detach()
        return self._hessians[kind]

    def curvature(self, kind: Kind = "exact") -> Operator:
        """The same as an operator; it is not kept, for it may hold all that its products need."""
        self.counts["hessian"] += 1
        return self.alone.curvature(kind)


@dataclass(frozen=True, eq=False)
class Functions:
    """An objective made of plain functions of w (p,).

    Args:
        loss: w ↦ J, a tensor without dimensions.
        gradient: w ↦ ∇J (p,); by reverse mode if it is not given.
        hessian: w ↦ ∇²J (p, p); by forward mode over the gradient if it is not given.
        gauss_newton: w ↦ a positive semidefinite matrix (p, p) in place of ∇²J. Without it the
            methods that ask for the kind "gauss-newton" are refused.

    Example:
        >>> import torch
        >>> bowl = Functions(lambda w: (w**2).sum() + w[0])
        >>> bowl.point(torch.tensor([1.0, 2.0])).gradient
        tensor([3., 4.])
    """

    loss: Map
    gradient: Map | None = None
    hessian: Map | None = None
    gauss_newton: Map | None = None

    def point(self, w: torch.Tensor, order: int = 2) -> FunctionsPoint:
        """J and its derivatives at w, computed when asked for."""
        return FunctionsPoint(self, w)


@dataclass(frozen=True, eq=False)
class FunctionsPoint:
    """``Functions`` at one w.

    Args:
        objective: J and its derivatives.
        w (p,): where they are taken.
    """

    objective: Functions
    w: torch.Tensor

    @cached_property
    def loss(self) -> torch.Tensor:
        """J(w)."""
        return self.objective.loss(self.w)

    @cached_property
    def gradient(self) -> torch.Tensor:
        """∇J(w), (p,)."""
        return self._slope(self.w)

    def hessian(self, kind: Kind = "exact") -> torch.Tensor:
        """∇²J(w), or the matrix that was given for "gauss-newton", (p, p)."""
        return (self._given(kind) or torch.func.jacfwd(self._slope))(self.w)

    def curvature(self, kind: Kind = "exact") -> Operator:
        """The same as an operator; where no matrix is given each product is a derivative of the gradient."""
        given = self._given(kind)
        return Hessian(self._slope, self.w) if given is None else Matrix(given(self.w))

    @property
    def _slope(self) -> Map:
        return self.objective.gradient or torch.func.grad(self.objective.loss)

    def _given(self, kind: Kind) -> Map | None:
        require_words(kind=(kind, ("exact", "gauss-newton") if self.objective.gauss_newton else ("exact",)))
        return self.objective.hessian if kind == "exact" else self.objective.gauss_newton


class ResidualPoint:
    """½‖r‖² at one w: a subclass gives ``w``, ``residual`` and ``jacobian``.

    These are w (p,), r (n,) and J, a matrix (n, p) or an operator n ← p.
    """

    w: torch.Tensor
    residual: torch.Tensor
    jacobian: torch.Tensor | Operator

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
        product = self.jacobian.T @ self.jacobian
        return product.dense(self.w) if isinstance(product, Operator) else product

    def curvature(self, kind: Kind = "gauss-newton") -> Operator:
        """JᵀJ as an operator: the product is never formed."""
        require(kind == "gauss-newton", f'expected kind "gauss-newton" for a residual, got {kind!r}')
        J = self.jacobian if isinstance(self.jacobian, Operator) else Matrix(self.jacobian)
        return J.T @ J


@dataclass(frozen=True, eq=False)
class Residual:
    """The objective ½‖r(w)‖² of any r: ℝᵖ → ℝⁿ.

    Args:
        residual: w (p,) ↦ r (n,).
        jacobian: w ↦ ∂r/∂w, (n, p) or an operator n ← p; by forward mode if it is not given.

    Example:
        >>> import torch
        >>> point = Residual(lambda w: w**2 - 2).point(torch.tensor([1.0]))
        >>> point.loss, point.gradient
        (tensor(0.5000), tensor([-2.]))
    """

    residual: Map
    jacobian: Callable[[torch.Tensor], torch.Tensor | Operator] | None = None

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
    def jacobian(self) -> torch.Tensor | Operator:
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
        >>> problem.at(2.0).point(torch.tensor([3.0])).gradient
        tensor([2.])
    """

    formula: Callable[[torch.Tensor, torch.Tensor], torch.Tensor]
    theta: float = 0.0

    def at(self, theta: float) -> Formula:
        """The same formula at another θ."""
        return replace(self, theta=theta)

    def point(self, w: torch.Tensor, order: int = 2) -> FunctionsPoint:
        """J and its derivatives at w, computed when asked for."""
        return Functions(self.loss).point(w, order)

    def loss(self, w: torch.Tensor) -> torch.Tensor:
        """J(w; θ)."""
        return self.formula(w, w.new_tensor(self.theta))

    def gradient(self, w: torch.Tensor) -> torch.Tensor:
        """∇J(w; θ), (p,)."""
        return self.point(w).gradient

    def hessian(self, w: torch.Tensor, kind: Kind = "exact") -> torch.Tensor:
        """∇²J(w; θ), (p, p), forward over reverse."""
        return self.point(w).hessian(kind)

    def gradient_theta(self, w: torch.Tensor) -> torch.Tensor:
        """∂/∂θ ∇J(w; θ), (p,)."""
        return torch.func.jacfwd(lambda t: torch.func.grad(self.formula)(w, t))(w.new_tensor(self.theta))
