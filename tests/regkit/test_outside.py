"""What images are beyond their boxes: the choices find what zero misses, with all derivatives."""

from __future__ import annotations

import copy
import itertools
import pickle
import warnings
from dataclasses import replace
from functools import partial

import pytest
import torch

from regkit.checks import taylor_test
from regkit.continuation import follow
from regkit.data import hands_phantom, mri
from regkit.distances import NCC, SSD, Distance
from regkit.grid import Grid
from regkit.optimize import gauss_newton, levenberg_marquardt, newton_trust
from regkit.outside import Overlap, cover, padding
from regkit.pyramid import multilevel, pyramid
from regkit.registration import Registration
from regkit.spline import SmoothingBasis, coefficients, evaluate
from regkit.transforms import Affine, Rigid, Translation

tensor = partial(torch.tensor, dtype=torch.float64)
CHOICES = [128.0, "edge", "mean", "overlap"]


def close(a, b, tolerance=1e-10):
    assert a.shape == b.shape
    assert (a - b).norm() <= tolerance * b.norm()


def pattern(x):
    """Waves in the middle of a field of grey 128, anywhere in space."""
    z = (x - 32.0) / 9.0
    return 128 + 90 * (z[:, 0] * 2.1).sin() * (1.3 * z[:, 1] + 0.4).cos() * torch.exp(-0.5 * (z**2).sum(1))


def bright(scale=1.1, **options):
    """The pattern, and the same seen larger: y = scale (x − c) + c."""
    grid = Grid((64.0, 64.0), (32, 32))
    x, transform = grid.points(), Affine(center=(32.0, 32.0))
    w = tensor([scale, 0, 0, scale, 0, 0])
    images = pattern(x), pattern(transform(w, x))
    return Registration(*(image.reshape(32, 32) for image in images), grid, transform, **options), w


@pytest.mark.parametrize("distance", [SSD(), NCC()], ids=repr)
@pytest.mark.parametrize("outside", CHOICES)
def test_a_bright_background_is_no_edge(outside, distance):
    problem, truth = bright(outside=outside, distance=distance)
    for start in (truth, problem.transform.identity()):
        for method in (newton_trust, levenberg_marquardt):
            found = method(problem.at(0.01), start)
            assert found.converged or "rounding" in found.message or "stalled" in found.message
            assert (problem.motion(found.x) - problem.motion(truth)).abs().max() < 0.02  # 1/100 of a cell


def test_with_zero_the_edge_wins():
    """And whoever has not chosen is told."""
    with pytest.warns(
        UserWarning, match=r"the template's border is bright, 128 on average.*outside=\"overlap\""
    ):
        problem, truth = bright()
    found = newton_trust(problem.at(0.01), truth)
    assert found.converged and (problem.motion(found.x) - problem.motion(truth)).abs().max() > 2.0
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for outside in (0.0, *CHOICES):
            bright(outside=outside)
        pair = hands_phantom(32)
        Registration(pair.template, pair.reference, pair.grid)  # on black
        image, grid = mri(32)
        Registration(image, image, grid)
        for level in pyramid(replace(problem, outside=0.0), 2):
            assert level.outside == 0.0


def test_the_values_beyond():
    image = tensor([[1, 2, 3], [4, 50, 6], [7, 8, 9]])
    every = torch.ones(3, 3, dtype=torch.bool)
    for outside, value in (("edge", 5), ("mean", 10), ("overlap", 5), (7.0, 7), (None, 0)):
        assert float(padding(image, outside, every)) == value
    inner = torch.zeros(3, 3, dtype=torch.bool)
    inner[1, 1] = True
    assert float(padding(image, "edge", inner)) == 50
    far = tensor([[-40.0, 90.0]])
    for outside, value in (("edge", 5.0), (7.0, 7.0)):
        problem = Registration(image, image, Grid((3, 3), (3, 3)), outside=outside)
        v = problem.beyond[0]
        assert float(evaluate(problem.at(2.0).coefficients, problem.grid, far, outside=v)) == value
    for wrong in ("border", torch.nan):
        with pytest.raises(
            ValueError, match='expected outside as a finite number, "edge", "mean" or "overlap"'
        ):
            Registration(image, image, Grid((3, 3), (3, 3)), outside=wrong)


def test_a_constant_stays_one_at_every_scale():
    """Smoothing does not darken the border of what goes on beyond it."""
    grid = Grid((6.0, 5.0), (6, 5))
    for theta in (0.0, 1.0, 100.0):
        c = coefficients(torch.full((6, 5), 9.0).double(), theta, outside=9.0)
        assert evaluate(c, grid, 3 * grid.points(), outside=9.0).allclose(tensor(9.0))
        assert (
            SmoothingBasis(torch.full((6, 5), 9.0).double(), outside=9.0).theta_derivative(theta).abs().max()
            == 0
        )


def case(outside, distance, template_weights=None):
    draw = lambda seed: torch.Generator().manual_seed(seed)  # noqa: E731
    images = [100 + 20 * torch.randn(9, 8, generator=draw(k)).double() for k in (1, 2)]
    weights, grid = torch.rand(9, 8, generator=draw(3)).double(), Grid((9.0, 8.0), (9, 8))
    options = {"outside": outside, "template_weights": template_weights}
    return Registration(*images, grid, Rigid(center=(4.5, 4.0)), distance, weights, **options)


class Charbonnier(Distance):
    """One without a residual."""

    def value(self, t, s, weights):
        return weights @ ((1 + (t - s) ** 2).sqrt() - 1)


HOLE = torch.ones(9, 8)
HOLE[6, 2] = 0
CASES = [*itertools.product(CHOICES, [SSD(), NCC(), Charbonnier()], [None]), ("overlap", SSD(), HOLE)]
W = tensor([0.3, 1.4, -0.8])


@pytest.mark.parametrize(("outside", "distance", "hole"), CASES)
def test_derivatives_by_hand_and_by_machine(outside, distance, hole, random):
    problem, v, theta = case(outside, distance, hole), tensor([0.1, 0.7, -0.4]), 0.3
    objective, point = problem.at(theta), problem.at(theta).point(W)
    first, second = point.gradient @ v, v @ point.hessian() @ v
    assert taylor_test(objective.loss, W, v, order=2, first=first, second=second).passes()
    assert taylor_test(objective.gradient, W, v, first=point.hessian() @ v).passes()
    close(point.gradient, objective.gradient(W, method="autodiff"))
    close(point.hessian(), objective.hessian(W, method="autodiff"))
    close(point.curvature() @ v, point.hessian() @ v)
    s = tensor([theta])
    rate = objective.gradient_theta(W)
    assert taylor_test(
        lambda s: problem.at(s[0]).gradient(W), s, 0.1 * torch.ones_like(s), first=0.1 * rate
    ).passes()
    if not isinstance(distance, Charbonnier):
        J = point.jacobian
        assert taylor_test(objective.residual, W, v, first=J @ v).passes()
        close(J, objective.jacobian(W, method="autodiff"))
        close(J.T @ point.residual, point.gradient)
        close(point.hessian("gauss-newton"), J.T @ J)
        close(point.curvature("gauss-newton") @ v, J.T @ (J @ v))


def test_points_outside_do_not_count():
    """Whatever the reference is where the template's box does not reach, J stays the same."""
    problem = case("overlap", SSD())
    y = problem.motion(W)
    outside = ((y < 0) | (y > tensor([9.0, 8.0]))).any(1).reshape(9, 8)
    assert 10 < outside.sum() < 60
    objective = problem.at(0.0)
    other = replace(objective, reference=torch.where(outside.flatten(), 1e4, objective.reference))
    assert float(other.loss(W)) == float(objective.loss(W))
    close(other.gradient(W), objective.gradient(W), 1e-14)


@pytest.mark.parametrize("distance", [SSD(), NCC()], ids=repr)
def test_a_smaller_overlap_is_no_gain(distance):
    """Two periodic images one of which is shifted by whole periods: J is the same for every overlap."""
    grid = Grid((32.0,), (32,))
    wave = 200 + 20 * (grid.axis(0) * torch.pi / 2).cos()
    problem = Registration(wave, wave.roll(1), grid, Translation(1), distance, outside="overlap")
    losses = [float(problem.at(0.0).loss(tensor([4.0 * k]))) for k in (1, 2, 3, 4, 5)]
    assert losses == pytest.approx([losses[0]] * 5, rel=0.1) and losses[0] > 0
    flat = Registration(wave - wave + 3, wave - wave, grid, Translation(1), outside="overlap")
    for shift in (0.0, 3.3, 25.0, -31.0):  # the mean of ½ 3², times the volume, whatever remains
        assert float(flat.at(0.0).loss(tensor([shift]))) == pytest.approx(4.5 * 32)


def test_no_overlap_is_no_answer():
    problem = case("overlap", SSD())
    away = tensor([0.0, 100.0, 0.0])
    assert problem.at(1.0).loss(away).isnan()
    for method in (newton_trust, levenberg_marquardt, gauss_newton):
        with pytest.raises(ValueError, match="expected a finite loss at the start, got nan"):
            method(problem.at(1.0), away)


def test_the_cover_is_full_inside_and_nothing_outside():
    grid = Grid((6.0, 6.0), (6, 6))
    c = cover(torch.zeros(6, 6).double(), None)
    x = torch.cartesian_prod(*[torch.linspace(-3, 9, 97).double()] * 2)
    P = evaluate(c, grid, x)
    inside, deep = (((x >= a) & (x <= 6 - a)).all(1) for a in (0.0, 1.5))
    assert P.min() >= 0 and P.max() <= 1 + 1e-12
    assert P[~inside].max() <= 0.5 and P[deep].allclose(tensor(1.0))
    M = lambda P: Overlap.split(torch.stack([P, P], 1).flatten(), torch.ones(len(P)).double())[1]  # noqa: E731
    assert M(P)[~inside].max() == 0 and M(P)[deep].allclose(M(P).max())


def holed():
    """A registration with unknown cells in both images: NaN, or zeros in their places."""
    image, grid = mri(32)
    masks = torch.ones(2, 32, 32)
    masks[0, 10:14, 8:11], masks[1, 20:23, 21:25] = 0, 0
    transform, truth = Rigid(center=(128.0, 128.0)), tensor([0.06, 6.0, -4.0])
    moved = evaluate(coefficients(image, 0.0), grid, transform(truth, grid.points())).reshape(32, 32)
    nothing = torch.tensor([torch.nan, torch.inf, -torch.inf]).double()

    def make(unknown):
        images = [torch.where(mask == 0, unknown, im) for mask, im in zip(masks, (image, moved), strict=True)]
        return images, masks

    fill = nothing[torch.arange(32 * 32) % 3].reshape(32, 32)
    return make(fill), make(tensor(0.0)), grid, transform, truth


@pytest.mark.parametrize("both", [False, True], ids=["reference", "both"])
@pytest.mark.parametrize("distance", [SSD(), NCC()], ids=repr)
def test_what_does_not_count_may_be_nan(both, distance):
    (images, masks), (zeros, _), grid, transform, truth = holed()
    kinds = (masks.double(), masks.bool(), masks.to(torch.uint8), masks.numpy(), masks.tolist())
    for mask in kinds[: 1 if both else None]:
        options = {"weights": mask[1], "template_weights": mask[0] if both else None, "distance": distance}
        template = images[0] if both else zeros[0]
        other = Registration(zeros[0], zeros[1], grid, transform, **options)
        problem = Registration(template, images[1], grid, transform, **options)
        if both:  # "overlap" goes on as the mean of the edge, and so do holes
            fill = problem.beyond[0].item(), problem.beyond[1].item()
            zeros = [torch.where(m == 0, v, im) for m, v, im in zip(masks, fill, zeros, strict=True)]
            other = Registration(zeros[0], zeros[1], grid, transform, **options)
        w = transform.identity()
        for each, same in zip(pyramid(problem, 3), pyramid(other, 3), strict=True):
            for a, b in ((each.at(1.0), same.at(1.0)),):
                assert a.loss(w) == b.loss(w) and a.gradient(w).isfinite().all()
                assert torch.equal(a.point(w).hessian(), b.point(w).hessian())
                assert a.gradient_theta(w).isfinite().all()
        if mask is kinds[0]:
            fine = {"levels": 2, "thetas": [1.0, 0.01]}
            for path in (follow(problem, [10.0, 1.0, 0.1, 0.01], w), multilevel(problem, w, **fine)):
                # a thirteenth of a cell, which is 8 mm
                assert (problem.motion(path.w) - problem.motion(truth)).abs().max() < 0.6


def test_smaller_images_are_means_of_what_counts():
    image, mask = torch.arange(16.0).double().reshape(4, 4), torch.ones(4, 4)
    mask[0, 0] = mask[2, 2] = mask[2, 3] = mask[3, 2] = mask[3, 3] = 0
    problem = Registration(image, image, Grid((4, 4), (4, 4)), weights=mask, template_weights=mask)
    small = pyramid(problem, 2)[0]
    for each in (small.template, small.reference):
        assert each.tolist() == [[10 / 3, 4.5], [10.5, 12.5]]  # without 0; 10, 11, 14 and 15 among themselves
    assert small.weights.tolist() == small.template_weights.tolist() == [[0.75, 1], [1, 0]]


def test_nan_that_counts_is_refused():
    image = torch.ones(4, 5).double()
    hole, mask = image.clone(), torch.ones(4, 5)
    hole[1, 2] = torch.nan
    mask[3, 3] = 0
    grid = Grid((4, 5), (4, 5))
    for options in (
        {"weights": mask},
        {"template_weights": mask},
        {"weights": mask, "template_weights": mask},
    ):
        for images in ((hole, image), (image, hole)):
            with pytest.raises(ValueError, match="expected an image of finite numbers"):
                Registration(*images, grid, outside="overlap", **options)
    with pytest.raises(ValueError, match=r'expected outside "overlap" with template_weights, got 0\.0'):
        Registration(image, image, grid, outside=0.0, template_weights=mask)
    with pytest.raises(ValueError, match=r"expected finite template_weights ≥ 0, not all of them zero"):
        Registration(image, image, grid, template_weights=0 * mask)


def test_masks_of_the_template_move_with_it():
    """A bright speck in the template that is masked away has no part in J; one beside the mask has."""
    grid, hill = Grid((16.0,), (16,)), torch.exp(-0.1 * (torch.arange(16.0).double() - 8) ** 2)
    mask, w = torch.ones(16), tensor([2.0])
    mask[4] = 0
    losses = []
    for cell in (4, 7):
        for height in (0.0, 5.0):
            template = hill.clone()
            template[cell] += height
            problem = Registration(template, hill, grid, Translation(1), template_weights=mask)
            losses.append(float(problem.at(0.0).loss(w)))
    assert losses[0] == pytest.approx(losses[1]) and losses[3] > 20 * losses[2]


def test_it_copies_and_shows():
    problem = case("overlap", SSD(), HOLE)
    assert repr(problem).endswith("SSD(), weights, template_weights, outside='overlap'")
    again = pickle.loads(pickle.dumps(copy.deepcopy(problem)))
    assert again.at(1.0).loss(W) == problem.at(1.0).loss(W)


def test_images_and_shift_by_machine(random):
    """J by the image itself, through the value beyond it, under torch.func."""
    grid, reference = Grid((9.0,), (9,)), 5 + random(9)
    w = tensor([0.7])

    def loss(image):
        return Registration(image, reference, grid, Translation(1), outside="overlap").at(0.5).loss(w)

    assert taylor_test(loss, 5 + random(9), order=2).passes()
