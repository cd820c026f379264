"""A box Ω cut into equal cells."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch

from regkit._require import number, require, whole


@dataclass(frozen=True)
class Grid:
    """The box Ω = [0, extent₁] × … × [0, extent_d], cut into shape₁ × … × shape_d cells.

    An image on this grid is a tensor of shape ``shape``: ``image[i, j]`` is its value at the cell
    centre x = (i + ½) h₁, y = (j + ½) h₂. The first index is x, the second y.

    Args:
        extent (d numbers, in any unit of length): the sides of Ω; d is 1, 2 or 3.
        shape (d whole numbers): how many cells there are along each side.

    Raises:
        ValueError: for an empty grid, a side that is not positive, or more than three dimensions.

    Example:
        >>> grid = Grid(extent=(20.0, 30.0), shape=(4, 3))
        >>> grid.count, grid.spacing
        (12, (5.0, 10.0))
        >>> grid.points()[1].tolist()  # the centre of cell (0, 1)
        [2.5, 15.0]
    """

    extent: tuple[float, ...]
    shape: tuple[int, ...]

    def __post_init__(self):
        try:
            extent, shape = tuple(self.extent), tuple(self.shape)
        except TypeError:
            extent = shape = ()
        extent = tuple(number(side, "sides of positive length", 5e-324, got=extent) for side in extent)
        shape = tuple(whole(cells, "at least one cell along every side", got=shape) for cells in shape)
        require(
            len(extent) == len(shape) and 1 <= len(shape) <= 3,
            "expected as many sides as numbers of cells, 1 to 3 of each, "
            f"got {extent or self.extent} and {shape or self.shape}",
        )
        object.__setattr__(self, "extent", extent)
        object.__setattr__(self, "shape", shape)

    @property
    def dim(self) -> int:
        """Number of dimensions d."""
        return len(self.shape)

    @property
    def count(self) -> int:
        """Number of cells n."""
        return math.prod(self.shape)

    @property
    def spacing(self) -> tuple[float, ...]:
        """Side lengths h = extent / shape of one cell, in the unit of ``extent``."""
        return tuple(side / cells for side, cells in zip(self.extent, self.shape, strict=True))

    @property
    def cell_volume(self) -> float:
        """The weight h₁ ⋯ h_d of one cell in the midpoint rule ∫f dx ≈ h₁ ⋯ h_d Σ f(xᵢ)."""
        return math.prod(self.spacing)

    def axis(
        self, k: int, dtype: torch.dtype = torch.float64, device: torch.device | str | None = None
    ) -> torch.Tensor:
        """Cell centres along one side.

        Args:
            k: the side, from 0.
            dtype: floating-point type of the result.
            device: where the result is to be, the processor if None.

        Returns:
            (i + ½) hₖ for i = 0, 1, …, of shape (shapeₖ,), in the unit of ``extent``.
        """
        return (torch.arange(self.shape[k], dtype=dtype, device=device) + 0.5) * self.spacing[k]

    def points(
        self, dtype: torch.dtype = torch.float64, device: torch.device | str | None = None
    ) -> torch.Tensor:
        """All cell centres, in the order of ``image.reshape(-1)``.

        Args:
            dtype: floating-point type of the result.
            device: where the result is to be, the processor if None.

        Returns:
            The points (n, d), in the unit of ``extent``.
        """
        axes = [self.axis(k, dtype, device) for k in range(self.dim)]
        return torch.stack(torch.meshgrid(*axes, indexing="ij"), dim=-1).reshape(-1, self.dim)
