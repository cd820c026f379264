"""The checkers of chapter 1 accept right answers and name the errors that people make."""

import pytest
import torch
from torch.func import grad, hessian, jacfwd, jvp, vjp

from regbook.practice import ch01 as practice


def rejects(checker, answer, says):
    with pytest.raises(AssertionError, match=says):
        checker(answer)


RIGHT = {"da": 27 / 16, "db": 9 / 16, "dx": 3 / 32, "dR": -1 / 2}


def test_1_1_accepts_the_solution():
    assert practice.check_1_1(**RIGHT).startswith("Right")


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({name: 2 * value for name, value in RIGHT.items()}, "twice"),
        ({name: -value for name, value in RIGHT.items()}, "wrong sign: the residual"),
        ({"dR": 0.5}, "∂J/∂R"),
        ({"da": 3 / 32, "dx": 27 / 16}, "swapped"),
        ({"da": 9 / 16}, "multiplied by x"),
        ({"da": 1.5, "db": 0.5, "dx": 1 / 12}, "slope of the edge"),
        ({"db": 0.7}, "db is off"),
    ],
)
def test_1_1_names_the_error(changed, says):
    with pytest.raises(AssertionError, match=says):
        practice.check_1_1(**(RIGHT | changed))


def divide(u, du, v, dv):
    return u / v, (du - u / v * dv) / v


def test_1_2_accepts_the_solution():
    assert practice.check_1_2(divide).startswith("Right")


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        (lambda u, du, v, dv: (u / v, (u * dv - du * v) / v**2), "wrong sign"),
        (lambda u, du, v, dv: (u / v, (du * v + u * dv) / v**2), "plus where a minus"),
        (lambda u, du, v, dv: (u / v, (du * v - u * dv) / v), "not by v"),
        (lambda u, du, v, dv: (u / v, du * v - u * dv), "is missing"),
        (lambda u, du, v, dv: (u / v, du / dv), "quotient of the tangents"),
        (lambda u, du, v, dv: (u / v, du / v), "holds v fixed"),
        (lambda u, du, v, dv: (v / u, 0.0), "the value"),
        (lambda u, du, v, dv: u / v, "pair"),
        (lambda u, du, v, dv: (u / v, 0.1), "the tangent is"),
    ],
)
def test_1_2_names_the_error(answer, says):
    rejects(practice.check_1_2, answer, says)


def sweep(seed=True, order=reversed, add=True, derivatives=True, at=None):
    """A backward sweep, right unless told otherwise."""

    def play_back(tape, output):
        bar = [0.0] * len(tape)
        bar[output if at is None else at] = 1.0 if seed else 0.0
        for k in order(range(len(tape))):
            for j, derivative in tape[k]:
                passed = bar[k] * (derivative if derivatives else 1.0)
                bar[j] = bar[j] + passed if add else passed
        return bar

    return play_back


def test_1_3_accepts_the_solution():
    assert practice.check_1_3(sweep()).startswith("Right")


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"add": False}, "`\\+=`, not `=`"),
        ({"seed": False}, "seed, is 1"),
        ({"order": iter}, "forwards"),
        ({"derivatives": False}, "derivative is missing"),
        ({"at": -1}, "not to the last entry"),
    ],
)
def test_1_3_names_the_error(wrong, says):
    rejects(practice.check_1_3, sweep(**wrong), says)


def test_1_3_names_a_wrong_length():
    rejects(practice.check_1_3, lambda tape, output: sweep()(tape, output)[:4], "each of the 5")
    rejects(practice.check_1_3, lambda tape, output: [0.0][99:100] or tape[99], "out of range")


def test_1_4_accepts_both_right_orders():
    assert practice.check_1_4(lambda f, w, v: jvp(grad(f), (w,), (v,))[1]).startswith("Right")
    assert practice.check_1_4(lambda f, w, v: grad(lambda z: grad(f)(z) @ v)(w)).startswith("Right")


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        (lambda f, w, v: jvp(grad(f), (w,), (v,)), "pair"),
        (lambda f, w, v: jvp(grad(f), (w,), (v,))[0], "this is the gradient"),
        (lambda f, w, v: jvp(f, (w,), (v,))[1], "first derivative"),
        (lambda f, w, v: v @ jvp(grad(f), (w,), (v,))[1], "one number"),
        (lambda f, w, v: hessian(f)(w), "matrix"),
        (lambda f, w, v: hessian(f)(w).diagonal() * v, "only the diagonal"),
        (lambda f, w, v: 2 * jvp(grad(f), (w,), (v,))[1], "twice"),
        (lambda f, w, v: -jvp(grad(f), (w,), (v,))[1], "wrong sign"),
        (lambda f, w, v: jvp(grad(f), (w,), (w,))[1], "H w"),
        (lambda f, w, v: grad(lambda z: grad(f)(z).sum())(w), "vector of ones"),
        (lambda f, w, v: jacfwd(jacfwd(f))(w) @ v, "forward mode inside"),
        (lambda f, w, v: jvp(grad(f), (w,), (v,))[1] + 1, "by hand"),
        (lambda f, w, v: v[:2], "shape of v"),
    ],
)
def test_1_4_names_the_error(answer, says):
    rejects(practice.check_1_4, answer, says)


def adjoint(A, x, y):
    return vjp(A, x)[1](y)[0]


def test_1_5_accepts_the_solution_and_the_dense_way():
    assert practice.check_1_5(adjoint).startswith("Right")

    def dense(A, x, y):
        return torch.tensordot(y, jacfwd(A)(x), dims=1)

    assert practice.check_1_5(dense).startswith("Right")


def forwards_if_square(A, x, y):
    return jvp(A, (x,), (y,))[1] if x.shape == y.shape else adjoint(A, x, y)


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        (lambda A, x, y: vjp(A, x)[1](y), "tuple"),
        (lambda A, x, y: vjp(A, x)[1], "pull-back with y"),
        (lambda A, x, y: jvp(A, (x,), (x,))[1], "pushed forwards"),
        (lambda A, x, y: jvp(A, (x,), (y,))[1], "wants one of the shape of x"),
        (lambda A, x, y: adjoint(A, x, y).reshape(-1), "in a row"),
        (lambda A, x, y: adjoint(A, x, y).T, "expected the shape of x"),
        (lambda A, x, y: 2 * adjoint(A, x, y), "factor of 2"),
        (lambda A, x, y: -adjoint(A, x, y), "sign"),
        (lambda A, x, y: adjoint(A, x, A(x)), "AᵀA x"),
        (lambda A, x, y: adjoint(A, x, y) + 1, "not Aᵀy"),
        (forwards_if_square, "A y: forwards"),
    ],
)
def test_1_5_names_the_error(answer, says):
    rejects(practice.check_1_5, answer, says)


def safe_length(v):
    squared = v.square().sum()
    nothing = squared == 0
    return torch.where(nothing, 0.0, torch.where(nothing, 1.0, squared).sqrt())


def test_1_6_accepts_the_solution():
    assert practice.check_1_6(safe_length).startswith("Right")
    assert practice.check_1_6(torch.linalg.norm).startswith("Right")


def too_careful(v):
    squared = v.square().sum()
    short = squared < 1e-12
    return torch.where(short, squared * 1e6, torch.where(short, 1.0, squared).sqrt())


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        (lambda v: torch.where((v == 0).all(), 0.0, v.square().sum().sqrt()), "still NaN"),
        (lambda v: (v.square().sum() + 1e-12).sqrt(), "small number under the root"),
        (lambda v: v.abs().sum(), "value has changed"),
        (lambda v: safe_length(v.detach()) + 0 * v.sum(), "cut the graph"),
        (lambda v: v[0] + (safe_length(v) - v[0]).detach(), "the gradient at 0 should be 0"),
        (lambda v: safe_length(v.detach()) + (v * v.detach()).sum() - (v.detach() ** 2).sum(), "away from 0"),
        (too_careful, "short vectors"),
    ],
)
def test_1_6_names_the_error(answer, says):
    rejects(practice.check_1_6, answer, says)


def tridiagonal(push, n):
    J, column = torch.zeros(n, n, dtype=torch.float64), torch.arange(n)
    for group in range(3):
        product = push((column % 3 == group).to(J.dtype))
        for i in range(n):
            for j in range(max(0, i - 1), min(n, i + 2)):
                if j % 3 == group:
                    J[i, j] = product[i]
    return J


def column_by_column(push, n):
    return torch.stack([push(e) for e in torch.eye(n, dtype=torch.float64)], dim=1)


def test_1_7_accepts_the_solution():
    assert practice.check_1_7(tridiagonal).startswith("Right")


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        (column_by_column, "took 7 products"),
        (lambda push, n: tridiagonal(push, n).T, "transposed"),
        (lambda push, n: torch.diag(tridiagonal(push, n).diagonal()), "only the diagonal"),
        (lambda push, n: tridiagonal(push, n).tril(), "side diagonals"),
        (lambda push, n: tridiagonal(push, n)[:-1], "expected shape"),
        (lambda push, n: 2 * tridiagonal(push, n), "entry \\(i, j\\)"),
    ],
)
def test_1_7_names_the_error(answer, says):
    rejects(practice.check_1_7, answer, says)
