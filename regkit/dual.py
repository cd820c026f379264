"""A whole Jacobian at a time, and derivatives of linear maps that are given as plain functions.

``Dual`` carries a value and p tangents as the columns of one matrix. torch.func does the same for
any program. Here one product with A serves all tangents, and the many small steps of conjugate
gradients cost a third.

``apply_linear`` is for what AD cannot look into, such as a sparse matrix or a whole solver. A
program made of torch operations needs neither.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch

from regkit._require import require
from regkit._twice import Once, once
from regkit.operators import Map


@dataclass(frozen=True, eq=False, repr=False)
class Dual:
    """A vector (n,) or a number (), with its tangents.

    Args:
        value (n,) or (): what the program computes.
        tangents (n, p) or (p,): its derivative in p variables.

    Example:
        >>> w = Dual.variables(torch.tensor([2.0, 3.0]))
        >>> w @ w
        Dual of shape () with 2 tangents
        >>> (w @ w).tangents
        tensor([4., 6.])
    """

    value: torch.Tensor
    tangents: torch.Tensor

    @classmethod
    def variables(cls, w: torch.Tensor) -> Dual:
        """w (p,) as the variables, ẇ = I: ``f(Dual.variables(w)).tangents`` is the Jacobian of f."""
        return cls(w, torch.eye(len(w), dtype=w.dtype, device=w.device))

    @property
    def shape(self) -> torch.Size:
        """Shape of the value."""
        return self.value.shape

    @property
    def ndim(self) -> int:
        """Dimensions of the value."""
        return self.value.ndim

    def detach(self) -> torch.Tensor:
        """The value alone."""
        return self.value

    def __repr__(self) -> str:
        return f"Dual of shape {tuple(self.shape)} with {self.tangents.shape[-1]} tangents"

    def __add__(self, other: Dual | torch.Tensor | float) -> Dual:
        if isinstance(other, Dual):
            return Dual(self.value + other.value, self.tangents + other.tangents)
        return Dual(self.value + other, self.tangents)

    def __mul__(self, other: Dual | torch.Tensor | float) -> Dual:
        if isinstance(other, Dual):
            tangents = _wide(self.value) * other.tangents + _wide(other.value) * self.tangents
            return Dual(self.value * other.value, tangents)
        return Dual(self.value * other, self.tangents * _wide(other))

    def __matmul__(self, other: Dual | torch.Tensor | float) -> Dual:
        if isinstance(other, Dual):
            tangents = self.value @ other.tangents + other.value @ self.tangents
            return Dual(self.value @ other.value, tangents)
        return Dual(self.value @ other, other @ self.tangents)

    def __rtruediv__(self, other: Dual | torch.Tensor | float) -> Dual:
        ratio = other / self.value
        return Dual(ratio, -_wide(ratio / self.value) * self.tangents)

    def __truediv__(self, other: Dual | torch.Tensor | float) -> Dual:
        if not isinstance(other, Dual):
            return self * (1 / other)
        ratio = self.value / other.value  # (ȧ − (a/b) ḃ)/b: b² would underflow where residuals are tiny
        return Dual(ratio, (self.tangents - _wide(ratio) * other.tangents) / _wide(other.value))

    def __neg__(self) -> Dual:
        return self * -1.0

    def __sub__(self, other: Dual | torch.Tensor | float) -> Dual:
        return self + (-other)

    def __rsub__(self, other: Dual | torch.Tensor | float) -> Dual:
        return -self + other

    def __rmatmul__(self, other: Dual | torch.Tensor | float) -> Dual:
        return Dual(other @ self.value, other @ self.tangents)

    __radd__, __rmul__ = __add__, __mul__


def _wide(a: torch.Tensor | float) -> torch.Tensor | float:
    """One dimension more, for the tangents."""
    return a[..., None] if isinstance(a, torch.Tensor) else a


class _Linear(torch.autograd.Function):
    """y = A(w) x. A linear map is its own derivative in x; for w the caller gives D(x) = ∂(A x)/∂w, (m, p):

        forward mode   ẏ = A ẋ + D(x) ẇ          reverse mode   x̄ = Aᵀ ȳ,   w̄ = D(x)ᵀ ȳ

    and under ``vmap`` the batch becomes the columns of one call: if A is a solver, one batched solve.
    """

    @staticmethod
    def forward(x: torch.Tensor, w: torch.Tensor | None, A: Map, At: Map, D: Map | None) -> torch.Tensor:
        """A x."""
        return A(x)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple, output: torch.Tensor) -> None:
        """Keep x and the maps."""
        x, w, *ctx.maps = inputs
        ctx.save_for_backward(x, w)
        ctx.save_for_forward(x, w)
        ctx.set_materialize_grads(False)

    @staticmethod
    def _slope(ctx: Any) -> torch.Tensor:
        x, w = ctx.saved_tensors
        require(x.ndim == 1, f"expected a vector x for a derivative in w, got columns, {tuple(x.shape)}")
        return Once.apply(_Linear.apply(x.detach(), None, ctx.maps[2], None, None), x, w)

    @staticmethod
    def jvp(ctx: Any, x_dot: torch.Tensor | None, w_dot: torch.Tensor | None, *_) -> torch.Tensor:
        """A ẋ + D(x) ẇ."""
        A, At, D = ctx.maps
        parts = [] if x_dot is None else [once(_Linear.apply(x_dot, None, A, At, None), D, ctx)]
        parts += [] if w_dot is None or D is None else [_Linear._slope(ctx) @ w_dot]
        return parts[0] if len(parts) == 1 else parts[0] + parts[1]

    @staticmethod
    def backward(ctx: Any, y_bar: torch.Tensor) -> tuple:
        """Aᵀ ȳ and D(x)ᵀ ȳ."""
        (A, At, D), (for_x, for_w, *_) = ctx.maps, ctx.needs_input_grad
        x_bar = once(_Linear.apply(y_bar, None, At, A, None), D, ctx) if for_x else None
        w_bar = _Linear._slope(ctx).T @ y_bar if for_w and D is not None else None
        return x_bar, w_bar, None, None, None

    @staticmethod
    def vmap(info: Any, in_dims: tuple, x: torch.Tensor, w: torch.Tensor | None, *maps) -> tuple:
        """A of all columns."""
        require(in_dims[1] is None, "expected one w for the whole batch: A(w) was built for one w")
        columns = x.movedim(in_dims[0], -1)  # (n, batch), or (n, k, batch) if x had columns already
        y = _Linear.apply(columns.flatten(1), w, *maps)
        return y.unflatten(1, columns.shape[1:]), columns.ndim - 1


def apply_linear(
    x: torch.Tensor | Dual,
    A: Map,
    At: Map,
    w: torch.Tensor | Dual | None = None,
    D: Map | None = None,
) -> torch.Tensor | Dual:
    """A(w) x by plain functions, differentiable in x and w: by torch.func, or if they are ``Dual``.

    Where A depends on w there is one derivative; a second one is refused.

    Args:
        x (n,) or (n, k): a tensor or a ``Dual``.
        A: (n,) ↦ (m,) and (n, k) ↦ (m, k), at the present w.
        At: its adjoint.
        w (p,): a tensor or a ``Dual``; None if A does not depend on any.
        D: x (n,) ↦ ∂(A(w) x)/∂w (m, p), at the present w.

    Returns:
        A(w) x, a ``Dual`` if x or w is one.

    Raises:
        ValueError: when a derivative in w is differentiated again.

    Example:
        >>> M = torch.tensor([[1.0, 2.0], [3.0, 4.0]])
        >>> torch.func.jacfwd(lambda x: apply_linear(x, M.matmul, M.T.matmul))(torch.ones(2))
        tensor([[1., 2.],
                [3., 4.]])
    """
    if not isinstance(x, Dual) and not isinstance(w, Dual):
        return _Linear.apply(x, w, A, At, D)
    slopes = [A(x.tangents)] if isinstance(x, Dual) else []
    slopes += [D(x.detach()) @ w.tangents] if isinstance(w, Dual) and D is not None else []
    return Dual(A(x.detach()), sum(slopes[1:], start=slopes[0])) if slopes else A(x)
