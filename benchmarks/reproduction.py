"""The paper's tables and figures on its own images, recorded: python benchmarks/reproduction.py record

Needs REGKIT_DATA, the folder with the paper's images. Chapter 12 shows the record, reproduction.json, beside
the same runs on the drawn hands. Where rounding decides how a run ends, it is made from five starts 1e-10
apart. The record holds numbers only: the images are the paper's.
"""

from __future__ import annotations

from regbook.experiments import ch12
from regbook.records import making

STARTS = 5
ALONE = ("none", "exact", "Kaufman", "last 0 %", "last 50 %", "last 70 %")  # rounding decides nothing


def case(what: str, *arguments) -> dict:
    """One table, figure or run on the paper's images."""
    found = getattr(ch12, what)("paper", *arguments)
    if what == "run":
        del found["image"]
    return found


def record(options) -> None:
    names = list(ch12.projections())
    runs = [("run", name, k) for name in names for k in range(1 if name in ALONE else STARTS)]
    alone = ("figure_2", "corrector_iterations", "figure_4")
    figures = [*((name,) for name in alone), ("figure_3", 32), ("figure_3", 128)]
    tests = [("figure_7", percent) for percent in ch12.PERCENTS]
    cases = [*figures, *tests, *runs]
    how = {"jobs": options.jobs, "dask": options.dask, "fresh": options.fresh}
    results, seconds = making.run(case, cases, "reproduction", **how)
    found = dict(zip(cases, results, strict=True))
    content = {
        "command": "python benchmarks/reproduction.py record",
        **{name: found[name,] for name in alone},
        "figure_3": {str(size): found["figure_3", size] for size in (32, 128)},
        "figure_7": {str(percent): found["figure_7", percent] for percent in ch12.PERCENTS},
        "runs": {name: [found[key] for key in runs if key[1] == name] for name in names},
    }
    making.write("reproduction.json", content, seconds=seconds)


if __name__ == "__main__":
    making.main(__doc__, record)
