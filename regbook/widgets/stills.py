"""How the figures that a page computes start, drawn by Matplotlib: for where there are no scripts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import matplotlib
import numpy as np
import torch
from matplotlib.figure import Figure

from regbook.experiments.ch09 import TAILS, Toy, met_by_the_tangent
from regbook.plots import COLORS, bare, error, style
from regkit import Grid, coefficients, evaluate
from regkit.data import Pair


def drag_spline(values: torch.Tensor) -> Figure:
    """The interpolating spline through the data, and how far one datum reaches."""
    m = len(values)
    grid, fine = Grid((float(m),), (m,)), torch.linspace(-1, m + 1, 601, dtype=torch.float64)[:, None]
    chosen = min(9, m - 1)
    one = torch.eye(m, dtype=torch.float64)[chosen]
    with matplotlib.rc_context(style()):
        figure = Figure(figsize=(6.4, 4.4))
        above, below = figure.subplots(2, 1, sharex=True, height_ratios=[1.6, 1])
        above.plot(fine, evaluate(coefficients(values.double(), 0.0), grid, fine), color=COLORS["blue"])
        above.plot(grid.axis(0), values, "o", color=COLORS["black"], label="data")
        place = grid.axis(0)[chosen], values[chosen]
        above.plot(*place, "o", ms=9, color=COLORS["vermillion"], label="the chosen one")
        above.legend(loc="upper left")
        reach = evaluate(coefficients(one, 0.0), grid, fine).abs().clamp(min=1e-7)
        below.semilogy(fine, reach, color=COLORS["green"])
        below.set(ylim=(1e-7, 2), xlabel="x in cells", ylabel="its influence")
    return figure


def register_by_hand(pair: Pair) -> Figure:
    """Both images above each other, in two colours, and their difference, before anything is moved."""
    t, r = (image.clamp(0, 255).double().numpy() / 255 for image in (pair.template, pair.reference))
    mixed = np.stack([r, 0.62 * r + 0.38 * t, 0.1 * r + 0.9 * t], axis=-1)
    extent = (0, pair.grid.extent[0], 0, pair.grid.extent[1])
    with matplotlib.rc_context(style()):
        figure = Figure(figsize=(6.4, 4))
        left, right = figure.subplots(1, 2)
        bare(left)
        left.imshow(mixed.transpose(1, 0, 2), origin="lower", extent=extent)
        left.set_title("reference orange, template blue")
        error(right, pair.template - pair.reference, pair.grid, 255, "template − reference")
    return figure


def workshop(pair: Mapping) -> Figure:
    """The two pictures beside each other."""
    with matplotlib.rc_context(style()):
        figure = Figure(figsize=(6.4, 3.2))
        for axes, name in zip(figure.subplots(1, 2), ("template", "reference"), strict=True):
            bare(axes)
            axes.imshow(pair[name], cmap="gray", vmin=0, vmax=255)
            axes.set_title(name)
    return figure


def differentiated_iterations(
    record: Mapping, exact: Sequence[float], none: Sequence[float], start: tuple[int, int, int]
) -> Figure:
    """Error of the Jacobian over the share that is differentiated, and the image error of one choice."""
    tail, total, percent = start
    spread = np.asarray(record["jacobian_error"])[tail, total]
    errors = np.median(spread, axis=-1)
    runs = np.asarray(record["image_error"])[tail, total, percent]
    with matplotlib.rc_context(style()):
        figure = Figure(figsize=(6.4, 3.2))
        left, right = figure.subplots(1, 2)
        left.semilogy(record["percents"], errors, color=COLORS["vermillion"])
        ends = spread.min(-1), spread.max(-1)
        left.fill_between(record["percents"], *ends, color=COLORS["vermillion"], alpha=0.3, lw=0)
        left.plot(record["percents"][percent], errors[percent], "o", ms=8, color=COLORS["vermillion"])
        left.set(xlabel="% of the iterations differentiated", title="error of the Jacobian")
        steps = np.arange(len(exact))
        right.plot(steps, 100 * runs.T, color=COLORS["vermillion"])
        for values, look, name in ((exact, "--", "exact Jacobian"), (none, ":", "none")):
            right.plot(steps, 100 * np.asarray(values), look, color=COLORS["black"], label=name)
        right.set(xlabel="step", title="image error, %", ylim=(0, 50))
        right.legend()
    return figure


def stepped_iterations(toy: Toy, names: Sequence[str], start: tuple[int, int, int]) -> Figure:
    """The polynomial that the tangent meets, and its error over the iterations that are differentiated."""
    way, total, last = start
    tail, counts = TAILS[way], range(total + 1)
    met = met_by_the_tangent(toy, tail, last, total).abs().clamp(min=1e-6)
    with matplotlib.rc_context(style()):
        figure = Figure(figsize=(6.4, 3.2))
        left, right = figure.subplots(1, 2)
        left.loglog(toy.values, met, ".-", color=COLORS["vermillion"])
        left.axhline(1, color="0.4", lw=1, ls="--")
        left.set(xlabel="eigenvalue λ", title=f"|p(λ)|, {names[way]}, last {last}")
        errors = [toy.tangent_error(toy.tangent(toy.last(tail, k), total)) for k in counts]
        right.semilogy(counts, errors, color=COLORS["vermillion"])
        right.plot([last], [errors[last]], "o", ms=8, color=COLORS["vermillion"])
        right.set(xlabel=f"differentiated, of {total} iterations", title="error of the tangent")
    return figure


def live_tangent(
    record: Mapping, exact: Sequence[float], none: Sequence[float], start: tuple[int, int, int]
) -> Figure:
    """What is recorded nearest to the start, as ``differentiated_iterations`` draws it."""
    way, total, last = start
    place = [
        int(np.argmin(np.abs(np.log(np.asarray(record["totals"]) / total)))),
        int(np.argmin(np.abs(np.asarray(record["percents"]) - 100 * last / total))),
    ]
    return differentiated_iterations(record, exact, none, (way, *place))
