"""What all checkers share."""

import torch


class Wrong(AssertionError):
    """An answer that is not right yet; the message says what seems to be the matter."""


def wrong(message: str):
    """Stop, with a message for the reader."""
    raise Wrong(message)


def close(given, right, tolerance: float = 1e-8) -> bool:
    """Do all numbers agree, up to ``tolerance`` times the largest of ``right``? False where shapes differ."""
    given, right = torch.as_tensor(given, dtype=torch.float64), torch.as_tensor(right, dtype=torch.float64)
    if given.shape != right.shape:
        return False
    return bool((given - right).abs().max() <= tolerance * right.abs().max().clamp(min=1.0))
