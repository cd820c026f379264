"""Figures of chapter 1: how a machine differentiates a program."""

import matplotlib.pyplot as plt
import numpy as np

from regbook.plots import COLORS, dots, error, image, taylor
from regbook.text import counted, duration_text, number_text, size_text

# -------------------------------------------------------------------------------- costs


def price_of_gradients(measured):
    """measured[p]: factors of (program, gradient backwards, one direction forwards), ms of a run."""

    def draw(figure, p):
        p = min(measured, key=lambda known: abs(np.log(known / p)))
        (_, reverse, tangent), once = measured[p]
        runs = {
            "finite differences": p + 1,
            "forwards": p * tangent,
            "backwards": reverse,
            "the program": 1.0,
        }
        ax = figure.subplots()
        colors = ("orange", "vermillion", "blue", "grey")
        dots(ax, runs, colors, lambda value: f"{value:.1f}" if value < 10 else f"{value:,.0f}")
        ax.set(xlim=(0.5, 3e8), xlabel="cost in runs of the program (log scale)")
        return (
            f"{counted(p, 'parameter')}; the program takes {duration_text(once)}. "
            f"The gradient takes {duration_text(once * reverse)} backwards, "
            f"{duration_text(once * tangent * p)} forwards, "
            f"{duration_text(once * (p + 1))} by finite differences."
        )

    return draw


def price_list(price):
    """Bars: what was asked for, and what its gradient cost, in runs of the loss."""
    figure, ax = plt.subplots(figsize=(6.4, 2.5))
    names = list(price)[::-1]
    ax.axvspan(3, 4, color=COLORS["orange"], alpha=0.3, lw=0, label="bound: 3 to 4")
    ax.barh(names, [price[name] for name in names], color=COLORS["blue"])
    for k, name in enumerate(names):
        ax.text(price[name] + 0.06, k, f"{price[name]:.1f}", va="center")
    ax.axvline(1, color="0.3", lw=1)
    ax.set(xlabel="cost of the gradient, in runs of the loss", xlim=(0, max(5.5, 1.15 * max(price.values()))))
    ax.legend(loc="upper right")
    return figure


TABLE_1 = ("loss", "gradient", "Hessian", "forward function", "Jacobian")
TABLE_1_BOUNDS = ("1", "3 to 4", "21 to 40", "1", "7 to 10")


def table_1(columns):
    """Table 1 of the paper as HTML: one column of factors for each entry of ``columns``, and the theory's."""
    head = "".join(f'<th scope="col">{name}</th>' for name in ["function", *columns, "theory (operations)"])
    body = "".join(
        f'<tr><th scope="row">{row}</th>'
        + "".join(f"<td>{factors[k]:.1f} ×</td>" for factors in columns.values())
        + f"<td>{TABLE_1_BOUNDS[k]} ×</td></tr>"
        for k, row in enumerate(TABLE_1)
    )
    caption = "Cost of derivatives for six parameters, in runs of the function itself"
    return (
        f'<table class="table"><caption>{caption}</caption><thead><tr>{head}</tr></thead>'
        f"<tbody>{body}</tbody></table>"
    )


def table_1_dots(columns):
    """The same as a drawing: dots, and what theory says as a range."""
    figure, ax = plt.subplots(figsize=(6.8, 3.4))
    places, low, high = np.arange(3), np.array([3, 21, 7]), np.array([4, 40, 10])
    ax.bar(places - 0.32, high - low, 0.16, bottom=low, color="0.72", label="theory")
    looks = (("vermillion", "s"), ("sky", "^"), ("blue", "o"))
    for shift, (name, factors), (color, mark) in zip(
        (-0.14, 0.06, 0.26), columns.items(), looks, strict=True
    ):
        heights = [factors[k] for k in (1, 2, 4)]
        ax.plot(places + shift, heights, mark, ms=8, color=COLORS[color], label=name)
        for place, height in zip(places, heights, strict=True):
            ax.text(place + shift, height * 1.15, f"{height:.1f}", ha="center", fontsize=9)
    ax.set(yscale="log", ylim=(1, 200), ylabel="runs of the function (log)")
    ax.set_xticks(places, ["gradient", "Hessian", "Jacobian"])
    ax.grid(False, axis="x")
    ax.legend(ncols=4, loc="upper center", columnspacing=1.2, handlelength=1.2)
    return figure


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
    ax.legend(loc="lower right")
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
        lens.set(xlabel="(position − a) / h", ylabel="(J − J(a)) / h", xlim=(-1.6, 1.6), ylim=(-4, 4))
        lens.set_title("through the microscope")
        lens.legend(loc="upper right", fontsize=9, handlelength=1.4)
        for (kind, both_sides), errors in curves.items():
            color = COLORS["blue" if kind is np.float64 else "orange"]
            label = f"{np.dtype(kind).name}, {'central' if both_sides else 'forward'}"
            plot.loglog(sweep, errors, ":" if both_sides else "-", lw=1.5, color=color, label=label)
        for kind, floor in floors.items():
            plot.axhline(floor, color=COLORS["blue" if kind is np.float64 else "orange"], lw=1, ls="--")
        plot.axvline(h, color="0.3", lw=1.2)
        plot.set(xlabel="h", xlim=(3, 3e-17), ylim=(1e-17, 1e5), title="relative error (dashed: AD)")
        plot.set_xticks([1e0, 1e-4, 1e-8, 1e-12, 1e-16])
        plot.set_yticks([1e-16, 1e-12, 1e-8, 1e-4, 1e0])
        plot.minorticks_off()
        plot.legend(loc="upper center", fontsize=9, ncols=2, columnspacing=0.8, handlelength=1.2)
        errors = relative_error(found, precision), relative_error(central, precision)
        return (
            f"{np.dtype(precision).name}, h = {number_text(h)}: forward difference {found:.8g}, "
            f"central {central:.8g}, true slope {exact[precision]:.8g}. Relative errors "
            f"{size_text(errors[0])} and {size_text(errors[1])}; AD at worst {size_text(floors[precision])}."
        )

    return draw


# -------------------------------------------------------------------------------- the tape


def growth(growing, plain):
    """Operations and megabytes that hang on the iterate after each step."""
    figure, axes = plt.subplots(1, 2, figsize=(7.2, 2.8))
    for k, (ax, name) in enumerate(zip(axes, ("operations remembered", "megabytes kept"), strict=True)):
        step = range(1, len(growing) + 1)
        ax.plot(step, growing[:, k], "o-", ms=4, color=COLORS["vermillion"], label="with requires_grad")
        ax.plot(step, plain[:, k], "s-", ms=4, color=COLORS["blue"], label="plain, or detached")
        ax.set(xlabel="step", ylabel=name, xticks=range(0, len(growing) + 1, 2))
    axes[0].legend(loc="upper left")
    return figure


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
