"""The figures of the page "From two files to the aligned picture"."""

import matplotlib.pyplot as plt
import numpy as np

from regbook.experiments.guide import Failure
from regbook.plots import COLORS, image, overlay
from regkit import Grid


def _off(cells: float) -> str:
    return f"{cells:.1f}" if cells > 1 else f"{cells:.2f}"


def _dot(ax, found, mark, color: str, size: float = 5) -> None:
    """Where the map lays a point of the template, in the middle of the nearest cell."""
    nearest = ((found.points.numpy() - mark) ** 2).sum(1).argmin()
    ax.plot(*found.problem.points.numpy()[nearest], "o", ms=size, color=COLORS[color])


def failure(made: Failure):
    """The pair, what comes out, and what comes out with the advice."""
    figure, axes = plt.subplots(1, 4, figsize=(6.8, 2.1))
    shape = made.reference.shape
    grid = Grid(tuple(map(float, shape)), shape)
    image(axes[0], made.template, grid, "template")
    image(axes[1], made.reference, grid, "reference")
    reference = 255 - made.reference if made.negative else made.reference
    for ax, name, found, off in zip(
        axes[2:], ("as it comes", "with the advice"), (made.wrong, made.right), made.errors, strict=True
    ):
        moved = np.nan_to_num(found.warp().numpy())
        # the colours of Registered.plot, which stands on the same page: the template is orange
        overlay(ax, moved, reference, grid, f"{name}:\n{_off(off)} cells off")
        if made.mark:
            _dot(ax, made.right, made.mark, "sky", 8)
            _dot(ax, found, made.mark, "vermillion")
    if made.mark:
        axes[0].plot(*made.mark, "o", ms=5, color=COLORS["vermillion"])
        _dot(axes[1], made.right, made.mark, "sky", 8)
    return figure


def words(made: Failure) -> str:
    """What the figure shows, for ``show``."""
    wrong, right = map(_off, made.errors)
    return (
        f"Template and reference: {made.shows}. Laid over each other by register as it comes, {wrong} cells "
        f"off, and with {made.advice}, {right} cells off."
    )


def caption(made: Failure) -> str:
    """What ``register`` said, as it is printed."""
    wrong, right = (
        "; ".join(f"! {warning}" for warning in found.warnings) or "no warning"
        for found in (made.wrong, made.right)
    )
    return f"As it comes: {wrong}. With {made.advice}: {right}."
