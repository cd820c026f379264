"""Super-resolution: what a Jacobian and a run cost, and which combination gives most for least work.

    python benchmarks/superres.py            both
    python benchmarks/superres.py record     which combination: the record superres.json
    python benchmarks/superres.py cost       the cost; of the paper's problem if REGKIT_DATA is set

Compared are three images, drawn or shipped with Matplotlib, with four sets of motions each, without noise
and with it. Work is counted in products with AᵀA, one for each column. Errors are those of an exact solve for
f at the final w.
"""

from __future__ import annotations

import itertools
import os
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache, partial

import torch

from regbook import paper
from regbook.meter import Metered
from regbook.records import making
from regkit import data
from regkit.implicit import Derivative, Frozen, Implicit, Unrolled
from regkit.linear import CG, Cholesky, Solver
from regkit.optimize import Result, levenberg_marquardt
from regkit.templates import register_templates, synthetic
from regkit.varpro import GolubPereyra, Kaufman, Reduced, ReducedJacobian

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


IMAGES = ("head 32", "hand 24", "other hand 20")
PROBLEMS = [*itertools.product(IMAGES, SEEDS)]


def image(name: str) -> tuple:
    if name == "head 32":
        return data.mri(32)
    pair = data.hands_phantom(int(name[-2:]))
    return (pair.template if "other" in name else pair.reference), pair.grid


@cache  # the cases of one worker share it
def problem(name: str, seed: int, noise: float = 0.0, strength: float = 1e-2) -> tuple:
    """Problem and start, for an image and a set of motions."""
    made = synthetic(*image(name), seed=seed, noise=noise, strength=strength)
    return made, register_templates(made.problem)


def exact_error(made, w: torch.Tensor) -> float:
    """Image error in % after an exact solve for f at w."""
    return 100 * made.error(Reduced(made.problem, EXACT).point(w).f)


def before(name: str, seed: int) -> dict:
    """Errors without any optimisation."""
    made, w = problem(name, seed)
    return {"start": exact_error(made, w), "upsampled": 100 * made.error(made.problem.upsampled())}


def one(k: int, name: str, seed: int) -> list[tuple[int, float]]:
    """Method ``k`` on one problem: products and error after every step."""
    method, (made, w) = METHODS[k], problem(name, seed)
    if method.fixed == 0:
        made = replace(made, problem=replace(made.problem, fixed=0))
        w = torch.cat([made.problem.transform.identity(w.dtype), w])
    found, products = method.run(made.problem, w)
    errors = [round(exact_error(made, step.x), 3) for step in found.history]
    return list(zip(products, errors, strict=True))


def compare(how: dict) -> tuple[dict, float]:
    """Every method on every problem: final errors, products, and the error after every step."""
    first, seconds = making.run(before, PROBLEMS, "superres_before", **how)
    cases = [(k, *case) for k in range(len(METHODS)) for case in PROBLEMS]
    found, more = making.run(one, cases, "superres", **how)
    record = {
        "problems": [f"{name}, motions {seed}" for name, seed in PROBLEMS],
        **{key: [round(row[key], 2) for row in first] for key in ("start", "upsampled")},
        "methods": [],
    }
    print(f"{len(PROBLEMS)} problems; median error at the start {statistics.median(record['start']):.1f} %")
    print(f"{'method':50} {'median':>7} {'worst':>7} {'products':>9} {'to within 5 %':>14}")
    for k, method in enumerate(METHODS):
        paths = found[k * len(PROBLEMS) : (k + 1) * len(PROBLEMS)]
        errors, products = [path[-1][1] for path in paths], [path[-1][0] for path in paths]
        early = [next(spent for spent, error in path if error <= 1.05 * path[-1][1]) for path in paths]
        exact = method.solver == EXACT
        work = ["exact", "exact"] if exact else [f"{statistics.median(n):.0f}" for n in (products, early)]
        line = f"{method.name:50} {statistics.median(errors):6.2f}% {max(errors):6.2f}%"
        print(f"{line} {work[0]:>9} {work[1]:>14}")
        row = {"name": method.name, "errors": errors, "products": None if exact else products, "paths": paths}
        record["methods"].append(row)
    return record, seconds + more


NOISES, STRENGTHS = (0.0, 1.0, 3.0), (1e-3, 1e-2, 0.1, 0.3, 1.0)


def noisy(noise: float, strength: float, name: str, seed: int) -> dict[str, float]:
    """Errors at the start, and after a run without and with a derivative of the projection."""
    made, w = problem(name, seed, noise, strength)
    errors = {"start": exact_error(made, w)}
    for way, jacobian in {"none": Frozen(), "kaufman": Kaufman()}.items():
        errors[way] = exact_error(made, OURS(Reduced(made.problem, EXACT, jacobian), w).x)
    return errors


def with_noise(how: dict) -> tuple[list[dict], float]:
    """Median errors over all problems, for noise (in grey values) and λ."""
    cases = [(noise, s, *case) for noise in NOISES for s in STRENGTHS for case in PROBLEMS]
    found, seconds = making.run(noisy, cases, "superres_noise", **how)
    rows = []
    for noise, strength in itertools.product(NOISES, STRENGTHS):
        here = [r for case, r in zip(cases, found, strict=True) if case[:2] == (noise, strength)]
        medians = {key: round(statistics.median(row[key] for row in here), 2) for key in here[0]}
        rows.append({"noise": noise, "strength": strength, **medians})
        print(rows[-1])
    return rows, seconds


def record(options) -> None:
    how = {"jobs": options.jobs, "dask": options.dask, "fresh": options.fresh}
    (content, seconds), (rows, more) = compare(how), with_noise(how)
    content = {"command": "python benchmarks/superres.py record", **content, "noise": rows}
    making.write("superres.json", content, seconds=seconds + more)


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
    parser = making.parser(__doc__)
    parser.add_argument("what", nargs="?", choices=("all", "record", "cost"), default="all")
    options = parser.parse_args()
    torch.set_num_threads(1)
    if options.what != "record":
        cost()
    if options.what != "cost":
        record(options)
