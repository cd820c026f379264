"""Experiments of chapter 4: landscapes over one and two parameters, and registrations through the scales."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from regkit import Grid, SmoothingBasis, evaluate
from regkit.continuation import follow
from regkit.data import Pair
from regkit.optimize import newton_trust
from regkit.paths import Path
from regkit.pyramid import multilevel
from regkit.registration import Registration
from regkit.transforms import Transform


def local_minima(values: torch.Tensor) -> torch.Tensor:
    """Indices of the interior points of a 1-D tensor that lie below both of their neighbours."""
    inner = values[1:-1]
    return ((inner < values[:-2]) & (inner < values[2:])).nonzero().flatten() + 1


def landscape_1d(
    problem: Registration, shifts: torch.Tensor, theta: float
) -> tuple[torch.Tensor, torch.Tensor]:
    """The loss at every shift, and the shifts of its local minima."""
    objective = problem.at(theta)
    losses = torch.stack([objective.loss(shift[None]) for shift in shifts])
    return losses, shifts[local_minima(losses)]


def drift(problem: Registration, thetas: Sequence[float], first: float = 10.0) -> dict[float, float]:
    """Where the minimum near ``first`` lies at each θ, followed from a small θ upwards."""
    places, shift = {}, torch.tensor([first], dtype=torch.float64)
    for theta in sorted(thetas):
        shift = newton_trust(problem.at(theta), shift).x
        places[theta] = float(shift)
    return places


def gaussian_width(theta: float) -> float:
    """σ in cells of the Gaussian blur that halves the same stripes as θ does: √(2 ln 2) θ^¼.

    At low frequencies ω the spline keeps 1/(1 + θω⁴) of stripes, the Gaussian exp(−σ²ω²/2).
    """
    return math.sqrt(2 * math.log(2)) * theta**0.25


def blurred_bump(width: float, theta: float) -> tuple[torch.Tensor, torch.Tensor]:
    """A Gaussian bump in the middle of 64 cells, blurred: places in cells from its middle, and values."""
    grid = Grid((64.0,), (64,))
    bump = torch.exp(-0.5 * ((grid.axis(0) - 32) / width) ** 2)
    x = torch.linspace(8, 56, 961, dtype=torch.float64)
    return x - 32, evaluate(SmoothingBasis(bump).coefficients(theta), grid, x[:, None])


def extrema(values: torch.Tensor) -> torch.Tensor:
    """Indices of the interior points of a 1-D tensor that are higher, or lower, than both neighbours."""
    slopes = values.diff()
    return (slopes[1:] * slopes[:-1] < 0).nonzero().flatten() + 1


# ------------------------------------------------------------------------------------ two parameters


@dataclass(frozen=True, eq=False)
class Landscape:
    """The loss over a full turn and a shift. ``valleys`` (k, 2): its minima in radians and cm, refined.

    ``losses`` (angles, shifts), at ``angles`` in radians and ``shifts`` in cm; ``depths`` (k,): of valleys.
    """

    angles: np.ndarray
    shifts: np.ndarray
    losses: torch.Tensor
    valleys: torch.Tensor
    depths: torch.Tensor


def landscape_2d(
    problem: Registration, angles: Sequence[float], shifts: Sequence[float], theta: float
) -> Landscape:
    """The loss over rotation and horizontal shift, and its minima.

    On the grid a minimum lies below its four neighbours; the last angle is next to the first. From there
    Newton's method, in these two parameters, goes to the bottom. So the valleys that are found are true
    ones, and of narrow ones a finer grid may find more.

    Args:
        problem: a ``Rigid`` registration in the plane.
        angles (radians): evenly spaced over a full turn, without its end.
        shifts (cm): to the right.
        theta: scale.
    """
    objective = problem.at(theta)
    rows = [[objective.loss(torch.tensor([a, s, 0.0], dtype=torch.float64)) for s in shifts] for a in angles]
    losses = torch.tensor(rows, dtype=torch.float64)
    valleys: list[torch.Tensor] = []
    for i, j in low_points(losses).tolist():
        place = bottom(objective, torch.tensor([angles[i], shifts[j], 0.0], dtype=torch.float64))
        if place is not None and not any(_same(place, other) for other in valleys):
            valleys.append(place)
    depths = torch.stack([objective.loss(w) for w in valleys])
    places = torch.stack(valleys)[:, :2]
    places[:, 0] = (places[:, 0] - angles[0]) % (2 * math.pi) + angles[0]
    return Landscape(np.asarray(angles), np.asarray(shifts), losses, places, depths)


def low_points(losses: torch.Tensor) -> torch.Tensor:
    """Indices (k, 2) of what lies below its four neighbours, around the first axis and inside the second."""
    inner = losses[:, 1:-1]
    below = (inner < losses[:, :-2]) & (inner < losses[:, 2:])
    below &= (inner < inner.roll(1, 0)) & (inner < inner.roll(-1, 0))
    return below.nonzero() + torch.tensor([0, 1])


def bottom(objective, w: torch.Tensor, free: int = 2) -> torch.Tensor | None:
    """The minimum in the first parameters of w near by, by Newton's method; None if there is none."""
    w = w.clone()
    for _ in range(40):
        g, H = objective.gradient(w)[:free], objective.hessian(w)[:free, :free]
        if torch.linalg.eigvalsh(H)[0] <= 0:
            return None
        step = -torch.linalg.solve(H, g)
        length = float(step.norm())
        w[:free] += step * (min(1.0, 0.3 / length) if length else 0.0)
        if length < 1e-9:
            return w
    return None


def _same(a: torch.Tensor, b: torch.Tensor) -> bool:
    turn = (float(a[0] - b[0]) + math.pi) % (2 * math.pi) - math.pi
    return abs(turn) < 0.01 and abs(float(a[1] - b[1])) < 0.03


# ------------------------------------------------------------------------------------ maps and starts


def map_error(pair: Pair, w: torch.Tensor) -> float:
    """Mean distance, in cells, between the map y = A x + b of w and the true one, over the hand."""
    x = pair.grid.points()[pair.reference.reshape(-1) > 25]
    change = w - pair.w_true
    moved = x @ change[:4].reshape(2, 2).T + change[4:]
    return float((moved / moved.new_tensor(pair.grid.spacing)).norm(dim=1).mean())


def moved(problem: Registration) -> Callable[[torch.Tensor], torch.Tensor]:
    """w ↦ the template, unblurred, as w shows it."""
    grid, template = problem.grid, SmoothingBasis(problem.template).coefficients(0.0)
    x = grid.points()
    return lambda w: evaluate(template, grid, problem.transform(w, x)).reshape(grid.shape)


def start_at(pair: Pair, transform: Transform, degrees: float, center: Sequence[float]) -> torch.Tensor:
    """The w of the true map, turned by so many degrees: the template turns about the image of ``center``."""
    A, b = pair.w_true[:4].reshape(2, 2), pair.w_true[4:]
    cos, sin = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    turned = A.new_tensor([[cos, -sin], [sin, cos]]) @ A
    return transform.from_matrix(turned, (A - turned) @ A.new_tensor(center) + b)


def in_the_corner(transform: Transform, w: torch.Tensor) -> torch.Tensor:
    """The parameters (6,) of the same map about the corner, y = A x + b, as ``Pair.w_true`` has them."""
    A, b = transform.matrix(w)
    return torch.cat([A.reshape(-1), b])


def turned_by(pair: Pair, transform: Transform, w: torch.Tensor) -> float:
    """By how many degrees the map of w is turned against the true one."""
    A = transform.matrix(w)[0] @ torch.linalg.inv(pair.w_true[:4].reshape(2, 2))
    return math.degrees(math.atan2(float(A[1, 0] - A[0, 1]), float(A[0, 0] + A[1, 1])))


# ------------------------------------------------------------------------------------ through the scales


def multiscale(problem: Registration, thetas: Sequence[float], w: torch.Tensor) -> tuple[torch.Tensor, float]:
    """Newton's method at every scale, from where the last one ended: w at the end, and the evaluations."""
    path = follow(problem, list(map(float, thetas)), w, predictor="none")
    return path.w, path.work


def schedule(
    problem: Registration, coarsest: float, scales: int, least: float = 1e-3
) -> tuple[torch.Tensor, int]:
    """Register through so many scales from ``coarsest`` down to ``least``, evenly in log θ; one is ``least``.

    Returns:
        tuple: w at the end, and how many evaluations it took.
    """
    thetas = np.geomspace(coarsest, least, scales) if scales > 1 else [least]
    w, work = multiscale(problem, thetas, problem.transform.identity())
    return w, int(work)


@dataclass(frozen=True)
class Strip:
    """A way of registering, from many starts. errors (cells): of the maps; work (evaluations): the mean."""

    errors: list[float]
    work: float

    @property
    def home(self) -> list[bool]:
        """Which of them end within half a cell of the true map."""
        return [error < 0.5 for error in self.errors]


def strip(
    pair: Pair,
    problem: Registration,
    degrees: Sequence[float],
    center: Sequence[float],
    thetas: Sequence[float],
    levels: int = 1,
) -> Strip:
    """Through the scales θ, on so many sizes of image, from the true map turned by each of ``degrees``."""
    paths = []
    for turn in degrees:
        start = start_at(pair, problem.transform, turn, center)
        paths.append(multilevel(problem, start, levels=levels, thetas=list(thetas), predictor="none"))
    errors = [map_error(pair, in_the_corner(problem.transform, path.w)) for path in paths]
    return Strip(errors, sum(path.work for path in paths) / len(paths))


def nearest_lost(degrees: Sequence[float], home: Sequence[bool]) -> float:
    """The smallest turn, either way, from which a start does not come home."""
    return min(abs(turn) for turn, ok in zip(degrees, home, strict=True) if not ok)


@dataclass(frozen=True, eq=False)
class Leap:
    """Runs down the scales from a turned start: ``paths`` by how many scales they have."""

    pair: Pair
    problem: Registration
    paths: Mapping[int, Path]

    def turns(self, scales: int) -> list[float]:
        """Degrees by which the map is turned against the true one, after each scale."""
        return [turned_by(self.pair, self.problem.transform, w) for w in self.paths[scales].path]

    def errors(self, scales: int) -> list[float]:
        """Errors of the map in cells, after each scale."""
        transform = self.problem.transform
        return [map_error(self.pair, in_the_corner(transform, w)) for w in self.paths[scales].path]


def leap(pair: Pair, problem: Registration, start: torch.Tensor, counts: Sequence[int]) -> Leap:
    """From ``start`` through each number of scales from 1000 to 0.001."""
    ways = {count: np.geomspace(1e3, 1e-3, count).tolist() for count in counts}
    return Leap(pair, problem, {n: follow(problem, way, start, predictor="none") for n, way in ways.items()})
