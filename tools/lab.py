"""The folder notebooks/, in which a reader works: whole copies of the chapters, and never one written over.

python -m tools.lab
"""

from __future__ import annotations

import hashlib
import json
import shutil
import sys
from pathlib import Path

import nbformat
from nbformat.sign import NotebookNotary

from tools import book, copies
from tools.toc import ROOT

WORK = ROOT / "notebooks"
WRITTEN = ".written.json"  # name -> digest of what was last written under it


def digest(path: Path) -> str:
    """A text that changes with what a person writes; not with the outputs of a notebook's cells."""
    content = path.read_bytes()
    if path.suffix == ".ipynb":
        cells = nbformat.reads(content.decode(), as_version=4).cells
        content = json.dumps([(cell.cell_type, cell.source) for cell in cells]).encode()
    return hashlib.sha256(content).hexdigest()


def update(work: Path, source: Path) -> list[str]:
    """Bring `work` to the state of `source`, but for what the reader has changed; that is returned by name.

    A notebook counts as changed if its cells are not those that were written here. To run it changes nothing.
    """
    work.mkdir(exist_ok=True)
    notes = work / WRITTEN
    written = json.loads(notes.read_text(encoding="utf-8")) if notes.is_file() else {}
    kept = []
    for new in sorted(path for path in source.iterdir() if path.suffix in (".ipynb", ".md")):
        path, fresh, last = work / new.name, digest(new), written.get(new.name)
        if path.is_file() and digest(path) not in (last, fresh):
            kept += [new.name] if last != fresh else []
            continue
        if not path.is_file() or path.read_bytes() != new.read_bytes():
            shutil.copy(new, path)
            if path.suffix == ".ipynb":
                trust(path)
        written[new.name] = fresh
    notes.write_text(json.dumps(written, indent=1), encoding="utf-8")
    return kept


def trust(notebook: Path) -> None:
    """As `jupyter trust`: the figures of a notebook that was executed here move before it is run again."""
    NotebookNotary().sign(nbformat.read(notebook, as_version=4))


def main() -> None:
    if waiting := book.stale():
        print("The notebooks are executed first, so that they show their numbers and figures.", flush=True)
        if not book.execute(waiting):
            sys.exit("A notebook failed, see above.")
    copies.write()
    for name in update(WORK, copies.COPIES):
        print(f"notebooks/{name} stays as you changed it; the book has a newer one in _build/notebooks")


if __name__ == "__main__":
    main()
