"""Derivatives of the solution of a linear system.

If A = A(w) and b = b(w), then the solution x(w) of A x = b is a function too, and its derivative obeys

    A ẋ = ḃ − Ȧ x:    the *same* matrix, *another* right-hand side.

An object says what becomes of that:

    Frozen()            ẋ = 0
    Implicit(solver)    solve A ẋ = ḃ − Ȧ x, all tangents in one batched run of ``solver``
    Unrolled()          differentiate every iteration of the program that computed x
    Last(k, tail)       differentiate only the last k of them

Sources: Gratton et al. (2014), https://doi.org/10.1137/120889848; Blondel et al. (2022),
https://arxiv.org/abs/2105.15183; Saad (2003), chapter 12, https://doi.org/10.1137/1.9780898718003.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, partial

import torch

from regkit._require import require
from regkit._systems import solved
from regkit._twice import ImplicitSolve
from regkit.dual import apply_linear
from regkit.linear import CG, Solution, Solver, State, iterate, require_solver
from regkit.operators import FunctionOperator, Map, Operator


@dataclass(frozen=True, eq=False, repr=False)
class System:
    """A x = b at one w, as numbers; its solution and the inverse of A share what ``solver`` prepares.

    Args:
        A: the operator, n ← n, symmetric positive definite.
        b (n,): the right-hand side.
        x0 (n,): where an iteration starts, or None. ``Unrolled`` differentiates it as well.
        solver: of this system.
    """

    A: Operator
    b: torch.Tensor
    x0: torch.Tensor | None
    solver: Solver

    def __getstate__(self) -> dict:
        """A copy prepares its solver again: functions cannot be pickled."""
        return {name: value for name, value in vars(self).items() if name != "_solve"}

    @property
    def start(self) -> torch.Tensor | None:
        """x0 as numbers."""
        return None if self.x0 is None else self.x0.detach()

    @cached_property
    def _solve(self) -> Callable[..., Solution]:
        return self.solver.prepare(self.A)

    @cached_property
    def solution(self) -> Solution:
        """What the solver finds."""
        return self._solve(self.b, self.start)

    @property
    def x(self) -> torch.Tensor:
        """The solution (n,), or ValueError after a breakdown, or if there is none."""
        return solved(self.solution, self.solver, "system")

    def inverse(self, solver: Solver | None = None) -> Map:
        """The function rhs (n, k) ↦ A⁻¹ rhs for the systems of tangents, by ``solver`` or the system's own.

        It raises ValueError after a breakdown, or if a residual stays although nobody limited the
        iterations: then there is no solution.
        """
        solve = self._solve if solver is None else solver.prepare(self.A)
        solver = solver or self.solver

        def inverse(rhs: torch.Tensor) -> torch.Tensor:
            return solved(solve(rhs), solver, "tangent system")

        return inverse


class Derivative:
    """How the solution of a system is differentiated. A subclass gives ``solution``."""

    iterates = False

    def check(self, solver: Solver) -> None:
        """ValueError if what ``solver`` computes has no such derivative."""
        require_solver(solver)
        fits = isinstance(solver, CG) or not self.iterates
        require(fits, f"expected a solver with iterations to differentiate, such as CG(), got {solver!r}")

    def solution(self, system: System, A: Map, b: torch.Tensor) -> torch.Tensor:
        """x(w) with its derivative in w.

        Args:
            system: A, b and the start as numbers.
            A: x ↦ A(w) x, with its derivative in w.
            b (n,): b(w), with its derivative.
        """
        raise NotImplementedError


@dataclass(frozen=True)
class Frozen(Derivative):
    """x is a constant."""

    def solution(self, system: System, A: Map, b: torch.Tensor) -> torch.Tensor:
        """x, a number."""
        return system.x


@dataclass(frozen=True, repr=False)
class Implicit(Derivative):
    """A ẋ = ḃ − Ȧ x, solved for all tangents at once.

    The error is that of this solve, and what the error of x adds. By ``solve`` it can be
    differentiated as often as A can: each derivative is an implicit solve again.

    Args:
        solver: of the tangents; the one that computed x if None. ``Implicit(CG.fixed(20))`` spends
            twenty iterations on them.
    """

    solver: Solver | None = None

    def __post_init__(self):
        if self.solver is not None:
            require_solver(self.solver)

    def solution(self, system: System, A: Map, b: torch.Tensor) -> torch.Tensor:
        """x, with A⁻¹(ḃ − Ȧ x) for its derivative."""
        # At fixed x the defect b(w) − A(w) x has the derivative ḃ − Ȧ x: the right-hand side of the tangents.
        # Its value is subtracted, so that x stays what it is and only the derivative passes through A⁻¹.
        defect, inverse = b - A(system.x), system.inverse(self.solver)
        return system.x + apply_linear(defect - defect.detach(), inverse, inverse)

    def __repr__(self) -> str:
        return f"Implicit({self.solver or ''})"


@dataclass(frozen=True)
class Unrolled(Derivative):
    """Every iteration is differentiated.

    ẋ converges like x, some way behind it, until rounding errors, which it amplifies, take over.
    From a start that is right already there are no iterations, and ẋ = 0.
    """

    iterates = True

    def solution(self, system: System, A: Map, b: torch.Tensor) -> torch.Tensor:
        """The whole run, as a program."""
        return system.solver.solve(A, b, system.x0).checked()


class Tail:
    """What runs in the last iterations, from a ``State`` without derivatives. A subclass gives ``run``."""

    def run(self, solver: CG, system: System, A: Map, b: torch.Tensor, state: State, k: int) -> torch.Tensor:
        """x after k differentiated iterations; A, b: as in ``Derivative.solution``."""
        raise NotImplementedError


@dataclass(frozen=True)
class Restart(Tail):
    """k new iterations from the undifferentiated iterate. Not sound: see chapter 9."""

    def run(self, solver: CG, system: System, A: Map, b: torch.Tensor, state: State, k: int) -> torch.Tensor:
        """A new run."""
        return CG.fixed(k, solver.preconditioner).solve(A, b, state.x).checked()


@dataclass(frozen=True)
class Continue(Tail):
    """The same run, its residual and direction kept as constants. Not sound either."""

    def run(self, solver: CG, system: System, A: Map, b: torch.Tensor, state: State, k: int) -> torch.Tensor:
        """The same run."""
        everything = torch.zeros_like(state.rho)  # all k iterations, also where x is right
        return iterate(A, state, everything, k, solver.preconditioner)[0].checked()


@dataclass(frozen=True)
class Chebyshev(Tail):
    """k steps of Chebyshev's semi-iteration.

    Its polynomial in A depends on the bounds alone, so x is *linear* in b and in the start, and a
    tangent meets the same polynomial as x. Sound.

    Args:
        bounds: (low, high) with all eigenvalues of A between; or a function A ↦ (low, high) of
            the operator.

    Raises:
        ValueError: unless 0 < low < high.

    Source:
        Saad (2003), algorithm 12.1, https://doi.org/10.1137/1.9780898718003
    """

    bounds: tuple[float, float] | Callable[[Operator], tuple[float, float]]

    def __post_init__(self):
        if not callable(self.bounds):
            self._between(self.bounds)

    def run(self, solver: CG, system: System, A: Map, b: torch.Tensor, state: State, k: int) -> torch.Tensor:
        """``iterate``, with the bounds of this system."""
        bounds = self.bounds(system.A) if callable(self.bounds) else self.bounds
        return Chebyshev(bounds).iterate(A, b, state.x, k)

    def iterate(self, A: Map, b: torch.Tensor, x0: torch.Tensor, iterations: int) -> torch.Tensor:
        """x (n,) after so many steps for A x = b from x0, with ``bounds`` that are numbers."""
        low, high = self._between(self.bounds)
        centre, radius = (high + low) / 2, (high - low) / 2
        x, r = x0, b - A(x0)
        d, rho = r * (1 / centre), radius / centre
        for k in range(iterations):
            x = x + d
            if k == iterations - 1:
                break
            r = r - A(d)
            rho, old = 1 / (2 * centre / radius - rho), rho
            d = d * (rho * old) + r * (2 * rho / radius)
        return x

    @staticmethod
    def _between(bounds: tuple[float, float]) -> tuple[float, float]:
        pair = isinstance(bounds, tuple) and len(bounds) == 2
        require(
            pair and 0 < bounds[0] < bounds[1],
            f"expected bounds (low, high) of the eigenvalues with 0 < low < high, got {bounds}",
        )
        return bounds


@dataclass(frozen=True)
class Last(Derivative):
    """The last k iterations are differentiated. With nothing before them that is ``Unrolled``.

    Args:
        k: how many; at most as many as the solver makes.
        tail: what runs in them, ``Restart()``, ``Continue()`` or ``Chebyshev(bounds)``.

    Raises:
        ValueError: for k < 0 or another tail.
    """

    k: int
    tail: Tail = Restart()
    iterates = True

    def __post_init__(self):
        require(self.k >= 0, f"expected a number of iterations k ≥ 0, got {self.k}")
        require(isinstance(self.tail, Tail), f"expected a tail, such as Restart(), got {self.tail!r}")

    def check(self, solver: Solver) -> None:
        """Also ValueError if it makes fewer iterations than k."""
        super().check(solver)
        if solver.maxiter is not None:
            require(self.k <= solver.maxiter, f"expected a k of at most {solver.maxiter}, got {self.k}")

    def solution(self, system: System, A: Map, b: torch.Tensor) -> torch.Tensor:
        """The last k iterations as a program, those before them as numbers."""
        solver, first = system.solver, system.solver.limit(system.b) - self.k
        require(first >= 0, f"expected a k of at most {first + self.k}, got {self.k}")
        found, state = solver.run(system.A, system.b, system.start, first)
        found.checked()
        tail = Restart() if first == 0 and isinstance(self.tail, Continue) else self.tail
        return tail.run(solver, system, A, b, state, self.k)


def solve(
    A: Callable[[torch.Tensor, torch.Tensor], torch.Tensor],
    b: torch.Tensor,
    w: torch.Tensor,
    x0: torch.Tensor | None = None,
    solver: Solver = CG(),
    derivative: Derivative = Implicit(),
) -> torch.Tensor:
    """x(w) with A(w) x = b(w), with the derivative of your choice.

    Differentiable in forward or reverse mode in w and b, or with these as ``Dual``: all that A
    depends on, and is to be differentiated by, is in w. ``vmap`` over b runs one batched solve.
    ``vmap`` over w needs an A of torch operations, and ``Implicit`` cannot be differentiated under
    it (use a loop, or ``Unrolled``). Under ``vmap`` no run ends before its limit, and a breakdown
    goes unseen.

    Args:
        A: (w, x) ↦ A(w) x, symmetric positive definite, for x (n,) and (n, k), made of torch
            operations or ``apply_linear``.
        b (n,): the right-hand side; may depend on w.
        w (p,): the parameters.
        x0 (n,): where the solver starts; from zero if None.
        solver: how x is computed.
        derivative: how it is differentiated.

    Returns:
        x (n,).

    Raises:
        ValueError: for a derivative that the solver has not, a start of another shape, a breakdown,
            or tangents without a solution.

    Example:
        >>> A = lambda w, x: torch.stack([2 * x[0] + w[0] * x[1], w[0] * x[0] + x[1]])
        >>> x = lambda w: solve(A, torch.ones(2), w, solver=CG.fixed(2), derivative=Implicit())
        >>> torch.allclose(x(torch.zeros(1)), torch.tensor([0.5, 1.0]))
        True
        >>> torch.allclose(torch.func.jacfwd(x)(torch.zeros(1)), torch.tensor([[-0.5], [-0.5]]))
        True
    """
    require(
        isinstance(derivative, Derivative), f"expected a derivative, such as Implicit(), got {derivative!r}"
    )
    derivative.check(solver)

    def system(w: torch.Tensor, b: torch.Tensor, x0: torch.Tensor | None = None) -> System:
        frozen = partial(A, w)
        return System(FunctionOperator((len(b), len(b)), frozen, frozen), b, x0, solver)

    if type(derivative) is Implicit and isinstance(w, torch.Tensor) and isinstance(b, torch.Tensor):
        shared = {}  # what the solver prepares serves x and all its tangents

        def first(w: torch.Tensor, b: torch.Tensor, x0: torch.Tensor | None) -> torch.Tensor:
            return shared.setdefault("first", system(w, b, x0)).x

        def later(w: torch.Tensor, b: torch.Tensor, x0: None) -> torch.Tensor:
            return shared["first"].inverse(derivative.solver)(b)

        return ImplicitSolve.apply(w, b, None if x0 is None else x0.detach(), A, first, later)
    return derivative.solution(system(w.detach(), b.detach(), x0), partial(A, w), b)


def least_squares(
    A: Callable[[torch.Tensor, torch.Tensor], torch.Tensor],
    At: Callable[[torch.Tensor, torch.Tensor], torch.Tensor] | None,
    b: torch.Tensor,
    w: torch.Tensor,
    x0: torch.Tensor | None = None,
    solver: Solver = CG(),
    derivative: Derivative = Implicit(),
) -> torch.Tensor:
    """x(w) = argmin ‖A(w) x − b(w)‖², by ``solve`` on A(w)ᵀA(w) x = A(w)ᵀb.

    ``Implicit`` then solves  AᵀA ẋ = Ȧᵀ r + Aᵀ(ḃ − Ȧ x)  with r = b − A x.

    Args:
        A: (w, x) ↦ A(w) x, (m,) ← (n,).
        At: (w, y) ↦ A(w)ᵀ y; None to have it from A by reverse mode, then x0 is needed, for
            its shape.
        b (m,): the data; may depend on w.
        w, x0, solver, derivative: as in ``solve``.

    Returns:
        x (n,).

    Raises:
        ValueError: as ``solve``, and if both At and x0 are None.

    Example:
        >>> t = torch.tensor([0.0, 1.0, 2.0])
        >>> A, b = lambda w, x: torch.exp(-w * t) * x, torch.exp(-t)
        >>> At = lambda w, y: (torch.exp(-w * t) @ y)[None]
        >>> torch.allclose(least_squares(A, At, b, torch.ones(1)), torch.ones(1))
        True

    Source:
        Golub & Pereyra (1973), https://doi.org/10.1137/0710036
    """
    if At is None:
        require(x0 is not None, "expected a start x0, whose shape the adjoint needs, got None")

        def At(w: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
            zero = x0.new_zeros(len(x0), *y.shape[1:])
            return torch.func.vjp(lambda x: A(w, x), zero)[1](y)[0]

    return solve(lambda w, x: At(w, A(w, x)), At(w, b), w, x0, solver, derivative)
