"""Scales: lists as they are, and step control against the law that its docstring states."""

from __future__ import annotations

import math
from itertools import pairwise

import pytest

from regkit.scales import Adaptive, Controlled, Listed, scales


def visited(run: Controlled | Listed, error, order: int = 2) -> list[float]:
    """All θ at which the run is accepted, if a prediction at θ has the error ``error(θ)``."""
    thetas = []
    while (theta := run.propose()) is not None and len(thetas) < 500:
        if run.accepts(error(theta), order):
            thetas.append(theta)
    return thetas


def test_a_list_is_visited_as_it_is():
    run = scales([3, 2.0, 1.0], "log")
    assert isinstance(run, Listed) and visited(run, lambda theta: math.inf) == [3.0, 2.0, 1.0]
    assert run.propose() is None


@pytest.mark.parametrize("variable", ["log", "linear"])
def test_small_errors_lengthen_the_steps_up_to_the_longest(variable):
    plan = Adaptive(100.0, 1.0, tolerance=0.5, first=0.05, longest=0.2)
    to_s = math.log if variable == "log" else float
    thetas = visited(scales(plan, variable), lambda theta: 1e-6)
    ways = [(to_s(a) - to_s(b)) / (to_s(100.0) - to_s(1.0)) for a, b in pairwise(thetas)]
    assert thetas[0] == 100.0 and thetas[-1] == 1.0
    assert ways[0] == pytest.approx(0.05) and max(ways) == pytest.approx(0.2)
    assert all(b > a for a, b in pairwise(ways[:3]))


def test_the_law_of_the_next_step():
    """0.9 · step · (tolerance/e)^{0.7/q} (e₋/tolerance)^{0.4/q}, after two accepted predictions."""
    run = scales(Adaptive(math.e, 1.0, tolerance=0.5, first=0.1, shortest=0.01, longest=1.0), "log")
    assert run.propose() == math.e and run.accepts(math.inf, 2), "the start has no prediction"
    run.propose()
    assert run.accepts(0.4, 2)
    first = run.step
    assert first == pytest.approx(0.9 * 0.1 * (0.5 / 0.4) ** 0.35)
    run.propose()
    assert run.accepts(0.3, 2)
    assert run.step == pytest.approx(0.9 * first * (0.5 / 0.3) ** 0.35 * (0.4 / 0.5) ** 0.2)
    assert run.position == pytest.approx(0.1 + first)


def test_large_errors_shorten_the_step_until_the_run_jumps():
    run = scales(Adaptive(100.0, 1.0, first=0.25, shortest=0.02), "log")
    run.propose()
    run.accepts(0.0, 2)
    run.propose()
    assert not run.accepts(10.0, 2) and run.step < 0.25
    while not run.jumping:
        run.propose()
        assert not run.accepts(10.0, 2)
    assert run.step == 0.25, "the jump is as long as the first step"
    run.propose()
    assert run.accepts(math.inf, 2) and run.position == 0.25 and not run.jumping


@pytest.mark.parametrize(
    ("thetas", "variable", "message"),
    [
        ([1.0, 2.0], "log", r"expected decreasing scales θ, got \[1.0, 2.0\]"),
        ([], "log", "expected decreasing scales"),
        ([math.nan], "log", "expected decreasing scales"),
        ([1.0, 0.0], "log", r'expected θ > 0 \(or θ ≥ 0 and variable "linear"\), got 0.0'),
        (Adaptive(0.1, 10.0), "log", "expected decreasing scales"),
        (Adaptive(1.0, -1.0), "linear", "expected θ > 0"),
        ([1.0], "sqrt", 'expected variable "log" or "linear", got \'sqrt\''),
    ],
)
def test_errors_say_what_was_expected(thetas, variable, message):
    with pytest.raises(ValueError, match=message):
        scales(thetas, variable)
