"""The bold claims of appendix A2, on the camera of chapter 7's tests, and with samples of noise."""

import numpy as np

from .camera import SPACING, all_slopes, shifted, standard


def test_claim_a_sixteenth_of_a_pixel_fills_the_rank():
    sigma = {s: np.linalg.svd(shifted(s), compute_uv=False) for s in (1 / 16, 0.5)}
    assert all((values > 1e-12).all() for values in sigma.values())
    strong = [(values > 1e-2 * values[0]).sum() for values in sigma.values()]
    assert strong[0] < 300 < 380 < strong[1]


def test_claim_a_fit_takes_up_noise():
    """200 samples of noise of size 2: what is left of it after the fit, at three λ."""
    _, _, M, truth = standard()
    h_f, L, noise = SPACING.prod(), all_slopes(), 2 * np.random.default_rng(3).normal(size=(400, 200))
    misfits = {}
    for lam in (0.01, 0.126, 0.251):
        normal = 4 * h_f * M.T @ M + lam**2 * h_f * L.T @ L
        fits = np.linalg.solve(normal, 4 * h_f * M.T @ ((M @ truth)[:, None] + noise))
        misfits[lam] = np.sqrt(np.mean((M @ fits - (M @ truth)[:, None] - noise) ** 2))
    left = np.mean((M @ np.linalg.solve(normal, 4 * h_f * M.T @ noise) - noise) ** 2) / 4
    assert misfits[0.01] < misfits[0.126] < misfits[0.251] < 2.0
    assert 200 < 400 * (1 - left) < 250  # of the squares are taken up, even at the last λ
