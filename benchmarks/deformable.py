"""Deformable registration: what is left, how far off, what folds, how long.

    python benchmarks/deformable.py                        # regkit, and other packages if they are installed
    python benchmarks/deformable.py --tools regkit --only head solid --threads 2
    python benchmarks/deformable.py --large                # 512² with a displacement in every cell, 64³, 128³

Pairs with a known map: a slice of a head, a drawn hand and, in space, ellipsoids, each moved by a sum of
smooth waves. Both images are averages over 2 × 2 points of one finer image, so that neither is an
interpolation of the other, and both get noise of 1 % of its range. With REGKIT_DATA, the folder of the
paper's images, the X-rays of two hands as well, of which no map is known; landmarks are not among them.

    left      squared difference, % of what it is without a map, by the same spline for all tools
    miss      mean distance to the known map, in cells, where there is an object
    det, folded    smallest det ∇y on all sides of the cell centres, and the share of cells where it is ≤ 0

A run of the last, 128³ with p = 128,625, on one core of a machine with other work: 109 seconds of computing,
gradient to 9.9e-4 of the start, 7.7 % left, no fold; making the pair needs 8 GB.

All tools run in one process, with the same number of threads; regkit and elastix begin with nothing known but
for the hands, where all begin with regkit's affine map. pip install 'regkit[peers]' has the other packages.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib.util
import math
import os
import resource
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass

THREADS = sys.argv[sys.argv.index("--threads") + 1] if "--threads" in sys.argv[:-1] else "1"
for variable in ("OMP_NUM_THREADS", "ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ[variable] = THREADS  # before anything is imported that reads them

import numpy as np  # noqa: E402
import torch  # noqa: E402

from regkit import (  # noqa: E402
    Affine,
    Bending,
    DisplacementField,
    FreeForm,
    Grid,
    Hyperelastic,
    Registration,
    coefficients,
    deform,
    evaluate,
    multilevel,
)
from regkit.data import HAND_BOX, hands_phantom, mri  # noqa: E402

Map = Callable[[torch.Tensor], torch.Tensor]
FINER, NOISE = 2, 0.01


@dataclass(frozen=True)
class Pair:
    """Two images, the grid of both, and the map from one to the other, if it is known."""

    name: str
    template: torch.Tensor
    reference: torch.Tensor
    grid: Grid
    known: Map | None = None
    affine: torch.Tensor | None = None

    def start(self, x: torch.Tensor) -> torch.Tensor:
        """Where all tools begin."""
        return x if self.affine is None else Affine(self.grid.dim)(self.affine, x)


# ---- pairs


def waves(extent: tuple[float, ...], size: float, seed: int = 0) -> Map:
    """x moved by three waves along every axis, each of up to ``size`` of the side; still at the border."""
    random = torch.Generator().manual_seed(seed)
    sides, d = torch.tensor(extent, dtype=torch.float64), len(extent)
    k = torch.randint(1, 4, (3, d, d), generator=random).double()
    a = size * (2 * torch.rand(3, d, generator=random, dtype=torch.float64) - 1)

    def moved(x: torch.Tensor) -> torch.Tensor:
        u = x / sides
        parts = torch.sin(math.pi * u[:, None, None] * k).prod(-1)  # (n, 3, d)
        return x + sides * (a * parts).sum(1)

    return moved


def pooled(fine: torch.Tensor) -> torch.Tensor:
    """Means over the points of a cell."""
    shape = [part for cells in fine.shape for part in (cells // FINER, FINER)]
    return fine.reshape(shape).mean(tuple(range(1, 2 * fine.ndim, 2)))


def moved_pair(name: str, fine: torch.Tensor, extent: tuple[float, ...], size: float) -> Pair:
    """A fine image and the same under ``waves``, both averaged and with noise."""
    grid, known = Grid(extent, tuple(fine.shape)), waves(extent, size)
    other = evaluate(coefficients(fine, 0.0), grid, known(grid.points())).reshape(fine.shape)
    random = torch.Generator().manual_seed(1)
    images = [
        pooled(image) + NOISE * float(fine.max()) * torch.randn(pooled(image).shape, generator=random)
        for image in (fine, other)
    ]
    return Pair(name, *images, Grid(extent, tuple(cells // FINER for cells in fine.shape)), known)


def solid(cells: int) -> torch.Tensor:
    """Ellipsoids of several grey values inside a large one, smooth."""
    random, x = np.random.default_rng(0), Grid((2.0,) * 3, (cells,) * 3).points().numpy() - 1
    image = np.zeros(len(x))
    for k in range(12):
        middle = random.uniform(-0.4, 0.4, 3) if k else np.zeros(3)
        sides = random.uniform(0.1, 0.3, 3) if k else np.array([0.8, 0.7, 0.75])
        away = np.linalg.norm((x - middle) / sides, axis=1)
        image += (100.0 if k == 0 else random.uniform(-60, 80)) / (1 + np.exp(20 * (away - 1)))
    return torch.from_numpy(image).reshape(cells, cells, cells)


def pairs() -> dict[str, Callable[[], Pair]]:
    """The pairs by name, made when asked for."""
    found = {
        "head": lambda: moved_pair("head", mri(256)[0], (256.0, 256.0), 0.04),
        "hand": lambda: moved_pair("hand", hands_phantom(256).reference, HAND_BOX, 0.04),
        "solid": lambda: moved_pair("solid", solid(96), (96.0, 96.0, 96.0), 0.03),
    }
    if os.environ.get("REGKIT_DATA"):
        found["x-rays"] = xrays
    return found


def xrays() -> Pair:
    """The hands of the FAIR toolbox, upright both, with the affine map between them."""
    from PIL import Image

    read = lambda name: Image.open(os.path.join(os.environ["REGKIT_DATA"], name))  # noqa: E731
    images = [
        torch.from_numpy(np.asarray(read(f"hands-{name}.jpg"), dtype=float)).T.flip(1).contiguous()
        for name in "TR"
    ]
    grid, affine = Grid(HAND_BOX, (128, 128)), Affine()
    problem = Registration(*images, grid, affine, outside=0.0)
    w = multilevel(problem, affine.identity(), levels=4, thetas=[1.0]).w
    return Pair("x-rays", *images, grid, None, w)


# ---- tools: a pair ↦ y at the cell centres of the reference, (n, d)


def strength(pair: Pair, share: float) -> float:
    """A λ for which bending by the radius of the box costs a share of the difference of the images."""
    difference = float((pair.template - pair.reference).square().mean())
    return share * difference * max(pair.grid.extent) ** 2


def by_regkit(pair: Pair, energy: type = Bending, dense: bool = False, share: float = 1e-4) -> torch.Tensor:
    """``deform`` with a control point every eight cells, or a displacement in every one."""
    cells = tuple(max(4, m // 8) for m in pair.grid.shape)
    transform = DisplacementField(pair.grid) if dense else FreeForm(Grid(pair.grid.extent, cells))
    start, options = transform.of(pair.start), {}
    if energy is Hyperelastic:
        options = {"grid": pair.grid, "w0": start}
        share = share * 100 / max(pair.grid.extent) ** 2
    regulariser = energy(transform, strength(pair, share), **options)
    images = pair.template, pair.reference
    problem = Registration(*images, pair.grid, transform, regulariser=regulariser, outside=0.0)
    found = deform(problem, start)
    return found(pair.grid.points())


def itk_image(module, image: np.ndarray, grid: Grid):
    """An image of ITK or SimpleITK: its axes are ours from behind."""
    made = module(np.ascontiguousarray(image, dtype=np.float32))
    spacing = tuple(reversed(grid.spacing))
    made.SetSpacing(spacing)
    made.SetOrigin(tuple(h / 2 for h in spacing))
    return made


def moved_template(pair: Pair) -> torch.Tensor:
    """The template under the affine start, for tools that begin with the identity."""
    if pair.affine is None:
        return pair.template
    y = pair.start(pair.grid.points())
    return evaluate(coefficients(pair.template, 0.0), pair.grid, y).reshape(pair.grid.shape)


def from_displacement(pair: Pair, u: np.ndarray) -> torch.Tensor:
    """y of a displacement in ITK's order, after which comes the affine start."""
    u = torch.from_numpy(np.ascontiguousarray(u[..., ::-1], dtype=float)).reshape(-1, pair.grid.dim)
    return pair.start(pair.grid.points() + u)


def by_elastix(pair: Pair) -> torch.Tensor:
    """B-splines with bending energy, stochastic gradient descent, four sizes."""
    import itk

    fixed, moving = (
        itk_image(itk.image_from_array, image.numpy(), pair.grid)
        for image in (pair.reference, moved_template(pair))
    )
    settings = itk.ParameterObject.New()
    spacing = 8 * max(pair.grid.spacing)
    stage = settings.GetDefaultParameterMap("bspline", 4, spacing)
    stage["Metric"] = ["AdvancedMeanSquares", "TransformBendingEnergyPenalty"]
    stage["Metric0Weight"], stage["Metric1Weight"] = ["1"], [str(strength(pair, 1e-4))]
    stage["MaximumNumberOfIterations"] = ["500"]
    settings.AddParameterMap(stage)
    _, result = itk.elastix_registration_method(
        fixed, moving, parameter_object=settings, log_to_console=False
    )
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):  # it leaves a file where it runs
        field = itk.array_from_image(itk.transformix_deformation_field(moving, result))
    return from_displacement(pair, field)


def by_simpleitk(pair: Pair, demons: bool = False) -> torch.Tensor:
    """B-splines by L-BFGS over three sizes, or diffeomorphic demons."""
    import SimpleITK as sitk

    fixed, moving = (
        itk_image(sitk.GetImageFromArray, image.numpy(), pair.grid)
        for image in (pair.reference, moved_template(pair))
    )
    if demons:
        method = sitk.DiffeomorphicDemonsRegistrationFilter()
        method.SetNumberOfIterations(200)
        method.SetStandardDeviations(1.5)
        return from_displacement(pair, sitk.GetArrayFromImage(method.Execute(fixed, moving)))
    method = sitk.ImageRegistrationMethod()
    method.SetMetricAsMeanSquares()
    method.SetInterpolator(sitk.sitkLinear)
    method.SetOptimizerAsLBFGSB(numberOfIterations=100)
    mesh = [max(4, m // 8) for m in reversed(pair.grid.shape)]
    method.SetInitialTransform(sitk.BSplineTransformInitializer(fixed, mesh, 3), False)
    method.SetShrinkFactorsPerLevel([4, 2, 1])
    method.SetSmoothingSigmasPerLevel([2, 1, 0])
    found = method.Execute(fixed, moving)
    to_field = sitk.TransformToDisplacementFieldFilter()
    to_field.SetReferenceImage(fixed)
    return from_displacement(pair, sitk.GetArrayFromImage(to_field.Execute(found)))


TOOLS = {
    "regkit": (by_regkit, "regkit"),
    "regkit hyperelastic": (lambda pair: by_regkit(pair, Hyperelastic), "regkit"),
    "regkit every cell": (lambda pair: by_regkit(pair, dense=True), "regkit"),
    "elastix": (by_elastix, "itk"),
    "SimpleITK B-spline": (by_simpleitk, "SimpleITK"),
    "SimpleITK demons": (lambda pair: by_simpleitk(pair, demons=True), "SimpleITK"),
}


# ---- what is measured


def row(pair: Pair, y: torch.Tensor, wall: float, cpu: float) -> str:
    """One line of the table."""
    grid, x = pair.grid, pair.grid.points()
    c = coefficients(pair.template, 0.0)
    left = (evaluate(c, grid, y) - pair.reference.reshape(-1)).square().sum()
    left = left / (pair.template - pair.reference).square().sum()
    det = DisplacementField(grid).determinant((y - x).T.reshape(-1), grid)
    miss = math.nan
    if pair.known is not None:
        inside = pair.reference.reshape(-1) > 0.12 * pair.reference.max()
        h = torch.tensor(grid.spacing, dtype=torch.float64)
        miss = float(((y - pair.known(x)) / h)[inside].norm(dim=1).mean())
    folded = 100 * float((det <= 0).double().mean())
    return f"{100 * left:6.2f} {miss:7.3f} {float(det.min()):7.2f} {folded:6.2f} {wall:7.2f} {cpu:7.2f}"


def measured(name: str, pair: Pair, tool: Callable[[Pair], torch.Tensor]) -> str:
    """A tool on a pair."""
    wall, cpu = time.perf_counter(), time.process_time()
    y = tool(pair)
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    return f"{name:<20} {row(pair, y, wall, cpu)}"


def large() -> None:
    """Half a million parameters, and a solid: seconds, memory, and what the gradient has fallen to."""
    head = torch.nn.functional.interpolate(mri(256)[0][None, None], size=(1024, 1024), mode="bilinear")[0, 0]
    for make, cells in (
        (lambda: moved_pair("head, every cell of 512²", head, (256.0, 256.0), 0.04), None),
        (lambda: moved_pair("solid of 64³, 16³ cells", solid(128), (128.0,) * 3, 0.03), (16,) * 3),
        (lambda: moved_pair("solid of 128³, 32³ cells", solid(256), (256.0,) * 3, 0.03), (32,) * 3),
    ):
        pair = make()
        transform = DisplacementField(pair.grid) if cells is None else FreeForm(Grid(pair.grid.extent, cells))
        energy, images = Bending(transform, strength(pair, 1e-4)), (pair.template, pair.reference)
        wall, cpu = time.perf_counter(), time.process_time()
        problem = Registration(*images, pair.grid, transform, regulariser=energy, outside=0.0)
        found = deform(problem, reduction=1e-3)
        wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
        objective, start = problem.at(1e-3), transform.identity()
        fall = objective.gradient(found.w).norm() / objective.gradient(start).norm()
        memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
        steps = " + ".join(str(result.iterations) for result in found.results)
        print(f"{pair.name}: p = {transform.parameters}, {row(pair, found(pair.grid.points()), wall, cpu)}")
        print(f"  gradient to {fall:.1e} of the start, steps {steps}, at most {memory:.2f} GB", flush=True)


def main() -> None:
    """The table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--tools", nargs="+", default=list(TOOLS), help="which, by name")
    parser.add_argument("--only", nargs="+", default=list(pairs()), help="which pairs, by name")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--large", action="store_true", help="half a million parameters, and a solid")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    warnings.simplefilter("ignore")  # of folds: they are in the table
    print(f"{'':<20} {'left %':>6} {'miss':>7} {'det':>7} {'folded':>6} {'wall s':>7} {'cpu s':>7}")
    if options.large:
        large()
        return
    for name in options.only:
        pair = pairs()[name]()
        print(f"{name}, {' × '.join(map(str, pair.grid.shape))}")
        print(f"{'  start':<20} {row(pair, pair.start(pair.grid.points()), 0.0, 0.0)}")
        for tool in options.tools:
            run, package = TOOLS[tool]
            if importlib.util.find_spec(package) is not None:
                print(measured(f"  {tool}", pair, run), flush=True)


if __name__ == "__main__":
    main()
