"""Images to learn with. All are drawn, or shipped with Matplotlib: nothing is ever downloaded.

Images hold grey values from 0 (black) to 255, as float64; in the plane ``image[i, j]`` is the value
at x = (i + ½) h₁ (to the right), y = (j + ½) h₂ (upwards). Every image comes with its ``Grid``: the
box Ω and its cells.
"""

from __future__ import annotations

import importlib
import math
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from regkit._require import number, require, whole
from regkit.grid import Grid

HAND_BOX = (20.0, 25.0)  # centimetres
CHEST_BOX = (32.0, 24.0, 32.0)


@dataclass(frozen=True, eq=False, repr=False)
class Pair:
    """Two images to align: find y with template(y(x)) ≈ reference(x).

    Args:
        template (of the shape of the grid, grey values): the image that is moved.
        reference (of the same shape): the image that stays.
        grid: the box and the cells of both.
        w_true (6,): the parameters (A row by row, b) of the map y = A x + b that aligns them, with
            b in the unit of the grid; None where there are none, or they are not known.
        y_true: the map that aligns them as a function of points, x (n, d) ↦ y (n, d), which
            torch.func can differentiate; None where it is not known.
    """

    template: torch.Tensor
    reference: torch.Tensor
    grid: Grid
    w_true: torch.Tensor | None = None
    y_true: Callable[[torch.Tensor], torch.Tensor] | None = None

    def __repr__(self) -> str:
        return f"Pair of {' × '.join(map(str, self.grid.shape))} cells"


def _pooled(image: torch.Tensor, factor: int) -> torch.Tensor:
    """Means over blocks of ``factor`` cells a side."""
    parts = [part for cells in image.shape for part in (cells // factor, factor)]
    return image.reshape(parts).mean(tuple(range(1, len(parts), 2)))


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


def _drawn(
    grid: Grid, fine: int, draw: Callable[[np.ndarray], np.ndarray], maps: Sequence[Callable], noise: float
) -> torch.Tensor:
    """draw(y(x)) for each map y, averaged over ``fine`` points a side of every cell, with noise."""
    shape = tuple(cells * fine for cells in grid.shape)
    x = Grid(grid.extent, shape).points()
    moved = (torch.from_numpy(draw(y(x).numpy())).reshape(shape) for y in maps)
    images = torch.stack([_pooled(image, fine) for image in moved])
    return images + number(noise, "a standard deviation of noise ≥ 0", 0) * _normal(images.shape, seed=0)


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
    size = whole(size, "a size that divides 256")
    require(256 % size == 0, f"expected a size that divides 256, got {size}")
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
    size = whole(size, "at least one cell a side")
    w_true = torch.tensor([-0.69, -0.46, 0.47, -0.93, 22.6, 18.0], dtype=torch.float64)
    A, b = w_true[:4].reshape(2, 2), w_true[4:]
    grid, fine = Grid(HAND_BOX, (size, size)), max(2, math.ceil(128 / size))
    images = _drawn(grid, fine, _hand, (lambda x: (x - b) @ torch.linalg.inv(A).T, _same), noise)
    return Pair(images[0], images[1], grid, w_true, partial(_affine, w_true))


def _same(x: torch.Tensor) -> torch.Tensor:
    return x


def _affine(w: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
    """A x + b."""
    return x @ w[:4].reshape(2, 2).T + w[4:]


# A push moves all points along straight lines of one direction, most of all those at its centre. It is: the
# centre, the direction (a unit vector), how far it moves, its width along the direction and across it. Where
# it moves less than 1.6 times its width along the direction, no point overtakes another one.
Push = tuple[tuple[float, ...], tuple[float, ...], float, float, float]


def _pushed(pushes: Sequence[Push], x: torch.Tensor) -> torch.Tensor:
    """One push after the other: x ← x + n D exp(−½ (a²/α² + b²/β²)), a = nᵀ(x − c), a² + b² = ‖x − c‖²."""
    for centre, direction, far, along, across in pushes:
        z, n = x - x.new_tensor(centre), x.new_tensor(direction)
        a = z @ n
        b_squared = z.square().sum(1) - a**2
        x = x + far * torch.exp(-0.5 * (a**2 / along**2 + b_squared / across**2))[:, None] * n
    return x


_UNBENT: tuple[Push, ...] = (  # from the bent hand to the straight one
    ((10.5, 21.5), (1.0, 0.0), 2.6, 6.0, 3.4),  # all fingers
    ((14.6, 17.0), (0.96, 0.28), 0.9, 2.2, 3.0),  # the little finger further
    ((7.0, 20.0), (1.0, 0.0), -0.8, 2.2, 3.2),  # the index less
    ((2.4, 13.4), (0.8, 0.6), -1.4, 2.8, 2.4),  # the thumb the other way
)


def bent_hands_phantom(size: int = 128, noise: float = 0.0, bend: float = 1.0) -> Pair:
    """Two drawn X-rays of one hand, with straight and with bent fingers, on (0, 20 cm) × (0, 25 cm).

    The template is the upright hand f(x), the reference f(y(x)), so template(y(x)) = reference(x)
    up to what a cell blurs. y is smooth: a sequence of pushes, each of which moves points along
    straight lines and none past another one. So it has an inverse, and det ∇y > 0 everywhere.

    Args:
        size: the number of cells a side.
        noise (in grey values): the standard deviation of noise, as in ``hands_phantom``.
        bend: how far the fingers are bent, from −2 to 2; 0 for not at all.

    Returns:
        The two images with their grid and the map between them, ``y_true``.

    Raises:
        ValueError: for a size below 1, or fingers that are bent too far.

    Example:
        >>> pair = bent_hands_phantom(32)
        >>> pair.y_true(torch.tensor([[7.5, 20.5]])).round(decimals=2)  # the tip of the middle finger
        tensor([[ 9.3900, 20.5200]])
    """
    size = whole(size, "at least one cell a side")
    bend = number(bend, "fingers bent by −2 to 2", -2, 2)
    y = partial(_pushed, [(c, n, bend * far, *widths) for c, n, far, *widths in _UNBENT])
    grid, fine = Grid(HAND_BOX, (size, size)), max(2, math.ceil(128 / size))
    images = _drawn(grid, fine, _hand, (_same, y), noise)
    return Pair(images[0], images[1], grid, None, y)


# The drawn chest, from its middle, in centimetres, the second axis to the back. A part: its middle, half its
# sides, its grey value; later ones lie over earlier ones.
_CHEST = (
    ((0, 0, 0), (13.2, 8.8, 13.4), 110),  # flesh
    ((-6.2, -0.3, 2.6), (4.6, 6.0, 7.6), 25),  # lungs
    ((6.2, -0.3, 2.6), (4.6, 6.0, 7.6), 25),
    ((-3.8, -0.8, -7.6), (7.6, 6.0, 4.6), 170),  # liver
    ((6.0, -0.6, -7.0), (4.0, 4.6, 3.2), 75),  # stomach
    ((1.6, -2.2, 0.2), (3.9, 3.6, 4.4), 150),  # heart
    *(((0, 6.2, z), (1.8, 1.7, 1.7), 235) for z in (-10, -6, -2, 2, 6, 10)),  # spine
    *((middle, (1.1, 1.1, 1.6), 120) for middle in ((-6.5, 1, 5), (-7, -2, 0), (6.5, 1.5, 4))),
)
_BREATH: tuple[Push, ...] = (  # from the chest that is breathed in to the one that is breathed out
    ((20.0, 11.5, 11.0), (0.0, 0.0, 1.0), 2.6, 5.0, 6.0),  # the diaphragm goes up
    ((11.0, 11.5, 11.5), (0.0, 0.0, 1.0), 1.6, 5.0, 6.0),
    ((16.0, 4.5, 19.0), (0.0, 1.0, 0.0), 1.4, 4.5, 8.0),  # the front goes back
    ((4.5, 12.0, 18.0), (1.0, 0.0, 0.0), 0.9, 4.0, 7.0),  # the sides go in
    ((27.5, 12.0, 18.0), (-1.0, 0.0, 0.0), 0.9, 4.0, 7.0),
)


def _chest(x: np.ndarray) -> np.ndarray:
    """Grey value of the chest breathed out at points x (n, 3), with soft surfaces."""
    x, value = x - np.array(CHEST_BOX) / 2, np.zeros(len(x))
    for k, (middle, sides, grey) in enumerate(_CHEST):
        near = ((np.abs(x - middle) / sides) ** (4 if k == 0 else 2)).sum(1) ** (0.25 if k == 0 else 0.5)
        value += (grey - value) / (1 + np.exp((4 * min(sides) * (near - 1)).clip(-40, 40)))
    return value


def chest_phantom(size: int = 32, noise: float = 0.0) -> Pair:
    """A drawn chest in space, breathed out and in, on (0, 32 cm) × (0, 24 cm) × (0, 32 cm).

    The template is the chest f(x) breathed out, the reference f(y(x)) breathed in: the diaphragm
    goes down, front and sides go out. The map y is made as that of ``bent_hands_phantom``.

    Args:
        size: the number of cells a side.
        noise (in grey values): the standard deviation of noise, as in ``hands_phantom``.

    Returns:
        The two images with their grid and the map between them, ``y_true``.

    Raises:
        ValueError: for a size below 1.

    Example:
        >>> pair = chest_phantom(16)
        >>> pair, pair.y_true(torch.tensor([[16.0, 4.5, 19.0]])).round(decimals=2)  # the front goes back
        (Pair of 16 × 16 × 16 cells, tensor([[16.0000,  5.9000, 19.4600]]))
    """
    size = whole(size, "at least one cell a side")
    y = partial(_pushed, _BREATH)
    grid, fine = Grid(CHEST_BOX, (size,) * 3), math.ceil(64 / size)
    images = _drawn(grid, fine, _chest, (_same, y), noise)
    return Pair(images[0], images[1], grid, None, y)


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
    grid = Grid((64.0,), (whole(size, "at least one cell a side"),))
    x = grid.axis(0) + number(shift, "a shift as a finite number")
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
    size = whole(size, "at least one cell a side")
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
