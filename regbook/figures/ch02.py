"""Figures of chapter 2: how an image becomes a smooth function."""

import matplotlib.pyplot as plt
import numpy as np
import torch

from regbook.plots import COLORS, show_image
from regkit import Grid, SmoothingBasis, evaluate

FREQUENCIES = np.linspace(1e-3, np.pi, 400)


def mu_of(omega):
    """μ of a wave with ω radians per cell, far from the border: ω⁴ + O(ω⁶)."""
    return (96 - 108 * np.cos(omega) + 12 * np.cos(3 * omega)) / (4 + 2 * np.cos(omega)) ** 2


def half_width(theta):
    """Wavelength in cells at which the gain 1/(1 + θμ) is one half; 2 cells is the shortest there is."""
    kept = FREQUENCIES[theta * mu_of(FREQUENCIES) <= 1]
    return 2 * np.pi / kept.max() if len(kept) else np.inf


def scales(image, grid):
    """The hook: image, one line through it, spectrum and filter at any θ."""
    basis = SmoothingBasis(image)
    row = int(0.62 * grid.shape[1])

    def draw(figure, theta):
        smooth = evaluate(basis.coefficients(theta), grid, grid.points()).reshape(grid.shape)
        axes = figure.subplot_mosaic([["image", "line"], ["spectrum", "filter"]])
        show_image(axes["image"], smooth, grid, vmin=0, vmax=255, title="image")
        axes["image"].axhline((row + 0.5) * grid.spacing[1], color=COLORS["orange"], lw=1)
        axes["image"].set_xlabel("x in mm")
        axes["line"].plot(grid.axis(0), image[:, row], color="0.65", lw=1, label="data")
        axes["line"].plot(grid.axis(0), smooth[:, row], color=COLORS["orange"], label="smoothed")
        axes["line"].set(
            title="along the orange line", xlabel="x in mm", ylim=(-10, 330), yticks=(0, 100, 200)
        )
        axes["line"].legend(loc="upper center", ncols=2)
        power = (
            torch.fft.fftshift(torch.fft.fft2(smooth).abs()).reshape(64, 4, 64, 4).mean((1, 3)).clamp(min=1)
        )
        axes["spectrum"].imshow(power.log10().T, origin="lower", extent=(-1, 1, -1, 1), vmin=0, vmax=6)
        axes["spectrum"].set(title="spectrum (log)", xlabel="ω / π", xticks=(-1, 0, 1), yticks=(-1, 0, 1))
        axes["spectrum"].grid(False)
        axes["filter"].plot(FREQUENCIES / np.pi, 1 / (1 + theta * mu_of(FREQUENCIES)), color=COLORS["blue"])
        axes["filter"].set(title="gain 1/(1 + θμ)", xlabel="ω / π", ylim=(0, 1.05))
        width = half_width(theta)
        kept = (
            "Every detail keeps more than half of its contrast."
            if width < 2.01
            else f"Waves shorter than {width:.0f} cells keep less than half of their contrast."
        )
        return f"{kept} Contrast left in the image: {100 * float(smooth.std() / image.std()):.0f} %."

    return draw


def stripes(wide, narrow):
    """Two gratings, and what θ leaves of their contrast."""
    grid = Grid((96.0, 32.0), (96, 32))
    cells = torch.arange(96.0, dtype=torch.float64)[:, None].expand(96, 32)
    bases = {
        width: SmoothingBasis(0.5 + 0.5 * torch.cos(2 * torch.pi * cells / width)) for width in (wide, narrow)
    }

    def draw(figure, theta):
        kept = {}
        for ax, (width, basis) in zip(figure.subplots(2, 1), bases.items(), strict=True):
            smooth = evaluate(basis.coefficients(theta), grid, grid.points()).reshape(96, 32)
            middle = smooth[32:64, 16]
            kept[width] = 100 * float(middle.max() - middle.min())
            show_image(
                ax, smooth, grid, 0, 1, title=f"stripes of {width} cells: {kept[width]:.0f} % of the contrast"
            )
            ax.axis("off")
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
    right.set(xlabel="wavelength in cells", ylabel="contrast kept", xlim=(2, 200))
    left.legend()
    right.legend(loc="lower right")
    return figure


def taylor(results):
    """Remainders over steps, one panel a test."""
    figure, axes = plt.subplots(1, len(results), figsize=(6.4, 3.3), sharey=True)
    for ax, (name, result) in zip(axes, results.items(), strict=True):
        for q, color in enumerate(("vermillion", "blue", "green")):
            label = f"after term {q}: slope {result.slopes[q]:.2f}"
            ax.loglog(result.steps, result.errors[q], "o-", ms=3, color=COLORS[color], label=label)
        ax.set(
            title=f"Taylor test in {name}",
            xlabel="step h",
            ylim=(float(result.errors[0].max()) * 1e-16, None),
        )
        ax.legend()
    axes[0].set_ylabel("remainder")
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


def profile(image, grid, theta):
    """Value, slope and curvature along a horizontal line, for two kinds of interpolation."""
    c = SmoothingBasis(image).coefficients(theta)
    x = torch.linspace(0, grid.extent[0], 1025, dtype=torch.float64)
    centers = grid.axis(0)

    def along(y, kind):
        if kind == "cubic spline":
            value, gradient, hessian = evaluate(
                c, grid, torch.stack([x, torch.full_like(x, y)], dim=1), order=2
            )
            return value, gradient[:, 0], hessian[:, 0, 0]
        samples = evaluate(c, grid, torch.stack([centers, torch.full_like(centers, y)], dim=1))
        cell = (x / grid.spacing[0] - 0.5).floor().long().clamp(0, len(centers) - 2)
        slope = (samples.diff() / grid.spacing[0])[cell]
        return torch.from_numpy(np.interp(x, centers, samples)), slope, torch.zeros_like(x)

    def draw(figure, y, interpolation):
        values = along(y, interpolation)
        top, *axes = figure.subplots(4, 1, height_ratios=[2, 1, 1, 1])
        show_image(top, image, grid, vmin=0, vmax=255)
        low, high = grid.extent[0] * 0.35, grid.extent[0] * 0.6
        top.plot([low, high], [y, y], color=COLORS["orange"], lw=2.5)
        top.axis("off")
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
    axes[0].legend()
    return figure
