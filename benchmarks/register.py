"""Affine registration beside other packages: solved, error over the limit, seconds.

    python benchmarks/register.py --quick             # few problems, a minute
    python benchmarks/register.py                     # 120 problems of 128², 30 of 256², 6 of 64³
    python benchmarks/register.py --tools regkit opencv --sets hard extreme --count 8 --threads 2

Random affine problems with a known map. Both images, template and reference, sample one finer image, so
that neither is an interpolation of the other; the object lies on a zero background, and both images get
noise of 2 % of its range. The map is a rotation, a scale for each axis, a shear and a shift, drawn up to the
bounds of its set:

    easy      10°, 1.1, 0.05, 5 % of the side          medium    25°, 1.2, 0.1, 10 %
    hard      45°, 1.3, 0.15, 15 %                     extreme   90°, 1.4, 0.2, 20 %

The error is the mean distance in the object between the true map and the one that was found, in pixels.
Solved: less than 0.5. The root mean square of the distances has a limit, that of Cramér and Rao, which no
unbiased method falls below on average: it is computed for each problem from the noise and from how the
noiseless image changes when the finer one is sampled a little further along. Errors are compared where all
tools have solved the problem.

All tools run in one process, with the same number of threads, in turns; the first call of each is not
counted. Those that are not installed are left out: pip install 'regkit[peers]' has them.
"""

from __future__ import annotations

import argparse
import importlib.util
import math
import os
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass

THREADS = sys.argv[sys.argv.index("--threads") + 1] if "--threads" in sys.argv[:-1] else "1"
for variable in ("OMP_NUM_THREADS", "ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ[variable] = THREADS  # before anything is imported that reads them

import numpy as np  # noqa: E402
import torch  # noqa: E402
from scipy import ndimage, optimize  # noqa: E402

from regkit.data import hands_phantom, mri  # noqa: E402

BOUNDS = {  # rotation in degrees, scale, shear, shift as a share of the side
    "easy": (10, 1.1, 0.05, 0.05),
    "medium": (25, 1.2, 0.10, 0.10),
    "hard": (45, 1.3, 0.15, 0.15),
    "extreme": (90, 1.4, 0.20, 0.20),
}
FINER = 2  # how many points of the fine image lie along a side of a cell
NOISE = 0.02  # of the range of grey values
SOLVED = 0.5  # pixels
APART = 0.01  # pixels, of two samplings whose difference is a derivative
LOST = (math.inf, math.inf)  # the error of a tool that gave up


@dataclass(frozen=True)
class Problem:
    """Two images, and the map y = A x + b from indices of the reference to indices of the template."""

    name: str
    template: np.ndarray
    reference: np.ndarray
    A: np.ndarray
    b: np.ndarray
    points: np.ndarray  # of the object in the reference, (d, n), as indices
    limit: float  # of the root mean square of the error

    def error(self, A: np.ndarray, b: np.ndarray) -> tuple[float, float]:
        """The mean distance from the true map, in the object, and the root mean square."""
        squared = (((A - self.A) @ self.points + (b - self.b)[:, None]) ** 2).sum(0)
        usable = np.isfinite(squared).all()
        return (float(np.sqrt(squared).mean()), math.sqrt(squared.mean())) if usable else LOST


# ---- problems


def fine_images(dim: int, cells: int) -> list[np.ndarray]:
    """Objects on a zero background, grey values from 0 to 1, ``FINER`` times as many points a side."""
    count = FINER * cells
    if dim == 3:
        return [solid(count, seed) for seed in range(3)]
    head = mri(256)[0].numpy() / 255
    hand = hands_phantom(256).reference.numpy() / 255
    drawn = [head * (head > 0.12), hand, solid(256, 3, dim=2)]
    return [windowed(fitted(image, count)) for image in drawn]


def fitted(image: np.ndarray, count: int) -> np.ndarray:
    """The image with ``count`` points a side, smooth, shrunk to the middle 60 %: there is room for motion."""
    at = (np.arange(count) - (count - 1) / 2) * len(image) / count / 0.6 + (len(image) - 1) / 2
    blur = max(len(image) / count / 0.6, 1.0)
    smooth = ndimage.gaussian_filter(image, 0.5 * blur)
    return ndimage.map_coordinates(smooth, np.meshgrid(at, at, indexing="ij"), order=3, mode="constant")


def windowed(image: np.ndarray) -> np.ndarray:
    """Blurred by half a cell of the coarse image, so that its samples hold it, from 0 to 1."""
    image = ndimage.gaussian_filter(image.clip(0, None), 0.5 * FINER)
    return np.where(image > 1e-3 * image.max(), image, 0) / image.max()


def solid(count: int, seed: int, dim: int = 3) -> np.ndarray:
    """Ellipsoids of several grey values inside a large one."""
    random = np.random.default_rng(seed)
    x = np.stack(np.meshgrid(*[(np.arange(count) + 0.5) / count * 2 - 1] * dim, indexing="ij"), -1)
    image = np.zeros(x.shape[:-1])
    for k in range(9):
        middle = random.uniform(-0.3, 0.3, dim) if k else np.zeros(dim)
        sides = random.uniform(0.08, 0.3, dim) if k else random.uniform(0.45, 0.6, dim)
        turn = np.linalg.qr(random.normal(size=(dim, dim)))[0]
        inside = (((x - middle) @ turn / sides) ** 2).sum(-1) < 1
        image[inside] += 0.5 if k == 0 else random.uniform(-0.4, 0.5)
    return windowed(image) if dim == 3 else image.clip(0, None)


def sampled(fine: np.ndarray, cells: int, A: np.ndarray, b: np.ndarray) -> np.ndarray:
    """The fine image at A i + b, i the indices of an image of so many cells a side."""
    middle = (FINER - 1) / 2  # index i of a coarse cell is index FINER i + middle of the fine image
    matrix, offset = FINER * A, FINER * b + middle
    return ndimage.affine_transform(fine, matrix, offset, (cells,) * fine.ndim, order=3)


def parts(random: np.random.Generator, dim: int, kind: str, cells: int) -> tuple[np.ndarray, np.ndarray]:
    """A map about the middle of the image, drawn evenly within the bounds."""
    degrees, scale, shear, shift = BOUNDS[kind]
    draw = lambda bound, size: random.uniform(-bound, bound, size)  # noqa: E731
    angle = math.radians(float(draw(degrees, 1)[0]))
    turn = np.eye(dim)
    i, j = random.permutation(dim)[:2]
    turn[i, i] = turn[j, j] = math.cos(angle)
    turn[i, j], turn[j, i] = -math.sin(angle), math.sin(angle)
    bend = np.eye(dim)
    bend[np.triu_indices(dim, 1)] = draw(shear, dim * (dim - 1) // 2)
    A = turn @ bend @ np.diag(np.exp(draw(math.log(scale), dim)))
    centre = np.full(dim, (cells - 1) / 2)
    return A, centre - A @ centre + draw(shift * cells, dim) / math.sqrt(dim)


def problem(kind: str, number: int, dim: int, cells: int, fine: list[np.ndarray]) -> Problem:
    """One problem, the same at every call."""
    random = np.random.default_rng([number, dim, cells, *kind.encode()])
    whole = fine[number % len(fine)]
    A, b = parts(random, dim, kind, cells)
    # Half of the map is in the template and half in the reference: neither looks more like the fine image.
    half = np.eye(dim) + 0.3 * random.uniform(-0.2, 0.2, (dim, dim))
    centre = np.full(dim, (cells - 1) / 2)
    shift = centre - half @ centre + random.uniform(-0.5, 0.5, dim)
    clean = sampled(whole, cells, half, shift)  # reference(i) = fine(half i + shift)
    back = half @ np.linalg.inv(A)  # template(A i + b) = reference(i)
    moved = sampled(whole, cells, back, shift - back @ b)
    template, reference = (image + NOISE * random.normal(size=image.shape) for image in (moved, clean))
    points = np.argwhere(clean > 0.1).T.astype(float)
    least = limit(derivatives(whole, cells, half, shift), A, points)
    return Problem(f"{kind} {number}", template, reference, A, b, points, least)


def derivatives(
    fine: np.ndarray, cells: int, A: np.ndarray, b: np.ndarray, apart: float = APART
) -> np.ndarray:
    """Of ``sampled`` along its axes, a last axis of as many: differences of samplings that lie close.

    Differences of neighbouring cells would be too small where edges are sharp.
    """
    ahead, behind = (
        [sampled(fine, cells, A, b + sign * apart / 2 * A[:, k]) for k in range(fine.ndim)]
        for sign in (1, -1)
    )
    return (np.stack(ahead, -1) - np.stack(behind, -1)) / apart


def limit(slope: np.ndarray, A: np.ndarray, points: np.ndarray) -> float:
    """The Cramér-Rao limit of the root mean square distance between the maps, in the object.

    The slope is ∇R(i) of the noiseless reference. The residual is T(A i + b) − R(i). A cell of the template
    is 1/|det A| of one of the reference, so that so much of the template's noise falls on it: the residual
    has the variance σ²/|det A| + σ². Its derivative along A and b is ∇T(A i + b) = A⁻ᵀ∇R(i) times (i, 1).
    With the Fisher matrix F the covariance of the map is F⁻¹, and the mean square of its error at the points
    is the trace of F⁻¹ with their second moments.
    """
    dim, variance = len(A), NOISE**2 * (1 + 1 / abs(np.linalg.det(A)))
    x = np.indices(slope.shape[:-1]).reshape(dim, -1).T
    slope = slope.reshape(-1, dim) @ np.linalg.inv(A)
    centre = points.mean(1)
    z = np.concatenate([x - centre, np.ones((len(x), 1))], 1)
    J = (slope[:, :, None] * z[:, None, :]).reshape(len(x), -1)
    covariance = variance * np.linalg.inv(J.T @ J)
    at = np.concatenate([points.T - centre, np.ones((points.shape[1], 1))], 1)
    moments = np.kron(np.eye(dim), at.T @ at / len(at))
    return math.sqrt(np.trace(covariance @ moments))


# ---- tools: each from a problem to A and b


def regkit(p: Problem) -> tuple[np.ndarray, np.ndarray]:
    """This package, as it comes."""
    from regkit.register import register

    found = register(p.template, p.reference, threads=int(THREADS)).matrix("scipy")
    return found[:-1, :-1], found[:-1, -1]


def regkit_parts(p: Problem) -> tuple[np.ndarray, np.ndarray]:
    """multilevel with Levenberg-Marquardt, four sizes, one small θ: what ``register`` is made of."""
    from regkit import Affine, Grid, Registration, levenberg_marquardt, multilevel

    shape = p.reference.shape
    about = Affine(len(shape), center=tuple(m / 2 for m in shape))
    images = [torch.from_numpy(image) for image in (p.template, p.reference)]
    whole = Registration(*images, Grid(shape, shape), about, outside=0.0)
    path = multilevel(whole, about.identity(), levels=4, thetas=[0.1], corrector=levenberg_marquardt)
    A, b = (part.numpy() for part in about.matrix(path.w))
    return A, A @ np.full(len(shape), 0.5) + b - 0.5


def halved(image: np.ndarray) -> np.ndarray:
    return image.reshape([k for m in image.shape for k in (m // 2, 2)]).mean(
        tuple(range(1, 2 * image.ndim, 2))
    )


def pyramid(p: Problem, levels: int) -> list[tuple[np.ndarray, np.ndarray]]:
    pairs = [(p.template, p.reference)]
    for _ in range(levels - 1):
        pairs.insert(0, tuple(halved(image) for image in pairs[0]))
    return pairs


def finer(A: np.ndarray, b: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The same map for cells of half the side: index i becomes 2 i + ½."""
    return A, 2 * b + 0.5 - A @ np.full(len(b), 0.5)


def scipy(p: Problem) -> tuple[np.ndarray, np.ndarray]:
    """least_squares on cubic map_coordinates, with a pyramid and derivatives by splines."""
    dim, (A, b) = p.template.ndim, (np.eye(p.template.ndim), np.zeros(p.template.ndim))
    levels = 4 if dim == 2 else 3
    for level, (template, reference) in enumerate(pyramid(p, levels)):
        A, b = finer(A, b) if level else (A, b)
        spline = ndimage.spline_filter(template, 3, mode="constant")
        x = np.indices(reference.shape).reshape(dim, -1).astype(float)
        slopes = [ndimage.spline_filter(part, 3, mode="constant") for part in np.gradient(template)]

        def at(image, w, x=x):
            y = w[: dim * dim].reshape(dim, dim) @ x + w[dim * dim :, None]
            return ndimage.map_coordinates(image, y, order=3, prefilter=False, mode="constant")

        def residual(w, spline=spline, reference=reference):
            return at(spline, w) - reference.ravel()

        def jacobian(w, slopes=slopes, x=x):
            g = np.stack([at(slope, w) for slope in slopes])
            return np.concatenate([(g[:, None] * x).reshape(dim * dim, -1), g]).T

        w = np.concatenate([A.ravel(), b])
        scale = np.concatenate([np.full(dim * dim, 1 / len(reference)), np.ones(dim)])
        w = optimize.least_squares(
            residual, w, jacobian, method="trf", x_scale=scale, xtol=1e-6, ftol=1e-7, max_nfev=60
        ).x
        A, b = w[: dim * dim].reshape(dim, dim), w[dim * dim :]
    return A, b


def opencv(p: Problem) -> tuple[np.ndarray, np.ndarray]:
    """findTransformECC over a pyramid."""
    import cv2

    cv2.setNumThreads(int(THREADS))
    A, b = np.eye(2), np.zeros(2)
    stop = (cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_COUNT, 100, 1e-6)
    for level, pair in enumerate(pyramid(p, 4)):
        template, reference = (image.astype(np.float32) for image in pair)
        A, b = finer(A, b) if level else (A, b)
        warp = np.concatenate([A[::-1, ::-1], b[::-1, None]], 1).astype(np.float32)
        _, warp = cv2.findTransformECC(reference, template, warp, cv2.MOTION_AFFINE, stop, None, 5)
        A, b = warp[::-1, 1::-1].astype(float), warp[::-1, 2].astype(float)
    return A, b


def simpleitk(p: Problem) -> tuple[np.ndarray, np.ndarray]:
    """ImageRegistrationMethod: mean squares, gradient descent, four sizes."""
    import SimpleITK as sitk

    sitk.ProcessObject.SetGlobalDefaultNumberOfThreads(int(THREADS))
    dim = p.template.ndim
    fixed, moving = (sitk.GetImageFromArray(image.astype(np.float32)) for image in (p.reference, p.template))
    start = sitk.AffineTransform(dim)
    start.SetCenter([(m - 1) / 2 for m in p.reference.shape[::-1]])
    method = sitk.ImageRegistrationMethod()
    method.SetMetricAsMeanSquares()
    method.SetInterpolator(sitk.sitkLinear)
    method.SetOptimizerAsRegularStepGradientDescent(1.0, 1e-4, 200, 0.6, 1e-8)
    method.SetOptimizerScalesFromPhysicalShift()
    method.SetShrinkFactorsPerLevel([8, 4, 2, 1] if dim == 2 else [4, 2, 1])
    method.SetSmoothingSigmasPerLevel([4, 2, 1, 0.5] if dim == 2 else [2, 1, 0.5])
    method.SetInitialTransform(start, inPlace=True)
    method.Execute(fixed, moving)
    A = np.array(start.GetMatrix()).reshape(dim, dim)
    centre, shift = np.array(start.GetCenter()), np.array(start.GetTranslation())
    b = shift + centre - A @ centre
    return A[::-1, ::-1], b[::-1]


def elastix(p: Problem) -> tuple[np.ndarray, np.ndarray]:
    """itk-elastix with its own affine parameters, on mean squares."""
    import itk

    itk.set_nthreads(int(THREADS))
    dim = p.template.ndim
    fixed, moving = (itk.image_from_array(image.astype(np.float32)) for image in (p.reference, p.template))
    parameters = itk.ParameterObject.New()
    chosen = parameters.GetDefaultParameterMap("affine", 4 if dim == 2 else 3)
    chosen["Metric"] = ["AdvancedMeanSquares"]
    chosen["MaximumNumberOfIterations"] = ["250"]
    chosen["AutomaticTransformInitialization"] = ["false"]
    parameters.AddParameterMap(chosen)
    _, found = itk.elastix_registration_method(
        fixed, moving, parameter_object=parameters, log_to_console=False, number_of_threads=int(THREADS)
    )
    values = np.array(found.GetParameter(0, "TransformParameters"), dtype=float)
    A, shift = values[: dim * dim].reshape(dim, dim), values[dim * dim :]
    centre = np.array(found.GetParameter(0, "CenterOfRotationPoint"), dtype=float)
    b = shift + centre - A @ centre
    return A[::-1, ::-1], b[::-1]


TOOLS: dict[str, tuple[Callable, str, tuple[int, ...]]] = {  # what runs, what it needs, in which dimensions
    "regkit": (regkit, "regkit.register", (2, 3)),
    "regkit-parts": (regkit_parts, "regkit", (2, 3)),
    "scipy": (scipy, "scipy", (2, 3)),
    "opencv": (opencv, "cv2", (2,)),
    "simpleitk": (simpleitk, "SimpleITK", (2, 3)),
    "elastix": (elastix, "itk", (2, 3)),
}


# ---- the run


def run(tools: list[str], kinds: list[str], count: int, dim: int, cells: int) -> None:
    """One table: all tools on ``count`` problems of each kind."""
    fine = fine_images(dim, cells)
    problems = {kind: [problem(kind, k, dim, cells, fine) for k in range(count)] for kind in kinds}
    everything = [p for kind in kinds for p in problems[kind]]
    tools = [name for name in tools if dim in TOOLS[name][2]]
    errors, seconds = {}, {}
    for name in tools:  # warmed up
        attempt(TOOLS[name][0], everything[0])
    for p in everything:
        for name in tools:
            errors[name, p.name], seconds[name, p.name] = attempt(TOOLS[name][0], p)
    mean = {key: both[0] for key, both in errors.items()}
    able = [name for name in tools if any(mean[name, p.name] < SOLVED for p in everything)]
    common = [p for p in everything if all(mean[name, p.name] < SOLVED for name in able)]
    limits = root_mean_square([p.limit for p in common])
    print(
        f"\n{cells}{'²' if dim == 2 else '³'}, {count} of each, {THREADS} thread(s); solved by all: ", end=""
    )
    print(f"{len(common)} of {len(everything)}, Cramér-Rao limit {limits:.4f} px")
    head = "".join(f"{kind:>9}" for kind in kinds)
    print(f"{'':14}{head}{'error px':>11}{'over the limit':>16}{'seconds':>9}{'longest':>9}")
    for name in tools:
        solved = [sum(mean[name, p.name] < SOLVED for p in problems[kind]) for kind in kinds]
        error = statistics.fmean([mean[name, p.name] for p in common]) if common else math.nan
        over = root_mean_square([errors[name, p.name][1] for p in common]) / limits
        times = [seconds[name, p.name] for p in everything]
        row = "".join(f"{number:9d}" for number in solved)
        print(f"{name:14}{row}{error:11.4f}{over:16.2f}", end="")
        print(f"{statistics.median(times):9.3f}{max(times):9.3f}", flush=True)
    lost = [p.name for p in everything if all(mean[name, p.name] >= SOLVED for name in tools)]
    print(f"solved by none: {', '.join(lost) or 'no problem'}")
    for name in tools:
        missed = [p.name for p in everything if mean[name, p.name] >= SOLVED]
        if missed:
            print(f"{name} misses: {', '.join(f'{each} ({mean[name, each]:.2g} px)' for each in missed)}")


def attempt(tool: Callable, p: Problem) -> tuple[tuple[float, float], float]:
    """The error of a tool, infinite if it gives up, and its seconds."""
    start = time.perf_counter()
    try:
        found = tool(p)
    except Exception as failure:  # whatever a package raises where it finds nothing
        print(f"{tool.__name__} on {p.name}: {str(failure).strip().splitlines()[-1][:90]}", file=sys.stderr)
        return LOST, time.perf_counter() - start
    seconds = time.perf_counter() - start
    return p.error(*found), seconds


def root_mean_square(values: list[float]) -> float:
    return math.sqrt(statistics.fmean(value**2 for value in values)) if values else math.nan


def there(name: str) -> bool:
    try:
        return importlib.util.find_spec(TOOLS[name][1]) is not None
    except ModuleNotFoundError:
        return False


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="two problems of each kind, 128² and 64³ only")
    parser.add_argument("--tools", nargs="+", choices=TOOLS, default=[*TOOLS])
    parser.add_argument("--sets", nargs="+", choices=BOUNDS, default=[*BOUNDS])
    parser.add_argument("--sizes", nargs="+", choices=["128", "256", "64"], help="64 is in space")
    parser.add_argument("--count", type=int, help="of each kind")
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    found = [name for name in options.tools if there(name)]
    print("not installed:", ", ".join(name for name in options.tools if name not in found) or "none")
    for size in options.sizes or (["128", "64"] if options.quick else ["128", "256", "64"]):
        many = {"128": 30, "256": 8, "64": 3}[size]
        kinds = [kind for kind in options.sets if size != "64" or kind in ("easy", "medium")]
        count = options.count or (2 if options.quick and size != "64" else 1 if options.quick else many)
        run(found, kinds, count, 3 if size == "64" else 2, int(size))
