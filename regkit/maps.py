"""What a map does to space: where it folds, its inverse, and how well it maps landmarks.

These are for any ``Transform``: ∇y at many points is d products with the derivative in x. A map
folds where det ∇y ≤ 0. A fit does not show that: the squared difference can be small where a finger
is turned inside out.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from regkit._require import number, points_tensor, require

if TYPE_CHECKING:
    from regkit.transforms import Transform


def gradients(transform: Transform, w: Tensor, x: Tensor) -> Tensor:
    """∂yᵢ/∂xₖ at points, by torch.func in forward mode, one product an axis.

    Args:
        transform: the transformation.
        w (p,): its parameters.
        x (n, d): the points.

    Returns:
        ∇y, (d, d, n).

    Example:
        >>> from regkit.transforms import Affine
        >>> w = torch.tensor([2.0, 1.0, 0.0, 3.0, 5.0, 5.0])
        >>> gradients(Affine(), w, torch.zeros(1, 2))[..., 0]
        tensor([[2., 1.],
                [0., 3.]])
    """
    x, columns = points_tensor(x, transform.dim), []
    for k in range(transform.dim):
        along = torch.zeros_like(x)
        along[:, k] = 1
        columns.append(torch.func.jvp(lambda z: transform(w, z), (x,), (along,))[1].T)
    return torch.stack(columns, dim=1)


def cofactors(F: Tensor) -> Tensor:
    """∂ det F/∂F, the matrix of cofactors, for F (d, d, …) with d = 1, 2 or 3.

    Example:
        >>> cofactors(torch.tensor([[1.0, 2.0], [3.0, 4.0]]))
        tensor([[ 4., -3.],
                [-2.,  1.]])
    """
    d = len(F)
    if d == 1:
        return torch.ones_like(F)
    if d == 2:
        return torch.stack([torch.stack([F[1, 1], -F[1, 0]]), torch.stack([-F[0, 1], F[0, 0]])])
    rows = [torch.linalg.cross(F[(i + 1) % 3], F[(i + 2) % 3], dim=0) for i in range(3)]
    return torch.stack(rows)


def cofactors_change(F: Tensor, U: Tensor) -> Tensor:
    """What the cofactors of F change by along U: ∂² det F/∂F² applied to U, which is symmetric.

    Args:
        F (d, d, …): matrices, d = 1, 2 or 3.
        U (d, d, …): the direction.

    Returns:
        Of the shape of F.

    Example:
        >>> F = torch.diag(torch.tensor([2.0, 3.0, 1.0]))
        >>> cofactors_change(F, torch.eye(3)).diagonal()  # of (t + 3)(t + 1), (t + 2)(t + 1), (t + 2)(t + 3)
        tensor([4., 3., 5.])
    """
    d = len(F)
    if d == 1:
        return torch.zeros_like(U)
    if d == 2:
        return cofactors(U)
    cross, rows = torch.linalg.cross, []
    for i in range(3):
        j, k = (i + 1) % 3, (i + 2) % 3
        rows.append(cross(U[j], F[k], dim=0) + cross(F[j], U[k], dim=0))
    return torch.stack(rows)


def determinants(F: Tensor) -> Tensor:
    """det F (…) for F (d, d, …) with d = 1, 2 or 3.

    Example:
        >>> determinants(torch.tensor([[1.0, 2.0], [3.0, 4.0]]))
        tensor(-2.)
    """
    return (F[0] * cofactors(F)[0]).sum(0)


def fold_message(determinant: Tensor) -> str:
    """What a reader should know if a map folds; empty if it does not.

    Args:
        determinant (any shape): det ∇y at the points that are looked at.

    Example:
        >>> fold_message(torch.tensor([[1.0, 0.5], [-0.25, 2.0]]))
        'the map folds: det ∇y ≤ 0 in 1 of 4 cells (25 %), smallest -0.25 in cell (1, 0)'
        >>> fold_message(torch.ones(4))
        ''
    """
    folded = int((~(determinant > 0)).sum())  # NaN is no map
    if not folded:
        return ""
    least, place = determinant.reshape(-1).min(0)  # NaN, if there is one
    cell = tuple(int(k) for k in torch.unravel_index(place, determinant.shape))
    share = 100 * folded / determinant.numel()
    return (
        f"the map folds: det ∇y ≤ 0 in {folded} of {determinant.numel()} cells ({share:.2g} %), "
        f"smallest {float(least):.3g} in cell {cell}"
    )


def inverse(
    transform: Transform,
    w: Tensor,
    z: Tensor,
    *,
    start: Tensor | None = None,
    tolerance: float = 1e-10,
    iterations: int = 50,
) -> Tensor:
    """The points x with y(x; w) = z, by Newton's method in all points at once.

        x ← x − t (∇y)⁻¹ (y(x; w) − z)

    t is halved, point by point, until the distance falls. Where a map does not fold there is one
    such x; where it does Newton's method finds one of several, or none.

    Args:
        transform: the transformation.
        w (p,): its parameters.
        z (n, d, in the unit of the grid): where the points end.
        start (n, d): where to begin; z if None.
        tolerance (a share of the extent of z): how near y(x; w) has to come to z.
        iterations: the most there may be.

    Returns:
        x (n, d).

    Raises:
        ValueError: if there are points from which no x was found.

    Example:
        >>> from regkit.transforms import Affine
        >>> w = torch.tensor([2.0, 1.0, 0.0, 3.0, 5.0, 5.0], dtype=torch.float64)
        >>> inverse(Affine(), w, torch.tensor([[8.0, 8.0]], dtype=torch.float64))
        tensor([[1., 1.]], dtype=torch.float64)
    """
    z = points_tensor(z, transform.dim)
    x = z.clone() if start is None else points_tensor(start, transform.dim).clone()
    require(x.shape == z.shape, f"expected a start of shape {tuple(z.shape)}, got {tuple(x.shape)}")
    require((x + z).isfinite().all(), "expected points and a start of finite numbers, got NaN or infinity")
    number(tolerance, "a tolerance ≥ 0", 0)
    span = (z.amax(0) - z.amin(0)).max() if len(z) else z.new_zeros(())
    near = max(tolerance, 20 * torch.finfo(z.dtype).eps) * float(span + z.abs().max() if len(z) else 0)
    rest = transform(w, x) - z
    for _ in range(iterations):
        far = ~(rest.norm(dim=1) <= near)  # also for NaN
        if not far.any():
            return x
        at, old = x[far], rest[far]
        F = gradients(transform, w, at).movedim(-1, 0)
        step, failed = torch.linalg.solve_ex(F, old[:, :, None])
        step = torch.where((failed == 0)[:, None], step[:, :, 0], old)  # singular: as by fixed point
        t = torch.ones_like(at[:, :1])
        for _ in range(12):
            new = transform(w, at - t * step) - z[far]
            worse = ~(new.norm(dim=1) < old.norm(dim=1))
            if not worse.any():
                break
            t[worse] /= 2
        x[far], rest[far] = at - t * step, new
    left = int((~(rest.norm(dim=1) <= near)).sum())
    require(left == 0, f"expected a map that can be inverted, got none at {left} of {len(z)} points")
    return x


def landmark_errors(transform: Transform, w: Tensor, reference: Tensor, template: Tensor) -> Tensor:
    """How far landmarks are missed: ‖y(xᵢ; w) − zᵢ‖ for points xᵢ of the reference and zᵢ of the template.

    Landmarks take no part in the registration: they say whether the map is right where a person looked.

    Args:
        transform: the transformation.
        w (p,): its parameters.
        reference (n, d, in the unit of the grid): the points xᵢ.
        template (n, d, in the same unit): where they belong.

    Returns:
        The distances (n,).

    Raises:
        ValueError: for points of different number or dimension.

    Example:
        >>> from regkit.transforms import Translation
        >>> points = torch.tensor([[1.0, 1.0], [2.0, 5.0]])
        >>> landmark_errors(Translation(), torch.tensor([3.0, 4.0]), points, points)
        tensor([5., 5.])
    """
    reference = points_tensor(reference, transform.dim)
    template = points_tensor(template, transform.dim, reference)
    shape = tuple(template.shape)
    require(reference.shape == shape, f"expected landmarks of shape {tuple(reference.shape)}, got {shape}")
    return (transform(w, reference) - template).norm(dim=1)
