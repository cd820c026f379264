"""What the paper reports about super-resolution, with its own images; and what its code does otherwise."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
import torch

from regbook import paper
from regkit import optimize
from regkit.grid import Grid
from regkit.implicit import Frozen, Implicit, Last, Unrolled
from regkit.linear import CG, Cholesky
from regkit.problems import Residual
from regkit.templates import synthetic
from regkit.varpro import GolubPereyra, Kaufman, Reduced

EXACT = Cholesky()
ONES = torch.ones(3, dtype=torch.float64)


def random(*shape):
    return torch.randn(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(0))


def relative(a, b):
    return float((a - b).norm() / b.norm())


def test_the_optimiser_is_levenbergs_with_nine_steps():
    M, b = random(6, 3), random(6)
    objective = Residual(lambda w: (M @ w) ** 2 - b)
    found = paper.levenberg_marquardt(objective, ONES, gtol=0, xtol=0, ftol=0)
    plain = optimize.levenberg_marquardt(
        objective,
        ONES,
        damping=1e-3,
        scaling="identity",
        iterations=9,
        gtol=0,
        xtol=0,
        ftol=0,
    )
    assert found.iterations == 9 and torch.equal(found.x, plain.x)
    assert paper.levenberg_marquardt(objective, ONES, iterations=2).iterations == 2


def test_the_tolerance_of_cg_is_absolute():
    product = torch.linspace(1, 100, 30, dtype=torch.float64).diag().matmul
    found = paper.cg().solve(product, 1e3 * random(30))
    assert found.residuals[-1] <= 1e-3 < found.residuals[-2]
    assert paper.cg(3).solve(product, random(30)).iterations == 3


def test_the_cut_edge_drops_what_lies_beyond_one_cell():
    grid = Grid((3.0, 4.0), (8, 12))
    plain, cut = (synthetic(random(8, 12), grid, count=2, window=w).problem for w in (None, paper.cut_edge))
    w = plain.identity()
    w[4] = 0.8 * grid.spacing[0] + 0.5 * grid.spacing[0]  # the last centre comes to 1.3 cells beyond itself
    f = torch.ones(96, dtype=torch.float64)
    right, cut = (problem.at(w).forward(f)[24:48].reshape(4, 6) for problem in (plain, cut))
    torch.testing.assert_close(right[:3], cut[:3])
    assert (right[3] > cut[3]).all()


def test_the_problem(paper_data):
    """Its start, its true answer and its rank, with the edge cut as the authors cut it, and with ours."""
    expected = {
        paper.cut_edge: (363, 0.3723, 3.168, 14.567, 0.0684),
        None: (372, 0.3704, 3.302, 14.726, 0.0670),
    }
    for window, (rank, at_start, data_norm, norm, at_truth) in expected.items():
        made, start = paper.superresolution(window=window)
        reduced = Reduced(made.problem, EXACT)
        A, point = made.problem.at(start), reduced.point(start)
        rows = A.forward(torch.eye(400, dtype=torch.float64))[:400]
        assert torch.linalg.matrix_rank(rows) == rank
        assert made.error(point.f) == pytest.approx(at_start, abs=5e-5)
        assert float(point.residual.norm()) == pytest.approx(norm, abs=5e-4)
        unscaled = float(point.residual[:400].norm()) / made.problem.scales[0]
        assert unscaled == pytest.approx(data_norm, abs=5e-4)
        assert made.error(reduced.point(made.w_true).f) == pytest.approx(at_truth, abs=5e-5)
        assert made.error(made.problem.upsampled()) == pytest.approx(0.242, abs=5e-4)
        by_cg = paper.cg().solve(A.normal, A.adjoint(made.problem.b), made.problem.upsampled())
        assert 250 < by_cg.iterations < 450  # rounding alone moves it by ten


@pytest.fixture
def run(paper_data):
    """run(…) -> error at the final w in %, final ‖r‖ in the paper's units.

    ``start``: which of the starts 1e-10 apart; 0 is the paper's own.
    """

    def go(solver, jacobian, fixed=0, rows="data", start=0):
        made, w = paper.superresolution(fixed, window=paper.cut_edge)
        noise = torch.randn(len(w), dtype=w.dtype, generator=torch.Generator().manual_seed(start))
        reduced = Reduced(made.problem, solver, jacobian, made.problem.upsampled(), rows)
        end = paper.levenberg_marquardt(reduced, w + 1e-10 * noise * (start > 0))
        scale = made.problem.scales[0] if rows == "data" else 1.0
        error = 100 * made.error(Reduced(made.problem, EXACT).point(end.x).f)
        return error, float(end.point.residual.norm()) / scale

    return go


@pytest.mark.parametrize(
    ("jacobian", "options", "error", "norm"),
    [
        (Frozen(), {}, 25.7, 1.582),
        (Kaufman(), {}, 10.42, 0.170),
        (Implicit(), {}, 10.71, 0.163),
        (GolubPereyra(), {}, 10.71, 0.163),
        (Implicit(), {"rows": "full"}, 10.89, 7.57),
        (Kaufman(), {"rows": "full"}, 11.07, 7.56),
        (Frozen(), {"fixed": 1}, 30.39, None),
        (Implicit(), {"fixed": 1}, 9.69, None),
        (Implicit(), {"fixed": 1, "rows": "full"}, 9.72, None),
        (Kaufman(), {"fixed": 1, "rows": "full"}, 9.72, None),
    ],
    ids=str,
)
def test_final_errors_of_figures_5_and_6(run, jacobian, options, error, norm):
    found, end = run(EXACT, jacobian, **options)
    assert found == pytest.approx(error, abs=0.1)
    assert norm is None or end == pytest.approx(norm, rel=0.01)


def assert_near(found, expected, tolerance):
    """The median of runs that differ by rounding alone, up to the range of the runs, which must be small."""
    spread = np.ptp(found)
    assert spread < 0.1 * expected, f"the runs end from {min(found):.4g} to {max(found):.4g}"
    assert np.median(found) == pytest.approx(expected, abs=tolerance + spread)


@pytest.mark.slow
def test_differentiating_all_iterations_gives_the_papers_figure(run):
    errors, norms = zip(*(run(paper.cg(), Unrolled(), start=k) for k in range(3)), strict=True)
    assert_near(errors, 10.7, 0.3)
    assert_near(norms, 0.163, 0.003)


@pytest.mark.parametrize(("iterations", "error"), [(1, 23.0), (5, 12.4), (10, 11.5), (25, 11.0), (50, 11.2)])
def test_inexact_projections_of_figures_10_and_11(run, iterations, error):
    assert run(paper.cg(iterations), Unrolled())[0] == pytest.approx(error, abs=0.3)


@pytest.mark.slow
def test_a_hundred_iterations_of_figures_10_and_11_up_to_rounding(run):
    """Rounding decides whether the last three steps are taken or refused: 10.4 or 10.9 at the end."""
    assert_near([run(paper.cg(100), Unrolled(), start=k)[0] for k in range(9)], 10.9, 0.3)


@pytest.mark.parametrize("percent", [50, 70])
def test_differentiating_the_last_half_of_figures_8_and_9_makes_no_progress(run, percent):
    assert run(paper.cg(200), Last(2 * percent))[0] == pytest.approx(37.23, abs=0.3)


@pytest.mark.slow
@pytest.mark.parametrize("percent", [90, 95])
def test_differentiating_the_last_tenth_of_figures_8_and_9_is_rounding_noise(run, percent):
    """Better than without a derivative (25.7 %), not better than exact ones (10.71 %), and never the same."""
    found = [run(paper.cg(200), Last(2 * percent), start=k)[0] for k in range(4)]
    assert 10.71 - 0.3 < np.median(found) < 15 and np.ptp(found) > 0.1


def test_the_hands_drift(paper_data):
    """24 parameters on the full residual: 10.9, 13.7 and 14.9 % after 10, 40 and 100 iterations."""
    made, start = paper.superresolution(window=paper.cut_edge)
    reduced = Reduced(made.problem, EXACT)
    steps = paper.levenberg_marquardt(reduced, start, iterations=99).history
    assert all(a.loss >= b.loss for a, b in pairwise(steps))
    for step, expected in ((9, 10.9), (39, 13.7), (99, 14.9)):
        f = reduced.point(steps[min(step, len(steps) - 1)].x).f
        assert 100 * made.error(f) == pytest.approx(expected, abs=0.3)


def test_jacobians(paper_data):
    made, w = paper.superresolution(window=paper.cut_edge)
    f0 = made.problem.upsampled()

    def jacobian(solver, kind):
        return Reduced(made.problem, solver, kind, f0, "data").point(w).jacobian

    exact = jacobian(EXACT, GolubPereyra())
    assert relative(dense_jacobian(made.problem, w), exact) < 1e-8
    assert relative(jacobian(CG(rtol=1e-12), Implicit()), exact) < 1e-8
    for k, expected in ((5, 7.1), (25, 2.3), (100, 0.27)):
        J = jacobian(paper.cg(200), Implicit(CG.fixed(k)))
        assert relative(J, exact) == pytest.approx(expected, rel=0.05)
    assert relative(jacobian(paper.cg(200), Frozen()), exact) == pytest.approx(13.9, rel=0.02)
    assert relative(jacobian(paper.cg(200), Last(100)), exact) > 1e3


def test_unrolling_500_iterations_is_within_2_percent_up_to_rounding(paper_data):
    """Rounding alone moves this Jacobian by some percent, so this is the median over starts 1e-12 apart."""
    made, w = paper.superresolution(window=paper.cut_edge)
    exact = Reduced(made.problem, EXACT).point(w).jacobian
    unrolled = Reduced(made.problem, CG.fixed(500), Unrolled(), made.problem.upsampled())
    noise = torch.randn(5, len(w), dtype=w.dtype, generator=torch.Generator().manual_seed(0))
    errors = [relative(unrolled.point(w + 1e-12 * move).jacobian, exact) for move in noise]
    assert np.median(errors) < 0.02


def dense_jacobian(problem, w):
    """The Jacobian of the data rows by textbook formulas on full matrices, with NumPy's pseudo-inverse."""
    A = problem.at(w)
    full = A.forward(torch.eye(400, dtype=torch.float64))
    pinv = torch.from_numpy(np.linalg.pinv(full.numpy()))
    f = pinv @ problem.b
    D, E = A.derivative(f), A.adjoint_derivative(problem.b - full @ f)
    return (D - full @ (pinv @ D) + full @ (pinv @ (pinv.T @ E)))[:400]
