"""Images without anything in common agree roughly, never in their details."""

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
