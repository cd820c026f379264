"""What every unit test can use."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import torch

torch.set_num_threads(1)  # small arrays, and two test processes beside each other


@pytest.fixture
def random():
    """Random numbers from a fixed seed: ``random(4, 2)`` is a (4, 2) tensor of standard normals."""
    generator = torch.Generator().manual_seed(0)
    return lambda *shape: torch.randn(shape, dtype=torch.float64, generator=generator)


@pytest.fixture
def paper_data(monkeypatch) -> Path:
    """The folder with the paper's images, also set as REGKIT_DATA; skips the test where it is missing."""
    named = os.environ.get("REGKIT_DATA")
    folder = Path(named) if named else Path(__file__).resolve().parents[3] / "shared" / "data"
    if not (folder / "hands-R.jpg").is_file():
        pytest.skip(f"needs the paper's images: none in {folder}; set REGKIT_DATA to their folder")
    monkeypatch.setenv("REGKIT_DATA", str(folder))
    return folder
