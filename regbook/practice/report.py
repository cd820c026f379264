"""What all checkers share."""

from __future__ import annotations

import re
import textwrap
import traceback
from collections.abc import Callable
from functools import wraps

import numpy as np
import torch


class Wrong(AssertionError):
    """An answer that is not right yet; the message says what seems to be the matter."""

    def _render_traceback_(self) -> list[str]:
        """In Jupyter the message alone: the lines of the checker tell the reader nothing."""
        return [sentence(str(self))]


class NotDone(Exception):
    """The reader's function has returned nothing yet."""


class Verdict(str):
    """What a checker says; Jupyter shows it without quotation marks, in lines that fit the page."""

    def __repr__(self) -> str:
        return "\n".join(textwrap.fill(line, 76) for line in self.splitlines())


def wrong(message: str):
    """Stop, with a message for the reader."""
    raise Wrong(message)


def sentence(message: str) -> str:
    """The message with a capital, unless it begins with a formula or a name of the code."""
    return message[:1].upper() + message[1:] if re.match(r"[a-z]{2,}[ ,:']", message) else message


def exercise(check: Callable[..., str]) -> Callable[..., Verdict]:
    """A checker that says "9.2: not done yet." while an answer is ``...``, or a function without a result.

    The number is that in the name of the checker, ``check_9_2``, or ``check_a1_2`` for A1.2.
    """
    number = ".".join(check.__name__.split("_")[1:]).upper()

    @wraps(check)
    def checked(*answers, **named) -> Verdict:
        try:
            return Verdict(check(*map(_asked, answers), **{name: _asked(a) for name, a in named.items()}))
        except NotDone:
            return Verdict(f"{number}: not done yet.")
        except Wrong:
            raise
        except Exception as error:
            if found := _found_in_the_answer(error):
                error._render_traceback_ = lambda: found  # what Jupyter shows
            raise

    return checked


def _found_in_the_answer(error: Exception) -> list[str]:
    """For an error that the reader's function raises: what, and where in it; else nothing."""
    frames = traceback.extract_tb(error.__traceback__)
    called = [k for k, f in enumerate(frames) if (f.filename, f.name) == (__file__, "function")]
    if not called:
        return []
    inside = frames[called[-1] + 1 :]
    own = [f for f in inside if f.filename == inside[0].filename]
    where = f" in line {own[-1].lineno}" if own else ""
    message = f"Your function raises {type(error).__name__}{where}: {error}"
    return [message, *(f"    {f.line}" for f in own[-1:] if f.line)]


def _asked(answer):
    """The answer; if it is a function, one that stops where the reader has written none."""
    if answer is None or answer is ...:
        raise NotDone
    if not callable(answer):
        return answer
    began = False

    @wraps(answer)
    def function(*arguments, **named):
        nonlocal began
        result = answer(*arguments, **named)
        if not began and (result is None or result is ...):
            raise NotDone
        began = True  # from here on None is an answer, and the checker's to judge
        return result

    return function


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
