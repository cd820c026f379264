"""The experiments of chapter 5, against difference quotients, norms of moved points and sampled losses."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest
import torch

from regbook.experiments import ch05
from regbook.experiments.ch05 import stationary
from regbook.figures import ch05 as figures
from regkit.data import bumps, hands_phantom
from regkit.registration import Registration
from regkit.transforms import Translation


def test_all_stationary_points_of_the_comb():
    template, grid = bumps()
    problem = Registration(template, bumps(shift=10.0)[0], grid, Translation(1))
    shifts = torch.linspace(-5, 26, 400, dtype=torch.float64)
    for theta, minima in ((1e-3, 5), (10.0, 1)):
        points = stationary(problem, theta, -5, 26, 150)
        losses = torch.stack([problem.at(theta).loss(shift[None]) for shift in shifts])
        inner = losses[1:-1]
        seen = shifts[1:-1][(inner < losses[:-2]) & (inner < losses[2:])]
        found = torch.tensor([w for w, curvature in points if curvature > 0], dtype=torch.float64)
        assert len(found) == minima and torch.allclose(found, seen, atol=0.08)
        for w, _ in points:
            slope = problem.at(theta).gradient(torch.tensor([w], dtype=torch.float64))
            assert abs(float(slope)) < 1e-6
        signs = [curvature > 0 for _, curvature in points]
        assert all(a != b for a, b in pairwise(signs)), "minima and maxima alternate"


@pytest.fixture(scope="module")
def comb() -> Registration:
    template, grid = bumps()
    return Registration(template, bumps(shift=10.0)[0], grid, Translation(1))


@pytest.fixture(scope="module")
def hands() -> tuple[Registration, torch.Tensor]:
    """A small pair, and its minimiser at θ = 10."""
    pair = hands_phantom(16)
    problem = Registration(pair.template, pair.reference, pair.grid)
    return problem, ch05.minimisers(problem, np.geomspace(1e3, 10, 5), problem.transform.identity())[-1]


def test_minimisers_follow_each_other(hands):
    problem, w = hands
    path = ch05.minimisers(problem, [10.0, 5.0, 2.5], w)
    torch.testing.assert_close(path[0], w, rtol=1e-5, atol=1e-5)
    for theta, v in zip((10.0, 5.0, 2.5), path, strict=True):
        objective = problem.at(theta)
        assert float(objective.gradient(v).norm()) < 1e-5 * float(
            objective.loss(problem.transform.identity())
        )
    assert ch05.from_the_end(problem, path, path)[-1] == 0
    shift = torch.tensor([0, 0, 0, 0, problem.grid.spacing[0], 0], dtype=torch.float64)
    assert ch05.from_the_end(problem, path, [path[-1] + shift])[0] == pytest.approx(1), "one cell"


def test_branches_begin_at_the_minima_and_stay_stationary(comb):
    curves = ch05.branches(comb, 5.0, 15.0)
    starts = ch05.minima(comb, 1e-3, 5.0, 15.0)
    assert [float(curve.w[0]) for curve in curves] == pytest.approx(starts)
    for curve in curves:
        for theta, w in zip(curve.thetas[::20], curve.w[::20], strict=True):
            objective = comb.at(float(theta))
            assert abs(float(objective.gradient(w))) < 1e-5 * abs(float(objective.hessian(curve.w[0])))


def test_euler_is_a_difference_quotient_along_the_branch(comb):
    """At a θ where the branch moves: at small ones the images fit whatever it is."""
    right = max(ch05.branches(comb, 5.0, 15.0), key=lambda curve: float(curve.thetas.max()))
    w, predicted, after = ch05.euler(comb, right, 3000.0, 10**0.5)
    _, _, near = ch05.euler(comb, right, 3000.0, math.exp(1e-3))
    assert (predicted - w) / math.log(10**0.5) == pytest.approx((near - w) / 1e-3, rel=0.01)
    assert abs(after - w) < 1 and abs(after - predicted) < abs(after - w)


def test_a_prediction_is_straight_in_its_variable(hands):
    """In s the prediction lies on one line for every θ₊; and all of them agree for a short step."""
    problem, w = hands
    for name, (s, _) in ch05.VARIABLES.items():
        one, two = (ch05.predictions(problem, w, 10.0, theta)[name] - w for theta in (8.0, 2.0))
        torch.testing.assert_close(two * (s(8.0) - s(10.0)), one * (s(2.0) - s(10.0)))
    short = ch05.predictions(problem, w, 10.0, 10.0 * (1 - 1e-4))
    for v in short.values():
        torch.testing.assert_close(v - w, short["θ"] - w, rtol=1e-3, atol=1e-12)


def test_a_miss_of_one_is_no_better_than_staying(hands):
    problem, w = hands
    way = ch05.Way(problem, w, 5.0)
    target = ch05.minimisers(problem, [5.0], w)[0]
    assert way.along(w) == 0 and way.along(target) == pytest.approx(1)
    assert way.along((w + target) / 2) == pytest.approx(0.5)
    missed = ch05.misses(problem, w, 10.0, 5.0)
    for name, v in ch05.predictions(problem, w, 10.0, 5.0).items():
        off = (way.moved(v) - way.moved(target)).norm() / (way.moved(w) - way.moved(target)).norm()
        assert missed[name] == pytest.approx(float(off), rel=1e-6)


def test_the_orders_are_two_three_and_three(hands):
    problem, w = hands
    errors, slopes = ch05.orders(problem, 10.0, w, 0.2 * 0.6 ** np.arange(5))
    assert {len(values) for values in errors.values()} == {5}
    assert slopes["Euler"] == pytest.approx(2, abs=0.2)
    assert slopes["Heun"] == pytest.approx(3, abs=0.3) and slopes["Adams"] == pytest.approx(3, abs=0.3)


def test_a_minimum_is_where_its_branch_is_until_the_fold(comb):
    curves = ch05.branches(comb, -5.0, 15.0)
    wrong = min(curves, key=lambda curve: abs(float(curve.w[0]) + 2))
    fold = float(wrong.thetas[wrong.folds[0]])
    for theta in (1e-3, fold / 3, fold * 0.9):
        near = min(ch05.minima(comb, theta, -5.0, 15.0), key=lambda w: abs(w + 2))
        assert ch05.place(wrong, theta) == pytest.approx(near, abs=0.05)
    assert ch05.place(wrong, fold * 1.1) is None
    right = max(curves, key=lambda curve: float(curve.thetas.max()))
    assert ch05.place(right, 100.0) == pytest.approx(10, abs=0.1)


def test_the_smallest_eigenvalue_is_a_part_of_the_largest(hands):
    problem, w = hands
    found = ch05.smallest(problem, torch.tensor([10.0, 5.0]), [w, w])
    for theta, ratio in zip((10.0, 5.0), found, strict=True):
        values = np.linalg.eigvalsh(problem.at(theta).hessian(w).numpy())
        assert ratio == pytest.approx(values.min() / values.max(), rel=1e-8)


def test_the_work_of_all_plans_is_kept(hands):
    problem, _ = hands
    runs = ch05.work(problem, problem.transform.identity(), (4, 6))
    assert set(runs) == {
        (coarsest, plan, name)
        for coarsest in (1e3, 1e2)
        for plan in (4, 6, "adaptive")
        for name in ("none", "euler")
    }
    for (coarsest, plan, _), run in runs.items():
        assert run.thetas[0] == coarsest and run.thetas[-1] == pytest.approx(1e-3)
        assert plan in (len(run.accepted), "adaptive")
    end = runs[1e3, 6, "none"].w
    lost = ch05.astray(problem, runs, end)
    for key, run in runs.items():
        assert (key in lost) == (ch05.from_the_end(problem, end[None], [run.w])[0] > 0.1)
    assert len(ch05.astray(problem, runs, end + 100)) == len(runs)
    lines = figures.work_table(runs, lost).splitlines()
    assert len(lines) == 3 + 3 and sum(line.count("lost") for line in lines) == len(lost)
    assert all(f"{run.iterations} / {run.evaluations}" in "\n".join(lines) for run in runs.values())


def test_the_record_says_what_was_run():
    about, methods = ch05.recorded()
    pairs = about["pairs_per_level"] * 5
    assert pairs == 50 and len(methods) > 3
    for row in methods.values():
        found = sum(error < 1 for error in row["errors"])
        assert about["pairs_per_level"] * sum(row["success"]) == pytest.approx(found)
