"""The frames of a figure: a drawing as pixels, wide and narrow, and pixels as small pictures (WebP)."""

from __future__ import annotations

import base64
import io
from collections.abc import Callable
from dataclasses import dataclass

import matplotlib
import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import QuadMesh
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.text import Text
from PIL import Image

from regbook.explore.narrow import Arrangement, narrow
from regbook.plots import style

NARROW_DPI = 160

# ----------------------------------------------------------------------------------------- drawings


@dataclass(frozen=True)
class Drawing:
    """A drawing as a page shows it.

    ``pixels`` (height, width, 3). ``photos``: x, y, width and height, in pixels from the upper left, of
    what is a picture and keeps its colours in the dark. ``inches``: its width. ``points``: its smallest text.
    """

    pixels: np.ndarray
    photos: tuple[tuple[int, int, int, int], ...]
    inches: float
    points: float


@dataclass(frozen=True)
class Layout:
    """Where the axes of a frame are, so that the frames after it have them at the same places.

    ``boxes``, ``margins``: of the axes of the wide drawing, as fractions of the figure, and the pixels that
    their labels take; None where this cannot be repeated.
    """

    boxes: list[tuple[float, float, float, float]] | None
    margins: list[np.ndarray]
    narrow: Arrangement


@dataclass(frozen=True)
class Frame:
    """What ``draw`` draws for some values, wide and as a rule also narrow, and its read-out."""

    drawings: tuple[Drawing, ...]
    layout: Layout | None
    text: str | None


def render(
    draw: Callable[..., str | None],
    values: dict,
    figsize: tuple[float, float],
    dpi: int,
    like: Layout | None = None,
    *,
    phones: bool = True,
) -> Frame:
    """What ``draw(figure, **values)`` draws on a new figure, for phones too or not, and its read-out.

    With the layout of a frame before, only that moves which the values move: the axes stay where they were,
    unless their labels need more room.

    Raises:
        ValueError: if ``draw`` returns anything but a text or None.
    """
    with matplotlib.rc_context(style()):
        figure = Figure(figsize=figsize, dpi=dpi)
        FigureCanvasAgg(figure)
        text = draw(figure, **values)
        if text is not None and not isinstance(text, str):
            raise ValueError(f"expected draw to return a text or None, got {type(text).__name__}")
        if phones:
            return Frame(*both(figure, like), text)
        if like:
            _settle(figure, like)
        return Frame((_drawing(figure),), None, text)


def both(figure: Figure, like: Layout | None = None) -> tuple[tuple[Drawing, Drawing], Layout]:
    """A figure as a wide and as a narrow drawing. Afterwards it is narrow."""
    if not isinstance(figure.canvas, FigureCanvasAgg):
        FigureCanvasAgg(figure)
    with matplotlib.rc_context(style()):
        if like and _settle(figure, like):
            wide, boxes, margins = _drawing(figure), like.boxes, like.margins
        else:
            wide, boxes, margins = _drawing(figure), None, []
            if _repeats(figure):
                boxes = [tuple(ax.get_position(original=True).bounds) for ax in figure.axes]
                margins = [_margins(ax) for ax in figure.axes]
        arrangement = narrow(figure, like and like.narrow)
        figure.set_dpi(NARROW_DPI)
        return (wide, _drawing(figure)), Layout(boxes, margins, arrangement)


def _drawing(figure: Figure) -> Drawing:
    figure.canvas.draw()
    pixels = np.array(figure.canvas.buffer_rgba())[..., :3]
    texts = [text for text in figure.findobj(Text) if text.get_visible() and text.get_text().strip()]
    points = min((text.get_size() for text in texts), default=0.0)
    photos = tuple(_photo(ax, *pixels.shape[:2]) for ax in figure.findobj(_is_photo))
    return Drawing(pixels, photos, figure.get_figwidth(), points)


def _is_photo(artist) -> bool:
    """Is it axes with an image, with filled contours, or with the colours of a colour bar?"""
    if not isinstance(artist, matplotlib.axes.Axes) or not artist.get_visible():
        return False
    filled = [c for c in artist.collections if isinstance(c, QuadMesh) or getattr(c, "filled", False)]
    return any(part.get_visible() for part in (*artist.images, *filled))


def _photo(ax, height: int, width: int) -> tuple[int, int, int, int]:
    box = ax.get_window_extent()
    left, right = max(0, int(np.ceil(box.x0))), min(width, int(box.x1))
    top, bottom = max(0, int(np.ceil(height - box.y1))), min(height, int(height - box.y0))
    return left, top, right - left, bottom - top


# ----------------------------------------------------------------------------------------- the same places


def _repeats(figure: Figure) -> bool:
    """Are there axes only, placed by their labels, so that nothing else has to be put in its place?"""
    words = [text for text in figure.texts if text.get_text()]
    bars = [ax for ax in figure.axes if hasattr(ax, "_colorbar")]
    automatic = isinstance(figure.get_layout_engine(), ConstrainedLayoutEngine)
    return automatic and not (words or bars or figure.legends or figure.subfigs)


def _margins(ax) -> np.ndarray:
    inner, outer = ax.get_window_extent(), ax.get_tightbbox()
    return np.concatenate([inner.p0 - outer.p0, outer.p1 - inner.p1])


def _settle(figure: Figure, like: Layout) -> bool:
    """Put the axes where they were in another frame, if the labels have room there."""
    if like.boxes is None or len(like.boxes) != len(figure.axes) or not _repeats(figure):
        return False
    engine = figure.get_layout_engine()
    figure.set_layout_engine("none")
    for ax, box in zip(figure.axes, like.boxes, strict=True):
        ax.set_position(box)
    now = [_margins(ax) for ax in figure.axes]
    if all((a <= b + 2).all() for a, b in zip(now, like.margins, strict=True)):
        return True
    for ax in figure.axes:
        ax.set_in_layout(True)
    figure.set_layout_engine(engine)
    return False


# ----------------------------------------------------------------------------------------- small pictures


class Film:
    """The frames of one drawing: the first one as a picture, and of the others what differs from it."""

    def __init__(self, first: Drawing, last: Drawing):
        self.first = first
        self.lossless = is_drawing(first.pixels, last.pixels)
        self.still = encode(first.pixels, self.lossless)
        self.changes: list[bytes | None] = []
        self.photos: list[tuple] = []

    def add(self, drawing: Drawing) -> None:
        pixels = drawing.pixels
        if pixels.shape != self.first.pixels.shape:
            raise ValueError(f"expected frames of shape {self.first.pixels.shape}, got {pixels.shape}")
        self.changes.append(encode(pixels, self.lossless, self.first.pixels))
        self.photos.append(drawing.photos)

    def frame(self, drawing: Drawing) -> bytes:
        """A frame as a picture of its own."""
        return encode(drawing.pixels, self.lossless)

    def data(self) -> dict:
        """What the page's script needs besides the still picture: of the frames the changes, and the photos
        as a list of all that occur and which of them each frame has."""
        height, width, _ = self.first.pixels.shape
        kinds = list(dict.fromkeys([self.first.photos, *self.photos]))
        return {
            "width": width,
            "height": height,
            "inches": self.first.inches,
            "points": self.first.points,
            "photos": kinds,
            "which": [kinds.index(photos) for photos in self.photos or [self.first.photos]],
            "changes": [change and base64_text(change) for change in self.changes or [None]],
        }


def base64_text(numbers: bytes) -> str:
    return base64.b64encode(numbers).decode()


def encode(pixels: np.ndarray, lossless: bool, base: np.ndarray | None = None) -> bytes | None:
    """WebP of ``pixels`` (height, width, 3); with ``base`` of what differs from it, the rest transparent.

    Lossless pictures have 24 levels a colour, which no eye sees in a drawing and which halves their size.
    None if nothing differs.
    """
    if lossless:
        levels = np.round(np.round(np.arange(256) * (23 / 255)) * (255 / 23)).astype(np.uint8)
        pixels, base = levels[pixels], None if base is None else levels[base]
    if base is not None:
        red, green, blue = np.moveaxis(pixels != base, -1, 0)
        differs = red | green | blue
        if not differs.any():
            return None
        # two pixels more all round: a browser that scales the pictures then mixes only what is equal in both
        for axis, shift in [(0, 1), (0, -1), (1, 1), (1, -1)] * 2:
            differs = differs | np.roll(differs, shift, axis)
        differs = _squares(differs)
        visible = pixels * differs[..., None] if lossless else pixels
        pixels = np.dstack([visible, 255 * differs.astype(np.uint8)])
    options = {"lossless": True, "quality": 50, "method": 2} if lossless else {"quality": 75, "method": 4}
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, format="WEBP", **options)
    return stream.getvalue()


def _squares(mask: np.ndarray, side: int = 8) -> np.ndarray:
    """All of each square that has a pixel of the mask: a simple outline, which takes fewer bytes."""
    height, width = mask.shape
    padded = np.pad(mask, ((0, -height % side), (0, -width % side)))
    whole = padded.reshape(padded.shape[0] // side, side, -1, side).any((1, 3))
    return whole.repeat(side, 0).repeat(side, 1)[:height, :width]


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
