"""What all tests share."""

import os
from pathlib import Path

import pytest

# Several test processes, and the kernels that they start, share the cores: one thread each is fastest.
if "PYTEST_XDIST_WORKER" in os.environ:
    os.environ.setdefault("OMP_NUM_THREADS", "1")

import matplotlib

matplotlib.use("Agg")  # figures are drawn, none is shown


@pytest.fixture(scope="session")
def root() -> Path:
    """The folder of the project."""
    return Path(__file__).resolve().parent.parent
