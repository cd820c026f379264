"""The experiments of chapter 2, against band matrices, single waves and differences of values."""

import numpy as np
import pytest
import scipy.linalg
import torch

from regbook.experiments import ch02
from regkit import Grid, SmoothingBasis, evaluate


@pytest.mark.parametrize("omega", [0.05, 0.7, 2.0, np.pi])
def test_mu_is_what_the_band_matrices_do_to_a_wave(omega):
    m, k = 41, 20
    basis, bending = (
        scipy.linalg.toeplitz(stencil + [0] * (m - len(stencil))) for stencil in ([4, 1], [96, -54, 0, 6])
    )
    wave = np.cos(omega * (np.arange(m) - k))
    assert (bending @ wave)[k] / (basis @ basis @ wave)[k] == pytest.approx(ch02.mu_of(omega), rel=1e-6)


@pytest.mark.parametrize("theta", [0.1, 10.0, 1e3])
def test_half_of_the_contrast_is_left_at_the_half_width(theta):
    gain = 1 / (1 + theta * ch02.mu_of(2 * np.pi / ch02.half_width(theta)))
    assert gain == pytest.approx(0.5, abs=0.05)


@pytest.mark.parametrize("theta", [0.0, 1.0, 100.0])
def test_the_influence_of_a_datum_decays_as_the_roots_say(theta):
    """Two solutions of a recurrence, c of one datum on a long line: their wedge shrinks by |z|² a cell."""
    m = 301
    basis, bending = (
        scipy.linalg.toeplitz(stencil + [0] * (m - len(stencil))) for stencil in ([4, 1], [96, -54, 0, 6])
    )
    one = np.linalg.solve(basis @ basis + theta * bending, basis[:, m // 2])
    c = one[m // 2 + 10 : m // 2 + 15]  # near enough not to be rounding, far enough that one wave is left
    if theta == 0:
        rate = abs(c[1] / c[0])
    else:
        rate = np.sqrt((c[2] ** 2 - c[1] * c[3]) / (c[1] ** 2 - c[0] * c[2]))
    assert ch02.decay(theta) == pytest.approx(rate, rel=1e-3)


def test_half_widths_have_ends():
    assert ch02.half_width(0.0) == pytest.approx(2), "even the shortest wave keeps all"
    assert ch02.half_width(1e14) == np.inf


def test_a_wave_is_one_spot_of_the_spectrum():
    cells = torch.arange(128.0)
    wave = torch.cos(2 * torch.pi * 16 * cells / 128)[:, None].expand(128, 128)
    seen = ch02.spectrum(wave)
    assert (seen > 1).nonzero().tolist() == [[24, 32], [40, 32]], "8 squares of two waves off the middle"


@pytest.mark.parametrize("width", [8, 16])
@pytest.mark.parametrize("theta", [0.1, 10.0, 300.0])
def test_stripes_keep_what_the_filter_says(width, theta):
    stripes, grid = ch02.grating(width, (480, 64))  # large, so that its border does not count
    assert ch02.contrast(stripes) == pytest.approx(1)
    smooth = evaluate(SmoothingBasis(stripes).coefficients(theta), grid, grid.points()).reshape(grid.shape)
    expected = 1 / (1 + theta * ch02.mu_of(2 * np.pi / width))
    assert ch02.contrast(smooth) == pytest.approx(expected, rel=0.02)


@pytest.mark.parametrize("interpolation", ["cubic spline", "linear"])
def test_slopes_on_a_line_are_those_of_the_values(interpolation):
    generator = torch.Generator().manual_seed(0)
    c = SmoothingBasis(torch.rand(9, 7, dtype=torch.float64, generator=generator)).coefficients(0.0)
    grid, h = Grid((4.5, 7.0), (9, 7)), 1e-4
    x = torch.tensor([0.8, 1.35, 2.1, 3.6], dtype=torch.float64)  # none of them at a centre

    def value(shift):
        return ch02.along(c, grid, x + shift, 3.2, interpolation)[0]

    _, slope, curvature = ch02.along(c, grid, x, 3.2, interpolation)
    torch.testing.assert_close(slope, (value(h) - value(-h)) / (2 * h), rtol=1e-6, atol=1e-7)
    bend = (value(h) - 2 * value(0.0) + value(-h)) / h**2
    torch.testing.assert_close(curvature, bend, rtol=1e-4, atol=1e-5)


def test_both_interpolations_agree_at_the_centres():
    c = SmoothingBasis(torch.rand(9, 7, dtype=torch.float64)).coefficients(0.0)
    grid = Grid((4.5, 7.0), (9, 7))
    spline, linear = (ch02.along(c, grid, grid.axis(0), 3.2, kind)[0] for kind in ("cubic spline", "linear"))
    torch.testing.assert_close(spline, linear)
