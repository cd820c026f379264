"""Second derivatives: of implicit solves right, of maps that are given as plain functions refused."""

from __future__ import annotations

import pytest
import torch
from torch.func import hessian, jacfwd, jacrev

from regkit.checks import taylor_test
from regkit.dual import apply_linear
from regkit.implicit import Implicit, least_squares, solve
from regkit.linear import CG, Cholesky

n, p = 12, 3


@pytest.fixture
def family(random, bent):
    """A(w) x = b(w), bent in w."""
    matrix, b = bent(n, p)
    return matrix, lambda w: b * torch.cos(w[0]) + w.prod(), 0.3 * random(p)


SOLVERS = [(CG(rtol=1e-13), Implicit()), (Cholesky(), Implicit()), (CG(rtol=1e-13), Implicit(Cholesky()))]


@pytest.mark.parametrize(("solver", "derivative"), SOLVERS, ids=repr)
def test_second_derivatives_of_implicit_solves(family, solver, derivative, random):
    """By all modes: against torch.linalg.solve, and against differences of first derivatives."""
    matrix, rhs, w = family

    def f(w):
        return solve(lambda w, x: matrix(w) @ x, rhs(w), w, solver=solver, derivative=derivative)

    # not forward over forward, for which torch.linalg.solve itself is wrong: it is not symmetric
    expected = hessian(lambda w: torch.linalg.solve(matrix(w), rhs(w)))(w)
    for twice in (jacfwd(jacfwd(f)), jacfwd(jacrev(f)), jacrev(jacfwd(f)), jacrev(jacrev(f)), hessian(f)):
        assert (twice(w) - expected).norm() <= 1e-8 * expected.norm()
    v, h = random(p), 1e-5
    difference = (jacfwd(f)(w + h * v) - jacfwd(f)(w - h * v)) / (2 * h)
    assert (difference - expected @ v).norm() <= 1e-7 * expected.norm()

    def loss(w):
        return (f(w) ** 2).sum()

    assert taylor_test(loss, w, order=2, second=None).passes()
    tape = w.clone().requires_grad_()
    (slope,) = torch.autograd.grad(loss(tape), tape, create_graph=True)
    again = torch.stack([torch.autograd.grad(each, tape, retain_graph=True)[0] for each in slope])
    assert (again - hessian(loss)(w)).norm() <= 1e-7 * again.norm()


def test_second_derivatives_of_least_squares(random):
    t, b = torch.linspace(0, 2, 9, dtype=torch.float64), random(9)

    def basis(w):
        return torch.stack([torch.exp(-w[0] * t), torch.cos(w[1] * t)], 1)

    def f(w):
        A, At = (lambda w, x: basis(w) @ x), (lambda w, y: basis(w).T @ y)
        return least_squares(A, At, b, w, solver=Cholesky())

    def exact(w):
        return torch.linalg.solve(basis(w).T @ basis(w), basis(w).T @ b)

    w = torch.tensor([0.7, 2.0], dtype=torch.float64)
    for twice in (jacfwd(jacfwd(f)), jacfwd(jacrev(f)), jacrev(jacrev(f))):
        expected = hessian(exact)(w)
        assert (twice(w) - expected).norm() <= 1e-8 * expected.norm()


def test_third_derivatives_too():
    A = lambda w, x: torch.stack([2 * x[0] + w[0] * x[1], w[0] * x[0] + x[1]])  # noqa: E731
    third = jacfwd(jacrev(jacfwd(lambda w: solve(A, torch.ones(2).double(), w, solver=Cholesky()))))
    exact = jacfwd(jacfwd(jacfwd(lambda w: torch.stack([1 - w[0], 2 - w[0]]) / (2 - w[0] ** 2))))
    w = torch.tensor([0.3], dtype=torch.float64)
    assert torch.allclose(third(w), exact(w), rtol=1e-10)


def test_many_right_hand_sides_and_many_w(family):
    matrix, rhs, w = family
    f = lambda w, b: solve(lambda w, x: matrix(w) @ x, b, w, solver=CG(rtol=1e-12))  # noqa: E731
    bs, ws = torch.stack([rhs(w), 2 * rhs(w), w.sum().expand(n)]), torch.stack([w, w + 0.1])
    for found, b in zip(torch.func.vmap(f, (None, 0))(w, bs), bs, strict=True):
        assert torch.allclose(found, torch.linalg.solve(matrix(w), b), rtol=1e-9)
    for found, each in zip(torch.func.vmap(f, (0, None))(ws, bs[0]), ws, strict=True):
        assert torch.allclose(found, torch.linalg.solve(matrix(each), bs[0]), rtol=1e-9)


def test_a_second_derivative_that_nobody_knows_is_refused():
    """A(w) = w² I, of which the caller gives the first derivative only."""
    x0 = torch.tensor([1.0, 2.0], dtype=torch.float64)

    def f(w, x=x0):
        values = w.detach()
        times = lambda x: values[0] ** 2 * x  # noqa: E731
        return apply_linear(x, times, times, w, lambda x: 2 * values[0] * x[:, None])

    w = torch.tensor([3.0], dtype=torch.float64)
    assert jacfwd(f)(w).tolist() == jacrev(f)(w).tolist() == [[6.0], [12.0]]
    both = [lambda w: f(w, w * x0)]  # in x as well
    for function in (f, *both):
        for twice in (
            jacfwd(jacfwd(function)),
            jacfwd(jacrev(function)),
            jacrev(jacfwd(function)),
            jacrev(jacrev(function)),
        ):
            with pytest.raises(
                ValueError, match="expected one derivative in w of a map that is given as plain functions"
            ):
                twice(w)
    M = 2 * torch.eye(2).double()
    bent = hessian(lambda x: apply_linear(x**2, M.matmul, M.matmul).sum())(x0)
    assert torch.allclose(bent, 4 * torch.eye(2).double())
