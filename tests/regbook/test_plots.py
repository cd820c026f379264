"""The habits that figures share."""

import re
from pathlib import Path

import matplotlib
import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
from matplotlib.colors import to_hex
from matplotlib.figure import Figure

from regbook import plots
from regbook.plots import (
    COLORS,
    LOOK,
    bare,
    dots,
    error,
    family,
    image,
    look,
    show_image,
    spectrum,
    style,
    taylor,
    taylor_panels,
    taylor_words,
)
from regkit.checks import taylor_test
from regkit.grid import Grid
from tools.toc import ROOT


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


def test_a_picture_has_no_axes():
    ax = Figure().subplots()
    drawn = image(ax, torch.arange(6.0), Grid((1.0, 1.0), (3, 2)), "a title", high=5)
    assert drawn.get_array().shape == (2, 3) and drawn.get_clim() == (0, 5) and ax.get_title() == "a title"
    assert not len(ax.get_xticks()) and not len(ax.get_yticks())
    assert not any(spine.get_visible() for spine in ax.spines.values())


def test_too_dark_is_orange_and_too_bright_is_blue():
    """By the colours themselves, and by what stands beside the title."""
    ax = Figure().subplots()
    drawn = error(ax, torch.tensor([-90.0, -40.0, 0.0, 40.0]), Grid((1.0, 1.0), (2, 2)), span=80)
    dark, weak, none, bright = drawn.cmap(drawn.norm([-90.0, -40.0, 0.0, 40.0]))[:, :3]
    assert dark[0] > dark[2] + 0.2 and weak[0] > weak[2] + 0.2, "more red than blue"
    assert bright[2] > bright[0] + 0.2, "more blue than red"
    assert min(none) > 0.94, "white"
    ends = {ax.get_title(loc=side): to_hex(part.get_color()) for side, part in
            (("left", ax._left_title), ("right", ax._right_title))}  # fmt: skip
    assert list(ends) == ["−80", "+80"] and ax.get_title() == "error"
    assert np.allclose(drawn.cmap(0.1)[:3], matplotlib.colors.to_rgb(ends["−80"]), atol=0.01)
    assert np.allclose(drawn.cmap(0.9)[:3], matplotlib.colors.to_rgb(ends["+80"]), atol=0.01)


def test_both_signs_of_an_error_weigh_the_same():
    """Equally large errors are about equally dark: no sign looks worse than the other."""
    drawn = error(Figure().subplots(), torch.zeros(4), Grid((1.0, 1.0), (2, 2)), span=1.0)
    sizes = np.linspace(0.1, 1, 10)
    light = [drawn.cmap(drawn.norm(sign * sizes))[:, :3] @ [0.2126, 0.7152, 0.0722] for sign in (-1, 1)]
    assert np.abs(light[0] - light[1]).max() < 0.12
    assert (np.diff(light[0]) < 0).all() and (np.diff(light[1]) < 0).all()


@pytest.mark.parametrize(
    ("name", "like"),
    [
        ("Newton, trust region", "Newton"),
        ("Gauss-Newton", "Gauss-Newton"),
        ("Kaufman 20 + 10, warm", "Kaufman"),
        ("adams2", "adams"),
    ],
)
def test_a_method_looks_the_same_everywhere(name, like):
    color, mark = LOOK[like]
    assert look(name) == {"color": COLORS[color], "marker": mark}


def test_an_unknown_method_has_no_look():
    with pytest.raises(ValueError, match=r"begins with one of gradient descent, .*, got 'magic'"):
        look("magic")


@pytest.fixture
def cubes():
    x = torch.tensor(2.0, dtype=torch.float64)
    return taylor_test(lambda x: x**3, x, torch.ones_like(x), order=2)


def test_remainders_are_drawn_with_their_slopes(cubes):
    ax = Figure().subplots()
    taylor(ax, {"a cube": cubes}, [0, 1])
    zero, one = ax.get_lines()
    assert np.array_equal(zero.get_ydata(), cubes.errors[0]) and np.array_equal(
        one.get_ydata(), cubes.errors[1]
    )
    assert zero.get_label() == f"after term 0: slope {cubes.slopes[0]:.2f}"
    assert ax.get_xscale() == ax.get_yscale() == "log"


def test_several_tests_are_told_apart_by_name(cubes):
    ax = Figure().subplots()
    taylor(ax, {"mine": cubes, "yours": cubes}, [2], looks=[("blue", "o-"), ("green", "s-")])
    assert [line.get_label() for line in ax.get_lines()] == ["mine: slope 3.00", "yours: slope 3.00"]
    assert [line.get_color() for line in ax.get_lines()] == [COLORS["blue"], COLORS["green"]]


def test_a_panel_a_test(cubes):
    figure = taylor_panels({"one": cubes, "two": cubes})
    assert [ax.get_title() for ax in figure.axes] == ["one", "two"]
    assert all(len(ax.get_lines()) == 3 for ax in figure.axes)
    low, high = figure.axes[0].get_ylim()
    assert low < float(cubes.errors[0].max()) < high
    plt.close(figure)


def test_one_curve_of_a_family_stands_out():
    ax = Figure().subplots()
    family(ax, {k: ([0, 1], [k, 2 * k]) for k in range(4)}, 2, label="k = 2", color=COLORS["blue"])
    *others, chosen = ax.get_lines()
    assert len(others) == 3 and {line.get_color() for line in others} == {"0.75"}
    assert chosen.get_label() == "k = 2" and chosen.get_color() == COLORS["blue"]
    assert list(chosen.get_ydata()) == [2, 4]
    family(ax, {0: ([0, 1], [0, 0])})
    assert len(ax.get_lines()) == 5, "none of them chosen"


def test_dots_on_a_logarithmic_axis():
    ax = Figure().subplots()
    dots(ax, {"small": 0.01, "large": 1e5}, ["blue", "orange"])
    assert ax.get_xscale() == "log" and [label.get_text() for label in ax.get_yticklabels()] == [
        "small",
        "large",
    ]
    assert [line.get_xdata()[0] for line in ax.get_lines()] == [0.01, 1e5]
    assert [note.get_text() for note in ax.texts] == ["0.01", "10⁵"]


def test_bare_axes_keep_their_names():
    ax = Figure().subplots()
    ax.set_xlabel("below")
    bare(ax)
    assert ax.get_xlabel() == "below" and not len(ax.get_xticks())


def test_no_other_map_of_colours_has_two_signs():
    """All maps of Matplotlib that run from one colour through a light one to another."""
    maps = "PiYG PRGn BrBG PuOr RdGy RdBu RdYlBu RdYlGn Spectral coolwarm bwr seismic berlin managua vanimo"
    sources = [*Path(plots.__file__).parent.rglob("*.py"), *ROOT.glob("book/*.ipynb")]
    found = {
        (path.name, name)
        for path in sources
        for name in maps.split()
        if re.search(rf"""["'\\]{name}(_r)?["'\\]""", path.read_text(encoding="utf-8"))
    }
    assert not found


def test_taylor_in_words_says_the_slopes():
    test = taylor_test(lambda x: (x**3).sum(), torch.tensor([1.0, 2.0], dtype=torch.float64), order=2)
    words = taylor_words({"a cube": test})
    assert words.startswith("Taylor remainders over the step on logarithmic axes. a cube: slope ")
    assert re.findall(r"(\d\.\d\d) after term (\d)", words) == [
        (f"{test.slopes[q]:.2f}", f"{q}") for q in range(3)
    ]
    assert "after term 2" not in taylor_words({"a cube": test}, (0, 1))


def test_a_spectrum_keeps_what_is_too_small_to_be_seen():
    ax = Figure().subplots()
    spectrum(ax, torch.tensor([2.0, 0.5, 1e-12]), 0.01)
    values, line = (curve.get_ydata() for curve in ax.lines)
    assert list(values[:2]) == [2.0, 0.5] and ax.get_ylim()[0] < values[2] < 2e-7
    assert list(line) == pytest.approx([0.02, 0.02])
    assert [label.get_text() for label in ax.get_yticklabels()] == ["1", "0.01", "10⁻⁴", "10⁻⁶"]


def test_two_equal_images_laid_over_each_other_are_grey():
    """White where both are bright; the reference alone is orange, the template alone blue; x to the right."""
    grid = Grid((2.0, 2.0), (2, 2))
    reference, template = (
        torch.tensor([[255.0, 255.0], [0.0, 0.0]]),
        torch.tensor([[255.0, 0.0], [255.0, 0.0]]),
    )
    ax = Figure().subplots()
    plots.overlay(ax, reference, template, grid, "both")
    shown = np.asarray(ax.images[0].get_array())  # rows are y
    assert np.allclose(shown[0, 0], 1, atol=0.01) and np.allclose(shown[1, 1], 0)
    assert shown[1, 0].argmax() == 0 and shown[0, 1].argmax() == 2
    assert ax.get_title() == "both" and ax.images[0].get_extent() == [0, 2.0, 0, 2.0]
