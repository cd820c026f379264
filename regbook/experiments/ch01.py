"""Experiments of chapter 1: the graph of one pixel, and differences."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np


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
