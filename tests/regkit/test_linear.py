"""Solvers of linear systems, against dense linear algebra and SciPy."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse.linalg
import torch

from regkit.linear import CG, CGLS, Cholesky, Solver, require_solver
from regkit.operators import Diagonal, FunctionOperator, Matrix

n = 40


def relative(a, b):
    return float((a - b).norm() / b.norm())


def test_cg_agrees_with_dense_solve_and_with_scipy(random, spd):
    A, b = spd(n), random(n)
    found = CG(rtol=1e-12).solve(lambda x: A @ x, b)
    assert found.converged and found.status == "converged"
    assert found.message == f"converged in {found.iterations} iterations"
    assert relative(found.x, torch.linalg.solve(A, b)) < 1e-10
    few = CG.fixed(7).solve(A.matmul, b)
    scipys, _ = scipy.sparse.linalg.cg(A.numpy(), b.numpy(), rtol=0, atol=0, maxiter=7)
    assert few.iterations == 7 and relative(few.x, torch.from_numpy(scipys)) < 1e-12


def test_an_operator_is_as_good_as_a_function(random, spd):
    A, b = spd(n), random(n)
    for solver in (CG(), Cholesky()):
        by_function = solver.solve(A.matmul, b).x
        for operator in (Matrix(A), FunctionOperator((n, n), A.matmul, A.matmul)):
            torch.testing.assert_close(solver.solve(operator, b).x, by_function, rtol=1e-12, atol=0)
    scale = torch.linspace(1, 2, n, dtype=torch.float64)
    torch.testing.assert_close(Cholesky().solve(Diagonal(scale), b).x, b / scale)


def test_residual_history_is_the_true_residual(random, spd):
    A, b, x0 = spd(n), random(n), random(n)
    iterates = [CG.fixed(k).solve(A.matmul, b, x0).x for k in range(6)]
    expected = torch.stack([(b - A @ x).norm() for x in iterates])
    torch.testing.assert_close(CG.fixed(5).solve(A.matmul, b, x0).residuals, expected)


def test_columns_are_solved_as_if_each_were_alone(random, spd):
    A, B = spd(n), random(n, 4) * torch.tensor([1.0, 1e-3, 1e4, 0.0])
    solve = CG(rtol=1e-10).prepare(A.matmul)
    together = solve(B)
    assert together.residuals.shape == (together.iterations + 1, 4) and together.converged
    for k in range(3):
        alone = solve(B[:, k])
        torch.testing.assert_close(together.residuals[:12, k], alone.residuals[:12], rtol=1e-6, atol=0)
        assert relative(together.x[:, k], alone.x) < 1e-9
    assert (together.x[:, 3] == 0).all()


def test_tolerances_and_warm_start(random, spd):
    A, b = spd(n), random(n)
    x, solve = torch.linalg.solve(A, b), CG(rtol=1e-9).prepare(A.matmul)
    assert solve(b, x).iterations == 0
    assert solve(b, x + 1e-4 * random(n)).iterations < solve(b).iterations
    for solver in (CG(rtol=1e-3), CG(rtol=0, atol=1e-3 * float(b.norm()))):
        found = solver.solve(A.matmul, b)
        assert found.residuals[-1] <= 1e-3 * b.norm() < found.residuals[-2]
    stopped = CG(maxiter=3).solve(A.matmul, b)
    assert stopped.status == "limit" and not stopped.converged
    assert stopped.message == "limit of 3 iterations reached"
    assert torch.equal(stopped.checked(), stopped.x)


def test_preconditioner(random, spd):
    A, b = spd(n), random(n)
    scale = torch.logspace(0, 3, n, dtype=torch.float64)
    A = scale[:, None] * A * scale
    plain = CG(rtol=1e-8, maxiter=5000).solve(A.matmul, b)
    jacobi = CG(rtol=1e-8, preconditioner=lambda r: r / A.diagonal()).solve(A.matmul, b)
    exact = CG(rtol=1e-8, preconditioner=lambda r: torch.linalg.solve(A, r)).solve(A.matmul, b)
    assert plain.converged and jacobi.iterations < plain.iterations / 3 and exact.iterations <= 2
    assert jacobi.residuals[-1] <= 1e-8 * b.norm()
    assert relative(jacobi.x, torch.linalg.solve(A, b)) < 1e-6


def test_breakdown_is_reported(random, spd):
    A = spd(n) - 100 * torch.eye(n, dtype=torch.float64)
    found = CG().solve(A.matmul, random(n))
    assert found.status == "breakdown" and not found.converged
    assert found.message.startswith("breakdown: pᵀAp = -")
    with pytest.raises(ValueError, match="not positive definite"):
        found.checked()
    assert CG().solve(lambda v: v * torch.nan, random(n)).message.startswith("breakdown: pᵀAp = nan")
    with pytest.raises(ValueError, match="expected a positive definite matrix"):
        Cholesky().solve(A.matmul, random(n))


def test_a_run_far_beyond_convergence_is_no_breakdown(random, spd):
    A, b = spd(n), random(n)
    found = CG.fixed(3000).solve(A.matmul, b)
    assert found.status != "breakdown" and relative(found.x, torch.linalg.solve(A, b)) < 1e-11


def test_cholesky_factorises_once_for_all_right_hand_sides(random, spd):
    A, calls = spd(n), []

    def product(X):
        calls.append(X.shape)
        return A @ X

    solve = Cholesky().prepare(product)
    b, B = random(n), random(n, 3)
    found, columns = solve(b, random(n)), solve(B)
    assert calls == [(n, n)]
    assert relative(found.x, torch.linalg.solve(A, b)) < 1e-12
    assert relative(columns.x, torch.linalg.solve(A, B)) < 1e-12
    assert found.converged and columns.residuals.shape == (2, 3)
    torch.testing.assert_close(found.residuals[0], b.norm())
    assert found.residuals[1] < 1e-13 * b.norm()


def test_bad_input(random, spd):
    A, b = spd(n), random(n)
    for solver in (CG(), Cholesky()):
        with pytest.raises(ValueError, match="finite"):
            solver.solve(A.matmul, b * torch.nan)
        with pytest.raises(ValueError, match=r"expected a start of shape \(40,\), got \(3,\)"):
            solver.solve(A.matmul, b, b[:3])
        with pytest.raises(ValueError, match="expected a start of finite numbers"):
            solver.solve(A.matmul, b, b * torch.nan)
    for solver in (CG, CGLS):
        with pytest.raises(ValueError, match=r"tolerances ≥ 0, rtol among them, got -1\.0"):
            solver(rtol=-1.0)
        with pytest.raises(ValueError, match="tolerances ≥ 0, atol among them, got -2"):
            solver(atol=-2)
        with pytest.raises(ValueError, match="iterations ≥ 0, got -1"):
            solver(maxiter=-1)
    with pytest.raises(ValueError, match="iterations ≥ 0, got -3"):
        CG.fixed(-3)
    for no_solver in (CGLS(), CG, "cg", None):
        with pytest.raises(ValueError, match="expected a solver of A x = b"):
            require_solver(no_solver)
    with pytest.raises(NotImplementedError):
        Solver().solve(A.matmul, b)


def test_dtype_is_kept(random, spd):
    A, b = spd(n, 10.0).float(), random(n).float()
    for solver in (CG(rtol=1e-4), Cholesky()):
        found = solver.solve(A.matmul, b)
        assert found.converged and found.x.dtype == torch.float32


def test_cgls_agrees_with_lstsq_and_lsqr(random):
    A, b = random(60, n), random(60)
    found = CGLS(rtol=1e-13).solve(Matrix(A), b)
    expected = np.linalg.lstsq(A.numpy(), b.numpy())[0]
    assert found.converged and relative(found.x, torch.from_numpy(expected)) < 1e-10
    lsqr = scipy.sparse.linalg.lsqr(A.numpy(), b.numpy(), atol=0, btol=0, iter_lim=6)[0]
    six = CGLS(maxiter=6).solve(Matrix(A), b)
    assert relative(six.x, torch.from_numpy(lsqr)) < 1e-8 and six.status == "limit"
    columns = CGLS().solve(Matrix(A), torch.stack([b, 2 * b], 1), torch.ones(n, 2).double())
    assert relative(columns.x[:, 1], 2 * torch.from_numpy(expected)) < 1e-6


def test_cgls_is_more_accurate_than_cg_on_the_normal_equations(random):
    U, V = torch.linalg.qr(random(60, 12))[0], torch.linalg.qr(random(12, 12))[0]
    A = Matrix(U @ torch.diag(torch.logspace(0, -6, 12, dtype=torch.float64)) @ V.T)
    b = A @ random(12)
    by_cgls = relative(A @ CGLS(rtol=0, maxiter=400).solve(A, b).x, b)
    by_cg = relative(A @ CG.fixed(400).solve(A.T @ A, A.T @ b).x, b)
    assert by_cgls < by_cg / 10


def test_numbers_out_of_range_are_refused(random, spd):
    A, b = spd(5), random(5)
    for scale in (1e30, 1e-30):
        with pytest.raises(ValueError, match=r"within the range of torch\.float32"):
            CG().solve(A.float().matmul, (scale * b).float())
    for call in (CG().solve, lambda A, b, x0: CGLS().solve(Matrix(spd(5)), b, x0)):
        with pytest.raises(ValueError, match=r"expected a start of shape \(5,\), got \(5, 1\)"):
            call(A.matmul, b, b[:, None])
    assert CG.fixed(0).solve(A.matmul, b).iterations == 0


def test_a_zero_column_is_done_at_once_also_from_a_warm_start(random, spd):
    A, B = spd(8), random(8, 2)
    B[:, 1] = 0
    found = CG().solve(A.matmul, B, random(8, 2))
    assert found.converged and (found.x[:, 1] == 0).all()
    assert found.iterations <= CG().solve(A.matmul, B[:, 0]).iterations + 3


def test_a_tolerance_below_rounding_is_not_asked_for(random, spd):
    A, b = spd(30).float(), random(30).float()
    assert CG(rtol=1e-12).solve(A.matmul, b).converged


def test_solvers_are_values_and_say_what_they_are(random, spd):
    assert CG.fixed(20) == CG(0.0, 0.0, 20) != CG.fixed(21) and hash(CG.fixed(20)) == hash(CG.fixed(20))
    assert repr(CG.fixed(20)) == "CG.fixed(20)"
    assert repr(CG(rtol=1e-10)) == "CG(rtol=1e-10, atol=0, maxiter=None)"
    found = CG(maxiter=2).solve(spd(n).matmul, random(n))
    assert repr(found) == "Solution(limit of 2 iterations reached)" and found == found
