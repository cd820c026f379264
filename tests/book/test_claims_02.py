"""The bold claims of chapter 2, each held against something that regkit's spline did not compute."""

import numpy as np
import pytest
import scipy.linalg
import torch
from scipy import ndimage

from regkit import Grid, SmoothingBasis, coefficients, evaluate
from regkit.spline import smoothing_modes


def banded(m, stencil):
    return scipy.linalg.toeplitz(np.array(list(stencil) + [0.0] * (m - len(stencil))))


def test_claim_influence_decay():
    impulse = torch.zeros(41, dtype=torch.float64)
    impulse[20] = 1.0
    influence = coefficients(impulse, 0.0)
    ratios = influence[21:32] / influence[20:31]
    assert torch.allclose(ratios[3:], torch.full((8,), -2 + 3**0.5, dtype=torch.float64), atol=1e-6)
    by_scipy = ndimage.spline_filter1d(impulse.numpy(), order=3) / 6
    assert np.abs(influence.numpy() - by_scipy).max() < 1e-9


@pytest.mark.parametrize("theta", [0.0, 1e-3, 1.0, 1e4])
def test_claim_theta_is_a_diagonal_scaling(theta):
    m = 17
    values = torch.rand(m, dtype=torch.float64, generator=torch.Generator().manual_seed(3))
    basis, bending = banded(m, [4, 1]), banded(m, [96, -54, 0, 6])
    dense = np.linalg.solve(basis.T @ basis + theta * bending, basis.T @ values.numpy())
    assert np.abs(coefficients(values, theta).numpy() - dense).max() < 1e-12
    mu, modes, _ = smoothing_modes(m)
    inner = modes.numpy().T @ basis.T @ basis @ modes.numpy()
    assert np.abs(inner - np.eye(m)).max() < 1e-11
    amplitudes = inner @ np.linalg.solve(inner, modes.numpy().T @ basis.T @ values.numpy())
    assert np.abs(modes.numpy() @ (amplitudes / (1 + theta * mu.numpy())) - dense).max() < 1e-11


def test_claim_mu_is_frequency_to_the_fourth():
    m = 400
    eigenvalues = scipy.linalg.eigh(
        banded(m, [96, -54, 0, 6]), banded(m, [4, 1]) @ banded(m, [4, 1]), eigvals_only=True
    )
    number = np.arange(20, 41)
    # a bar that is clamped at both ends has frequencies (k + ½)π / length, k = 1, 2, …
    for k in number:
        omega = (k + 0.5) * np.pi / (m + 1)
        assert eigenvalues[k - 1] == pytest.approx(omega**4, rel=0.05)
    slope = np.polyfit(np.log(number + 0.5), np.log(eigenvalues[number - 1]), 1)[0]
    assert slope == pytest.approx(4.0, abs=0.1)


def test_claim_linear_has_no_curvature():
    """Between four centres: second differences by SciPy's linear interpolation, and of a spline."""
    data = np.random.default_rng(0).random((20, 20))
    steps = np.linspace(-0.3, 0.3, 7)
    x, y = 5.5 + steps[:, None] + 0 * steps, 8.5 + 0 * steps[:, None] + steps
    bilinear = ndimage.map_coordinates(data, [x, y], order=1)
    assert np.abs(np.diff(bilinear, 2, axis=0)).max() < 1e-14
    assert np.abs(np.diff(bilinear, 2, axis=1)).max() < 1e-14
    twist = np.diff(np.diff(bilinear, axis=0), axis=1) / (steps[1] - steps[0]) ** 2
    assert np.allclose(twist, data[6, 9] - data[6, 8] - data[5, 9] + data[5, 8], rtol=1e-10)
    assert abs(twist[0, 0]) > 0.05, "in two dimensions something is left"
    grid = Grid((20.0, 20.0), (20, 20))
    points = torch.from_numpy(np.stack([x.ravel(), y.ravel()], axis=1) + 0.5)
    cubic = evaluate(coefficients(torch.from_numpy(data), 0.0), grid, points).reshape(7, 7).numpy()
    assert np.abs(np.diff(cubic, 2, axis=0)).max() > 1e-3 and np.abs(np.diff(cubic, 2, axis=1)).max() > 1e-3


def test_claim_cut_support_fails_at_the_edge():
    """The remainder of a linear Taylor step falls fourfold when the step is halved, except across the cut."""
    values = torch.tensor([0.2, 0.9, 0.4, 1.0, 0.7, 0.8], dtype=torch.float64)
    grid, c = Grid((6.0,), (6,)), coefficients(values, 0.0)

    def right(x):
        return evaluate(c, grid, x)

    def cut(x):
        return torch.where(x[:, 0] - 0.5 < 6, evaluate(c, grid, x), 0.0)

    def ratio(f, x):
        p = torch.tensor([[x]], dtype=torch.float64)
        slope = torch.func.jvp(f, (p,), (torch.ones_like(p),))[1]
        remainder = [(f(p + h) - f(p) - h * slope).abs().item() for h in (0.004, 0.002)]
        return remainder[0] / remainder[1]

    for x in (1.0, 3.3, 6.1):
        assert ratio(cut, x) == pytest.approx(4, rel=0.1)
    assert ratio(cut, 6.499) == pytest.approx(1, rel=0.1)
    assert ratio(right, 6.499) == pytest.approx(4, rel=0.1)


def test_claim_the_border_darkens():
    """A constant stays so in the middle and sags at the border: a dense solve with zeros outside agrees."""
    m, theta = 64, 1e4
    basis, bending = banded(m, [4, 1]), banded(m, [96, -54, 0, 6])
    line = basis @ np.linalg.solve(basis.T @ basis + theta * bending, basis.T @ np.ones(m))
    flat = torch.ones(m, m, dtype=torch.float64)
    grid = Grid((1.0, 1.0), (m, m))
    image = evaluate(SmoothingBasis(flat).coefficients(theta), grid, grid.points()).reshape(m, m)
    assert np.abs(image.numpy() - np.outer(line, line)).max() < 1e-10
    assert line[0] < 0.1 and line[m // 2] > 0.9
