"""Smaller images first: the pyramid of a registration, and coarse to fine through it.

An image of half as many cells a side costs a quarter (in the plane) and shows no small detail. Its map is
where the next larger image begins. Source: Modersitzki, FAIR (2009), section 3.7,
https://doi.org/10.1137/1.9780898718843.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import torch

from regkit._require import require
from regkit.continuation import Path, Step, follow
from regkit.grid import Grid
from regkit.registration import Registration
from regkit.regularizers import Refined


def pyramid(problem: Registration, levels: int) -> list[Registration]:
    """The problem at ``levels`` image sizes, the smallest first; ``problem`` itself is the last.

    From one to the next smaller, blocks of 2ᵈ cells are averaged. Ω stays, and with it the meaning of
    w for a transformation that has the same parameters at every size. Another one becomes its
    ``coarser()``; ``level.transform.refine(w)`` takes w from the level before to ``level``.

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
    shape, factor = problem.grid.shape, 2 ** (levels - 1)
    fits = levels >= 1 and all(cells % factor == 0 for cells in shape)
    require(fits, f"expected a shape that {levels} levels can halve (by {factor}), got {shape}")
    problems = [problem]
    for _ in range(levels - 1):
        problems.insert(0, _halved(problems[0]))
    return problems


def _halved(problem: Registration) -> Registration:
    grid = Grid(problem.grid.extent, tuple(cells // 2 for cells in problem.grid.shape))
    blocks = [size for cells in grid.shape for size in (cells, 2)]
    images = {name: getattr(problem, name) for name in ("template", "reference", "weights")}
    halved = {
        name: torch.as_tensor(image).reshape(blocks).mean(tuple(range(1, 2 * grid.dim, 2)))
        for name, image in images.items()
        if image is not None
    }
    transform, regulariser = problem.transform.coarser(), problem.regulariser
    if regulariser is not None and transform is not problem.transform:
        regulariser = Refined(regulariser, problem.transform.refine)
    return replace(problem, grid=grid, transform=transform, regulariser=regulariser, **halved)


def multilevel(
    problem: Registration,
    w0: torch.Tensor,
    *,
    levels: int = 3,
    thetas: Sequence[float] = (1e-3,),
    callback: Callable[[Step], bool | None] | None = None,
    **options,
) -> Path:
    """Coarse to fine through the ``pyramid``: at each level ``follow`` the scales ``thetas`` from where the
    level before ended. With one small θ: multi-level alone; with ``levels=1``: multi-scale alone.

    θ counts in cells: the same θ blurs twice as far on the next smaller image. callback: as in ``follow``; it
    ends the whole run. options: of ``follow``.
    """
    steps, stopped = [], False

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
