"""Figures of chapter 1: how a machine differentiates a program."""

import matplotlib.pyplot as plt
import numpy as np

from regbook.plots import COLORS, dots, error, image, taylor
from regbook.text import counted, number_text, signed, size_text

# -------------------------------------------------------------------------------- costs


def price_of_gradients(measured):
    """measured[p]: numbers computed by the program, its gradient backwards, one direction forwards."""

    def in_runs(value):
        return f"{value:.1f}" if value < 10 else f"{value:,.0f}"

    def draw(figure, p):
        p = min(measured, key=lambda known: abs(np.log(known / p)))
        once, reverse, tangent = measured[p]
        runs = {
            "finite differences": p + 1,
            "forwards": p * tangent / once,
            "backwards": reverse / once,
            "the program": 1.0,
        }
        ax = figure.subplots()
        colors = ("orange", "vermillion", "blue", "grey")
        dots(ax, runs, colors, in_runs)
        ax.set(xlim=(0.5, 3e8), xlabel="numbers computed, in runs of the program (log)")
        return (
            f"{counted(p, 'parameter')}; a run of the program computes {number_text(once / 1e6)} million "
            f"numbers. The gradient takes {in_runs(runs['backwards'])} runs backwards, "
            f"{in_runs(runs['forwards'])} forwards, {p + 1:,} by finite differences."
        )

    return draw


# -------------------------------------------------------------------------------- accuracy


def taylor_curves(right, wrong):
    """Taylor remainders of our derivatives, and of a gradient that is one percent too large."""
    figure, ax = plt.subplots(figsize=(6.4, 3.8))
    for name, test, order, color, style in (
        ("nothing subtracted", right, 0, "orange", "s-"),
        ("gradient 1 % too large", wrong, 1, "vermillion", "x--"),
        ("our gradient", right, 1, "blue", "o-"),
        ("and our Hessian", right, 2, "green", "^-"),
    ):
        taylor(ax, {name: test}, [order], [(color, style)])
    ax.set(ylabel="Taylor remainder", ylim=(1e-18, 10))
    ax.get_legend().remove()
    figure.legend(loc="outside lower center", ncols=2)
    return figure


def microscope(values, quotient, relative_error, floors, exact, sweep, curves):
    """The V of finite differences, and the function as it is at the step h.

    values(s, h, kind): (J(a + sh) − J(a)) / h as computed; quotient(h, kind, central);
    relative_error(slope, kind); floors[kind]: the error of AD; exact[kind]: the slope at a;
    curves: errors over the steps in ``sweep``, as ``experiments.ch01.difference_errors`` gives them.
    """
    shown = np.linspace(-1.6, 1.6, 401)

    def draw(figure, h, precision):
        figure.set_layout_engine("none")  # many frames: a fixed layout is quicker, and keeps still
        place = {"left": 0.1, "right": 0.985, "bottom": 0.135, "top": 0.92, "wspace": 0.28}
        lens, plot = figure.subplots(1, 2, gridspec_kw=place)
        found, central = float(quotient(h, precision, False)), float(quotient(h, precision, True))
        computed = [values(s, h, precision) for s in shown]
        lens.plot(shown, computed, color=COLORS["grey"], lw=1.2, label="J as computed")
        lens.plot(shown, exact[precision] * shown, "--", color=COLORS["green"], label="true tangent")
        lens.plot([0, 1], [0, found], "o-", color=COLORS["vermillion"], label="difference")
        lens.set(xlabel="(position − a) / h", ylabel="(J − J(a)) / h", xlim=(-1.6, 1.6), ylim=(-4, 6))
        lens.set_title("through the microscope")
        lens.legend(loc="upper right", fontsize=9, handlelength=1.4)
        for (kind, both_sides), errors in curves.items():
            color = COLORS["blue" if kind is np.float64 else "orange"]
            label = f"{np.dtype(kind).name}, {'central' if both_sides else 'forward'}"
            plot.loglog(sweep, errors, ":" if both_sides else "-", lw=1.5, color=color, label=label)
        for kind, floor in floors.items():
            plot.axhline(floor, color=COLORS["blue" if kind is np.float64 else "orange"], lw=1, ls="--")
        plot.axvline(h, ymax=0.8, color="0.3", lw=1.2)
        plot.set(xlabel="h", xlim=(3e-17, 3), ylim=(1e-17, 1e7), title="relative error (dashed: AD)")
        plot.set_xticks([1e0, 1e-4, 1e-8, 1e-12, 1e-16])
        plot.set_yticks([1e-16, 1e-12, 1e-8, 1e-4, 1e0])
        plot.minorticks_off()
        plot.legend(loc="upper center", fontsize=9, ncols=2, columnspacing=0.8, handlelength=1.2)
        errors = relative_error(found, precision), relative_error(central, precision)
        return (
            f"{np.dtype(precision).name}, h = {number_text(h)}: "
            + signed(f"forward difference {found:.8g}, central {central:.8g}, ")
            + signed(f"true slope {exact[precision]:.8g}. Relative errors ")
            + f"{size_text(errors[0])} and {size_text(errors[1])}; "
            + f"AD at worst {size_text(floors[precision])}."
        )

    return draw


# -------------------------------------------------------------------------------- the head


def three_gradients(residual, in_image, in_points, grid):
    """Residual, gradient in the pixels of the template, length of the gradient in the points."""
    figure, axes = plt.subplots(1, 3, figsize=(7.2, 2.8))
    pull = in_points.norm(dim=1).reshape(grid.shape)
    reach = float(in_image.abs().quantile(0.995))
    error(axes[0], residual, grid, 150, "residual")
    error(axes[1], in_image, grid, reach, "∂J/∂(pixel)")
    image(axes[2], pull, grid, "|∂J/∂(point)|", high=float(pull.quantile(0.995)), cmap="viridis")
    return figure
