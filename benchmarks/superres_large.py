"""One large run, recorded: a 128 × 128 image from 16 images of 32 × 32, by 10 steps of variable projection.

    python benchmarks/superres_large.py record [--image mri|phantom|hands]

Of the slice that Matplotlib ships it makes the records superres_large.npz (true image, template 0, its
up-sampling, start, result; bytes) and superres_large.json (error, loss and products after each step), which a
chapter shows. Of another image it only prints what came out; "hands" are the paper's and need REGKIT_DATA.
"""

from __future__ import annotations

import resource
import time

import torch

from regbook.meter import Metered
from regbook.records import making
from regkit import data
from regkit.linear import CG
from regkit.optimize import levenberg_marquardt
from regkit.templates import register_templates, synthetic
from regkit.varpro import Kaufman, Reduced

PROJECTION, TANGENT = 20, 10


def large(name: str) -> dict:
    """The run on one image: numbers, pictures, and what it took."""
    if name == "mri":
        image, grid = data.mri(128)
    else:
        pair = data.hands_phantom(128) if name == "phantom" else data.paper_hands(128)
        image, grid = pair.reference, pair.grid
    made = synthetic(image, grid, factor=4, count=16)
    problem, f0 = made.problem, made.problem.upsampled()

    def accurate(w: torch.Tensor) -> torch.Tensor:
        """f at w, to a relative tolerance of 1e-5."""
        A = problem.at(w)
        return CG(rtol=1e-5).solve(A.normal, A.adjoint(problem.b), f0).x

    clock = time.perf_counter()
    start = register_templates(problem)
    registered, steps, meter = time.perf_counter() - clock, [], Metered(problem)
    reduced = Reduced(meter, CG.fixed(PROJECTION), Kaufman(CG.fixed(TANGENT)), f0)

    def note(k: int, point) -> Reduced:
        """Before step k: where the run stands after the last one."""
        line = {"step": k - 1, "error": made.error(point.f), "loss": float(point.loss)}
        steps.append({**line, "products": meter.products})
        return reduced

    found = levenberg_marquardt(reduced, start, damping=1e-2, iterations=10, advance=note)
    note(found.iterations + 1, found.point)
    for line, step in zip(steps, found.history, strict=True):
        line["accepted"] = step.accepted
    seconds, at_start, at_end = time.perf_counter() - clock, accurate(start), accurate(found.x)
    pictures = {"image": image, "template": problem.templates[0]}
    pictures |= {"upsampled": f0, "start": at_start, "end": at_end}
    return {
        "numbers": {
            "command": "python benchmarks/superres_large.py record",
            "image": name,
            "iterations": [PROJECTION, TANGENT],
            "error": {
                "up-sampled": made.error(f0),
                "start": made.error(at_start),
                "end": made.error(at_end),
                "true motions": made.error(accurate(made.w_true)),
            },
            "steps": steps,
        },
        "pictures": {
            key: picture.reshape(grid.shape if picture.numel() == grid.count else problem.coarse.shape)
            .clamp(0, 255)
            .round()
            .to(torch.uint8)
            .numpy()
            for key, picture in pictures.items()
        },
        "costs": {
            "seconds": seconds,
            "registration_seconds": registered,
            "memory_gb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6,
        },
    }


def record(options) -> None:
    how = {"jobs": options.jobs, "dask": options.dask, "fresh": options.fresh}
    (result,), _ = making.run(large, [(options.image,)], "superres_large", **how)
    for line in result["numbers"]["steps"]:
        print("step {step:2}: error {error:.4f}, loss {loss:.1f}, {products} products".format(**line))
    if options.image == "mri":
        making.write("superres_large.json", result["numbers"], **result["costs"])
        making.write("superres_large.npz", result["pictures"])
    else:
        print({**result["numbers"]["error"], **result["costs"]})


if __name__ == "__main__":
    parser = making.parser(__doc__)
    parser.add_argument("what", nargs="?", choices=("record",), default="record")
    parser.add_argument("--image", choices=("mri", "phantom", "hands"), default="mri")
    torch.set_num_threads(1)
    record(parser.parse_args())
