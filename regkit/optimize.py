"""Minimise J(w): trust-region Newton, Levenberg-Marquardt, Gauss-Newton, and gradient descent.

An objective has ``point(w, order)``, see ``problems``: loss and derivatives at one w share
their work there. ``problems.Functions`` makes an objective of plain functions,
``problems.Residual`` of any r(w). w is a flat floating-point tensor; nothing is traced, so no
tape grows over the iterations.

Every method takes the limits of a ``runs.Run`` as further keywords (gtol, xtol, ftol, iterations,
callback) and returns a ``runs.Result``.

Source:
    Nocedal & Wright (2006), chapters 3, 4 and 10, https://doi.org/10.1007/978-0-387-40065-5
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, Literal

import numpy as np
import scipy.optimize
import torch

from regkit._orthogonal import Orthogonal, kept_orthogonal
from regkit._require import function, number, require_words
from regkit.linear import Solver, require_solver
from regkit.operators import Diagonal, Operator, solve_scaled
from regkit.problems import Counted, Kind, Objective, Point
from regkit.runs import Result, Run


def newton_trust(
    objective: Objective,
    w: torch.Tensor,
    *,
    hessian: Kind = "exact",
    radius: float = 1.0,
    subproblem: Literal["exact", "krylov"] = "exact",
    **limits: Any,
) -> Result:
    """Newton's method in a trust region: each step minimises a quadratic model over ‖s‖ ≤ Δ.

        gᵀs + ½ sᵀHs

    Goes downhill even where H is indefinite; quadratic convergence near a minimum.

    Args:
        objective: with second derivatives of the kind ``hessian``.
        w (p,): the start.
        hessian: "exact" or "gauss-newton".
        radius: the first Δ, in the norm of w, which then adapts. A parameter whose unit is very
            small or large is measured by what changes J by J; in "krylov" only of 20 at most.
        subproblem: "exact" for SciPy's ``trust-exact``, which factorises H; "krylov" for conjugate
            gradients that stop early (Steihaug, Toint) and need only products with H: for thousands
            of parameters.
        limits: see ``runs``.

    Returns:
        The ``Result``. ``control`` is the decrease over the promised decrease: near 1 the quadratic
        model is right; below 0.15 the step is rejected.

    Raises:
        ValueError: for another subproblem or kind, or a start that cannot be evaluated.

    Example:
        >>> from regkit.problems import Functions
        >>> valley = Functions(lambda w: (1 - w[0]) ** 2 + 100 * (w[1] - w[0] ** 2) ** 2)
        >>> start = torch.tensor([-1.2, 1.0], dtype=torch.float64)
        >>> for subproblem in ("exact", "krylov"):
        ...     found = newton_trust(valley, start, subproblem=subproblem)
        ...     print([round(value, 6) for value in found.x.tolist()], found.converged)
        [1.0, 1.0] True
        [1.0, 1.0] True

    Source:
        Conn, Gould & Toint, Trust-Region Methods (2000), https://doi.org/10.1137/1.9780898719857;
        Steihaug (1983), https://doi.org/10.1137/0720042
    """
    require_words(subproblem=(subproblem, ("exact", "krylov")))
    radius = number(radius, "a radius > 0", 1e-100)
    run = Run(objective, w, hessian, **limits)
    if not run.message:
        (_factorised if subproblem == "exact" else _truncated)(run, radius)
    return run.result()


def _factorised(run: Run, radius: float) -> None:
    """The iterations of ``newton_trust`` by SciPy."""
    unit = _units(run, run.point)
    trial, asked = run.point, (run.point.w / unit).numpy(force=True).astype(float)

    def at(x: np.ndarray) -> Counted:
        """SciPy asks for loss, gradient and Hessian at one x after the other: they share a point."""
        nonlocal trial, asked
        if not np.array_equal(x, asked):
            asked = x.copy()
            trial = run.evaluate(torch.from_numpy(asked).to(run.point.w, copy=True) * unit)
        return trial

    def loss(x: np.ndarray) -> float:
        return at(x).loss if math.isfinite(at(x).loss) else math.inf  # SciPy's comparisons overlook NaN

    def array(part: torch.Tensor) -> np.ndarray:
        """SciPy wants numbers: where the loss is not finite the step is rejected, and else the run ends."""
        usable = math.isfinite(trial.loss) and bool(part.isfinite().all())
        return (part if usable else torch.zeros_like(part)).numpy(force=True).astype(float)

    def note(intermediate_result: scipy.optimize.OptimizeResult) -> None:
        old, s = run.point, trial.w - run.point.w
        promised = -float(old.gradient @ s + 0.5 * (s @ old.hessian(run.kind) @ s))
        accepted = np.array_equal(intermediate_result.x, asked)
        ratio = (old.loss - trial.loss) / promised if promised else math.nan
        run.note(trial if accepted else None, float(s.norm()), ratio, promised)
        if run.message or not _finite(run):
            raise StopIteration

    if not _finite(run):
        return
    most = run.limit + 1
    end = scipy.optimize.minimize(
        loss,
        asked,
        jac=lambda x: array(at(x).gradient * unit),
        hess=lambda x: array(at(x).hessian(run.kind) * (unit[:, None] * unit)),
        method="trust-exact",
        callback=note,
        options={"initial_trust_radius": radius, "max_trust_radius": math.inf, "gtol": 0, "maxiter": most},
    )
    run.settle(end.status == 2, end.message, trial)
    run.stop(f"step: stalled, the model's minimiser was not found ({end.message})")


def _units(run: Run, point: Point) -> torch.Tensor:
    """What counts as 1 in each parameter: 1, or √(2J/|Hᵢᵢ|), which changes J by J, if that is far from 1."""
    natural = (2 * run.start / point.hessian(run.kind).diagonal().detach().abs()).sqrt()
    far = natural.isfinite() & (natural > 0) & ((natural < 1e-5) | (natural > 1e5))
    return torch.where(far, natural, 1.0)


def _finite(run: Run) -> bool:
    """Whether the Hessian is; ends the run if not."""
    finite = bool(run.point.hessian(run.kind).isfinite().all())
    if not finite:
        run.stop("not finite: NaN or infinity in the Hessian")
    return finite


def _truncated(run: Run, radius: float) -> None:
    """The iterations of ``newton_trust`` by truncated conjugate gradients, with SciPy's rules for Δ."""
    few = len(run.point.w) <= 20
    unit = _units(run, run.point.alone) if few else torch.ones_like(run.point.w)
    first, H, D = float((unit * run.point.gradient).norm()), None, Diagonal(unit)
    while not run.message:
        point = run.point
        H, g = D @ point.curvature(run.kind) @ D if H is None else H, unit * point.gradient
        # The closer to the minimum, the more exact a step is worth: then convergence is superlinear.
        rtol = min(0.5, math.sqrt(float(g.norm()) / first))
        s, Hs = steihaug(H, g, radius, rtol)
        length, promised = float(s.norm()), -float(g @ s + 0.5 * (s @ Hs))
        if not math.isfinite(promised):
            run.stop("not finite: NaN or infinity in a product with the Hessian")
            break
        trial = run.evaluate(point.w + unit * s)
        ratio = run.ratio(point.loss - trial.loss, promised)
        accepted = ratio > 0.15  # False for NaN
        if not ratio >= 0.25:
            radius = 0.25 * length
        elif ratio > 0.75 and length > 0.99 * radius:
            radius = 2 * radius
        H = None if accepted else H
        run.note(trial if accepted else None, float((unit * s).norm()), ratio, promised)


def steihaug(H: Operator, g: torch.Tensor, radius: float, rtol: float) -> tuple[torch.Tensor, torch.Tensor]:
    """A step s that lowers gᵀs + ½ sᵀHs within ‖s‖ ≤ Δ, by conjugate gradients that start at 0.

    They end at a residual ‖Hs + g‖ ≤ rtol ‖g‖, at the border, or in a direction of negative
    curvature, which they follow to the border. The first iterate minimises along −g: the step is
    never worse.

    Args:
        H: symmetric, p ← p.
        g (p,): the gradient.
        radius: Δ.
        rtol: how small the residual is to become.

    Returns:
        s and H s, each (p,).

    Example:
        >>> from regkit.operators import Matrix
        >>> H, g = Matrix(torch.diag(torch.tensor([2.0, -1.0]))), torch.tensor([2.0, 0.1])
        >>> s, Hs = steihaug(H, g, radius=3.0, rtol=1e-6)
        >>> round(float(s.norm()), 5), bool(g @ s + 0.5 * s @ Hs < -4)
        (3.0, True)

    Source:
        Steihaug (1983), https://doi.org/10.1137/0720042; Nocedal & Wright (2006), algorithm 7.2
    """
    s, Hs, r, d, last, keep = 0 * g, 0 * g, g, 0 * g, math.inf, Orthogonal(lambda r: r)
    for _ in range(2 * len(g)):
        z = keep(r)
        rr = r @ z
        d = rr / last * d - z
        Hd = (H @ d).detach()
        step = rr / (d @ Hd)
        if not (step > 0 and (s + step * d).norm() < radius):
            # the t > 0 with ‖s + t d‖ = Δ
            dd, sd, rest = d @ d, s @ d, radius**2 - s @ s
            step = rest / (sd + (sd**2 + dd * rest).sqrt())
            return s + step * d, Hs + step * Hd
        s, Hs, r, last = s + step * d, Hs + step * Hd, r + step * Hd, rr
        if r.norm() <= rtol * g.norm():
            break
    return s, Hs


def levenberg_marquardt(
    objective: Objective,
    w: torch.Tensor,
    *,
    damping: float = 1e-3,
    scaling: Literal["diagonal", "identity"] = "diagonal",
    advance: Callable[[int, Point], Objective] | None = None,
    **limits: Any,
) -> Result:
    """Gauss-Newton steps that are shortened until they lead downhill: Levenberg-Marquardt.

        s = −(H + δC)⁻¹ g,    H = JᵀJ (+ λM)

    Small δ: a Gauss-Newton step; large δ: a short one downhill. δ follows Nielsen's rule: it is
    multiplied by max(⅓, 1 − (2ϱ − 1)³), where ϱ is the actual over the promised decrease, if ϱ > 0.
    Otherwise, or if the trial raises ValueError, the step is rejected and δ grows by 2, 4, 8, …

    Args:
        objective: with second derivatives of the kind "gauss-newton".
        w (p,): the start.
        damping: the first δ; for C = I in units of the largest entry of diag H. ``control`` is a
            step's δ.
        scaling: "diagonal" for C = diag H, which makes the method indifferent to the units of w
            (Marquardt); "identity" for C = I (Levenberg).
        advance: (k, point) ↦ the objective of step k = 1, 2, …, which starts at ``point``. If it
            is not equal to the one before, the point is evaluated anew, so that the two losses
            of a comparison mean the same. This is how cheap evaluations come first and accurate
            ones later.
        limits: see ``runs``.

    Returns:
        The ``Result``.

    Raises:
        ValueError: for another scaling, a negative damping, or a start that cannot be evaluated.

    Example:
        >>> from regkit.problems import Residual
        >>> circle = Residual(lambda w: torch.stack([w @ w - 2, w[0] - w[1]]))
        >>> found = levenberg_marquardt(circle, torch.tensor([3.0, 0.5], dtype=torch.float64))
        >>> [round(value, 6) for value in found.x.tolist()], found.converged
        ([1.0, 1.0], True)

    Source:
        Marquardt (1963), https://doi.org/10.1137/0111030; Madsen, Nielsen & Tingleff, Methods for
        Non-Linear Least Squares Problems (2004), algorithm 3.16
    """
    require_words(scaling=(scaling, ("diagonal", "identity")))
    number(damping, "a damping ≥ 0", 0)
    function(advance, "a function advance(k, point)")
    run, growth = Run(objective, w, "gauss-newton", **limits), 2.0
    mu = damping * (float(run.point.hessian("gauss-newton").diagonal().max()) if scaling == "identity" else 1)

    def attempt(w: torch.Tensor) -> Counted | None:
        """The point at w, or None where there is no loss."""
        try:
            trial = run.evaluate(w)
            return trial if math.isfinite(trial.loss) else None
        except ValueError:
            return None

    while not run.message:
        if advance is not None:
            run.go_on_with(advance(len(run.history), run.point))
        if not _finite(run):
            break
        point, tried = run.point, mu
        g, H = point.gradient, point.hessian("gauss-newton")
        smallest = torch.finfo(H.dtype).eps * float(H.diagonal().max())
        C = torch.ones_like(g) if scaling == "identity" else H.diagonal().clamp(min=smallest)
        s, failed = torch.linalg.solve_ex(H + mu * C.diag(), -g)
        if failed:
            run.stop("singular Hessian: even damped it cannot be factorised")
            break
        trial, promised = attempt(point.w + s), float(0.5 * s @ (mu * C * s - g))
        gain = -math.inf if trial is None else point.loss - trial.loss
        ratio = run.ratio(gain, promised)
        accepted = ratio > 0  # False for NaN
        mu *= max(1 / 3, 1 - (2 * min(ratio, 1.0) - 1) ** 3) if accepted else growth
        growth = 2.0 if accepted else 2 * growth
        run.note(trial if accepted else None, float(s.norm()), tried, promised)
    return run.result()


def gauss_newton(
    objective: Objective, w: torch.Tensor, *, solver: Solver | None = None, **limits: Any
) -> Result:
    """Gauss-Newton: w ← w − t H⁻¹g with H = JᵀJ (+ λM) and t = 1, ½, ¼, … until the loss falls.

    Args:
        objective: with second derivatives of the kind "gauss-newton".
        w (p,): the start.
        solver: of H s = −g. None factorises the matrix H. An iterative one of ``linear``, such as
            ``CG(rtol=0.1, maxiter=60)``, needs only products with H: for thousands of parameters.
            It need not converge: each of its iterates is a direction downhill.
        limits: see ``runs``.

    Returns:
        The ``Result``; ``control`` is t.

    Raises:
        ValueError: for a start that cannot be evaluated, or a solver that is none.

    Example:
        >>> from regkit.linear import CG
        >>> from regkit.problems import Residual
        >>> circle = Residual(lambda w: torch.stack([w @ w - 2, w[0] - w[1]]))
        >>> for solver in (None, CG()):
        ...     found = gauss_newton(circle, torch.tensor([3.0, 0.5], dtype=torch.float64), solver=solver)
        ...     print([round(value, 6) for value in found.x.tolist()], found.converged)
        [1.0, 1.0] True
        [1.0, 1.0] True

    Source:
        Nocedal & Wright (2006), section 10.3, https://doi.org/10.1007/978-0-387-40065-5
    """
    if solver is not None:
        require_solver(solver)
    run = Run(objective, w, "gauss-newton", **limits)
    while not run.message and (solver is not None or _finite(run)):
        direction = _direction(run.point, solver)
        if direction is None:
            run.stop("singular Hessian: not all parameters are determined; try levenberg_marquardt")
            break
        _line_search(run, direction, 1.0, run.hidden(run.point.loss))
    return run.result()


def _direction(point: Counted, solver: Solver | None) -> torch.Tensor | None:
    """−H⁻¹g, or None if H is singular."""
    if solver is None:
        return solve_scaled(point.hessian("gauss-newton"), -point.gradient)
    apply = kept_orthogonal(solver).prepare(point.curvature("gauss-newton"))
    try:
        return apply(-point.gradient).checked().detach()
    except ValueError:  # it broke down, or there is no factor
        return None


def gradient_descent(objective: Objective, w: torch.Tensor, **limits: Any) -> Result:
    """Steepest descent: w ← w − t g, t halved until the loss falls, and doubled for the next iteration.

    It is here to be compared with: on images it needs very many iterations.

    Args:
        objective: with a gradient.
        w (p,): the start.
        limits: see ``runs``.

    Returns:
        The ``Result``; ``control`` is t.

    Raises:
        ValueError: for a start that cannot be evaluated.

    Example:
        >>> from regkit.problems import Functions
        >>> bowl = Functions(lambda w: (w**2).sum(), gauss_newton=lambda w: 2 * torch.eye(len(w)))
        >>> gradient_descent(bowl, torch.tensor([3.0, 4.0]), gtol=1e-3).converged
        True
    """
    run = Run(objective, w, "gauss-newton", **limits)
    t = run.start / max(float(run.point.gradient @ run.point.gradient), 1e-300)
    while not run.message:
        t = 2 * _line_search(run, -run.point.gradient, t)
    return run.result()


def _line_search(run: Run, direction: torch.Tensor, t: float, hidden: float = 0.0) -> float:
    """One iteration: halve t until J(w + t d) ≤ J(w) + 10⁻⁴ t gᵀd (Armijo) + hidden. Returns t."""
    point, slope, length = run.point, float(run.point.gradient @ direction), float(direction.norm())
    promised, trial = -t * slope / 2, run.evaluate(point.w + t * direction)
    highest = point.loss + hidden
    while not trial.loss <= highest + 1e-4 * t * slope:  # also for NaN
        t /= 2
        if not (promised > run.tiny(point.loss) and t * length > max(run.xtol, run.eps) * run.longest):
            run.note(None, t * length, t, promised)  # it may say that Newton's step promises nothing
            run.stop("step: stalled, no step this way lowers the loss")
            return t
        trial = run.evaluate(point.w + t * direction)
    run.note(trial, t * length, t, promised)
    return t
