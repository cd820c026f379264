"""One large run, recorded: a 128 × 128 image from 16 images of 32 × 32, by 10 steps of variable projection.

    python benchmarks/superres_large.py [--image mri|phantom|hands] [--out benchmarks/superres_large]

Writes OUT.npz (true image, template 0, its up-sampling, start, result; bytes) and OUT.json (error, loss,
products and seconds after each step; peak memory), which a chapter shows. "hands" are the paper's and need
REGKIT_DATA.
"""

from __future__ import annotations

import argparse
import json
import resource
import time
from pathlib import Path

import numpy as np
import torch

from regbook import records
from regbook.meter import Metered
from regkit import data
from regkit.linear import CG
from regkit.optimize import levenberg_marquardt
from regkit.templates import register_templates, synthetic
from regkit.varpro import Kaufman, Reduced

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("--image", choices=("mri", "phantom", "hands"), default="mri")
parser.add_argument("--out", type=Path, default=records.path("superres_large"))
parser.add_argument("--iterations", type=int, nargs=2, default=(20, 10), help="for f, and for its derivative")
arguments = parser.parse_args()

if arguments.image == "mri":
    image, grid = data.mri(128)
else:
    pair = data.hands_phantom(128) if arguments.image == "phantom" else data.paper_hands(128)
    image, grid = pair.reference, pair.grid
made = synthetic(image, grid, factor=4, count=16)
problem, f0 = made.problem, made.problem.upsampled()


def accurate(w: torch.Tensor) -> torch.Tensor:
    """f at w, to a relative tolerance of 1e-5."""
    A = problem.at(w)
    return CG(rtol=1e-5).solve(A.normal, A.adjoint(problem.b), f0).x


clock, steps = time.perf_counter(), []
start = register_templates(problem)
registered = time.perf_counter() - clock


projection, tangent = arguments.iterations
meter = Metered(problem)
reduced = Reduced(meter, CG.fixed(projection), Kaufman(CG.fixed(tangent)), f0)


def note(k: int, point) -> Reduced:
    """Before step k: where the run stands after the last one."""
    line = {"step": k - 1, "error": made.error(point.f), "loss": float(point.loss)}
    steps.append({**line, "products": meter.products, "seconds": round(time.perf_counter() - clock, 1)})
    print("step {step:2}: error {error:.4f}, loss {loss:.1f}, {seconds} s".format(**steps[-1]), flush=True)
    return reduced


found = levenberg_marquardt(reduced, start, damping=1e-2, iterations=10, advance=note)
note(found.iterations + 1, found.point)
for line, step in zip(steps, found.history, strict=True):
    line["accepted"] = step.accepted
seconds = time.perf_counter() - clock

at_start, at_end = accurate(start), accurate(found.x)
record = {
    "image": arguments.image,
    "iterations": [projection, tangent],
    "error": {
        "up-sampled": made.error(f0),
        "start": made.error(at_start),
        "end": made.error(at_end),
        "true motions": made.error(accurate(made.w_true)),
    },
    "seconds": round(seconds, 1),
    "seconds of registration": round(registered, 1),
    "peak memory in GB": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6, 2),
    "threads": torch.get_num_threads(),
    "steps": steps,
}
arguments.out.parent.mkdir(parents=True, exist_ok=True)
arguments.out.with_suffix(".json").write_text(json.dumps(record, indent=1) + "\n")
pictures = {
    "image": image,
    "template": problem.templates[0],
    "upsampled": f0,
    "start": at_start,
    "end": at_end,
}
np.savez_compressed(
    arguments.out.with_suffix(".npz"),
    **{
        name: picture.reshape(grid.shape if picture.numel() == grid.count else problem.coarse.shape)
        .clamp(0, 255)
        .round()
        .to(torch.uint8)
        .numpy()
        for name, picture in pictures.items()
    },
)
print(json.dumps({key: value for key, value in record.items() if key != "steps"}, indent=1))
