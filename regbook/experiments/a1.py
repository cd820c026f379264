"""Experiments of appendix A1: what torch remembers, and how long it takes."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from time import perf_counter, process_time

import numpy as np
import torch

CLOCK = perf_counter if sys.platform == "win32" else process_time  # the process's own time, if exact


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
