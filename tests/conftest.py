"""What all tests share."""

import os
from pathlib import Path

import pytest

# Several test processes, and the kernels that they start, share the cores: one thread each is fastest.
if "PYTEST_XDIST_WORKER" in os.environ:
    os.environ.setdefault("OMP_NUM_THREADS", "1")

import matplotlib

matplotlib.use("Agg")  # figures are drawn, none is shown


def pytest_addoption(parser):
    parser.addoption("--all-copies", action="store_true", help="run every reader's copy alone, not only two")


@pytest.fixture(scope="session")
def root() -> Path:
    """The folder of the project."""
    return Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def book(root: Path) -> Path:
    """The folder of the built book."""
    folder = root / "_build" / "html"
    if not (folder / "index.html").is_file():
        message = f"the book is not built ({folder}/index.html is missing): run `make book`"
        if os.environ.get("CI") or os.environ.get("REGKIT_REQUIRE_BOOK"):
            pytest.fail(message)
        pytest.skip(message)
    return folder


@pytest.fixture
def paper_data(monkeypatch) -> Path:
    """The folder with the paper's images, also set as REGKIT_DATA; skips the test where it is missing."""
    named = os.environ.get("REGKIT_DATA")
    folder = Path(named) if named else Path(__file__).resolve().parents[2] / "shared" / "data"
    if not (folder / "hands-R.jpg").is_file():
        pytest.skip(f"needs the paper's images: none in {folder}; set REGKIT_DATA to their folder")
    monkeypatch.setenv("REGKIT_DATA", str(folder))
    return folder
