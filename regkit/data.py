"""Images to learn with. All are drawn, or shipped with Matplotlib: nothing is ever downloaded.

Two-dimensional images hold grey values from 0 (black) to 255, as float64; ``image[i, j]`` is the
value at x = (i + ½) h₁ (to the right), y = (j + ½) h₂ (upwards). Every image comes with its
``Grid``: the box Ω and its cells.
"""

from __future__ import annotations

import importlib
import math
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from regkit._require import require
from regkit.grid import Grid

HAND_BOX = (20.0, 25.0)  # centimetres


@dataclass(frozen=True, eq=False, repr=False)
class Pair:
    """Two images to align: find y with template(y(x)) ≈ reference(x).

    Args:
        template (m₁, m₂, grey values): the image that is moved.
        reference (m₁, m₂, grey values): the image that stays.
        grid: the box and the cells of both.
        w_true (6,): the parameters (A row by row, b) of the map y = A x + b that aligns them, with
            b in the unit of the grid; None where it is not known.
    """

    template: torch.Tensor
    reference: torch.Tensor
    grid: Grid
    w_true: torch.Tensor | None = None

    def __repr__(self) -> str:
        return f"Pair of {' × '.join(map(str, self.grid.shape))} cells"


def _pooled(image: torch.Tensor, factor: int) -> torch.Tensor:
    """Means over blocks of ``factor`` × ``factor`` cells."""
    rows, columns = (cells // factor for cells in image.shape)
    return image.reshape(rows, factor, columns, factor).mean((1, 3))


def _needed(module: str, function: str, package: str, extra: str = "book") -> Any:
    """A module of a package that regkit itself does not need."""
    try:
        return importlib.import_module(module)
    except ImportError as missing:
        message = f"expected an installed {package}, for {function}(): pip install 'regkit[{extra}]'"
        raise ImportError(message) from missing


def _normal(shape: tuple[int, ...], seed: int) -> torch.Tensor:
    """Standard normal numbers, the same at every call."""
    return torch.randn(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def mri(size: int = 256) -> tuple[torch.Tensor, Grid]:
    """A sagittal MRI slice of a head, grey values 0 to 255.

    It is the 256 × 256 slice ``s1045.ima.gz`` that ships with Matplotlib; a smaller ``size``
    averages blocks of its cells. The file does not say how large a cell is; the grid takes 1 mm, so
    Ω is 256 mm × 256 mm.

    Args:
        size: the number of cells a side.

    Returns:
        The image (size, size) and its grid.

    Raises:
        ValueError: for a size that does not divide 256.
        ImportError: without Matplotlib.

    Example:
        >>> image, grid = mri(64)
        >>> tuple(image.shape), grid.spacing
        ((64, 64), (4.0, 4.0))
    """
    require(size > 0 and 256 % size == 0, f"expected a size that divides 256, got {size}")
    cbook = _needed("matplotlib.cbook", "mri", "Matplotlib, with which the image comes")
    with cbook.get_sample_data("s1045.ima.gz") as file:
        rows = np.frombuffer(file.read(), dtype="<u2").reshape(256, 256)  # from the top of the head downwards
    image = torch.from_numpy(rows[::-1].T.astype(np.float64))
    return _pooled(image / image.max() * 255, 256 // size), Grid((256, 256), (size, size))


# The drawn hand, upright, in centimetres. A finger is: its knuckle, its angle from upright (degrees, positive
# to the left), the lengths of its bones from the knuckle outwards, the radius of its flesh.
_FINGERS = (
    ((5.6, 8.6), 36, (2.7, 2.0), 1.0),  # thumb
    ((7.5, 11.7), 3, (3.5, 2.2, 1.7), 0.9),  # index
    ((9.8, 12.2), -1, (3.9, 2.5, 1.8), 0.95),  # middle
    ((11.7, 11.6), -6, (3.5, 2.3, 1.7), 0.9),  # ring
    ((13.3, 10.4), -11, (2.7, 1.7, 1.5), 0.8),  # little
)
# Wrist and palm as capsules (x, y of one end, x, y of the other, radius at each end, opacity): flesh, bones.
_WRIST = (
    (10.3, 4.0, 10.3, 6.1, 2.4, 2.7, 0.38),
    (10.2, 7.3, 10.2, 9.6, 2.7, 3.4, 0.10),
    (9.1, 3.7, 9.2, 4.5, 0.9, 0.95, 0.36),
    (11.5, 3.7, 11.5, 4.5, 0.75, 0.8, 0.36),
    *((x, 5.7, x, 5.8, 0.5, 0.5, 0.36) for x in (8.8, 9.8, 10.8, 11.8)),
    *((x, 6.6, x, 6.7, 0.5, 0.5, 0.36) for x in (9.0, 9.9, 10.8, 11.6)),
)


def _hand_parts() -> list[tuple[float, ...]]:
    """The capsules of the whole hand, each in the form of those of ``_WRIST``."""
    parts: list[tuple[float, ...]] = list(_WRIST)
    for (x, y), degrees, lengths, radius in _FINGERS:
        knuckle, angle = np.array([x, y]), math.radians(degrees)
        along = np.array([-math.sin(angle), math.cos(angle)])
        root = np.array([10.3 + 0.42 * (x - 10.3), 6.1 if degrees > 30 else 7.1])
        palm, start, tip = knuckle - root, knuckle - 0.3 * along, knuckle + sum(lengths) * along
        parts.append((*root, *knuckle, 1.2 * radius, 1.2 * radius, 0.10))
        parts.append((*start, *tip, 1.15 * radius, 0.9 * radius, 0.19))
        parts.append((*(root + 0.06 * palm), *(root + 0.92 * palm), 0.42, 0.46, 0.14))
        joint = knuckle
        for length in lengths:
            parts.append((*(joint + 0.3 * along), *(joint + (length - 0.25) * along), 0.45, 0.36, 0.27))
            joint = joint + length * along
    return parts


def _hand(x: np.ndarray) -> np.ndarray:
    """Grey value of the upright hand at points x (n, 2): what all its capsules together hold back of X-rays.

    Each lets the share 1 − opacity · 2^{−(d/radius)⁶} through, where d is the distance from its axis.
    """
    through = np.ones(len(x))
    for px, py, qx, qy, radius_p, radius_q, opacity in _hand_parts():
        p, axis = np.array([px, py]), np.array([qx - px, qy - py])
        along = ((x - p) @ axis / (axis @ axis)).clip(0, 1)
        distance_squared = ((x - p - along[:, None] * axis) ** 2).sum(1)
        relative = distance_squared / (radius_p + along * (radius_q - radius_p)) ** 2
        through = through * (1 - opacity * np.exp2(-(relative**3)))
    return 300 * (1 - through)


def hands_phantom(size: int = 128, noise: float = 0.0) -> Pair:
    """Two drawn X-rays of one hand, 150° apart, on (0, 20 cm) × (0, 25 cm).

    The reference is the upright hand f(x), the template is f(A⁻¹(x − b)). Both are drawn from the
    same function, as averages over their cells, so template(A x + b) = reference(x) up to what a
    cell blurs.

    Like the X-rays of the paper (its Fig 2) the pair is made so that an alignment from the identity
    at the finest scale alone ends far from ``w_true``, and one that comes down from coarse scales
    finds it.

    Args:
        size: the number of cells a side.
        noise (in grey values): standard deviation of the Gaussian noise that is added to both
            images, the same at every call.

    Returns:
        The two images with their grid and the map between them.

    Raises:
        ValueError: for a size below 1.

    Example:
        >>> pair = hands_phantom(32)
        >>> tuple(pair.template.shape), pair.grid.extent
        ((32, 32), (20.0, 25.0))
    """
    require(size > 0, f"expected at least one cell a side, got size {size}")
    w_true = np.array([-0.69, -0.46, 0.47, -0.93, 22.6, 18.0])
    matrix, shift = w_true[:4].reshape(2, 2), w_true[4:]
    fine = max(2, math.ceil(128 / size))  # points a side in every cell, over which the image is averaged
    x = Grid(HAND_BOX, (size * fine, size * fine)).points().numpy()
    moved = (x - shift) @ np.linalg.inv(matrix).T
    drawn = [torch.from_numpy(_hand(points)).reshape(size * fine, -1) for points in (moved, x)]
    images = torch.stack([_pooled(image, fine) for image in drawn])
    images += noise * _normal(images.shape, seed=0)
    return Pair(images[0], images[1], Grid(HAND_BOX, (size, size)), torch.from_numpy(w_true))


def bumps(size: int = 64, shift: float = 0.0) -> tuple[torch.Tensor, Grid]:
    """A comb of four bumps, as a scan line across four fingers: f(x + shift) on Ω = (0, 64).

    With ``template, grid = bumps()`` and ``reference, _ = bumps(shift=10)`` the map y = x + 10
    aligns them.

    Args:
        size: the number of cells.
        shift (in the unit of Ω): how far the comb is moved to the left.

    Returns:
        The values (size,), from 0 to 1, and their grid.

    Raises:
        ValueError: for a size below 1.

    Example:
        >>> template, grid = bumps()
        >>> reference, _ = bumps(shift=10)
        >>> int(template.argmax()) - int(reference.argmax())
        10
    """
    grid = Grid((64.0,), (size,))
    x = grid.axis(0) + shift
    teeth = ((30.0, 0.8), (36.0, 1.0), (42.2, 0.95), (48.6, 0.7))
    return sum(height * torch.exp(-0.5 * ((x - centre) / 1.3) ** 2) for centre, height in teeth), grid


def signal_1d() -> tuple[torch.Tensor, Grid]:
    """28 values with an edge, a bump and some noise (the same at every call), on cells of length 1.

    Returns:
        The values (28,) and their grid.
    """
    grid = Grid((28.0,), (28,))
    x = grid.points().flatten()
    edge, bump = torch.sigmoid((x - 8) / 0.2), torch.exp(-0.5 * ((x - 19) / 1.8) ** 2)
    return edge + 1.5 * bump + 0.12 * _normal(grid.shape, seed=4), grid


def paper_hands(size: int = 32, flip: str = "flipud") -> Pair:
    """The two X-rays of hands that the paper uses, on (0, 20 cm) × (0, 25 cm).

    They come from the FAIR toolbox and are not part of this project: the environment variable
    ``REGKIT_DATA`` names the folder that holds ``hands-T.jpg`` and ``hands-R.jpg``.

    Args:
        size: the number of cells a side.
        flip: how the template is turned, "flipud" as in the paper's Figs 2 and 3, or
            "fliplr-flipud" as in its Table 1.

    Returns:
        The two images with their grid; the map between them is not known.

    Raises:
        FileNotFoundError: if the images are not found there.
        ImportError: without Pillow.
        ValueError: for another ``flip``.
    """
    require(flip in ("flipud", "fliplr-flipud"), f"expected flip 'flipud' or 'fliplr-flipud', got {flip!r}")
    named = os.environ.get("REGKIT_DATA")
    if named is None or not all((Path(named) / f"hands-{name}.jpg").is_file() for name in "TR"):
        raise FileNotFoundError(
            "expected the variable REGKIT_DATA to name a folder with hands-T.jpg and hands-R.jpg, "
            f"got {'no such variable' if named is None else repr(named)}"
        )

    pillow = _needed("PIL.Image", "paper_hands", "Pillow")

    def read(name: str) -> torch.Tensor:
        with pillow.open(Path(named) / f"hands-{name}.jpg") as file:
            return torch.from_numpy(np.asarray(file.resize((size, size)), dtype=np.float64).T.copy())

    template = read("T").flipud() if flip == "flipud" else read("T").flipud().fliplr()
    return Pair(template, read("R").fliplr(), Grid(HAND_BOX, (size, size)))
