"""What ``regkit.register`` found, to look at: the reference slides into the moved template."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from regbook.plots import ERROR_MAP
from regbook.text import number_text

if TYPE_CHECKING:
    from regbook.explore import Explorer
    from regkit.registered import Registered

VIEWS = ("blend", "checkerboard", "difference")
SQUARES = 8  # of the checkerboard, along the longer side
MOST_SLICES = 9


def compare(found: Registered, view: str = "blend", *, dpi: int = 110) -> Explorer:
    """Reference and moved template in one picture, with a slider from the one to the other.

    With the share s of the slider, the reference R and the moved template T, the picture is

        blend         B = (1 − s) R + s T
        checkerboard  R and B in turns, in squares
        difference    B − R

    T has the brightness and contrast of R where the distance does not ask for them: fitted for
    ``NCC``, and for images of two kinds both are drawn from their least value to their greatest.
    Beyond the template's box, and where the reference does not count, T is black and there is no
    difference. Rows run downwards. Of images in space a second slider goes through the slices
    along the first axis.

    Args:
        found: what ``regkit.register`` returns.
        view: "blend", "checkerboard" or "difference": the one it starts with, and of images in
            space the only one.
        dpi: dots per inch of the embedded pictures.

    Returns:
        What Jupyter and the book display, see ``explore``.

    Raises:
        ValueError: for what is no ``Registered``, and for another view.

    Example:
        >>> from regkit import register
        >>> from regkit.data import hands_phantom
        >>> pair = hands_phantom(32)
        >>> compare(register(pair.template, pair.reference), dpi=50)
        explore(share: 5 values, view: 3 values)
    """
    from regbook.explore import Slider, explore
    from regkit.registered import Registered

    if not isinstance(found, Registered):
        raise ValueError(f"expected what register returns, got {type(found).__name__}")
    if view not in VIEWS:
        raise ValueError(f"expected a view of {', '.join(VIEWS)}, got {view!r}")
    moved, reference, inside = _images(found)
    grid = found.problem.grid
    cells = " × ".join(map(str, reference.shape))
    high, low = reference.max(), reference.min()
    span = np.abs(np.where(inside, moved - reference, 0)).max() or 1.0

    def draw(figure, share, view=view, cut=None):
        at = ... if cut is None else cut
        R, T, seen = reference[at], moved[at], inside[at]
        B = (1 - share) * R + share * T
        words = f"{100 * share:.0f} % moved template, {100 - 100 * share:.0f} % reference"
        picture, colours = B, {"cmap": "gray", "vmin": low, "vmax": high}
        if view == "checkerboard":
            side = max(1, max(R.shape) // SQUARES)
            picture = np.where(sum(np.indices(R.shape) // side) % 2 == 0, B, R)
            words = f"In every second square {words}; in the others the reference alone"
        if view == "difference":
            picture, colours = np.where(seen, B - R, 0), {"cmap": ERROR_MAP, "vmin": -span, "vmax": span}
            size = np.sqrt((picture[seen] ** 2).mean()) if seen.any() else 0.0
            part, full = (number_text(100 * value / (high - low)) for value in (size, span))
            words = f"{words}, less the reference: {part} % of its range in root mean square"
            words = f"{words}. Orange is too dark, blue too bright, the full colour {full} %"
        ax = figure.add_subplot()
        ax.imshow(picture, aspect=grid.spacing[-2] / grid.spacing[-1], **colours)
        ax.set(xticks=[], yticks=[])
        ax.grid(False)
        return f"{words}." if cut is None else f"Slice {cut + 1} of {len(reference)}: {words}."

    parameters = {"share": Slider([0, 0.25, 0.5, 0.75, 1], "moved template", format=_percent)}
    start = {"share": 0.5}
    if reference.ndim == 3:
        count = min(MOST_SLICES, len(reference))
        cuts = [int(k) for k in np.linspace(0, len(reference) - 1, count).round()]
        parameters["cut"] = Slider(cuts, "slice", format=lambda k: f"{k + 1:.0f}")
        start["cut"] = len(reference) // 2
    else:
        parameters["view"], start["view"] = list(VIEWS), view
    height, width = (n * h for n, h in zip(reference.shape[-2:], grid.spacing[-2:], strict=True))
    size = 4.0 / max(height, width)
    caption = (
        f"The distance is {number_text(found.before)} without the map and {number_text(found.after)} "
        f"with it; {_percent(found.overlap)} of the reference lies in the template's box."
    )
    return explore(
        draw,
        alt=f"Reference and moved template in one picture, {cells} cells",
        caption=" ".join([caption, *(f"Careful: {words}." for words in found.warnings)]),
        start=start,
        figsize=(max(1.5, size * width), max(1.5, size * height)),
        dpi=dpi,
        **parameters,
    )


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %"


def _images(found: Registered) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The moved template in the grey values of the reference, the reference, and where they are compared."""
    from regkit.distances import NCC, SSD

    problem = found.problem
    sides = found.points.new_tensor(problem.grids[1].extent)
    inside = ((found.points >= 0) & (found.points <= sides)).all(1) & (problem.omega > 0)
    images = (found.warp(), problem.reference, inside.reshape(problem.grid.shape))
    moved, reference, inside = (image.numpy(force=True) for image in images)
    t, s, low = moved[inside], reference[inside], reference.min()
    if not inside.any():
        return np.full_like(reference, low), reference, inside
    if isinstance(problem.distance, NCC):
        variance = ((t - t.mean()) ** 2).mean()
        slope = ((t - t.mean()) * (s - s.mean())).mean() / variance if variance > 0 else 1.0
        moved = s.mean() + slope * (moved - t.mean())
    elif not isinstance(problem.distance, SSD):
        moved = low + (moved - t.min()) / (np.ptp(t) or 1.0) * (reference.max() - low)
    return np.where(inside, moved, low), reference, inside
