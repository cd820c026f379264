"""Minimise J(w): trust-region Newton, Levenberg-Marquardt, Gauss-Newton, and gradient descent.

An objective is any object with ``loss(w)``, ``gradient(w)`` and ``hessian(w, kind)``; ``Residual`` makes
one out of r(w) and its Jacobian. If it also has ``point(w, order)``, as ``registration.Objective`` does,
loss and derivatives at one w share their work. w is a flat floating-point tensor; nothing is traced, so no
tape grows over the iterations.

All four stop for the same reasons, and ``Result.message`` names the one:

    gradient   ‖∇J(w)‖ ≤ gtol · J(w₀)            converged
    step       ‖step‖ ≤ xtol · (1 + ‖w‖)         converged; after a rejected step: stalled
    loss       promised decrease ≤ ftol · J(w)   converged, as far as rounding lets one see
    iterations, singular Hessian, gradient exactly zero, callback                 not converged

The tolerances do not depend on the unit of the grey values. ``callback(iteration)`` is called after every
iteration with its ``Iteration``; if it returns True the run stops.
Source: Nocedal & Wright (2006), chapters 3, 4 and 10, https://doi.org/10.1007/978-0-387-40065-5.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import scipy.optimize
import torch

from regkit._require import require


@dataclass(frozen=True)
class Iteration:
    """One line of the history: where the run stands after iteration ``number`` (0 is the start).

    step: length of the step tried; control: the method's own number, see there; accepted: False if w stayed.
    """

    number: int
    x: torch.Tensor
    loss: float
    gradient_norm: float
    step: float
    control: float
    accepted: bool


@dataclass(frozen=True)
class Result:
    """x (p,); history of ``Iteration``; converged and the message that says why it ended; evaluations, the
    number of points at which loss, gradient and Hessian were needed; ``point``, with loss, gradient and
    Hessian at x."""

    x: torch.Tensor
    history: list[Iteration]
    converged: bool
    message: str
    evaluations: dict[str, int]
    point: object

    @property
    def loss(self) -> float:
        return self.history[-1].loss

    @property
    def iterations(self) -> int:
        return len(self.history) - 1

    @property
    def path(self) -> torch.Tensor:
        """All accepted w from the start on, shape (k, p)."""
        return torch.stack([entry.x for entry in self.history if entry.accepted])


@dataclass(frozen=True)
class Residual:
    """The objective J(w) = ½‖r(w)‖² for any r: ℝᵖ → ℝⁿ; ``jacobian(w)`` (n, p) is by forward mode unless
    it is given.
    """

    residual: Callable[[torch.Tensor], torch.Tensor]
    jacobian: Callable[[torch.Tensor], torch.Tensor] | None = None

    def point(self, w: torch.Tensor, order: int = 1) -> ResidualPoint:
        return ResidualPoint(self, w)


@dataclass(frozen=True)
class ResidualPoint:
    """r, ½‖r‖², Jᵀr and JᵀJ at one w, each computed when first asked for."""

    objective: Residual
    w: torch.Tensor

    @cached_property
    def residual(self):
        return self.objective.residual(self.w)

    @cached_property
    def loss(self):
        return 0.5 * (self.residual @ self.residual)

    @cached_property
    def jacobian(self):
        jacobian = self.objective.jacobian
        return torch.func.jacfwd(self.objective.residual)(self.w) if jacobian is None else jacobian(self.w)

    @cached_property
    def gradient(self):
        return self.jacobian.T @ self.residual

    def hessian(self, kind: str = "gauss-newton"):
        require(kind == "gauss-newton", f'expected kind "gauss-newton" of a residual, got {kind!r}')
        return self.jacobian.T @ self.jacobian


class _Point:
    """Loss, gradient and Hessian at w, each computed at most once and counted when it is first needed."""

    def __init__(self, objective, w: torch.Tensor, order: int, counts: dict[str, int]):
        shared = objective.point(w, order) if hasattr(objective, "point") else None
        self._objective, self._shared, self._counts, self._hessians, self.w = objective, shared, counts, {}, w

    @cached_property
    def loss(self) -> float:
        self._counts["loss"] += 1
        return float(self._objective.loss(self.w) if self._shared is None else self._shared.loss)

    @cached_property
    def gradient(self) -> torch.Tensor:
        self._counts["gradient"] += 1
        return self._objective.gradient(self.w) if self._shared is None else self._shared.gradient

    def hessian(self, kind: str) -> torch.Tensor:
        if kind not in self._hessians:
            self._counts["hessian"] += 1
            self._hessians[kind] = (
                self._objective.hessian(self.w, kind) if self._shared is None else self._shared.hessian(kind)
            )
        return self._hessians[kind]


class _Run:
    """The bookkeeping of one minimisation: evaluates, records the history, and decides when to stop."""

    def __init__(self, objective, w, order, *, gtol, xtol, ftol, iterations, callback):
        require(
            isinstance(w, torch.Tensor) and w.ndim == 1 and w.is_floating_point(),
            f"expected a flat floating-point tensor of parameters, got {w!r}",
        )
        self.objective, self.order, self.limit, self.callback = objective, order, iterations, callback
        self.gtol, self.xtol, self.ftol = gtol, xtol, ftol
        self.counts = {"loss": 0, "gradient": 0, "hessian": 0}
        self.history, self.message, self.converged = [], "", False
        self.point = self.evaluate(w.detach().clone())
        self.scale = self.point.loss
        require(math.isfinite(self.scale), f"expected a finite loss at the start, got {self.scale}")
        self.record(self.point, 0.0, math.nan)

    def evaluate(self, w: torch.Tensor) -> _Point:
        return _Point(self.objective, w, self.order, self.counts)

    def stop(self, message: str, converged: bool) -> None:
        if not self.message:
            self.message, self.converged = message, converged

    def record(self, trial: _Point | None, step: float, control: float, promised: float = math.inf) -> None:
        """Note one iteration; ``trial`` is the new point, or None if the step was rejected."""
        self.point = point = trial or self.point
        norm, size = float(point.gradient.norm()), float(point.w.norm())
        entry = Iteration(len(self.history), point.w, point.loss, norm, step, control, trial is not None)
        self.history.append(entry)
        short, bound = step <= self.xtol * (1 + size), self.gtol * self.scale
        if norm == 0 and point.loss > 0:
            self.stop("gradient: exactly zero although the loss is not; do the images overlap?", False)
        elif norm <= bound:
            self.stop(f"gradient: norm {norm:.2e} ≤ gtol · J(w₀) = {bound:.2e}", True)
        elif promised <= self.ftol * point.loss:
            self.stop(f"loss: a step that promises {promised:.1e} ≤ ftol · J, below rounding", True)
        elif entry.number and short and trial is not None:
            self.stop(f"step: length {step:.2e} ≤ xtol · (1 + ‖w‖) = {self.xtol * (1 + size):.2e}", True)
        elif entry.number and short:
            self.stop(f"step: stalled, no step longer than {step:.2e} lowers the loss", False)
        elif entry.number >= self.limit:
            self.stop(f"iterations: limit of {self.limit} reached, gradient norm {norm:.2e}", False)
        if self.callback is not None and self.callback(entry):
            self.stop("callback: asked to stop", False)

    def result(self) -> Result:
        return Result(self.point.w, self.history, self.converged, self.message, self.counts, self.point)


def newton_trust(
    objective,
    w: torch.Tensor,
    *,
    hessian: str = "exact",
    radius: float = 1.0,
    gtol: float = 1e-9,
    xtol: float = 1e-12,
    ftol: float = 1e-15,
    iterations: int = 200,
    callback: Callable | None = None,
) -> Result:
    """Newton's method in a trust region, by SciPy's ``trust-exact``: minimise gᵀs + ½ sᵀHs over ‖s‖ ≤ Δ
    exactly.

    It goes downhill even where H is indefinite, and converges quadratically near a minimum. hessian:
    "exact" or "gauss-newton". radius: the first Δ; it then adapts itself. ``control`` of an iteration is
    the decrease obtained over the decrease that the quadratic model promised: near 1 the model is right,
    below 0.15 the step is rejected. Source: Conn, Gould & Toint, Trust-Region Methods (2000),
    https://doi.org/10.1137/1.9780898719857.
    """
    order = 1 if hessian == "gauss-newton" else 2
    run = _Run(objective, w, order, gtol=gtol, xtol=xtol, ftol=ftol, iterations=iterations, callback=callback)
    trial = run.point

    def at(x: np.ndarray) -> _Point:
        """SciPy asks for loss, gradient and Hessian at one x after the other: they share one point."""
        nonlocal trial
        if not np.array_equal(x, trial.w.numpy(force=True)):
            trial = run.evaluate(torch.from_numpy(x.copy()).to(w))
        return trial

    def loss(x: np.ndarray) -> float:
        return at(x).loss if math.isfinite(at(x).loss) else math.inf  # SciPy's comparisons do not see a NaN

    def after_iteration(intermediate_result) -> None:
        old, s = run.point, trial.w - run.point.w
        promised = -float(old.gradient @ s + 0.5 * (s @ old.hessian(hessian) @ s))
        accepted = np.array_equal(intermediate_result.x, trial.w.numpy(force=True))
        ratio = (old.loss - trial.loss) / promised if promised > 0 else math.nan
        run.record(trial if accepted else None, float(s.norm()), ratio, promised)
        if run.message:
            raise StopIteration

    if not run.message:
        end = scipy.optimize.minimize(
            loss,
            run.point.w.numpy(force=True).astype(float),
            jac=lambda x: at(x).gradient.numpy(force=True).astype(float),
            hess=lambda x: at(x).hessian(hessian).numpy(force=True).astype(float),
            method="trust-exact",
            callback=after_iteration,
            options={"initial_trust_radius": radius, "gtol": 0.0, "maxiter": iterations},
        )
        run.stop(f"loss: rounding hides any further decrease (SciPy: {end.message})", end.status == 2)
    return run.result()


def levenberg_marquardt(
    objective,
    w: torch.Tensor,
    *,
    damping: float = 1e-3,
    gtol: float = 1e-9,
    xtol: float = 1e-12,
    ftol: float = 1e-15,
    iterations: int = 200,
    callback: Callable | None = None,
) -> Result:
    """Levenberg-Marquardt: s = −(H + μ diag H)⁻¹ g with the Gauss-Newton Hessian H = JᵀJ (+ λM).

    μ → 0 gives a Gauss-Newton step, large μ a short one downhill. diag H makes the steps independent of
    the units of w. damping: the first μ; then Nielsen's rule. ``control`` of an iteration is the μ of its
    step. Source: Marquardt (1963), https://doi.org/10.1137/0111030; Nielsen (1999), IMM-REP-1999-05.
    """
    run = _Run(objective, w, 1, gtol=gtol, xtol=xtol, ftol=ftol, iterations=iterations, callback=callback)
    growth = 2.0
    while not run.message:
        point, tried = run.point, damping
        gradient, H = point.gradient, point.hessian("gauss-newton")
        s = _solve(H, -gradient, damping)
        if s is None:
            run.stop("singular Hessian: even damped it has no inverse", False)
            break
        trial = run.evaluate(point.w + s)
        promised = -float(gradient @ s + 0.5 * (s @ H @ s))
        ratio = (point.loss - trial.loss) / promised
        accepted = ratio > 1e-4  # False for NaN
        if accepted:
            damping, growth = damping * max(1 / 3, 1 - (2 * ratio - 1) ** 3), 2.0
        else:
            damping, growth = damping * growth, 2 * growth
        run.record(trial if accepted else None, float(s.norm()), tried, promised)
    return run.result()


def gauss_newton(
    objective,
    w: torch.Tensor,
    *,
    gtol: float = 1e-9,
    xtol: float = 1e-12,
    ftol: float = 1e-15,
    iterations: int = 200,
    callback: Callable | None = None,
) -> Result:
    """Gauss-Newton with backtracking: w ← w − t H⁻¹g, H = JᵀJ (+ λM); t = 1, ½, ¼ … until the loss falls
    (Armijo).

    ``control`` of an iteration is t. A singular H ends the run with a message that says so.
    """
    run = _Run(objective, w, 1, gtol=gtol, xtol=xtol, ftol=ftol, iterations=iterations, callback=callback)
    while not run.message:
        gradient = run.point.gradient
        direction = _solve(run.point.hessian("gauss-newton"), -gradient)
        if direction is None:
            run.stop(
                "singular Hessian: the data do not determine all parameters; try levenberg_marquardt", False
            )
            break
        _line_search(run, direction, 1.0)
    return run.result()


def gradient_descent(
    objective,
    w: torch.Tensor,
    *,
    gtol: float = 1e-9,
    xtol: float = 1e-12,
    ftol: float = 1e-15,
    iterations: int = 1000,
    callback: Callable | None = None,
) -> Result:
    """Steepest descent: w ← w − t g, with t halved until the loss falls (Armijo), then tried twice as long
    the next time.

    ``control`` of an iteration is t. It is here to be compared with: it needs many iterations.
    """
    run = _Run(objective, w, 1, gtol=gtol, xtol=xtol, ftol=ftol, iterations=iterations, callback=callback)
    t = run.point.loss / max(float(run.point.gradient @ run.point.gradient), 1e-300)
    while not run.message:
        t = 2 * _line_search(run, -run.point.gradient, t)
    return run.result()


def _line_search(run: _Run, direction: torch.Tensor, t: float) -> float:
    """One iteration along ``direction``: halve t until J(w + t d) ≤ J(w) + 10⁻⁴ t gᵀd. Returns the last t."""
    point, slope, length = run.point, float(run.point.gradient @ direction), float(direction.norm())
    for _ in range(60):
        trial = run.evaluate(point.w + t * direction)
        if trial.loss <= point.loss + 1e-4 * t * slope:  # False for NaN
            run.record(trial, t * length, t, -0.5 * t * slope)
            return t
        if -0.5 * t * slope <= run.ftol * point.loss or t * length <= run.xtol:
            break
        t /= 2
    run.record(None, t * length, t, -0.5 * t * slope)
    run.stop("step: stalled, no step along the search direction lowers the loss", False)
    return t


def _solve(H: torch.Tensor, b: torch.Tensor, damping: float = 0.0) -> torch.Tensor | None:
    """s with (H + μ diag H) s = b by Cholesky after scaling H to unit diagonal; None if that is singular
    to rounding.
    """
    scale = H.diagonal().clamp(min=1e-30 * float(H.diagonal().max())).sqrt()
    unit = H / (scale[:, None] * scale)
    unit.diagonal().add_(damping)
    factor, info = torch.linalg.cholesky_ex(unit)
    if info != 0 or not factor.diagonal().min() > 4 * math.sqrt(torch.finfo(H.dtype).eps):
        return None
    return torch.cholesky_solve((b / scale)[:, None], factor)[:, 0] / scale
