"""Products that go along one axis of a lattice at a time: Kronecker products, applied and never stored.

The coefficients of a tensor product of splines fill a box. A map that treats each axis by itself is

    (F₁ ⊗ … ⊗ F_d) x :   first F₁ on all lines along axis 1, then F₂ along axis 2, …

For m numbers along each of d axes that costs d m^(d+1) multiplications where the matrix in full has
m^(2d) entries; with F of few diagonals it costs no more than a few passes over x.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from regkit._require import require
from regkit.operators import Operator

# A square matrix of that size or more, with that many diagonals at most, is applied diagonal by diagonal.
_LARGE, _FEW = 96, 9


@dataclass(frozen=True, eq=False, repr=False)
class Band:
    """A square matrix (m, m) with few diagonals, of which only these are kept.

    Args:
        size: m.
        diagonals: pairs (o, entries) with entries Aᵢ,ᵢ₊ₒ of all rows i that have one.

    Example:
        >>> matrix = torch.tensor([[2.0, 1.0, 0.0], [0.0, 2.0, 1.0], [0.0, 0.0, 2.0]])
        >>> Band.of(matrix).along(torch.ones(3), 0)
        tensor([3., 3., 2.])
    """

    size: int
    diagonals: tuple[tuple[int, Tensor], ...]

    @classmethod
    def of(cls, matrix: Tensor) -> Band:
        """The diagonals of a matrix (m, m) that are not all zero."""
        size = len(matrix)
        pairs = ((o, matrix.diagonal(o).clone()) for o in range(1 - size, size))
        return cls(size, tuple((o, entries) for o, entries in pairs if entries.any()))

    @property
    def T(self) -> Band:
        """The transposed matrix."""
        return Band(self.size, tuple((-o, entries) for o, entries in self.diagonals))

    def to(self, like: Tensor) -> Band:
        """The same matrix with the type of ``like``, and where that is."""
        return Band(self.size, tuple((o, entries.to(like)) for o, entries in self.diagonals))

    @cached_property
    def _parts(self) -> list[tuple[int, int, int, float | Tensor]]:
        """Row, column, length and entries of the pieces of each diagonal, whose middle is one number."""
        parts, smallest = [], 1e-14 * max(float(entries.abs().max()) for _, entries in self.diagonals)
        for o, entries in self.diagonals:
            middle = entries[len(entries) // 2]
            apart = ((entries - middle).abs() > smallest).nonzero()[:, 0].tolist()
            first = max([k + 1 for k in apart if k < len(entries) // 2], default=0)
            last = min([k for k in apart if k > len(entries) // 2], default=len(entries))
            for a, b, value in ((0, first, None), (first, last, float(middle)), (last, len(entries), None)):
                if a < b:
                    value = entries[a:b] if value is None else value
                    parts.append((a + max(0, -o), a + max(0, o), b - a, value))
        return parts

    def along(self, x: Tensor, axis: int) -> Tensor:
        """The product with every line of ``x`` along ``axis``."""
        total, shape = torch.zeros_like(x), [1] * x.ndim
        shape[axis] = -1
        for row, column, size, value in self._parts:
            rows, part = total.narrow(axis, row, size), x.narrow(axis, column, size)
            # in place: for large x new memory costs more than the arithmetic
            if isinstance(value, float):
                rows.add_(part, alpha=value)
            else:
                rows.add_(value.reshape(shape) * part)
        return total


Factor = Tensor | Band | None


def factor(matrix: Tensor) -> Tensor | Band:
    """A matrix (a, m) as a factor: large ones with few diagonals are kept by their diagonals."""
    size = len(matrix)
    if size != matrix.shape[1] or size < _LARGE:
        return matrix
    rows, columns = matrix.nonzero(as_tuple=True)
    return Band.of(matrix) if len((columns - rows).unique()) <= _FEW else matrix


def transposed(factors: Sequence[Factor]) -> list[Factor]:
    """F₁ᵀ, …, F_dᵀ."""
    return [None if F is None else F.T for F in factors]


def product(factors: Sequence[Factor], x: Tensor) -> Tensor:
    """(F₁ ⊗ … ⊗ F_d) on the last d axes of x.

    Args:
        factors: matrices (aₖ, mₖ), ``Band``, or None for the unit matrix, one an axis.
        x (…, m₁, …, m_d): what is multiplied.

    Returns:
        (…, a₁, …, a_d).

    Example:
        >>> sums = torch.ones(1, 3)
        >>> product([sums, None], torch.tensor([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]))
        tensor([[ 9., 12.]])
    """
    for k, F in enumerate(factors):
        axis = x.ndim - len(factors) + k
        if isinstance(F, Band):
            x = F.along(x, axis)
        elif F is not None:
            after = x.shape[axis + 1 :]
            if after:
                x = (F @ x.flatten(axis + 1)).unflatten(-1, after)
            else:
                x = x @ F.T
    return x


def columns_first(x: Tensor) -> Tensor:
    """A vector as it is, and the columns (n, k) of a matrix as rows (k, n); and back."""
    return x if x.ndim == 1 else x.T


@dataclass(frozen=True, eq=False, repr=False)
class Separable(Operator):
    """Blocks of sums of Kronecker products: between fields with several components on a lattice.

    Component a of A v is the sum of c · (F₁ ⊗ … ⊗ F_d) v_b over the terms (a, b, c, (F₁, …, F_d)).
    Vectors are read component by component.

    Args:
        components: how many there are, of v and of A v.
        sizes: the numbers m₁, …, m_d of v and those of A v.
        terms: (a, b, c, factors), where a = None stands for all a = b, with the same factors.

    Example:
        >>> difference = torch.tensor([[-1.0, 1.0]])
        >>> A = Separable(1, ((2, 2), (1, 2)), [(None, None, 1.0, (difference, None))])
        >>> A, A @ torch.tensor([1.0, 2.0, 5.0, 9.0])
        (Separable 2 × 4, tensor([4., 7.]))
    """

    components: int
    sizes: tuple[tuple[int, ...], tuple[int, ...]]
    terms: Sequence[tuple[int | None, int | None, float, Sequence[Factor]]]

    @property
    def shape(self) -> tuple[int, int]:
        """(m, n)."""
        n, m = (self.components * math.prod(sizes) for sizes in self.sizes)
        return m, n

    def forward(self, x: Tensor) -> Tensor:
        """A x."""
        return self._summed(x, self.terms, *self.sizes)

    def adjoint(self, y: Tensor) -> Tensor:
        """Aᵀ y."""
        terms = [(b, a, c, transposed(factors)) for a, b, c, factors in self.terms]
        return self._summed(y, terms, *reversed(self.sizes))

    def _summed(self, x: Tensor, terms: Sequence, sizes: tuple, target: tuple) -> Tensor:
        x, d = columns_first(x), self.components
        field = x.reshape(*x.shape[:-1], d, *sizes)
        axis = x.ndim - 1
        totals: list = [None] * d
        for a, b, c, factors in terms:
            for i, j in [(a, b)] if a is not None else [(k, k) for k in range(d)]:
                part = product(factors, field.select(axis, j))
                totals[i] = c * part if totals[i] is None else totals[i].add_(part, alpha=c)
        zero = field.new_zeros(*x.shape[:-1], *target)
        total = torch.stack([zero if part is None else part for part in totals], axis)
        return columns_first(total.reshape(*x.shape[:-1], -1))


def generalised_modes(A: Tensor, G: Tensor) -> tuple[Tensor, Tensor]:
    """A v = λ G v of one axis, with VᵀGV = I and VᵀAV = diag λ.

    Args:
        A (m, m): symmetric and positive semidefinite.
        G (m, m): symmetric and positive definite.

    Returns:
        λ (m,) ascending and not negative, and V (m, m).

    Raises:
        ValueError: for a G that is not positive definite.

    Example:
        >>> values, V = generalised_modes(torch.diag(torch.tensor([8.0, 3.0])), torch.eye(2))
        >>> values
        tensor([3., 8.])
    """
    L, failed = torch.linalg.cholesky_ex(G)
    require(failed == 0, "expected a positive definite matrix G")
    inner = torch.linalg.solve_triangular(L, A, upper=False)
    inner = torch.linalg.solve_triangular(L, inner.T, upper=False)
    values, vectors = torch.linalg.eigh((inner + inner.T) / 2)
    return values.clamp(min=0), torch.linalg.solve_triangular(L.T, vectors, upper=True)
