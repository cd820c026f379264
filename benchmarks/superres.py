"""Super-resolution: what a Jacobian and a run cost, and which combination gives most for least work.

    python benchmarks/superres.py            both; the comparison is the record superres.json
    python benchmarks/superres.py cost       only the cost; of the paper's problem if REGKIT_DATA is set

Compared are three images, drawn or shipped with Matplotlib, with four sets of motions each, without noise
and with it. Work is counted in products with AᵀA, one for each column. Errors are those of an exact solve for
f at the final w.
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

from regbook import records
from regkit import data
from regkit.superres import Synthetic, register_templates, synthetic
from regkit.varpro import Reduced, minimise

FILE = records.path("superres.json")


def fixed_counts(projection: int, tangent: int) -> dict:
    """Options for so many iterations of conjugate gradients, for f and for its derivative, always."""
    return {"rtol": 0.0, "maxiter": projection, "tangent_rtol": 0.0, "tangent_maxiter": tangent}


def growing(projection: int, tangent: int, factor: float):
    """A schedule: so many iterations in the first step, and ``factor`` times more in each that follows."""
    return lambda k: fixed_counts(*(int(n * factor ** (k - 1)) for n in (projection, tangent)))


PAPER = {"damping": 1e-3, "scaling": "identity", "steps": 9}
OURS = {"damping": 1e-2, "scaling": "diagonal", "steps": 9}
BEST = {"kind": "kaufman"}, {**OURS, "schedule": growing(10, 5, 1.2)}

# name, number of fixed templates, options of Reduced, options of minimise
METHODS = [
    ("paper: 24 parameters, data block, exact derivative", 0, {"rows": "data", "exact": True}, PAPER),
    ("paper: the same, nothing differentiated", 0, {"rows": "data", "exact": True, "kind": "none"}, PAPER),
    ("template 0 held", 1, {"rows": "data", "exact": True}, PAPER),
    ("and the full residual", 1, {"exact": True}, PAPER),
    ("and damping by the diagonal", 1, {"exact": True}, OURS),
    ("and Kaufman", 1, {"exact": True, "kind": "kaufman"}, OURS),
    ("none, 20", 1, {"kind": "none", **fixed_counts(20, 0)}, OURS),
    ("unrolled, 5", 1, {"kind": "unrolled", **fixed_counts(5, 0)}, OURS),
    ("unrolled, 10", 1, {"kind": "unrolled", **fixed_counts(10, 0)}, OURS),
    ("unrolled, 20", 1, {"kind": "unrolled", **fixed_counts(20, 0)}, OURS),
    ("implicit, 10 + 10", 1, {"kind": "implicit", **fixed_counts(10, 10)}, OURS),
    ("implicit, 20 + 20", 1, {"kind": "implicit", **fixed_counts(20, 20)}, OURS),
    ("Kaufman, 5 + 5", 1, {"kind": "kaufman", **fixed_counts(5, 5)}, OURS),
    ("Kaufman, 10 + 10", 1, {"kind": "kaufman", **fixed_counts(10, 10)}, OURS),
    ("Kaufman, 40 + 10", 1, {"kind": "kaufman", **fixed_counts(40, 10)}, OURS),
    ("Kaufman, 40 + 20", 1, {"kind": "kaufman", **fixed_counts(40, 20)}, OURS),
    ("Kaufman, 10 + 10, warm", 1, {"kind": "kaufman", **fixed_counts(10, 10)}, {**OURS, "warm": True}),
    ("Kaufman, 10 + 5 growing by 1.2", 1, *BEST),
    ("the same, warm", 1, BEST[0], {**BEST[1], "warm": True}),
]
SEEDS = (2, 12, 22, 32)


def images() -> dict:
    pair = data.hands_phantom(24)
    other = data.hands_phantom(20)
    return {
        "head 32": data.mri(32),
        "hand 24": (pair.reference, pair.grid),
        "other hand 20": (other.template, other.grid),
    }


def problems(noise: float = 0.0, strength: float = 1e-2) -> list[tuple[str, Synthetic, torch.Tensor]]:
    """Name, problem and start, for each image and each set of motions."""
    found = []
    for name, (image, grid) in images().items():
        for seed in SEEDS:
            made = synthetic(image, grid, seed=seed, noise=noise, strength=strength)
            found.append((f"{name}, motions {seed}", made, register_templates(made.problem)))
    return found


def exact_error(made, w: torch.Tensor) -> float:
    """Image error in % after an exact solve for f at w."""
    return 100 * made.error(Reduced(made.problem, exact=True).point(w).f)


def compare() -> dict:
    """Every method on every problem: final errors, products, and the error after every step."""
    cases = problems()
    record = {
        "problems": [name for name, *_ in cases],
        "start": [round(exact_error(made, w), 2) for _, made, w in cases],
        "upsampled": [round(100 * made.error(made.problem.upsampled()), 2) for _, made, _ in cases],
        "methods": [],
    }
    print(f"{len(cases)} problems; median error at the start {statistics.median(record['start']):.1f} %")
    print(f"{'method':50} {'median':>7} {'worst':>7} {'products':>9} {'to within 5 %':>14}")
    for name, fixed, options, run in METHODS:
        paths = []
        for _, made, w in cases:
            problem, start = made.problem, w
            if fixed == 0:
                problem = replace(problem, fixed=0)
                start = torch.cat([problem.transform.identity(w.dtype), w])
            case = replace(made, problem=problem)
            found = minimise(Reduced(problem, problem.upsampled(), **options), start, **run)
            paths.append([(step.products, round(exact_error(case, step.x), 3)) for step in found.history])
        errors, products = [path[-1][1] for path in paths], [path[-1][0] for path in paths]
        early = [next(spent for spent, error in path if error <= 1.05 * path[-1][1]) for path in paths]
        exact = options.get("exact", False)
        work = ["exact", "exact"] if exact else [f"{statistics.median(n):.0f}" for n in (products, early)]
        line = f"{name:50} {statistics.median(errors):6.2f}% {max(errors):6.2f}% {work[0]:>9} {work[1]:>14}"
        print(line, flush=True)
        products = None if exact else products
        record["methods"].append({"name": name, "errors": errors, "products": products, "paths": paths})
    return record


def with_noise() -> list[dict]:
    """Median errors over all problems, for noise (in grey values) and λ, without and with a derivative."""
    rows = []
    for noise in (0.0, 1.0, 3.0):
        for strength in (1e-3, 1e-2, 0.1, 0.3, 1.0):
            errors = {"start": [], "none": [], "kaufman": []}
            for _, made, w in problems(noise, strength):
                errors["start"].append(exact_error(made, w))
                for kind in ("none", "kaufman"):
                    reduced = Reduced(made.problem, made.problem.upsampled(), kind=kind, exact=True)
                    errors[kind].append(exact_error(made, minimise(reduced, w, **OURS).x))
            medians = {name: round(statistics.median(values), 2) for name, values in errors.items()}
            rows.append({"noise": noise, "strength": strength, **medians})
            print(rows[-1], flush=True)
    return rows


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
        record = {"command": "python benchmarks/superres.py", **compare(), "noise": with_noise()}
        FILE.write_text(json.dumps(record, separators=(",", ":")) + "\n", encoding="utf-8")
