"""Experiments of chapter 9: what becomes of a tangent when only the last iterations are differentiated."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from regkit.dual import Dual
from regkit.implicit import Chebyshev, Continue, Derivative, Frozen, Implicit, Last, Unrolled, solve
from regkit.linear import CG, Cholesky, Solver
from regkit.operators import Operator
from regkit.spline import smoothing_modes
from regkit.superres import SuperResolution
from regkit.varpro import Reduced

TAILS = ("restart", "continue", "chebyshev", "implicit")


def extremes(A: Operator) -> tuple[float, float]:
    """The smallest and the largest eigenvalue of a symmetric operator, from its full matrix."""
    values = torch.linalg.eigvalsh(A.dense(torch.zeros(1, dtype=torch.float64)))
    return float(values[0]), float(values[-1])


def derivative(
    tail: str, k: int, bounds: tuple[float, float] | Callable[[Operator], tuple[float, float]] = extremes
) -> Derivative:
    """k iterations spent on the derivative in one of the ways of TAILS; k = 0 freezes the solution."""
    if k == 0:
        return Frozen()
    return {
        "restart": lambda: Last(k),
        "continue": lambda: Last(k, Continue()),
        "chebyshev": lambda: Last(k, Chebyshev(bounds)),
        "implicit": lambda: Implicit(CG.fixed(k)),
    }[tail]()


def first_step(point) -> torch.Tensor:
    """The step −(JᵀJ + δI)⁻¹Jᵀr (p,) with which the paper's method begins: δ = 1e-3 of the largest diagonal.

    point: of a ``Reduced``, with its residual and Jacobian.
    """
    J = point.jacobian
    H = J.T @ J
    delta = 1e-3 * H.diagonal().max()
    return -torch.linalg.solve(H + delta * torch.eye(len(H), dtype=H.dtype), J.T @ point.residual)


# ---- a small system to play with: A(w) x = b with A(w) = A₀ + w B


@dataclass(frozen=True, eq=False, repr=False)
class Toy:
    """A (n, n) and b (n,) at w = 0, B = ∂A/∂w, eigenvalues and eigenvectors of A, and what is to be found."""

    A: torch.Tensor
    B: torch.Tensor
    b: torch.Tensor
    values: torch.Tensor
    vectors: torch.Tensor
    x: torch.Tensor
    x_dot: torch.Tensor

    def product(self, w: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
        """A(w) x."""
        return self.A @ x + w[0] * (self.B @ x)

    def error(self, x: torch.Tensor) -> float:
        """Relative error of a solution."""
        return float((x - self.x).norm() / self.x.norm())

    def tangent_error(self, x_dot: torch.Tensor) -> float:
        """Relative error of a tangent."""
        return float((x_dot - self.x_dot).norm() / self.x_dot.norm())

    def value(self, iterations: int) -> torch.Tensor:
        """x at w = 0 after so many iterations of conjugate gradients."""
        return CG.fixed(iterations).solve(self.A.matmul, self.b).x

    def solution(self, derivative: Derivative, total: int, w: torch.Tensor) -> torch.Tensor:
        """x(w) after ``total`` iterations, with a derivative of that kind."""
        return solve(self.product, self.b, w, None, CG.fixed(total), derivative)

    def tangent(self, derivative: Derivative, total: int) -> torch.Tensor:
        """Its tangent ẋ at w = 0, as AD sees it."""
        zero, one = self.b.new_zeros(1), self.b.new_ones(1)
        return torch.func.jvp(lambda w: self.solution(derivative, total, w), (zero,), (one,))[1]

    def last(self, tail: str, k: int) -> Derivative:
        """``derivative`` with the eigenvalues of A as bounds."""
        return derivative(tail, k, (float(self.values[0]), float(self.values[-1])))


def toy(seed: int = 0, n: int = 60, condition: float = 200.0) -> Toy:
    """A random symmetric A with eigenvalues from 1 to ``condition``, and a random B."""
    generator = torch.Generator().manual_seed(seed)

    def random(*shape):
        return torch.randn(shape, generator=generator, dtype=torch.float64)

    values = torch.logspace(0, math.log10(condition), n, dtype=torch.float64)
    vectors, B, b = torch.linalg.qr(random(n, n))[0], random(n, n) / math.sqrt(n), random(n)
    A, B = vectors @ (values[:, None] * vectors.T), B + B.T
    x = torch.linalg.solve(A, b)
    return Toy(A, B, b, values, vectors, x, torch.linalg.solve(A, -(B @ x)))


def weighted(toy: Toy, factor: Callable[[int], float]) -> Toy:
    """The toy in the eigenvectors of A, with component i = 0, …, n − 1 of b multiplied by ``factor(i)``.

    There a component of zero is zero; in other vectors rounding errors would stand in its place.
    """
    V, values = toy.vectors, toy.values
    b = (V.T @ toy.b) * torch.tensor([float(factor(i)) for i in range(len(values))], dtype=torch.float64)
    B, x, unit = V.T @ toy.B @ V, b / values, torch.eye(len(values), dtype=torch.float64)
    return Toy(torch.diag(values), B, b, values, unit, x, -(B @ x) / values)


def polynomial(A: torch.Tensor, values: torch.Tensor, r: torch.Tensor, iterations: int) -> torch.Tensor:
    """p(λ) at all ``values``: conjugate gradients for the right-hand side r leave the residual p(A) r."""
    p, rho = r, r @ r
    left, direction = torch.ones_like(values), torch.ones_like(values)
    for _ in range(iterations):
        q = A @ p
        alpha = rho / (p @ q)
        r, left = r - alpha * q, left - alpha * values * direction
        rho, old = r @ r, rho
        p, direction = r + rho / old * p, left + rho / old * direction
    return left


@dataclass(frozen=True)
class AtRestart:
    """What a restart meets. ``before``, ``after``: iterations; ``highest``: the largest |p(λ)| that follows.

    left: the component of the residual in the direction of that λ, over what it was at the very start.
    """

    before: int
    after: int
    highest: float
    left: float


def at_restart(A: torch.Tensor, b: torch.Tensor, x0: torch.Tensor, before: int, after: int) -> AtRestart:
    """Restart conjugate gradients, for the full matrix A (n, n), b (n,) and x0 (n,)."""
    values, vectors = torch.linalg.eigh(A)
    r = b - A @ CG.fixed(before).solve(A.matmul, b, x0).x
    left = (vectors.T @ r).abs() / (vectors.T @ (b - A @ x0)).abs()
    p = polynomial(A, values, r, after).abs()
    return AtRestart(before, after, float(p.max()), float(left[p.argmax()]))


def semi_iteration(values: torch.Tensor, iterations: int) -> torch.Tensor:
    """Chebyshev's polynomial at rising ``values``, by his iteration with the numbers λ as A."""
    method = Chebyshev((float(values[0]), float(values[-1])))
    start = torch.ones_like(values)
    return method.iterate(lambda x: values * x, torch.zeros_like(values), start, iterations)


def met_by_the_tangent(toy: Toy, tail: str, k: int, total: int) -> torch.Tensor:
    """The polynomial that the tangent meets in the last k of so many iterations, at the eigenvalues of A."""
    if tail == "chebyshev":
        return semi_iteration(toy.values, k)
    own = -(toy.B @ toy.value(total)) if tail == "implicit" else toy.b - toy.A @ toy.value(total - k)
    return polynomial(toy.A, toy.values, own, k)


def tangent_errors(toy: Toy, total: int) -> dict[str, list[float]]:
    """Error of the tangent when the last 0, 1, …, ``total`` iterations are differentiated, for all TAILS."""
    return {
        tail: [toy.tangent_error(toy.tangent(toy.last(tail, k), total)) for k in range(total + 1)]
        for tail in TAILS
    }


def lag(toy: Toy, counts: Sequence[int]) -> dict[str, list[float]]:
    """Errors over the iterations: of x, of its tangent with all differentiated, and of the implicit one."""
    return {
        "value": [toy.error(toy.value(n)) for n in counts],
        "unrolled": [toy.tangent_error(toy.tangent(Unrolled(), n)) for n in counts],
        "implicit": [toy.tangent_error(toy.tangent(Implicit(CG.fixed(n)), n)) for n in counts],
    }


def restarted(toy: Toy, before: int, last: int) -> tuple[float, float]:
    """Errors of x before a restart, and of the tangent of the ``last`` iterations after it."""
    return toy.error(toy.value(before)), toy.tangent_error(toy.tangent(Last(last), before + last))


# ---- super-resolution, differentiated along one direction: what a page needs to do it by itself


def along(problem: SuperResolution, f0: torch.Tensor, w: torch.Tensor) -> dict[str, Any]:
    """The normal equations of f(w) and their derivative along the direction in which the loss rises fastest.

    Returns: direction (p,); row, column, weight, slope (e,): ``Stacked.entries``; filter_x, filter_y: values
    to spline coefficients along each axis; shape, spacing (2,) of the fine grid; penalty: λ √h; coarse (m,):
    the data; start (n,); bounds (2,) of the eigenvalues; exact, exact_dot (n,): f and its tangent.
    """
    reduced = Reduced(problem, Cholesky(), Implicit(), f0, rows="data").point(w)
    direction = reduced.gradient / reduced.gradient.norm()
    row, column, weight, slope = reduced.operator.entries(direction)
    filters = [modes @ analysis for _, modes, analysis in map(smoothing_modes, problem.grid.shape)]
    ends = torch.linalg.eigvalsh(reduced.operator.gram)[[0, -1]]
    return {
        "direction": direction,
        "row": row.to(torch.int32),
        "column": column.to(torch.int32),
        "weight": weight,
        "slope": slope,
        "filter_x": filters[0],
        "filter_y": filters[1],
        "shape": list(problem.grid.shape),
        "spacing": list(problem.grid.spacing),
        "penalty": problem.scales[1],
        "coarse": problem.b[: problem.templates.numel()],
        "start": f0,
        "bounds": ends.tolist(),
        "exact": reduced.f,
        "exact_dot": image_tangent(problem, f0, w, direction, Cholesky(), Implicit()),
    }


def image_tangent(
    problem: SuperResolution,
    f0: torch.Tensor,
    w: torch.Tensor,
    direction: torch.Tensor,
    solver: Solver,
    derivative: Derivative,
) -> torch.Tensor:
    """The derivative of the projection f(w) along one direction (p,), as that kind of derivative has it."""
    point = Reduced(problem, solver, derivative, f0).point(w)
    if isinstance(derivative, Frozen):
        return torch.zeros_like(point.f)
    return point.project(Dual(w, direction[:, None])).tangents[:, 0]


# ---- the record: benchmarks/differentiating_cg.py


def final_errors(record: Mapping[str, np.ndarray], tail: str, total: int) -> np.ndarray:
    """Final image errors in %, (percents, starts)."""
    k = list(record["totals"]).index(total)
    return 100 * record["image_error"][TAILS.index(tail), k, :, :, -1]
