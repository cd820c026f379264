"""Build the book: execute the notebooks that must be, make the copies for readers, the pages and the slides.

python -m tools.book
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

from tools import copies, downloads, slides
from tools.executed import stale
from tools.toc import ROOT

WORKERS = max(1, min(4, os.cpu_count() or 1))


def execute(notebooks: list[Path]) -> bool:
    """Run them by nbval, which keeps what the cells put out. Did all cells pass?"""
    quiet = "-qq -rN --no-header -p no:terminaldistreporter -p no:cacheprovider".split()
    parallel = ["-n", str(min(WORKERS, len(notebooks))), *"--dist loadfile --no-loadscope-reorder".split()]
    keep = ["-p", "tools.keep_outputs", "--nbval-lax"]
    command = [sys.executable, "-m", "pytest", *keep, *quiet, *parallel, *map(str, notebooks)]
    return subprocess.run(command, cwd=ROOT).returncode == 0


def pages() -> bool:
    """Make the pages by Sphinx. Was there nothing to complain of?"""
    sphinx = "from jupyter_book.cli.main import main; main()"
    command = [sys.executable, "-c", sphinx, "build", ".", "-W", "-n", "--keep-going"]
    if subprocess.run(command, cwd=ROOT).returncode == 0:
        return True
    shutil.rmtree(ROOT / "_build" / ".doctrees", ignore_errors=True)  # complain of the same again next time
    return False


def main() -> None:
    from tools import student  # it executes notebooks by this module

    waiting = stale()
    if waiting:
        print(f"Executing {len(waiting)} of the book's notebooks, a minute or less each", flush=True)
        if not execute(waiting):
            sys.exit("A notebook failed, see above: the pages are left as they were.")
    try:
        copies.write()
    except ValueError as error:
        sys.exit(f"A chapter cannot be copied for readers: {error}")
    done = pages()
    downloads.write()
    downloads.write_students(student.build())
    try:
        slides.write()
    except ValueError as error:
        sys.exit(f"A chapter's slides cannot be made: {error}")
    if not done:
        sys.exit("A page has a fault, see above; the pages are in _build/html all the same.")


if __name__ == "__main__":
    main()
