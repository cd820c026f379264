"""The bold claims of chapter 7, on a camera built anew from SciPy's B-splines and plain NumPy."""

from functools import cache

import numpy as np
import pytest
import scipy.linalg
import torch
from scipy.interpolate import BSpline

from regbook import paper
from regkit import data
from regkit.templates import register_templates, synthetic

PAIR = data.hands_phantom(20)
SPACING, CELLS = np.array(PAIR.grid.spacing), 20
CUBIC = BSpline.basis_element(np.arange(-2.0, 3.0), extrapolate=False)


def along(y, cells, h):
    """Interpolating cubic spline with zero coefficients outside: values at cell centres to values at y."""
    basis = np.nan_to_num(CUBIC(y[:, None] / h - 0.5 - np.arange(cells)))
    at_centres = np.nan_to_num(CUBIC(np.arange(cells)[:, None] - np.arange(cells)))
    return basis, np.linalg.inv(at_centres)


def camera(motion, cells=CELLS, spacing=SPACING, factor=2):
    """K I(w) of one affine motion (A row by row, b), as a full matrix."""
    axes = [(np.arange(cells) + 0.5) * h for h in spacing]
    x = np.stack(np.meshgrid(*axes, indexing="ij"), -1).reshape(-1, 2)
    y = x @ np.reshape(motion[:4], (2, 2)).T + motion[4:]
    (bx, inverse), (by, _) = (along(y[:, k], cells, spacing[k]) for k in range(2))
    moved = np.einsum("ni,nj->nij", bx, by) @ inverse
    moved = np.einsum("nij,ik->nkj", moved, inverse).reshape(len(x), -1)
    coarse = cells // factor
    blocks = moved.reshape(coarse, factor, coarse, factor, -1)
    return blocks.mean((1, 3)).reshape(coarse**2, -1)


def all_slopes(cells=CELLS, spacing=SPACING):
    D, I = np.diff(np.eye(cells), axis=0), np.eye(cells)  # noqa: E741
    return np.vstack([np.kron(D, I) / spacing[0], np.kron(I, D) / spacing[1]])


STILL = np.array([1.0, 0, 0, 1, 0, 0])


def stack(w):
    return np.vstack([camera(motion) for motion in [STILL, *np.reshape(w, (-1, 6))]])


def solve(M, d, lam):
    """min h_d ‖M f − d‖² + λ² h_f ‖L f‖², by LAPACK's least squares on the stacked matrix."""
    h_f, L = SPACING.prod(), all_slopes()
    A = np.vstack([np.sqrt(4 * h_f) * M, lam * np.sqrt(h_f) * L])
    return scipy.linalg.lstsq(
        A, np.concatenate([np.sqrt(4 * h_f) * d, np.zeros(len(L))]), lapack_driver="gelsy"
    )[0]


@cache
def standard():
    """The true motions, the camera at them, and the image."""
    made = synthetic(PAIR.reference, PAIR.grid)
    w = made.w_true.numpy()
    return made, w, stack(w), PAIR.reference.reshape(-1).numpy()


def error(f, truth):
    return np.linalg.norm(f - truth) / np.linalg.norm(truth)


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
    def shifted(s):
        h1, h2 = 2 * SPACING
        return stack([[1, 0, 0, 1, a * s * h1, b * s * h2] for a, b in ((1, 0), (0, 1), (1, 1))])

    M = shifted(1.0).reshape(4, 10, 10, 400)
    for image, (a, b) in zip(M[1:], ((1, 0), (0, 1), (1, 1)), strict=True):
        assert np.allclose(image[: 10 - a, : 10 - b], M[0, a:, b:])  # word for word the first image's rows
    assert np.linalg.matrix_rank(shifted(0.0)) == 100
    assert np.linalg.matrix_rank(shifted(1.0)) <= 100 + 21  # the rows beyond the edge
    sigma = {s: np.linalg.svd(shifted(s), compute_uv=False) for s in (1 / 16, 0.5)}
    assert all((values > 1e-12).all() for values in sigma.values())
    strong = [(values > 1e-2 * values[0]).sum() for values in sigma.values()]
    assert strong[0] < 300 < 380 < strong[1]


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
    """On the head at 32 × 32, where the matrix is small; the up-sampled image is SciPy's cubic zoom."""
    from scipy.ndimage import zoom

    head, box = data.mri(32)
    spacing, truth = np.array(box.spacing), head.reshape(-1).numpy()
    made = synthetic(head, box, factor=4, count=16, noise=2.0)
    motions = [STILL, *made.w_true.reshape(-1, 6).numpy()]
    M = np.vstack([camera(motion, 32, spacing, 4) for motion in motions])
    d = made.problem.templates.reshape(-1).numpy()
    L, h_f = all_slopes(32, spacing), spacing.prod()
    A = np.vstack([4 * M, 2.0 * L]) * np.sqrt(h_f)
    b = np.concatenate([4 * np.sqrt(h_f) * d, np.zeros(len(L))])
    f = np.linalg.solve(A.T @ A, A.T @ b)
    alone = zoom(d[:64].reshape(8, 8), 4, order=3, mode="grid-constant", grid_mode=True).reshape(-1)
    assert error(f, truth) < 0.75 * error(alone, truth)


def test_claim_a_tenth_of_a_pixel_ruins_the_picture():
    """With the motions that registration finds, and with others as far off."""
    made, w, M, truth = standard()
    d, alone = M @ truth, error(made.problem.upsampled().numpy(), truth)
    axes = [(np.arange(CELLS) + 0.5) * h for h in SPACING]
    x = np.stack(np.meshgrid(*axes, indexing="ij"), -1).reshape(-1, 2)

    def away(v):
        steps = (np.reshape(v, (-1, 6)) - np.reshape(w, (-1, 6)))[:, None]
        moved = np.stack([steps[..., :2] @ x.T, steps[..., 2:4] @ x.T], -1)[:, 0] + steps[..., 4:]
        return np.linalg.norm(moved / (2 * SPACING), axis=-1).mean()

    found = register_templates(made.problem).numpy()
    assert away(found) < 0.12
    assert error(solve(stack(found), d, 1e-2), truth) > alone > 3 * error(solve(M, d, 1e-2), truth)
    scale = np.tile([0.01, 0.01, 0.01, 0.01, 0.1, 0.1], 3)
    worse = []
    for seed in range(4):
        step = scale * np.random.default_rng(seed).normal(size=18)
        v = w + step * 0.1 / away(w + step)
        assert away(v) == pytest.approx(0.1)
        worse.append(error(solve(stack(v), d, 1e-2), truth) / alone)
    assert np.median(worse) > 1
