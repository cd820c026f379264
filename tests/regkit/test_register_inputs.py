"""``register`` with what people have at hand: the right map, a warning in words, or a sentence that says what
was expected. Never a wrong map without a word."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image

import regkit
from regkit.data import hands_phantom, mri
from regkit.files import read
from regkit.grid import Grid
from regkit.register import register

X = np.stack(np.meshgrid(np.arange(32.0), np.arange(32.0), indexing="ij"), -1)
RANDOM = np.random.default_rng(0)
SHIFT = (2.0, -1.0)


def hill(row, column, width):
    return np.exp(-((X - [row, column]) ** 2).sum(-1) / (2 * width**2))


def noisy(image, size=0.01):
    return image + size * RANDOM.normal(size=np.shape(image))


CLEAN = hill(12, 14, 4) + 0.6 * hill(20, 18, 3) + 0.4 * hill(15, 22, 2)
TEMPLATE, REFERENCE = noisy(CLEAN), noisy(np.roll(CLEAN, (2, -1), (0, 1)))
HILL = hill(16, 16, 4)


def holed(value, where=(3, 4)):
    image = TEMPLATE.copy()
    image[where] = value
    return image


def picture(mode):
    return Image.fromarray((TEMPLATE.clip(0, 1) * 255).astype(np.uint8)).convert(mode)


class Framed:
    """As a table of pandas: no array, but it can be one."""

    def __array__(self, dtype=None, copy=None):
        return TEMPLATE if dtype is None else TEMPLATE.astype(dtype)


def locked():
    image = TEMPLATE.copy()
    image.setflags(write=False)
    return image


transparent = np.concatenate([np.repeat(TEMPLATE[..., None], 3, -1), 0 * TEMPLATE[..., None]], -1)

RIGHT = {
    "one NaN": lambda: holed(np.nan),
    "one infinity": lambda: holed(np.inf),
    "minus infinity": lambda: holed(-np.inf),
    "big-endian": lambda: TEMPLATE.astype(">f8"),
    "big-endian whole": lambda: (TEMPLATE * 1000).astype(">i2"),
    "steps backwards": lambda: TEMPLATE[::-1].copy()[::-1],
    "every other column": lambda: np.repeat(TEMPLATE, 2, 1)[:, ::2],
    "transposed": lambda: TEMPLATE.T.copy().T,
    "read-only": locked,
    "requires grad": lambda: torch.tensor(TEMPLATE, requires_grad=True),
    "float16": lambda: TEMPLATE.astype(np.float16),
    "bfloat16": lambda: torch.tensor(TEMPLATE).bfloat16(),
    "float32, near its end": lambda: (TEMPLATE * 3e38).astype(np.float32),
    "uint64": lambda: (TEMPLATE.clip(0) * 1000).astype(np.uint64),
    "16 bits": lambda: Image.fromarray((TEMPLATE.clip(0, 1) * 6e4).astype(np.uint16)),
    "far from zero": lambda: TEMPLATE + 1e5,
    "tiny": lambda: TEMPLATE * 1e-60,
    "list": lambda: TEMPLATE.tolist(),
    "as pandas": Framed,
    "masked array": lambda: np.ma.masked_array(holed(1e6), mask=holed(1e6) > 1e5),
    "transparent": lambda: transparent,
    "PIL grey": lambda: picture("L"),
    "PIL palette": lambda: picture("P"),
    "PIL with alpha": lambda: picture("RGBA"),
    "PIL grey with alpha": lambda: picture("LA"),
    "PIL for print": lambda: picture("CMYK"),
    "PIL of integers": lambda: picture("I"),
    "PIL floating": lambda: Image.fromarray(TEMPLATE.astype(np.float32)),
    "PIL palette with alpha": lambda: picture("P").convert("PA"),
    "PIL grey, multiplied by alpha": lambda: picture("LA").convert("La"),
    "PIL multiplied by alpha": lambda: picture("RGBA").convert("RGBa"),
    "PIL hue": lambda: picture("RGB").convert("HSV"),
    "PIL lightness": lambda: Image.merge("LAB", [picture("L"), *[Image.new("L", (32, 32), 128)] * 2]),
    "PIL other bytes": lambda: Image.frombytes(
        "I;16B", (32, 32), (TEMPLATE.clip(0, 1) * 6e4).astype(">u2").tobytes()
    ),
    "long double": lambda: TEMPLATE.astype(np.longdouble),
    "a list of tensors": lambda: list(torch.tensor(TEMPLATE)),
    "memory": lambda: memoryview(TEMPLATE.copy()),
    "masked whole numbers": lambda: np.ma.masked_array(
        (TEMPLATE * 1000).astype(np.int16), mask=X.sum(-1) < 4
    ),
    "masked nowhere": lambda: np.ma.masked_array(TEMPLATE),
    "a parameter": lambda: torch.nn.Parameter(torch.tensor(TEMPLATE)),
    "a view that is negated": lambda: torch.conj(torch.tensor(TEMPLATE) * 1j).imag * -1,
    "one half NaN": lambda: np.where(X[..., 0] < 24, TEMPLATE, np.nan),
}


@pytest.mark.parametrize("make", RIGHT.values(), ids=RIGHT)
def test_it_is_found_whatever_holds_the_image(make):
    moved = register(make(), REFERENCE).matrix("scipy")
    at = np.argwhere(CLEAN > 0.1)
    off = at @ (moved[:2, :2] - np.eye(2)).T + moved[:2, 2] + SHIFT
    assert np.linalg.norm(off, axis=1).mean() < 0.15  # cells


NO_IMAGES = {
    "empty": (np.zeros((0, 5)), "at least 4 cells along each axis, got shape (0, 5)"),
    "constant": (np.full((32, 32), 7.0), "some structure, got a constant image"),
    "all NaN": (np.full((32, 32), np.nan), "expected a template of which something counts"),
    "one cell": (np.ones((1, 1)), "at least 4 cells along each axis, got shape (1, 1)"),
    "one row": (TEMPLATE[:1], "at least 4 cells along each axis, got shape (1, 32)"),
    "one column": (TEMPLATE[:, :1], "at least 4 cells along each axis, got shape (32, 1)"),
    "three rows": (TEMPLATE[:3], "at least 4 cells along each axis, got shape (3, 32)"),
    "a line": (TEMPLATE[0], "in 2 or 3 dimensions, got shape (32,)"),
    "four axes": (np.zeros((4, 4, 4, 4)), "in 2 or 3 dimensions, got shape (4, 4, 4, 4)"),
    "a number": (3.0, "in 2 or 3 dimensions, got shape ()"),
    "nothing": (None, "as a tensor, an array or a list of numbers, got NoneType"),
    "strings": (np.array([["a", "b"]]), "as a tensor, an array or a list of numbers, got ndarray"),
    "objects": (np.array([[1, None]], dtype=object), "as a tensor, an array or a list of numbers"),
    "ragged": ([[1, 2], [3]], "as a tensor, an array or a list of numbers, got list"),
    "a dictionary": ({"image": 1}, "as a tensor, an array or a list of numbers, got dict"),
    "complex": (TEMPLATE * 1j, "of real numbers, got torch.complex128"),
    "nothing true": (TEMPLATE > 99, "some structure, got a constant image"),
    "in space": (
        np.zeros((8, 8, 8)) + np.arange(8),
        "expected images of the same dimension, got 3-D and 2-D",
    ),
    "channels first": (np.stack([TEMPLATE] * 3), "at least 4 cells along each axis, got shape (3, 32, 32)"),
    "five channels": (np.stack([TEMPLATE] * 5, -1), "images of the same dimension, got 3-D and 2-D"),
    "a batch": (TEMPLATE[None], "at least 4 cells along each axis, got shape (1, 32, 32)"),
    "sparse": (torch.eye(32).to_sparse(), "with all its values, got torch.sparse_coo"),
    "without values": (torch.empty(32, 32, device="meta"), "with all its values"),
    "masked all over": (np.ma.masked_array(TEMPLATE, mask=TEMPLATE < 9), "of which something counts"),
    "two by two": (TEMPLATE[:2, :2], "at least 4 cells along each axis, got shape (2, 2)"),
    "three by a thousand": (np.ones((3, 1000)), "at least 4 cells along each axis, got shape (3, 1000)"),
    "a generator": ((row for row in TEMPLATE), "as a tensor, an array or a list of numbers, got generator"),
    "bytes": (b"picture", "as a tensor, an array or a list of numbers, got bytes"),
    "times": (TEMPLATE.astype("m8[s]"), "as a tensor, an array or a list of numbers"),
    "squares too small": (TEMPLATE * 1e-300, "in a unit that can be squared"),
    "squares too large": (TEMPLATE * 1e300, "in a unit that can be squared"),
}


@pytest.mark.parametrize(("image", "message"), NO_IMAGES.values(), ids=NO_IMAGES)
def test_what_is_no_image_is_told(image, message):
    with pytest.raises(ValueError, match="expected ") as told:
        register(image, REFERENCE)
    assert message in str(told.value), told.value


ONES, SIDES = np.ones((32, 32)), "expected the template's grid as a Grid, or as 2 sides of a cell"
NO_OPTIONS = {
    "mask of another shape": ({"template_mask": ONES[1:]}, "template mask of shape (32, 32), got (31, 32)"),
    "mask that is empty": ({"reference_mask": 0 * ONES}, "expected a reference of which something counts"),
    "mask below zero": ({"reference_mask": -ONES}, "reference mask of finite weights ≥ 0, got -1"),
    "mask of NaN": ({"reference_mask": np.nan * ONES}, "reference mask of finite weights ≥ 0"),
    "mask of one cell": ({"reference_mask": X.sum(-1) == 0}, "reference with some structure, got a const"),
    "mask as a word": ({"reference_mask": "here"}, "expected reference mask as a tensor, an array"),
    "negative sides": ({"template_grid": -1.0}, "expected sides of positive length, got (-32.0, -32.0)"),
    "one negative side": ({"template_grid": (1, -1)}, "expected sides of positive length"),
    "no sides": ({"template_grid": 0}, "expected sides of positive length"),
    "sides of NaN": ({"template_grid": np.nan}, "expected sides of positive length"),
    "sides without end": ({"template_grid": np.inf}, "expected sides of positive length"),
    "three sides": ({"template_grid": (1, 2, 3)}, f"{SIDES}, got (1, 2, 3)"),
    "sides in words": ({"template_grid": "wide"}, f"{SIDES}, got 'wide'"),
    "another grid": (
        {"template_grid": Grid((1, 1), (3, 3))},
        "expected template of shape (3, 3), as its grid",
    ),
    "a transformation by another name": ({"transform": "elastic"}, 'expected transform "translation" or'),
    "a class": ({"transform": regkit.Affine}, 'expected transform "translation" or "rigid"'),
    "a transformation in space": ({"transform": regkit.Affine(3)}, "a transformation in 2 dimensions, got"),
    "a distance by another name": ({"distance": "mse"}, 'expected distance "ncc" or "ssd" or "ngf" or "mi"'),
    "no distance": ({"distance": None}, "expected distance"),
    "outside in words": ({"outside": "far"}, 'expected outside as a finite number, "edge"'),
    "outside NaN": ({"outside": np.nan}, 'expected outside as a finite number, "edge"'),
    "no turns": ({"turns": 0}, "expected at least 1 turn, or None, got 0"),
    "half a turn": ({"turns": 2.5}, "expected at least 1 turn, or None, got 2.5"),
    "turns in words": ({"turns": "many"}, "expected at least 1 turn, or None, got 'many'"),
    "complex mask": ({"reference_mask": ONES * 1j}, "reference mask of real numbers, got torch.complex128"),
    "sparse mask": (
        {"reference_mask": torch.eye(32).to_sparse()},
        "expected reference mask with all its values",
    ),
    "mask without values": (
        {"reference_mask": torch.ones(32, 32, device="meta")},
        "expected reference mask with all",
    ),
    "a million threads": ({"threads": 10**6}, "expected at most 1024 threads, got 1000000"),
    "a list outside": ({"outside": [1.0]}, 'expected outside as a finite number, "edge"'),
    "no threads": ({"threads": 0}, "expected at least 1 thread, or None, got 0"),
    "threads in words": ({"threads": "two"}, "expected at least 1 thread, or None, got 'two'"),
    "no function": ({"callback": 3}, "expected a function of the stage as callback, or None, got 3"),
    "units a world apart": (
        {"template_grid": Grid((32, 32), (32, 32)), "reference_grid": Grid((1e-3, 1e-3), (32, 32))},
        "expected images that overlap, with structure in them",
    ),
}


@pytest.mark.parametrize(("options", "message"), NO_OPTIONS.values(), ids=NO_OPTIONS)
def test_options_that_do_not_fit_are_told(options, message):
    with pytest.raises(ValueError, match="expected ") as told:
        register(TEMPLATE, REFERENCE, **options)
    assert message in str(told.value), told.value


def cell(row, column):
    image = np.zeros((32, 32))
    image[row, column] = 1
    return image


HEAD = mri(64)[0].numpy() + 2.0 * np.random.default_rng(0).normal(size=(64, 64))
CORNER, LEFT, RIGHT_SIDE = cell(0, 0), np.zeros((32, 32)), np.zeros((32, 32))
CORNER[28:, 28:] = LEFT[:, :3] = RIGHT_SIDE[:, -3:] = 1
SQUARE = noisy((np.abs(X - 15.5).max(-1) < 9).astype(float))
DOUBTFUL = {
    "noise and noise": (
        lambda: register(*np.random.default_rng(1).normal(size=(2, 64, 64))),
        "nothing in common",
    ),
    "a head and a hand": (lambda: register(mri(128)[0], hands_phantom(128).reference), "nothing in common"),
    "a head and a hand, rigid": (
        lambda: register(mri(128)[0], hands_phantom(128).reference, transform="rigid"),
        "nothing in common",
    ),
    "inverted": (lambda: register(1 - TEMPLATE, REFERENCE, transform="rigid"), "contrast inverted"),
    "a disc": (lambda: register(noisy(HILL > 0.5), noisy(np.roll(HILL, 3, 0) > 0.5)), "ambiguous"),
    "a disc, rigid": (
        lambda: register(noisy(HILL > 0.5), noisy(np.roll(HILL, 3, 0) > 0.5), transform="rigid"),
        "ambiguous",
    ),
    "a square": (lambda: register(SQUARE, noisy(np.roll(SQUARE, 2, 0)), transform="rigid"), "ambiguous"),
    "one bright cell": (lambda: register(cell(9, 9), cell(9, 13)), "ambiguous"),
    "a mask with nothing in it": (
        lambda: register(TEMPLATE, REFERENCE, reference_mask=CORNER),
        "hardly any structure",
    ),
    "other units": (lambda: register(TEMPLATE, REFERENCE, template_grid=1000.0), "hardly any structure"),
    "in a mirror": (lambda: register(HEAD, HEAD[::-1].copy()), "mirrored: one image"),
    "in a mirror, rigid": (lambda: register(HEAD, HEAD.T.copy(), transform="rigid"), "mirrored: one image"),
    "in a mirror, by differences": (
        lambda: register(HEAD, HEAD[:, ::-1].copy(), distance="ssd"),
        "mirrored: one image",
    ),
    "the negative": (lambda: register(HEAD, -HEAD, transform="translation"), "contrast inverted"),
    "half a turn, not turned": (
        lambda: register(HEAD, HEAD[::-1, ::-1].copy(), transform="translation"),
        "in common",
    ),
}


@pytest.mark.parametrize(("call", "word"), DOUBTFUL.values(), ids=DOUBTFUL)
def test_what_is_doubtful_is_warned_of(call, word):
    assert word in " ".join(call().warnings)


def test_masks_apart_are_told():
    """Rounding decides whether the equations still have a solution, which is warned of, or none."""
    try:
        found = register(TEMPLATE, REFERENCE, reference_mask=LEFT, template_mask=RIGHT_SIDE, turns=1)
        assert "hardly any structure" in " ".join(found.warnings)
    except ValueError as error:
        assert "expected images that overlap, with structure in them, got none" in str(error)


@pytest.mark.parametrize("noise", [0.02, 0.5])
def test_what_is_right_is_not(noise):
    head = mri(64)[0].numpy()
    images = [image + noise * head.std() * RANDOM.normal(size=head.shape) for image in (head, np.rot90(head))]
    assert not any("common" in words or "inverted" in words for words in register(*images).warnings)


@pytest.mark.parametrize("distance", ["ncc", "ssd"])
@pytest.mark.parametrize("image", [CLEAN, TEMPLATE], ids=["clean", "noisy"])
def test_an_image_and_itself(image, distance):
    """Nothing is left, and nothing is warned of: that a distance of 10⁻³⁰ was smaller before is rounding."""
    for turned, matrix in ((image, np.eye(3)), (image[::-1, ::-1].copy(), np.diag([-1.0, -1.0, 1.0]))):
        found = register(image, turned, distance=distance, transform="rigid")
        matrix[:2, 2] = 31 * (matrix[0, 0] < 0)
        assert np.allclose(found.matrix("scipy"), matrix, atol=1e-3) and not found.warnings, found


def test_numbers_of_numpy_are_options():
    found = register(TEMPLATE, REFERENCE, turns=np.int64(1), threads=np.int32(1), template_grid=np.float32(1))
    masked = np.ma.masked_array(ONES, mask=X.sum(-1) < 9)
    again = register(TEMPLATE, REFERENCE, turns=1, reference_mask=torch.ones(32, 32, requires_grad=True))
    assert found.w.equal(register(TEMPLATE, REFERENCE, turns=1).w) and torch.allclose(
        found.w, again.w, atol=1e-6
    )
    assert float(register(TEMPLATE, REFERENCE, reference_mask=masked, turns=1).problem.omega.min()) == 0


@pytest.mark.parametrize("distance", ["ngf", "mi"])
def test_images_of_two_kinds_turned_far(distance):
    """Bright is dark, and what is between is not monotone; no start is given."""
    head = mri(64)[0].numpy()
    other = 255 * np.sin(np.pi * np.rot90(head).clip(0, 255) / 255 * 0.9)
    found = register(noisy(head, 4), noisy(other, 4), transform="rigid", distance=distance, turns=4)
    assert np.abs(found.matrix("scipy") - [[0, 1, 0], [-1, 0, 63], [0, 0, 1]])[:2, 2].max() < 0.5


@pytest.mark.parametrize("content", [None, b"", b"no picture"])
def test_files_that_are_no_image(content, tmp_path):
    if content is not None:
        (tmp_path / "scan.png").write_bytes(content)
    with pytest.raises((ValueError, FileNotFoundError), match=r"expected .*, got .*scan.png, which"):
        register(read(tmp_path / "scan.png")[0], REFERENCE)
