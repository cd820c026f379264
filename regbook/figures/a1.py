"""Figures of appendix A1: what happens inside torch."""

import matplotlib.pyplot as plt
import numpy as np

from regbook.plots import COLORS


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
