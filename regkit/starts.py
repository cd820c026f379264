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
equations of least squares are weighted with a gradient that is smooth:

    Σ ωᵢ (∂yᵢ/∂w)ᵀ A⁻ᵀ mᵢ∇Rᵢ (T(yᵢ) − Rᵢ) = 0.

At the solution ∇R = ∇(T∘y) = Aᵀ∇T but for noise, and the reference's gradient is known on its grid
once and for all: an iteration needs T alone. Weights that are wrong by a little cost a little
precision, but bring no bias. In statistics this is the method of instrumental variables.

The factor m keeps out places where ∇R is mostly noise, which are many: the empty background is. The
noises of the two images have nothing to do with each other, so that the mean of ∇R·∇(T∘y) over some
cells around is the signal's alone, and that of |∇R|² contains noise: m is their ratio, between 0
and 1. By the same token the variance of the map is as V/S², with V = Σω|m∇R|² and S = Σωm∇R·∇(T∘y);
of a small and a larger θ the better one is taken. For ``NCC`` T(y) is fitted to R by a brightness
and a contrast.

Source:
    Baker & Matthews (2004), section 3.2, https://doi.org/10.1023/B:VISI.0000011205.11775.fd
"""

from __future__ import annotations

import math
from functools import cached_property

import torch
from torch import Tensor

from regkit._require import require
from regkit.distances import NCC, SSD
from regkit.outside import known, share
from regkit.registration import Objective, Registration
from regkit.spline import _POINTS_AT_ONCE, _derivatives, _neighbours, at_centres, evaluate
from regkit.transforms import Affine

THETAS = (0.1, 1.0)  # of the weights at the end: one of them is chosen


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
        self.z, self._s, self._omega = z, s - base, omega

    @cached_property
    def moments(self) -> Tensor:
        """The mean of (x − c, 1)(x − c, 1)ᵀ over the points, (d + 1, d + 1)."""
        return (self.z @ self.z.T / self.z.shape[1]).double()

    def lifted(self, w: Tensor, order: int) -> Tensor | None:
        """``Affine.lift`` of each w (k, p), one after the other."""
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
        a, q, h = self.lifted(w, 0), d * d + d, torch.tensor(grid.spacing, dtype=torch.float64)
        A, b = a[:, : d * d].reshape(k, d, d), a[:, d * d :] + self.transform._center(w)
        into = torch.cat([A, b[:, :, None]], 2) / h[:, None].to(w)
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

    The same as ``optimize.levenberg_marquardt``, but that a start is done when its step moves the
    points by less than the tolerance, in root mean square.

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
        if not len(going):
            break
        C = H[going].diagonal(dim1=1, dim2=2)
        C = damping[going, None] * C.clamp(min=1e-15 * C.amax(1, keepdim=True))
        step = torch.linalg.solve_ex(H[going] + torch.diag_embed(C), -g[going])[0]
        trial = w[going] + step
        new = together(trial)
        ratio = (J[going] - new[0]) / (0.5 * (step * (C * step - g[going])).sum(1))
        length, better = together.length(w[going], step), ratio > 0  # False for NaN
        won = going[better]
        w[won], J[won], g[won], H[won] = trial[better], *(part[better] for part in new)
        shorter = (1 - (2 * ratio - 1) ** 3).clamp(min=1 / 3)
        damping[going] *= torch.where(better, shorter, growth[going])
        growth[going] = torch.where(better, 2.0, 2 * growth[going])
        going = going[(length > tolerance) & (damping[going] < 1e9)]
    return w, J


def settle(
    problem: Registration,
    w: Tensor,
    theta: float | None = None,
    iterations: int = 12,
    tolerance: float = 1e-3,
) -> Tensor:
    """The solution of the weighted equations near w, see the module.

    Args:
        problem: a registration that ``fits``.
        w (p,): a start that is right to about a cell.
        theta: how much the weights are smoothed; None for the θ that promises the smallest error.
        iterations: at most; each but the first costs one evaluation of the template without derivatives.
        tolerance (cells): of the last step's length.

    Returns:
        w (p,); the start itself if the iteration does not converge.

    Example:
        >>> from regkit.data import hands_phantom
        >>> pair = hands_phantom(32)
        >>> problem = Registration(pair.template, pair.template, pair.grid)
        >>> w = settle(problem, problem.transform.identity() + 0.01)
        >>> bool((w - problem.transform.identity()).abs().max() < 1e-3)
        True
    """
    require(fits(problem), f"expected SSD or NCC, an affine map and no regulariser, got {problem!r}")
    transform: Affine = problem.transform
    d, motion, start, cell = problem.grid.dim, problem.motion, w, min(problem.grid.spacing)
    sharp, z = problem.bases[0].coefficients(0.0), problem.motion._extended
    q, c = (
        d * d + d,
        [problem.bases[1].coefficients(each) for each in (THETAS if theta is None else (theta,))],
    )
    slopes = [
        torch.stack([at_centres(each, k) / h for k, h in enumerate(problem.grid.spacing)]) for each in c
    ]
    # beside the gradient the smooth reference and 1: they weigh the equations of contrast and brightness
    beyond, base = _bases(problem)
    beside = torch.stack([at_centres(c[-1]) + (problem.beyond[1] - base), torch.ones_like(z[0])])
    lengths, last, moved, made = z @ z.T / z.shape[1], math.inf, 0.0, None
    for _ in range(iterations):
        if made is None or moved > 0.1 * cell >= last:  # the weights were made elsewhere, and now it is near
            made, t, weights = _equations(problem, sharp, w, slopes, beside)
            moved, last = 0.0, math.inf
        else:
            t = evaluate(sharp, problem.grids[1], motion(w), 0, beyond)
            weights = _weights(problem, w)
        rows, H, levels = made
        a, b = rows @ (weights * t), rows @ (weights * levels).T
        if isinstance(problem.distance, NCC):
            part = torch.linalg.solve(b[q:], torch.cat([a[q:, None], H[q:, :q]], 1))
            residual, M = a[:q] - b[:q] @ part[:, 0], H[:q, :q] - b[:q] @ part[:, 1:]
        else:
            residual, M = a[:q] - b[:q, 0], H[:q, :q]
        A, E = transform.split(w)[0], transform.lift(w, 1)
        turn = torch.linalg.inv(A).T.contiguous()
        L = torch.block_diag(torch.kron(turn, torch.eye(d).to(turn)), turn)  # from (∇R zᵀ, ∇R) to A⁻ᵀ of it
        E = torch.eye(q).to(L) if E is None else E
        step = -torch.linalg.solve_ex(E.T @ L @ M @ E, E.T @ L @ residual)[0]
        move = E @ step
        move = torch.cat([move[: d * d].reshape(d, d), move[d * d :, None]], 1)
        length = float(((move @ lengths) * move).sum().clamp(min=0).sqrt())
        if not length < 2 * last:
            break
        w, last, moved = w + step, length, moved + length
        if length <= tolerance * cell and moved <= 0.1 * cell:
            return w
    return start


def _equations(problem: Registration, sharp: Tensor, w: Tensor, slopes: list[Tensor], beside: Tensor):
    """What stays for some steps from w on, and T and the weights there.

    That is the rows with which residuals are multiplied, (d² + d + 2, n), their products with the
    derivatives of T(y) by (A, b), and the reference and 1, (2, n).
    """
    (beyond, base), z, order = _bases(problem), problem.motion._extended, _order(problem.grid.dim)
    s = problem.reference.reshape(-1) - base
    t, slope = evaluate(sharp, problem.grids[1], problem.motion(w), 1, beyond)
    weights, levels = _weights(problem, w), torch.stack([s, torch.ones_like(s)])
    fitted = isinstance(problem.distance, NCC)
    contrast = torch.linalg.solve((beside * weights) @ levels.T, beside @ (weights * t))[0] if fitted else 1.0
    pulled = (slope @ problem.transform.split(w)[0]).T / contrast  # ∇(T∘y), which is ∇R but for noise
    smooth = _instruments(problem, pulled, weights, slopes)
    rows = torch.cat([(smooth[:, None] * z).flatten(0, 1)[order], beside])
    columns = torch.cat([(slope.T[:, None] * z).flatten(0, 1)[order], levels])
    return (rows, (rows * weights) @ columns.T, levels), t, weights


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


def _weights(problem: Registration, w: Tensor) -> Tensor:
    """ω, times what overlaps, (n,)."""
    if problem.cover is None:
        return problem.omega
    return problem.omega * share(evaluate(problem.cover, problem.grids[1], problem.motion(w)))


def _instruments(problem: Registration, pulled: Tensor, weights: Tensor, slopes: list[Tensor]) -> Tensor:
    """The weights m∇R of the equations (d, n), for the θ with the smallest σ²V/S², see the module."""
    found = []
    for slope in slopes:
        both = torch.stack([weights * slope * pulled, weights * slope * slope]).sum(1)
        shared, all = (_local_mean(part.reshape(problem.grid.shape)) for part in both)
        smooth = (shared / torch.where(all > 0, all, 1)).clamp(0, 1).reshape(-1) * slope
        error = (weights * smooth * smooth).sum() / (weights * smooth * pulled).sum() ** 2
        found.append((float(error.nan_to_num(math.inf)), smooth))
    return min(found, key=lambda each: each[0])[1]


def _local_mean(image: Tensor, cells: int = 7) -> Tensor:
    """Means over cubes of so many cells a side, as far as they lie in the image."""
    for axis in range(image.ndim):
        lines = image.movedim(axis, -1)
        means = torch.nn.functional.avg_pool1d(
            lines.flatten(0, -2)[:, None] if image.ndim > 1 else lines[None, None],
            cells,
            1,
            cells // 2,
            False,
            False,
        )
        image = means.reshape(lines.shape).movedim(-1, axis)
    return image


def _order(d: int) -> list[int]:
    """Where the entries of (A | b), row by row, are in (A row by row, b)."""
    return [k * (d + 1) + j for k in range(d) for j in range(d)] + [k * (d + 1) + d for k in range(d)]
