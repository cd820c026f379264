"""Figures of chapter 10: how exact the projection must be."""

import matplotlib.pyplot as plt
import numpy as np
import torch

from regbook import plots
from regbook.experiments import ch10 as experiments
from regbook.plots import COLORS, family, taylor
from regbook.text import counted, signed
from regkit.implicit import Frozen, Implicit, Unrolled
from regkit.linear import CG

SPAN = 64  # of the errors that are drawn, in grey values


# ---- the finished figure: Figs 10 and 11 of the paper


def hook(study, counts):
    """Error, image, loss and gradient after nine steps, with N iterations that are all differentiated."""
    none, grid, truth = study.run(CG.fixed(200), Frozen()), study.problem.grid, study.made.image
    known = {count: study.run(CG.fixed(count), Unrolled()) for count in counts}

    def draw(figure, N):
        run = study.run(CG.fixed(N), Unrolled())
        image = experiments.exact_image(study.problem, run.result.x).reshape(grid.shape)
        above, below = figure.subfigures(2, 1, height_ratios=[1, 1.05])
        left, middle, right = above.subplots(1, 3, width_ratios=[1.55, 1, 1])
        left.semilogx(counts, [r.error for r in known.values()], "-", color="0.6", lw=1.2)
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
        falls = [values[-1] / values[0] for values in (run.losses, run.gradients)]
        return (
            f"{counted(N, 'iteration')}, all differentiated: the image error ends at {run.error:.1f} %, the "
            f"loss at {falls[0]:.2g} and the gradient at {falls[1]:.1g} of the start. "
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
            f"solved exactly at this f, is {worst:.3g} times as large as the derivative of the program."
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
        return (
            f"{total} iterations for f and {k} for its derivative: the Jacobian is off by {error:.2g}, and "
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
        right.plot(chosen.errors, "o-", ms=4, color=COLORS[colors[tangent]], label="this run")
        right.axhline(study.error(study.made.w_true), color="0.4", ls=":", label="true motions")
        right.set(xlabel="step", ylabel="image error in %", xlim=(0, 9), ylim=(0, 52))
        right.legend(loc="lower left", fontsize=8.5)
        return (
            f"Projection to {rtol:.1e}, tangents to {tangent:g}: {chosen.accepted} of "
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
        return (
            f"{N} + {N} iterations, started at {begin}: ‖Aᵀr‖/‖Aᵀb‖ ends at {chosen.loose[-1]:.1e} and the "
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


def tape(counts, saved):
    """Nodes behind the iterate over the steps; bytes that reverse mode keeps over the iterations of CG."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(6.8, 3.3))
    marks = {"carries a gradient": ("vermillion", "o-"), "detached in every step": ("blue", "s-")}
    for name, values in counts.items():
        color, mark = marks.get(name, ("green", "^--"))
        left.plot(values, mark, ms=4, color=COLORS[color], label=f"w {name}")
    left.set(xlabel="step of the optimiser", ylabel="nodes behind w")
    left.legend(fontsize=8.5, loc="upper left")
    left.set_ylim(-0.06 * max(max(v) for v in counts.values()), 1.35 * max(max(v) for v in counts.values()))
    for (name, values), color, mark in zip(saved.items(), ("vermillion", "blue"), "os", strict=True):
        sizes = [size / 1e6 for size in values.values()]
        right.plot(list(values), sizes, mark + "-", ms=4, color=COLORS[color], label=name)
    right.set(xlabel="CG iterations in one step", ylabel="kept for reverse mode in MB")
    right.legend(fontsize=8.5, loc="upper left")
    return figure


# ---- the records


def comparison(record):
    """Median error over median work, step by step; the best method with exact solves as a line."""
    figure, ax = plt.subplots(figsize=(6.8, 5.4))
    families = {"none": "black", "warm": "orange", "growing": "purple", "unrolled": "vermillion"}
    families |= {"implicit": "blue", "Kaufman": "green"}
    seen = dict.fromkeys(families, 0)
    for method in record["methods"]:
        if method["products"] is None:
            continue
        family = next(name for name in families if name in method["name"])
        mark, style = "osv^"[seen[family] % 4], ("-", "--", "-.", ":")[seen[family] % 4]
        seen[family] += 1
        middle = experiments.median_path(method)
        look = {"color": COLORS[families[family]], "marker": mark, "ls": style, "ms": 4, "lw": 1.4}
        ax.loglog(middle[:, 0], middle[:, 1], label=method["name"], **look)
    best = min(row["median"] for row in experiments.summary(record) if row["all"] is None)
    ax.axhline(best, color="0.4", ls=":", label="best with exact solves")
    ax.set(xlabel="products with AᵀA, median", ylabel="image error in %, median")
    ax.set_yticks([8, 10, 15, 20, 30, 40], ["8", "10", "15", "20", "30", "40"])
    ax.minorticks_off()
    figure.legend(fontsize=9, loc="outside lower center", ncols=2)
    return figure


def large(record, images, grid):
    """Template, up-sampled, start and end, with the errors of the last three."""
    figure, axes = plt.subplots(2, 4, figsize=(6.8, 3.9), dpi=120)
    names = {"template": "template 0", "upsampled": "up-sampled", "start": "start", "end": "after 10 steps"}
    truth = images["image"].astype(float)
    for ax, below, (key, title) in zip(axes[0], axes[1], names.items(), strict=True):
        values = torch.from_numpy(images[key].astype(float))
        at = grid if values.shape == tuple(grid.shape) else type(grid)(grid.extent, tuple(values.shape))
        plots.image(ax, values, at, title)
        if key == "template":
            plots.image(below, torch.from_numpy(truth), grid, "true image")
        else:
            part = record["error"]["up-sampled" if key == "upsampled" else key]
            plots.error(below, values - torch.from_numpy(truth), grid, SPAN, f"{100 * part:.1f} %")
    return figure
