"""One place for the question "is this input usable?", which must also work under torch.func."""

from __future__ import annotations

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


def tensor(value: object, name: str) -> torch.Tensor:
    """``value`` as a tensor: one stays as it is; arrays, images of PIL and lists get NumPy's type."""
    if isinstance(value, torch.Tensor):
        return value
    try:
        array = np.asarray(value)
        # torch knows neither another order of bytes nor steps backwards, such as those of a flipped image
        return torch.from_numpy(array.astype(array.dtype.newbyteorder("="), order="C"))
    except (TypeError, ValueError, RuntimeError):
        kind = type(value).__name__
    raise ValueError(f"expected {name} as a tensor, an array or a list of numbers, got {kind}")


def real_tensor(value: object, name: str, like: torch.Tensor) -> torch.Tensor:
    """``value`` as a tensor of the floating-point type of ``like``, and where that is."""
    value = tensor(value, name)
    require(not value.is_complex(), f"expected {name} of real numbers, got {value.dtype}")
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


def points_tensor(x: object, dim: int, like: torch.Tensor | None = None) -> torch.Tensor:
    """``x`` as n points in d dimensions; whole numbers get the type of ``like``, or double precision."""
    x = tensor(x, "points")
    require(
        x.ndim == 2 and x.shape[-1] == dim,
        f"expected points of shape (n, {dim}), got {tuple(x.shape)}",
    )
    if x.is_floating_point():
        return x
    return real_tensor(x, "points", torch.empty(0, dtype=torch.float64) if like is None else like)
