"""One call that aligns two images: ``register(template, reference)``.

    smaller images   both are averaged down to about 16 cells a side (10 in space), and doubled from there
    many starts      on the smallest: turns about the centres of mass, and no motion at all
    the best few     are followed to the next sizes, the best alone to the last but one
    the end          on the full images: ``starts.settle``, exact to the noise

For other distances than SSD and NCC, and for transformations that are not affine, the best start is
followed through all sizes by ``levenberg_marquardt`` or ``newton_trust``.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from scipy.spatial.transform import Rotation
from torch import Tensor

from regkit._determined import undetermined
from regkit._doubts import contrast, detail
from regkit._given import even, given
from regkit._process import line, threads_for
from regkit._require import function, require, require_words, whole
from regkit.deform import bend
from regkit.distances import NCC, SSD, Distance, ResidualDistance
from regkit.grid import Grid
from regkit.multimodal import NGF, MutualInformation
from regkit.optimize import levenberg_marquardt, newton_trust
from regkit.outside import Outside
from regkit.pyramid import smaller
from regkit.registered import THETA, Registered, RunnerUp
from regkit.registration import Evaluation, Objective, Registration
from regkit.similarity import Similarity
from regkit.spline import at_centres
from regkit.starts import Together, Weighted, descend, fits, settle
from regkit.transforms import Affine, Rigid, Transform, Translation

TRANSFORMS = {"translation": Translation, "rigid": Rigid, "similarity": Similarity, "affine": Affine}
DISTANCES = {"ncc": NCC, "ssd": SSD, "ngf": NGF, "mi": MutualInformation}
THETAS = (1.0, 0.5, 0.3)  # from the smallest images on
NOTHING = "expected images that overlap, with structure in them, got none: see grids and masks"
FOLLOWED = 8  # a half, a quarter, … of so many minima go on, if J is at most twice the best


@dataclass(frozen=True, eq=False)
class Stage:
    """What ``register`` has done so far, for its callback.

    Args:
        cells: of the reference at this size.
        level, levels: which size this is, from 1, and how many there are.
        w (p,): the best map so far.
        seconds: since the start.
    """

    cells: int
    level: int
    levels: int
    w: Tensor
    seconds: float


def register(
    template: Any,
    reference: Any,
    *,
    transform: str | Transform = "affine",
    distance: str | Distance = "ncc",
    template_grid: Grid | float | Sequence[float] | None = None,
    reference_grid: Grid | float | Sequence[float] | None = None,
    template_mask: Any = None,
    reference_mask: Any = None,
    outside: Outside = None,
    turns: int | None = None,
    threads: int | None = None,
    callback: Callable[[Stage], bool | None] | None = None,
) -> Registered:
    """The map y(x) that makes the template at y look like the reference at x.

    Brightness and contrast may differ. No start is needed: in the plane any rotation is found.

    Args:
        template: the image that is moved: a tensor, an array, an image of PIL or the name of a file
            that ``files.read`` can read, in two or three dimensions, or height × width × 3 or 4 in
            colour, of which the luminance is used.
        reference: the image that stays, likewise; of any size.
        transform: "translation", "rigid", "similarity", "affine", "freeform" for an affine map and
            then ``deform.bend``, or a ``Transform``.
        distance: "ncc", "ssd" for equal grey values, "ngf" or "mi" for images of two kinds,
            or a ``Distance``.
        template_grid: the template's box and cells as a ``Grid``, or the sides of its cells; None
            for what the file says, or else 1.
        reference_grid: the same for the reference, in the same unit of length.
        template_mask (of the shape of the template): zero where it does not count. Where an image
            is NaN, it never counts.
        reference_mask (of the shape of the reference): the same.
        outside: what the images are beyond their boxes, see ``outside``. None for "edge" where the
            borders of both are even, and "overlap" else.
        turns: how many turns are tried; None for 12 in the plane and 24 in space, 1 for none.
        threads: of the processor; None for one where images are small. The setting is restored.
        callback: gets a ``Stage`` after each size, and ends the search by returning True. Without
            one, a line on the terminal tells what takes longer than two seconds.

    Returns:
        ``Registered``: the map, what it does to images, and how good it is.

    Raises:
        ValueError: for an image that is none, is constant, or is all masked; and for grids and
            masks that do not fit.

    Example:
        >>> from regkit.data import hands_phantom
        >>> image = hands_phantom(64).template
        >>> found = register(image, 10 + 2 * image.rot90(), transform="rigid")
        >>> found.matrix("scipy").round(2) + 0.0
        array([[ 0.,  1.,  0.],
               [-1.,  0., 63.],
               [ 0.,  0.,  1.]])
    """
    turns, threads = (
        None if count is None else whole(count, f"at least 1 {name}, or None")
        for name, count in (("turn", turns), ("thread", threads))
    )
    require(threads is None or threads <= 1024, f"expected at most 1024 threads, got {threads}")
    function(callback, "a function of the stage as callback")
    bent, transform = transform == "freeform", "affine" if transform == "freeform" else transform
    notes: list[str] = []
    moved = given(template, template_grid, template_mask, "template", notes)
    fixed = given(reference, reference_grid, reference_mask, "reference", notes)
    dim, other = (image.ndim for image, _, _ in (fixed, moved))
    require(dim == other, f"expected images of the same dimension, got {other}-D and {dim}-D")
    sides = [max(grid.extent) for _, grid, _ in (moved, fixed)]
    message = (
        f"expected images that overlap, with structure in them, got boxes {sides[0]:g} and {sides[1]:g} wide"
    )
    require(1e-4 < sides[0] / sides[1] < 1e4, f"{message}: in one unit of length?")
    if outside is None:
        outside = (
            "edge"
            if moved[2] is None and all(even(image, mask) for image, _, mask in (moved, fixed))
            else "overlap"
        )
    center = tuple(side / 2 for side in fixed[1].extent)
    if not isinstance(transform, Transform):
        require_words(transform=(transform, [*TRANSFORMS, "freeform"]))
        transform = TRANSFORMS[transform](dim, center)
    problem = Registration(
        moved[0],
        fixed[0],
        fixed[1],
        transform,
        _distance(distance),
        weights=fixed[2],
        template_grid=moved[1],
        outside=outside,
        template_weights=moved[2],
    )
    with threads_for(threads, max(fixed[1].count, moved[1].count)):
        try:
            found = _search(problem, turns, callback or line(), notes)
            return bend(found) if bent else found
        except torch.linalg.LinAlgError:
            pass
    raise ValueError(NOTHING)


def _distance(distance: str | Distance) -> Distance:
    if isinstance(distance, Distance):
        return distance
    require_words(distance=(distance, DISTANCES))
    return DISTANCES[distance]()


# ---- from small images to large ones


def sizes(problem: Registration) -> list[Registration]:
    """The problem with larger and larger cells, the coarsest first, about as long as wide in both images."""
    smallest = 16 if problem.grid.dim == 2 else 10
    spacings = [grid.spacing for grid in problem.grids]
    finest = max(min(spacing) for spacing in spacings)
    longest = min(max(grid.extent) for grid in problem.grids)
    count = max(0, round(math.log2(longest / finest / smallest)))
    levels = []
    for halvings in range(count, -1, -1):
        blocks = [
            [
                min(2 ** max(0, round(math.log2(finest * 2**halvings / h))), max(1, cells // 4))
                for h, cells in zip(grid.spacing, grid.shape, strict=True)
            ]
            for grid in problem.grids
        ]
        levels.append(problem if max(map(max, blocks)) == 1 else smaller(problem, *blocks))
    return levels


def _rotations(dim: int, turns: int | None) -> list[Tensor]:
    """Turns by the same angle in the plane; in space the 24 rotations of a cube."""
    unit = torch.eye(dim, dtype=torch.float64)
    if turns == 1:
        return [unit]
    if dim == 2:
        angles = [2 * math.pi * k / (turns or 12) for k in range(turns or 12)]
        return [
            torch.tensor([[math.cos(a), -math.sin(a)], [math.sin(a), math.cos(a)]]).double() for a in angles
        ]
    cube = torch.from_numpy(Rotation.create_group("O").as_matrix().round())
    return sorted(cube, key=lambda Q: -float(Q.trace()))[: turns or 24]


def _centre(image: Tensor, weights: Tensor | None, grid: Grid, beyond: Tensor) -> Tensor:
    """The centre of mass of |image − beyond|."""
    mass = (image - beyond).abs() * (1 if weights is None else weights)
    return mass.reshape(-1) @ grid.points(image.dtype, image.device) / mass.sum()


def _starts(problem: Registration, turns: int | None) -> Tensor:
    """Turns about the centres of mass, no motion, and the middles of the boxes on each other, (k, p)."""
    transform, dim = problem.transform, problem.grid.dim
    if not isinstance(transform, Affine):
        return transform.identity()[None]
    masses = (problem.template, problem.template_weights), (problem.reference, problem.weights)
    centres = [
        _centre(*pair, grid, beyond)
        for pair, grid, beyond in zip(masses, problem.grids[::-1], problem.beyond, strict=True)
    ]
    middles = [torch.tensor(grid.extent).to(centres[0]) / 2 for grid in problem.grids[::-1]]
    turned = _rotations(dim, 1 if isinstance(transform, Translation) else turns)
    rotations = [Q.to(centres[0]) for Q in turned]
    to, at = centres
    starts = [transform.from_matrix(Q, to - Q @ at) for Q in rotations]
    unit = rotations[0]
    starts += [
        transform.from_matrix(unit, 0 * middles[0]),
        transform.from_matrix(unit, middles[0] - middles[1]),
    ]
    return torch.stack(starts)


def _search(problem: Registration, turns: int | None, callback: Callable, notes: list[str]) -> Registered:
    began, levels, fast = time.perf_counter(), sizes(problem), fits(problem)
    w, runner_up, covariance = _starts(levels[0], turns), None, None
    equations = Weighted(problem) if fast else None
    for number, level in enumerate(levels, 1):
        if number == 1 or number < len(levels) or not fast:
            w, J = _minimised(level, w, fast, THETAS[min(number, len(THETAS)) - 1])
            order = _distinct(level, w, J)
            if len(order) > 1:
                runner_up = RunnerUp(w[order[1]], float(J[order[1]]), float(J[order[0]]))
            near = [k for k in order if J[k] - J[order[0]] <= abs(J[order[0]])]
            w = w[near[: max(1, FOLLOWED >> number)]]
        if fast and number == len(levels):
            w, covariance = (part[None] for part in _settled(equations, w[0]))
        if callback(Stage(level.grid.count, number, len(levels), w[0], time.perf_counter() - began)):
            break
    finest = problem.at(THETA)
    before, after = _without_motion(finest), float(finest.loss(w[0]))
    found = Registered(problem, w[0], before, after, runner_up)
    if covariance is not None:
        vars(found)["precision"] = equations.precision(found.w, covariance[0])  # here it is at hand
    doubts = _doubts(found, levels, turns)
    object.__setattr__(found, "warnings", (*notes, *doubts))
    return found


def _doubts(found: Registered, levels: list[Registration], turns: int | None) -> Iterator[str]:
    """What speaks against the result, in words."""
    small = levels[0]
    distance, second = found.problem.distance, found.runner_up
    scale = 1.0 if isinstance(distance, NCC) else abs(found.before)
    nothing = float(small.omega.sum()) if isinstance(distance, NGF) else 0.0  # J where no edges are parallel
    share, least = (0.5, 5e-4) if isinstance(distance, NCC) else (0.1, 1e-3)
    rounding = 1e-12 * contrast(found.problem, scale)
    if second is not None and (
        second.distance - second.best < share * abs(second.best - nothing) + least * scale
    ):
        ratio = f"{second.distance:.3g} against {second.best:.3g}"
        yield f"ambiguous: another map is almost as good, a distance of {ratio}: see runner_up"
    if found.overlap < 0.5:
        yield f"little overlap: {found.overlap:.0%} of the reference lies in the template's box"
    if isinstance(found.transform, Affine) and (way := undetermined(levels, found.w)):
        yield f"the map is not determined {way}"
    if fits(found.problem):
        if not found.precision < 0.5:
            yield f"hardly any structure: noise alone moves the map by {found.precision:.2g} cells"
        others = {}
        if isinstance(distance, NCC) and found.after > 0.25:
            words = "contrast inverted: bright in one image is dark in the other"
            others[words] = replace(small, reference=-small.reference)
        if found.after > 0.05 * scale:
            words = "mirrored: one image turned over in a mirror is much more like the other"
            others[words] = _mirrored(small)
        told = False
        for words, other in others.items():
            J = _minimised(other, _starts(other, turns), True)[1]
            if J.min() < 0.5 * small.at(THETA).loss(found.w):
                told = True
                yield words
        if not told and found.after > 0.05 * scale:
            alike = detail(found.problem, found.warp(), found.points)
            if alike < 0.3:
                yield f"these may have nothing in common: their details have a correlation of {alike:.2f}"
    if found.after > found.before + 1e-3 * scale + rounding:
        yield f"no better: the distance is {found.after:.3g} with the map and {found.before:.3g} without"


def _without_motion(objective: Objective) -> float:
    """J of the identity. Between equal grids it needs the spline at the cells only, as weighted sums."""
    problem = objective.problem
    still = problem.transform.identity().to(problem.reference)
    if problem.grids[0] != problem.grids[1]:
        return float(objective.loss(still))
    cover = () if problem.cover is None else (at_centres(problem.cover),)
    template = at_centres(objective.coefficients) + problem.beyond[0]
    return float(Evaluation(objective, still, (template,), cover).loss)


def _mirrored(problem: Registration) -> Registration:
    """The same with the template reversed along its first axis."""
    weights = problem.template_weights
    flipped = None if weights is None else weights.flip(0)
    return replace(problem, template=problem.template.flip(0), template_weights=flipped)


def _settled(equations: Weighted, w: Tensor) -> tuple[Tensor, Tensor]:
    """``settle``, or if its iteration does not converge from here, from the minimiser; or else that."""
    end = settle(equations, w)
    if torch.equal(end[0], w):
        end = settle(equations, _minimised(equations.problem, w[None], True)[0][0])
    return end


def _minimised(level: Registration, w: Tensor, fast: bool, theta: float = THETA) -> tuple[Tensor, Tensor]:
    objective = level.at(theta)
    if fast:
        return descend(Together(objective), w, 10, 0.05 * min(level.grid.spacing))
    newton = isinstance(level.distance, NGF) or not isinstance(level.distance, ResidualDistance)
    method = newton_trust if newton else levenberg_marquardt
    ends = [method(objective, each, iterations=30, xtol=1e-5, ftol=1e-6) for each in w]
    return torch.stack([end.x for end in ends]), torch.tensor([end.loss for end in ends])


def _distinct(level: Registration, w: Tensor, J: Tensor) -> list[int]:
    """The numbers of the minima, the smallest first, without those that are the same as a better one."""
    if len(w) == 1 and J.isfinite():
        return [0]
    y = torch.stack([level.motion(each).reshape(-1) for each in w])
    far, chosen = 0.05 * max(level.grid.extent) * math.sqrt(level.grid.count), []
    apart = (torch.cdist(y, y) > far).tolist()
    for k in J.argsort()[: int(J.isfinite().sum())].tolist():
        if all(apart[k][other] for other in chosen):
            chosen.append(k)
    require(len(chosen) > 0, NOTHING)
    return chosen
