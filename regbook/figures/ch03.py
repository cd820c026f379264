"""Figures of chapter 3: how two images are aligned."""

import math
from dataclasses import dataclass

import matplotlib.pyplot as plt
import numpy as np
import torch
from matplotlib.colors import ListedColormap

from regbook.plots import COLORS, show_image
from regbook.text import signed
from regkit import Grid, coefficients, evaluate
from regkit.optimize import gauss_newton, gradient_descent, newton_trust
from regkit.registration import Registration
from regkit.transforms import Affine, Transform

REACH = 6.0  # cm: how far a point of the hand lies from the middle; a turn by 1 moves it by about that much


# ------------------------------------------------------------------------------------ pairs and starts


def middle(grid):
    """The centre of the box."""
    return tuple(side / 2 for side in grid.extent)


def rotation(degrees):
    angle = math.radians(degrees)
    return torch.tensor([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])


def displaced(pair, transform, degrees, slide=0.0):
    """The w of the true map after a turn about the middle of the box and a slide to the right."""
    A, b = pair.w_true[:4].reshape(2, 2), pair.w_true[4:]
    c, R = torch.tensor(middle(pair.grid)), rotation(degrees)
    return transform.from_matrix(A @ R, A @ (c - R @ c + torch.tensor([slide, 0.0])) + b)


def mean_distance(transform, w, w_true, grid):
    """How far, on average over the box, w looks away from where w_true looks; in the units of the grid."""
    x = grid.points()
    return float((transform(w, x) - transform(w_true, x)).norm(dim=1).mean())


@dataclass(frozen=True)
class TurnAndSlide(Transform):
    """The true map of a pair, after a turn by w₀ / REACH about the middle and a slide by w₁ to the right."""

    pair: object = None
    parameters = 2

    def __call__(self, w, x):
        c = torch.tensor(middle(self.pair.grid))
        cos, sin = torch.cos(w[0] / REACH), torch.sin(w[0] / REACH)
        z = x - c
        right = cos * z[:, 0] - sin * z[:, 1] + w[1]
        up = sin * z[:, 0] + cos * z[:, 1]
        placed = torch.stack([right, up], dim=1) + c
        A, b = self.pair.w_true[:4].reshape(2, 2), self.pair.w_true[4:]
        return placed @ A.T + b  # where the template shows that point


def moved(objective, w):
    """The template as w shows it, an image."""
    problem = objective.problem
    y = problem.transform(w, problem.grid.points())
    return evaluate(objective.coefficients, problem.grid, y).reshape(problem.grid.shape)


def show_overlay(ax, reference, template, grid, title=None):
    """Reference orange, template blue, both white: as in the figure that is registered by hand."""
    r, t = (np.clip(np.asarray(image) / 255, 0, 1).T[..., None] for image in (reference, template))
    colour = r * np.array([1.0, 0.62, 0.1]) + t * np.array([0.0, 0.38, 0.9])
    ax.imshow(colour.clip(0, 1), origin="lower", extent=(0, grid.extent[0], 0, grid.extent[1]))
    ax.set(xticks=[], yticks=[])
    ax.grid(False)
    if title:
        ax.set_title(title)


# ------------------------------------------------------------------------------------ the hook


def by_hand(pair, theta=1e-3):
    """What register_by_hand.js needs: coefficients, and start and truth about the middle of the box."""
    transform = Affine(center=middle(pair.grid))
    return {
        "template": coefficients(pair.template, theta),
        "reference": coefficients(pair.reference, theta),
        "extent": list(pair.grid.extent),
        "center": list(transform.center),
        "start": transform.identity(),
        "truth": transform.from_matrix(pair.w_true[:4].reshape(2, 2), pair.w_true[4:]),
        "reach": REACH,
    }


# ------------------------------------------------------------------------------------ predict


def comes_home(pair, objective, degrees):
    """Newton from every angle. Returns the draw function, and the largest angle up to which all succeed."""
    transform, truth = objective.problem.transform, displaced(pair, objective.problem.transform, 0)
    runs = {a: newton_trust(objective, displaced(pair, transform, a)) for a in degrees}
    off = {a: mean_distance(transform, run.x, truth, pair.grid) for a, run in runs.items()}
    failed = [a for a in degrees if off[a] > 0.1]
    largest = max(a for a in degrees if a < min(failed, default=1e9))

    def draw(figure, angle):
        run, start, end = runs[angle], runs[angle].history[0], off[angle]
        axes = figure.subplots(1, 3, width_ratios=[1, 1, 1.25])
        for ax, w, title in ((axes[0], start.x, "start"), (axes[1], run.x, "where Newton stops")):
            show_overlay(ax, pair.reference, moved(objective, w), pair.grid, title)
        losses = [100 * entry.loss / start.loss for entry in run.history]
        axes[2].semilogy(losses, "o-", ms=4, color=COLORS["vermillion"])
        axes[2].set(title="loss, % of the start", xlabel="iteration", xlim=(-1, 45), ylim=(0.05, 150))
        axes[2].set(yticks=(0.1, 1, 10, 100), yticklabels=("0.1", "1", "10", "100"))
        verdict = "home" if end < 0.1 else "not home"
        return (
            f"Turned by {angle:g}°. Newton stops after {run.iterations} iterations, "
            f"{'converged' if run.converged else 'not converged'}. Loss {losses[-1]:.2g} % of the start, "
            f"{end:.2f} cm from the true map: {verdict}."
        )

    return draw, largest


# ------------------------------------------------------------------------------------ one parameter


def two_pixels():
    """J(w) of the two pixels, and the parabolas that Gauss-Newton and Newton put in its place at w."""
    grid = np.linspace(-3.2, 2.2, 300)

    def loss(w):
        return (w - 1) ** 2 * (w**2 + 4 * w + 5)

    def draw(figure, w):
        ax = figure.subplots()
        gradient = 2 * (w - 1) * (2 * w + 3) * (w + 1)
        ax.plot(grid, loss(grid), color=COLORS["black"], lw=2.5, label="J(w)")
        said = []
        for name, H, color, style in (
            ("Gauss-Newton", 4 * w**2 + 4 * (1 + w) ** 2, "blue", "--"),
            ("Newton", 12 * w**2 + 12 * w - 4, "vermillion", "-."),
        ):
            ax.plot(
                grid,
                loss(w) + gradient * (grid - w) + H / 2 * (grid - w) ** 2,
                style,
                color=COLORS[color],
                label=f"{name}'s parabola",
            )
            if abs(H) < 1e-9:
                said.append(f"{name}'s parabola is a line")
                continue
            end = w - gradient / H
            ax.plot([end], [loss(w) - gradient**2 / H / 2], "v" if H > 0 else "^", ms=9, color=COLORS[color])
            said.append(f"{name} goes to {end:.2f}" + ("" if H > 0 else ", the top of its parabola"))
        ax.plot([w], [loss(w)], "o", ms=9, color=COLORS["black"])
        ax.set(xlabel="shift w", ylabel="J", xlim=(-3.2, 2.2), ylim=(-3, 20))
        ax.legend(loc="upper center", ncols=3, bbox_to_anchor=(0.5, 1.14))
        return signed(f"At w = {w:.2f}: J = {loss(w):.2f}, slope {gradient:.2f}. {'; '.join(said)}.")

    return draw


def shift_1d(template, reference, grid, theta):
    """Template, residual and loss of a 1-D shift. Returns the draw function, and the local minima."""
    c, x = coefficients(template, theta), grid.points()
    target = evaluate(coefficients(reference, theta), grid, x)
    fine = torch.linspace(0, grid.extent[0], 400)[:, None]
    smooth = evaluate(coefficients(reference, theta), grid, fine)
    shifts = np.linspace(-8, 24, 641)
    losses = np.array([float(0.5 * (evaluate(c, grid, x + w) - target).square().sum()) for w in shifts])
    inside = (losses[1:-1] < losses[:-2]) & (losses[1:-1] < losses[2:])
    minima = shifts[1:-1][inside]

    def draw(figure, w):
        top, middle_, bottom = figure.subplots(3, 1, height_ratios=[1.1, 0.8, 1.2])
        top.plot(fine[:, 0], smooth, color=COLORS["orange"], label="reference R(x)")
        top.plot(fine[:, 0], evaluate(c, grid, fine + w), color=COLORS["blue"], label="template T(x + w)")
        top.set(ylim=(-0.1, 1.75), xlim=(0, 64), xticklabels=[])
        top.legend(loc="upper right", ncols=2)
        residual = evaluate(c, grid, x + w) - target
        middle_.fill_between(grid.axis(0), residual, step="mid", color=COLORS["purple"])
        middle_.set(ylim=(-1.1, 1.1), xlim=(0, 64), ylabel="residual", xlabel="x")
        here = float(0.5 * residual.square().sum())
        bottom.plot(shifts, losses, color=COLORS["black"])
        bottom.plot(
            minima, np.interp(minima, shifts, losses), "v", color=COLORS["green"], ms=6, label="local minima"
        )
        bottom.plot([w], [here], "o", ms=9, color=COLORS["vermillion"], label="here")
        bottom.set(xlabel="shift w", ylabel="J(w)", ylim=(-0.4, losses.max() * 1.25))
        bottom.legend(loc="upper right", ncols=2)
        slope = np.interp(w, shifts, np.gradient(losses, shifts))
        way = (
            "flat" if abs(slope) < 0.02 else "downhill to the right" if slope < 0 else "downhill to the left"
        )
        return signed(f"Shift {w:g}: J = {here:.3f}; here the loss is {way}.")

    return draw, minima


# ------------------------------------------------------------------------------------ what pulls

LABELS = ("a₁₁", "a₁₂", "a₂₁", "a₂₂", "b₁", "b₂")


def pulls(cases):
    """Columns of D as images, and how alike they are. ``cases`` is what ``conditioning`` returns."""

    def draw(figure, about, lengths):
        objective, w, counts, condition = cases[about, lengths]
        J, grid = objective.jacobian(w), objective.problem.grid
        unit = J / J.norm(dim=0)
        left, right = figure.subfigures(1, 2, width_ratios=[1.75, 1])
        for label, column, ax in zip(LABELS, unit.T, left.subplots(2, 3).T.flatten(), strict=True):
            limit = 0.6 * float(column.abs().max())
            picture = column.reshape(grid.shape)
            show_image(ax, picture, grid, -limit, limit, cmap="RdBu_r", title=f"∂r/∂{label}")
            ax.axis("off")
        ax, strip = right.subplots(2, 1, height_ratios=[6, 1])
        alike = (unit.T @ unit).numpy()
        ax.imshow(alike, cmap="PuOr_r", vmin=-1, vmax=1)
        for i, j in np.ndindex(6, 6):
            ink = "white" if abs(alike[i, j]) > 0.75 else COLORS["black"]
            text = signed(f"{alike[i, j]:.1f}")
            ax.text(j, i, text, ha="center", va="center", fontsize=8, color=ink)
        ax.set_xticks(range(6), LABELS)
        ax.set_yticks(range(6), LABELS)
        ax.set_title("cosines between them")
        spectrum = torch.linalg.eigvalsh(objective.hessian(w))
        strip.semilogx(
            spectrum / spectrum[-1], torch.zeros(6), "o", ms=7, alpha=0.7, color=COLORS["vermillion"]
        )
        strip.set(
            xlim=(5e-7, 2), yticks=[], xticks=[1e-6, 1e-4, 1e-2, 1], title="eigenvalues of H, largest 1"
        )
        ax.grid(False)
        ax.tick_params(labelsize=9, length=0)
        alike[np.diag_indices(6)] = 0
        i, j = np.unravel_index(np.abs(alike).argmax(), alike.shape)
        return signed(
            f"About {about}, lengths in {lengths}: condition number {condition:,.0f}. Most alike: "
            f"{LABELS[i]} and {LABELS[j]}, cosine {alike[i, j]:.2f}. Iterations: "
            f"gradient descent {counts['descent']}, Gauss-Newton {counts['Gauss-Newton']}, "
            f"Newton in a trust region {counts['Newton']}."
        )

    return draw


def until_close(transform, target, grid, unit, tolerance=0.1):
    """A callback that ends a run once its map is within ``tolerance`` mm of ``target``, on average."""
    return lambda entry: unit * mean_distance(transform, entry.x, target, grid) < tolerance


def conditioning(image, reference, side, centre, theta, limit):
    """The same pair in other parameters: about the corner or the centre, in mm or in units of 64 mm.

    Returns {(centre, unit): (objective, minimiser, iterations of the methods, condition number)}.
    """
    cases = {}
    for lengths, unit in (("millimetres", 1.0), ("units of 64 mm", 64.0)):
        grid = Grid((side / unit, side / unit), image.shape)
        for about in ("the corner", "the centre"):
            transform = Affine(center=(centre / unit, centre / unit) if about == "the centre" else None)
            objective = Registration(image, reference, grid, transform).at(theta)
            start = transform.identity()
            end = gauss_newton(objective, start).x
            stop = until_close(transform, end, grid, unit)
            counts = {
                "Gauss-Newton": gauss_newton(objective, start, callback=stop).iterations,
                "Newton": newton_trust(objective, start, callback=stop).iterations,
            }
            descent = gradient_descent(objective, start, callback=stop, iterations=limit)
            counts["descent"] = (
                f"{descent.iterations}" if descent.iterations < limit else f"not done after {limit}"
            )
            condition = float(torch.linalg.cond(objective.hessian(end)))
            cases[about, lengths] = objective, end, counts, condition
    return cases


# ------------------------------------------------------------------------------------ methods


def refined(objective, w):
    """w after three plain Newton steps: as near to the minimiser as rounding allows, if w is near already."""
    for _ in range(3):
        w = w - torch.linalg.solve(objective.hessian(w), objective.gradient(w))
    return w


def race(runs, w_star):
    """Distance from the minimiser over the iterations."""
    figure, ax = plt.subplots(figsize=(7.2, 3.2))
    for (name, run), color, mark in zip(runs.items(), ("green", "blue", "vermillion"), "s^o", strict=True):
        errors = [max(float((entry.x - w_star).norm()), 1e-16) for entry in run.history if entry.accepted]
        ax.semilogy(errors, f"{mark}-", ms=4, color=COLORS[color], label=name)
    ax.set(
        xlabel="iteration",
        ylabel="‖w − w*‖",
        xlim=(-0.5, 40),
        ylim=(1e-17, 3),
        yticks=10.0 ** np.arange(-16, 1, 4),
    )
    ax.legend(loc="center right")
    return figure


def taylor(results):
    """Remainders over steps, one panel a test; ``results`` maps titles to tests."""
    figure, axes = plt.subplots(1, len(results), figsize=(7.2, 3.3), sharey=True)
    for ax, (name, result) in zip(axes, results.items(), strict=True):
        for q, (color, mark) in enumerate((("vermillion", "o"), ("blue", "^"), ("green", "s"))):
            label = f"after term {q}: slope {result.slopes[q]:.2f}"
            ax.loglog(result.steps, result.errors[q], f"{mark}-", ms=4, color=COLORS[color], label=label)
        ax.set(title=name, xlabel="step h", ylim=(float(result.errors[0].max()) * 1e-16, None))
        ax.legend(loc="lower right", frameon=True, framealpha=0.9, edgecolor="none")
    axes[0].set_ylabel("remainder")
    return figure


METHODS = {
    "gradient descent": gradient_descent,
    "Gauss-Newton": gauss_newton,
    "Newton, trust region": newton_trust,
}


def landscape(pair, objective, slide):
    """J over turn and slide, with the path of a method from a turned and slid start."""
    turns, slides = np.linspace(-180, 180, 49), np.linspace(-9, 9, 25)
    J = np.array(
        [[float(objective.loss(torch.tensor([math.radians(a) * REACH, s]))) for a in turns] for s in slides]
    )
    levels = np.linspace(J.min() ** 0.5, J.max() ** 0.5, 18) ** 2

    def draw(figure, angle, method):
        ax, picture = figure.subplots(1, 2, width_ratios=[2.1, 1])
        ax.contourf(turns, slides, J, levels=levels, cmap="Greys_r", extend="both")
        ax.contour(turns, slides, J, levels=levels, colors="k", linewidths=0.3)
        first = torch.tensor([math.radians(angle) * REACH, slide])
        run = METHODS[method](objective, first, iterations=60, gtol=1e-7)
        path = run.path.numpy() * np.array([180 / math.pi / REACH, 1.0])
        ax.plot([0], [0], "*", ms=14, color=COLORS["green"], mec="white", label="truth")
        ax.plot(*path.T, "o-", ms=4, lw=1.5, color=COLORS["orange"], label="path")
        ax.plot(*path[0], "s", ms=8, color=COLORS["sky"], mec="white", label="start")
        ax.plot(*path[-1], "D", ms=9, color="none", mec=COLORS["vermillion"], mew=2, label="end")
        ax.set(xlabel="turn in degrees", ylabel="slide in cm", xlim=(-180, 180), ylim=(-9, 9))
        ax.set_xticks(range(-180, 181, 90))
        ax.legend(loc="upper center", ncols=4, bbox_to_anchor=(0.5, 1.17), columnspacing=1, handletextpad=0.4)
        ax.grid(False)
        show_overlay(picture, pair.reference, moved(objective, run.x), pair.grid, "the end")
        turn, shift = path[-1]
        home = abs((turn + 180) % 360 - 180) < 3 and abs(shift) < 0.3
        where = "at home" if home else "outside of the picture" if abs(shift) > 20 else "not at home"
        counts = run.evaluations
        name = method[0].upper() + method[1:]
        return signed(
            f"{name} from {angle:g}° and {slide:g} cm: {run.iterations} iterations, "
            f"{counts['loss']} losses, {counts['gradient']} gradients, {counts['hessian']} Hessians. "
            f"It ends at {turn:.1f}° and {shift:.2f} cm, {where}, "
            f"with {100 * run.loss / run.history[0].loss:.0f} % of its loss."
        )

    return draw


def digits(image, grid, reference, transform, start, theta):
    """Correct digits over iterations, for a reference whose contrast is multiplied by a factor."""

    def draw(figure, contrast):
        objective = Registration(image, contrast * reference, grid, transform).at(theta)
        ax, picture = figure.subplots(1, 2, width_ratios=[2, 1])
        best = newton_trust(objective, start, gtol=0, ftol=0, xtol=1e-15)
        w_star = refined(objective, best.x)
        runs = {"Newton, trust region": best, "Gauss-Newton": gauss_newton(objective, start, iterations=40)}
        counts = {}
        for (name, run), color, mark in zip(runs.items(), ("vermillion", "blue"), "o^", strict=True):
            errors = [float((entry.x - w_star).norm()) for entry in run.history if entry.accepted]
            found = [min(16.0, -math.log10(max(e, 1e-16))) for e in errors]
            counts[name] = next((k for k, d in enumerate(found) if d >= 7), None)
            ax.plot(found, f"{mark}-", ms=5, color=COLORS[color], label=name)
        ax.axhline(7, color="0.5", lw=0.8, ls=":")
        ax.set(xlabel="iteration", ylabel="correct digits, −log₁₀‖w − w*‖", xlim=(-0.5, 25), ylim=(0, 16.5))
        ax.legend(loc="lower right")
        residual = objective.residual(w_star).reshape(grid.shape) / grid.cell_volume**0.5
        show_image(picture, residual, grid, -120, 120, cmap="RdBu_r", title="residual at the end")
        picture.set(xticks=[], yticks=[])
        share = best.loss / float(0.5 * grid.cell_volume * objective.reference.square().sum())
        gauss, exact = (objective.hessian(w_star, kind) for kind in ("gauss-newton", "exact"))
        factors = torch.linalg.eigvals(torch.eye(len(w_star)) - torch.linalg.solve(gauss, exact)).real
        factor = float(factors[factors.abs().argmax()])
        late = counts["Gauss-Newton"]
        return signed(
            f"Contrast of the reference × {contrast:g}. The residual at the minimiser holds "
            f"{100 * share:.2g} % of the energy of the reference. "
            f"Seven digits: Newton after {counts['Newton, trust region']} iterations, "
            f"Gauss-Newton after {late if late is not None else 'more than 40'}. "
            f"Near the minimiser Gauss-Newton multiplies its error by {factor:.2f}."
        )

    return draw


# ------------------------------------------------------------------------------------ what goes wrong


def failure(pair, objective, run, truth):
    """The end of a run that reports success; its loss and its true error over the iterations."""
    figure, axes = plt.subplots(1, 3, figsize=(7.2, 3.0), width_ratios=[0.8, 1.1, 1.1])
    transform = objective.problem.transform
    show_overlay(axes[0], pair.reference, moved(objective, run.x), pair.grid, "the end")
    steps = [entry for entry in run.history if entry.accepted]
    loss = [100 * entry.loss / steps[0].loss for entry in steps]
    error = [mean_distance(transform, entry.x, truth, pair.grid) for entry in steps]
    axes[1].plot(loss, "o-", ms=3, color=COLORS["vermillion"])
    axes[1].set(title="what it sees: loss in %", xlabel="accepted step", ylim=(0, 105))
    axes[2].plot(error, "s-", ms=3, color=COLORS["blue"])
    axes[2].set(title="what is true: error in cm", xlabel="accepted step", ylim=(0, None))
    return figure


@dataclass(frozen=True)
class Basins:
    """Newton from a grid of starts: ``label[i, j]`` says in which of ``ends`` it stopped; 0 is right.

    converged: of each start. loss, error: of each end, the first as a share of the loss at the identity.
    """

    turns: np.ndarray
    slides: np.ndarray
    label: np.ndarray
    converged: np.ndarray
    ends: list
    loss: np.ndarray
    error: np.ndarray

    @property
    def count(self):
        """How many starts lead to each end."""
        return np.bincount(self.label.flatten(), minlength=len(self.ends))


def basins(pair, objective, turns, slides):
    """Run Newton from every start (turn, slide), and number the minima that it finds by how often it does."""
    transform, found = objective.problem.transform, []
    truth, first = displaced(pair, transform, 0), float(objective.loss(transform.identity()))
    label, converged = np.zeros((len(slides), len(turns)), int), np.zeros((len(slides), len(turns)), bool)
    for i, j in np.ndindex(label.shape):
        run = newton_trust(objective, displaced(pair, transform, turns[j], slides[i]))
        near = [k for k, w in enumerate(found) if mean_distance(transform, run.x, w, pair.grid) < 0.2]
        if not near:
            found.append(run.x)
        label[i, j], converged[i, j] = near[0] if near else len(found) - 1, run.converged
    error = np.array([mean_distance(transform, w, truth, pair.grid) for w in found])
    order = np.lexsort((-np.bincount(label.flatten()), error > error.min()))  # the right one, then by count
    rank = np.argsort(order)
    ends = [found[k] for k in order]
    loss = np.array([float(objective.loss(w)) / first for w in ends])
    return Basins(np.asarray(turns), np.asarray(slides), rank[label], converged, ends, loss, error[order])


BASIN_COLORS = ("blue", "orange", "vermillion", "purple")


def basin_map(pair, objective, result):
    """The map of starts coloured by the minimum that Newton ends in, and pictures of the commonest minima."""
    names = [COLORS[name] for name in BASIN_COLORS]
    figure = plt.figure(figsize=(7.2, 5.0))
    top, bottom = figure.subfigures(2, 1, height_ratios=[1.1, 1])
    ax = top.subplots()
    shown = np.minimum(result.label, len(names))
    steps = [np.diff(axis)[0] / 2 for axis in (result.turns, result.slides)]
    extent = (
        result.turns[0] - steps[0],
        result.turns[-1] + steps[0],
        result.slides[0] - steps[1],
        result.slides[-1] + steps[1],
    )
    ax.imshow(
        shown,
        origin="lower",
        extent=extent,
        aspect="auto",
        cmap=ListedColormap([*names, "#c9cdd1"]),
        vmin=-0.5,
        vmax=len(names) + 0.5,
    )
    ax.plot([0], [0], "*", ms=13, color="white", mec="black")
    ax.set(xlabel="turn at the start, degrees", ylabel="slide at the start, cm", xticks=range(-180, 181, 60))
    ax.grid(False)
    for k, panel in enumerate(bottom.subplots(1, len(names))):
        show_overlay(panel, pair.reference, moved(objective, result.ends[k]), pair.grid)
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
    for k, (loss, error) in enumerate(zip(result.loss, result.error, strict=True)):
        label = {0: "home", len(BASIN_COLORS): "rarer minima"}.get(k)
        ax.scatter(
            100 * loss,
            error,
            s=12 + 9 * result.count[k],
            alpha=0.8,
            color=names[k],
            edgecolor="white",
            label=label,
        )
    ax.set(
        xlabel="loss that is left, % of the loss at the identity",
        ylabel="true error in cm",
        xlim=(-2, 62),
        ylim=(-2, 24),
    )
    for handle in ax.legend(loc="lower right").legend_handles:
        handle.set_sizes([40])
    return figure


# ------------------------------------------------------------------------------------ a real image


def before_and_after(objective, w0, w1):
    """The two heads on top of each other, before and after, and what is left of the difference."""
    grid, shape = objective.problem.grid, objective.problem.grid.shape
    figure, axes = plt.subplots(1, 3, figsize=(7.2, 2.9))
    reference = objective.reference.reshape(shape)
    show_overlay(axes[0], reference, moved(objective, w0), grid, "before")
    show_overlay(axes[1], reference, moved(objective, w1), grid, "after")
    drawn = show_image(
        axes[2], moved(objective, w1) - reference, grid, -60, 60, cmap="RdBu_r", title="difference after"
    )
    axes[2].set(xticks=[], yticks=[])
    figure.colorbar(drawn, ax=axes[2], shrink=0.75, label="grey values")
    return figure
