"""Figures of chapter 4: why blurring helps."""

import matplotlib.pyplot as plt
import numpy as np
import torch

from regbook.plots import COLORS, show_image
from regbook.text import counted, number_text
from regkit import SmoothingBasis, evaluate
from regkit.optimize import newton_trust


def local_minima(values):
    """Indices of the interior points of a 1-D tensor that lie below both of their neighbours."""
    inner = values[1:-1]
    return ((inner < values[:-2]) & (inner < values[2:])).nonzero().flatten() + 1


def landscape_1d(problem, shifts, theta):
    """The loss at every shift, and the shifts of its local minima."""
    objective = problem.at(theta)
    losses = torch.stack([objective.loss(shift[None]) for shift in shifts])
    return losses, shifts[local_minima(losses)]


def comb(problem, shifts):
    """Two 1-D signals at a scale, and the loss over the shift between them."""
    x = problem.grid.points()
    bases = SmoothingBasis(problem.template), SmoothingBasis(problem.reference)

    def draw(figure, theta):
        losses, minima = landscape_1d(problem, shifts, theta)
        top, bottom = figure.subplots(2, 1)
        for basis, name, color in zip(bases, ("template", "reference"), ("blue", "vermillion"), strict=True):
            top.plot(x, evaluate(basis.coefficients(theta), problem.grid, x), color=COLORS[color], label=name)
        top.set(xlabel="x in cells", ylabel="grey value", ylim=(-0.05, 1.1))
        top.legend(loc="upper right", ncols=2)
        bottom.plot(shifts, losses / losses.max(), color=COLORS["black"])
        at = local_minima(losses)
        bottom.plot(shifts[at], (losses / losses.max())[at], "o", color=COLORS["green"], label="local minima")
        bottom.axvline(10, color=COLORS["orange"], ls="--", label="true shift")
        bottom.set(xlabel="shift in cells", ylabel="loss / largest", ylim=(-0.05, 1.1))
        bottom.legend(loc="lower right")
        nearest = minima[(minima - 10).abs().argmin()] if len(minima) else float("nan")
        count = counted(len(minima), "local minimum", "local minima")
        return f"θ = {number_text(theta)}: {count}. The one nearest to the true shift is at {nearest:.2f}."

    return draw


def drift(problem, thetas):
    """Where the right minimum lies over θ, followed from a small θ upwards."""
    at, shift = [], torch.tensor([10.0])
    for theta in sorted(thetas):
        shift = newton_trust(problem.at(theta), shift).x
        at.append(float(shift))
    figure, ax = plt.subplots(figsize=(6.4, 2.8))
    ax.semilogx(sorted(thetas), at, "o-", color=COLORS["blue"])
    ax.axhline(10, color=COLORS["orange"], ls="--", label="true shift")
    ax.set(xlabel="θ", ylabel="shift of the minimum")
    ax.legend()
    return figure, dict(zip(sorted(thetas), at, strict=True))


def plane(problem, angles, shifts, center):
    """The loss over a rotation and a horizontal shift: (len(angles), len(shifts)) at a scale."""

    def losses(theta):
        objective, values = problem.at(theta), torch.empty(len(angles), len(shifts))
        for i, angle in enumerate(angles):
            for j, shift in enumerate(shifts):
                values[i, j] = objective.loss(torch.tensor([angle, shift, 0.0]))
        return values

    return losses


def valleys(values):
    """Interior points of a 2-D array that lie below all eight neighbours."""
    inner = values[1:-1, 1:-1]
    below = torch.ones_like(inner, dtype=torch.bool)
    for i in (0, 1, 2):
        for j in (0, 1, 2):
            if (i, j) != (1, 1):
                rows, columns = values.shape
                below &= inner < values[i : rows - 2 + i, j : columns - 2 + j]
    return below.nonzero() + 1


def landscape_2d(problem, angles, shifts, center, truth):
    """The landscape over two parameters, as contours, with its local minima."""
    known, losses = {}, plane(problem, angles, shifts, center)

    def draw(figure, theta):
        if theta not in known:
            known[theta] = losses(theta)
        values = known[theta] / known[theta].max()
        ax = figure.subplots()
        filled = ax.contourf(np.degrees(angles), shifts, values.T, levels=18, cmap="cividis")
        figure.colorbar(filled, label="loss / largest")
        low = valleys(values)
        ax.plot(np.degrees(angles)[low[:, 0]], np.array(shifts)[low[:, 1]], "o", color="white", mec="black",
                label="local minima")  # fmt: skip
        ax.plot(
            np.degrees(truth[0]), truth[1], "*", ms=14, color=COLORS["orange"], mec="black", label="true map"
        )
        ax.set(xlabel="rotation in degrees", ylabel="shift in cm")
        ax.legend(loc="upper right", framealpha=0.9, frameon=True)
        deepest = np.degrees(angles)[int(values.argmin()) // len(shifts)]
        return f"{len(low)} local minima in this window; the deepest at {deepest:.0f}°."

    return draw


def map_error(pair, w):
    """Mean distance, in cells, between the map y = A x + b of w and the true one, over the hand."""
    x = pair.grid.points()[pair.reference.reshape(-1) > 25]
    change = w - pair.w_true
    moved = x @ change[:4].reshape(2, 2).T + change[4:]
    return float((moved / torch.tensor(pair.grid.spacing)).norm(dim=1).mean())


def schedule(problem, pair, least=1e-3):
    """Register through a schedule of the reader's own: scales from ``coarsest`` down, evenly in log θ."""
    x = pair.grid.points()
    template = SmoothingBasis(pair.template).coefficients(0.0)

    def run(coarsest, scales):
        w, evaluations = problem.transform.identity(), 0
        for theta in np.geomspace(coarsest, least, scales) if scales > 1 else [least]:
            result = newton_trust(problem.at(theta), w)
            w, evaluations = result.x, evaluations + result.evaluations["hessian"]
        return w, evaluations

    def draw(figure, coarsest, scales):
        w, evaluations = run(coarsest, scales)
        moved = evaluate(template, pair.grid, problem.transform(w, x)).reshape(pair.grid.shape)
        panels = (("template, moved", moved), ("reference", pair.reference))
        *axes, bars = figure.subplots(1, 3, width_ratios=[1, 1, 0.8])
        for ax, (name, image) in zip(axes, panels, strict=True):
            show_image(ax, image, pair.grid, 0, 255, title=name)
            ax.axis("off")
        error = map_error(pair, w)
        good = error < 0.5
        bars.bar(["Hessians"], [evaluations], color=COLORS["green" if good else "vermillion"])
        bars.set(ylim=(0, 120), title="work")
        verdict = "Found" if good else "Lost"
        return f"{verdict}: mean error of the map {error:.2f} cells, after {evaluations} Hessians. " + (
            f"One scale is θ = {least:g} alone." if scales == 1 else ""
        )

    return draw, run


def rows(pair, problem, results):
    """Figure 2 of the paper: what each way of registering makes of the template."""
    x, template = pair.grid.points(), SmoothingBasis(pair.template).coefficients(0.0)
    figure, axes = plt.subplots(len(results) + 1, 3, figsize=(6.4, 2.6 * (len(results) + 1)))
    everything = {"before": problem.transform.identity(), **results}
    for row, (name, w) in zip(axes, everything.items(), strict=True):
        moved = evaluate(template, pair.grid, problem.transform(w, x)).reshape(pair.grid.shape)
        show_image(row[0], moved, pair.grid, 0, 255, title=f"{name}: template")
        show_image(row[1], pair.reference, pair.grid, 0, 255, title="reference")
        show_image(row[2], moved - pair.reference, pair.grid, -255, 255, "PuOr", title="difference")
        for ax in row:
            ax.axis("off")
    return figure


def basins(degrees, errors, limit=0.5):
    """Which starts succeed: mean error of the map over the start angle, one line a way of registering."""
    figure, axes = plt.subplots(len(errors), 1, figsize=(6.4, 1.1 + 0.75 * len(errors)), sharex=True)
    for ax, (name, values) in zip(axes, errors.items(), strict=True):
        good = np.array(values) < limit
        ax.bar(degrees, 1, width=degrees[1] - degrees[0],
               color=[COLORS["green"] if ok else COLORS["grey"] for ok in good])  # fmt: skip
        ax.set(yticks=(), ylim=(0, 1), title=f"{name}: {good.sum()} of {len(good)} starts find the true map")
        ax.grid(False)
    axes[-1].set_xlabel("rotation of the start, degrees from the true one")
    return figure


def success(run):
    """Success rates over the difficulty of the pair, one line a method."""
    turned = run["about"]["turned_by_at_most_degrees"]
    figure, ax = plt.subplots(figsize=(6.4, 3.4))
    styles = zip("os^vDP", ("vermillion", "orange", "blue", "green", "purple", "sky"), strict=True)
    for (name, method), (mark, color) in zip(run["methods"].items(), styles, strict=True):
        ax.plot(turned, 100 * np.array(method["success"]), f"{mark}-", ms=5, color=COLORS[color], label=name)
    ax.set(xlabel="turned by at most, degrees (clutter grows with it)", ylabel="success in %", ylim=(0, 105))
    ax.set_xticks(turned)
    ax.legend(fontsize=8)
    return figure
