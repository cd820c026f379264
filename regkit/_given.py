"""What the caller of ``register`` brings: images, grids and masks, checked and made of one kind."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from regkit._require import real_tensor, require, tensor
from regkit.files import read
from regkit.grid import Grid
from regkit.outside import _outermost, known


def given(
    image: Any, grid: Grid | float | Sequence[float] | None, mask: Any, name: str, notes: list[str]
) -> tuple[Tensor, Grid, Tensor | None]:
    """Image, grid and mask, checked and of one kind."""
    if isinstance(image, str | Path):
        image, own = read(image)
        grid = own if grid is None else grid
    image = _plain(image)
    if isinstance(image, np.ma.MaskedArray):
        image = image.astype(float).filled(np.nan)
    value = tensor(image, name)
    dense = value.layout == torch.strided and not value.is_meta
    require(dense, f"expected {name} with all its values, got {value.layout} on {value.device}")
    require(not value.is_complex(), f"expected {name} of real numbers, got {value.dtype}")
    value = value.detach().to("cpu" if not value.is_cuda else value.device, torch.float64)
    if value.ndim == 3 and value.shape[-1] in (3, 4) and min(value.shape[:2]) > 4:
        value = value[..., :3] @ value.new_tensor([0.299, 0.587, 0.114])
        notes.append(f"The {name} is in colour: its luminance was used.")
    shape = tuple(value.shape)
    require(value.ndim in (2, 3), f"expected {name} in 2 or 3 dimensions, got shape {shape}")
    require(min(shape) >= 4, f"expected {name} with at least 4 cells along each axis, got shape {shape}")
    if not isinstance(grid, Grid):
        try:
            sides = np.broadcast_to(np.asarray(1.0 if grid is None else grid, dtype=float), len(shape))
        except (TypeError, ValueError):
            raise ValueError(
                f"expected the {name}'s grid as a Grid, or as {len(shape)} sides of a cell, got {grid!r}"
            ) from None
        grid = Grid(tuple(float(h) * cells for h, cells in zip(sides, shape, strict=True)), shape)
    require(grid.shape == shape, f"expected {name} of shape {grid.shape}, as its grid, got {shape}")
    finite = value.isfinite()
    if mask is not None:
        if isinstance(mask, np.ma.MaskedArray):
            mask = mask.filled(0)
        mask = real_tensor(mask, f"{name} mask", value).detach()
        fits = tuple(mask.shape) == shape
        require(fits, f"expected {name} mask of shape {shape}, got {tuple(mask.shape)}")
        usable = bool((mask >= 0).all() and mask.isfinite().all())
        require(usable, f"expected {name} mask of finite weights ≥ 0, got {float(mask.min()):.3g} in it")
    if not finite.all():
        mask = finite.to(value) if mask is None else mask * finite
        notes.append(f"The {name} is not finite in {int((~finite).sum())} cells: they do not count.")
    seen = value if mask is None else value[mask != 0]
    require(
        seen.numel() > 0, f"expected a {name} of which something counts, got a mask that is zero everywhere"
    )
    range = float(seen.max() - seen.min())
    require(range != 0, f"expected {name} with some structure, got a constant image")
    usable = 1e-100 < range < 1e100
    require(usable, f"expected {name} in a unit that can be squared, got grey values {range:.3g} apart")
    return value if mask is None else filled(torch.where(mask != 0, value, 0.0), mask), grid, mask


def _plain(image: Any) -> Any:
    """An image of PIL in grey or in red, green and blue; anything else as it is."""
    mode = getattr(image, "mode", "") if hasattr(image, "convert") else ""
    if mode in ("PA", "La", "RGBa"):  # these are converted to some others only
        image = image.convert("LA" if mode == "La" else "RGBA")
    if mode == "LAB":
        return image.getchannel(0)
    grey = mode in ("", "1", "L", "F", "RGB") or mode.startswith("I")
    return image if grey else image.convert("RGB")


def filled(image: Tensor, mask: Tensor) -> Tensor:
    """Cells that do not count get the mean of those around: blurred, they do not spoil their neighbours."""
    counts = (mask != 0).to(image)
    if counts.all():
        return image
    size = [cells // 2 + cells % 2 for cells in image.shape]
    pad = [part for cells in reversed(image.shape) for part in (0, cells % 2)]
    known, total = (torch.nn.functional.pad(part, pad) for part in (counts * image, counts))
    axes = tuple(range(1, 2 * image.ndim, 2))
    known, total = (part.reshape([k for m in size for k in (m, 2)]).mean(axes) for part in (known, total))
    small = filled(known / torch.where(total > 0, total, 1), total)
    for axis, cells in enumerate(image.shape):
        small = small.repeat_interleave(2, axis).narrow(axis, 0, cells)
    return torch.where(mask != 0, image, small)


def even(image: Tensor, mask: Tensor | None) -> bool:
    """Whether the outermost cells vary by less than a quarter of what the image varies by."""
    counts = known(image, mask)
    border = counts & _outermost(counts)
    inside = image if mask is None else image[counts]
    return bool(border.any() and image[border].std(correction=0) < 0.25 * inside.std(correction=0))
