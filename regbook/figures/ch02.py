"""Figures of chapter 2: how an image becomes a smooth function."""

import matplotlib.pyplot as plt
import numpy as np
import torch

from regbook.experiments.ch02 import FREQUENCIES, along, contrast, grating, half_width, mu_of, spectrum
from regbook.plots import COLORS, image, show_image
from regkit import SmoothingBasis, evaluate


def scales(picture, grid):
    """The hook: image, one line through it, spectrum and filter at any θ."""
    basis = SmoothingBasis(picture)
    row = int(0.62 * grid.shape[1])

    def values_and_steepness(theta):
        values, slopes = evaluate(basis.coefficients(theta), grid, grid.points(), order=1)
        return values.reshape(grid.shape), float(slopes.square().mean().sqrt())

    steepest = values_and_steepness(0.0)[1]

    def draw(figure, theta):
        smooth, steepness = values_and_steepness(theta)
        axes = figure.subplot_mosaic([["image", "line"], ["spectrum", "filter"]])
        show_image(axes["image"], smooth, grid, vmin=0, vmax=255, title="image")
        axes["image"].axhline((row + 0.5) * grid.spacing[1], color=COLORS["orange"], lw=1)
        axes["image"].set_xlabel("x in mm")
        axes["line"].plot(grid.axis(0), picture[:, row], color="0.65", lw=1, label="data")
        axes["line"].plot(grid.axis(0), smooth[:, row], color=COLORS["orange"], label="smoothed")
        axes["line"].set(
            title="along the orange line", xlabel="x in mm", ylim=(-10, 330), yticks=(0, 100, 200)
        )
        axes["line"].legend(loc="upper center", ncols=2)
        waves = spectrum(smooth).clamp(min=1)
        axes["spectrum"].imshow(waves.log10().T, origin="lower", extent=(-1, 1, -1, 1), vmin=0, vmax=6)
        axes["spectrum"].set(title="spectrum (log)", xlabel="ω / π", xticks=(-1, 0, 1), yticks=(-1, 0, 1))
        axes["spectrum"].grid(False)
        axes["filter"].plot(FREQUENCIES / np.pi, 1 / (1 + theta * mu_of(FREQUENCIES)), color=COLORS["blue"])
        axes["filter"].set(title="gain 1/(1 + θμ)", xlabel="ω / π", ylim=(0, 1.05))
        width = half_width(theta)
        kept = (
            "Waves of every length keep more than half of their contrast."
            if width < 2.01
            else f"Waves shorter than {width:.0f} cells keep less than half of their contrast."
        )
        return (
            f"{kept} Of the image's contrast {100 * float(smooth.std() / picture.std()):.0f} % is left, "
            f"of its steepness {100 * steepness / steepest:.0f} %."
        )

    return draw


def stripes(wide, narrow):
    """Two gratings, and what θ leaves of their contrast."""
    made = {width: grating(width) for width in (wide, narrow)}
    bases = {width: (SmoothingBasis(stripes), grid) for width, (stripes, grid) in made.items()}

    def draw(figure, theta):
        kept = {}
        for ax, (width, (basis, grid)) in zip(figure.subplots(2, 1), bases.items(), strict=True):
            smooth = evaluate(basis.coefficients(theta), grid, grid.points()).reshape(grid.shape)
            kept[width] = 100 * contrast(smooth)
            title = f"a stripe every {width} cells: {kept[width]:.0f} % of the contrast"
            image(ax, smooth, grid, title, high=1)
        return f"Contrast kept: wide stripes {kept[wide]:.0f} %, narrow stripes {kept[narrow]:.0f} %."

    return draw


def filter_curves():
    """μ over the frequency, and the gain over the wavelength for a few θ."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(6.4, 3.2))
    left.loglog(FREQUENCIES, mu_of(FREQUENCIES), color=COLORS["blue"], label="μ(ω)")
    left.loglog(FREQUENCIES, FREQUENCIES**4, "--", color="0.4", label="ω⁴")
    left.set(xlabel="frequency ω, radians per cell", ylabel="μ", xlim=(1e-2, np.pi), ylim=(1e-8, 1e3))
    for theta, color in ((1e-1, "sky"), (10, "orange"), (1e3, "vermillion")):
        gain = 1 / (1 + theta * mu_of(FREQUENCIES))
        right.semilogx(2 * np.pi / FREQUENCIES, gain, color=COLORS[color], label=f"θ = {theta:g}")
    right.set(xlabel="wavelength in cells", ylabel="contrast kept", xlim=(2, 3000))
    left.legend(loc="upper left")
    right.legend(loc="lower right")
    return figure


def bumps(signal, grid):
    """A 1-D spline, its data, and the bumps that it is the sum of."""
    basis, h = SmoothingBasis(signal), grid.spacing[0]
    fine = torch.linspace(-2 * h, grid.extent[0] + 2 * h, 400, dtype=torch.float64)
    each = torch.eye(len(signal), dtype=torch.float64)
    shapes = torch.stack([evaluate(one, grid, fine[:, None]) for one in each])

    def draw(figure, theta):
        ax = figure.subplots()
        c = basis.coefficients(theta)
        ax.plot(fine, (c[:, None] * shapes).T, color=COLORS["sky"], lw=1, antialiased=True)
        ax.plot(fine, c @ shapes, color=COLORS["blue"], lw=2.5, label="T(x), the sum")
        ax.plot(grid.axis(0), signal, "o", ms=5, color=COLORS["vermillion"], label="data")
        ax.plot([], [], color=COLORS["sky"], label="cⱼ b(u − j), the bumps")
        ax.set(xlabel="x in cells", ylim=(-0.6, 3.3))
        ax.legend(loc="upper left")
        miss = (evaluate(c, grid, grid.points()) - signal).square().mean().sqrt()
        ends = evaluate(c, grid, grid.points()[[0, -1]])
        return (
            f"Root-mean-square distance from the data: {miss:.3f}. "
            f"Height at the first and the last datum: {ends[0]:.2f} and {ends[1]:.2f}."
        )

    return draw


def profile(picture, grid, theta):
    """Value, slope and curvature along a horizontal line, for two kinds of interpolation."""
    c = SmoothingBasis(picture).coefficients(theta)
    x = torch.linspace(0, grid.extent[0], 1025, dtype=torch.float64)

    def draw(figure, y, interpolation):
        values = along(c, grid, x, y, interpolation)
        top, *axes = figure.subplots(4, 1, height_ratios=[2, 1, 1, 1])
        image(top, picture, grid)
        low, high = grid.extent[0] * 0.35, grid.extent[0] * 0.6
        top.plot([low, high], [y, y], color=COLORS["orange"], lw=2.5)
        for ax, part, name, limits in zip(
            axes, values, ("T", "∂T/∂x", "∂²T/∂x²"), ((-20, 260), (-45, 45), (-45, 45)), strict=True
        ):
            ax.plot(x, part, color=COLORS["blue"])
            ax.set(ylabel=name, xlim=(low, high), ylim=limits)
        axes[-1].set_xlabel("x in mm, along the orange piece")
        inside = (x > low) & (x < high)
        jump, bend = (
            float(f(part[inside]))
            for f, part in ((lambda s: s.diff().abs().max(), values[1]), (lambda k: k.abs().max(), values[2]))
        )
        return (
            f"y = {y:.0f} mm, {interpolation}. Between two neighbouring points, a quarter of a cell apart, "
            f"the slope changes by up to {jump:.1f} per mm. Largest curvature: {bend:.1f} per mm²."
        )

    return draw


def cut_edge(x, correct, cut):
    """A spline and the same with its support cut one cell early, near the right end."""
    figure, axes = plt.subplots(1, 2, figsize=(6.4, 3.0))
    for values, name, color, width in (
        (correct, "correct", "blue", 3),
        (cut, "cut at u = m", "vermillion", 1.2),
    ):
        axes[0].plot(x, values, color=COLORS[color], lw=width, label=name)
        axes[1].plot(x[1:], values.diff() / x.diff(), color=COLORS[color], lw=width)
    axes[0].set(title="value near the right end", xlabel="x in cells")
    axes[1].set(title="difference quotient", xlabel="x in cells", ylim=(-1.5, 1.5))
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside upper center", ncols=2)
    return figure
