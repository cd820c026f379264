"""Figures of chapter 9: how many iterations of conjugate gradients must be differentiated."""

import matplotlib.pyplot as plt
import numpy as np

from regbook.experiments import ch09 as experiments
from regbook.plots import COLORS, bare, error, image, powers, taylor
from regbook.text import counted, number_text
from regkit import Grid

NAMES = {"restart": "restart", "continue": "continue", "chebyshev": "Chebyshev", "implicit": "implicit"}
HUES = {"restart": "vermillion", "continue": "purple", "chebyshev": "orange", "implicit": "blue"}


def figure_8(record, total=200):
    """Final image error over the part that is differentiated: every start is a mark."""
    figure, ax = plt.subplots(figsize=(6.4, 3.8))
    percents = record["percents"]
    for tail, mark in zip(("restart", "chebyshev", "implicit"), "os^", strict=True):
        errors, color = experiments.final_errors(record, tail, total), COLORS[HUES[tail]]
        ax.plot(percents, np.nanmedian(errors, axis=1), color=color, lw=1.2)
        for k, values in enumerate(errors.T):
            ax.plot(percents, values, mark, ms=4.5, color=color, label=None if k else NAMES[tail])
    ax.axhline(100 * float(record["true_error"]), color="0.4", ls=":", label="with the true motions")
    ax.set(xlabel=f"per cent of {total} iterations that are differentiated", ylabel="final image error in %")
    ax.set(ylim=(0, 45), xlim=(-3, 103))
    figure.legend(loc="outside lower center", ncols=2)
    return figure


def figure_8_words(record, total=200):
    """What ``figure_8`` shows, in words."""
    percents = list(record["percents"])
    said = []
    for tail in ("restart", "chebyshev", "implicit"):
        ends = np.median(experiments.final_errors(record, tail, total), axis=1)
        parts = ", ".join(f"{ends[percents.index(p)]:.1f} at {p} %" for p in (10, 50, 90, 100))
        said.append(f"{NAMES[tail]}: {parts}")
    none = np.median(experiments.final_errors(record, "restart", total)[0])
    return f"Final image error in % over the share differentiated; none: {none:.1f}. {'; '.join(said)}."


def yardsticks(record, named, total=200):
    """Final image error over three measures of the first Jacobian; ``named``: (tail, percent), pointed at."""
    figure, axes = plt.subplots(1, 3, figsize=(6.8, 3.3), sharey=True)
    percents, N = list(record["percents"]), list(record["totals"]).index(total)
    measures = {
        "jacobian_error": "relative error of Jᵣ",
        "cosine": "cosine of Jᵣᵀr and gradient",
        "step": "first step / exact step",
    }
    for ax, (key, title) in zip(axes, measures.items(), strict=True):
        for tail, mark in zip(("restart", "chebyshev", "implicit"), "os^", strict=True):
            ends = np.median(experiments.final_errors(record, tail, total), axis=1)
            values = np.median(record[key][experiments.TAILS.index(tail), N], axis=1)
            look = {"color": COLORS[HUES[tail]], "ms": 5, "label": NAMES[tail]}
            ax.plot(values[1:], ends[1:], mark, **look)
            for other, percent in named:
                if other == tail:
                    at = percents.index(percent)
                    ax.plot(values[at], ends[at], "o", ms=11, mfc="none", mec=COLORS["black"], mew=1.3)
        ax.plot(values[0], ends[0], "*", ms=10, color=COLORS["black"], label="none")
        ax.set(xlabel=title, ylim=(0, 45))
        if key != "cosine":
            ax.set_xscale("log")
    axes[0].set_ylabel("final image error in %")
    handles, labels = axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=4)
    return figure


# ---- the toy


def two_right_hand_sides(toy, total=30):
    """Left: error of the tangent over k, for all tails. Right: the polynomial that met the tangent."""
    counts, curves = range(total + 1), experiments.tangent_errors(toy, total)
    shown = {"restart": "restart", "Chebyshev": "chebyshev", "implicit": "implicit"}

    def draw(figure, k, tail):
        k, name = round(k), shown[tail]
        left, right = figure.subplots(1, 2, width_ratios=(1.15, 1))
        for t in experiments.TAILS:
            bold = t == name
            left.semilogy(counts, curves[t], color=COLORS[HUES[t]], lw=2.4 if bold else 1.0, label=NAMES[t])
        left.semilogy([k], [curves[name][k]], "o", ms=8, color=COLORS[HUES[name]])
        left.set(xlabel=f"k, the last of {total} iterations", ylabel="relative error of the tangent")
        left.set(ylim=(1e-8, 1e9), xlim=(-1, total + 1))
        left.legend(loc="lower left", fontsize=9)
        left.set_title("the tangent")

        size = experiments.met_by_the_tangent(toy, name, k, total).abs()
        right.loglog(toy.values, size.clamp(min=1e-7), "o-", ms=3, lw=1, color=COLORS[HUES[name]])
        right.axhline(1, color="0.4", lw=1)
        right.set(xlabel="eigenvalue of A", ylabel="|p(λ)|", ylim=(1e-6, 1e9))
        right.set_title("its polynomial")
        verdict = "larger" if curves[name][k] > 1 else "smaller"
        most_of_it, error = number_text(float(size.max())), number_text(curves[name][k])
        return (
            f"{tail}, last {k} of {total}: the polynomial multiplies by up to {most_of_it}; the relative "
            f"error of the tangent is {error}, {verdict} than with nothing differentiated, which is 1."
        )

    return draw


def luck(toy, last=20):
    """Restart for the last iterations, after more and more iterations before: the converged solver."""
    counts = range(0, 141, 4)
    values, tangents = zip(*(experiments.restarted(toy, n, last) for n in counts), strict=True)

    highest = int(np.argmax(tangents))

    def draw(figure, before):
        before = round(before)
        ax = figure.subplots()
        ax.semilogy(counts, values, color=COLORS["black"])
        ax.semilogy(counts, tangents, color=COLORS["vermillion"])
        ax.axhline(1, color="0.4", lw=1, ls=":")
        here = experiments.restarted(toy, before, last)
        ax.plot([before, before], here, "o", ms=8, color=COLORS["blue"])
        ax.set(xlabel="iterations before the restart", ylabel="relative error", ylim=(1e-16, 1e7))
        ax.text(counts[highest] + 12, tangents[highest], "its tangent", color=COLORS["vermillion"])
        ax.text(0, 2e-15, "x before the restart", color=COLORS["black"])
        ax.text(counts[-1], 2, "none", color="0.35", ha="right", va="bottom")
        of_x, of_tangent = map(number_text, here)
        return f"Restart after {before} iterations: the error of x is {of_x}, of its tangent {of_tangent}."

    return draw


def remainders(tests):
    """The remainder after the first derivative, one curve for each test."""
    figure, ax = plt.subplots(figsize=(6.4, 3.2))
    taylor(ax, tests, (1,), (("green", "o-"), ("vermillion", "o-")))
    ax.set_ylabel("‖x(w + h) − x(w) − h ẋ‖")
    return figure


# ---- a real image


# ---- while it is computed


def live(figure, state):
    """What is known of one setting: error of the Jacobian, Taylor test, the optimiser's steps, the image."""
    above, below = figure.subfigures(2, 1)
    left, right = above.subplots(1, 2)
    steps, found, wrong = below.subplots(1, 3, width_ratios=(2, 1, 1))
    color, total = COLORS[HUES[state.tail]], state.total
    for tail in experiments.TAILS:
        points = {(k, seed): e for (t, k, seed), e in state.jacobian_errors.items() if t in (tail, "")}
        mine = sorted((100 * k / total, e) for (k, seed), e in points.items() if seed == state.seed)
        if len(mine) > 1:
            chosen = tail == state.tail
            left.semilogy(*zip(*mine, strict=True), ".-" if chosen else ":", color=COLORS[HUES[tail]])
            others = [(100 * k / total, e) for (k, seed), e in points.items() if seed != state.seed]
            if chosen and others:
                left.semilogy(*zip(*others, strict=True), ".", color=color, alpha=0.5)
    left.semilogy([100 * state.last / total], [state.jacobian_error], "o", ms=8, color=color)
    left.set(xlabel=f"% of {total} differentiated", ylim=(1e-9, 1e12), xlim=(-3, 103))
    left.set_title("error of the Jacobian")
    powers(left.yaxis, range(-8, 13, 4))

    right.set(xlabel="step h", xscale="log", yscale="log", xlim=(1e-9, 1), ylim=(1e-4, 1e8))
    right.set_title("Taylor test, ‖r(w+hv) − r(w) − hJv‖", fontsize=10)
    powers(right.yaxis, range(-4, 9, 4))
    powers(right.xaxis, range(-9, 1, 3))
    if state.taylor:
        right.plot(experiments.LENGTHS, state.first, ":", color="0.5", label="without J")
        right.plot(experiments.LENGTHS, state.taylor, color=color, label="with J")
        right.legend(loc="upper left")

    steps.set(xlim=(-0.3, experiments.STEPS + 0.3), ylim=(0, 60), xlabel="step of the optimiser")
    steps.set_title("image error, %")
    steps.set_xticks(range(0, experiments.STEPS + 1, 3))
    for values, style, name in ((state.exact, "--", "exact Jacobian"), (state.none, ":", "none")):
        if values:
            steps.plot(100 * np.array(values), style, color=COLORS["black"], label=name)
            steps.legend(loc="upper center", ncols=2, fontsize=9, columnspacing=1.0)
    steps.plot(100 * np.array(state.errors), "o-", ms=4, color=color)
    if state.found is not None:
        grid = Grid((1.0, 1.0), tuple(state.truth.shape))
        image(found, state.found, grid, "image")
        error(wrong, state.found - state.truth, grid, 128)
    else:
        bare(found, wrong)
    return live_words(state)


def live_words(state):
    """What ``live`` shows, in words."""
    what = (
        f"the last {state.last} differentiated ({NAMES[state.tail]})" if state.last else "none differentiated"
    )
    if state.tail == "implicit" and state.last:
        what = f"and {state.last} more for the tangents (implicit)"
    moved = f", start moved by {number_text(1e-10)}, number {state.seed}" if state.seed else ""
    said = (
        f"{state.image}, {counted(state.total, 'iteration')}, {what}{moved}. At the start: cosine of Jᵀr "
        f"with the true gradient {number_text(state.cosine)}; first step {number_text(state.step)} times as "
        f"long as the exact one; relative error of J {number_text(state.jacobian_error)}, of none "
        f"{number_text(state.frozen)}."
    )
    if not state.errors:
        return said
    steps = ", ".join(f"{100 * e:.1f}" for e in state.errors)
    said += f" Image error in % after steps 0 to {len(state.errors) - 1}: {steps}."
    if state.message:
        said += f" The optimiser ended there: {state.message}."
    if state.exact and state.none:
        ends = [f"{100 * values[-1]:.1f}" for values in (state.exact, state.none)]
        said += f" With the exact Jacobian it ends at {ends[0]}, with none at {ends[1]}."
    return said
