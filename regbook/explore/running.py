"""A computation in the background that anyone may interrupt, and a figure that shows it step by step.

``Runner`` knows nothing of Jupyter. What Jupyter shows of a ``Running`` is in live_running.py.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from regbook.explore.bundle import bundle
from regbook.explore.page import PageWidget
from regbook.text import readable


class Runner:
    """Runs one generator at a time in a thread; a new one takes the place of the old.

    A generator is left between two of its steps: then it is closed, and no step of it is told any
    more. The next one begins only after that, so two never run at once. The thread ends with its
    work.

    Args:
        item: told each thing that the generator yields.
        end: told None when a generator is through, or the exception that ended it; nothing of one
            that was stopped or replaced.
        post: has a function called, such as the event loop of Jupyter; the thread itself if None.

    Example:
        >>> found = []
        >>> runner = Runner(found.append, lambda error: found.append("end"))
        >>> runner.start(lambda: (k * k for k in range(3)))
        >>> runner.join()
        >>> found
        [0, 1, 4, 'end']
    """

    def __init__(
        self,
        item: Callable[[Any], None],
        end: Callable[[Exception | None], None],
        post: Callable[[Callable[[], None]], None] | None = None,
    ):
        self.item, self.end, self.post = item, end, post or (lambda call: call())
        self._lock, self._number = threading.Lock(), 0
        self._next: tuple[int, Callable[[], Generator]] | None = None
        self._thread: threading.Thread | None = None

    def start(self, make: Callable[[], Generator]) -> None:
        """Run the generator that ``make()`` gives, as soon as the one before is left."""
        with self._lock:
            self._number += 1
            self._next = self._number, make
            if self._thread is None:
                self._thread = threading.Thread(target=self._work, name="regbook runner", daemon=True)
                self._thread.start()

    def stop(self) -> None:
        """Leave what is running."""
        with self._lock:
            self._number += 1
            self._next = None

    def join(self, timeout: float | None = None) -> None:
        """Wait until nothing runs."""
        thread = self._thread
        if thread is not None:
            thread.join(timeout)

    @property
    def alive(self) -> bool:
        """Is there a thread?"""
        return self._thread is not None

    def _work(self) -> None:
        while True:
            with self._lock:
                if self._next is None:
                    self._thread = None
                    return
                (number, make), self._next = self._next, None
            error = None
            try:
                with contextlib.closing(make()) as items:
                    for item in items:
                        if number != self._number:
                            break
                        self._tell(number, self.item, item)
            except Exception as met:
                error = met
            self._tell(number, self.end, error)

    def _tell(self, number: int, whom: Callable[[Any], None], what: Any) -> None:
        def call() -> None:  # asked again where it arrives: a posted step may come late
            if number == self._number:
                whom(what)

        if number == self._number:
            self.post(call)


# ----------------------------------------------------------------------------------------- a figure


@dataclass(frozen=True)
class Whole:
    """A whole number to choose, with a slider or by typing it.

    Args:
        low: the smallest.
        high: the largest, or the name of the ``Whole`` that it may not exceed. When that one is
            moved, this one keeps its share of it.
        start: at first.
        label: what stands before it; if None the parameter's name.

    Raises:
        ValueError: for a start outside.

    Example:
        >>> Whole(1, 400, 200).high
        400
    """

    low: int
    high: int | str
    start: int
    label: str | None = None

    def __post_init__(self):
        if self.start < self.low or (isinstance(self.high, int) and self.start > self.high):
            raise ValueError(f"expected a start from {self.low} to {self.high}, got {self.start}")


def running(
    page: PageWidget,
    compute: Callable[..., Generator],
    draw: Callable[..., str],
    *,
    alt: str,
    figsize: tuple[float, float] = (6.8, 5.0),
    dpi: int = 130,
    **parameters: object,
) -> Running:
    """A figure that a page shows one way, and that a kernel in Jupyter computes anew for any setting.

    ``compute(**values)`` is a generator. It yields pairs: the share of the work that is done, 0 to
    1, and all that is known by then. ``draw(figure, state)`` draws the latter on an empty Matplotlib
    figure and returns the read-out, as for ``explore``. What is quick comes first.

    The generator runs in a thread, so that other cells can run meanwhile; the figure is drawn
    between them. Another setting interrupts a run at its next step. If it raises, the figure says
    so in a sentence.

    Args:
        page: what a page shows. Jupyter shows its title, its caption and its guess, too.
        compute: what is computed.
        draw: function that draws.
        alt: what kind of picture it is.
        figsize (inches): width and height.
        dpi: dots per inch.
        parameters: ``Whole`` numbers and names to choose from, by their names in ``compute``.

    Returns:
        What Jupyter and the book display.

    Raises:
        ValueError: for parameters of another kind, or none.

    Example:
        >>> from regbook.explore import page_widget
        >>> def halves(times):
        ...     for k in range(times):
        ...         yield (k + 1) / times, 0.5**k
        >>> page = page_widget("(root) => root.append('the halves')", alt="Halves")
        >>> running(page, halves, lambda figure, state: f"{state}", alt="Halves", times=Whole(1, 9, 3))
        running(times)
    """
    from regbook.explore import _parameter

    if not parameters:
        raise ValueError("expected parameters to choose, got none")
    known = {}
    for name, given in parameters.items():
        label = name.replace("_", " ")
        whole = isinstance(given, Whole)
        known[name] = replace(given, label=given.label or label) if whole else _parameter(name, given)
        if not whole and not hasattr(known[name], "options"):
            raise ValueError(f"expected a Whole number or names for {name}, got {given!r}")
        if whole and isinstance(given.high, str) and not isinstance(known.get(given.high), Whole):
            raise ValueError(f"expected the name of a Whole number before {name}, got {given.high!r}")
    return Running(page, compute, draw, readable(alt), figsize, dpi, known)


@dataclass(frozen=True, eq=False, repr=False)
class Running:
    """What ``running`` returns. Jupyter and the book display it.

    Args:
        page, compute, draw, alt, figsize, dpi: as in ``running``.
        parameters: by their names.
    """

    page: PageWidget
    compute: Callable[..., Generator]
    draw: Callable[..., str]
    alt: str
    figsize: tuple[float, float]
    dpi: int
    parameters: Mapping[str, Any]

    def html(self) -> str:
        """The <figure>, as a page shows it."""
        return self.page.html()

    def _repr_mimebundle_(self, include=None, exclude=None) -> dict:
        def live():
            from regbook.explore.live_running import view

            return view(self)

        return bundle({"text/plain": repr(self), "text/html": self.html()}, live)

    def __repr__(self) -> str:
        return f"running({', '.join(self.parameters)})"
