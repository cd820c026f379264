"""One place for the question "is this input usable?", which must also work under torch.func."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Iterable

import numpy as np
import torch


def require(condition: bool | torch.Tensor, message: str | Callable[[], str]) -> None:
    """Raise ValueError(message) unless ``condition`` holds.

    A function that makes the message is for one with the numbers of a tensor, which not every
    PyTorch gives out under ``torch.func``. Under ``vmap`` a tensor has no single truth value; then
    the check is left to the caller, who is outside of it.
    """
    try:
        holds = bool(condition)
    except RuntimeError:
        return
    if not holds:
        raise ValueError(message if isinstance(message, str) else message())


def require_words(**names: tuple[str, Iterable[str]]) -> None:
    """Raise ValueError unless each word is one of those that are known, given as name=(word, known)."""
    for name, (word, known) in names.items():
        known = [f'"{each}"' for each in known]
        require(f'"{word}"' in known, f"expected {name} {' or '.join(known)}, got {word!r}")


def number(
    value: object,
    expected: str,
    low: float = -sys.float_info.max,
    high: float = sys.float_info.max,
    got: object = None,
) -> float:
    """``value`` as a number from ``low`` to ``high``, or a ValueError that says what was ``expected``.

    ``got`` is what the message shows, if not the value.
    """
    try:
        found = math.nan if isinstance(value, str | bytes) else float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError, RuntimeError, OverflowError):
        found = math.nan
    require(low <= found <= high, lambda: f"expected {expected}, got {value if got is None else got!r}")
    return found


def whole(value: object, expected: str, low: int = 1, got: object = None) -> int:
    """``value`` as a whole number of at least ``low``, whatever holds it: 3, 3.0, a number of NumPy's."""
    found = number(value, expected, low, got=got)
    require(found.is_integer(), lambda: f"expected {expected}, got {value if got is None else got!r}")
    return int(found)


def tolerances(**given: object) -> None:
    """A ValueError unless all are numbers of at least 0; without end where everything is near enough."""
    for name, value in given.items():
        number(value, f"tolerances ≥ 0, {name} among them", 0, math.inf)


def function(value: object, words: str) -> None:
    """A ValueError unless this can be called, or is None."""
    require(value is None or callable(value), lambda: f"expected {words}, or None, got {value!r}")


def positive(values: object, count: int, name: str) -> tuple[float, ...]:
    """So many numbers above zero, from whatever can be gone through."""
    given = tuple(values) if hasattr(type(values), "__iter__") else (values,)  # type: ignore[arg-type]
    require(len(given) == count, f"expected {count} positive {name}, got {given}")
    return tuple(number(each, f"{count} positive {name}", 1e-300, got=given) for each in given)


def scale(theta: object) -> None:
    """A ValueError unless this is one θ ≥ 0: a number, or a tensor, as inside torch.func."""
    if isinstance(theta, torch.Tensor):
        fits = theta.numel() == 1 and not theta.is_complex() and (theta >= 0) & theta.isfinite()
        require(fits, lambda: f"expected a smoothing parameter θ ≥ 0, got {theta!s}")
    else:
        number(theta, "a smoothing parameter θ ≥ 0", 0)


def constant(outside: object) -> None:
    """A ValueError unless this is one value beyond a box: a number, or a tensor, as inside torch.func."""
    if isinstance(outside, torch.Tensor):
        require(outside.ndim == 0, lambda: f"expected outside as one number, got {outside!s}")
    else:
        number(outside, "outside as a finite number")


def flat(w: object) -> torch.Tensor:
    """``w`` itself, if it is a vector of parameters that an optimiser can start from."""
    usable = isinstance(w, torch.Tensor) and w.ndim == 1 and w.is_floating_point()
    require(usable, f"expected a flat floating-point tensor of parameters, got {w!r}")
    return floating(w, "tensor of parameters")


def tensor(value: object, name: str) -> torch.Tensor:
    """``value`` as a tensor: one stays as it is; arrays, images of PIL and lists get NumPy's type."""
    if isinstance(value, torch.Tensor):
        plain = value.layout == torch.strided and not value.is_quantized
        require(plain, f"expected {name} with all its values, got {value.layout} of {value.dtype}")
        return value
    masked = isinstance(value, np.ma.MaskedArray) and np.ma.is_masked(value)
    require(
        not masked, f"expected {name} without masked cells, got some: fill them, and mask them by weights"
    )
    try:
        array = np.asarray(value)
        array = array.astype(float) if array.dtype == np.longdouble else array
        # torch knows neither another order of bytes nor steps backwards, such as those of a flipped image
        return torch.from_numpy(array.astype(array.dtype.newbyteorder("="), order="C"))
    except (TypeError, ValueError, RuntimeError):
        kind = type(value).__name__
    raise ValueError(f"expected {name} as a tensor, an array or a list of numbers, got {kind}")


def real_tensor(value: object, name: str, like: torch.Tensor) -> torch.Tensor:
    """``value`` as a tensor of the floating-point type of ``like``, and where that is."""
    value = tensor(value, name)
    require(not value.is_complex(), f"expected {name} of real numbers, got {value.dtype}")
    lost = value.is_meta and not like.is_meta
    require(not lost, f"expected {name} with all its values, got a tensor on the device meta")
    return value.to(device=like.device, dtype=like.dtype)


def image_tensor(image: object, finite: bool = True) -> torch.Tensor:
    """``image`` as a floating-point tensor with 1 to 3 dimensions, checked."""
    image = floating(tensor(image, "an image"), "image")
    require(
        1 <= image.ndim <= 3 and image.numel() > 0,
        f"expected an image with 1 to 3 dimensions and at least one cell, got shape {tuple(image.shape)}",
    )
    usable = not finite or image.isfinite().all()
    require(usable, "expected an image of finite numbers, got NaN or infinity in it")
    return image


def floating(value: torch.Tensor, name: str) -> torch.Tensor:
    """``value`` itself, if it has single or double precision: half a precision has no solvers."""
    require(
        value.is_floating_point(),
        f"expected a floating-point {name}, got {value.dtype}: convert it with {name}.double()",
    )
    enough = torch.finfo(value.dtype).bits >= 32
    require(enough, f"expected a {name} of 32 or 64 bits, got {value.dtype}: convert it with {name}.float()")
    return value


def floats(value: object, name: str) -> torch.Tensor:
    """``value`` as a tensor of single or double precision, whatever holds it."""
    return floating(tensor(value, name), name)


def parameters(w: object, count: int, like: torch.Tensor | None = None) -> torch.Tensor:
    """``w`` as so many parameters; if they are not numbers as ``like`` has them, converted to these."""
    w = tensor(w, "parameters")
    require(tuple(w.shape) == (count,), f"expected parameters of shape ({count},), got {tuple(w.shape)}")
    if like is None and w.is_floating_point() and torch.finfo(w.dtype).bits >= 32:
        return w
    return real_tensor(w, "parameters", torch.empty(0, dtype=torch.float64) if like is None else like)


def points_tensor(x: object, dim: int, like: torch.Tensor | None = None) -> torch.Tensor:
    """``x`` as n points in d dimensions; whole or short numbers get the type of ``like``, or float64."""
    x = tensor(x, "points")
    require(
        x.ndim == 2 and x.shape[-1] == dim,
        f"expected points of shape (n, {dim}), got {tuple(x.shape)}",
    )
    if x.is_floating_point() and torch.finfo(x.dtype).bits >= 32:
        return x
    return real_tensor(x, "points", torch.empty(0, dtype=torch.float64) if like is None else like)
