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
    return hashlib.sha256(path.read_bytes()).hexdigest()


def update(work: Path, source: Path) -> list[str]:
    """Bring `work` to the state of `source`, but for what the reader has changed; that is returned by name.

    A file counts as changed if it is not as it was written here.
    """
    work.mkdir(exist_ok=True)
    notes = work / WRITTEN
    written = json.loads(notes.read_text(encoding="utf-8")) if notes.is_file() else {}
    kept = []
    for new in sorted(path for path in source.iterdir() if path.suffix in (".ipynb", ".md")):
        path, fresh = work / new.name, digest(new)
        if path.is_file() and digest(path) not in (written.get(new.name), fresh):
            kept += [new.name] if written.get(new.name) != fresh else []
            continue
        if not path.is_file() or digest(path) != fresh:
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
