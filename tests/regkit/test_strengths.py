"""The strength of the penalty, against dense least squares, and against noise that is known."""

import numpy as np
import pytest
import torch

from regkit import Grid
from regkit.linear import Cholesky
from regkit.strengths import by_discrepancy, misfit
from regkit.templates import synthetic

LAMS = [0.003, 0.01, 0.03, 0.1, 0.3, 1.0]


@pytest.fixture
def noisy(random):
    """A smooth image of 12 × 12 cells, three coarse images of it with noise of 2."""
    x = torch.linspace(0, 3, 12, dtype=torch.float64)
    image = 100 + 80 * torch.sin(x)[:, None] * torch.cos(2 * x)[None]
    return synthetic(image, Grid((12.0, 12.0), (12, 12)), count=3, noise=2.0)


def dense(made, lam):
    """f(λ) and its misfit by NumPy's least squares on the stacked matrix, with L built anew."""
    problem, n = made.problem, 12
    A = problem.at(made.w_true)
    M = A.forward(torch.eye(n * n, dtype=torch.float64))[: A.data_rows].numpy() / problem.scales[0]
    D, I = np.diff(np.eye(n), axis=0), np.eye(n)  # noqa: E741
    L = np.vstack([np.kron(D, I), np.kron(I, D)])  # cells of side 1
    d = problem.templates.reshape(-1).numpy()
    f = np.linalg.lstsq(np.vstack([2 * M, lam * L]), np.concatenate([2 * d, np.zeros(len(L))]))[0]
    return f, np.sqrt(np.mean((M @ f - d) ** 2))


def test_misfit_is_the_root_mean_square_over_the_coarse_pixels(noisy):
    f = noisy.image.reshape(-1)
    assert 1.7 < misfit(noisy.problem, noisy.w_true, f) < 2.3  # of the true image: the noise
    found, off = dense(noisy, 0.3)
    assert misfit(noisy.problem, noisy.w_true, torch.from_numpy(found)) == pytest.approx(off, rel=1e-8)


@pytest.mark.parametrize("solver", [None, Cholesky()], ids=str)
def test_the_largest_strength_that_fits(noisy, solver):
    misfits = {lam: dense(noisy, lam)[1] for lam in LAMS}
    noise = (misfits[0.1] + misfits[0.3]) / 2
    for strengths in (LAMS, LAMS[::-1], torch.tensor(LAMS, dtype=torch.float64)):
        found = by_discrepancy(noisy.problem, noisy.w_true, noise, strengths, solver)
        assert found.strength == pytest.approx(0.1)
        assert found.misfit == pytest.approx(misfits[0.1], rel=1e-5)
        np.testing.assert_allclose(found.f.numpy(), dense(noisy, 0.1)[0], atol=1e-3)


def test_a_misfit_that_equals_the_noise_is_not_above_it(noisy):
    off = by_discrepancy(noisy.problem, noisy.w_true, 50.0, [0.3], Cholesky()).misfit
    assert by_discrepancy(noisy.problem, noisy.w_true, off, [0.1, 0.3], Cholesky()).strength == 0.3


def test_says_what_is_wrong(noisy):
    problem, w = noisy.problem, noisy.w_true
    with pytest.raises(ValueError, match=r"misfit of at most 1e-06, got .* at the smallest, 0.01"):
        by_discrepancy(problem, w, 1e-6, [0.1, 0.01])
    for strengths in ([], [0.1, 0.0], [-1.0]):
        with pytest.raises(ValueError, match="expected one or more strengths λ > 0"):
            by_discrepancy(problem, w, 2.0, strengths)
    for noise in (0.0, -1.0, float("nan"), float("inf")):
        with pytest.raises(ValueError, match="expected a noise > 0"):
            by_discrepancy(problem, w, noise, LAMS)
    with pytest.raises(ValueError, match="expected a solver"):
        by_discrepancy(problem, w, 2.0, LAMS, solver="cg")
