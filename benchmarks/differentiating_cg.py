"""Super-resolution with only some of the iterations of conjugate gradients differentiated, recorded.

    python benchmarks/differentiating_cg.py record

runs nine steps of the paper's Levenberg-Marquardt method for every combination of: how the last iterations
are differentiated, how many iterations there are, how many percent of them are differentiated; from three
starts that differ by 1e-10. Chapter 9 shows the record, differentiating_cg.npz. Its arrays have the axes
(tail, total, percent, …), with NaN for a combination that cannot run. At each start: the error of the
Jacobian, the cosine of Jᵀr with the true gradient, the length of the first step over that of the exact one.
"""

from __future__ import annotations

import itertools
from functools import cache
from types import SimpleNamespace

import numpy as np
import torch

from regbook import paper
from regbook.experiments.ch09 import TAILS, derivative, first_step
from regbook.meter import Metered
from regbook.records import making
from regkit import data
from regkit.linear import CG, Cholesky
from regkit.templates import register_templates, synthetic
from regkit.varpro import Reduced

TOTALS = (25, 50, 100, 200)
PERCENTS = (0, 10, 20, 30, 50, 70, 80, 90, 95, 100)
STARTS, STEPS = 3, 9
LENGTHS = np.logspace(0, -9, 19)  # of the steps of the Taylor test


@cache  # the cases of one worker share it
def setting() -> SimpleNamespace:
    """The problem, its starts, and what is exact at the first of them."""
    pair = data.hands_phantom(20)
    made = synthetic(pair.reference, pair.grid)
    problem, f0 = made.problem, made.problem.upsampled()
    start = register_templates(problem)
    noise = torch.randn(STARTS, len(start), generator=torch.Generator().manual_seed(0), dtype=start.dtype)
    starts = start + 1e-10 * noise * torch.arange(STARTS).clamp(max=1)[:, None]
    exact = Reduced(problem, Cholesky(), rows="data").point(start)
    direction = exact.gradient / exact.gradient.norm()
    truth = Reduced(problem, Cholesky())
    return SimpleNamespace(**{key: value for key, value in locals().items() if key not in ("pair", "noise")})


def full(values: list[float]) -> list[float]:
    """A run that ends early stays where it is."""
    return values + values[-1:] * (STEPS + 1 - len(values))


def one(tail: str, total: int, percent: int) -> dict:
    """All that the record has of one combination; only the words of the error for one that cannot run."""
    s = setting()
    meter = Metered(s.problem)
    reduced = Reduced(meter, CG.fixed(total), derivative(tail, total * percent // 100), s.f0, rows="data")
    result = {key: [] for key in ("jacobian_error", "cosine", "step", "taylor", "image_error", "loss")}
    try:
        there = reduced.residual(s.start)
        for k, w in enumerate(s.starts):
            point = reduced.point(w)
            J, g = point.jacobian, point.gradient
            result["jacobian_error"].append(float((J - s.exact.jacobian).norm() / s.exact.jacobian.norm()))
            result["cosine"].append(float(g @ s.direction / g.norm()))
            result["step"].append(float(first_step(point).norm() / first_step(s.exact).norm()))
            if k == 0:
                for h in LENGTHS:
                    rest = reduced.residual(s.start + h * s.direction) - there - h * (J @ s.direction)
                    result["taylor"].append(float(rest.norm()))
            meter.products = 0
            found = paper.levenberg_marquardt(reduced, w, iterations=STEPS, gtol=0.0)
            images = [s.truth.point(step.x).f for step in found.history]
            result["image_error"].append(full([s.made.error(f) for f in images]))
            result["loss"].append(full([step.loss for step in found.history]))
            if k == 0:
                result["products"] = meter.products
                picture = images[-1].reshape(s.problem.grid.shape).clamp(0, 255).round()
                result["image"] = picture.to(torch.uint8).numpy()
    except (ValueError, torch.linalg.LinAlgError) as met:
        return {"cannot": str(met)}
    return result


def record(options) -> None:
    s, shape = setting(), (len(TAILS), len(TOTALS), len(PERCENTS))
    content = {
        **{key: np.full((*shape, STARTS), np.nan) for key in ("jacobian_error", "cosine", "step")},
        "taylor": np.full((*shape, len(LENGTHS)), np.nan),
        "image_error": np.full((*shape, STARTS, STEPS + 1), np.nan),
        "loss": np.full((*shape, STARTS, STEPS + 1), np.nan),
        "products": np.full(shape, np.nan),
        "image": np.zeros((*shape, *s.problem.grid.shape), dtype=np.uint8),
    }
    # At 0 % nothing is differentiated: one run for all tails.
    cases = [c for c in itertools.product(TAILS, TOTALS, PERCENTS) if c[2] > 0 or c[0] == TAILS[0]]
    how = {"jobs": options.jobs, "dask": options.dask, "fresh": options.fresh}
    results, seconds = making.run(one, cases, "differentiating_cg", **how)
    for (tail, total, percent), result in zip(cases, results, strict=True):
        if "cannot" in result:
            print(f"{tail}, {total} iterations, {percent} %: {result['cannot']}")
            continue
        tails = range(len(TAILS)) if percent == 0 else [TAILS.index(tail)]
        for key, value in result.items():
            for t in tails:
                content[key][t, TOTALS.index(total), PERCENTS.index(percent)] = value
    content = {
        "command": "python benchmarks/differentiating_cg.py record",
        "totals": TOTALS,
        "percents": PERCENTS,
        "tails": TAILS,
        "lengths": LENGTHS.astype(np.float32),
        "start_error": s.made.error(s.truth.point(s.start).f),
        "true_error": s.made.error(s.truth.point(s.made.w_true).f),
        **{name: a if a.dtype == np.uint8 else a.astype(np.float32) for name, a in content.items()},
    }
    making.write("differentiating_cg.npz", content, seconds=seconds)


if __name__ == "__main__":
    making.main(__doc__, record)
