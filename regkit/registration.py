"""Registration as least squares: find w such that the moved template T(y(x; w)) looks like the reference
R(x).

    J(w; θ) = ½‖r(w)‖² + λ S(w),    r = √ω (T_θ(y(x; w)) − R_θ(x)),    S = ½ (w − w₀)ᵀ M (w − w₀)

Both images are smoothed with the same θ; ω is the cell volume times a mask. With T, ∇T and ∇²T from *one*
evaluation of the spline at y, the chain rule gives, for least squares,

    gradient         Jᵀr             = Σ ωᵢrᵢ ∇Tᵢᵀ ∂yᵢ/∂w
    Gauss-Newton     JᵀJ             = Σ ωᵢ (∂yᵢ/∂w)ᵀ ∇Tᵢ∇Tᵢᵀ ∂yᵢ/∂w
    Hessian          JᵀJ + Σ rᵢ∇²rᵢ  : ∇Tᵢ∇Tᵢᵀ becomes ∇Tᵢ∇Tᵢᵀ + rᵢ∇²Tᵢ, and y adds its own second derivative.

Every derivative is there twice: ``method="closed"`` as above, ``method="autodiff"`` by torch.func.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property

import torch

from regkit._require import image_tensor, require
from regkit.distances import LeastSquares
from regkit.grid import Grid
from regkit.spline import SmoothingBasis, evaluate
from regkit.transforms import Affine, Transform

KINDS = ("exact", "gauss-newton")


@dataclass(frozen=True)
class Quadratic:
    """The regulariser λ S(w) = ½ λ (w − w₀)ᵀ M (w − w₀): keeps w near w₀. M (p, p) is symmetric; None
    means I.
    """

    strength: float
    w0: torch.Tensor
    matrix: torch.Tensor | None = None

    def hessian(self, w: torch.Tensor) -> torch.Tensor:
        M = torch.eye(len(self.w0), dtype=w.dtype, device=w.device) if self.matrix is None else self.matrix
        return self.strength * M

    def gradient(self, w: torch.Tensor) -> torch.Tensor:
        return self.hessian(w) @ (w - self.w0)

    def value(self, w: torch.Tensor) -> torch.Tensor:
        return 0.5 * (w - self.w0) @ self.gradient(w)


@dataclass(frozen=True)
class Registration:
    """Two images and the question how they fit; everything but w and θ.

    template, reference: images of shape ``grid.shape``, floating point. weights: None or ω ≥ 0 of shape
    ``grid.shape`` (a mask, say), on the reference; the cell volume is multiplied to it. regulariser: None
    or ``Quadratic``.

    Errors: ValueError where shapes or dimensions do not fit, or the weights are negative, not finite or
    all zero.
    """

    template: torch.Tensor
    reference: torch.Tensor
    grid: Grid
    transform: Transform = field(default_factory=Affine)
    distance: LeastSquares = field(default_factory=LeastSquares)
    weights: torch.Tensor | None = None
    regulariser: Quadratic | None = None

    def __post_init__(self):
        template, reference = image_tensor(self.template), image_tensor(self.reference)
        for name, image in (("template", template), ("reference", reference)):
            require(
                tuple(image.shape) == self.grid.shape,
                f"expected a {name} of shape {self.grid.shape}, got {tuple(image.shape)}",
            )
        require(
            template.dtype == reference.dtype and template.device == reference.device,
            f"expected two images of one kind, got {template.dtype} on {template.device} and "
            f"{reference.dtype} on {reference.device}",
        )
        require(
            self.transform.dim == self.grid.dim,
            f"expected a transformation in {self.grid.dim} dimensions, got one in {self.transform.dim}",
        )
        weights = (
            torch.ones_like(reference)
            if self.weights is None
            else torch.as_tensor(self.weights).to(reference)
        )
        require(
            tuple(weights.shape) == self.grid.shape,
            f"expected weights of shape {self.grid.shape}, got {tuple(weights.shape)}",
        )
        require(
            weights.isfinite().all() & (weights >= 0).all() & (weights > 0).any(),
            "expected finite weights ≥ 0, not all of them zero",
        )
        object.__setattr__(self, "_bases", (SmoothingBasis(template), SmoothingBasis(reference)))
        object.__setattr__(self, "_points", self.grid.points(reference.dtype, reference.device))
        object.__setattr__(self, "_omega", self.grid.cell_volume * weights.reshape(-1))

    def at(self, theta) -> Objective:
        """The objective for one θ ≥ 0: a few small matrix products, no system is solved."""
        c, s = (basis.coefficients(theta) for basis in self._bases)
        return Objective(self, theta, c, on_grid(s))

    def gradient_theta(self, w: torch.Tensor, theta) -> torch.Tensor:
        """∂/∂θ of the gradient ∇J(w; θ), shape (p,): see ``Objective.gradient_theta``."""
        return self.at(theta).gradient_theta(w)


def on_grid(c: torch.Tensor) -> torch.Tensor:
    """The spline with coefficients c at all cell centres, (n,): b(−1), b(0), b(1) = 1, 4, 1 along every
    axis.
    """
    for axis in range(c.ndim):
        inner = 4 * c
        length = c.shape[axis] - 1
        inner.narrow(axis, 1, length).add_(c.narrow(axis, 0, length))
        inner.narrow(axis, 0, length).add_(c.narrow(axis, 1, length))
        c = inner
    return c.reshape(-1)


@dataclass(frozen=True)
class Objective:
    """J(w) at a fixed θ. ``coefficients``: of the template; ``reference``: R at the grid points (n,)."""

    problem: Registration
    theta: float
    coefficients: torch.Tensor
    reference: torch.Tensor

    def point(self, w: torch.Tensor, order: int = 2) -> Point:
        """Evaluate the template once, with derivatives up to ``order``; loss, gradient and Hessian then
        share it.
        """
        p = self.problem.transform.parameters
        require(
            isinstance(w, torch.Tensor) and tuple(w.shape) == (p,),
            f"expected parameters of shape ({p},), got {tuple(getattr(w, 'shape', ()))}",
        )
        y = self.problem.transform(w, self.problem._points)
        template = evaluate(self.coefficients, self.problem.grid, y, order)
        return Point(self, w, (template,) if order == 0 else template)

    def residual(self, w: torch.Tensor) -> torch.Tensor:
        """r(w), shape (n,), scaled so that the distance is ½‖r‖²."""
        return self.point(w, 0).residual

    def loss(self, w: torch.Tensor) -> torch.Tensor:
        """J(w) = ½‖r‖² + λS, a tensor with no dimensions."""
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
        if not _autodiff(method):
            return self.point(w, 1 if kind == "gauss-newton" else 2).hessian(kind)
        if _gauss_newton(kind):
            jacobian, regulariser = self.jacobian(w, method), self.problem.regulariser
            return jacobian.T @ jacobian + (0 if regulariser is None else regulariser.hessian(w))
        return torch.func.jacfwd(torch.func.grad(self.loss))(w)

    def gradient_theta(self, w: torch.Tensor) -> torch.Tensor:
        """∂/∂θ ∇J(w; θ), shape (p,), exact. Both images change with θ; write ṫ, ṡ for the rates of their
        values:

        ∂θ Σ aᵢ∇Tᵢᵀ∂yᵢ/∂w = Σ (ȧᵢ∇Tᵢ + aᵢ∇Ṫᵢ)ᵀ ∂yᵢ/∂w    with a = ∂J/∂t and ȧ its derivative along (ṫ, ṡ).
        """
        problem, point = self.problem, self.point(w, 1)
        template_rate, reference_rate = (basis.theta_derivative(self.theta) for basis in problem._bases)
        y = problem.transform(w, problem._points)
        value_rate, slope_rate = evaluate(template_rate, problem.grid, y, 1)
        first, first_rate = torch.func.jvp(
            lambda t, s: problem.distance.first(t, s, problem._omega),
            (point.template[0], self.reference),
            (value_rate, on_grid(reference_rate)),
        )
        slope = first_rate[:, None] * point.template[1] + first[:, None] * slope_rate
        return problem.transform.chain_gradient(w, problem._points, slope)


@dataclass(frozen=True)
class Point:
    """What is known at one w: ``template`` = (T, ∇T, ∇²T) at y(x; w), as far as asked for. The rest when
    it is needed.
    """

    objective: Objective
    w: torch.Tensor
    template: tuple[torch.Tensor, ...]

    @cached_property
    def _images(self) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        return self.template[0], self.objective.reference, self.objective.problem._omega

    @cached_property
    def residual(self) -> torch.Tensor:
        return self.objective.problem.distance.residual(*self._images)

    @cached_property
    def loss(self) -> torch.Tensor:
        regulariser = self.objective.problem.regulariser
        loss = 0.5 * (self.residual @ self.residual)
        return loss if regulariser is None else loss + regulariser.value(self.w)

    @cached_property
    def _first(self) -> torch.Tensor:
        """Rows aᵢ∇Tᵢ with a = ∂J/∂t, shape (n, d)."""
        return self.objective.problem.distance.first(*self._images)[:, None] * self.template[1]

    @cached_property
    def gradient(self) -> torch.Tensor:
        problem = self.objective.problem
        gradient = problem.transform.chain_gradient(self.w, problem._points, self._first)
        return gradient if problem.regulariser is None else gradient + problem.regulariser.gradient(self.w)

    @cached_property
    def jacobian(self) -> torch.Tensor:
        problem = self.objective.problem
        rows = problem.transform.chain_rows(self.w, problem._points, self.template[1])
        return problem.distance.jacobian(*self._images, rows)

    def hessian(self, kind: str = "exact") -> torch.Tensor:
        return self._gauss_newton if _gauss_newton(kind) else self._exact

    @cached_property
    def _gauss_newton(self) -> torch.Tensor:
        return self._second("gauss-newton")

    @cached_property
    def _exact(self) -> torch.Tensor:
        return self._second("exact")

    def _second(self, kind: str) -> torch.Tensor:
        """Σ ∂yᵀ (D∇T∇Tᵀ + a∇²T) ∂y + a∇Tᵀ∂²y, and the distance's U K Uᵀ, and λM."""
        problem, slope = self.objective.problem, self.template[1]
        diagonal, U, K = problem.distance.second(*self._images, kind)
        curvature = (diagonal[:, None] * slope)[:, :, None] * slope[:, None, :]
        if kind == "exact":
            curvature = curvature + problem.distance.first(*self._images)[:, None, None] * self.template[2]
        first = self._first if kind == "exact" else None
        hessian = problem.transform.chain_hessian(self.w, problem._points, curvature, first)
        if U is not None:
            V = torch.stack(
                [problem.transform.chain_gradient(self.w, problem._points, u[:, None] * slope) for u in U.T]
            )
            hessian = hessian + V.T @ K @ V
        return hessian if problem.regulariser is None else hessian + problem.regulariser.hessian(self.w)


def _autodiff(method: str) -> bool:
    require(method in ("closed", "autodiff"), f'expected method "closed" or "autodiff", got {method!r}')
    return method == "autodiff"


def _gauss_newton(kind: str) -> bool:
    require(kind in KINDS, f'expected kind "exact" or "gauss-newton", got {kind!r}')
    return kind == "gauss-newton"
