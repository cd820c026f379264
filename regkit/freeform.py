"""Free-form deformation: as many parameters as one likes, and never a matrix of them.

``FreeForm`` displaces by cubic B-splines on a coarse lattice of control points.
``DisplacementField`` is its limit: a displacement in every cell, and straight lines between them.
Both are a ``lattices.Lattice``, with products along the axes for derivatives; both have coarser
versions of themselves, for ``pyramid`` and ``deform``.

Source:
    Rueckert et al. (1999), https://doi.org/10.1109/42.796284;
    Modersitzki, FAIR (2009), chapters 5 and 8, https://doi.org/10.1137/1.9780898718843
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass

import torch
from torch import Tensor

from regkit._require import parameters, points_tensor, require
from regkit.grid import Grid
from regkit.lattices import Lattice
from regkit.spline import evaluate


@dataclass(frozen=True, repr=False)
class FreeForm(Lattice):
    """Free-form deformation by cubic B-splines: on c cells of an axis there are c + 3 control points.

    With the width h of a lattice cell and the cubic B-spline b, whose integral is 1,

        uᵢ(x) = Σⱼ wᵢⱼ b(x₁/h₁ − j₁) ⋯ b(x_d/h_d − j_d),    jₖ = −1, 0, …, cₖ + 1.

    u is twice continuously differentiable. Beyond the box it falls to zero over three cells of the
    lattice. Twice as many cells hold every such map exactly: ``refine`` inserts knots.

    Args:
        lattice: the box of the images, cut into c₁ × … × c_d cells, 1 to 3 dimensions.

    Raises:
        ValueError: for a lattice that is no ``Grid``; a wrong number of parameters or coordinates.

    Example:
        >>> free = FreeForm(Grid((20.0, 25.0), (8, 10)))
        >>> free
        FreeForm of 8 × 10 cells, p = 286
        >>> w = free.of(lambda x: 1.5 * x)
        >>> free(w, torch.tensor([[4.0, 6.0]], dtype=torch.float64))
        tensor([[6., 9.]], dtype=torch.float64)
        >>> round(float(free.determinant(w, Grid((20.0, 25.0), (4, 5))).min()), 6)
        2.25
    """

    @property
    def sizes(self) -> tuple[int, ...]:
        """c + 3 for each axis."""
        return tuple(cells + 3 for cells in self.lattice.shape)

    def nodes(self, axis: int) -> Tensor:
        """The control points j h, (m,)."""
        return torch.arange(-1.0, self.lattice.shape[axis] + 2, dtype=torch.float64) * self._h[axis]

    def knots(self, axis: int) -> Tensor:
        """The ends of the lattice's cells."""
        return self.nodes(axis)[1:-1]

    @property
    def _h(self) -> tuple[float, ...]:
        return self.lattice.spacing

    def basis(self, axis: int, x: Tensor, order: int = 0) -> Tensor:
        """b or its derivative at x/h − j, as ``Lattice.basis``."""
        t = (x[:, None] - self.nodes(axis).to(x)) / self._h[axis]
        return cubic(t, order) / self._h[axis] ** order

    def samplings(self, grid: Grid) -> list[list[tuple[Tensor, Tensor]]]:
        """At the cell centres of the grid."""
        axes = [(k, grid.axis(k)) for k in range(self.dim)]
        return [[(self.basis(k, x), self.basis(k, x, 1)) for k, x in axes]]

    def refinement(self, axis: int) -> Tensor:
        """A cubic B-spline is the sum of five of half the width, with the weights 1, 4, 6, 4, 1 over 8."""
        fine, coarse = (t.lattice.shape[axis] for t in (self, self.coarser()))
        rows, columns = (torch.arange(-1, cells + 2) for cells in (fine, coarse))
        if fine == coarse:
            return torch.eye(len(rows), dtype=torch.float64)
        away = (rows[:, None] - 2 * columns).abs()
        weights = torch.tensor([6.0, 4.0, 1.0, 0.0], dtype=torch.float64) / 8
        return weights[away.clamp(max=3)]

    def __call__(self, w: Tensor, x: Tensor) -> Tensor:
        """y(x; w), (n, d), for w (p,) and x (n, d): u is an image's spline, evaluated as such."""
        x = points_tensor(x, self.dim)
        h = torch.tensor(self._h, dtype=x.dtype, device=x.device)
        box = Grid(tuple(m * h for m, h in zip(self.sizes, self._h, strict=True)), self.sizes)
        u = [
            evaluate(c / 6**self.dim, box, x + 1.5 * h)
            for c in self.fields(parameters(w, self.parameters, x))
        ]
        return x + torch.stack(u, dim=1)


def cubic(t: Tensor, order: int = 0) -> Tensor:
    """The cubic B-spline with unit integral, or its first or second derivative.

    Args:
        t (any shape): where, in widths of a cell from its middle.
        order: of the derivative, 0, 1 or 2.

    Returns:
        b or a derivative, of the shape of t.

    Example:
        >>> cubic(torch.tensor([0.0, 1.0, 2.0]))
        tensor([0.6667, 0.1667, 0.0000])
    """
    a = t.abs()
    outer = (2 - a).clamp(min=0)
    if order == 0:
        return torch.where(a < 1, (4 - 6 * a**2 + 3 * a**3) / 6, outer**3 / 6)
    if order == 1:
        return t.sign() * torch.where(a < 1, 1.5 * a**2 - 2 * a, -(outer**2) / 2)
    return torch.where(a < 1, 3 * a - 2, outer)


@dataclass(frozen=True, repr=False)
class DisplacementField(Lattice):
    """A displacement in every cell of a grid, multilinear between their centres.

    w holds uᵢ at the cell centres. Beyond the outermost centres the lines go on. ``refine`` reads a
    coarser field at the finer centres: exact for an affine map, and close to a smooth one.

    Args:
        lattice: the grid, at least two cells a side.

    Raises:
        ValueError: for a lattice that is no ``Grid``, or has fewer cells; a wrong number of
            parameters or coordinates.

    Example:
        >>> grid = Grid((4.0,), (4,))
        >>> shifted = DisplacementField(grid)
        >>> w = torch.tensor([0.0, 1.0, 1.0, 1.0])
        >>> shifted(w, torch.tensor([[0.5], [1.0], [1.5]]))
        tensor([[0.5000],
                [1.5000],
                [2.5000]])
        >>> shifted.determinant(w, grid)
        tensor([2., 1., 1., 1.])
    """

    def __post_init__(self):
        super().__post_init__()
        shape = self.lattice.shape
        require(min(shape) > 1, f"expected at least two cells a side for a displacement field, got {shape}")

    @property
    def sizes(self) -> tuple[int, ...]:
        """The numbers of cells."""
        return self.lattice.shape

    def nodes(self, axis: int) -> Tensor:
        """The cell centres."""
        return self.lattice.axis(axis)

    def knots(self, axis: int) -> Tensor:
        """The cell centres, and the ends of the box."""
        ends = torch.tensor([0.0, self.lattice.extent[axis]], dtype=torch.float64)
        return torch.cat([ends[:1], self.nodes(axis), ends[1:]])

    def _located(self, axis: int, x: Tensor) -> tuple[Tensor, Tensor]:
        """Between which two centres x lies, by the number of the first, and how far from it, in cells."""
        u = x / self.lattice.spacing[axis] - 0.5
        first = u.detach().floor().clamp(0, self.sizes[axis] - 2)
        return first, u - first

    def basis(self, axis: int, x: Tensor, order: int = 0) -> Tensor:
        """Hats, or their slopes (at a centre those to the right), as ``Lattice.basis``."""
        first, t = self._located(axis, x)
        j = torch.arange(self.sizes[axis]).to(x)
        left, right = (first[:, None] == j).to(x), (first[:, None] + 1 == j).to(x)
        if order == 0:
            return (1 - t)[:, None] * left + t[:, None] * right
        return (right - left) / self.lattice.spacing[axis] if order == 1 else torch.zeros_like(left)

    def integrals(self, axis: int, first: int, second: int) -> Tensor:
        """As ``Lattice.gram``; lines do not bend, and (2, 2) is of second differences, DᵀD h."""
        if (first, second) != (2, 2):
            return super().integrals(axis, first, second)
        h, unit = self.lattice.spacing[axis], torch.eye(self.sizes[axis], dtype=torch.float64)
        D = unit.diff(n=2, dim=0) / h**2
        return h * D.T @ D

    def samplings(self, grid: Grid) -> list[list[tuple[Tensor, Tensor]]]:
        """At the cell centres, each axis from the left and from the right: 2ᵈ ways.

        In the plane det ∇y is a linear function between four centres: there it is least and most.
        """
        require(grid == self.lattice, f"expected the field's own grid {self.lattice}, got {grid}")
        axes = []
        for k in range(self.dim):
            unit = torch.eye(self.sizes[k], dtype=torch.float64)
            D = unit.diff(dim=0) / self.lattice.spacing[k]
            axes.append([(unit, torch.cat([D[:1], D])), (unit, torch.cat([D, D[-1:]]))])
        return [list(way) for way in itertools.product(*axes)]

    def refinement(self, axis: int) -> Tensor:
        """The coarser hats at the finer centres."""
        return self.coarser().basis(axis, self.nodes(axis))

    def __call__(self, w: Tensor, x: Tensor) -> Tensor:
        """y(x; w), (n, d), for w (p,) and x (n, d): each axis halves the values that are left."""
        x = points_tensor(x, self.dim)
        fields = self.fields(parameters(w, self.parameters, x))
        located = [self._located(k, x[:, k]) for k in range(self.dim)]
        strides, u = [math.prod(self.sizes[k + 1 :]) for k in range(self.dim)], 0.0
        for corner in itertools.product((0, 1), repeat=self.dim):
            weight, place = 1.0, 0
            for (first, t), stride, side in zip(located, strides, corner, strict=True):
                weight = weight * (t if side else 1 - t)
                place = place + stride * (first.long() + side)
            u = u + weight * fields.flatten(1)[:, place]
        return x + u.T
