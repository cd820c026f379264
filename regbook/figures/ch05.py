"""Figures of chapter 5: the path of the minimiser over the scale."""

import math
from itertools import pairwise

import matplotlib.pyplot as plt
import numpy as np
import torch

from regbook.experiments import ch05 as experiments
from regbook.plots import COLORS, look
from regbook.text import counted, number_text
from regkit.optimize import newton_trust
from regkit.scales import Adaptive

VARIABLE_COLORS = dict(zip(experiments.VARIABLES, ("blue", "green", "vermillion"), strict=True))


# ---- the bifurcation diagram


def bifurcation(problem, curves, true, low, high, factor=10**0.5):
    """All stationary points over log θ; beside them the landscape at one θ, on the same axis of shifts."""
    shifts = torch.linspace(low, high, 141)

    def draw(figure, theta):
        left, right = figure.subplots(1, 2, sharey=True, width_ratios=[1.7, 1])
        for curve in curves:
            x, w, minimum = curve.thetas.log10(), curve.w[:, 0], curve.negative == 0
            first = curve is curves[0]
            for kind, style, label in ((minimum, "-", "minima"), (~minimum, "--", "maxima")):
                shown = torch.where(kind, w, torch.nan)
                left.plot(x, shown, style, color=COLORS["black"], lw=1.3, label=label if first else None)
            for k in curve.folds:
                left.plot(x[k], w[k], "o", ms=5, color=COLORS["purple"], label="folds" if first else None)
        here = math.log10(theta)
        left.axvline(here, color=COLORS["orange"], lw=1)
        left.set(xlabel="log₁₀ θ, from coarse to fine", ylabel="shift in cells")
        left.set(xlim=(4.1, -3.6), ylim=(low, high))
        losses = experiments.losses(problem, theta, shifts)
        right.plot(losses / losses.max(), shifts, color=COLORS["black"])
        minima = experiments.minima(problem, theta, low, high)
        for w in minima:
            loss = problem.at(theta).loss(torch.tensor([w])) / losses.max()
            right.plot(loss, w, "o", color=COLORS["green"])
            left.plot(here, w, "o", color=COLORS["green"])
        right.set(xlabel="loss / largest", xlim=(-0.05, 1.1))
        w, predicted, after = experiments.euler(problem, true, theta, factor)
        start, end = (here, w), (here - math.log10(factor), predicted)
        left.annotate("", end, start, arrowprops={"arrowstyle": "->", "color": COLORS["blue"], "lw": 2.2})
        left.plot([], [], color=COLORS["blue"], lw=2.2, label="Euler's prediction")
        left.legend(loc="upper left", fontsize=8)
        count = counted(len(minima), "minimum", "minima")
        return (
            f"θ = {number_text(theta)}: {count} in this window. The right branch is at {w:.2f}; "
            f"Euler predicts {predicted:.2f} at θ = {number_text(theta / factor)}, "
            f"where the branch is at {after:.2f}."
        )

    return draw


# ---- one prediction, in several variables


def one_step(problem, thetas, path):
    """One Euler step, seen along the way to the next minimiser, and how much of the way it misses."""
    thetas = np.asarray(thetas)

    def draw(figure, theta, factor):
        w = newton_trust(problem.at(theta), path[int(np.argmin(abs(np.log(thetas / theta))))]).x
        following = theta / factor
        way = experiments.Way(problem, w, following)
        near = (thetas <= theta * 1.8) & (thetas >= following / 1.8)
        left, right = figure.subplots(1, 2, width_ratios=[1.5, 1])
        behind = [way.along(v) for v, n in zip(path, near, strict=True) if n]
        left.plot(np.log10(thetas[near]), behind, "-", color="0.2", lw=2.5, label="the path w*(θ)")
        steps = np.geomspace(theta, following, 7)
        for name, color in VARIABLE_COLORS.items():
            line = [way.along(experiments.predictions(problem, w, theta, t)[name]) for t in steps]
            left.plot(np.log10(steps), line, "--", color=COLORS[color], label=f"straight in {name}")
            left.plot(np.log10(following), line[-1], "s", ms=6, color=COLORS[color])
        left.plot(np.log10(following), 1, "o", color="0.2")
        left.set(xlabel="log₁₀ θ, from coarse to fine", ylabel="part of the way", ylim=(-1.2, 3))
        left.invert_xaxis()
        left.legend(loc="upper left", fontsize=7.5)
        missed = experiments.misses(problem, w, theta, following)
        colors = [COLORS[color] for color in VARIABLE_COLORS.values()]
        right.bar(["θ", "θ^¼", "log θ"], list(missed.values()), color=colors)
        right.axhline(1, color="0.3", ls="--", lw=1)
        right.set(ylabel="error / error of staying", ylim=(0, 2))
        best = min(missed, key=missed.get)
        numbers = ", ".join(f"{name} {value:.2f}" for name, value in missed.items())
        step = f"From θ = {number_text(theta)} to {number_text(following)}"
        return f"{step}. Error relative to staying: {numbers}. Best: {best}."

    return draw


def orders(lengths, errors, slopes):
    """Error of Euler, Heun and Adams over the step length in log θ."""
    figure, ax = plt.subplots(figsize=(6.4, 3.4))
    for name, values in errors.items():
        label = f"{name}: slope {slopes[name]:.2f}"
        ax.loglog(lengths, values, ms=4, label=label, **look(name.lower()))
    ax.set(xlabel="step h in log θ", ylabel="error in cells")
    ax.legend()
    return figure


# ---- work


def work_plot(runs):
    """Iterations and evaluations of all runs over the number of scales."""
    figure, axes = plt.subplots(1, 2, figsize=(6.4, 3.6))
    for ax, what in zip(axes, ("iterations", "evaluations"), strict=True):
        for predictor in experiments.PREDICTORS:
            for early, style in ((False, "-"), (True, ":")):
                group = [run for (name, p), run in runs.items()
                         if p == predictor and name != "adaptive" and ("early" in name) == early]  # fmt: skip
                counts, values = [len(run.accepted) for run in group], [getattr(run, what) for run in group]
                label = f"{predictor}, early stop" if early else predictor
                if group:
                    ax.plot(counts, values, ls=style, ms=4, label=label, **look(predictor))
        for predictor, color in (("none", "sky"), ("euler", "purple")):
            run = runs["adaptive", predictor]
            ax.plot(len(run.accepted), getattr(run, what), "*", ms=11, color=COLORS[color],
                    label=f"adaptive, {predictor}")  # fmt: skip
        ax.set(xlabel="number of scales", ylabel=what, ylim=(0, None))
    axes[0].legend(loc="upper left", fontsize=7)
    axes[0].set_ylim(0, 190)
    return figure


def steps_on_path(problem, thetas, path, run):
    """How fast the minimiser moves, with the scales that the controller chose and those that it refused."""
    figure, (top, bottom) = plt.subplots(2, 1, figsize=(6.4, 4.2), sharex=True)

    def gone(ws):
        return experiments.from_the_end(problem, path, ws)

    top.semilogx(thetas, gone(path), color="0.6", lw=3, label="the path")
    done, refused = run.accepted, [step for step in run.steps if not step.accepted]
    for k, (before, after) in enumerate(pairwise(done)):
        ends = gone([before.w, after.prediction])
        top.annotate("", (after.theta, ends[1]), (before.theta, ends[0]),
                     arrowprops={"arrowstyle": "->", "color": COLORS["blue"], "lw": 1.4})  # fmt: skip
        top.plot([], [], color=COLORS["blue"], label=None if k else "predictions")
    corrected = gone([step.w for step in done])
    top.plot([step.theta for step in done], corrected, "o", color=COLORS["green"], label="corrected")
    top.set(ylabel="cells from the end")
    top.legend(loc="upper right")
    for group, color, mark, label in (
        (done[1:], "green", "o", "accepted"),
        (refused, "vermillion", "x", "refused (∞ at 100)"),
    ):
        bottom.loglog([s.theta for s in group], [min(s.error, 1e2) for s in group], mark, color=COLORS[color],
                      label=label)  # fmt: skip
    bottom.axhline(Adaptive.tolerance, color="0.3", ls="--", lw=1, label="tolerance")
    bottom.set(xlabel="θ", ylabel="error in blur widths")
    bottom.invert_xaxis()
    bottom.legend(loc="upper center", fontsize=8)
    return figure


# ---- a fold


def fold(family, thetas, drifted, run):
    """The branch that ends: integrated without correction, and with it."""
    figure, ax = plt.subplots(figsize=(6.4, 3.6))
    for low, high, style, label in ((1, 2.2, "-", "minima"), (-1, 1, "--", "maxima"), (-2.6, -1, "-", None)):
        w = np.linspace(low, high, 200)
        ax.plot(w**3 - 3 * w + 4, w, style, color=COLORS["black"], lw=1.3, label=label)
    ax.plot(2, 1, "o", color=COLORS["purple"], label="fold")
    ax.plot(thetas, drifted, "x-", color=COLORS["vermillion"], label="Euler, not corrected")
    ax.plot(run.thetas, run.path[:, 0], "s", ms=5, mfc="none", color=COLORS["blue"], label="corrected")
    for step in run.jumps:
        ax.annotate("jump", (step.theta, float(step.w)), xytext=(4, 8), textcoords="offset points")
    ax.set(xlabel="θ, from coarse to fine", ylabel="w", xlim=(4.2, 0.8), ylim=(-3.8, 5))
    ax.legend(loc="lower left", ncols=3, fontsize=8)
    return figure


def successes(methods):
    """The recorded success rates over the difficulty."""
    figure, ax = plt.subplots(figsize=(6.4, 3.6))
    colors = ("black", "sky", "green", "orange", "blue", "purple")
    for k, ((name, row), color, mark) in enumerate(zip(methods.items(), colors, "xv^Ds*", strict=True)):
        levels = np.arange(1, len(row["success"]) + 1)
        rates = 100 * np.array(row["success"])
        ax.plot(levels + 0.05 * (k - 2.5), rates, mark + "-", ms=6, lw=1.2, color=COLORS[color], label=name)
    ax.set(xlabel="difficulty", ylabel="success in %", xticks=list(levels), ylim=(-3, 105))
    ax.legend(fontsize=7.5, loc="lower left")
    return figure
