"""Figures of chapter 5: the path of the minimiser over the scale."""

import math
from itertools import pairwise

import matplotlib.pyplot as plt
import numpy as np
import torch

from regbook.experiments import ch05 as experiments
from regbook.plots import COLORS, look
from regbook.text import counted, number_text, signed
from regkit.optimize import newton_trust
from regkit.scales import Adaptive

VARIABLE_COLORS = dict(zip(experiments.VARIABLES, ("blue", "green", "vermillion"), strict=True))


# ---- the bifurcation diagram


def bifurcation(problem, curves, true, wrong, low, high, factor=10**0.5):
    """The landscape at one θ, and all stationary points at this θ and at finer ones, on one axis of shifts.

    ``curves``: all branches; ``true``: the one to predict on; ``wrong``: the one whose minimum gets a ring.
    What is coarser than θ is not drawn, so that moving to a coarser θ draws the diagram.
    """
    shifts = torch.linspace(low, high, 141)

    def draw(figure, theta):
        left, right = figure.subplots(1, 2, sharey=True, width_ratios=[1.7, 1])
        here = math.log10(theta)
        for curve in curves:
            x, w, minimum = curve.thetas.log10(), curve.w[:, 0], curve.negative == 0
            finer = curve.thetas <= theta * (1 + 1e-9)
            for kind, style in ((minimum, "-"), (~minimum, "--")):
                shown = torch.where(kind & finer, w, torch.nan)
                left.plot(x, shown, style, color=COLORS["black"], lw=1.3)
            for k in (k for k in curve.folds if finer[k]):
                left.plot(x[k], w[k], "o", ms=5, color=COLORS["purple"])
        left.axvline(here, color=COLORS["orange"], lw=1)
        left.set(xlabel="log₁₀ θ, from coarse to fine", ylabel="shift in cells")
        left.set(xlim=(4.1, -3.6), ylim=(low, high))
        losses = experiments.losses(problem, theta, shifts)
        right.plot(losses / losses.max(), shifts, color=COLORS["black"])
        points = experiments.stationary(problem, theta, low, high, 90)
        for w, curvature in points:
            loss = problem.at(theta).loss(torch.tensor([w])) / losses.max()
            for ax, x in ((left, here), (right, loss)):
                ax.plot(x, w, "o", ms=5, color=COLORS["green"], mfc=COLORS["green"] if curvature > 0 else "w")
        right.set(xlabel="loss / largest", xlim=(-0.05, 1.1))
        ringed = experiments.place(wrong, theta)
        if ringed is not None:
            w = min((w for w, curvature in points if curvature > 0), key=lambda w: abs(w - ringed))
            loss = float(problem.at(theta).loss(torch.tensor([w])) / losses.max())
            for ax, x in ((left, here), (right, loss)):
                ax.plot(x, w, "o", ms=13, mfc="none", mew=1.8, color=COLORS["vermillion"])
        w, predicted, after = experiments.euler(problem, true, theta, factor)
        start, end = (here, w), (here - math.log10(factor), predicted)
        left.annotate("", end, start, arrowprops={"arrowstyle": "->", "color": COLORS["blue"], "lw": 2.2})
        _names(left, any(curve.thetas[k] <= theta for curve in curves for k in curve.folds))
        count = counted(sum(curvature > 0 for _, curvature in points), "minimum", "minima")
        fold = wrong.thetas[wrong.folds[0]]
        said = (
            f"The one with the ring met a maximum at θ = {number_text(float(fold))}: both are gone."
            if ringed is None
            else f"The one with the ring is at {signed(f'{ringed:.2f}')}."
        )
        return (
            f"θ = {number_text(theta)}: {count} in this window. {said} The right one is at {w:.2f}; "
            f"Euler predicts {predicted:.2f} at θ = {number_text(theta / factor)}, "
            f"where it is at {after:.2f}."
        )

    return draw


def _names(ax, folds: bool) -> None:
    """The legend of the diagram, the same whether its curves are drawn already or not."""
    black, green = COLORS["black"], COLORS["green"]
    ax.plot([], [], "o-", color=black, mfc=green, mec=green, label="minima")
    ax.plot([], [], "o--", color=black, mfc="white", mec=green, label="maxima")
    ax.plot([], [], color=COLORS["blue"], lw=2.2, label="Euler's prediction")
    if folds:
        ax.plot([], [], "o", ms=5, color=COLORS["purple"], label="folds")
    ax.legend(loc="upper left", fontsize=8)


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
        right.set(ylabel="error / error of staying", ylim=(0, 2.2))
        best = min(missed, key=missed.get)
        numbers = ", ".join(f"{name} {value:.2f}" for name, value in missed.items())
        step = f"From θ = {number_text(theta)} to {number_text(following)}"
        return f"{step}. Error relative to staying: {numbers}. Best: {best}."

    return draw


def orders(lengths, errors, slopes):
    """Error of one step of Euler, Heun and Adams over its length in log θ."""
    figure, ax = plt.subplots(figsize=(6.4, 3.4))
    for name, values in errors.items():
        label = f"{name}: slope {slopes[name]:.2f}"
        ax.loglog(lengths, values, ms=4, label=label, **look(name.lower()))
    ax.set(xlabel="step h in log θ", ylabel="error of one step in cells")
    ax.legend()
    return figure


# ---- work


def work_table(runs, lost) -> str:
    """Iterations and evaluations of all runs, a line for each number of scales."""
    starts = list(dict.fromkeys(coarsest for coarsest, _, _ in runs))
    plans = list(dict.fromkeys(name for _, name, _ in runs))
    lines = ["iterations / evaluations of the corrector that stops early"]
    lines += [f"{'':9}" + "".join(f"{f'from θ = {start:g}':^31}" for start in starts).rstrip()]
    lines += [f"{'scales':>8} " + f"{'none':>9}{'Euler':>15}{'':7}" * len(starts)]
    for plan in plans:
        row = f"{plan:>8} "
        for start in starts:
            for predictor, width in (("none", 15), ("euler", 16)):
                key = start, plan, predictor
                counts = f"{runs[key].iterations:>5} / {runs[key].evaluations:<3}"
                row += f"{counts + ('lost' if key in lost else ''):<{width}}"
        lines.append(row)
    return "\n".join(line.rstrip() for line in lines)


def work_plot(runs, lost, converged):
    """Evaluations of all runs over the number of scales, from each of the coarsest θ."""
    starts = list(dict.fromkeys(coarsest for coarsest, _, _ in runs))
    figure, axes = plt.subplots(1, len(starts), figsize=(6.8, 3.7), sharey=True)
    for ax, start in zip(axes, starts, strict=True):
        for predictor, name in (("none", "none"), ("euler", "Euler")):
            here = {plan: run for (s, plan, p), run in runs.items() if (s, p) == (start, predictor)}
            chosen = here.pop("adaptive")
            values = [run.evaluations for run in here.values()]
            ax.plot(list(here), values, ms=5, label=f"{name}, early stop", **look(predictor))
            ax.plot(len(chosen.accepted), chosen.evaluations, "*", ms=14, mec="white",
                    color=look(predictor)["color"], label=f"{name}, adaptive")  # fmt: skip
            for count, run in here.items():
                if (start, count, predictor) in lost:
                    ax.plot(count, run.evaluations, "x", ms=12, mew=2, color=COLORS["vermillion"])
            if start == starts[0]:
                run = converged[predictor]
                ax.plot(len(run.accepted), run.evaluations, ms=7, mfc="none", ls="none", **look(predictor),
                        label=f"{name}, converged")  # fmt: skip
        ax.plot([], [], "x", ms=9, mew=2, color=COLORS["vermillion"], label="lost")
        ax.set(xlabel="number of scales", xscale="log", ylim=(0, 240), title=f"from θ = {start:g}")
        ax.set_xticks([3, 5, 10, 20, 30], ["3", "5", "10", "20", "30"])
        ax.minorticks_off()
    axes[0].set_ylabel("evaluations")
    axes[0].legend(loc="upper left", fontsize=8, ncols=1)
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


def fold_of_hands(problem, end, walk, other, corrected, drifted):
    """A fold of the hands: the branch that ends, the one that goes on, and what each method makes of it.

    ``end``: (1, p), where distances are from; ``walk``: along the branch and around its fold; ``other``: the
    branch that goes on; ``corrected``, ``drifted``: θ and w with a corrector and of an integration alone.
    """
    figure, (top, bottom) = plt.subplots(2, 1, figsize=(6.4, 5.4), sharex=True, height_ratios=[1.7, 1])
    turn = walk.folds[0]

    def gone(ws):
        return experiments.from_the_end(problem, end, ws)

    top.semilogx(walk.thetas[: turn + 1], gone(walk.w[: turn + 1]), color=COLORS["black"], label="minimum")
    top.semilogx(walk.thetas[turn:], gone(walk.w[turn:]), "--", color=COLORS["black"], label="saddle")
    top.semilogx(other.thetas, gone(other.w), color=COLORS["sky"], lw=4, alpha=0.6, label="another minimum")
    thetas, ws = corrected
    top.semilogx(thetas, gone(ws), "s", ms=4, mfc="none", color=COLORS["blue"], label="corrected")
    thetas, ws = drifted
    top.semilogx(thetas, gone(ws), color=COLORS["vermillion"], label="Euler, not corrected")
    top.plot(walk.thetas[turn], gone([walk.w[turn]]), "o", ms=8, color=COLORS["purple"], label="fold")
    top.set(ylabel="cells from the end", ylim=(-1, 40))
    top.legend(loc="upper left", ncols=2, fontsize=9)
    ratio = np.array(experiments.smallest(problem, walk.thetas, walk.w))
    bottom.semilogx(walk.thetas[: turn + 1], 1e5 * ratio[: turn + 1], color=COLORS["black"])
    bottom.semilogx(walk.thetas[turn:], 1e5 * ratio[turn:], "--", color=COLORS["black"])
    bottom.plot(walk.thetas[turn], 1e5 * ratio[turn], "o", ms=8, color=COLORS["purple"])
    bottom.axhline(0, color="0.4", lw=1)
    bottom.set(xlabel="θ, from coarse to fine", ylabel="smallest eigenvalue,\n10⁻⁵ of the largest")
    bottom.set_xlim(1100, 60)
    return figure


def successes(methods, each):
    """Of the recorded pairs, how many each method registers, over its work; ``each``: pairs a level."""
    figure, ax = plt.subplots(figsize=(6.4, 3.8))
    colors = ("black", "sky", "blue", "green", "orange", "vermillion", "purple")
    for (name, row), color, mark in zip(methods.items(), colors, "xv^Dso*", strict=True):
        found = each * sum(row["success"])
        ax.semilogx(row["work"], found, mark, ms=9, mew=1.5, color=COLORS[color], label=name)
    pairs = each * len(row["success"])
    ax.set(xlabel="mean work in evaluations", ylabel=f"found, of {pairs} pairs", ylim=(0, pairs))
    ax.set(xlim=(15, 400))
    ax.set_xticks([20, 50, 100, 200], ["20", "50", "100", "200"])
    ax.minorticks_off()
    ax.legend(loc="lower right", fontsize=9)
    return figure
