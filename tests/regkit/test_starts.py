"""Many starts at once, against one at a time; and the end, against what the noise allows."""

from dataclasses import replace

import numpy as np
import pytest
import scipy.ndimage
import torch

from regkit import (
    NCC,
    SSD,
    Affine,
    Distance,
    Grid,
    Quadratic,
    Registration,
    Rigid,
    Similarity,
    Translation,
    levenberg_marquardt,
)
from regkit.data import hands_phantom
from regkit.registration import Evaluation
from regkit.spline import at_centres, coefficients, evaluate
from regkit.starts import Together, Weighted, _slopes, descend, fits, settle


def example(distance, transform, outside=0.0, **options):
    pair = hands_phantom(32, noise=2.0)
    return Registration(
        pair.template, pair.reference, pair.grid, transform, distance, outside=outside, **options
    )


class Child(Affine):
    """The same."""


MAPS = [Affine(2, (1.0, 2.0)), Rigid(2, (1.0, 2.0)), Similarity(), Translation(), Child()]


def looked_up(objective, w) -> Evaluation:
    """What is known at w if T, ∇T and the cover are linear between the cells, by SciPy; zero beyond."""
    problem, grid = objective.problem, objective.problem.grids[1]
    cells, h = torch.tensor(grid.shape), torch.tensor(grid.spacing, dtype=torch.float64)
    wider = Grid(tuple(((cells + 4) * h).tolist()), tuple((cells + 4).tolist()))
    index = problem.motion(w) / h + 1.5

    def at(c):
        value, slope = evaluate(c, grid, wider.points() - 2 * h, 1)
        tables = torch.cat([value[None], slope.T]).reshape(-1, *wider.shape).numpy()
        parts = [scipy.ndimage.map_coordinates(table, index.T.numpy(), order=1) for table in tables]
        return torch.from_numpy(np.stack(parts))

    value, *slope = at(objective.coefficients)
    cover = () if problem.cover is None else (at(problem.cover)[0],)
    return Evaluation(objective, w, (value + problem.beyond[0], torch.stack(slope, 1)), cover)


def check(objective, w, rtol=1e-9):
    """Loss, gradient, Gauss-Newton matrix and lengths of steps, against the plain formulas."""
    motion = objective.problem.motion
    for each, *values in zip(w, *map(torch.tensor, Together(objective)(w.numpy())), strict=True):
        point, Y = looked_up(objective, each), motion.jacobian(each)[objective.problem.omega != 0]
        lengths = torch.einsum("ndp,ndq->pq", Y, Y) / len(Y)
        expected = point.loss, point.gradient, point.hessian("gauss-newton"), lengths
        for got, correct in zip(values, expected, strict=True):
            torch.testing.assert_close(got, correct, rtol=rtol, atol=rtol * float(correct.abs().max()))


@pytest.mark.parametrize("distance", [SSD(), NCC()])
@pytest.mark.parametrize("transform", MAPS, ids=lambda each: type(each).__name__)
def test_equals_the_plain_formulas_for_images_looked_up(distance, transform, random):
    """At several w, to rounding; with a mask as well."""
    weights = (random(32, 32) > -1).double()
    w = transform.identity() + 0.05 * random(3, transform.parameters)
    for problem in (example(distance, transform), example(distance, transform, weights=weights)):
        check(problem.at(0.7), w)


@pytest.mark.parametrize("distance", [SSD(), NCC()])
def test_equals_the_plain_loss_where_only_the_overlap_counts(distance, random):
    problem = example(distance, Affine(), "overlap", template_weights=(random(32, 32) > -2).double())
    w = Affine().identity() + 0.05 * random(3, 6)
    expected = torch.stack([looked_up(problem.at(0.7), each).loss for each in w])
    torch.testing.assert_close(torch.from_numpy(Together(problem.at(0.7))(w.numpy())[0]), expected)


def test_in_space_and_with_grids_of_their_own(random):
    template, reference = random(9, 8, 7), random(6, 7, 8)
    problem = Registration(
        template, reference, Grid((3.0, 4.0, 5.0), (6, 7, 8)), Affine(3, (1.0, 1.0, 1.0)), NCC(),
        template_grid=Grid((3.0, 3.5, 5.0), (9, 8, 7)), outside="mean",
    )  # fmt: skip
    check(problem.at(0.5), Affine(3).identity() + 0.05 * random(2, 12), 1e-7)


@pytest.mark.parametrize("transform", MAPS[:3], ids=lambda each: type(each).__name__)
def test_every_start_ends_where_the_plain_method_does(transform, random):
    """Four starts a cell or so from a minimum, a valley for some parameters: to a quarter of a cell."""
    problem = example(NCC(), transform)
    found = levenberg_marquardt(problem.at(3.0), transform.identity()).x
    w = found + 0.02 * random(4, transform.parameters)
    ends, loss = descend(Together(problem.at(3.0)), w, 60, 1e-9)
    for end, value in zip(ends, loss, strict=True):
        torch.testing.assert_close(value, looked_up(problem.at(3.0), end).loss, rtol=1e-6, atol=0)
        off = (problem.motion(end) - problem.motion(found)).norm(dim=1)
        assert off.max() < 0.25 * min(problem.grid.spacing)


def test_a_start_without_overlap_is_left_where_it_is():
    problem = example(NCC(), Affine(), "overlap")
    w = Affine().identity().repeat(2, 1)
    w[1, 4] = 1e3
    ends, loss = descend(Together(problem.at(1.0)), w)
    assert loss[0] < 0.5 and loss[1] == torch.inf and torch.equal(ends[1], w[1])


def test_a_start_whose_matrix_is_singular_stays_and_does_not_stop_the_others():
    """J = ½‖w − 1‖² for the first; for the second a loss whose gradient comes with a matrix of zeros."""

    def loss(w: np.ndarray) -> tuple[np.ndarray, ...]:
        first = (w[:, 0] > 0)[:, None, None] * np.ones((len(w), 2, 2))
        return 0.5 * ((w - 1) ** 2).sum(1), w - 1, first * np.eye(2), np.broadcast_to(np.eye(2), first.shape)

    starts = torch.tensor([[3.0, 2.0], [-3.0, 2.0]], dtype=torch.float64)
    ends, left = descend(loss, starts, 60, 1e-9)
    torch.testing.assert_close(ends[0], torch.ones(2, dtype=torch.float64))
    assert torch.equal(ends[1], starts[1]) and left[1] == 8.5


def slice_of_noise(size: int, seed: int, stretch: float, noise: float):
    """A round object with structure at all sizes, seen twice: the second time stretched along one axis."""
    generator = torch.Generator().manual_seed(seed)
    waves = 0.12 * size**0.5 * torch.randn(60, 2, generator=generator, dtype=torch.float64)
    phases = 6.3 * torch.rand(60, generator=generator, dtype=torch.float64)
    grid = Grid((1.0, 1.0), (size, size))
    A = torch.diag(torch.tensor([stretch, 1 / stretch])).double()
    b = torch.tensor([0.5, 0.5]).double() - A @ torch.tensor([0.5, 0.5]).double()

    def image(x):
        texture = (6.3 * 8 * x @ waves.T / size**0.5 + phases).sin().sum(1) / 60**0.5
        window = torch.sigmoid((0.3 - (x - 0.5).norm(dim=1)) * 40)
        return window * (1 + 0.5 * texture)

    x = grid.points()
    images = image(x), image(x @ A.T + b)
    noisy = [each + noise * torch.randn(len(x), generator=generator, dtype=torch.float64) for each in images]
    return [each.reshape(size, size) for each in noisy], grid, torch.cat([A.flatten(), b])


@pytest.mark.parametrize("distance", [SSD(), NCC()])
def test_the_end_has_no_bias_under_a_map_that_stretches(distance):
    """Without noise: the minimiser with smoothing is off, the weighted equations are not."""
    (template, reference), grid, truth = slice_of_noise(48, 0, 1.3, 0.0)
    problem = Registration(template, reference, grid, Affine(), distance, outside=0.0)
    start = truth + 1e-3
    minimiser = levenberg_marquardt(problem.at(3.0), start).x
    off = [48 * float((w - truth).norm()) for w in (minimiser, settle(Weighted(problem), start)[0])]
    assert off[0] > 0.02 and off[1] < 0.25 * off[0]


def test_the_end_is_nearer_the_truth_than_any_minimiser():
    """With noise, over sixteen problems: less error than minimisers with little or much smoothing."""
    errors = torch.zeros(4)
    for seed in range(16):
        images, grid, truth = slice_of_noise(48, seed, 1.3, 0.04)
        problem = Registration(*images, grid, Affine(2), NCC(), outside=0.0)
        ends = [settle(Weighted(problem), truth + 1e-3)[0]]
        ends += [levenberg_marquardt(problem.at(theta), truth, xtol=1e-4).x for theta in (0.01, 1.0, 10.0)]
        x = grid.points()
        errors += torch.tensor(
            [float((Affine()(w, x) - Affine()(truth, x)).norm(dim=1).mean()) for w in ends]
        )
    assert errors[0] < 0.97 * errors[1:].min()


def test_brightness_and_contrast_do_not_move_the_end():
    images, grid, truth = slice_of_noise(32, 1, 1.1, 0.02)
    problem = Registration(*images, grid, Affine(), NCC(), outside="edge")
    bright = replace(problem, template=5 + 3 * problem.template)
    torch.testing.assert_close(
        settle(Weighted(bright), truth)[0], settle(Weighted(problem), truth)[0], atol=1e-9, rtol=0
    )


def test_slopes_line_by_line_are_those_of_the_spline(random):
    """But for the ends of lines, where the spline falls to zero and these do not."""
    image, h = random(40, 44), (0.5, 2.0)
    inner = (slice(None), slice(14, -14), slice(14, -14))
    expected = [at_centres(coefficients(image, 0.0), k) / h[k] for k in (0, 1)]
    for slope, other in zip(_slopes(image, h), expected, strict=True):
        both = torch.stack([slope, other]).reshape(2, *image.shape)[inner]
        torch.testing.assert_close(both[0], both[1], rtol=0, atol=1e-5)


def test_points_that_are_left_out_say_next_to_nothing_along_any_direction():
    """A strong edge and faint waves beside it: of every slope at least 99 % of the squares are kept."""
    grid = Grid((64.0, 64.0), (64, 64))
    x, y = grid.points().T
    inner = ((x - 32).abs() < 26) & ((y - 32).abs() < 26)
    image = torch.sigmoid(2 * x - 64) + 1e-3 * torch.exp(-((x - 44) ** 2 + (y - 32) ** 2) / 100) * y.sin()
    image, weights = image.reshape(64, 64), inner.reshape(64, 64).double()
    equations = Weighted(Registration(image, image, grid, weights=weights, outside="edge"))
    kept = (equations.motion.points.floor() @ torch.tensor([64.0, 1.0]).double()).long()
    slope = _slopes(equations.clean, grid.spacing)
    angles = torch.linspace(0, torch.pi, 51, dtype=torch.float64)
    along = torch.stack([angles.cos(), angles.sin()], 1) @ slope
    squares, rest = along[:, inner].square().sum(1), along[:, kept].square().sum(1)
    assert (rest > 0.99 * squares).all() and squares[25] < 1e-4 * squares[0]
    assert inner[kept].all() and len(kept) < 0.7 * inner.sum()


def test_without_any_structure_the_start_is_given_back(random):
    problem = Registration(random(16, 16), 0 * random(16, 16), Grid((1.0, 1.0), (16, 16)), outside=0.0)
    assert torch.equal(settle(Weighted(problem), Affine().identity())[0], Affine().identity())


def test_what_does_not_converge_is_given_back():
    images, grid, truth = slice_of_noise(32, 1, 1.1, 0.02)
    problem = Registration(*images, grid, Affine(), NCC(), outside=0.0)
    far = truth + torch.tensor([0, 0, 0, 0, 0.4, 0.4]).double()
    assert torch.equal(settle(Weighted(problem), far)[0], far)


def test_other_problems_are_refused(random):
    problem = example(NCC(), Affine(), regulariser=None)
    assert fits(problem)

    class Mean(Distance):
        def value(self, t, s, weights):
            return weights @ (t - s) ** 2

    for changed in (
        replace(problem, distance=Mean()),
        replace(problem, regulariser=Quadratic(1.0, torch.eye(6).double(), Affine().identity())),
    ):
        assert not fits(changed)
        with pytest.raises(ValueError, match="expected SSD or NCC"):
            Together(changed.at(1.0))
        with pytest.raises(ValueError, match="expected SSD or NCC"):
            Weighted(changed)
