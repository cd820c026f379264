"""The failures on the page "From two files to the aligned picture", each staged with a map that is known."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache

import numpy as np
import torch
from scipy import ndimage

from regkit import Registered, data, register

SIZE = 64  # cells of a side

Map = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True, eq=False)
class Failure:
    """Two images, what ``register`` makes of them, and what the advice makes of them.

    Args:
        template, reference (cells × cells): the images, grey values from 0 to 255.
        wrong: from ``register(template, reference)``.
        right: from the call with the advice.
        errors (cells): of the two, see ``off``.
        advice: what was given to ``register`` besides, or instead, as it is typed.
        shows: what can be seen, in words.
        negative: is the reference a negative?
        mark (cells): a point of the template by which it is seen how it lies, or None.
    """

    template: np.ndarray
    reference: np.ndarray
    wrong: Registered
    right: Registered
    errors: tuple[float, float]
    advice: str
    shows: str
    negative: bool = False
    mark: tuple[float, float] | None = None


def said(found: Registered) -> str:
    """The warnings, each up to its first colon, in words."""
    return " and ".join(f"“{warning.partition(':')[0]}”" for warning in found.warnings) or "nothing"


def off(found: Registered, true: Map, counts: np.ndarray) -> float:
    """The root mean square of the distance in cells between a map and the true one.

    Args:
        found: the map.
        true: function from points (n, 2) of the reference to those of the template.
        counts (cells of the reference): where it is measured.
    """
    inside = counts.reshape(-1)
    x, y = (points.numpy(force=True)[inside] for points in (found.problem.points, found.points))
    return float(np.sqrt(((y - true(x)) ** 2).sum(1).mean()))


def _turned(degrees: float, size: float = 1.0, shift=(0.0, 0.0), middle: float = SIZE / 2) -> Map:
    """A turn and an enlargement about the middle, then a shift."""
    c, s = size * math.cos(math.radians(degrees)), size * math.sin(math.radians(degrees))
    A = np.array([[c, -s], [s, c]])
    return lambda x: (x - middle) @ A.T + middle + shift


def _seen(image: np.ndarray, at: Map) -> np.ndarray:
    """The image at the points y(x) of the cell centres x, by SciPy; beyond its box it is black."""
    x = np.stack(np.meshgrid(*(np.arange(n) + 0.5 for n in (SIZE, SIZE)), indexing="ij"), -1).reshape(-1, 2)
    return ndimage.map_coordinates(image, at(x).T - 0.5, order=3).reshape(SIZE, SIZE)


def _noisy(*images: np.ndarray) -> list[np.ndarray]:
    random = np.random.default_rng(0)
    return [(image + 2 * random.normal(size=image.shape)).clip(0, 255) for image in images]


def _staged(template, reference, true: Map, counts: np.ndarray, shows: str, **options) -> Failure:
    """Registered as they come, and with more options; a mask is said by its name."""
    wrong, right = register(template, reference), register(template, reference, **options)
    errors = tuple(off(found, true, counts) for found in (wrong, right))
    typed = {name: "mask" if isinstance(value, np.ndarray) else value for name, value in options.items()}
    advice = ", ".join(
        f'{name}="{value}"' if isinstance(value, str) and value != "mask" else f"{name}={value}"
        for name, value in typed.items()
    )
    return Failure(template, reference, wrong, right, errors, advice, shows)


def _head() -> np.ndarray:
    return data.mri(SIZE)[0].numpy()


@cache
def symmetric(light: float = 0.03) -> Failure:
    """A playing card, turned by 20 degrees; the lamp stands on its left, and then on its right.

    Args:
        light: how much brighter it is at the left than in the middle.
    """
    hand = ndimage.zoom(data.hands_phantom(SIZE).reference.numpy(), (0.75, 0.5), order=1)[2:-2]
    card = 40 + 0.7 * np.concatenate([hand, hand[::-1, ::-1]], 1)
    edges = [((SIZE - n) // 2, SIZE - n - (SIZE - n) // 2) for n in card.shape]
    card, left, true = np.pad(card, edges), np.linspace(1 + light, 1 - light, SIZE)[:, None], _turned(20)
    template, reference = _noisy(card * left, _seen(card, true).clip(0) * left[::-1])
    shows = "a playing card with two hands, upright, and turned a little"
    made = _staged(template, reference, true, reference > 20, shows, turns=1)
    return replace(made, mark=(18.0, 44.0))


@cache
def overlapping(share: float = 0.4) -> Failure:
    """The left and the right of a head, the latter turned by 4 degrees.

    Args:
        share: of its width that each has in common with the other.
    """
    head, corner = data.mri(128)[0].numpy(), np.array([4.0, 32.0])
    true = _turned(4, shift=(SIZE * (1 - share), 2.0))
    template, reference = _noisy(*(_seen(head, lambda x, at=at: at(x) + corner) for at in (_turned(0), true)))
    shows = "the left part and the right part of a head, which share a strip"
    return _staged(template, reference, true, np.ones((SIZE, SIZE), bool), shows, transform="rigid")


@cache
def contrast() -> Failure:
    """A head, and the negative of the same head, turned and smaller."""
    head, true = _head(), _turned(25, 1.1, (2.0, -3.0))
    seen = _seen(head, true).clip(0, 255)
    template, reference = _noisy(head, 255 - seen)
    shows = "a head, and a turned negative of it"
    made = _staged(template, reference, true, seen > 20, shows, distance="ngf", turns=1)
    return replace(made, negative=True)


@cache
def bent() -> Failure:
    """A hand that was turned by 10 degrees, and whose fingers have moved by some cells."""
    hand, turn = data.hands_phantom(SIZE).template.numpy(), _turned(10)

    def true(x):
        y = turn(x)
        return y + np.sin(2 * np.pi * y[:, ::-1] / SIZE) * [5, 3]

    seen = _seen(hand, true)
    template, reference = _noisy(hand, seen)
    shows = "a hand, and the same hand with bent fingers"
    return _staged(template, reference, true, seen > 40, shows, transform="freeform")


@cache
def covered() -> Failure:
    """A head that has moved below the frame of the film."""
    head, true = _head(), _turned(18, 1.0, (3.0, -2.0))
    mask, moved = np.zeros((SIZE, SIZE), bool), _seen(head, true)
    mask[6:-6, 6:-6] = True
    template, reference = _noisy(*(np.where(mask, image, 230) for image in (head, moved)))
    shows = "a head that has moved in a bright frame that has not"
    masks = {"template_mask": mask, "reference_mask": mask}
    return _staged(template, reference, true, mask & (moved > 20), shows, **masks)


@cache
def mirrored() -> Failure:
    """A head, and its mirror image, turned and smaller."""
    head, true = _head(), _turned(15, 1.05)
    seen = _seen(head[::-1], true)
    template, reference = _noisy(head, seen)
    wrong, right = register(template, reference), register(torch.tensor(template).flip(0), reference)

    def mirror(x):
        return true(x) * [-1, 1] + [SIZE, 0]

    errors = off(wrong, mirror, seen > 20), off(right, true, seen > 20)
    shows = "a head that looks to the left, and one that looks to the right"
    return Failure(template, reference, wrong, right, errors, "template.flip(0)", shows)
