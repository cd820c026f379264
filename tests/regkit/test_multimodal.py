"""Distances for images of two kinds: against formulas in NumPy, by Taylor's theorem, and in registrations
that a difference of grey values cannot do."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import torch

from regkit.checks import taylor_test
from regkit.data import mri
from regkit.distances import SSD
from regkit.grid import Grid
from regkit.multimodal import NGF, MutualInformation
from regkit.optimize import gauss_newton, levenberg_marquardt, newton_trust
from regkit.pyramid import pyramid
from regkit.registration import Registration
from regkit.spline import coefficients, evaluate
from regkit.transforms import Rigid

GRIDS = [Grid((3.0,), (30,)), Grid((4.0, 9.0), (6, 5)), Grid((3.0, 4.0, 2.0), (3, 2, 5))]
DISTANCES = [*(NGF().on(grid) for grid in GRIDS), NGF((0.7, 2.0), GRIDS[1]), MutualInformation(9)]
each = pytest.mark.parametrize("distance", DISTANCES, ids=str)


@pytest.fixture
def images(random):
    """Smooth enough for gradients to mean something, with a mask that leaves most corners."""
    weights = random(30).abs() + 0.1
    weights[:4] = 0
    return random(30), random(30), weights


def corners(grid, values, combine):
    """One entry for each corner: ``combine`` of the values in the 2ᵈ cells around it, by plain loops."""
    image = np.asarray(values).reshape(grid.shape)
    places = itertools.product(*(range(cells - 1) for cells in grid.shape))
    return np.array([combine(image[tuple(slice(i, i + 2) for i in place)]) for place in places])


def numpys_ngf(grid, t, s, weights, etas):
    """Σ ω (1 − ⟨a, b⟩²) as it is written."""
    omega = corners(grid, weights, lambda cell: 0 if (cell == 0).any() else 1 / np.mean(1 / cell))
    fields = []
    for image, eta in zip((t, s), etas, strict=True):
        slopes = corners(
            grid,
            image,
            lambda cell: [np.diff(cell, axis=k).mean() / h for k, h in enumerate(grid.spacing)],
        )
        squared = (slopes**2).sum(1)
        eta2 = eta**2 if eta else (omega * squared).sum() / omega.sum()
        fields.append(slopes / np.sqrt(squared + eta2)[:, None])
    return (omega * (1 - (fields[0] * fields[1]).sum(1) ** 2)).sum()


@pytest.mark.parametrize("grid", GRIDS, ids=str)
@pytest.mark.parametrize("etas", [(None, None), (0.7, 2.0)])
def test_gradient_fields_are_numpys(grid, etas, images):
    eta = etas if etas[0] else None
    found = NGF(eta).on(grid).value(*images)
    assert float(found) == pytest.approx(numpys_ngf(grid, *images, etas), rel=1e-12)


def test_mutual_information_is_numpys_where_grey_values_hit_the_bins(random):
    """With so many bins that distinct values share none p is a plain histogram of what meets what."""
    t, s = (torch.randint(0, 3, (200,), generator=torch.Generator().manual_seed(k)).double() for k in (0, 1))
    s = torch.where(random(200) > 0, t, s)
    p = np.histogram2d(t, s, bins=3)[0] / 200
    expected = -sum(
        p[a, b] * np.log(p[a, b] / (p[a].sum() * p[:, b].sum())) for a in range(3) for b in range(3)
    )
    # a value is shared between bins, but all points of one value alike: the shares tell nothing new
    found = MutualInformation(40).value(t, s, torch.full((200,), 0.3).double())
    assert float(found) == pytest.approx(expected, rel=1e-12)


def test_shares_add_up(images):
    t, _, weights = images
    for values in (t, 1e6 * t**5, torch.cat([t[:-1], t[:1] * 1e12])):
        assert MutualInformation().shares(values, weights).sum(1).numpy() == pytest.approx(1, abs=1e-13)


@each
def test_derivatives_pass_taylor(distance, images, random):
    t, s, weights = images
    v = random(30)
    first, second = distance.first(t, s, weights) @ v, v @ (distance.curvature(t, s, weights) @ v)
    small = 1e-2 * v  # with large steps the gradient of noise is another one
    result = taylor_test(
        lambda u: distance.value(u, s, weights), t, small, order=2, first=1e-2 * first, second=1e-4 * second
    )
    assert result.passes(), result.slopes
    mixed = distance.mixed(t, s, weights, small)
    assert taylor_test(lambda u: distance.first(t, u, weights), s, small, first=mixed).passes()


@pytest.mark.parametrize("distance", DISTANCES[:-1], ids=str)
def test_the_residual_of_gradient_fields_is_one(distance, images, random):
    t, s, weights = images
    v = 1e-2 * random(30)
    r = distance.residual(t, s, weights)
    jacobian = torch.func.jacfwd(lambda u: distance.residual(u, s, weights))(t)
    close = lambda a, b: torch.testing.assert_close(a, b, rtol=1e-10, atol=1e-12)  # noqa: E731
    close(0.5 * (r @ r), distance.value(t, s, weights))
    close(distance.jacobian(t, s, weights, v[:, None])[:, 0], jacobian @ v)
    close(distance.first(t, s, weights), jacobian.T @ r)
    close(distance.curvature(t, s, weights, "gauss-newton") @ v, jacobian.T @ (jacobian @ v))
    assert taylor_test(lambda u: distance.residual(u, s, weights), t, v, first=jacobian @ v).passes()


@each
def test_what_is_masked_does_not_count(distance, images, random):
    t, s, weights = images
    changed = torch.where(weights == 0, 1e3 * random(30), t)
    for function in (distance.value, distance.first):
        torch.testing.assert_close(
            function(changed, s, weights), function(t, s, weights), rtol=1e-12, atol=1e-12
        )


@pytest.mark.parametrize("distance", [*DISTANCES[:3], DISTANCES[-1]], ids=str)
@pytest.mark.parametrize("scale", [-1.0, 1e-9, 1e9])
def test_inverted_and_rescaled_images_are_the_same(distance, scale, images):
    t, s, weights = images
    expected = distance.value(t, s, weights)
    torch.testing.assert_close(distance.value(scale * t + 3 * scale, s, weights), expected, rtol=1e-6, atol=0)
    torch.testing.assert_close(distance.value(t, scale * s, weights), expected, rtol=1e-6, atol=0)


def test_flat_images_have_no_edges_to_compare():
    grid = Grid((4.0, 4.0), (4, 4))
    flat, slope, weights = torch.ones(16), torch.arange(16.0), torch.ones(16)
    value = NGF().on(grid).value(flat, slope, weights)
    assert float(value) == pytest.approx(9)  # all corners, and nothing is parallel
    assert NGF().on(grid).first(flat, slope, weights).equal(torch.zeros(16))
    assert NGF(0.1).on(Grid((4.0, 1.0), (16, 1))).value(slope, -slope, weights) < 0.01 * 15
    assert MutualInformation().value(flat, slope, weights).isnan()  # 0/0 is not passed off as a number


@pytest.mark.parametrize("eta", [0, -1.0, math.nan, math.inf, (1.0, 0.0), (1.0, 1.0, 1.0), "small", ()])
def test_edge_parameters_that_are_none(eta):
    with pytest.raises(ValueError, match="expected eta > 0, two of them or None, got"):
        NGF(eta)


def test_what_else_is_refused(images):
    with pytest.raises(ValueError, match=r"expected NGF with a grid: NGF\(\).on\(grid\)"):
        NGF().value(*images)
    with pytest.raises(ValueError, match="expected 4 grey values, one a cell, got 30"):
        NGF().on(Grid((2.0, 2.0), (2, 2))).value(*images)
    for bins in (3, 7.5, "many"):
        with pytest.raises(ValueError, match="expected bins as a whole number of at least 4, got"):
            MutualInformation(bins)


# A slice through a head; copies that are turned, shifted and recoloured; noise on both.
ABOUT = Rigid(center=(128.0, 128.0))
W_TRUE = torch.tensor([math.radians(4.0), 5.0, -3.0], dtype=torch.float64)
COLOURS = {
    "inverted": lambda v: 255 * (1 - (v / 255) ** 0.6),
    "not monotone": lambda v: 255 * (math.pi * v / 255).sin(),
}


@pytest.fixture(scope="module")
def pair():
    image, grid = mri(64)
    moved = evaluate(coefficients(image, 0.0), grid, ABOUT(W_TRUE, grid.points())).clamp(0, 255)
    noise = torch.randn(2, 64, 64, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    return (
        image + 5 * noise[0],
        {name: map(moved).reshape(64, 64) + 5 * noise[1] for name, map in COLOURS.items()},
        grid,
    )


def missed(pair, colour, distance, method, *, thetas=(100.0, 1.0), start=0 * W_TRUE, **options):
    """The error of the angle in degrees, and that of the shift in cells."""
    template, references, grid = pair
    outside = options.pop("outside", "edge")
    problem, w = Registration(template, references[colour], grid, ABOUT, distance, outside=outside), start
    for theta in thetas:
        w = method(problem.at(theta), w, **options).x
    return math.degrees(abs(w[0] - W_TRUE[0])), float((w - W_TRUE)[1:].norm()) / grid.spacing[0]


@pytest.mark.parametrize("colour", COLOURS)
@pytest.mark.parametrize(
    ("distance", "method", "options"),
    [
        (NGF(), newton_trust, {}),
        (NGF(), levenberg_marquardt, {"iterations": 40}),
        (NGF(), gauss_newton, {"iterations": 40}),
        (MutualInformation(), newton_trust, {}),
    ],
    ids=lambda case: getattr(case, "__name__", str(case)),
)
def test_a_recoloured_copy_is_found(pair, colour, distance, method, options):
    degrees, cells = missed(pair, colour, distance, method, **options)
    assert degrees < 0.7 and cells < 0.3


def test_a_difference_does_not_find_it(pair):
    assert missed(pair, "inverted", SSD(), newton_trust)[1] > 1


@pytest.mark.parametrize("distance", [NGF(), MutualInformation()], ids=str)
def test_only_the_overlap_counts(pair, distance):
    options = {"outside": "overlap", "thetas": [1.0], "start": 0.6 * W_TRUE}
    degrees, cells = missed(pair, "inverted", distance, newton_trust, **options)
    assert degrees < 0.7 and cells < 0.3


def test_a_registration_puts_in_the_grid_of_each_level(pair):
    template, references, grid = pair
    problem = Registration(template, references["inverted"], grid, ABOUT, NGF(), outside="edge")
    for level in pyramid(problem, 3):
        w = 0.01 * torch.ones(3, dtype=torch.float64)
        objective = level.at(1.0)
        expected = numpys_ngf(level.grid, *objective.point(w, 0).images, (None, None))
        assert float(objective.loss(w)) == pytest.approx(expected, rel=1e-12)
        torch.testing.assert_close(objective.gradient(w), objective.gradient(w, "autodiff"))
        torch.testing.assert_close(objective.hessian(w), objective.hessian(w, method="autodiff"))
