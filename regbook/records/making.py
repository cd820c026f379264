"""Make a record: independent cases, on all cores or on a cluster, interrupted and taken up again.

A script of ``benchmarks/`` gives a function of one case, and the list of its cases. Each result is kept in
a file as soon as it is there. A run that was interrupted goes on where it was, as long as neither the script
nor what it computes with has changed. Every case is computed by one thread, whatever else runs: the record is
the same, bit for bit, from any number of workers. The workers are joblib's, which may be processes of this
computer or those of a Dask cluster.
"""

from __future__ import annotations

import argparse
import hashlib
import inspect
import io
import json
import math
import pickle
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from regbook import records

FOLDER = Path("_build/records")  # in the folder of the project, from which `make records` runs the scripts


def parser(description: str) -> argparse.ArgumentParser:
    """The options that all scripts have: --jobs, --dask, --fresh."""
    found = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    found.add_argument("--jobs", type=int, default=-1, help="how many processes; as many as cores without it")
    found.add_argument("--dask", metavar="ADDRESS", help="a Dask scheduler that has the cases computed")
    found.add_argument("--fresh", action="store_true", help="nothing from an interrupted run is used")
    return found


def main(description: str, record: Callable[[argparse.Namespace], None]) -> None:
    """The command of a script that makes a record and nothing else."""
    import torch

    found = parser(description)
    found.add_argument("what", nargs="?", choices=("record",), default="record")
    torch.set_num_threads(1)
    record(found.parse_args())


def run(
    case: Callable[..., Any],
    cases: Iterable[tuple],
    name: str,
    *,
    jobs: int = -1,
    dask: str | None = None,
    fresh: bool = False,
    folder: Path = FOLDER,
    progress: bool = True,
) -> tuple[list, float]:
    """The results of ``case(*arguments)``, in the order of ``cases``, and the processor's seconds for all.

    Args:
        case: a function of numbers and words, whose result can be pickled.
        cases: the arguments of each call, as tuples.
        name: of the record; what is done lies in a folder of that name until the next change of the code.
        jobs: how many processes; −1 for as many as there are cores.
        dask: the address of a scheduler, as "tcp://host:8786"; then ``jobs`` has no meaning.
        fresh: whether to compute also what an interrupted run has left.
        folder: where what is done is kept.
        progress: whether to show a bar.

    Raises:
        ValueError: for two equal cases, or no workers.
    """
    import joblib
    from tqdm import tqdm

    cases = [tuple(arguments) for arguments in cases]
    if jobs == 0:
        raise ValueError("expected a number of processes, or −1 for as many as cores, got 0")
    state = _state(case)
    files = [folder / name / f"{_key(state, arguments)}.pickle" for arguments in cases]
    if len(set(files)) < len(files):
        raise ValueError(f"expected cases that differ, got one of them twice: {cases}")
    for file in {*(folder / name).glob("*.pickle")} - (set() if fresh else {*files}):
        file.unlink()  # of an older state of the code
    files[0].parent.mkdir(parents=True, exist_ok=True)
    waiting = [k for k, file in enumerate(files) if not file.is_file()]
    with tqdm(total=len(cases), initial=len(cases) - len(waiting), desc=name, disable=not progress) as bar:
        with _workers(dask, jobs):
            calls = (joblib.delayed(_alone)(k, case, cases[k]) for k in waiting)
            for k, result, seconds in joblib.Parallel(batch_size=1, return_as="generator_unordered")(calls):
                part = files[k].with_suffix(".part")
                part.write_bytes(pickle.dumps((result, seconds)))
                part.replace(files[k])  # whole, or not there
                bar.update()
    done = [pickle.loads(file.read_bytes()) for file in files]
    return [result for result, _ in done], sum(seconds for _, seconds in done)


def write(name: str, content: dict, *, tolerance: float = 1e-6, **costs: float) -> list[str]:
    """Write the record ``name`` (.json or .npz), and say what is another than before.

    Args:
        name: the name of the file, as for ``records.load``.
        content: for .json what it can hold, for .npz arrays and numbers.
        tolerance: relative; numbers that agree to it do not count as different.
        costs: what this run took, as ``seconds=3.0``, for ``records.costs``; the record itself does not
            know, and is the same on every run.

    Returns:
        A line for each place that differs; none if there was no such record.
    """
    file = records.path(name)
    new = _bytes(name, content)
    if not file.is_file():
        changed, verdict = [], "is new"
    elif file.read_bytes() == new:
        changed, verdict = [], "the same, bit for bit"
    else:
        changed = [*differences(records.load(name), _read(name, new), tolerance)]
        verdict = f"differs in {len(changed)} places" if changed else f"the same to {tolerance:g}"
    file.write_bytes(new)
    if costs:
        _note(name, costs)
    print("\n".join([f"{name}: {verdict}", *(f"  {line}" for line in changed[:10])]), flush=True)
    return changed


def differences(old: Any, new: Any, tolerance: float = 1e-6, place: str = "") -> Iterator[str]:
    """A line for each place at which two records differ by more than a relative ``tolerance``."""
    if isinstance(old, dict) and isinstance(new, dict):
        for key in {**old, **new}:
            inside = f"{place}/{key}"
            if key not in old or key not in new:
                yield f"{inside}: only {'new' if key in new else 'old'}"
            else:
                yield from differences(old[key], new[key], tolerance, inside)
    elif isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
        for k, pair in enumerate(zip(old, new, strict=True)):
            yield from differences(*pair, tolerance, f"{place}/{k}")
    elif isinstance(old, np.ndarray) and isinstance(new, np.ndarray) and old.shape == new.shape and old.ndim:
        for k, pair in enumerate(zip(old.ravel().tolist(), new.ravel().tolist(), strict=True)):
            yield from differences(*pair, tolerance, f"{place}/{k}")
    elif not _equal(old, new, tolerance):
        yield f"{place}: {old} → {new}"


def _equal(old: Any, new: Any, tolerance: float) -> bool:
    numbers = (int, float, np.generic)
    if isinstance(old, numbers) and isinstance(new, numbers) and not isinstance(old, bool | np.str_):
        return math.isclose(old, new, rel_tol=tolerance) or (math.isnan(old) and math.isnan(new))
    return type(old) is type(new) and bool(np.all(old == new))


def _alone(k: int, case: Callable[..., Any], arguments: tuple) -> tuple[int, Any, float]:
    """One case with one thread; its number, its result, and the processor's seconds."""
    import torch

    threads, begin = torch.get_num_threads(), time.process_time()
    torch.set_num_threads(1)
    try:
        return k, case(*arguments), time.process_time() - begin
    finally:
        torch.set_num_threads(threads)


@contextmanager
def _workers(dask: str | None, jobs: int) -> Iterator[None]:
    """Within it joblib works with processes here, or with those of a Dask cluster."""
    import joblib

    if dask is None:
        with joblib.parallel_config(backend="loky", n_jobs=jobs, inner_max_num_threads=1):
            yield
        return
    try:
        from dask.distributed import Client
    except ImportError:
        raise ValueError("expected Dask for --dask: pip install 'regkit[cluster]'") from None
    with Client(dask), joblib.parallel_config(backend="dask"):
        yield


def _state(case: Callable[..., Any]) -> str:
    """A text that changes with the packages and with the script that holds the case."""
    import regkit

    found = hashlib.sha256()
    script, package = inspect.getsourcefile(case), Path(str(regkit.__file__)).parent
    for file in [
        Path(str(script)),
        *sorted(package.rglob("*.py")),
        *sorted(records.path("..").rglob("*.py")),
    ]:
        found.update(file.read_bytes())
    return found.hexdigest()


def _key(state: str, arguments: tuple) -> str:
    return hashlib.sha256(f"{state} {arguments!r}".encode()).hexdigest()[:24]


def _bytes(name: str, content: dict) -> bytes:
    """The content of a file of JSON, or of arrays."""
    if name.endswith(".json"):
        return (json.dumps(content, ensure_ascii=False, separators=(",", ":")) + "\n").encode()
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **content)
    return buffer.getvalue()


def _read(name: str, content: bytes) -> dict:
    if name.endswith(".json"):
        return json.loads(content)
    with np.load(io.BytesIO(content)) as arrays:
        return dict(arrays)


def _note(name: str, costs: dict[str, float]) -> None:
    file = records.path(records.COSTS)
    known = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}
    known[name] = {key: float(f"{value:.2g}") for key, value in costs.items()}
    file.write_text(json.dumps(known, indent=1, sort_keys=True) + "\n", encoding="utf-8")
