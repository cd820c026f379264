"""Figures of appendix A3: tapes, and a large image."""

import matplotlib.pyplot as plt
import torch

from regbook import plots
from regbook.plots import COLORS

SPAN = 64  # of the errors that are drawn, in grey values


def tape(counts, saved):
    """Nodes behind the iterate over the steps; bytes that reverse mode keeps over the iterations of CG."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(6.8, 3.1))
    (grown,) = [(name, values) for name, values in counts.items() if any(values)]
    left.plot(grown[1], "o-", ms=4, color=COLORS["vermillion"])
    left.plot([0] * len(grown[1]), "s-", ms=4, color=COLORS["blue"])
    left.text(0.2, 0.9 * max(grown[1]), f"w {grown[0]}", color=COLORS["vermillion"], va="top")
    at_zero = {"color": COLORS["blue"], "ha": "right", "fontsize": 9}
    left.text(10, 0.06 * max(grown[1]), "w detached, or plain", **at_zero)
    left.set(xlabel="step of the optimiser", ylabel="nodes behind w")
    for (name, values), color, mark in zip(saved.items(), ("vermillion", "blue"), "os", strict=True):
        x, sizes = list(values), [size / 1e6 for size in values.values()]
        right.plot(x, sizes, mark + "-", ms=4, color=COLORS[color])
        above = 0.04 * max(size / 1e6 for some in saved.values() for size in some.values())
        right.text(x[-2], sizes[-2] + above, name, color=COLORS[color], ha="right", va="bottom")
    right.set(xlabel="CG iterations in one step", ylabel="kept for reverse mode in MB")
    return figure


def large(record, images, grid):
    """Template, up-sampled, start and end, with the errors of the last three."""
    figure, axes = plt.subplots(2, 4, figsize=(6.8, 3.9), dpi=120)
    names = {"template": "template 0", "upsampled": "up-sampled", "start": "start", "end": "after 10 steps"}
    truth = images["image"].astype(float)
    for ax, below, (key, title) in zip(axes[0], axes[1], names.items(), strict=True):
        values = torch.from_numpy(images[key].astype(float))
        at = grid if values.shape == tuple(grid.shape) else type(grid)(grid.extent, tuple(values.shape))
        plots.image(ax, values, at, title)
        if key == "template":
            plots.image(below, torch.from_numpy(truth), grid, "true image")
        else:
            part = record["error"]["up-sampled" if key == "upsampled" else key]
            plots.error(below, values - torch.from_numpy(truth), grid, SPAN, f"{100 * part:.1f} %")
    return figure
