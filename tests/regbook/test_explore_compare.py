"""compare: what the picture holds, against the formulas, and what is said of it."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from matplotlib.figure import Figure

from regbook.explore import compare
from regkit import NCC, SSD, Grid, MutualInformation, Registration, Translation
from regkit.registered import Registered
from tests.words import strange


def hills(shape, at) -> torch.Tensor:
    """Grey values that are not the same anywhere."""
    x = torch.stack(torch.meshgrid(*[torch.arange(m).double() for m in shape], indexing="ij"), -1)
    return sum(torch.exp(-(x - torch.tensor(at) - k).square().sum(-1) / 9) / (1 + k) for k in (0, 3))


def result(shape=(12, 16), distance=None, factor=1.0, offset=0.0, warnings=(), seed=0):
    """The template lies one cell further along each axis than the reference, which has noise."""
    reference = hills(shape, [4.0] * len(shape))
    template = hills(shape, [5.0] * len(shape))
    reference = reference + 0.02 * torch.randn(shape, generator=torch.Generator().manual_seed(seed))
    transform, distance = Translation(len(shape)), distance or SSD()
    grid = Grid(tuple(m * h for m, h in zip(shape, (2.0, 1.0, 1.0), strict=False)), shape)
    problem = Registration(offset + factor * template, reference, grid, transform, distance, outside="edge")
    w = torch.tensor(grid.spacing).double()
    return Registered(problem, w, 0.5, 0.01, None, tuple(warnings))


def picture(figure, **values) -> tuple[np.ndarray, str]:
    drawn = Figure()
    words = figure.draw(drawn, **values)
    assert not strange(words)
    return np.asarray(drawn.axes[0].images[0].get_array()), words


@pytest.fixture
def found():
    return result(warnings=["hardly any structure"])


@pytest.fixture(autouse=True)
def unencoded(monkeypatch):
    """What explore is given; the example in the docstring lets it make the frames."""
    monkeypatch.setattr("regbook.explore.explore", lambda draw, **given: SimpleNamespace(draw=draw, **given))


def test_the_picture_is_what_the_formulas_say(found):
    figure = compare(found)
    R, T = found.problem.reference.numpy(), found.warp().numpy()
    T[-1], T[:, -1] = R.min(), R.min()  # beyond the template's box
    assert np.allclose(picture(figure, share=0.0)[0], R)
    assert np.allclose(picture(figure, share=1.0)[0], T)
    B = 0.7 * R + 0.3 * T
    assert np.allclose(picture(figure, share=0.3, view="blend")[0], B)
    squares, _ = picture(figure, share=0.3, view="checkerboard")
    assert np.allclose(squares[:2, :2], B[:2, :2]) and np.allclose(squares[:2, 2:4], R[:2, 2:4])
    inside = np.pad(np.ones((11, 15), dtype=bool), (0, 1))
    difference, words = picture(figure, share=0.3, view="difference")
    assert np.allclose(difference, np.where(inside, B - R, 0))
    size = 100 * np.sqrt((difference[inside] ** 2).mean()) / np.ptp(R)
    assert f"less the reference: {size:.3g} % of its range" in words


def test_what_is_said(found):
    figure = compare(found, "checkerboard")
    assert figure.alt == "Reference and moved template in one picture, 12 × 16 cells"
    assert figure.caption == (
        "The distance is 0.5 without the map and 0.01 with it; 86 % of the reference lies in the template's "
        "box. Careful: hardly any structure."
    )
    assert figure.start == {"share": 0.5, "view": "checkerboard"} and not strange(figure.caption)
    assert "50 % moved template, 50 % reference" in picture(figure, share=0.5)[1]
    assert figure.figsize[1] / figure.figsize[0] == 24 / 16  # cells are twice as high as wide


def test_images_in_space_have_a_slider_through_the_slices():
    found = result((4, 9, 8))
    figure = compare(found, "difference")
    assert figure.cut.values == [0, 1, 2, 3] and figure.cut.text(1) == "2" and figure.start["cut"] == 2
    assert len(compare(result((30, 5, 5))).cut.values) * len(figure.share.values) <= 120
    T, R = found.warp().numpy(), found.problem.reference.numpy()
    difference, words = picture(figure, share=1.0, cut=1)
    assert np.allclose(difference[:-1, :-1], (T - R)[1, :-1, :-1]) and words.startswith("Slice 2 of 4: ")


@pytest.mark.parametrize("distance", [NCC(), MutualInformation()], ids=["ncc", "mi"])
def test_brightness_and_contrast_of_the_template_do_not_show(distance):
    """The picture is that of the template in the grey values of the reference."""
    shown = []
    for factor, offset in ((1.0, 0.0), (300.0, -5000.0)):
        figure = compare(result(distance=distance, factor=factor, offset=offset))
        shown.append(picture(figure, share=1.0)[0])
    assert np.allclose(*shown)
    if isinstance(distance, NCC):
        R = result().problem.reference.numpy()
        assert np.abs(shown[0] - R)[:-1, :-1].std() < 0.03


def test_wrong_input_is_told(found):
    with pytest.raises(ValueError, match="expected what register returns, got Grid"):
        compare(found.problem.grid)
    with pytest.raises(ValueError, match="expected a view of blend, checkerboard, difference, got 'film'"):
        compare(found, "film")
