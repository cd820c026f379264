"""Registration as least squares: find w such that the moved template T(y(x; w)) looks like the reference R.

    J(w; θ) = ½‖r(w)‖² + λ S(w),    r = √ω (T(y(x; w)) − R(x)),    S(w) = ½ (w − w₀)ᵀ M (w − w₀)

Both images are smoothed with the same θ; ω is the cell volume, times a mask. One evaluation of the spline
gives T, ∇T and ∇²T at y, and the chain rule does the rest; for least squares

    gradient       Jᵀr              = Σ ωᵢrᵢ ∇Tᵢᵀ ∂yᵢ/∂w
    Gauss-Newton   JᵀJ              = Σ ωᵢ (∂yᵢ/∂w)ᵀ ∇Tᵢ∇Tᵢᵀ ∂yᵢ/∂w
    Hessian        JᵀJ + Σ rᵢ∇²rᵢ   : ∇T∇Tᵀ becomes ∇T∇Tᵀ + r∇²T, and y adds its own second derivative.

Every derivative is there twice: ``method="closed"`` is the above, ``method="autodiff"`` is torch.func.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property

import torch

from regkit._require import image_tensor, require
from regkit.distances import NCC, SSD
from regkit.grid import Grid
from regkit.spline import SmoothingBasis, evaluate
from regkit.transforms import Affine, Transform


@dataclass(frozen=True)
class Quadratic:
    """The regulariser λS(w) = ½ λ (w − w₀)ᵀ M (w − w₀) keeps w near w₀. M (p, p) is symmetric; None means
    I.
    """

    strength: float
    w0: torch.Tensor
    matrix: torch.Tensor | None = None

    def hessian(self) -> torch.Tensor:
        M = torch.eye(len(self.w0)).to(self.w0) if self.matrix is None else self.matrix
        return self.strength * M

    def gradient(self, w: torch.Tensor) -> torch.Tensor:
        return self.hessian() @ (w - self.w0)

    def value(self, w: torch.Tensor) -> torch.Tensor:
        return 0.5 * (w - self.w0) @ self.gradient(w)


@dataclass(frozen=True)
class Registration:
    """Two images and how they are to be compared: everything but w and θ.

    template, reference: floating-point images of shape ``grid.shape``. weights: None, or a mask or any
    weights ≥ 0 of that shape, fixed to the reference. regulariser: None or a ``Quadratic``.

    Errors: ValueError where shapes, kinds or dimensions do not fit, or weights are negative or all zero.
    """

    template: torch.Tensor
    reference: torch.Tensor
    grid: Grid
    transform: Transform = field(default_factory=Affine)
    distance: SSD | NCC = field(default_factory=SSD)
    weights: torch.Tensor | None = None
    regulariser: Quadratic | None = None

    def __post_init__(self):
        template, reference = image_tensor(self.template), image_tensor(self.reference)
        weights = torch.ones_like(reference)
        if self.weights is not None:
            weights = torch.as_tensor(self.weights).to(reference)
        for name, part in {"template": template, "reference": reference, "weights": weights}.items():
            shape = tuple(part.shape)
            require(shape == self.grid.shape, f"expected {name} of shape {self.grid.shape}, got {shape}")
        kinds = [f"{image.dtype} on {image.device}" for image in (template, reference)]
        require(kinds[0] == kinds[1], f"expected images of one kind, got {kinds[0]} and {kinds[1]}")
        dims = self.grid.dim, self.transform.dim
        require(
            dims[0] == dims[1], f"expected a transformation in {dims[0]} dimensions, got one in {dims[1]}"
        )
        usable = weights.isfinite().all() & (weights >= 0).all() & (weights > 0).any()
        require(usable, "expected finite weights ≥ 0, not all of them zero")
        object.__setattr__(self, "bases", (SmoothingBasis(template), SmoothingBasis(reference)))
        points = self.grid.points(reference.dtype, reference.device)
        object.__setattr__(self, "points", points.T.contiguous().T)  # each coordinate in one piece: faster
        object.__setattr__(self, "omega", self.grid.cell_volume * weights.reshape(-1))

    def at(self, theta) -> Objective:
        """J for one θ ≥ 0: a few small matrix products, no system is solved."""
        c, s = (basis.coefficients(theta) for basis in self.bases)
        return Objective(self, theta, c, at_centres(s))

    def gradient_theta(self, w: torch.Tensor, theta) -> torch.Tensor:
        """∂/∂θ ∇J(w; θ), shape (p,), exact."""
        return self.at(theta).gradient_theta(w)


def at_centres(c: torch.Tensor) -> torch.Tensor:
    """The spline with coefficients c at all cell centres, (n,): b is 1, 4, 1 there, along every axis."""
    for axis, cells in enumerate(c.shape):
        value = 4 * c
        value.narrow(axis, 1, cells - 1).add_(c.narrow(axis, 0, cells - 1))
        value.narrow(axis, 0, cells - 1).add_(c.narrow(axis, 1, cells - 1))
        c = value
    return c.reshape(-1)


@dataclass(frozen=True)
class Objective:
    """J(w) for one θ, with the template's spline coefficients and the reference's values at the points
    (n,).
    """

    problem: Registration
    theta: float
    coefficients: torch.Tensor
    reference: torch.Tensor

    def point(self, w: torch.Tensor, order: int = 2) -> Point:
        """All that is known at w from one evaluation of the template with ``order`` derivatives.

        It has .residual, .loss, and for order 1 .gradient, .jacobian, for order 2 .hessian(kind).
        """
        y = self.problem.transform(w, self.problem.points)
        template = evaluate(self.coefficients, self.problem.grid, y, order)
        return Point(self, w, template if order else (template,))

    def residual(self, w: torch.Tensor) -> torch.Tensor:
        """r(w), shape (n,), without the regulariser."""
        return self.point(w, 0).residual

    def loss(self, w: torch.Tensor) -> torch.Tensor:
        """J(w) = ½‖r‖² + λS(w), a tensor without dimensions."""
        return self.point(w, 0).loss

    def gradient(self, w: torch.Tensor, method: str = "closed") -> torch.Tensor:
        """∇J(w), shape (p,)."""
        if _autodiff(method):
            return torch.func.grad(self.loss)(w)
        return self.point(w, 1).gradient

    def jacobian(self, w: torch.Tensor, method: str = "closed") -> torch.Tensor:
        """∂r/∂w, shape (n, p)."""
        if _autodiff(method):
            return torch.func.jacfwd(self.residual)(w)
        return self.point(w, 1).jacobian

    def hessian(self, w: torch.Tensor, kind: str = "exact", method: str = "closed") -> torch.Tensor:
        """∇²J(w), shape (p, p); ``kind="gauss-newton"`` leaves out Σ rᵢ∇²rᵢ."""
        gauss_newton, regulariser = _gauss_newton(kind), self.problem.regulariser
        if not _autodiff(method):
            return self.point(w, 1 if gauss_newton else 2).hessian(kind)
        if not gauss_newton:
            return torch.func.jacfwd(torch.func.grad(self.loss))(w)
        jacobian = self.jacobian(w, method)
        return jacobian.T @ jacobian + (0 if regulariser is None else regulariser.hessian())

    def gradient_theta(self, w: torch.Tensor) -> torch.Tensor:
        """∂/∂θ ∇J(w; θ), shape (p,), exact. With a = ∂J/∂t, and a dot for the rate of change with θ, it is

        Σ (ȧᵢ∇Tᵢ + aᵢ∇Ṫᵢ)ᵀ ∂yᵢ/∂w,    ȧ = ∂²J/∂t² Ṫ + ∂²J/∂t∂s Ṙ.
        """
        problem, point = self.problem, self.point(w, 1)
        template_rate, reference_rate = (basis.theta_derivative(self.theta) for basis in problem.bases)
        y = problem.transform(w, problem.points)
        value, slope = evaluate(template_rate, problem.grid, y, 1)
        D, U, K = problem.distance.second(*point.images, "exact")
        rate = D * value + problem.distance.mixed(*point.images, at_centres(reference_rate))
        if U is not None:
            rate = rate + U @ (K @ (U.T @ value))
        slope = rate[:, None] * point.template[1] + point.first[:, None] * slope
        return problem.transform.chain_gradient(w, problem.points, slope)


@dataclass(frozen=True)
class Point:
    """J and its derivatives at w, from ``template`` = (T, ∇T, ∇²T) at y(x; w), as far as these were asked
    for.
    """

    objective: Objective
    w: torch.Tensor
    template: tuple[torch.Tensor, ...]

    @property
    def images(self) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """t, s, ω as ``distances`` want them."""
        return self.template[0], self.objective.reference, self.objective.problem.omega

    @cached_property
    def residual(self) -> torch.Tensor:
        return self.objective.problem.distance.residual(*self.images)

    @cached_property
    def loss(self) -> torch.Tensor:
        loss, regulariser = 0.5 * (self.residual @ self.residual), self.objective.problem.regulariser
        return loss if regulariser is None else loss + regulariser.value(self.w)

    @cached_property
    def first(self) -> torch.Tensor:
        """a = ∂J/∂t, shape (n,)."""
        return self.objective.problem.distance.first(*self.images)

    def _chain_gradient(self, factor: torch.Tensor) -> torch.Tensor:
        """Σ factorᵢ ∇Tᵢᵀ ∂yᵢ/∂w."""
        problem = self.objective.problem
        return problem.transform.chain_gradient(self.w, problem.points, factor[:, None] * self.template[1])

    @cached_property
    def gradient(self) -> torch.Tensor:
        gradient, regulariser = self._chain_gradient(self.first), self.objective.problem.regulariser
        return gradient if regulariser is None else gradient + regulariser.gradient(self.w)

    @cached_property
    def jacobian(self) -> torch.Tensor:
        problem = self.objective.problem
        rows = problem.transform.chain_rows(self.w, problem.points, self.template[1])
        return problem.distance.jacobian(*self.images, rows)

    def hessian(self, kind: str = "exact") -> torch.Tensor:
        """Σ ∂yᵀ (D∇T∇Tᵀ + a∇²T) ∂y + a∇Tᵀ∂²y, plus what the distance and the regulariser add."""
        problem, exact = self.objective.problem, not _gauss_newton(kind)
        if exact and len(self.template) < 3:  # ∇²T was not asked for before
            return self.objective.point(self.w, 2).hessian(kind)
        D, U, K = problem.distance.second(*self.images, kind)
        slope = self.template[1].T  # (d, n)
        curvature, first = (D * slope)[:, None] * slope, None
        if exact:
            curvature = curvature + self.first * self.template[2].movedim(0, -1)
            first = self.first[:, None] * self.template[1]
        hessian = problem.transform.chain_hessian(self.w, problem.points, curvature.movedim(-1, 0), first)
        if U is not None:
            V = torch.stack([self._chain_gradient(column) for column in U.T])
            hessian = hessian + V.T @ K @ V
        return hessian if problem.regulariser is None else hessian + problem.regulariser.hessian()


def _autodiff(method: str) -> bool:
    require(method in ("closed", "autodiff"), f'expected method "closed" or "autodiff", got {method!r}')
    return method == "autodiff"


def _gauss_newton(kind: str) -> bool:
    require(kind in ("exact", "gauss-newton"), f'expected kind "exact" or "gauss-newton", got {kind!r}')
    return kind == "gauss-newton"
