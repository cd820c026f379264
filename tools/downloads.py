"""What a page's download button gives: a zip of the reader's copy and the wheel that it needs.

The notebook for students, which teachers hand out, is beside it in a zip of its own.
A browser saves a zip also from a page that was opened as a file. A notebook it would show as raw text there.
"""

from __future__ import annotations

import zipfile
from collections.abc import Iterable
from pathlib import Path

from tools.copies import COPIES
from tools.toc import ROOT

FOLDER = ROOT / "_build" / "html" / "_downloads"
ALL = "regkit-notebooks"


def name(page: str) -> str:
    """The zip's name for a page; it says whose it is in a folder full of downloads."""
    return f"regkit-{Path(page).stem}.zip"


def student(page: str) -> str:
    """The zip with a page's notebook for students."""
    return f"regkit-{Path(page).stem}-student.zip"


def write(copies: Path = COPIES, folder: Path = FOLDER) -> None:
    """A zip for each notebook, and one with all of them."""
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.glob("*.zip"):
        old.unlink()
    notebooks = sorted(copies.glob("*.ipynb"))
    others = sorted(set(copies.iterdir()) - set(notebooks))
    for notebook in notebooks:
        _zip(folder / name(notebook.name), [notebook, *others])
    _zip(folder / f"{ALL}.zip", [*notebooks, *others])


def write_students(notebooks: list[Path], folder: Path = FOLDER) -> None:
    """A zip for each notebook for students, with what lies beside it."""
    others = sorted(set(notebooks[0].parent.iterdir()) - set(notebooks))
    for notebook in notebooks:
        _zip(folder / student(notebook.name), [notebook, *others])


def _zip(path: Path, files: list[Path]) -> None:
    pack(path, path.stem, ((file.name, file.read_bytes()) for file in files))


def pack(path: Path, folder: str, files: Iterable[tuple[str, bytes]]) -> None:
    """A zip of one folder with these files, by name and content; the same files give the same bytes."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files:
            entry = zipfile.ZipInfo(f"{folder}/{name}", (1980, 1, 1, 0, 0, 0))
            entry.external_attr = 0o644 << 16
            entry.create_system = 3  # Unix, wherever it is made
            archive.writestr(entry, content, zipfile.ZIP_DEFLATED)
