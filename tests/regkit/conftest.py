"""What every unit test can use."""

from __future__ import annotations

import pytest
import torch

torch.set_num_threads(1)  # small arrays, and two test processes beside each other


@pytest.fixture
def random():
    """Random numbers from a fixed seed: ``random(4, 2)`` is a (4, 2) tensor of standard normals."""
    generator = torch.Generator().manual_seed(0)
    return lambda *shape: torch.randn(shape, dtype=torch.float64, generator=generator)
