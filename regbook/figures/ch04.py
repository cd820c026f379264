"""Figures of chapter 4: why blurring helps."""

from functools import cache, partial

import matplotlib.pyplot as plt
import numpy as np

from regbook.experiments import ch04 as experiments
from regbook.plots import COLORS, error, image, overlay
from regbook.text import counted, number_text, signed
from regkit import evaluate


def signals(ax, problem, theta):
    """Template and reference of a 1-D problem, blurred."""
    x = problem.grid.points()
    for basis, name, color in zip(
        problem.bases, ("template", "reference"), ("blue", "vermillion"), strict=True
    ):
        ax.plot(x, evaluate(basis.coefficients(theta), problem.grid, x), color=COLORS[color], label=name)


def comb(problem, shifts):
    """Two 1-D signals at a scale, and the loss over the shift between them."""

    def draw(figure, theta):
        losses, minima = experiments.landscape_1d(problem, shifts, theta)
        top, bottom = figure.subplots(2, 1)
        signals(top, problem, theta)
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


def drift(problem, places):
    """Both signals, blurred, and where the right minimum lies: ``places`` of ``experiments.drift``."""

    def draw(figure, theta):
        top, bottom = figure.subplots(2, 1)
        signals(top, problem, theta)
        top.set(xlabel="x in cells", ylabel="grey value", ylim=(-0.05, 1.1))
        top.legend(loc="upper right", ncols=2)
        place = float(np.interp(np.log(theta), np.log(list(places)), list(places.values())))
        bottom.semilogx(list(places), list(places.values()), "o-", ms=4, color=COLORS["blue"])
        bottom.axhline(10, color=COLORS["orange"], ls="--", label="true shift")
        bottom.plot([theta], [place], "o", ms=10, color=COLORS["vermillion"], label="the minimum")
        bottom.set(xlabel="θ", ylabel="shift in cells", ylim=(5, 11.5))
        bottom.legend(loc="lower left")
        return signed(f"θ = {number_text(theta)}: the minimum is at {place:.2f}, {place - 10:+.2f} off.")

    return draw


def ripples(x, curves):
    """One bump before and after the blur, with its extrema, and enlarged: ``curves`` name ↦ values."""
    figure, axes = plt.subplots(1, 2, figsize=(6.4, 2.7))
    for (name, values), color in zip(curves.items(), ("grey", "blue"), strict=True):
        at = experiments.extrema(values)
        for ax in axes:
            ax.plot(x, values, color=COLORS[color], label=name)
            ax.plot(x[at], values[at], "o", ms=5, color=COLORS[color])
            ax.set(xlabel="cells from the middle")
    axes[0].set(ylabel="grey value", title="whole", ylim=(-0.1, 1.45))
    axes[0].legend(loc="upper right")
    axes[1].set(ylim=(-0.025, 0.025), title="enlarged")
    return figure


def landscape_2d(problem, angles, shifts, truth):
    """The landscape over two parameters, as contours, with its local minima."""
    seen = cache(partial(experiments.landscape_2d, problem, angles, shifts))

    def draw(figure, theta):
        found, ax = seen(theta), figure.subplots()
        losses = np.vstack([found.losses, found.losses[:1]])  # the last angle is the first
        turns = np.degrees([*angles, angles[0] + 2 * np.pi])
        filled = ax.contourf(turns, shifts, losses.T / losses.max(), levels=18, cmap="cividis")
        figure.colorbar(filled, label="loss / largest")
        ax.plot(np.degrees(found.valleys[:, 0]), found.valleys[:, 1], "o", color="white", mec="black",
                label="local minima")  # fmt: skip
        ax.plot(
            np.degrees(truth[0]), truth[1], "*", ms=14, color=COLORS["orange"], mec="black", label="true map"
        )
        ax.set(xlabel="rotation in degrees", ylabel="shift in cm")
        ax.legend(loc="lower center", ncols=2, bbox_to_anchor=(0.5, 1.0))
        deepest = np.degrees(float(found.valleys[found.depths.argmin(), 0]))
        count = counted(len(found.valleys), "local minimum", "local minima")
        return signed(f"{count}; the deepest at {deepest:.0f}°.")

    return draw, seen


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
        bars.bar(["evaluations"], [evaluations], color=COLORS["green" if good else "vermillion"])
        bars.set(ylim=(0, 120), title="work")
        verdict = "Found" if good else "Lost"
        return f"{verdict}: mean error of the map {off:.2f} cells, after {evaluations} evaluations. " + (
            f"One scale is θ = {least:g} alone." if scales == 1 else ""
        )

    return draw


def lying(problem, places, shifts):
    """The two pictures, and landscapes from coarse to fine with the place where the run stands in each."""
    figure, axes = plt.subplots(1 + len(places), 1, figsize=(6.4, 1.7 * (1 + len(places))))
    signals(axes[0], problem, min(places))
    axes[0].set(title="the two pictures", xlabel="x in cells")
    axes[0].legend(loc="upper right")
    for ax, (theta, place) in zip(axes[1:], places.items(), strict=True):
        losses, _ = experiments.landscape_1d(problem, shifts, theta)
        ax.plot(shifts, losses / losses.max(), color=COLORS["black"])
        here = np.interp(place, shifts, losses / losses.max())
        ax.plot([place], [here], "o", ms=9, color=COLORS["vermillion"], label="the run")
        ax.axvline(0, color=COLORS["orange"], ls="--", label="the texture's shift")
        ax.set(title=f"loss at θ = {number_text(theta)}", xlim=(-15, 30), ylim=(-0.05, 1.1), yticks=(0, 1))
    axes[1].legend(loc="upper center")
    axes[-1].set_xlabel("shift in cells")
    return figure


def rows(pair, problem, results):
    """Figure 2 of the paper: what each way makes of the template, and what is left of the difference."""
    moved = experiments.moved(problem)
    everything = {"before": problem.transform.identity(), **results}
    figure, axes = plt.subplots(2, len(everything), figsize=(6.4, 5.6))
    for (above, below), (name, w) in zip(axes.T, everything.items(), strict=True):
        template = moved(w)
        image(above, template, pair.grid, name)
        error(below, template - pair.reference, pair.grid, 255, None)
    return figure


def basins(degrees, strips):
    """Which starts succeed, over the angle of the start: one line a way of registering."""
    figure, axes = plt.subplots(len(strips), 1, figsize=(6.4, 0.6 + 0.72 * len(strips)), sharex=True)
    for ax, (name, way) in zip(axes, strips.items(), strict=True):
        colors = [COLORS["green"] if home else "#c9cdd1" for home in way.home]
        ax.bar(degrees, 1, width=degrees[1] - degrees[0], color=colors, edgecolor="white", linewidth=0.6)
        ax.set(yticks=(), ylim=(0, 1), xticks=range(-180, 181, 60))
        ax.set_title(f"{name}: {sum(way.home)} of {len(way.home)}, work {way.work:.0f}", fontsize=10)
        ax.grid(False)
    axes[-1].set_xlabel("rotation of the start, degrees from the true one")
    return figure


def leap(run, thetas):
    """Where a run stands after each scale, and the hands as it has placed them after some of them."""
    figure = plt.figure(figsize=(6.4, 5.2))
    top, bottom = figure.subfigures(2, 1, height_ratios=[1, 1])
    ax = top.subplots()
    for scales, line in zip(run.paths, ({"marker": "o"}, {"lw": 1, "ls": "--"}), strict=True):
        path, color = run.paths[scales], COLORS["blue" if "marker" in line else "orange"]
        ax.semilogx(path.thetas, run.turns(scales), color=color, label=f"{scales} scales", **line)
    ax.axhline(0, color=COLORS["green"], lw=1)
    ax.set(xlabel="θ, from coarse to fine", ylabel="turned, in degrees", ylim=(-190, 40))
    ax.set_yticks(range(-180, 1, 60))
    ax.invert_xaxis()
    ax.legend(loc="lower right")
    first, moved = next(iter(run.paths.values())).accepted, experiments.moved(run.problem)
    for panel, theta in zip(bottom.subplots(1, len(thetas)), thetas, strict=True):
        step = min(first, key=lambda step: abs(np.log(step.theta / theta)))
        title = f"after θ = {number_text(step.theta)}"
        overlay(panel, run.pair.reference, moved(step.w), run.pair.grid, title)
    return figure


def success(run):
    """Success rates over the difficulty of the pair, one line a method."""
    turned = run["about"]["turned_by_at_most_degrees"]
    figure, ax = plt.subplots(figsize=(6.4, 4.0))
    styles = zip("os^vDP", ("vermillion", "orange", "blue", "green", "purple", "sky"), strict=True)
    for (name, method), (mark, color) in zip(run["methods"].items(), styles, strict=True):
        ax.plot(turned, 100 * np.array(method["success"]), f"{mark}-", ms=5, color=COLORS[color], label=name)
    ax.set(xlabel="turned by at most, degrees (clutter grows with it)", ylabel="success in %", ylim=(0, 105))
    ax.set_xticks(turned)
    ax.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=2, fontsize=9)
    return figure
