"""Least squares of affine maps, fast: many starts at once, and an end as accurate as the noise allows.

**Many starts.** Small images cost little arithmetic and many calls: k starts that are evaluated
together cost about as much as one. And all that Levenberg-Marquardt's method needs of ``SSD`` and
``NCC`` is in one matrix, XWXᵀ, with the rows

    X = (∂t/∂a; t; s; 1),    (d² + d + 3, n),    a = (A row by row, b),    W = diag ω.

t are the values of the moved template, s those of the reference. With C = XWXᵀ less its part along 1

    SSD   J = ½ (t − s)W(t − s)ᵀ     gradient ∂tW(t − s)ᵀ                      Gauss-Newton ∂tW∂tᵀ
    NCC   J = 1 − ν, ν = C(t, s)/NS  gradient −(C(∂t, s)/S − νC(∂t, t)/N)/N    Gauss-Newton
          N² = C(t, t), S² = C(s, s)           (C(∂t, ∂t) − C(∂t, t)C(t, ∂t)/N²)/N²

Points are taken in portions that stay in the processor's cache: X is never stored. For
``outside="overlap"`` the weights depend on w; here they are kept for the length of a step.

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
from functools import cached_property

import torch
from torch import Tensor

from regkit._denoised import denoised
from regkit._require import require
from regkit.distances import NCC, SSD
from regkit.outside import known, share
from regkit.registration import Objective, Registration
from regkit.spline import (
    _POINTS_AT_ONCE,
    _derivatives,
    _neighbours,
    at_centres,
    coefficients,
    evaluate,
)
from regkit.transforms import Affine

# Points that have less than this share, taken together, of what the gradients say are left out.
_NEXT_TO_NOTHING = 0.01


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
    """J, its gradient and its Gauss-Newton matrix at many w in one pass over the points.

    Args:
        objective: of a registration that ``fits``.

    Raises:
        ValueError: for another one.

    Example:
        >>> from regkit.data import hands_phantom
        >>> pair = hands_phantom(16)
        >>> objective = Registration(pair.template, pair.reference, pair.grid).at(1.0)
        >>> w = torch.stack([Affine().identity(), Affine().identity() + 0.1])
        >>> loss, gradient, hessian = Together(objective)(w)
        >>> loss.shape, gradient.shape, hessian.shape
        (torch.Size([2]), torch.Size([2, 6]), torch.Size([2, 6, 6]))
        >>> torch.allclose(loss[1], objective.loss(w[1]))
        True
    """

    def __init__(self, objective: Objective):
        self.objective, problem = objective, objective.problem
        require(fits(problem), f"expected SSD or NCC, an affine map and no regulariser, got {problem!r}")
        self.transform: Affine = problem.transform
        grid, counts = problem.grids[1], problem.omega != 0
        images = [objective.coefficients] + ([] if problem.cover is None else [problem.cover])
        self._padded = [torch.nn.functional.pad(c, (4, 4) * grid.dim) for c in images]
        self._neighbours = _neighbours(self._padded[0], grid.shape)
        z, s, omega = problem.motion._extended, objective.reference, problem.omega
        if not counts.all():
            z, s, omega = z[:, counts], s[counts], omega[counts]
        self._beyond, base = _bases(problem)
        self._about, self._spacing = self.transform._center(s), s.new_tensor(grid.spacing)[:, None]
        self.z, self._s, self._omega = z, s - base, omega

    @cached_property
    def moments(self) -> Tensor:
        """The mean of (x − c, 1)(x − c, 1)ᵀ over the points, (d + 1, d + 1)."""
        return (self.z @ self.z.T / self.z.shape[1]).double()

    def lifted(self, w: Tensor, order: int) -> Tensor | None:
        """``Affine.lift`` of each w (k, p), one after the other."""
        if type(self.transform) is Affine:
            return None if order else w
        lifts = [self.transform.lift(each, order) for each in w]
        return None if lifts[0] is None else torch.stack(lifts)

    def __call__(self, w: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """J (k,), ∇J (k, p) and the Gauss-Newton matrix (k, p, p) at w (k, p); NaN where nothing overlaps."""
        products, overlap = self._products(w)
        J, g, H = (self._ncc if isinstance(self.objective.problem.distance, NCC) else self._ssd)(products)
        E = self.lifted(w, 1)
        if E is not None:
            g, H = (g[:, None] @ E)[:, 0], E.transpose(1, 2) @ H @ E
        self.overlap = overlap
        return J, g, H

    def _products(self, w: Tensor) -> tuple[Tensor, Tensor]:
        """XWXᵀ (k, d² + d + 3, d² + d + 3), and the share of the points that overlap (k,)."""
        grid, d, k = self.objective.problem.grids[1], self.z.shape[0] - 1, len(w)
        a, q = self.lifted(w, 0), d * d + d
        A, b = a[:, : d * d].reshape(k, d, d), a[:, d * d :] + self._about
        into = torch.cat([A, b[:, :, None]], 2) / self._spacing
        into[:, :, d] -= 0.5  # u = y/h − ½
        into, units = into.to(self.z), [tuple(int(i == j) for j in range(d)) for i in range(d)]
        products, size = w.new_zeros(k, q + 3, q + 3), max(1, 2 * _POINTS_AT_ONCE // k)
        for first in range(0, self.z.shape[1], size):
            z, omega = self.z[:, first : first + size], self._omega[first : first + size]
            m = z.shape[1]
            u = (into @ z).transpose(0, 1).reshape(d, k * m)
            part = _derivatives(self._padded[0], self._neighbours, u, 1)
            X = z.new_empty(k, q + 3, m)
            slope = X[:, d * d : q]
            for i in range(d):
                torch.div(part[units[i]].reshape(k, m), grid.spacing[i], out=slope[:, i])
            torch.mul(slope[:, :, None], z[:d], out=X[:, : d * d].unflatten(1, (d, d)))
            torch.add(part[(0,) * d].reshape(k, m), self._beyond, out=X[:, q])
            X[:, q + 1], X[:, q + 2] = self._s[first : first + size], 1
            if len(self._padded) > 1:
                P = _derivatives(self._padded[1], self._neighbours, u, 0)[(0,) * d]
                omega = omega * share(P.reshape(k, 1, m))
            products += (X * omega) @ X.transpose(1, 2)
        overlap = products[:, -1, -1] / self._omega.sum()
        return products / (overlap[:, None, None] if len(self._padded) > 1 else 1), overlap

    @staticmethod
    def _ssd(G: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        q = G.shape[1] - 3
        J = 0.5 * (G[:, q, q] - 2 * G[:, q, q + 1] + G[:, q + 1, q + 1])
        return J, G[:, :q, q] - G[:, :q, q + 1], G[:, :q, :q]

    @staticmethod
    def _ncc(G: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        q = G.shape[1] - 3
        C = G - G[:, :, -1:] * G[:, -1:] / G[:, -1:, -1:]
        N, S = C[:, q, q].sqrt(), C[:, q + 1, q + 1].sqrt()
        nu, along = C[:, q, q + 1] / (N * S), C[:, :q, q] / N[:, None]
        g = (nu[:, None] * along - C[:, :q, q + 1] / S[:, None]) / N[:, None]
        H = (C[:, :q, :q] - along[:, :, None] * along[:, None]) / N[:, None, None] ** 2
        return 1 - nu, g, H

    def length(self, w: Tensor, step: Tensor) -> Tensor:
        """How far steps (k, p) from w (k, p) move the points, (k,): root mean squares."""
        E, d = self.lifted(w, 1), len(self.moments) - 1
        a = step if E is None else (E @ step[:, :, None])[:, :, 0]
        move = torch.cat([a[:, : d * d].reshape(-1, d, d), a[:, d * d :, None]], 2)
        return ((move @ self.moments.to(w)) * move).sum((1, 2)).clamp(min=0).sqrt()


def descend(
    together: Together, w: Tensor, iterations: int = 20, tolerance: float = 1e-2
) -> tuple[Tensor, Tensor]:
    """Levenberg-Marquardt's method from many starts, each with a damping of its own.

    The same as ``optimize.levenberg_marquardt``, but that a step is the last when it moves the
    points by less than the tolerance, in root mean square. What it gains is not measured then, but
    as promised.

    Args:
        together: what is minimised.
        w (k, p): the starts.
        iterations: at most.
        tolerance (in the unit of the grid): for the length of a step.

    Returns:
        w (k, p) and J (k,), which is infinite where there is none.

    Example:
        >>> from regkit.data import hands_phantom
        >>> pair = hands_phantom(16)
        >>> together = Together(Registration(pair.template, pair.reference, pair.grid).at(1.0))
        >>> starts = Affine().identity().repeat(2, 1) + torch.tensor([[0.0], [0.02]])
        >>> w, loss = descend(together, starts)
        >>> bool((loss < 0.2 * together(starts)[0]).all())
        True
    """
    w, (J, g, H) = w.clone(), together(w)
    J = J.nan_to_num(math.inf, math.inf)
    damping, growth = torch.full_like(J, 1e-3), torch.full_like(J, 2.0)
    going = J.isfinite().nonzero()[:, 0]
    for _ in range(iterations):
        C = H[going].diagonal(dim1=1, dim2=2)
        C = damping[going, None] * C.clamp(min=1e-15 * C.amax(1, keepdim=True))
        step = torch.linalg.solve_ex(H[going] + torch.diag_embed(C), -g[going])[0]
        promised = 0.5 * (step * (C * step - g[going])).sum(1)
        far = ~(together.length(w[going], step) <= tolerance)  # True for NaN
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
        w[won], J[won], g[won], H[won] = trial[better], *(part[better] for part in new)
        shorter = (1 - (2 * ratio - 1) ** 3).clamp(min=1 / 3)
        damping[going] *= torch.where(better, shorter, growth[going])
        growth[going] = torch.where(better, 2.0, 2 * growth[going])
        going = going[damping[going] < 1e9]
    return w, J


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
        c, z = coefficients(self.clean, 0.0), problem.motion._extended
        slope = torch.stack([at_centres(c, k) / h for k, h in enumerate(problem.grid.spacing)])
        self._lengths, telling = z @ z.T / z.shape[1], _telling(slope, problem.omega)
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

        In the matrix ∇T is what it is at the solution, contrast times A⁻ᵀ∇D. Its inverse times the
        mean of the squared residuals is the covariance, as in any least squares.
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
        weights, residual = rows[-1], t - fit @ self._levels
        variance = (weights * residual) @ residual / (weights != 0).sum()
        return -inverse @ (LE.T @ (a[:q] - b[:q] @ fit)), inverse * (variance / fit[0])

    def precision(self, w: Tensor) -> float:
        """How far, in cells, noise moves the map: the root mean square over the object, at w (p,)."""
        problem, z, d = self.problem, self.problem.motion._extended, self.problem.grid.dim
        C, E = self(w)[1], problem.transform.lift(w, 1)
        C = C if E is None else E @ C @ E.T
        mass = problem.omega * (problem.reference.reshape(-1) - problem.beyond[1]).abs()
        order = [i for k in range(d) for i in (*range(k * d, k * d + d), d * d + k)]
        moments = torch.kron(torch.eye(d).to(z), (z * mass) @ z.T / mass.sum())
        squared = float((C[order][:, order] * moments).sum().abs())
        return math.sqrt(squared) / min(problem.grid.spacing) if math.isfinite(squared) else math.inf

    def length(self, w: Tensor, step: Tensor) -> float:
        """How far a step (p,) moves the points, in the root mean square."""
        E, d = self.problem.transform.lift(w, 1), self.problem.grid.dim
        move = step if E is None else E @ step
        move = torch.cat([move[: d * d].reshape(d, d), move[d * d :, None]], 1)
        return float(((move @ self._lengths) * move).sum().clamp(min=0).sqrt())


def settle(equations: Weighted, w: Tensor, iterations: int = 12, tolerance: float = 1e-3) -> Tensor:
    """The solution of the weighted equations near w, see the module.

    Args:
        equations: of a registration.
        w (p,): a start that is right to about a cell.
        iterations: at most; each costs one evaluation of the template without derivatives.
        tolerance (cells): of the last step's length, or of the next one's, to go by how the last two compare.

    Returns:
        w (p,); the start itself if the iteration does not converge.

    Example:
        >>> from regkit.data import hands_phantom
        >>> pair = hands_phantom(32)
        >>> problem = Registration(pair.template, pair.template, pair.grid)
        >>> w = settle(Weighted(problem), problem.transform.identity() + 0.01)
        >>> bool((w - problem.transform.identity()).abs().max() < 1e-3)
        True
    """
    start, last, tolerance = w, math.inf, tolerance * min(equations.problem.grid.spacing)
    for _ in range(iterations):
        step, _ = equations(w)
        length = equations.length(w, step)
        if not length < 2 * last:
            break
        w, next = w + step, length * min(length / last, 1)
        if min(length, next if last < math.inf else length) <= tolerance:
            return w
        last = length
    return start


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


def _telling(slope: Tensor, omega: Tensor) -> Tensor:
    """The numbers of the points whose gradients ∇Dᵢ (d, n) say something of the map.

    In the mean over the points gᵢ = ωᵢ ∇DᵢᵀG⁻¹∇Dᵢ with G = Σωᵢ∇Dᵢ∇Dᵢᵀ is d/n. Points of less than ε/n
    are left out. Along any direction v they all have, for (v·∇D)² ≤ vᵀGv ∇DᵀG⁻¹∇D, less than the share ε
    of vᵀGv, and so of what is known about a shift along v.
    """
    values, vectors = torch.linalg.eigh((slope * omega) @ slope.T)
    scaled = (vectors / values.clamp(min=1e-12 * values[-1]).sqrt()).T @ slope
    return (omega * scaled.square().sum(0) * len(omega) > _NEXT_TO_NOTHING).nonzero()[:, 0]
