"""The experiments of chapter 10, against dense algebra, difference quotients and records made by hand."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from regbook import paper
from regbook.experiments import ch10
from regkit.data import hands_phantom
from regkit.implicit import Frozen, Implicit, Unrolled
from regkit.linear import CG, Cholesky
from regkit.templates import register_templates, synthetic
from regkit.varpro import Kaufman, Reduced


@pytest.fixture(scope="module")
def study():
    pair = hands_phantom(12)
    made = synthetic(pair.reference, pair.grid, count=3)
    return ch10.Study(made, register_templates(made.problem))


def dense(study, w):
    return study.problem.at(w).dense(study.problem.b)


def test_the_exact_image_is_least_squares(study):
    best = torch.linalg.lstsq(dense(study, study.start), study.problem.b[:, None]).solution[:, 0]
    torch.testing.assert_close(ch10.exact_image(study.problem, study.start), best, rtol=1e-7, atol=1e-6)
    assert study.error(study.start) == pytest.approx(100 * study.made.error(best))


def test_a_run_is_the_papers_and_is_made_once(study):
    how = CG.fixed(6), Kaufman(CG.fixed(3))
    run = study.run(*how)
    assert study.run(CG.fixed(6), Kaufman(CG.fixed(3))) is run
    found = paper.levenberg_marquardt(study.reduced(*how), study.start)
    assert np.array_equal(run.losses, [entry.loss for entry in found.history])
    assert np.array_equal(run.gradients, [entry.gradient_norm for entry in found.history])
    assert torch.equal(run.result.x, found.x) and run.accepted == len(found.path) - 1
    spent = [1 + 6 + (3 * 12 if entry.accepted else 0) for entry in found.history]
    assert run.products.tolist() == np.cumsum(spent).tolist()
    assert run.errors[-1] == run.error == study.error(found.x) and len(run.images) == 10
    A, b, k = dense(study, found.history[4].x), study.problem.b, 4
    f = CG.fixed(6).solve(lambda x: A.T @ (A @ x), A.T @ b, study.f0).x
    torch.testing.assert_close(run.images[k], f)
    loose = (A.T @ (A @ f - b)).norm() / (A.T @ b).norm()
    assert run.loose[k] == pytest.approx(float(loose), rel=1e-6)


def test_a_longer_run_begins_as_the_shorter_one(study):
    how = CG.fixed(4), Unrolled()
    short, long = study.run(*how), study.run(*how, steps=12)
    assert len(long.errors) > len(short.errors) == 10 and np.array_equal(long.errors[:10], short.errors)


def test_warm_and_growing_runs(study):
    how = CG.fixed(4), Implicit(CG.fixed(4))
    warm, growing = study.run(*how, warm=True), study.run(*how, growing=2.0)
    assert warm.loose[-1] < 0.5 * study.run(*how).loose[-1]
    assert growing.loose[-1] < 0.5 * study.run(*how).loose[-1]
    # by hand: evaluated anew whenever the counts change
    reduced, point, spent = study.reduced(*how), None, []

    def advance(k, _):
        n = 4 * 2 ** (k - 1)
        return replace(reduced, solver=CG.fixed(n), jacobian=Implicit(CG.fixed(n)))

    found = paper.levenberg_marquardt(reduced, study.start, advance=advance)
    point, spent = found.point, growing.products
    assert torch.equal(found.x, growing.result.x) and torch.equal(point.f, growing.images[-1])
    last = 4 * 2**8
    least = last + 1 + (last * 12 if found.history[-1].accepted else 0)
    assert spent[-1] - spent[-2] >= least


def test_the_figure_of_work_shows_each_run(study):
    curves, runs = ch10.work(study)
    assert [curve["name"] for curve in curves] == list(runs) and len(set(runs)) == len(ch10.VARIANTS)
    for curve, variant in zip(curves, ch10.VARIANTS, strict=True):
        run = study.run(variant.solver, variant.jacobian, warm=variant.warm, growing=variant.growing)
        assert run is runs[variant.name]
        assert curve["products"] == run.products.astype(int).tolist()
        assert np.allclose(curve["errors"], run.errors, atol=0.005)
        name, _, numbers = variant.name.partition(" ")
        counts = [int(n) for n in numbers.split(",")[0].split(" + ") if n]
        kind = {"none,": Frozen, "unrolled": Unrolled, "implicit": Implicit, "Kaufman": Kaufman}[name]
        assert isinstance(variant.jacobian, kind) and variant.solver == CG.fixed(counts[0])
        assert len(counts) == 1 or variant.jacobian.solver == CG.fixed(counts[1])


def test_the_error_of_a_jacobian_falls_with_the_tangent_iterations(study):
    misses = [ch10.miss(study, CG.fixed(300), Implicit(CG.fixed(k))) for k in (3, 10, 40)]
    assert misses[0] > misses[1] > misses[2]
    assert ch10.miss(study, Cholesky(), Implicit()) < 1e-12


def test_descent_and_its_derivatives():
    def f(w, steps):
        value = torch.zeros_like(w)
        for _ in range(steps):
            value = value - 0.5 * w * (w * value - 1)
        return value

    w = torch.tensor(0.8, dtype=torch.float64)
    for steps in (1, 3, 8):
        slopes = ch10.descent_slopes(0.8, steps)
        assert slopes.f == pytest.approx(float(f(w, steps))) == ch10.descent(0.8, steps)
        assert slopes.program == pytest.approx(float(torch.func.grad(f)(w, steps)))
        # of w (w f − 1) = 0 at this f, held
        residual = torch.func.grad(lambda w, s=slopes: w * (w * s.f - 1))(w)
        assert slopes.formula == pytest.approx(float(-residual / w**2))
    assert slopes.limit == pytest.approx(-1 / 0.64)


def test_filters_and_slopes(study):
    filters, N = ch10.Filters(study), 7
    now = filters.after(N)
    A, b, w = dense(study, study.start), study.problem.b, study.start
    f = CG.fixed(N).solve(lambda x: A.T @ (A @ x), A.T @ b, study.f0).x
    way = filters.vectors * (now.factors * filters.whole)
    torch.testing.assert_close(study.f0 + way.sum(1), f, rtol=1e-8, atol=1e-7)
    assert now.distance == pytest.approx(float((f - study.f0).norm()))

    def after(w):
        return Reduced(study.problem, CG.fixed(N), f0=study.f0).point(w).f

    def exact(w):
        return ch10.exact_image(study.problem, w)

    e = 1e-5 * torch.eye(len(w)).double()[3]
    for slopes, program in ((now.program, after), (filters.limit, exact)):
        quotient = (program(w + e) - program(w - e)) / 2e-5
        torch.testing.assert_close(slopes[:, 3], quotient, rtol=1e-4, atol=1e-5 * float(quotient.abs().max()))
    rhs = ch10.right_hand_side(study.problem.at(w), f, b)
    torch.testing.assert_close(A.T @ (A @ now.formula), rhs, rtol=1e-6, atol=1e-6 * float(rhs.abs().max()))
    torch.testing.assert_close(now.stopped, CG.fixed(N).solve(lambda x: A.T @ (A @ x), rhs).x)
    total = np.nansum(filters.profile(now.program) ** 2 * np.bincount(filters.place, minlength=18))
    assert total == pytest.approx(float(now.program.square().sum()))


def test_the_penalty_at_the_same_distance(study):
    filters, A, b = ch10.Filters(study), dense(study, study.start), study.problem.b
    mu = filters.same_distance(100.0)
    unit = torch.eye(144).double()
    f = study.f0 + torch.linalg.solve(A.T @ A + mu * unit, A.T @ (b - A @ study.f0))
    assert float((f - study.f0).norm()) == pytest.approx(100.0, rel=1e-6)


RECORD = {
    "methods": [
        {"name": "good", "errors": [10.0, 12.0, 5.0], "products": None,
         "paths": [[(1, 20.0), (2, 10.0)], [(1, 30.0), (2, 12.0)], [(1, 5.0), (2, 5.0)]]},
        {"name": "cheap", "errors": [10.2, 12.0, 5.0], "products": [30, 40, 50],
         "paths": [[(9, 20.0), (12, 10.3), (30, 10.2)], [(8, 30.0), (20, 12.6), (40, 12.0)],
                   [(7, 5.2), (50, 5.0)]]},
        {"name": "dear", "errors": [9.9, 12.0, 5.0], "products": [300, 400, 500],
         "paths": [[(90, 20.0), (300, 9.9)], [(80, 30.0), (400, 12.0)], [(70, 9.0), (500, 5.0)]]},
    ]
}  # fmt: skip


def test_what_a_record_says():
    rows = ch10.summary(RECORD)
    assert rows[0] == {"name": "good", "median": 10.0, "worst": 12.0, "all": None, "early": None}
    assert rows[1] == {"name": "cheap", "median": 10.2, "worst": 12.0, "all": 40, "early": 12}
    assert rows[2]["early"] == 400 and ch10.median([3, 1, 2]) == 2
    cheapest, best = ch10.bargain(rows, 0.5)
    assert cheapest["name"] == "cheap" and best["name"] == "dear"
    assert ch10.bargain(rows, 0.2)[0]["name"] == "dear"


def test_how_many_times_the_work():
    record = {"methods": RECORD["methods"][1:]}
    whole, early = ch10.thrift(record, "dear", "cheap")
    assert whole == pytest.approx(400 / 40) and early == pytest.approx(400 / 12)
