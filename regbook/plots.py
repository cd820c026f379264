"""Colours and habits that every figure of the book shares."""

from __future__ import annotations

import numpy as np

#: Okabe and Ito's palette: told apart by readers with any kind of colour vision (jfly.uni-koeln.de/color).
COLORS = {
    "blue": "#0072B2",
    "vermillion": "#D55E00",
    "green": "#009E73",
    "orange": "#E69F00",
    "sky": "#56B4E9",
    "purple": "#CC79A7",
    "black": "#222222",
    "grey": "#767676",
}


def style() -> dict:
    """Settings for Matplotlib, used as ``with matplotlib.rc_context(style()): ...``.

    Made for figures 6.4 inches wide: their text is as large as the text around them on a wide screen.
    """
    from cycler import cycler

    cycle = [COLORS[name] for name in ("blue", "vermillion", "green", "orange", "purple", "sky")]
    return {
        "figure.constrained_layout.use": True,
        "font.size": 11,
        "axes.titlesize": 11,
        "axes.labelsize": 11,
        "xtick.labelsize": 10,
        "ytick.labelsize": 10,
        "legend.fontsize": 10,
        "axes.prop_cycle": cycler(color=cycle),
        "axes.edgecolor": "#555555",
        "axes.linewidth": 0.8,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.axisbelow": True,
        "axes.grid": True,
        "grid.color": "#e3e6e8",
        "grid.linewidth": 0.8,
        "lines.linewidth": 1.8,
        "legend.frameon": False,
        "image.interpolation": "nearest",
        "savefig.dpi": 160,
        "figure.dpi": 110,
    }


def show_image(ax, image, grid, vmin=None, vmax=None, cmap: str = "gray", title: str | None = None):
    """Draw ``image`` (m₁, m₂) on ``ax``: image[i, j] at x = (i+½)h₁ to the right, y = (j+½)h₂ upwards.

    The axes are in the units of ``grid.extent``. Returns Matplotlib's image, for a colour bar.
    Errors: ValueError if the image does not have the shape of the grid.
    """
    pixels = np.asarray(image.detach().cpu() if hasattr(image, "detach") else image)
    if pixels.shape != tuple(grid.shape):
        raise ValueError(f"expected an image of shape {tuple(grid.shape)}, as the grid, got {pixels.shape}")
    extent = (0, grid.extent[0], 0, grid.extent[1])
    drawn = ax.imshow(pixels.T, origin="lower", extent=extent, cmap=cmap, vmin=vmin, vmax=vmax)
    ax.grid(False)
    if title:
        ax.set_title(title)
    return drawn
