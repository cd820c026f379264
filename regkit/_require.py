"""One place for the question "is this input usable?", which must also work under torch.func."""

from __future__ import annotations

from collections.abc import Iterable

import torch


def require(condition: bool | torch.Tensor, message: str) -> None:
    """Raise ValueError(message) unless ``condition`` holds.

    Under ``vmap`` a tensor has no single truth value; then the check is left to the caller, who is
    outside of it.
    """
    try:
        holds = bool(condition)
    except RuntimeError:
        return
    if not holds:
        raise ValueError(message)


def require_words(**names: tuple[str, Iterable[str]]) -> None:
    """Raise ValueError unless each word is one of those that are known, given as name=(word, known)."""
    for name, (word, known) in names.items():
        known = [f'"{each}"' for each in known]
        require(f'"{word}"' in known, f"expected {name} {' or '.join(known)}, got {word!r}")


def image_tensor(image: object) -> torch.Tensor:
    """``image`` as a floating-point tensor with 1 to 3 dimensions, checked."""
    image = torch.as_tensor(image)
    require(
        image.is_floating_point(),
        f"expected a floating-point image, got {image.dtype}: convert it with image.double()",
    )
    require(
        1 <= image.ndim <= 3 and image.numel() > 0,
        f"expected an image with 1 to 3 dimensions and at least one cell, got shape {tuple(image.shape)}",
    )
    require(image.isfinite().all(), "expected an image of finite numbers, got NaN or infinity in it")
    return image


def points_tensor(x: torch.Tensor, dim: int) -> torch.Tensor:
    """``x`` itself, after checking that it is a list of n points in d dimensions."""
    require(
        isinstance(x, torch.Tensor) and x.ndim == 2 and x.shape[-1] == dim,
        f"expected points of shape (n, {dim}), got {tuple(getattr(x, 'shape', ()))}",
    )
    return x
