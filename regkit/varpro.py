"""Variable projection: eliminate the unknowns in which a least-squares problem is linear.

    min over w and f of ½‖A(w) f − b‖²   becomes   min over w of ½‖r(w)‖²,   r(w) = A(w) f(w) − b,

where f(w) = argmin ‖A(w) f − b‖ is the projection. With D = ∂(A(w) f)/∂w at fixed f and E = ∂(A(w)ᵀ y)/∂w
at fixed y = b − A f, the Jacobian of r is

    D + A ∂f/∂w  =  P⊥ D + A (AᵀA)⁻¹ E,      P⊥ = I − A (AᵀA)⁻¹ Aᵀ.

The kinds of Jacobian keep more or less of it:

    "none"            D
    "kaufman"         P⊥ D
    "golub-pereyra"   P⊥ D + A (AᵀA)⁻¹ E, as written
    "implicit"        the same, by AD through ``linear.solve(derivative="implicit")``
    "unrolled"        by AD through the conjugate gradients that computed f
    "last"            by AD through the last k of their iterations

Because Aᵀr = 0, the first four have the same gradient Jᵀr, as long as r is the full residual and f is exact.
A problem is any object with ``b`` (m,) and ``at(w)``, an operator: ``forward(f)`` = A f, ``adjoint(y)`` =
Aᵀy, ``normal(f)`` = AᵀA f, ``derivative(f)`` = D (m, p), ``adjoint_derivative(y)`` = ∂(Aᵀy)/∂w (n, p).
Sources: Golub & Pereyra (2003), https://doi.org/10.1088/0266-5611/19/2/201; Kaufman (1975),
https://doi.org/10.1007/BF01932995; O'Leary & Rust (2013), https://doi.org/10.1007/s10589-012-9492-9.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property

import torch

from regkit._require import require
from regkit.linear import Dual, apply_linear, cg, inverse_of, solve
from regkit.problems import ResidualPoint
from regkit.runs import Iteration, Result

KINDS = ("none", "kaufman", "golub-pereyra", "implicit", "unrolled", "last")


@dataclass(frozen=True)
class Family:
    """A problem with a small dense A(w), given as a function w ↦ A (m, n) that torch.func differentiates."""

    matrix: Callable[[torch.Tensor], torch.Tensor]
    b: torch.Tensor

    def at(self, w: torch.Tensor) -> Dense:
        """A and its derivative at w."""
        return Dense(self.matrix(w), torch.func.jacfwd(self.matrix)(w))


@dataclass(frozen=True)
class Dense:
    """A (m, n) and ∂A/∂w (m, n, p) at one w, with the products that a problem's operator has to offer."""

    A: torch.Tensor
    dA: torch.Tensor

    def forward(self, f):
        return self.A @ f

    def adjoint(self, y):
        return self.A.T @ y

    def normal(self, f):
        return self.A.T @ (self.A @ f)

    def derivative(self, f):
        return torch.einsum("mnp,n->mp", self.dA, f)

    def adjoint_derivative(self, y):
        return torch.einsum("mnp,m->np", self.dA, y)


@dataclass(frozen=True, eq=False)
class Reduced:
    """r(w) = A(w) f(w) − b as an objective, for ``minimise`` below or any method of ``optimize``.

    f0: (n,) where the conjugate gradients for f start; zero if None. kind: of the Jacobian, see above.
    rows: "full", or "data" for the first ``operator.data_rows`` only: the paper leaves λ L f out. Then Aᵀr is
    not zero, and "none" and "kaufman" do not have the gradient of the loss.

    The projection: rtol, atol, maxiter of ``linear.cg``. The solves of "kaufman", "golub-pereyra" and
    "implicit": tangent_rtol, tangent_maxiter (by default rtol, maxiter). last, tail, bounds: as in ``solve``.
    exact: precondition by the Cholesky factor of AᵀA; each solve is exact after a step or two. For small n.

    Its derivative is ``jacobian``. AD does not see through ``residual``, which works at numbers only.
    Errors: ValueError for unknown names, and for ``exact`` with a kind that differentiates iterations.
    """

    problem: object
    f0: torch.Tensor | None = None
    kind: str = "golub-pereyra"
    rows: str = "full"
    rtol: float = 1e-8
    atol: float = 0.0
    maxiter: int | None = None
    tangent_rtol: float | None = None
    tangent_maxiter: int | None = None
    last: int | None = None
    tail: str = "restart"
    bounds: tuple[float, float] | None = None
    exact: bool = False

    def __post_init__(self):
        require(self.kind in KINDS, f"expected a kind of Jacobian among {KINDS}, got {self.kind!r}")
        require(self.rows in ("full", "data"), f'expected rows "full" or "data", got {self.rows!r}')
        iterates = self.kind in ("unrolled", "last")
        require(
            not (self.exact and iterates), f"expected exact=False, as {self.kind!r} differentiates iterations"
        )

    def point(self, w: torch.Tensor, order: int = 1) -> Point:
        """All that there is at w."""
        return Point(self, w)

    def residual(self, w: torch.Tensor) -> torch.Tensor:
        """r(w), (m,)."""
        return self.point(w).residual

    def jacobian(self, w: torch.Tensor) -> torch.Tensor:
        """The Jacobian of the chosen kind at w, (m, p)."""
        return self.point(w).jacobian


class Point(ResidualPoint):
    """f, r, J and what follows from them at one w, each computed when first asked for.

    products: how many products with AᵀA this has cost so far, one for every column.
    """

    def __init__(self, reduced: Reduced, w: torch.Tensor):
        self.reduced, self.w, self.b = reduced, w, reduced.problem.b
        self.operator, self.products = reduced.problem.at(w), 0

    @cached_property
    def f(self) -> torch.Tensor:
        """The projection f(w), (n,)."""
        names = ("rtol", "atol", "maxiter")
        options = {name: getattr(self.reduced, name) for name in names}
        rhs, M = self.operator.adjoint(self.b), self._preconditioner
        found = cg(self._normal, rhs, self.reduced.f0, preconditioner=M, **options)
        require(not found.message.startswith("breakdown"), found.message)
        return found.x

    @cached_property
    def full_residual(self) -> torch.Tensor:
        """A(w) f(w) − b, (m,)."""
        return self.operator.forward(self.f) - self.b

    @cached_property
    def residual(self) -> torch.Tensor:
        """The rows of it that count."""
        return self._rows(self.full_residual)

    @cached_property
    def jacobian(self) -> torch.Tensor:
        """The Jacobian of the chosen kind, (rows, p)."""
        kind, A = self.reduced.kind, self.operator
        if kind in ("implicit", "unrolled", "last"):
            w = Dual.variables(self.w)
            f = self.project(w, kind)
            return self._rows(apply_linear(f, A.forward, A.adjoint, w, A.derivative).tangents)
        D = A.derivative(self.f)
        if kind == "none":
            return self._rows(D)
        E = A.adjoint_derivative(-self.full_residual) if kind == "golub-pereyra" else 0.0
        return self._rows(D + A.forward(self._solve(E - A.adjoint(D))))

    def _rows(self, values: torch.Tensor) -> torch.Tensor:
        if self.reduced.rows == "full":
            return values
        require(hasattr(self.operator, "data_rows"), 'expected an operator with data_rows for rows="data"')
        return values[: self.operator.data_rows]

    def _normal(self, f: torch.Tensor) -> torch.Tensor:
        self.products += 1 if f.ndim == 1 else f.shape[1]
        return self.operator.normal(f)

    @cached_property
    def _preconditioner(self):
        if not self.reduced.exact:
            return None
        n = len(self.operator.adjoint(self.b))
        matrix = self.operator.normal(torch.eye(n, dtype=self.b.dtype, device=self.b.device))
        factor, failed = torch.linalg.cholesky_ex(matrix)
        require(failed == 0, "expected a positive definite AᵀA for an exact solve; is λ = 0?")
        return lambda r: torch.cholesky_solve(r.reshape(n, -1), factor).reshape(r.shape)

    def _solve(self, rhs: torch.Tensor) -> torch.Tensor:
        """(AᵀA)⁻¹ of all columns at once, as exactly as the options ask."""
        options = self.reduced
        rtol = options.rtol if options.tangent_rtol is None else options.tangent_rtol
        limit = options.maxiter if options.tangent_maxiter is None else options.tangent_maxiter
        return inverse_of(self._normal, rhs, rtol, limit, self._preconditioner)

    def project(self, w: torch.Tensor | Dual, derivative: str) -> torch.Tensor | Dual:
        """f(w), from AᵀA f = Aᵀb, with the derivative of that name in ``w``, this point's own."""
        A, options = self.operator, {name: getattr(self.reduced, name) for name in _SOLVER}
        start = self.reduced.f0
        if derivative == "implicit":  # f is known already: all iterations are for the tangents
            start, counts = self.f, (options["tangent_maxiter"], options["maxiter"])
            limit = next((n for n in counts if n is not None), 10 * len(start))
            options |= {"maxiter": 0, "tangent_maxiter": limit}

        def slope(f):  # ∂(AᵀA f)/∂w
            self.products += len(self.w)
            return A.adjoint_derivative(A.forward(f)) + A.adjoint(A.derivative(f))

        return solve(
            lambda w, f: apply_linear(f, self._normal, self._normal, w, slope),
            apply_linear(self.b, A.adjoint, A.forward, w, A.adjoint_derivative),
            w,
            start,
            derivative=derivative,
            preconditioner=self._preconditioner,
            **options,
        )


_SOLVER = ("last", "tail", "bounds", "rtol", "atol", "maxiter", "tangent_rtol", "tangent_maxiter")


@dataclass(frozen=True)
class Step(Iteration):
    """An ``Iteration`` with the image f at its w, and the products with AᵀA that the run has cost so far."""

    f: torch.Tensor
    products: int


def minimise(
    reduced: Reduced,
    w: torch.Tensor,
    *,
    steps: int = 10,
    damping: float = 1e-2,
    scaling: str = "diagonal",
    warm: bool = False,
    schedule: Callable[[int], dict] | None = None,
    gtol: float = 1e-9,
    xtol: float = 1e-12,
    callback: Callable[[Step], None] | None = None,
) -> Result:
    """Levenberg-Marquardt on ½‖r(w)‖²: s = −(JᵀJ + μC)⁻¹ Jᵀr, at most ``steps`` of them, accepted or not.

    scaling: "diagonal" for C = diag JᵀJ and the first μ = ``damping``; then the units of w do not matter
    (Marquardt). "identity" for C = I and the first μ = ``damping`` · max diag JᵀJ (Levenberg): with damping
    1e-3 this is the paper's method, and 9 steps are its "10 iterations", which count the start. Both change
    μ by Nielsen's rule: μ max(⅓, 1 − (2ϱ − 1)³) if ϱ = actual/promised decrease > 0; else the step is
    rejected and μ grows by 2, 4, 8, …

    warm: start each projection at the last accepted f. schedule: k ↦ the options of ``reduced`` that step k
    changes, such as {"maxiter": 10 * 2**k}: cheap projections first. When they change, the point is evaluated
    anew, so that the two losses of a comparison mean the same. Stops early where ‖Jᵀr‖ ≤ gtol · J(w₀) or
    ‖s‖ ≤ xtol (1 + ‖w‖).

    Source: Madsen, Nielsen & Tingleff, Methods for Non-Linear Least Squares Problems (2004), algorithm 3.16.
    """
    require(
        scaling in ("diagonal", "identity"), f'expected "diagonal" or "identity" scaling, got {scaling!r}'
    )
    require(damping >= 0, f"expected a damping ≥ 0, got {damping}")
    history, spent, growth, message = [], 0, 2.0, ""
    changes = schedule(1) if schedule else {}

    def at(w: torch.Tensor, f: torch.Tensor | None = None) -> Point:
        start = {"f0": f} if warm and f is not None else {}
        return replace(reduced, **changes, **start).point(w)

    def record(step: float, control: float, accepted: bool) -> None:
        loss, norm, products = float(point.loss), float(point.gradient.norm()), spent + point.products
        history.append(Step(len(history), point.w, loss, norm, step, control, accepted, point.f, products))
        if callback is not None:
            callback(history[-1])

    def attempt(w: torch.Tensor) -> Point | None:
        """The point at w, or None where the projection fails: that step is refused."""
        try:
            trial = at(w, point.f)
            return trial if trial.loss.isfinite() else None
        except ValueError:
            return None

    def arrived() -> str:
        norm = history[-1].gradient_norm
        return f"gradient: norm {norm:.2e} ≤ gtol · J(w₀)" if norm <= gtol * history[0].loss else ""

    point = at(w.detach().clone())
    mu = damping * (float(point.hessian().diagonal().max()) if scaling == "identity" else 1.0)
    record(0.0, mu, True)
    message = arrived()
    for k in range(1, steps + 1):
        if message:
            break
        if schedule and schedule(k) != changes:
            changes, spent = schedule(k), spent + point.products
            point = at(point.w, point.f)
        g, H = point.gradient, point.hessian()
        diagonal = H.diagonal().clamp(min=torch.finfo(H.dtype).eps * float(H.diagonal().max()))
        C = torch.ones_like(g) if scaling == "identity" else diagonal
        s, failed = torch.linalg.solve_ex(H + mu * C.diag(), -g)
        require(failed == 0, "expected a damping > 0, as JᵀJ is singular")
        trial, tried, length = attempt(point.w + s), mu, float(s.norm())
        gain = -math.inf if trial is None else float(point.loss - trial.loss)
        ratio = gain / float(0.5 * s @ (mu * C * s - g))
        if accepted := ratio > 0:
            spent, point = spent + point.products, trial
            mu, growth = mu * max(1 / 3, 1 - (2 * ratio - 1) ** 3), 2.0
        else:
            spent += trial.products if trial else 0
            mu, growth = mu * growth, 2 * growth
        record(length, tried, accepted)
        message = arrived()
        if not message and length <= xtol * (1 + float(point.w.norm())):
            message = f"step: length {length:.2e} ≤ xtol · (1 + ‖w‖)"
            message += "" if accepted else ", and not downhill"
    converged = bool(message) and history[-1].accepted
    evaluations = {"loss": len(history), "gradient": sum(step.accepted for step in history)}
    message = (
        message
        or f"iterations: limit of {steps} steps reached, gradient norm {history[-1].gradient_norm:.2e}"
    )
    return Result(point.w, history, converged, message, evaluations, point)
