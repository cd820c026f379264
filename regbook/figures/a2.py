"""Figures of appendix A2: how much coarse images know, and how λ is chosen."""

import matplotlib.pyplot as plt

from regbook.plots import COLORS, family, spectrum
from regbook.text import counted


def cliff(shifted, weak, lam=0.1):
    """The singular values of some images over the shift between them.

    shifted: shift in coarse pixels ↦ (Synthetic with noise, its Dense). weak: part of the largest value.
    """
    every = sorted({k / 8 for k in range(17)} | {k / 16 for k in (1, 15, 17, 31)})

    def strong(full):
        return int((full.sigma > weak * full.sigma[0]).sum())

    curve = [strong(shifted(s)[1]) for s in every]

    def draw(figure, shift):
        made, full = shifted(shift)
        left, right = figure.subplots(1, 2)
        spectrum(left, full.sigma, weak)
        here = strong(full)
        family(right, {"all": (every, curve)}, others="0.6")
        right.plot(shift, here, "o", ms=8, color=COLORS["vermillion"])
        right.set(xlabel="shift in coarse pixels", ylabel="singular values that are not weak", ylim=(0, 420))
        right.set_title("dot: at this shift", fontsize=10)
        off = 100 * made.error(full.solve(lam))
        return (
            f"Shift {counted(shift, 'coarse pixel')}: rank {full.rank} of {full.grid.count}, {here} singular "
            f"values not weak. With noise, the fine image has an error of {off:.1f} %."
        )

    return draw


def parts(trade):
    """The error over λ, in two parts: what the slopes cost, and what the noise costs."""
    bias, spread = trade.parts()
    figure, ax = plt.subplots(figsize=(6.4, 3.8))
    ax.loglog(trade.lams, bias, color=COLORS["blue"], label="unseen or too smooth: error without noise")
    ax.loglog(trade.lams, spread, color=COLORS["vermillion"], label="noise, on average")
    ax.loglog(trade.lams, trade.errors, "--", color=COLORS["black"], label="error of this image")
    for name, mark in (("best", "*"), ("discrepancy", "s"), ("corner", "D")):
        lam = getattr(trade, name)
        ax.plot(lam, trade.error_at(lam), mark, ms=10, color=COLORS["green"], label=name)
    ax.set(xlabel="λ", ylabel="relative error", ylim=(3e-2, 20))
    figure.legend(fontsize=9, ncols=2, loc="outside lower center")
    return figure
