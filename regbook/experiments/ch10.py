"""Experiments of chapter 10: how exact the projection must be, and what a smaller error costs."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import torch

from regbook import paper
from regbook.meter import Metered
from regkit.dual import Dual
from regkit.implicit import Derivative, Frozen, Implicit, Unrolled
from regkit.linear import CG, Cholesky, Solver
from regkit.optimize import Result
from regkit.superres import Stacked, SuperResolution
from regkit.templates import Synthetic
from regkit.varpro import Kaufman, Reduced, ReducedJacobian

Chosen = ReducedJacobian | Derivative


def exact_image(problem: SuperResolution, w: torch.Tensor) -> torch.Tensor:
    """argmin over f of ‖A(w) f − b‖, (n,)."""
    return Reduced(problem, Cholesky()).point(w).f


# ---- the runs on the standard problem


@dataclass(frozen=True, eq=False, repr=False)
class Run:
    """A run and, after each step: products with AᵀA so far, loss, gradient norm, the optimiser's image.

    seconds: CPU time of all steps.
    """

    study: Study
    products: np.ndarray
    losses: np.ndarray
    gradients: np.ndarray
    images: list[torch.Tensor]
    result: Result
    seconds: float

    @property
    def accepted(self) -> int:
        """How many steps were."""
        return sum(step.accepted for step in self.result.history) - 1

    @property
    def error(self) -> float:
        """Image error in % of an exact solve at the last w."""
        return self.study.error(self.result.x)

    @cached_property
    def errors(self) -> np.ndarray:
        """The same after each step."""
        return np.array([self.study.error(step.x) for step in self.result.history])

    @cached_property
    def loose(self) -> list[float]:
        """‖Aᵀr‖ / ‖Aᵀb‖ of the optimiser's image after each step: 0 if the projection is exact."""
        found, b = [], self.study.problem.b
        for step, f in zip(self.result.history, self.images, strict=True):
            A = self.study.problem.at(step.x)
            found.append(float(A.adjoint(A.forward(f) - b).norm() / A.adjoint(b).norm()))
        return found


class Study:
    """The standard problem with all runs of the chapter; each is made once."""

    def __init__(self, made: Synthetic, start: torch.Tensor):
        self.made, self.problem, self.start = made, made.problem, start
        self.f0 = made.problem.upsampled()
        self._runs: dict[tuple, Run] = {}
        self._errors: dict[bytes, float] = {}

    def error(self, w: torch.Tensor) -> float:
        """Image error in % of an exact solve at w."""
        key = w.numpy().tobytes()
        if key not in self._errors:
            self._errors[key] = 100 * self.made.error(exact_image(self.problem, w))
        return self._errors[key]

    def reduced(self, solver: Solver, jacobian: Chosen) -> Reduced:
        """The reduced residual on the data block, its projections started at f₀."""
        return Reduced(self.problem, solver, jacobian, self.f0, rows="data")

    def run(
        self,
        solver: Solver,
        jacobian: Chosen,
        *,
        warm: bool = False,
        growing: float | None = None,
        steps: int = 9,
    ) -> Run:
        """Steps of the paper's method.

        Args:
            solver: of the projection.
            jacobian: which is used.
            warm: start each projection at the last image.
            growing: step k gets this to the power k − 1 times the iterations, for image and tangents.
            steps: how many; the paper's nine if not given.
        """
        key = solver, jacobian, warm, growing, steps
        if key not in self._runs:
            self._runs[key] = self._run(*key)
        return self._runs[key]

    def _run(self, solver: Solver, jacobian: Chosen, warm: bool, growing: float | None, steps: int) -> Run:
        meter, products, images = Metered(self.problem), [], []
        reduced = replace(self.reduced(solver, jacobian), problem=meter)

        def advance(k, point):
            images.append(point.f)
            following = reduced if growing is None else _grown(reduced, growing ** (k - 1))
            return replace(following, f0=point.f) if warm else following

        def note(step):
            products.append(meter.products)

        clock = time.process_time()
        options = {"advance": advance, "callback": note, "iterations": steps}
        found = paper.levenberg_marquardt(reduced, self.start, **options)
        seconds = time.process_time() - clock
        images.append(found.point.f)
        pairs = [(step.loss, step.gradient_norm) for step in found.history]
        losses, gradients = np.array(pairs).T
        return Run(self, np.array(products, dtype=float), losses, gradients, images, found, seconds)


def _grown(reduced: Reduced, factor: float) -> Reduced:
    """So many times the iterations, for the image and for its tangents."""
    solver, jacobian = reduced.solver, reduced.jacobian
    more = CG.fixed(int(solver.maxiter * factor)), CG.fixed(int(jacobian.solver.maxiter * factor))
    return replace(reduced, solver=more[0], jacobian=replace(jacobian, solver=more[1]))


@dataclass(frozen=True)
class Variant:
    """A method of the figure of work: solver, Jacobian, options of ``Study.run``; how its curve is drawn.

    on: is it shown at first? The others are there on demand.
    """

    name: str
    solver: CG
    jacobian: Chosen
    color: str
    dash: str = ""
    on: bool = False
    warm: bool = False
    growing: float | None = None


VARIANTS = (
    Variant("none, 200", CG.fixed(200), Frozen(), "text", on=True),
    Variant("none, 5", CG.fixed(5), Frozen(), "text", "2 3"),
    Variant("unrolled 5", CG.fixed(5), Unrolled(), "vermillion", "2 3"),
    Variant("unrolled 25", CG.fixed(25), Unrolled(), "vermillion", "8 3", on=True),
    Variant("unrolled 100", CG.fixed(100), Unrolled(), "vermillion", on=True),
    Variant("implicit 200 + 20", CG.fixed(200), Implicit(CG.fixed(20)), "blue", "8 3"),
    Variant("implicit 200 + 100", CG.fixed(200), Implicit(CG.fixed(100)), "blue"),
    Variant("implicit 20 + 20", CG.fixed(20), Implicit(CG.fixed(20)), "blue", "2 3", on=True),
    Variant("implicit 5 + 40", CG.fixed(5), Implicit(CG.fixed(40)), "purple", "2 3"),
    Variant("Kaufman 5 + 5", CG.fixed(5), Kaufman(CG.fixed(5)), "green", "2 3", on=True),
    Variant("Kaufman 20 + 10", CG.fixed(20), Kaufman(CG.fixed(10)), "green", on=True),
    Variant("Kaufman 20 + 10, warm", CG.fixed(20), Kaufman(CG.fixed(10)), "orange", warm=True),
    Variant("implicit 20 + 20, warm", CG.fixed(20), Implicit(CG.fixed(20)), "orange", "2 3", warm=True),
    Variant("implicit 5 + 5, growing", CG.fixed(5), Implicit(CG.fixed(5)), "sky", growing=1.5),
)


def work(study: Study) -> tuple[list[dict[str, Any]], dict[str, Run]]:
    """The curves of the page's figure, and the runs by their names."""
    runs = {v.name: study.run(v.solver, v.jacobian, warm=v.warm, growing=v.growing) for v in VARIANTS}
    curves = [
        {
            **{key: getattr(v, key) for key in ("name", "color", "dash", "on")},
            "products": [int(value) for value in runs[v.name].products],
            "errors": [round(float(value), 2) for value in runs[v.name].errors],
        }
        for v in VARIANTS
    ]
    return curves, runs


def miss(study: Study, solver: Solver, jacobian: Chosen) -> float:
    """Relative error of a Jacobian at the start, against that of exact solves."""
    exact = study.reduced(Cholesky(), Implicit()).point(study.start).jacobian
    J = study.reduced(solver, jacobian).point(study.start).jacobian
    return float((J - exact).norm() / exact.norm())


# ---- one unknown: gradient descent on ½(w f − 1)², from 0


@dataclass(frozen=True)
class Descent:
    """f after so many steps at w, and three derivatives there: of the program, the formula's, the limit's."""

    f: float
    program: float
    formula: float
    limit: float


def descent(w: np.ndarray | float, steps: int, length: float = 0.5) -> np.ndarray | float:
    """f after so many steps."""
    return (1 - (1 - length * w**2) ** steps) / w


def descent_slopes(w: float, steps: int, length: float = 0.5) -> Descent:
    """The derivatives, in closed form."""
    f, left = descent(w, steps, length), (1 - length * w**2) ** steps
    program = 2 * steps * length * (1 - length * w**2) ** (steps - 1) - (1 - left) / w**2
    return Descent(f, program, (1 - 2 * w * f) / w**2, -1 / w**2)


# ---- early stopping as a filter


def right_hand_side(A: Stacked, f: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    """Of the tangent system AᵀA ḟ = E(b − A f) − AᵀD(f), (n, p)."""
    return A.adjoint_derivative(b - A.forward(f)) - A.adjoint(A.derivative(f))


@dataclass(frozen=True, eq=False, repr=False)
class Filtered:
    """After N iterations: filter factors (n,), ‖f − f₀‖, and ∂f/∂w (n, p) of program and formula.

    formula: solved exactly at this f; stopped: by N iterations.
    """

    factors: torch.Tensor
    distance: float
    program: torch.Tensor
    formula: torch.Tensor
    stopped: torch.Tensor


class Filters:
    """Over the eigenvalues of AᵀA: how far f has come from f₀, and how strongly it reacts to w."""

    def __init__(self, study: Study, bins: int = 18):
        self.study, self.A = study, study.problem.at(study.start)
        self.values, self.vectors = torch.linalg.eigh(self.A.gram)
        self.final = exact_image(study.problem, study.start)
        self.whole = self.vectors.T @ (self.final - study.f0)
        edges = np.geomspace(float(self.values[0]) * 0.999, float(self.values[-1]) * 1.001, bins + 1)
        self.place, self.middles = (
            np.digitize(self.values.numpy(), edges) - 1,
            np.sqrt(edges[1:] * edges[:-1]),
        )

    def profile(self, slopes: torch.Tensor) -> np.ndarray:
        """Root mean square of ‖vᵀ ∂f/∂w‖ over the eigenvalues in each bin."""
        sizes = (self.vectors.T @ slopes).square().sum(1).numpy()
        parts = [sizes[self.place == k] for k in range(len(self.middles))]
        return np.array([np.sqrt(part.mean()) if len(part) else np.nan for part in parts])

    def inverse(self, rhs: torch.Tensor) -> torch.Tensor:
        """(AᵀA)⁻¹ of columns."""
        return self.vectors @ ((self.vectors.T @ rhs) / self.values[:, None])

    @cached_property
    def limit(self) -> torch.Tensor:
        """∂f/∂w of the exact image, (n, p)."""
        return self.inverse(right_hand_side(self.A, self.final, self.study.problem.b))

    def after(self, N: int) -> Filtered:
        """After N iterations of CG."""
        study = self.study
        point = study.reduced(CG.fixed(N), Unrolled()).point(study.start)
        program = point.project(Dual.variables(study.start))
        way, right = program.value - study.f0, right_hand_side(self.A, program.value, study.problem.b)
        stopped = CG.fixed(N).solve(self.A.normal, right).x
        factors = (self.vectors.T @ way) / self.whole
        return Filtered(factors, float(way.norm()), program.tangents, self.inverse(right), stopped)

    def same_distance(self, distance: float) -> float:
        """The δ with which the penalty's minimiser is as far from f₀, by bisection."""
        low, high = 1e-12, 1e6
        for _ in range(80):
            middle = (low * high) ** 0.5
            far = float((self.values / (self.values + middle) * self.whole).norm()) > distance
            low, high = (middle, high) if far else (low, middle)
        return low


# ---- the records


def median(values: Sequence[float]) -> float:
    """The middle of them."""
    return float(np.median(values))


def summary(record: Mapping[str, Any]) -> list[dict[str, Any]]:
    """A row for each method: median and worst error, and the median work, in all and to within 5 %."""
    rows = []
    for method in record["methods"]:
        row = {"name": method["name"], "median": median(method["errors"]), "worst": max(method["errors"])}
        early = [
            next(spent for spent, error in path if error <= 1.05 * end)
            for path, end in zip(method["paths"], method["errors"], strict=True)
        ]
        counted = method["products"] is not None
        work = {"all": median(method["products"]), "early": median(early)} if counted else {}
        rows.append(row | ({"all": None, "early": None} | work))
    return rows


def bargain(
    rows: Sequence[Mapping[str, Any]], margin: float = 0.5
) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
    """The cheapest row whose median error is within ``margin`` % of the best, and the best row."""
    best = min(rows, key=lambda row: row["median"])
    counted = [row for row in rows if row["all"] and row["median"] <= best["median"] + margin]
    return min(counted, key=lambda row: row["early"]), best


def thrift(record: Mapping[str, Any], dear: str, cheap: str) -> tuple[float, float]:
    """How many times the products of ``cheap`` the method ``dear`` spends: whole runs, and to within 5 %."""
    rows = {row["name"]: row for row in summary(record)}
    return tuple(rows[dear][part] / rows[cheap][part] for part in ("all", "early"))
