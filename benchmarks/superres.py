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
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

import torch

from regbook import paper, records
from regbook.meter import Metered
from regkit import data
from regkit.implicit import Derivative, Frozen, Implicit, Unrolled
from regkit.linear import CG, Cholesky, Solver
from regkit.optimize import Result, levenberg_marquardt
from regkit.templates import Synthetic, register_templates, synthetic
from regkit.varpro import GolubPereyra, Kaufman, Reduced, ReducedJacobian

FILE = records.path("superres.json")


EXACT, N = Cholesky(), CG.fixed
OURS = partial(levenberg_marquardt, damping=1e-2, iterations=9)


@dataclass(frozen=True)
class Method:
    """What is compared: solver and Jacobian; on which residual; how it is minimised.

    fixed: how many templates are held; warm: start each projection at the last image; growing: step k gets
    this to the power k − 1 times the iterations.
    """

    name: str
    solver: Solver
    jacobian: ReducedJacobian | Derivative
    fixed: int = 1
    rows: str = "full"
    minimise: Callable = OURS
    warm: bool = False
    growing: float | None = None

    def run(self, problem, w: torch.Tensor) -> tuple[Result, list[int]]:
        """The run from w, and the products with AᵀA after each step."""
        meter, products = Metered(problem), []
        reduced = Reduced(meter, self.solver, self.jacobian, problem.upsampled(), self.rows)

        def advance(k, point):
            following = reduced
            if self.growing is not None:
                more = [int(s.maxiter * self.growing ** (k - 1)) for s in (self.solver, self.jacobian.solver)]
                following = replace(reduced, solver=N(more[0]), jacobian=Kaufman(N(more[1])))
            return replace(following, f0=point.f) if self.warm else following

        def note(step):
            products.append(meter.products)

        return self.minimise(reduced, w, advance=advance, callback=note), products


PAPER = {"rows": "data", "minimise": paper.levenberg_marquardt}
METHODS = [
    Method("paper: 24 parameters, data block, exact derivative", EXACT, GolubPereyra(), 0, **PAPER),
    Method("paper: the same, nothing differentiated", EXACT, Frozen(), 0, **PAPER),
    Method("template 0 held", EXACT, GolubPereyra(), **PAPER),
    Method("and the full residual", EXACT, GolubPereyra(), minimise=paper.levenberg_marquardt),
    Method("and damping by the diagonal", EXACT, GolubPereyra()),
    Method("and Kaufman", EXACT, Kaufman()),
    Method("none, 20", N(20), Frozen()),
    Method("unrolled, 5", N(5), Unrolled()),
    Method("unrolled, 10", N(10), Unrolled()),
    Method("unrolled, 20", N(20), Unrolled()),
    Method("implicit, 10 + 10", N(10), Implicit(N(10))),
    Method("implicit, 20 + 20", N(20), Implicit(N(20))),
    Method("Kaufman, 5 + 5", N(5), Kaufman(N(5))),
    Method("Kaufman, 10 + 10", N(10), Kaufman(N(10))),
    Method("Kaufman, 40 + 10", N(40), Kaufman(N(10))),
    Method("Kaufman, 40 + 20", N(40), Kaufman(N(20))),
    Method("Kaufman, 10 + 10, warm", N(10), Kaufman(N(10)), warm=True),
    Method("Kaufman, 10 + 5 growing by 1.2", N(10), Kaufman(N(5)), growing=1.2),
    Method("the same, warm", N(10), Kaufman(N(5)), growing=1.2, warm=True),
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
    return 100 * made.error(Reduced(made.problem, EXACT).point(w).f)


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
    for method in METHODS:
        name, exact, paths = method.name, method.solver == EXACT, []
        for _, made, w in cases:
            problem, start = made.problem, w
            if method.fixed == 0:
                problem = replace(problem, fixed=0)
                start = torch.cat([problem.transform.identity(w.dtype), w])
            case = replace(made, problem=problem)
            found, products = method.run(problem, start)
            errors = [round(exact_error(case, step.x), 3) for step in found.history]
            paths.append(list(zip(products, errors, strict=True)))
        errors, products = [path[-1][1] for path in paths], [path[-1][0] for path in paths]
        early = [next(spent for spent, error in path if error <= 1.05 * path[-1][1]) for path in paths]
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
                for name, jacobian in {"none": Frozen(), "kaufman": Kaufman()}.items():
                    found = OURS(Reduced(made.problem, EXACT, jacobian), w)
                    errors[name].append(exact_error(made, found.x))
            medians = {name: round(statistics.median(values), 2) for name, values in errors.items()}
            rows.append({"noise": noise, "strength": strength, **medians})
            print(rows[-1], flush=True)
    return rows


def cost() -> None:
    """CPU time of one Jacobian and one run; the paper's problem where its images are to be found."""
    if os.environ.get("REGKIT_DATA"):
        made, w = paper.superresolution(window=paper.cut_edge)
    else:
        phantom = data.hands_phantom(20)
        made = synthetic(phantom.reference, phantom.grid, fixed=0)
        w = torch.cat([made.problem.transform.identity(), register_templates(replace(made.problem, fixed=1))])
    f0, tolerance = made.problem.upsampled(), paper.cg()
    print("20 × 20 from 4 × 10 × 10, 24 parameters, data block; CPU time")
    for name, *how in (
        ("exact, Cholesky", EXACT, GolubPereyra()),
        ("implicit, 100 tangent iterations", tolerance, Implicit(N(100))),
        ("Kaufman, Cholesky", EXACT, Kaufman()),
        ("none, Cholesky", EXACT, Frozen()),
        ("all iterations differentiated", tolerance, Unrolled()),
    ):
        reduced = Reduced(made.problem, *how, f0, rows="data")
        _ = reduced.point(w).jacobian
        clock, count = time.process_time(), 5
        for _ in range(count):
            _ = reduced.point(w).jacobian
        jacobian, clock = (time.process_time() - clock) / count, time.process_time()
        found = paper.levenberg_marquardt(reduced, w)
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
