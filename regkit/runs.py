"""The record of a minimisation: where it stands, when it stops, and what is left of it.

Every method of ``optimize`` takes these limits, and ``Result.message`` names the one that ended the run:

    gtol = 1e-9        gradient     ‖∇J(w)‖ ≤ gtol · J(w₀)              converged
    atol = 0           gradient     ‖∇J(w)‖ ≤ atol                      converged
    ftol = 1e-14       loss         promised decrease ≤ ftol · J(w)     converged, as far as rounding shows
    xtol = 1e-12       step         ‖step‖ ≤ xtol · ‖w‖                 converged; if it was rejected: stalled
    iterations = 200   iterations   as many have been made              not converged

or else: a flat objective, a singular Hessian, a gradient that is not finite, or
``callback(iteration)``, which gets every ``Iteration`` and ends the run by returning True. A point
may have a ``doubt``, a sentence that says why a small gradient means nothing there: because hardly
anything overlaps, or because a solver that it needs gave up. Then nothing has converged.

A step can be short, and its promise small, because it was damped. So the last two count for
*Newton's* step −H⁻¹∇J, and H has to be positive definite. A gradient depends on the unit of w: a
small one counts if the decrease that it promises, ½‖∇J‖⁴/∇JᵀH∇J, is at most (100 gtol)² J(w₀) as
well. ‖w‖ stands for the longest w and the longest step so far. Tolerances below the precision of w
are raised to it (to ten times that for the gradient; zero stays zero). So none of the limits
depends on the unit of the grey values, or of lengths.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace

import torch

from regkit._require import flat, function, require, tolerances
from regkit.linear import CG
from regkit.operators import solve_scaled
from regkit.problems import Counted, Kind, Objective


@dataclass(frozen=True, eq=False)
class Iteration:
    """Where a run stands after one iteration.

    Args:
        number: of the iteration; 0 is the start.
        x (p,): w.
        loss: J there.
        gradient_norm: ‖∇J‖ there.
        step: length of the step that was tried.
        control: the method's own number, such as a damping or a step size; see there.
        accepted: False if w stayed where it was.
    """

    number: int
    x: torch.Tensor = field(repr=False)
    loss: float
    gradient_norm: float
    step: float
    control: float
    accepted: bool


@dataclass(frozen=True, eq=False, repr=False)
class Result:
    """Where a run ended and how it got there.

    Args:
        x (p,): w at the end.
        history: all iterations, the start first.
        converged: whether the run ended where it should.
        message: what ended it.
        evaluations: at how many points "loss", "gradient" and "hessian" were needed.
        point: what is known at x: .loss, .gradient, .hessian(kind) and .curvature(kind), computed
            already or when first asked for.

    Example:
        >>> from regkit.optimize import gauss_newton
        >>> from regkit.problems import Residual
        >>> result = gauss_newton(Residual(lambda w: w - 1), torch.tensor([3.0], dtype=torch.float64))
        >>> result
        Result: converged after 1 iterations, J = 0 (gradient: norm 0.0e+00 ≤ gtol · J(w₀) = 2.0e-09)
        >>> result.path.tolist()
        [[3.0], [1.0]]
    """

    x: torch.Tensor
    history: list[Iteration]
    converged: bool
    message: str
    evaluations: dict[str, int]
    point: Counted

    def __repr__(self) -> str:
        end = "converged" if self.converged else "not converged"
        return f"Result: {end} after {self.iterations} iterations, J = {self.loss:.6g} ({self.message})"

    @property
    def loss(self) -> float:
        """J at x."""
        return self.history[-1].loss

    @property
    def iterations(self) -> int:
        """How many were made, rejected ones included."""
        return len(self.history) - 1

    @property
    def path(self) -> torch.Tensor:
        """The start and every accepted w, (k, p)."""
        return torch.stack([entry.x for entry in self.history if entry.accepted])


class Run:
    """The book-keeping of a run: evaluates, notes the history, decides when to stop.

    A method reads ``point``, tries steps by ``evaluate``, and ends each iteration with ``note``,
    until there is a ``message``.

    Args:
        objective: what is minimised.
        w (p,): the start, flat and floating-point.
        kind: of second derivative that the method needs.
        gtol, xtol, ftol, iterations, callback, atol: the limits, see the module.

    Raises:
        ValueError: for another kind of w or objective, or a loss at the start that is not finite.
    """

    def __init__(
        self,
        objective: Objective,
        w: torch.Tensor,
        kind: Kind,
        gtol: float = 1e-9,
        xtol: float = 1e-12,
        ftol: float = 1e-14,
        iterations: int = 200,
        callback: Callable[[Iteration], bool | None] | None = None,
        atol: float = 0.0,
    ):
        known, name = hasattr(objective, "point"), type(objective).__name__
        require(known, f"expected an objective with point(w, order), like problems.Functions, got {name}")
        function(callback, "a function of the iteration as callback")
        tolerances(gtol=gtol, xtol=xtol, ftol=ftol, atol=atol, iterations=iterations)
        self.kind, self.objective, self.callback, self.limit = kind, objective, callback, iterations
        self.atol, self.counts = atol, Counter(loss=0, gradient=0, hessian=0)
        self.history, self.message, self.converged, self.longest = [], "", False, 0.0
        self.point = self.evaluate(flat(w).clone())
        self.start = abs(self.point.loss)
        eps = self.eps = torch.finfo(self.point.w.dtype).eps
        self.gtol = gtol and max(gtol, 10 * eps)
        self.xtol, self.ftol = (tolerance and max(tolerance, eps) for tolerance in (xtol, ftol))
        require(math.isfinite(self.start), f"expected a finite loss at the start, got {self.point.loss}")
        self.note(self.point, math.nan, math.nan, math.inf)

    def evaluate(self, w: torch.Tensor) -> Counted:
        """The objective at w, with as many derivatives as the method needs."""
        return Counted(self.objective.point(w.detach(), 2 if self.kind == "exact" else 1), self.counts)

    def go_on_with(self, objective: Objective) -> None:
        """Another objective: the point is evaluated anew, unless the two are equal."""
        same, self.objective = objective == self.objective, objective
        if not same:
            self.point = self.evaluate(self.point.w)

    def note(self, accepted: Counted | None, step: float, control: float, promised: float) -> None:
        """End of an iteration: a step to ``accepted``, or None, for which the model promised a decrease."""
        if not self.history or self.history[-1].accepted:
            self.promised = promised  # by the first step from here, not by one shortened after a rejection
        self.point = point = accepted or self.point
        norm, size = float(point.gradient.norm()), float(point.w.norm())
        entry = Iteration(len(self.history), point.w, point.loss, norm, step, control, accepted is not None)
        self.history.append(entry)
        # where w is 0, by the first step that is tried; a NaN, at the start, is no step
        self.longest = max(self.longest, size, step if accepted and step > 0 else 0.0) or max(0.0, step)
        small, tiny, short = self.gtol * self.start, self.tiny(point.loss), self.xtol * self.longest
        if norm == 0 and not self.bends(point):
            self.stop("flat: gradient and Hessian are exactly zero; do the images overlap?")
        elif not math.isfinite(norm):
            self.stop("not finite: NaN or infinity in the gradient")
        elif norm <= small and self.along_gradient(point) <= 1e4 * self.gtol * small:
            self.stop(f"gradient: norm {norm:.1e} ≤ gtol · J(w₀) = {small:.1e}", True)
        elif norm <= self.atol:
            self.stop(f"gradient: norm {norm:.1e} ≤ atol = {self.atol:.1e}", True)
        elif self.promised <= tiny or step <= short:
            length, decrease = self.newton(point)
            if decrease <= tiny:
                self.stop(f"loss: promised decrease {decrease:.1e} ≤ ftol · J = {tiny:.1e}", True)
            elif length <= short:
                self.stop(f"step: length {length:.1e} ≤ xtol · ‖w‖ = {short:.1e}", True)
            elif step <= (self.eps * self.longest if accepted else short):
                self.stop(f"step: stalled, no step longer than {step:.1e} lowers the loss")
        if entry.number >= self.limit:
            self.stop(f"iterations: {self.limit} made, gradient norm {norm:.1e}")
        if self.callback is not None and self.callback(entry):
            self.stop("callback: asked to stop")

    def tiny(self, loss: float) -> float:
        """The decrease that counts for nothing: ftol · J, or what rounding hides of J, ε √(J J(w₀))."""
        return max(self.ftol * abs(loss), self.eps * math.sqrt(abs(loss) * self.start)) if self.ftol else 0.0

    def hidden(self, loss: float) -> float:
        """What rounding hides of a difference between two losses near this one: some hundred ε √(J J(w₀))."""
        return 256 * self.eps * math.sqrt(abs(loss) * self.start)

    def ratio(self, gain: float, promised: float) -> float:
        """The decrease over the promised one, and 1 where rounding hides both: it is to decide nothing."""
        hidden = self.hidden(self.point.loss)
        return (gain + hidden) / (promised + hidden) if promised else math.nan

    def newton(self, point: Counted) -> tuple[float, float]:
        """Length of Newton's step and the decrease that it promises; infinite where H is no bowl."""
        s = self.newton_step(point)
        return (math.inf, math.inf) if s is None else (float(s.norm()), -0.5 * float(point.gradient @ s))

    def newton_step(self, point: Counted) -> torch.Tensor | None:
        """−H⁻¹g, or None where H is no bowl; for many parameters by conjugate gradients."""
        g = point.gradient
        try:
            if len(g) <= 200:
                return solve_scaled(point.alone.hessian(self.kind).detach(), -g)
            found = CG(rtol=1e-2, maxiter=500).solve(point.alone.curvature(self.kind), -g)
            return found.x.detach() if found.converged else None
        except ValueError:  # there is no such Hessian, or it is not finite
            return None

    def settle(self, unseen: bool, why: str, last: Counted) -> None:
        """The end where a method compares losses and rounding hides which is smaller, promised or real.

        That is an end only if Newton's step promises nothing either. It is taken, and belongs to
        the last iteration: then the result depends on the gradient, and not on how losses round.
        """
        point = self.point
        smallest = max(self.tiny(point.loss), self.eps * abs(point.loss))
        unseen = unseen or (self.converged and not self.history[-1].accepted)
        s = self.newton_step(point) if unseen else None
        if s is None or -0.5 * float(point.gradient @ s) > smallest:
            return
        w = point.w + s
        trial = last if torch.equal(w, last.w) else self.evaluate(w)
        if trial.loss <= point.loss + self.hidden(point.loss):
            self.point, norm = trial, float(trial.gradient.norm())
            self.history[-1:] = [replace(self.history[-1], x=trial.w, loss=trial.loss, gradient_norm=norm)]
        self.stop(f"loss: rounding hides any further decrease ({why})", True)

    def along_gradient(self, point: Counted) -> float:
        """The decrease that the best step along −∇J promises, ½‖∇J‖⁴/∇JᵀH∇J; 0 unless J bends upwards."""
        try:
            bend = float(point.gradient @ (point.alone.curvature(self.kind) @ point.gradient).detach())
        except ValueError:  # there is no such Hessian
            return 0.0
        return 0.5 * float(point.gradient @ point.gradient) ** 2 / bend if bend > 0 else 0.0

    def bends(self, point: Counted) -> bool:
        """Whether the Hessian is anything but zero: its product with a vector of random numbers tells."""
        v = torch.randn(len(point.w), generator=torch.Generator().manual_seed(0)).to(point.w)
        return bool((point.alone.curvature(self.kind) @ v).any())

    def stop(self, message: str, converged: bool = False) -> None:
        """The first reason counts; a ``Point`` may know why a small gradient there means nothing."""
        if not self.message:
            doubt = getattr(self.point, "doubt", "") if converged else ""
            self.message, self.converged = doubt or message, converged and not doubt

    def result(self) -> Result:
        """What the run leaves."""
        return Result(self.point.w, self.history, self.converged, self.message, self.counts, self.point)
