"""Figures of chapter 6: when Gauss-Newton is good enough."""

from dataclasses import dataclass

import matplotlib.pyplot as plt
import numpy as np
import torch

from regbook.plots import COLORS
from regkit.optimize import newton_trust


@dataclass(frozen=True)
class Scale:
    """One minimiser on the path, and what Euler's method predicts from it for the next scale.

    w: minimiser at ``theta``; exact, gauss_newton: the two Hessians there; rate: ∂θ∇J there.
    """

    theta: float
    following: float
    w: torch.Tensor
    after: torch.Tensor
    exact: torch.Tensor
    gauss_newton: torch.Tensor
    rate: torch.Tensor

    def prediction(self, matrix):
        """Euler's step w + (θ₊ − θ) · (−matrix⁻¹ ∂θ∇J)."""
        return self.w - (self.following - self.theta) * torch.linalg.solve(matrix, self.rate)


def path(problem, thetas, w):
    """Minimisers over decreasing θ, each with what a prediction needs."""
    minimisers = []
    for theta in thetas:
        w = newton_trust(problem.at(theta), w).x
        minimisers.append(w)
    scales = []
    for k in range(len(thetas) - 1):
        w, objective = minimisers[k], problem.at(thetas[k])
        hessians = objective.hessian(w), objective.hessian(w, "gauss-newton")
        rate = problem.gradient_theta(w, thetas[k])
        scales.append(Scale(thetas[k], thetas[k + 1], w, minimisers[k + 1], *hessians, rate))
    return scales


def compare(problem, scales, matrix_of, judged="at the new θ"):
    """The paper's two measures at every scale: relative loss and gradient-norm difference, positive = better.

    The prediction is always judged at the new θ. What it is compared with, staying at w, is judged there too
    in a fair comparison; "at the old θ" judges it where it came from.
    """
    rows = []
    for scale in scales:
        new = problem.at(scale.following)
        stay = new if judged == "at the new θ" else problem.at(scale.theta)
        predicted = scale.prediction(matrix_of(scale))
        before = float(stay.loss(scale.w)), float(stay.gradient(scale.w).norm())
        after = float(new.loss(predicted)), float(new.gradient(predicted).norm())
        rows.append([(b - a) / b for b, a in zip(before, after, strict=True)])
    return np.array(rows)


MATRICES = {
    "exact Hessian": lambda scale: scale.exact,
    "Gauss-Newton, matching": lambda scale: scale.gauss_newton,
    "Gauss-Newton, half of it": lambda scale: scale.gauss_newton / 2,
}


def switches(problem, scales):
    """Figure 3 of the paper with two switches, which change what is said of Gauss-Newton."""
    at = np.array([scale.following for scale in scales])

    def signed(values):
        return np.sign(values) * np.log10(1 + np.abs(values) / 1e-3)

    def draw(figure, judged, step):
        name = "Gauss-Newton, matching" if step == "right" else "Gauss-Newton, half of it"
        both = {
            "exact": compare(problem, scales, MATRICES["exact Hessian"]),
            "Gauss-Newton": compare(problem, scales, MATRICES[name], judged),
        }
        axes = figure.subplots(2, 1, sharex=True)
        marks = [-1e3, -1, 0, 1]
        for k, (ax, what) in enumerate(zip(axes, ("loss", "gradient norm"), strict=True)):
            ax.axhline(0, color="0.4", lw=1)
            for (label, values), color, mark in zip(both.items(), ("blue", "orange"), "os", strict=True):
                shown = signed(np.maximum(values[:, k], -5e4))
                ax.plot(np.log10(at), shown, mark, ms=4.5, color=COLORS[color], label=label)
            ax.set(ylabel=f"relative gain,\n{what}", xlim=(3.1, -3.1), ylim=signed(np.array([-1e5, 9])))
            ax.set_yticks(signed(np.array(marks)), [f"{m:g}" for m in marks])
        axes[0].legend(loc="lower right", ncols=2)
        axes[1].set_xlabel("log₁₀ θ, from coarse to fine")
        better = {label: (values > 0).sum(0) for label, values in both.items()}
        n = len(scales)
        return (
            f"Better than staying, at so many of {n} scales: "
            f"exact {better['exact'][0]} in loss and {better['exact'][1]} in gradient; "
            f"Gauss-Newton {better['Gauss-Newton'][0]} in loss and {better['Gauss-Newton'][1]} in gradient."
        )

    return draw


def table(problem, scales):
    """Counts and medians for every matrix, judged fairly."""
    rows = {}
    for name, matrix_of in MATRICES.items():
        gains = compare(problem, scales, matrix_of)
        misses = [
            float((scale.prediction(matrix_of(scale)) - scale.after).norm() / (scale.w - scale.after).norm())
            for scale in scales
        ]
        rows[name] = {
            "loss": int((gains[:, 0] > 0).sum()),
            "gradient": int((gains[:, 1] > 0).sum()),
            "median": float(np.median(gains[:, 1])),
            "miss": float(np.median(misses)),
        }
    return rows


def missing_part(paths):
    """‖H − JᵀJ‖/‖H‖ over θ, for several problems."""
    figure, ax = plt.subplots(figsize=(6.4, 3.2))
    for (name, scales), color in zip(paths.items(), ("blue", "orange", "vermillion"), strict=True):
        ratio = [
            torch.linalg.norm(s.exact - s.gauss_newton, 2) / torch.linalg.norm(s.exact, 2) for s in scales
        ]
        ax.loglog([s.theta for s in scales], ratio, "o-", ms=3, color=COLORS[color], label=name)
    ax.set(xlabel="θ", ylabel="‖Σ rᵢ∇²rᵢ‖ / ‖H‖")
    ax.invert_xaxis()
    ax.legend()
    return figure


def spectrum(paths):
    """Eigenvalues of (JᵀJ)⁻¹H at every scale: 1 where Gauss-Newton is right."""
    thetas = [scale.theta for scale in next(iter(paths.values()))]

    def draw(figure, theta, noise):
        ax = figure.subplots()
        every = np.array([_generalised(scale) for scale in paths[noise]])
        for values in every.T:
            ax.semilogx(thetas, values, color="0.75", lw=1)
        k = int(np.argmin(np.abs(np.log(np.array(thetas) / theta))))
        ax.semilogx(
            [thetas[k]] * every.shape[1], every[k], "o", color=COLORS["blue"], label=f"at θ = {thetas[k]:.3g}"
        )
        ax.axhline(1, color=COLORS["orange"], ls="--", label="1: Gauss-Newton is right")
        ax.set(xlabel="θ", ylabel="eigenvalues of (JᵀJ)⁻¹H", ylim=(0, 4))
        ax.invert_xaxis()
        ax.legend(loc="upper left")
        left = np.abs(1 - every[k]).max()
        return (
            f"Eigenvalues from {every[k].min():.2f} to {every[k].max():.2f}: "
            f"Euler with Gauss-Newton leaves up to {100 * left:.0f} % of the gradient."
        )

    return draw


def _generalised(scale):
    factor = torch.linalg.cholesky(scale.gauss_newton)
    half = torch.linalg.solve_triangular(factor, scale.exact, upper=False)
    return torch.linalg.eigvalsh(torch.linalg.solve_triangular(factor, half.T, upper=False)).numpy()


def climbing(objective, w, steps):
    """The loss along Newton's step, plain and made positive definite, from w."""
    figure, ax = plt.subplots(figsize=(6.4, 3.0))
    t = torch.linspace(0, 1, 41)
    for (name, step), color in zip(steps.items(), ("vermillion", "blue"), strict=True):
        losses = torch.stack([objective.loss(w + s * step) for s in t])
        ax.plot(t, losses / losses[0], color=COLORS[color], label=name)
    ax.set(xlabel="part of the step", ylabel="loss / loss at the start")
    ax.legend()
    return figure
