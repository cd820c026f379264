"""Noise is taken away, and little else."""

from __future__ import annotations

import pytest
import torch

from regkit import Grid, Registration
from regkit._denoised import _gain, denoised, smoothed
from regkit.data import mri
from regkit.spline import at_centres, coefficients


def clean(image):
    grid = Grid(tuple(map(float, image.shape)), tuple(image.shape))
    return denoised(Registration(image, image, grid, outside=0.0))


def test_noise_is_taken_away(random):
    head, size = mri(64)[0].double() / 255, 0.1
    noisy = head + size * random(64, 64)
    assert (clean(noisy) - head).square().mean() < 0.7 * size**2
    assert clean(size * random(64, 64)).square().mean() < 0.1 * size**2


def test_an_image_without_noise_stays():
    """Smooth, it is the same but for what the finest band has."""
    wave = (0.4 * torch.arange(48.0).double()).sin()
    image = wave[:, None] * wave
    torch.testing.assert_close(clean(image), image, atol=0.02, rtol=0)


def test_noise_in_a_band_is_as_computed(random):
    noise = random(96, 96)
    for theta, next in ((0.0, 0.1), (0.1, 1.0), (1.0, 10.0)):
        bands = [smoothed(noise, each) for each in (theta, next)]
        assert float((bands[0] - bands[1]).var()) == pytest.approx(_gain(theta, next, 2), rel=0.1)


@pytest.mark.parametrize("shape", [(40,), (9, 12), (3, 6, 7), (600, 3)])
def test_smoothed_is_the_spline_at_the_cells(shape, random):
    image = random(*shape)
    expected = at_centres(coefficients(image, 0.7)).reshape(shape)
    torch.testing.assert_close(smoothed(image, 0.7), expected)
