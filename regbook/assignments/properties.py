"""What all checkers of assignments share: numbers of the right shape, and slopes."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch

from regbook.practice.report import wrong

SIZES = 0.1 * 0.5 ** np.arange(7)  # the steps of a Taylor test


def random(seed: int) -> np.random.Generator:
    """Where the data of an exercise come from."""
    return np.random.default_rng(seed)


def tensor(values) -> torch.Tensor:
    return torch.from_numpy(np.array(values, dtype=float))


def numbers(answer, shape: Sequence[int]) -> np.ndarray:
    """The answer as an array of this shape, of finite numbers; if it is none, that is the verdict."""
    try:
        given = answer.detach().numpy() if type(answer) is torch.Tensor else np.array(answer, dtype=float)
    except (TypeError, ValueError):
        wrong(f"Numbers of the shape {tuple(shape)} were expected, and something else came.")
    if given.shape != tuple(shape):
        wrong(f"The shape should be {tuple(shape)}, and is {given.shape}.")
    if not np.isfinite(given).all():
        wrong("Not all of the numbers are finite.")
    return given


def near(given, right, tolerance: float = 1e-8) -> bool:
    """Do they agree, up to the tolerance times the largest of the right ones?"""
    return bool(np.abs(given - right).max() <= tolerance * max(1e-300, np.abs(right).max()))


def slope(remainder: Callable[[float], float], sizes: Sequence[float] = SIZES) -> float:
    """The median slope of a remainder over the size of the step, both as logarithms."""
    values = np.array([abs(remainder(size)) for size in sizes]) + 1e-300
    return float(np.median(np.diff(np.log(values)) / np.diff(np.log(sizes))))


def derivative_fits(value: Callable[[float], float], first: float) -> bool:
    """Is ``first`` the derivative of ``value`` at 0? The remainder then has slope 2, otherwise 1."""
    here = value(0.0)
    return slope(lambda h: value(h) - here - h * first) > 1.7
