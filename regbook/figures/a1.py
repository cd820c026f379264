"""Figures of appendix A1: what happens inside torch."""

import matplotlib.pyplot as plt

from regbook.plots import COLORS


def growth(growing, plain):
    """Operations and megabytes that hang on the iterate after each step."""
    figure, axes = plt.subplots(1, 2, figsize=(7.2, 2.8))
    for k, (ax, name) in enumerate(zip(axes, ("operations remembered", "megabytes kept"), strict=True)):
        step = range(1, len(growing) + 1)
        ax.plot(step, growing[:, k], "o-", ms=4, color=COLORS["vermillion"], label="with requires_grad")
        ax.plot(step, plain[:, k], "s-", ms=4, color=COLORS["blue"], label="plain, or detached")
        ax.set(xlabel="step", ylabel=name, xticks=range(0, len(growing) + 1, 2))
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside upper center", ncols=2)
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
