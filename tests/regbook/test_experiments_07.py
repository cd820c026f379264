"""The experiments of chapter 7, against NumPy's least squares and samples of noise."""

import numpy as np
import pytest
import torch

from regbook.experiments import ch07
from regkit.data import hands_phantom
from regkit.spline import coefficients, evaluate
from regkit.templates import synthetic

PAIR = hands_phantom(12)
LAMS = np.geomspace(1e-3, 3, 15)


@pytest.fixture(scope="module")
def noisy():
    made = synthetic(PAIR.reference, PAIR.grid, count=3, noise=4.0)
    return made, ch07.Dense(made.problem, made.w_true)


def test_the_full_matrices_are_those_of_the_model(noisy):
    made, full = noisy
    f, d = made.image.reshape(-1), made.problem.templates.reshape(-1)
    A = np.vstack([full.data * made.problem.scales[0], full.slopes * made.problem.scales[1]])
    assert np.allclose(A @ f.numpy(), made.problem.model(made.w_true, f).numpy())
    assert full.misfit(f) == pytest.approx(np.sqrt(np.mean((full.data @ f - d).numpy() ** 2)))
    assert full.roughness(f) == pytest.approx(np.sqrt(np.mean((full.slopes @ f).numpy() ** 2)))
    assert full.rank == np.linalg.matrix_rank(full.data.numpy())
    assert np.allclose(full.sigma.numpy(), np.linalg.svd(full.data.numpy(), compute_uv=False), atol=1e-12)


@pytest.mark.parametrize("images", [None, 2])
def test_reconstructions_are_least_squares(noisy, images):
    _, full = noisy
    rows = full.coarse.count * (images or 3)
    weight = np.sqrt(full.coarse.cell_volume), 0.2 * np.sqrt(full.grid.cell_volume)
    A = np.vstack([weight[0] * full.data[:rows].numpy(), weight[1] * full.slopes.numpy()])
    b = np.concatenate([weight[0] * full.templates.reshape(-1)[:rows].numpy(), np.zeros(len(full.slopes))])
    assert np.allclose(full.solve(0.2, images).numpy(), np.linalg.lstsq(A, b)[0])


def test_motions_are_shifts_and_turns():
    moves = ch07.motions(PAIR.grid)
    assert moves["by whole pixels"].shape == moves["turned and stretched"].shape == (6, 6)
    h1, h2 = PAIR.grid.spacing
    assert moves["by half pixels"][3].tolist() == pytest.approx([1, 0, 0, 1, h1, h2])
    assert moves["by whole pixels"][4].tolist() == pytest.approx([1, 0, 0, 1, -2 * h1, 0])
    made = ch07.observed(PAIR.reference, PAIR.grid, moves["by whole pixels"])
    first, second = made.problem.templates[:2]
    torch.testing.assert_close(second[:-1], first[1:])  # the same pixels, one further


def test_how_far_motions_are_apart():
    """All three images shifted by 0.3 coarse pixels along x and 0.4 along y: half a pixel."""
    made = synthetic(PAIR.reference, PAIR.grid)
    h = made.problem.coarse.spacing
    shift = torch.tensor([0, 0, 0, 0, 0.3 * h[0], 0.4 * h[1]]).repeat(3)
    assert ch07.apart(made.problem, made.w_true, made.w_true + shift) == pytest.approx(0.5)
    one = torch.cat([shift[:6], torch.zeros(12)])
    assert ch07.apart(made.problem, made.w_true, made.w_true + one) == pytest.approx(0.5 / 3)


def test_the_moved_image_is_the_spline():
    made = synthetic(PAIR.reference, PAIR.grid)
    move, f = made.w_true[:6], made.image.reshape(-1)
    y = made.problem.transform(move, PAIR.grid.points())
    expected = evaluate(coefficients(made.image, 0.0), PAIR.grid, y)
    torch.testing.assert_close(ch07.moved(made.problem, f, move), expected)
    made, full = ch07.shifted(PAIR.reference, PAIR.grid, 1.0, noise=0.0)
    assert full.rank < ch07.shifted(PAIR.reference, PAIR.grid, 0.5, noise=0.0)[1].rank
    assert ch07.strong(torch.tensor([1.0, 0.5, 0.02, 0.005])) == 3
    assert made.w_true[4] == pytest.approx(made.problem.coarse.spacing[0])


def test_the_choices_of_lambda(noisy):
    made, full = noisy
    trade = ch07.Trade(made, 4.0, LAMS)
    errors = [made.error(full.solve(lam)) for lam in LAMS]
    assert trade.best == LAMS[np.argmin(errors)] and trade.error_at(LAMS[3] * 1.05) == errors[3]
    assert trade.misfit_at(trade.discrepancy) == trade.misfits[list(LAMS).index(trade.discrepancy)] <= 4.0
    assert (trade.misfits[LAMS > trade.discrepancy] > 4.0).all()
    assert np.isnan(ch07.Trade(made, 1e-6, LAMS[-3:]).discrepancy)
    assert LAMS[3] <= trade.corner <= LAMS[-4]


def test_the_error_in_two_parts_is_that_of_many_noises(noisy):
    made, full = noisy
    trade, truth = ch07.Trade(made, 4.0, LAMS[4::5]), made.image.reshape(-1)
    clean, random = full.data @ truth, np.random.default_rng(0)
    for k, lam in enumerate(trade.lams):
        bias, spread = (part[k] for part in trade.parts())
        noise = torch.from_numpy(4.0 * random.normal(size=(len(clean), 400)))
        rhs = full.coarse.cell_volume * full.data.T @ (clean[:, None] + noise)
        images = torch.linalg.solve(full.normal(lam), rhs)
        away = float((images - truth[:, None]).square().sum(0).mean().sqrt() / truth.norm())
        assert np.hypot(bias, spread) == pytest.approx(away, rel=0.05)


def test_what_is_taken_up_is_missing_from_the_misfit_of_noise(noisy):
    _, full = noisy
    noise = torch.from_numpy(np.random.default_rng(0).normal(size=(len(full.data), 400)))
    for lam in (0.03, 0.3):
        images = torch.linalg.solve(full.normal(lam), full.coarse.cell_volume * full.data.T @ noise)
        left = (full.data @ images - noise).square().sum(0).mean()
        assert len(noise) - full.taken_up(lam) == pytest.approx(float(left), rel=0.05)


def test_patterns_are_singular_vectors_with_a_sign():
    made = synthetic(PAIR.reference, PAIR.grid, count=2)
    sigma, V = ch07.patterns(made)
    M = ch07.Dense(made.problem, made.w_true).data
    torch.testing.assert_close(V @ V.T, torch.eye(144).double())
    torch.testing.assert_close((M @ V.T).norm(dim=0)[: len(sigma)], sigma, rtol=1e-8, atol=1e-10)
    assert all(v[v.abs().argmax()] > 0 for v in V)


def test_some_of_the_images_and_motions_on_the_way(noisy):
    made, _ = noisy
    one, still = ch07.some(made, 1)
    d = one.at(still).forward(made.image.reshape(-1))[: one.templates.numel()] / one.scales[0]
    assert one.templates.shape[0] == 1 and (made.problem.templates[0].reshape(-1) - d).abs().max() < 20
    few, f = ch07.from_some(made, 2, 0.5)
    expected = ch07.Dense(few, made.w_true[:6]).solve(0.5)
    assert few.templates.shape[0] == 2 and few.strength == 0.5
    torch.testing.assert_close(f, expected, rtol=1e-3, atol=1e-2)
    start = made.w_true + 0.01
    w, image = ch07.between(made, start, 0.25, 0.1)
    torch.testing.assert_close(w, made.w_true + 0.0025)
    torch.testing.assert_close(image, ch07.Dense(made.problem, w).solve(0.1))


def test_the_toys_spectra():
    def rows(shift):
        return torch.tensor([[1.0, 0.0], [0.0, shift]])

    expected = [np.linalg.svd([[1, 0], [0, 0], [1, 0], [0, s]], compute_uv=False) for s in (0.5, 2.0)]
    assert np.allclose(ch07.toy_spectra(rows, [0.5, 2.0]), expected)
