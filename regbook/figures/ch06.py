"""Figures of chapter 6: when Gauss-Newton is good enough."""

import matplotlib.pyplot as plt
import numpy as np
import torch

from regbook.experiments.ch06 import MATRICES, along, compare
from regbook.plots import COLORS, family, look, taylor
from regbook.text import number_text, signed

# where staying is judged: for the exact Hessian, and for Gauss-Newton
JUDGED = {
    "as in the paper": ("at the new θ", "at the old θ"),
    "at the old θ, both": ("at the old θ", "at the old θ"),
    "at the new θ, both": ("at the new θ", "at the new θ"),
}
# what stands for the Hessian of ‖r‖²
STANDS = {"JᵣᵀJᵣ": "Gauss-Newton, half of it", "2JᵣᵀJᵣ": "Gauss-Newton, matching"}


def switches(problem, scales):
    """Figure 3 of the paper with two switches; where all is judged fairly, the axes are linear."""
    at = np.array([scale.following for scale in scales])
    known = {}

    def gain(name, judged):
        if (name, judged) not in known:
            known[name, judged] = compare(problem, scales, MATRICES[name], judged)
        return known[name, judged]

    def squeezed(values):
        """Linear near zero, logarithmic far from it, on both sides."""
        return np.sign(values) * np.log10(1 + np.abs(values) / 1e-3)

    def draw(figure, staying, matrix):
        exact, approximate = JUDGED[staying]
        both = {
            "exact": gain("exact Hessian", exact),
            "Gauss-Newton": gain(STANDS[matrix], approximate),
        }
        zoomed = staying == "at the new θ, both"
        axes = figure.subplots(2, 1, sharex=True)
        lows, marks = (-0.15, -0.8), [-1e3, -1, 0, 1]
        for k, (ax, what, low) in enumerate(zip(axes, ("loss", "gradient norm"), lows, strict=True)):
            ax.axhline(0, color="0.4", lw=1)
            for label, values in both.items():
                shown = values[:, k] if zoomed else squeezed(np.maximum(values[:, k], -5e4))
                ax.plot(np.log10(at), shown, ls="none", ms=4.5, label=label, **look(label))
            ax.set(ylabel=f"relative gain,\n{what}", xlim=(3.1, -3.1))
            if zoomed:
                ax.set_ylim(low, 1.3 if k else 0.25)
            else:
                ax.set_ylim(squeezed(np.array([-1e5, 9])))
                ax.set_yticks(squeezed(np.array(marks)), [signed(f"{m:g}") for m in marks])
        axes[0].legend(loc="upper right" if zoomed else "lower right", ncols=2)
        axes[1].set_xlabel("log₁₀ θ, from coarse to fine")
        better = {label: (values > 0).sum(0) for label, values in both.items()}
        return (
            f"Better than staying, at so many of {len(scales)} scales: "
            f"exact {better['exact'][0]} in loss and {better['exact'][1]} in gradient; "
            f"Gauss-Newton {better['Gauss-Newton'][0]} in loss and {better['Gauss-Newton'][1]} in gradient."
            + (" The axes are zoomed." if zoomed else "")
        )

    return draw


def third_remainders(tests):
    """What the quadratic model leaves of the loss, for several matrices."""
    figure, ax = plt.subplots(figsize=(6.4, 3.4))
    taylor(ax, tests, [2])
    ax.set(ylabel="remainder after term 2")
    ax.legend(loc="upper left", fontsize=9)
    return figure


def missing_part(paths):
    """‖H − JᵣᵀJᵣ‖/‖H‖ over θ, for several problems."""
    figure, ax = plt.subplots(figsize=(6.4, 3.2))
    for (name, scales), color in zip(paths.items(), ("blue", "orange", "vermillion"), strict=True):
        missing = [scale.missing for scale in scales]
        ax.loglog([s.theta for s in scales], missing, "o-", ms=3, color=COLORS[color], label=name)
    ax.set(xlabel="θ", ylabel="‖Σ rᵢ∇²rᵢ‖ / ‖H‖")
    ax.invert_xaxis()
    ax.legend()
    return figure


def spectrum(paths):
    """Eigenvalues of (JᵣᵀJᵣ)⁻¹H at every scale: 1 where Gauss-Newton is right."""
    thetas = np.array([scale.theta for scale in next(iter(paths.values()))])

    def draw(figure, theta, noise):
        ax = figure.subplots()
        ax.set_xscale("log")
        every = np.array([scale.eigenvalues for scale in paths[noise]])
        family(ax, {k: (thetas, values) for k, values in enumerate(every.T)})
        k = int(np.argmin(np.abs(np.log(thetas / theta))))
        here = [thetas[k]] * every.shape[1]
        ax.plot(here, every[k], "o", color=COLORS["blue"], label=f"at θ = {number_text(thetas[k])}")
        ax.axhline(1, color=COLORS["orange"], ls="--", label="1: Gauss-Newton is right")
        ax.set(xlabel="θ", ylabel="eigenvalues of (JᵣᵀJᵣ)⁻¹H", ylim=(0, 1.9))
        ax.invert_xaxis()
        ax.legend(loc="upper left")
        scale = paths[noise][k]
        return (
            f"Eigenvalues from {every[k].min():.2f} to {every[k].max():.2f}: Euler with Gauss-Newton "
            f"leaves at most {100 * scale.largest_factor:.0f} % of any component, and "
            f"{100 * scale.left:.0f} % of the gradient's length."
        )

    return draw


def climbing(objective, w, steps):
    """The loss along Newton's step, plain and made positive definite, from w."""
    figure, ax = plt.subplots(figsize=(6.4, 3.0))
    parts = torch.linspace(0, 1, 41)
    for name, step in steps.items():
        ax.plot(parts, along(objective, w, step, parts), color=look(name)["color"], label=name)
    ax.set(xlabel="part of the step", ylabel="loss / loss at the start")
    ax.legend()
    return figure


def swings(iterates, minimiser):
    """The iterates of Gauss-Newton on a toy, which run away from the minimiser."""
    figure, ax = plt.subplots(figsize=(6.4, 2.8))
    ax.plot(range(len(iterates)), iterates, label="Gauss-Newton", **look("Gauss-Newton"))
    ax.axhline(minimiser, color=COLORS["orange"], ls="--", label="the minimiser")
    ax.set(xlabel="iteration", ylabel="w", ylim=(0, 1.15))
    ax.xaxis.get_major_locator().set_params(integer=True)
    ax.legend(loc="upper left", ncols=2)
    return figure
