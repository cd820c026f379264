"""A box Ω cut into equal cells."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch


@dataclass(frozen=True)
class Grid:
    """The box Ω = [0, extent₁] × … × [0, extent_d], cut into shape₁ × … × shape_d cells.

    An image on this grid is a tensor of shape ``shape``: ``image[i, j]`` is its value at the cell centre
    x = (i + ½) h₁, y = (j + ½) h₂. The first index is x, the second y. Lengths are in the units of ``extent``
    (millimetres, say); h = extent / shape is the ``spacing``.

    Errors: ValueError for an empty grid, a side that is not positive, or more than three dimensions.
    """

    extent: tuple[float, ...]
    shape: tuple[int, ...]

    def __post_init__(self):
        extent = tuple(float(side) for side in self.extent)
        shape = tuple(int(cells) for cells in self.shape)
        if len(extent) != len(shape) or not 1 <= len(shape) <= 3:
            raise ValueError(
                f"expected as many sides as numbers of cells, 1 to 3 of each, got {extent} and {shape}"
            )
        if not all(math.isfinite(side) and side > 0 for side in extent):
            raise ValueError(f"expected sides of positive length, got {extent}")
        if not all(cells > 0 for cells in shape):
            raise ValueError(f"expected at least one cell along every side, got shape {shape}")
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
        """Side lengths h of one cell."""
        return tuple(side / cells for side, cells in zip(self.extent, self.shape, strict=True))

    @property
    def cell_volume(self) -> float:
        """h₁ ⋯ h_d: the weight of one cell in the midpoint rule ∫f dx ≈ h₁ ⋯ h_d Σ f(xᵢ)."""
        return math.prod(self.spacing)

    def axis(self, k: int, dtype=torch.float64, device=None) -> torch.Tensor:
        """Cell centres along side k, shape (shape_k,)."""
        return (torch.arange(self.shape[k], dtype=dtype, device=device) + 0.5) * self.spacing[k]

    def points(self, dtype=torch.float64, device=None) -> torch.Tensor:
        """All cell centres, shape (n, d), in the order of ``image.reshape(-1)``."""
        axes = [self.axis(k, dtype, device) for k in range(self.dim)]
        return torch.stack(torch.meshgrid(*axes, indexing="ij"), dim=-1).reshape(-1, self.dim)
