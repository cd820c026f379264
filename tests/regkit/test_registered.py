"""What register found: its matrices against the packages they are for, warped images, files, pictures."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest
import scipy.ndimage
import torch

from regkit import Affine, Grid, NeuralODE, Registered, Registration


@pytest.fixture
def found(random):
    """A map between two grids with boxes and cells of their own; the images play no part."""
    generator = np.random.default_rng(1)
    smooth = [
        scipy.ndimage.gaussian_filter(generator.standard_normal(shape), 3) for shape in ((40, 50), (36, 30))
    ]
    grids = Grid((20.0, 30.0), (40, 50)), Grid((27.0, 18.0), (36, 30))
    transform = Affine(2, (13.5, 9.0))
    w = torch.tensor([0.3, 0.9, -0.8, 0.2, -3.0, 5.0], dtype=torch.float64)
    problem = Registration(
        torch.from_numpy(smooth[0]),
        torch.from_numpy(smooth[1]),
        grids[1],
        transform,
        template_grid=grids[0],
        outside=0.0,
    )
    return Registered(problem, w, 1.0, 0.5)


def inside(found, margin: float = 3.0):
    """The cells of the reference whose points are well inside the template's box."""
    sides = torch.tensor(found.problem.grids[1].extent)
    kept = ((found.points > margin) & (found.points < sides - margin)).all(1)
    return kept.reshape(found.problem.grid.shape).numpy()


def test_scipy_moves_the_image_alike(found):
    moved = scipy.ndimage.affine_transform(
        found.problem.template.numpy(), found.matrix("scipy"), output_shape=found.problem.grid.shape, order=3
    )
    kept = inside(found)
    assert kept.sum() > 100
    np.testing.assert_allclose(moved[kept], found.warp().numpy()[kept], atol=1e-3)


def test_opencv_moves_the_image_alike(found):
    cv2 = pytest.importorskip("cv2", reason="OpenCV is not among what the tests need")
    rows, columns = found.problem.grid.shape
    moved = cv2.warpAffine(
        found.problem.template.numpy(), found.matrix("opencv"), (columns, rows), flags=cv2.INTER_CUBIC
    )
    kept = inside(found)
    np.testing.assert_allclose(
        moved[kept], found.warp().numpy()[kept], atol=0.02 * float(found.problem.template.abs().max())
    )


def test_itk_moves_the_image_alike(found):
    sitk = pytest.importorskip("SimpleITK", reason="SimpleITK is not among what the tests need")

    def image(values, grid):
        made = sitk.GetImageFromArray(values.numpy())
        made.SetSpacing(grid.spacing[::-1])
        return made

    fixed, moved = found.problem.grids
    M = found.matrix("itk")
    transform = sitk.AffineTransform(2)
    transform.SetMatrix(M[:2, :2].ravel().tolist())
    transform.SetTranslation(M[:2, 2].tolist())
    result = sitk.Resample(
        image(found.problem.template, moved),
        image(found.problem.reference, fixed),
        transform,
        sitk.sitkBSpline,
    )
    kept = inside(found)
    np.testing.assert_allclose(sitk.GetArrayFromImage(result)[kept], found.warp().numpy()[kept], atol=2e-3)


def test_the_matrix_of_regkit_is_the_map(found):
    M = torch.from_numpy(found.matrix())
    x = found.problem.points
    torch.testing.assert_close(x @ M[:2, :2].T + M[:2, 2], found.points)


def test_conventions_agree_in_space(random):
    """SciPy's and ITK's matrices take one point of the reference to one of the template."""
    grids = Grid((2.0, 3.0, 4.0), (4, 5, 6)), Grid((3.0, 4.0, 5.0), (6, 5, 4))
    problem = Registration(
        random(4, 5, 6), random(6, 5, 4), grids[1], Affine(3), template_grid=grids[0], outside=0.0
    )
    found = Registered(problem, Affine(3).identity() + 0.2 * random(12), 1.0, 1.0)
    index = np.array([1.0, 2.0, 3.0, 1.0])
    x = (index[:3] + 0.5) * grids[1].spacing
    y = (found.matrix() @ [*x, 1.0])[:3]
    np.testing.assert_allclose((found.matrix("scipy") @ index)[:3], y / grids[0].spacing - 0.5)
    itk = (found.matrix("itk") @ [*(x - np.array(grids[1].spacing) / 2)[::-1], 1.0])[:3]
    np.testing.assert_allclose(itk[::-1], y - np.array(grids[0].spacing) / 2)
    with pytest.raises(ValueError, match="expected two dimensions for OpenCV"):
        found.matrix("opencv")


def test_labels_keep_their_numbers(found):
    labels = np.random.default_rng(0).integers(0, 5, (40, 50)).astype(np.uint8)
    moved = found.warp(labels, nearest=True)
    expected = scipy.ndimage.affine_transform(labels, found.matrix("scipy"), output_shape=(36, 30), order=0)
    kept = inside(found)
    assert moved.dtype == np.uint8 and isinstance(moved, np.ndarray)
    assert (moved[kept] == expected[kept]).mean() > 0.999


def test_colours_and_other_sizes(found, random):
    """A picture in colour is moved channel by channel; one with finer cells lands at the same place."""
    colour = (100 * random(40, 50, 3) + 128).clamp(0, 255).to(torch.uint8)
    moved = found.warp(colour)
    assert moved.shape == (36, 30, 3) and moved.dtype == torch.uint8
    torch.testing.assert_close(moved[..., 1], found.warp(colour[..., 1]))
    finer = torch.from_numpy(
        scipy.ndimage.zoom(found.problem.template.numpy(), 3, order=3, grid_mode=True, mode="nearest")
    )
    kept = inside(found)
    np.testing.assert_allclose(found.warp(finer).numpy()[kept], found.warp().numpy()[kept], atol=2e-3)
    assert float(found.warp(colour[..., 0].double() * 0 + 1, outside=7.0).max()) == pytest.approx(7.0)
    with pytest.raises(ValueError, match="expected an image in 2 dimensions"):
        found.warp(torch.rand(40))


def test_saved_and_loaded(found, tmp_path):
    found = Registered(found.problem, found.w, 2.0, 1.0, None, ("little overlap",))
    found.save(tmp_path / "found.npz")
    again = Registered.load(tmp_path / "found.npz")
    assert repr(again) == repr(found) and again.transform == found.transform
    torch.testing.assert_close(again.warp(), found.warp(), rtol=0, atol=0)
    assert again.problem.grids == found.problem.grids
    flow = Registration(
        found.problem.template, found.problem.template, found.problem.grids[1], NeuralODE(), outside=0.0
    )
    with pytest.raises(ValueError, match="expected an affine map"):
        Registered(flow, NeuralODE().identity(), 1.0, 1.0).save(tmp_path / "flow.npz")
    with pytest.raises(ValueError, match="expected an affine map"):
        Registered(flow, NeuralODE().identity(), 1.0, 1.0).matrix()


def test_a_picture_of_four_panels(found):
    pyplot = pytest.importorskip("matplotlib.pyplot", reason="Matplotlib is not installed")
    figure = found.plot()
    assert len(figure.axes) == 4 and all(ax.images for ax in figure.axes)
    after = figure.axes[1].images[0].get_array()
    moved = found.warp().numpy()
    np.testing.assert_allclose(after[..., 0], (moved - moved.min()) / np.ptp(moved))
    pyplot.close(figure)


def test_the_printed_form_says_what_counts(found):
    text = repr(found)
    assert "distance 1 to 0.5" in text and "overlap" in text and "Affine" in text


def test_beyond_the_box_may_be_nan(found):
    """And only there: the spline inside goes on as the border does."""
    outside = ~inside(found, 0.0)
    for image in (None, found.problem.template.float(), found.problem.template.numpy()):
        for nearest in (False, True):
            moved = np.asarray(found.warp(image, outside=math.nan, nearest=nearest))
            assert np.array_equal(np.isnan(moved), outside)
    kept = inside(found)
    np.testing.assert_allclose(found.warp(outside=math.nan)[kept], found.warp()[kept], atol=1e-4)


def test_whole_numbers_stay_within_their_type(found):
    image = (found.problem.template > 0).byte() * 255
    for outside, least in ((300, 255), (-5, 0), (7.4, 7)):
        for nearest in (False, True):
            assert (
                int(found.warp(image, outside=outside, nearest=nearest)[~inside(found, -1.5)].max()) == least
            )


WRONG = {
    "complex": lambda found: found.warp(found.problem.template * 1j),
    "empty": lambda found: found.warp(np.zeros((0, 5))),
    "no channels": lambda found: found.warp(np.zeros((4, 4, 0))),
    "masked": lambda found: found.warp(np.ma.masked_array(np.ones((4, 4)), mask=np.eye(4))),
    "outside in words": lambda found: found.warp(outside="edge"),
    "outside a list": lambda found: found.warp(outside=[1, 2], nearest=True),
    "NaN for whole numbers": lambda found: found.warp(np.ones((4, 4), dtype=int), outside=math.nan),
    "another convention": lambda found: found.matrix(["scipy"]),
}


@pytest.mark.parametrize("call", WRONG.values(), ids=WRONG)
def test_what_cannot_be_warped_is_told(found, call):
    with pytest.raises(ValueError, match=r"expected .*, got "):
        call(found)


def test_a_name_without_an_ending_and_a_value_outside(found, tmp_path):
    problem = dataclasses.replace(found.problem, outside=torch.tensor(0.25))
    kept = dataclasses.replace(found, problem=problem)
    for name in ("plain", "mit Leerzeichen, ä", "x.npz"):
        kept.save(tmp_path / name)
        again = Registered.load(str(tmp_path / name))
        assert torch.equal(again.w, found.w) and torch.equal(again.warp(), kept.warp())


@pytest.mark.parametrize("content", [b"", b"no arrays", None], ids=["empty", "junk", "others"])
def test_files_that_are_none_of_these(content, tmp_path):
    file = tmp_path / "found.npz"
    if content is None:
        np.savez(file, a=1)
    else:
        file.write_bytes(content)
    with pytest.raises(ValueError, match=r"expected a file that save has written, got .*found.npz"):
        Registered.load(file)
    with pytest.raises(FileNotFoundError):
        Registered.load(tmp_path / "nothing.npz")
