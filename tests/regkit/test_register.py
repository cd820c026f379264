"""One call: problems with a known map, made by SciPy from one fine image; every option; what users bring."""

from __future__ import annotations

import math
import warnings

import numpy as np
import pytest
import scipy.ndimage
import torch

import regkit
from regkit import NCC, Affine, Grid, Registration, Rigid, register
from regkit.register import sizes


def fine_object(dim: int, size: int, seed: int = 0, smooth: float = 1.0) -> np.ndarray:
    """An object without symmetry, with structure at all sizes, on a background of zero."""
    generator = np.random.default_rng(seed)
    axes = np.meshgrid(*[(np.arange(size) + 0.5) / size - 0.5] * dim, indexing="ij")
    texture = sum(
        a
        * (n := scipy.ndimage.gaussian_filter(generator.standard_normal((size,) * dim), s * smooth * size))
        / n.std()
        for a, s in ((1.0, 0.08), (0.6, 0.04), (0.4, 0.02))
    )
    radius = sum((axis / half) ** 2 for axis, half in zip(axes, (0.2, 0.3, 0.25), strict=False)) ** 0.5
    return np.clip(1 + 0.4 * texture, 0.1, None) / (1 + np.exp((radius - 1) * 25 / smooth))


def turn(degrees: float, dim: int = 2) -> np.ndarray:
    c, s = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    A = np.eye(dim)
    A[:2, :2] = [[c, -s], [s, c]]
    return A


def seen(fine: np.ndarray, grid: Grid, A=None, b=None, side: float = 1.0) -> np.ndarray:
    """The fine image, on a cube of this side, at A x + b for the cell centres x of a grid; by SciPy."""
    x = grid.points().numpy()
    y = x if A is None else x @ A.T + b
    return scipy.ndimage.map_coordinates(fine, y.T / side * len(fine) - 0.5, order=3).reshape(grid.shape)


def pair(dim=2, size=48, degrees=20.0, scale=1.1, shift=0.05, noise=0.01, seed=0, smooth=1.0):
    """Template, reference, A and b; a side is as many units as cells."""
    fine, grid = (
        fine_object(dim, 4 * size if dim == 2 else 2 * size, seed, smooth),
        Grid((size,) * dim, (size,) * dim),
    )
    A = turn(degrees, dim) * scale
    b = np.full(dim, size / 2) + shift * size * np.array([1.0, -0.5, 0.7])[:dim] - A @ np.full(dim, size / 2)
    draw = np.random.default_rng(seed + 100).standard_normal
    images = (seen(fine, grid, *map_, side=size) + noise * draw(grid.shape) for map_ in ((), (A, b)))
    return *images, A, b


def off(found, A, b) -> float:
    """The mean distance of the map from A x + b over the object, in cells."""
    x = found.problem.points.numpy()[found.problem.reference.flatten().numpy() > 0.3]
    M = found.matrix()
    error = x @ (M[:-1, :-1] - A).T + M[:-1, -1] - b
    return float(np.linalg.norm(error, axis=1).mean()) / min(found.problem.grid.spacing)


@pytest.mark.parametrize("degrees", [0.0, 80.0, -170.0])
@pytest.mark.parametrize("transform", ["rigid", "similarity", "affine"])
def test_any_rotation_is_found_without_a_start(transform: str, degrees: float):
    template, reference, A, b = pair(degrees=degrees, scale=1.0 if transform == "rigid" else 1.2)
    found = register(template, reference, transform=transform)
    assert off(found, A, b) < 0.05 and found.after < 0.05 and not found.warnings
    assert type(found.transform).__name__.lower() == transform and found.precision < 0.05


def test_a_translation():
    template, reference, A, b = pair(degrees=0.0, scale=1.0, shift=0.3)
    assert off(register(template, reference, transform="translation"), A, b) < 0.05


@pytest.mark.parametrize("dim", [2, 3])
def test_the_error_is_what_precision_says(dim: int):
    """Over several problems the mean error is between a third and twice what each result says of itself."""
    errors, promised = [], []
    for seed in range(8 if dim == 2 else 2):
        template, reference, A, b = pair(
            dim, 48 if dim == 2 else 20, 15.0, noise=0.05, seed=seed, smooth=dim - 1.0
        )
        found = register(template, reference)
        errors.append(off(found, A, b))
        promised.append(found.precision)
    assert 0.33 < np.mean(errors) / np.mean(promised) < 2


def test_in_space_far_turned():
    template, reference, A, b = pair(3, 24, degrees=75.0, smooth=2.0)
    assert off(register(template, reference), A, b) < 0.15


def test_brightness_and_contrast_may_differ():
    template, reference, A, b = pair()
    found = register(1000 - 0 * template + 300 * template, reference)
    assert off(found, A, b) < 0.05
    torch.testing.assert_close(found.w, register(template, reference).w, atol=1e-6, rtol=0)


@pytest.mark.parametrize("distance", ["ncc", "ssd"])
@pytest.mark.parametrize("outside", ["edge", "overlap"])
def test_a_large_constant_in_the_grey_values_changes_nothing(distance: str, outside: str):
    """But for the digits that the images themselves lose to it; for ncc it may be in one of them only."""
    template, reference, *_ = pair(size=32, noise=0.03)
    options = {"distance": distance, "outside": outside}
    expected = register(template, reference, **options)
    for constant in (1e5, 1e8, 1e12):
        for both in [(1, 1)] + [(1, 0), (0, -1)] * (distance == "ncc"):
            images = (image + k * constant for image, k in zip((template, reference), both, strict=True))
            found, lost = register(*images, **options), 10 * math.ulp(constant)
            torch.testing.assert_close(found.points, expected.points, rtol=0, atol=1e-9 + lost)
            torch.testing.assert_close(found.matrix(), expected.matrix(), rtol=0, atol=1e-9 + lost)
            assert found.warnings == expected.warnings
            moved, offset = expected.warp(outside=-1.0), both[0] * constant
            torch.testing.assert_close(
                found.warp(outside=offset - 1.0) - offset, moved, rtol=0, atol=1e-8 + 10 * lost
            )
            if constant < 1e12:
                torch.testing.assert_close(found.after, expected.after, rtol=1e-5, atol=0)


def test_ssd_needs_equal_grey_values():
    template, reference, A, b = pair()
    assert off(register(template, reference, distance="ssd"), A, b) < 0.05


def test_sizes_and_spacings_may_differ():
    """The same object in millimetres: 60 × 40 cells of 0.8 × 1.2 mm, 37 × 51 of 1.3 × 0.9."""
    fine, A = fine_object(2, 256), turn(25.0)
    grids = Grid((48.0, 48.0), (60, 40)), Grid((48.1, 45.9), (37, 51))
    b = np.array([24.0, 24.0]) - A @ np.array([22.0, 25.0])
    template, reference = seen(fine, grids[0], side=48.0), seen(fine, grids[1], A, b, 48.0)
    for options in (
        {"template_grid": grids[0], "reference_grid": grids[1]},
        {"template_grid": (0.8, 1.2), "reference_grid": grids[1].spacing},
    ):
        found = register(template, reference, transform="rigid", **options)
        assert off(found, A, b) < 0.1
        assert found.warp().shape == (37, 51)


def test_a_finer_template_is_no_harder():
    fine, A, b = fine_object(2, 256), turn(30.0), np.array([10.0, 0.0])
    b = np.array([16.0, 16.0]) - A @ np.array([16.0, 16.0])
    template, reference = (
        seen(fine, Grid((32.0, 32.0), (128, 128)), side=32.0),
        seen(fine, Grid((32.0, 32.0), (32, 32)), A, b, 32.0),
    )
    found = register(template, reference, template_grid=0.25, reference_grid=1.0)
    assert off(found, A, b) < 0.1


def test_masks_keep_out_what_is_different():
    template, reference, A, b = pair()
    spoilt, marked = reference.copy(), np.ones_like(reference)
    spoilt[20:32, 16:26] = 5.0
    marked[19:33, 15:27] = 0
    assert off(register(template, spoilt, reference_mask=marked), A, b) < 0.1
    assert off(register(template, spoilt), A, b) > 0.3
    spoilt, marked = template.copy(), np.ones_like(template)
    spoilt[20:26, 16:22] = np.nan
    found = register(spoilt, reference)
    assert off(found, A, b) < 0.1 and "36 cells" in found.warnings[0]
    marked[19:27, 15:23] = 0
    assert off(register(np.nan_to_num(spoilt), reference, template_mask=marked), A, b) < 0.1


def test_images_that_fill_their_boxes_are_compared_where_they_overlap():
    generator = np.random.default_rng(3)
    fine = scipy.ndimage.gaussian_filter(generator.standard_normal((256, 256)), 6)
    grid, A = Grid((32.0, 32.0), (48, 48)), turn(8.0)
    b = np.array([34.0, 30.0]) - A @ np.array([16.0, 16.0])
    template, reference = (
        seen(fine, grid, np.eye(2), np.array([16.0, 16.0]), 64.0),
        seen(fine, grid, A, b, 64.0),
    )
    found = register(template, reference, template_grid=grid, reference_grid=grid, transform="rigid")
    assert found.problem.outside == "overlap"
    x = grid.points().numpy()
    M = found.matrix()
    assert np.abs(x @ (M[:2, :2] - A).T + M[:2, 2] + 16 - b).max() < 0.05


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "int32", "float32", "float16", ">i2", "bool"])
def test_every_type_of_number(dtype: str):
    template, reference, A, b = pair()
    kept = [
        (image * 100).clip(0, 250).astype(dtype) if dtype != "bool" else image > 0.5
        for image in (template, reference)
    ]
    assert off(register(*kept, transform="similarity"), A, b) < 0.3


def test_colour_is_made_grey_and_told():
    template, reference, A, b = pair()
    colour = np.stack([template, 0.5 * template, 0 * template], -1)
    found = register(colour, reference)
    assert off(found, A, b) < 0.05 and "colour" in found.warnings[0]
    pillow = pytest.importorskip("PIL.Image")
    picture = pillow.fromarray((colour * 80).clip(0, 255).astype(np.uint8))
    for image in (picture, picture.convert("RGBA"), picture.convert("L"), picture.convert("P")):
        assert off(register(image, reference), A, b) < 0.1


def test_names_of_files(tmp_path):
    pillow = pytest.importorskip("PIL.Image")
    template, reference, A, b = pair()
    names = tmp_path / "template.png", tmp_path / "reference.png"
    for name, image in zip(names, (template, reference), strict=True):
        pillow.fromarray((image * 80).clip(0, 255).astype(np.uint8)).save(name)
    assert off(register(str(names[0]), names[1]), A, b) < 0.1
    with pytest.raises(FileNotFoundError):
        register(tmp_path / "nothing.png", reference)


def test_a_transform_and_a_distance_of_ones_own():
    template, reference, A, b = pair(degrees=5.0, scale=1.0, shift=0.02)
    found = register(template, reference, transform=Rigid(), distance=NCC())
    assert off(found, A, b) < 0.05

    class Huber(regkit.Distance):
        def value(self, t, s, weights):
            return weights @ ((1 + 10 * (t - s) ** 2).sqrt() - 1)

    assert off(register(template, reference, transform="rigid", distance=Huber(), turns=1), A, b) < 0.05

    class Shift(regkit.Transform):
        parameters = 2

        def __call__(self, w, x):
            return x + w

        def identity(self):
            return torch.zeros(2, dtype=torch.float64)

    template, reference, A, b = pair(degrees=0.0, scale=1.0, shift=0.05)
    found = register(template, reference, transform=Shift())
    np.testing.assert_allclose(found.w, b, atol=0.05)


def test_threads_and_the_result():
    """The same result with one and two threads; the setting is restored, after an error as well."""
    template, reference, _, _ = pair()
    before = torch.get_num_threads()
    w = [register(template, reference, threads=threads).w for threads in (1, 2, None)]
    for other in w[1:]:
        torch.testing.assert_close(other, w[0], atol=1e-8, rtol=0)
    with pytest.raises(RuntimeError, match="stop"):
        register(
            template, reference, threads=before + 1, callback=lambda stage: exec("raise RuntimeError('stop')")
        )
    assert torch.get_num_threads() == before


def test_the_callback_sees_each_size_and_can_stop():
    template, reference, A, b = pair()
    stages = []
    register(template, reference, callback=stages.append)
    assert [stage.level for stage in stages] == [*range(1, stages[-1].levels + 1)]
    assert [stage.cells for stage in stages][-1] == 48 * 48
    early = register(template, reference, callback=lambda stage: True)
    assert 0.001 < off(early, A, b) < 2


def test_sizes_are_halved_to_about_sixteen_cells():
    def shapes(shape, extent):
        grid = Grid(extent, shape)
        image = torch.rand(shape, dtype=torch.float64)
        levels = sizes(Registration(image, image, grid, Affine(len(shape)), outside=0.0))
        return [level.grid.shape for level in levels]

    assert shapes((128, 128), (1.0, 1.0)) == [(16, 16), (32, 32), (64, 64), (128, 128)]
    assert shapes((101, 67), (101.0, 67.0)) == [(12, 8), (25, 16), (50, 33), (101, 67)]
    assert shapes((80, 80, 10), (80.0, 80.0, 40.0)) == [(10, 10, 5), (20, 20, 10), (40, 40, 10), (80, 80, 10)]
    assert shapes((9, 9), (1.0, 1.0)) == [(9, 9)]


def test_warnings_in_words():
    template, reference, _, _ = pair()
    assert "contrast inverted" in "".join(register(1 - template, reference, transform="rigid").warnings)
    noise = [np.random.default_rng(k).standard_normal((32, 32)) for k in range(2)]
    assert register(*noise).warnings
    cross = np.zeros((40, 40))
    cross[8:32, 17:23] = cross[17:23, 8:32] = 1.0
    assert "ambiguous" in "".join(register(cross, np.rot90(cross), transform="rigid").warnings)


def test_wrong_input_is_told():
    image = np.random.default_rng(0).random((12, 12))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for wrong, message in (
            ((np.zeros((12, 12)), image), "expected template with some structure"),
            ((image, np.full((12, 12), np.nan)), "expected a reference of which something counts"),
            ((image, np.ones((4, 4, 4))), "expected"),
            ((image[0], image), "expected template in 2 or 3 dimensions"),
            ((image * 1j, image), "expected template of real numbers"),
        ):
            with pytest.raises(ValueError, match=message):
                register(*wrong)
    for options, message in (
        ({"transform": "elastic"}, "expected transform"),
        ({"distance": "sad"}, "expected distance"),
        ({"template_grid": Grid((1.0, 1.0), (11, 12))}, "expected template of shape"),
        ({"reference_mask": np.ones((3, 3))}, "expected reference mask of shape"),
        ({"turns": 0}, "expected at least 1 turn"),
    ):
        with pytest.raises(ValueError, match=message):
            register(image, image, **options)
