"""Registration: find w such that the moved template T(y(x; w)) looks like the reference R.

    J(w; θ) = D(T(y(x; w)), R(x)) + λS(w)

Both images are smoothed with the same θ, which counts in cells of the reference. D is a distance,
by default the squared difference

    D = ½‖r‖²,    r = √ω (T(y(x; w)) − R(x)),

where ω is the cell volume, times a mask; λS is a regulariser, or nothing. One evaluation of the
spline gives T, ∇T and ∇²T at y, and the chain rule does the rest. With a = ∂D/∂t and C = ∂²D/∂t²,
which for the squared difference are ωr and diag ω, and A = ∇T · ∂y/∂w (n, p):

    gradient       Aᵀa           = Σ aᵢ∇Tᵢᵀ ∂yᵢ/∂w
    Gauss-Newton   AᵀCA          = Σ ωᵢ (∂yᵢ/∂w)ᵀ ∇Tᵢ∇Tᵢᵀ ∂yᵢ/∂w
    Hessian        AᵀCA + Σ aᵢ∇² : ω∇T∇Tᵀ becomes ω∇T∇Tᵀ + a∇²T, and y adds its own second derivative.

Where points count only as far as they overlap (``outside="overlap"``), t stands for the pair of T
and the cover P at y, see ``outside``: everything is summed over the two.

Second derivatives come in two forms: ``hessian`` is a matrix (p, p), ``curvature`` the same as an
operator, for more parameters than a matrix could hold. And every derivative is there twice:
``method="closed"`` is the above, ``method="autodiff"`` is torch.func.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal

import torch

from regkit._require import real_tensor, require, require_words
from regkit.distances import SSD, Distance
from regkit.grid import Grid
from regkit.motions import Motion
from regkit.operators import Diagonal, LowRankUpdate, Operator
from regkit.outside import Outside, Overlap, completed, cover, hardly, known, padding, warn_of_bright_border
from regkit.problems import Kind
from regkit.regularizers import Regulariser
from regkit.spline import SmoothingBasis, at_centres, evaluate
from regkit.transforms import Affine, Transform

Method = Literal["closed", "autodiff"]


@dataclass(frozen=True, eq=False, repr=False)
class Registration:
    """Two images and how they are to be compared: everything but w and θ.

    Args:
        template (grid.shape, or template_grid.shape; any unit): the image that is
            moved, floating-point.
        reference (grid.shape, the same unit): the image that stays.
        grid: the box and the cells of the reference, and of the template if it has none of its own.
        transform: y(x; w).
        distance: how much the moved template and the reference differ.
        weights (grid.shape): a mask or any weights ≥ 0, fixed to the reference; None for 1. Where
            they are zero the reference may be NaN.
        regulariser: λS(w); None for 0.
        template_grid: the box and the cells of the template, in the same unit of length; None for
            ``grid``. Both images are blurred equally far in that unit, whatever their cells.
        outside: what the images are beyond their boxes, a value, "edge", "mean" or "overlap", with
            the formulas in the module ``outside``. None for 0, with a warning where the template's
            border is bright.
        template_weights (of the shape of the template): a mask that moves with the template, which
            may be NaN where it is zero. It implies "overlap".

    Raises:
        ValueError: where shapes, kinds or dimensions do not fit, for weights that are negative or
            all zero, and for a distance or a transformation that is none.

    Example:
        >>> grid = Grid((8.0,), (8,))
        >>> hill = torch.exp(-0.5 * (grid.axis(0) - 3) ** 2)
        >>> problem = Registration(hill, hill.roll(2), grid, Affine(1))
        >>> problem
        Registration of 8 cells: Affine(dim=1, center=None), SSD()
        >>> problem.at(0.0).gradient(problem.transform.identity()).shape
        torch.Size([2])
    """

    template: torch.Tensor
    reference: torch.Tensor
    grid: Grid
    transform: Transform = field(default_factory=Affine)
    distance: Distance = field(default_factory=SSD)
    weights: torch.Tensor | None = None
    regulariser: Regulariser | None = None
    template_grid: Grid | None = None
    outside: Outside = None
    template_weights: torch.Tensor | None = None

    def __post_init__(self):
        known = isinstance(self.grid, Grid) and isinstance(self.template_grid, Grid | None)
        require(known, lambda: f"expected a Grid, got {self.grid!r} and template_grid {self.template_grid!r}")
        known = isinstance(self.distance, Distance)
        require(known, f"expected a Distance, such as distances.SSD(), got {self.distance!r}")
        known = isinstance(self.transform, Transform)
        require(known, f"expected a Transform, such as transforms.Affine(), got {self.transform!r}")
        known = self.regulariser is None or isinstance(self.regulariser, Regulariser)
        require(known, f"expected a Regulariser, such as regularizers.Quadratic, got {self.regulariser!r}")
        implied = self.outside is None and self.template_weights is not None
        object.__setattr__(self, "outside", "overlap" if implied else self.outside)
        fits = self.template_weights is None or self.outside == "overlap"
        require(fits, f'expected outside "overlap" with template_weights, got {self.outside!r}')
        for name, mask, grid in zip(
            ("reference", "template"), ("weights", "template_weights"), self.grids, strict=True
        ):
            images = completed(
                getattr(self, name), getattr(self, mask), (name, mask), grid.shape, self.outside
            )
            for key, image in zip((name, mask), images, strict=True):
                object.__setattr__(self, key, image)
        kinds = [f"{image.dtype} on {image.device}" for image in (self.template, self.reference)]
        require(kinds[0] == kinds[1], f"expected images of one kind, got {kinds[0]} and {kinds[1]}")
        dim, other = self.grid.dim, self.transform.dim
        require(dim == other, f"expected a transformation in {dim} dimensions, got one in {other}")
        if self.outside is None:
            warn_of_bright_border(self.template)
        # What is kept is made here: made at its first use inside a derivative, it would not outlive that.
        _ = self.bases, self.beyond, self.cover, self.motion, self.omega

    def __repr__(self) -> str:
        cells, finer = (" × ".join(map(str, grid.shape)) for grid in self.grids)
        cells = cells if self.template_grid is None else f"{finer} to {cells}"
        extra = "".join(
            f", {name}"
            for name in ("weights", "template_weights", "regulariser")
            if getattr(self, name) is not None
        )
        extra += "" if self.outside is None else f", outside={self.outside!r}"
        return f"Registration of {cells} cells: {self.transform}, {self.distance}{extra}"

    @property
    def grids(self) -> tuple[Grid, Grid]:
        """The grids of reference and template."""
        return self.grid, self.template_grid or self.grid

    @cached_property
    def bases(self) -> tuple[SmoothingBasis, SmoothingBasis]:
        """Template and reference, ready for any θ."""
        h, other = (grid.spacing for grid in self.grids)
        factors = tuple((a / b) ** 4 for a, b in zip(h, other, strict=True)) if other != h else None
        beyond, other = self.beyond
        return SmoothingBasis(self.template, factors, beyond), SmoothingBasis(self.reference, None, other)

    @cached_property
    def beyond(self) -> tuple[torch.Tensor, torch.Tensor]:
        """The values of template and reference beyond their boxes."""
        pairs = (self.template, self.template_weights), (self.reference, self.weights)
        return tuple(padding(image, self.outside, known(image, mask)) for image, mask in pairs)

    @cached_property
    def cover(self) -> torch.Tensor | None:
        """The coefficients of P, of the shape of the template, for "overlap"; else None."""
        return cover(self.template, self.template_weights) if self.outside == "overlap" else None

    @cached_property
    def measure(self) -> Distance:
        """The distance on the grid, of the points that overlap for "overlap"."""
        distance = self.distance.on(self.grid)
        return Overlap(distance) if self.outside == "overlap" else distance

    @cached_property
    def motion(self) -> Motion:
        """The transformation at the points of the grid."""
        return self.transform.on(self.grid, self.reference.dtype, self.reference.device)

    @property
    def points(self) -> torch.Tensor:
        """The points of the grid, (n, d)."""
        return self.motion.points

    @cached_property
    def omega(self) -> torch.Tensor:
        """ω, (n,): the cell volume times the weights."""
        weights = torch.ones_like(self.reference) if self.weights is None else self.weights
        return self.grid.cell_volume * weights.reshape(-1)

    def at(self, theta: float | torch.Tensor) -> Objective:
        """J for one θ ≥ 0: a few small matrix products, no system is solved."""
        c, s = (basis.coefficients(theta) for basis in self.bases)
        return Objective(self, theta, c, at_centres(s) + self.beyond[1])

    def gradient_theta(self, w: torch.Tensor, theta: float | torch.Tensor) -> torch.Tensor:
        """∂/∂θ ∇J(w; θ), (p,), exact."""
        return self.at(theta).gradient_theta(w)


@dataclass(frozen=True, eq=False, repr=False)
class Objective:
    """J(w) for one θ: the template's spline, and the reference's values at the points.

    Args:
        problem: the registration.
        theta: θ.
        coefficients (of the shape of the template): of its spline, smoothed.
        reference (n,): the smoothed reference at the points of the grid.
    """

    problem: Registration
    theta: float | torch.Tensor
    coefficients: torch.Tensor
    reference: torch.Tensor

    def __repr__(self) -> str:
        return f"Objective at θ = {float(self.theta):g} of {self.problem}"

    def point(self, w: torch.Tensor, order: int = 2) -> Evaluation:
        """All that is known at w (p,) from one evaluation of the template with ``order`` derivatives.

        It has .loss and .residual; for order 1 also .gradient, .jacobian and what is
        Gauss-Newton's; for order 2 the exact .hessian() and .curvature().
        """
        w = real_tensor(w, "parameters", self.problem.reference)
        problem, grid, y = self.problem, self.problem.grids[1], self.problem.motion(w)
        template = evaluate(self.coefficients, grid, y, order, problem.beyond[0])
        if problem.cover is None:
            return Evaluation(self, w, template if order else (template,))
        pair = template, evaluate(problem.cover, grid, y, order)
        return Evaluation(self, w, *(each if order else (each,) for each in pair))

    def residual(self, w: torch.Tensor) -> torch.Tensor:
        """r(w), (n,), without the regulariser; a ValueError if the distance has none."""
        return self.point(w, 0).residual

    def loss(self, w: torch.Tensor) -> torch.Tensor:
        """J(w) = D + λS(w), a tensor without dimensions."""
        return self.point(w, 0).loss

    def gradient(self, w: torch.Tensor, method: Method = "closed") -> torch.Tensor:
        """∇J(w), (p,)."""
        if _autodiff(method):
            return torch.func.grad(self.loss)(w)
        return self.point(w, 1).gradient

    def jacobian(self, w: torch.Tensor, method: Method = "closed") -> torch.Tensor:
        """∂r/∂w, (n, p); a ValueError if the distance has no residual."""
        if _autodiff(method):
            return torch.func.jacfwd(self.residual)(w)
        return self.point(w, 1).jacobian

    def hessian(self, w: torch.Tensor, kind: Kind = "exact", method: Method = "closed") -> torch.Tensor:
        """∇²J(w), (p, p); ``kind="gauss-newton"`` leaves out Σ aᵢ∇²."""
        gauss_newton, regulariser = _gauss_newton(kind), self.problem.regulariser
        if not _autodiff(method):
            return self.point(w, 1 if gauss_newton else 2).hessian(kind)
        if not gauss_newton:
            return torch.func.jacfwd(torch.func.grad(self.loss))(w)
        jacobian = self.jacobian(w, method)
        return jacobian.T @ jacobian + (0 if regulariser is None else regulariser.hessian(w, kind).dense(w))

    def gradient_theta(self, w: torch.Tensor) -> torch.Tensor:
        """∂/∂θ ∇J(w; θ), (p,), exact.

        With a dot for the rate of change with θ it is

            Σ (ȧᵢ∇Tᵢ + aᵢ∇Ṫᵢ)ᵀ ∂yᵢ/∂w,    ȧ = ∂²D/∂t² Ṫ + ∂²D/∂t∂s Ṙ.
        """
        problem, point = self.problem, self.point(w, 1)
        w = point.w
        template_rate, reference_rate = (basis.theta_derivative(self.theta) for basis in problem.bases)
        value, slope = evaluate(template_rate, problem.grids[1], problem.motion(w), 1)
        if problem.cover is not None:  # which does not change with θ
            value = torch.stack([value, torch.zeros_like(value)], 1).flatten()
        rate = problem.measure.curvature(*point.images, "exact") @ value
        rate = rate + problem.measure.mixed(*point.images, at_centres(reference_rate))
        slope = point.spread(rate, 1) + point.split(point.first)[0][:, None] * slope
        return problem.motion.chain_gradient(w, slope)


@dataclass(frozen=True, eq=False, repr=False)
class Evaluation:
    """J and its derivatives at one w, from one evaluation of the template at y(x; w).

    Args:
        objective: J at one θ.
        w (p,): the parameters.
        template: T (n,), ∇T (n, d), ∇²T (n, d, d) at y, as far as these were asked for.
        cover: P and its derivatives at y, likewise; empty unless only the overlap counts.
    """

    objective: Objective
    w: torch.Tensor
    template: tuple[torch.Tensor, ...]
    cover: tuple[torch.Tensor, ...] = ()

    def __repr__(self) -> str:
        return f"Evaluation: {self.objective}"

    @property
    def images(self) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """t, s, ω as ``distances`` want them, each (n,); for "overlap" t is (2n,), T and P point by point."""
        t = torch.stack([self.template[0], self.cover[0]], 1).flatten() if self.cover else self.template[0]
        return t, self.objective.reference, self.objective.problem.omega

    @cached_property
    def residual(self) -> torch.Tensor:
        """r, (n,); a ValueError if the distance has none."""
        return self.objective.problem.measure.residual(*self.images)

    @cached_property
    def loss(self) -> torch.Tensor:
        """J, a tensor without dimensions."""
        problem = self.objective.problem
        loss = problem.measure.value(*self.images)
        return loss if problem.regulariser is None else loss + problem.regulariser.value(self.w)

    @property
    def doubt(self) -> str:
        """Why a small gradient would mean nothing here; empty if it means what it should."""
        problem, c = self.objective.problem, self.objective.coefficients
        return hardly(problem.omega, self.template[1], self.cover, c, problem.grids[1])

    @cached_property
    def first(self) -> torch.Tensor:
        """a = ∂D/∂t, of the shape of t."""
        return self.objective.problem.measure.first(*self.images)

    def split(self, factor: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """What belongs to T and what to P in a vector of the shape of t, each (n,)."""
        return factor.reshape(len(self.template[0]), -1).unbind(1)

    def spread(self, factor: torch.Tensor, order: int) -> torch.Tensor:
        """factorᵢ times the derivative of T of this order, plus the same of P: (n, d) or (n, d, d)."""
        pairs = zip(self.split(factor), (self.template, self.cover), strict=False)
        return sum(part.reshape(-1, *[1] * order) * image[order] for part, image in pairs)

    def _chain_gradient(self, factor: torch.Tensor) -> torch.Tensor:
        """Σ factorᵢ ∇Tᵢᵀ ∂yᵢ/∂w."""
        return self.objective.problem.motion.chain_gradient(self.w, self.spread(factor, 1))

    def _chain_rows(self) -> torch.Tensor:
        """∂t/∂w, as many rows as t has."""
        rows = [self.objective.problem.motion.chain_rows(self.w, self.template[1])]
        if self.cover:
            rows.append(self.objective.problem.motion.chain_rows(self.w, self.cover[1]))
        return torch.stack(rows, 1).flatten(0, 1)

    @cached_property
    def gradient(self) -> torch.Tensor:
        """∇J, (p,)."""
        gradient, regulariser = self._chain_gradient(self.first), self.objective.problem.regulariser
        return gradient if regulariser is None else gradient + regulariser.gradient(self.w)

    @cached_property
    def jacobian(self) -> torch.Tensor:
        """∂r/∂w, (n, p); a ValueError if the distance has no residual."""
        return self.objective.problem.measure.jacobian(*self.images, self._chain_rows())

    def hessian(self, kind: Kind = "exact") -> torch.Tensor:
        """Σ ∂yᵀ (∇T C ∇Tᵀ + a∇²T) ∂y + a∇Tᵀ∂²y, plus the regulariser's, (p, p)."""
        problem, exact = self.objective.problem, not _gauss_newton(kind)
        if exact and len(self.template) < 3:  # ∇²T was not asked for before
            return self.objective.point(self.w, 2).hessian(kind)
        C, motion = problem.measure.curvature(*self.images, kind), problem.motion
        slope, first = self.template[1].T, None  # (d, n)
        diagonal = C.entries if isinstance(C, Diagonal) else torch.zeros_like(slope[0])
        bend = (diagonal * slope)[:, None] * slope
        if exact:
            bend = bend + self.spread(self.first, 2).movedim(0, -1)
            first = self.spread(self.first, 1)
        hessian = motion.chain_hessian(self.w, bend.movedim(-1, 0), first)
        if isinstance(C, LowRankUpdate):
            V = torch.stack([self._chain_gradient(column) for column in C.U.T])
            hessian = hessian + V.T @ C.K @ V
        elif not isinstance(C, Diagonal):
            rows = self._chain_rows()
            hessian = hessian + rows.T @ (C @ rows)
        regulariser = problem.regulariser
        return hessian if regulariser is None else hessian + regulariser.hessian(self.w, kind).dense(self.w)

    def curvature(self, kind: Kind = "exact") -> Operator:
        """The same as an operator p ← p: a product costs one with ∂y/∂w and one with its adjoint."""
        problem, exact = self.objective.problem, not _gauss_newton(kind)
        if exact and len(self.template) < 3:
            return self.objective.point(self.w, 2).curvature(kind)
        C, second = problem.measure.curvature(*self.images, kind), (None, None)
        if exact:
            second = self.spread(self.first, 2), self.spread(self.first, 1)
        slopes = torch.stack([image[1] for image in (self.template, self.cover) if image], 1)
        curvature, regulariser = problem.motion.bent(self.w, C, slopes, *second), problem.regulariser
        return curvature if regulariser is None else curvature + regulariser.hessian(self.w, kind)


def _autodiff(method: Method) -> bool:
    require_words(method=(method, ("closed", "autodiff")))
    return method == "autodiff"


def _gauss_newton(kind: Kind) -> bool:
    require_words(kind=(kind, ("exact", "gauss-newton")))
    return kind == "gauss-newton"
