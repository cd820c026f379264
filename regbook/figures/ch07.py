"""Figures of chapter 7: the model of super-resolution, what its data know, and what noise does to it."""

from functools import partial

import matplotlib.pyplot as plt
import numpy as np
import torch
from matplotlib.colors import to_rgb

from regbook.experiments import ch07 as experiments
from regbook.plots import COLORS, error, family, powers, spectrum
from regbook.plots import image as picture
from regbook.text import counted

SPAN = 80  # of the errors that are drawn, in grey values


def _plot_and_two(figure):
    """Axes for a plot, and for two pictures beside it."""
    grid = figure.add_gridspec(2, 2, width_ratios=[1.9, 1])
    return (figure.add_subplot(grid[place]) for place in (np.s_[:, 0], np.s_[0, 1], np.s_[1, 1]))


def hook(image, grid):
    """The coarse images, the fine one made of them, and its error."""
    made = {n: experiments.observed(image, grid, moves) for n, moves in experiments.motions(grid).items()}
    full = {name: experiments.Dense(each.problem, each.w_true) for name, each in made.items()}
    alone = 100 * made["by whole pixels"].error(full["by whole pixels"].solve(1e-2, 1))

    def draw(figure, images, moved):
        images = round(images)
        problem, f = made[moved].problem, full[moved].solve(1e-2, images)
        left, beside = figure.subfigures(1, 2, width_ratios=[1.35, 2])  # read as one, also on a phone
        small = left.subplots(2, 3)
        middle, right = beside.subplots(1, 2)
        for k, ax in enumerate(small.flat):
            picture(ax, problem.templates[k], problem.coarse).set_alpha(1.0 if k < images else 0.25)
            color = COLORS["vermillion"] if k < images else "0.85"
            ax.spines[:].set(visible=True, color=color, linewidth=1.6)
        small[0, 1].set_title(f"{images} of 6 images")
        picture(middle, f, grid, "fine image")
        error(right, f - image.reshape(-1), grid, SPAN)
        off, pixels = 100 * made[moved].error(f), images * problem.coarse.count
        return (
            f"{counted(images, 'image')}, moved {moved}: {pixels} measurements for {grid.count} unknowns. "
            f"Error of the fine image: {off:.2f} % (from one image: {alone:.2f} %)."
        ).replace("moved turned", "turned")

    return draw


def toy(rows, cells=4):
    """Four cells, two coarse samples, and two more that are shifted: the boxes and the singular values.

    rows: shift ↦ (samples, cells), the matrix of one coarse image.
    """
    every = np.linspace(0, 2, 65)
    values = experiments.toy_spectra(rows, every)

    def draw(figure, shift):
        left, right = figure.subplots(1, 2, width_ratios=[1.15, 1])
        for k in range(cells):
            left.add_patch(plt.Rectangle((k, 0), 1, 0.8, fc="0.93", ec="0.4"))
            left.text(k + 0.5, 0.4, f"$f_{k + 1}$", ha="center", va="center")
        for k in range(2):
            for start, color, y in ((0, "blue", 1.2), (shift, "vermillion", 2.2)):
                box = (2 * k + start, y)
                left.add_patch(plt.Rectangle(box, 2, 0.6, fc=COLORS[color], alpha=0.3, ec=COLORS[color]))
        left.plot([], [], "s", color=COLORS["vermillion"], alpha=0.5, label="second image, shifted")
        left.plot([], [], "s", color=COLORS["blue"], alpha=0.5, label="first image")
        left.set(xlim=(-0.2, 6.2), ylim=(-0.2, 4.4), yticks=[], xlabel="position in fine cells")
        left.grid(False)
        left.legend(loc="upper left", fontsize=9)
        matrix = torch.cat([rows(0.0), rows(shift)])
        now = torch.linalg.svdvals(matrix).numpy()
        family(right, {k: (every / 2, values[:, k]) for k in range(cells)}, others="0.6")
        right.plot([shift / 2] * cells, now, "o", color=COLORS["vermillion"])
        right.set(xlabel="shift in coarse pixels", ylabel="singular values", ylim=(-0.05, 1.1))
        right.set_title("dots: at this shift", fontsize=10)
        rank = int(torch.linalg.matrix_rank(matrix))
        return (
            f"Shift {counted(shift, 'fine cell')}, {counted(shift / 2, 'coarse pixel')}: "
            f"{rank} of 4 equations are independent, smallest singular value {abs(now[-1]):.3f}."
        )

    return draw


def footprint(made):
    """One pixel of a coarse image, its block of fine cells, and what these see of f."""
    problem, w = made.problem, made.w_true
    M, moves = experiments.Dense(problem, w).data, problem.motions(w)
    grid, coarse, (h1, h2) = problem.grid, problem.coarse, problem.coarse.spacing
    f, unit = made.image.reshape(-1), torch.tensor([[0.0, 0], [1, 0], [1, 1], [0, 1], [0, 0]])
    corners, box = unit * torch.tensor(grid.extent), unit * torch.tensor([h1, h2])
    red = COLORS["vermillion"]

    def draw(figure, image, pixel):
        k, move = round(pixel), moves[image]
        figure.set_layout_engine("constrained", h_pad=0.1)
        axes = figure.subplots(1, 3)
        weights = M[image * coarse.count + k * coarse.shape[1] + k].reshape(grid.shape)
        frame, place = problem.transform(move, corners), box + torch.tensor([k * h1, k * h2])
        seen = problem.transform(move, place)
        picture(axes[0], f, grid, "seen of $f$")
        tint = np.zeros((*grid.shape[::-1], 4))
        tint[..., :3] = to_rgb(red)
        tint[..., 3] = (weights.abs() / weights.abs().max().clamp(min=1e-12)).numpy().T * 0.9
        extent = (0, grid.extent[0], 0, grid.extent[1])
        axes[0].imshow(tint, origin="lower", extent=extent)
        axes[0].plot(*frame.T, color=COLORS["sky"], lw=1.5)
        axes[0].plot(*seen.T, color=red, lw=1.5)
        axes[0].set(xlim=(-9, 29), ylim=(-11.25, 36.25))
        picture(axes[1], experiments.moved(problem, f, move), grid, "$I(w_j)\\, f$")
        picture(axes[2], problem.templates[image], coarse, "$K\\, I(w_j)\\, f$")
        for ax in axes[1:]:
            ax.plot(*place.T, color=red, lw=1.8, clip_on=False)
        x, y = seen[:4].mean(0).tolist()
        total = float(weights.sum())
        cells = int((weights.abs() > 0.01).sum())
        what = f"{cells} fine cells have a weight above 0.01; all weights add up to {total:.2f}."
        return (
            f"Image {image + 1}, coarse pixel ({k}, {k}) looks at x = {x:.1f} cm, y = {y:.1f} cm of f. "
            f"{what if cells else 'It sees nothing.'}"
        )

    return draw


def stacked(problem, w):
    """A(w) as a picture: one dot for an entry, and names for its blocks."""
    every = problem.at(w).dense(problem.templates).abs()
    data = problem.templates.numel()
    every = torch.cat([every[:data] / every[:data].max(), every[data:] / every[data:].max()])
    figure, ax = plt.subplots(figsize=(6.4, 4.6))
    look = {"cmap": "Greys", "vmin": -2.5, "vmax": 0, "aspect": "auto", "interpolation": "antialiased"}
    ax.imshow((every + 1e-4).log10(), **look)
    m, rows = problem.coarse.count, len(every)
    names = [f"image {j + 1}: $\\sqrt{{h_d}}\\,K I(w_{j + 1})$" for j in range(len(problem.templates))]
    names.append("slopes: $\\lambda\\sqrt{h_f}\\,L$")
    edges = [*range(0, data + 1, m), rows]  # of the blocks
    for name, low, high in zip(names, edges[:-1], edges[1:], strict=True):
        ax.axhline(low - 0.5, color=COLORS["vermillion"], lw=1)
        ax.text(1.02, (low + high) / 2, name, va="center", transform=ax.get_yaxis_transform())
    ax.set(xlabel="fine cell", ylabel="row")
    ax.grid(False)
    return figure


def coverage(image, grid):
    """How often each fine cell is seen, and the singular values of the data."""
    made = {n: experiments.observed(image, grid, moves) for n, moves in experiments.motions(grid).items()}
    full = {name: experiments.Dense(each.problem, each.w_true) for name, each in made.items()}
    values = {
        (name, q): torch.linalg.svdvals(each.first(q)[0]) for name, each in full.items() for q in range(1, 7)
    }

    def draw(figure, images, moved):
        q = round(images)
        M, sigma = full[moved].first(q)[0], values[moved, q]
        left, right = figure.subplots(1, 2, width_ratios=[1, 1.5])
        often = made[moved].problem.factor ** 2 * M.sum(0)
        picture(left, often, grid, "seen how often?", cmap="viridis", high=6)
        figure.colorbar(left.images[0], ax=left, shrink=0.8, ticks=range(7))
        spectrum(right, sigma, experiments.WEAK)
        right.set_title(moved)
        rank, strong = int(torch.linalg.matrix_rank(M)), experiments.strong(sigma)
        blind = int((M.norm(dim=1) < 1e-12).sum())
        return (
            f"{counted(q, 'image')}, {'' if moved.startswith('turned') else 'moved '}{moved}: "
            f"{len(M)} equations, rank {rank} of {grid.count}; {strong} singular values are not weak. "
            f"{blind} coarse pixels see nothing; "
            f"the cells are seen {float(often.min()):.1f} to {float(often.max()):.1f} times."
        )

    return draw


# ---- λ


def strengths(trades):
    """The L-curve with a point on it, the image there, and its error. trades: noise ↦ Trade."""

    def draw(figure, lam, noise):
        trade = trades[noise]
        grid, f = trade.made.problem.grid, trade.full.solve(lam)
        left, middle, right = _plot_and_two(figure)
        left.set(xscale="log", yscale="log")
        family(left, {"all λ": (trade.misfits, trade.roughness)}, others="0.55")
        misfit, rough = trade.full.misfit(f), trade.full.roughness(f)
        left.plot(misfit, rough, "o", ms=9, color=COLORS["vermillion"])
        if trade.noise > 0:
            left.axvline(trade.noise, color=COLORS["green"], ls="--", lw=1.5)
            left.text(0.9 * trade.noise, 4.6, "the noise", rotation=90, ha="right", color=COLORS["green"])
        left.set_title("dot: this λ", fontsize=10)
        left.set(xlabel="misfit, grey values", ylabel="slopes, grey values per cm")
        left.set(xlim=(5e-4, 30), ylim=(4, 3e3))
        powers(left.xaxis, (-3, -2, -1, 0, 1))
        powers(left.yaxis, (1, 2, 3))
        picture(middle, f, grid, "fine image")
        error(right, f - trade.made.image.reshape(-1), grid, SPAN)
        over = f"{'above' if misfit > trade.noise else 'below'} the noise of {trade.noise:g}"
        return (
            f"λ = {lam:.3g}: misfit {misfit:.3g} grey values, {over}. "
            f"Root mean square slope {rough:.3g} grey values per cm. "
            f"Error of the fine image {100 * trade.made.error(f):.1f} %."
        )

    return draw


# ---- what goes wrong


def blown_up(made, images):
    """Reconstructions at falling λ. images: λ ↦ f."""
    figure, axes = plt.subplots(1, len(images), figsize=(6.8, 2.7))
    for ax, (lam, f) in zip(axes, images.items(), strict=True):
        picture(ax, f, made.problem.grid, f"λ = {lam:g}")
        ax.set_xlabel(f"{100 * made.error(f):.0f} %")
    return figure


def vectors(made):
    """The right singular vectors of K I(w) as images, from the best seen to the unseen."""
    grid, (sigma, V) = made.problem.grid, experiments.patterns(made)

    def draw(figure, number):
        k = round(number)
        left, right = figure.subplots(1, 2, width_ratios=[1.5, 1])
        spectrum(left, sigma, experiments.WEAK)
        here = float(sigma[k - 1].clamp(min=1.2e-7))
        left.plot(k, here, "o", ms=9, color=COLORS["vermillion"])
        left.set_title(f"dot: number {k}", fontsize=10)
        v, size = V[k - 1], float(V[k - 1].abs().max())
        error(right, v, grid, size, f"direction {k}")
        value = float(sigma[k - 1])
        if value < 1e-12:
            return f"Direction {k}: its singular value is zero up to rounding. No coarse image sees it."
        grown = f"{1 / value:.2f}" if value > 0.01 else f"{1 / value:,.0f}".replace(",", " ")
        return (
            f"Direction {k}: singular value {value:.2g}. "
            f"Without a penalty, noise of size 1 here becomes {grown} times the pattern (of norm 1)."
        )

    return draw


# ---- a real image


def real(slices, lams, alone):
    """The fine image from more and more coarse ones, with the true motions.

    slices: factor ↦ Synthetic. lams: factor ↦ λ. alone: factor ↦ error of one image alone, with its own λ.
    """

    def draw(figure, images, factor):
        made = slices[factor]
        few, f = experiments.from_some(made, round(images), lams[factor])
        grid = few.grid
        axes = figure.subplots(2, 2)
        picture(axes[0, 0], few.templates[0], few.coarse, "one of the coarse images")
        picture(axes[0, 1], f, grid, "the fine image")
        picture(axes[1, 0], made.image, grid, "the truth")
        error(axes[1, 1], f - made.image.reshape(-1), grid, SPAN)
        m1, m2 = few.coarse.shape
        return (
            f"{counted(len(few.templates), 'image')} of {m1} × {m2} pixels: {few.templates.numel():,} "
            f"measurements for {grid.count:,} unknowns. Error {100 * made.error(f):.1f} % "
            f"(one image with its own λ: {100 * alone[factor]:.1f} %)."
        )

    return draw


def wrong(made, start):
    """From the true motions to those that registration found: what becomes of the fine image."""
    problem, grid = made.problem, made.problem.grid
    alone = 100 * made.error(experiments.Dense(problem, made.w_true).solve(problem.strength, 1))
    parts = np.linspace(0, 1, 11)

    at = partial(experiments.between, made, start)
    far = experiments.apart(problem, start, made.w_true)
    curves = {
        lam: (parts * far, [100 * made.error(at(part, lam)[1]) for part in parts]) for lam in (1e-2, 1e-1)
    }

    def draw(figure, part, lam):
        w, f = at(part, lam)
        left, middle, right = _plot_and_two(figure)
        family(left, curves, lam, others="0.6")
        for value, (_, errors) in curves.items():
            where = (0.72 * far, errors[7] + (2 if value < 0.1 else -2))
            left.text(*where, f"λ = {value:g}", ha="right", va="bottom" if value < 0.1 else "top")
        left.axhline(alone, color="0.4", ls="--", lw=1.2)
        left.text(0, alone + 0.6, "one image alone", va="bottom", color="0.3", fontsize=9)
        off = 100 * made.error(f)
        left.plot(part * far, off, "o", ms=9, color=COLORS["vermillion"])
        left.set(xlabel="motions wrong by, coarse pixels", ylabel="error of the image, %", ylim=(0, 45))
        picture(middle, f, grid, "fine image")
        error(right, f - made.image.reshape(-1), grid, SPAN)
        wrong_by = experiments.apart(problem, w, made.w_true)
        return (
            f"Motions wrong by {wrong_by:.3f} coarse pixels on average, λ = {lam:g}: error {off:.1f} %; "
            f"one image alone: {alone:.1f} %."
        )

    return draw
