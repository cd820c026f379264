"""Splines of displacements, against SciPy's."""

from __future__ import annotations

import math

import numpy as np
import pytest
import scipy.interpolate
import torch

from regkit.checks import taylor_test
from regkit.freeform import DisplacementField, FreeForm, cubic
from regkit.grid import Grid
from regkit.maps import determinants, gradients


@pytest.mark.parametrize("order", [0, 1, 2])
def test_the_cubic_b_spline_is_scipys(order):
    spline = scipy.interpolate.BSpline.basis_element(np.arange(-2.0, 3.0), extrapolate=False)
    t = np.linspace(-3, 3, 601)[::7] + 1e-3
    known = np.nan_to_num(spline(t) if order == 0 else spline.derivative(order)(t))
    assert np.allclose(cubic(torch.from_numpy(t), order), known, atol=1e-12)


def test_free_form_is_scipys_tensor_product(random):
    free = FreeForm(Grid((2.0, 3.0), (4, 5)))
    w = random(free.parameters)
    x = torch.rand(20, 2, dtype=torch.float64) * torch.tensor([2.0, 3.0], dtype=torch.float64)
    knots = [np.arange(-3, cells + 4) * h for cells, h in zip((4, 5), (0.5, 0.6), strict=True)]
    c = np.moveaxis(free.fields(w).numpy(), 0, -1)
    known = scipy.interpolate.NdBSpline(tuple(knots), c, 3)(x.numpy())
    assert np.allclose(free(w, x) - x, known, atol=1e-12)


def test_displacements_are_multilinear_between_centres(random):
    grid = Grid((4.0, 5.0), (4, 5))
    field = DisplacementField(grid)
    w = random(field.parameters)
    axes = tuple(grid.axis(k).numpy() for k in range(2))
    values = np.moveaxis(field.fields(w).numpy(), 0, -1)
    known = scipy.interpolate.RegularGridInterpolator(axes, values, bounds_error=False, fill_value=None)
    x = torch.rand(50, 2, dtype=torch.float64) * torch.tensor([4.0, 5.0], dtype=torch.float64)
    assert np.allclose(field(w, x) - x, known(x.numpy()), atol=1e-12)


@pytest.mark.parametrize("make", [FreeForm, DisplacementField])
def test_any_points_are_differentiable(make, random):
    transform = make(Grid((2.0, 3.0, 1.0), (2, 3, 2)))
    w = 0.1 * random(transform.parameters)
    x = torch.rand(5, 3, dtype=torch.float64)
    assert taylor_test(lambda v: transform(v, x), w).slopes[1] == math.inf  # linear: its tangent is exact
    assert torch.allclose(
        transform.on(x).jacobian(w), torch.func.jacrev(lambda v: transform(v, x))(w), atol=1e-13
    )


def test_a_fold_between_centres_is_found():
    """In the plane det ∇y is linear between four centres: what the corners do not see is not there."""
    grid = Grid((4.0, 4.0), (4, 4))
    field = DisplacementField(grid)
    generator = torch.Generator().manual_seed(3)
    for size in (0.2, 0.5, 1.0):
        w = size * torch.randn(field.parameters, dtype=torch.float64, generator=generator)
        x = 0.5 + 3 * torch.rand(20000, 2, dtype=torch.float64, generator=generator)
        inside = determinants(gradients(field, w, x)).min()
        assert field.determinant(w, grid).min() <= inside + 1e-9


def test_beyond_the_box_free_form_ends_and_a_field_goes_on(random):
    free, far = FreeForm(Grid((2.0,), (4,))), torch.tensor([[9.0]], dtype=torch.float64)
    assert torch.equal(free(random(7), far), far)
    field = DisplacementField(Grid((2.0,), (4,)))
    assert torch.allclose(field(field.of(lambda x: 3 * x - 1), far), 3 * far - 1)
    with pytest.raises(ValueError, match=r"expected at least two cells a side .*, got \(1, 4\)"):
        DisplacementField(Grid((1.0, 1.0), (1, 4)))
    with pytest.raises(ValueError, match="expected the field's own grid"):
        field.determinant(field.identity(), Grid((2.0,), (5,)))


def test_single_precision_and_device_are_those_of_the_parameters():
    for make in (FreeForm, DisplacementField):
        transform, grid = make(Grid((2.0, 2.0), (4, 4))), Grid((2.0, 2.0), (4, 4))
        w = transform.identity(torch.float32) + 0.01
        assert transform.on(grid, torch.float32)(w).dtype == torch.float32
        assert transform.determinant(w, grid).dtype == torch.float32
        assert transform(w, grid.points(torch.float32)).dtype == torch.float32
