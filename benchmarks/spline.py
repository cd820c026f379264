"""How fast is the spline?  python benchmarks/spline.py

Values against SciPy's map_coordinates on the same coefficients and random points, then what the gradient and
the Hessian cost beside the value, then a new θ. The contestants take turns in every round, so that whatever
else the machine does hits all of them; times are medians, and a ratio is the median of the rounds' ratios.
"""

from __future__ import annotations

import time

import numpy as np
import torch
from scipy.ndimage import map_coordinates

from regkit.data import mri
from regkit.grid import Grid
from regkit.spline import SmoothingBasis, evaluate


def race(contestants: dict, rounds: int) -> dict[str, np.ndarray]:
    """Milliseconds (rounds,) of every function, after one warm-up call, all of them once in every round."""
    times = {name: [] for name in contestants}
    for function in contestants.values():
        function()
    for _ in range(rounds):
        for name, function in contestants.items():
            start = time.perf_counter()
            function()
            times[name].append(1e3 * (time.perf_counter() - start))
    return {name: np.array(taken) for name, taken in times.items()}


def evaluation(cells: tuple[int, ...], points: int, rounds: int) -> dict[str, np.ndarray]:
    """Times of one row of the table: random points all over the grid, in random order."""
    generator = torch.Generator().manual_seed(0)
    grid = Grid(tuple(map(float, cells)), cells)
    c = torch.rand(cells, dtype=torch.float64, generator=generator)
    x = torch.rand(points, grid.dim, dtype=torch.float64, generator=generator) * torch.tensor(grid.extent)
    numpy_c, numpy_x = c.numpy(), np.ascontiguousarray((x / torch.tensor(grid.spacing) - 0.5).T)
    options = {"order": 3, "prefilter": False, "mode": "grid-constant"}
    contestants = {
        "SciPy value": lambda: map_coordinates(numpy_c, numpy_x, **options),
        "value": lambda: evaluate(c, grid, x),
        "and gradient": lambda: evaluate(c, grid, x, 1),
        "and Hessian": lambda: evaluate(c, grid, x, 2),
    }
    difference = evaluate(c, grid, x).numpy() - 6**grid.dim * contestants["SciPy value"]()
    assert np.abs(difference).max() < 1e-9, "the contestants do not compute the same"
    return race(contestants, rounds)


def main():
    print(f"torch {torch.__version__}, {torch.get_num_threads()} thread(s); milliseconds\n")
    columns = "cells points SciPy value SciPy/value +gradient +Hessian gradient/value Hessian/value".split()
    print(" ".join(f"{name:>14}" for name in columns))
    for cells, points, rounds in (
        ((32, 32), 1_024, 300),
        ((128, 128), 10_000, 100),
        ((256, 256), 100_000, 40),
        ((256, 256), 1_000_000, 9),
        ((64, 64, 64), 100_000, 9),
    ):
        times = evaluation(cells, points, rounds)
        scipy, value, gradient, hessian = times.values()
        numbers = [scipy, value, scipy / value, gradient, hessian, gradient / value, hessian / value]
        print(f"{'×'.join(map(str, cells)):>14} {points:14,}", end=" ")
        print(" ".join(f"{np.median(each):14.2f}" for each in numbers))

    image, _ = mri()
    basis = SmoothingBasis(image)
    preparations = {
        "a new θ": lambda: basis.coefficients(1.0),
        "∂c/∂θ": lambda: basis.theta_derivative(1.0),
        "a new image": lambda: SmoothingBasis(image),
    }
    print("\n256×256: ", end="")
    print(", ".join(f"{name} {np.median(t):.2f} ms" for name, t in race(preparations, 40).items()))


if __name__ == "__main__":
    main()
