"""Displacements on a lattice of numbers: what ``freeform`` is built on.

The displacement is a sum of products of functions of one coordinate each, the same for every
coordinate i of y but with numbers w of its own:

    yᵢ(x; w) = xᵢ + uᵢ(x),    uᵢ(x) = Σⱼ wᵢⱼ b_j₁(x₁) ⋯ b_j_d(x_d)

On the points of a grid the sum is a product with one small matrix along each axis, see
``separable``. y is linear in w: its derivative is that product, and there is no second one.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

from regkit._require import parameters, require
from regkit.grid import Grid
from regkit.maps import determinants
from regkit.motions import Motion
from regkit.operators import Diagonal, FunctionOperator, Operator, columnwise
from regkit.separable import Factor, columns_first, factor, product, transposed
from regkit.transforms import Transform


@dataclass(frozen=True, repr=False)
class Lattice(Transform):
    """y = x + u with u a tensor product on a lattice: what the two of this module have in common.

    w holds all numbers of u₁, then all of u₂, …, each as an image on the lattice is read.

    Args:
        lattice: the box of the images, cut into the cells of the lattice.

    Raises:
        ValueError: for a lattice that is no ``Grid``, and for a wrong number of parameters.
    """

    dim: int = field(init=False, default=2)
    lattice: Grid

    def __post_init__(self):
        known = isinstance(self.lattice, Grid)
        require(known, f"expected a Grid, whose cells are those of the lattice, got {self.lattice!r}")
        object.__setattr__(self, "dim", self.lattice.dim)

    def __repr__(self) -> str:
        cells = " × ".join(map(str, self.lattice.shape))
        return f"{type(self).__name__} of {cells} cells, p = {self.parameters}"

    # What a child says.

    @property
    def sizes(self) -> tuple[int, ...]:
        """How many functions b there are along each axis, m₁, …, m_d."""
        raise NotImplementedError

    def nodes(self, axis: int) -> Tensor:
        """Where the functions b of an axis have their middles, (m,)."""
        raise NotImplementedError

    def knots(self, axis: int) -> Tensor:
        """Between which points of an axis the functions b are polynomials, from end to end."""
        raise NotImplementedError

    def basis(self, axis: int, x: Tensor, order: int = 0) -> Tensor:
        """The functions b of one axis, or a derivative of them.

        Args:
            axis: from 0.
            x (n, in the unit of the lattice): coordinates along this axis.
            order: of the derivative, 0, 1 or 2.

        Returns:
            b_j(xᵢ), (n, m).
        """
        raise NotImplementedError

    def samplings(self, grid: Grid) -> list[list[tuple[Tensor, Tensor]]]:
        """Where ∇y is looked at: b and b′ of each axis, (k, m) both; several ways if b has corners."""
        raise NotImplementedError

    def refinement(self, axis: int) -> Tensor:
        """From the numbers of ``coarser()`` along an axis to these, (m, m′)."""
        raise NotImplementedError

    # What follows from it.

    @property
    def parameters(self) -> int:
        """Length p of w."""
        return self.dim * math.prod(self.sizes)

    def identity(
        self, dtype: torch.dtype = torch.float64, device: torch.device | str | None = None
    ) -> Tensor:
        """w = 0 (p,): y(x; 0) = x."""
        return torch.zeros(self.parameters, dtype=dtype, device=device)

    def fields(self, w: Tensor) -> Tensor:
        """w (p,) as d images on the lattice, (d, m₁, …, m_d)."""
        return parameters(w, self.parameters).reshape(self.dim, *self.sizes)

    def on(
        self, x: Grid | Tensor, dtype: torch.dtype = torch.float64, device: torch.device | str | None = None
    ) -> Motion:
        """As ``Transform.on``; on a grid the motion is a ``LatticeMotion``."""
        motion = super().on(x, dtype, device)
        if not isinstance(x, Grid):
            return motion
        bases = [self.basis(k, x.axis(k)).to(motion.points) for k in range(self.dim)]
        return LatticeMotion(self, motion.points, x.shape, tuple(map(_unit_or_factor, bases)))

    def slopes(self, grid: Grid, like: Tensor) -> list[Slopes]:
        """∇y as a function of w, in each of the ways that ``samplings`` has for this grid."""
        return [
            Slopes([tuple(_unit_or_factor(B.to(like)) for B in pair) for pair in axes])
            for axes in self.samplings(grid)
        ]

    def determinant(self, w: Tensor, grid: Grid) -> Tensor:
        """det ∇y(x; w), which is at most zero where the map folds.

        Args:
            w (p,): the parameters.
            grid: at whose cell centres; of a ``DisplacementField`` its own, and there the least of
                those that meet in a cell's centre.

        Returns:
            det ∇y, of the shape of the grid.
        """
        found = [determinants(slopes(self.fields(w))) for slopes in self.slopes(grid, w)]
        return torch.stack(found).amin(0)

    def gram(self, axis: int, first: int, second: int) -> Tensor:
        """∫ b_j⁽ᵖ⁾ b_k⁽ᵠ⁾ dx over the box, with the derivatives of order p and q, (m, m), exact."""
        like = type(self)(Grid((self.lattice.extent[axis],), (self.lattice.shape[axis],)))
        return torch.from_numpy(_gram(like, first, second))

    def integrals(self, axis: int, first: int, second: int) -> Tensor:
        """What ``gram`` keeps."""
        knots = self.knots(axis)
        points, weights = map(torch.from_numpy, np.polynomial.legendre.leggauss(4))
        half = knots.diff()[:, None] / 2
        x = ((knots[:-1] + knots[1:])[:, None] / 2 + half * points).reshape(-1)
        left, right = (self.basis(axis, x, order) for order in (first, second))
        return left.T @ ((half * weights).reshape(-1, 1) * right)

    def coarser(self) -> Lattice:
        """A lattice of half as many cells a side, as far as they can be halved."""
        cells = tuple(m // 2 if m % 2 == 0 and m >= 4 else m for m in self.lattice.shape)
        return type(self)(Grid(self.lattice.extent, cells))

    def refine(self, w: Tensor) -> Tensor:
        """The parameters w of ``coarser()`` as parameters of this one."""
        matrices = [self.refinement(k).to(w) for k in range(self.dim)]
        return product(matrices, self.coarser().fields(w)).reshape(-1)

    def coarsen(self, w: Tensor) -> Tensor:
        """The parameters of ``coarser()`` that ``refine`` takes nearest to w: a smoother map."""
        matrices = [torch.linalg.pinv(self.refinement(k)).to(w) for k in range(self.dim)]
        return product(matrices, self.fields(w)).reshape(-1)

    def of(
        self,
        motion: Callable[[Tensor], Tensor],
        dtype: torch.dtype = torch.float64,
        device: torch.device | str | None = None,
    ) -> Tensor:
        """The parameters of a map that is known: exact for an affine one, else smoothed.

        Args:
            motion: x (n, d) ↦ y (n, d), such as ``lambda x: affine(w, x)``.
            dtype, device: of the parameters.

        Returns:
            w (p,).
        """
        axes = [self.nodes(k).to(dtype=dtype, device=device) for k in range(self.dim)]
        x = torch.stack(torch.meshgrid(*axes, indexing="ij"), dim=-1).reshape(-1, self.dim)
        return (motion(x) - x).T.reshape(-1)


@lru_cache(maxsize=64)
def _gram(line: Lattice, first: int, second: int) -> np.ndarray:
    """``Lattice.integrals`` of an axis, as an array: a tensor made inside torch.func must not outlive it."""
    return line.integrals(0, first, second).numpy()


def _unit_or_factor(matrix: Tensor) -> Factor:
    size = len(matrix)
    unit = size == matrix.shape[1] and torch.equal(matrix, torch.eye(size).to(matrix))
    return None if unit else factor(matrix)


@dataclass(frozen=True, eq=False, repr=False)
class LatticeMotion(Motion):
    """A ``Lattice`` at the cell centres of a grid: products along the axes.

    Args:
        transform: the transformation.
        points (n, d): the cell centres.
        shape: of the grid.
        bases: b of each axis at the centres, (cells, m), as factors.
    """

    transform: Lattice
    shape: tuple[int, ...]
    bases: tuple[Factor, ...]

    def displacement(self, w: Tensor) -> Tensor:
        """u at all points, (n, d)."""
        fields = self.transform.fields(parameters(w, self.transform.parameters, self.points))
        return product(self.bases, fields).flatten(1).T

    def __call__(self, w: Tensor) -> Tensor:
        """y at all points, (n, d)."""
        return self.points + self.displacement(w)

    def derivative(self, w: Tensor) -> Operator:
        """∂y/∂w as an operator n·d ← p, the same for every w."""
        return PointByPoint(self.transform.dim, (self.transform.sizes, self.shape), self.bases)

    def second(self, w: Tensor, g: Tensor) -> None:
        """None: y is linear in w."""
        return

    def chain_gradient(self, w: Tensor, g: Tensor) -> Tensor:
        """Σᵢ gᵢᵀ ∂yᵢ/∂w, (p,)."""
        return product(transposed(self.bases), g.T.reshape(-1, *self.shape)).reshape(-1)

    def bent(
        self, w: Tensor, C: Operator, slopes: Tensor, H: Tensor | None = None, g: Tensor | None = None
    ) -> Operator:
        """As ``Motion.bent``; for a diagonal C component by component, as the lattice has them."""
        if type(C) is not Diagonal or slopes.shape[1] > 1:
            return super().bent(w, C, slopes, H)
        adjoint, slope = transposed(self.bases), slopes[:, 0].T.reshape(-1, *self.shape).contiguous()
        rows = None if H is None else H.movedim(0, -1).reshape(*H.shape[1:], *self.shape).contiguous()
        weighted = C.entries.reshape(self.shape) * slope

        def times(v: Tensor) -> Tensor:
            u = product(self.bases, self.transform.fields(v))
            bent = (slope * u).sum(0) * weighted
            return product(adjoint, bent if rows is None else bent + (rows * u).sum(1)).reshape(-1)

        both = columnwise(times)
        return FunctionOperator((len(w), len(w)), both, both)


@dataclass(frozen=True, eq=False, repr=False)
class PointByPoint(Operator):
    """F₁ ⊗ … ⊗ F_d for each component: from numbers on a lattice to points, which are read one by one.

    Args:
        components: d.
        sizes: of the lattice and of the grid.
        factors: F₁, …, F_d.
    """

    components: int
    sizes: tuple[tuple[int, ...], tuple[int, ...]]
    factors: Sequence[Factor]

    @property
    def shape(self) -> tuple[int, int]:
        """(n·d, p)."""
        p, n = (self.components * math.prod(sizes) for sizes in self.sizes)
        return n, p

    def forward(self, x: Tensor) -> Tensor:
        """A x."""
        x = columns_first(x)
        u = product(self.factors, x.reshape(*x.shape[:-1], self.components, *self.sizes[0]))
        u = u.reshape(*x.shape[:-1], self.components, -1).mT
        return columns_first(u.reshape(*x.shape[:-1], -1))

    def adjoint(self, y: Tensor) -> Tensor:
        """Aᵀ y."""
        y = columns_first(y)
        u = y.reshape(*y.shape[:-1], -1, self.components).mT
        u = u.reshape(*y.shape[:-1], self.components, *self.sizes[1])
        return columns_first(product(transposed(self.factors), u).reshape(*y.shape[:-1], -1))


class Slopes:
    """∇y at many points as a function of w: ∂yᵢ/∂xₖ = δᵢₖ + Σⱼ wᵢⱼ b_j₁ ⋯ b′_jₖ ⋯ b_j_d.

    Args:
        axes: b and b′ of each axis, as factors.
    """

    def __init__(self, axes: Sequence[tuple[Factor, Factor]]):
        self.dim = len(axes)
        self.factors = [[pair[k == a] for a, pair in enumerate(axes)] for k in range(self.dim)]
        self.adjoints = [transposed(factors) for factors in self.factors]

    def change(self, fields: Tensor) -> Tensor:
        """∇u (d, d, …) for ``fields`` (d, m₁, …, m_d)."""
        return torch.stack([product(factors, fields) for factors in self.factors], dim=1)

    def __call__(self, fields: Tensor) -> Tensor:
        """∇y = I + ∇u (d, d, …)."""
        slopes = self.change(fields)
        unit = torch.eye(self.dim, dtype=slopes.dtype, device=slopes.device)
        return slopes + unit.reshape(self.dim, self.dim, *[1] * self.dim)

    def adjoint(self, P: Tensor) -> Tensor:
        """Of ``change``: P (d, d, …) ↦ (d, m₁, …, m_d)."""
        return sum(product(factors, P[:, k]) for k, factors in enumerate(self.adjoints))
