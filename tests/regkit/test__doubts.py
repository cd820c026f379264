"""Images without anything in common agree roughly, never in their details; stripes slide along themselves."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from regkit._doubts import detail
from regkit.data import hands_phantom, mri
from regkit.register import register
from regkit.transforms import Transform

HEAD, HAND = mri(128)[0].numpy(), hands_phantom(128).reference.numpy()


def measured(template, reference, **options):
    found = register(template, reference, **options)
    return detail(found.problem, found.warp(), found.points)


class Mirrored(Transform):
    """Turned upside down, and shifted by w."""

    parameters = 2

    def __call__(self, w, x):
        return torch.stack([128 - x[:, 0], x[:, 1]], 1) + w

    def identity(self):
        return torch.zeros(2, dtype=torch.float64)


@pytest.mark.parametrize("noise", [0.0, 0.3, 1.0])
def test_the_same_object_agrees_in_its_details(noise):
    """Even where the noise is as large as all that is seen."""
    random = np.random.default_rng(0)
    images = [image + noise * HEAD.std() * random.normal(size=HEAD.shape) for image in (HEAD, HEAD[::-1])]
    assert measured(*images, transform=Mirrored()) > 0.5


def test_two_objects_do_not():
    for transform in ("rigid", "affine"):
        assert measured(HEAD, HAND, transform=transform) < 0.3
        assert measured(HAND, HEAD, transform=transform) < 0.3


def test_noise_does_not():
    for seed in range(3):
        random = np.random.default_rng(seed)
        assert measured(random.normal(size=(64, 64)), random.normal(size=(64, 64))) < 0.3


def test_nothing_seen_is_no_agreement():
    found = register(HEAD, HEAD)
    assert detail(found.problem, 0 * found.warp(), found.points) == -1
    assert detail(found.problem, found.warp(), found.points + 1e6) == -1


ROWS, COLUMNS = np.mgrid[:48, :48].astype(float)
OBLIQUE = ROWS * np.cos(np.pi / 6) + COLUMNS * np.sin(np.pi / 6)
LAYERS = np.broadcast_to(np.sin(np.arange(20) / 2), (20, 20, 20))
ALIKE = {
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


def told(image, **options):
    return "not determined" in " ".join(register(image, image, **options).warnings)


@pytest.mark.parametrize("noise", [0.0, 0.01])
@pytest.mark.parametrize("name", ALIKE)
def test_a_map_that_is_not_determined_is_told(name, noise):
    """The same in every plane along one direction: the map may slide along it."""
    image = ALIKE[name]
    noisy = image + noise * np.random.default_rng(0).normal(size=image.shape)
    assert told(noisy, transform="translation")


@pytest.mark.parametrize(
    "options", [{}, {"transform": "rigid"}, {"transform": "translation", "distance": "ngf", "turns": 1}]
)
def test_it_is_told_for_every_affine_map_and_distance(options):
    assert told(ALIKE["oblique stripes"], **options)
    assert not told(HEAD[::4, ::4], **options)


def test_long_cells_are_not_taken_for_stripes():
    """A head whose cells are twelve times as long as wide is one still, and stripes are stripes."""
    for spacing in ((1.0, 12.0), (12.0, 1.0)):
        grids = {"reference_grid": spacing, "template_grid": spacing}
        assert not told(HEAD[::2, ::2], transform="translation", **grids)
        assert told(ALIKE["oblique stripes"], transform="translation", **grids)


def test_a_mask_may_hide_all_that_tells():
    image = np.sin(ROWS / 2)
    image[:, :12] += 3 * np.random.default_rng(0).normal(size=(48, 12))
    mask = COLUMNS >= 12
    assert not told(image, transform="translation")
    assert told(image, transform="translation", reference_mask=mask, template_mask=mask)
