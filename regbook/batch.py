"""A thousand pairs of images: ``regkit.register`` on all cores, or on a Dask cluster, into one table.

    from regbook.batch import register_all

    rows = register_all([("a1.png", "b1.png"), ("a2.png", "b2.png")], "table.csv", transform="rigid")

A pair that cannot be registered is reported in its row, and does not stop the others.
"""

from __future__ import annotations

import csv
import json
import time
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

from regbook.records.making import _alone, _workers

COLUMNS = (
    "template",
    "reference",
    "error",
    "warnings",
    "before",
    "after",
    "overlap",
    "matrix",
    "w",
    "seconds",
)


def register_all(
    pairs: Iterable[tuple[Any, Any]],
    table: str | Path | None = None,
    *,
    jobs: int = -1,
    dask: str | None = None,
    progress: bool = True,
    convention: str = "scipy",
    **options: Any,
) -> list[dict[str, Any]]:
    """A row for each pair, in their order: what ``regkit.register`` finds, or why it finds nothing.

    A row has the two files, the error in words (empty if there is none), the warnings, the distance
    before and after, the overlap, the matrix of an affine map and its parameters w, and seconds.
    Each pair is computed by one thread. Where the images come from files that say how large their
    cells are, so do the grids.

    Args:
        pairs: of files for ``regkit.files.read``, or of images for ``regkit.register``; template first.
        table: a file .csv that gets the rows, each as soon as it is there; in the end in their order.
        jobs: how many processes; −1 for as many as there are cores.
        dask: the address of a scheduler, as "tcp://host:8786"; then ``jobs`` has no meaning, and files
            must be where its workers find them.
        progress: whether to show a bar.
        convention: of the matrices, as in ``Registered.matrix``.
        options: of ``regkit.register``, the same for all pairs.

    Raises:
        ValueError: for what is no pair, for no processes, and for Dask that is not installed.

    Example:
        >>> from regkit.data import hands_phantom
        >>> pair = hands_phantom(32)
        >>> rows = register_all([(pair.template, pair.reference)], jobs=1, progress=False)
        >>> rows[0]["error"], len(rows[0]["matrix"]), rows[0]["after"] < 0.1 * rows[0]["before"]
        ('', 3, True)
    """
    cases = [tuple(pair) for pair in pairs]
    for number, case in enumerate(cases):
        if len(case) != 2:
            raise ValueError(f"expected pairs, got {len(case)} images in number {number}")
    if jobs == 0:
        raise ValueError("expected a number of processes, or −1 for as many as cores, got 0")
    rows: dict[int, dict[str, Any]] = {}
    if table is not None:
        _write(table, [], "w")
    with _bar(len(cases), progress) as bar:
        for k, row, _ in _done([(*case, convention, options) for case in cases], jobs, dask):
            names = (str(each) if _is_file(each) else str(k) for each in cases[k])
            rows[k] = {**dict(zip(COLUMNS, names, strict=False)), **row}
            if table is not None:
                _write(table, [rows[k]], "a")
            if bar is not None:
                bar.update()
    result = [rows[k] for k in range(len(cases))]
    if table is not None:
        _write(table, result, "w")
    return result


def _bar(total: int, progress: bool) -> AbstractContextManager[Any]:
    if not progress:
        return nullcontext()
    from tqdm import tqdm

    return tqdm(total=total, desc="register")


def _done(cases: list[tuple], jobs: int, dask: str | None) -> Iterator[tuple[int, dict[str, Any], float]]:
    """The rows as they come, with their numbers; one process alone needs no joblib."""
    if jobs == 1 and dask is None:
        yield from (_alone(k, _one, case) for k, case in enumerate(cases))
        return
    import joblib

    with _workers(dask, jobs):
        calls = (joblib.delayed(_alone)(k, _one, case) for k, case in enumerate(cases))
        yield from joblib.Parallel(return_as="generator_unordered")(calls)


def _is_file(image: Any) -> bool:
    return isinstance(image, str | Path)


def _one(template: Any, reference: Any, convention: str, options: dict[str, Any]) -> dict[str, Any]:
    """The row of one pair; whatever goes wrong becomes its error."""
    from regkit.register import register
    from regkit.transforms import Affine

    begin = time.perf_counter()
    row: dict[str, Any] = dict.fromkeys(COLUMNS[2:], "")
    try:
        found = register(template, reference, **{"callback": lambda stage: None, **options})
        row["warnings"] = list(found.warnings)
        row.update(before=found.before, after=found.after, overlap=found.overlap, w=found.w.tolist())
        if isinstance(found.transform, Affine):
            row["matrix"] = found.matrix(convention).tolist()
    except Exception as failure:  # one of a thousand: it is told, and the others go on
        row["error"] = f"{type(failure).__name__}: {failure}"
    return {**row, "seconds": time.perf_counter() - begin}


def _write(table: str | Path, rows: list[dict[str, Any]], mode: str) -> None:
    with open(table, mode, encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS)
        if mode == "w":
            writer.writeheader()
        for row in rows:
            words = {"warnings": "; ".join(row["warnings"])}
            lists = {name: json.dumps(row[name]) for name in ("matrix", "w") if row[name] != ""}
            writer.writerow({**row, **words, **lists})
