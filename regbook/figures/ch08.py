"""Figures of chapter 8: eliminating the image by variable projection."""

import math
from dataclasses import dataclass

import matplotlib.pyplot as plt
import numpy as np
import torch
from mpl_toolkits.mplot3d.art3d import Poly3DCollection

from regbook.explore import number_text
from regbook.plots import COLORS, show_image
from regkit.spline import coefficients, evaluate
from regkit.varpro import Family, Reduced, minimise

LOOK = {
    "none": ("vermillion", "s"),
    "Kaufman": ("blue", "o"),
    "Golub-Pereyra": ("green", "^"),
    "implicit": ("orange", "v"),
    "all of CG": ("purple", "D"),
}
KINDS = {"none": "none", "Kaufman": "kaufman", "Golub-Pereyra": "golub-pereyra"}
AUTHORS = {"steps": 9, "damping": 1e-3, "scaling": "identity"}  # Levenberg-Marquardt as the paper has it


# ---- a spot beyond the window: one parameter w, one intensity f

PIXELS = torch.arange(6, dtype=torch.float64) + 0.5
WIDTH, NEAR = 2.0, 0.01  # of the spot; how near to the best w counts as arrived


def spot_shape(w):
    """a(w) as a matrix with one column: the spot at w (1,), of brightness one, at the six pixels."""
    return torch.exp(-((PIXELS - w) ** 2) / (2 * WIDTH**2))[:, None]


def spot():
    """A spot of brightness 1 at w = 7, one pixel beyond the window, seen with a little noise."""
    noise = torch.from_numpy(np.random.default_rng(0).normal(size=6))
    return Family(spot_shape, spot_shape(torch.tensor([7.0]).double())[:, 0] + 0.01 * noise)


@dataclass(frozen=True)
class Walk:
    """points: (k + 1, 2), (w, f) after every step. corners: of each step, the points to draw it through."""

    points: np.ndarray
    corners: list


def _parts(problem, w):
    """a(w), a'(w) and the best intensity f(w), from numbers to numbers."""
    x = PIXELS.numpy()
    a = np.exp(-((x - w) ** 2) / (2 * WIDTH**2))
    return a, (x - w) / WIDTH**2 * a, float(a @ problem.b.numpy() / (a @ a))


def walks(problem, w, f, steps=80):
    """Three walkers in the valley of ½‖f a(w) − b‖², all with undamped Gauss-Newton steps."""
    b = problem.b.numpy()
    found = {}
    for name in ("alternating", "joint Gauss-Newton", "variable projection"):
        points, corners = [(w, f)], []
        for _ in range(steps):
            here = points[-1]
            a, slope, best = _parts(problem, here[0])
            if name == "joint Gauss-Newton":
                J = np.stack([here[1] * slope, a], axis=1)
                step = np.linalg.lstsq(J, here[1] * a - b)[0]
                to = (here[0] - step[0], here[1] - step[1])
                corners.append([here, to])
            elif name == "alternating":
                D, r = best * slope, best * a - b
                to = (here[0] - D @ r / (D @ D), best)
                corners.append([here, (here[0], best), to])
            else:
                D, r = best * slope, best * a - b
                seen = D - a * (a @ D) / (a @ a)
                to = here[0] - seen @ r / (seen @ seen)
                floor = [(v, _parts(problem, v)[2]) for v in np.linspace(here[0], to, 15)]
                to = floor[-1]
                corners.append([here, *floor])
            if not (abs(to[0]) < 30 and abs(to[1]) < 30):  # gone for good
                to = (math.nan, math.nan)
            points.append(to)
            if math.isnan(to[0]):
                points += [to] * (steps + 1 - len(points))
                break
        found[name] = Walk(np.array(points), corners)
    return found


def best_spot(problem):
    """The minimiser (w, f)."""
    return walks(problem, 7.0, 1.0, 30)["variable projection"].points[-1]


def arrivals(problem, w, f):
    """After how many steps each walker is, and stays, within NEAR of the best w; None if never."""
    target, counts = best_spot(problem)[0], {}
    for name, walk in walks(problem, w, f).items():
        away = ~(np.abs(walk.points[:, 0] - target) < NEAR)
        counts[name] = None if away[-1] else int(np.flatnonzero(away)[-1]) + 1
    return counts


STARTS = {"near and bright": (4.5, 2.0), "far and faint": (8.5, 0.5)}
WALKERS = {
    "alternating": ("vermillion", "s"),
    "joint Gauss-Newton": ("orange", "D"),
    "variable projection": ("blue", "o"),
}


def valley(problem):
    """The landscape of the spot with the three walkers, and how far each is from the best w."""
    w, f = np.linspace(4, 9.5, 90), np.linspace(0, 2.3, 70)
    columns = np.stack([_parts(problem, v)[0] for v in w])
    residual = f[:, None, None] * columns - problem.b.numpy()
    heights = np.log10(0.5 * (residual**2).sum(-1))
    target = best_spot(problem)
    all_walks = {start: walks(problem, *place) for start, place in STARTS.items()}

    def draw(figure, steps, place):
        steps = round(steps)
        left, right = figure.subplots(1, 2, width_ratios=[1.35, 1])
        left.contourf(w, f, heights, np.linspace(-3.6, 0.6, 11), cmap="Greys_r", extend="both", alpha=0.75)
        left.plot(*target, "*", ms=15, color=COLORS["green"], mec="white", label="minimum")
        texts = []
        for name, walk in all_walks[place].items():
            color, mark = WALKERS[name]
            line = [point for corner in walk.corners[:steps] for point in corner]
            if line:
                left.plot(*np.array(line).T, color=COLORS[color], lw=1.8)
            here = walk.points[steps]
            left.plot(*here, mark, ms=7, color=COLORS[color], mec="white", label=name)
            distance = np.abs(walk.points[:, 0] - target[0]).clip(2e-5)
            right.semilogy(distance[: steps + 1], color=COLORS[color], lw=1.8)
            right.semilogy(steps, distance[steps], mark, ms=7, color=COLORS[color], mec="white")
            off = f"{abs(here[0] - target[0]):.3f} pixels" if np.isfinite(here[0]) else "nowhere near"
            texts.append(f"{name} {off}")
        left.set(xlim=(4, 9.5), ylim=(0, 2.3), xlabel="position w in pixels", ylabel="intensity f")
        left.legend(loc="upper right", fontsize=8, frameon=True, framealpha=0.9, borderpad=0.3)
        right.axhline(NEAR, color="0.4", ls="--", lw=1)
        right.set(xlim=(-0.5, 41), ylim=(1e-5, 20), xlabel="steps", ylabel="|w − best w| in pixels")
        count = "1 step" if steps == 1 else f"{steps} steps"
        return f"After {count}, from {place}. Off by: {', '.join(texts)}."

    return draw


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


@dataclass(frozen=True)
class Run:
    """What the figures need of a run: loss, gradient norm, image error (%) and image after each step."""

    loss: np.ndarray
    gradient: np.ndarray
    error: np.ndarray
    images: list
    path: list

    @classmethod
    def of(cls, made, history, exact=True):
        found = [s.f if exact else Reduced(made.problem, exact=True).point(s.x).f for s in history]
        errors = np.array([100 * made.error(f) for f in found])
        loss, norm = (np.array([getattr(s, name) for s in history]) for name in ("loss", "gradient_norm"))
        return cls(loss, norm, errors, found, [s.x for s in history])


def run(made, w, f0, kind, rows, options=None, **limits):
    """Levenberg-Marquardt with exact projections, or with those that ``options`` describe."""
    options = {"exact": True} if options is None else options
    reduced = Reduced(made.problem, f0, kind=kind, rows=rows, **options)
    return Run.of(made, minimise(reduced, w, **(AUTHORS | limits)).history, "exact" in options)


def progress(runs):
    """Figure 5 of the paper: relative loss and gradient norm, and Figure 6's number, over the steps."""
    figure, axes = plt.subplots(1, 3, figsize=(6.8, 3.3))
    for name, one in runs.items():
        color, mark = LOOK[name]
        style = {"color": COLORS[color], "marker": mark, "ms": 4, "lw": 1.5}
        for ax, values in zip(axes, (one.loss / one.loss[0], one.gradient / one.gradient[0]), strict=False):
            ax.semilogy(values, **style)
        axes[2].plot(one.error, label=name, **style)
    for ax, title in zip(axes, ("loss / first", "‖Jᵀr‖ / first", "image error, %"), strict=True):
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
        show_image(middle, f - truth, grid, -90, 90, "RdBu_r", title="f(w) − truth")
        for ax in (left, middle):
            ax.set(xticks=[0, 10, 20], yticks=[0, 10, 20])
        left.set(xlabel="x in cm", ylabel="y in cm")
        middle.set_yticks([])
        for name, one in runs.items():
            color, mark = LOOK[name]
            chosen = name == jacobian
            right.plot(one.error, color=COLORS[color], lw=2.2 if chosen else 1, label=name)
            if chosen:
                right.plot(steps, one.error[steps], mark, ms=9, color=COLORS[color], mec="white")
        right.set(xlabel="step", title="image error, %", xlim=(-0.4, 9.4), ylim=(0, 46))
        right.legend(loc="center right", fontsize=8)
        one = runs[jacobian]
        return (
            f"{jacobian}, after {steps} of 9 steps: image error {one.error[steps]:.1f} %, loss "
            f"{one.loss[steps]:.2f}, gradient norm {number_text(one.gradient[steps])}."
        )

    return draw


# ---- the two effects apart


def finite_difference(problem, w, h=1e-6):
    """The true Jacobian of the full reduced residual at w, by central differences of exact projections."""
    reduced = Reduced(problem, exact=True, rtol=1e-13)
    moves = h * torch.eye(len(w), dtype=w.dtype)
    return torch.stack([(reduced.residual(w + e) - reduced.residual(w - e)) / (2 * h) for e in moves], dim=1)


def judged(problem, w, truth):
    """For both kinds of rows and three Jacobians: errors of gradient and matrix, angle, length of the step.

    The parameters are scaled so that the columns of the true Jacobian have length one.
    """
    found = {}
    for rows in ("data", "full"):
        points = {
            name: Reduced(problem, kind=kind, rows=rows, exact=True, rtol=1e-13).point(w)
            for name, kind in KINDS.items()
        }
        T = truth[: len(points["none"].residual)]
        scale = T.norm(dim=0)
        T = T / scale
        r = points["none"].residual
        g, B = T.T @ r, T.T @ T
        for name, point in points.items():
            J = point.jacobian / scale
            mine, matrix = J.T @ r, J.T @ J
            step = torch.linalg.solve(matrix, mine).norm() / torch.linalg.solve(B, g).norm()
            cosine = (mine @ g / (mine.norm() * g.norm())).clamp(-1, 1)
            found[rows, name] = {
                "gradient": float((mine - g).norm() / g.norm()),
                "matrix": float((matrix - B).norm() / B.norm()),
                "angle": math.degrees(float(torch.arccos(cosine))),
                "step": float(step),
            }
    return found


def effects(problem, path):
    """Bars: error of the gradient, and of the Gauss-Newton matrix, at each w of a path."""
    table = [judged(problem, w, finite_difference(problem, w)) for w in path]

    def draw(figure, steps):
        now = table[round(steps)]
        axes = figure.subplots(1, 2, sharey=True)
        for ax, what in zip(axes, ("gradient", "matrix"), strict=True):
            for shift, rows, color in ((-0.2, "data", "orange"), (0.2, "full", "blue")):
                values = [max(now[rows, name][what], 2e-10) for name in KINDS]
                at = np.arange(3) + shift
                label = "data block" if rows == "data" else "full residual"
                ax.bar(at, values, 0.36, bottom=0, color=COLORS[color], label=label)
            ax.set_yscale("log")
            ax.set(ylim=(1e-10, 1e4), xticks=range(3))
            ax.set_xticklabels(["none", "Kaufman", "Golub-\nPereyra"])
            ax.axhspan(1e-10, 1e-6, color="0.9", zorder=0)
        axes[0].set(title="error of the gradient", ylabel="relative error")
        axes[1].set(title="error of JᵀJ")
        axes[1].legend(loc="upper right", fontsize=9)
        none, kaufman, full = now["data", "none"], now["data", "Kaufman"], now["full", "none"]
        return (
            f"After {round(steps)} steps. On the data block the gradient of none points {none['angle']:.0f}° "
            f"away from the true one, Kaufman's {kaufman['angle']:.0f}°; on the full residual all agree. "
            f"There the step of none is {full['step']:.3f} times as long as the exact one, Kaufman's "
            f"{now['full', 'Kaufman']['step']:.2f} times."
        )

    draw.table = table
    return draw


def slow(made, one, floor):
    """None on the full residual for many steps, and where the others are after nine."""
    figure, ax = plt.subplots(figsize=(6.4, 2.9))
    ax.plot(one.error, color=COLORS["vermillion"], label="none, full residual")
    ax.axhline(floor, color=COLORS["blue"], ls="--", label="Kaufman after 9 steps")
    above = 100 * made.error(made.problem.upsampled())
    ax.axhline(above, color="0.4", ls=":", label="template 0, up-sampled")
    ax.set(xlabel="step", ylabel="image error, %", xlim=(0, len(one.error) - 1), ylim=(0, 45))
    ax.legend()
    return figure


# ---- derivative tests


def taylor(residual, loss):
    """Remainders after the first-order term, of the residual and of the loss, one curve a kind."""
    figure, axes = plt.subplots(1, 2, figsize=(6.8, 3.5))
    titles = ("the residual, with J v", "the loss, with (Jᵀr)ᵀv")
    for ax, tests, title in zip(axes, (residual, loss), titles, strict=True):
        for name, test in tests.items():
            color, mark = LOOK[name]
            size = {"none": 8, "Kaufman": 5}.get(name, 3.5)
            label = f"{name}: slope {test.slopes[1]:.2f}"
            style = {"color": COLORS[color], "ms": size, "lw": 1.3, "label": label}
            ax.loglog(test.steps, test.errors[1], mark + "-", **style)
        bottom = min(float(test.errors[1].min()) for test in tests.values())
        ax.set(title=title, xlabel="step h", ylim=(bottom / 5, None))
        ax.legend(fontsize=8, loc="lower right")
    axes[0].set_ylabel("remainder")
    return figure


# ---- the gauge


def undone(problem, w, f):
    """f seen through the motion of template 0, f(y(x; w₀)): the image in the frame of template 0."""
    y = problem.transform(w[:6], problem.points)
    return evaluate(coefficients(f.reshape(problem.grid.shape), 0.0), problem.grid, y)


def drifting(made, one, held):
    """Template 0 free: where it went, the error image, and loss and error over the steps."""
    problem, truth, grid = made.problem, made.image, made.problem.grid
    seen = torch.cartesian_prod(torch.linspace(2, 18, 5), torch.linspace(2.5, 22.5, 5)).double()
    pulled = [100 * made.error(undone(problem, w, f)) for w, f in zip(one.path, one.images, strict=True)]

    def draw(figure, steps):
        k = round(steps)
        left, right = figure.subplots(1, 2, width_ratios=[1, 1.5])
        show_image(left, one.images[k].reshape(grid.shape) - truth, grid, -90, 90, "RdBu_r")
        move = 10 * (problem.transform(one.path[k][:6], seen) - seen)
        arrows = {"angles": "xy", "scale_units": "xy", "scale": 1, "width": 0.012, "color": COLORS["black"]}
        left.quiver(*seen.T, *move.T, **arrows)
        left.set(title="error, and drift ×10", xlabel="x in cm", ylabel="y in cm")
        for values, color, style, label in (
            (one.error, "vermillion", "-", "template 0 free"),
            (pulled, "orange", "--", "the same, drift undone"),
            (held.error, "blue", "-", "template 0 held"),
        ):
            right.plot(values, style, color=COLORS[color], label=label)
            right.plot(k, values[min(k, len(values) - 1)], "o", ms=6, color=COLORS[color])
        right.set(xlabel="step", ylabel="image error, %", xlim=(-0.5, 40), ylim=(8, 20))
        right.legend(loc="upper right", fontsize=9)
        cells = ((move / 10).norm(dim=1) / grid.spacing[0]).mean()
        return (
            f"After {k} steps: loss {one.loss[k]:.3f}, image error {one.error[k]:.2f} %, with the drift "
            f"undone {pulled[k]:.2f} %. Template 0 has moved by {cells:.3f} cells on average."
        )

    draw.undone = pulled
    return draw


# ---- a real image


def gallery(made, images, titles):
    """Images above their error images."""
    grid = made.problem.grid
    figure, axes = plt.subplots(2, len(images), figsize=(6.8, 3.9), sharex=True, sharey=True)
    for (top, bottom), f, title in zip(axes.T, images, titles, strict=True):
        f = f.reshape(grid.shape)
        show_image(top, f, grid, 0, 255)
        top.set_title(title, fontsize=9)
        error = show_image(bottom, f - made.image, grid, -90, 90, "RdBu_r")
        for ax in (top, bottom):
            ax.set(xticks=[], yticks=[])
    figure.colorbar(error, ax=axes, shrink=0.6, pad=0.01, label="error, grey values")
    return figure
