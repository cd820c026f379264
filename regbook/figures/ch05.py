"""Figures of chapter 5: the path of the minimiser over the scale."""

import math
from itertools import pairwise

import matplotlib.pyplot as plt
import numpy as np
import scipy.optimize
import torch

from regbook import records
from regbook.plots import COLORS
from regbook.text import counted
from regkit.branches import arclength
from regkit.continuation import Adaptive, follow, length, tangent
from regkit.optimize import newton_trust

# s(θ) and ds/dθ of the variables that a prediction may be straight in
VARIABLES = {
    "θ": (lambda t: t, lambda t: 1.0),
    "blur width θ^¼": (lambda t: t**0.25, lambda t: 0.25 * t**-0.75),
    "log θ": (math.log, lambda t: 1 / t),
}
LOOK = dict(zip(VARIABLES, ("blue", "green", "vermillion"), strict=True))


def minimisers(problem, thetas, w):
    """w*(θ) at decreasing θ, shape (k, p), each found from the one before."""
    path = []
    for theta in thetas:
        w = newton_trust(problem.at(theta), w).x
        path.append(w)
    return torch.stack(path)


# ---- the bifurcation diagram


def stationary(problem, theta, low, high, count=400):
    """All stationary points w in [low, high] of a problem with one parameter, as (w, J″(w)): J″ > 0 at a
    minimum. They are found where J′ changes sign between two of ``count`` equidistant points.
    """
    objective = problem.at(theta)

    def slope(w):
        return float(objective.gradient(torch.tensor([w], dtype=torch.float64)))

    grid = np.linspace(low, high, count)
    signs = np.sign([slope(w) for w in grid])
    found = [
        scipy.optimize.brentq(slope, *grid[k : k + 2], xtol=1e-12) for k in np.flatnonzero(np.diff(signs))
    ]
    return [(w, float(objective.hessian(torch.tensor([w], dtype=torch.float64)))) for w in found]


def branches(problem, low, high, least=1e-3):
    """Every minimum at the scale ``least``, followed upwards and around its fold."""
    starts = [w for w, curvature in stationary(problem, least, low, high, count=90) if curvature > 0]
    return [
        arclength(problem, least, torch.tensor([w]), step=0.4, count=90, low=least, upwards=True)
        for w in starts
    ]


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
        objective, points = problem.at(theta), stationary(problem, theta, low, high, count=90)
        losses = torch.stack([objective.loss(shift[None]) for shift in shifts])
        right.plot(losses / losses.max(), shifts, color=COLORS["black"])
        minima = [w for w, curvature in points if curvature > 0]
        for w in minima:
            loss = objective.loss(torch.tensor([w])) / losses.max()
            right.plot(loss, w, "o", color=COLORS["green"])
            left.plot(here, w, "o", color=COLORS["green"])
        right.set(xlabel="loss / largest", xlim=(-0.05, 1.1))
        k = int((true.thetas - theta).abs().argmin())
        w = newton_trust(objective, true.w[k]).x
        step = -math.log(factor) * float(tangent(problem, w, theta))
        start, end = (here, float(w)), (here - math.log10(factor), float(w) + step)
        left.annotate("", end, start, arrowprops={"arrowstyle": "->", "color": COLORS["blue"], "lw": 2.2})
        left.plot([], [], color=COLORS["blue"], lw=2.2, label="Euler's prediction")
        left.legend(loc="upper left", fontsize=8)
        after = float(newton_trust(problem.at(theta / factor), w).x)
        count = counted(len(minima), "minimum", "minima")
        return (
            f"θ = {theta:.3g}: {count} in this window. The right branch is at {float(w):.2f}; "
            f"Euler predicts {end[1]:.2f} at θ = {theta / factor:.3g}, where the branch is at {after:.2f}."
        )

    return draw


# ---- one prediction, in several variables


def predictions(problem, w, theta, following):
    """Euler's prediction from θ to θ₊ in every variable."""
    rate = tangent(problem, w, theta, variable="linear")
    return {name: w + (s(following) - s(theta)) / ds(theta) * rate for name, (s, ds) in VARIABLES.items()}


def misses(problem, w, theta, following):
    """Error of each prediction, divided by the error of staying at w; lengths as the points see them."""
    target = newton_trust(problem.at(following), w).x
    way = length(problem, w, target - w, 0.0)
    found = predictions(problem, w, theta, following)
    return {name: length(problem, target, v - target, 0.0) / way for name, v in found.items()}


def one_step(problem, thetas, path):
    """One Euler step, seen along the way to the next minimiser, and how much of the way it misses."""
    thetas, x = np.asarray(thetas), problem.points
    cells = torch.tensor(problem.grid.spacing)

    def moved(w):
        return (problem.transform(w, x) / cells).reshape(-1)

    def draw(figure, theta, factor):
        w = newton_trust(problem.at(theta), path[int(np.argmin(abs(np.log(thetas / theta))))]).x
        following = theta / factor
        target = newton_trust(problem.at(following), w).x
        way = moved(target) - moved(w)
        near = (thetas <= theta * 1.8) & (thetas >= following / 1.8)

        def along(v):
            return float((moved(v) - moved(w)) @ way / (way @ way))

        left, right = figure.subplots(1, 2, width_ratios=[1.5, 1])
        left.plot(
            np.log10(thetas[near]),
            [along(v) for v, n in zip(path, near, strict=True) if n],
            "-",
            color="0.2",
            lw=2.5,
            label="the path w*(θ)",
        )
        steps = np.geomspace(theta, following, 7)
        for name, color in LOOK.items():
            line = [along(predictions(problem, w, theta, t)[name]) for t in steps]
            left.plot(np.log10(steps), line, "--", color=COLORS[color], label=f"straight in {name}")
            left.plot(np.log10(following), line[-1], "s", ms=6, color=COLORS[color])
        left.plot(np.log10(following), 1, "o", color="0.2")
        left.set(xlabel="log₁₀ θ, from coarse to fine", ylabel="part of the way", ylim=(-1.2, 3))
        left.invert_xaxis()
        left.legend(loc="upper left", fontsize=7.5)
        missed = misses(problem, w, theta, following)
        right.bar(["θ", "θ^¼", "log θ"], list(missed.values()), color=[COLORS[c] for c in LOOK.values()])
        right.axhline(1, color="0.3", ls="--", lw=1)
        right.set(ylabel="error / error of staying", ylim=(0, 2))
        best = min(missed, key=missed.get)
        numbers = ", ".join(f"{name} {value:.2f}" for name, value in missed.items())
        return f"From θ = {theta:g} to {following:.3g}. Error relative to staying: {numbers}. Best: {best}."

    return draw


def derivative(tests):
    """Remainders of Taylor tests in θ, one panel a test."""
    figure, axes = plt.subplots(1, len(tests), figsize=(6.4, 3.0), sharey=True)
    for ax, (name, test) in zip(axes, tests.items(), strict=True):
        for q, color in enumerate(("vermillion", "blue")):
            label = f"after term {q}: slope {test.slopes[q]:.2f}"
            ax.loglog(test.steps, test.errors[q], "o-", ms=3, color=COLORS[color], label=label)
        ax.set(title=name, xlabel="step in θ")
        ax.legend(loc="lower right", fontsize=8)
    axes[0].set_ylabel("remainder of ∇J")
    return figure


def orders(problem, theta, w, lengths):
    """Error of Euler, Heun and Adams at every step length h in log θ, with the slopes of the last ones."""
    errors = {"Euler": [], "Heun": [], "Adams": []}
    t = tangent(problem, w, theta)
    for h in lengths:
        end, before = theta * math.exp(-h), theta * math.exp(h)
        target = newton_trust(problem.at(end), w).x
        last = newton_trust(problem.at(before), w).x
        euler = w - h * t
        found = {
            "Euler": euler,
            "Heun": w - h / 2 * (t + tangent(problem, euler, end)),
            "Adams": w - h * (1.5 * t - 0.5 * tangent(problem, last, before)),
        }
        for name, v in found.items():
            errors[name].append(length(problem, target, v - target, 0.0))
    slopes = {
        name: float(np.polyfit(np.log(lengths[-4:]), np.log(e[-4:]), 1)[0]) for name, e in errors.items()
    }
    _, ax = plt.subplots(figsize=(6.4, 3.4))
    for (name, e), color, mark in zip(errors.items(), ("blue", "green", "orange"), "os^", strict=True):
        label = f"{name}: slope {slopes[name]:.2f}"
        ax.loglog(lengths, e, mark + "-", ms=4, color=COLORS[color], label=label)
    ax.set(xlabel="step h in log θ", ylabel="error in cells")
    ax.legend()
    return slopes


# ---- work


PREDICTORS = {"none": "black", "euler": "blue", "heun": "green", "adams2": "orange"}


def work(problem, start, counts, plan, accuracy=1e-3):
    """Runs with fixed scales from θ = 1000 for every predictor; then with a corrector that stops early,
    at fixed scales and at those of ``plan``.
    """
    runs = {
        (f"{count}", predictor): follow(problem, np.geomspace(1e3, 1e-3, count), start, predictor=predictor)
        for count in counts
        for predictor in PREDICTORS
    }
    scales = {f"{count}, early stop": np.geomspace(1e3, 1e-3, count) for count in counts}
    for name, thetas in (scales | {"adaptive": plan}).items():
        for predictor in ("none", "euler"):
            run = follow(problem, thetas, start, predictor=predictor, accuracy=accuracy)
            runs[name, predictor] = run
    return runs


def work_plot(runs):
    """Iterations and evaluations of all runs over the number of scales."""
    figure, axes = plt.subplots(1, 2, figsize=(6.4, 3.6))
    for ax, what in zip(axes, ("iterations", "evaluations"), strict=True):
        for (predictor, color), mark in zip(PREDICTORS.items(), "os^D", strict=True):
            for early, style in ((False, "-"), (True, ":")):
                group = [run for (name, p), run in runs.items()
                         if p == predictor and name != "adaptive" and ("early" in name) == early]  # fmt: skip
                counts, values = [len(run.accepted) for run in group], [getattr(run, what) for run in group]
                label = f"{predictor}, early stop" if early else predictor
                if group:
                    ax.plot(counts, values, mark + style, ms=4, color=COLORS[color], label=label)
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
    home = path[-1]
    gone = [length(problem, home, w - home, 0.0) for w in path]
    top.semilogx(thetas, gone, color="0.6", lw=3, label="the path")
    done, refused = run.accepted, [step for step in run.steps if not step.accepted]
    for k, (before, after) in enumerate(pairwise(done)):
        ends = [length(problem, home, w - home, 0.0) for w in (before.w, after.prediction)]
        top.annotate("", (after.theta, ends[1]), (before.theta, ends[0]),
                     arrowprops={"arrowstyle": "->", "color": COLORS["blue"], "lw": 1.4})  # fmt: skip
        top.plot([], [], color=COLORS["blue"], label=None if k else "predictions")
    top.plot([s.theta for s in done], [length(problem, home, s.w - home, 0.0) for s in done], "o",
             color=COLORS["green"], label="corrected")  # fmt: skip
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


def recorded():
    """The record of the 50 pairs: (about, methods)."""
    record = records.load("continuation.json")
    return record["about"], record["methods"]
