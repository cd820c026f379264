"""What all tests share."""

import functools
import os
from dataclasses import replace
from pathlib import Path

import pytest

# Small arrays, and several test processes, with the kernels that they start, on the same cores.
os.environ.setdefault("OMP_NUM_THREADS", "1")

import matplotlib
import torch

from regkit import data

matplotlib.use("Agg")  # figures are drawn, none is shown


def nudged(make, size: float):
    """The pictures that ``make`` gives, every grey value moved by about so much of itself, always alike."""

    def move(image):
        noise = torch.randn(image.shape, dtype=image.dtype, generator=torch.Generator().manual_seed(0))
        return image * (1 + size * noise)

    @functools.wraps(make)
    def moved(*args, **options):
        made = make(*args, **options)
        if isinstance(made, tuple):
            return move(made[0]), *made[1:]
        return replace(made, template=move(made.template), reference=move(made.reference))

    return moved


if nudge := float(os.environ.get("REGKIT_NUDGE", 0)):  # see CONTRIBUTING.md, "Tests that hold on any machine"
    for name in ("mri", "hands_phantom", "paper_hands"):
        setattr(data, name, nudged(getattr(data, name), nudge))


def pytest_addoption(parser):
    parser.addoption("--all-copies", action="store_true", help="run every reader's copy alone, not only some")


def pytest_collection_modifyitems(items):
    """Files with tests that take long come first, so that two workers are done at about the same time."""
    long = {item.path for item in items if any(map(item.get_closest_marker, ("slow", "browser")))}
    items.sort(key=lambda item: item.path not in long)


@pytest.fixture(autouse=True)
def no_trace():
    """What torch makes by default is after a test what it was before: the examples of regkit show it."""
    before = torch.get_default_dtype()
    yield
    after = torch.get_default_dtype()
    torch.set_default_dtype(before)
    assert after == before


@pytest.fixture
def double_precision():
    """New tensors hold float64, as in the notebooks."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(before)


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
