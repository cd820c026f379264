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


@pytest.fixture
def paper_data(monkeypatch) -> Path:
    """The folder with the paper's images, also set as REGKIT_DATA; skips the test where it is missing."""
    named = os.environ.get("REGKIT_DATA")
    folder = Path(named) if named else Path(__file__).resolve().parents[2] / "shared" / "data"
    if not (folder / "hands-R.jpg").is_file():
        pytest.skip(f"needs the paper's images: none in {folder}; set REGKIT_DATA to their folder")
    monkeypatch.setenv("REGKIT_DATA", str(folder))
    return folder
