"""What all checkers share."""

import numpy as np
import torch


class Wrong(AssertionError):
    """An answer that is not right yet; the message says what seems to be the matter."""


def wrong(message: str):
    """Stop, with a message for the reader."""
    raise Wrong(message)


def close(given, right, tolerance: float = 1e-8) -> bool:
    """Do all numbers agree, up to ``tolerance`` times the largest of ``right``? False where shapes differ."""
    given, right = (
        (
            numbers if isinstance(numbers, torch.Tensor) else torch.from_numpy(np.array(numbers, dtype=float))
        ).double()
        for numbers in (given, right)
    )
    if given.shape != right.shape:
        return False
    return bool((given - right).abs().max() <= tolerance * right.abs().max().clamp(min=1.0))
