"""Execute the notebooks that changed, two at a time, into the cache that the build of the book reads.

The build itself executes one notebook after the other. It uses what it finds in the cache, and executes, and
reports, what failed here.
"""

import os
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path

import nbformat
import yaml
from jupyter_cache import get_cache
from jupyter_cache.base import CacheBundleIn
from jupyter_cache.executors.utils import single_nb_execution
from toc import ROOT, notebooks

CACHE = ROOT / "_build" / ".jupyter_cache"
WORKERS = max(1, min(4, os.cpu_count() or 1))


def execute(path: Path, timeout: int):
    """The executed notebook, the seconds that it took, and the error or None."""
    notebook = nbformat.read(path, as_version=4)
    result = single_nb_execution(
        notebook, cwd=str(path.parent), allow_errors=False, timeout=timeout, meta_override=True
    )
    return notebook, result.time, result.err


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
            (notebook, seconds, error), path = job.result(), jobs[job]
            if error is None:
                bundle = CacheBundleIn(notebook, str(path), data={"execution_seconds": seconds})
                cache.cache_notebook_bundle(bundle, check_validity=False, overwrite=True)
            words = "failed" if error else f"executed in {seconds:.0f} s"
            print(f"  {number} of {len(waiting)}: {path.stem} {words}", flush=True)


if __name__ == "__main__":
    main()
