"""The meter of work, against counting in the head and a clock that is known."""

from __future__ import annotations

import pytest
import torch

from regbook import meter
from regbook.meter import Metered
from regkit.grid import Grid
from regkit.implicit import Frozen, Implicit, Last, Unrolled
from regkit.linear import CG, Cholesky
from regkit.optimize import levenberg_marquardt
from regkit.templates import synthetic
from regkit.varpro import GolubPereyra, Kaufman, Reduced


@pytest.fixture
def made():
    noise = torch.randn(8, 12, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    return synthetic(100 + 20 * noise, Grid((2.0, 3.0), (8, 12)), count=3, strength=0.1)


@pytest.mark.parametrize(
    ("solver", "jacobian", "for_f", "for_jacobian"),
    [
        (CG.fixed(7), Frozen(), 7, 0),
        (CG.fixed(7), Kaufman(CG.fixed(4)), 7, 4 * 12),
        (CG.fixed(7), GolubPereyra(CG.fixed(4)), 7, 4 * 12),
        (
            CG.fixed(7),
            Implicit(CG.fixed(4)),
            7,
            4 * 12 + 1 + 12,
        ),  # b − A(w) f with its derivative is one more
        (CG.fixed(7), Unrolled(), 7, 7 + 7 * (12 + 12)),  # the run once more, and two products a parameter
        (CG.fixed(7), Last(3), 7, 7 + 1 + 3 * 24 + 12),  # a restart begins with b − A(w) f
        (Cholesky(), GolubPereyra(), 96, 0),
    ],
    ids=str,
)
def test_products(made, solver, jacobian, for_f, for_jacobian):
    meter = Metered(made.problem)
    point = Reduced(meter, solver, jacobian).point(0.99 * made.w_true)
    assert meter.products == 0 and point.f.shape == (96,) and meter.products == for_f
    assert point.jacobian.shape[1] == 12 and meter.products == for_f + for_jacobian
    plain = Reduced(made.problem, solver, jacobian).point(0.99 * made.w_true)
    assert torch.equal(point.jacobian, plain.jacobian) and torch.equal(point.f, plain.f)


def test_a_run_counts_its_rejected_steps_too(made):
    meter, spent = Metered(made.problem), []
    reduced = Reduced(meter, CG.fixed(6), Kaufman(CG.fixed(2)), rows="data")
    found = levenberg_marquardt(
        reduced, 0.9 * made.w_true, iterations=8, callback=lambda entry: spent.append(meter.products)
    )
    expected = [6 + (2 * 12 if entry.accepted else 0) for entry in found.history]
    assert spent == [sum(expected[: k + 1]) for k in range(len(expected))]


def test_costs_are_medians_in_runs_of_the_first(monkeypatch):
    now, jitter = [0.0], iter([9, 1, 1, 1, 7, 3, 5, 15, 1, 3, 1, 3])  # the first turn warms up

    def work():
        now[0] += next(jitter)

    monkeypatch.setattr(meter, "CLOCK", lambda: now[0])
    factors, once = meter.cost([work, work], repeats=5)
    assert factors.tolist() == [1, 3] and once == 1000


def test_the_price_counts_what_is_computed_and_stored():
    x = torch.ones(1000, dtype=torch.float64)
    assert meter.price(torch.sin, x) == 1000
    assert meter.price(lambda x: (2 * x.reshape(10, 100)).sum(), x) == 1001, "a view is free"
    # forwards the sine and its tangent, which needs the cosine: three times as many
    assert meter.price(lambda x: torch.func.jvp(torch.sin, (x,), (x,)), x) == 3000
    A = torch.eye(50, dtype=torch.float64)
    assert meter.price(lambda A: A @ A, A) == 2500
