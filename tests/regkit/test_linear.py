"""Conjugate gradients and their derivatives, against dense linear algebra, SciPy and finite differences."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse.linalg
import torch

from regkit.checks import adjoint_test, taylor_test
from regkit.linear import Dual, apply_linear, cg, cgls, chebyshev, least_squares, solve

n, p = 40, 3


def spd(random, size=n, condition=200.0):
    """A symmetric positive definite matrix with eigenvalues from 1 to ``condition``."""
    Q = torch.linalg.qr(random(size, size))[0]
    return Q @ torch.diag(torch.logspace(0, np.log10(condition), size, dtype=torch.float64)) @ Q.T


@pytest.fixture
def family(random):
    """A(w) x = b(w) as (matrix, rhs, w) with exact answers from torch.linalg.solve."""
    S, B, b = spd(random), random(p, n, n), random(n)
    B = B @ B.transpose(1, 2) / n

    def matrix(w):
        return S + torch.einsum("k,kij->ij", w.exp(), B)

    def rhs(w):
        return b * torch.cos(w[0]) + w.sum()

    w = 0.3 * random(p)
    jacobian = torch.func.jacfwd(lambda w: torch.linalg.solve(matrix(w), rhs(w)))(w)
    return matrix, rhs, w, jacobian


def relative(a, b):
    return float((a - b).norm() / b.norm())


# Solving


def test_cg_agrees_with_dense_solve_and_with_scipy(random):
    A, b = spd(random), random(n)
    found = cg(lambda x: A @ x, b, rtol=1e-12)
    assert found.converged and found.message == f"converged in {found.iterations} iterations"
    assert relative(found.x, torch.linalg.solve(A, b)) < 1e-10
    few = cg(lambda x: A @ x, b, rtol=0, maxiter=7)
    scipys, _ = scipy.sparse.linalg.cg(A.numpy(), b.numpy(), rtol=0, atol=0, maxiter=7)
    assert few.iterations == 7 and relative(few.x, torch.from_numpy(scipys)) < 1e-12


def test_residual_history_is_the_true_residual(random):
    A, b, x0 = spd(random), random(n), random(n)
    iterates = [cg(lambda x: A @ x, b, x0, rtol=0, maxiter=k).x for k in range(6)]
    expected = torch.stack([(b - A @ x).norm() for x in iterates])
    torch.testing.assert_close(cg(lambda x: A @ x, b, x0, rtol=0, maxiter=5).residuals, expected)


def test_columns_are_solved_as_if_each_were_alone(random):
    A, B = spd(random), random(n, 4) * torch.tensor([1.0, 1e-3, 1e4, 0.0])
    together = cg(lambda X: A @ X, B, rtol=1e-10)
    assert together.residuals.shape == (together.iterations + 1, 4) and together.converged
    for k in range(3):
        alone = cg(lambda x: A @ x, B[:, k], rtol=1e-10)
        torch.testing.assert_close(together.residuals[:12, k], alone.residuals[:12], rtol=1e-6, atol=0)
        assert relative(together.x[:, k], alone.x) < 1e-9
    assert (together.x[:, 3] == 0).all()


def test_tolerances_and_warm_start(random):
    A, b = spd(random), random(n)
    x = torch.linalg.solve(A, b)
    assert cg(lambda v: A @ v, b, x, rtol=1e-9).iterations == 0
    near = cg(lambda v: A @ v, b, x + 1e-4 * random(n), rtol=1e-9)
    far = cg(lambda v: A @ v, b, rtol=1e-9)
    assert near.iterations < far.iterations
    for options in ({"rtol": 1e-3}, {"rtol": 0, "atol": 1e-3 * float(b.norm())}):
        found = cg(lambda v: A @ v, b, **options)
        assert found.residuals[-1] <= 1e-3 * b.norm() < found.residuals[-2]
    stopped = cg(lambda v: A @ v, b, maxiter=3)
    assert not stopped.converged and stopped.message == "limit of 3 iterations reached"


def test_preconditioner(random):
    A, b = spd(random), random(n)
    scale = torch.logspace(0, 3, n, dtype=torch.float64)
    A = scale[:, None] * A * scale
    plain = cg(lambda v: A @ v, b, rtol=1e-8, maxiter=5000)
    jacobi = cg(lambda v: A @ v, b, rtol=1e-8, preconditioner=lambda r: r / A.diagonal())
    exact = cg(lambda v: A @ v, b, rtol=1e-8, preconditioner=lambda r: torch.linalg.solve(A, r))
    assert plain.converged and jacobi.iterations < plain.iterations / 3 and exact.iterations <= 2
    assert jacobi.residuals[-1] <= 1e-8 * b.norm()
    assert relative(jacobi.x, torch.linalg.solve(A, b)) < 1e-6


def test_breakdown_is_reported(random):
    A = spd(random)
    A = A - 100 * torch.eye(n, dtype=A.dtype)
    found = cg(lambda v: A @ v, random(n))
    assert not found.converged and found.message.startswith("breakdown: pᵀAp = -")
    assert cg(lambda v: v * torch.nan, random(n)).message.startswith("breakdown: pᵀAp = nan")
    with pytest.raises(ValueError, match="not positive definite"):
        solve(lambda w, x: A @ x, random(n), random(p))


def test_a_run_far_beyond_convergence_is_no_breakdown(random):
    A, b = spd(random), random(n)
    found = cg(lambda v: A @ v, b, rtol=0, maxiter=3000)
    assert not found.message.startswith("breakdown") and relative(found.x, torch.linalg.solve(A, b)) < 1e-11


def test_bad_input(random):
    A, b = spd(random), random(n)
    for options, message in (
        ({"b": b * torch.nan}, "finite"),
        ({"b": b, "rtol": -1.0}, "tolerances ≥ 0"),
        ({"b": b, "x0": b[:3]}, r"expected a start of shape \(40,\), got \(3,\)"),
    ):
        with pytest.raises(ValueError, match=message):
            cg(lambda v: A @ v, **options)


def test_dtype_is_kept(random):
    A, b = spd(random, condition=10).float(), random(n).float()
    found = cg(lambda v: A @ v, b, rtol=1e-4)
    assert found.converged and found.x.dtype == torch.float32
    x = solve(lambda w, x: A @ x * w[0], b, torch.ones(1), rtol=1e-4)
    assert x.dtype == torch.float32 and relative(x, torch.linalg.solve(A, b)) < 1e-3


def test_cgls_agrees_with_lstsq_and_lsqr(random):
    A, b = random(60, n), random(60)
    found = cgls(lambda x: A @ x, lambda y: A.T @ y, b, rtol=1e-13)
    expected = np.linalg.lstsq(A.numpy(), b.numpy())[0]
    assert found.converged and relative(found.x, torch.from_numpy(expected)) < 1e-10
    lsqr = scipy.sparse.linalg.lsqr(A.numpy(), b.numpy(), atol=0, btol=0, iter_lim=6)[0]
    six = cgls(lambda x: A @ x, lambda y: A.T @ y, b, maxiter=6)
    assert relative(six.x, torch.from_numpy(lsqr)) < 1e-8 and not six.converged
    columns = cgls(lambda x: A @ x, lambda y: A.T @ y, torch.stack([b, 2 * b], 1), torch.ones(n, 2).double())
    assert relative(columns.x[:, 1], 2 * torch.from_numpy(expected)) < 1e-6


def test_cgls_is_more_accurate_than_cg_on_the_normal_equations(random):
    U, V = torch.linalg.qr(random(60, 12))[0], torch.linalg.qr(random(12, 12))[0]
    A = U @ torch.diag(torch.logspace(0, -6, 12, dtype=torch.float64)) @ V.T
    x = random(12)
    b, options = A @ x, {"rtol": 0, "maxiter": 400}
    by_cgls = relative(A @ cgls(lambda v: A @ v, lambda y: A.T @ y, b, **options).x, b)
    by_cg = relative(A @ cg(lambda v: A.T @ (A @ v), A.T @ b, **options).x, b)
    assert by_cgls < by_cg / 10


def test_chebyshev_converges_at_its_rate_and_is_linear_in_b(random):
    A, b = spd(random), random(n)
    x, bounds = torch.linalg.solve(A, b), (1.0, 200.0)
    zero = torch.zeros_like(b)
    q = (200**0.5 - 1) / (200**0.5 + 1)
    for k in (20, 60):
        assert (chebyshev(lambda v: A @ v, b, zero, k, bounds) - x).norm() <= 2 * 200**0.5 * q**k * x.norm()
    twice = chebyshev(lambda v: A @ v, 2 * b, zero, 20, bounds)
    torch.testing.assert_close(twice, 2 * chebyshev(lambda v: A @ v, b, zero, 20, bounds))
    with pytest.raises(ValueError, match="0 < low < high"):
        chebyshev(lambda v: A @ v, b, zero, 3, (2.0, 1.0))


# Differentiating


@pytest.mark.parametrize("derivative", ["unrolled", "implicit"])
def test_jacobian_in_both_modes_and_as_dual(family, derivative):
    matrix, rhs, w, expected = family

    def f(w):
        return solve(lambda w, x: matrix(w) @ x, rhs(w), w, derivative=derivative, rtol=1e-12)

    assert relative(torch.func.jacfwd(f)(w), expected) < 1e-8
    assert relative(torch.func.jacrev(f)(w), expected) < 1e-8
    by_tape = w.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(f(by_tape).sum(), by_tape)
    assert relative(gradient, expected.sum(0)) < 1e-8
    assert taylor_test(f, w).passes()


def test_dual_numbers_agree_with_torch_func(family):
    matrix, rhs, w, expected = family
    dA = torch.func.jacfwd(matrix)(w)
    db = torch.func.jacfwd(rhs)(w)
    M = matrix(w)

    def A(w, x):
        return apply_linear(
            x, lambda x: M @ x, lambda y: M.T @ y, w, lambda x: torch.einsum("ijk,j->ik", dA, x)
        )

    def b(w):
        return Dual(rhs(w.value), db) if isinstance(w, Dual) else rhs(w)

    for options in (
        {"derivative": "unrolled"},
        {"derivative": "implicit"},
        {"derivative": "last", "last": 10, "maxiter": 30},
        {"derivative": "last", "last": 4, "maxiter": 30, "tail": "continue"},
        {"derivative": "last", "last": 9, "maxiter": 30, "tail": "chebyshev", "bounds": (1.0, 300.0)},
    ):
        by_dual = solve(A, b(Dual.variables(w)), Dual.variables(w), rtol=1e-10, **options)
        by_func = torch.func.jacfwd(lambda w, o=options: solve(A, b(w), w, rtol=1e-10, **o))(w)
        by_reverse = torch.func.jacrev(lambda w, o=options: solve(A, b(w), w, rtol=1e-10, **o))(w)
        assert relative(by_dual.tangents, by_func) < 1e-5 and relative(by_reverse, by_func) < 1e-5
        torch.testing.assert_close(by_dual.value, solve(A, b(w), w, rtol=1e-10, **options))
    assert relative(solve(A, b(Dual.variables(w)), Dual.variables(w), rtol=1e-12).tangents, expected) < 1e-9


def test_dual_arithmetic(random):
    x, s, c = random(5), random(), random(5)
    X, S = random(5, p), random(p)

    def check(f, *points):
        duals = [Dual(v, V) for v, V in points]
        found = f(*duals)
        value, expected = torch.func.jvp(f, tuple(v for v, _ in points), tuple(V[..., 0] for _, V in points))
        torch.testing.assert_close(found.value, value)
        torch.testing.assert_close(found.tangents[..., 0], expected)

    check(lambda x, s: (x * s + c) / s - x * 2.0, (x, X), (s, S))
    check(lambda x, s: (x @ x) * (c @ x) / (1.0 + s * s), (x, X), (s, S))
    check(lambda x: c - x * c + (x @ c) * x, (x, X))


def test_none_has_no_derivative(family):
    matrix, rhs, w, _ = family
    J = torch.func.jacfwd(lambda w: solve(lambda w, x: matrix(w) @ x, rhs(w), w, derivative="none"))(w)
    assert (J == 0).all()


def test_implicit_with_k_tangent_iterations_gets_better_with_k(family):
    matrix, rhs, w, expected = family
    errors = []
    for k in (2, 8, 16, 32):
        options = {"rtol": 1e-12, "tangent_rtol": 0.0, "tangent_maxiter": k}
        J = torch.func.jacfwd(lambda w, o=options: solve(lambda w, x: matrix(w) @ x, rhs(w), w, **o))(w)
        errors.append(relative(J, expected))
    assert errors[0] > errors[1] > errors[2] > errors[3] and errors[3] < 1e-3


def test_a_tail_with_nothing_before_it_is_the_whole_run(family):
    matrix, rhs, w, _ = family
    x0, options = 0.1 * rhs(w), {"maxiter": 12, "rtol": 0.0}

    def jacobian(**more):
        return torch.func.jacfwd(
            lambda w: solve(lambda w, x: matrix(w) @ x, rhs(w), w, x0, **options, **more)
        )(w)

    expected = jacobian(derivative="unrolled")
    for tail in ("restart", "continue"):
        assert relative(jacobian(derivative="last", last=12, tail=tail), expected) < 1e-12


def test_differentiating_the_last_half_is_sound_for_chebyshev_and_implicit_only(random):
    """Half of 60 iterations of CG, restarted or continued: far worse than none at all (relative error 1)."""
    A0, A1, b, w = spd(random, 60), random(60, 60), random(60), torch.zeros(1, dtype=torch.float64)
    A1 = (A1 + A1.T) / 10
    expected = torch.func.jacfwd(lambda w: torch.linalg.solve(A0 + w * A1, b))(w)

    def error(**options):
        J = torch.func.jacfwd(
            lambda w: solve(lambda w, x: (A0 + w * A1) @ x, b, w, maxiter=60, rtol=0, **options)
        )
        return relative(J(w), expected)

    last = {"derivative": "last", "last": 30, "bounds": (1.0, 200.0)}
    assert error(tail="restart", **last) > 10 and error(tail="continue", **last) > 10
    assert error(tail="chebyshev", **last) < 0.1
    assert error(tangent_rtol=0.0, tangent_maxiter=30) < 0.05
    assert error(derivative="unrolled") < 1e-3


def test_vmap_over_right_hand_sides_is_one_batched_run(family, random):
    matrix, _rhs, w, _ = family
    B, M = random(6, n), matrix(w)
    widths = []

    def product(x):
        widths.append(x.ndim)
        return M @ x

    def A(w, x):
        return apply_linear(x, product, product)

    for derivative in ("none", "unrolled", "implicit"):
        X = torch.vmap(lambda b, d=derivative: solve(A, b, w, derivative=d, maxiter=80))(B)
        assert relative(X.T, torch.linalg.solve(M, B.T)) < 1e-7
    widths.clear()
    torch.func.jacfwd(lambda b: solve(A, b, w, rtol=1e-10))(B[0])
    assert set(widths) == {1, 2} and len(widths) < 200  # vectors for x, then all n tangents as columns


def test_vmap_over_w_and_jacobian_of_a_batch(family, random):
    matrix, _rhs, w, _ = family
    W, B = 0.3 * random(3, p), random(4, n)

    def f(w, b):
        return solve(lambda w, x: matrix(w) @ x, b, w, maxiter=80)

    expected = torch.stack([torch.linalg.solve(matrix(w), B[0]) for w in W])
    assert relative(torch.vmap(lambda w: f(w, B[0]))(W), expected) < 1e-8
    J = torch.func.jacfwd(lambda w: torch.vmap(lambda b: f(w, b))(B))(w)
    assert relative(J, torch.func.jacfwd(lambda w: torch.linalg.solve(matrix(w), B.T).T)(w)) < 1e-7


def test_apply_linear_is_its_own_derivative(random):
    M, x = random(7, 5), random(5)

    def f(x):
        return apply_linear(x, lambda x: M @ x, lambda y: M.T @ y)

    assert adjoint_test(f, lambda y: torch.func.vjp(f, x)[1](y)[0], x) < 1e-14
    torch.testing.assert_close(torch.func.jacfwd(f)(x), M)
    torch.testing.assert_close(torch.func.jacrev(f)(x), M)
    torch.testing.assert_close(torch.vmap(f)(random(3, 5).clone()).shape, torch.Size([3, 7]))
    with pytest.raises(ValueError, match="one w for the whole batch"):
        torch.vmap(lambda w: apply_linear(x * w, lambda x: M @ x, lambda y: M.T @ y, w, lambda x: M))(
            random(3, 1)
        )


@pytest.mark.parametrize("adjoint", ["by hand", "by reverse mode"])
def test_least_squares_derivative_is_golub_and_pereyras(random, adjoint):
    A0, A1, b, w = random(30, 8), random(30, 8), random(30), random(1)

    def A(w, x):
        return (A0 + w * A1) @ x

    def At(w, y):
        return (A0 + w * A1).T @ y

    expected = torch.func.jacfwd(lambda w: torch.linalg.pinv(A0 + w * A1) @ (b * w))(w)
    given = At if adjoint == "by hand" else None
    for derivative in ("implicit", "unrolled"):

        def f(w, d=derivative):
            return least_squares(A, given, b * w, w, torch.zeros(8).double(), derivative=d, rtol=1e-12)

        assert relative(torch.func.jacfwd(f)(w), expected) < 1e-7
        assert relative(torch.func.jacrev(f)(w), expected) < 1e-7


def test_wrong_options_are_named(family):
    matrix, rhs, w, _ = family
    for options, message in (
        ({"derivative": "all"}, "unknown derivative 'all'"),
        ({"derivative": "last", "last": 11, "maxiter": 10}, "expected 0 ≤ last ≤ 10, got 11"),
        ({"derivative": "last", "last": 1, "tail": "chebyshev"}, "expected bounds of the eigenvalues"),
        ({"derivative": "last", "last": 1, "tail": "stop"}, "unknown tail 'stop'"),
    ):
        with pytest.raises(ValueError, match=message):
            solve(lambda w, x: matrix(w) @ x, rhs(w), w, **options)
    with pytest.raises(ValueError, match="expected a start x0"):
        least_squares(lambda w, x: matrix(w) @ x, None, rhs(w), w)


def test_a_tail_runs_even_where_the_value_has_converged(family):
    """By default the first run ends converged; the last k are differentiated all the same."""
    matrix, rhs, w, expected = family
    J = torch.func.jacfwd(
        lambda w: solve(lambda w, x: matrix(w) @ x, rhs(w), w, derivative="last", last=30, rtol=1e-13)
    )(w)
    assert relative(J, expected) < 1


def test_tangent_systems_that_cannot_be_solved_say_so():
    w, dA = torch.zeros(1, dtype=torch.float64), torch.ones(2, 2, dtype=torch.float64)
    b = torch.tensor([1.0, 0.0], dtype=torch.float64)
    for diagonal, words in (((1.0, -1.0), "tangent system: breakdown"), ((1.0, 0.0), "singular|breakdown")):
        A = torch.diag(torch.tensor(diagonal, dtype=torch.float64))
        with pytest.raises(ValueError, match=words):
            torch.func.jacfwd(lambda w, A=A: solve(lambda w, x: A @ x + w[0] * (dA @ x), b, w))(w)


def test_columns_have_no_derivative_in_w(random):
    A, dA, w = spd(random, 6), random(6, 6), torch.zeros(1, dtype=torch.float64)

    def product(w, x):
        return apply_linear(x, A.matmul, A.matmul, w, lambda v: (dA @ v)[:, None])

    with pytest.raises(ValueError, match="expected a vector x for a derivative in w"):
        torch.func.jacrev(lambda w: product(w, random(6, 3)))(w)


def test_dual_from_the_left_and_tiny_quotients(random):
    M, x, X = random(4, 5), random(5), random(5, 3)
    product = M @ Dual(x, X)
    torch.testing.assert_close(product.value, M @ x)
    torch.testing.assert_close(product.tangents, M @ X)
    tiny = torch.tensor(1e-200, dtype=torch.float64)
    quotient = Dual(tiny, tiny * torch.ones(1).double()) / Dual(2 * tiny, tiny * torch.ones(1).double())
    torch.testing.assert_close(quotient.value, torch.tensor(0.5).double())
    torch.testing.assert_close(quotient.tangents, torch.tensor([0.25]).double())


def test_least_squares_with_duals_uses_the_matrix_and_not_its_transpose(random):
    A, b, w = random(7, 7) + 3 * torch.eye(7).double(), random(7), random(2)
    B = random(7, 2)

    def run(w, b):
        return least_squares(
            lambda w, x: A @ x, lambda w, y: A.T @ y, b, w, derivative="unrolled", rtol=1e-13, maxiter=60
        )

    dual = run(Dual.variables(w), Dual(b, B))
    assert relative(dual.value, torch.linalg.solve(A, b)) < 1e-8
    assert relative(dual.tangents, torch.linalg.solve(A, B)) < 1e-6


def test_numbers_out_of_range_and_bad_starts_are_refused(random):
    A, b = spd(random, 5), random(5)
    for scale in (1e30, 1e-30):
        with pytest.raises(ValueError, match=r"within the range of torch\.float32"):
            cg(A.float().matmul, (scale * b).float())
    with pytest.raises(ValueError, match="expected a start of finite numbers"):
        cg(A.matmul, b, b * torch.nan)
    for call in (cg, lambda A, b, x0: cgls(A, A, b, x0), lambda A, b, x0: solve(lambda w, x: A(x), b, b, x0)):
        with pytest.raises(ValueError, match=r"expected a start of shape \(5,\), got \(5, 1\)"):
            call(A.matmul, b, b[:, None])
    with pytest.raises(ValueError, match="iterations ≥ 0"):
        cg(A.matmul, b, maxiter=-1)
    assert cg(A.matmul, b, maxiter=0).iterations == 0


def test_a_zero_column_is_done_at_once_also_from_a_warm_start(random):
    A, B = spd(random, 8), random(8, 2)
    B[:, 1] = 0
    found = cg(A.matmul, B, random(8, 2))
    assert found.converged and (found.x[:, 1] == 0).all()
    assert found.iterations <= cg(A.matmul, B[:, 0]).iterations + 3


def test_a_tolerance_below_rounding_is_not_asked_for(random):
    A, b = spd(random, 30).float(), random(30).float()
    assert cg(A.matmul, b, rtol=1e-12).converged
