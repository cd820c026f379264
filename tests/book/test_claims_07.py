"""The bold claims of chapter 7, on a camera built anew from SciPy's B-splines and plain NumPy."""

import numpy as np
import pytest
import scipy.linalg
import torch

from regbook import paper
from regkit import data
from regkit.templates import register_templates, synthetic

from .camera import (
    CELLS,
    SPACING,
    STILL,
    all_slopes,
    camera,
    error,
    shifted,
    solve,
    stack,
    standard,
)


def test_claim_counting_equations_is_not_counting_information():
    made, _, M, truth = standard()
    assert np.allclose(M @ truth, made.problem.templates.reshape(-1).numpy())  # it is the same camera
    rank, nothing = np.linalg.matrix_rank(M), (np.abs(M).max(1) == 0).sum()
    assert M.shape == (400, 400) and rank < 400 and rank + nothing == 400
    sigma = np.linalg.svd(M, compute_uv=False)
    assert (sigma > 1e-2 * sigma[0]).sum() < rank - 10


def test_the_rank_at_the_papers_start(paper_data):
    """372 with the whole spline, as the text says (363 with the cut edge: test_paper)."""
    start = paper.superresolution()[1]
    M = np.vstack([camera(motion) for motion in start.numpy().reshape(-1, 6)])
    assert np.linalg.matrix_rank(M) == 372


def test_claim_a_shift_by_whole_pixels_brings_nothing():
    M = shifted(1.0).reshape(4, 10, 10, 400)
    for image, (a, b) in zip(M[1:], ((1, 0), (0, 1), (1, 1)), strict=True):
        assert np.allclose(image[: 10 - a, : 10 - b], M[0, a:, b:])  # word for word the first image's rows
    assert np.linalg.matrix_rank(shifted(0.0)) == 100
    assert np.linalg.matrix_rank(shifted(1.0)) <= 100 + 21  # the rows beyond the edge


def test_claim_the_transpose_comes_with_the_code():
    made, w, M, truth = standard()
    problem, h_f = made.problem, SPACING.prod()
    A = np.vstack([np.sqrt(4 * h_f) * M, problem.strength * np.sqrt(h_f) * all_slopes()])
    y = np.random.default_rng(7).normal(size=len(A))
    pull = torch.func.vjp(lambda f: problem.model(torch.from_numpy(w), f), torch.from_numpy(truth))[1]
    assert np.allclose(pull(torch.from_numpy(y))[0].numpy(), A.T @ y, atol=1e-12)
    assert np.allclose(
        problem.at(torch.from_numpy(w)).adjoint(torch.from_numpy(y)).numpy(), A.T @ y, atol=1e-12
    )


def test_claim_the_discrepancy_principle_comes_close():
    """For other noise than the chapter's, too."""
    _, _, M, truth = standard()
    lams = np.geomspace(1e-2, 3, 26)
    for noise in (2.0, 5.0):
        for seed in range(2):
            d = M @ truth + noise * np.random.default_rng(seed).normal(size=400)
            images = [solve(M, d, lam) for lam in lams]
            misfits = np.array([np.sqrt(np.mean((M @ f - d) ** 2)) for f in images])
            errors = np.array([error(f, truth) for f in images])
            chosen = errors[np.flatnonzero(misfits <= noise).max()]
            assert chosen < 4 / 3 * errors.min()
            assert chosen < 0.5 * errors[0]  # λ = 0.01, good without noise, is far off


def test_claim_noise_is_divided_by_the_singular_value():
    _, _, M, truth = standard()
    M = M[np.abs(M).max(1) > 0]
    _, sigma, Vt = np.linalg.svd(M, full_matrices=False)
    noise = np.random.default_rng(1).normal(size=(len(M), 200))
    clean = scipy.linalg.lstsq(M, M @ truth, cond=1e-14)[0]
    noisy = scipy.linalg.lstsq(M, (M @ truth)[:, None] + noise, cond=1e-14)[0]
    spread = np.sqrt(np.mean((Vt @ (noisy - clean[:, None])) ** 2, axis=1))
    seen = sigma > 1e-6 * sigma[0]
    assert np.allclose(spread[seen] * sigma[seen], 1, atol=0.25)  # standard deviation from 200 samples
    f = [solve(M, M @ truth + 2 * noise[:, 0], lam) for lam in (1e-1, 1e-2, 1e-3, 1e-4)]
    errors = [error(each, truth) for each in f]
    assert errors == sorted(errors) and errors[-1] > 5
    V = np.linalg.svd(M)[2]
    part = (V @ (f[-1] - truth)) ** 2
    assert part[(sigma > 1e-2 * sigma[0]).sum() :].sum() > 0.95 * part.sum()


def test_claim_many_coarse_images_make_a_finer_one():
    """On the head at 32 × 32, where the matrix is small; one image alone by two methods, each at its best."""
    from scipy.ndimage import zoom

    head, box = data.mri(32)
    spacing, truth = np.array(box.spacing), head.reshape(-1).numpy()
    made = synthetic(head, box, factor=4, count=16, noise=2.0)
    motions = [STILL, *made.w_true.reshape(-1, 6).numpy()]
    M = np.vstack([camera(motion, 32, spacing, 4) for motion in motions])
    d = made.problem.templates.reshape(-1).numpy()
    L, h_f = all_slopes(32, spacing), spacing.prod()

    def fitted(rows, lam):
        A = np.vstack([4 * M[:rows], lam * L]) * np.sqrt(h_f)
        b = np.concatenate([4 * np.sqrt(h_f) * d[:rows], np.zeros(len(L))])
        return error(np.linalg.solve(A.T @ A, A.T @ b), truth)

    by_spline = zoom(d[:64].reshape(8, 8), 4, order=3, mode="grid-constant", grid_mode=True).reshape(-1)
    alone = min(error(by_spline, truth), *(fitted(64, lam) for lam in (0.5, 2.0, 8.0)))
    assert fitted(len(d), 2.0) < 0.75 * alone


def test_claim_a_tenth_of_a_pixel_ruins_the_picture():
    """With the motions that registration finds, and with others as far off."""
    made, w, M, truth = standard()
    d = M @ truth
    alone = min(error(solve(M[:100], d[:100], lam), truth) for lam in (1e-2, 1e-1))
    axes = [(np.arange(CELLS) + 0.5) * h for h in SPACING]
    x = np.stack(np.meshgrid(*axes, indexing="ij"), -1).reshape(-1, 2)

    def away(v):
        steps = (np.reshape(v, (-1, 6)) - np.reshape(w, (-1, 6)))[:, None]
        moved = np.stack([steps[..., :2] @ x.T, steps[..., 2:4] @ x.T], -1)[:, 0] + steps[..., 4:]
        return np.linalg.norm(moved / (2 * SPACING), axis=-1).mean()

    found = register_templates(made.problem).numpy()
    assert away(found) < 0.12
    assert error(solve(stack(found), d, 1e-2), truth) > alone > 2.5 * error(solve(M, d, 1e-2), truth)
    scale = np.tile([0.01, 0.01, 0.01, 0.01, 0.1, 0.1], 3)
    worse = []
    for seed in range(4):
        step = scale * np.random.default_rng(seed).normal(size=18)
        v = w + step * 0.1 / away(w + step)
        assert away(v) == pytest.approx(0.1)
        worse.append(error(solve(stack(v), d, 1e-2), truth) / alone)
    assert np.median(worse) > 1
    assert error(solve(stack(found), d, 1e-1), truth) < 0.8 * alone  # a larger λ hides it
