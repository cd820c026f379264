"""Linear systems A x = b: conjugate gradients, and a factorisation for small ones.

A solver is an object that holds its options; ``prepare(A)`` makes of it a function b ↦
``Solution``, so that what depends on A alone is done once:

    CG(rtol=1e-10)     conjugate gradients, until ‖b − A x‖ ≤ rtol ‖b‖
    CG.fixed(20)       exactly 20 iterations
    Cholesky()         A written out and factorised
    CGLS()             for least squares, min ‖A x − b‖ with any A

A is symmetric positive definite, except for ``CGLS``, and only ever applied: a function x ↦ A x, or
an ``operators.Operator``. Right-hand sides may be the columns of a matrix, b (n, k); then all of
them are solved at once. ``implicit`` differentiates the answers.

Sources: Hestenes & Stiefel (1952), https://doi.org/10.6028/jres.049.044; Saad (2003), chapter 6,
https://doi.org/10.1137/1.9780898718003.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Literal, NamedTuple

import torch

from regkit._require import require, tolerances, whole
from regkit._systems import applied, missed, start_of, symmetric, values
from regkit.operators import Map, Operator

Status = Literal["converged", "limit", "breakdown"]


@dataclass(frozen=True, eq=False, repr=False)
class Solution:
    """What a solver found.

    Args:
        x (as b): the solution.
        residuals (iterations + 1,) or (iterations + 1, k): ‖b − A x‖ from the start on, as the
            recurrence knows it; for ``CGLS`` ‖Aᵀ(b − A x)‖.
        status: "converged" if every column met its tolerance; "limit" if the iterations ended
            before, or rounding keeps b − A x from it; "breakdown" if A is not positive definite, x
            is then the iterate before that showed.
        message: the same in words.
    """

    x: torch.Tensor
    residuals: torch.Tensor
    status: Status
    message: str

    @property
    def converged(self) -> bool:
        """Did every column meet its tolerance?"""
        return self.status == "converged"

    @property
    def iterations(self) -> int:
        """How many there were."""
        return len(self.residuals) - 1

    def checked(self) -> torch.Tensor:
        """x, or ValueError after a breakdown."""
        require(self.status != "breakdown", self.message)
        return self.x

    def __repr__(self) -> str:
        return f"Solution({self.message})"


def require_solver(solver: object) -> None:
    """ValueError unless this is a ``Solver``."""
    require(isinstance(solver, Solver), f"expected a solver of A x = b, such as CG(), got {solver!r}")


class Solver:
    """A way to solve A x = b with a symmetric positive definite A. A subclass gives ``prepare``."""

    def prepare(self, A: Map | Operator) -> Callable[..., Solution]:
        """The function (b, x0=None) ↦ ``Solution``, with everything that depends on A alone done once.

        Args:
            A: x (n,) ↦ A x, and X (n, k) ↦ A X if b has columns; or an operator.

        Returns:
            A function of b, (n,) or (n, k), and of a start x0 of the same shape; from zero if there
            is none. It raises ValueError for NaN in either, a norm that overflows, or a start of
            another shape.
        """
        raise NotImplementedError

    def solve(self, A: Map | Operator, b: torch.Tensor, x0: torch.Tensor | None = None) -> Solution:
        """``prepare(A)`` for one right-hand side."""
        return self.prepare(A)(b, x0)


@dataclass(frozen=True)
class _Iteration:
    """When an iteration ends."""

    rtol: float = 1e-8
    atol: float = 0.0
    maxiter: int | None = None

    def __post_init__(self):
        tolerances(rtol=self.rtol, atol=self.atol)
        if self.maxiter is not None:
            object.__setattr__(self, "maxiter", whole(self.maxiter, "a number of iterations ≥ 0", 0))

    def limit(self, b: torch.Tensor) -> int:
        """How many iterations there may be for a solution of the shape of b."""
        return 10 * b.shape[0] if self.maxiter is None else self.maxiter

    def target(self, b: torch.Tensor) -> torch.Tensor:
        """The residual norm at which to stop, max(atol, rtol ‖b‖), of each column."""
        require(b.isfinite().all(), "expected a right-hand side of finite numbers, got NaN or infinity in it")
        square = _dot(b, b)
        fits = square.isfinite() & ((square > 0) | (b == 0).all(0))
        require(fits.all(), f"expected ‖b‖² within the range of {b.dtype}: scale b")
        rtol = max(self.rtol, 10 * torch.finfo(b.dtype).eps) if self.rtol > 0 else 0.0
        return (rtol * square.sqrt()).clamp(min=self.atol)


@dataclass(frozen=True, repr=False)
class CG(_Iteration, Solver):
    """Conjugate gradients. A column is done when ‖b − A x‖ ≤ max(atol, rtol ‖b‖); the run ends when all are.

    It also ends after ``maxiter`` iterations, and at a direction with pᵀA p ≤ 0, which is a breakdown.

    Args:
        rtol: tolerance relative to ‖b‖. Below ten units of rounding it cannot be met and is raised
            to that; 0 asks for all iterations, whatever is left.
        atol: tolerance in the units of b.
        maxiter: limit of the iterations, 10 n if None.
        preconditioner: r ↦ M r with a symmetric positive definite M ≈ A⁻¹.

    Raises:
        ValueError: for negative options.

    Example:
        >>> A = torch.tensor([[2.0, 1.0], [1.0, 3.0]])
        >>> found = CG().solve(A.matmul, torch.tensor([3.0, 4.0]))
        >>> found
        Solution(converged in 2 iterations)
        >>> torch.allclose(found.x, torch.ones(2))
        True
        >>> CG.fixed(1).solve(A.matmul, torch.tensor([3.0, 4.0]))
        Solution(limit of 1 iterations reached)
    """

    preconditioner: Map | None = None

    @classmethod
    def fixed(cls, iterations: int, preconditioner: Map | None = None) -> CG:
        """Exactly so many iterations."""
        return cls(0.0, 0.0, iterations, preconditioner)

    def prepare(self, A: Map | Operator) -> Callable[..., Solution]:
        """As ``Solver.prepare``. The run is an ordinary program of b, x0 and A: AD goes through it."""

        def solve(b: torch.Tensor, x0: torch.Tensor | None = None) -> Solution:
            return self.run(A, b, x0, self.limit(values(b)))[0]

        return solve

    def run(
        self, A: Map | Operator, b: torch.Tensor, x0: torch.Tensor | None, limit: int
    ) -> tuple[Solution, State]:
        """At most ``limit`` iterations, and the state in which they end."""
        A, x0, target = applied(A, b.shape[0]), start_of(b.detach(), x0), self.target(b.detach())
        asked = b if self.rtol or self.atol else None  # a fixed number promises no residual
        return iterate(A, begin(A, b, x0, self.preconditioner), target, limit, self.preconditioner, asked)

    def __repr__(self) -> str:
        fixed = self.maxiter is not None and self.rtol == self.atol == 0
        limits = f"rtol={self.rtol:g}, atol={self.atol:g}, maxiter={self.maxiter}"
        return f"CG.fixed({self.maxiter})" if fixed else f"CG({limits})"


class State(NamedTuple):
    """Of conjugate gradients: iterate x, residual r = b − A x, direction p, and ρ = ⟨r, M r⟩, by column."""

    x: torch.Tensor
    r: torch.Tensor
    p: torch.Tensor
    rho: torch.Tensor


def begin(A: Map, b: torch.Tensor, x0: torch.Tensor | None, M: Map | None) -> State:
    """Conjugate gradients before their first iteration.

    Args:
        A: the map x ↦ A x.
        b (n,) or (n, k): the right-hand side.
        x0 (as b): the start; 0 if None.
        M: the preconditioner r ↦ M r, or None.
    """
    x, r = (torch.zeros_like(b.detach()), b) if x0 is None else (x0, b - A(x0))
    p = r if M is None else M(r)
    return State(x, r, p, _dot(r, p))


def iterate(
    A: Map, state: State, target: torch.Tensor, limit: int, M: Map | None, b: torch.Tensor | None = None
) -> tuple[Solution, State]:
    """The loop of conjugate gradients, at most ``limit`` times.

    It is an ordinary program, so AD goes through it; the tests that end it look at values only.
    Rounding takes the residual of the recurrence away from b − A x, by about ε ‖A‖ ‖x‖. Where that
    may matter the true one is computed once, and has its say.

    Args:
        A: the map x ↦ A x.
        state: where the loop begins.
        target (one a column): the norms of the residual at which it ends.
        limit: the most iterations.
        M: the preconditioner r ↦ M r, or None.
        b (n,) or (n, k): the right-hand side; None for no such look.

    Returns:
        What was found, and the state from which another loop would go on.
    """
    norms, end, start, steep = [], ("limit", f"limit of {limit} iterations reached"), state.x.detach(), None
    for k in range(limit + 1):
        x, r, p, rho = state
        norms.append((rho if M is None else _dot(r, r)).detach().sqrt())
        if _holds((norms[-1] <= target).all()):
            end = "converged", f"converged in {k} iterations"
            break
        if k == limit:
            break
        q = A(p)
        require(q.shape == p.shape, f"expected A x of shape {p.shape}, got {q.shape}")
        curvature = _dot(p, q)
        steep = (_dot(q, q) / _dot(p, p)).detach().sqrt() if steep is None else steep  # about ‖A‖
        matters = ~(norms[-1] <= target.clamp(min=torch.finfo(target.dtype).eps * norms[0]))
        if _holds((matters & ~(curvature.detach() > 0)).any()):  # true for NaN as well
            worst = f"pᵀAp = {float(curvature.detach().min()):.1e} in iteration {k}"
            end = "breakdown", f"breakdown: {worst}: A is not positive definite"
            break
        alpha = _ratio(rho, curvature)
        x, r = x + alpha * p, r - alpha * q
        z = r if M is None else M(r)
        rho, old = _dot(r, z), rho
        state = State(x, r, z + _ratio(rho, old) * p, rho)
    if end[0] == "converged" and steep is not None and b is not None:
        end = ("limit", "limit of rounding reached") if missed(A, b, state.x, start, steep, target) else end
    return Solution(state.x, torch.stack(norms), *end), state


@dataclass(frozen=True)
class Cholesky(Solver):
    """A written out, (n, n), and factorised once: exact, for small n. A start is not needed and not used.

    Raises:
        ValueError: by the prepared function, if A is not positive definite to rounding.

    Example:
        >>> solve = Cholesky().prepare(torch.tensor([[2.0, 1.0], [1.0, 3.0]]).matmul)
        >>> torch.allclose(solve(torch.tensor([3.0, 4.0])).x, torch.ones(2))
        True
    """

    def prepare(self, A: Map | Operator) -> Callable[..., Solution]:
        """As ``Solver.prepare``; the factor is made with the first right-hand side, which has the type."""

        @cache
        def factorised(n: int, dtype: torch.dtype, device: torch.device):
            unit = torch.eye(n, dtype=dtype, device=device)
            matrix = A.dense(unit) if isinstance(A, Operator) else applied(A, n)(unit)
            factor, failed = torch.linalg.cholesky_ex(symmetric(matrix, n))
            require(failed == 0, "expected a positive definite matrix to factorise; is it singular?")
            return matrix, factor

        def solve(b: torch.Tensor, x0: torch.Tensor | None = None) -> Solution:
            start_of(values(b), x0)
            require(b.isfinite().all(), "expected a right-hand side of finite numbers, got NaN or infinity")
            matrix, factor = factorised(len(b), b.dtype, b.device)
            x = torch.cholesky_solve(b if b.ndim > 1 else b[:, None], factor).reshape(b.shape)
            rest = b - matrix @ x
            residuals = torch.stack([_dot(b, b), _dot(rest, rest)]).sqrt()
            return Solution(x, residuals, "converged", "solved by a factorisation")

        return solve


@dataclass(frozen=True)
class CGLS(_Iteration):
    """Conjugate gradients for min ‖A x − b‖, that is AᵀA x = Aᵀb, with d = b − A x kept apart.

    Aᵀd is computed from the small d, where ``CG`` on the normal equations subtracts large
    vectors: this reaches a smaller error if A is ill-conditioned. It stops when ‖Aᵀd‖ ≤ max(atol,
    rtol ‖Aᵀb‖).

    Args:
        rtol: tolerance relative to ‖Aᵀb‖.
        atol: tolerance in the units of Aᵀb.
        maxiter: limit of the iterations, 10 n if None.

    Raises:
        ValueError: for negative options.

    Example:
        >>> from regkit.operators import Matrix
        >>> A = Matrix(torch.tensor([[1.0, 0.0], [1.0, 1.0], [1.0, 2.0]]))
        >>> found = CGLS(rtol=1e-6).solve(A, torch.tensor([1.0, 3.0, 5.0]))
        >>> torch.allclose(found.x, torch.tensor([1.0, 2.0]), atol=1e-4)
        True

    Source:
        Björck (1996), section 7.4, https://doi.org/10.1137/1.9781611971484
    """

    def prepare(self, A: Operator) -> Callable[..., Solution]:
        """The function (b, x0=None) ↦ ``Solution`` for b (m,) or (m, k), and x0 of the shape of x."""

        def solve(b: torch.Tensor, x0: torch.Tensor | None = None) -> Solution:
            fits = isinstance(A, Operator) and A.shape[0] == len(values(b))
            require(fits, f"expected an Operator with {len(b)} rows, as b has, got {A!r}")
            rhs = A.adjoint(b)
            x0, target, limit = start_of(rhs, x0), self.target(rhs), self.limit(rhs)
            d = b if x0 is None else b - A.forward(x0)
            s = rhs if x0 is None else A.adjoint(d)
            x, p, rho = torch.zeros_like(s) if x0 is None else x0, s, _dot(s, s)
            norms = [rho.sqrt()]
            while not (norms[-1] <= target).all() and len(norms) <= limit:
                q = A.forward(p)
                alpha = _ratio(rho, _dot(q, q))
                x, d = x + alpha * p, d - alpha * q
                s = A.adjoint(d)
                rho, old = _dot(s, s), rho
                p = s + _ratio(rho, old) * p
                norms.append(rho.sqrt())
            if (norms[-1] <= target).all():
                end = "converged", f"converged in {len(norms) - 1} iterations"
            else:
                end = "limit", f"limit of {limit} iterations reached"
            return Solution(x, torch.stack(norms), *end)

        return solve

    def solve(self, A: Operator, b: torch.Tensor, x0: torch.Tensor | None = None) -> Solution:
        """``prepare(A)`` for one right-hand side."""
        return self.prepare(A)(b, x0)


def _dot(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    return a @ b if a.ndim == 1 else (a * b).sum(0)


def _ratio(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    """a / b, and 0 where b is 0: a column that has arrived takes steps of length 0."""
    zero = b.detach() == 0
    return a / (b + zero) * ~zero


def _holds(condition: torch.Tensor) -> bool:
    """The truth of a condition; False under ``vmap``, where it has none: the loop then runs to its limit."""
    try:
        return bool(condition)
    except RuntimeError:
        return False
