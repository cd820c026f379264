"""Super-resolution: what a Jacobian and a run cost, and which combination gives most for least work.

    python benchmarks/superres.py            cost, and the comparison over three images and four seeds
    python benchmarks/superres.py cost       only the first

The images are drawn or shipped with Matplotlib; with REGKIT_DATA set, the paper's problem is timed too. Work
is counted in products with AᵀA, one for each column. Errors are those of an exact solve for f at the final w.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import time
from dataclasses import replace
from pathlib import Path

import torch

from regkit import data
from regkit.superres import register_templates, synthetic
from regkit.varpro import Reduced, minimise


def fixed_counts(projection: int, tangent: int) -> dict:
    """Options for so many iterations of conjugate gradients, for f and for its derivative, always."""
    return {"rtol": 0.0, "maxiter": projection, "tangent_rtol": 0.0, "tangent_maxiter": tangent}


PAPER = {"damping": 1e-3, "scaling": "identity", "steps": 9}
OURS = {"damping": 1e-2, "scaling": "diagonal", "steps": 9}

# name, number of fixed templates, options of Reduced, options of minimise
METHODS = [
    ("paper: 24 free, data block, exact derivative", 0, {"rows": "data", "exact": True}, PAPER),
    ("paper: the same, nothing differentiated", 0, {"rows": "data", "exact": True, "kind": "none"}, PAPER),
    ("template 0 held", 1, {"rows": "data", "exact": True}, PAPER),
    ("and the full residual", 1, {"exact": True}, PAPER),
    ("and damping by the diagonal", 1, {"exact": True}, OURS),
    ("and Kaufman", 1, {"exact": True, "kind": "kaufman"}, OURS),
    ("unrolled, 20 iterations", 1, {"kind": "unrolled", **fixed_counts(20, 20)}, OURS),
    ("implicit, 20 + 20 iterations", 1, {"kind": "implicit", **fixed_counts(20, 20)}, OURS),
    ("Kaufman, 5 + 5 iterations", 1, {"kind": "kaufman", **fixed_counts(5, 5)}, OURS),
    ("Kaufman, 10 + 10 iterations", 1, {"kind": "kaufman", **fixed_counts(10, 10)}, OURS),
    ("Kaufman, 20 + 10 iterations", 1, {"kind": "kaufman", **fixed_counts(20, 10)}, OURS),
    ("the same, warm started", 1, {"kind": "kaufman", **fixed_counts(20, 10)}, {**OURS, "warm": True}),
    (
        "Kaufman, 5 iterations growing by half",
        1,
        {"kind": "kaufman"},
        {**OURS, "schedule": lambda k: fixed_counts(*[int(5 * 1.5 ** (k - 1))] * 2)},
    ),
]


def images() -> dict:
    found = {"mri": data.mri(32)}
    phantom = data.hands_phantom(24)
    found["phantom"] = (phantom.reference, phantom.grid)
    if os.environ.get("REGKIT_DATA"):
        hands = data.paper_hands(20)
        found["hands"] = (hands.reference, hands.grid)
    return found


def exact_error(made, w: torch.Tensor) -> float:
    """Image error in % after an exact solve for f at w."""
    return 100 * made.error(Reduced(made.problem, exact=True).point(w).f)


def compare(seeds=(2, 12, 22, 32)) -> None:
    cases = []
    for name, (image, grid) in images().items():
        for seed in seeds:
            made = synthetic(image, grid, seed=seed)
            cases.append((f"{name}/{seed}", made, register_templates(made.problem)))
    starts = [exact_error(made, w) for _, made, w in cases]
    print(f"{len(cases)} problems; start: median {statistics.median(starts):.1f} %")
    print(f"{'method':46} {'median':>7} {'worst':>7} {'products':>9} {'to within 5 %':>14}")
    for name, fixed, options, run in METHODS:
        errors, products, early = [], [], []
        for _, made, w in cases:
            problem, start = made.problem, w
            if fixed == 0:
                problem = replace(problem, fixed=0)
                start = torch.cat([problem.transform.identity(w.dtype), w])
            case = replace(made, problem=problem)
            found = minimise(Reduced(problem, problem.upsampled(), **options), start, **run)
            path = [(step.products, exact_error(case, step.x)) for step in found.history]
            errors.append(path[-1][1])
            products.append(path[-1][0])
            early.append(next(spent for spent, error in path if error <= 1.05 * path[-1][1]))
        medians = [statistics.median(values) for values in (errors, products, early)]
        exact = options.get("exact", False)
        work = ["exact", "exact"] if exact else [f"{medians[1]:.0f}", f"{medians[2]:.0f}"]
        print(f"{name:46} {medians[0]:6.2f}% {max(errors):6.2f}% {work[0]:>9} {work[1]:>14}")


def cost() -> None:
    """CPU time of one Jacobian and one run; the paper's problem where its images are to be found."""
    folder = os.environ.get("REGKIT_DATA")
    if folder:
        hands = data.paper_hands(20)
        made = synthetic(hands.reference, hands.grid, fixed=0, cut_edge=True)
        start = json.loads((Path(folder) / "superres_start.json").read_text())["norm"]
        w = torch.tensor(start, dtype=torch.float64)
    else:
        phantom = data.hands_phantom(20)
        made = synthetic(phantom.reference, phantom.grid, fixed=0)
        w = torch.cat([made.problem.transform.identity(), register_templates(replace(made.problem, fixed=1))])
    f0, tolerance = made.problem.upsampled(), {"rtol": 0.0, "atol": 1e-3, "maxiter": 500}
    print("20 × 20 from 4 × 10 × 10, 24 parameters, data block; CPU time")
    for name, options in (
        ("exact, Cholesky", {"exact": True}),
        ("implicit, 100 tangent iterations", {"kind": "implicit", **tolerance, "tangent_maxiter": 100}),
        ("Kaufman, Cholesky", {"kind": "kaufman", "exact": True}),
        ("none, Cholesky", {"kind": "none", "exact": True}),
        ("all iterations differentiated", {"kind": "unrolled", **tolerance}),
    ):
        reduced = Reduced(made.problem, f0, rows="data", **options)
        reduced.jacobian(w)
        clock, count = time.process_time(), 5
        for _ in range(count):
            reduced.jacobian(w)
        jacobian, clock = (time.process_time() - clock) / count, time.process_time()
        found = minimise(reduced, w, **PAPER)
        run, error = time.process_time() - clock, exact_error(made, found.x)
        print(f"{name:34} Jacobian {1e3 * jacobian:7.1f} ms   9 steps {run:6.2f} s   error {error:.2f} %")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("what", nargs="?", choices=("all", "cost"), default="all")
    what = parser.parse_args().what
    torch.set_num_threads(1)
    cost()
    if what == "all":
        compare()
