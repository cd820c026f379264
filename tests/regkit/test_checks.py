"""The tests that test derivatives must themselves find what is wrong."""

from __future__ import annotations

import math

import pytest
import torch

from regkit.checks import adjoint_test, taylor_test


def cubic(x):
    return (x**3).sum() + x.prod()


def test_right_derivatives_pass_with_the_slopes_of_the_theory(random):
    result = taylor_test(cubic, random(4), order=2)
    assert result.passes()
    assert result.slopes.tolist() == pytest.approx([1, 2, 3], abs=0.1)
    assert result.errors.shape == (3, len(result.steps))


def test_remainders_are_the_numbers_of_the_formula():
    """f = x⁴ at 1 along 1: the remainders are (1+h)⁴ − 1, that − 4h, and that − 6h²."""
    steps = torch.tensor([0.5, 0.25, 0.125], dtype=torch.float64)
    one = torch.ones(1, dtype=torch.float64)
    result = taylor_test(lambda x: (x**4).sum(), one, one, order=2, steps=steps)
    whole = (1 + steps) ** 4 - 1
    remainders = whole, whole - 4 * steps, whole - 4 * steps - 6 * steps**2
    for measured, exact in zip(result.errors, remainders, strict=True):
        assert measured.tolist() == pytest.approx(exact.tolist(), rel=1e-6)


@pytest.mark.parametrize("factor", [2.0, -1.0, 0.0, 1.01])
def test_a_wrong_first_derivative_is_found(random, factor):
    x, v = random(4), random(4)
    right = torch.func.jvp(cubic, (x,), (v,))[1]
    assert taylor_test(cubic, x, v, first=right).passes()
    result = taylor_test(cubic, x, v, first=factor * right)
    assert not result.passes()
    assert result.slopes[1] == pytest.approx(1, abs=0.1)


@pytest.mark.parametrize("factor", [2.0, -1.0, 0.5])
def test_a_wrong_second_derivative_is_found(random, factor):
    x, v = random(4), random(4)
    right = v @ torch.func.hessian(cubic)(x) @ v
    assert taylor_test(cubic, x, v, order=2, second=right).passes()
    result = taylor_test(cubic, x, v, order=2, second=factor * right)
    assert not result.passes()
    assert result.slopes[1] == pytest.approx(2, abs=0.1) and result.slopes[2] == pytest.approx(2, abs=0.1)


def test_a_gradient_that_forgets_a_term_is_found(random):
    x, v = random(4), random(4)
    assert not taylor_test(cubic, x, v, first=(3 * x**2 * v).sum()).passes()


def test_a_kink_is_found():
    """|x| at 0: the derivative that AD reports does not describe the function."""
    zero = torch.zeros(1, dtype=torch.float64)
    result = taylor_test(lambda x: x.abs().sum(), zero, torch.ones(1, dtype=torch.float64))
    assert result.slopes[1] == pytest.approx(1, abs=0.01) and not result.passes()


def test_exact_expansions_report_an_infinite_slope(random):
    assert taylor_test(lambda x: 3 * x, random(4)).slopes[1] == math.inf
    assert taylor_test(lambda x: (x * x).sum(), random(4), order=2).slopes[2] == math.inf


def test_vector_valued_functions_and_float32(random):
    result = taylor_test(lambda x: torch.sin(x) * x.sum(), random(5))
    assert result.passes() and result.slopes[1] == pytest.approx(2, abs=0.1)
    single = taylor_test(lambda x: torch.exp(x).sum(), random(5).float(), order=2)
    assert single.passes(0.4)


def test_the_same_seed_gives_the_same_test(random):
    x = random(4)
    assert torch.equal(taylor_test(cubic, x, seed=3).errors, taylor_test(cubic, x, seed=3).errors)
    assert not torch.equal(taylor_test(cubic, x, seed=3).errors, taylor_test(cubic, x, seed=4).errors)


def test_taylor_test_refuses(random):
    with pytest.raises(ValueError, match="expected order 1 or 2, got 3"):
        taylor_test(cubic, random(4), order=3)
    with pytest.raises(ValueError, match=r"expected a scalar function for order 2.*\(4,\)"):
        taylor_test(lambda x: x**2, random(4), order=2)


def test_adjoint_of_a_matrix(random):
    A = random(3, 5)
    assert adjoint_test(lambda x: A @ x, lambda y: A.T @ y, random(5)) < 1e-14


@pytest.mark.parametrize("wrong", [2.0, -1.0, 1 + 1e-6])
def test_a_wrong_adjoint_is_found(random, wrong):
    A = random(3, 5)
    assert adjoint_test(lambda x: A @ x, lambda y: wrong * (A.T @ y), random(5)) > 1e-8


def test_a_matrix_is_not_its_own_adjoint(random):
    A = random(5, 5)
    assert adjoint_test(lambda x: A @ x, lambda y: A @ y, random(5)) > 1e-2


def test_adjoint_by_vjp_on_images(random):
    """Differences along x, and their adjoint by reverse mode; a shift in the wrong direction is found."""
    image = random(6, 7)
    forward = lambda f: f[1:] - f[:-1]  # noqa: E731
    assert adjoint_test(forward, lambda g: torch.func.vjp(forward, image)[1](g)[0], image) < 1e-14
    pad = torch.nn.functional.pad
    assert adjoint_test(forward, lambda g: pad(-g, (0, 0, 0, 1)) + pad(g, (0, 0, 1, 0)), image) < 1e-14
    assert adjoint_test(forward, lambda g: pad(g, (0, 0, 0, 1)) - pad(g, (0, 0, 1, 0)), image) > 1e-2


def test_adjoint_test_refuses_another_shape(random):
    A = random(3, 5)
    with pytest.raises(ValueError, match=r"expected the adjoint to return shape \(5,\), got \(3,\)"):
        adjoint_test(lambda x: A @ x, lambda y: y, random(5))


def test_nan_never_passes(random):
    assert not taylor_test(lambda x: (x * math.nan).sum(), random(4)).passes()
    assert not taylor_test(lambda x: x.sum(), random(4), first=torch.tensor(math.nan)).passes()
    assert not taylor_test(cubic, random(4), order=2, second=torch.tensor(math.nan)).passes()


def test_steps_beyond_the_domain_of_the_function_do_not_count():
    x, v = torch.tensor([0.01], dtype=torch.float64), -torch.ones(1, dtype=torch.float64)
    result = taylor_test(lambda x: x.log().sum(), x, v, order=2)
    assert result.errors.isnan().any() and result.passes()
