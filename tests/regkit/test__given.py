"""What ``register`` makes of images; test_register_inputs asks what it says of those it cannot use."""

from __future__ import annotations

import numpy as np
import torch

from regkit._given import even, filled, given
from regkit.grid import Grid


def test_an_image_gets_a_grid_and_double_precision():
    image = np.arange(30, dtype=np.uint8).reshape(5, 6)
    value, grid, mask = given(image, (0.5, 2.0), None, "template", [])
    assert value.dtype == torch.float64 and np.array_equal(value, image)
    assert grid == Grid((2.5, 12.0), (5, 6)) and mask is None


def test_cells_that_do_not_count_get_the_mean_around():
    image = torch.arange(16.0).double().reshape(4, 4)
    mask = torch.ones(4, 4).double()
    mask[0, 0] = mask[2:, 2:] = 0
    full = filled(torch.where(mask != 0, image, 1e9), mask)
    assert torch.equal(full[mask != 0], image[mask != 0])
    assert float(full[0, 0]) == (1 + 4 + 5) / 3  # of its block of four
    whole = (3.333333333333333 + (2 + 3 + 6 + 7) / 4 + (8 + 9 + 12 + 13) / 4) / 3
    assert torch.allclose(full[2:, 2:], torch.full((2, 2), whole).double())  # a block without a known cell


def test_an_even_border():
    image = torch.rand(12, 12, generator=torch.Generator().manual_seed(0)).double()
    assert not even(image, None)
    image[[0, -1]] = 0.5
    image[:, [0, -1]] = 0.5
    assert even(image, None)
    mask = torch.zeros(12, 12)
    mask[4:8, 4:8] = 1
    assert not even(image, mask)  # nothing on the border counts
