"""Experiments of chapter 8: three walkers in a valley, and variable projection with several Jacobians."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from regbook import paper
from regkit.implicit import Derivative, Frozen
from regkit.linear import Cholesky, Solver
from regkit.spline import coefficients, evaluate
from regkit.superres import SuperResolution
from regkit.templates import Synthetic
from regkit.varpro import GolubPereyra, Kaufman, Matrices, Reduced, ReducedJacobian, Separable

EXACT = Cholesky()
JACOBIANS = {"none": Frozen(), "Kaufman": Kaufman(), "Golub-Pereyra": GolubPereyra()}


# ---- a spot beyond the window: one parameter w, one intensity f

PIXELS = torch.arange(6, dtype=torch.float64) + 0.5
WIDTH, NEAR = 2.0, 0.01  # of the spot; how near to the best w counts as arrived
STARTS = {"near and bright": (4.5, 2.0), "far and faint": (8.5, 0.5)}


def on_the_line(w: float) -> tuple[float, float]:
    """The start (w, f) on the line between the two of STARTS."""
    (w0, f0), (w1, f1) = STARTS.values()
    return w, f0 + (f1 - f0) * (w - w0) / (w1 - w0)


def spot_shape(w: torch.Tensor) -> torch.Tensor:
    """a(w) as a matrix with one column: the spot at w (1,), of brightness one, at the six pixels."""
    return torch.exp(-((PIXELS - w) ** 2) / (2 * WIDTH**2))[:, None]


def spot() -> Matrices:
    """A spot of brightness 1 at w = 7, one pixel beyond the window, seen with a little noise."""
    noise = torch.from_numpy(np.random.default_rng(0).normal(size=6))
    return Matrices(spot_shape, spot_shape(torch.tensor([7.0]).double())[:, 0] + 0.01 * noise)


@dataclass(frozen=True, eq=False, repr=False)
class Walk:
    """points: (k + 1, 2), (w, f) after every step. corners: of each step, the points to draw it through."""

    points: np.ndarray
    corners: list


def at_spot(problem: Matrices, w: float) -> tuple[np.ndarray, np.ndarray, float]:
    """a(w), a'(w) and the best intensity f(w), from numbers to numbers."""
    x = PIXELS.numpy()
    a = np.exp(-((x - w) ** 2) / (2 * WIDTH**2))
    return a, (x - w) / WIDTH**2 * a, float(a @ problem.b.numpy() / (a @ a))


def walks(problem: Matrices, w: float, f: float, steps: int = 80) -> dict[str, Walk]:
    """Three walkers in the valley of ½‖f a(w) − b‖², all with undamped Gauss-Newton steps."""
    b = problem.b.numpy()
    found = {}
    for name in ("alternating", "joint Gauss-Newton", "variable projection"):
        points, corners = [(w, f)], []
        for _ in range(steps):
            here = points[-1]
            a, slope, best = at_spot(problem, here[0])
            if name == "joint Gauss-Newton":
                J = np.stack([here[1] * slope, a], axis=1)
                step = np.linalg.lstsq(J, here[1] * a - b)[0]
                to = (here[0] - step[0], here[1] - step[1])
                corners.append([here, to])
            elif name == "alternating":
                D, r = best * slope, best * a - b
                to = (here[0] - D @ r / (D @ D), best)
                corners.append([here, (here[0], best), to])
            else:
                D, r = best * slope, best * a - b
                seen = D - a * (a @ D) / (a @ a)
                to = here[0] - seen @ r / (seen @ seen)
                floor = [(v, at_spot(problem, v)[2]) for v in np.linspace(here[0], to, 15)]
                to = floor[-1]
                corners.append([here, *floor])
            if not (abs(to[0]) < 30 and abs(to[1]) < 30):  # gone for good
                to = (math.nan, math.nan)
            points.append(to)
            if math.isnan(to[0]):
                points += [to] * (steps + 1 - len(points))
                break
        found[name] = Walk(np.array(points), corners)
    return found


def best_spot(problem: Matrices) -> tuple[float, float]:
    """The minimiser (w, f)."""
    return walks(problem, 7.0, 1.0, 30)["variable projection"].points[-1]


def arrivals(problem: Matrices, w: float, f: float) -> dict[str, int | None]:
    """After how many steps each walker is, and stays, within NEAR of the best w; None if never."""
    target, counts = best_spot(problem)[0], {}
    for name, walk in walks(problem, w, f).items():
        away = ~(np.abs(walk.points[:, 0] - target) < NEAR)
        counts[name] = None if away[-1] else int(np.flatnonzero(away)[-1]) + 1
    return counts


# ---- the standard problem of chapters 7 to 10


@dataclass(frozen=True, eq=False, repr=False)
class Run:
    """A run, step by step: loss, gradient norm, image error (%), image of an exact projection, and w."""

    loss: np.ndarray
    gradient: np.ndarray
    error: np.ndarray
    images: list[torch.Tensor]
    path: list[torch.Tensor]


def run(
    made: Synthetic,
    w: torch.Tensor,
    jacobian: ReducedJacobian | Derivative,
    rows: str = "full",
    solver: Solver = EXACT,
    **limits,
) -> Run:
    """The paper's Levenberg-Marquardt on the reduced residual. limits: what is otherwise, for this run."""
    reduced = Reduced(made.problem, solver, jacobian, made.problem.upsampled(), rows)
    exact, images = Reduced(made.problem, EXACT), []

    def note(k, point):
        images.append(point.f if solver == EXACT else exact.point(point.w).f)
        return reduced

    found = paper.levenberg_marquardt(reduced, w, advance=note, **limits)
    note(found.iterations + 1, found.point)
    losses, gradients = (np.array([getattr(s, n) for s in found.history]) for n in ("loss", "gradient_norm"))
    errors = np.array([100 * made.error(f) for f in images])
    return Run(losses, gradients, errors, images, [entry.x for entry in found.history])


def finite_difference(problem: SuperResolution, w: torch.Tensor, h: float = 1e-6) -> torch.Tensor:
    """The true Jacobian of the full reduced residual at w, by central differences of exact projections."""
    reduced, moves = Reduced(problem, EXACT), h * torch.eye(len(w), dtype=w.dtype)
    return torch.stack([(reduced.residual(w + e) - reduced.residual(w - e)) / (2 * h) for e in moves], dim=1)


def judged(
    problem: SuperResolution, w: torch.Tensor, truth: torch.Tensor
) -> dict[tuple[str, str], dict[str, float]]:
    """For both kinds of rows and three Jacobians: errors of gradient and matrix, angle, length of the step.

    The parameters are scaled so that the columns of the true Jacobian have length one.

    Args:
        problem: the model.
        w (p,): where.
        truth (m, p): the true Jacobian there, all rows.

    Returns:
        dict: (rows, name of the Jacobian) ↦ gradient and matrix, relative errors; angle, in degrees; step,
        part of the true length.
    """
    found = {}
    for rows in ("data", "full"):
        points = {n: Reduced(problem, EXACT, kind, rows=rows).point(w) for n, kind in JACOBIANS.items()}
        r = points["none"].residual
        scale = truth[: len(r)].norm(dim=0)
        T = truth[: len(r)] / scale
        g, B = T.T @ r, T.T @ T
        for name, point in points.items():
            J = point.jacobian / scale
            mine, matrix = J.T @ r, J.T @ J
            step = torch.linalg.solve(matrix, mine).norm() / torch.linalg.solve(B, g).norm()
            cosine = (mine @ g / (mine.norm() * g.norm())).clamp(-1, 1)
            found[rows, name] = {
                "gradient": float((mine - g).norm() / g.norm()),
                "matrix": float((matrix - B).norm() / B.norm()),
                "angle": math.degrees(float(torch.arccos(cosine))),
                "step": float(step),
            }
    return found


def along(problem: SuperResolution, path: Sequence[torch.Tensor]) -> list[dict]:
    """``judged`` at each w of a path."""
    return [judged(problem, w, finite_difference(problem, w)) for w in path]


def shares(problem: Separable, w: torch.Tensor) -> torch.Tensor:
    """sin² of the principal angles between range(D) and range(A), (p,): how short the steps of none are."""
    D, across = (Reduced(problem, EXACT, JACOBIANS[name]).point(w).jacobian for name in ("none", "Kaufman"))
    return torch.linalg.eigvals(torch.linalg.solve(D.T @ D, across.T @ across)).real


# ---- the gauge


def undone(problem: SuperResolution, w: torch.Tensor, f: torch.Tensor) -> torch.Tensor:
    """f seen through the motion of template 0, f(y(x; w₀)): the image in the frame of template 0."""
    y = problem.transform(problem.motions(w)[0], problem.points)
    return evaluate(coefficients(f.reshape(problem.grid.shape), 0.0), problem.grid, y)


def undrifted(made: Synthetic, one: Run) -> list[float]:
    """Image error (%) after each step of a run, the motion of template 0 undone."""
    pairs = zip(one.path, one.images, strict=True)
    return [100 * made.error(undone(made.problem, w, f)) for w, f in pairs]


def drift(problem: SuperResolution, w: torch.Tensor) -> tuple[float, tuple[float, float]]:
    """How template 0 has moved: by so many cells, mean over Ω; and how it is stretched along x and y."""
    motion, h = problem.motions(w)[0], torch.tensor(problem.grid.spacing, dtype=w.dtype)
    away = (problem.transform(motion, problem.points) - problem.points) / h
    return float(away.norm(dim=1).mean()), (float(motion[0]) - 1, float(motion[3]) - 1)


def drift_alone(made: Synthetic, one: Run) -> list[float]:
    """By how much (%) the drift of template 0 after each step of a run would change the true image."""
    return [100 * made.error(undone(made.problem, w, made.image)) for w in one.path]


def penalty(problem: SuperResolution, w: torch.Tensor, f: torch.Tensor) -> float:
    """½ λ² h_f ‖L f‖², the penalty's part of the loss."""
    A = problem.at(w)
    return 0.5 * float((A.forward(f) - problem.b)[A.data_rows :].square().sum())
