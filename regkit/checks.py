"""Two tests that every derivative and every adjoint in this book must pass."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch

from regkit._require import require


@dataclass(frozen=True)
class TaylorResult:
    """What ``taylor_test`` measured.

    steps: (k,) the step lengths h. errors: (order + 1, k), row q the norm of the remainder after the Taylor
    term of order q. slopes: (order + 1,), the exponent with which each remainder falls; q + 1 is right.
    ``inf`` means that the remainder is at rounding level already, so the expansion is exact; NaN that there
    are no numbers to judge.
    """

    steps: torch.Tensor
    errors: torch.Tensor
    slopes: torch.Tensor

    def passes(self, tolerance: float = 0.15) -> bool:
        """True if every slope is at least q + 1 − tolerance."""
        expected = torch.arange(1, len(self.slopes) + 1, dtype=self.slopes.dtype)
        return bool((self.slopes >= expected - tolerance).all())


def taylor_test(
    f: Callable[[torch.Tensor], torch.Tensor],
    x: torch.Tensor,
    direction: torch.Tensor | None = None,
    *,
    order: int = 1,
    first: torch.Tensor | None = None,
    second: torch.Tensor | None = None,
    steps: torch.Tensor | None = None,
    seed: int = 0,
) -> TaylorResult:
    """Does the remainder fall as it must?  E_q(h) = ‖f(x + hv) − Σ_{j≤q} hʲ/j! Dʲf(x)[v, …, v]‖ = O(h^{q+1}).

    f: any function of a tensor x; v: ``direction``, or a random unit vector made from ``seed``.
    ``first`` is Df(x)[v] and ``second`` is D²f(x)[v, v]; whichever is not given is computed by torch.func
    (the second, forward over reverse, for scalar f only). Give your own to test your own derivative.

    Errors: ValueError for order other than 1 or 2, or a second derivative asked of a vector-valued f.
    Source: Griewank & Walther (2008), https://doi.org/10.1137/1.9780898717761.
    """
    require(order in (1, 2), f"expected order 1 or 2, got {order}")
    if direction is None:
        generator = torch.Generator().manual_seed(seed)
        direction = torch.randn(x.shape, dtype=x.dtype, generator=generator).to(x.device)
        direction = direction / direction.norm()
    steps = torch.logspace(0, -7, 22, dtype=x.dtype) if steps is None else torch.as_tensor(steps)
    value = f(x)
    terms = [torch.func.jvp(f, (x,), (direction,))[1] if first is None else first]
    if order == 2 and second is None:
        shape = tuple(value.shape)
        require(value.numel() == 1, f"expected a scalar function for order 2, got a value of shape {shape}")
        gradient = torch.func.grad(lambda z: f(z).sum())
        second = (torch.func.jvp(gradient, (x,), (direction,))[1] * direction).sum()
    if order == 2:
        terms.append(second / 2)

    errors = torch.empty(order + 1, len(steps), dtype=torch.float64)
    floors = torch.empty(len(steps), dtype=torch.float64)
    for k, h in enumerate(steps.tolist()):
        moved = f(x + h * direction)
        remainder = moved - value
        errors[0, k] = remainder.norm()
        floors[k] = 100 * torch.finfo(x.dtype).eps * (moved.norm() + value.norm())
        for q, term in enumerate(terms, start=1):
            remainder = remainder - h**q * term
            errors[q, k] = remainder.norm()
    slopes = [_slope(steps, error, error > floors) for error in errors]
    return TaylorResult(steps, errors, torch.tensor(slopes))


def _slope(steps: torch.Tensor, error: torch.Tensor, usable: torch.Tensor) -> float:
    """Median slope of log error over log h, over the smaller half of the steps that are above rounding."""
    rows = usable.nonzero().flatten()
    if error.isfinite().sum() < 3:
        return float("nan")
    if len(rows) < 3:
        return float("inf")
    rows = rows[-max(3, (len(rows) + 1) // 2) :]
    h, e = steps[rows].log().to(error.dtype), error[rows].log()
    return float((e.diff() / h.diff()).median())


def adjoint_test(
    forward: Callable[[torch.Tensor], torch.Tensor],
    adjoint: Callable[[torch.Tensor], torch.Tensor],
    x: torch.Tensor,
    seed: int = 0,
) -> float:
    """Relative mismatch |⟨Ax, y⟩ − ⟨x, Aᵀy⟩| / (‖Ax‖ ‖y‖) for random x and y; about 1e-16 if Aᵀ is right.

    forward: x ↦ Ax; adjoint: y ↦ Aᵀy; ``x`` only lends its shape, dtype and device.
    Errors: ValueError if the adjoint returns another shape than x has.
    """
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(x.shape, dtype=x.dtype, generator=generator).to(x.device)
    image = forward(x)
    y = torch.randn(image.shape, dtype=image.dtype, generator=generator).to(x.device)
    back = adjoint(y)
    shapes = tuple(x.shape), tuple(back.shape)
    require(shapes[0] == shapes[1], f"expected the adjoint to return shape {shapes[0]}, got {shapes[1]}")
    return float(((image * y).sum() - (x * back).sum()).abs() / (image.norm() * y.norm()))
