"""The habits that figures share."""

import matplotlib
import numpy as np
import pytest
import torch
from matplotlib.figure import Figure

from regbook.plots import COLORS, show_image, style
from regkit.grid import Grid


def test_pixels_stand_where_their_coordinates_say():
    grid = Grid((30.0, 20.0), (3, 2))
    image = torch.arange(6.0, dtype=torch.float64).reshape(3, 2)
    ax = Figure().subplots()
    drawn = show_image(ax, image, grid, vmin=-1, vmax=6, title="pixels")
    assert drawn.get_extent() == [0, 30, 0, 20]
    assert ax.get_ylim() == (0, 20), "y points upwards"
    assert ax.get_title() == "pixels"
    assert drawn.get_clim() == (-1, 6)
    inverse = ax.transData.transform
    event = type("Event", (), {})
    for i in range(3):
        for j in range(2):
            at = event()
            at.x, at.y = inverse(((i + 0.5) * grid.spacing[0], (j + 0.5) * grid.spacing[1]))
            assert drawn.get_cursor_data(at) == image[i, j]


def test_an_image_of_another_shape_is_refused():
    with pytest.raises(ValueError, match=r"expected an image of shape \(3, 2\).*got \(2, 3\)"):
        show_image(Figure().subplots(), np.zeros((2, 3)), Grid((1.0, 1.0), (3, 2)))


def test_the_style_is_readable_and_leaves_no_trace():
    before = matplotlib.rcParams["font.size"]
    with matplotlib.rc_context(style()):
        sizes = ("font.size", "axes.titlesize", "axes.labelsize", "xtick.labelsize", "legend.fontsize")
        assert all(matplotlib.rcParams[size] >= 9 for size in sizes)
    assert matplotlib.rcParams["font.size"] == before


def test_the_colours_are_okabe_and_itos():
    assert COLORS["blue"] == "#0072B2" and COLORS["vermillion"] == "#D55E00" and COLORS["green"] == "#009E73"
