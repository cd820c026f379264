"""Experiments of chapter 1: the graph of one pixel, what derivatives cost, differences, the tape."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Sequence
from time import perf_counter, process_time

import numpy as np
import torch

CLOCK = perf_counter if sys.platform == "win32" else process_time  # the process's own time, if exact


def numbers_of_a_pixel(name: str, a: float, b: float, x: float, R: float) -> dict:
    """Everything that the graph shows for the loss ½(T(ax + b) − R)² with T(y) = y²(3 − 2y)."""
    y = a * x + b
    T = y**2 * (3 - 2 * y)
    local = [x, 1.0, 6 * y * (1 - y), 1.0, 2 * (T - R), 0.5]  # of each operation, in the one before
    return {
        "name": name, "a": a, "b": b, "x": x, "R": R,
        "values": [a * x, y, T, T - R, (T - R) ** 2, (T - R) ** 2 / 2],
        "local": local,
        "tangent_a": np.cumprod(local).tolist(),
        "tangent_b": [0.0, *np.cumprod([1.0, *local[2:]]).tolist()],
        "bar": np.cumprod([1.0, *local[:0:-1]])[::-1].tolist(),
    }  # fmt: skip


def cost(functions: Sequence[Callable[[], object]], repeats: int = 5) -> tuple[np.ndarray, float]:
    """Median cost of each function in runs of the first, taken in turns; the first one's milliseconds."""
    times = np.empty((repeats + 1, len(functions)))
    for row in times:
        for k, function in enumerate(functions):
            start = CLOCK()
            function()
            row[k] = CLOCK() - start
    times = times[1:]  # the first call warms up
    return np.median(times / times[:, :1], axis=0), 1e3 * float(np.median(times[:, 0]))


def difference_errors(
    sweep: Iterable[float], kinds: Iterable[type], quotient: Callable, error: Callable
) -> dict[tuple[type, bool], np.ndarray]:
    """Relative errors of forward and central differences at every step, no smaller than 10⁻¹⁷.

    Args:
        sweep: the steps h.
        kinds: precisions, as NumPy's types.
        quotient: (h, kind, central) ↦ the difference quotient.
        error: (slope, kind) ↦ its relative error.

    Returns:
        dict: (kind, central) ↦ the errors, one a step.
    """
    return {
        (kind, central): np.array([error(quotient(h, kind, central), kind) for h in sweep]).clip(1e-17)
        for kind in kinds
        for central in (False, True)
    }


def on_tape(tensor: torch.Tensor) -> tuple[int, float]:
    """How many operations a tensor remembers, and the megabytes of values that they keep."""
    todo, seen, kept = [tensor.grad_fn], {None}, {}
    while todo:
        node = todo.pop()
        if node in seen:
            continue
        seen.add(node)
        todo += [parent for parent, _ in node.next_functions]
        for name in dir(node):
            saved = getattr(node, name) if name.startswith("_saved_") else None
            for value in saved if isinstance(saved, list | tuple) else [saved]:
                if isinstance(value, torch.Tensor):
                    kept[value.untyped_storage().data_ptr()] = value.untyped_storage().nbytes()
    return len(seen) - 1, sum(kept.values()) / 1e6
