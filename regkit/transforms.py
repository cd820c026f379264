"""Transformations y(x; w): where in the template does the point x of the reference look?

``w`` is one flat tensor (p,); x and y are lists of points (n, d) in the units of the grid. A
transformation is a small frozen object that says how to read w; it holds no parameters itself. Besides y
it offers the chain rule in the three forms that registration needs. For functions φᵢ of the points yᵢ,
with gᵢ = ∇φᵢ and Hᵢ = ∇²φᵢ:

    chain_rows       dφᵢ/dw      = gᵢᵀ ∂yᵢ/∂w                                 (n, p)
    chain_gradient   dΣφᵢ/dw     = Σᵢ gᵢᵀ ∂yᵢ/∂w                              (p,)
    chain_hessian    d²Σφᵢ/dw²   = Σᵢ (∂yᵢ/∂w)ᵀ Hᵢ ∂yᵢ/∂w + gᵢᵀ ∂²yᵢ/∂w²      (p, p)

``Transform`` leaves all derivatives to torch.func: a new transformation needs only y. ``Affine`` and its
children have closed forms instead, which never build the (n, d, p) array ∂y/∂w.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from functools import reduce

import torch

from regkit._require import points_tensor, require


@dataclass(frozen=True)
class Transform:
    """Any y(x; w) in ``dim`` dimensions: a subclass gives ``parameters`` (p) and ``__call__(w, x)``."""

    dim: int = 2

    def jacobian(self, w: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
        """∂y/∂w, shape (n, d, p), by forward mode."""
        return torch.func.jacfwd(lambda v: self(v, x))(w)

    def hessian(self, w: torch.Tensor, x: torch.Tensor) -> torch.Tensor | None:
        """∂²y/∂w², shape (n, d, p, p), forward over reverse; None where y is known to be linear in w."""
        return torch.func.jacfwd(torch.func.jacrev(lambda v: self(v, x)))(w)

    def chain_rows(self, w: torch.Tensor, x: torch.Tensor, g: torch.Tensor) -> torch.Tensor:
        """Rows gᵢᵀ ∂yᵢ/∂w, shape (n, p), for g of shape (n, d)."""
        return torch.einsum("nd,ndp->np", g, self.jacobian(w, x))

    def chain_gradient(self, w: torch.Tensor, x: torch.Tensor, g: torch.Tensor) -> torch.Tensor:
        """Σᵢ gᵢᵀ ∂yᵢ/∂w, shape (p,): one vector-Jacobian product."""
        return torch.func.grad(lambda v: (g * self(v, x)).sum())(w)

    def chain_hessian(self, w, x, H: torch.Tensor, g: torch.Tensor | None = None) -> torch.Tensor:
        """Σᵢ (∂yᵢ/∂w)ᵀ Hᵢ ∂yᵢ/∂w + gᵢᵀ ∂²yᵢ/∂w², shape (p, p), for H (n, d, d). Without g: the first term."""
        jacobian = self.jacobian(w, x)
        hessian = torch.einsum("ndp,nde,neq->pq", jacobian, H, jacobian)
        if g is None:
            return hessian
        return hessian + torch.func.jacfwd(torch.func.grad(lambda v: (g * self(v, x)).sum()))(w)


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

    # How w describes the map: Translation and Rigid replace these three.

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

    def _offset(self, x: torch.Tensor) -> torch.Tensor:
        """z = x − c."""
        x = points_tensor(x, self.dim)
        return x if self.center is None else x - self._center(x)

    def _split(self, w: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        p = self.parameters
        require(tuple(w.shape) == (p,), f"expected parameters of shape ({p},), got {tuple(w.shape)}")
        A, b = self.lift(w).split([self.dim**2, self.dim])
        return A.reshape(self.dim, self.dim), b

    def __call__(self, w: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
        """y(x; w), shape (n, d)."""
        A, b = self._split(w)
        shift = b if self.center is None else b + self._center(b)
        return torch.addmm(shift[:, None], A, self._offset(x).T).T

    def identity(self, dtype=torch.float64, device=None) -> torch.Tensor:
        """The w with y(x; w) = x."""
        unit = torch.eye(self.dim, dtype=dtype, device=device)
        return self.lower(unit, torch.zeros_like(unit[0]))

    def matrix(self, w: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """(A, b₀) with y = A x + b₀, whatever the centre: A (d, d), b₀ (d,)."""
        A, b = self._split(w)
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

    def jacobian(self, w, x):
        """∂y/∂w in full, shape (n, d, p): to look at. The chain rules below do without it."""
        unit = torch.eye(self.dim, dtype=x.dtype, device=x.device)
        return torch.stack([self.chain_rows(w, x, e.expand(x.shape)) for e in unit], dim=1)

    def hessian(self, w, x):
        return None if self.lift(w, 2) is None else super().hessian(w, x)

    # z, g and H are used axis by axis, as (d, n) and (d², n): long rows suit the processor.

    def chain_rows(self, w, x, g):
        """y is linear in (A, b): a row is the outer product (gᵢzᵢᵀ, gᵢ) with z = x − c; then times ∂a/∂w."""
        z, g, E = self._offset(x).T, g.T, self.lift(w, 1)
        rows = torch.cat([(g[:, None] * z).reshape(-1, len(x)), g]).T
        return rows if E is None else rows @ E

    def chain_gradient(self, w, x, g):
        """(Σ gᵢzᵢᵀ, Σ gᵢ): a matrix product; then times ∂a/∂w."""
        E = self.lift(w, 1)
        gradient = torch.cat([(g.T @ self._offset(x)).reshape(-1), g.sum(0)])
        return gradient if E is None else gradient @ E

    def chain_hessian(self, w, x, H, g=None):
        """The Hessian is a table of moments Σ Hₖₗ zᵢzⱼ, here with z = (x − c, 1): again a matrix product."""
        d, z = self.dim, torch.nn.functional.pad(self._offset(x).T, (0, 0, 0, 1), value=1.0)
        moments = (H.reshape(-1, d * d).T[:, None] * z).reshape(-1, len(x)) @ z.T  # (k, l, i) by (j)
        moments = (
            moments.reshape(d, d, d + 1, d + 1).transpose(1, 2).reshape(d * (d + 1), -1)
        )  # (k, i) by (l, j)
        rows = torch.arange(d * (d + 1)).reshape(d, d + 1)  # where the entries of (A | b) are
        order = torch.cat([rows[:, :d].reshape(-1), rows[:, d]]).to(x.device)  # as w wants them: A, then b
        hessian = moments[order][:, order]
        E, F = self.lift(w, 1), self.lift(w, 2)
        if E is not None:
            hessian = E.T @ hessian @ E
        if F is not None and g is not None:
            hessian = hessian + torch.tensordot(Affine(d, self.center).chain_gradient(w, x, g), F, dims=1)
        return hessian


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
