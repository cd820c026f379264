"""Stripes slide along themselves and discs turn without a change: the map is not determined."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy import ndimage

from regkit import _determined
from regkit.data import hands_phantom, mri
from regkit.register import register, sizes
from regkit.transforms import Affine

HEAD, HAND = mri(64)[0].numpy(), hands_phantom(64).reference.numpy()
ROWS, COLUMNS = np.mgrid[:48, :48].astype(float)
OBLIQUE = ROWS * np.cos(np.pi / 6) + COLUMNS * np.sin(np.pi / 6)
RADIUS = np.hypot(ROWS - 21, COLUMNS - 26)
LAYERS = np.broadcast_to(np.sin(np.arange(20) / 2), (20, 20, 20))
SLIDE = {
    "stripes": np.sin(ROWS / 2),
    "oblique stripes": np.sin(OBLIQUE / 2),
    "oblique bars": (OBLIQUE % 12 < 6).astype(float),
    "a ramp": ROWS / 48,
    "an oblique ramp": OBLIQUE / 66,
    "an edge": (ROWS > 20).astype(float),
    "an oblique edge": (OBLIQUE > 30).astype(float),
    "layers in space": LAYERS,
    "rods in space": LAYERS * LAYERS.swapaxes(1, 2),
}
TURN = {
    "a disc": (RADIUS < 12).astype(float),
    "a blob": np.exp(-(RADIUS**2) / 72),
    "rings": np.sin(RADIUS / 2),
}
DIRECTION, POINT = "not determined along one direction", "not determined about a point"


def noisy(image, noise, seed):
    return image + noise * np.ptp(image) * np.random.default_rng(seed).normal(size=image.shape)


def told(template, reference=None, **options):
    reference = template if reference is None else reference
    return " ".join(register(template, reference, **options).warnings)


@pytest.mark.parametrize("noise", [0.0, 0.01, 0.05])
@pytest.mark.parametrize("name", SLIDE)
def test_a_map_that_is_not_determined_is_told(name, noise):
    """The same in every plane along one direction: the map may slide along it, whatever the noise."""
    pair = (noisy(SLIDE[name], noise, seed) for seed in (0, 1))
    assert DIRECTION in told(*pair, transform="translation")


def test_a_ramp_below_its_noise_is_told():
    """From cell to cell it rises by a twelfth of the noise."""
    ramp = np.mgrid[:256, :256][0] / 256
    for transform in ("translation", "rigid"):
        assert DIRECTION in told(noisy(ramp, 0.05, 0), noisy(ramp, 0.05, 1), transform=transform)


@pytest.mark.parametrize("noise", [0.0, 0.1])
@pytest.mark.parametrize("name", TURN)
def test_what_may_turn_is_told_where_the_map_may_turn(name, noise):
    template, reference = (noisy(TURN[name], noise, seed) for seed in (0, 1))
    assert "not determined" not in told(template, reference, transform="translation")
    for transform in ("rigid", "similarity", "affine"):
        assert POINT in told(template, reference, transform=transform)


def test_an_ellipse_turns_with_a_stretch_only():
    ellipse = (np.hypot((ROWS - 22) / 2, COLUMNS - 25) < 8).astype(float)
    assert "not determined" not in told(ellipse, transform="similarity")
    assert POINT in told(ellipse, transform="affine")


def test_a_small_thing_on_a_ramp_determines_a_shift():
    """However small its share of all that is seen: it is in both images."""
    dot = ROWS / 48 + np.exp(-(RADIUS**2) / 8)
    assert "not determined" not in told(noisy(dot, 0.05, 0), noisy(dot, 0.05, 1), transform="translation")


@pytest.mark.parametrize("noise", [0.0, 0.2])
@pytest.mark.parametrize("transform", ["translation", "affine"])
def test_no_false_alarm(transform, noise):
    """Heads, hands and textures, small and large, with noise of their own."""
    random = np.random.default_rng(1)
    textures = [ndimage.gaussian_filter(random.normal(size=(64, 64)), size) for size in ((1, 3), 2)]
    for image in (HEAD, HAND, HEAD[::2, ::2], HAND[::2, ::2], *textures):
        template = noisy(ndimage.rotate(image, 5, reshape=False, order=1, mode="nearest"), noise, 2)
        assert "not determined" not in told(template, noisy(image, noise, 3), transform=transform)


def test_fine_detail_on_a_ramp_determines_the_map():
    """It is lost in the smaller images that are asked first: the larger ones know better."""
    detail = np.random.default_rng(0).normal(size=(128, 128))
    found = register(detail + np.mgrid[:128, :128][0] / 2, detail + np.mgrid[:128, :128][0] / 2)
    levels = sizes(found.problem)
    assert _determined.undetermined(levels[:-1], found.w) and not found.warnings


@pytest.mark.parametrize(
    "options", [{}, {"transform": "rigid"}, {"transform": "translation", "distance": "ngf", "turns": 1}]
)
def test_it_is_told_for_every_affine_map_and_distance(options):
    assert DIRECTION in told(SLIDE["oblique stripes"][:32, :32], **options)
    assert "not determined" not in told(HEAD[::2, ::2], **options)


def test_one_of_two_kinds_of_images_is_enough():
    """Where grey values do not compare each image is asked by itself."""
    options = {"transform": "translation", "distance": "mi", "turns": 1}
    assert DIRECTION in told(HEAD[8:56:2, 8:56:2], SLIDE["oblique stripes"][:24, :24], **options)


def test_a_negative_changes_nothing():
    assert DIRECTION in told(
        -SLIDE["oblique stripes"], SLIDE["oblique stripes"] + ROWS / 9, transform="rigid"
    )
    assert "not determined" not in told(-HEAD, HEAD, transform="rigid")


def test_long_cells_are_not_taken_for_stripes():
    """A head whose cells are twelve times as long as wide is one still, and stripes are stripes."""
    for spacing in ((1.0, 12.0), (12.0, 1.0)):
        grids = {"reference_grid": spacing, "template_grid": spacing, "transform": "translation"}
        assert "not determined" not in told(HEAD, **grids)
        assert DIRECTION in told(SLIDE["oblique stripes"], **grids)


def test_a_mask_may_hide_all_that_tells():
    image = np.sin(ROWS / 2)
    image[:, :12] += 3 * np.random.default_rng(0).normal(size=(48, 12))
    mask = COLUMNS >= 12
    assert "not determined" not in told(image, transform="translation")
    for hidden in ({"reference_mask": mask}, {"template_mask": mask}):
        assert DIRECTION in told(image, transform="translation", **hidden)


# ---------------------------------------------------------------------------------------- the sums

MOTION = np.array([[0.02, -0.05, 1.5], [0.03, 0.01, -0.5]])  # (A, b)


def changes(image, spacing):
    """∇image·u by the filters of SciPy, cell by cell, less the border, from the middle of what is left."""
    smooth, slope = np.array([1, 4, 6, 4, 1]), np.array([1, 2, 0, -2, -1])
    total = 0
    for axis in range(2):
        g = ndimage.convolve1d(ndimage.convolve1d(image, smooth, 1 - axis), slope, axis)[2:-2, 2:-2]
        x = [h * (i - (n - 1) / 2) for h, i, n in zip(spacing, np.indices(g.shape), g.shape, strict=True)]
        total = total + g / spacing[axis] * (
            MOTION[axis, 0] * x[0] + MOTION[axis, 1] * x[1] + MOTION[axis, 2]
        )
    return total


def test_sums_are_those_of_the_cells():
    a, b = np.random.default_rng(0).normal(size=(2, 13, 17))
    slopes = _determined.Slopes(a, b, np.ones((13, 17), bool), (2.0, 0.5))
    u, (da, db) = MOTION.ravel(), (changes(image, (2.0, 0.5)) for image in (a, b))
    for matrix, expected in ((slopes.both, da * db), (slopes.moved, da * da), (slopes.fixed, db * db)):
        assert u @ matrix @ u == pytest.approx(expected.sum(), rel=1e-10)
    assert slopes.count == da.size


def test_noise_of_the_sum_is_as_told():
    """For a shift, the standard deviation of Σ(∇T·u)(∇R·u) over 400 pairs of white noise, times √2."""
    random, shift, sums = np.random.default_rng(0), np.array([[0, 0, 1, 0, 0, 0.0]]).T, []
    for _ in range(400):
        slopes = _determined.Slopes(*random.normal(size=(2, 24, 24)), np.ones((24, 24), bool), (1.0, 1.0))
        squares = slopes.moved[2, 2] * slopes.fixed[2, 2]
        sums.append(slopes.both[2, 2] / np.sqrt(squares / slopes.count))
    kappa = _determined.ALONG * _determined.ACROSS
    assert np.std(sums) == pytest.approx(np.sqrt(kappa), rel=0.15)
    size = slopes.both[2, 2] + slopes.both[5, 5]
    expected = np.sqrt(2 * kappa * squares / slopes.count) / abs(size)
    assert slopes.least(shift)[1] == pytest.approx(expected)


def test_motions_are_those_of_the_transformation():
    """Of points of the reference, by finite differences of w, about the middle of the images."""
    found = register(HEAD, HAND, transform="similarity")
    problem, w = found.problem, found.w
    ways = _determined._ways(problem, w, shifts=False)
    transform, x = problem.transform, problem.points
    A, _ = transform.matrix(w)
    z = np.concatenate([(x - 32).numpy(), np.ones((len(x), 1))], 1)
    for k in range(transform.parameters):
        step = 1e-6 * torch.eye(transform.parameters).double()[k]
        moved = (transform(w + step, x) - transform(w - step, x)) / 2e-6
        expected = torch.linalg.solve(A, moved.T).T.numpy()
        assert np.allclose(z @ ways[:, k].reshape(2, 3).T, expected, atol=1e-6)
    assert np.array_equal(
        _determined._ways(problem, w, shifts=True).reshape(2, 3, 2)[:, 2], np.eye(2)
    ) and isinstance(transform, Affine)
