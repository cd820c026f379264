"""What chapter 12 draws: the paper's figures on the drawn hands, beside its numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np

from regbook.experiments.ch12 import COUNTS, FIGURE_1, LENGTHS, PERCENTS, figure_1, grid_of, superresolution
from regbook.plots import COLORS, LINES, bare, error, image, powers
from regbook.text import number_text

SETS = {
    "Fig 5: all iterations or none": ("all", "none", "exact", "Kaufman"),
    "Fig 8: the last iterations": tuple(f"last {percent} %" for percent in PERCENTS),
    "Fig 10: few iterations": tuple(f"{count} iterations" for count in COUNTS),
}
SIX = (*LINES, ("sky", "P-"))


def blurred() -> plt.Figure:
    """Fig 1: the reference at six scales."""
    found = figure_1("drawn", 64)
    figure, axes = plt.subplots(2, 3, figsize=(6.4, 5.4))
    for ax, theta in zip(axes.flat, FIGURE_1, strict=True):
        bare(ax)
        ax.imshow(found[theta].T, origin="lower", cmap="gray", vmin=0, vmax=255)
        ax.set_title(f"θ = {number_text(theta)}")
    return figure


def runs(results: Mapping):
    """The draw of the figure of Figs 5, 8 and 10: loss and gradient over the steps, for one set of runs."""

    def draw(figure, which):
        left, right = figure.subplots(1, 2)
        names, ends = SETS[which], []
        for (color, style), name in zip(SIX, names, strict=False):
            run, shown = results["runs"][name][0], "1 iteration" if name == "1 iterations" else name
            for ax, values in ((left, run["losses"]), (right, run["gradients"])):
                ax.semilogy(values, style, color=COLORS[color], ms=4, label=shown)
            ends.append(f"{shown} {run['error']:.1f} %")
        for ax, title in ((left, "loss, of its start"), (right, "gradient, of its start")):
            ax.set(title=title, xlabel="step", ylim=(1e-3, 30), xticks=range(0, 10, 3))
        figure.legend(*left.get_legend_handles_labels(), loc="outside lower center", ncols=3)
        return f"Error of the image at the end: {', '.join(ends)}."

    return draw


def pictures(results: Mapping, names: Sequence[str]) -> plt.Figure:
    """Figs 6, 9 and 11: reconstructions and their errors."""
    made, grid = superresolution("drawn")[0], grid_of("drawn")
    figure, axes = plt.subplots(2, len(names), figsize=(1.7 * len(names), 4.2))
    for above, below, name in zip(*axes, names, strict=True):
        found = np.array(results["runs"][name][0]["image"]).reshape(grid.shape)
        image(above, found, grid, name)
        truth = made.image.reshape(grid.shape).numpy()
        error(below, found - truth, grid, 120, f"{results['runs'][name][0]['error']:.1f} %")
    return figure


def taylor(results: Mapping) -> plt.Figure:
    """Fig 7: the remainder of the Taylor expansion for every share that is differentiated."""
    figure, ax = plt.subplots(figsize=(6.4, 3.8))
    for (color, style), percent in zip(SIX, PERCENTS, strict=True):
        errors = results["figure_7"][str(percent)]["errors"]
        ax.loglog(LENGTHS, errors, style, color=COLORS[color], ms=4, label=f"last {percent} %")
    ax.set(xlabel="h", ylabel="‖f(w + hv) − f(w) − hJv‖")
    powers(ax.xaxis, range(-15, 6, 5))
    figure.legend(loc="outside right center")
    return figure


def predictions(results: Mapping):
    """The draw of Fig 3 in numbers: how often a prediction helps, by matrix and by yardstick."""

    def draw(figure, judged):
        key = {"at the new scale": "new", "against the old scale": "old"}[judged]
        rows = results["figure_3"]["32"]
        left, right = figure.subplots(1, 2, sharey=True)
        count = rows["exact"]["scales"]
        for ax, what in ((left, "loss better"), (right, "gradient better")):
            values = [row[key][what] for row in rows.values()]
            ax.hlines(range(len(rows)), 0, values, color="0.8", lw=2)
            ax.plot(values, range(len(rows)), "o", color=COLORS["vermillion"], ms=9)
            ax.set(xlim=(-2, count + 2), title=f"{what}, scales of {count}", yticks=range(len(rows)))
            ax.set_yticklabels(rows)
        words = [f"{name} {row[key]['gradient better']}" for name, row in rows.items()]
        return f"Judged {judged}, the gradient is smaller at so many of {count} scales: {', '.join(words)}."

    return draw


def table_1(paper: Mapping, here: Mapping) -> str:
    """Table 1 as HTML: factors of the paper beside ours, for 6 and 50 parameters."""
    names = ("loss", "gradient", "Hessian", "product", "forward", "Jacobian")
    titles = {"product": "product with H", "forward": "forward function"}
    head = "<tr><th></th><th colspan='2'>6 parameters&emsp;</th><th colspan='2'>50 parameters</th></tr>"
    head += "<tr><th></th>" + 2 * "<th>paper</th><th>here</th>" + "</tr>"
    body = ""
    for name in names:
        cells = ""
        for p in (6, 50):
            theirs = paper[p].get(name)
            cells += f"<td>{'–' if theirs is None else f'{theirs:g}'}</td><td>{here[p][name]:.1f}</td>"
        body += f"<tr><th scope='row'>{titles.get(name, name)}</th>{cells}</tr>"
    return f"<table><thead>{head}</thead><tbody>{body}</tbody></table>"
