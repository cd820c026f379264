"""Smaller images first: the pyramid of a registration, and coarse to fine through it.

An image of half as many cells a side costs a quarter (in the plane) and shows no small detail. Its
map is where the next larger image begins.

Source:
    Modersitzki, FAIR (2009), section 3.7, https://doi.org/10.1137/1.9780898718843
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import torch

from regkit._require import function, require, whole
from regkit.continuation import follow
from regkit.grid import Grid
from regkit.outside import known
from regkit.paths import Path, Step
from regkit.registration import Registration
from regkit.scales import Adaptive, scales


def pyramid(problem: Registration, levels: int) -> list[Registration]:
    """The problem at ``levels`` image sizes, the smallest first; ``problem`` itself is the last.

    From one to the next smaller, blocks of 2ᵈ cells are averaged, in each image on its own
    grid; cells of weight zero are left out where others are in the block. Ω stays, and with it
    the meaning of w for a transformation that has the same parameters at every size. Another
    one becomes its ``coarser()``; ``level.transform.refine(w)`` takes w from the level before
    to ``level``.

    Args:
        problem: the finest level.
        levels: how many there are to be.

    Raises:
        ValueError: for a shape that cannot be halved so often.

    Example:
        >>> from regkit.data import hands_phantom
        >>> from regkit.optimize import newton_trust
        >>> pair = hands_phantom(32)
        >>> problem = Registration(pair.template, pair.reference, pair.grid)
        >>> w = None
        >>> for level in pyramid(problem, 3):
        ...     w = level.transform.identity() if w is None else level.transform.refine(w)
        ...     w = newton_trust(level.at(10.0), w).x
        ...     print(level.grid.shape)
        (8, 8)
        (16, 16)
        (32, 32)
    """
    levels = whole(levels, "a number of levels", 0)
    factor = 2 ** (levels - 1)
    for shape in (grid.shape for grid in problem.grids):
        fits = levels >= 1 and all(cells % factor == 0 for cells in shape)
        require(fits, f"expected a shape that {levels} levels can halve (by {factor}), got {shape}")
    problems = [problem]
    for _ in range(levels - 1):
        problems.insert(0, _halved(problems[0]))
    return problems


def _halved(problem: Registration) -> Registration:
    transform, regulariser = problem.transform.coarser(), problem.regulariser
    if regulariser is not None and transform is not problem.transform:
        regulariser = regulariser.coarser(problem.transform.refine)
    twos = [2] * problem.grid.dim
    return replace(smaller(problem, twos, twos), transform=transform, regulariser=regulariser)


def smaller(problem: Registration, blocks: Sequence[int], template_blocks: Sequence[int]) -> Registration:
    """The problem with larger cells: blocks of cells are averaged, each image in blocks of its own.

    Where a side is no multiple of its blocks, the cells that are left over at its end are cut off,
    and the box ends there.

    Args:
        problem: as it is.
        blocks (d numbers): how many cells of the reference become one, along each axis.
        template_blocks (d numbers): the same for the template.

    Example:
        >>> problem = Registration(torch.eye(6), torch.eye(6), Grid((6.0, 6.0), (6, 6)))
        >>> small = smaller(problem, (2, 4), (3, 3))
        >>> small, small.grid, small.template_grid.spacing
        (Registration of 2 × 2 to 3 × 1 cells: Affine(dim=2, center=None), SSD(), outside=0.0,
         Grid(extent=(6.0, 4.0), shape=(3, 1)), (3.0, 3.0))
    """
    masks = {"template": problem.template_weights, "reference": problem.weights}
    sizes = {"template": tuple(template_blocks), "reference": tuple(blocks)}
    images = {
        name: _averaged(getattr(problem, name), weights, sizes[name]) for name, weights in masks.items()
    }
    weights = {
        name: None if mask is None else _averaged(mask, None, sizes[name]) for name, mask in masks.items()
    }
    own = problem.template_grid is not None or sizes["template"] != sizes["reference"]
    return replace(
        problem,
        outside=problem.outside or 0.0,  # nobody is warned twice
        grid=_coarser(problem.grid, sizes["reference"]),
        template_grid=_coarser(problem.grids[1], sizes["template"]) if own else None,
        weights=weights["reference"],
        template_weights=weights["template"],
        **images,
    )


def _coarser(grid: Grid, blocks: Sequence[int]) -> Grid:
    shape = tuple(cells // size for cells, size in zip(grid.shape, blocks, strict=True))
    sides = zip(grid.extent, grid.shape, shape, blocks, strict=True)
    return Grid(tuple(side * (few * size / cells) for side, cells, few, size in sides), shape)


def _averaged(image: torch.Tensor, weights: torch.Tensor | None, blocks: Sequence[int]) -> torch.Tensor:
    """The means of blocks, with weights of the cells that count, if there are any."""
    if weights is not None:
        counts = known(image, weights).to(image)
        total, plain = _averaged(counts, None, blocks), _averaged(image, None, blocks)
        mean = _averaged(counts * image, None, blocks) / torch.where(total > 0, total, 1)
        return torch.where(total > 0, mean, plain)
    pool = [torch.nn.functional.avg_pool1d, torch.nn.functional.avg_pool2d, torch.nn.functional.avg_pool3d]
    return pool[image.ndim - 1](image[None, None], list(blocks))[0, 0]


def multilevel(
    problem: Registration,
    w0: torch.Tensor,
    *,
    levels: int = 3,
    thetas: Sequence[float] | Adaptive = (1e-3,),
    callback: Callable[[Step], bool | None] | None = None,
    **options: Any,
) -> Path:
    """Coarse to fine: on each image size the scales θ, from where the size before ended.

    With one small θ: multi-level alone; with ``levels=1``: multi-scale alone. θ counts in cells:
    the same θ blurs twice as far on the next smaller image.

    Args:
        problem: the finest level.
        w0 (p,): the start, for the smallest images.
        levels: how many image sizes.
        thetas: a decreasing list, or ``scales.Adaptive``, the same on all sizes.
        callback: gets every ``Step``, and ends the whole run by returning True.
        options: of ``continuation.follow``.

    Returns:
        The ``Path`` through all levels.

    Raises:
        ValueError: as ``pyramid`` and ``follow``.

    Example:
        >>> from regkit.data import hands_phantom
        >>> pair = hands_phantom(32)
        >>> problem = Registration(pair.template, pair.reference, pair.grid)
        >>> path = multilevel(problem, problem.transform.identity(), thetas=[100.0, 1.0])
        >>> [step.cells for step in path.accepted]
        [64, 64, 256, 256, 1024, 1024]
    """
    steps, stopped = [], False
    function(callback, "a function of the step as callback")
    thetas = thetas if isinstance(thetas, Adaptive) else scales(thetas, "linear").thetas  # for all levels

    def watch(step: Step) -> bool:
        nonlocal stopped
        stopped = callback is not None and bool(callback(step))
        return stopped

    for level in pyramid(problem, levels):
        w0 = level.transform.refine(w0) if steps else w0
        path = follow(level, thetas, w0, callback=watch, **options)
        steps, w0 = steps + path.steps, path.w
        if stopped:
            break
    return Path(steps)
