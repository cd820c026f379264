"""Variable projection: its Jacobians against independent ones, and its runs against the paper's figures."""

from __future__ import annotations

import json
import subprocess
import sys
from itertools import pairwise

import numpy as np
import pytest
import scipy.optimize
import torch

from regkit import data, optimize
from regkit.checks import taylor_test
from regkit.superres import register_templates, synthetic
from regkit.varpro import KINDS, Family, Reduced, minimise


def relative(a, b):
    return float((a - b).norm() / b.norm())


# A small problem: two decaying exponentials, with amplitudes f and rates w.

t = torch.linspace(0, 3, 40, dtype=torch.float64)


def exponentials(w):
    return torch.exp(-t[:, None] * w)


@pytest.fixture
def decay(random):
    b = exponentials(torch.tensor([0.5, 2.0]).double()) @ torch.tensor([1.0, 3.0]).double() + 0.05 * random(
        40
    )
    return Family(exponentials, b), torch.tensor([0.8, 1.5], dtype=torch.float64)


def test_projection_is_the_least_squares_solution(decay):
    problem, w = decay
    expected = np.linalg.lstsq(exponentials(w).numpy(), problem.b.numpy())[0]
    for exact in (False, True):
        point = Reduced(problem, rtol=1e-12, exact=exact).point(w)
        assert relative(point.f, torch.from_numpy(expected)) < 1e-9
        assert float((exponentials(w).T @ point.full_residual).norm()) < 1e-9


def test_exact_jacobians_pass_the_taylor_test_and_agree(decay):
    problem, w = decay
    jacobians = {}
    for kind in ("golub-pereyra", "implicit", "unrolled"):
        reduced = Reduced(problem, kind=kind, rtol=1e-13)
        v = torch.tensor([0.6, -0.8], dtype=torch.float64)
        jacobians[kind] = reduced.jacobian(w)
        assert taylor_test(reduced.residual, w, v, first=jacobians[kind] @ v).passes()
    assert relative(jacobians["implicit"], jacobians["golub-pereyra"]) < 1e-9
    assert relative(jacobians["unrolled"], jacobians["golub-pereyra"]) < 1e-9


def test_none_has_the_gradient_but_not_the_gauss_newton_matrix(decay):
    """D is longer than P⊥D by what lies in the range of A, so its Gauss-Newton steps are too short."""
    problem, w = decay
    points = {kind: Reduced(problem, kind=kind, exact=True).point(w) for kind in KINDS[:4]}
    for point in points.values():
        torch.testing.assert_close(point.gradient, points["golub-pereyra"].gradient)
    excess = points["none"].hessian() - points["kaufman"].hessian()
    assert torch.linalg.eigvalsh(excess)[0] > -1e-12
    steps = {k: torch.linalg.solve(point.hessian(), point.gradient).norm() for k, point in points.items()}
    assert steps["none"] < 0.8 * steps["kaufman"]


def test_minimiser_agrees_with_scipy_on_all_unknowns(decay):
    problem, w = decay

    def everything(z):
        return (exponentials(torch.from_numpy(z[:2])) @ torch.from_numpy(z[2:]) - problem.b).numpy()

    expected = scipy.optimize.least_squares(
        everything, [0.8, 1.5, 1.0, 1.0], xtol=1e-14, gtol=1e-14, ftol=1e-14
    )
    for kind in ("kaufman", "golub-pereyra", "implicit"):
        found = minimise(Reduced(problem, kind=kind, exact=True), w, steps=20, gtol=1e-7)
        assert found.converged and found.message.startswith("gradient")
        assert relative(found.x, torch.from_numpy(expected.x[:2])) < 1e-5
        assert relative(found.point.f, torch.from_numpy(expected.x[2:])) < 1e-5
        assert found.loss == pytest.approx(expected.cost)
    slow = minimise(Reduced(problem, kind="none", exact=True), w, steps=20)
    assert not slow.converged and slow.history[-1].gradient_norm > 1e4 * found.history[-1].gradient_norm


def test_other_optimisers_take_a_reduced_problem(decay):
    problem, w = decay
    reduced = Reduced(problem, exact=True)
    expected = minimise(reduced, w, steps=50).x
    assert relative(optimize.levenberg_marquardt(reduced, w).x, expected) < 1e-6
    assert relative(optimize.newton_trust(reduced, w, hessian="gauss-newton").x, expected) < 1e-6


def test_schedule_warm_start_and_record(decay):
    problem, w = decay
    seen = []
    reduced = Reduced(problem, kind="kaufman", rtol=1e-10)
    found = minimise(
        reduced,
        w,
        steps=30,
        warm=True,
        gtol=0.0,
        schedule=lambda k: {"maxiter": 1 if k < 3 else 5},
        callback=seen.append,
    )
    assert found.history == seen and [step.number for step in seen] == list(range(len(seen)))
    assert all(a.products < b.products for a, b in pairwise(seen))
    assert relative(found.x, minimise(reduced, w, steps=50).x) < 1e-3
    torch.testing.assert_close(found.point.f, seen[-1].f)


def test_an_uphill_gradient_ends_with_a_message(decay):
    problem, w = decay
    best = minimise(Reduced(problem, exact=True), w, steps=50, gtol=1e-13).x
    stuck = minimise(Reduced(problem, exact=True), best, steps=200, gtol=0.0)
    assert stuck.message.startswith(("step", "gradient"))


def test_bad_input(decay):
    problem, w = decay
    with pytest.raises(ValueError, match="expected a kind of Jacobian among"):
        Reduced(problem, kind="exact")
    with pytest.raises(ValueError, match='expected rows "full" or "data"'):
        Reduced(problem, rows="some")
    with pytest.raises(ValueError, match="scaling"):
        minimise(Reduced(problem), w, scaling="none")
    with pytest.raises(ValueError, match='expected kind "gauss-newton"'):
        Reduced(problem).point(w).hessian("exact")


def test_kinds_and_rows_that_do_not_fit_are_refused(decay):
    problem, w = decay
    for kind in ("unrolled", "last"):
        with pytest.raises(ValueError, match="expected exact=False"):
            Reduced(problem, kind=kind, exact=True)
    with pytest.raises(ValueError, match="an operator with data_rows"):
        Reduced(problem, rows="data").residual(w)
    with pytest.raises(ValueError, match="expected a damping ≥ 0"):
        minimise(Reduced(problem), w, damping=-1.0)
    gap = torch.tensor([1.0, 0.0], dtype=torch.float64)  # a column of zeros
    twice = Family(lambda w: exponentials(w) * gap, problem.b)
    with pytest.raises(ValueError, match="positive definite"):
        Reduced(twice, exact=True).residual(w)


def test_a_step_that_cannot_be_evaluated_is_refused(decay):
    """From far away some undamped steps overflow; the run goes on with more damping."""
    problem, _ = decay
    generator = torch.Generator().manual_seed(0)
    for _ in range(40):
        w = 10 * torch.rand(2, dtype=torch.float64, generator=generator) - 1
        found = minimise(Reduced(problem, exact=True), w, steps=15, damping=1e-6)
        assert found.history[-1].loss <= found.history[0].loss


def test_convergence_in_the_last_step_counts(decay):
    problem, w = decay
    long = minimise(Reduced(problem, exact=True), w, steps=50, gtol=1e-7)
    short = minimise(Reduced(problem, exact=True), w, steps=long.iterations, gtol=1e-7)
    assert long.converged and short.converged and torch.equal(long.x, short.x)


def test_implicit_is_golub_pereyra_at_the_same_image():
    """Also where the projection is poor: no iteration of the implicit solve moves f."""
    made = synthetic(*data.mri(16))
    options = {"maxiter": 20, "rtol": 0.0, "tangent_rtol": 1e-13, "tangent_maxiter": 3000}
    kinds = ("implicit", "golub-pereyra")
    implicit, formula = (Reduced(made.problem, kind=k, **options).jacobian(made.w_true) for k in kinds)
    assert relative(implicit, formula) < 1e-4


# Super-resolution


def test_jacobians_of_super_resolution_pass_the_taylor_test():
    made = synthetic(*data.mri(16))
    w, steps = 0.9 * made.w_true, torch.logspace(0, -4, 13, dtype=torch.float64)
    v = torch.randn(len(w), dtype=w.dtype, generator=torch.Generator().manual_seed(1)) * 1e-2
    for rows in ("full", "data"):
        reduced = Reduced(made.problem, rows=rows, exact=True, rtol=1e-13)
        assert taylor_test(reduced.residual, w, v, first=reduced.jacobian(w) @ v, steps=steps).passes()


def test_few_iterations_go_far():
    """Full residual, template 0 held, Kaufman; 20 iterations for f and 10 for the Jacobian."""
    made = synthetic(*data.mri(32))
    w, f0 = register_templates(made.problem), made.problem.upsampled()
    found = minimise(Reduced(made.problem, f0, kind="kaufman", maxiter=20, tangent_maxiter=10), w)
    assert found.history[-1].products < 3000

    def error(w):
        return made.error(Reduced(made.problem, exact=True).point(w).f)

    assert error(found.x) < 0.065 < error(w) / 3
    assert error(found.x) < made.error(f0) / 2


def test_memory_stays_flat_over_the_steps():
    """The peak after 50 steps is within 5 % of the peak after 5, differentiating every iteration."""
    script = """
import resource, torch
from regkit import data
from regkit.superres import register_templates, synthetic
from regkit.varpro import Reduced, minimise
torch.set_num_threads(1)
made = synthetic(*data.mri(16))
peaks = []
def peak(step):
    peaks.append(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
reduced = Reduced(made.problem, made.problem.upsampled(), kind="unrolled", rows="data", rtol=0)
go_on = lambda k: {"maxiter": 10 + k % 2}  # something new in every step: it never converges
minimise(reduced, made.problem.identity(), steps=50, callback=peak, schedule=go_on, gtol=0, xtol=0)
print(len(peaks), peaks[5], peaks[-1])
"""
    steps, early, late = map(int, subprocess.check_output([sys.executable, "-c", script], text=True).split())
    assert steps == 51 and late < 1.05 * early


# The paper's figures: 20 × 20 from 4 × 10 × 10, all as in its experiments.


@pytest.fixture
def paper(paper_data):
    """run(…) -> error at the final w in %, final ‖r‖ in the paper's units, the Reduced, the start.

    ``start``: which of the starts 1e-10 apart; 0 is the paper's own.
    """
    image = data.paper_hands(20)
    given = torch.tensor(
        json.loads((paper_data / "superres_start.json").read_text())["norm"], dtype=torch.float64
    )

    def run(kind, fixed=0, rows="data", cut_edge=True, start=0, **options):
        made = synthetic(image.reference, image.grid, fixed=fixed, cut_edge=cut_edge)
        w = given[6 * fixed :]
        noise = torch.randn(len(w), dtype=w.dtype, generator=torch.Generator().manual_seed(start))
        w = w + 1e-10 * noise * (start > 0)
        reduced = Reduced(made.problem, made.problem.upsampled(), kind=kind, rows=rows, **options)
        end = minimise(reduced, w, steps=9, damping=1e-3, scaling="identity")
        scale = made.problem.scales[0] if rows == "data" else 1.0
        norm = float(end.point.residual.norm()) / scale
        return 100 * made.error(Reduced(made.problem, exact=True).point(end.x).f), norm, reduced, w

    return run


cg_as_paper = {"rtol": 0.0, "atol": 1e-3}


@pytest.mark.parametrize(
    ("kind", "options", "error", "norm"),
    [
        ("none", {}, 25.7, 1.582),
        ("kaufman", {}, 10.42, 0.170),
        ("implicit", {}, 10.71, 0.163),
        ("golub-pereyra", {}, 10.71, 0.163),
        ("implicit", {"rows": "full"}, 10.89, 7.57),
        ("kaufman", {"rows": "full"}, 11.07, 7.56),
        ("none", {"fixed": 1}, 30.39, None),
        ("implicit", {"fixed": 1}, 9.69, None),
        ("implicit", {"fixed": 1, "rows": "full"}, 9.72, None),
        ("kaufman", {"fixed": 1, "rows": "full"}, 9.72, None),
    ],
)
def test_final_errors_of_figures_5_and_6(paper, kind, options, error, norm):
    found, end, *_ = paper(kind, exact=True, **options)
    assert found == pytest.approx(error, abs=0.1)
    assert norm is None or end == pytest.approx(norm, rel=0.01)


def assert_near(found, expected, tolerance):
    """The median of runs that differ by rounding alone, up to the range of the runs, which must be small."""
    spread = np.ptp(found)
    assert spread < 0.1 * expected, f"the runs end from {min(found):.4g} to {max(found):.4g}"
    assert np.median(found) == pytest.approx(expected, abs=tolerance + spread)


@pytest.mark.slow
def test_differentiating_all_iterations_gives_the_papers_figure(paper):
    runs = [paper("unrolled", maxiter=500, start=k, **cg_as_paper)[:2] for k in range(3)]
    errors, norms = zip(*runs, strict=True)
    assert_near(errors, 10.7, 0.3)
    assert_near(norms, 0.163, 0.003)


@pytest.mark.parametrize(("iterations", "error"), [(1, 23.0), (5, 12.4), (10, 11.5), (25, 11.0), (50, 11.2)])
def test_inexact_projections_of_figures_10_and_11(paper, iterations, error):
    found, *_ = paper("unrolled", maxiter=iterations, **cg_as_paper)
    assert found == pytest.approx(error, abs=0.3)


@pytest.mark.slow
def test_a_hundred_iterations_of_figures_10_and_11_up_to_rounding(paper):
    """Rounding decides whether the last three steps are taken or refused: 10.4 or 10.9 at the end."""
    found = [paper("unrolled", maxiter=100, start=k, **cg_as_paper)[0] for k in range(9)]
    assert_near(found, 10.9, 0.3)


@pytest.mark.parametrize("percent", [50, 70])
def test_differentiating_the_last_half_of_figures_8_and_9_makes_no_progress(paper, percent):
    found, *_ = paper("last", last=2 * percent, maxiter=200, **cg_as_paper)
    assert found == pytest.approx(37.23, abs=0.3)


@pytest.mark.slow
@pytest.mark.parametrize("percent", [90, 95])
def test_differentiating_the_last_tenth_of_figures_8_and_9_is_rounding_noise(paper, percent):
    """Better than without a derivative (25.7 %), not better than exact ones (10.71 %), and never the same."""
    found = [paper("last", last=2 * percent, maxiter=200, start=k, **cg_as_paper)[0] for k in range(4)]
    assert 10.71 - 0.3 < np.median(found) < 15 and np.ptp(found) > 0.1


def test_jacobians_of_the_papers_problem(paper):
    *_, reduced, w = paper("none", exact=True)
    problem, f0 = reduced.problem, reduced.f0

    def jacobian(kind, **options):
        return Reduced(problem, f0, kind=kind, rows="data", **options).jacobian(w)

    exact = jacobian("golub-pereyra", exact=True, rtol=1e-12)
    assert relative(dense_jacobian(problem, w), exact) < 1e-8
    assert relative(jacobian("implicit", rtol=1e-12), exact) < 1e-8
    implicit = [
        jacobian("implicit", maxiter=200, tangent_maxiter=k, tangent_rtol=0.0, **cg_as_paper)
        for k in (5, 25, 100)
    ]
    for J, expected in zip(implicit, (7.1, 2.3, 0.27), strict=True):
        assert relative(J, exact) == pytest.approx(expected, rel=0.05)
    assert relative(jacobian("none", maxiter=200, **cg_as_paper), exact) == pytest.approx(13.9, rel=0.02)
    assert relative(jacobian("last", last=100, maxiter=200, **cg_as_paper), exact) > 1e3


def test_unrolling_500_iterations_is_within_2_percent_up_to_rounding(paper):
    """Rounding alone moves this Jacobian by some percent, so this is the median over starts 1e-12 apart."""
    *_, reduced, w = paper("none", exact=True)
    exact = Reduced(reduced.problem, exact=True, rtol=1e-12).jacobian(w)
    unrolled = Reduced(reduced.problem, reduced.f0, kind="unrolled", rtol=0.0, maxiter=500)
    noise = torch.randn(5, len(w), dtype=w.dtype, generator=torch.Generator().manual_seed(0))
    errors = [relative(unrolled.jacobian(w + 1e-12 * move), exact) for move in noise]
    assert np.median(errors) < 0.02


def dense_jacobian(problem, w):
    """The Jacobian of the data rows by textbook formulas on full matrices, with NumPy's pseudo-inverse."""
    A = problem.at(w)
    full = A.forward(torch.eye(400, dtype=torch.float64))
    pinv = torch.from_numpy(np.linalg.pinv(full.numpy()))
    f = pinv @ problem.b
    D, E = A.derivative(f), A.adjoint_derivative(problem.b - full @ f)
    return (D - full @ (pinv @ D) + full @ (pinv @ (pinv.T @ E)))[:400]
