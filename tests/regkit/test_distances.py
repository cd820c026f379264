"""Distances: by hand, what leaves them unchanged, and every derivative by Taylor's theorem and by
torch.func.
"""

from __future__ import annotations

import numpy as np
import pytest
import torch

from regkit.checks import taylor_test
from regkit.distances import NCC, SSD, Distance, ResidualDistance

DISTANCES = [SSD(), NCC()]
each = pytest.mark.parametrize("distance", DISTANCES, ids=lambda d: type(d).__name__)


@pytest.fixture
def images(random):
    weights = random(30).abs()
    weights[:5] = 0  # masked
    return random(30), random(30), weights


def loss(distance, t, s, weights):
    return 0.5 * distance.residual(t, s, weights).square().sum()


def test_least_squares_by_hand():
    t, s, weights = torch.tensor([3.0, 1.0]), torch.tensor([1.0, 1.0]), torch.tensor([0.25, 1.0])
    assert SSD().residual(t, s, weights).tolist() == [1.0, 0.0]
    assert loss(SSD(), t, s, weights) == 0.5


def test_correlation_is_numpys(images):
    t, s, _ = images
    expected = 1 - np.corrcoef(t, s)[0, 1]
    assert float(loss(NCC(), t, s, torch.ones(30).double())) == pytest.approx(expected)
    assert float(loss(NCC(), t, s, torch.full((30,), 0.3).double())) == pytest.approx(expected)


def test_correlation_ignores_brightness_and_contrast(images):
    t, s, weights = images
    distance = NCC()
    assert loss(distance, 3 * t + 7, s - 2, weights) == pytest.approx(float(loss(distance, t, s, weights)))
    assert float(loss(distance, 5 * s + 1, s, weights)) == pytest.approx(0, abs=1e-14)
    assert float(loss(distance, -s, s, weights)) == pytest.approx(2)
    assert loss(distance, torch.ones(30).double(), s, weights).isnan()  # 0/0 is not passed off as a number


@each
def test_what_is_masked_does_not_count(distance, images, random):
    t, s, weights = images
    changed = torch.where(weights == 0, random(30), t)
    for function in (distance.residual, distance.first):
        assert torch.equal(function(changed, s, weights), function(t, s, weights))


@each
def test_derivatives_pass_taylor(distance, images, random):
    t, s, weights = images
    v = random(30)
    second = v @ (distance.curvature(t, s, weights) @ v)
    result = taylor_test(
        lambda u: loss(distance, u, s, weights),
        t,
        v,
        order=2,
        first=distance.first(t, s, weights) @ v,
        second=second,
    )
    assert result.passes(), result.slopes
    jacobian = distance.jacobian(t, s, weights, v[:, None])[:, 0]
    assert taylor_test(lambda u: distance.residual(u, s, weights), t, v, first=jacobian).passes()
    mixed = distance.mixed(t, s, weights, v)
    assert taylor_test(lambda u: distance.first(t, u, weights), s, v, first=mixed).passes()


@each
def test_derivatives_agree_with_autodiff(distance, images, random):
    t, s, weights = images
    jacobian = torch.func.jacfwd(lambda u: distance.residual(u, s, weights))(t)
    columns = random(30, 4)
    close = lambda a, b: torch.testing.assert_close(a, b, rtol=1e-10, atol=1e-12)  # noqa: E731
    close(distance.jacobian(t, s, weights, columns), jacobian @ columns)
    close(distance.first(t, s, weights), jacobian.T @ distance.residual(t, s, weights))
    close(distance.curvature(t, s, weights, "gauss-newton").dense(t), jacobian.T @ jacobian)
    exact = torch.func.jacfwd(torch.func.grad(lambda u: loss(distance, u, s, weights)))(t)
    close(distance.curvature(t, s, weights).dense(t), exact)


class ByValue(Distance):
    """Another distance, of which only the value is known."""

    def __init__(self, other):
        self.value = other.value


class ByResidual(ResidualDistance):
    """Another distance, of which only the residual is known."""

    def __init__(self, other):
        self.residual = other.residual


@each
@pytest.mark.parametrize("wrap", [ByValue, ByResidual])
def test_a_value_or_a_residual_is_enough(wrap, distance, images, random):
    """Everything by torch.func, against the closed forms."""
    t, s, weights = images
    plain, v, columns = wrap(distance), random(30), random(30, 4)
    close = lambda a, b: torch.testing.assert_close(a, b, rtol=1e-12, atol=1e-14)  # noqa: E731
    close(plain.value(t, s, weights), loss(distance, t, s, weights))
    close(plain.first(t, s, weights), distance.first(t, s, weights))
    close(plain.curvature(t, s, weights) @ v, distance.curvature(t, s, weights) @ v)
    close(plain.curvature(t, s, weights) @ columns, distance.curvature(t, s, weights) @ columns)
    close(plain.mixed(t, s, weights, v), distance.mixed(t, s, weights, v))
    if wrap is ByResidual:
        ours = plain.curvature(t, s, weights, "gauss-newton")
        close(ours @ v, distance.curvature(t, s, weights, "gauss-newton") @ v)
        close(plain.jacobian(t, s, weights, columns), distance.jacobian(t, s, weights, columns))


def test_without_a_residual_there_is_no_gauss_newton(images):
    plain = ByValue(SSD())
    with pytest.raises(ValueError, match='expected kind "exact" for ByValue, which has no residual'):
        plain.curvature(*images, "gauss-newton")
    for ask in (lambda: plain.residual(*images), lambda: plain.jacobian(*images, images[0][:, None])):
        with pytest.raises(ValueError, match="expected a distance with a residual, got ByValue"):
            ask()
