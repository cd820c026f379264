"""Figures of chapter 3: how two images are aligned."""

import matplotlib.pyplot as plt
import numpy as np
import torch

from regbook.experiments import ch03 as experiments
from regbook.experiments.ch03 import moved
from regbook.plots import COLORS, ERROR_MAP, error, image, look, overlay
from regbook.text import counted, signed
from regkit.registration import Registration

# ------------------------------------------------------------------------------------ predict


def comes_home(pair, objective, found):
    """Start, end and loss of Newton from each angle of ``experiments.comes_home``."""

    def draw(figure, angle):
        run, start, end = found.runs[angle], found.runs[angle].history[0], found.off[angle]
        axes = figure.subplots(1, 3, width_ratios=[1, 1, 1.25])
        for ax, w, title in ((axes[0], start.x, "start"), (axes[1], run.x, "where Newton stops")):
            overlay(ax, pair.reference, moved(objective, w), pair.grid, title)
        losses = [100 * entry.loss / start.loss for entry in run.history]
        axes[2].semilogy(losses, "o-", ms=4, color=COLORS["vermillion"])
        axes[2].set(title="loss, % of the start", xlabel="iteration", xlim=(-1, 45), ylim=(0.05, 150))
        axes[2].set(yticks=(0.1, 1, 10, 100), yticklabels=("0.1", "1", "10", "100"))
        return (
            f"Turned by {angle:g}°. Newton stops after {counted(run.iterations, 'iteration')}, "
            f"{'converged' if run.converged else 'not converged'}. Loss {losses[-1]:.2g} % of the start, "
            f"{end:.2f} cm from the true map: {'home' if found.home(angle) else 'not home'}."
        )

    return draw


# ------------------------------------------------------------------------------------ one parameter


def two_pixels():
    """J(w) of the two pixels, and the parabolas that Gauss-Newton and Newton put in its place at w."""
    grid, pixels = np.linspace(-3.2, 2.2, 300), experiments.TwoPixels()

    def draw(figure, w):
        ax = figure.subplots()
        J, gradient = pixels.loss(w), pixels.slope(w)
        ax.plot(grid, pixels.loss(grid), color=COLORS["black"], lw=2.5, label="J(w)")
        said = []
        for (name, H), style in zip(pixels.curvatures(w).items(), ("--", "-."), strict=True):
            color = look(name)["color"]
            parabola = J + gradient * (grid - w) + H / 2 * (grid - w) ** 2
            ax.plot(grid, parabola, style, color=color, label=f"{name}'s parabola")
            if abs(H) < 1e-9:
                said.append(f"{name}'s parabola is a line")
                continue
            end = w - gradient / H
            ax.plot([end], [J - gradient**2 / H / 2], "v" if H > 0 else "^", ms=9, color=color)
            said.append(f"{name} goes to {end:.2f}" + ("" if H > 0 else ", the top of its parabola"))
        ax.plot([w], [J], "o", ms=9, color=COLORS["black"])
        ax.set(xlabel="shift w", ylabel="J", xlim=(-3.2, 2.2), ylim=(-3, 20))
        ax.legend(loc="upper center", ncols=3, bbox_to_anchor=(0.5, 1.14))
        return signed(f"At w = {w:.2f}: J = {J:.2f}, slope {gradient:.2f}. {'; '.join(said)}.")

    return draw


# ------------------------------------------------------------------------------------ what pulls

LABELS = ("a₁₁", "a₁₂", "a₂₁", "a₂₂", "b₁", "b₂")


def pulls(cases):
    """The Jacobian's columns as images, and how alike they are: ``cases`` of ``experiments.conditioning``."""

    def draw(figure, about, lengths):
        case = cases[about, lengths]
        J, grid = case.objective.jacobian(case.w), case.objective.problem.grid
        unit = J / J.norm(dim=0)
        left, right = figure.subfigures(1, 2, width_ratios=[1.75, 1])
        for label, column, ax in zip(LABELS, unit.T, left.subplots(2, 3).T.flatten(), strict=True):
            span = float(f"{0.6 * float(column.abs().max()):.1g}")
            error(ax, column, grid, span, None)
            ax.text(0.04, 0.96, label, transform=ax.transAxes, ha="left", va="top", fontsize=10)
        ax, strip = right.subplots(2, 1, height_ratios=[6, 1])
        alike = (unit.T @ unit).numpy()
        ax.imshow(alike, cmap=ERROR_MAP, vmin=-1, vmax=1)
        for i, j in np.ndindex(6, 6):
            ink = "white" if abs(alike[i, j]) > 0.75 else COLORS["black"]
            text = signed(f"{alike[i, j]:.1f}")
            ax.text(j, i, text, ha="center", va="center", fontsize=8, color=ink)
        ax.set_xticks(range(6), LABELS)
        ax.set_yticks(range(6), LABELS)
        ax.set_title("cosines between them")
        spectrum = torch.linalg.eigvalsh(case.objective.hessian(case.w))
        dots = {"ms": 7, "alpha": 0.7, "color": COLORS["vermillion"]}
        strip.semilogx(spectrum / spectrum[-1], torch.zeros(6), "o", **dots)
        strip.set(xlim=(5e-7, 2), yticks=[], xticks=[1e-6, 1e-4, 1e-2, 1])
        strip.set_title("eigenvalues of H, largest 1")
        ax.grid(False)
        ax.tick_params(labelsize=9, length=0)
        alike[np.diag_indices(6)] = 0
        i, j = np.unravel_index(np.abs(alike).argmax(), alike.shape)
        return signed(
            f"About {about}, lengths in {lengths}: condition number {case.condition:,.0f}. Most alike: "
            f"{LABELS[i]} and {LABELS[j]}, cosine {alike[i, j]:.2f}. Iterations: "
            f"gradient descent {case.counts['descent']}, Gauss-Newton {case.counts['Gauss-Newton']}, "
            f"Newton in a trust region {case.counts['Newton']}."
        )

    return draw


# ------------------------------------------------------------------------------------ methods


def landscape(pair, objective, slide):
    """J over turn and slide, with the path of a method from a turned and slid start."""
    turns, slides = np.linspace(-180, 180, 49), np.linspace(-9, 9, 25)
    J = experiments.landscape(objective, turns, slides)
    levels = np.linspace(J.min() ** 0.5, J.max() ** 0.5, 18) ** 2

    def draw(figure, angle, method):
        ax, picture = figure.subplots(1, 2, width_ratios=[2.1, 1])
        ax.contourf(turns, slides, J, levels=levels, cmap="Greys_r", extend="both")
        ax.contour(turns, slides, J, levels=levels, colors="k", linewidths=0.3)
        run, path = experiments.walk(method, objective, angle, slide)
        ax.plot([0], [0], "*", ms=14, color=COLORS["green"], mec="white", label="truth")
        ax.plot(*path.T, "o-", ms=4, lw=1.5, color=COLORS["orange"], label="path")
        ax.plot(*path[0], "s", ms=8, color=COLORS["sky"], mec="white", label="start")
        ax.plot(*path[-1], "D", ms=9, color="none", mec=COLORS["vermillion"], mew=2, label="end")
        ax.set(xlabel="turn in degrees", ylabel="slide in cm", xlim=(-180, 180), ylim=(-9, 9))
        ax.set_xticks(range(-180, 181, 90))
        ax.legend(loc="upper center", ncols=4, bbox_to_anchor=(0.5, 1.17), columnspacing=1, handletextpad=0.4)
        ax.grid(False)
        overlay(picture, pair.reference, moved(objective, run.x), pair.grid, "the end")
        turn, shift = path[-1]
        home = abs((turn + 180) % 360 - 180) < 3 and abs(shift) < 0.3
        where = "at home" if home else "outside of the picture" if abs(shift) > 20 else "not at home"
        counts = run.evaluations
        name = method[0].upper() + method[1:]
        return signed(
            f"{name} from {angle:g}° and {slide:g} cm: {counted(run.iterations, 'iteration')}, "
            f"{counted(counts['loss'], 'loss', 'losses')}, {counted(counts['gradient'], 'gradient')}, "
            f"{counted(counts['hessian'], 'Hessian')}. "
            f"It ends at {turn:.1f}° and {shift:.2f} cm, {where}, "
            f"with {100 * run.loss / run.history[0].loss:.2g} % of its loss."
        )

    return draw


def digits(image, grid, reference, transform, start):
    """Correct digits over iterations, for a reference whose contrast is multiplied by a factor."""

    def draw(figure, contrast, theta):
        found = experiments.digits(Registration(image, contrast * reference, grid, transform), start, theta)
        ax, picture = figure.subplots(1, 2, width_ratios=[2, 1])
        for name in found.runs:
            ax.plot(found.correct(name), ms=5, label=name, **look(name))
        ax.axhline(7, color="0.5", lw=0.8, ls=":")
        ax.set(xlabel="iteration", ylabel="correct digits of w", xlim=(-0.5, 25), ylim=(0, 16.5))
        ax.set_yticks(range(0, 17, 4))
        ax.legend(loc="lower left", ncols=2, bbox_to_anchor=(0, 1), handlelength=1.2, columnspacing=1)
        residual = found.objective.residual(found.w_star) / grid.cell_volume**0.5
        error(picture, residual, grid, 120, "residual")
        late = found.seven("Gauss-Newton")
        held = f"{100 * found.share:.2g} %" if found.share > 1e-9 else "nothing"
        return signed(
            f"Contrast of the reference × {contrast:g}, θ = {theta:g}. The residual at the minimiser holds "
            f"{held} of the energy of the reference. "
            f"Seven digits: Newton after {counted(found.seven('Newton, trust region'), 'iteration')}, "
            f"Gauss-Newton after {late if late is not None else 'more than 40'}. "
            f"Near the minimiser Gauss-Newton multiplies its error by {found.factor:.2f}."
        )

    return draw


# ------------------------------------------------------------------------------------ what goes wrong


def failure(pair, objective, run, truth):
    """The end of a run that reports success; its loss and its true error over the iterations."""
    figure, axes = plt.subplots(1, 3, figsize=(7.2, 3.0), width_ratios=[0.8, 1.1, 1.1])
    overlay(axes[0], pair.reference, moved(objective, run.x), pair.grid, "the end")
    loss, off = experiments.seen_and_true(objective, run, truth)
    axes[1].plot(loss, "o-", ms=3, color=COLORS["vermillion"])
    axes[1].set(title="what it sees: loss in %", xlabel="accepted step", ylim=(0, 105))
    axes[2].plot(off, "s-", ms=3, color=COLORS["blue"])
    axes[2].set(title="what is true: error in cm", xlabel="accepted step", ylim=(0, None))
    return figure


BASIN_COLORS = ("blue", "orange", "vermillion", "purple")


def basin_map(pair, objective, result):
    """The map of starts coloured by the minimum that Newton ends in, and pictures of the commonest minima."""
    names = [COLORS[name] for name in BASIN_COLORS]
    figure = plt.figure(figsize=(7.2, 5.0))
    top, bottom = figure.subfigures(2, 1, height_ratios=[1.1, 1])
    ax = top.subplots()
    colors = np.array([*names, "#c9cdd1"])[np.minimum(result.label, len(names))]
    wide, high = (np.diff(axis)[0] for axis in (result.turns, result.slides))
    for slide, row in zip(result.slides, colors, strict=True):
        ax.broken_barh(
            [(turn - wide / 2, wide) for turn in result.turns], (slide - high / 2, high), color=row
        )
    ax.plot([0], [0], "*", ms=13, color="white", mec="black")
    ax.set(xlabel="turn at the start, degrees", ylabel="slide at the start, cm", xticks=range(-180, 121, 60))
    ax.margins(0)
    ax.grid(False)
    for k, panel in enumerate(bottom.subplots(1, len(names))):
        overlay(panel, pair.reference, moved(objective, result.ends[k]), pair.grid)
        share, off = 100 * result.count[k] / result.label.size, result.error[k]
        panel.set_title(
            ("home" if k == 0 else f"off by {off:.1f} cm") + f"\n{share:.0f} % of the starts", fontsize=10
        )
        for side in panel.spines.values():
            side.set(color=names[k], linewidth=4, visible=True)
    return figure


def loss_against_error(result):
    """Every minimum as a point, as large as its share of the starts: loss that is left, and true error."""
    figure, ax = plt.subplots(figsize=(7.2, 3.0))
    names = [COLORS[name] for name in BASIN_COLORS] + ["#8a9096"] * len(result.ends)
    for k, (loss, off) in enumerate(zip(result.loss, result.error, strict=True)):
        label = {0: "home", len(BASIN_COLORS): "rarer minima"}.get(k)
        dot = {"s": 12 + 9 * result.count[k], "alpha": 0.8, "color": names[k], "edgecolor": "white"}
        ax.scatter(100 * loss, off, label=label, **dot)
    ax.set(
        xlabel="loss that is left, % of the loss at the identity",
        ylabel="true error in cm",
        xlim=(-5, 105 * result.loss.max()),
        ylim=(-2, 1.25 * result.error.max()),
    )
    for handle in ax.legend(loc="upper right", ncols=2).legend_handles:
        handle.set_sizes([40])
    return figure


def edge(objective, truth, end):
    """The differences of two patterns on a bright background, at the truth and where Newton ends."""
    grid = objective.problem.grid
    figure, axes = plt.subplots(1, 3, figsize=(7.2, 2.9))
    image(axes[0], objective.reference, grid, "reference")
    for ax, w, span, title in ((axes[1], truth, 128, "at the truth"), (axes[2], end, 30, "at the end")):
        error(ax, objective.residual(w) / grid.cell_volume**0.5, grid, span, title)
    return figure


# ------------------------------------------------------------------------------------ a real image


def before_and_after(objective, w0, w1):
    """The two heads on top of each other, before and after, and what is left of the difference."""
    grid = objective.problem.grid
    figure, axes = plt.subplots(1, 3, figsize=(7.2, 2.9))
    reference = objective.reference.reshape(grid.shape)
    overlay(axes[0], reference, moved(objective, w0), grid, "before")
    overlay(axes[1], reference, moved(objective, w1), grid, "after")
    error(axes[2], moved(objective, w1) - reference, grid, 60, "difference after")
    return figure
