"""How fast are the closed-form derivatives of registration?  python benchmarks/registration.py [sizes ...]

Compared in one process, in turns, with the straightforward way: the spline as a loop over its 4 × 4
neighbours with boolean masks, coefficients from a dense solve in every call, derivatives by torch.func.
Medians of the wall time; the ratios are what counts, since seconds differ from machine to machine. For the
Hessian of the loop the faster of forward over reverse and reverse over reverse is taken. The last columns
are the loop without the solve. At the end whole registrations: a slice through a head, 256 × 256, turned
by 20° and enlarged by 10 %, in four scales.
"""

from __future__ import annotations

import argparse
import math
import statistics
import time

import torch

from regkit import Grid, coefficients, evaluate
from regkit.data import mri
from regkit.optimize import gauss_newton, levenberg_marquardt, newton_trust
from regkit.registration import Registration
from regkit.transforms import Affine

THETA = 1e-3


def loop_coefficients(image: torch.Tensor, theta: float) -> torch.Tensor:
    """(BᵀB + θM) c = BᵀT along both axes, solved as it stands."""
    for _ in range(2):
        m = len(image)
        lag = (torch.arange(m)[:, None] - torch.arange(m)).abs()
        B = 4.0 * (lag == 0) + 1.0 * (lag == 1)
        M = 96.0 * (lag == 0) - 54.0 * (lag == 1) + 6.0 * (lag == 3)
        B, M = B.to(image), M.to(image)
        image = torch.linalg.solve(B.T @ B + theta * M, B.T @ image).T
    return image


def piece(k: int, t: torch.Tensor) -> torch.Tensor:
    """b(t − k) for t in [0, 1) and k = −1, 0, 1, 2."""
    if k == -1:
        return (1 - t) ** 3
    if k == 0:
        return (3 * t - 6) * t**2 + 4
    if k == 1:
        return (3 * (1 - t) - 6) * (1 - t) ** 2 + 4
    return t**3


def loop_spline(c: torch.Tensor, grid: Grid, y: torch.Tensor) -> torch.Tensor:
    """The spline at y, one neighbour after the other."""
    u = y / torch.tensor(grid.spacing, dtype=y.dtype) - 0.5
    cell = u.floor()
    t, cell = u - cell, cell.long()
    value = torch.zeros_like(u[:, 0])
    for k in range(-1, 3):
        for m in range(-1, 3):
            i, j = cell[:, 0] + k, cell[:, 1] + m
            inside = (i >= 0) & (i < grid.shape[0]) & (j >= 0) & (j < grid.shape[1])
            taps = c[i.clamp(0, grid.shape[0] - 1), j.clamp(0, grid.shape[1] - 1)]
            value = value + torch.where(inside, taps, 0.0) * piece(k, t[:, 0]) * piece(m, t[:, 1])
    return value


class Loop:
    """Loss and derivatives by torch.func, as the paper times them; ``given``: coefficients known."""

    def __init__(self, template, reference, grid, given: bool):
        self.grid, self.points, self.images = grid, grid.points(), (template, reference)
        self.given = tuple(loop_coefficients(image, THETA) for image in self.images) if given else None

    def residual(self, w: torch.Tensor) -> torch.Tensor:
        c, s = self.given or (loop_coefficients(image, THETA) for image in self.images)
        y = self.points @ w[:4].reshape(2, 2).T + w[4:]
        difference = loop_spline(c, self.grid, y) - loop_spline(s, self.grid, self.points)
        return math.sqrt(self.grid.cell_volume) * difference

    def loss(self, w):
        return 0.5 * (self.residual(w) ** 2).sum()

    def gradient(self, w):
        return torch.func.grad(self.loss)(w)

    def jacobian(self, w):
        return torch.func.jacfwd(self.residual)(w)

    def hessian(self, w):
        return torch.func.jacfwd(torch.func.grad(self.loss))(w)

    def reverse_hessian(self, w):
        return torch.func.jacrev(torch.func.grad(self.loss))(w)


def medians(calls: dict, rounds: int) -> dict:
    """Median seconds of each call, all of them in turns."""
    times = {name: [] for name in calls}
    for round_ in range(rounds + 1):
        for name, call in calls.items():
            start = time.perf_counter()
            call()
            if round_:  # the first round warms up
                times[name].append(time.perf_counter() - start)
    return {name: statistics.median(seconds) for name, seconds in times.items()}


def compare(size: int, rounds: int) -> None:
    generator = torch.Generator().manual_seed(0)
    template, reference = torch.rand(2, size, size, dtype=torch.float64, generator=generator)
    grid = Grid((20.0, 25.0), (size, size))
    problem = Registration(template, reference, grid)
    objective = problem.at(THETA)
    w = problem.transform.identity() + 0.05 * torch.randn(6, dtype=torch.float64, generator=generator)
    rivals = {"": Loop(template, reference, grid, False), "given ": Loop(template, reference, grid, True)}

    calls = {
        "all three": lambda: [(p.loss, p.gradient, p.hessian()) for p in [objective.point(w)]],
        "at": lambda: problem.at(THETA),
        "gradient_theta": lambda: objective.gradient_theta(w),
    }
    for what in ("loss", "gradient", "jacobian", "hessian"):
        calls[what] = lambda what=what: getattr(objective, what)(w)
        for name, rival in rivals.items():
            calls[name + "loop " + what] = lambda what=what, rival=rival: getattr(rival, what)(w)
            assert torch.allclose(calls[what](), calls[name + "loop " + what](), rtol=1e-8, atol=1e-8)
    for name, rival in rivals.items():
        calls[name + "loop reverse hessian"] = lambda rival=rival: rival.reverse_hessian(w)

    t = medians(calls, rounds)
    print(f"\nm = {size}, 6 parameters, {torch.get_num_threads()} thread(s)")
    print(
        f"{'':10}{'ms':>9}{'factor':>8}{'loop ms':>10}{'factor':>8}{'ratio':>8}{'given ms':>10}{'ratio':>8}"
    )
    for what in ("loss", "gradient", "jacobian", "hessian"):
        loop, given = t["loop " + what], t["given loop " + what]
        if what == "hessian":
            loop = min(loop, t["loop reverse hessian"])
            given = min(given, t["given loop reverse hessian"])
        ours, factors = t[what], (t[what] / t["loss"], loop / t["loop loss"])
        print(
            f"{what:10}{1e3 * ours:9.3f}{factors[0]:8.2f}{1e3 * loop:10.2f}{factors[1]:8.1f}"
            f"{loop / ours:8.1f}{1e3 * given:10.2f}{given / ours:8.1f}"
        )
    for what in ("all three", "gradient_theta", "at"):
        print(f"{what:15}{1e3 * t[what]:7.3f} ms, {t[what] / t['loss']:.2f} loss evaluations")


def register(method) -> None:
    image, grid = mri(256)
    about, angle = Affine(center=(128, 128)), math.radians(20)
    c, s = 1.1 * math.cos(angle), 1.1 * math.sin(angle)
    w = torch.tensor([c, -s, s, c, 4.0, -3.0], dtype=torch.float64)
    reference = evaluate(coefficients(image, 0.0), grid, about(w, grid.points())).reshape(256, 256)
    start = time.perf_counter()
    problem, found, count = Registration(image, reference, grid, about), about.identity(), 0
    for theta in (1e4, 1e3, 1e2, 1.0):
        result = method(problem.at(theta), found, gtol=1e-5, xtol=1e-6, ftol=1e-6)
        found, count = result.x, count + result.evaluations["loss"]
    print(f"{method.__name__:20}{time.perf_counter() - start:6.2f} s, {count} evaluations")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("sizes", type=int, nargs="*", default=[32, 256])
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    for size in options.sizes:
        compare(size, rounds=max(5, min(200, 200_000 // size**2)))
    print("\nWhole registrations, 256 × 256, four scales")
    for method in (newton_trust, levenberg_marquardt, gauss_newton):
        register(method)
