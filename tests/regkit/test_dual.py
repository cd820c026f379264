"""Dual numbers and linear maps given as functions, against torch.func."""

from __future__ import annotations

import pytest
import torch

from regkit.checks import adjoint_test
from regkit.dual import Dual, apply_linear

p = 3


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


def test_dual_from_the_left_and_tiny_quotients(random):
    M, x, X = random(4, 5), random(5), random(5, 3)
    product = M @ Dual(x, X)
    torch.testing.assert_close(product.value, M @ x)
    torch.testing.assert_close(product.tangents, M @ X)
    tiny = torch.tensor(1e-200, dtype=torch.float64)
    quotient = Dual(tiny, tiny * torch.ones(1).double()) / Dual(2 * tiny, tiny * torch.ones(1).double())
    torch.testing.assert_close(quotient.value, torch.tensor(0.5).double())
    torch.testing.assert_close(quotient.tangents, torch.tensor([0.25]).double())


def test_a_dual_knows_its_shape_and_says_it(random):
    x = Dual(random(5), random(5, 3))
    assert x.shape == (5,) and x.ndim == 1 and torch.equal(x.detach(), x.value)
    assert repr(x) == "Dual of shape (5,) with 3 tangents" and x == x


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


def test_apply_linear_with_a_matrix_that_depends_on_w(random):
    """A(w) x as torch operations, against its product and D given as functions: three kinds of derivative."""
    M, w, x = random(6, 4, 2), random(2), random(4)
    A = M @ w

    def by_torch(w):
        return M @ w @ (x * w[0])

    def by_functions(w):
        D = lambda x: torch.einsum("mnp,n->mp", M, x)  # noqa: E731
        return apply_linear(x * w[0], A.matmul, A.T.matmul, w, D)

    expected = torch.func.jacfwd(by_torch)(w)
    torch.testing.assert_close(torch.func.jacfwd(by_functions)(w), expected)
    torch.testing.assert_close(torch.func.jacrev(by_functions)(w), expected)
    variables = Dual.variables(w)
    first = Dual(x * w[0], x[:, None] * torch.tensor([1.0, 0.0]).double())
    by_dual = apply_linear(first, A.matmul, A.T.matmul, variables, lambda x: torch.einsum("mnp,n->mp", M, x))
    torch.testing.assert_close(by_dual.tangents, expected)


def test_columns_have_no_derivative_in_w(random, spd):
    A, dA, w = spd(6), random(6, 6), torch.zeros(1, dtype=torch.float64)

    def product(w, x):
        return apply_linear(x, A.matmul, A.matmul, w, lambda v: (dA @ v)[:, None])

    with pytest.raises(ValueError, match="expected a vector x for a derivative in w"):
        torch.func.jacrev(lambda w: product(w, random(6, 3)))(w)
