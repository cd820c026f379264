"""Derivatives of the solutions of linear systems, against torch.linalg.solve differentiated by AD."""

from __future__ import annotations

import pytest
import torch

from regkit.checks import taylor_test
from regkit.dual import Dual, apply_linear
from regkit.implicit import (
    Chebyshev,
    Continue,
    Derivative,
    Frozen,
    Implicit,
    Last,
    Restart,
    System,
    Tail,
    Unrolled,
    least_squares,
    solve,
)
from regkit.linear import CG, CGLS, Cholesky
from regkit.operators import Matrix

n, p = 40, 3


@pytest.fixture
def family(random, bent):
    """A(w) x = b(w) as (A, matrix, rhs, w) and the exact Jacobian from torch.linalg.solve."""
    matrix, b = bent(n, p)

    def rhs(w):
        return b * torch.cos(w[0]) + w.sum()

    w = 0.3 * random(p)
    jacobian = torch.func.jacfwd(lambda w: torch.linalg.solve(matrix(w), rhs(w)))(w)
    return (lambda w, x: matrix(w) @ x), matrix, rhs, w, jacobian


def relative(a, b):
    return float((a - b).norm() / b.norm())


def forward(A, rhs, w, *how):
    """The Jacobian of ``solve`` by forward mode."""
    return torch.func.jacfwd(lambda w: solve(A, rhs(w), w, None, *how))(w)


TIGHT = CG(rtol=1e-12)
EXACT = [(TIGHT, Unrolled()), (TIGHT, Implicit()), (CG(rtol=1e-3), Implicit(TIGHT)), (Cholesky(), Implicit())]


@pytest.mark.parametrize(("solver", "derivative"), [EXACT[0], EXACT[1], EXACT[3]], ids=repr)
def test_jacobian_in_both_modes_and_on_a_tape(family, solver, derivative):
    A, _, rhs, w, expected = family

    def f(w):
        return solve(A, rhs(w), w, solver=solver, derivative=derivative)

    assert relative(torch.func.jacfwd(f)(w), expected) < 1e-8
    assert relative(torch.func.jacrev(f)(w), expected) < 1e-8
    by_tape = w.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(f(by_tape).sum(), by_tape)
    assert relative(gradient, expected.sum(0)) < 1e-8
    assert taylor_test(f, w).passes()


def test_dual_numbers_agree_with_torch_func(family):
    _, matrix, rhs, w, expected = family
    dA = torch.func.jacfwd(matrix)(w)
    db = torch.func.jacfwd(rhs)(w)
    M = matrix(w)

    def A(w, x):
        return apply_linear(x, M.matmul, M.T.matmul, w, lambda x: torch.einsum("ijk,j->ik", dA, x))

    def b(w):
        return Dual(rhs(w.value), db) if isinstance(w, Dual) else rhs(w)

    thirty, rounded = CG(rtol=1e-10, maxiter=30), CG(rtol=1e-10)
    for solver, derivative in (
        (rounded, Unrolled()),
        (rounded, Implicit()),
        (Cholesky(), Implicit()),
        (thirty, Last(10)),
        (thirty, Last(4, Continue())),
        (thirty, Last(9, Chebyshev((1.0, 300.0)))),
    ):

        def f(w, s=solver, d=derivative):
            return solve(A, b(w), w, None, s, d)

        by_dual = f(Dual.variables(w))
        by_func, by_reverse = torch.func.jacfwd(f)(w), torch.func.jacrev(f)(w)
        assert relative(by_dual.tangents, by_func) < 1e-5 and relative(by_reverse, by_func) < 1e-5
        torch.testing.assert_close(by_dual.value, f(w))
    found = solve(A, b(Dual.variables(w)), Dual.variables(w), solver=TIGHT)
    assert relative(found.tangents, expected) < 1e-9


def test_frozen_has_no_derivative(family):
    A, matrix, rhs, w, _ = family
    assert (forward(A, rhs, w, CG(), Frozen()) == 0).all()
    assert relative(solve(A, rhs(w), w, None, TIGHT, Frozen()), torch.linalg.solve(matrix(w), rhs(w))) < 1e-9


def test_implicit_with_k_tangent_iterations_gets_better_with_k(family):
    A, _, rhs, w, expected = family
    errors = [relative(forward(A, rhs, w, TIGHT, Implicit(CG.fixed(k))), expected) for k in (2, 8, 16, 32)]
    assert errors[0] > errors[1] > errors[2] > errors[3] and errors[3] < 1e-3
    assert relative(forward(A, rhs, w, TIGHT, Implicit(Cholesky())), expected) < 1e-9


def test_the_error_of_x_stays_in_the_tangent(family):
    """Five iterations for x, and an exact solve for the tangents: A⁻¹ (ḃ − Ȧ x) at this x."""
    A, matrix, rhs, w, expected = family
    J = forward(A, rhs, w, CG.fixed(5), Implicit(Cholesky()))
    x = CG.fixed(5).solve(matrix(w).matmul, rhs(w)).x
    right = torch.func.jacfwd(lambda v: rhs(v) - matrix(v) @ x)(w)
    assert relative(J, torch.linalg.solve(matrix(w), right)) < 1e-10 and relative(J, expected) > 1e-3


def test_a_tail_with_nothing_before_it_is_the_whole_run(family):
    A, _, rhs, w, _ = family
    x0 = 0.1 * rhs(w)

    def jacobian(derivative):
        return torch.func.jacfwd(lambda w: solve(A, rhs(w), w, x0, CG.fixed(12), derivative))(w)

    expected = jacobian(Unrolled())
    for tail in (Restart(), Continue()):
        assert relative(jacobian(Last(12, tail)), expected) < 1e-12


def test_unrolling_includes_a_start_that_moves(family):
    A, _, rhs, w, _ = family
    step = 1e-6 * torch.eye(p, dtype=torch.float64)

    def f(w):
        return solve(A, rhs(w), w, w.sum() * torch.ones(n).double(), CG.fixed(4), Unrolled())

    by_differences = torch.stack([(f(w + e) - f(w - e)) / 2e-6 for e in step], dim=1)
    assert relative(torch.func.jacfwd(f)(w), by_differences) < 1e-6


def test_differentiating_the_last_half_is_sound_for_chebyshev_and_implicit_only(random, spd):
    """Half of 60 iterations of CG, restarted or continued: far worse than none at all (relative error 1)."""
    A0, A1, b, w = spd(60), random(60, 60), random(60), torch.zeros(1, dtype=torch.float64)
    A1 = (A1 + A1.T) / 10
    expected = torch.func.jacfwd(lambda w: torch.linalg.solve(A0 + w * A1, b))(w)

    def error(derivative):
        return relative(
            forward(lambda w, x: (A0 + w * A1) @ x, lambda w: b, w, CG.fixed(60), derivative), expected
        )

    assert error(Last(30)) > 10 and error(Last(30, Continue())) > 10
    assert error(Last(30, Chebyshev((1.0, 200.0)))) < 0.1
    assert error(Implicit(CG.fixed(30))) < 0.05
    assert error(Unrolled()) < 1e-3


def test_chebyshev_converges_at_its_rate_and_is_linear_in_b(random, spd):
    A, b = spd(n), random(n)
    x, zero, method = torch.linalg.solve(A, b), torch.zeros(n).double(), Chebyshev((1.0, 200.0))
    q = (200**0.5 - 1) / (200**0.5 + 1)
    for k in (20, 60):
        assert (method.iterate(A.matmul, b, zero, k) - x).norm() <= 2 * 200**0.5 * q**k * x.norm()
    twice = method.iterate(A.matmul, 2 * b, zero, 20)
    torch.testing.assert_close(twice, 2 * method.iterate(A.matmul, b, zero, 20))


def test_bounds_may_be_a_function_of_the_operator(family):
    A, matrix, rhs, w, _ = family
    values = torch.linalg.eigvalsh(matrix(w))
    pair = float(values[0]), float(values[-1])

    def bounds(A):
        values = torch.linalg.eigvalsh(A.dense(rhs(w)))
        return float(values[0]), float(values[-1])

    tails = Last(15, Chebyshev(pair)), Last(15, Chebyshev(bounds))
    given, computed = (forward(A, rhs, w, CG.fixed(30), tail) for tail in tails)
    assert relative(computed, given) < 1e-8
    with pytest.raises(ValueError, match="0 < low < high"):
        forward(A, rhs, w, CG.fixed(30), Last(15, Chebyshev(lambda A: (2.0, 1.0))))


def test_vmap_over_right_hand_sides_is_one_batched_run(family, random):
    _, matrix, _, w, _ = family
    B, M = random(6, n), matrix(w)
    widths = []

    def product(x):
        widths.append(x.ndim)
        return M @ x

    def A(w, x):
        return apply_linear(x, product, product)

    for derivative in (Frozen(), Unrolled(), Implicit()):
        X = torch.vmap(lambda b, d=derivative: solve(A, b, w, None, CG(maxiter=80), d))(B)
        assert relative(X.T, torch.linalg.solve(M, B.T)) < 1e-7
    widths.clear()
    torch.func.jacfwd(lambda b: solve(A, b, w, solver=CG(rtol=1e-10)))(B[0])
    assert set(widths) == {1, 2} and len(widths) < 200  # vectors for x, then all n tangents as columns


def test_vmap_over_w_and_jacobian_of_a_batch(family, random):
    A, matrix, _, w, _ = family
    W, B = 0.3 * random(3, p), random(4, n)

    def f(w, b):
        return solve(A, b, w, solver=CG(maxiter=80))

    expected = torch.stack([torch.linalg.solve(matrix(w), B[0]) for w in W])
    assert relative(torch.vmap(lambda w: f(w, B[0]))(W), expected) < 1e-8
    J = torch.func.jacfwd(lambda w: torch.vmap(lambda b: f(w, b))(B))(w)
    assert relative(J, torch.func.jacfwd(lambda w: torch.linalg.solve(matrix(w), B.T).T)(w)) < 1e-7


def test_float32_is_kept(random, spd):
    A, b = spd(n, 10.0).float(), random(n).float()
    x = solve(lambda w, x: A @ x * w[0], b, torch.ones(1), solver=CG(rtol=1e-4))
    assert x.dtype == torch.float32 and relative(x, torch.linalg.solve(A, b)) < 1e-3


@pytest.mark.parametrize("adjoint", ["by hand", "by reverse mode"])
def test_least_squares_derivative_is_golub_and_pereyras(random, adjoint):
    A0, A1, b, w = random(30, 8), random(30, 8), random(30), random(1)

    def A(w, x):
        return (A0 + w * A1) @ x

    def At(w, y):
        return (A0 + w * A1).T @ y

    expected = torch.func.jacfwd(lambda w: torch.linalg.pinv(A0 + w * A1) @ (b * w))(w)
    given = At if adjoint == "by hand" else None
    for solver, derivative in ((TIGHT, Implicit()), (TIGHT, Unrolled()), (Cholesky(), Implicit())):

        def f(w, s=solver, d=derivative):
            return least_squares(A, given, b * w, w, torch.zeros(8).double(), s, d)

        assert relative(torch.func.jacfwd(f)(w), expected) < 1e-7
        assert relative(torch.func.jacrev(f)(w), expected) < 1e-7


def test_least_squares_with_duals_uses_the_matrix_and_not_its_transpose(random):
    A, b, w = random(7, 7) + 3 * torch.eye(7).double(), random(7), random(2)
    B = random(7, 2)
    solver = CG(rtol=1e-13, maxiter=60)
    products = (lambda w, x: A @ x), (lambda w, y: A.T @ y)
    dual = least_squares(*products, Dual(b, B), Dual.variables(w), None, solver, Unrolled())
    assert relative(dual.value, torch.linalg.solve(A, b)) < 1e-8
    assert relative(dual.tangents, torch.linalg.solve(A, B)) < 1e-6


def test_what_makes_no_sense_is_refused_when_it_is_made():
    for make, words in (
        (lambda: Last(-1), "iterations k ≥ 0, got -1"),
        (lambda: Last(3, "restart"), "expected a tail, such as Restart"),
        (lambda: Last(3, Restart), "expected a tail, such as Restart"),
        (lambda: Chebyshev((2.0, 1.0)), "0 < low < high, got"),
        (lambda: Chebyshev((0.0, 1.0)), "0 < low < high, got"),
        (lambda: Chebyshev((1.0, float("nan"))), "0 < low < high, got"),
        (lambda: Chebyshev(3.0), "0 < low < high, got 3.0"),
        (lambda: Implicit(20), "expected a solver of A x = b, such as CG"),
        (lambda: Implicit(CGLS()), "expected a solver of A x = b, such as CG"),
    ):
        with pytest.raises(ValueError, match=words):
            make()


def test_what_does_not_fit_together_is_named(family):
    A, _, rhs, w, _ = family
    for solver, derivative, words in (
        (CG(), "implicit", "expected a derivative, such as Implicit"),
        (CG(), CG(), "expected a derivative, such as Implicit"),
        (CGLS(), Implicit(), "expected a solver of A x = b"),
        (Cholesky(), Unrolled(), "iterations to differentiate, such as CG"),
        (Cholesky(), Last(3), "iterations to differentiate, such as CG"),
        (CG.fixed(10), Last(11), "expected a k of at most 10, got 11"),
        (CG(), Last(401), "expected a k of at most 400, got 401"),
    ):
        with pytest.raises(ValueError, match=words):
            solve(A, rhs(w), w, None, solver, derivative)
    with pytest.raises(ValueError, match="expected a start x0"):
        least_squares(A, None, rhs(w), w)
    with pytest.raises(ValueError, match=r"expected a start of shape \(40,\), got \(3,\)"):
        solve(A, rhs(w), w, w)
    for base in (Derivative().solution, Tail().run):
        with pytest.raises(NotImplementedError):
            base(*[None] * (3 if base.__name__ == "solution" else 6))


def test_a_tail_runs_even_where_the_value_has_converged(family):
    """By default the first run ends converged; the last k are differentiated all the same."""
    A, _, rhs, w, expected = family
    assert relative(forward(A, rhs, w, CG(rtol=1e-13), Last(30)), expected) < 1


def test_breakdowns_are_errors(random, spd):
    A = spd(n) - 100 * torch.eye(n).double()
    for derivative in (Frozen(), Implicit(), Unrolled(), Last(3), Last(3, Continue())):
        with pytest.raises(ValueError, match="not positive definite"):
            solve(lambda w, x: A @ x, random(n), random(p), derivative=derivative)


def test_tangent_systems_that_cannot_be_solved_say_so():
    w, dA = torch.zeros(1, dtype=torch.float64), torch.ones(2, 2, dtype=torch.float64)
    b = torch.tensor([1.0, 0.0], dtype=torch.float64)
    for diagonal, words in (((1.0, -1.0), "tangent system: breakdown"), ((1.0, 0.0), "singular|breakdown")):
        A = torch.diag(torch.tensor(diagonal, dtype=torch.float64))
        with pytest.raises(ValueError, match=words):
            torch.func.jacfwd(lambda w, A=A: solve(lambda w, x: A @ x + w[0] * (dA @ x), b, w))(w)


def test_the_inverse_of_a_system_shares_its_factor(random, spd):
    A, calls = spd(n), []

    class Counted(Matrix):
        def dense(self, like):
            calls.append(like.shape)
            return super().dense(like)

    system = System(Counted(A), random(n), None, Cholesky())
    B = random(n, 3)
    torch.testing.assert_close(system.x, torch.linalg.solve(A, system.b))
    torch.testing.assert_close(system.inverse()(B), torch.linalg.solve(A, B))
    assert len(calls) == 1
    few = system.inverse(CG.fixed(3))(B)
    torch.testing.assert_close(few, CG.fixed(3).solve(A.matmul, B).x)
