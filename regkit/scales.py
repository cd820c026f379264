"""Which scales θ a continuation visits: those of a list, or those that step control chooses.

Steps are counted in s, which is θ or log θ. Step control compares the error e of each
prediction with a tolerance, and accepts, shortens or lengthens: a PI law, as for ordinary
differential equations.

Source:
    Hairer, Nørsett & Wanner (1993), section II.4, https://doi.org/10.1007/978-3-540-78862-1
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

from regkit._require import number, require, require_words

Variable = Literal["log", "linear"]
VARIABLES = {"log": (math.log, math.exp), "linear": (float, float)}  # s(θ) and θ(s)


@dataclass(frozen=True)
class Adaptive:
    """Scales from ``start`` down to ``end`` that the run chooses itself.

    A prediction is corrected if its error e is at most the tolerance. The next step is

        0.9 · step · (tolerance/e)^{0.7/q} (e₋/tolerance)^{0.4/q}

    with q the order of the predictor and e₋ the error before. Otherwise the step is rejected and
    shortened. If it would become shorter than ``shortest``, the branch bends sharply or ends: then
    the run jumps, by ``first`` and without a prediction.

    Args:
        start, end: the first θ and the last, the larger one first.
        tolerance (in blur widths, see ``continuation.length``): of the error of a prediction.
        first, shortest, longest (fractions of the whole way in s): of steps, ≥ 10⁻⁴. A longer
            ``first`` is cheaper, but may jump over the branch that leads to the best minimum.

    Raises:
        ValueError: for a tolerance that is not above zero, or steps of other lengths: with a
            shortest step of zero a run would never end.

    Example:
        >>> from regkit import Adaptive, follow
        >>> from regkit.problems import Formula
        >>> import torch
        >>> problem = Formula(lambda w, theta: (w[0] - theta.log()) ** 2)
        >>> path = follow(problem, Adaptive(100.0, 0.01), torch.tensor([4.6], dtype=torch.float64))
        >>> float(path.thetas[0]), float(path.thetas[-1]), round(float(path.w), 3)
        (100.0, 0.01, -4.605)
    """

    start: float
    end: float
    tolerance: float = 0.5
    first: float = 1 / 4
    shortest: float = 1 / 30
    longest: float = 1 / 3

    def __post_init__(self):
        number(self.tolerance, "a tolerance > 0", 1e-100, math.inf)
        steps = (self.shortest, self.first, self.longest)
        words = "steps between 0.0001 and 1, the shortest, the first and the longest,"
        lengths = [number(step, words, 1e-4, 1.0, got=steps) for step in steps]
        require(lengths[0] <= min(lengths), f"expected the shortest step first, got {steps}")


class Listed:
    """Scales from a list: every prediction is corrected.

    Args:
        thetas: θ, decreasing.
    """

    jumping = False

    def __init__(self, thetas: Sequence[float]):
        self.thetas, self.done = [float(theta) for theta in thetas], 0

    def propose(self) -> float | None:
        """The next θ; None where there is none left. ``last`` then says whether it is the last one."""
        self.last = self.done == len(self.thetas) - 1
        return self.thetas[self.done] if self.done < len(self.thetas) else None

    def accepts(self, error: float, order: int) -> bool:
        """Whether a prediction of this error is corrected, by a predictor of this order."""
        self.done += 1
        return True


class Controlled:
    """Scales by step control: the state of an ``Adaptive`` run.

    ``position`` is the part of the way that is done. Where ``jumping``, the next scale is reached
    without a prediction; so is the start.

    Args:
        plan: what the run was asked for.
        variable: what s is.
    """

    def __init__(self, plan: Adaptive, variable: Variable):
        self.plan, (to_s, self.to_theta) = plan, VARIABLES[variable]
        self.ends = to_s(plan.start), to_s(plan.end)
        self.position, self.step, self.before, self.jumping = -1.0, 1.0, 1.0, True

    def propose(self) -> float | None:
        """The next θ; None where the way is done. ``last`` then says whether it is the last one."""
        target, (start, end) = self.position + self.step, self.ends
        self.last = target > 1 - self.plan.shortest
        self.target = 1.0 if self.last else target
        if self.position == 1.0:
            return None
        if self.target in (0.0, 1.0):  # as given, not as exp(log θ) rounds it
            return self.plan.end if self.last else self.plan.start
        return self.to_theta(start + target * (end - start))

    def accepts(self, error: float, order: int) -> bool:
        """Whether a prediction of this error is corrected, by a predictor of this order."""
        plan, error = self.plan, max(error / self.plan.tolerance, 1e-3)
        if error > 1 and not self.jumping:
            self.step *= min(0.7, max(0.25, 0.9 * error ** (-1 / order)))
            self.jumping = self.step < plan.shortest
            self.step = plan.first if self.jumping else self.step
            return False
        factor = 0.9 * error ** (-0.7 / order) * self.before ** (0.4 / order)
        step = min(plan.longest, max(plan.shortest, self.step * min(3.0, max(0.3, factor))))
        self.step, self.before = (plan.first, 1.0) if self.jumping else (step, error)
        self.position, self.jumping = self.target, False
        return True


def scales(thetas: Sequence[float] | Adaptive, variable: Variable) -> Listed | Controlled:
    """The scales of a run, checked.

    Args:
        thetas: a decreasing list, or ``Adaptive``.
        variable: what s is.

    Raises:
        ValueError: for scales that do not decrease or are not positive, or another variable.

    Example:
        >>> run = scales([10.0, 1.0], "log")
        >>> run.propose(), run.accepts(0.1, 2), run.propose(), run.accepts(0.1, 2), run.propose()
        (10.0, True, 1.0, True, None)
    """
    adaptive = isinstance(thetas, Adaptive)
    require_words(variable=(variable, VARIABLES))
    try:
        given = [thetas.start, thetas.end] if adaptive else list(thetas)
    except TypeError:
        given = []
    ends = [number(theta, "decreasing scales θ", got=given) for theta in given]
    falling = len(ends) > 0 and all(a > b for a, b in pairwise(ends))
    require(falling, f"expected decreasing scales θ, got {ends or thetas!r}")
    usable = ends[-1] > 0 or (ends[-1] == 0 and variable == "linear")
    require(usable, f'expected θ > 0 (or θ ≥ 0 and variable "linear"), got {ends[-1]}')
    return Controlled(thetas, variable) if adaptive else Listed(ends)
