"""Transformations y(x; w): where in the template does the point x of the reference look?

``w`` is one flat tensor (p,); x and y are lists of points (n, d) in the units of the grid. A
transformation is a small frozen object that says how to read w; it holds no parameters itself. At
fixed points it becomes a ``motions.Motion``, w ↦ y, which knows its derivatives.

A new transformation needs only ``parameters`` and y; the rest is by torch.func. One whose
derivatives are known returns its own ``Motion`` from ``on``, as ``Affine`` does. Those with many
parameters are in ``freeform`` and ``flows``.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from functools import reduce

import torch
from torch import Tensor

from regkit._require import floats, number, parameters, points_tensor, real_tensor, require
from regkit.grid import Grid
from regkit.motions import AffineMotion, Motion


@dataclass(frozen=True)
class Transform:
    """Any y(x; w) in ``dim`` dimensions: a subclass gives ``parameters`` and ``__call__(w, x)``.

    Args:
        dim: the number of dimensions d.

    Example:
        >>> class Wave(Transform):
        ...     parameters = 2
        ...     def __call__(self, w, x):
        ...         return x + w[0] * (w[1] * x.flip(1)).sin()
        >>> motion = Wave().on(Grid((6.0, 6.0), (3, 3)))
        >>> w = torch.tensor([0.5, 1.0], dtype=torch.float64)
        >>> motion(w).shape, motion.derivative(w)
        (torch.Size([9, 2]), Jacobian 18 × 2)
    """

    dim: int = 2

    @property
    def parameters(self) -> int:
        """Length p of w."""
        raise NotImplementedError("a transformation says how many parameters it has")

    def __call__(self, w: Tensor, x: Tensor) -> Tensor:
        """The moved points y(x; w).

        Args:
            w (p,): the parameters.
            x (n, d), in the unit of the grid: the points.

        Returns:
            y (n, d), in the same unit.
        """
        raise NotImplementedError("a transformation says where the points go")

    def on(
        self,
        x: Grid | Tensor,
        dtype: torch.dtype = torch.float64,
        device: torch.device | str | None = None,
    ) -> Motion:
        """This transformation at fixed points.

        Args:
            x: a grid, whose cell centres are meant, or points (n, d).
            dtype, device: of the cell centres of a grid.
        """
        if isinstance(x, Grid):
            x = x.points(dtype, device).T.contiguous().T  # each coordinate in one piece: faster
        return Motion(self, points_tensor(x, self.dim))

    def jacobian(self, w: Tensor, x: Tensor) -> Tensor:
        """∂y/∂w in full, (n, d, p), for w (p,) and x (n, d)."""
        return self.on(x).jacobian(w)

    def coarser(self) -> Transform:
        """The transformation for images of half as many cells a side; here the same one.

        One with more parameters on larger images returns a smaller one of its kind.
        """
        return self

    def refine(self, w: Tensor) -> Tensor:
        """The parameters w of ``coarser()`` as parameters of this one; here they are the same."""
        return w


def _checked_center(center: tuple[float, ...] | None, dim: int) -> tuple[float, ...] | None:
    if center is None:
        return None
    given = tuple(center)
    require(len(given) == dim, f"expected a centre in {dim} dimensions, got {given}")
    return tuple(number(c, f"a centre of {dim} finite numbers", got=given) for c in given)


def _tensor_of(center: tuple[float, ...] | None, dim: int, like: Tensor) -> Tensor:
    return torch.tensor(center or [0.0] * dim, dtype=like.dtype, device=like.device)


@dataclass(frozen=True)
class Affine(Transform):
    """y = A (x − c) + c + b with w = (A row by row, b), p = d² + d.

    With the centre c in the middle of the image, turning and stretching no longer move it, and the
    Hessian is far better conditioned.

    Args:
        dim: the number of dimensions d, 1 to 3.
        center (d numbers, in the unit of the grid): c; None means 0, so y = A x + b.

    Raises:
        ValueError: for a wrong number of dimensions, parameters or coordinates, and from
            ``inverse`` for a singular A.

    Example:
        >>> w = torch.tensor([0.0, -1.0, 1.0, 0.0, 5.0, 0.0])  # a quarter turn, then 5 to the right
        >>> Affine()(w, torch.tensor([[1.0, 0.0]]))
        tensor([[5., 1.]])
        >>> Affine(center=(1.0, 0.0))(w, torch.tensor([[1.0, 0.0]]))
        tensor([[6., 0.]])
    """

    center: tuple[float, ...] | None = None

    def __post_init__(self):
        known = isinstance(self.dim, int) and self.dim in (1, 2, 3)
        require(known, f"expected dimension 1, 2 or 3, got {self.dim}")
        object.__setattr__(self, "center", _checked_center(self.center, self.dim))

    # How w describes the map: Translation and Rigid replace these three.

    @property
    def parameters(self) -> int:
        """Length p of w."""
        return self.dim**2 + self.dim

    def lift(self, w: Tensor, order: int = 0) -> Tensor | None:
        """How A and b depend on w.

        Args:
            w (p,): the parameters.
            order: of the derivative, 0, 1 or 2.

        Returns:
            a(w) = (A row by row, b), (d² + d,), or ∂a/∂w, (d² + d, p), or ∂²a/∂w², (d² + d, p, p). None
            stands for the unit matrix (order 1) or for zero (order 2).
        """
        return w if order == 0 else None

    def lower(self, A: Tensor, b: Tensor) -> Tensor:
        """The w (p,) with lift(w) = (A, b); a ValueError where there is none."""
        return torch.cat([A.reshape(-1), b])

    # What follows is common to all of them.

    def _center(self, like: Tensor) -> Tensor:
        return _tensor_of(self.center, self.dim, like)

    def split(self, w: Tensor) -> tuple[Tensor, Tensor]:
        """A (d, d) and b (d,)."""
        A, b = self.lift(parameters(w, self.parameters)).split([self.dim**2, self.dim])
        return A.reshape(self.dim, self.dim), b

    def __call__(self, w: Tensor, x: Tensor) -> Tensor:
        """y(x; w), (n, d), for w (p,) and x (n, d)."""
        x = super().on(x).points
        return AffineMotion(self, x)(
            parameters(w, self.parameters, x)
        )  # used once: nothing is made to be kept

    def on(
        self, x: Grid | Tensor, dtype: torch.dtype = torch.float64, device: torch.device | str | None = None
    ) -> AffineMotion:
        """As ``Transform.on``."""
        motion = AffineMotion(self, super().on(x, dtype, device).points)
        _ = motion.z, motion._extended, motion._order  # here, not inside a derivative that they would outlive
        return motion

    def identity(
        self, dtype: torch.dtype = torch.float64, device: torch.device | str | None = None
    ) -> Tensor:
        """The w (p,) with y(x; w) = x."""
        unit = torch.eye(self.dim, dtype=dtype, device=device)
        return self.lower(unit, torch.zeros_like(unit[0]))

    def matrix(self, w: Tensor) -> tuple[Tensor, Tensor]:
        """A (d, d) and b₀ (d,) with y = A x + b₀, whatever the centre."""
        A, b = self.split(w)
        c = self._center(b)
        return A, b + c - A @ c

    def from_matrix(self, A: Tensor, b: Tensor) -> Tensor:
        """The w (p,) of the map y = A x + b, whatever the centre: the inverse of ``matrix``."""
        d, b = self.dim, floats(b, "b")
        A = real_tensor(A, "A", b)
        shapes = tuple(A.shape), tuple(b.shape)
        require(shapes == ((d, d), (d,)), f"expected A and b of shapes {(d, d)} and {(d,)}, got {shapes}")
        c = self._center(b)
        return self.lower(A, b + A @ c - c)

    def inverse(self, w: Tensor) -> Tensor:
        """The w′ (p,) with y(y(x; w); w′) = x; a ValueError for a singular A."""
        A, b = self.matrix(w)
        inverse, info = torch.linalg.inv_ex(A)
        require(info == 0, lambda: f"expected an invertible matrix A, got {A.tolist()}")
        return self.from_matrix(inverse, -inverse @ b)

    def compose(self, w1: Tensor, w2: Tensor) -> Tensor:
        """The w (p,) of x ↦ y(y(x; w2); w1): first w2, then w1."""
        (A1, b1), (A2, b2) = self.matrix(w1), self.matrix(w2)
        return self.from_matrix(A1 @ A2, A1 @ b2 + b1)


@dataclass(frozen=True)
class Translation(Affine):
    """y = x + b with w = b, p = d.

    Example:
        >>> Translation(1)(torch.tensor([2.0]), torch.tensor([[1.0], [5.0]]))
        tensor([[3.],
                [7.]])
    """

    @property
    def parameters(self) -> int:
        """Length p of w."""
        return self.dim

    def lift(self, w: Tensor, order: int = 0) -> Tensor | None:
        """As ``Affine.lift``."""
        unit = torch.eye(self.dim, dtype=w.dtype, device=w.device)
        if order == 0:
            return torch.cat([unit.reshape(-1), w])
        return torch.cat([unit.new_zeros(self.dim**2, self.dim), unit]) if order == 1 else None

    def lower(self, A: Tensor, b: Tensor) -> Tensor:
        """b; a ValueError unless A is the unit matrix."""
        distance = (A - torch.eye(self.dim, dtype=A.dtype, device=A.device)).abs().max()
        require(distance < 1e-6, lambda: f"expected the unit matrix for a translation, got {A.tolist()}")
        return b


@dataclass(frozen=True)
class Rigid(Affine):
    """y = R (x − c) + c + b with a rotation R: lengths are kept.

    In the plane w = (angle, b), p = 3; R turns counter-clockwise. In space w = (α, β, γ, b), p = 6;
    R = R_z(γ) R_y(β) R_x(α). At β = ±90° two angles turn about one axis (gimbal lock), and the
    Hessian is singular. Angles are in radians.

    A turn in one plane is G(φ) = I + sin φ K + (1 − cos φ) K², where K turns by 90° in that plane:
    easy to differentiate.

    Args:
        dim: the number of dimensions d, 2 or 3.
        center (d numbers, in the unit of the grid): c; None means 0.

    Raises:
        ValueError: as ``Affine``.

    Example:
        >>> w = torch.tensor([torch.pi / 2, 0.0, 0.0])
        >>> Rigid(center=(1.0, 1.0))(w, torch.tensor([[2.0, 1.0]]))
        tensor([[1., 2.]])
    """

    def __post_init__(self):
        require(self.dim in (2, 3), f"expected dimension 2 or 3 for a rigid map, got {self.dim}")
        super().__post_init__()

    @property
    def turns(self) -> int:
        """Number of angles: 1 in the plane, 3 in space."""
        return self.dim * (self.dim - 1) // 2

    @property
    def parameters(self) -> int:
        """Length p of w."""
        return self.turns + self.dim

    def _rotation(self, w: Tensor, orders: list[int]) -> Tensor:
        """R (d, d), with its k-th factor differentiated orders[k] ≤ 2 times."""
        unit, factors = torch.eye(self.dim, dtype=w.dtype, device=w.device), []
        planes = [(0, 1)] if self.dim == 2 else [(1, 2), (2, 0), (0, 1)]  # about x, y, z
        for (i, j), angle, order in zip(planes, w, orders, strict=False):
            K = torch.outer(unit[j], unit[i]) - torch.outer(unit[i], unit[j])
            s, c = angle.sin(), angle.cos()
            factors.append([unit + s * K + (1 - c) * K @ K, c * K + s * K @ K, c * K @ K - s * K][order])
        return reduce(lambda R, G: G @ R, factors)

    def lift(self, w: Tensor, order: int = 0) -> Tensor | None:
        """As ``Affine.lift``."""
        turns, d = self.turns, self.dim
        if order == 0:
            return torch.cat([self._rotation(w, [0] * turns).reshape(-1), w[turns:]])
        lifted = w.new_zeros(d * d + d, *[self.parameters] * order)
        for which in itertools.product(range(turns), repeat=order):
            orders = [which.count(k) for k in range(turns)]
            lifted[(slice(d * d), *which)] = self._rotation(w, orders).reshape(-1)
        if order == 1:
            lifted[d * d :, turns:] = torch.eye(d, dtype=w.dtype, device=w.device)
        return lifted

    def lower(self, A: Tensor, b: Tensor) -> Tensor:
        """The angles of A, and b; a ValueError unless A is a rotation."""
        defect = (A.T @ A - torch.eye(self.dim, dtype=A.dtype, device=A.device)).abs().max()
        require(
            (defect < 1e-6) & (torch.linalg.det(A) > 0),
            lambda: f"expected a rotation matrix, got {A.tolist()}",
        )
        angles = [torch.atan2(A[1, 0], A[0, 0])]
        if self.dim == 3:
            angles = [torch.atan2(A[2, 1], A[2, 2]), torch.asin((-A[2, 0]).clamp(-1, 1)), *angles]
        return torch.cat([torch.stack(angles), b])
