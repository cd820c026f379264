"""The pictures that are there already on the page "Register your own two pictures"."""

from __future__ import annotations

import math

import numpy as np
import torch

from regkit import Affine, Grid, coefficients, evaluate
from regkit.data import hands_phantom, mri


def picture(image: torch.Tensor) -> np.ndarray:
    """An image of regkit as a picture (rows, columns): uint8, the rows from the top."""
    return image.T.flip(0).round().clamp(0, 255).to(torch.uint8).numpy()


def photographed(
    picture: np.ndarray, degrees: float, size: float, shape: tuple[int, int], bright: float, seed: int
) -> np.ndarray:
    """The picture turned, enlarged, cropped and brighter, with noise: as a second photograph of it.

    Args:
        picture (rows, columns, uint8): what is photographed.
        degrees: by which the camera is turned, clockwise.
        size: how much larger things are.
        shape: rows and columns of the photograph; the middle stays in the middle.
        bright (grey values): what is added, before the noise.
        seed: of the noise, with a standard deviation of 2 grey values.

    Returns:
        A picture of that shape, uint8.
    """
    cells = Grid(tuple(map(float, picture.shape)), picture.shape)
    middle = tuple(side / 2 for side in shape)
    turn, about = math.radians(degrees), Affine(center=middle)
    A = torch.tensor([[math.cos(turn), -math.sin(turn)], [math.sin(turn), math.cos(turn)]]).double() / size
    to_middle = torch.tensor(picture.shape).double() / 2 - torch.tensor(middle).double()
    w = torch.cat([A.reshape(-1), to_middle])
    c = coefficients(torch.from_numpy(picture).double(), 0.0)
    seen = evaluate(c, cells, about(w, Grid(tuple(map(float, shape)), shape).points()))
    noise = torch.randn(seen.shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))
    return (seen + bright + 2 * noise).round().clamp(0, 255).to(torch.uint8).reshape(shape).numpy()


def pairs() -> list[dict]:
    """For ``regbook.widgets.workshop``: a pair that fits, one with nothing in common, and a playing card."""
    head, hand = picture(mri()[0]), picture(hands_phantom(128).reference)
    card = np.concatenate([hand, hand[::-1, ::-1]])
    return [
        {
            "name": "a head, photographed twice",
            "says": "To begin with: a slice through a head, and the same slice turned, enlarged, cropped and "
            "brighter.",
            "template": photographed(head, 37, 1.2, (256, 224), 25, seed=0),
            "reference": head,
        },
        {
            "name": "a hand and a head",
            "says": "A hand and a head: is there anything to align?",
            "template": hand,
            "reference": head,
        },
        {
            "name": "a playing card",
            "says": "A playing card with two hands, photographed twice. Which way up was it held?",
            "template": photographed(card, 20, 0.9, (260, 200), 10, seed=1),
            "reference": card,
        },
    ]
