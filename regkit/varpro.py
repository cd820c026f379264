"""Variable projection: eliminate the unknowns in which a least-squares problem is linear.

    min over w and f of ½‖A(w) f − b‖²   becomes   min over w of ½‖r(w)‖²,   r(w) = A(w) f(w) − b,

where f(w) = argmin ‖A(w) f − b‖ is the projection. With D = ∂(A(w) f)/∂w at fixed f and E = ∂(A(w)ᵀ
y)/∂w at fixed y = b − A f, the Jacobian of r is

    D + A ∂f/∂w  =  P⊥ D + A (AᵀA)⁻¹ E,      P⊥ = I − A (AᵀA)⁻¹ Aᵀ.

An object says how much of it is kept:

    GolubPereyra()     P⊥ D + A (AᵀA)⁻¹ E, as written
    Kaufman()          P⊥ D
    Frozen()           D
    Implicit()         D + A ∂f/∂w, by AD through ``implicit.solve``: the same as GolubPereyra()
    Unrolled()         by AD through the conjugate gradients that computed f
    Last(k, tail)      by AD through the last k of their iterations

Because Aᵀr = 0, the first four have the same gradient Jᵀr, as long as r is the full residual and f is exact.

    Reduced(problem, CG.fixed(200), Implicit(CG.fixed(20)))

makes 200 iterations for f and 20 for its derivative.

Sources: Golub & Pereyra (2003), https://doi.org/10.1088/0266-5611/19/2/201; Kaufman (1975),
https://doi.org/10.1007/BF01932995; O'Leary & Rust (2013),
https://doi.org/10.1007/s10589-012-9492-9.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal, Protocol

import torch

from regkit._require import require
from regkit._systems import left
from regkit.dual import Dual, apply_linear
from regkit.implicit import Derivative, Frozen, System
from regkit.linear import CG, Solver, require_solver
from regkit.operators import FunctionOperator, ParametricOperator
from regkit.problems import ResidualPoint


class Separable(Protocol):
    """A least-squares problem ½‖A(w) f − b‖² that is linear in f."""

    @property
    def b(self) -> torch.Tensor:
        """The data (m,)."""

    def at(self, w: torch.Tensor) -> ParametricOperator:
        """A(w), or anything with its methods. For rows="data" it says its number of ``data_rows``, too."""


@dataclass(frozen=True, eq=False, repr=False)
class Matrices:
    """A problem with a small full A(w), given by a function that torch.func differentiates.

    Args:
        matrix: w (p,) ↦ A (m, n).
        b (m,): the data.

    Example:
        >>> problem = Matrices(lambda w: torch.stack([torch.ones(1), w]), torch.tensor([1.0, 2.0]))
        >>> problem.at(torch.tensor([1.0])).forward(torch.tensor([1.5]))
        tensor([1.5000, 1.5000])
    """

    matrix: Callable[[torch.Tensor], torch.Tensor]
    b: torch.Tensor

    def at(self, w: torch.Tensor) -> ParametricOperator:
        """A and its derivative at w."""
        return _MatrixAt(self.matrix(w), torch.func.jacfwd(self.matrix)(w))

    def __repr__(self) -> str:
        return f"Matrices with {len(self.b)} rows"


class _MatrixAt(ParametricOperator):
    """A (m, n) and ∂A/∂w (m, n, p)."""

    def __init__(self, A: torch.Tensor, dA: torch.Tensor):
        self.A, self.dA, self.shape = A, dA, tuple(A.shape)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """A x."""
        return self.A @ x

    def adjoint(self, y: torch.Tensor) -> torch.Tensor:
        """Aᵀ y."""
        return self.A.T @ y

    def derivative(self, x: torch.Tensor) -> torch.Tensor:
        """(∂A/∂w) x."""
        return torch.einsum("mnp,n->mp", self.dA, x)

    def adjoint_derivative(self, y: torch.Tensor) -> torch.Tensor:
        """(∂A/∂w)ᵀ y."""
        return torch.einsum("mnp,m->np", self.dA, y)


@dataclass(frozen=True, repr=False)
class ReducedJacobian:
    """A formula for the Jacobian of r with one solve for its columns. A subclass gives ``matrix``.

    Args:
        solver: of that solve; the one that computed f if None.
    """

    solver: Solver | None = None

    def __post_init__(self):
        if self.solver is not None:
            require_solver(self.solver)

    def matrix(self, at: Projection) -> torch.Tensor:
        """All rows, (m, p)."""
        raise NotImplementedError

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.solver or ''})"


@dataclass(frozen=True, repr=False)
class GolubPereyra(ReducedJacobian):
    """P⊥ D + A (AᵀA)⁻¹ E = D + A (AᵀA)⁻¹ (E − AᵀD)."""

    def matrix(self, at: Projection) -> torch.Tensor:
        """All rows, (m, p)."""
        A, D = at.operator, at.operator.derivative(at.f)
        E = A.adjoint_derivative(-at.full_residual)
        return D + A.forward(at.system.inverse(self.solver)(E - A.adjoint(D)))


@dataclass(frozen=True, repr=False)
class Kaufman(ReducedJacobian):
    """P⊥ D = D − A (AᵀA)⁻¹ AᵀD: D projected once more, and nothing differentiated."""

    def matrix(self, at: Projection) -> torch.Tensor:
        """All rows, (m, p)."""
        A, D = at.operator, at.operator.derivative(at.f)
        return D - A.forward(at.system.inverse(self.solver)(A.adjoint(D)))


@dataclass(frozen=True, repr=False)
class Reduced:
    """r(w) = A(w) f(w) − b as an objective ½‖r‖², for any method of ``optimize``.

    Two of them are equal if they differ in f0 at most: where an iteration starts is no part of the question.

    Args:
        problem: what is reduced.
        solver: of AᵀA f = Aᵀb, the projection: ``CG(…)`` or ``Cholesky()``.
        jacobian: ``GolubPereyra(solver)``, ``Kaufman(solver)``, or a derivative of ``implicit``.
        f0 (n,): where the iterations for f start; zero if None.
        rows: "full", or "data" for the first ``data_rows`` only: the paper leaves λ L f out.
            Then Aᵀr is not zero, and ``Frozen()`` and ``Kaufman()`` do not have the gradient of
            the loss.

    Raises:
        ValueError: for other rows, what is no solver or no Jacobian, or a derivative that the
            solver has not.

    Example:
        >>> from regkit.linear import Cholesky
        >>> problem = Matrices(lambda w: torch.stack([torch.ones(1), w]), torch.tensor([1.0, 2.0]))
        >>> point = Reduced(problem, Cholesky(), Kaufman()).point(torch.tensor([1.0]))
        >>> point.f, point.residual, point.jacobian[:, 0]
        (tensor([1.5000]), tensor([ 0.5000, -0.5000]), tensor([-0.7500,  0.7500]))
    """

    problem: Separable
    solver: Solver = CG()
    jacobian: ReducedJacobian | Derivative = GolubPereyra()
    f0: torch.Tensor | None = field(default=None, compare=False)
    rows: Literal["full", "data"] = "full"

    def __post_init__(self):
        require(self.rows in ("full", "data"), f'expected rows "full" or "data", got {self.rows!r}')
        fits = isinstance(self.jacobian, ReducedJacobian | Derivative)
        require(fits, f"expected a Jacobian, such as Kaufman() or Implicit(), got {self.jacobian!r}")
        require_solver(self.solver)
        if isinstance(self.jacobian, Derivative):
            self.jacobian.check(self.solver)

    def point(self, w: torch.Tensor, order: int = 1) -> Projection:
        """All that there is at w."""
        return Projection(self, w)

    def residual(self, w: torch.Tensor) -> torch.Tensor:
        """r(w), (m,): numbers, AD does not see through them."""
        return self.point(w).residual

    def __repr__(self) -> str:
        return f"Reduced({self.problem!r}, {self.solver!r}, {self.jacobian!r}, rows={self.rows!r})"


class Projection(ResidualPoint):
    """f, r, J and what follows from them at one w, each computed when first asked for.

    Args:
        reduced: the objective.
        w (p,): where.
    """

    def __init__(self, reduced: Reduced, w: torch.Tensor):
        self.reduced, self.w, self.operator = reduced, w, reduced.problem.at(w)
        A, n = self.operator, self.operator.shape[1]
        normal = FunctionOperator((n, n), A.normal, A.normal)
        self.system = System(normal, A.adjoint(reduced.problem.b), reduced.f0, reduced.solver)

    @property
    def doubt(self) -> str:
        """Why a small gradient would mean nothing here: f is not the projection."""
        rest, found = left(self.system.solution), self.system.solution
        return f"the projection has not converged: {found}, {rest:.0e} is left" if rest > 1e-4 else ""

    @property
    def f(self) -> torch.Tensor:
        """The projection f(w), (n,)."""
        return self.system.x

    @cached_property
    def full_residual(self) -> torch.Tensor:
        """A(w) f(w) − b, (m,)."""
        return self.operator.forward(self.f) - self.reduced.problem.b

    @cached_property
    def residual(self) -> torch.Tensor:
        """The rows of it that count."""
        return self._rows(self.full_residual)

    @cached_property
    def jacobian(self) -> torch.Tensor:
        """The chosen Jacobian, (rows, p)."""
        chosen, A = self.reduced.jacobian, self.operator
        if isinstance(chosen, ReducedJacobian):
            return self._rows(chosen.matrix(self))
        if isinstance(chosen, Frozen):
            return self._rows(A.derivative(self.f))
        w = Dual.variables(self.w)
        return self._rows(apply_linear(self.project(w), A.forward, A.adjoint, w, A.derivative).tangents)

    def project(self, w: torch.Tensor | Dual) -> torch.Tensor | Dual:
        """f(w) with its derivative in ``w``, this point's own, if ``jacobian`` is a ``Derivative``."""
        A, b, derivative = self.operator, self.reduced.problem.b, self.reduced.jacobian
        require(isinstance(derivative, Derivative), f"expected a derivative of f, got {derivative!r}")
        return derivative.solution(
            self.system,
            lambda f: apply_linear(f, A.normal, A.normal, w, A.normal_derivative),
            apply_linear(b, A.adjoint, A.forward, w, A.adjoint_derivative),
        )

    def _rows(self, values: torch.Tensor) -> torch.Tensor:
        if self.reduced.rows == "full":
            return values
        require(hasattr(self.operator, "data_rows"), 'expected an operator with data_rows for rows="data"')
        return values[: self.operator.data_rows]
