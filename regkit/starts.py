"""Least squares of affine maps, fast: many starts at once, and an end as accurate as the noise allows.

**Many starts.** Small images cost little arithmetic and many calls: k starts that are evaluated
together cost about as much as one. And all that Levenberg-Marquardt's method needs of ``SSD`` and
``NCC`` is in one matrix, XWXᵀ, with the rows

    X = (∂t/∂a; t; s; 1),    (d² + d + 3, n),    a = (A row by row, b),    W = diag ω.

t are the values of the moved template, s those of the reference. With C = XWXᵀ less its part along 1

    SSD   J = ½ (t − s)W(t − s)ᵀ     gradient ∂tW(t − s)ᵀ                      Gauss-Newton ∂tW∂tᵀ
    NCC   J = 1 − ν, ν = C(t, s)/NS  gradient −(C(∂t, s)/S − νC(∂t, t)/N)/N    Gauss-Newton
          N² = C(t, t), S² = C(s, s)           (C(∂t, ∂t) − C(∂t, t)C(t, ∂t)/N²)/N²

Points are taken in portions that stay in the processor's cache: X is never stored. T and ∇T are not
computed from the spline, but looked up: in tables of what they are at the cells, between which they
are taken as linear. That is far cheaper, and good enough on the way. For ``outside="overlap"`` the
weights depend on w; here they are kept for the length of a step.

**The end.** Both images are noisy. Smoothing them by θ takes away noise, but it blurs each in its
own cells: under a map that stretches, the two no longer match, and the minimiser is off. Without
smoothing the noise of the gradient is large. So the images are compared as they are, and the
equations of least squares are weighted with the gradient of an image D that has less noise:

    Σ ωᵢ (∂yᵢ/∂w)ᵀ A⁻ᵀ ∇Dᵢ (T(yᵢ) − Rᵢ) = 0.

D is the reference without its noise. But for noise ∇(T∘y) = Aᵀ∇T is ∇R at the solution, and ∇D is
known on the grid once and for all: an iteration needs T alone. Weights that are wrong by a little
cost a little precision, but bring no bias, as long as they know nothing of T: if they do, they pull
the map to where they were made. In statistics this is the method of instrumental variables.
Where ∇D is next to nothing, as in a background, points are left out: often most of them.

How D is made is in ``_denoised``. For ``NCC`` T(y) is fitted to R by a brightness and a contrast.

Source:
    Baker & Matthews (2004), section 3.2, https://doi.org/10.1023/B:VISI.0000011205.11775.fd
"""

from __future__ import annotations

import math

import numpy as np
import torch
from scipy.ndimage import spline_filter1d
from torch import Tensor

from regkit._denoised import denoised
from regkit._require import require
from regkit.distances import NCC, SSD
from regkit.outside import known, share
from regkit.registration import Objective, Registration
from regkit.spline import at_centres, evaluate
from regkit.transforms import Affine

# Points that have less than this share, taken together, of what the gradients say are left out.
_NEXT_TO_NOTHING = 0.01
_AT_ONCE = 1 << 14  # points in one pass, over which its tables stay in the processor's cache


def fits(problem: Registration) -> bool:
    """Whether a registration is one for this module: ``SSD`` or ``NCC``, affine, without a regulariser.

    Example:
        >>> from regkit.data import hands_phantom
        >>> pair = hands_phantom(16)
        >>> fits(Registration(pair.template, pair.reference, pair.grid))
        True
    """
    known = isinstance(problem.distance, SSD | NCC) and isinstance(problem.transform, Affine)
    return known and problem.regulariser is None


class Together:
    """J, its gradient, its Gauss-Newton matrix and lengths of steps at many w at once, from tables.

    Args:
        objective: of a registration that ``fits``.

    Raises:
        ValueError: for another one.

    Example:
        >>> from regkit.data import hands_phantom
        >>> pair = hands_phantom(16)
        >>> objective = Registration(pair.template, pair.reference, pair.grid).at(1.0)
        >>> w = torch.stack([Affine().identity(), Affine().identity() + 0.1])
        >>> loss, gradient, hessian, lengths = Together(objective)(w.numpy())
        >>> loss.shape, gradient.shape, hessian.shape, lengths.shape
        ((2,), (2, 6), (2, 6, 6), (2, 6, 6))
        >>> bool(abs(loss[1] - objective.loss(w[1])) < 0.05 * loss[1])
        True
    """

    def __init__(self, objective: Objective):
        problem = objective.problem
        known = fits(problem) and problem.grid.dim > 1
        require(
            known, f"expected SSD or NCC, an affine map in 2 or 3 dimensions, no regulariser, got {problem!r}"
        )
        self.transform, self.distance, grid = problem.transform, problem.distance, problem.grids[1]
        # beyond the box: one cell further the spline is not yet zero
        images = [objective.coefficients] + ([] if problem.cover is None else [problem.cover])
        c, *cover = (torch.nn.functional.pad(image, (1, 1) * grid.dim) for image in images)
        slopes = [at_centres(c, axis) / h for axis, h in enumerate(grid.spacing)]
        table = torch.stack([*slopes, at_centres(c), *map(at_centres, cover)])
        self._table = table.reshape(-1, *c.shape)
        beyond, base = _bases(problem)
        self._beyond = float(beyond)
        points = [problem.motion._extended, objective.reference - base, problem.omega]
        if problem.weights is not None:
            points = [part[..., problem.omega != 0] for part in points]
        self._z, self._s, self._omega = (part.numpy(force=True) for part in points)
        self._moved = moved(problem, (problem.omega != 0).to(c)).numpy(force=True)
        # for torch: from −1 to 1 over the cells of the table, and the last axis first
        cells = np.array(grid.shape)
        self._scale, self._origin = 2 / (np.array(grid.spacing) * (cells + 2)), -cells / (cells + 2)
        self._origin = self._origin + self._scale * (self.transform.center or 0.0)

    @np.errstate(all="ignore")
    def __call__(self, w: np.ndarray) -> tuple[np.ndarray, ...]:
        """J (k,), its gradient (k, p), its Gauss-Newton matrix and M (k, p, p) at w (k, p).

        A step s moves the points by √(sᵀMs), in root mean square. NaN where nothing overlaps.
        """
        lift, known = self.transform.lift, type(self.transform) is Affine
        J, g, H = self._all(w if known else np.stack([lift(each, 0) for each in torch.from_numpy(w)]))
        if lift(torch.from_numpy(w[0]), 1) is None:  # the unit matrix
            return J, g, H, np.broadcast_to(self._moved, H.shape)
        E = np.stack([lift(each, 1) for each in torch.from_numpy(w)])
        return J, (g[:, None] @ E)[:, 0], E.swapaxes(1, 2) @ H @ E, E.swapaxes(1, 2) @ self._moved @ E

    def _all(self, a: np.ndarray) -> tuple[np.ndarray, ...]:
        return (self._ncc if isinstance(self.distance, NCC) else self._ssd)(self._products(a))

    def _products(self, a: np.ndarray) -> np.ndarray:
        """XWXᵀ (k, d² + d + 3, d² + d + 3)."""
        k, d = len(a), len(self._z) - 1
        q, size, products = d * d + d, max(1, _AT_ONCE // k), 0
        A, b = a[:, : d * d].reshape(k, d, d), a[:, d * d :]
        into = np.concatenate([A * self._scale[:, None], (b * self._scale + self._origin)[:, :, None]], 2)
        table = self._table.expand(k, *self._table.shape)
        for first in range(0, len(self._s), size):
            z, s, omega = (part[..., first : first + size] for part in (self._z, self._s, self._omega))
            at = torch.from_numpy(into[:, ::-1] @ z).to(table).mT[(slice(None), *[None] * (d - 1))]
            part = torch.nn.functional.grid_sample(table, at, align_corners=False)
            part = part.numpy(force=True).reshape(k, -1, len(s))
            X = np.empty((k, q + 3, len(s)))
            np.multiply(part[:, :d, None], z[:d], out=X[:, : d * d].reshape(k, d, d, len(s)))
            X[:, d * d : q + 1], X[:, q + 1], X[:, q + 2] = part[:, : d + 1], s, 1
            X[:, q] += self._beyond
            omega = omega if part.shape[1] == d + 1 else omega * share(part[:, -1:])
            products = products + (X * omega) @ X.swapaxes(1, 2)
        overlap = products[:, -1:, -1:] / self._omega.sum()
        return products / overlap if len(self._table) > d + 1 else products

    @staticmethod
    def _ssd(G: np.ndarray) -> tuple[np.ndarray, ...]:
        q = G.shape[1] - 3
        J = 0.5 * (G[:, q, q] - 2 * G[:, q, q + 1] + G[:, q + 1, q + 1])
        return J, G[:, :q, q] - G[:, :q, q + 1], G[:, :q, :q]

    @staticmethod
    def _ncc(G: np.ndarray) -> tuple[np.ndarray, ...]:
        q = G.shape[1] - 3
        C = G - G[:, :, -1:] * G[:, -1:] / G[:, -1:, -1:]
        N, S = np.sqrt(C[:, q, q, None]), np.sqrt(C[:, q + 1, q + 1, None])
        nu, along = C[:, q, q + 1, None] / (N * S), C[:, :q, q] / N
        g = (nu * along - C[:, :q, q + 1] / S) / N
        H = (C[:, :q, :q] - along[:, :, None] * along[:, None]) / N[:, None] ** 2
        return 1 - nu[:, 0], g, H


def moved(problem: Registration, mass: Tensor) -> Tensor:
    """M (d² + d, d² + d): steps s of a = (A row by row, b) move the points by sᵀMs in the mean square.

    Args:
        problem: whose points are meant.
        mass (n,): how much each of them counts.
    """
    z, order = problem.motion._extended, problem.motion._order
    means = (z * mass) @ z.T / mass.sum()
    return torch.kron(torch.eye(len(z) - 1).to(z), means)[order][:, order]


@np.errstate(all="ignore")
def descend(
    together: Together, w: Tensor, iterations: int = 20, tolerance: float = 1e-2
) -> tuple[Tensor, Tensor]:
    """Levenberg-Marquardt's method from many starts, each with a damping of its own.

    The same as ``optimize.levenberg_marquardt``, but that a step is the last when it moves the
    points by less than the tolerance, in root mean square. What it gains is not measured then, but
    as promised. In NumPy: calls of torch would cost more than the images do.

    Args:
        together: J.
        w (k, p): the starts.
        iterations: at most.
        tolerance (in the unit of the grid): of the length of a step.

    Returns:
        w (k, p) and J (k,), which is infinite where there is none.

    Example:
        >>> from regkit.data import hands_phantom
        >>> pair = hands_phantom(16)
        >>> together = Together(Registration(pair.template, pair.reference, pair.grid).at(1.0))
        >>> starts = Affine().identity().repeat(2, 1) + torch.tensor([[0.0], [0.02]])
        >>> w, loss = descend(together, starts)
        >>> bool((loss.numpy() < 0.2 * together(starts.numpy())[0]).all())
        True
    """
    like, w = w, w.numpy(force=True).copy()
    J, g, H, M = (part.copy() for part in together(w))
    J[~np.isfinite(J)] = math.inf
    damping, growth = np.full_like(J, 1e-3), np.full_like(J, 2.0)
    going = np.flatnonzero(np.isfinite(J))
    for _ in range(iterations):
        C = np.diagonal(H[going], axis1=1, axis2=2)
        C = damping[going, None].clip(1e-12) * np.maximum(C, 1e-30 * C.max(1, keepdims=True) + 1e-300)
        damped = H[going] + C[:, :, None] * np.eye(C.shape[1])
        # of torch: NumPy raises if one of many is singular, here it has no step
        step = torch.linalg.solve_ex(*map(torch.from_numpy, (damped, -g[going])))[0].numpy()
        promised = 0.5 * (step * (C * step - g[going])).sum(1)
        far = ~(np.einsum("ki,kij,kj->k", step, M[going], step) <= tolerance**2)  # True for NaN
        done = going[~far]
        w[done], J[done] = w[done] + step[~far], J[done] - promised[~far]
        going, step, promised = going[far], step[far], promised[far]
        if not len(going):
            break
        trial = w[going] + step
        new = together(trial)
        ratio = (J[going] - new[0]) / promised
        better = ratio > 0  # False for NaN
        won = going[better]
        for old, part in zip((w, J, g, H, M), (trial, *new), strict=True):
            old[won] = part[better]
        damping[going] *= np.where(better, np.maximum(1 - (2 * ratio - 1) ** 3, 1 / 3), growth[going])
        growth[going] = np.where(better, 2.0, 2 * growth[going])
        going = going[damping[going] < 1e9]
    return torch.from_numpy(w).to(like), torch.from_numpy(J).to(like)


class Weighted:
    """The equations of the end, see the module: all that does not depend on w is made once.

    Args:
        problem: a registration that ``fits``.

    Raises:
        ValueError: for another one.

    Example:
        >>> from regkit.data import hands_phantom
        >>> pair = hands_phantom(32, noise=5.0)
        >>> problem = Registration(pair.template, pair.template, pair.grid)
        >>> step, covariance = Weighted(problem)(problem.transform.identity())
        >>> bool(step.norm() < 1e-8), covariance.shape
        (True, torch.Size([6, 6]))
    """

    def __init__(self, problem: Registration):
        require(fits(problem), f"expected SSD or NCC, an affine map and no regulariser, got {problem!r}")
        self.problem, (self._beyond, base) = problem, _bases(problem)
        self._sharp, self.clean = problem.bases[0].coefficients(0.0), denoised(problem)
        slope, z = _slopes(self.clean, problem.grid.spacing), problem.motion._extended
        self._moved, telling = moved(problem, torch.ones_like(z[0])), _telling(slope, problem.omega)
        self.motion = problem.transform.on(problem.points.T[:, telling].T)
        self._omega, z, slope = problem.omega[telling], self.motion._extended, slope[:, telling]
        # beside the gradient the smooth reference and 1: they weigh the equations of contrast and brightness
        smooth, ones = self.clean.reshape(-1)[telling] + (problem.beyond[1] - base), torch.ones_like(z[0])
        self._rows = torch.cat([(slope[:, None] * z[:-1]).flatten(0, 1), slope, smooth[None], ones[None]])
        self._levels = torch.stack([problem.reference.reshape(-1)[telling] - base, ones])
        self._kept = None if problem.cover is not None else self._products(self._omega)

    def _products(self, weights: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """The weighted rows, and their products with the levels and with each other."""
        rows = self._rows * weights
        return rows, rows @ self._levels.T, rows @ self._rows.T

    def __call__(self, w: Tensor) -> tuple[Tensor, Tensor]:
        """Newton's step (p,) at w (p,), and the covariance (p, p) of the solution as noise has it.

        In the matrix ∇T is what it is at the solution, contrast times A⁻ᵀ∇D. As in any least
        squares, its inverse times the mean of the squared residuals, as the step leaves them, is
        the covariance.
        """
        problem, transform, d = self.problem, self.problem.transform, self.problem.grid.dim
        assert isinstance(transform, Affine)
        y, grid, q = self.motion(w), problem.grids[1], d * d + d
        t = evaluate(self._sharp, grid, y, 0, self._beyond)
        rows, b, K = self._kept or self._products(self._omega * share(evaluate(problem.cover, grid, y)))
        a, fit = rows @ t, t.new_tensor([1.0, 0.0])
        if isinstance(problem.distance, NCC):
            fit = torch.linalg.solve_ex(b[q:], a[q:])[0]
            K = K[:q, :q] - K[:q, q:] @ torch.linalg.solve_ex(K[q:, q:], K[q:, :q])[0]
        turn = torch.linalg.inv_ex(transform.split(w)[0])[0].contiguous()
        L = torch.block_diag(torch.kron(turn, torch.eye(d).to(turn)), turn)  # (∇D zᵀ, ∇D) L: A⁻ᵀ of it
        E = transform.lift(w, 1)
        LE = L if E is None else L @ E
        inverse = torch.linalg.inv_ex(LE.T @ K[:q, :q] @ LE)[0] / fit[0]
        gradient, weights, residual = LE.T @ (a[:q] - b[:q] @ fit), rows[-1], t - fit @ self._levels
        step = -inverse @ gradient
        left = (weights * residual) @ residual + fit[0] * (gradient @ step)  # after the step
        return step, inverse * (left / (weights != 0).sum() / fit[0])

    def precision(self, w: Tensor, covariance: Tensor) -> float:
        """How far, in cells, noise moves the map at w (p,): the root mean square over the object."""
        problem, E = self.problem, self.problem.transform.lift(w, 1)
        mass = problem.omega * (problem.reference.reshape(-1) - problem.beyond[1]).abs()
        C = covariance if E is None else E @ covariance @ E.T
        squared = float((C * moved(problem, mass)).sum().abs())
        return math.sqrt(squared) / min(problem.grid.spacing) if math.isfinite(squared) else math.inf

    def length(self, w: Tensor, step: Tensor) -> float:
        """How far a step (p,) moves the points, in the root mean square."""
        E = self.problem.transform.lift(w, 1)
        move = step if E is None else E @ step
        return float((move @ self._moved @ move).clamp(min=0).sqrt())


def settle(
    equations: Weighted, w: Tensor, iterations: int = 12, tolerance: float = 1e-3
) -> tuple[Tensor, Tensor]:
    """The solution of the weighted equations near w, see the module.

    Args:
        equations: of a registration.
        w (p,): a start that is right to about a cell.
        iterations: at most; each costs one evaluation of the template without derivatives.
        tolerance (cells): of the last step's length, or of the next one's, to go by how the last two compare.

    Returns:
        w (p,) and its covariance (p, p); the start itself if the iteration does not converge.

    Example:
        >>> from regkit.data import hands_phantom
        >>> pair = hands_phantom(32)
        >>> problem = Registration(pair.template, pair.template, pair.grid)
        >>> w, _ = settle(Weighted(problem), problem.transform.identity() + 0.01)
        >>> bool((w - problem.transform.identity()).abs().max() < 1e-3)
        True
    """
    first, last, tolerance = None, math.inf, tolerance * min(equations.problem.grid.spacing)
    for _ in range(iterations):
        step, covariance = equations(w)
        first = first or (w, covariance)
        length = equations.length(w, step)
        if not length < 2 * last:
            break
        w, next = w + step, length * min(length / last, 1)
        if min(length, next if last < math.inf else length) <= tolerance:
            return w, covariance
        last = length
    return first


def _bases(problem: Registration) -> tuple[Tensor, Tensor]:
    """The template's value beyond its box, and what is to be taken off the reference.

    Sums of squares of grey values lose digits to a constant in them. So both are less the mean of
    the reference; for ``NCC``, to which a constant means nothing, each is less its own.
    """
    s = problem.reference.reshape(-1)
    own = base = (problem.omega @ s) / problem.omega.sum()
    if isinstance(problem.distance, NCC):
        own = problem.template[known(problem.template, problem.template_weights)].mean()
    return problem.beyond[0] - own, base


def _slopes(image: Tensor, spacing: tuple[float, ...]) -> Tensor:
    """∇ of the cubic spline through an image at its cell centres, (d, n).

    Across an axis that spline is the image itself: for the slope along it lines are enough.
    """
    cells = image.numpy(force=True)
    slopes = [
        np.gradient(spline_filter1d(cells, axis=axis, mode="mirror"), h, axis=axis)
        for axis, h in enumerate(spacing)
    ]
    return torch.from_numpy(np.stack(slopes).reshape(len(spacing), -1)).to(image)


def _telling(slope: Tensor, omega: Tensor) -> Tensor:
    """The numbers of the points whose gradients ∇Dᵢ (d, n) say something of the map.

    In the mean over the points gᵢ = ωᵢ ∇DᵢᵀG⁻¹∇Dᵢ with G = Σωᵢ∇Dᵢ∇Dᵢᵀ is d/n. Points of less than
    ε/n are left out. Along any direction v they all have, for (v·∇D)² ≤ vᵀGv ∇DᵀG⁻¹∇D, less than
    the share ε of vᵀGv, and so of what is known about a shift along v.
    """
    values, vectors = torch.linalg.eigh((slope * omega) @ slope.T)
    scaled = (vectors / values.clamp(min=1e-12 * values[-1]).sqrt()).T @ slope
    return (omega * scaled.square().sum(0) * len(omega) > _NEXT_TO_NOTHING).nonzero()[:, 0]
