"""Figures of chapter 9: how many iterations of conjugate gradients must be differentiated."""

import math
from dataclasses import dataclass, replace
from functools import lru_cache

import matplotlib.pyplot as plt
import numpy as np
import torch

from regbook import records
from regbook.explore import number_text
from regbook.plots import COLORS
from regkit.linear import cg, chebyshev, solve
from regkit.varpro import Point, Reduced

TAILS = ("restart", "continue", "chebyshev", "implicit")


@dataclass(frozen=True, eq=False)
class Sharp(Reduced):
    """``Reduced`` with the extreme eigenvalues of AᵀA at each w as the bounds of Chebyshev's iteration."""

    def point(self, w, order=1):
        values = torch.linalg.eigvalsh(self.problem.at(w).gram)
        return Point(replace(self, bounds=(float(values[0]), float(values[-1]))), w)


def variant(problem, f0, tail, total, last, rows="data"):
    """The reduced residual with ``total`` iterations for f, of which the last ones are differentiated.

    tail: one of TAILS. "implicit" spends ``last`` iterations on the tangent system instead.
    """
    options = {"rows": rows, "rtol": 0.0, "maxiter": total}
    if last == 0:
        return Reduced(problem, f0, kind="none", **options)
    if tail == "implicit":
        return Reduced(problem, f0, kind="implicit", tangent_maxiter=last, **options)
    kind = Sharp if tail == "chebyshev" else Reduced
    return kind(problem, f0, kind="last", last=last, tail=tail, **options)


NAMES = {"restart": "restart", "continue": "continue", "chebyshev": "Chebyshev", "implicit": "implicit"}
HUES = {"restart": "vermillion", "continue": "purple", "chebyshev": "orange", "implicit": "blue"}


# ---- the record: benchmarks/differentiating_cg.py


def recorded():
    """The record, a dictionary of arrays with the axes (tail, total, percent, …)."""
    return records.load("differentiating_cg.npz")


def widget(record, truth, exact, none):
    """The data of the page's figure. exact, none: image errors over the steps with those Jacobians."""
    arrays = ("jacobian_error", "taylor", "image_error", "image", "lengths")
    place = (TAILS.index("restart"), list(record["totals"]).index(200), list(record["percents"]).index(50))
    return {
        **{name: record[name] for name in arrays},
        **{name: record[name].tolist() for name in ("totals", "percents")},
        "names": [NAMES[tail] for tail in TAILS],
        "truth": truth.round().to(torch.uint8),
        "exact": np.array(exact),
        "none": np.array(none),
        "start": place,
    }


def final_errors(record, tail, total):
    """Final image errors in %, (percents, starts)."""
    k = list(record["totals"]).index(total)
    return 100 * record["image_error"][TAILS.index(tail), k, :, :, -1]


def figure_8(record, total=200):
    """Final image error over the part that is differentiated: every start is a mark."""
    figure, ax = plt.subplots(figsize=(6.4, 3.5))
    percents = record["percents"]
    for tail, mark in zip(("restart", "chebyshev", "implicit"), "os^", strict=True):
        errors, color = final_errors(record, tail, total), COLORS[HUES[tail]]
        ax.plot(percents, np.nanmedian(errors, axis=1), color=color, lw=1.2)
        for k, values in enumerate(errors.T):
            ax.plot(percents, values, mark, ms=4.5, color=color, label=None if k else NAMES[tail])
    ax.axhline(100 * float(record["true_error"]), color="0.4", ls=":", label="with the true motions")
    ax.set(xlabel=f"per cent of {total} iterations that are differentiated", ylabel="final image error in %")
    ax.set(ylim=(0, 45), xlim=(-3, 103))
    ax.legend(loc=(0.2, 0.4))
    return figure


# ---- a small system to play with: A(w) x = b with A(w) = A₀ + w B


@dataclass(frozen=True, eq=False)
class Toy:
    """60 equations with a symmetric A₀ of condition 200, and what is to be found at w = 0."""

    A: torch.Tensor
    B: torch.Tensor
    b: torch.Tensor
    values: torch.Tensor
    vectors: torch.Tensor
    x: torch.Tensor
    x_dot: torch.Tensor

    def product(self, w, x):
        return self.A @ x + w[0] * (self.B @ x)

    def error(self, x, of="x"):
        """Relative error of a solution, or of a tangent."""
        truth = getattr(self, of)
        return float((x - truth).norm() / truth.norm())

    def solution(self, tail, total, last, w):
        """x(w) as ``solve`` gives it, with ``last`` of ``total`` iterations differentiated."""
        options = {"maxiter": total, "rtol": 0.0}
        if tail == "implicit":
            options |= {"derivative": "implicit", "tangent_maxiter": last}
        else:
            options |= {"derivative": "last", "last": last, "tail": tail, "bounds": (1.0, 200.0)}
        return solve(self.product, self.b, w, **options)

    def tangent(self, tail, total, last):
        """Its derivative ẋ at w = 0, as AD sees it."""
        zero, one = self.b.new_zeros(1), self.b.new_ones(1)
        return torch.func.jvp(lambda w: self.solution(tail, total, last, w), (zero,), (one,))[1]


def toy(seed=0, n=60, condition=200.0):
    generator = torch.Generator().manual_seed(seed)

    def random(*shape):
        return torch.randn(shape, generator=generator, dtype=torch.float64)

    values = torch.logspace(0, math.log10(condition), n, dtype=torch.float64)
    vectors, B, b = torch.linalg.qr(random(n, n))[0], random(n, n) / math.sqrt(n), random(n)
    A, B = vectors @ (values[:, None] * vectors.T), B + B.T
    x = torch.linalg.solve(A, b)
    return Toy(A, B, b, values, vectors, x, torch.linalg.solve(A, -(B @ x)))


def polynomial(A, values, r, iterations):
    """p(λ) at all ``values``: conjugate gradients for the right-hand side r leave the residual p(A) r."""
    p, rho = r, r @ r
    left, direction = torch.ones_like(values), torch.ones_like(values)
    for _ in range(iterations):
        q = A @ p
        alpha = rho / (p @ q)
        r, left = r - alpha * q, left - alpha * values * direction
        rho, old = r @ r, rho
        p, direction = r + rho / old * p, left + rho / old * direction
    return left


def semi_iteration(values, iterations, low=1.0, high=200.0):
    """Chebyshev's polynomial at ``values``, by the recurrence of ``chebyshev`` with the numbers λ as A."""
    b = torch.zeros_like(values)
    return chebyshev(lambda x: values * x, b, torch.ones_like(values), iterations, (low, high))


def two_right_hand_sides(toy, total=30):
    """Left: error of the tangent over k, for all tails. Right: the polynomial that met the tangent."""
    counts = range(0, total + 1)
    curves = {t: [toy.error(toy.tangent(t, total, k), "x_dot") for k in counts] for t in TAILS}
    shown = {"restart": "restart", "Chebyshev": "chebyshev", "implicit": "implicit"}

    def draw(figure, k, tail):
        k, name = round(k), shown[tail]
        left, right = figure.subplots(1, 2, width_ratios=(1.15, 1))
        for t in TAILS:
            bold = t == name
            left.semilogy(counts, curves[t], color=COLORS[HUES[t]], lw=2.4 if bold else 1.0, label=NAMES[t])
        left.semilogy([k], [curves[name][k]], "o", ms=8, color=COLORS[HUES[name]])
        left.set(xlabel=f"k, the last of {total} iterations", ylabel="relative error of the tangent")
        left.set(ylim=(1e-4, 1e9), xlim=(-1, total + 1))
        left.legend(loc="upper left", fontsize=9)
        left.set_title("the tangent")

        if name == "chebyshev":
            p = semi_iteration(toy.values, k)
        else:
            first = cg(toy.A.matmul, toy.b, rtol=0.0, maxiter=total - k).x
            last = cg(toy.A.matmul, toy.b, rtol=0.0, maxiter=total).x
            own = -(toy.B @ last) if name == "implicit" else toy.b - toy.A @ first
            p = polynomial(toy.A, toy.values, own, k)
        size = p.abs()
        right.loglog(toy.values, size.clamp(min=1e-7), "o-", ms=3, lw=1, color=COLORS[HUES[name]])
        right.axhline(1, color="0.4", lw=1)
        right.set(xlabel="eigenvalue of A", ylabel="|p(λ)|", ylim=(1e-6, 1e9))
        right.set_title("its polynomial")
        verdict = "larger" if curves[name][k] > 1 else "smaller"
        most_of_it, error = number_text(float(size.max())), number_text(curves[name][k])
        return (
            f"{tail}, last {k} of {total}: the polynomial multiplies by up to {most_of_it}; the relative "
            f"error of the tangent is {error}, {verdict} than with nothing differentiated, which is 1."
        )

    return draw


def lag(toy, most=80):
    """Errors of x and of its tangent over the iterations, all differentiated, and the implicit tangent."""
    counts = range(2, most + 1, 2)

    def rows(f):
        return [f(n) for n in counts]

    value = rows(lambda n: toy.error(cg(toy.A.matmul, toy.b, rtol=0.0, maxiter=n).x))
    unrolled = rows(lambda n: toy.error(toy.tangent("restart", n, n), "x_dot"))
    implicit = rows(lambda n: toy.error(toy.tangent("implicit", n, n), "x_dot"))
    figure, ax = plt.subplots(figsize=(6.4, 3.2))
    ax.semilogy(counts, value, color=COLORS["black"], label="x itself")
    ax.semilogy(counts, unrolled, color=COLORS["green"], label="tangent, all differentiated")
    ax.semilogy(counts, implicit, color=COLORS["blue"], ls="--", label="tangent, implicit")
    ax.set(xlabel="iterations", ylabel="relative error")
    ax.legend()
    return figure


def luck(toy, last=20):
    """Restart for the last iterations, after more and more iterations before: the converged solver."""

    def draw(figure, before):
        before = round(before)
        ax = figure.subplots()
        counts, errors = range(0, 141, 4), _luck(toy, last)
        ax.semilogy(counts, errors["value"], color=COLORS["black"], label="x before the restart")
        name = f"tangent, last {last} differentiated"
        ax.semilogy(counts, errors["tangent"], color=COLORS["vermillion"], label=name)
        ax.axhline(1, color="0.4", lw=1, ls=":", label="a tangent of zero")
        value = toy.error(cg(toy.A.matmul, toy.b, rtol=0.0, maxiter=before).x)
        tangent = toy.error(toy.tangent("restart", before + last, last), "x_dot")
        ax.plot([before, before], [value, tangent], "o", ms=8, color=COLORS["blue"], label="at the slider")
        ax.set(xlabel="iterations before the restart", ylabel="relative error", ylim=(1e-16, 1e6))
        ax.legend(loc=(0.5, 0.4))
        of_x, of_tangent = number_text(value), number_text(tangent)
        return f"Restart after {before} iterations: the error of x is {of_x}, of its tangent {of_tangent}."

    return draw


@lru_cache(maxsize=4)
def _luck(toy, last):
    counts = range(0, 141, 4)
    value = [toy.error(cg(toy.A.matmul, toy.b, rtol=0.0, maxiter=n).x) for n in counts]
    tangent = [toy.error(toy.tangent("restart", n + last, last), "x_dot") for n in counts]
    return {"value": value, "tangent": tangent}


def remainders(tests):
    """The remainder after the first derivative, one curve for each test."""
    figure, ax = plt.subplots(figsize=(6.4, 3.2))
    for (name, test), color in zip(tests.items(), ("green", "vermillion"), strict=True):
        label = f"{name}: slope {test.slopes[1]:.2f}"
        ax.loglog(test.steps, test.errors[1], "o-", ms=3.5, color=COLORS[color], label=label)
    ax.set(xlabel="step h", ylabel="‖x(w + h) − x(w) − h ẋ‖")
    ax.legend()
    return figure


# ---- a real image


def bars(rows, start, truth):
    """Final image errors as bars."""
    figure, ax = plt.subplots(figsize=(6.4, 2.9))
    names = list(rows)
    hues = ["grey" if "none" in n else "vermillion" if "restart" in n else "blue" for n in names]
    ax.barh(names, [rows[n][0] for n in names], color=[COLORS[h] for h in hues], height=0.65)
    ax.axvline(start, color="0.3", ls="--", label="at the start")
    ax.axvline(truth, color="0.3", ls=":", label="with the true motions")
    ax.set(xlabel="image error after 9 steps, in %", xlim=(0, 1.7 * start))
    ax.invert_yaxis()
    ax.legend(loc="center right")
    return figure
