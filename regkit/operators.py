"""Linear maps that are applied and never stored: A x, Aᵀ y, and what can be built from these two.

A Jacobian of an image with 10⁶ points and 10⁴ parameters has 10¹⁰ entries, and nobody needs them:
an optimiser asks for J v and Jᵀ u. An ``Operator`` is such a pair of functions with a shape. Like a
matrix it is applied with ``@``, transposed, added, scaled and composed; ``dense`` writes it out, to
look at or to test.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import overload

import torch
from torch import Tensor

from regkit._require import require

Map = Callable[[Tensor], Tensor]


class Operator:
    """A linear map A: ℝⁿ → ℝᵐ. A subclass gives ``shape`` (m, n), ``forward`` and ``adjoint``.

    Both take a vector or the columns of a matrix: ``forward`` (n,) ↦ (m,) and (n, k) ↦ (m, k),
    ``adjoint`` the other way, such that ⟨A x, y⟩ = ⟨x, Aᵀ y⟩.

    Example:
        >>> import torch
        >>> A = Matrix(torch.tensor([[1.0, 2.0], [0.0, 3.0]]))
        >>> (A.T @ A + 2.0 * Diagonal(torch.ones(2))) @ torch.tensor([1.0, 1.0])
        tensor([ 5., 17.])
    """

    shape: tuple[int, int]

    def forward(self, x: Tensor) -> Tensor:
        """A x."""
        raise NotImplementedError

    def adjoint(self, y: Tensor) -> Tensor:
        """Aᵀ y."""
        raise NotImplementedError

    def dense(self, like: Tensor) -> Tensor:
        """All entries (m, n), of the type and on the device of ``like``."""
        return self @ torch.eye(self.shape[1], dtype=like.dtype, device=like.device)

    def diagonal(self, like: Tensor) -> Tensor:
        """The entries A₁₁, A₂₂, … (n,) of a square operator; here by n products, one at a time."""
        unit, entries = torch.zeros(self.shape[1], dtype=like.dtype, device=like.device), []
        for k in range(self.shape[1]):
            unit[k] = 1
            entries.append(self.forward(unit)[k])
            unit[k] = 0
        return torch.stack(entries)

    @property
    def T(self) -> Operator:
        """The adjoint as an operator."""
        return FunctionOperator((self.shape[1], self.shape[0]), self.adjoint, self.forward)

    @overload
    def __matmul__(self, other: Tensor) -> Tensor: ...

    @overload
    def __matmul__(self, other: Operator) -> Operator: ...

    def __matmul__(self, other: Tensor | Operator) -> Tensor | Operator:
        """A x for a tensor, the composition A B for an operator."""
        if isinstance(other, Tensor):
            fits = other.ndim in (1, 2) and len(other) == self.shape[1]
            shape = tuple(other.shape)
            require(fits, f"expected {self.shape[1]} rows for an operator {self.shape}, got {shape}")
            product, expected = self.forward(other), (self.shape[0], *shape[1:])
            shape = tuple(product.shape)
            require(shape == expected, f"expected a product of shape {expected}, got {shape}: see columnwise")
            return product
        if not isinstance(other, Operator):
            return NotImplemented
        require(
            self.shape[1] == other.shape[0],
            f"expected operators that fit together, got shapes {self.shape} and {other.shape}",
        )
        shape = (self.shape[0], other.shape[1])
        return FunctionOperator(
            shape,
            lambda x: self.forward(other.forward(x)),
            lambda y: other.adjoint(self.adjoint(y)),
        )

    def __add__(self, other: Operator) -> Operator:
        if not isinstance(other, Operator):
            return NotImplemented
        require(
            self.shape == other.shape,
            f"expected operators of one shape, got {self.shape} and {other.shape}",
        )
        return FunctionOperator(
            self.shape,
            lambda x: self.forward(x) + other.forward(x),
            lambda y: self.adjoint(y) + other.adjoint(y),
        )

    def __mul__(self, factor: float | Tensor) -> Operator:
        return FunctionOperator(
            self.shape, lambda x: factor * self.forward(x), lambda y: factor * self.adjoint(y)
        )

    __rmul__ = __mul__

    def __repr__(self) -> str:
        return f"{type(self).__name__} {self.shape[0]} × {self.shape[1]}"


@dataclass(frozen=True, eq=False, repr=False)
class FunctionOperator(Operator):
    """An operator from two functions; the parts of an expression are such.

    Both have to take columns as well: ``columnwise`` makes a function of one vector do so.

    Args:
        shape: (m, n).
        _forward: x (n,) ↦ A x (m,).
        _adjoint: y (m,) ↦ Aᵀ y (n,).
    """

    shape: tuple[int, int]
    _forward: Map
    _adjoint: Map

    def forward(self, x: Tensor) -> Tensor:
        """A x."""
        return self._forward(x)

    def adjoint(self, y: Tensor) -> Tensor:
        """Aᵀ y."""
        return self._adjoint(y)


def _require_entries(entries: object, dim: int) -> None:
    """ValueError unless these are a tensor with so many dimensions."""
    kind, shape = type(entries).__name__, tuple(getattr(entries, "shape", ()))
    fits = isinstance(entries, Tensor) and entries.ndim == dim
    require(fits, f"expected a tensor with {dim} dimensions, got {kind} of shape {shape}")


@dataclass(frozen=True, eq=False, repr=False)
class Matrix(Operator):
    """A matrix (m, n) with all its entries."""

    matrix: Tensor

    def __post_init__(self):
        _require_entries(self.matrix, 2)

    @property
    def shape(self) -> tuple[int, int]:
        """(m, n)."""
        m, n = self.matrix.shape
        return m, n

    def forward(self, x: Tensor) -> Tensor:
        """A x."""
        return self.matrix @ self._alike(x)

    def adjoint(self, y: Tensor) -> Tensor:
        """Aᵀ y."""
        return self.matrix.T @ self._alike(y)

    def _alike(self, x: Tensor) -> Tensor:
        kind = self.matrix.dtype
        require(x.dtype == kind, lambda: f"expected a vector of {kind}, as the matrix, got {x.dtype}")
        return x

    def dense(self, like: Tensor) -> Tensor:
        """All entries (m, n), of the type and on the device of ``like``."""
        return self.matrix.to(like)

    def diagonal(self, like: Tensor) -> Tensor:
        """The entries A₁₁, A₂₂, … (n,)."""
        return self.matrix.diagonal().to(like)


@dataclass(frozen=True, eq=False, repr=False)
class Diagonal(Operator):
    """diag(d) for d (n,)."""

    entries: Tensor

    def __post_init__(self):
        _require_entries(self.entries, 1)

    @property
    def shape(self) -> tuple[int, int]:
        """(n, n)."""
        return len(self.entries), len(self.entries)

    def forward(self, x: Tensor) -> Tensor:
        """A x."""
        return self.entries * x if x.ndim == 1 else self.entries[:, None] * x

    def adjoint(self, y: Tensor) -> Tensor:
        """Aᵀ y = A y."""
        return self.forward(y)

    def dense(self, like: Tensor) -> Tensor:
        """All entries (m, n), of the type and on the device of ``like``."""
        return self.entries.to(like).diag()

    def diagonal(self, like: Tensor) -> Tensor:
        """The entries A₁₁, A₂₂, … (n,)."""
        return self.entries.to(like)


@dataclass(frozen=True, eq=False, repr=False)
class LowRankUpdate(Diagonal):
    """diag(d) + U K Uᵀ, where U has few columns.

    Args:
        entries (n,): d.
        U (n, k): the columns, k far below n.
        K (k, k): symmetric.
    """

    U: Tensor
    K: Tensor

    def forward(self, x: Tensor) -> Tensor:
        """A x."""
        return super().forward(x) + self.U @ (self.K @ (self.U.T @ x))

    def dense(self, like: Tensor) -> Tensor:
        """All entries (m, n), of the type and on the device of ``like``."""
        return super().dense(like) + (self.U @ self.K @ self.U.T).to(like)

    def diagonal(self, like: Tensor) -> Tensor:
        """The entries A₁₁, A₂₂, … (n,)."""
        return super().diagonal(like) + ((self.U @ self.K) * self.U).sum(1).to(like)


@dataclass(frozen=True, eq=False, repr=False)
class Blocks(Operator):
    """A small matrix for every point: yᵢ = Bᵢ xᵢ, i = 1, …, n. Vectors are read point by point.

    Args:
        blocks (n, a, b): the matrices Bᵢ.

    Example:
        >>> B = Blocks(torch.tensor([[[1.0, 2.0]], [[0.0, 3.0]]]))
        >>> B, B @ torch.ones(4)
        (Blocks 2 × 4, tensor([3., 3.]))
    """

    blocks: Tensor

    @property
    def shape(self) -> tuple[int, int]:
        """(n·a, n·b)."""
        n, a, b = self.blocks.shape
        return n * a, n * b

    def forward(self, x: Tensor) -> Tensor:
        """A x."""
        n, _, b = self.blocks.shape
        return torch.einsum("nab,nb...->na...", self.blocks, x.reshape(n, b, *x.shape[1:])).flatten(0, 1)

    def adjoint(self, y: Tensor) -> Tensor:
        """Aᵀ y."""
        return Blocks(self.blocks.mT).forward(y)


@dataclass(frozen=True, eq=False, repr=False)
class Jacobian(Operator):
    """∂f/∂x at one point of any f: ℝⁿ → ℝᵐ, by torch.func: A v in forward mode, Aᵀ u in reverse mode.

    Args:
        function: x (n,) ↦ f (m,).
        at (n,): the point.

    Example:
        >>> import torch
        >>> J = Jacobian(lambda x: x[0] * x, torch.tensor([2.0, 3.0]))
        >>> J @ torch.tensor([1.0, 0.0]), J.T @ torch.tensor([1.0, 0.0])
        (tensor([4., 3.]), tensor([4., 0.]))
    """

    function: Map
    at: Tensor

    def __getstate__(self) -> dict:
        """A copy traces its function again: what torch.func leaves cannot be pickled."""
        return {name: value for name, value in vars(self).items() if name != "_reversed"}

    @cached_property
    def _reversed(self) -> tuple:
        return torch.func.vjp(self.function, self.at)

    @cached_property
    def shape(self) -> tuple[int, int]:
        """(m, n)."""
        return len(self._reversed[0]), len(self.at)

    def forward(self, x: Tensor) -> Tensor:
        """A x."""
        return _at_once(lambda v: torch.func.jvp(self.function, (self.at,), (v,))[1], x)

    def dense(self, like: Tensor) -> Tensor:
        """All entries (m, n), of the type and on the device of ``like``."""
        return torch.func.jacfwd(self.function)(self.at).to(like)

    def adjoint(self, y: Tensor) -> Tensor:
        """Aᵀ y."""
        return _at_once(lambda u: self._reversed[1](u)[0], y)


class Hessian(Jacobian):
    """The derivative of a gradient ∇φ: ℝⁿ → ℝⁿ at one point. It is symmetric: forward mode does for both.

    Example:
        >>> import torch
        >>> H = Hessian(lambda x: 4 * x**3, torch.tensor([1.0, 2.0]))
        >>> H @ torch.ones(2)
        tensor([12., 48.])
    """

    @property
    def shape(self) -> tuple[int, int]:
        """(n, n)."""
        return len(self.at), len(self.at)

    def adjoint(self, y: Tensor) -> Tensor:
        """Aᵀ y."""
        return self.forward(y)


def _at_once(function: Map, x: Tensor) -> Tensor:
    """A function of vectors that torch.func understands, applied to a vector or to all columns at once."""
    return function(x) if x.ndim == 1 else torch.func.vmap(function, in_dims=1, out_dims=1)(x)


def columnwise(function: Map) -> Map:
    """A function of a vector (n,) that takes columns (n, k) as well, one after the other.

    Example:
        >>> turned = columnwise(lambda x: x.flip(0))
        >>> turned(torch.tensor([1.0, 2.0])), turned(torch.eye(2))
        (tensor([2., 1.]), tensor([[0., 1.],
                [1., 0.]]))
    """
    return lambda x: function(x) if x.ndim == 1 else torch.stack([function(c) for c in x.T], dim=1)


class ParametricOperator(Operator):
    """A(w) at one w, with its derivatives in w (p,).

    A subclass gives what an ``Operator`` needs, ``derivative`` and ``adjoint_derivative``.
    """

    def derivative(self, x: torch.Tensor) -> torch.Tensor:
        """D(x) = ∂(A(w) x)/∂w at fixed x, (m, p)."""
        raise NotImplementedError

    def adjoint_derivative(self, y: torch.Tensor) -> torch.Tensor:
        """E(y) = ∂(A(w)ᵀ y)/∂w at fixed y, (n, p)."""
        raise NotImplementedError

    def normal(self, x: torch.Tensor) -> torch.Tensor:
        """AᵀA x, for a vector or columns."""
        return self.adjoint(self.forward(x))

    def normal_derivative(self, x: torch.Tensor) -> torch.Tensor:
        """∂(A(w)ᵀA(w) x)/∂w at fixed x, E(A x) + Aᵀ D(x), (n, p)."""
        return self.adjoint_derivative(self.forward(x)) + self.adjoint(self.derivative(x))


def solve_scaled(H: torch.Tensor, b: torch.Tensor) -> torch.Tensor | None:
    """H⁻¹ b by Cholesky, with H scaled to a unit diagonal; None if H is singular to rounding, or not finite.

    Args:
        H (p, p): symmetric.
        b (p,): the right-hand side.

    Example:
        >>> import torch
        >>> solve_scaled(torch.tensor([[2.0, 0.0], [0.0, 1e6]]), torch.tensor([2.0, 1e6]))
        tensor([1., 1.])
    """
    scale = H.diagonal().clamp(min=1e-30 * float(H.diagonal().max())).sqrt()
    factor, info = torch.linalg.cholesky_ex(H / (scale[:, None] * scale))
    if info or not factor.diagonal().min() > 4 * math.sqrt(torch.finfo(H.dtype).eps):
        return None
    return torch.cholesky_solve((b / scale)[:, None], factor)[:, 0] / scale
