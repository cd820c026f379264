"""Super-resolution with only some of the iterations of conjugate gradients differentiated, recorded.

    python benchmarks/differentiating_cg.py

runs nine steps of the paper's Levenberg-Marquardt method for every combination of: how the last iterations
are differentiated, how many iterations there are, how many percent of them are differentiated; from three
starts that differ by 1e-10. It takes ten minutes. Chapter 9 shows the record, differentiating_cg.npz. Its
arrays have the axes (tail, total, percent, …), with NaN for a combination that cannot run.
"""

from __future__ import annotations

import time

import numpy as np
import torch
from tqdm import tqdm

from regbook import paper, records
from regbook.experiments.ch09 import TAILS, derivative
from regbook.meter import Metered
from regkit import data
from regkit.linear import CG, Cholesky
from regkit.templates import register_templates, synthetic
from regkit.varpro import Reduced

TOTALS = (25, 50, 100, 200)
PERCENTS = (0, 10, 20, 30, 50, 70, 80, 90, 95, 100)
STARTS, STEPS = 3, 9
LENGTHS = np.logspace(0, -9, 19)  # of the steps of the Taylor test

torch.set_num_threads(1)
pair = data.hands_phantom(20)
made = synthetic(pair.reference, pair.grid)
problem, f0 = made.problem, made.problem.upsampled()
start = register_templates(problem)
noise = torch.randn(STARTS, len(start), generator=torch.Generator().manual_seed(0), dtype=start.dtype)
starts = start + 1e-10 * noise * torch.arange(STARTS).clamp(max=1)[:, None]

exact = Reduced(problem, Cholesky(), rows="data").point(start)
true_jacobian, direction = exact.jacobian, exact.gradient
direction = direction / direction.norm()

shape = (len(TAILS), len(TOTALS), len(PERCENTS))
record = {
    "jacobian_error": np.full((*shape, STARTS), np.nan),
    "taylor": np.full((*shape, len(LENGTHS)), np.nan),
    "image_error": np.full((*shape, STARTS, STEPS + 1), np.nan),
    "loss": np.full((*shape, STARTS, STEPS + 1), np.nan),
    "products": np.full(shape, np.nan),
    "image": np.zeros((*shape, *problem.grid.shape), dtype=np.uint8),
}
truth = Reduced(problem, Cholesky())


def fill(array: np.ndarray, values) -> None:
    """A run that ends early stays where it is."""
    array[: len(values)], array[len(values) :] = values, values[-1]


def run(place: tuple[int, int, int], tail: str, total: int, percent: int) -> None:
    way, meter = derivative(tail, total * percent // 100), Metered(problem)
    reduced = Reduced(meter, CG.fixed(total), way, f0, rows="data")
    there = reduced.residual(start)
    for k, w in enumerate(starts):
        J = reduced.point(w).jacobian
        record["jacobian_error"][place][k] = float((J - true_jacobian).norm() / true_jacobian.norm())
        if k == 0:
            for i, h in enumerate(LENGTHS):
                rest = reduced.residual(start + h * direction) - there - h * (J @ direction)
                record["taylor"][place][i] = float(rest.norm())
        meter.products = 0
        found = paper.levenberg_marquardt(reduced, w, iterations=STEPS, gtol=0.0)
        images = [truth.point(step.x).f for step in found.history]
        fill(record["image_error"][place][k], [made.error(f) for f in images])
        fill(record["loss"][place][k], [step.loss for step in found.history])
        if k == 0:
            record["products"][place] = meter.products
            picture = images[-1].reshape(problem.grid.shape).clamp(0, 255).round()
            record["image"][place] = picture.to(torch.uint8).numpy()


clock = time.process_time()
for place in tqdm(list(np.ndindex(*shape))):
    tail, total, percent = TAILS[place[0]], TOTALS[place[1]], PERCENTS[place[2]]
    if percent == 0 and place[0] > 0:  # nothing is differentiated: the same for all
        for values in record.values():
            values[place] = values[(0, *place[1:])]
        continue
    try:
        run(place, tail, total, percent)
    except (ValueError, torch.linalg.LinAlgError) as problem_met:
        tqdm.write(f"{tail}, {total} iterations, {percent} %: {problem_met}")

record = {name: a if a.dtype == np.uint8 else a.astype(np.float32) for name, a in record.items()}
np.savez_compressed(
    records.path("differentiating_cg.npz"),
    command="python benchmarks/differentiating_cg.py",
    seconds=round(time.process_time() - clock),
    totals=TOTALS,
    percents=PERCENTS,
    tails=TAILS,
    lengths=LENGTHS.astype(np.float32),
    start_error=made.error(truth.point(start).f),
    true_error=made.error(truth.point(made.w_true).f),
    **record,
)
