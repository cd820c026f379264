"""Images as twice continuously differentiable functions: cubic B-splines with a smoothing parameter θ.

The image T on m cells becomes T(x) = Σⱼ cⱼ b(u − j) with u = x/h − ½, where b is the cubic B-spline

    b(ξ) = (2 − |ξ|)³ for 1 ≤ |ξ| ≤ 2,    b(ξ) = 3|ξ|³ − 6ξ² + 4 for |ξ| ≤ 1,    0 elsewhere.

Coefficients outside the grid are zero, so T falls to zero, smoothly, over two cells beyond the
outermost centres. The coefficients of one axis balance fidelity against roughness: they minimise
‖Bc − T‖² + θ cᵀMc, that is

    (BᵀB + θM) c = BᵀT,    B = tridiag(1, 4, 1),    cᵀMc = ∫ |T″(u)|² du.

In more dimensions the same is done along one axis after the other.

Source:
    Modersitzki, FAIR (2009), sections 3.4-3.6, https://doi.org/10.1137/1.9780898718843
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property, lru_cache
from operator import add
from typing import Literal, overload

import numpy as np
import scipy.linalg
import torch

from regkit import _taps
from regkit._require import constant, floats, image_tensor, points_tensor, positive, require, scale, whole
from regkit.grid import Grid

# Cells of an axis up to which its eigenproblem is solved, once, at a cost that grows with their cube.
_MODES = 512


def smoothing_modes(cells: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """The eigenproblem M v = μ BᵀB v of one axis, with VᵀBᵀBV = I. It makes every θ a diagonal scaling:

        (BᵀB + θM)⁻¹Bᵀ = V diag(1/(1 + θμ)) VᵀBᵀ.

    Args:
        cells: the number m of cells along the axis.

    Returns:
        μ (m,) ascending, V (m, m) and VᵀBᵀ (m, m), float64.

    Raises:
        ValueError: for anything but a number of cells.

    Example:
        >>> mu, V, VtBt = smoothing_modes(28)
        >>> tuple(mu.shape), tuple(V.shape), tuple(VtBt.shape)
        ((28,), (28, 28), (28, 28))
    """
    return tuple(map(torch.from_numpy, _modes_of(whole(cells, "a number of cells, 1, 2, …"))))


@lru_cache(maxsize=32)
def _modes_of(cells: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """``smoothing_modes``, kept as arrays: a tensor that is made inside torch.func must not outlive it."""
    line = np.zeros(max(cells, 4))
    line[:4] = 96.0, -54.0, 0.0, 6.0
    roughness = scipy.linalg.toeplitz(line[:cells])
    line[:4] = 4.0, 1.0, 0.0, 0.0
    basis = scipy.linalg.toeplitz(line[:cells])
    mu, modes = scipy.linalg.eigh(roughness, basis.T @ basis)
    return mu, modes, modes.T @ basis.T


@lru_cache(maxsize=32)
def _sines(cells: int) -> tuple[np.ndarray, ...]:
    """B and M of one axis in the sines √(2/(m+1)) sin(jkπ/(m+1)): β (m,), λ (m,), U (m, 4), C (4, 4)."""
    angles = np.arange(1, cells + 1) * math.pi / (cells + 1)
    ends = np.array([1, 2, cells - 1, cells])
    U = math.sqrt(2 / (cells + 1)) * np.sin(np.outer(angles, ends))
    C = np.kron(np.eye(2), [[0.0, 6.0], [6.0, 0.0]])
    # 96 − 108 cos ω + 12 cos 3ω, written so that nothing cancels for small ω
    roughness = 192 * np.sin(angles / 2) ** 4 * (2 + np.cos(angles))
    return 4 + 2 * np.cos(angles), roughness, U, C


def _in_sines(image: torch.Tensor) -> torch.Tensor:
    """The last axis in the sines of ``_sines``, or back: the odd continuation, by Fourier's transform."""
    cells, zero = image.shape[-1], torch.zeros_like(image[..., :1])
    wave = torch.cat([zero, image, zero, -image.flip(-1)], dim=-1)
    return -torch.fft.rfft(wave).imag[..., 1 : cells + 1] / math.sqrt(2 * (cells + 1))


def _solved(image: torch.Tensor, theta: float | torch.Tensor, axis: int) -> torch.Tensor:
    """(BᵀB + θM)⁻¹Bᵀ along an axis of any length m, in O(m log m).

    B is diagonal in sines. So is M but for two entries in each corner, M = diag λ + U C Uᵀ with
    four columns, and with D = diag(β² + θλ) the inverse of the sum is (Woodbury)

        D⁻¹ − θ D⁻¹U (I + θ C UᵀD⁻¹U)⁻¹ C UᵀD⁻¹.
    """
    beta, roughness, U, C = (torch.from_numpy(part).to(image) for part in _sines(image.shape[axis]))
    gain = 1 / (beta**2 + theta * roughness)
    x, DU = gain * beta * _in_sines(image.movedim(axis, -1)), gain[:, None] * U
    inner = torch.eye(4).to(image) + theta * C @ (U.T @ DU)
    x = x - theta * (x @ U) @ C @ torch.linalg.inv(inner).T @ DU.T
    return _in_sines(x).movedim(-1, axis)


def _along(matrix: torch.Tensor, image: torch.Tensor, axis: int) -> torch.Tensor:
    """``matrix`` applied to every line of ``image`` that runs along ``axis``."""
    if axis == image.ndim - 1:
        return image @ matrix.T  # in the order of memory
    return torch.tensordot(matrix, image, dims=([1], [axis])).movedim(0, axis)


@dataclass(frozen=True, eq=False, repr=False)
class SmoothingBasis:
    """An image, prepared once: then its coefficients for any θ ≥ 0 are cheap.

    Each further θ costs one small matrix product an axis, or two Fourier transforms if the axis has
    more than 512 cells. Everything is differentiable by torch.func in the image and in θ; dtype and
    device are those of the image.

    Args:
        image (m₁, …, m_d): grey values in any unit, floating-point; d is 1, 2 or 3.
        factors (d numbers): what θ is multiplied by along each axis; None for 1. An image whose
            cells are h wide is blurred as far as one with cells of width h′ by the factor (h′/h)⁴.
        outside (in the unit of the image): how the image goes on beyond its box. The coefficients
            are those of image − outside, and ``evaluate(…, outside=…)`` adds it again.

    Raises:
        ValueError: for an integer image, NaN or infinity, or a wrong number of dimensions
            or factors.

    Example:
        >>> spike = torch.zeros(9, dtype=torch.float64)
        >>> spike[4] = 1.0
        >>> basis = SmoothingBasis(spike)
        >>> [round(float(basis.coefficients(theta).max()), 3) for theta in (0.0, 0.1, 1.0)]
        [0.289, 0.141, 0.068]
    """

    image: torch.Tensor
    factors: tuple[float, ...] | None = None
    outside: float | torch.Tensor = 0.0

    def __post_init__(self):
        object.__setattr__(self, "image", image_tensor(self.image))
        if self.factors is not None:
            object.__setattr__(self, "factors", positive(self.factors, self.image.ndim, "factors"))
        constant(self.outside)
        _ = self.amplitudes  # here: made inside a derivative they could not be kept

    def __repr__(self) -> str:
        return f"SmoothingBasis of {' × '.join(map(str, self.image.shape))} cells"

    @cached_property
    def amplitudes(self) -> torch.Tensor:
        """⊗VᵀBᵀ · (T − outside), of the shape of the image: its components in the modes of short axes."""
        amplitudes = self.image - self.outside
        for axis, (_, _, analysis) in self._modes.items():
            amplitudes = _along(analysis, amplitudes, axis)
        return amplitudes

    @cached_property
    def _modes(self) -> dict[int, tuple[torch.Tensor, ...]]:
        """``smoothing_modes`` of the axes that are short enough."""
        sides = {axis: cells for axis, cells in enumerate(self.image.shape) if cells <= _MODES}
        return {axis: tuple(part.to(self.image) for part in smoothing_modes(m)) for axis, m in sides.items()}

    def _gains(self, theta: float | torch.Tensor) -> list[tuple[torch.Tensor, torch.Tensor]]:
        """Per axis μ and the gain 1/(1 + θμ), shaped to multiply the amplitudes along that axis."""
        scale(theta)
        gains = []
        for axis, (mu, _, _) in self._modes.items():
            mu = mu.reshape([-1 if k == axis else 1 for k in range(self.image.ndim)])
            mu = mu if self.factors is None else self.factors[axis] * mu
            gains.append((mu, 1 / (1 + theta * mu)))
        return gains

    def _synthesis(self, amplitudes: torch.Tensor, theta: float | torch.Tensor) -> torch.Tensor:
        for axis in range(self.image.ndim):
            if axis in self._modes:
                amplitudes = _along(self._modes[axis][1], amplitudes, axis)
            else:
                factor = 1.0 if self.factors is None else self.factors[axis]
                amplitudes = _solved(amplitudes, factor * theta, axis)
        return amplitudes

    def coefficients(self, theta: float | torch.Tensor) -> torch.Tensor:
        """The spline's coefficients c(θ) = ⊗V · Π 1/(1 + θμ) · ⊗VᵀBᵀ · T.

        Args:
            theta (a number ≥ 0): how much to smooth; it has no unit, since lengths count in cells.
                With 0 the spline interpolates the image.

        Returns:
            c, of the shape of the image, in the unit of its grey values.

        Raises:
            ValueError: for a negative θ.
        """
        damping = math.prod(gain for _, gain in self._gains(theta))
        return self._synthesis(damping * self.amplitudes, theta)

    def theta_derivative(self, theta: float | torch.Tensor) -> torch.Tensor:
        """The derivative ∂c/∂θ, in closed form or, if an axis has more than 512 cells, in forward mode.

        ∂/∂θ of the product of the gains 1/(1 + θμ) is −(Σ μ/(1 + θμ)) times that product.

        Args:
            theta (a number ≥ 0): where the derivative is taken.

        Returns:
            ∂c/∂θ, of the shape of the image.
        """
        if len(self._modes) < self.image.ndim:
            theta = torch.as_tensor(theta, dtype=self.image.dtype, device=self.image.device)
            return torch.func.jvp(self.coefficients, (theta,), (torch.ones_like(theta),))[1]
        gains = self._gains(theta)
        damping = math.prod(gain for _, gain in gains)
        return self._synthesis(-sum(mu * gain for mu, gain in gains) * damping * self.amplitudes, theta)


def coefficients(
    image: torch.Tensor, theta: float | torch.Tensor, outside: float | torch.Tensor = 0.0
) -> torch.Tensor:
    """Spline coefficients of an image for one θ; use ``SmoothingBasis`` where many θ follow.

    Args:
        image (m₁, …, m_d): grey values in any unit, floating-point; d is 1, 2 or 3.
        theta (a number ≥ 0): how much to smooth; with 0 the spline interpolates the image.
        outside (in the unit of the image): how it goes on beyond its box, the same as for ``evaluate``.

    Returns:
        c, of the shape of the image, for ``evaluate``.

    Raises:
        ValueError: as ``SmoothingBasis``, and for a negative θ.

    Example:
        >>> image = torch.tensor([[1.0, 2.0], [3.0, 4.0]], dtype=torch.float64)
        >>> grid = Grid((2.0, 2.0), (2, 2))
        >>> evaluate(coefficients(image, theta=0.0), grid, grid.points()).tolist()
        [1.0, 2.0, 3.0, 4.0]
    """
    return SmoothingBasis(image, outside=outside).coefficients(theta)


@overload
def evaluate(
    c: torch.Tensor,
    grid: Grid,
    x: torch.Tensor,
    order: Literal[0] = 0,
    outside: float | torch.Tensor = 0.0,
) -> torch.Tensor: ...
@overload
def evaluate(
    c: torch.Tensor, grid: Grid, x: torch.Tensor, order: int, outside: float | torch.Tensor = 0.0
) -> tuple[torch.Tensor, ...]: ...
def evaluate(
    c: torch.Tensor, grid: Grid, x: torch.Tensor, order: int = 0, outside: float | torch.Tensor = 0.0
) -> torch.Tensor | tuple[torch.Tensor, ...]:
    """The spline T(x) = v + Σⱼ cⱼ b(x/h − ½ − j) and its derivatives at points anywhere in space.

    From two cells beyond the outermost centres on it is v = ``outside``. All derivatives up to the
    second are continuous everywhere. A NaN point gives NaN. Differentiable by torch.func in c and
    x, up to the spline's own smoothness.

    Args:
        c (m₁, …, m_d): the coefficients, in the unit of the grey values.
        grid: the box and its cells, of the shape of ``c``.
        x (n, d, in the unit of ``grid.extent``): the points, a tensor, an array or a list.
        order: how many derivatives are wanted, 0, 1 or 2.
        outside (in the unit of the grey values): v, the value of which c are the deviations.

    Returns:
        The value (n,) for order 0; (value, gradient (n, d)) for order 1; for order 2 these two and
        the Hessian (n, d, d).

    Raises:
        ValueError: where shapes do not fit, or for another ``order``.

    Example:
        >>> grid = Grid((4.0,), (4,))
        >>> c = coefficients(torch.tensor([0.0, 1.0, 4.0, 9.0], dtype=torch.float64), theta=0.0)
        >>> x = torch.tensor([[1.5], [2.0], [99.0]], dtype=torch.float64)
        >>> value, gradient, hessian = evaluate(c, grid, x, order=2)
        >>> value.tolist(), tuple(gradient.shape), tuple(hessian.shape)
        ([1.000, 1.928, 0.000], (3, 1), (3, 1, 1))
    """
    c = floats(c, "coefficients")
    require(isinstance(grid, Grid), f"expected a Grid, got {grid!r}")
    fits = tuple(c.shape) == grid.shape
    require(fits, f"expected coefficients of shape {grid.shape}, got {tuple(c.shape)}")
    require(isinstance(order, int) and 0 <= order <= 2, f"expected order 0, 1 or 2, got {order}")
    constant(outside)
    x = points_tensor(x, grid.dim, c)
    require(x.device == c.device, f"expected points on {c.device}, as the coefficients, got {x.device}")
    padded = torch.nn.functional.pad(c, (4, 4) * grid.dim)
    h = torch.tensor(grid.spacing, dtype=x.dtype, device=x.device)[:, None]
    around = _taps.neighbours(padded, grid.shape)
    # From here on axis by axis, (d, n): long rows without gaps are what torch and the processor like best.
    pieces = (piece.contiguous() / h - 0.5 for piece in x.T.split(_taps.POINTS_AT_ONCE >> grid.dim, dim=1))
    parts = [_taps.derivatives(padded, around, u, order) for u in pieces]
    partial = {q: torch.cat([part[q] for part in parts]) if len(parts) > 1 else parts[0][q] for q in parts[0]}
    unit = [tuple(int(k == axis) for k in range(grid.dim)) for axis in range(grid.dim)]
    value = partial[(0,) * grid.dim] + outside
    if order == 0:
        return value
    gradient = torch.stack([partial[e] for e in unit]) / h
    if order == 1:
        return value, gradient.T
    hessian = torch.stack([partial[tuple(map(add, e, f))] for e in unit for f in unit])
    return value, gradient.T, (hessian.reshape(grid.dim, grid.dim, -1) / (h[:, None] * h)).movedim(-1, 0)


def at_centres(c: torch.Tensor, along: int | None = None) -> torch.Tensor:
    """A spline at all cell centres, where b is 1, 4, 1; or its slope along an axis.

    Args:
        c (n₁, …, n_d): its coefficients.
        along: the axis of the slope, or None for values.

    Returns:
        (n,)
    """
    c = floats(c, "coefficients")
    fits = c.numel() > 0 and along in (None, *range(c.ndim))
    require(fits, f"expected an axis of an image, got {along!r} of shape {tuple(c.shape)}")
    for axis, cells in enumerate(c.shape):
        value, left, right = (0 * c, -3, 3) if axis == along else (4 * c, 1, 1)
        value.narrow(axis, 1, cells - 1).add_(c.narrow(axis, 0, cells - 1), alpha=left)
        value.narrow(axis, 0, cells - 1).add_(c.narrow(axis, 1, cells - 1), alpha=right)
        c = value
    return c.reshape(-1)
