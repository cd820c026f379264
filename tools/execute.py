"""Execute the notebooks that changed, two at a time, into the cache that the build of the book reads.

The build itself executes one notebook after the other. It uses what it finds in the cache, and executes, and
reports, what failed here.
"""

import os
import subprocess
import time
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path

import nbformat
import yaml
from jupyter_cache import get_cache
from jupyter_cache.base import CacheBundleIn
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError
from toc import ROOT, notebooks

CACHE = ROOT / "_build" / ".jupyter_cache"
WORKERS = max(1, min(4, os.cpu_count() or 1))


def execute(path: Path, timeout: int):
    """The executed notebook, the seconds that it took, and whether all of its cells ran."""
    notebook, begin = nbformat.read(path, as_version=4), time.monotonic()
    folder = {"metadata": {"path": str(path.parent)}}
    client = NotebookClient(notebook, timeout=timeout, resources=folder, record_timing=False)
    try:
        client.execute(stderr=subprocess.DEVNULL)  # of the kernel itself; what cells print is in the notebook
    except (CellExecutionError, CellTimeoutError, DeadKernelError):
        return notebook, time.monotonic() - begin, False
    return notebook, time.monotonic() - begin, True


def main() -> None:
    timeout = yaml.safe_load((ROOT / "_config.yml").read_text(encoding="utf-8"))["execute"]["timeout"]
    cache, waiting = get_cache(CACHE), []
    for path in notebooks():
        try:
            cache.match_cache_notebook(nbformat.read(path, as_version=4))
        except KeyError:
            waiting.append(path)
    with ProcessPoolExecutor(min(WORKERS, len(waiting)) or 1) as pool:
        jobs = {pool.submit(execute, path, timeout): path for path in waiting}
        for number, job in enumerate(as_completed(jobs), start=1):
            (notebook, seconds, ran), path = job.result(), jobs[job]
            if ran:
                bundle = CacheBundleIn(notebook, str(path), data={"execution_seconds": seconds})
                cache.cache_notebook_bundle(bundle, check_validity=False, overwrite=True)
            words = f"executed in {seconds:.0f} s" if ran else "failed"
            print(f"  {number} of {len(waiting)}: {path.stem} {words}", flush=True)


if __name__ == "__main__":
    main()
