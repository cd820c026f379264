"""Figures of chapter 4: why blurring helps."""

import matplotlib.pyplot as plt
import numpy as np

from regbook.experiments import ch04 as experiments
from regbook.plots import COLORS, error, image
from regbook.text import counted, number_text
from regkit import SmoothingBasis, evaluate


def comb(problem, shifts):
    """Two 1-D signals at a scale, and the loss over the shift between them."""
    x = problem.grid.points()
    bases = SmoothingBasis(problem.template), SmoothingBasis(problem.reference)

    def draw(figure, theta):
        losses, minima = experiments.landscape_1d(problem, shifts, theta)
        top, bottom = figure.subplots(2, 1)
        for basis, name, color in zip(bases, ("template", "reference"), ("blue", "vermillion"), strict=True):
            top.plot(x, evaluate(basis.coefficients(theta), problem.grid, x), color=COLORS[color], label=name)
        top.set(xlabel="x in cells", ylabel="grey value", ylim=(-0.05, 1.1))
        top.legend(loc="upper right", ncols=2)
        bottom.plot(shifts, losses / losses.max(), color=COLORS["black"])
        at = experiments.local_minima(losses)
        bottom.plot(shifts[at], (losses / losses.max())[at], "o", color=COLORS["green"], label="local minima")
        bottom.axvline(10, color=COLORS["orange"], ls="--", label="true shift")
        bottom.set(xlabel="shift in cells", ylabel="loss / largest", ylim=(-0.05, 1.1))
        bottom.legend(loc="lower right")
        nearest = minima[(minima - 10).abs().argmin()] if len(minima) else float("nan")
        count = counted(len(minima), "local minimum", "local minima")
        return f"θ = {number_text(theta)}: {count}. The one nearest to the true shift is at {nearest:.2f}."

    return draw


def drift(places):
    """Where the right minimum lies over θ."""
    figure, ax = plt.subplots(figsize=(6.4, 2.8))
    ax.semilogx(list(places), list(places.values()), "o-", color=COLORS["blue"])
    ax.axhline(10, color=COLORS["orange"], ls="--", label="true shift")
    ax.set(xlabel="θ", ylabel="shift of the minimum")
    ax.legend()
    return figure


def landscape_2d(problem, angles, shifts, truth):
    """The landscape over two parameters, as contours, with its local minima."""
    known = {}

    def draw(figure, theta):
        if theta not in known:
            known[theta] = experiments.landscape_2d(problem, angles, shifts, theta)
        values = known[theta] / known[theta].max()
        ax = figure.subplots()
        filled = ax.contourf(np.degrees(angles), shifts, values.T, levels=18, cmap="cividis")
        figure.colorbar(filled, label="loss / largest")
        low = experiments.valleys(values)
        ax.plot(np.degrees(angles)[low[:, 0]], np.array(shifts)[low[:, 1]], "o", color="white", mec="black",
                label="local minima")  # fmt: skip
        ax.plot(
            np.degrees(truth[0]), truth[1], "*", ms=14, color=COLORS["orange"], mec="black", label="true map"
        )
        ax.set(xlabel="rotation in degrees", ylabel="shift in cm")
        ax.legend(loc="upper right", framealpha=0.9, frameon=True)
        deepest = np.degrees(angles)[int(values.argmin()) // len(shifts)]
        return f"{len(low)} local minima in this window; the deepest at {deepest:.0f}°."

    return draw


def schedule(problem, pair, least=1e-3):
    """Register through a schedule of the reader's own: what comes out, and what it costs."""
    moved = experiments.moved(problem)

    def draw(figure, coarsest, scales):
        w, evaluations = experiments.schedule(problem, coarsest, scales, least)
        left, middle, bars = figure.subplots(1, 3, width_ratios=[1, 1, 0.8])
        image(left, moved(w), pair.grid, "template, moved")
        image(middle, pair.reference, pair.grid, "reference")
        off = experiments.map_error(pair, w)
        good = off < 0.5
        bars.bar(["Hessians"], [evaluations], color=COLORS["green" if good else "vermillion"])
        bars.set(ylim=(0, 120), title="work")
        verdict = "Found" if good else "Lost"
        return f"{verdict}: mean error of the map {off:.2f} cells, after {evaluations} Hessians. " + (
            f"One scale is θ = {least:g} alone." if scales == 1 else ""
        )

    return draw


def rows(pair, problem, results):
    """Figure 2 of the paper: what each way of registering makes of the template."""
    moved = experiments.moved(problem)
    figure, axes = plt.subplots(len(results) + 1, 3, figsize=(6.4, 2.6 * (len(results) + 1)))
    everything = {"before": problem.transform.identity(), **results}
    for (left, middle, right), (name, w) in zip(axes, everything.items(), strict=True):
        template = moved(w)
        image(left, template, pair.grid, f"{name}: template")
        image(middle, pair.reference, pair.grid, "reference")
        error(right, template - pair.reference, pair.grid, 255, "difference")
    return figure


def basins(degrees, errors, limit=0.5):
    """Which starts succeed: mean error of the map over the start angle, one line a way of registering."""
    figure, axes = plt.subplots(len(errors), 1, figsize=(6.4, 1.1 + 0.75 * len(errors)), sharex=True)
    for ax, (name, values) in zip(axes, errors.items(), strict=True):
        good = np.array(values) < limit
        ax.bar(degrees, 1, width=degrees[1] - degrees[0],
               color=[COLORS["green"] if ok else COLORS["grey"] for ok in good])  # fmt: skip
        ax.set(yticks=(), ylim=(0, 1), title=f"{name}: {good.sum()} of {len(good)} starts find the true map")
        ax.grid(False)
    axes[-1].set_xlabel("rotation of the start, degrees from the true one")
    return figure


def success(run):
    """Success rates over the difficulty of the pair, one line a method."""
    turned = run["about"]["turned_by_at_most_degrees"]
    figure, ax = plt.subplots(figsize=(6.4, 3.4))
    styles = zip("os^vDP", ("vermillion", "orange", "blue", "green", "purple", "sky"), strict=True)
    for (name, method), (mark, color) in zip(run["methods"].items(), styles, strict=True):
        ax.plot(turned, 100 * np.array(method["success"]), f"{mark}-", ms=5, color=COLORS[color], label=name)
    ax.set(xlabel="turned by at most, degrees (clutter grows with it)", ylabel="success in %", ylim=(0, 105))
    ax.set_xticks(turned)
    ax.legend(fontsize=8)
    return figure
