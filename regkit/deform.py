"""Deformable registration: thousands of parameters, from coarse to fine.

``deform`` takes image and lattice through a pyramid together. On each level a Gauss-Newton step is
the solution of

    (AᵀCA + λM) s = −∇J,    A = ∇T · ∂y/∂w,

by conjugate gradients that end early and never see a matrix. Without help they need the more
iterations the finer the lattice is, as M grows with the fourth power of 1/h. ``ModesCG`` helps: it
replaces AᵀCA by its mean, a number τᵢ for every coordinate of y, and

    (τᵢ G + λM) in the modes of the axes    is    diagonal, τᵢ + λ μ,

where G is the matrix of ∫ b b. That is inverted by two small products along each axis. The same as
a change of variables, ``Changed``, it makes any other method of ``optimize`` matrix-free.

Source:
    Haber & Modersitzki (2006), https://doi.org/10.1137/040608106;
    Nocedal & Wright (2006), section 7.1, https://doi.org/10.1007/978-0-387-40065-5
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from regkit._doubts import contrast
from regkit._orthogonal import kept_orthogonal
from regkit._require import flat, number, require, whole
from regkit.distances import ResidualDistance
from regkit.energies import Bending, Energy
from regkit.freeform import FreeForm
from regkit.grid import Grid
from regkit.lattices import Lattice
from regkit.linear import CG, Solution, Solver
from regkit.maps import fold_message
from regkit.operators import FunctionOperator, Map, Operator, columnwise
from regkit.optimize import gauss_newton
from regkit.problems import Kind, Objective, Point
from regkit.pyramid import smaller
from regkit.registered import THETA, Registered
from regkit.registration import Registration
from regkit.runs import Iteration, Result
from regkit.separable import product, transposed


class Modes:
    """(τ G + λM)⁻¹ and a root of it, up to what is not diagonal in the modes of the axes.

    Args:
        energy: whose ``spectrum`` is used, and whose strength λ.
        A: the operator that is to be inverted, from which τ is taken: a shift of everything along
            axis i costs the energy nothing, so τᵢ = 1ᵢᵀA 1ᵢ over the volume.
    """

    def __init__(self, energy: Energy, A: Map | Operator):
        apply = A.forward if isinstance(A, Operator) else A
        lattice, (self.V, self.spectrum) = energy.transform, energy.spectrum()
        self.Vt, self.sizes = transposed(self.V), (lattice.dim, *lattice.sizes)
        volume, taus = lattice.lattice.cell_volume * lattice.lattice.count, []
        for i in range(lattice.dim):
            shift = torch.zeros(self.sizes).to(self.V[0])
            shift[i] = 1
            shift = shift.reshape(-1)
            taus.append((shift @ apply(shift)) / volume)
        tau = torch.stack(taus)
        most = float(tau.max())
        smallest = 1e-6 * (most if most > 0 else 1.0)
        self.tau = tau.clamp(min=smallest)
        inverse = 1 / (self.tau.reshape(-1, *[1] * lattice.dim) + energy.strength * self.spectrum)
        self.inverse, self.root = inverse, inverse.sqrt()

    def apply(self, r: Tensor) -> Tensor:
        """(τ G + λM)⁻¹ r, nearly."""
        return product(self.V, self.inverse * product(self.Vt, r.reshape(self.sizes))).reshape(-1)

    def spread(self, v: Tensor) -> Tensor:
        """S v with S Sᵀ = (τ G + λM)⁻¹, nearly."""
        return product(self.V, self.root * v.reshape(self.sizes)).reshape(-1)

    def collect(self, w: Tensor) -> Tensor:
        """Sᵀ w."""
        return (self.root * product(self.Vt, w.reshape(self.sizes))).reshape(-1)


@dataclass(frozen=True)
class ModesCG(Solver):
    """Conjugate gradients that are preconditioned in the modes of an energy.

    Their residuals are kept orthogonal, see ``_orthogonal``: few iterations, whose result does not
    depend on how a processor rounds.

    Args:
        energy: the regulariser of the problem.
        rtol: where to end, relative to the right-hand side.
        maxiter: the most iterations.
    """

    energy: Energy
    rtol: float = 0.1
    maxiter: int = 50

    def prepare(self, A: Map | Operator) -> Callable[..., Solution]:
        """As ``Solver.prepare``."""
        solver = CG(self.rtol, maxiter=self.maxiter, preconditioner=Modes(self.energy, A).apply)
        return lambda b, x0=None: kept_orthogonal(solver).solve(A, b, x0)


@dataclass(frozen=True, eq=False)
class Changed:
    """An objective in other variables v: J(w₀ + S v), with S Sᵀ close to the inverse of its Hessian.

    In v the Hessian is close to the unit matrix: what is matrix-free, such as ``newton_trust(…,
    subproblem="krylov")``, needs few products, and its trust region has the shape of the problem.

    Args:
        objective: J, such as ``problem.at(θ)``.
        w0 (p,): where v = 0.
        modes: S.

    Example:
        >>> from regkit import FreeForm, Grid, Registration, newton_trust
        >>> from regkit.data import hands_phantom
        >>> from regkit.energies import Bending
        >>> pair = hands_phantom(32)
        >>> free = FreeForm(Grid(pair.grid.extent, (8, 8)))
        >>> bending = Bending(free, 1e4)
        >>> objective = Registration(
        ...     pair.template, pair.reference, pair.grid, free, regulariser=bending
        ... ).at(1.0)
        >>> changed = Changed.at(objective, free.identity(), bending)
        >>> found = newton_trust(changed, free.identity(), subproblem="krylov", radius=100.0)
        >>> found.converged, bool(found.loss < 0.2 * float(objective.loss(free.identity())))
        (True, True)
    """

    objective: Objective
    w0: Tensor
    modes: Modes

    @classmethod
    def at(cls, objective: Objective, w0: Tensor, energy: Energy) -> Changed:
        """Variables for the neighbourhood of w₀."""
        curvature = objective.point(w0, 1).curvature("gauss-newton")
        return cls(objective, w0, Modes(energy, curvature))

    def parameters(self, v: Tensor) -> Tensor:
        """w = w₀ + S v, (p,)."""
        return self.w0 + self.modes.spread(v)

    def point(self, v: Tensor, order: int = 2) -> ChangedPoint:
        """J at w₀ + S v, prepared for ``order`` derivatives."""
        return ChangedPoint(self, v, self.objective.point(self.parameters(v), order))


@dataclass(frozen=True, eq=False)
class ChangedPoint:
    """``Changed`` at one v.

    Args:
        changed: the objective.
        w (p,): v.
        point: what is known at w₀ + S v.
    """

    changed: Changed
    w: Tensor
    point: Point

    @property
    def loss(self) -> Tensor:
        """J, a tensor without dimensions."""
        return self.point.loss

    @property
    def gradient(self) -> Tensor:
        """Sᵀ∇J, (p,)."""
        return self.changed.modes.collect(self.point.gradient)

    def hessian(self, kind: Kind = "exact") -> Tensor:
        """SᵀHS, (p, p)."""
        return self.curvature(kind).dense(self.w)

    def curvature(self, kind: Kind = "exact") -> Operator:
        """SᵀHS as an operator."""
        H, modes = self.point.curvature(kind), self.changed.modes
        both = columnwise(lambda v: modes.collect(H @ modes.spread(v)))
        return FunctionOperator((len(self.w), len(self.w)), both, both)


@dataclass(frozen=True, eq=False, repr=False)
class Deformation:
    """What ``deform`` found.

    Args:
        problem: the finest level.
        w (p,): the parameters of its transformation.
        results: of each level, the coarsest first.
        determinant (of the shape of the grid): det ∇y(x; w).
    """

    problem: Registration
    w: Tensor
    results: list[Result]
    determinant: Tensor

    @property
    def converged(self) -> bool:
        """Whether the finest level did."""
        return self.results[-1].converged

    @property
    def message(self) -> str:
        """What ended the finest level, and whether the map folds."""
        folds = fold_message(self.determinant)
        return self.results[-1].message + (f"; {folds}" if folds else "")

    def __call__(self, x: Tensor) -> Tensor:
        """The points y(x; w), (n, d), for x (n, d): where landmarks of the reference go."""
        return self.problem.transform(self.w, x)

    def __repr__(self) -> str:
        end = "converged" if self.converged else "not converged"
        least, p = float(self.determinant.min()), len(self.w)
        return f"Deformation, p = {p}: {end}, smallest det ∇y = {least:.3g} ({self.message})"


def deform(
    problem: Registration,
    w0: Tensor | None = None,
    *,
    levels: int | None = None,
    theta: float = 1e-3,
    reduction: float = 1e-2,
    rtol: float = 0.1,
    products: int = 50,
    callback: Callable[[Iteration], bool | None] | None = None,
    **limits: Any,
) -> Deformation:
    """Deformable registration, image and lattice from coarse to fine together, by Gauss-Newton steps.

    Each level begins with the map of the one before, ``refine``, and ends where its gradient is a
    small part of what it is at w₀. Where the map folds at the end, there is a warning: the strength
    is too small, or the energy should be ``Hyperelastic``.

    Args:
        problem: the finest level, with a ``FreeForm`` or ``DisplacementField`` and an energy of it.
        w0 (p,): the start; of an affine map ``transform.of(lambda x: affine(w, x))``, 0 if None.
        levels: how many image sizes; None for as many as leave 16 cells along every side.
        theta: θ on each level, in its cells.
        reduction: where a level ends, ‖∇J(w)‖ ≤ reduction · ‖∇J(w₀)‖.
        rtol, products: of the conjugate gradients in a step: where they end, and after how many
            products with the Hessian at the latest.
        callback: gets every ``Iteration``, and ends the level by returning True.
        limits: see ``runs``.

    Returns:
        The ``Deformation``.

    Raises:
        ValueError: for a transformation without a lattice, for no energy, and for one of another lattice.

    Example:
        >>> from regkit import FreeForm, Grid, coefficients, evaluate
        >>> from regkit.data import mri
        >>> from regkit.energies import Bending
        >>> image, grid = mri(32)
        >>> bent = lambda x: x + 8 * torch.sin(x.flip(1) / 40)
        >>> reference = evaluate(coefficients(image, 0.0), grid, bent(grid.points())).reshape(32, 32)
        >>> free = FreeForm(Grid(grid.extent, (8, 8)))
        >>> problem = Registration(image, reference, grid, free, regulariser=Bending(free, 1e5))
        >>> found = deform(problem)
        >>> found.converged, bool(found.determinant.min() > 0)
        (True, True)
        >>> centre = torch.tensor([[128.0, 128.0]], dtype=torch.float64)
        >>> bool((found(centre) - bent(centre)).norm() < 1)
        True
    """
    transform, energy = problem.transform, problem.regulariser
    known = isinstance(transform, Lattice)
    require(known, f"expected a FreeForm or a DisplacementField, got {transform!r}")
    fits = isinstance(energy, Energy) and energy.transform == transform
    require(fits, f"expected an energy of {transform!r}, such as Bending, got {energy!r}")
    found = _deformed(problem, w0, levels, theta, reduction, rtol, products, callback=callback, **limits)
    message = fold_message(found.determinant)
    if message:
        remedy = "a larger strength, or the energy Hyperelastic, keeps it from that"
        warnings.warn(f"{message}; {remedy}", stacklevel=2)
    return found


def _deformed(
    problem: Registration,
    w0: Tensor | None,
    levels: int | None,
    theta: float,
    reduction: float = 1e-2,
    rtol: float = 0.1,
    products: int = 50,
    **limits: Any,
) -> Deformation:
    """``deform`` without its warning: to silence one for a while is nothing for threads."""
    transform: Lattice = problem.transform
    levels = _levels(problem) if levels is None else whole(levels, "at least one level")
    number(reduction, "a reduction ≥ 0", 0)
    problems, like = [problem], problem.reference
    for _ in range(levels - 1):
        problems.insert(0, _halved(problems[0]))
    starts = [transform.identity(like.dtype, like.device) if w0 is None else flat(w0).to(like)]
    for level in reversed(problems[1:]):
        starts.insert(0, level.transform.coarsen(starts[0]))
    w, results = starts[0], []
    for level, start in zip(problems, starts, strict=True):
        objective = level.at(theta)
        w = level.transform.refine(w) if results else w
        solver = ModesCG(level.regulariser, rtol, products)
        target = reduction * float(objective.gradient(start).norm())
        rounding = 1e4 * torch.finfo(w.dtype).eps ** 2 * contrast(level)  # all that an image and itself leave
        target = math.inf if float(objective.loss(w)) <= rounding else target
        found = gauss_newton(objective, w, solver=solver, atol=target, **limits)
        w = found.x
        results.append(found)
    return Deformation(problem, w, results, transform.determinant(w, problem.grid))


def _levels(problem: Registration) -> int:
    """As many as leave at least 16 cells along every side of both images."""
    return max(1, min(cells for grid in problem.grids for cells in grid.shape).bit_length() - 4)


def _halved(problem: Registration) -> Registration:
    """Images and lattice of half as many cells a side; of an odd number the last is cut off."""
    twos, energy = [2] * problem.grid.dim, problem.regulariser.coarser(problem.transform.refine)
    return replace(smaller(problem, twos, twos), transform=energy.transform, regulariser=energy)


def bend(found: Registered, strength: float | None = None) -> Registered:
    """A free-form deformation that begins where an affine registration ended, by ``deform``.

    There is a control point for about eight cells. λ is a share of what the images differ by, with
    the longest side of the box as the unit of length; where the map folds, it is raised tenfold,
    thrice at most.

    Args:
        found: of ``register``, with an affine map.
        strength: λ of ``Bending``; None for the share 10⁻⁴.

    Returns:
        ``Registered`` with a ``FreeForm``; a map that folds nevertheless is among its warnings.

    Raises:
        ValueError: for a distance without a residual.

    Example:
        >>> from regkit import register
        >>> from regkit.data import mri
        >>> image = mri(64)[0]
        >>> found = bend(register(image, image.roll(2, 0), turns=1))
        >>> found.transform
        FreeForm of 8 × 8 cells, p = 242
    """
    affine, w, distance = found.transform, found.w, found.problem.distance
    known = isinstance(distance, ResidualDistance)
    require(known, f"expected a distance with a residual for a free-form deformation, got {distance}")
    grid, like = found.problem.grid, found.w
    cells = tuple(max(4, 4 * round(m / 32)) for m in grid.shape)
    free = FreeForm(Grid(grid.extent, cells))
    problem = replace(found.problem, transform=free, regulariser=None)
    start = free.of(lambda x: affine(w, x), like.dtype, like.device)
    if strength is None:
        strength = (
            1e-4
            * contrast(found.problem, abs(found.after))
            * max(grid.extent) ** 2
            / (grid.cell_volume * grid.count)
        )
    for power in range(4):
        energy = Bending(free, 10**power * strength, dtype=like.dtype, device=like.device)
        end = _deformed(replace(problem, regulariser=energy), start, None, THETA)
        folds = fold_message(end.determinant)
        if not folds:
            break
    after, told = float(problem.at(THETA).loss(end.w)), (*found.warnings, *[folds] * bool(folds))
    return replace(found, problem=problem, w=end.w, after=after, runner_up=None, warnings=told)
