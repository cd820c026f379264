"""The frames of a figure: a drawing as pixels, and pixels as small pictures (WebP)."""

from __future__ import annotations

import io
from collections.abc import Callable

import matplotlib
import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image

from regbook.plots import style


def render(
    draw: Callable[..., str | None], values: dict, figsize: tuple[float, float], dpi: int
) -> tuple[np.ndarray, str | None]:
    """What ``draw(figure, **values)`` draws on a new figure, as pixels (height, width, 3), and its read-out.

    Raises:
        ValueError: if ``draw`` returns anything but a text or None.
    """
    with matplotlib.rc_context(style()):
        figure = Figure(figsize=figsize, dpi=dpi)
        canvas = FigureCanvasAgg(figure)
        text = draw(figure, **values)
        canvas.draw()
    if text is not None and not isinstance(text, str):
        raise ValueError(f"expected draw to return a text or None, got {type(text).__name__}")
    return np.array(canvas.buffer_rgba())[..., :3], text


def encode(pixels: np.ndarray, lossless: bool, base: np.ndarray | None = None) -> bytes | None:
    """WebP of ``pixels`` (height, width, 3); with ``base`` of what differs from it, the rest transparent.

    Lossless pictures have 32 levels a colour, which no eye sees in a drawing and which halves their size.
    None if nothing differs.
    """
    if lossless:
        levels = np.round(np.round(np.arange(256) * (31 / 255)) * (255 / 31)).astype(np.uint8)
        pixels, base = levels[pixels], None if base is None else levels[base]
    if base is not None:
        red, green, blue = np.moveaxis(pixels != base, -1, 0)
        differs = red | green | blue
        if not differs.any():
            return None
        # two pixels more all round: a browser that scales the pictures then mixes only what is equal in both
        for axis, shift in [(0, 1), (0, -1), (1, 1), (1, -1)] * 2:
            differs = differs | np.roll(differs, shift, axis)
        visible = pixels * differs[..., None] if lossless else pixels
        pixels = np.dstack([visible, 255 * differs.astype(np.uint8)])
    options = {"lossless": True, "quality": 50, "method": 2} if lossless else {"quality": 82, "method": 4}
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, format="WEBP", **options)
    return stream.getvalue()


def decode(picture: bytes, mode: str = "RGB") -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(picture)).convert(mode))


def compose(still: bytes, change: bytes | None) -> np.ndarray:
    """What a browser shows of a picture with a change on top of it: pixels (height, width, 3)."""
    if change is None:
        return decode(still)
    above = decode(change, "RGBA")
    return np.where(above[..., 3:] > 0, above[..., :3], decode(still))


def is_drawing(still: np.ndarray, other: np.ndarray) -> bool:
    """Is the lossless picture the smaller one? It is for lines, and it is not for photographs."""
    return len(encode(other, True, still) or b"") <= len(encode(other, False, still) or b"")
