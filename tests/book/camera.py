"""The camera of chapter 7, built anew from SciPy's B-splines and plain NumPy."""

from functools import cache

import numpy as np
import scipy.linalg
from scipy.interpolate import BSpline

from regkit import data
from regkit.templates import synthetic

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


def shifted(s):
    """The matrix of four images: in place, and shifted by s coarse pixels along x, y and both."""
    h1, h2 = 2 * SPACING
    return stack([[1, 0, 0, 1, a * s * h1, b * s * h2] for a, b in ((1, 0), (0, 1), (1, 1))])
