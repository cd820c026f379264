"""Continuation over the scale, measured: python benchmarks/continuation.py [record predictors figure3 time]

record       50 pairs of images of growing difficulty: which method succeeds? Writes continuation.json
predictors   work of every predictor, for 40, 30, 20 and 10 scales and for steps that the run chooses
figure3      does a prediction need the exact Hessian? At 32, 64 and 128 cells. Writes predictions.json
time         processor seconds of 30 scales at 32 × 32 and 128 × 128

Without a name: all of them. The images are the paper's hands where REGKIT_DATA names them, else the drawn
ones; "record" always uses the drawn ones, so that its file can be made again anywhere; "figure3" needs the
paper's.
"""

from __future__ import annotations

import itertools
import math
import statistics
import time

import torch

from regbook.experiments import ch06, euler
from regbook.records import making
from regkit.continuation import ORDERS, follow
from regkit.data import hands_phantom, paper_hands
from regkit.pyramid import multilevel
from regkit.registration import Registration
from regkit.scales import Adaptive
from regkit.transforms import Affine


def scales(count: int, start: float = 3.0) -> list[float]:
    """``count`` values of θ from 10^start down to 10⁻³."""
    return torch.logspace(start, -3, count, dtype=torch.float64).tolist()


def hands(size: int) -> tuple[str, Registration]:
    try:
        name, pair = "paper", paper_hands(size)
    except FileNotFoundError:
        name, pair = "drawn", hands_phantom(size)
    return name, Registration(pair.template, pair.reference, pair.grid)


# ---- pairs of growing difficulty

METHODS = {
    "single scale": lambda problem, w: follow(problem, [1e-3], w),
    "multi-level": lambda problem, w: multilevel(problem, w, levels=3),
    "multi-scale": lambda problem, w: follow(problem, scales(30), w, predictor="none"),
    "multi-level and multi-scale": lambda problem, w: multilevel(problem, w, levels=3, thetas=scales(4, 2.0)),
    "predictor-corrector": lambda problem, w: follow(problem, scales(30), w, predictor="euler"),
    "adaptive predictor-corrector": lambda problem, w: follow(problem, Adaptive(1e3, 1e-3), w, accuracy=1e-2),
}
FEW = {  # with a corrector that stops early
    f"{count} scales": lambda problem, w, count=count: follow(problem, scales(count), w, accuracy=1e-2)
    for count in (3, 5, 10)
}
PARTS = {"methods": METHODS, "few scales": FEW}
LEVELS = 5


def difficult_pair(level: int, number: int, size: int) -> tuple[Registration, torch.Tensor, torch.Tensor]:
    """Problem, start, true parameters. From level 1 to 5 the start is turned away from the true map by up to
    36° × level and shifted by up to 0.6 cm × level; spots and noise on both images grow with level − 1.
    """
    generator = torch.Generator().manual_seed(1000 * level + number)

    def draw(low: float, high: float) -> float:
        return low + (high - low) * float(torch.rand((), generator=generator))

    pair = hands_phantom(size)
    center = torch.tensor(pair.grid.extent, dtype=torch.float64) / 2
    transform = Affine(center=tuple(center.tolist()))
    points, strength = pair.grid.points(), 0.1 * (level - 1)

    def clutter() -> torch.Tensor:
        spots = torch.zeros(len(points), dtype=torch.float64)
        for _ in range(6):
            middle = torch.tensor([draw(0, side) for side in pair.grid.extent], dtype=torch.float64)
            radius, height = draw(0.8, 2.5), draw(60, 240)
            spots += height * torch.exp(-0.5 * ((points - middle) / radius).square().sum(1))
        noise = 60 * torch.randn(len(points), dtype=torch.float64, generator=generator)
        return strength * (spots + noise).reshape(pair.grid.shape)

    problem = Registration(pair.template + clutter(), pair.reference + clutter(), pair.grid, transform)
    A, b = pair.w_true[:4].reshape(2, 2), pair.w_true[4:]
    angle = math.radians(36 * level) * draw(-1, 1)
    turn = torch.tensor([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]]).double()
    turn = turn @ (torch.eye(2).double() + 0.05 * torch.randn(2, 2, dtype=torch.float64, generator=generator))
    shift = torch.tensor([draw(-0.6, 0.6) * level for _ in range(2)], dtype=torch.float64)
    start = transform.from_matrix(A @ turn, A @ (center + shift - turn @ center) + b)
    return problem, start, transform.from_matrix(A, b)


def attempt(name: str, level: int, number: int, size: int) -> dict:
    """One run; ``error`` is the root mean square distance to the true map, in cells."""
    problem, start, truth = difficult_pair(level, number, size)
    begin = time.process_time()
    path = (METHODS | FEW)[name](problem, start)
    seconds = time.process_time() - begin
    ends = [problem.transform(w, problem.points) for w in (path.w, truth)]
    cells = (ends[0] - ends[1]) / torch.tensor(problem.grid.spacing, dtype=torch.float64)
    error = float(cells.square().sum(1).mean().sqrt())
    return {"error": error, "iterations": path.iterations, "work": path.work, "seconds": seconds}


def record(options, size: int = 32, each: int = 10) -> None:
    levels, numbers = range(1, LEVELS + 1), range(each)
    cases = [(*case, size) for case in itertools.product(METHODS | FEW, levels, numbers)]
    how = {"jobs": options.jobs, "dask": options.dask, "fresh": options.fresh}
    results, seconds = making.run(attempt, cases, "continuation", **how)
    found, table = dict(zip(cases, results, strict=True)), {}
    for name in METHODS | FEW:
        every = [found[name, level, number, size] for level in levels for number in numbers]
        solved = [[found[name, level, number, size]["error"] < 1 for number in numbers] for level in levels]
        table[name] = {
            "success": [sum(level) / each for level in solved],
            **{key: round(statistics.mean(run[key] for run in every), 3) for key in ("iterations", "work")},
            "errors": [round(run["error"], 2) for run in every],
        }
        rates = " ".join(f"{rate:5.0%}" for rate in table[name]["success"])
        used = statistics.mean(run["seconds"] for run in every)
        print(f"{name:30}{rates}   work {table[name]['work']:6.1f}  seconds {used:.2f}")
    about = {
        "command": "python benchmarks/continuation.py record",
        "size": size,
        "pairs_per_level": each,
        "success_is": "root mean square distance to the true map below one cell",
        "work_is": "mean number of evaluations of images, in units of the finest ones",
        "turned_by_at_most_degrees": [36 * level for level in levels],
        "clutter": [round(0.1 * (level - 1), 1) for level in levels],
    }
    parts = {title: {name: table[name] for name in names} for title, names in PARTS.items()}
    making.write("continuation.json", {"about": about, **parts}, seconds=seconds)


# ---- work of the predictors


def predictors(size: int = 32) -> None:
    name, problem = hands(size)
    w0 = problem.transform.identity()
    single = follow(problem, [1e-3], w0)
    print(f"{name} hands, m = {size}; single scale: {single.iterations} iterations to {2 * single.loss:.6e}")
    print(f"{'':34}{'iterations':>11}{'evaluations':>12}{'scales':>8}{'jumps':>6}  ‖r‖²")
    plans = {f"{count} scales": (scales(count), 0.0) for count in (40, 30, 20, 10)}
    plans["10 scales, accuracy 1e-2"] = scales(10), 1e-2
    plans["adaptive, accuracy 1e-2"] = Adaptive(1e3, 1e-3), 1e-2
    plans["adaptive, longer steps"] = Adaptive(1e3, 1e-3, first=1 / 3, shortest=1 / 20), 1e-2
    for title, (plan, accuracy) in plans.items():
        for predictor in ORDERS:
            path = follow(problem, plan, w0, predictor=predictor, accuracy=accuracy)
            counts = f"{path.iterations:11}{path.evaluations:12}{len(path.accepted):8}{len(path.jumps):6}"
            print(f"{title:26}{predictor:8}{counts}  {2 * path.loss:.6e}")


# ---- Fig 3


def predictions(size: int, count: int) -> dict:
    """What chapter 6 says of the drawn hands, for the paper's: a row for each matrix."""
    pair = paper_hands(size)
    problem = Registration(pair.template, pair.reference, pair.grid)
    return ch06.table(problem, euler.path(problem, scales(count), problem.transform.identity()))


def figure3(options, count: int = 40) -> None:
    sizes = (32, 64, 128)
    how = {"jobs": options.jobs, "dask": options.dask, "fresh": options.fresh}
    tables, seconds = making.run(predictions, [(size, count) for size in sizes], "predictions", **how)
    for size, table in zip(sizes, tables, strict=True):
        print(f"the paper's hands, m = {size}, {count} scales: Euler's prediction against staying")
        for name, row in table.items():
            better = f"better in loss {row['loss']}, in gradient {row['gradient']} of {count - 1}"
            print(f"{name:26}{better}, median gain {row['median']:.3f}, miss {row['miss']:.2f}")
    about = {"command": "python benchmarks/continuation.py figure3", "scales": count, "images": "the paper's"}
    by_size = {str(size): table for size, table in zip(sizes, tables, strict=True)}
    making.write("predictions.json", {"about": about, "sizes": by_size}, seconds=seconds)


# ---- time


def seconds() -> None:
    for size in (32, 128):
        name, problem = hands(size)
        for predictor in ("none", "euler"):
            used = []
            for _ in range(3):
                begin = time.process_time()
                path = follow(problem, scales(30), problem.transform.identity(), predictor=predictor)
                used.append(time.process_time() - begin)
            end = f"{min(used):.2f} CPU s to {2 * path.loss:.6e}"
            print(f"{name} hands, m = {size}, 30 scales, {predictor:5}: {end}")


if __name__ == "__main__":
    commands = {"record": record, "predictors": predictors, "figure3": figure3, "time": seconds}
    parser = making.parser(__doc__)
    parser.add_argument(
        "what", nargs="*", choices=[*commands, []], metavar="what", help="default: everything"
    )
    options = parser.parse_args()
    torch.set_num_threads(1)
    for what in options.what or commands:
        commands[what](options) if what in ("record", "figure3") else commands[what]()
