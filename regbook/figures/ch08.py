"""Figures of chapter 8: eliminating the image by variable projection."""

import math

import matplotlib.pyplot as plt
import numpy as np
import torch
from mpl_toolkits.mplot3d.art3d import Poly3DCollection

from regbook import plots
from regbook.experiments import ch08 as experiments
from regbook.plots import COLORS, look, show_image
from regbook.text import counted, number_text, signed

SPAN = 90  # of the errors that are drawn, in grey values
WALKERS = {
    "alternating": ("vermillion", "s"),
    "joint Gauss-Newton": ("orange", "D"),
    "variable projection": ("blue", "o"),
}


def _look(name):
    """Of a Jacobian; all of CG differentiated is "unrolled" elsewhere."""
    return look("unrolled" if name == "all of CG" else name)


def _heights(problem, w, f):
    """log₁₀ of the loss at all pairs of w and f."""
    columns = np.stack([experiments.at_spot(problem, v)[0] for v in w])
    residual = f[:, None, None] * columns - problem.b.numpy()
    return np.log10(0.5 * (residual**2).sum(-1))


def valley(problem):
    """The landscape of the spot with the three walkers, one of them enlarged, and how far each has to go."""
    w, f = np.linspace(4, 9.5, 90), np.linspace(0, 2.3, 70)
    heights, target = _heights(problem, w, f), experiments.best_spot(problem)
    known = {}

    def draw(figure, steps, place):
        steps, place = round(steps), experiments.on_the_line(place)
        if place not in known:
            known[place] = experiments.walks(problem, *place)
        figure.set_layout_engine("none")  # the same places in every frame, so that a frame is small
        places = ((0.085, 0.23, 0.5, 0.75), (0.7, 0.58, 0.29, 0.36), (0.7, 0.12, 0.29, 0.36))
        left, zoom, right = (figure.add_axes(place) for place in places)
        left.contourf(w, f, heights, np.linspace(-3.6, 0.6, 11), cmap="Greys_r", extend="both", alpha=0.75)
        left.plot(*target, "*", ms=15, color=COLORS["green"], mec="white", label="minimum")
        texts = []
        for name, walk in known[place].items():
            color, mark = WALKERS[name]
            line = [point for corner in walk.corners[:steps] for point in corner]
            here = walk.points[steps]
            for ax in (left, zoom):
                if line:
                    ax.plot(*np.array(line).T, color=COLORS[color], lw=1.8)
                ax.plot(*here, mark, ms=7, color=COLORS[color], mec="white", label=name)
            distance = np.abs(walk.points[:, 0] - target[0]).clip(2e-5)
            right.semilogy(distance[: steps + 1], color=COLORS[color], lw=1.8)
            right.semilogy(steps, distance[steps], mark, ms=7, color=COLORS[color], mec="white")
            off = f"{abs(here[0] - target[0]):.3f} pixels" if np.isfinite(here[0]) else "nowhere near"
            texts.append(f"{name} {off}")
        left.set(xlim=(4, 9.5), ylim=(0, 2.3), xlabel="position w in pixels", ylabel="intensity f")
        figure.legend(
            *left.get_legend_handles_labels(), loc="lower center", bbox_to_anchor=(0.32, 0), ncols=2
        )
        large = _enlarge(zoom, known[place]["alternating"], steps)
        zoom.set_title(
            f"alternating, {large:.0f} times as large" if large > 1.5 else "alternating", fontsize=10
        )
        right.axhline(experiments.NEAR, color="0.4", ls="--", lw=1)
        right.set(xlim=(-0.5, 41), ylim=(1e-5, 20), xlabel="steps", ylabel="|w − best w|, pixels")
        return (
            f"After {counted(steps, 'step')}, from w = {place[0]:.1f}, f = {place[1]:.2f}. "
            f"Off by: {', '.join(texts)}."
        )

    return draw


def _enlarge(ax, walk, steps):
    """Limits that show the last few steps of a walk, and how much larger they are than in the landscape."""
    plots.bare(ax)
    ax.spines[:].set(visible=True, color="#aab2ba")
    centre = walk.points[steps]
    moved = np.abs(walk.points[steps] - walk.points[max(steps - 1, 0)])
    scale = max(3 * float(max(moved[0] / 2.75, moved[1] / 1.15)), 2e-3) if steps else 1.0
    scale = min(scale, 1.0)
    ax.set(xlim=centre[0] + np.array([-2.75, 2.75]) * scale, ylim=centre[1] + np.array([-1.15, 1.15]) * scale)
    return 1 / scale


# ---- D, its shadow, and what is left


def shadow(figure, angle, view):
    """D over the plane range(A) in space; and in the upright slice through it, how far each step goes."""
    figure.set_layout_engine("none")
    space = figure.add_axes((0.0, -0.08, 0.46, 1.16), projection="3d", computed_zorder=False)
    slice_ = figure.add_axes((0.53, 0.2, 0.46, 0.75))
    phi = math.radians(angle)
    D = np.array([math.cos(phi), 0.0, math.sin(phi)])
    plane = [[(-0.4, -0.7, 0), (1.25, -0.7, 0), (1.25, 0.7, 0), (-0.4, 0.7, 0)]]
    space.add_collection3d(Poly3DCollection(plane, facecolor=COLORS["sky"], alpha=0.35, edgecolor="0.5"))
    arrows = (
        ("D", (0, 0, 0), D, "vermillion"),
        ("PD", (0, 0, 0), D * [1, 1, 0], "orange"),
        ("P⊥D", D * [1, 1, 0], D * [0, 0, 1], "blue"),
    )
    for _, tail, arrow, color in arrows:
        if np.linalg.norm(arrow) > 1e-6:
            space.quiver(*tail, *arrow, color=COLORS[color], lw=2.5, arrow_length_ratio=0.12)
    space.quiver(0, 0, 0, 0, 0, 1.0, color=COLORS["black"], lw=2, arrow_length_ratio=0.12)
    space.text(-0.05, 0, 1.05, "r", fontsize=11, ha="right")
    space.text(*(D * 1.08 + [0.02, 0, 0.02]), "D", color=COLORS["vermillion"], fontsize=11)
    if angle < 85:
        space.text(0.55 * D[0], -0.2, -0.05, "P D", color=COLORS["orange"], fontsize=10, ha="center")
        space.text(D[0] + 0.06, 0, 0.4 * D[2], "P⊥D", color=COLORS["blue"], fontsize=10)
    space.text(1.2, -0.66, 0.03, "range(A)", color="0.3", fontsize=9, ha="right")
    space.set(xlim=(-0.35, 1.2), ylim=(-0.75, 0.75), zlim=(0, 1.2))
    space.set_box_aspect((1.5, 1.5, 1.2), zoom={"from the side": 1.15, "from above": 0.98}[view])
    space.view_init(*{"from the side": (14, -72), "from above": (48, -62)}[view])
    space.set_axis_off()

    short, full = math.sin(phi), 1 / math.sin(phi)  # steps that lead from r to the foot, and to the plane
    foot, ground = np.array([-short * D[0], 1 - short * D[2]]), np.array([-full * D[0], 0])
    slice_.axhline(0, color=COLORS["sky"], lw=4, alpha=0.6)
    slice_.plot([0, ground[0]], [1, 0], "--", color=COLORS["blue"], lw=1.6, label="Kaufman: down to range(A)")
    slice_.plot([0, foot[0]], [1, foot[1]], color=COLORS["vermillion"], lw=3, label="none: to the foot")
    slice_.plot([0, foot[0]], [0, foot[1]], ":", color="0.4", lw=1.3)
    slice_.plot([foot[0], 0], [foot[1], foot[1]], ":", color=COLORS["vermillion"], lw=1.3)
    slice_.plot(*ground, "o", ms=7, color=COLORS["blue"])
    slice_.plot(*foot, "s", ms=7, color=COLORS["vermillion"])
    slice_.annotate("", (0, 1), (0, 0), arrowprops={"arrowstyle": "->", "lw": 2, "color": COLORS["black"]})
    slice_.text(0.1, 0.85, "r", fontsize=11)
    slice_.set(xlim=(-3.9, 0.45), ylim=(-0.15, 1.75), aspect="equal")
    slice_.set(xlabel="along range(A)", ylabel="across")
    slice_.set_xticks([-3, -2, -1, 0])
    slice_.legend(loc="upper left", fontsize=9)
    return (
        f"Seen {view}, D rises at {angle:.0f}° from range(A). The step with D is sin² = {short**2:.3f} of "
        f"the step with P⊥D; when f has followed, {1 - short**2:.3f} of the residual is left."
    )


# ---- the standard problem of chapters 7 to 10


def progress(runs):
    """Figure 5 of the paper: relative loss and gradient norm, and Figure 6's number, over the steps."""
    figure, axes = plt.subplots(1, 3, figsize=(6.8, 3.3))
    for name, one in runs.items():
        style = {"ms": 4, "lw": 1.5, **_look(name)}
        for ax, values in zip(axes, (one.loss / one.loss[0], one.gradient / one.gradient[0]), strict=False):
            ax.semilogy(values, **style)
        axes[2].plot(one.error, label=name, **style)
    for ax, title in zip(axes, ("loss / first", "‖Jᵣᵀr‖ / first", "image error, %"), strict=True):
        ax.set(title=title, xlabel="step", xticks=[0, 3, 6, 9])
    axes[2].set_ylim(0, 45)
    figure.legend(loc="outside lower center", ncols=5, columnspacing=1.0, handletextpad=0.4, fontsize=9)
    return figure


def reconstructions(made, runs):
    """The image and its error after each step, and where on the curve of errors it stands."""
    grid, truth = made.problem.grid, made.image

    def draw(figure, steps, jacobian):
        steps = round(steps)
        left, middle, right = figure.subplots(1, 3, width_ratios=[1, 1, 1.25])
        f = runs[jacobian].images[steps].reshape(grid.shape)
        show_image(left, f, grid, 0, 255, title="f(w)")
        left.set(xlabel="x in cm", ylabel="y in cm", xticks=[0, 10, 20], yticks=[0, 10, 20])
        plots.error(middle, f - truth, grid, SPAN, "f(w) − truth")
        for name, one in runs.items():
            style, chosen = _look(name), name == jacobian
            right.plot(one.error, color=style["color"], lw=2.2 if chosen else 1, label=name)
            if chosen:
                right.plot(steps, one.error[steps], ms=9, mec="white", **style)
        right.set(xlabel="step", title="image error, %", xlim=(-0.4, 9.4), ylim=(0, 46))
        right.legend(loc="center right", fontsize=8)
        one = runs[jacobian]
        return (
            f"{jacobian}, after {steps} of 9 steps: image error {one.error[steps]:.1f} %, loss "
            f"{one.loss[steps]:.2f}, gradient norm {number_text(one.gradient[steps])}."
        )

    return draw


# ---- the two effects apart


def effects(table):
    """The error of the gradient, and of the Gauss-Newton matrix, at each w of a path."""

    def draw(figure, steps):
        now = table[round(steps)]
        axes = figure.subplots(1, 2, sharey=True)
        for ax, what in zip(axes, ("gradient", "matrix"), strict=True):
            for shift, rows, color, mark in ((-0.12, "data", "orange", "o"), (0.12, "full", "blue", "s")):
                values = [max(now[rows, name][what], 2e-10) for name in experiments.JACOBIANS]
                label = "data block" if rows == "data" else "full residual"
                ax.plot(np.arange(3) + shift, values, mark, ms=9, color=COLORS[color], label=label)
            ax.set_yscale("log")
            ax.set(ylim=(1e-10, 1e4), xlim=(-0.5, 2.5), xticks=range(3))
            ax.set_xticklabels(["none", "Kaufman", "Golub-\nPereyra"])
            ax.grid(False, axis="x")
            ax.axhspan(1e-10, 1e-6, color="0.9", zorder=0)
        axes[0].set(title="error of the gradient", ylabel="relative error")
        axes[1].set(title="error of JᵣᵀJᵣ")
        axes[1].legend(loc="upper right", fontsize=9)
        none, kaufman, full = now["data", "none"], now["data", "Kaufman"], now["full", "none"]
        return (
            f"After {counted(round(steps), 'step')}. "
            f"On the data block the gradient of none points {none['angle']:.0f}° away from the true one, "
            f"Kaufman's {kaufman['angle']:.0f}°; on the full residual all agree. "
            f"There the step of none is {full['step']:.3f} times as long as the exact one, Kaufman's "
            f"{now['full', 'Kaufman']['step']:.2f} times."
        )

    return draw


def slow(made, one, floor):
    """None on the full residual for many steps, and where the others are after nine."""
    figure, ax = plt.subplots(figsize=(6.4, 2.9))
    ax.plot(one.error, color=look("none")["color"], label="none, full residual")
    ax.axhline(floor, color=look("Kaufman")["color"], ls="--", label="Kaufman after 9 steps")
    above = 100 * made.error(made.problem.upsampled())
    ax.axhline(above, color="0.4", ls=":", label="template 0, up-sampled")
    ax.set(xlabel="step", ylabel="image error, %", xlim=(0, len(one.error) - 1), ylim=(0, 45))
    ax.legend()
    return figure


# ---- derivative tests


def taylor(residual, loss):
    """Remainders after the first-order term, of the residual and of the loss, one curve a kind."""
    figure, axes = plt.subplots(1, 2, figsize=(6.8, 4.3))
    titles = ("the residual, with Jᵣv", "the loss, with (Jᵣᵀr)ᵀv")
    for ax, tests, title in zip(axes, (residual, loss), titles, strict=True):
        for name, test in tests.items():
            size = {"none": 8, "Kaufman": 5}.get(name, 3.5)
            label = f"{name}: slope {test.slopes[1]:.2f}"
            ax.loglog(test.steps, test.errors[1], ms=size, lw=1.3, label=label, **look(name))
        bottom = min(float(test.errors[1].min()) for test in tests.values())
        ax.set(title=title, xlabel="step h", ylim=(bottom / 5, None))
        ax.legend(fontsize=9, loc="upper center", bbox_to_anchor=(0.5, -0.22))
    axes[0].set_ylabel("remainder")
    return figure


# ---- the gauge


def drifting(made, one, held, pulled, alone):
    """Template 0 free: where it went, the error image, and the error over the steps.

    pulled: the errors with the drift undone. alone: what the drift would do to the true image.
    """
    problem, truth, grid = made.problem, made.image, made.problem.grid
    seen = torch.cartesian_prod(torch.linspace(2, 18, 5), torch.linspace(2.5, 22.5, 5)).double()

    def draw(figure, steps):
        k = round(steps)
        left, right = figure.subplots(1, 2, width_ratios=[1, 1.5])
        plots.error(left, one.images[k].reshape(grid.shape) - truth, grid, SPAN, None)
        move = 10 * (problem.transform(one.path[k][:6], seen) - seen)
        arrows = {"angles": "xy", "scale_units": "xy", "scale": 1, "width": 0.012, "color": COLORS["black"]}
        left.quiver(*seen.T, *move.T, **arrows)
        left.set_xlabel("error, and drift ×10")
        for values, color, style, label in (
            (one.error, "vermillion", "-", "template 0 free"),
            (pulled, "orange", "--", "the same, drift undone"),
            (held.error, "blue", "-", "template 0 held"),
            (alone, "black", ":", "the drift alone"),
        ):
            right.plot(values, style, color=COLORS[color], label=label)
            right.plot(k, values[min(k, len(values) - 1)], "o", ms=6, color=COLORS[color])
        right.set(xlabel="step", ylabel="image error, %", xlim=(-0.5, 40.5), ylim=(0, 27))
        right.legend(loc="upper right", fontsize=9)
        cells, (along_x, along_y) = experiments.drift(problem, one.path[k])
        return signed(
            f"After {counted(k, 'step')}: loss {one.loss[k]:.3f}, image error {one.error[k]:.2f} %, with the "
            f"drift undone {pulled[k]:.2f} %. Template 0 has moved by {cells:.2f} cells on average, and is "
            f"stretched by {100 * along_x:.1f} % along x, {100 * along_y:.1f} % along y. This alone would "
            f"change the true image by {alone[k]:.1f} %."
        )

    return draw


# ---- a real image


def gallery(made, images, titles):
    """Images above their error images."""
    grid = made.problem.grid
    figure, axes = plt.subplots(2, len(images), figsize=(6.8, 3.9))
    for (top, bottom), f, title in zip(axes.T, images, titles, strict=True):
        plots.image(top, f, grid)
        top.set_title(title, fontsize=9)
        plots.error(bottom, f - made.image.reshape(-1), grid, SPAN, None)
    return figure
