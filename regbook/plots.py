"""Colours and habits that every figure of the book shares."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.colors import LinearSegmentedColormap

from regbook.text import number_text

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

#: Errors: too dark is orange, none white, too bright blue. Half of ColorBrewer's PuOr, and half of its RdBu.
ERROR_COLORS = (
    "#7f3b08", "#b35806", "#e08214", "#fdb863", "#fee0b6",
    "#f7f7f7",
    "#d1e5f0", "#92c5de", "#4393c3", "#2166ac", "#053061",
)  # fmt: skip

ERROR_MAP = LinearSegmentedColormap.from_list("error", ERROR_COLORS)

#: Colour and mark of the methods that the book compares, by how their names begin.
LOOK = {
    "gradient descent": ("green", "s"),
    "Gauss-Newton": ("blue", "^"),
    "Newton": ("vermillion", "o"),
    "exact": ("vermillion", "o"),
    "none": ("black", "o"),
    "euler": ("blue", "s"),
    "heun": ("green", "^"),
    "adams": ("orange", "D"),
    "Kaufman": ("green", "^"),
    "Golub-Pereyra": ("purple", "D"),
    "implicit": ("blue", "s"),
    "unrolled": ("vermillion", "v"),
}

#: Colour and style of curves without a name of their own, one after the other.
LINES = (("vermillion", "o-"), ("blue", "^-"), ("green", "s-"), ("purple", "D-"), ("orange", "v-"))


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


def show(figure, *, alt: str, caption: str | None = None):
    """A figure for a page, for a phone, for the dark, and for those who cannot see it.

    As the last line of a cell it is the cell's output: ``show(figures.drift(...), alt=f"...")``. A page
    chooses between the wide and a narrow drawing, which ``regbook.explore.narrow`` makes of the figure, and a
    click enlarges it. The figure is closed, so that it is not shown twice, and afterwards it is narrow.

    Args:
        figure: a Matplotlib figure, made for a width of 6 to 7 inches.
        alt: what can be seen, in a sentence or two made of the computed values.
        caption: fixed text below it.

    Returns:
        Still: what Jupyter and the book display.

    Raises:
        ValueError: for an alt of fewer than four words.

    Example:
        >>> figure, ax = plt.subplots()
        >>> lines = ax.plot([1, 2], [3, 5])
        >>> show(figure, alt=f"A line that rises from {3} to {5}.")
        Still('A line that rises from 3 to 5.')
    """
    from regbook.explore.frames import Film, both  # not above, for they need the style
    from regbook.explore.page import Still

    if not isinstance(alt, str) or len(alt.split()) < 4:
        raise ValueError(f"expected an alt that says in words what can be seen, got {alt!r}")
    figure.set_dpi(160)
    drawings, _ = both(figure)
    plt.close(figure)
    return Still([Film(drawing, drawing) for drawing in drawings], alt, caption)


def look(name: str) -> dict[str, str]:
    """How a method is drawn, for Matplotlib: ``ax.plot(values, **look("Newton, trust region"))``.

    Args:
        name: the method's name; its beginning is what counts, and the longest that LOOK has.

    Raises:
        ValueError: if no name in LOOK begins it.
    """
    known = [key for key in LOOK if name.startswith(key)]
    if not known:
        raise ValueError(f"expected a name that begins with one of {', '.join(LOOK)}, got {name!r}")
    color, mark = LOOK[max(known, key=len)]
    return {"color": COLORS[color], "marker": mark}


# ----------------------------------------------------------------------------------------- images


def show_image(ax, image, grid, vmin=None, vmax=None, cmap: str = "gray", title: str | None = None):
    """Draw ``image`` (m₁, m₂) on ``ax``: image[i, j] at x = (i+½)h₁ to the right, y = (j+½)h₂ upwards.

    The axes are in the units of ``grid.extent``.

    Returns:
        AxesImage: Matplotlib's image, for a colour bar.

    Raises:
        ValueError: if the image does not have the shape of the grid.
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


def bare(*axes) -> None:
    """Leave only what is drawn: no ticks, no frame, no grid."""
    for ax in axes:
        ax.set(xticks=[], yticks=[])
        ax.spines[:].set_visible(False)
        ax.grid(False)


def image(ax, values, grid, title: str | None = None, *, low=0.0, high=255.0, cmap: str = "gray"):
    """A picture without axes.

    Args:
        ax: axes to draw on.
        values (grid.shape, or as many in a row): the image.
        grid: where its cells lie.
        title: what it is.
        low, high: values drawn black and white, or at the ends of ``cmap``.
        cmap: Matplotlib's name of the colours.

    Returns:
        AxesImage: Matplotlib's image, for a colour bar.
    """
    bare(ax)
    return show_image(ax, values.reshape(grid.shape), grid, low, high, cmap, title)


def overlay(ax, reference, template, grid, title=None):
    """Two images in one picture: reference orange, template blue, both white.

    Args:
        ax: where to draw.
        reference, template (m₁, m₂, grey values from 0 to 255): the images, on the same grid.
        grid: their box.
        title: of the panel.
    """
    r, t = (np.clip(np.asarray(picture) / 255, 0, 1).T[..., None] for picture in (reference, template))
    colour = r * np.array([1.0, 0.62, 0.1]) + t * np.array([0.0, 0.38, 0.9])
    ax.imshow(colour.clip(0, 1), origin="lower", extent=(0, grid.extent[0], 0, grid.extent[1]))
    bare(ax)
    if title:
        ax.set_title(title)


def error(ax, difference, grid, span: float, title: str | None = "error"):
    """A picture of errors, or of whatever has two signs: −span is orange, 0 is white, +span is blue.

    An image minus the true one is orange where it is too dark and blue where it is too bright. The two ends
    stand beside the title, in their colours.

    Args:
        ax: axes to draw on.
        difference (grid.shape, or as many in a row): the errors.
        grid: where the cells lie.
        span: the size of error that gets the full colour.
        title: what it is.

    Returns:
        AxesImage: Matplotlib's image, for a colour bar.
    """
    drawn = image(ax, difference, grid, title, low=-span, high=span, cmap=ERROR_MAP)
    ax.spines[:].set(visible=True, color="#aab2ba", linewidth=0.8)
    for side, sign, color in (("left", "−", ERROR_COLORS[1]), ("right", "+", ERROR_COLORS[-2])):
        ax.set_title(f"{sign}{number_text(span)}", loc=side, color=color, fontsize=9)
    return drawn


# ----------------------------------------------------------------------------------------- curves


def taylor(ax, tests: Mapping, orders: Sequence[int] = (0, 1), looks=None) -> None:
    """Remainders of Taylor tests over the step, on logarithmic axes, with the slopes that were measured.

    Args:
        ax: axes to draw on.
        tests: name ↦ what ``regkit.checks.taylor_test`` returns.
        orders: the terms after which the remainder is drawn, 0 for the value.
        looks: (colour, style) of each curve, a test's curves one after the other; LINES if not given.
    """
    curves = [(name, test, q) for name, test in tests.items() for q in orders]
    for (name, test, q), (color, style) in zip(curves, looks or LINES, strict=False):
        parts = [name] * (len(tests) > 1 or len(orders) == 1) + [f"after term {q}"] * (len(orders) > 1)
        label = f"{', '.join(parts)}: slope {test.slopes[q]:.2f}"
        ax.loglog(test.steps, test.errors[q], style, ms=4, color=COLORS[color], label=label)
    ax.set(xlabel="step h")
    ax.legend()


def taylor_panels(tests: Mapping, orders: Sequence[int] = (0, 1, 2), size=(6.8, 3.3)):
    """A figure with a panel for each Taylor test, down to where rounding hides everything.

    Args:
        tests: title ↦ what ``regkit.checks.taylor_test`` returns.
        orders: the terms after which the remainder is drawn.
        size (inches): of the figure.
    """
    figure, axes = plt.subplots(1, len(tests), figsize=size, squeeze=False)
    for ax, (name, test) in zip(axes[0], tests.items(), strict=True):
        taylor(ax, {name: test}, orders)
        largest = float(test.errors[0].max())
        ax.set(
            title=name, ylim=(largest * 1e-16, largest * 1e7)
        )  # above the curves there is room for the legend
        ax.legend(loc="upper left", fontsize=9)
    axes[0, 0].set_ylabel("remainder")
    return figure


def taylor_words(tests: Mapping, orders: Sequence[int] = (0, 1, 2)) -> str:
    """What ``taylor`` and ``taylor_panels`` show, in words, for ``show``.

    Args:
        tests: title ↦ what ``regkit.checks.taylor_test`` returns.
        orders: the terms after which the remainder is drawn.
    """
    said = []
    for name, test in tests.items():
        terms = ", ".join(f"{test.slopes[q]:.2f} after term {q}" for q in orders)
        said.append(f"{name}: slope {terms}.")
    return f"Taylor remainders over the step on logarithmic axes. {' '.join(said)}"


def family(ax, curves: Mapping, chosen=None, *, others="0.75", label: str | None = None, **line) -> None:
    """Many curves in grey, and the chosen one on top of them in colour.

    Args:
        ax: axes to draw on; set its scales before.
        curves: key ↦ (x, y).
        chosen: the key of the one to be seen, or None.
        others: grey of the others.
        label: name of the chosen one in the legend.
        line: how it is drawn, in Matplotlib's words.
    """
    for key, (x, y) in curves.items():
        if key != chosen:
            ax.plot(x, y, color=others, lw=1)
    if chosen in curves:
        ax.plot(*curves[chosen], **{"color": COLORS["vermillion"], "label": label, **line})


def powers(axis, exponents: Sequence[int]) -> None:
    """Ticks at powers of ten, written without mathtext, which takes most of the time of a frame.

    Args:
        axis: ``ax.xaxis`` or ``ax.yaxis``, logarithmic.
        exponents: of ten.
    """
    axis.set_ticks([10.0**k for k in exponents], [number_text(10.0**k) for k in exponents])
    axis.set_ticks([], minor=True)


def spectrum(ax, sigma, weak: float, least: float = 1e-7) -> None:
    """Singular values in falling order, and the line below which they are called weak.

    Args:
        ax: axes to draw on.
        sigma (n,): the singular values, the largest first, of a size of about one.
        weak: the line, as a part of the largest.
        least: values below it are drawn at the bottom.
    """
    values = np.asarray(sigma)
    line = weak * values[0]
    ax.semilogy(np.arange(1, len(values) + 1), values.clip(1.2 * least), ".", ms=4, color=COLORS["blue"])
    ax.axhline(line, color=COLORS["orange"], ls="--", lw=1.3)
    words = f"weak: below {number_text(weak)}\nof the largest"
    ax.text(0.02 * len(values), 0.7 * line, words, va="top", fontsize=9)
    ax.set(xlabel="number", ylabel="singular value", xlim=(0, 1.025 * len(values)), ylim=(least, 3))
    powers(ax.yaxis, range(0, int(np.floor(np.log10(least))), -2))


def dots(ax, values: Mapping[str, float], colors: Sequence[str], text=number_text) -> None:
    """Numbers of very different sizes, a dot a row on a logarithmic axis, each with its text to the right.

    A bar would say that its length counts; on such an axis it has no beginning.

    Args:
        ax: axes to draw on.
        values: name of the row ↦ its number, from below upwards.
        colors: names in COLORS, one a row.
        text: function from a number to its text.
    """
    ax.set(xscale="log", ylim=(-0.6, len(values) - 0.4))
    ax.set_yticks(range(len(values)), list(values))
    for k, (value, color) in enumerate(zip(values.values(), colors, strict=True)):
        ax.plot(value, k, "o", ms=9, color=COLORS[color])
        ax.annotate(text(value), (value, k), (9, 0), textcoords="offset points", va="center")
