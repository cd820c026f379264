"""Transformations y(x; w): where in the template does the point x of the reference look?

``w`` is one flat tensor (p,); x and y are lists of points (n, d) in the units of the grid. A
transformation is a small frozen object that says how to read w; it holds no parameters itself. At
fixed points it becomes a ``Motion``, w ↦ y, which knows its derivatives. Many parameters need them
as operators, a few are faster with the chain rule written out. For functions φᵢ of the points yᵢ,
with gᵢ = ∇φᵢ and Hᵢ = ∇²φᵢ:

    derivative       ∂y/∂w                                                    operator (n·d ← p)
    second           Σᵢ gᵢᵀ ∂²yᵢ/∂w²                                          operator (p ← p)
    chain_rows       dφᵢ/dw      = gᵢᵀ ∂yᵢ/∂w                                 (n, p)
    chain_gradient   dΣφᵢ/dw     = Σᵢ gᵢᵀ ∂yᵢ/∂w                              (p,)
    chain_hessian    d²Σφᵢ/dw²   = Σᵢ (∂yᵢ/∂w)ᵀ Hᵢ ∂yᵢ/∂w + gᵢᵀ ∂²yᵢ/∂w²      (p, p)

A new transformation needs only ``parameters`` and y: ``Motion`` leaves the rest to torch.func. One
whose derivatives are known returns its own ``Motion`` from ``on``, as ``Affine`` does.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from functools import cached_property, reduce

import torch

from regkit._require import points_tensor, require
from regkit.grid import Grid
from regkit.operators import Hessian, Jacobian, Matrix, Operator


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

    def __call__(self, w: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
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
        x: Grid | torch.Tensor,
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

    def jacobian(self, w: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
        """∂y/∂w in full, (n, d, p), for w (p,) and x (n, d)."""
        return self.on(x).jacobian(w)

    def coarser(self) -> Transform:
        """The transformation for images of half as many cells a side; here the same one.

        One with more parameters on larger images returns a smaller one of its kind.
        """
        return self

    def refine(self, w: torch.Tensor) -> torch.Tensor:
        """The parameters w of ``coarser()`` as parameters of this one; here they are the same."""
        return w


@dataclass(frozen=True, eq=False, repr=False)
class Motion:
    """A transformation at fixed points: w ↦ y (n, d), with its derivatives by torch.func.

    Args:
        transform: the transformation.
        points (n, d): where it is evaluated.

    A subclass that knows better replaces ``derivative`` and ``second``, or the chain rules.
    """

    transform: Transform
    points: torch.Tensor

    def __repr__(self) -> str:
        return f"{type(self).__name__} of {len(self.points)} points: {self.transform}"

    def __call__(self, w: torch.Tensor) -> torch.Tensor:
        """y(xᵢ; w) at all points, (n, d)."""
        return self.transform(w, self.points)

    def derivative(self, w: torch.Tensor) -> Operator:
        """∂y/∂w as an operator n·d ← p; y is read point by point, as ``y.reshape(-1)``."""
        return Jacobian(lambda v: self(v).reshape(-1), w)

    def second(self, w: torch.Tensor, g: torch.Tensor) -> Operator | None:
        """Σᵢ gᵢᵀ ∂²yᵢ/∂w² as an operator p ← p, for g (n, d); None where y is known to be linear in w."""
        return Hessian(torch.func.grad(lambda v: (g * self(v)).sum()), w)

    def jacobian(self, w: torch.Tensor) -> torch.Tensor:
        """∂y/∂w in full, (n, d, p): to look at, and for a few parameters."""
        return self.derivative(w).dense(w).reshape(*self.points.shape, len(w))

    def chain_rows(self, w: torch.Tensor, g: torch.Tensor) -> torch.Tensor:
        """Rows gᵢᵀ ∂yᵢ/∂w, (n, p), for g (n, d)."""
        return torch.einsum("nd,ndp->np", g, self.jacobian(w))

    def chain_gradient(self, w: torch.Tensor, g: torch.Tensor) -> torch.Tensor:
        """Σᵢ gᵢᵀ ∂yᵢ/∂w, (p,), for g (n, d): one product with the adjoint."""
        return self.derivative(w).adjoint(g.reshape(-1))

    def chain_hessian(self, w: torch.Tensor, H: torch.Tensor, g: torch.Tensor | None = None) -> torch.Tensor:
        """Σᵢ (∂yᵢ/∂w)ᵀ Hᵢ ∂yᵢ/∂w + gᵢᵀ ∂²yᵢ/∂w², (p, p), for H (n, d, d). Without g: the first term."""
        jacobian = self.jacobian(w)
        hessian = torch.einsum("ndp,nde,neq->pq", jacobian, H, jacobian)
        second = None if g is None else self.second(w, g)
        return hessian if second is None else hessian + second.dense(w)


@dataclass(frozen=True)
class Affine(Transform):
    """y = A (x − c) + c + b  with  w = (A row by row, b), p = d² + d.

    ``center`` is c; None means 0, so y = A x + b. With c in the middle of the image, turning and
    stretching no longer move it, and the Hessian is far better conditioned.

    Errors: ValueError for a wrong number of parameters or coordinates; ``inverse`` of a singular A.
    """

    center: tuple[float, ...] | None = None

    def __post_init__(self):
        require(self.dim in (1, 2, 3), f"expected dimension 1, 2 or 3, got {self.dim}")
        if self.center is not None:
            object.__setattr__(self, "center", tuple(float(c) for c in self.center))
            fits = len(self.center) == self.dim
            require(fits, f"expected a centre in {self.dim} dimensions, got {self.center}")

    # How w describes the map: Translation and Rigid replace the first three.

    @property
    def parameters(self) -> int:
        """Length p of w."""
        return self.dim**2 + self.dim

    def lift(self, w: torch.Tensor, order: int = 0) -> torch.Tensor | None:
        """a(w) = (A row by row, b), shape (d² + d,), or its derivative ∂a/∂w (…, p) or ∂²a/∂w² (…, p, p).

        None stands for the unit matrix (order 1) or for zero (order 2)."""
        return w if order == 0 else None

    def lower(self, A: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
        """The w with lift(w) = (A, b)."""
        return torch.cat([A.reshape(-1), b])

    # What follows is common to all of them.

    def _center(self, like: torch.Tensor) -> torch.Tensor:
        return torch.tensor(self.center or [0.0] * self.dim, dtype=like.dtype, device=like.device)

    def split(self, w: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """A (d, d) and b (d,)."""
        p = self.parameters
        require(tuple(w.shape) == (p,), f"expected parameters of shape ({p},), got {tuple(w.shape)}")
        A, b = self.lift(w).split([self.dim**2, self.dim])
        return A.reshape(self.dim, self.dim), b

    def __call__(self, w: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
        return self.on(x)(w)

    def on(self, x, dtype=torch.float64, device=None) -> AffineMotion:
        return AffineMotion(self, super().on(x, dtype, device).points)

    def identity(self, dtype=torch.float64, device=None) -> torch.Tensor:
        """The w with y(x; w) = x."""
        unit = torch.eye(self.dim, dtype=dtype, device=device)
        return self.lower(unit, torch.zeros_like(unit[0]))

    def matrix(self, w: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """(A, b₀) with y = A x + b₀, whatever the centre: A (d, d), b₀ (d,)."""
        A, b = self.split(w)
        c = self._center(b)
        return A, b + c - A @ c

    def from_matrix(self, A: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
        """The w of the map y = A x + b, whatever the centre: the inverse of ``matrix``."""
        c = self._center(b)
        return self.lower(A, b + A @ c - c)

    def inverse(self, w: torch.Tensor) -> torch.Tensor:
        """The w′ with y(y(x; w); w′) = x."""
        A, b = self.matrix(w)
        inverse, info = torch.linalg.inv_ex(A)
        require(info == 0, f"expected an invertible matrix A, got {A.tolist()}")
        return self.from_matrix(inverse, -inverse @ b)

    def compose(self, w1: torch.Tensor, w2: torch.Tensor) -> torch.Tensor:
        """The w of x ↦ y(y(x; w2); w1): first w2, then w1."""
        (A1, b1), (A2, b2) = self.matrix(w1), self.matrix(w2)
        return self.from_matrix(A1 @ A2, A1 @ b2 + b1)


@dataclass(frozen=True, eq=False, repr=False)
class AffineMotion(Motion):
    """``Affine``, or a child of it, at fixed points: closed forms that never build ∂y/∂w (n, d, p).

    z, g and H are used axis by axis, as (d, n) and (d², n): long rows suit the processor.
    """

    transform: Affine

    @cached_property
    def z(self) -> torch.Tensor:
        """x − c, (n, d)."""
        c = self.transform.center
        return self.points if c is None else self.points - self.transform._center(self.points)

    @cached_property
    def _extended(self) -> torch.Tensor:
        """(x − c, 1), as (d + 1, n)."""
        return torch.nn.functional.pad(self.z.T, (0, 0, 0, 1), value=1.0)

    @cached_property
    def _order(self) -> torch.Tensor:
        """Where the entries of (A | b), row by row, are in the order that w wants: A, then b."""
        d = self.transform.dim
        table = torch.arange(d * (d + 1)).reshape(d, d + 1)
        return torch.cat([table[:, :d].reshape(-1), table[:, d]]).to(self.points.device)

    def __call__(self, w):
        A, b = self.transform.split(w)
        shift = b if self.transform.center is None else b + self.transform._center(b)
        return torch.addmm(shift[:, None], A, self.z.T).T

    def jacobian(self, w):
        unit = torch.eye(self.transform.dim, dtype=w.dtype, device=w.device)
        return torch.stack([self.chain_rows(w, e.expand(self.points.shape)) for e in unit], dim=1)

    def second(self, w, g):
        F = self.transform.lift(w, 2)
        return None if F is None else Matrix(torch.tensordot(self._lifted_gradient(g), F, dims=1))

    def chain_rows(self, w, g):
        """y is linear in (A, b): a row is the outer product (gᵢzᵢᵀ, gᵢ); then times ∂a/∂w."""
        z, g, E = self.z.T, g.T, self.transform.lift(w, 1)
        rows = torch.cat([(g[:, None] * z).reshape(-1, len(self.points)), g]).T
        return rows if E is None else rows @ E

    def chain_gradient(self, w, g):
        """(Σ gᵢzᵢᵀ, Σ gᵢ): a matrix product; then times ∂a/∂w."""
        gradient, E = self._lifted_gradient(g), self.transform.lift(w, 1)
        return gradient if E is None else gradient @ E

    def _lifted_gradient(self, g: torch.Tensor) -> torch.Tensor:
        return torch.cat([(g.T @ self.z).reshape(-1), g.sum(0)])

    def chain_hessian(self, w, H, g=None):
        """The Hessian is a table of moments Σ Hₖₗ zᵢzⱼ, here with z = (x − c, 1): again a matrix product."""
        d, z = self.transform.dim, self._extended
        # (k, l, i) by (j), then (k, i) by (l, j)
        moments = (H.reshape(-1, d * d).T[:, None] * z).reshape(-1, len(self.points)) @ z.T
        moments = moments.reshape(d, d, d + 1, d + 1).transpose(1, 2).reshape(d * (d + 1), -1)
        hessian, E = moments[self._order][:, self._order], self.transform.lift(w, 1)
        if E is not None:
            hessian = E.T @ hessian @ E
        second = None if g is None else self.second(w, g)
        return hessian if second is None else hessian + second.matrix


@dataclass(frozen=True)
class Translation(Affine):
    """y = x + b  with  w = b, p = d."""

    @property
    def parameters(self) -> int:
        return self.dim

    def lift(self, w, order=0):
        unit = torch.eye(self.dim, dtype=w.dtype, device=w.device)
        if order == 0:
            return torch.cat([unit.reshape(-1), w])
        return torch.cat([unit.new_zeros(self.dim**2, self.dim), unit]) if order == 1 else None

    def lower(self, A, b):
        distance = (A - torch.eye(self.dim, dtype=A.dtype, device=A.device)).abs().max()
        require(distance < 1e-6, f"expected the unit matrix for a translation, got {A.tolist()}")
        return b


@dataclass(frozen=True)
class Rigid(Affine):
    """y = R (x − c) + c + b: rotation and shift, so lengths are kept.

    d = 2: w = (angle, b), p = 3; R turns counter-clockwise.
    d = 3: w = (α, β, γ, b), p = 6; R = R_z(γ) R_y(β) R_x(α). At β = ±90° two angles turn about one axis
    (gimbal lock), and the Hessian is singular. Angles are in radians.

    A turn in one plane is G(φ) = I + sin φ K + (1 − cos φ) K², where K turns by 90° in that plane: easy to
    differentiate.
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
        return self.turns + self.dim

    def _rotation(self, w: torch.Tensor, orders: list[int]) -> torch.Tensor:
        """R (d, d), with its k-th factor differentiated orders[k] ≤ 2 times."""
        unit, factors = torch.eye(self.dim, dtype=w.dtype, device=w.device), []
        planes = [(0, 1)] if self.dim == 2 else [(1, 2), (2, 0), (0, 1)]  # about x, y, z
        for (i, j), angle, order in zip(planes, w, orders, strict=False):
            K = torch.outer(unit[j], unit[i]) - torch.outer(unit[i], unit[j])
            s, c = angle.sin(), angle.cos()
            factors.append([unit + s * K + (1 - c) * K @ K, c * K + s * K @ K, c * K @ K - s * K][order])
        return reduce(lambda R, G: G @ R, factors)

    def lift(self, w, order=0):
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

    def lower(self, A, b):
        defect = (A.T @ A - torch.eye(self.dim, dtype=A.dtype, device=A.device)).abs().max()
        require((defect < 1e-6) & (torch.linalg.det(A) > 0), f"expected a rotation matrix, got {A.tolist()}")
        angles = [torch.atan2(A[1, 0], A[0, 0])]
        if self.dim == 3:
            angles = [torch.atan2(A[2, 1], A[2, 2]), torch.asin((-A[2, 0]).clamp(-1, 1)), *angles]
        return torch.cat([torch.stack(angles), b])
