"""Maps with 6 to 5,000 parameters: how well each finds bent fingers, and what its derivatives cost.

    python benchmarks/beyond_affine.py record    fits, and bytes of a flow's gradient: beyond_affine.json
    python benchmarks/beyond_affine.py cost      milliseconds of loss, gradient, product and Jacobian over p,
                                                 and for a flow with 50 parameters by hand and by torch.func

The pair is the drawn hand with straight and with bent fingers, 64 × 64 cells, whose true map is known. Maps
without a lattice are found by Levenberg-Marquardt's method over four scales, free-form ones as in chapter 11,
with α falling to 10⁻². Bytes are the most that the gradient holds at one time, as the allocator counts them.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from itertools import accumulate

import torch

from regbook.experiments import ch11 as experiments
from regbook.records import making
from regkit.flows import NeuralODE
from regkit.freeform import DisplacementField, FreeForm
from regkit.grid import Grid
from regkit.maps import determinants, gradients
from regkit.optimize import levenberg_marquardt
from regkit.registration import Registration
from regkit.transforms import Affine

CENTRE = experiments.CENTRE
PLAIN = {"affine": Affine(2, CENTRE), "neural ODE": NeuralODE(center=CENTRE, unit=5.0)}
LATTICES = {"free-form, 2 × 2": 2, "free-form, 13 × 13": 13, "free-form, 47 × 47": 47}
STEPS = (3, 9, 27, 81, 243)


def case(kind: str, what: str | int) -> dict:
    """One map on the bent fingers, or the bytes for a flow of so many steps."""
    return {"map": fitted, "memory": kept}[kind](what)


def fitted(name: str) -> dict:
    """How good a kind of map is: what is left (%), miss (cm), smallest det ∇y, folded cells."""
    bent = experiments.hands()
    grid, images = bent.pair.grid, (bent.pair.template, bent.pair.reference)
    if name in LATTICES:
        lattice = Grid(grid.extent, (LATTICES[name],) * 2)
        bent = replace(bent, transform=FreeForm(lattice))
        alphas = [alpha for alpha in experiments.ALPHAS if alpha > 0.009]
        w, transform = bent.fits(alphas)[-1].w, bent.transform
    else:
        transform = PLAIN[name]
        w, problem = transform.identity(), Registration(*images, grid, transform, outside=0.0)
        for theta in (100.0, 10.0, 1.0, experiments.THETA):
            w = levenberg_marquardt(problem.at(theta), w, iterations=40).x
    y = transform(w, grid.points())
    # The squared difference of the same images for all: y as a displacement of every cell.
    every = replace(bent, transform=DisplacementField(grid))
    v = (y - grid.points()).T.reshape(-1)
    det = determinants(gradients(transform, w, grid.points()))
    return {
        "p": len(w),
        "left": every.bare(v),
        "miss": float(every.miss(v)[bent.inside].mean()),
        "least": float(det.min()),
        "folded": int((det <= 0).sum()),
    }


def peak_bytes(function: Callable) -> int:
    """The most memory that ``function()`` holds at one time, by the allocator's own account."""
    function()
    activities = [torch.profiler.ProfilerActivity.CPU]
    with torch.profiler.profile(activities=activities, profile_memory=True) as profile:
        function()
    events = [event for event in profile.profiler.kineto_results.events() if event.name() == "[memory]"]
    return max(accumulate(event.nbytes() for event in sorted(events, key=lambda event: event.start_ns())))


def kept(steps: int, points: int = 1000) -> dict:
    """Bytes of the gradient of a flow: reverse mode as it is, and with few points kept."""
    draw = torch.Generator().manual_seed(0)
    x = 20 * torch.rand(points, 2, generator=draw, dtype=torch.float64)
    flow = experiments.flow_of(steps)
    w, motion = experiments.swirl(), flow.on(x)
    plain = torch.func.grad(lambda w: flow(w, x).square().sum())
    few = lambda: motion.chain_gradient(w, 2 * motion(w))  # noqa: E731
    return {"plain": peak_bytes(lambda: plain(w)), "few": peak_bytes(few)}


def record(options) -> None:
    cases = [("map", name) for name in (*PLAIN, *LATTICES)] + [("memory", steps) for steps in STEPS]
    how = {"jobs": options.jobs, "dask": options.dask, "fresh": options.fresh}
    results, seconds = making.run(case, cases, "beyond_affine", **how)
    found = dict(zip(cases, results, strict=True))
    content = {
        "about": {"command": "python benchmarks/beyond_affine.py record", "points_of_the_flow": 1000},
        "maps": {what: result for (kind, what), result in found.items() if kind == "map"},
        "memory": {str(what): result for (kind, what), result in found.items() if kind == "memory"},
    }
    making.write("beyond_affine.json", content, tolerance=1e-3, seconds=seconds)


def cost() -> None:
    """Milliseconds by torch.func, for free-form deformations of images of 128 × 128 cells."""
    pair = experiments.data.bent_hands_phantom(128)
    for cells in experiments.SIDES:
        free = FreeForm(Grid(pair.grid.extent, (cells, cells)))
        problem = Registration(pair.template, pair.reference, pair.grid, free, outside=0.0).at(
            experiments.THETA
        )
        w, gradient = free.identity(), torch.func.grad(problem.loss)
        ones = torch.ones_like(w)
        runs = {
            "loss": lambda f=problem.loss, w=w: f(w),
            "gradient": lambda f=gradient, w=w: f(w),
            "product with H": lambda f=gradient, w=w, v=ones: torch.func.jvp(f, (w,), (v,)),
        }
        if len(w) < 600:
            runs["Jacobian"] = lambda f=problem.residual, w=w: torch.func.jacfwd(f)(w)
        print(f"p = {len(w):>6}: {timed(runs)}")
    flow = experiments.flow_of(9)
    pair = experiments.data.hands_phantom(32)
    problem = Registration(pair.template, pair.reference, pair.grid, flow, outside=0.0).at(experiments.THETA)
    noise = torch.randn(flow.parameters, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    w = flow.identity() + 0.01 * noise
    for method in ("closed", "autodiff"):
        runs = {
            "forward": lambda: problem.residual(w),
            "Jacobian": lambda method=method: problem.jacobian(w, method=method),
            "loss": lambda: problem.loss(w),
            "gradient": lambda method=method: problem.gradient(w, method=method),
            "Hessian": lambda method=method: problem.hessian(w, method=method),
        }
        print(f"a flow, p = 50, {method}: {timed(runs)}")


def timed(runs: dict[str, Callable], repeats: int = 5) -> str:
    """Median milliseconds of each function, in words."""
    said = []
    for name, run in runs.items():
        used = []
        for _ in range(repeats):
            begin = time.perf_counter()
            run()
            used.append(time.perf_counter() - begin)
        said.append(f"{name} {1e3 * sorted(used)[repeats // 2]:.1f}")
    return f"{', '.join(said)} ms"


if __name__ == "__main__":
    parser = making.parser(__doc__)
    parser.add_argument("what", nargs="*", choices=["record", "cost", []], metavar="what")
    options = parser.parse_args()
    torch.set_num_threads(1)
    for what in options.what or ["record", "cost"]:
        record(options) if what == "record" else cost()
