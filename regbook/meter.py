"""How much work something is: numbers that are computed and products with AᵀA, counted; functions, timed."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from time import perf_counter, process_time

import numpy as np
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from regkit.operators import ParametricOperator
from regkit.varpro import Separable

CLOCK = perf_counter if sys.platform == "win32" else process_time  # the process's own time, if exact


class Metered:
    """A problem that counts: ``products`` with AᵀA or with its derivative so far, one for every column.

    Args:
        problem: what is counted.

    Example:
        >>> from regkit.linear import CG
        >>> from regkit.varpro import Matrices, Reduced
        >>> problem = Metered(Matrices(lambda w: torch.stack([torch.ones(1), w]), torch.tensor([1.0, 2.0])))
        >>> f = Reduced(problem, CG.fixed(1)).point(torch.tensor([1.0])).f
        >>> problem.products
        1
    """

    def __init__(self, problem: Separable):
        self.problem, self.b, self.products = problem, problem.b, 0

    def at(self, w: torch.Tensor) -> _MeteredAt:
        """A(w), whose products are counted."""
        return _MeteredAt(self, self.problem.at(w))


class _MeteredAt:
    def __init__(self, meter: Metered, operator: ParametricOperator):
        self._meter, self._operator = meter, operator

    def __getattr__(self, name: str):
        return getattr(self._operator, name)

    def normal(self, x: torch.Tensor) -> torch.Tensor:
        """AᵀA x, counted."""
        self._meter.products += 1 if x.ndim == 1 else x.shape[1]
        return self._operator.normal(x)

    def normal_derivative(self, x: torch.Tensor) -> torch.Tensor:
        """∂(AᵀA x)/∂w, counted."""
        slope = self._operator.normal_derivative(x)
        self._meter.products += slope.shape[1]
        return slope


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


class Computed(TorchDispatchMode):
    """Counts the numbers that torch computes and stores: a price that does not depend on the computer.

    A view, a reshaped tensor for one, computes nothing; nor does a zero that has no storage.
    """

    numbers = 0

    def __torch_dispatch__(self, operation, types, args=(), kwargs=None):
        result = operation(*args, **(kwargs or {}))
        if not operation.is_view and "zerotensor" not in str(operation):
            parts = tree_leaves(result)
            self.numbers += sum(part.numel() for part in parts if isinstance(part, torch.Tensor))
        return result


def price(function: Callable, *arguments: object) -> int:
    """How many numbers are computed in one run of ``function``."""
    with Computed() as counter:
        function(*arguments)
    return counter.numbers
