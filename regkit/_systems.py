"""Linear systems, checked: what the caller of a solver brings, and whether the solver has done its work."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

from regkit._require import real_tensor, require
from regkit.operators import Map, Operator

if TYPE_CHECKING:
    from regkit.linear import Solution, Solver


def values(b: torch.Tensor) -> torch.Tensor:
    """b without its derivatives, after a look at what it is; it may be a ``dual.Dual``."""
    kind = type(b).__name__
    require(hasattr(b, "detach"), f"expected b as a tensor, got {kind}: convert it with torch.as_tensor(b)")
    found, real = b.detach(), b.detach().is_floating_point()
    require(real, f"expected a floating-point right-hand side b, got {found.dtype}: real, with b.double()")
    fits = found.ndim in (1, 2) and found.layout == torch.strided
    require(fits, f"expected b of shape (n,) or (n, k), got {tuple(found.shape)}, {found.layout}")
    return found


def applied(A: Map | Operator | torch.Tensor, n: int) -> Map:
    """A as a function of x (n,); a matrix, or anything with values, is no function."""
    if isinstance(A, Operator):
        require(A.shape == (n, n), f"expected A of shape {(n, n)}, as b has {n} rows, got {A.shape}")
        return A.forward
    message = "expected A as a function x ↦ A x or an Operator, such as operators.Matrix(A)"
    require(callable(A) and not isinstance(A, torch.Tensor), lambda: f"{message}, got {type(A).__name__}")
    return A


def start_of(b: torch.Tensor, x0: torch.Tensor | None) -> torch.Tensor | None:
    """The start after a look at it, and zero in columns where b = 0: there the solution is known."""
    if x0 is None:
        return None
    x0 = x0 if hasattr(x0, "detach") and not isinstance(x0, torch.Tensor) else real_tensor(x0, "a start", b)
    require(x0.shape == b.shape, f"expected a start of shape {tuple(b.shape)}, got {tuple(x0.shape)}")
    require(x0.detach().isfinite().all(), "expected a start of finite numbers, got NaN or infinity in it")
    return x0 * (b != 0).any(0)


def symmetric(matrix: torch.Tensor, n: int) -> torch.Tensor:
    """A matrix (n, n) itself; a factorisation would not see that it is askew, and solve another system."""
    require(matrix.shape == (n, n), f"expected A of shape {(n, n)}, got {tuple(matrix.shape)}")
    askew = (matrix - matrix.T).abs().max() > 1e3 * torch.finfo(matrix.dtype).eps * matrix.abs().max()
    require(~askew, "expected a symmetric matrix to factorise, got one that is not")
    return matrix


def missed(A: Map, b: Any, x: Any, start: torch.Tensor, steep: torch.Tensor, target: torch.Tensor) -> bool:
    """Whether ‖b − A x‖ is above ten times the target, although the residual of the recurrence is not.

    Where ε ‖A‖ ‖x‖ is small enough that needs no product with A. ``steep`` stands for ‖A‖.
    """
    size = torch.linalg.vector_norm(torch.stack([x.detach(), start]), dim=1).amax(0)
    try:
        if not (torch.finfo(target.dtype).eps * steep * size > 0.1 * target).any():
            return False
        rest = torch.linalg.vector_norm((b - A(x)).detach(), dim=0)
        return bool((rest > 10 * target).any())
    except RuntimeError:  # under vmap a tensor has no single truth value
        return False


def left(found: Solution) -> float:
    """The share of the residual that a solver that has not converged has left; 0 if it has."""
    if found.converged or found.iterations == 0:
        return 0.0
    try:
        return float((found.residuals[-1] / found.residuals[0].clamp(min=1e-300)).max())
    except RuntimeError:  # under vmap
        return 0.0


def solved(found: Solution, solver: Solver, name: str) -> torch.Tensor:
    """x, if there was no breakdown, and no residual is left although nobody limited the iterations."""
    require(found.status != "breakdown", f"{name}: {found.message}")
    if getattr(solver, "maxiter", 0) is None:
        near = left(found) <= max(1e-3, 10 * getattr(solver, "rtol", 0.0))
        require(near, f"expected a {name} with a solution, got none: is A singular, or not symmetric?")
    return found.x
