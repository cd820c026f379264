"""The objective of registration: values by hand, and closed form, autodiff, Taylor and differences all at
one.
"""

from __future__ import annotations

import copy
import dataclasses
import math
import pickle
from functools import partial

import numpy as np
import pytest
import scipy.optimize
import torch

from regkit.checks import adjoint_test, taylor_test
from regkit.data import bumps, hands_phantom, mri, paper_hands
from regkit.distances import NCC, SSD, Distance
from regkit.flows import NeuralODE
from regkit.grid import Grid
from regkit.optimize import gauss_newton, newton_trust
from regkit.registration import Registration
from regkit.regularizers import Quadratic
from regkit.spline import SmoothingBasis, at_centres, evaluate
from regkit.transforms import Affine, Rigid, Transform, Translation

tensor = partial(torch.tensor, dtype=torch.float64)

THETA = 0.2
EXTENT, SHAPE = (5.0, 6.0, 4.0), (9, 8, 7)
CASES = [
    (kind, dim, distance)
    for kind in (Affine, Rigid, Translation)
    for dim in (1, 2, 3)
    for distance in (SSD(), NCC())
    if not (kind is Rigid and dim == 1)
]


def close(a, b, tolerance=1e-10):
    assert a.shape == b.shape
    assert (a - b).norm() <= tolerance * b.norm()


@pytest.fixture(params=CASES, ids=lambda c: f"{c[0].__name__}{c[1]}-{type(c[2]).__name__}")
def case(request, random):
    """A problem with everything in it, and a point w somewhere."""
    kind, dim, distance = request.param
    grid = Grid(EXTENT[:dim], SHAPE[:dim])
    transform = kind(dim, center=[side / 2 for side in grid.extent])
    mask = torch.rand(grid.shape, generator=torch.Generator().manual_seed(0)) > 0.2
    pull = Quadratic(0.3, torch.diag(random(transform.parameters) ** 2), transform.identity())
    problem = Registration(random(*grid.shape), random(*grid.shape), grid, transform, distance, mask, pull)
    return problem, transform.identity() + 0.2 * random(transform.parameters)


def test_loss_by_hand():
    """A constant difference of 2 over a box of volume 20, and half of it masked away."""
    grid = Grid((4, 5), (8, 5))
    image = torch.ones(8, 5, dtype=torch.float64)
    mask = torch.zeros(8, 5).double()
    mask[:4] = 1
    for weights, volume in ((None, 20), (mask, 10)):
        objective = Registration(image, image + 2, grid, weights=weights, outside=0.0).at(0.0)
        w = tensor([1, 0, 0, 1, 0, 0])
        assert float(objective.loss(w)) == pytest.approx(0.5 * 4 * volume)
        assert objective.residual(w).shape == (40,)
        assert float(objective.residual(w).square().sum()) == pytest.approx(4 * volume)


def test_regulariser_by_hand():
    grid, w = Grid((2,), (3,)), tensor([3.0, 1.0])
    image = torch.zeros(3).double()
    pull = Quadratic(0.5, tensor([[2.0, 1], [1, 4]]), tensor([1.0, 0.0]))
    objective = Registration(image, image, grid, Affine(1), regulariser=pull).at(0.0)
    assert float(objective.loss(w)) == 0.25 * (2 * 4 + 2 * 2 + 4)
    assert objective.gradient(w).tolist() == [0.5 * 5, 0.5 * 6]
    assert objective.hessian(w).tolist() == [[1, 0.5], [0.5, 2]]


@pytest.mark.parametrize("dim", [1, 2, 3])
def test_reference_at_the_cell_centres(dim, random):
    grid = Grid(EXTENT[:dim], SHAPE[:dim])
    c = random(*grid.shape)
    close(at_centres(c), evaluate(c, grid, grid.points()), 1e-14)


def test_scales_smooth_both_images(random):
    problem = Registration(random(6, 7), random(6, 7), Grid((1, 1), (6, 7)))
    objective = problem.at(2.0)
    close(objective.coefficients, SmoothingBasis(problem.template).coefficients(2.0))
    close(objective.reference.reshape(6, 7), evaluate_on_grid(problem.reference, 2.0, problem.grid))
    assert problem.at(0.0).reference.reshape(6, 7).allclose(problem.reference)


def evaluate_on_grid(image, theta, grid):
    return evaluate(SmoothingBasis(image).coefficients(theta), grid, grid.points()).reshape(grid.shape)


def test_closed_form_equals_autodiff(case):
    problem, w = case
    objective = problem.at(THETA)
    close(objective.gradient(w), objective.gradient(w, method="autodiff"))
    close(objective.jacobian(w), objective.jacobian(w, method="autodiff"))
    for kind in ("exact", "gauss-newton"):
        close(objective.hessian(w, kind), objective.hessian(w, kind, method="autodiff"))
    pull = problem.regulariser
    close(objective.gradient(w), objective.jacobian(w).T @ objective.residual(w) + pull.gradient(w))
    close(
        objective.hessian(w, "gauss-newton"),
        objective.jacobian(w).T @ objective.jacobian(w) + pull.hessian().dense(w),
    )


def test_one_evaluation_serves_all(case):
    problem, w = case
    objective = problem.at(THETA)
    point = objective.point(w)
    for shared, alone in (
        (point.residual, objective.residual(w)),
        (point.loss, objective.loss(w)),
        (point.gradient, objective.gradient(w)),
        (point.jacobian, objective.jacobian(w)),
        (point.hessian("exact"), objective.hessian(w)),
        (point.hessian("gauss-newton"), objective.hessian(w, "gauss-newton")),
    ):
        close(shared, alone, 1e-13)


def test_curvature_is_the_hessian_without_the_matrix(case, random):
    problem, w = case
    for order in (1, 2):
        point = problem.at(THETA).point(w, order)
        for kind in ("exact", "gauss-newton"):
            H, v = point.curvature(kind), random(len(w))
            assert H.shape == (len(w), len(w))
            close(H @ v, point.hessian(kind) @ v)
            close(H.T @ v, H @ v)
            assert adjoint_test(H.forward, H.adjoint, v) < 1e-12


def test_derivatives_pass_taylor(case, random):
    problem, w = case
    objective, v = problem.at(THETA), random(len(w))
    result = taylor_test(
        objective.loss,
        w,
        v / 4,
        order=2,
        first=objective.gradient(w) @ v / 4,
        second=v @ objective.hessian(w) @ v / 16,
    )
    assert result.passes(), result.slopes
    assert taylor_test(objective.residual, w, v / 4, first=objective.jacobian(w) @ v / 4).passes()
    assert taylor_test(objective.gradient, w, v / 4, first=objective.hessian(w) @ v / 4).passes()


def test_derivative_by_the_scale(case):
    """∂θ∇J: Taylor in θ, and forward over reverse through the smoothing basis."""
    problem, w = case
    theta, step = tensor([THETA]), tensor([0.1])
    rate = problem.gradient_theta(w, THETA)
    close(problem.at(THETA).gradient_theta(w), rate, 1e-14)
    assert taylor_test(lambda s: problem.at(s[0]).gradient(w), theta, step, first=0.1 * rate).passes()
    close(rate, torch.func.jacfwd(lambda s: torch.func.grad(problem.at(s).loss)(w))(theta[0]))


def test_central_differences(case):
    """With no Taylor test and no torch.func: the plain quotients."""
    problem, w = case
    objective, h = problem.at(THETA), 1e-6
    for k in range(len(w)):
        e = h * torch.eye(len(w), dtype=torch.float64)[k]
        quotient = (objective.loss(w + e) - objective.loss(w - e)) / (2 * h)
        assert float(objective.gradient(w)[k]) == pytest.approx(float(quotient), rel=1e-5, abs=1e-7)
        column = (objective.gradient(w + e) - objective.gradient(w - e)) / (2 * h)
        assert (objective.hessian(w)[:, k] - column).norm() <= 1e-6 * objective.hessian(w).norm()


def test_any_transformation_will_do(random):
    """One that gives only y, with all its derivatives by torch.func: a wave of height w₁ and frequency w₂."""

    class Wave(Transform):
        parameters = 2

        def __call__(self, w, x):
            return x + w[0] * (w[1] * x.flip(1)).sin()

    problem = Registration(random(9, 8), random(9, 8), Grid((5, 6), (9, 8)), Wave())
    objective, w, v = problem.at(THETA), tensor([0.5, 1.3]), random(2)
    close(objective.gradient(w), objective.gradient(w, method="autodiff"))
    close(objective.jacobian(w), objective.jacobian(w, method="autodiff"))
    close(objective.hessian(w), objective.hessian(w, method="autodiff"))
    assert taylor_test(objective.gradient, w, v / 9, first=objective.hessian(w) @ v / 9).passes()
    for kind in ("exact", "gauss-newton"):
        close(objective.point(w).curvature(kind).dense(w), objective.hessian(w, kind))


class MutualInformation(Distance):
    """−Σ p log(p/(q r)) for the joint histogram p of two images, with margins q and r and smooth bins.

    Eight lines are all that it takes: what a new distance needs is its value.
    """

    levels = torch.linspace(-20.0, 275.0, 16, dtype=torch.float64)

    def value(self, t, s, weights):
        share = lambda v: torch.exp(-0.5 * ((v[:, None] - self.levels) / 20.0) ** 2)  # noqa: E731
        a, b = (h / h.sum(1, keepdim=True) for h in (share(t), share(s)))
        p = (weights[:, None] * a).T @ b / weights.sum()
        independent = p.sum(1, keepdim=True) * p.sum(0)
        return -(p * (p / independent).log()).sum()


def test_mutual_information_in_eight_lines():
    """A slice and its inverted, non-linear copy, turned and shifted: no residual, no derivative by hand."""
    image, grid = mri(64)
    transform, w_true = Rigid(center=(128, 128)), tensor([math.radians(4.0), 5.0, -3.0])
    moved = evaluate(SmoothingBasis(image).coefficients(0.0), grid, transform(w_true, grid.points()))
    reference = 255 * (1 - (moved.clamp(0, 255) / 255) ** 0.6).reshape(64, 64)
    objective = Registration(image, reference, grid, transform, MutualInformation()).at(1.0)
    start, v = transform.identity(), tensor([0.02, 3.0, 2.0])
    point = objective.point(start)
    close(point.gradient, objective.gradient(start, method="autodiff"))
    close(point.hessian(), objective.hessian(start, method="autodiff"), 1e-9)
    close(point.curvature().dense(start), point.hessian())
    first, second = point.gradient @ v, v @ point.hessian() @ v
    result = taylor_test(objective.loss, start, v, order=2, first=first, second=second)
    assert result.passes(), result.slopes
    for subproblem in ("exact", "krylov"):
        found = newton_trust(objective, start, subproblem=subproblem)
        assert found.converged, found.message
        off = (found.x - w_true).abs()
        assert off[0] < math.radians(1.0) and off[1:].max() < 0.25 * grid.spacing[0]
    plain = newton_trust(Registration(image, reference, grid, transform).at(1.0), start)
    assert (plain.x - w_true).abs()[1:].max() > grid.spacing[0], "squared differences take them apart"
    with pytest.raises(ValueError, match='expected kind "exact" for MutualInformation'):
        gauss_newton(objective, start)


def test_many_points_at_once_by_vmap(random):
    problem = Registration(random(9, 8), random(9, 8), Grid((5, 6), (9, 8)))
    objective, ws = problem.at(THETA), problem.transform.identity() + 0.1 * random(5, 6)
    losses = torch.func.vmap(objective.loss)(ws)
    assert losses.tolist() == pytest.approx([float(objective.loss(w)) for w in ws])


def test_centre_changes_parameters_not_the_problem(random):
    images, grid = (random(9, 8), random(9, 8)), Grid((5, 6), (9, 8))
    about = Affine(center=(2.5, 3))
    w = about.identity() + 0.1 * random(6)
    same = Affine().from_matrix(*about.matrix(w))
    centred, plain = Registration(*images, grid, about).at(1.0), Registration(*images, grid).at(1.0)
    assert float(centred.loss(w)) == pytest.approx(float(plain.loss(same)))
    condition = [torch.linalg.cond(o.hessian(v, "gauss-newton")) for o, v in ((centred, w), (plain, same))]
    assert condition[0] < condition[1] / 10


def test_float32_stays_float32(random):
    images = random(9, 8).float(), random(9, 8).float()
    objective = Registration(*images, Grid((5, 6), (9, 8))).at(0.5)
    w = Affine().identity(dtype=torch.float32)
    for part in (objective.loss(w), objective.gradient(w), objective.hessian(w), objective.gradient_theta(w)):
        assert part.dtype == torch.float32


def test_paper_hands_start(paper_data):
    """On the paper's scale, ‖r‖², the identity has loss 1.928552e6. SciPy finds the same stationary
    points.
    """
    pair = paper_hands(32)
    problem = Registration(pair.template, pair.reference, pair.grid)
    w = problem.transform.identity()
    assert 2 * float(problem.at(1e-3).loss(w)) == pytest.approx(1.928552e6, rel=1e-6)
    coarse = problem.at(1e3)
    numpy = lambda f: lambda v: f(torch.from_numpy(v)).numpy()  # noqa: E731
    fit = scipy.optimize.least_squares(
        numpy(coarse.residual), w.numpy(), numpy(coarse.jacobian), x_scale="jac"
    )
    other = scipy.optimize.minimize(numpy(coarse.loss), w.numpy(), jac=numpy(coarse.gradient), method="BFGS")
    assert fit.cost == pytest.approx(other.fun, rel=1e-6)
    assert float(coarse.gradient(torch.from_numpy(fit.x)).norm()) < 1e-3 * float(coarse.gradient(w).norm())


def test_one_dimension():
    """A comb of bumps that is shifted by 10."""
    (template, grid), (reference, _) = bumps(), bumps(shift=10)
    objective = Registration(template, reference, grid, Translation(1)).at(0.0)
    shifts = torch.linspace(-20, 20, 81, dtype=torch.float64)
    losses = torch.stack([objective.loss(shift[None]) for shift in shifts])
    assert shifts[losses.argmin()] == 10


# Template and reference on grids of their own.


def two_grids() -> tuple[Registration, torch.Tensor]:
    """A head on 128² cells, and on 48 × 96 a window of it, turned by 8° and shifted; with the map."""
    image, fine = mri(128)
    window, transform = Grid((192.0, 224.0), (48, 96)), Rigid(center=(110.0, 120.0))
    w = tensor([math.radians(8.0), 21.0, 12.0])
    seen = evaluate(SmoothingBasis(image).coefficients(0.0), fine, transform(w, window.points()))
    return Registration(image, seen.reshape(48, 96), window, transform, template_grid=fine), w


def test_a_template_on_a_grid_of_its_own_is_found():
    problem, w_true = two_grids()
    objective = problem.at(0.0)
    assert float(objective.loss(w_true)) < 1e-4 * float(objective.loss(problem.transform.identity()))
    found = newton_trust(problem.at(30.0), tensor([0.0, 15.0, 15.0])).x
    found = newton_trust(objective, found).x
    off = (problem.motion(found) - problem.motion(w_true)).norm(dim=1)
    assert off.max() < 0.02 * min(problem.grid.spacing)
    assert repr(problem).startswith("Registration of 128 × 128 to 48 × 96 cells: Rigid")


@pytest.mark.parametrize("distance", [SSD(), NCC()], ids=["SSD", "NCC"])
def test_derivatives_with_two_grids(distance, random):
    problem = dataclasses.replace(two_grids()[0], distance=distance)
    w, v, objective = tensor([0.1, 18.0, 14.0]), tensor([0.01, 0.7, -0.4]), problem.at(2.0)
    first, second = objective.gradient(w) @ v, v @ objective.hessian(w) @ v
    result = taylor_test(objective.loss, w, v, order=2, first=first, second=second)
    assert result.passes(), result.slopes
    close(objective.hessian(w), objective.hessian(w, method="autodiff"))
    close(objective.point(w).curvature() @ v, objective.hessian(w) @ v)
    rate = torch.func.jacfwd(lambda s: torch.func.grad(problem.at(s).loss)(w))(tensor(2.0))
    close(problem.gradient_theta(w, 2.0), rate)


def test_one_blur_for_both_grids():
    """θ counts in cells of the reference: a smooth function is the same on both grids, smoothed as well."""
    hill = lambda grid: torch.exp(-0.5 * ((grid.points() - 20) / 4) ** 2).prod(1).reshape(grid.shape)  # noqa: E731
    coarse, fine = Grid((40.0, 40.0), (40, 50)), Grid((40.0, 40.0), (80, 60))
    for theta in (10.0, 300.0):
        problem = Registration(hill(fine), hill(coarse), coarse, template_grid=fine)
        start, objective = problem.transform.identity(), problem.at(theta)
        before = Registration(hill(coarse), 0 * hill(coarse), coarse).at(theta).loss(start)
        assert float(objective.loss(start)) < 1e-5 * float(before)
        by_cell = SmoothingBasis(hill(fine)).coefficients(theta)
        other = dataclasses.replace(objective, coefficients=by_cell)
        assert float(other.loss(start)) > 100 * float(objective.loss(start)), "another blur"


def test_an_equal_grid_changes_nothing(random):
    images, grid, w = (random(9, 8), random(9, 8)), Grid((5, 6), (9, 8)), Affine().identity() + 0.1
    one, two = Registration(*images, grid), Registration(*images, grid, template_grid=Grid((5, 6), (9, 8)))
    assert one.at(THETA).hessian(w).equal(two.at(THETA).hessian(w))
    assert one.gradient_theta(w, THETA).equal(two.gradient_theta(w, THETA))


IMAGE = torch.arange(20, dtype=torch.float64).reshape(4, 5)
GRID = Grid((1, 1), (4, 5))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Registration(IMAGE.T, IMAGE, GRID), r"expected template of shape \(4, 5\), got \(5, 4\)"),
        (
            lambda: Registration(IMAGE, IMAGE, GRID, template_grid=Grid((1, 1), (5, 4))),
            r"expected template of shape \(5, 4\), got \(4, 5\)",
        ),
        (lambda: Registration(IMAGE, IMAGE[:3], GRID), r"expected reference of shape \(4, 5\), got \(3, 5\)"),
        (lambda: Registration(IMAGE.int(), IMAGE, GRID), r"expected a floating-point image"),
        (lambda: Registration(IMAGE * math.nan, IMAGE, GRID), r"finite numbers"),
        (
            lambda: Registration(IMAGE.float(), IMAGE, GRID),
            r"images of one kind, got torch.float32 on cpu and",
        ),
        (lambda: Registration(IMAGE, IMAGE, GRID, distance="ssd"), r"expected a Distance, .*, got 'ssd'"),
        (lambda: Registration(IMAGE, IMAGE, GRID, distance=SSD), r"expected a Distance, .*, got <class"),
        (lambda: Registration(IMAGE, IMAGE, GRID, regulariser=0.1), r"expected a Regulariser, .*, got 0.1"),
        (lambda: Registration(IMAGE, IMAGE, GRID, "affine"), r"expected a Transform, .*, got 'affine'"),
        (
            lambda: Registration(IMAGE, IMAGE, GRID, Affine(3)),
            r"transformation in 2 dimensions, got one in 3",
        ),
        (
            lambda: Registration(IMAGE, IMAGE, GRID, weights=IMAGE[0]),
            r"expected weights of shape \(4, 5\), got \(5,\)",
        ),
        (lambda: Registration(IMAGE, IMAGE, GRID, weights=-IMAGE), r"expected finite weights ≥ 0"),
        (lambda: Registration(IMAGE, IMAGE, GRID, weights=0 * IMAGE), r"not all of them zero"),
        (lambda: Registration(IMAGE, IMAGE, GRID).at(-1.0), r"θ ≥ 0, got -1.0"),
        (
            lambda: Registration(IMAGE, IMAGE, GRID).at(1.0).loss(torch.zeros(3)),
            r"parameters of shape \(6,\), got \(3,\)",
        ),
        (
            lambda: (
                Registration(IMAGE, IMAGE, GRID).at(1.0).gradient(torch.zeros(6).double(), method="magic")
            ),
            r'expected method "closed" or "autodiff", got \'magic\'',
        ),
        (
            lambda: Registration(IMAGE, IMAGE, GRID).at(1.0).hessian(torch.zeros(6).double(), "newton"),
            r'expected kind "exact" or "gauss-newton", got \'newton\'',
        ),
    ],
)
def test_bad_input_says_what_is_wrong(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_weights_may_come_from_numpy():
    problem = Registration(IMAGE, IMAGE, GRID, weights=np.ones((4, 5), dtype=bool))
    assert problem.omega.tolist() == [0.05] * 20


def test_objects_copy_compare_and_print():
    """None compares its tensors, and none prints them."""
    pull = Quadratic(2, torch.eye(6).double(), torch.ones(6).double())
    problem = Registration(IMAGE, IMAGE, GRID, weights=IMAGE, regulariser=pull)
    objective = problem.at(1.0)
    for thing in (problem, objective, objective.point(Affine().identity()), problem.regulariser):
        assert thing == thing and thing in [1, thing] and thing != copy.copy(thing)
        copied = pickle.loads(pickle.dumps(copy.deepcopy(thing)))
        assert repr(copied) == repr(thing) and len(repr(thing)) < 150
    again = copy.deepcopy(problem).at(1.0)
    w = Affine().identity() + 0.1
    assert again.gradient(w).equal(objective.gradient(w))
    assert repr(problem) == (
        "Registration of 4 × 5 cells: Affine(dim=2, center=None), SSD(), weights, regulariser"
    )
    assert repr(objective).startswith("Objective at θ = 1 of Registration of 4 × 5 cells")


@pytest.mark.parametrize("outside", [0.0, "mean", "overlap"])
@pytest.mark.parametrize("make", [Affine, Rigid, NeuralODE])
def test_the_first_use_may_be_inside_a_derivative(make, outside, random):
    """What a problem keeps outlives the derivative in which it was first needed."""
    pair = hands_phantom(12)
    problem = Registration(pair.template, pair.reference, pair.grid, make(), outside=outside)
    w = problem.transform.identity() + 0.01 * random(problem.transform.parameters)
    theta = torch.tensor(0.5, dtype=torch.float64)

    def gradient(t):
        return torch.func.grad(lambda v: problem.at(t).loss(v))(w)

    mixed = torch.func.jacfwd(gradient)(theta)  # the first use, two levels deep
    torch.testing.assert_close(mixed, problem.gradient_theta(w, theta), rtol=1e-7, atol=1e-7)
    step = 1e-4
    difference = (gradient(theta + step) - gradient(theta - step)) / (2 * step)
    torch.testing.assert_close(mixed, difference, rtol=1e-5, atol=1e-3)
