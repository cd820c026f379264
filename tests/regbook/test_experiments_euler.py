"""Predictions and what they are judged by, against dense algebra in NumPy and SciPy, and differences."""

from itertools import pairwise

import numpy as np
import pytest
import scipy.linalg
import torch

from regbook.experiments import euler


def test_the_path_holds_minimisers_and_their_matrices(predicted):
    problem, scales = predicted
    assert len(scales) == 5
    for before, after in pairwise(scales):
        assert before.following == after.theta and torch.equal(before.after, after.w)
    scale = scales[2]
    objective, h = problem.at(scale.theta), 1e-5
    assert float(objective.gradient(scale.w).norm()) < 1e-6 * float(objective.loss(scales[0].w))
    e = h * torch.eye(6, dtype=torch.float64)
    H = torch.stack(
        [(objective.gradient(scale.w + v) - objective.gradient(scale.w - v)) / (2 * h) for v in e]
    )
    torch.testing.assert_close(scale.exact, H, rtol=1e-5, atol=1e-5 * float(H.abs().max()))
    J = objective.jacobian(scale.w)
    torch.testing.assert_close(scale.gauss_newton, J.T @ J)
    high, low = (problem.at(scale.theta * (1 + s * h)).gradient(scale.w) for s in (1, -1))
    torch.testing.assert_close(scale.rate, (high - low) / (2 * h * scale.theta), rtol=1e-4, atol=1e-6)


def test_a_prediction_is_a_step_of_euler(predicted):
    _, scales = predicted
    scale = scales[1]
    velocity = -np.linalg.solve(scale.exact.numpy(), scale.rate.numpy())
    expected = scale.w.numpy() + (scale.following - scale.theta) * velocity
    assert np.allclose(scale.prediction(scale.exact), expected)
    twice = scale.prediction(scale.exact / 2) - scale.w
    torch.testing.assert_close(twice, 2 * (scale.prediction(scale.exact) - scale.w))


def test_what_gauss_newton_leaves_out(predicted):
    for scale in predicted[1]:
        H, G = scale.exact.numpy(), scale.gauss_newton.numpy()
        assert scale.missing == pytest.approx(np.linalg.norm(H - G, 2) / np.linalg.norm(H, 2))
        assert np.allclose(scale.eigenvalues, scipy.linalg.eigh(H, G, eigvals_only=True), rtol=1e-8)


def test_what_a_prediction_leaves_of_the_gradient(predicted):
    for scale in predicted[1]:
        H, G, g = scale.exact.numpy(), scale.gauss_newton.numpy(), scale.rate.numpy()
        values = scipy.linalg.eigh(H, G, eigvals_only=True)
        assert scale.largest_factor == pytest.approx(np.abs(1 - values).max())
        left = g - H @ np.linalg.solve(G, g)
        assert scale.left == pytest.approx(np.linalg.norm(left) / np.linalg.norm(g))
        assert left @ np.linalg.solve(G, left) <= scale.largest_factor**2 * (g @ np.linalg.solve(G, g))


def test_gains_and_misses_of_any_parameters(predicted):
    problem, scales = predicted
    ws = [scale.w + 0.5 * (scale.after - scale.w) for scale in scales]
    assert euler.misses(scales, ws) == pytest.approx([0.5] * len(scales))
    perfect = euler.gains(problem, scales, [scale.after for scale in scales], "at the new θ")
    assert (perfect[:, 0] > 0).all() and perfect[:, 1] == pytest.approx(1, abs=1e-3)
    none = euler.gains(problem, scales, [scale.w for scale in scales], "at the new θ")
    assert none == pytest.approx(0, abs=1e-15)
