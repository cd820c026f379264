"""The spline against SciPy's B-splines, SciPy's ndimage, dense solves, quadrature, and torch.func."""

from __future__ import annotations

import math
from itertools import product

import numpy as np
import pytest
import scipy.linalg
import torch
from scipy import ndimage
from scipy.interpolate import BSpline, NdBSpline

from regkit import spline
from regkit.checks import adjoint_test, taylor_test
from regkit.grid import Grid
from regkit.spline import SmoothingBasis, coefficients, evaluate

GRIDS = [Grid((3.5,), (7,)), Grid((2.0, 9.0), (6, 5)), Grid((1.0, 2.0, 4.0), (4, 5, 3))]
by_dimension = pytest.mark.parametrize("grid", GRIDS, ids=["1-D", "2-D", "3-D"])


def scattered(grid, n, seed=1, beyond=3.0):
    """n points spread over the box and ``beyond`` cells around it."""
    generator = torch.Generator().manual_seed(seed)
    cells, h = torch.tensor([grid.shape, grid.spacing], dtype=torch.float64)
    uniform = torch.rand(n, grid.dim, generator=generator, dtype=torch.float64)
    return (uniform * (cells + 2 * beyond) - beyond) * h


def index_coordinates(grid, x):
    return x.numpy() / np.array(grid.spacing) - 0.5


def by_scipy(c, grid, x, nu):
    """The derivative ``nu`` of Σ cⱼ Π b(uₖ − jₖ) by SciPy, with coefficients padded with zeros.

    Knots are the integers; our b is 6 times the cardinal B-spline; a derivative in x is that in u over h.
    """
    pad = 6
    padded = np.pad(c.numpy(), pad) * 6.0**grid.dim
    knots = tuple(np.arange(m + 2 * pad + 4) - pad - 2.0 for m in grid.shape)
    values = NdBSpline(knots, padded, 3)(index_coordinates(grid, x), nu=nu)
    return values / np.prod(np.array(grid.spacing) ** np.array(nu))


def dense(m):
    """B and M of one axis, by definition: values at the centres, and exact products of second derivatives.

    b″ is piecewise linear, so Simpson's rule on every unit interval integrates b″(u − i) b″(u − j) exactly.
    """
    b = BSpline.basis_element(np.arange(-2.0, 3.0), extrapolate=False)
    B = 6 * np.nan_to_num(b(np.arange(m)[:, None] - np.arange(m)))
    u = np.arange(-3, m + 2, 0.5)
    second = 6 * np.nan_to_num(b.derivative(2)(u - np.arange(m)[:, None]))
    simpson = np.where(np.arange(len(u)) % 2, 4, 2) / 6  # inner ends belong to two intervals
    return B, second * simpson @ second.T


# --- values and derivatives against SciPy


@by_dimension
def test_value_gradient_hessian_are_those_of_scipys_b_splines(grid, random):
    c, x = random(*grid.shape), scattered(grid, 400)
    value, gradient, hessian = evaluate(c, grid, x, 2)
    assert value.shape == (400,) and gradient.shape == (400, grid.dim)
    assert hessian.shape == (400, grid.dim, grid.dim)
    unit = np.eye(grid.dim, dtype=int)
    assert np.allclose(value, by_scipy(c, grid, x, (0,) * grid.dim), rtol=0, atol=1e-11)
    for i in range(grid.dim):
        assert np.allclose(gradient[:, i], by_scipy(c, grid, x, tuple(unit[i])), rtol=0, atol=1e-10)
        for j in range(grid.dim):
            expected = by_scipy(c, grid, x, tuple(unit[i] + unit[j]))
            assert np.allclose(hessian[:, i, j], expected, rtol=0, atol=1e-9)


@by_dimension
def test_lower_orders_give_the_same_numbers(grid, random):
    c, x = random(*grid.shape), scattered(grid, 50)
    value, gradient, hessian = evaluate(c, grid, x, 2)
    assert torch.allclose(evaluate(c, grid, x), value, atol=1e-13)
    assert torch.allclose(evaluate(c, grid, x, 1)[1], gradient, atol=1e-12)
    assert torch.allclose(hessian, hessian.mT)


@by_dimension
def test_value_is_that_of_ndimage_inside_and_outside(grid, random):
    c, x = random(*grid.shape), scattered(grid, 500)
    options = {"order": 3, "prefilter": False, "mode": "grid-constant", "cval": 0.0}
    expected = ndimage.map_coordinates(c.numpy(), index_coordinates(grid, x).T, **options) * 6.0**grid.dim
    assert np.allclose(evaluate(c, grid, x), expected, rtol=0, atol=1e-11)


@by_dimension
def test_theta_zero_interpolates(grid, random):
    image = random(*grid.shape)
    values = evaluate(coefficients(image, 0.0), grid, grid.points())
    assert torch.allclose(values.reshape(grid.shape), image, atol=1e-12)


def test_interpolant_is_scipys_where_the_border_does_not_matter(random):
    """SciPy mirrors coefficients at the border, here they end there. For an image that is zero near the
    border it makes a difference of (2 − √3)ᵈ, d cells from there."""
    image = torch.zeros(60, 50, dtype=torch.float64)
    image[22:-22, 20:-20] = random(16, 10)
    grid = Grid((60, 50), (60, 50))
    x = scattered(Grid((20, 20), (20, 20)), 300, beyond=0.0) + torch.tensor([20.0, 15.0])
    prefiltered = ndimage.spline_filter(image.numpy(), order=3, mode="mirror", output=np.float64)
    expected = ndimage.map_coordinates(prefiltered, index_coordinates(grid, x).T, order=3, prefilter=False)
    assert np.abs(evaluate(coefficients(image, 0.0), grid, x).numpy() - expected).max() < 1e-9


def test_influence_of_one_value_decays_by_two_minus_root_three():
    image = torch.zeros(41, dtype=torch.float64)
    image[20] = 1
    c = coefficients(image, 0.0)[20:32]
    assert np.allclose(c[1:] / c[:-1], math.sqrt(3) - 2, atol=1e-8)


# --- the smoothing coefficients


@pytest.mark.parametrize("cells", [1, 2, 3, 4, 5, 12])
def test_roughness_is_the_integral_of_the_squared_second_derivative(cells):
    B, M = dense(cells)
    mu, V, VtBt = (part.numpy() for part in spline.smoothing_modes(cells))
    assert np.allclose(V.T @ B.T @ B @ V, np.eye(cells), atol=1e-12)
    assert np.allclose(V.T @ M @ V, np.diag(mu), atol=1e-12 * max(1, mu.max()))
    assert np.allclose(VtBt, V.T @ B.T, atol=1e-13)
    assert (mu > 0).all() and (np.diff(mu) >= 0).all()


def test_roughness_by_fine_quadrature(random):
    """cᵀMc against ∫ |T″|² du of the evaluated spline, by brute force, so that nothing is shared."""
    cells = 9
    c, grid = random(cells), Grid((float(cells),), (cells,))
    n = 20000
    u = (torch.arange(n, dtype=torch.float64) + 0.5) / n * (cells + 6) - 3
    curvature = evaluate(c, grid, u[:, None] + 0.5, 2)[2].flatten()
    integral = float(curvature.square().sum()) * (cells + 6) / n
    _, M = dense(cells)
    assert integral == pytest.approx(float(c.numpy() @ M @ c.numpy()), rel=1e-6)


@pytest.mark.parametrize("theta", [0.0, 1e-3, 1.0, 37.0, 1e4, 1e8])
@by_dimension
def test_coefficients_are_those_of_the_dense_solve(grid, theta, random):
    image = random(*grid.shape)
    expected = image.numpy()
    for axis, cells in enumerate(grid.shape):
        B, M = dense(cells)
        solve = scipy.linalg.solve(B.T @ B + theta * M, B.T, assume_a="pos")
        expected = np.moveaxis(np.tensordot(solve, expected, axes=(1, axis)), 0, axis)
    c = coefficients(image, theta)
    assert np.abs(c.numpy() - expected).max() <= 1e-12 * np.abs(image.numpy()).max()
    assert torch.equal(c, SmoothingBasis(image).coefficients(theta))


@pytest.mark.parametrize(("theta", "tolerance"), [(1e-3, 1e-12), (10.0, 1e-12), (1e5, 1e-10)])
def test_coefficients_on_a_long_axis(theta, tolerance, random):
    """Both ways lose digits as θ grows: the condition number is that of BᵀB + θM, some 1e8 for the last."""
    image = random(256)
    B, M = dense(256)
    expected = scipy.linalg.solve(B.T @ B + theta * M, B.T @ image.numpy(), assume_a="pos")
    assert np.abs(coefficients(image, theta).numpy() - expected).max() < tolerance


def test_each_axis_may_be_smoothed_by_a_multiple_of_theta(random):
    """Against dense solves with θ and factor multiplied; the factors pass through ∂c/∂θ as well."""
    image, theta, factors = random(6, 9), 0.7, (0.25, 3.0)
    expected = image.numpy()
    for m, factor in zip(image.shape, factors, strict=True):
        B, M = dense(m)
        expected = np.linalg.solve(B.T @ B + theta * factor * M, B.T @ expected).T
    basis = SmoothingBasis(image, factors)
    assert np.allclose(basis.coefficients(theta), expected, atol=1e-12)
    t, step = torch.tensor([theta], dtype=torch.float64), torch.tensor([0.3], dtype=torch.float64)
    rate = 0.3 * basis.theta_derivative(theta)
    assert taylor_test(lambda s: basis.coefficients(s[0]), t, step, first=rate).passes()
    for wrong in ((1.0,), (1.0, -2.0)):
        with pytest.raises(ValueError, match=r"expected 2 positive factors, got \(1.0,"):
            SmoothingBasis(image, wrong)
    assert repr(basis) == "SmoothingBasis of 6 × 9 cells"
    assert basis in [SmoothingBasis(image), basis] and basis != SmoothingBasis(image, factors)


def test_they_minimise_fidelity_plus_roughness(random):
    image, theta = random(12), 2.5
    B, M = (torch.from_numpy(part) for part in dense(12))
    energy = lambda c: (B @ c - image).square().sum() + theta * c @ M @ c  # noqa: E731
    assert torch.func.grad(energy)(coefficients(image, theta)).abs().max() < 1e-11


def test_theta_works_as_a_tensor(random):
    basis = SmoothingBasis(random(6, 5))
    assert torch.equal(basis.coefficients(torch.tensor(0.3, dtype=torch.float64)), basis.coefficients(0.3))


# --- smooth up to the edge and beyond


def jumps(value_at, u, gap=1e-9):
    """Largest difference between just left and just right of u."""
    return float((value_at(u + gap) - value_at(u - gap)).abs().max())


@pytest.mark.parametrize("order", [0, 1, 2])
def test_continuous_across_every_knot_and_the_end_of_the_support(order, random):
    m, h = 6, 0.5
    c, grid = random(m), Grid((m * h,), (m,))
    at = lambda u: torch.as_tensor(evaluate(c, grid, ((u + 0.5) * h).reshape(-1, 1), 2)[order])  # noqa: E731
    knots = torch.tensor([-2.0, -1.0, 0.0, 1.0, m - 2.0, m - 1.0, m, m + 1.0], dtype=torch.float64)
    scale = float(at(torch.linspace(-2, m + 1, 200, dtype=torch.float64)).abs().max())
    assert jumps(at, knots) < 1e-6 * scale
    outside = torch.tensor([-50.0, -3.0, -2.0, m + 1.0, m + 1.5, m + 60.0], dtype=torch.float64)
    assert at(outside).abs().max() == 0
    assert at(torch.tensor([-1.5, m + 0.5], dtype=torch.float64)).abs().min() > 0


def test_continuous_across_the_edge_in_two_dimensions(random):
    c, grid = random(4, 5), Grid((4, 5), (4, 5))
    along = torch.linspace(-2, 7, 50, dtype=torch.float64)
    for u, axis in product((-2.0, -1.0, 0.0, 3.0, 4.0, 5.0), (0, 1)):
        line = lambda v, axis=axis: torch.stack([v.expand(50), along][:: 1 - 2 * axis], dim=1) + 0.5  # noqa: E731
        for order in (0, 1, 2):
            at = lambda v, order=order, line=line: evaluate(c, grid, line(v), 2)[order]  # noqa: E731
            assert jumps(at, torch.tensor(u, dtype=torch.float64)) < 1e-5


def test_a_support_cut_one_cell_early_would_be_found(random):
    """The mistake of the authors' code: zero from u = m on. The check above must see it."""
    m = 6
    c, grid = random(m), Grid((m,), (m,))
    cut = lambda u: evaluate(c, grid, u.reshape(-1, 1) + 0.5) * (u < m)  # noqa: E731
    assert jumps(cut, torch.tensor([float(m)], dtype=torch.float64)) > 0.1 * float(c[-1].abs())


# --- torch.func


@by_dimension
def test_derivatives_in_x_are_those_of_torch_func(grid, random):
    c, x = random(*grid.shape), scattered(grid, 30)
    value = lambda p: evaluate(c, grid, p[None])[0]  # noqa: E731
    gradient, hessian = evaluate(c, grid, x, 2)[1:]
    grad = torch.func.grad(value)
    assert torch.allclose(torch.func.vmap(grad)(x), gradient, atol=1e-11)
    assert torch.allclose(torch.func.vmap(torch.func.jacfwd(grad))(x), hessian, atol=1e-10)


def test_jvp_and_vjp_in_x_agree_with_the_gradient(random):
    grid, c = GRIDS[1], random(*GRIDS[1].shape)
    x, v, weights = scattered(grid, 30), random(30, 2), random(30)
    f = lambda p: evaluate(c, grid, p)  # noqa: E731
    gradient = evaluate(c, grid, x, 1)[1]
    assert torch.allclose(torch.func.jvp(f, (x,), (v,))[1], (gradient * v).sum(1), atol=1e-12)
    assert torch.allclose(torch.func.vjp(f, x)[1](weights)[0], weights[:, None] * gradient, atol=1e-12)


def test_the_gradient_is_differentiable_again(random):
    grid, c = GRIDS[1], random(*GRIDS[1].shape)
    x, v = scattered(grid, 30), random(30, 2)
    tangent = torch.func.jvp(lambda p: evaluate(c, grid, p, 1)[1], (x,), (v,))[1]
    assert torch.allclose(tangent, torch.einsum("nij,nj->ni", evaluate(c, grid, x, 2)[2], v), atol=1e-10)


def test_vmap_over_points_thetas_and_images(random):
    grid, images = GRIDS[1], random(3, *GRIDS[1].shape)
    x, thetas = scattered(grid, 20), torch.tensor([1e-3, 1.0, 50.0], dtype=torch.float64)
    several = torch.func.vmap(lambda p: evaluate(images[0], grid, p))(x.reshape(4, 5, 2))
    assert torch.allclose(several.flatten(), evaluate(images[0], grid, x), atol=1e-13)
    basis = SmoothingBasis(images[0])
    for each, theta in zip(torch.func.vmap(basis.coefficients)(thetas), thetas, strict=True):
        assert torch.allclose(each, basis.coefficients(theta), atol=1e-13)
    moved = torch.func.vmap(lambda image: evaluate(coefficients(image, 0.5), grid, x, 1)[1])(images)
    for each, image in zip(moved, images, strict=True):
        assert torch.allclose(each, evaluate(coefficients(image, 0.5), grid, x, 1)[1], atol=1e-12)


@by_dimension
def test_theta_derivative_is_that_of_torch_func(grid, random):
    basis = SmoothingBasis(random(*grid.shape))
    theta = torch.tensor(0.7, dtype=torch.float64)
    closed = basis.theta_derivative(theta)
    assert torch.allclose(torch.func.jacfwd(basis.coefficients)(theta), closed, atol=1e-12)
    weights = random(*grid.shape)
    by_reverse = torch.func.grad(lambda t: (basis.coefficients(t) * weights).sum())(theta)
    assert torch.allclose(by_reverse, (closed * weights).sum(), atol=1e-12)


def test_first_use_of_a_size_may_happen_inside_torch_func():
    """The modes of a size are made once and kept; they must not remember the transformation that asked."""
    image = torch.linspace(0, 1, 29, dtype=torch.float64)
    spline._modes_of.cache_clear()
    jacobian = torch.func.jacfwd(lambda f: coefficients(f, 0.1))(image)
    assert torch.allclose(jacobian @ image, coefficients(image, 0.1))
    spline._modes_of.cache_clear()
    slope = torch.func.grad(lambda t: coefficients(image, t).sum())
    thetas = torch.ones(2, dtype=torch.float64)
    assert torch.allclose(torch.func.vmap(slope)(thetas), slope(thetas[0]))


@by_dimension
def test_taylor_in_x(grid, random):
    c, x = random(*grid.shape), scattered(grid, 12)
    result = taylor_test(lambda p: evaluate(c, grid, p).sum(), x, order=2)
    assert result.slopes.tolist() == pytest.approx([1, 2, 3], abs=0.15)
    gradient, hessian = evaluate(c, grid, x, 2)[1:]
    v = random(*x.shape)
    ours = torch.einsum("ni,ni->n", gradient, v), torch.einsum("ni,nij,nj->n", v, hessian, v)
    result = taylor_test(lambda p: evaluate(c, grid, p), x, v, order=2, first=ours[0], second=ours[1])
    assert result.slopes.tolist() == pytest.approx([1, 2, 3], abs=0.15)
    assert not taylor_test(lambda p: evaluate(c, grid, p), x, v, first=2 * ours[0]).passes()


@by_dimension
def test_taylor_in_theta(grid, random):
    basis, theta = SmoothingBasis(random(*grid.shape)), torch.tensor(5.0, dtype=torch.float64)
    one = torch.ones((), dtype=torch.float64)
    result = taylor_test(basis.coefficients, theta, one, first=basis.theta_derivative(theta))
    assert result.slopes.tolist() == pytest.approx([1, 2], abs=0.15)
    assert not taylor_test(basis.coefficients, theta, one, first=-basis.theta_derivative(theta)).passes()


def test_taylor_in_log_theta(random):
    basis = SmoothingBasis(random(6, 5))
    f = lambda s: basis.coefficients(s.exp()).square().sum()  # noqa: E731
    start, one = torch.tensor([-1.0, 1.0], dtype=torch.float64)
    result = taylor_test(f, start, one, order=2)
    assert result.slopes.tolist() == pytest.approx([1, 2, 3], abs=0.15)


@by_dimension
def test_taylor_and_adjoint_in_the_image(grid, random):
    x = scattered(grid, 25)
    f = lambda image: evaluate(coefficients(image, 0.3), grid, x)  # noqa: E731
    image = random(*grid.shape)
    assert taylor_test(f, image).slopes[1] == math.inf  # linear: its tangent is exact
    result = taylor_test(lambda T: (f(T) - 1).square().sum(), image, order=2)
    assert result.slopes[:2].tolist() == pytest.approx([1, 2], abs=0.15) and result.slopes[2] == math.inf
    assert adjoint_test(f, lambda r: torch.func.vjp(f, image)[1](r)[0], image) < 1e-13


# --- dtype, size, strange input


def test_float32_stays_float32(random):
    grid, image = GRIDS[1], random(*GRIDS[1].shape)
    x = scattered(grid, 50)
    single = coefficients(image.float(), 0.1)
    results = (single, *evaluate(single, grid, x.float(), 2))
    expected = (coefficients(image, 0.1), *evaluate(coefficients(image, 0.1), grid, x, 2))
    for ours, reference in zip(results, expected, strict=True):
        assert ours.dtype == torch.float32
        assert torch.allclose(ours.double(), reference, atol=1e-4 * float(reference.abs().max()))
    assert SmoothingBasis(image.float()).theta_derivative(0.1).dtype == torch.float32


@by_dimension
def test_no_points_give_no_values(grid, random):
    none = torch.empty(0, grid.dim, dtype=torch.float64)
    value, gradient, hessian = evaluate(random(*grid.shape), grid, none, 2)
    assert (value.shape, gradient.shape) == ((0,), (0, grid.dim))
    assert hessian.shape == (0, grid.dim, grid.dim)


def test_non_contiguous_coefficients_and_points(random):
    grid = Grid((5, 6), (5, 6))
    c, x = random(6, 5).T, scattered(grid, 20).T.contiguous().T
    assert torch.allclose(evaluate(c, grid, x), evaluate(c.contiguous(), grid, x.contiguous()), atol=1e-13)


@by_dimension
def test_nan_points_give_nan_and_leave_the_others_alone(grid, random):
    c, x = random(*grid.shape), scattered(grid, 6)
    clean = evaluate(c, grid, x, 2)
    x[2, grid.dim - 1] = math.nan
    keep = torch.arange(6) != 2
    for part, before in zip(evaluate(c, grid, x, 2), clean, strict=True):
        assert part[2].isnan().all() and torch.equal(part[keep], before[keep])


def test_points_far_away_give_zero(random):
    grid, c = GRIDS[1], random(*GRIDS[1].shape)
    far = torch.tensor([[1e6, 0.0], [-1e12, 3.0], [0.0, 1e300], [-1e300, -1e300]], dtype=torch.float64)
    for part in evaluate(c, grid, far, 2):
        assert (part == 0).all()


@pytest.mark.parametrize("shape", [(1,), (2,), (1, 4), (2, 1, 3)])
def test_grids_of_few_cells(shape, random):
    grid, image = Grid((1.0,) * len(shape), shape), random(*shape)
    x = scattered(grid, 40)
    c = coefficients(image, 0.0)
    assert torch.allclose(evaluate(c, grid, grid.points()).reshape(shape), image, atol=1e-13)
    assert np.allclose(evaluate(c, grid, x), by_scipy(c, grid, x, (0,) * len(shape)), atol=1e-12)


# --- errors


def test_image_errors(random):
    image = random(4, 5)
    with pytest.raises(ValueError, match=r"floating-point image, got torch.uint8.*image.double\(\)"):
        SmoothingBasis(torch.ones(4, 5, dtype=torch.uint8))
    for strange in (math.nan, math.inf):
        image[1, 2] = strange
        with pytest.raises(ValueError, match="expected an image of finite numbers, got NaN or infinity"):
            coefficients(image, 1.0)
    with pytest.raises(ValueError, match=r"1 to 3 dimensions.*got shape \(2, 2, 2, 2\)"):
        SmoothingBasis(torch.ones(2, 2, 2, 2))
    with pytest.raises(ValueError, match=r"at least one cell, got shape \(0, 3\)"):
        SmoothingBasis(torch.ones(0, 3))
    with pytest.raises(ValueError, match=r"got shape \(\)"):
        SmoothingBasis(torch.tensor(1.0))


@pytest.mark.parametrize("theta", [-1e-9, -3.0, math.nan, torch.tensor(-1.0)])
def test_theta_errors(theta, random):
    basis = SmoothingBasis(random(4))
    for method in (basis.coefficients, basis.theta_derivative):
        with pytest.raises(ValueError, match="expected a smoothing parameter θ ≥ 0, got"):
            method(theta)


def test_evaluate_errors(random):
    grid, c = Grid((4, 5), (4, 5)), random(4, 5)
    with pytest.raises(ValueError, match=r"coefficients of shape \(4, 5\), got \(5, 4\)"):
        evaluate(c.T, grid, grid.points())
    with pytest.raises(ValueError, match=r"expected points of shape \(n, 2\), got \(2, 50\)"):
        evaluate(c, grid, torch.zeros(2, 50).double())
    with pytest.raises(ValueError, match=r"expected points of shape \(n, 2\), got \(2,\)"):
        evaluate(c, grid, torch.zeros(2).double())
    with pytest.raises(ValueError, match="expected points of shape"):
        evaluate(c, grid, [1.0, 2.0])
    for order in (3, -1, "all"):
        with pytest.raises(ValueError, match=f"expected order 0, 1 or 2, got {order}"):
            evaluate(c, grid, grid.points(), order)


def banded(values, theta):
    """(BᵀB + θM)⁻¹Bᵀ of one long signal by SciPy's solver for bands."""
    bands = np.zeros((4, len(values)))
    bands[:] = np.array([18 + 96 * theta, 8 - 54 * theta, 1, 6 * theta])[:, None]
    bands[0, [0, -1]] -= 1
    return scipy.linalg.solveh_banded(bands, np.convolve(values, [1, 4, 1])[1:-1], lower=True)


@pytest.mark.parametrize("cells", [13, 600])
def test_what_is_kept_between_calls_outlives_a_derivative(cells, random):
    """The first call for a length may come from inside torch.func, and the next from another derivative."""
    spline._modes_of.cache_clear(), spline._sines.cache_clear()
    image, v = random(cells), random(cells)

    def energy(u):
        return spline.coefficients(u, 0.1).square().sum()

    gradient = torch.func.grad(energy)
    product = torch.func.grad(lambda u: gradient(u) @ v)(image)
    again = torch.func.jvp(gradient, (image,), (v,))[1]
    torch.testing.assert_close(product, again)
    plain = (gradient(image + v) - gradient(image - v)) / 2  # the energy is quadratic
    torch.testing.assert_close(product, plain)


@pytest.mark.parametrize("theta", [0.0, 1e-3, 1.0, 100.0])
def test_long_axes_need_no_eigenproblem(theta, random, monkeypatch):
    monkeypatch.setattr(spline, "_modes_of", None)
    values = 100 + random(4096)
    c, expected = coefficients(values, theta).numpy(), banded(values.numpy(), theta)
    assert np.linalg.norm(c - expected) <= 1e-12 * np.linalg.norm(expected)
    single = coefficients(values.float(), theta)
    assert single.dtype == torch.float32
    assert np.linalg.norm(single.numpy() - expected) <= 1e-3 * np.linalg.norm(expected)


def test_long_and_short_axes_agree(random, monkeypatch):
    """With both ways: the dense solution, all derivatives, and any factors."""
    image, factors = random(9, 12, 7), (1.0, 2.0, 0.5)
    methods, modes = ("coefficients", "theta_derivative"), SmoothingBasis(image, factors, 3.0)
    by_modes = [getattr(modes, method)(0.7) for method in methods]
    monkeypatch.setattr(spline, "_MODES", 8)
    sines, theta = SmoothingBasis(image, factors, 3.0), torch.tensor([0.7], dtype=torch.float64)
    for method, expected in zip(methods, by_modes, strict=True):
        assert (getattr(sines, method)(0.7) - expected).norm() <= 1e-12 * expected.norm()
    rate, step = sines.theta_derivative(theta[0]), 0.1 * torch.ones_like(theta)
    assert taylor_test(lambda t: sines.coefficients(t[0]), theta, step, first=0.1 * rate).passes()
    direction = random(9, 12, 7)
    direction = direction / direction.norm()
    change = SmoothingBasis(direction, factors).coefficients(0.7)
    assert taylor_test(
        lambda im: SmoothingBasis(im, factors).coefficients(0.7), image, direction, first=change
    ).passes()
    many = torch.func.vmap(lambda im: coefficients(im, 0.7))(torch.stack([image, direction]))
    assert torch.allclose(many[1], coefficients(direction, 0.7), rtol=1e-12, atol=1e-12)
