"""Images as twice continuously differentiable functions: cubic B-splines with a smoothing parameter θ.

The image T on m cells becomes the function  T(x) = Σⱼ cⱼ b(u − j),  u = x/h − ½,  where b is the cubic B-spline

    b(ξ) = (2 − |ξ|)³ for 1 ≤ |ξ| ≤ 2,    b(ξ) = 3|ξ|³ − 6ξ² + 4 for |ξ| ≤ 1,    0 elsewhere.

Coefficients outside the grid are zero, so T falls to zero, smoothly, over two cells beyond the outermost centres.
The coefficients of one axis balance fidelity against roughness: they minimise ‖Bc − T‖² + θ cᵀMc, that is

    (BᵀB + θM) c = BᵀT,    B = tridiag(1, 4, 1),    cᵀMc = ∫ |T″(u)|² du.

In more dimensions the same is done along one axis after the other.
Source: Modersitzki, FAIR (2009), sections 3.4-3.6, https://doi.org/10.1137/1.9780898718843.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import scipy.linalg
import torch

from regkit._require import image_tensor, points_tensor, require
from regkit.grid import Grid

_POINTS_AT_ONCE = 32768  # what one pass handles: its (4^d, n) table of neighbours stays in the processor's cache


@lru_cache(maxsize=32)
def smoothing_modes(cells: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """The eigenproblem  M v = μ BᵀB v  of one axis, with VᵀBᵀBV = I.

    Returns μ (m,) ascending, V (m, m) and VᵀBᵀ (m, m), float64. It makes every θ a diagonal scaling:
    (BᵀB + θM)⁻¹Bᵀ = V diag(1/(1 + θμ)) VᵀBᵀ.
    """
    line = torch.zeros(max(cells, 4), dtype=torch.float64)
    line[:4] = torch.tensor([96.0, -54.0, 0.0, 6.0])
    roughness = scipy.linalg.toeplitz(line[:cells])
    line[:4] = torch.tensor([4.0, 1.0, 0.0, 0.0])
    basis = scipy.linalg.toeplitz(line[:cells])
    mu, modes = (torch.from_numpy(part) for part in scipy.linalg.eigh(roughness, basis.T @ basis))
    return mu, modes, modes.T @ torch.from_numpy(basis.T.copy())


def _along(matrix: torch.Tensor, image: torch.Tensor, axis: int) -> torch.Tensor:
    """``matrix`` applied to every line of ``image`` that runs along ``axis``."""
    return torch.tensordot(matrix, image, dims=([1], [axis])).movedim(0, axis)


@dataclass(frozen=True)
class SmoothingBasis:
    """An image, prepared once, so that its coefficients for any θ ≥ 0 cost two small matrix products an axis.

    ``SmoothingBasis(image)`` takes an image of shape (m₁, …, m_d), d = 1, 2 or 3, of floating-point numbers; dtype and
    device are kept. Everything is differentiable by torch.func in the image and in θ.

    Errors: ValueError for an integer image, NaN or infinity, or a wrong number of dimensions.
    """

    image: torch.Tensor

    def __post_init__(self):
        image = image_tensor(self.image)
        amplitudes = image
        for axis in range(image.ndim):
            amplitudes = _along(self._modes(image, axis)[2], amplitudes, axis)
        object.__setattr__(self, "image", image)
        object.__setattr__(self, "amplitudes", amplitudes)

    @staticmethod
    def _modes(image: torch.Tensor, axis: int) -> tuple[torch.Tensor, ...]:
        return tuple(part.to(image) for part in smoothing_modes(image.shape[axis]))

    def _gains(self, theta) -> list[tuple[torch.Tensor, torch.Tensor]]:
        """Per axis μ and the gain 1/(1 + θμ), shaped to multiply the amplitudes along that axis."""
        require(torch.as_tensor(theta >= 0).all(), f"expected a smoothing parameter θ ≥ 0, got {theta}")
        gains = []
        for axis in range(self.image.ndim):
            mu = self._modes(self.image, axis)[0].reshape([-1 if k == axis else 1 for k in range(self.image.ndim)])
            gains.append((mu, 1 / (1 + theta * mu)))
        return gains

    def _synthesis(self, amplitudes: torch.Tensor) -> torch.Tensor:
        for axis in range(self.image.ndim):
            amplitudes = _along(self._modes(self.image, axis)[1], amplitudes, axis)
        return amplitudes

    def coefficients(self, theta) -> torch.Tensor:
        """c(θ) = ⊗V · Π 1/(1 + θμ) · ⊗VᵀBᵀ · T, of the shape of the image. θ = 0 interpolates."""
        damping = math.prod(gain for _, gain in self._gains(theta))
        return self._synthesis(damping * self.amplitudes)

    def theta_derivative(self, theta) -> torch.Tensor:
        """∂c/∂θ in closed form: ∂/∂θ of the product of gains is −(Σ μ gain) times that product."""
        gains = self._gains(theta)
        damping = math.prod(gain for _, gain in gains)
        return self._synthesis(-sum(mu * gain for mu, gain in gains) * damping * self.amplitudes)


def coefficients(image: torch.Tensor, theta) -> torch.Tensor:
    """Spline coefficients of ``image`` for one θ ≥ 0; use ``SmoothingBasis`` where many θ follow."""
    return SmoothingBasis(image).coefficients(theta)


def _weights(t: torch.Tensor, order: int) -> torch.Tensor:
    """dᵒʳᵈᵉʳ/dtᵒʳᵈᵉʳ of b(t + 1), b(t), b(t − 1), b(t − 2) for t in [0, 1): shape (4, *t.shape)."""
    s = 1 - t
    if order == 0:
        return torch.stack([s**3, (3 * t - 6) * t**2 + 4, (3 * s - 6) * s**2 + 4, t**3])
    if order == 1:
        return torch.stack([-3 * s**2, (9 * t - 12) * t, -(9 * s - 12) * s, 3 * t**2])
    return torch.stack([6 * s, 18 * t - 12, 18 * s - 12, 6 * t])


def _derivatives(padded: torch.Tensor, cells: tuple[int, ...], u: torch.Tensor, order: int) -> dict:
    """All partial derivatives ∂ᵠT of total order ≤ ``order`` at u (d, n), keyed by the multi-index q.

    One gather fetches the 4^d coefficients around every point; each axis then contracts four of them with its weights.
    Points outside are sent to cells whose neighbours are all zero, so no branch is needed (good for vmap).
    """
    dim, (*_, n) = len(cells), u.shape
    cell = u.floor()
    weights = [_weights(u - cell, q) for q in range(order + 1)]
    last = torch.tensor(cells, dtype=u.dtype, device=u.device)[:, None] + 1
    first_tap = (cell.nan_to_num(0.0).clamp(min=-3.0).minimum(last) + 3).long()
    stride = torch.tensor(padded.stride(), device=u.device)
    corner = (stride[:, None] * first_tap).sum(0)
    steps = torch.cartesian_prod(*[torch.arange(4, device=u.device)] * dim).reshape(-1, dim) @ stride
    taps = padded.reshape(-1).index_select(0, (steps[:, None] + corner).reshape(-1)).reshape(*[4] * dim, n)
    partial = {(): taps}
    for axis in reversed(range(dim)):
        partial = {
            (q, *rest): (values * weights[q][:, axis]).sum(-2)
            for rest, values in partial.items()
            for q in range(order + 1 - sum(rest))
        }
    return partial


def evaluate(c: torch.Tensor, grid: Grid, x: torch.Tensor, order: int = 0):
    """The spline with coefficients ``c`` and its derivatives at the points ``x``.

    c: (m₁, …, m_d), the shape of ``grid``; x: (n, d) in the units of ``grid.extent``, anywhere in space.

    Returns value (n,) for ``order=0``; (value, gradient (n, d)) for 1; (value, gradient, Hessian (n, d, d)) for 2.
    Value, gradient and Hessian are continuous everywhere and zero from two cells beyond the outermost centres on.
    A NaN point gives NaN. Differentiable by torch.func in c and x (up to the spline's own smoothness).

    Errors: ValueError where shapes do not fit or ``order`` is not 0, 1 or 2.
    """
    require(tuple(c.shape) == grid.shape, f"expected coefficients of shape {grid.shape}, got {tuple(c.shape)}")
    require(order in (0, 1, 2), f"expected order 0, 1 or 2, got {order}")
    points_tensor(x, grid.dim)
    padded = torch.nn.functional.pad(c, (4, 4) * grid.dim)
    h = torch.tensor(grid.spacing, dtype=x.dtype, device=x.device)
    parts = [
        _derivatives(padded, grid.shape, (part / h - 0.5).T, order) for part in x.split(_POINTS_AT_ONCE)
    ]
    partial = {q: torch.cat([part[q] for part in parts]) for q in parts[0]}

    unit = torch.eye(grid.dim, dtype=torch.int64)
    value = partial[(0,) * grid.dim]
    if order == 0:
        return value
    gradient = torch.stack([partial[tuple(e.tolist())] for e in unit], dim=-1) / h
    if order == 1:
        return value, gradient
    hessian = torch.stack([partial[tuple((e + f).tolist())] for e in unit for f in unit], dim=-1)
    return value, gradient, hessian.reshape(-1, grid.dim, grid.dim) / (h[:, None] * h)
