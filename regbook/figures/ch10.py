"""Figures of chapter 10: how exact the projection must be."""

import matplotlib.pyplot as plt
import numpy as np

from regbook import plots
from regbook.experiments import ch10 as experiments
from regbook.plots import COLORS, family, taylor
from regbook.text import counted, number_text, signed, size_text
from regkit.implicit import Frozen, Implicit, Unrolled
from regkit.linear import CG

SPAN = 64  # of the errors that are drawn, in grey values


# ---- the finished figure: Figs 10 and 11 of the paper


def hook(study, counts):
    """Error, image, loss and gradient after nine steps, with N iterations that are all differentiated."""
    none, grid, truth = study.run(CG.fixed(200), Frozen()), study.problem.grid, study.made.image
    known = {count: study.run(CG.fixed(count), Unrolled()) for count in counts}
    longer = {count: study.run(CG.fixed(count), Unrolled(), steps=20).error for count in counts}

    def draw(figure, N):
        run = study.run(CG.fixed(N), Unrolled())
        image = experiments.exact_image(study.problem, run.result.x).reshape(grid.shape)
        above, below = figure.subfigures(2, 1, height_ratios=[1, 1.05])
        left, middle, right = above.subplots(1, 3, width_ratios=[1.55, 1, 1])
        left.semilogx(counts, [r.error for r in known.values()], "-", color="0.6", lw=1.2)
        left.semilogx(counts, list(longer.values()), ":", color="0.35", lw=1.6, label="after 20 steps")
        label = "N, all differentiated"
        left.semilogx(N, run.error, "o", ms=8, color=COLORS["vermillion"], label=label)
        left.axhline(none.error, color=COLORS["black"], ls="--", label="200, none of them")
        left.set(xlim=(0.8, 130), ylim=(0, 42), ylabel="image error in %", xlabel="CG iterations N")
        left.set_xticks([1, 10, 100], ["1", "10", "100"])
        left.legend(fontsize=8.5, loc="center right")
        plots.image(middle, image, grid, f"image, N = {N}")
        plots.error(right, image - truth, grid, SPAN, "its error")
        for ax, name in zip(below.subplots(1, 2), ("losses", "gradients"), strict=True):
            curves = {count: getattr(other, name) for count, other in known.items()}
            ax.set_yscale("log")
            family(ax, {k: (range(len(v)), v / v[0]) for k, v in curves.items()}, others="0.8")
            for shown, color, style in ((none, "black", "--"), (run, "vermillion", "-")):
                values = getattr(shown, name)
                ax.semilogy(values / values[0], style, color=COLORS[color])
            ax.set(xlabel="step", ylabel=f"{name[:-1] if name != 'losses' else 'loss'} / first", xlim=(0, 9))
            ax.set_ylim((4e-3, 1.5) if name == "losses" else (1e-5, 3))
        loss, gradient = (values[-1] / values[0] for values in (run.losses, run.gradients))
        return (
            f"{counted(N, 'iteration')}, all differentiated: the image error ends at {run.error:.1f} %, the "
            f"loss at {size_text(loss)} and the gradient at {size_text(gradient)} of the start. "
            f"200 iterations, none differentiated: {none.error:.1f} %."
        )

    return draw


# ---- the toy: one unknown


def toy(w=1.0):
    """f(w) after N steps of gradient descent on ½(w f − 1)² from 0, and three derivatives at one place."""
    grid = np.linspace(0.45, 1.55, 221)

    def draw(figure, N):
        ax = figure.subplots()
        ax.plot(grid, 1 / grid, color=COLORS["black"], label="limit f*(w) = 1/w")
        values = experiments.descent(grid, N)
        ax.plot(grid, values, color=COLORS["vermillion"], lw=2.6, label=f"after N = {N} steps, f(w)")
        at_w = experiments.descent_slopes(w, N)
        f, program, formula, limit = at_w.f, at_w.program, at_w.formula, at_w.limit
        near = np.array([-0.3, 0.3])
        for slope, at, color, style, name in (
            (limit, 1 / w, "black", ":", "derivative of the limit"),
            (program, f, "green", "-", "derivative of the program"),
            (formula, f, "blue", "--", "the implicit formula at f"),
        ):
            label = signed(f"{name}: {slope:.3f}")
            ax.plot(w + near, at + slope * near, style, lw=2, color=COLORS[color], label=label)
        ax.plot(w, f, "o", color=COLORS["vermillion"], ms=7)
        ax.set(xlabel="parameter w", ylabel="f", xlim=(0.45, 1.55), ylim=(0.05, 2.3))
        ax.legend(loc="upper right", fontsize=9)
        return signed(
            f"After {counted(N, 'step')} f = {f:.3f}. The derivative of the program is {program:.3f}, that "
            f"of the limit {limit:.0f}, and the implicit formula at f gives {formula:.3f}."
        )

    return draw


# ---- early stopping as a filter


def filters(study):
    """Over the eigenvalues of AᵀA: how far f has come from f₀, and how strongly it reacts to w."""
    filters = experiments.Filters(study)
    values, middles, profile = filters.values, filters.middles, filters.profile
    limit, small = profile(filters.limit), filters.place < 6

    def draw(figure, N):
        now = filters.after(N)
        formula, program = profile(now.formula), profile(now.program)
        left_ax, right_ax = figure.subplots(1, 2)
        strength, shown = filters.same_distance(now.distance), now.factors.clamp(-0.3, 1.7)
        left_ax.semilogx(values, shown, ".", ms=3, color=COLORS["vermillion"], label="CG")
        smooth = values / (values + strength)
        left_ax.semilogx(values, smooth, "--", color=COLORS["black"], lw=1.4, label="penalty δ ½‖f − f₀‖²")
        left_ax.set(xlabel="eigenvalue of AᵀA", ylabel="part of the way from f₀", ylim=(-0.35, 2.1))
        left_ax.legend(loc="upper left", fontsize=9)
        for slopes, color, style, name in (
            (limit, "black", ":", "of the limit"),
            (formula, "purple", "-", "formula, solved exactly"),
            (profile(now.stopped), "blue", "--", f"formula, {N} iterations"),
            (program, "vermillion", "-", "of the program"),
        ):
            here = np.isfinite(slopes)
            right_ax.loglog(middles[here], slopes[here], style, color=COLORS[color], label=name)
        right_ax.set(xlabel="eigenvalue of AᵀA", ylabel="size of ∂f/∂w", ylim=(1e1, 3e6))
        right_ax.legend(loc="upper right", fontsize=9)
        worst = float(np.nanmax(formula[:6]) / np.nanmax(program[:6]))
        way = float(now.factors[small].median())
        return (
            f"N = {N}: at the smallest eigenvalues f has come {way:.3f} of its way. There the formula, "
            f"solved exactly at this f, is {number_text(worst)} times as large as the program's derivative."
        )

    return draw


# ---- tangent iterations


def way_out(study, counts, total=200):
    """k tangent iterations at an accurate f: the error of the Jacobian, and the run."""
    none = study.run(CG.fixed(total), Frozen())

    def at(k):
        how = CG.fixed(total), Implicit(CG.fixed(k))
        return experiments.miss(study, *how), study.run(*how)

    known = {k: at(k) for k in counts}

    def draw(figure, k):
        error, run = known[k] if k in known else at(k)
        left, right = figure.subplots(1, 2)
        left.loglog(counts, [e for e, _ in known.values()], color="0.6", lw=1.2)
        left.loglog(k, error, "o", ms=8, color=COLORS["blue"], label="k tangent iterations")
        left.set(xlabel="tangent iterations k", ylabel="relative error of the Jacobian", ylim=(5e-3, 30))
        left.legend(loc="lower left", fontsize=9)
        family(right, {n: (range(len(r.errors)), r.errors) for n, (_, r) in known.items()}, others="0.8")
        right.plot(none.errors, "--", color=COLORS["black"], label="k = 0: nothing")
        right.plot(run.errors, "o-", ms=3.5, color=COLORS["blue"], label=f"k = {k}")
        right.set(xlabel="step", ylabel="image error in %", xlim=(0, 9), ylim=(0, 44))
        right.legend(loc="lower left", fontsize=9)
        off = number_text(float(f"{error:.2g}"))
        return (
            f"{total} iterations for f and {k} for its derivative: the Jacobian is off by {off}, and "
            f"the image error ends at {run.error:.1f} %."
        )

    return draw, {k: run.error for k, (_, run) in known.items()}


# ---- work against accuracy


def tolerances(study, loose, tangents):
    """Final error over the tolerance of the projection, for several of the tangents, and the chosen run."""

    def run(rtol, tangent):
        return study.run(CG(rtol=float(f"{rtol:.3g}")), Implicit(CG(rtol=tangent)))

    ends = {t: [run(rtol, t).error for rtol in loose] for t in tangents}
    colors = dict(zip(tangents, ("orange", "blue", "purple"), strict=True))
    marks = dict(zip(tangents, "o^s", strict=True))

    def draw(figure, rtol, tangent):
        chosen = run(rtol, tangent)
        left, right = figure.subplots(1, 2)
        for t, values in ends.items():
            label = f"tangents to {t:g}"
            left.semilogx(loose, values, marks[t] + "-", ms=4, lw=1.2, color=COLORS[colors[t]], label=label)
        end, products = chosen.error, chosen.products[-1]
        left.semilogx(rtol, end, "o", ms=12, mfc="none", mew=2.5, color=COLORS["black"])
        left.set(xlabel="tolerance of the projection", ylabel="image error at the end in %", ylim=(0, 52))
        left.invert_xaxis()
        left.legend(loc="lower left", fontsize=8.5)
        right.plot(chosen.errors, "o-", ms=4, color=COLORS[colors[tangent]])
        least = study.error(study.made.w_true)
        right.axhline(least, color="0.4", ls=":")
        right.text(0.2, least - 1, "with the true motions", color="0.4", fontsize=8.5, va="top")
        right.set(xlabel="step", ylabel="image error in %", xlim=(0, 9), ylim=(0, 52))
        return (
            f"Projection to {number_text(rtol)}, tangents to {tangent:g}: {chosen.accepted} of "
            f"{len(chosen.errors) - 1} steps accepted, error {end:.1f} % after {products:,.0f} products."
        )

    return draw


def warm_starts(study):
    """The same run with its projections started at f₀, or at the last f."""

    def draw(figure, N, begin):
        cold, warm = (study.run(CG.fixed(N), Implicit(CG.fixed(N)), warm=flag) for flag in (False, True))
        chosen, other = (warm, cold) if begin == "the last f" else (cold, warm)
        left, right = figure.subplots(1, 2)
        for run, color, width in ((other, "0.75", 1.4), (chosen, COLORS["blue"], 2.4)):
            look = {"ms": 3.5, "color": color, "lw": width}
            look["label"] = "from the last f" if run is warm else "from f₀"
            left.plot(run.errors, "o-", **look)
            right.semilogy(run.loose, "o-", **look)
        left.set(xlabel="step", ylabel="image error in %", xlim=(0, 9), ylim=(0, 44))
        right.set(xlabel="step", ylabel="‖Aᵀr‖ / ‖Aᵀb‖: 0 if exact", xlim=(0, 9), ylim=(1e-5, 3e-2))
        left.legend(loc="lower left", fontsize=9)
        loose = size_text(chosen.loose[-1])
        return (
            f"{N} + {N} iterations, started at {begin}: ‖Aᵀr‖/‖Aᵀb‖ ends at {loose} and the "
            f"image error at {chosen.error:.1f} % (the other start: {other.error:.1f} %)."
        )

    return draw


# ---- static drawings


def remainders(tests):
    """The remainder after the first derivative, one curve for each test."""
    figure, ax = plt.subplots(figsize=(6.4, 3.4))
    taylor(ax, tests, (1,))
    ax.set_ylabel("‖r(w + hv) − r(w) − hJv‖")
    return figure


# ---- the records


def repairs(rows):
    """Median image errors, name ↦ %, from the paper's method to the repaired one."""
    figure, ax = plt.subplots(figsize=(6.4, 2.9))
    for k, (name, value) in enumerate(rows.items()):
        ax.plot(value, k, "o", ms=9, color=COLORS["black" if "nothing" in name else "blue"])
        ax.annotate(f"{value:.1f}", (value, k), (9, 0), textcoords="offset points", va="center")
    ax.set_yticks(range(len(rows)), list(rows))
    ax.set(xlabel="image error in %, median", xlim=(0, 32), ylim=(len(rows) - 0.5, -0.5))
    return figure
