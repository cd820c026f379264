"""Experiments of chapter 12: the paper's tables and figures by its protocol, on its images or on drawn ones.

Every function takes ``images``: "paper" are the paper's hands, found through ``REGKIT_DATA``; "drawn" are
ours, which everybody has. Losses are the paper's ‖r‖², twice this book's J.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping, Sequence
from functools import cache

import numpy as np
import torch

from regbook import paper, records
from regbook.experiments import euler
from regbook.meter import cost
from regkit import data
from regkit.continuation import follow
from regkit.flows import NeuralODE
from regkit.grid import Grid
from regkit.implicit import Derivative, Frozen, Last, Unrolled
from regkit.linear import Cholesky, Solver
from regkit.registration import Registration
from regkit.spline import SmoothingBasis, coefficients, evaluate
from regkit.templates import Synthetic, register_templates, synthetic
from regkit.transforms import Affine, Transform
from regkit.varpro import GolubPereyra, Kaufman, Reduced, ReducedJacobian


def pair(images: str, size: int) -> data.Pair:
    """Template and reference with ``size`` cells a side."""
    return {"paper": data.paper_hands, "drawn": data.hands_phantom}[images](size)


def registration(images: str, size: int = 32, transform: Transform | None = None) -> Registration:
    """The problem of Figs 2 and 3, and of Table 1: no centre, no penalty."""
    found = pair(images, size)
    return Registration(found.template, found.reference, found.grid, transform or Affine())


# ---- Table 1


def table_1(images: str, repeats: int = 15) -> dict[int, dict[str, float]]:
    """Median costs of derivatives, for 6 and for 50 parameters: as the paper has it, and a product Hv beside.

    Loss, gradient, Hessian and the product are in runs of the loss; forward function and Jacobian in runs of
    the forward function; "ms" are the milliseconds of the loss. All by torch.func from the plain program,
    which fits the spline at every call.
    """
    found = pair(images, 32)
    w6 = Affine().identity()
    transforms = {6: (Affine(), w6), 50: (NeuralODE(), NeuralODE().identity())}
    noise = torch.Generator().manual_seed(0)
    table = {}
    for p, (transform, w) in transforms.items():
        w = w + 0.01 * torch.randn(p, generator=noise, dtype=w.dtype)
        forward, loss = programs(found, transform)
        gradient = torch.func.grad(loss)
        scalar = {
            "loss": lambda loss=loss, w=w: loss(w),
            "gradient": lambda gradient=gradient, w=w: gradient(w),
            "Hessian": lambda gradient=gradient, w=w: torch.func.jacrev(gradient)(w),
            "product": lambda gradient=gradient, w=w: torch.func.grad(lambda u: gradient(u) @ w)(w),
        }
        vector = {
            "forward": lambda forward=forward, w=w: forward(w),
            "Jacobian": lambda forward=forward, w=w: torch.func.jacfwd(forward)(w),
        }
        (of_loss, ms), (of_forward, _) = factors(scalar, repeats), factors(vector, repeats)
        table[p] = {**of_loss, **of_forward, "ms": ms}
    return table


def programs(found: data.Pair, transform: Transform) -> tuple[Callable, Callable]:
    """T(y(x; w)), (n,), and ‖T(y(x; w)) − R‖² h as plain programs, at θ = 1e-3."""
    x, area = found.grid.points(), found.grid.cell_volume

    def forward(w: torch.Tensor) -> torch.Tensor:
        return evaluate(coefficients(found.template, 1e-3), found.grid, transform(w, x))

    def loss(w: torch.Tensor) -> torch.Tensor:
        reference = evaluate(coefficients(found.reference, 1e-3), found.grid, x)
        return area * (forward(w) - reference).square().sum()

    return forward, loss


def factors(functions: dict[str, Callable], repeats: int) -> tuple[dict[str, float], float]:
    """Median times of the functions, taken in turns, in runs of the first; the first one's milliseconds."""
    medians, milliseconds = cost([*functions.values()], repeats)
    return dict(zip(functions, medians.tolist(), strict=True)), milliseconds


# ---- Figs 1 to 3


FIGURE_1 = (1e4, 1e3, 1e2, 1e1, 1.0, 1e-3)


def figure_1(images: str, size: int = 128) -> dict[float, np.ndarray]:
    """The reference at the scales of Fig 1, as images."""
    found = pair(images, size)
    basis, at = SmoothingBasis(found.reference), found.grid.points()
    blurred = {theta: evaluate(basis.coefficients(theta), found.grid, at) for theta in FIGURE_1}
    return {theta: image.reshape(found.grid.shape).numpy() for theta, image in blurred.items()}


def figure_2(images: str) -> dict[str, dict]:
    """Loss at θ = 1e-3, its ratio to the start, iterations: one scale; thirty, predicted and not."""
    problem = registration(images)
    w0, thetas = problem.transform.identity(), np.logspace(3, -3, 30).tolist()
    start = float(problem.at(1e-3).loss(w0))
    rows = {}
    for name, scales, predictor in (
        ("single scale", [1e-3], "none"),
        ("predictor-corrector", thetas, "euler"),
        ("multi-scale, no predictor", thetas, "none"),
    ):
        path = follow(problem, scales, w0, predictor=predictor, variable="linear")
        ratio = path.loss / start
        row = {"loss": 2 * path.loss, "ratio": ratio, "iterations": path.iterations, "w": path.w.tolist()}
        rows[name] = row
    return rows


#: The paper's names, and those of ``MATRICES``: the printed JᵀJ is half of the one that fits ‖r‖².
FIGURE_3 = {
    "exact": "exact Hessian",
    "Gauss-Newton": "Gauss-Newton, matching",
    "as printed": "Gauss-Newton, half of it",
}


def figure_3(images: str, size: int = 32, count: int = 40) -> dict[str, dict]:
    """Euler's prediction against staying, at every scale but the first, for each matrix.

    Staying is judged at the scale that is predicted (``new``), and at the scale it comes from (``old``), as
    the paper's program does for its Gauss-Newton branch.
    """
    problem = registration(images, size)
    scales = euler.path(problem, np.logspace(3, -3, count).tolist(), problem.transform.identity())
    rows = {}
    for name, matrix in FIGURE_3.items():
        ws = [scale.prediction(euler.MATRICES[matrix](scale)) for scale in scales]
        rows[name] = {
            short: _counted(euler.gains(problem, scales, ws, judged))
            for short, judged in (("new", "at the new θ"), ("old", "at the old θ"))
        }
        rows[name] |= {"scales": len(scales), "miss": float(np.median(euler.misses(scales, ws)))}
    return rows


def _counted(gains: np.ndarray) -> dict[str, float]:
    """Of relative gains in loss and in gradient norm, (k, 2): how many are above zero, how large they are."""
    better, median = (gains > 0).sum(axis=0).tolist(), np.median(gains, axis=0).tolist()
    return {
        "loss better": better[0],
        "gradient better": better[1],
        "loss median": median[0],
        "gradient median": median[1],
        "gradient largest": float(gains[:, 1].max()),
    }


def corrector_iterations(images: str, count: int = 40) -> dict[str, int]:
    """Iterations of the corrector over all scales, for no prediction and for Euler's with each matrix."""
    problem = registration(images)
    scales, w0 = np.logspace(3, -3, count).tolist(), problem.transform.identity()
    plans = {
        "none": ("none", "exact"),
        "exact": ("euler", "exact"),
        "Gauss-Newton": ("euler", "gauss-newton"),
    }
    return {
        name: follow(problem, scales, w0, predictor=p, hessian=h, variable="linear").iterations
        for name, (p, h) in plans.items()
    }


def fifty_pairs() -> dict[str, int]:
    """Of the recorded pairs of growing difficulty: how many the predictor-corrector method alone solves, by
    Euler's predictions on thirty scales, and how many the same scales alone without a prediction."""
    methods = records.load("continuation.json")["methods"]
    names = ("predictor-corrector", "multi-scale")
    predicted, plain = (np.array(methods[name]["errors"]) < 1 for name in names)  # in cells, as its success
    return {
        "count": len(plain),
        "only predicted": int((predicted & ~plain).sum()),
        "only plain": int((plain & ~predicted).sum()),
    }


# ---- Figs 4 to 11


@cache
def superresolution(images: str) -> tuple[Synthetic, torch.Tensor]:
    """20 × 20 from four of 10 × 10, 24 parameters, and the start."""
    if images == "paper":
        return paper.superresolution(window=paper.cut_edge)
    hand = data.hands_phantom(20)
    made = synthetic(hand.reference, hand.grid, fixed=0)
    held = synthetic(hand.reference, hand.grid)
    start = register_templates(held.problem)
    return made, torch.cat([made.problem.transform.identity(start.dtype), start])


PERCENTS = (0, 50, 70, 90, 95, 100)
COUNTS = (1, 5, 10, 25, 50, 100)
EXACT = Cholesky()


def projections() -> dict[str, tuple[Solver, Derivative | ReducedJacobian]]:
    """How each run solves for the image, and what it differentiates, by name."""
    found = {
        "all": (paper.cg(), Unrolled()),
        "none": (paper.cg(), Frozen()),
        "exact": (EXACT, GolubPereyra()),
        "Kaufman": (EXACT, Kaufman()),
    }
    for percent in PERCENTS:
        found[f"last {percent} %"] = (paper.cg(200), last(percent, 200))
    for count in COUNTS:
        found[f"{count} iterations"] = (paper.cg(count), Unrolled())
    return found


def last(percent: int, total: int) -> Derivative:
    """Of the last ``percent`` of the iterations, as the paper's program has it: by a restart."""
    if percent == 0:
        return Frozen()
    return Unrolled() if percent == 100 else Last(total * percent // 100)


def run(images: str, name: str, start: int = 0) -> dict:
    """One run of nine steps of the paper's method.

    Args:
        images: whose.
        name: one of ``projections``.
        start: which of the starts 1e-10 apart; 0 is the given one.

    Returns:
        error and start_error (% of the image, after an accurate solve at the last and the first w), norm and
        start_norm (‖r‖ in the paper's units), losses and gradients after every step over those at the start,
        image (400 numbers).
    """
    made, w = superresolution(images)
    noise = torch.randn(len(w), dtype=w.dtype, generator=torch.Generator().manual_seed(start))
    solver, jacobian = projections()[name]
    reduced = Reduced(made.problem, solver, jacobian, made.problem.upsampled(), rows="data")
    end = paper.levenberg_marquardt(reduced, w + 1e-10 * noise * (start > 0))
    first, losses = end.history[0], [step.loss for step in end.history]
    accurate, scale = Reduced(made.problem, EXACT), made.problem.scales[0]
    image = accurate.point(end.x).f
    return {
        "error": 100 * made.error(image),
        "start_error": 100 * made.error(accurate.point(w).f),
        "norm": (2 * end.loss) ** 0.5 / scale,
        "start_norm": (2 * first.loss) ** 0.5 / scale,
        "losses": [loss / first.loss for loss in losses],
        "gradients": [step.gradient_norm / first.gradient_norm for step in end.history],
        "image": image.tolist(),
    }


LENGTHS = np.logspace(5, -15, 10)


def figure_7(images: str, percent: int) -> dict:
    """Fig 7: ‖f(x + hv) − f(x) − hJv‖ over ``LENGTHS`` for v = Jᵀf; and the relative error of J."""
    made, w = superresolution(images)
    reduced = Reduced(made.problem, paper.cg(200), last(percent, 200), made.problem.upsampled(), rows="data")
    exact = Reduced(made.problem, EXACT, rows="data").point(w)
    point = reduced.point(w)
    J, scale = point.jacobian, made.problem.scales[0]
    v = exact.jacobian.T @ exact.residual
    errors = [
        float((reduced.residual(w + h * v) - point.residual - h * (J @ v)).norm()) / scale for h in LENGTHS
    ]
    relative = float((J - exact.jacobian).norm() / exact.jacobian.norm())
    return {"errors": errors, "jacobian_error": relative}


def falls(figure_7: Mapping[str, dict]) -> dict[int, np.ndarray]:
    """How steeply the remainders of Fig 7 fall from each step to the next: 2 for a right Jacobian, else 1."""
    widths = np.diff(np.log(LENGTHS))
    return {int(percent): np.diff(np.log(row["errors"])) / widths for percent, row in figure_7.items()}


def summary(runs: Sequence[dict]) -> dict[str, float]:
    """Median, smallest and largest final error of runs that differ by rounding alone."""
    errors = [found["error"] for found in runs]
    return {"median": statistics.median(errors), "low": min(errors), "high": max(errors)}


def grid_of(images: str) -> Grid:
    """Of the fine image of Figs 4 to 11."""
    return superresolution(images)[0].problem.grid


def figure_4(images: str) -> dict[str, float]:
    """What the problem is: unknowns, rank of the data operator at the start, and errors (%) without a run."""
    made, w = superresolution(images)
    count = made.problem.grid.count
    unit = torch.eye(count, dtype=w.dtype)
    data_rows = made.problem.at(w).forward(unit)[: made.problem.templates.numel()]
    return {
        "unknowns": count,
        "measurements": len(data_rows),
        "rank": int(torch.linalg.matrix_rank(data_rows)),
        "start": 100 * made.error(Reduced(made.problem, EXACT).point(w).f),
        "upsampled": 100 * made.error(made.problem.upsampled()),
        "true motions": 100 * made.error(Reduced(made.problem, EXACT).point(made.w_true).f),
    }


def reproduce(images: str, starts: Callable[[str], int] = lambda name: 1) -> dict:
    """Figs 2 to 11 on one set of images, as the record has them for the paper's.

    Args:
        images: whose.
        starts: name of a run ↦ from how many starts 1e-10 apart it is made.
    """
    return {
        "figure_2": figure_2(images),
        "figure_3": {"32": figure_3(images)},
        "corrector_iterations": corrector_iterations(images),
        "figure_4": figure_4(images),
        "figure_7": {str(percent): figure_7(images, percent) for percent in PERCENTS},
        "runs": {name: [run(images, name, k) for k in range(starts(name))] for name in projections()},
    }
