"""Variable projection: its Jacobians against independent ones, and its runs against SciPy."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
import scipy.optimize
import torch

from regkit import data
from regkit.checks import taylor_test
from regkit.dual import Dual
from regkit.implicit import Frozen, Implicit, Last, Unrolled
from regkit.linear import CG, CGLS, Cholesky
from regkit.optimize import levenberg_marquardt, newton_trust
from regkit.templates import register_templates, synthetic
from regkit.varpro import GolubPereyra, Kaufman, Matrices, Reduced, ReducedJacobian

EXACT = Cholesky()


def relative(a, b):
    return float((a - b).norm() / b.norm())


# A small problem: two decaying exponentials, with amplitudes f and rates w.

t = torch.linspace(0, 3, 40, dtype=torch.float64)


def exponentials(w):
    return torch.exp(-t[:, None] * w)


@pytest.fixture
def decay(random):
    truth = exponentials(torch.tensor([0.5, 2.0]).double()) @ torch.tensor([1.0, 3.0]).double()
    return Matrices(exponentials, truth + 0.05 * random(40)), torch.tensor([0.8, 1.5], dtype=torch.float64)


def test_the_operator_of_matrices_and_its_derivatives(decay, random):
    problem, w = decay
    A, f, y = problem.at(w), random(2), random(40)
    torch.testing.assert_close(A.forward(f), exponentials(w) @ f)
    torch.testing.assert_close(A.adjoint(y), exponentials(w).T @ y)
    torch.testing.assert_close(A.derivative(f), torch.func.jacfwd(lambda w: exponentials(w) @ f)(w))
    torch.testing.assert_close(A.adjoint_derivative(y), torch.func.jacfwd(lambda w: exponentials(w).T @ y)(w))
    normal = torch.func.jacfwd(lambda w: exponentials(w).T @ (exponentials(w) @ f))(w)
    torch.testing.assert_close(A.normal_derivative(f), normal)
    torch.testing.assert_close(A.normal(f), exponentials(w).T @ (exponentials(w) @ f))
    assert A.shape == (40, 2) and repr(problem) == "Matrices with 40 rows"


def test_projection_is_the_least_squares_solution(decay):
    problem, w = decay
    expected = np.linalg.lstsq(exponentials(w).numpy(), problem.b.numpy())[0]
    for solver in (CG(rtol=1e-12), EXACT):
        point = Reduced(problem, solver).point(w)
        assert relative(point.f, torch.from_numpy(expected)) < 1e-9
        assert float((exponentials(w).T @ point.full_residual).norm()) < 1e-9


def test_exact_jacobians_pass_the_taylor_test_and_agree(decay):
    problem, w = decay
    jacobians = []
    for chosen in (GolubPereyra(), Implicit(), Unrolled()):
        reduced = Reduced(problem, CG(rtol=1e-13), chosen)
        v = torch.tensor([0.6, -0.8], dtype=torch.float64)
        jacobians.append(reduced.point(w).jacobian)
        assert taylor_test(reduced.residual, w, v, first=jacobians[-1] @ v).passes()
    assert relative(jacobians[1], jacobians[0]) < 1e-9
    assert relative(jacobians[2], jacobians[0]) < 1e-9


def test_frozen_has_the_gradient_but_not_the_gauss_newton_matrix(decay):
    """D is longer than P⊥D by what lies in the range of A, so its Gauss-Newton steps are too short."""
    problem, w = decay
    kinds = (Frozen(), Kaufman(), GolubPereyra(), Implicit())
    points = {kind: Reduced(problem, EXACT, kind).point(w) for kind in kinds}
    for point in points.values():
        torch.testing.assert_close(point.gradient, points[GolubPereyra()].gradient)
    excess = points[Frozen()].hessian() - points[Kaufman()].hessian()
    assert torch.linalg.eigvalsh(excess)[0] > -1e-12
    steps = {k: torch.linalg.solve(point.hessian(), point.gradient).norm() for k, point in points.items()}
    assert steps[Frozen()] < 0.8 * steps[Kaufman()]


def test_minimiser_agrees_with_scipy_on_all_unknowns(decay):
    problem, w = decay

    def everything(z):
        return (exponentials(torch.from_numpy(z[:2])) @ torch.from_numpy(z[2:]) - problem.b).numpy()

    expected = scipy.optimize.least_squares(
        everything, [0.8, 1.5, 1.0, 1.0], xtol=1e-14, gtol=1e-14, ftol=1e-14
    )
    for kind in (Kaufman(), GolubPereyra(), Implicit()):
        found = levenberg_marquardt(Reduced(problem, EXACT, kind), w, damping=1e-2, iterations=20, gtol=1e-7)
        assert found.converged and found.message.startswith("gradient")
        assert relative(found.x, torch.from_numpy(expected.x[:2])) < 1e-5
        assert relative(found.point.f, torch.from_numpy(expected.x[2:])) < 1e-5
        assert found.loss == pytest.approx(expected.cost)
    slow = levenberg_marquardt(Reduced(problem, EXACT, Frozen()), w, iterations=20)
    assert not slow.converged and slow.history[-1].gradient_norm > 1e4 * found.history[-1].gradient_norm


def test_other_optimisers_take_a_reduced_problem(decay):
    problem, w = decay
    reduced = Reduced(problem, EXACT)
    expected = levenberg_marquardt(reduced, w).x
    assert relative(newton_trust(reduced, w, hessian="gauss-newton").x, expected) < 1e-6
    assert reduced.point(w).curvature() @ w == pytest.approx(reduced.point(w).hessian() @ w)


def test_a_warm_start_is_no_other_question(decay):
    """Two objectives that differ in f0 are equal, so a run does not evaluate its point again."""
    problem, w = decay
    places = []

    class Seen:
        b = problem.b

        def at(self, w):
            places.append(w)
            return problem.at(w)

    reduced = Reduced(Seen(), CG.fixed(1), Kaufman(EXACT))
    warm = replace(reduced, f0=torch.ones(2).double())
    assert warm == reduced and hash(warm) == hash(reduced)
    assert replace(reduced, solver=CG.fixed(2)) != reduced and replace(reduced, jacobian=Frozen()) != reduced
    starts = []

    def advance(k, point):
        starts.append(point.f)
        return replace(reduced, f0=point.f)

    found = levenberg_marquardt(reduced, w, iterations=30, gtol=0.0, advance=advance)
    assert len(starts) == found.iterations and len(places) == found.iterations + 1
    assert torch.equal(starts[0], reduced.point(w).f)
    best, cold = (levenberg_marquardt(r, w) for r in (Reduced(problem, EXACT), reduced))
    assert relative(found.x, best.x) < 1e-3 < relative(cold.x, best.x)


def test_cheap_projections_first(decay):
    problem, w = decay
    counts = []

    def advance(k, point):
        counts.append(point.reduced.solver.maxiter)
        return replace(reduced, solver=CG.fixed(1 if k < 3 else 5), f0=point.f)

    reduced = Reduced(problem, CG.fixed(1), Kaufman())
    found = levenberg_marquardt(reduced, w, iterations=30, gtol=0.0, advance=advance)
    assert counts[:3] == [1, 1, 1] and set(counts[3:]) == {5}
    assert relative(found.x, levenberg_marquardt(Reduced(problem, EXACT), w).x) < 1e-3


def test_an_uphill_gradient_ends_with_a_message(decay):
    problem, w = decay
    best = levenberg_marquardt(Reduced(problem, EXACT), w, gtol=1e-13).x
    stuck = levenberg_marquardt(Reduced(problem, EXACT), best, gtol=0.0)
    assert stuck.message.startswith(("step", "gradient", "loss"))


def test_bad_input(decay):
    problem, w = decay
    for options, words in (
        ({"jacobian": "kaufman"}, "expected a Jacobian, such as Kaufman"),
        ({"jacobian": Kaufman}, "expected a Jacobian, such as Kaufman"),
        ({"jacobian": CG()}, "expected a Jacobian, such as Kaufman"),
        ({"rows": "some"}, 'expected rows "full" or "data"'),
        ({"solver": CGLS()}, "expected a solver of A x = b"),
        ({"solver": 200}, "expected a solver of A x = b"),
        ({"solver": EXACT, "jacobian": Unrolled()}, "iterations to differentiate"),
        ({"solver": EXACT, "jacobian": Last(3)}, "iterations to differentiate"),
        ({"solver": CG.fixed(2), "jacobian": Last(3)}, "a k of at most 2, got 3"),
    ):
        with pytest.raises(ValueError, match=words):
            Reduced(problem, **options)
    for kind in (Kaufman, GolubPereyra):
        with pytest.raises(ValueError, match="expected a solver of A x = b"):
            kind(20)
    with pytest.raises(ValueError, match='expected kind "gauss-newton"'):
        Reduced(problem).point(w).hessian("exact")
    with pytest.raises(ValueError, match="an operator with data_rows"):
        Reduced(problem, rows="data").residual(w)
    with pytest.raises(ValueError, match="expected a derivative of f, got Kaufman"):
        Reduced(problem, jacobian=Kaufman()).point(w).project(Dual.variables(w))
    gap = torch.tensor([1.0, 0.0], dtype=torch.float64)  # a column of zeros
    twice = Matrices(lambda w: exponentials(w) * gap, problem.b)
    with pytest.raises(ValueError, match="positive definite"):
        Reduced(twice, EXACT).residual(w)
    with pytest.raises(NotImplementedError):
        ReducedJacobian().matrix(None)


def test_a_step_that_cannot_be_evaluated_is_refused(decay):
    """From far away some undamped steps overflow; the run goes on with more damping."""
    problem, _ = decay
    generator = torch.Generator().manual_seed(0)
    for _ in range(40):
        w = 10 * torch.rand(2, dtype=torch.float64, generator=generator) - 1
        found = levenberg_marquardt(Reduced(problem, EXACT), w, iterations=15, damping=1e-6)
        assert found.history[-1].loss <= found.history[0].loss


def test_convergence_in_the_last_step_counts(decay):
    problem, w = decay
    long = levenberg_marquardt(Reduced(problem, EXACT), w, gtol=1e-7)
    short = levenberg_marquardt(Reduced(problem, EXACT), w, iterations=long.iterations, gtol=1e-7)
    assert long.converged and short.converged and torch.equal(long.x, short.x)


def test_implicit_is_golub_pereyra_at_the_same_image():
    """Also where the projection is poor."""
    made = synthetic(*data.mri(16))
    tight = CG(rtol=1e-13, maxiter=3000)
    implicit, formula = (
        Reduced(made.problem, CG.fixed(20), kind(tight)).point(made.w_true).jacobian
        for kind in (Implicit, GolubPereyra)
    )
    assert relative(implicit, formula) < 1e-4


def test_a_reduced_problem_says_what_it_is():
    made = synthetic(*data.mri(16))
    text = repr(Reduced(made.problem, CG.fixed(200), Implicit(CG.fixed(20)), rows="data"))
    assert text.startswith("Reduced(SuperResolution(4 templates of 8 × 8")
    assert text.endswith("CG.fixed(200), Implicit(CG.fixed(20)), rows='data')")


# Super-resolution


def test_jacobians_of_super_resolution_pass_the_taylor_test():
    made = synthetic(*data.mri(16))
    w, steps = 0.9 * made.w_true, torch.logspace(0, -4, 13, dtype=torch.float64)
    v = torch.randn(len(w), dtype=w.dtype, generator=torch.Generator().manual_seed(1)) * 1e-2
    for rows in ("full", "data"):
        reduced = Reduced(made.problem, EXACT, rows=rows)
        first = reduced.point(w).jacobian @ v
        assert taylor_test(reduced.residual, w, v, first=first, steps=steps).passes()


def test_few_iterations_go_far():
    """Full residual, template 0 held, Kaufman; 20 iterations for f and 10 for the Jacobian."""
    made = synthetic(*data.mri(32))
    w, f0 = register_templates(made.problem), made.problem.upsampled()
    reduced = Reduced(made.problem, CG.fixed(20), Kaufman(CG.fixed(10)), f0)
    found = levenberg_marquardt(reduced, w, damping=1e-2, iterations=10)

    def error(w):
        return made.error(Reduced(made.problem, EXACT).point(w).f)

    assert error(found.x) < 0.065 < error(w) / 3
    assert error(found.x) < made.error(f0) / 2


def test_memory_stays_flat_over_the_steps():
    """The peak after 50 steps is within 5 % of the peak after 5, differentiating every iteration."""
    script = """
import resource, torch
from dataclasses import replace
from regkit import data
from regkit.implicit import Unrolled
from regkit.linear import CG
from regkit.optimize import levenberg_marquardt
from regkit.templates import synthetic
from regkit.varpro import Reduced
torch.set_num_threads(1)
made = synthetic(*data.mri(16))
peaks = []
def peak(step):
    peaks.append(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
reduced = Reduced(made.problem, CG.fixed(10), Unrolled(), made.problem.upsampled(), "data")
def go_on(k, point):  # something new in every step: it never converges
    return replace(reduced, solver=CG.fixed(10 + k % 2))
limits = {"iterations": 50, "gtol": 0, "xtol": 0, "ftol": 0}
levenberg_marquardt(reduced, made.problem.identity(), advance=go_on, callback=peak, **limits)
print(len(peaks), peaks[5], peaks[-1])
"""
    steps, early, late = map(int, subprocess.check_output([sys.executable, "-c", script], text=True).split())
    assert steps == 51 and late < 1.05 * early
