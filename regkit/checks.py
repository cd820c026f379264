"""Two tests that every derivative and every adjoint in this book must pass."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch

from regkit._require import floats, real_tensor, require


@dataclass(frozen=True, eq=False)
class TaylorResult:
    """What ``taylor_test`` measured.

    A slope of ``inf`` means that the remainder is at rounding level already, so the expansion is
    exact; NaN that there are no numbers to judge.

    Args:
        steps (k,): the step lengths h.
        errors (order + 1, k): row q is the norm of the remainder after the Taylor term of order q.
        slopes (order + 1,): the exponent with which each remainder falls; q + 1 is right.
    """

    steps: torch.Tensor
    errors: torch.Tensor
    slopes: torch.Tensor

    def passes(self, tolerance: float = 0.15) -> bool:
        """True if every slope is at least q + 1 − tolerance.

        Args:
            tolerance: how far a slope may stay below the exponent that theory promises.
        """
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
    """Does the remainder of the Taylor expansion fall as it must?

    For a unit vector v the remainder after the term of order q is

        E_q(h) = ‖f(x + hv) − Σ_{j≤q} hʲ/j! Dʲf(x)[v, …, v]‖ = O(h^{q+1}).

    Derivatives that are not given are computed by torch.func. Give your own to test your own.

    Args:
        f: the function to test, of one tensor.
        x (any shape): where the derivatives are taken.
        direction (as x): the direction v; if None a random unit vector.
        order: the highest derivative that is tested, 1 or 2.
        first (as f(x)): your value of Df(x)[v].
        second (as f(x)): your value of D²f(x)[v, v]; it may be left out for scalar f only.
        steps (k,): the step lengths h, falling; 22 from 1 to 10⁻⁷ if None.
        seed: makes the random direction.

    Returns:
        The remainders, and the exponents with which they fall.

    Raises:
        ValueError: for another order, or a second derivative asked of a vector-valued f.

    Example:
        >>> x = torch.tensor([1.0, 2.0], dtype=torch.float64)
        >>> result = taylor_test(lambda x: x.prod() ** 3, x, order=2)
        >>> [round(slope) for slope in result.slopes.tolist()]
        [1, 2, 3]
        >>> wrong = torch.tensor(0.1, dtype=torch.float64)
        >>> taylor_test(lambda x: x.prod() ** 3, x, first=wrong).passes()
        False

    Source:
        Griewank & Walther (2008), https://doi.org/10.1137/1.9780898717761
    """
    require(isinstance(order, int) and order in (1, 2), f"expected order 1 or 2, got {order!r}")
    x = floats(x, "x").detach()
    if direction is None:
        generator = torch.Generator().manual_seed(seed)
        direction = torch.randn(x.shape, dtype=x.dtype, generator=generator).to(x.device)
        direction = direction / direction.norm()
    direction, shape = real_tensor(direction, "a direction", x), tuple(x.shape)
    fits = direction.shape == x.shape and direction.isfinite().all() and (direction != 0).any()
    require(
        fits or not x.numel(), lambda: f"expected a direction of shape {shape}, not zero, got {direction}"
    )
    steps = torch.logspace(0, -7, 22, dtype=x.dtype) if steps is None else torch.as_tensor(steps)
    usable = steps.isfinite() & (steps > 0)
    require(usable.all(), lambda: f"expected step lengths above 0, got {steps.tolist()}")
    value = f(x)
    terms = [
        torch.func.jvp(f, (x,), (direction,))[1] if first is None else _derivative(first, "first", value)
    ]
    if order == 2:
        if second is None:
            shape = tuple(value.shape)
            scalar = value.numel() == 1
            require(scalar, f"expected a scalar function for order 2, got a value of shape {shape}")
            gradient = torch.func.grad(lambda z: f(z).sum())
            second = (torch.func.jvp(gradient, (x,), (direction,))[1] * direction).sum()
        terms.append(_derivative(second, "second", value) / 2)

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


def _derivative(given: object, name: str, value: torch.Tensor) -> torch.Tensor:
    """A derivative of the shape of the value: one of another shape would be spread over it in silence."""
    given, shape = real_tensor(given, name, value), tuple(value.shape)
    fits = given.numel() == value.numel()
    require(fits, f"expected {name} of shape {shape}, as f(x), got {tuple(given.shape)}")
    return given.reshape(shape)


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
    """Do a linear map and its adjoint belong together?

    Args:
        forward: the map x ↦ Ax.
        adjoint: the map y ↦ Aᵀy.
        x (any shape): lends its shape, dtype and device; its values are not used.
        seed: makes the random x and y of the test.

    Returns:
        The relative mismatch |⟨Ax, y⟩ − ⟨x, Aᵀy⟩| / (‖Ax‖ ‖y‖), about 1e-16 if Aᵀ is right.

    Raises:
        ValueError: if the adjoint returns another shape than x has.

    Example:
        >>> A = torch.tensor([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]], dtype=torch.float64)
        >>> adjoint_test(lambda x: A @ x, lambda y: A.T @ y, torch.zeros(2).double()) < 1e-14
        True
    """
    generator, x = torch.Generator().manual_seed(seed), floats(x, "x")
    x = torch.randn(x.shape, dtype=x.dtype, generator=generator).to(x.device)
    image = forward(x)
    y = torch.randn(image.shape, dtype=image.dtype, generator=generator).to(x.device)
    back = adjoint(y)
    shapes = tuple(x.shape), tuple(back.shape)
    require(shapes[0] == shapes[1], f"expected the adjoint to return shape {shapes[0]}, got {shapes[1]}")
    mismatch, size = ((image * y).sum() - (x * back).sum()).abs(), image.norm() * y.norm()
    return float(mismatch / size) if mismatch != 0 else 0.0  # of a map that is zero as well
