"""Experiments of chapter 5: the path of the minimiser over the scale, its predictions and its folds."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import numpy as np
import scipy.optimize
import torch

from regbook import records
from regkit.branches import Branch, arclength
from regkit.continuation import follow, length, tangent
from regkit.optimize import newton_trust
from regkit.scales import Adaptive

# s(θ) and ds/dθ of the variables that a prediction may be straight in
VARIABLES = {
    "θ": (lambda t: t, lambda t: 1.0),
    "blur width θ^¼": (lambda t: t**0.25, lambda t: 0.25 * t**-0.75),
    "log θ": (math.log, lambda t: 1 / t),
}
PREDICTORS = ("none", "euler", "heun", "adams2")


def minimisers(problem, thetas: Iterable[float], w: torch.Tensor) -> torch.Tensor:
    """w*(θ) at decreasing θ, shape (k, p), each found from the one before."""
    path = []
    for theta in thetas:
        w = newton_trust(problem.at(theta), w).x
        path.append(w)
    return torch.stack(path)


def from_the_end(problem, path: torch.Tensor, ws: Iterable[torch.Tensor]) -> list[float]:
    """How far each w is from the last one of ``path``, in cells."""
    return [length(problem, path[-1], w - path[-1], 0.0) for w in ws]


# ---- the bifurcation diagram


def stationary(problem, theta: float, low: float, high: float, count: int = 400) -> list[tuple[float, float]]:
    """All stationary points w in [low, high] of a problem with one parameter, as (w, J″(w)).

    J″ > 0 at a minimum. They are found where J′ changes sign between two of ``count`` equidistant points.
    """
    objective = problem.at(theta)

    def slope(w):
        return float(objective.gradient(torch.tensor([w], dtype=torch.float64)))

    grid = np.linspace(low, high, count)
    signs = np.sign([slope(w) for w in grid])
    found = [
        scipy.optimize.brentq(slope, *grid[k : k + 2], xtol=1e-12) for k in np.flatnonzero(np.diff(signs))
    ]
    return [(w, float(objective.hessian(torch.tensor([w], dtype=torch.float64)))) for w in found]


def minima(problem, theta: float, low: float, high: float, count: int = 90) -> list[float]:
    """The stationary points with J″ > 0."""
    return [w for w, curvature in stationary(problem, theta, low, high, count) if curvature > 0]


def branches(problem, low: float, high: float, least: float = 1e-3) -> list[Branch]:
    """Every minimum at the scale ``least``, followed upwards and around its fold."""
    return [
        arclength(problem, least, w, step=0.4, count=90, low=least, upwards=True)
        for w in torch.tensor(minima(problem, least, low, high), dtype=torch.float64)[:, None]
    ]


def losses(problem, theta: float, shifts: torch.Tensor) -> torch.Tensor:
    """The loss at every shift, (k,)."""
    objective = problem.at(theta)
    return torch.stack([objective.loss(shift[None]) for shift in shifts])


def place(branch: Branch, theta: float) -> float | None:
    """Where the minimum is at θ in which a branch of shifts begins, or None behind the fold that ends it."""
    end = branch.folds[0] + 1 if branch.folds else len(branch.thetas)
    thetas, w = branch.thetas[:end].log().numpy(), branch.w[:end, 0].numpy()
    return float(np.interp(math.log(theta), thetas, w)) if math.log(theta) <= thetas[-1] else None


def euler(problem, branch: Branch, theta: float, factor: float) -> tuple[float, float, float]:
    """One step from θ to θ / factor along a branch of shifts.

    Returns:
        tuple: where the branch is at θ, what Euler predicts for θ / factor, and where the branch is there.
    """
    k = int((branch.thetas - theta).abs().argmin())
    w = newton_trust(problem.at(theta), branch.w[k]).x
    predicted = float(w) - math.log(factor) * float(tangent(problem, w, theta))
    return float(w), predicted, float(newton_trust(problem.at(theta / factor), w).x)


# ---- one prediction, in several variables


def predictions(problem, w: torch.Tensor, theta: float, following: float) -> dict[str, torch.Tensor]:
    """Euler's prediction from θ to θ₊ in every variable."""
    rate = tangent(problem, w, theta, variable="linear")
    return {name: w + (s(following) - s(theta)) / ds(theta) * rate for name, (s, ds) in VARIABLES.items()}


def misses(problem, w: torch.Tensor, theta: float, following: float) -> dict[str, float]:
    """Error of each prediction, divided by the error of staying at w; lengths as the points see them."""
    target = newton_trust(problem.at(following), w).x
    way = length(problem, w, target - w, 0.0)
    found = predictions(problem, w, theta, following)
    return {name: length(problem, target, v - target, 0.0) / way for name, v in found.items()}


class Way:
    """The way from the minimiser w at θ to the one at θ₊, and how far along it any other w is."""

    def __init__(self, problem, w: torch.Tensor, following: float):
        self.problem, self.cells = problem, w.new_tensor(problem.grid.spacing)
        self.start = self.moved(w)
        self.way = self.moved(newton_trust(problem.at(following), w).x) - self.start

    def moved(self, w: torch.Tensor) -> torch.Tensor:
        """All points as w moves them, in cells, one after the other."""
        return (self.problem.transform(w, self.problem.points) / self.cells).reshape(-1)

    def along(self, w: torch.Tensor) -> float:
        """0 at the start, 1 at the end; of a w beside the way, the nearest point on it."""
        return float((self.moved(w) - self.start) @ self.way / (self.way @ self.way))


def orders(
    problem, theta: float, w: torch.Tensor, lengths: Sequence[float]
) -> tuple[dict[str, list[float]], dict[str, float]]:
    """Error of Euler, Heun and Adams at every step length h in log θ, and the slopes of the last four."""
    errors = {"Euler": [], "Heun": [], "Adams": []}
    t = tangent(problem, w, theta)
    for h in lengths:
        end, before = theta * math.exp(-h), theta * math.exp(h)
        target = newton_trust(problem.at(end), w).x
        last = newton_trust(problem.at(before), w).x
        predicted = w - h * t
        found = {
            "Euler": predicted,
            "Heun": w - h / 2 * (t + tangent(problem, predicted, end)),
            "Adams": w - h * (1.5 * t - 0.5 * tangent(problem, last, before)),
        }
        for name, v in found.items():
            errors[name].append(length(problem, target, v - target, 0.0))
    slopes = {
        name: float(np.polyfit(np.log(lengths[-4:]), np.log(e[-4:]), 1)[0]) for name, e in errors.items()
    }
    return errors, slopes


# ---- a fold


def smallest(problem, thetas: Iterable[float], ws: Iterable[torch.Tensor]) -> list[float]:
    """The smallest eigenvalue of H at every (θ, w), divided by the largest."""
    spectra = [
        torch.linalg.eigvalsh(problem.at(float(theta)).hessian(w))
        for theta, w in zip(thetas, ws, strict=True)
    ]
    return [float(values[0] / values[-1]) for values in spectra]


# ---- work

COARSEST = (1e3, 1e2)
LEAST = 1e-3


def work(problem, start: torch.Tensor, counts: Sequence[int], accuracy: float = 1e-3) -> dict:
    """Runs with a corrector that stops early: through fixed scales, and through scales that the run chooses.

    Args:
        problem: a registration.
        start (p,): where to start.
        counts: numbers of scales.
        accuracy: of the corrector, at all scales but the last.

    Returns:
        dict: (coarsest θ, number of scales or "adaptive", predictor) ↦ the run.
    """
    runs = {}
    for coarsest in COARSEST:
        plans = {count: np.geomspace(coarsest, LEAST, count) for count in counts}
        for name, plan in (plans | {"adaptive": Adaptive(coarsest, LEAST)}).items():
            for predictor in ("none", "euler"):
                run = follow(problem, plan, start, predictor=predictor, accuracy=accuracy)
                runs[coarsest, name, predictor] = run
    return runs


def astray(problem, runs: dict, w: torch.Tensor, cells: float = 0.1) -> set:
    """The keys of the runs that end more than so many cells away from w."""
    return {key for key, run in runs.items() if length(problem, w, run.w - w, 0.0) > cells}


RECORDED = {  # what the chapter calls them ↦ where they stand in the record
    "one scale": ("methods", "single scale"),
    "30 scales": ("methods", "multi-scale"),
    "30 scales, Euler": ("methods", "predictor-corrector"),
    "10 scales, Euler, early stop": ("few scales", "10 scales"),
    "5 scales, Euler, early stop": ("few scales", "5 scales"),
    "3 scales, Euler, early stop": ("few scales", "3 scales"),
    "adaptive, Euler, early stop": ("methods", "adaptive predictor-corrector"),
}


def recorded() -> tuple[dict, dict[str, dict]]:
    """The record of the 50 pairs: (about, methods)."""
    record = records.load("continuation.json")
    return record["about"], {name: record[part][row] for name, (part, row) in RECORDED.items()}
