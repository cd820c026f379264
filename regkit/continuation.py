"""How the minimiser moves with the scale: predictor and corrector.

Where w*(θ) is a minimiser, ∇J(w*(θ); θ) = 0 for every θ. Differentiated by s, which is θ or log θ,
this is an ordinary differential equation for the path of the minimiser:

    H dw*/ds = −∂ₛ∇J,    H = ∇²J(w*; θ),    ∂ₛ = ∂_θ where s = θ,    ∂ₛ = θ ∂_θ where s = log θ.

The predictor takes a step along it; the corrector, an optimiser, takes the error away. H is the
matrix that the corrector used last, so a prediction costs one ∂_θ∇J and a small triangular solve.

A problem is anything whose ``at(θ)`` is an objective as ``optimize`` wants it, with a
``gradient_theta(w)`` besides: a ``Registration``, or a ``problems.Formula`` made from a formula.

Source:
    Allgower & Georg (2003), https://doi.org/10.1137/1.9780898719154;
    Hairer, Nørsett & Wanner (1993), section III.5, https://doi.org/10.1007/978-3-540-78862-1
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from itertools import pairwise
from typing import Literal

import torch

from regkit._require import flat, function, number, require, require_words
from regkit.optimize import newton_trust
from regkit.paths import Path, Step
from regkit.problems import Counted, Kind, Problem, ScaledObjective
from regkit.runs import Result
from regkit.scales import VARIABLES, Adaptive, Variable, scales

Predictor = Literal["none", "secant", "euler", "heun", "adams2"]
ORDERS = {"none": 1, "secant": 2, "euler": 2, "heun": 3, "adams2": 3}  # error of a prediction O(step^order)
HESSIANS = {"exact": 2, "gauss-newton": 1}  # derivatives of the image that they need


# ---- the tangent, and the differential equation without correction


def gradient_s(
    objective: ScaledObjective, w: torch.Tensor, theta: float, variable: Variable = "log"
) -> torch.Tensor:
    """How the gradient changes with the scale: ∂ₛ∇J(w; θ), where s is θ or log θ.

    Args:
        objective: J at this θ.
        w (p,): the parameters.
        theta: θ.
        variable: "log" for θ ∂_θ∇J, "linear" for ∂_θ∇J.

    Returns:
        ∂ₛ∇J, (p,).
    """
    return objective.gradient_theta(w) * (theta if variable == "log" else 1.0)


def tangent(
    problem: Problem,
    w: torch.Tensor,
    theta: float,
    *,
    variable: Variable = "log",
    hessian: Kind = "exact",
) -> torch.Tensor:
    """The velocity dw*/ds = −H⁻¹ ∂ₛ∇J of a stationary point: a minimum, or a saddle.

    Args:
        problem: J(·; θ) for every θ.
        w (p,): a stationary point of J(·; θ).
        theta: θ.
        variable: "log" for s = log θ, "linear" for s = θ.
        hessian: "exact", or "gauss-newton" for its Gauss-Newton part.

    Returns:
        dw*/ds, (p,), in the unit of w.

    Raises:
        ValueError: where H is singular to rounding. That is a fold: the path turns
            back (``branches.arclength``).

    Example:
        >>> from regkit.problems import Formula
        >>> problem = Formula(lambda w, theta: (w[0] - theta**2) ** 2)
        >>> tangent(problem, torch.tensor([9.0]), 3.0, variable="linear")
        tensor([6.])
    """
    scales([theta], variable)
    require_words(hessian=(hessian, HESSIANS))
    require(len(flat(w)) > 0, "expected at least one parameter, got none")
    objective = problem.at(theta)
    H = objective.point(w, HESSIANS[hessian]).hessian(hessian)
    values = torch.linalg.eigvalsh(H)
    regular = values.abs().min() > 1e-14 * values.abs().max()
    require(regular, f"expected an invertible Hessian, got one with eigenvalues {values.tolist()}")
    return torch.linalg.solve(H, -gradient_s(objective, w, theta, variable))


def integrate(
    problem: Problem,
    thetas: Sequence[float],
    w0: torch.Tensor,
    *,
    method: Literal["euler", "heun"] = "euler",
    variable: Variable = "log",
    hessian: Kind = "exact",
) -> torch.Tensor:
    """The differential equation alone. Nothing pulls w back to the path: errors stay and grow.

    Near a fold the tangent has any length.

    Args:
        problem: J(·; θ) for every θ.
        thetas: θ₀ > θ₁ > …, k of them.
        w0 (p,): a minimiser at θ₀.
        method: "euler" or "heun".
        variable, hessian: as in ``tangent``.

    Returns:
        w at all θ, (k, p).

    Raises:
        ValueError: as ``tangent``; for scales that do not decrease; for another method.

    Example:
        >>> from regkit.problems import Formula
        >>> problem = Formula(lambda w, theta: (w[0] - theta) ** 2)
        >>> integrate(problem, [4.0, 3.0, 2.0], torch.tensor([4.0]), variable="linear").flatten()
        tensor([4., 3., 2.])
    """
    require_words(method=(method, ("euler", "heun")), hessian=(hessian, HESSIANS))
    thetas, w0 = scales(thetas, variable).thetas, flat(w0)
    rate, path = partial(tangent, problem, variable=variable, hessian=hessian), [w0]
    for theta, following in pairwise(thetas):
        w, h = path[-1], VARIABLES[variable][0](following) - VARIABLES[variable][0](theta)
        slope = rate(w, theta)
        slope = slope if method == "euler" else (slope + rate(w + h * slope, following)) / 2
        path.append(w + h * slope)
    return torch.stack(path)


# ---- predictor and corrector


class _Stage:
    """J(·; θ) as predictor and corrector see it: remembers the last point, which they share, and counts."""

    def __init__(self, problem: Problem, theta: float, variable: Variable, hessian: Kind):
        self.variable: Variable = variable
        self.hessian: Kind = hessian
        self.problem, self.theta = problem, theta
        self.objective, self.last, self.order, self.count = problem.at(theta), None, 0, 0

    def point(self, w: torch.Tensor, order: int = 0) -> Counted:
        if self.last is None or order > self.order or not torch.equal(self.last.w, w):
            self.order, self.count = max(order, HESSIANS[self.hessian]), self.count + 1
            self.last = Counted(self.objective.point(w, self.order))
        return self.last

    def newton(self, w: torch.Tensor) -> torch.Tensor | None:
        """Newton's step −H⁻¹∇J, or None where H is not positive definite."""
        return _downhill(self.point(w).hessian(self.hessian), self.point(w).gradient)

    def rate(self, w: torch.Tensor, point: Counted | None = None) -> torch.Tensor | None:
        """dw/ds = −H⁻¹∂ₛ∇J, or None where H is not positive definite."""
        H, self.count = (point or self.point(w)).hessian(self.hessian), self.count + 1
        return _downhill(H, gradient_s(self.objective, w, self.theta, self.variable))


def _downhill(H: torch.Tensor, b: torch.Tensor) -> torch.Tensor | None:
    """−H⁻¹b by Cholesky's factorisation, or None if H is not positive definite."""
    factor, info = torch.linalg.cholesky_ex(H)
    return None if info else -torch.cholesky_solve(b[:, None], factor)[:, 0]


def length(problem: Problem, w: torch.Tensor, change: torch.Tensor, theta: float) -> float:
    """How far w → w + change moves the points: root mean square over the grid, in blur widths.

    The blur at θ is about θ^¼ cells wide, since its gain 1/(1 + θμ) has μ ≈ frequency⁴; at least
    one cell. For a problem without a grid: ‖change‖.

    Args:
        problem: a ``Registration``, or any other problem.
        w (p,): from where.
        change (p,): the step.
        theta: θ.

    Example:
        >>> from regkit.problems import Formula
        >>> length(Formula(lambda w, theta: w @ w), torch.zeros(2), torch.tensor([3.0, 4.0]), 1.0)
        5.0
    """
    if not hasattr(problem, "grid"):
        return float(change.norm())
    y = problem.motion
    cells = (y(w + change) - y(w)) / torch.tensor(problem.grid.spacing).to(w)
    return float(cells.square().sum(1).mean().sqrt()) / max(1.0, theta**0.25)


def follow(
    problem: Problem,
    thetas: Sequence[float] | Adaptive,
    w0: torch.Tensor,
    *,
    predictor: Predictor = "euler",
    variable: Variable = "log",
    hessian: Kind = "exact",
    corrector: Callable[..., Result] = newton_trust,
    accuracy: float = 0.0,
    callback: Callable[[Step], bool | None] | None = None,
) -> Path:
    """Minimise J(·; θ) for θ₀ > θ₁ > …, each time from a prediction made of the scales before.

    With t = dw*/ds, step h, and ρ = h/h₋:

        none     w                                    secant   w + ρ (w − w₋)
        euler    w + h t                              heun     w + h/2 (t + t(w + h t; s + h))
        adams2   w + h ((1 + ρ/2) t − ρ/2 t₋)

    Where H is not positive definite there is no tangent and no prediction; after a jump (see
    ``Step``) the scales before it are forgotten.

    Args:
        problem: J(·; θ) for every θ.
        thetas: a decreasing list, or ``Adaptive``.
        w0 (p,): the start at θ₀.
        predictor: one of the five above.
        variable: s = log θ or s = θ, as in ``tangent``.
        hessian: "exact" or "gauss-newton", in the tangent.
        corrector: an optimiser of ``regkit.optimize``, or a ``functools.partial`` of one.
        accuracy: at all scales but the last, stop correcting when a step promises to lower J by
            less than ``accuracy`` · J; 0 converges at every scale.
        callback: gets every ``Step``, and ends the run by returning True.

    Returns:
        The ``Path``.

    Raises:
        ValueError: for scales that do not decrease, or unknown names.

    Example:
        >>> from regkit.problems import Formula
        >>> problem = Formula(lambda w, theta: (w[0] - theta) ** 2)
        >>> path = follow(problem, [4.0, 2.0, 1.0], torch.tensor([5.0]), variable="linear")
        >>> path
        Path of 3 scales: θ = 4 to 1, J = 0
        >>> path.path.flatten()
        tensor([4., 2., 1.])
    """
    require_words(hessian=(hessian, HESSIANS), predictor=(predictor, ORDERS))
    plan, w0 = scales(thetas, variable), flat(w0)
    number(accuracy, "an accuracy ≥ 0", 0)
    require(callable(corrector), f"expected an optimiser as corrector, got {corrector!r}")
    function(callback, "a function of the step as callback")
    cells = problem.grid.count if hasattr(problem, "grid") else 1
    nodes, steps = [], []
    while (theta := plan.propose()) is not None:
        begin, jumping = time.perf_counter(), plan.jumping
        stage = _Stage(problem, theta, variable, hessian)
        prediction = _predict("none" if jumping else predictor, nodes, stage) if nodes else w0
        point = stage.point(prediction)
        prediction = point.w  # in the type of the images
        newton = stage.newton(prediction)
        error = math.inf if newton is None else length(problem, prediction, newton, theta)
        start = point.loss, float(point.gradient.norm())
        step = Step(theta, prediction, *start, error, prediction, *start, cells=cells)
        if plan.accepts(error, ORDERS[predictor]):
            limits = {} if plan.last or not accuracy else {"ftol": accuracy}
            result = corrector(stage, prediction, **limits)
            step = _corrected(stage, step, newton, result, bool(nodes), jumping)
            if predictor in ("euler", "heun", "adams2") and not plan.last:
                step = replace(step, tangent=stage.rate(result.x, result.point))
            nodes = [step] if step.jump else [*nodes[-1:], step]
        steps.append(replace(step, evaluations=stage.count, seconds=time.perf_counter() - begin))
        if callback is not None and callback(steps[-1]):
            break
    return Path(steps)


def _predict(predictor: Predictor, nodes: list[Step], stage: _Stage) -> torch.Tensor:
    """The formulas of ``follow``; what needs two nodes or a tangent makes do with what there is."""
    s = [VARIABLES[stage.variable][0](theta) for theta in (*(node.theta for node in nodes), stage.theta)]
    w, t, h = nodes[-1].w, nodes[-1].tangent, s[-1] - s[-2]
    rho = h / (s[-2] - s[-3]) if len(nodes) > 1 else 0.0
    if predictor == "secant":
        return w + rho * (w - nodes[0].w)
    if predictor == "none" or t is None:
        return w
    if predictor == "adams2" and rho and nodes[0].tangent is not None:
        return w + h * ((1 + rho / 2) * t - rho / 2 * nodes[0].tangent)
    end = stage.rate(w + h * t) if predictor == "heun" else None
    return w + h * t if end is None else w + h / 2 * (t + end)


def _corrected(
    stage: _Stage, step: Step, newton: torch.Tensor | None, result: Result, known: bool, jumping: bool
) -> Step:
    """The step with what the corrector made of it, and whether it has jumped."""
    moved, measure = result.x - step.prediction, partial(length, stage.problem, theta=stage.theta)
    far = measure(step.prediction, moved)
    if stage.hessian == "gauss-newton":
        jump = far > 1.0
    else:
        jump = newton is None or measure(step.prediction + newton, moved - newton) > 0.5 * far + 1e-6
    notes = {
        "jump without a prediction": known and jumping,
        "jump, perhaps to another branch": known and not jumping and jump,
        "indefinite Hessian at the prediction": newton is None,
        result.message: not result.converged,
    }
    return replace(
        step,
        w=result.x,
        loss=result.loss,
        gradient_norm=result.history[-1].gradient_norm,
        iterations=result.iterations,
        accepted=True,
        jump=known and (jumping or jump),
        note="; ".join(note for note, holds in notes.items() if holds),
    )
