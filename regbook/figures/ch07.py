"""Figures of chapter 7: the model of super-resolution, what its data know, and what noise does to it."""

from dataclasses import replace

import matplotlib.pyplot as plt
import numpy as np
import torch
from matplotlib.colors import to_rgb

from regbook.explore import number_text
from regbook.plots import COLORS, show_image
from regkit.linear import cg
from regkit.spline import coefficients, evaluate
from regkit.superres import SuperResolution, observe, random_affines

WEAK = 1e-2  # a singular value below this part of the largest one counts as weak
GREY = {"vmin": 0, "vmax": 255}
PATTERN = ((0, 0), (1, 0), (0, 1), (1, 1), (-1, 0), (0, -1))  # who is shifted where, in steps


# ---- problems with chosen motions


def shifts(step, count=6):
    """Affine motions of ``count`` images, shifted by ``step`` times (0, 0), (1, 0), …: (count, 6).

    step: (s₁, s₂), in the units of the grid.
    """
    moves = [(1.0, 0.0, 0.0, 1.0, a * step[0], b * step[1]) for a, b in PATTERN[:count]]
    return torch.tensor(moves, dtype=torch.float64)


def motions(grid, factor=2, count=6):
    """Three ways to move the camera: names and (count, 6)."""
    coarse = [factor * h for h in grid.spacing]
    turned = random_affines(count - 1, tuple(side / 2 for side in grid.extent))
    still = torch.tensor([[1.0, 0, 0, 1.0, 0, 0]], dtype=torch.float64)
    return {
        "by whole pixels": shifts(coarse, count),
        "by half pixels": shifts([h / 2 for h in coarse], count),
        "turned and stretched": torch.cat([still, turned]),
    }


def observed(image, grid, moves, *, factor=2, noise=0.0, **options):
    """A ``Synthetic``: one coarse image of ``image`` for each row of ``moves``; the first stays in place."""
    coarse = [cells // factor for cells in grid.shape]
    model = SuperResolution(image.new_zeros(len(moves), *coarse), grid, **options)
    return observe(model, image, moves[1:].reshape(-1), noise)


class Matrices:
    """A small problem at one w as full matrices. data: K I(w), (q·m, n); slopes: L; without their weights."""

    def __init__(self, problem, w):
        every = problem.at(w).forward(torch.eye(problem.grid.count, dtype=torch.float64))
        rows = problem.templates.numel()
        self.grid, self.coarse, self.templates = problem.grid, problem.coarse, problem.templates
        self.data, self.slopes = every[:rows] / problem.scales[0], every[rows:] / problem.scales[1]
        self.gram = self.slopes.T @ self.slopes

    def first(self, images):
        """The rows of the first so many images, and their data."""
        rows = images * self.coarse.count
        return self.data[:rows], self.templates.reshape(-1)[:rows]

    def solve(self, lam, images=None):
        """The f that minimises ½‖A f − b‖², by a Cholesky factorisation."""
        M, d = self.first(len(self.templates) if images is None else images)
        h_d, h_f = self.coarse.cell_volume, self.grid.cell_volume
        normal = h_d * M.T @ M + lam**2 * h_f * self.gram
        return torch.cholesky_solve(h_d * (M.T @ d)[:, None], torch.linalg.cholesky(normal))[:, 0]

    def misfit(self, f):
        """Root mean square of K I(w) f − d, in grey values."""
        return float((self.data @ f - self.templates.reshape(-1)).square().mean().sqrt())

    def roughness(self, f):
        """Root mean square of the slopes L f, in grey values per unit of length."""
        return float((self.slopes @ f).square().mean().sqrt())


def apart(problem, w, v):
    """How far two motions take the same points apart: mean over Ω and the moved images, in coarse pixels."""
    pairs = list(zip(problem.motions(w), problem.motions(v), strict=True))[problem.fixed :]
    away = [problem.transform(a, problem.points) - problem.transform(b, problem.points) for a, b in pairs]
    return float((torch.cat(away) / torch.tensor(problem.coarse.spacing)).norm(dim=1).mean())


# ---- drawing


def _picture(ax, image, grid, title=None, **look):
    show_image(ax, image.reshape(grid.shape), grid, **{**GREY, **look})
    ax.set_xticks([])
    ax.set_yticks([])
    if title:
        ax.set_title(title)


def _error(ax, difference, grid, size=80, title="error"):
    _picture(ax, difference, grid, f"{title}, ±{size}", cmap="RdBu_r", vmin=-size, vmax=size)


def _plot_and_two(figure):
    """Axes for a plot, and for two pictures beside it."""
    grid = figure.add_gridspec(2, 2, width_ratios=[1.9, 1])
    return (figure.add_subplot(grid[place]) for place in (np.s_[:, 0], np.s_[0, 1], np.s_[1, 1]))


def hook(image, grid):
    """The coarse images, the fine one made of them, and its error."""
    made = {name: observed(image, grid, moves) for name, moves in motions(grid).items()}
    full = {name: Matrices(each.problem, each.w_true) for name, each in made.items()}
    alone = 100 * made["by whole pixels"].error(full["by whole pixels"].solve(1e-2, 1))

    def draw(figure, images, moved):
        images = round(images)
        problem, f = made[moved].problem, full[moved].solve(1e-2, images)
        left, middle, right = figure.add_gridspec(1, 3, width_ratios=[1.35, 1, 1])
        small = left.subgridspec(2, 3, wspace=0.08, hspace=0.08).subplots()
        for k, ax in enumerate(small.flat):
            _picture(ax, problem.templates[k], problem.coarse)
            ax.images[0].set_alpha(1.0 if k < images else 0.25)
            color = COLORS["vermillion"] if k < images else "0.85"
            ax.spines[:].set(visible=True, color=color, linewidth=1.6)
        small[0, 1].set_title(f"{images} of 6 images")
        _picture(figure.add_subplot(middle), f, grid, "fine image")
        _error(figure.add_subplot(right), f - image.reshape(-1), grid)
        error, pixels = 100 * made[moved].error(f), images * problem.coarse.count
        many = "1 image" if images == 1 else f"{images} images"
        return (
            f"{many}, moved {moved}: {pixels} measurements for {grid.count} unknowns. "
            f"Error of the fine image: {error:.2f} % (from one image: {alone:.2f} %)."
        ).replace("moved turned", "turned")

    return draw


def toy(rows, cells=4):
    """Four cells, two coarse samples, and two more that are shifted: the boxes and the singular values.

    rows: shift ↦ (samples, cells), the matrix of one coarse image.
    """
    every = np.linspace(0, 2, 65)
    values = np.array([torch.linalg.svdvals(torch.cat([rows(0.0), rows(s)])).numpy() for s in every])

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
        right.plot(every / 2, values, color="0.6", lw=1.4)
        right.plot([shift / 2] * cells, now, "o", color=COLORS["vermillion"], label="at this shift")
        right.set(xlabel="shift in coarse pixels", ylabel="singular values", ylim=(-0.05, 1.5))
        right.legend(loc="upper center", fontsize=9)
        rank = int(torch.linalg.matrix_rank(matrix))
        return (
            f"Shift {shift:.3g} fine cells, {shift / 2:.3g} coarse pixels: "
            f"{rank} of 4 equations are independent, smallest singular value {abs(now[-1]):.3f}."
        )

    return draw


def footprint(made):
    """One pixel of a coarse image, its block of fine cells, and what these see of f."""
    problem, w = made.problem, made.w_true
    M, moves = Matrices(problem, w).data, problem.motions(w)
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
        moved = _moved(problem, f, move)
        _picture(axes[0], f, grid, "seen of $f$")
        tint = np.zeros((*grid.shape[::-1], 4))
        tint[..., :3] = to_rgb(red)
        tint[..., 3] = (weights.abs() / weights.abs().max().clamp(min=1e-12)).numpy().T * 0.9
        extent = (0, grid.extent[0], 0, grid.extent[1])
        axes[0].imshow(tint, origin="lower", extent=extent)
        axes[0].plot(*frame.T, color=COLORS["sky"], lw=1.5)
        axes[0].plot(*seen.T, color=red, lw=1.5)
        axes[0].set(xlim=(-9, 29), ylim=(-11.25, 36.25))
        _picture(axes[1], moved, grid, "$I(w_j)\\, f$")
        _picture(axes[2], problem.templates[image], coarse, "$K\\, I(w_j)\\, f$")
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


def _moved(problem, f, move):
    """I(w_j) f: the spline of f at the moved fine points."""
    c = coefficients(f.reshape(problem.grid.shape), 0.0)
    return evaluate(c, problem.grid, problem.transform(move, problem.points))


def stacked(problem, w):
    """A(w) as a picture: one dot for an entry, and names for its blocks."""
    every = problem.at(w).forward(torch.eye(problem.grid.count, dtype=torch.float64)).abs()
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
    made = {name: observed(image, grid, moves) for name, moves in motions(grid).items()}
    full = {name: Matrices(each.problem, each.w_true) for name, each in made.items()}
    values = {
        (name, q): torch.linalg.svdvals(each.first(q)[0]) for name, each in full.items() for q in range(1, 7)
    }

    def draw(figure, images, moved):
        q = round(images)
        M, sigma = full[moved].first(q)[0], values[moved, q]
        left, right = figure.subplots(1, 2, width_ratios=[1, 1.5])
        often = made[moved].problem.factor ** 2 * M.sum(0)
        _picture(left, often, grid, "seen how often?", cmap="viridis", vmin=0, vmax=6)
        figure.colorbar(left.images[0], ax=left, shrink=0.8, ticks=range(7))
        _spectrum(right, sigma)
        right.set(xlim=(0, 410), title=moved)
        right.legend(loc="lower left", fontsize=9)
        rank, strong = int(torch.linalg.matrix_rank(M)), int((sigma > WEAK * sigma[0]).sum())
        blind = int((M.norm(dim=1) < 1e-12).sum())
        return (
            f"{q} image{'s' if q > 1 else ''}, {'' if moved.startswith('turned') else 'moved '}{moved}: "
            f"{len(M)} equations, rank {rank} of {grid.count}; {strong} singular values are not weak. "
            f"{blind} coarse pixels see nothing; "
            f"the cells are seen {float(often.min()):.1f} to {float(often.max()):.1f} times."
        )

    return draw


def taylor(tests):
    """The remainders of first-order Taylor tests over the step, one panel a test."""
    figure, axes = plt.subplots(1, len(tests), figsize=(6.4, 3.2))
    for ax, (name, test) in zip(axes, tests.items(), strict=True):
        for q, color in enumerate(("vermillion", "blue")):
            label = f"after term {q}: slope {test.slopes[q]:.2f}"
            ax.loglog(test.steps, test.errors[q], "o-", ms=3, color=COLORS[color], label=label)
        top = float(test.errors[0].max())
        ax.set(title=f"Taylor test of {name}", xlabel="step h", ylim=(top * 1e-16, top * 1e3))
        ax.legend(fontsize=9, loc="upper left")
    axes[0].set_ylabel("remainder")
    return figure


def _powers(axis, exponents):
    """Ticks at powers of ten, written without mathtext, which takes most of the time of a frame."""
    axis.set_ticks([10.0**k for k in exponents], [number_text(10.0**k) for k in exponents])
    axis.set_ticks([], minor=True)


def _spectrum(ax, sigma, label="singular values of the data"):
    """Singular values in falling order; below 10⁻⁷ they are drawn at the bottom."""
    k = np.arange(1, len(sigma) + 1)
    ax.semilogy(k, sigma.clamp(min=1.2e-7), ".", ms=4, color=COLORS["blue"], label=label)
    weak = WEAK * float(sigma[0])
    ax.axhline(weak, color=COLORS["orange"], ls="--", lw=1.3, label="a hundredth of the largest")
    ax.set(xlabel="number", ylabel="singular value", ylim=(1e-7, 3))
    _powers(ax.yaxis, (0, -2, -4, -6))


def cliff(image, grid, count=4, noise=2.0, lam=0.1):
    """Four images, three of them shifted by s coarse pixels: the singular values over s."""
    coarse = [2 * h for h in grid.spacing]

    def at(s):
        made = observed(image, grid, shifts([s * h for h in coarse], count), noise=noise)
        full = Matrices(made.problem, made.w_true)
        return made, full, torch.linalg.svdvals(full.data)

    every = sorted({k / 8 for k in range(17)} | {k / 16 for k in (1, 15, 17, 31)})
    strong = [int((sigma > WEAK * sigma[0]).sum()) for sigma in (at(s)[2] for s in every)]

    def draw(figure, shift):
        made, full, sigma = at(shift)
        left, right = figure.subplots(1, 2)
        _spectrum(left, sigma)
        left.set_xlim(0, 410)
        left.legend(loc="lower left", fontsize=9)
        here = int((sigma > WEAK * sigma[0]).sum())
        right.plot(every, strong, "-", color="0.6")
        right.plot(shift, here, "o", ms=8, color=COLORS["vermillion"], label="at this shift")
        right.set(xlabel="shift in coarse pixels", ylabel="singular values that are not weak", ylim=(0, 420))
        right.legend(loc="lower center", fontsize=9)
        rank, error = int(torch.linalg.matrix_rank(full.data)), 100 * made.error(full.solve(lam))
        return (
            f"Shift {shift:.3g} coarse pixels: rank {rank} of {grid.count}, {here} singular values not weak. "
            f"With noise, the fine image has an error of {error:.1f} %."
        )

    return draw


# ---- λ


class Trade:
    """All reconstructions of one noisy problem over λ."""

    def __init__(self, made, noise, lams):
        self.made, self.noise, self.lams = made, noise, np.asarray(lams)
        self.full = Matrices(made.problem, made.w_true)
        images = [self.full.solve(lam) for lam in self.lams]
        self.misfits = np.array([self.full.misfit(f) for f in images])
        self.roughness = np.array([self.full.roughness(f) for f in images])
        self.errors = np.array([made.error(f) for f in images])

    @property
    def best(self):
        """The λ of the smallest error, which only those know who know the image."""
        return self.lams[self.errors.argmin()]

    @property
    def discrepancy(self):
        """The largest λ whose misfit is no larger than the noise; nan if there is none."""
        allowed = self.lams[self.misfits <= self.noise]
        return allowed.max() if len(allowed) else np.nan

    @property
    def corner(self):
        """The λ where the L-curve is bent most, over log λ."""
        x, y, t = np.log(self.misfits), np.log(self.roughness), np.log(self.lams)
        dx, dy = np.gradient(x, t), np.gradient(y, t)
        bend = dx * np.gradient(dy, t) - dy * np.gradient(dx, t)
        curvature = bend / np.maximum((dx**2 + dy**2) ** 1.5, 1e-12)
        inner = slice(3, -3)
        return self.lams[inner][np.abs(curvature[inner]).argmax()]

    def error_at(self, lam):
        return self.errors[np.abs(np.log(self.lams / lam)).argmin()]


def strengths(trades):
    """The L-curve with a point on it, the image there, and its error. trades: noise ↦ Trade."""

    def draw(figure, lam, noise):
        trade = trades[noise]
        grid, f = trade.made.problem.grid, trade.full.solve(lam)
        left, middle, right = _plot_and_two(figure)
        left.loglog(trade.misfits, trade.roughness, "-", color="0.55", lw=1.5, label="all λ")
        misfit, rough = trade.full.misfit(f), trade.full.roughness(f)
        left.plot(misfit, rough, "o", ms=9, color=COLORS["vermillion"], label="this λ")
        if trade.noise > 0:
            left.axvline(trade.noise, color=COLORS["green"], ls="--", lw=1.5, label="the noise")
        left.set(xlabel="misfit, grey values", ylabel="slopes, grey values per cm")
        left.set(xlim=(5e-4, 30), ylim=(4, 3e3))
        _powers(left.xaxis, (-3, -2, -1, 0, 1))
        _powers(left.yaxis, (1, 2, 3))
        left.legend(loc="lower left")
        _picture(middle, f, grid, "fine image")
        _error(right, f - trade.made.image.reshape(-1), grid)
        over = f"{'above' if misfit > trade.noise else 'below'} the noise of {trade.noise:g}"
        return (
            f"λ = {lam:.3g}: misfit {misfit:.3g} grey values, {over}. "
            f"Root mean square slope {rough:.3g} grey values per cm. "
            f"Error of the fine image {100 * trade.made.error(f):.1f} %."
        )

    return draw


def parts(trade):
    """The error over λ, in two parts: what the slopes cost, and what the noise costs."""
    full, truth = trade.full, trade.made.image.reshape(-1)
    h_d, h_f, size = full.coarse.cell_volume, full.grid.cell_volume, float(truth.norm())
    bias, spread = [], []
    for lam in trade.lams:
        normal = h_d * full.data.T @ full.data + lam**2 * h_f * full.gram
        inverse = torch.linalg.solve(normal, h_d * full.data.T)  # d ↦ f
        bias.append(float((inverse @ (full.data @ truth) - truth).norm()) / size)
        spread.append(trade.noise * float(inverse.norm()) / size)
    figure, ax = plt.subplots(figsize=(6.4, 3.4))
    ax.loglog(trade.lams, bias, color=COLORS["blue"], label="unseen or too smooth: error without noise")
    ax.loglog(trade.lams, spread, color=COLORS["vermillion"], label="noise, on average")
    ax.loglog(trade.lams, trade.errors, "--", color=COLORS["black"], label="error of this image")
    for name, mark in (("best", "*"), ("discrepancy", "s"), ("corner", "D")):
        lam = getattr(trade, name)
        ax.plot(lam, trade.error_at(lam), mark, ms=10, color=COLORS["green"], label=name)
    ax.set(xlabel="λ", ylabel="relative error", ylim=(3e-2, 20))
    ax.legend(fontsize=9, ncols=2, loc="upper right")
    return figure


# ---- what goes wrong


def blown_up(made, images):
    """Reconstructions at falling λ. images: λ ↦ f."""
    figure, axes = plt.subplots(1, len(images), figsize=(6.8, 2.7))
    for ax, (lam, f) in zip(axes, images.items(), strict=True):
        _picture(ax, f, made.problem.grid, f"λ = {lam:g}")
        ax.set_xlabel(f"{100 * made.error(f):.0f} %")
    return figure


def vectors(made):
    """The right singular vectors of K I(w) as images, from the best seen to the unseen."""
    M, grid = Matrices(made.problem, made.w_true).data, made.problem.grid
    _, sigma, V = torch.linalg.svd(M)
    for v in V:  # an eigenvector has no sign of its own
        v *= torch.sign(v[v.abs().argmax()])

    def draw(figure, number):
        k = round(number)
        left, right = figure.subplots(1, 2, width_ratios=[1.5, 1])
        _spectrum(left, sigma)
        left.set_xlim(0, 410)
        here = float(sigma[k - 1].clamp(min=1.2e-7))
        left.plot(k, here, "o", ms=9, color=COLORS["vermillion"], label=f"number {k}")
        left.legend(loc="lower left", fontsize=9)
        v, size = V[k - 1], float(V[k - 1].abs().max())
        _picture(right, v, grid, f"direction {k}", cmap="RdBu_r", vmin=-size, vmax=size)
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


def some(made, images):
    """The problem with the first so many images only, and their w."""
    problem = made.problem
    w = made.w_true[: problem.transform.parameters * (images - problem.fixed)]
    return replace(problem, templates=problem.templates[:images]), w


def real(slices, lams):
    """The fine image from more and more coarse ones, with the true motions. slices: factor ↦ Synthetic."""

    def draw(figure, images, factor):
        made, (few, w) = slices[factor], some(slices[factor], round(images))
        few, grid, flat = replace(few, strength=lams[factor]), few.grid, made.problem.upsampled()
        A = few.at(w)
        f = cg(A.normal, A.adjoint(few.b), flat, rtol=1e-5).x
        axes = figure.subplots(2, 2)
        _picture(axes[0, 0], few.templates[0], few.coarse, "one of the coarse images")
        _picture(axes[0, 1], f, grid, f"fine image from {len(few.templates)}")
        _picture(axes[1, 0], made.image, grid, "the truth")
        _error(axes[1, 1], f - made.image.reshape(-1), grid)
        m1, m2 = few.coarse.shape
        return (
            f"{len(few.templates)} images of {m1} × {m2} pixels: {A.data_rows} measurements for "
            f"{grid.count} unknowns. Error {100 * made.error(f):.1f} %; "
            f"one image, up-sampled: {100 * made.error(flat):.1f} %."
        )

    return draw


def wrong(made, start):
    """From the true motions to those that registration found: what becomes of the fine image."""
    problem, grid = made.problem, made.problem.grid
    alone = 100 * made.error(problem.upsampled())
    parts = np.linspace(0, 1, 11)

    def at(part, lam):
        w = made.w_true + part * (start - made.w_true)
        return w, Matrices(problem, w).solve(lam)

    lams = (1e-2, 1e-1)
    curves = {lam: [100 * made.error(at(part, lam)[1]) for part in parts] for lam in lams}
    far = apart(problem, start, made.w_true)

    def draw(figure, part, lam):
        w, f = at(part, lam)
        left, middle, right = _plot_and_two(figure)
        for (value, curve), color in zip(curves.items(), ("blue", "orange"), strict=True):
            left.plot(parts * far, curve, color=COLORS[color], label=f"λ = {value:g}")
        left.axhline(alone, color="0.4", ls="--", lw=1.2, label="one image")
        error = 100 * made.error(f)
        left.plot(part * far, error, "o", ms=9, color=COLORS["vermillion"])
        left.set(xlabel="motions wrong by, coarse pixels", ylabel="error of the image, %", ylim=(0, 62))
        left.legend(loc="upper left")
        _picture(middle, f, grid, "fine image")
        _error(right, f - made.image.reshape(-1), grid)
        off = apart(problem, w, made.w_true)
        return (
            f"Motions wrong by {off:.3f} coarse pixels on average, λ = {lam:g}: error {error:.1f} %; "
            f"one image, up-sampled: {alone:.1f} %."
        )

    return draw
