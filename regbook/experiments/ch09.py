"""Experiments of chapter 9: what becomes of a tangent when only the last iterations are differentiated."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch

from regbook import paper
from regkit import data
from regkit.dual import Dual
from regkit.grid import Grid
from regkit.implicit import Chebyshev, Continue, Derivative, Frozen, Implicit, Last, solve
from regkit.linear import CG, Cholesky, Solver
from regkit.operators import Operator
from regkit.spline import smoothing_modes
from regkit.superres import SuperResolution, pool
from regkit.templates import Synthetic, register_templates, synthetic
from regkit.varpro import Projection, Reduced

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


# ---- the same for any setting, while it is computed: what Jupyter shows in the place of the record

STEPS = 9
SHARES = tuple(range(0, 101, 10))  # per cent
LENGTHS = tuple(10.0 ** (-k / 2) for k in range(19))  # of the steps of the Taylor test


def pictures(size: int = 20) -> dict[str, tuple[torch.Tensor, Grid]]:
    """Images to super-resolve, with their grids: both drawn hands, the middle of a slice through a head."""
    hands, (slice_, _) = data.hands_phantom(size), data.mri()
    cell = len(slice_) // size
    edge, side = (len(slice_) - size * cell) // 2, size * cell
    head = pool(slice_[edge : edge + side, edge : edge + side].contiguous(), cell)
    return {
        "hand": (hands.reference, hands.grid),
        "turned hand": (hands.template, hands.grid),
        "head": (head, Grid((float(side), float(side)), (size, size))),
    }


@dataclass(frozen=True, eq=False, repr=False)
class Known:
    """What is known of one setting so far; an entry is None or empty as long as it is not.

    image, total, last, tail, seed: the setting.
    jacobian_error, cosine, step: as in the record, at the start.
    frozen: the error of the Jacobian there with nothing differentiated.
    errors: of the image at the start and after each step; message: of the optimiser, if it ended before.
    found, truth (m1, m2): the image by now, and the true one.
    taylor: remainders at LENGTHS, of this Jacobian; first: without any.
    exact, none: the errors with the exact Jacobian, and with nothing differentiated.
    jacobian_errors: those of this image and so many iterations, by (tail, last, seed).
    """

    image: str
    total: int
    last: int
    tail: str
    seed: int
    jacobian_error: float
    cosine: float
    step: float
    frozen: float
    truth: torch.Tensor
    jacobian_errors: Mapping[tuple[str, int, int], float]
    errors: tuple[float, ...] = ()
    found: torch.Tensor | None = None
    message: str = ""
    taylor: tuple[float, ...] = ()
    first: tuple[float, ...] = ()
    exact: tuple[float, ...] = ()
    none: tuple[float, ...] = ()


class Problem:
    """A super-resolution with its answer, its start, and what is exact there."""

    def __init__(self, image: torch.Tensor, grid: Grid):
        self.made: Synthetic = synthetic(image, grid)
        problem = self.made.problem
        self.f0, self.start = problem.upsampled(), register_templates(problem)
        self.truth = Reduced(problem, Cholesky())
        self.exact: Projection = Reduced(problem, Cholesky(), rows="data").point(self.start)
        self.direction = self.exact.gradient / self.exact.gradient.norm()

    def reduced(self, solver: Solver, derivative: Derivative) -> Reduced:
        """The residual of the paper, with that Jacobian."""
        return Reduced(self.made.problem, solver, derivative, self.f0, rows="data")

    def moved(self, seed: int) -> torch.Tensor:
        """The start (p,), each parameter moved by about 1e-10; where it is for the seed 0."""
        noise = torch.randn(
            len(self.start), generator=torch.Generator().manual_seed(seed), dtype=torch.float64
        )
        return self.start + 1e-10 * noise.to(self.start) if seed else self.start

    def picture(self, w: torch.Tensor) -> torch.Tensor:
        """The exact projection at w as an image."""
        return self.truth.point(w).f.reshape(self.made.problem.grid.shape)


@dataclass
class Remembered:
    """An objective that knows the points where it has been: a run that is made again, one step longer, costs
    one step."""

    objective: Reduced
    points: dict[bytes, Projection] = field(default_factory=dict)

    def point(self, w: torch.Tensor, order: int = 1) -> Projection:
        """All that there is at w."""
        key = w.numpy().tobytes()
        if key not in self.points:
            self.points[key] = self.objective.point(w, order)
        return self.points[key]


def step_by_step(objective: Remembered, w: torch.Tensor) -> Iterator[tuple[int, torch.Tensor, str]]:
    """The steps of the paper's method as they are made: number, w (p,), and why it is the last, if it is.

    A method that ends without another step says so of the step before, which then comes twice.
    """
    for k in range(STEPS + 1):
        found = paper.levenberg_marquardt(objective, w, iterations=k, gtol=0.0)
        early = not found.message.startswith("iterations")
        yield found.iterations, found.x, found.message if early else ""
        if early:
            return


class Live:
    """The experiment of the record for any setting, as a generator; it remembers what it has computed.

    pictures: images and their grids, by their names; bounds: of the eigenvalues, for Chebyshev.
    """

    def __init__(
        self,
        pictures: Mapping[str, tuple[torch.Tensor, Grid]],
        bounds: Callable[[Operator], tuple[float, float]] = extremes,
    ):
        self.pictures, self.bounds = pictures, bounds
        self._problems: dict[str, Problem] = {}
        self._compared: dict[str, dict[str, tuple[float, ...]]] = {}
        self._jacobian_errors: dict[tuple[str, int], dict[tuple[str, int, int], float]] = {}

    def problem(self, image: str) -> Problem:
        """The problem of one image, made once."""
        if image not in self._problems:
            self._problems[image] = Problem(*self.pictures[image])
        return self._problems[image]

    def __call__(
        self, total: int, last: int, tail: str, image: str, seed: int
    ) -> Iterator[tuple[float, Known]]:
        """What is known, and which share of the work that took: first what is quick, then step after step.

        After the nine steps of the optimiser: the Taylor test, what the steps are compared with, and the
        error of the Jacobian for other numbers of iterations that are differentiated.
        """
        problem, parts = self.problem(image), 1 + STEPS + 3 + len(SHARES)
        start, solver = problem.moved(seed), CG.fixed(total)
        errors = self._jacobian_errors.setdefault((image, total), {})

        def measured(k: int) -> Remembered:
            objective = Remembered(problem.reduced(solver, derivative(tail, k, self.bounds)))
            J, exact = objective.point(start).jacobian, problem.exact.jacobian
            errors[tail if k else "", k, seed] = float((J - exact).norm() / exact.norm())
            return objective

        measured(0)
        objective = measured(last)
        point = objective.point(start)
        g = point.gradient
        now = Known(
            image, total, last, tail, seed,
            jacobian_error=errors[tail if last else "", last, seed],
            cosine=float(g @ problem.direction / g.norm()),
            step=float(first_step(point).norm() / first_step(problem.exact).norm()),
            frozen=errors["", 0, seed],
            truth=problem.made.image,
            jacobian_errors=dict(errors),
            **self._compared.get(image, {}),
        )  # fmt: skip
        yield 1 / parts, now

        for k, w, message in step_by_step(objective, start):
            found = problem.picture(w)
            reached = (*now.errors[:k], problem.made.error(found))
            now = replace(now, errors=reached, found=found, message=message)
            yield (1 + k) / parts, now

        J_v, there = point.jacobian @ problem.direction, point.residual
        rests = [[], []]
        for h in LENGTHS:
            change = objective.objective.residual(start + h * problem.direction) - there
            rests[0].append(float((change - h * J_v).norm()))
            rests[1].append(float(change.norm()))
        now = replace(now, taylor=tuple(rests[0]), first=tuple(rests[1]))
        yield (2 + STEPS) / parts, now

        compared = self._compared.setdefault(image, {})
        for k, (name, way) in enumerate((("exact", Implicit()), ("none", Frozen()))):
            if name not in compared:
                steps = step_by_step(Remembered(problem.reduced(Cholesky(), way)), problem.start)
                reached = {k: problem.made.error(problem.picture(w)) for k, w, _ in steps}
                compared[name] = tuple(reached.values())
            now = replace(now, **{name: compared[name]})
            yield (3 + STEPS + k) / parts, now

        for k, percent in enumerate(SHARES):
            if (tail, total * percent // 100, seed) not in errors:
                measured(total * percent // 100)
            now = replace(now, jacobian_errors=dict(errors))
            yield (5 + STEPS + k) / parts, now
