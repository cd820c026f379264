"""How the minimiser moves with the scale: predictor-corrector, adaptive steps, folds.

Where w*(θ) is a minimiser, ∇J(w*(θ); θ) = 0 for every θ. Differentiated by s, which is θ or log θ, this is
an ordinary differential equation for the path of the minimiser:

    H dw*/ds = −∂ₛ∇J,    H = ∇²J(w*; θ),    ∂ₛ = ∂_θ where s = θ,    ∂ₛ = θ ∂_θ where s = log θ.

The predictor takes a step along it; the corrector, an optimiser, takes the error away. H is the matrix that
the corrector used last, so a prediction costs one ∂_θ∇J and a small triangular solve.

A problem is anything whose ``at(θ)`` is an objective as ``optimize`` wants it, with a ``gradient_theta(w)``
besides: a ``Registration``, or a ``problems.Formula`` made from a formula.
Sources: Allgower & Georg (2003), https://doi.org/10.1137/1.9780898719154; step control as in Hairer, Nørsett
& Wanner (1993), sections II.4 and III.5, https://doi.org/10.1007/978-3-540-78862-1.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import pairwise

import torch

from regkit._require import require
from regkit.optimize import newton_trust
from regkit.problems import Counted, Problem, ScaledObjective

ORDERS = {"none": 1, "secant": 2, "euler": 2, "heun": 3, "adams2": 3}  # error of a prediction O(step^order)
VARIABLES = {"log": (math.log, math.exp), "linear": (float, float)}  # s(θ) and θ(s)
HESSIANS = {"exact": 2, "gauss-newton": 1}  # derivatives of the image that they need


# ---- the tangent, and the differential equation without correction


def gradient_s(
    objective: ScaledObjective, w: torch.Tensor, theta: float, variable: str = "log"
) -> torch.Tensor:
    """∂ₛ∇J(w; θ), shape (p,): θ ∂_θ∇J for variable "log", ∂_θ∇J for "linear"."""
    return objective.gradient_theta(w) * (theta if variable == "log" else 1.0)


def tangent(
    problem: Problem, w: torch.Tensor, theta: float, *, variable: str = "log", hessian: str = "exact"
) -> torch.Tensor:
    """dw*/ds = −H⁻¹ ∂ₛ∇J, shape (p,), for a stationary point w of J(·; θ): a minimum, or a saddle.

    Errors: ValueError where H is singular to rounding. That is a fold: the path turns back (``arclength``).
    """
    _check([theta], variable=variable, hessian=hessian)
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
    method: str = "euler",
    variable: str = "log",
    hessian: str = "exact",
) -> torch.Tensor:
    """The differential equation alone, from w0, a minimiser at θ₀: w at all θ, shape (k, p).

    method: "euler" or "heun". Nothing pulls w back to the path, so errors stay and grow; near a fold the
    tangent has any length. Errors: as ``tangent``; ValueError for scales that do not decrease.
    """
    require(method in ("euler", "heun"), f"expected method 'euler' or 'heun', got {method!r}")
    _check(thetas, variable=variable, hessian=hessian)
    rate, path = partial(tangent, problem, variable=variable, hessian=hessian), [w0]
    for theta, following in pairwise(thetas):
        w, h = path[-1], VARIABLES[variable][0](following) - VARIABLES[variable][0](theta)
        slope = rate(w, theta)
        slope = slope if method == "euler" else (slope + rate(w + h * slope, following)) / 2
        path.append(w + h * slope)
    return torch.stack(path)


# ---- predictor and corrector


@dataclass(frozen=True)
class Step:
    """What happened at one scale.

    prediction (p,): where the corrector starts; prediction_loss, prediction_gradient_norm: there, at this θ;
    error: the length of Newton's step from there (see ``length``), inf where the Hessian is indefinite.
    w (p,), loss, gradient_norm: what the corrector made of it in ``iterations``; tangent: dw*/ds there, if it
    was needed. evaluations: of the images, at a w or for a ∂_θ∇J; cells: of these images.
    accepted: False if the prediction was too poor to be corrected; then w is the prediction.
    jump: Newton's step from the prediction explains less than half of the way to w (with Gauss-Newton: the
    way is longer than a blur width). The branch may have ended in a fold, and w may lie on another.
    note: in words, what is not as usual.
    """

    theta: float
    prediction: torch.Tensor
    prediction_loss: float
    prediction_gradient_norm: float
    error: float
    w: torch.Tensor
    loss: float
    gradient_norm: float
    tangent: torch.Tensor | None = None
    iterations: int = 0
    evaluations: int = 0
    cells: int = 1
    seconds: float = 0.0
    accepted: bool = False
    jump: bool = False
    note: str = "rejected: the prediction is too poor"


@dataclass(frozen=True)
class Path:
    """All steps of a run, and what they have in common."""

    steps: list[Step]

    @property
    def accepted(self) -> list[Step]:
        """The steps without the rejected ones."""
        return [step for step in self.steps if step.accepted]

    @property
    def jumps(self) -> list[Step]:
        """The accepted steps that may have ended on another branch."""
        return [step for step in self.accepted if step.jump]

    @property
    def thetas(self) -> torch.Tensor:
        """θ of the accepted steps, (k,)."""
        return torch.tensor([step.theta for step in self.accepted], dtype=torch.float64)

    @property
    def losses(self) -> torch.Tensor:
        """J at their ends, (k,)."""
        return torch.tensor([step.loss for step in self.accepted], dtype=torch.float64)

    @property
    def path(self) -> torch.Tensor:
        """w at their ends, (k, p)."""
        return torch.stack([step.w for step in self.accepted])

    @property
    def w(self) -> torch.Tensor:
        """Where the run ended, (p,)."""
        return self.accepted[-1].w

    @property
    def loss(self) -> float:
        """J there."""
        return self.accepted[-1].loss

    @property
    def iterations(self) -> int:
        """Iterations of the corrector, over all steps."""
        return sum(step.iterations for step in self.steps)

    @property
    def evaluations(self) -> int:
        """Evaluations of the images, over all steps."""
        return sum(step.evaluations for step in self.steps)

    @property
    def seconds(self) -> float:
        """Seconds, over all steps."""
        return sum(step.seconds for step in self.steps)

    @property
    def work(self) -> float:
        """Evaluations, counted in the finest images: one of an image with a quarter of the cells counts ¼."""
        return sum(step.evaluations * step.cells for step in self.steps) / max(s.cells for s in self.steps)


@dataclass(frozen=True)
class Adaptive:
    """Scales from ``start`` down to ``end`` that the run chooses itself.

    A prediction is corrected if its error e is at most ``tolerance`` (in blur widths, see ``length``). The
    next step follows the PI law  0.9 · step · (tolerance/e)^{0.7/q} (e₋/tolerance)^{0.4/q}  with q the order
    of the predictor and e₋ the error before. Otherwise the step is rejected and shortened. If it would become
    shorter than ``shortest``, the branch bends sharply or ends: then the run jumps, by ``first`` and without
    a prediction. first, shortest, longest: step lengths in s, as fractions of the whole way. A longer
    ``first`` is cheaper, but may jump over the branch that leads to the best minimum.
    """

    start: float
    end: float
    tolerance: float = 0.5
    first: float = 1 / 4
    shortest: float = 1 / 30
    longest: float = 1 / 3


class _Listed:
    """Scales from a list: every prediction is corrected."""

    jumping = False

    def __init__(self, thetas: Sequence[float]):
        self.thetas, self.done = [float(theta) for theta in thetas], 0

    def propose(self) -> float | None:
        self.last = self.done == len(self.thetas) - 1
        return self.thetas[self.done] if self.done < len(self.thetas) else None

    def accepts(self, error: float, order: int) -> bool:
        self.done += 1
        return True


class _Controlled:
    """Scales by step control. ``position``: the part of the way that is done; the run jumps to its start."""

    def __init__(self, plan: Adaptive, variable: str):
        self.plan, (to_s, self.to_theta) = plan, VARIABLES[variable]
        self.ends = to_s(plan.start), to_s(plan.end)
        self.position, self.step, self.before, self.jumping = -1.0, 1.0, 1.0, True

    def propose(self) -> float | None:
        target, (start, end) = self.position + self.step, self.ends
        self.last = target > 1 - self.plan.shortest
        self.target = 1.0 if self.last else target
        if self.position == 1.0:
            return None
        if self.target in (0.0, 1.0):  # as given, not as exp(log θ) rounds it
            return self.plan.end if self.last else self.plan.start
        return self.to_theta(start + target * (end - start))

    def accepts(self, error: float, order: int) -> bool:
        plan, error = self.plan, max(error / self.plan.tolerance, 1e-3)
        if error > 1 and not self.jumping:
            self.step *= min(0.7, max(0.25, 0.9 * error ** (-1 / order)))
            self.jumping = self.step < plan.shortest
            self.step = plan.first if self.jumping else self.step
            return False
        factor = 0.9 * error ** (-0.7 / order) * self.before ** (0.4 / order)
        step = min(plan.longest, max(plan.shortest, self.step * min(3.0, max(0.3, factor))))
        self.step, self.before = (plan.first, 1.0) if self.jumping else (step, error)
        self.position, self.jumping = self.target, False
        return True


class _Stage:
    """J(·; θ) as predictor and corrector see it: remembers the last point, which they share, and counts."""

    def __init__(self, problem, theta: float, variable: str, hessian: str):
        self.problem, self.theta, self.variable, self.hessian = problem, theta, variable, hessian
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


def length(problem, w: torch.Tensor, change: torch.Tensor, theta: float) -> float:
    """How far w → w + change moves the points: root mean square over the grid, in blur widths.

    The blur at θ is about θ^¼ cells wide, since its gain 1/(1 + θμ) has μ ≈ frequency⁴; at least one cell.
    For a problem without a grid: ‖change‖.
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
    predictor: str = "euler",
    variable: str = "log",
    hessian: str = "exact",
    corrector: Callable = newton_trust,
    accuracy: float = 0.0,
    callback: Callable[[Step], bool | None] | None = None,
) -> Path:
    """Minimise J(·; θ) for θ₀ > θ₁ > …, each time from a prediction made of the scales before.

    thetas: a decreasing list, or ``Adaptive``. w0 (p,): start at θ₀. With t = dw*/ds, step h, ρ = h/h₋:

        none     w                                    secant   w + ρ (w − w₋)
        euler    w + h t                              heun     w + h/2 (t + t(w + h t; s + h))
        adams2   w + h ((1 + ρ/2) t − ρ/2 t₋)

    hessian: "exact" or "gauss-newton", in the tangent. corrector: an optimiser of ``regkit.optimize``, or a
    ``functools.partial`` of one. accuracy: at all scales but the last, stop correcting when a step promises
    to lower J by less than ``accuracy`` · J; 0 converges at every scale. callback: gets every ``Step``, and
    ends the run by returning True.

    Where H is not positive definite there is no tangent and no prediction; after a jump (see ``Step``) the
    scales before it are forgotten. Errors: ValueError for scales that do not decrease, or unknown names.
    """
    adaptive = isinstance(thetas, Adaptive)
    ends = (thetas.start, thetas.end) if adaptive else thetas
    _check(ends, variable=variable, hessian=hessian, predictor=predictor)
    scales = _Controlled(thetas, variable) if adaptive else _Listed(thetas)
    cells = problem.grid.count if hasattr(problem, "grid") else 1
    nodes, steps = [], []
    while (theta := scales.propose()) is not None:
        begin, jumping = time.perf_counter(), scales.jumping
        stage = _Stage(problem, theta, variable, hessian)
        prediction = _predict("none" if jumping else predictor, nodes, stage) if nodes else w0
        point, newton = stage.point(prediction), stage.newton(prediction)
        error = math.inf if newton is None else length(problem, prediction, newton, theta)
        start = point.loss, float(point.gradient.norm())
        step = Step(theta, prediction, *start, error, prediction, *start, cells=cells)
        if scales.accepts(error, ORDERS[predictor]):
            limits = {} if scales.last or not accuracy else {"ftol": accuracy}
            result = corrector(stage, prediction, **limits)
            step = _corrected(stage, step, newton, result, bool(nodes), jumping)
            if predictor in ("euler", "heun", "adams2") and not scales.last:
                step = replace(step, tangent=stage.rate(result.x, result.point))
            nodes = [step] if step.jump else [*nodes[-1:], step]
        steps.append(replace(step, evaluations=stage.count, seconds=time.perf_counter() - begin))
        if callback is not None and callback(steps[-1]):
            break
    return Path(steps)


def _predict(predictor: str, nodes: list[Step], stage: _Stage) -> torch.Tensor:
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


def _corrected(stage: _Stage, step: Step, newton, result, known: bool, jumping: bool) -> Step:
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


def _check(thetas: Sequence[float], **names: str) -> None:
    known = {"variable": VARIABLES, "hessian": HESSIANS, "predictor": ORDERS}
    for what, name in names.items():
        require(name in known[what], f"expected {what} {' or '.join(map(repr, known[what]))}, got {name!r}")
    thetas = [float(theta) for theta in thetas]
    falling = all(a > b for a, b in pairwise(thetas))
    require(len(thetas) > 0 and falling, f"expected decreasing scales θ, got {thetas}")
    usable = thetas[-1] > 0 or (thetas[-1] == 0 and names["variable"] == "linear")
    require(usable, f"expected θ > 0 (or θ ≥ 0 and variable 'linear'), got {thetas[-1]}")
