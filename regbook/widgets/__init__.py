"""The JavaScript of the figures that a page computes itself, for ``regbook.explore.page_widget``."""

from __future__ import annotations

from importlib import resources


def script(name: str) -> str:
    """The source of the widget ``name``, such as "drag_spline"."""
    return (resources.files(__package__) / f"{name}.js").read_text(encoding="utf-8")
