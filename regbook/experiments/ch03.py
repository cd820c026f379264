"""Experiments of chapter 3: registrations from many starts, in many parameters, by three methods."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from time import perf_counter

import numpy as np
import torch

from regkit import Grid, coefficients, evaluate
from regkit.data import Pair, mri
from regkit.optimize import gauss_newton, gradient_descent, newton_trust
from regkit.registration import Registration
from regkit.transforms import Affine, Transform

REACH = 6.0  # cm: how far a point of the hand lies from the middle; a turn by 1 moves it by about that much
METHODS = {
    "gradient descent": gradient_descent,
    "Gauss-Newton": gauss_newton,
    "Newton, trust region": newton_trust,
}


# ------------------------------------------------------------------------------------ pairs and starts


def middle(grid: Grid) -> tuple[float, ...]:
    """The centre of the box."""
    return tuple(side / 2 for side in grid.extent)


def rotation(degrees: float) -> torch.Tensor:
    """The matrix (2, 2) of a turn against the clock."""
    cos, sin = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    return torch.tensor([[cos, -sin], [sin, cos]], dtype=torch.float64)


def displaced(pair: Pair, transform: Transform, degrees: float, slide: float = 0.0) -> torch.Tensor:
    """The w of the true map after a turn about the middle of the box and a slide to the right."""
    A, b = pair.w_true[:4].reshape(2, 2), pair.w_true[4:]
    c, R = A.new_tensor(middle(pair.grid)), rotation(degrees)
    return transform.from_matrix(A @ R, A @ (c - R @ c + A.new_tensor([slide, 0.0])) + b)


def mean_distance(transform: Transform, w: torch.Tensor, w_true: torch.Tensor, grid: Grid) -> float:
    """How far, on average over the box, w looks away from where w_true looks; in the units of the grid."""
    x = grid.points()
    return float((transform(w, x) - transform(w_true, x)).norm(dim=1).mean())


def moved(objective, w: torch.Tensor) -> torch.Tensor:
    """The template as w shows it, an image."""
    problem = objective.problem
    y = problem.transform(w, problem.grid.points())
    return evaluate(objective.coefficients, problem.grid, y).reshape(problem.grid.shape)


@dataclass(frozen=True)
class TurnAndSlide(Transform):
    """The true map of a pair, after a turn by w₀ / REACH about the middle and a slide by w₁ to the right."""

    pair: object = None
    parameters = 2

    def __call__(self, w, x):
        c = x.new_tensor(middle(self.pair.grid))
        cos, sin = torch.cos(w[0] / REACH), torch.sin(w[0] / REACH)
        z = x - c
        right = cos * z[:, 0] - sin * z[:, 1] + w[1]
        up = sin * z[:, 0] + cos * z[:, 1]
        placed = torch.stack([right, up], dim=1) + c
        A, b = self.pair.w_true[:4].reshape(2, 2), self.pair.w_true[4:]
        return placed @ A.T + b  # where the template shows that point


# ------------------------------------------------------------------------------------ which angles come home


@dataclass(frozen=True)
class Homing:
    """Newton from several angles. off: of each end, the mean distance from the true map, in cm."""

    runs: dict
    off: dict[float, float]

    def home(self, angle: float) -> bool:
        return self.off[angle] < 0.1

    @property
    def largest(self) -> float:
        """The angle up to which all come home."""
        first = min((angle for angle in self.runs if not self.home(angle)), default=math.inf)
        return max(angle for angle in self.runs if angle < first)


def comes_home(pair: Pair, objective, degrees: Sequence[float]) -> Homing:
    """Newton from the true map, turned by each of ``degrees``."""
    transform, truth = objective.problem.transform, displaced(pair, objective.problem.transform, 0)
    runs = {a: newton_trust(objective, displaced(pair, transform, a)) for a in degrees}
    return Homing(runs, {a: mean_distance(transform, run.x, truth, pair.grid) for a, run in runs.items()})


# ------------------------------------------------------------------------------------ one parameter


@dataclass(frozen=True)
class TwoPixels:
    """The residuals w² − 1 and (1 + w)² − 4 of two pixels: their loss ½‖r‖², and its derivatives."""

    def loss(self, w):
        return (w - 1) ** 2 * (w**2 + 4 * w + 5)

    def slope(self, w):
        return 2 * (w - 1) * (2 * w + 3) * (w + 1)

    def curvatures(self, w) -> dict:
        """What each method takes for the second derivative."""
        return {"Gauss-Newton": 4 * w**2 + 4 * (1 + w) ** 2, "Newton": 12 * w**2 + 12 * w - 4}


# ------------------------------------------------------------------------------------ images, and a clock


def head_pair(size: int) -> tuple[torch.Tensor, torch.Tensor, Grid, Affine, torch.Tensor]:
    """A slice through a head, and its copy: turned by 8°, stretched, sheared and shifted.

    Returns:
        tuple: image (size, size), copy (size, size), their grid, the transformation, and the true w (6,).
    """
    image, grid = mri(size)
    about = Affine(center=middle(grid))
    A = rotation(8) @ torch.tensor([[1.06, 0.08], [0.0, 0.95]], dtype=torch.float64)
    w_true = torch.cat([A.flatten(), A.new_tensor([6.0, -4.0])])
    copy = evaluate(coefficients(image, 0.0), grid, about(w_true, grid.points()))
    return image, copy.reshape(grid.shape), grid, about, w_true


def pattern(points: torch.Tensor, grey: float) -> torch.Tensor:
    """Grey values at points (n, 2): waves that fade out around (10, 10), on an even background."""
    z = points - 10
    fade = torch.exp(-0.5 * z.square().sum(1) / 2.5**2)
    return grey + 60 * fade * torch.cos(1.5 * z[:, 0]) * torch.cos(1.1 * z[:, 1])


def seconds(f: Callable[[], object], repeats: int = 7) -> float:
    """Median time of one call of f, after one call to warm up."""
    f()
    times = []
    for _ in range(repeats):
        begin = perf_counter()
        f()
        times.append(perf_counter() - begin)
    return float(np.median(times))


# ------------------------------------------------------------------------------------ what pulls


@dataclass(frozen=True, eq=False)
class Case:
    """A pair in some parameters. w: the minimiser; counts: iterations of the methods; condition: of H."""

    objective: object
    w: torch.Tensor
    counts: dict
    condition: float


def until_close(
    transform: Transform, target: torch.Tensor, grid: Grid, unit: float, tolerance=0.1
) -> Callable:
    """A callback that ends a run once its map is within ``tolerance`` mm of ``target``, on average."""
    return lambda entry: unit * mean_distance(transform, entry.x, target, grid) < tolerance


def conditioning(
    image: torch.Tensor, reference: torch.Tensor, side: float, centre: float, theta: float, limit: int
) -> dict[tuple[str, str], Case]:
    """The same pair in other parameters: about the corner or the centre, in mm or in units of 64 mm.

    Args:
        image (m, m): the template.
        reference (m, m): the reference.
        side (mm): of the box.
        centre (mm): both coordinates of the point that the map turns about, unless that is the corner.
        theta: scale.
        limit: gradient descent gives up after so many iterations.

    Returns:
        dict: (centre, unit) ↦ the case.
    """
    cases = {}
    for lengths, unit in (("millimetres", 1.0), ("units of 64 mm", 64.0)):
        grid = Grid((side / unit, side / unit), image.shape)
        for about in ("the corner", "the centre"):
            transform = Affine(center=(centre / unit, centre / unit) if about == "the centre" else None)
            objective = Registration(image, reference, grid, transform).at(theta)
            start = transform.identity()
            end = gauss_newton(objective, start).x
            stop = until_close(transform, end, grid, unit)
            counts = {
                "Gauss-Newton": gauss_newton(objective, start, callback=stop).iterations,
                "Newton": newton_trust(objective, start, callback=stop).iterations,
            }
            descent = gradient_descent(objective, start, callback=stop, iterations=limit)
            counts["descent"] = (
                f"{descent.iterations}" if descent.iterations < limit else f"not done after {limit}"
            )
            condition = float(torch.linalg.cond(objective.hessian(end)))
            cases[about, lengths] = Case(objective, end, counts, condition)
    return cases


# ------------------------------------------------------------------------------------ methods


def refined(objective, w: torch.Tensor) -> torch.Tensor:
    """w after three plain Newton steps: as near to the minimiser as rounding allows, if w is near already."""
    for _ in range(3):
        w = w - torch.linalg.solve(objective.hessian(w), objective.gradient(w))
    return w


def errors(run, w_star: torch.Tensor) -> list[float]:
    """‖w − w*‖ of the accepted steps, no smaller than 10⁻¹⁶."""
    return [max(float((entry.x - w_star).norm()), 1e-16) for entry in run.history if entry.accepted]


def in_plane(turn: float, slide: float) -> torch.Tensor:
    """The w of ``TurnAndSlide`` for a turn in degrees and a slide in cm."""
    return torch.tensor([math.radians(turn) * REACH, slide], dtype=torch.float64)


def landscape(objective, turns: np.ndarray, slides: np.ndarray) -> np.ndarray:
    """The loss over turn and slide, (slides, turns)."""
    return np.array([[float(objective.loss(in_plane(a, s))) for a in turns] for s in slides])


def walk(method: str, objective, turn: float, slide: float):
    """A run from a turned and slid start, and its path (k, 2) in degrees and cm."""
    run = METHODS[method](objective, in_plane(turn, slide), iterations=60, gtol=1e-7)
    return run, run.path.numpy() * np.array([180 / math.pi / REACH, 1.0])


@dataclass(frozen=True, eq=False)
class Digits:
    """Three methods on one pair. share: the part of the reference's energy that the residual at w* holds."""

    objective: object
    w_star: torch.Tensor
    runs: dict
    share: float

    def correct(self, name: str) -> list[float]:
        """Correct digits −log₁₀‖w − w*‖ of the accepted steps, at most 16."""
        return [min(16.0, -math.log10(error)) for error in errors(self.runs[name], self.w_star)]

    def seven(self, name: str) -> int | None:
        """After how many steps seven digits are correct."""
        return next((k for k, digits in enumerate(self.correct(name)) if digits >= 7), None)

    @property
    def factor(self) -> float:
        """What Gauss-Newton multiplies its error by near w*: the largest eigenvalue of I − (JᵣᵀJᵣ)⁻¹H."""
        gauss, exact = (self.objective.hessian(self.w_star, kind) for kind in ("gauss-newton", "exact"))
        left = torch.eye(len(self.w_star), dtype=torch.float64) - torch.linalg.solve(gauss, exact)
        factors = torch.linalg.eigvals(left).real
        return float(factors[factors.abs().argmax()])


def digits(problem: Registration, start: torch.Tensor, theta: float) -> Digits:
    """Newton, Gauss-Newton and gradient descent from the same start."""
    objective = problem.at(theta)
    best = newton_trust(objective, start, gtol=0, ftol=0, xtol=1e-15)
    runs = {
        "Newton, trust region": best,
        "Gauss-Newton": gauss_newton(objective, start, iterations=40),
        "gradient descent": gradient_descent(objective, start, iterations=40),
    }
    energy = float(0.5 * problem.grid.cell_volume * objective.reference.square().sum())
    return Digits(objective, refined(objective, best.x), runs, best.loss / energy)


# ------------------------------------------------------------------------------------ what goes wrong


def seen_and_true(objective, run, truth: torch.Tensor) -> tuple[list[float], list[float]]:
    """Of the accepted steps: the loss in % of the first, and the mean distance from the true map."""
    steps, problem = [entry for entry in run.history if entry.accepted], objective.problem
    loss = [100 * entry.loss / steps[0].loss for entry in steps]
    return loss, [mean_distance(problem.transform, entry.x, truth, problem.grid) for entry in steps]


@dataclass(frozen=True)
class Basins:
    """Newton from a grid of starts: ``label[i, j]`` says in which of ``ends`` it stopped; 0 is right.

    converged: of each start. loss, error: of each end, the first as a share of the loss at the identity.
    """

    turns: np.ndarray
    slides: np.ndarray
    label: np.ndarray
    converged: np.ndarray
    ends: list
    loss: np.ndarray
    error: np.ndarray

    @property
    def count(self) -> np.ndarray:
        """How many starts lead to each end."""
        return np.bincount(self.label.flatten(), minlength=len(self.ends))


def basins(pair: Pair, objective, turns: Sequence[float], slides: Sequence[float]) -> Basins:
    """Run Newton from every start (turn, slide), and number the minima that it finds by how often it does."""
    transform, found = objective.problem.transform, []
    truth, first = displaced(pair, transform, 0), float(objective.loss(transform.identity()))
    label, converged = np.zeros((len(slides), len(turns)), int), np.zeros((len(slides), len(turns)), bool)
    for i, j in np.ndindex(label.shape):
        run = newton_trust(objective, displaced(pair, transform, turns[j], slides[i]))
        near = [k for k, w in enumerate(found) if mean_distance(transform, run.x, w, pair.grid) < 0.2]
        if not near:
            found.append(run.x)
        label[i, j], converged[i, j] = near[0] if near else len(found) - 1, run.converged
    error = np.array([mean_distance(transform, w, truth, pair.grid) for w in found])
    order = np.lexsort((-np.bincount(label.flatten()), error > error.min()))  # the right one, then by count
    rank = np.argsort(order)
    ends = [found[k] for k in order]
    loss = np.array([float(objective.loss(w)) / first for w in ends])
    return Basins(np.asarray(turns), np.asarray(slides), rank[label], converged, ends, loss, error[order])
