"""What a call of ``register`` has to do with its process: the number of threads, a line on the terminal."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from regkit.register import Stage

_LOCK = threading.Lock()
_FOUND: list[int] = []  # settings as those found them that are at work, the first one first


@contextmanager
def threads_for(threads: int | None, cells: int) -> Iterator[None]:
    """The setting is one for the process: what the first of several at a time found is what all restore."""
    with _LOCK:
        _FOUND.append(torch.get_num_threads())
        torch.set_num_threads(threads or (1 if cells <= 1 << 18 else _FOUND[0]))
    try:
        yield
    finally:
        with _LOCK:
            torch.set_num_threads(_FOUND[0])
            _FOUND.pop()


def line() -> Callable[[Stage], None]:
    """A line on the terminal, from two seconds on."""

    def show(stage: Stage) -> None:
        if stage.seconds <= 2:
            return
        with suppress(AttributeError, OSError, ValueError):  # there is no terminal, or it is closed
            if not sys.stderr.isatty():
                return
            end = "\n" if stage.level == stage.levels else "\r"
            bar = "█" * stage.level + "░" * (stage.levels - stage.level)
            print(
                f"register {bar} {stage.cells} cells, {stage.seconds:.0f} s",
                end=end,
                file=sys.stderr,
                flush=True,
            )

    return show
