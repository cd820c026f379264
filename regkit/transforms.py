"""Transformations y(x; w): where in the template does the point x of the reference look?

``w`` is one flat tensor (p,), x and y are lists of points (n, d) in the units of the grid. A
transformation is a small frozen object that says how to read w; it holds no parameters itself. Besides y
it offers the chain rule in the three forms that registration needs. With φᵢ a function of the point yᵢ, gᵢ
= ∇φᵢ(yᵢ) and Hᵢ = ∇²φᵢ(yᵢ),

    chain_rows       d φᵢ / dw      = gᵢᵀ ∂yᵢ/∂w                                    (n, p)
    chain_gradient   d Σφᵢ / dw     = Σᵢ gᵢᵀ ∂yᵢ/∂w                                 (p,)
    chain_hessian    d² Σφᵢ / dw²   = Σᵢ (∂yᵢ/∂w)ᵀ Hᵢ ∂yᵢ/∂w + gᵢᵀ ∂²yᵢ/∂w²         (p, p)

``Transform`` leaves all derivatives to automatic differentiation: a new transformation needs only y.
``Affine`` and its children replace them by closed forms that never build the (n, d, p) array ∂y/∂w.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import reduce

import torch

from regkit._require import points_tensor, require


@dataclass(frozen=True)
class Transform:
    """Any y(x; w) in ``dim`` dimensions. A subclass gives ``parameters``, ``identity()`` and ``__call__(w,
    x)``.
    """

    dim: int = 2

    def jacobian(self, w: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
        """∂y/∂w, shape (n, d, p), by forward mode."""
        return torch.func.jacfwd(lambda v: self(v, x))(w)

    def hessian(self, w: torch.Tensor, x: torch.Tensor) -> torch.Tensor | None:
        """∂²y/∂w², shape (n, d, p, p), or None where y is linear in w. Forward over reverse."""
        return torch.func.jacfwd(torch.func.jacrev(lambda v: self(v, x)))(w)

    def chain_rows(self, w: torch.Tensor, x: torch.Tensor, g: torch.Tensor) -> torch.Tensor:
        """Rows gᵢᵀ ∂yᵢ/∂w, shape (n, p), for g of shape (n, d)."""
        return torch.einsum("nd,ndp->np", g, self.jacobian(w, x))

    def chain_gradient(self, w: torch.Tensor, x: torch.Tensor, g: torch.Tensor) -> torch.Tensor:
        """Σᵢ gᵢᵀ ∂yᵢ/∂w, shape (p,): one vector-Jacobian product."""
        return torch.func.grad(lambda v: (g * self(v, x)).sum())(w)

    def chain_hessian(self, w: torch.Tensor, x: torch.Tensor, H: torch.Tensor, g: torch.Tensor | None = None):
        """Σᵢ (∂yᵢ/∂w)ᵀ Hᵢ ∂yᵢ/∂w + gᵢᵀ ∂²yᵢ/∂w², shape (p, p), for H (n, d, d); without g the first term
        only.
        """
        jacobian = self.jacobian(w, x)
        hessian = torch.einsum("ndp,nde,neq->pq", jacobian, H, jacobian)
        if g is None:
            return hessian
        return hessian + torch.func.jacfwd(torch.func.grad(lambda v: (g * self(v, x)).sum()))(w)


@dataclass(frozen=True)
class Affine(Transform):
    """y = A (x − c) + c + b  with  w = (A row by row, b), p = d² + d.

    ``center`` is c; None means c = 0, so y = A x + b. With c in the middle of the image, turning and
    stretching do not move it any more, and the Hessian is far better conditioned.

    Errors: ValueError for a wrong number of parameters, points or centre coordinates, or a singular A to
    be inverted.
    """

    center: tuple[float, ...] | None = None

    def __post_init__(self):
        require(self.dim in (1, 2, 3), f"expected dimension 1, 2 or 3, got {self.dim}")
        center = (0.0,) * self.dim if self.center is None else tuple(float(c) for c in self.center)
        require(len(center) == self.dim, f"expected {self.dim} coordinates of the centre, got {center}")
        object.__setattr__(self, "center", center)

    @property
    def parameters(self) -> int:
        """Length p of w."""
        return self.dim**2 + self.dim

    def identity(self, dtype=torch.float64, device=None) -> torch.Tensor:
        """The w with y(x; w) = x."""
        unit = torch.eye(self.dim, dtype=dtype, device=device)
        return self.from_matrix(unit, torch.zeros_like(unit[0]))

    # How w describes an affine map: the children below replace these four.

    def lift(self, w: torch.Tensor) -> torch.Tensor:
        """The parameters a(w) = (A, b) of this map as an affine map about the same centre, shape (d² +
        d,).
        """
        return w

    def lift_jacobian(self, w: torch.Tensor) -> torch.Tensor | None:
        """∂a/∂w, shape (d² + d, p); None stands for the unit matrix."""
        return None

    def lift_hessian(self, w: torch.Tensor) -> torch.Tensor | None:
        """∂²a/∂w², shape (d² + d, p, p); None stands for zero."""
        return None

    def lower(self, A: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
        """The w with lift(w) = (A, b)."""
        return torch.cat([A.reshape(-1), b])

    # What follows is the same for all of them.

    def _center(self, like: torch.Tensor) -> torch.Tensor:
        return torch.tensor(self.center, dtype=like.dtype, device=like.device)

    def _split(self, w: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        require(
            isinstance(w, torch.Tensor) and w.shape[-1:] == (self.parameters,) and w.ndim == 1,
            f"expected parameters of shape ({self.parameters},), got {tuple(getattr(w, 'shape', ()))}",
        )
        a = self.lift(w)
        return a[: self.dim**2].reshape(self.dim, self.dim), a[self.dim**2 :]

    def __call__(self, w: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
        """y(x; w), shape (n, d)."""
        A, b = self._split(w)
        c = self._center(w)
        return torch.addmm(b + c, points_tensor(x, self.dim) - c, A.T)

    def matrix(self, w: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """(A, b₀) with y = A x + b₀, whatever the centre: A (d, d), b₀ (d,)."""
        A, b = self._split(w)
        c = self._center(w)
        return A, b + c - A @ c

    def from_matrix(self, A: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
        """The w of the map y = A x + b: the inverse of ``matrix``."""
        c = self._center(A)
        return self.lower(A, b + A @ c - c)

    def inverse(self, w: torch.Tensor) -> torch.Tensor:
        """The w′ with y(y(x; w); w′) = x."""
        A, b = self.matrix(w)
        require(torch.linalg.det(A) != 0, f"expected an invertible matrix A, got {A.tolist()}")
        inverse = torch.linalg.inv(A)
        return self.from_matrix(inverse, -inverse @ b)

    def compose(self, w1: torch.Tensor, w2: torch.Tensor) -> torch.Tensor:
        """The w of x ↦ y(y(x; w2); w1): first w2, then w1."""
        (A1, b1), (A2, b2) = self.matrix(w1), self.matrix(w2)
        return self.from_matrix(A1 @ A2, A1 @ b2 + b1)

    def jacobian(self, w: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
        """∂y/∂w in full, shape (n, d, p). To look at; the chain rules below do without it."""
        unit = torch.eye(self.dim, dtype=x.dtype, device=x.device).expand(len(x), -1, -1)
        return torch.stack([self.chain_rows(w, x, unit[:, k]) for k in range(self.dim)], dim=1)

    def hessian(self, w: torch.Tensor, x: torch.Tensor) -> torch.Tensor | None:
        """∂²y/∂w², shape (n, d, p, p), or None where a(w) is linear."""
        F = self.lift_hessian(w)
        if F is None:
            return None
        z = points_tensor(x, self.dim) - self._center(x)
        A, b = F.split([self.dim**2, self.dim])
        return torch.einsum("ni,kipq->nkpq", z, A.reshape(self.dim, self.dim, *F.shape[1:])) + b

    def chain_rows(self, w, x, g):
        """[g₁ z, …, g_d z, g] with z = x − c: y is linear in (A, b), so a row is an outer product. Then
        times ∂a/∂w.
        """
        z = x - self._center(x)
        rows = torch.cat([(g[:, :, None] * z[:, None, :]).reshape(len(x), -1), g], dim=1)
        E = self.lift_jacobian(w)
        return rows if E is None else rows @ E

    def chain_gradient(self, w, x, g):
        """(Σᵢ gᵢ zᵢᵀ, Σᵢ gᵢ): one matrix product. Then times ∂a/∂w."""
        z = x - self._center(x)
        gradient = torch.cat([(g.T @ z).reshape(-1), g.sum(0)])
        E = self.lift_jacobian(w)
        return gradient if E is None else gradient @ E

    def chain_hessian(self, w, x, H, g=None):
        """Entry (k,i),(l,j) is the moment Σₙ H[n,k,l] z[n,i] z[n,j], with z = (x − c, 1): one matrix
        product.
        """
        d, c = self.dim, self._center(x)
        z = torch.cat([x - c, torch.ones_like(x[:, :1])], dim=1)
        moments = (H.reshape(-1, d * d, 1) * z[:, None, :]).reshape(len(x), -1).T @ z
        moments = moments.reshape(d, d, d + 1, d + 1).permute(0, 2, 1, 3).reshape(d * (d + 1), -1)
        order = [k * (d + 1) + i for k in range(d) for i in range(d)] + [k * (d + 1) + d for k in range(d)]
        hessian = moments[order][:, order]
        E, F = self.lift_jacobian(w), self.lift_hessian(w)
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

    def lift(self, w):
        return torch.cat([torch.eye(self.dim, dtype=w.dtype, device=w.device).reshape(-1), w])

    def lift_jacobian(self, w):
        unit = torch.eye(self.dim, dtype=w.dtype, device=w.device)
        return torch.cat([unit.new_zeros(self.dim**2, self.dim), unit])

    def lower(self, A, b):
        distance = (A - torch.eye(self.dim, dtype=A.dtype, device=A.device)).abs().max()
        require(distance < 1e-6, f"expected the unit matrix for a translation, got {A.tolist()}")
        return b


def _generators(like: torch.Tensor, dim: int) -> list[torch.Tensor]:
    """Skew matrices K: K v is the velocity of v that turns in one coordinate plane. (x,y) in 2-D; then
    (y,z), (z,x) too.

    In 3-D the order is that of the axes about which they turn: x, y, z.
    """
    planes = {1: [], 2: [(0, 1)], 3: [(1, 2), (2, 0), (0, 1)]}[dim]
    generators = []
    for i, j in planes:
        K = torch.zeros(dim, dim, dtype=like.dtype, device=like.device)
        K[j, i], K[i, j] = 1.0, -1.0
        generators.append(K)
    return generators


@dataclass(frozen=True)
class Rigid(Affine):
    """y = R (x − c) + c + b: rotation and shift; lengths are kept.

    d = 2: w = (angle, b), p = 3, R turns counter-clockwise (from axis 1 to axis 2).
    d = 3: w = (α, β, γ, b), p = 6, R = R_z(γ) R_y(β) R_x(α). Angles in radians. At β = ±90° two of them
    turn about the same axis (gimbal lock), and the Hessian is singular there.

    One turn in a plane with generator K is G(φ) = I + sin φ K + (1 − cos φ) K², which is easy to
    differentiate.
    """

    def __post_init__(self):
        super().__post_init__()
        require(self.dim in (2, 3), f"expected dimension 2 or 3 for a rigid map, got {self.dim}")

    @property
    def turns(self) -> int:
        """Number of angles: 1 in the plane, 3 in space."""
        return self.dim * (self.dim - 1) // 2

    @property
    def parameters(self) -> int:
        return self.turns + self.dim

    def _rotation(self, w: torch.Tensor, orders: tuple[int, ...]) -> torch.Tensor:
        """∂R/∂φ₁^q₁…: each factor of R differentiated as often as ``orders`` says, 0 to 2 times."""
        factors = []
        for K, angle, order in zip(_generators(w, self.dim), w, orders, strict=False):
            s, c = angle.sin(), angle.cos()
            unit = torch.eye(self.dim, dtype=w.dtype, device=w.device)
            factors.append([unit + s * K + (1 - c) * K @ K, c * K + s * K @ K, c * K @ K - s * K][order])
        return reduce(lambda R, factor: factor @ R, factors)

    def lift(self, w):
        return torch.cat([self._rotation(w, (0,) * self.turns).reshape(-1), w[self.turns :]])

    def lift_jacobian(self, w):
        unit = torch.eye(self.parameters, dtype=w.dtype, device=w.device)
        orders = torch.eye(self.turns, dtype=torch.int64).tolist()
        columns = torch.stack([self._rotation(w, tuple(q)).reshape(-1) for q in orders], dim=1)
        return torch.cat(
            [torch.cat([columns, columns.new_zeros(self.dim**2, self.dim)], dim=1), unit[self.turns :]]
        )

    def lift_hessian(self, w):
        F = w.new_zeros(self.dim**2 + self.dim, self.parameters, self.parameters)
        unit = torch.eye(self.turns, dtype=torch.int64)
        for k in range(self.turns):
            for m in range(self.turns):
                F[: self.dim**2, k, m] = self._rotation(w, tuple((unit[k] + unit[m]).tolist())).reshape(-1)
        return F

    def lower(self, A, b):
        defect = (A.T @ A - torch.eye(self.dim, dtype=A.dtype, device=A.device)).abs().max()
        require((defect < 1e-6) & (torch.linalg.det(A) > 0), f"expected a rotation matrix, got {A.tolist()}")
        if self.dim == 2:
            angles = torch.atan2(A[1, 0], A[0, 0])[None]
        else:
            angles = torch.stack(
                [
                    torch.atan2(A[2, 1], A[2, 2]),
                    torch.asin((-A[2, 0]).clamp(-1, 1)),
                    torch.atan2(A[1, 0], A[0, 0]),
                ]
            )
        return torch.cat([angles, b])
