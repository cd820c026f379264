"""The narrow drawing: whatever a figure holds, on a phone it can be read."""

from __future__ import annotations

import io
from functools import cache
from itertools import combinations

import matplotlib
import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.text import Text
from PIL import Image

from regbook import plots
from regbook.explore import frames
from regbook.explore.narrow import LEAST, WIDTH, narrow
from regkit import Grid

PHONE = 300  # pixels: what a page 360 pixels wide leaves for the drawing
GRID = Grid((20.0, 25.0), (8, 10))


def curves(ax, count=3, **labels):
    x = np.linspace(0, 6, 50)
    for k in range(count):
        ax.plot(x, np.sin(x + k), label=f"curve number {k}")
    ax.set(xlabel="time in hours since midnight", ylabel="value", **labels)


def two_panels():
    figure, (left, right) = plt.subplots(1, 2, figsize=(6.4, 3.2), sharey=True)
    curves(left, title="A title that is longer than a phone is wide, by far")
    curves(right)
    left.legend(fontsize=7)
    return figure


def one_wide_panel():
    figure, ax = plt.subplots(figsize=(6.4, 3.0))
    curves(ax, 5)
    ax.legend(ncols=3, fontsize=6)
    return figure


def grid_of_panels():
    figure, axes = plt.subplots(2, 2, figsize=(6.4, 5), sharex=True)
    for ax in axes.flat:
        curves(ax)
    axes[0, 0].legend(loc="lower left")
    return figure


def pictures_and_bars():
    figure, axes = plt.subplots(1, 3, figsize=(6.4, 3.2), width_ratios=[1, 1, 0.8])
    for ax in axes[:2]:
        plots.image(ax, np.arange(80.0), GRID, "an image with a long title")
    axes[2].bar(["gradient descent", "Gauss-Newton", "Newton"], [3, 2, 1])
    return figure


def table_of_pictures():
    figure, axes = plt.subplots(2, 4, figsize=(6.8, 3.8))
    for k, ax in enumerate(axes.flat):
        drawn = plots.image(ax, np.arange(80.0), GRID, f"number {k}")
    figure.colorbar(drawn, ax=axes, shrink=0.6, label="grey values")
    return figure


def one_picture_with_a_bar():
    figure, ax = plt.subplots(figsize=(6.4, 4))
    drawn = ax.contourf(np.random.default_rng(0).standard_normal((9, 9)))
    figure.colorbar(drawn, label="loss / largest")
    ax.set(xlabel="rotation in degrees", ylabel="shift in cm")
    return figure


def parts():
    figure = plt.figure(figsize=(6.8, 4.2))
    left, right = figure.subfigures(1, 2)
    left.suptitle("four of them, which are small")
    for ax in left.subplots(2, 2).flat:
        plots.image(ax, np.arange(80.0), GRID)
    curves(right.subplots())
    return figure


def legend_of_the_figure():
    figure, axes = plt.subplots(1, 3, figsize=(6.8, 2.6))
    for ax in axes:
        curves(ax)
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=3)
    return figure


def inset_and_twin():
    figure, ax = plt.subplots(figsize=(6.4, 3.4))
    curves(ax)
    ax.twinx().set_ylabel("another value")
    small = ax.inset_axes((0.6, 0.6, 0.35, 0.35))
    small.plot([1, 2])
    return figure


def three_dimensions():
    figure = plt.figure(figsize=(6.4, 3))
    figure.add_subplot(1, 2, 1, projection="3d").plot([0, 1], [0, 1], [0, 1])
    curves(figure.add_subplot(1, 2, 2))
    return figure


def many_names():
    figure, ax = plt.subplots(figsize=(6.4, 3.2))
    plots.dots(ax, {f"method number {k}, long": 10.0**k for k in range(8)}, ["blue"] * 8)
    return figure


def many_ticks():
    figure, ax = plt.subplots(figsize=(6.4, 3.2))
    ax.plot(np.arange(40), np.arange(40.0))
    ax.set_xticks(range(0, 40, 2), [f"{10 * k}.00" for k in range(0, 40, 2)])
    return figure


def words_only():
    figure = plt.figure(figsize=(6.4, 3.2))
    figure.text(0.3, 0.5, "no axes", fontsize=6)
    return figure


KINDS = [
    two_panels, one_wide_panel, grid_of_panels, pictures_and_bars, table_of_pictures, parts, many_names,
    one_picture_with_a_bar, legend_of_the_figure, inset_and_twin, three_dimensions, many_ticks, words_only,
]  # fmt: skip


@pytest.fixture(autouse=True)
def looks():
    with matplotlib.rc_context(plots.style()):
        yield
    plt.close("all")


@cache
def drawn(kind):
    """Such a figure, narrow. It is drawn once, and nobody changes it."""
    figure = kind()
    figure.canvas.draw()
    narrow(figure)
    figure.canvas.draw()
    return figure


def shown(figure):
    """The texts that are to be seen, and where, in pixels; tick labels beyond the axes are not drawn."""
    seen = {}
    out = set()
    for ax in figure.findobj(Axes):
        for axis in (ax.xaxis, ax.yaxis, *([ax.zaxis] if ax.name == "3d" else [])):
            low, high = sorted(axis.get_view_interval())
            for tick in axis.get_major_ticks():
                if ax.name == "3d" or not low - 1e-9 <= tick.get_loc() <= high + 1e-9:
                    out |= {tick.label1, tick.label2}
    for text in figure.findobj(Text):
        hidden = not text.axes.axison and text not in (text.axes.title,) if text.axes else False
        if text.get_visible() and text.get_text().strip() and text not in out and not hidden:
            seen[text] = text.get_window_extent()
    return seen


@pytest.mark.parametrize("kind", KINDS)
def test_text_is_large_enough_on_a_phone(kind):
    """9 pixels or more: points · pixels of the drawing / inches of the drawing / 72."""
    figure = drawn(kind)
    assert figure.get_figwidth() == WIDTH
    for text in shown(figure):
        assert text.get_size() * PHONE / WIDTH / 72 >= 9, text
    assert LEAST * PHONE / WIDTH / 72 >= 9


@pytest.mark.parametrize("kind", KINDS)
def test_nothing_is_cut_off(kind):
    figure = drawn(kind)
    width, height = figure.get_size_inches() * figure.dpi
    for text, box in shown(figure).items():
        inside = box.x0 >= -1 and box.y0 >= -1 and box.x1 <= width + 1 and box.y1 <= height + 1
        assert inside, f"{text}: {box} in {width} x {height}"


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind not in (three_dimensions, inset_and_twin)])
def test_no_two_texts_overlap(kind):
    for (a, box), (b, other) in combinations(shown(drawn(kind)).items(), 2):
        if a.get_rotation() not in (0, 90) or b.get_rotation() not in (0, 90):
            continue  # turned names: their boxes overlap, they do not
        assert not box.padded(-1).overlaps(other.padded(-1)), f"{a} and {b}"


@pytest.mark.parametrize("kind", KINDS)
def test_no_text_is_lost(kind):
    """Only tick labels may be thinned out."""

    def words(figure):
        axes = figure.findobj(Axes)
        ticks = {label for ax in axes for label in (*ax.get_xticklabels(), *ax.get_yticklabels())}
        return {" ".join(text.get_text().split()) for text in shown(figure) if text not in ticks}

    figure = kind()
    figure.canvas.draw()
    before = words(figure)
    narrow(figure)
    figure.canvas.draw()
    assert before <= words(figure)


def boxes(figure):
    return [ax.get_window_extent() for ax in figure.axes]


def test_panels_stand_below_each_other():
    figure = drawn(two_panels)
    left, right = boxes(figure)
    assert left.x0 == pytest.approx(right.x0) and left.width == pytest.approx(right.width)
    assert left.y0 > right.y1
    assert figure.axes[1].get_ylabel() == "value", "it took its label from its neighbour"


def test_labels_of_a_shared_axis_are_alike_in_both_panels():
    figure, axes = plt.subplots(1, 2, figsize=(6.4, 2.8), sharey=True)
    for ax in axes:
        ax.plot([1, 2, 3], range(3), "o")
        ax.set(yticks=range(3), yticklabels=["as printed", "Gauss-Newton", "exact"])
    figure.canvas.draw()
    narrow(figure)
    words = [[(label.get_text(), label.get_size()) for label in ax.get_yticklabels()] for ax in axes]
    assert words[0] == words[1] and words[0][0][0] == "as printed"


def test_shared_axis_keeps_its_label_at_the_bottom():
    figure, axes = plt.subplots(3, 1, figsize=(6.4, 4), sharex=True)
    axes[2].set_xlabel("x")
    figure.canvas.draw()
    narrow(figure)
    assert [ax.get_xlabel() for ax in axes] == ["", "", "x"]


def test_pictures_stand_two_in_a_row_and_keep_their_shape():
    figure = drawn(pictures_and_bars)
    first, second, bars = boxes(figure)
    assert first.y0 == pytest.approx(second.y0) and first.x1 < second.x0 and bars.y1 < first.y0
    assert first.width / first.height == pytest.approx(8 / 10, rel=0.02)
    assert bars.width > 0.6 * figure.bbox.width


def test_a_table_is_cut_between_its_columns():
    """What stands below each other belongs together."""
    figure = drawn(table_of_pictures)
    found = boxes(figure)[:8]
    order = sorted(range(8), key=lambda k: (-round(found[k].y1), found[k].x0))
    assert order == [0, 1, 4, 5, 2, 3, 6, 7]


def test_small_pictures_stand_three_in_a_row():
    figure, axes = plt.subplots(2, 6, figsize=(6.4, 2.4))
    for ax in axes.flat[:]:
        plots.image(ax, np.arange(80.0), GRID)
    for ax in axes[1]:
        ax.remove()
    figure.canvas.draw()
    narrow(figure)
    assert len({round(box.y0) for box in boxes(figure)}) == 2


def test_legend_that_no_longer_fits_goes_below():
    figure = drawn(one_wide_panel)
    (ax,) = figure.axes
    legend = ax.get_legend().get_window_extent()
    assert legend.y1 < ax.get_window_extent().y0
    assert not legend.overlaps(ax.xaxis.label.get_window_extent())


def test_frames_of_one_figure_have_one_size_and_still_axes():
    def frame(k):
        figure = two_panels()
        figure.axes[0].plot([1, 2], [k, 0])
        figure.axes[0].set_ylim(-2, 3)
        return figure

    first = frame(0)
    first.canvas.draw()
    arrangement = narrow(first)
    for k in (1, 2):
        other = frame(k)
        other.canvas.draw()
        assert narrow(other, arrangement) is arrangement
        for a, b in zip(boxes(first), boxes(other), strict=True):
            assert np.allclose(a.get_points(), b.get_points())


def test_a_frame_whose_labels_need_more_room_gets_it():
    first = one_wide_panel()
    first.canvas.draw()
    arrangement = narrow(first)
    other = one_wide_panel()
    other.axes[0].set_yticks([0, 1], ["a very long name", "another very long name"])
    other.canvas.draw()
    again = narrow(other, arrangement)
    assert again is not arrangement and again.size == pytest.approx(arrangement.size)
    assert min(box.x0 for box in shown(other).values()) >= 0


# --- drawings of a figure


def test_a_photograph_is_known_by_its_place():
    figure, (left, right) = plt.subplots(1, 2, figsize=(6.4, 3.2), dpi=100)
    curves(left)
    plots.image(right, np.zeros(80), GRID, low=0, high=1)
    for drawing in frames.both(figure)[0]:
        ((x, y, w, h),) = drawing.photos
        assert (drawing.pixels[y : y + h, x : x + w] == 0).all(), "black, all of it"
        around = drawing.pixels[max(0, y - 4) : y + h + 4, max(0, x - 4) : x + w + 4]
        assert (around == 0).all(-1).sum() <= (w + 3) * (h + 3), "and nothing but it"


def test_contours_and_colour_bars_are_photographs_and_lines_are_not():
    (wide, _), _ = frames.both(one_picture_with_a_bar())
    assert len(wide.photos) == 2
    (wide, _), _ = frames.both(two_panels())
    assert wide.photos == ()


def test_smallest_text_is_told():
    (wide, small), _ = frames.both(one_wide_panel())
    assert wide.points == 6 and wide.inches == 6.4 and small.points == LEAST and small.inches == WIDTH


# --- figures that do not move


def test_show_closes_the_figure_and_has_all_surfaces():
    figure = two_panels()
    still = plots.show(figure, alt="Two panels with three curves each.", caption="Curves & more")
    assert not plt.fignum_exists(figure.number)
    bundle = still._repr_mimebundle_()
    assert set(bundle) == {"text/html", "image/png", "text/plain"}
    assert bundle["text/plain"] == "Two panels with three curves each."
    assert 'alt="Two panels with three curves each."' in bundle["text/html"]
    assert "Curves &amp; more" in bundle["text/html"]
    image = np.asarray(Image.open(io.BytesIO(still.png())).convert("RGB"))
    assert np.array_equal(image, still.films[0].first.pixels) and image.shape[1] == 6.4 * 160


@pytest.mark.parametrize("alt", ["", "figure", None, "../_build/figure_12_0.png"])
def test_show_wants_words(alt):
    with pytest.raises(ValueError, match="expected an alt that says in words what can be seen"):
        plots.show(two_panels(), alt=alt)
