"""Figures of chapter 11: what grows with p, hands that bend, a fold, flows, and a solid."""

import matplotlib.pyplot as plt
import numpy as np
import torch
from matplotlib.collections import LineCollection
from matplotlib.ticker import NullLocator

from regbook.experiments.ch11 import THETA, flow_of, smallest_determinant, swirl
from regbook.plots import COLORS, bare, error, image, powers
from regbook.text import counted, number_text, signed
from regkit.spline import coefficients, evaluate

LOOKS = {
    "gradient": ("blue", "^-"),
    "product with H": ("green", "s-"),
    "Jacobian": ("orange", "D-"),
    "Hessian": ("vermillion", "o-"),
}
WITH, WITHOUT = "with preconditioner", "without"


def grid_lines(ax, y, every=3, **line):
    """The lines of a grid where a map takes them, for y (m₁, m₂, 2)."""
    y = np.asarray(y)
    rows = [*y[every // 2 :: every], *y.transpose(1, 0, 2)[every // 2 :: every]]
    ax.add_collection(LineCollection(rows, **{"color": COLORS["orange"], "lw": 0.8, **line}))


def moved(bent, w):
    """The template under the map, of the shape of the grid."""
    grid = bent.pair.grid
    values = evaluate(coefficients(bent.pair.template, THETA), grid, bent.transform(w, grid.points()))
    return values.reshape(grid.shape)


def folds_words(fit):
    """How many cells are folded, in words."""
    return f"{counted(fit.folded, 'cell is', 'cells are')} folded" if fit.folded else "nothing is folded"


# ---- what grows with p


def prices(costs, products):
    """Prices of derivatives in runs of the loss, and iterations of CG in a Newton step, over p."""
    numbers = list(costs)

    def draw(figure, p):
        p = min(numbers, key=lambda known: abs(np.log(known / p)))
        left, right = figure.subplots(1, 2, width_ratios=[1.35, 1])
        for name, (color, style) in LOOKS.items():
            values = [costs[k][name] for k in numbers]
            left.loglog(numbers, values, style, ms=5, color=COLORS[color], label=name)
        for k, (name, color) in enumerate(((WITH, "green"), (WITHOUT, "grey"))):
            right.loglog(
                numbers, [products[n][k] for n in numbers], "s-", ms=5, color=COLORS[color], label=name
            )
        for ax in (left, right):
            ax.axvline(p, color="0.6", lw=1, ls="--")
            ax.set(xlabel="parameters p", xlim=(30, 9e4))
            powers(ax.xaxis, range(2, 5))
        left.set(ylabel="runs of the loss", ylim=(1, 1e6))
        powers(left.yaxis, range(0, 7, 2))
        right.set(ylim=(1, 2e3), title="products in one step")
        powers(right.yaxis, range(4))
        for ax in (left, right):
            ax.legend(loc="upper left", fontsize=9)
        at, count = costs[p], products[p][0]
        whole = at["Hessian"] / at["gradient"]
        free = count * at["product with H"] / at["gradient"]
        return (
            f"With {counted(p, 'parameter')}: a gradient costs {at['gradient']:.1f} runs of the loss, "
            f"a product {at['product with H']:.1f}, the whole Hessian as much as {round(whole):,} gradients. "
            f"A step by {counted(count, 'product')} costs as much as {number_text(free)} gradients."
        )

    return draw


# ---- hands that bend


def weakening(bent, fits):
    """The map for a strength, where it takes a grid, and three measures of it over all strengths."""
    known, grid = {fit.alpha: fit for fit in fits}, bent.pair.grid
    alphas = [fit.alpha for fit in fits]
    shown = (
        ("left", "squared difference\nleft, %", [fit.left for fit in fits], (1, 100)),
        ("miss", "distance to the\ntrue map, mm", [10 * fit.miss for fit in fits], (0.3, 6)),
        ("least", "smallest det ∇y", [fit.least for fit in fits], (-1.3, 1.4)),
    )

    def fit_for(alpha):
        if alpha not in known:
            stronger = [known[a] for a in known if a > alpha]
            known[alpha] = bent.fit(alpha, min(stronger, key=lambda fit: fit.alpha, default=None))
        return known[alpha]

    def draw(figure, alpha):
        fit = fit_for(alpha)
        top, bottom = figure.subfigures(2, 1, height_ratios=[1.35, 1])
        under, left_over, off = top.subplots(1, 3)
        y = bent.transform(fit.w, grid.points())
        image(under, bent.pair.template, grid, "template and grid y(x)")
        grid_lines(under, y.reshape(*grid.shape, 2))
        under.set(xlim=(0, grid.extent[0]), ylim=(0, grid.extent[1]))
        error(left_over, moved(bent, fit.w) - bent.pair.reference, grid, 60, "difference")
        miss = torch.where(bent.inside, 10 * bent.miss(fit.w), torch.nan)
        image(off, miss, grid, "off the true\nmap, 0 to 5 mm", high=5.0, cmap="viridis")
        values = {"left": fit.left, "miss": 10 * fit.miss, "least": fit.least}
        for ax, (name, title, all_values, limits) in zip(bottom.subplots(1, 3), shown, strict=True):
            ax.plot(alphas, all_values, color="0.6", lw=1.4)
            ax.plot(alpha, values[name], "o", color=COLORS["vermillion"], ms=8)
            ax.set(xscale="log", xlim=(2e1, 5e-7), xlabel="α, weaker →", ylim=limits, title=title)
            powers(ax.xaxis, (0, -3, -6))
            if name == "least":
                ax.axhline(0, color=COLORS["vermillion"], ls="--", lw=1.3)
            else:
                ax.set_yscale("log")
                marks = (1, 10, 100) if name == "left" else (0.5, 1, 2, 5)
                ax.set_yticks(marks, [str(mark) for mark in marks])
                ax.yaxis.set_minor_locator(NullLocator())
        return signed(
            f"Of the squared difference {fit.left:.1f} % are left. The map is {10 * fit.miss:.2f} mm off "
            f"in the mean. The smallest det ∇y is {fit.least:.2f}: {folds_words(fit)}."
        )

    return draw


def folded(bent, fit, half=2.0):
    """The place in the hand where a map is folded most: the grid there, and the cells that are folded."""
    grid, x = bent.pair.grid, bent.pair.grid.points()
    det = bent.transform.determinant(fit.w, grid).reshape(-1)
    at = x[int(torch.where(bent.inside, det, torch.inf).argmin())]
    ends = [torch.linspace(float(c) - half, float(c) + half, 57, dtype=x.dtype) for c in at]
    fine = torch.stack(torch.meshgrid(*ends, indexing="ij"), -1).reshape(-1, 2)
    figure, (cells, whole, close) = plt.subplots(1, 3, figsize=(7.2, 3.1))
    image(cells, bent.pair.reference, grid, "reference, and\ncells that fold")
    cells.plot(*x[det <= 0].T, "s", ms=2.5, color=COLORS["vermillion"])
    image(whole, bent.pair.template, grid, "template and\ngrid y(x)")
    grid_lines(whole, bent.transform(fit.w, x).reshape(*grid.shape, 2))
    z = bent.transform(fit.w, fine).reshape(57, 57, 2)
    image(close, bent.pair.template, grid, "the same where\nthe hand is worst")
    grid_lines(close, z, every=4, lw=1.1)
    middle = z[28, 28]
    for ax, (low, high) in (
        (whole, (torch.zeros(2), torch.tensor(grid.extent))),
        (close, (middle - half, middle + half)),
    ):
        ax.set(xlim=(float(low[0]), float(high[0])), ylim=(float(low[1]), float(high[1])))
    return figure


# ---- flows


def whirl(steps, grid):
    """Where a whirl takes a grid in so many steps, and the smallest det ∇y over the steps."""
    x, known = grid.points(), {}

    def squeezed(values):
        return np.sign(values) * np.log10(1 + np.abs(values))

    def least(speed, count):
        if (speed, count) not in known:
            known[speed, count] = smallest_determinant(flow_of(count), swirl(speed), x)
        return known[speed, count]

    def draw(figure, speed, count):
        left, right = figure.subplots(1, 2, width_ratios=[1, 1.1])
        y = flow_of(count)(swirl(speed), x).reshape(*grid.shape, 2)
        grid_lines(left, y, every=2, color=COLORS["blue"])
        left.set(xlim=(-4, 24), ylim=(-2, 27), aspect="equal", title="where the grid goes")
        bare(left)
        right.axhline(0, color=COLORS["vermillion"], ls="--", lw=1.3)
        right.text(16, -0.12, "folded", color=COLORS["vermillion"], fontsize=9, ha="right", va="top")
        values = np.array([least(speed, k) for k in steps])
        right.plot(steps, squeezed(values), "o-", ms=4, color="0.6")
        right.plot(count, squeezed(least(speed, count)), "o", ms=8, color=COLORS["vermillion"])
        marks = [-100, -10, -1, 0, 1]
        right.set_xscale("log")
        right.set_yticks(squeezed(np.array(marks)), [signed(str(mark)) for mark in marks])
        right.set(xlabel="steps", title="smallest det ∇y", ylim=(-2.5, 0.6))
        right.set_xticks([1, 2, 4, 8, 16], ["1", "2", "4", "8", "16"])
        right.xaxis.set_minor_locator(NullLocator())
        here = least(speed, count)
        said = "the map is folded" if here <= 0 else "nothing is folded"
        return signed(f"In {counted(int(count), 'step')}: the smallest det ∇y is {here:.2f}, and {said}.")

    return draw


def memory(kept):
    """Megabytes of a flow's gradient over its steps."""
    steps = [int(count) for count in kept]
    figure, ax = plt.subplots(figsize=(6.4, 3.0))
    for name, key, color, style in (
        ("reverse mode as it is", "plain", "vermillion", "o-"),
        ("few points kept", "few", "blue", "s-"),
    ):
        ax.loglog(steps, [row[key] / 1e6 for row in kept.values()], style, color=COLORS[color], label=name)
    ax.set(xlabel="steps", ylabel="megabytes", ylim=(0.3, 500))
    ax.set_xticks(steps, [str(count) for count in steps])
    ax.xaxis.set_minor_locator(NullLocator())
    powers(ax.yaxis, range(3))
    ax.legend(loc="upper left")
    return figure


# ---- a solid


def slices(bent, fit):
    """A slice of the reference, and what template and moved template differ from it."""
    pair, (width, _, height) = bent.pair, bent.pair.grid.extent
    found = moved(bent, fit.w)
    box = type(pair.grid)((width, height), (pair.grid.shape[0], pair.grid.shape[2]))
    inside = bent.miss(fit.w).reshape(pair.grid.shape), bent.inside.reshape(pair.grid.shape)

    def draw(figure, slice):
        k = min(int(slice), pair.grid.shape[1]) - 1
        panels = figure.subplots(1, 3)
        image(panels[0], pair.reference[:, k], box, "reference")
        error(panels[1], (pair.template - pair.reference)[:, k], box, 120, "before")
        error(panels[2], (found - pair.reference)[:, k], box, 120, "after")
        before, after = (
            float((picture - pair.reference)[:, k].square().mean().sqrt())
            for picture in (pair.template, found)
        )
        off = inside[0][:, k][inside[1][:, k]]
        way = f", and the map is {10 * float(off.mean()):.1f} mm off" if len(off) else ""
        return (
            f"Slice {k + 1} of {pair.grid.shape[1]}: the images differ by {before:.1f} grey values before "
            f"and by {after:.1f} after{way}."
        )

    return draw
