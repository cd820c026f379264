"""Whole runs give the same result whatever the number of threads, and however a processor rounds.

Each is made with one thread, with two, and again with grey values that differ in the fifteenth digit: threads
may change nothing on some machine, and that changes every sum.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial

import numpy as np
import pytest
import torch

from regkit import continuation, pyramid
from regkit.data import hands_phantom, mri
from regkit.deform import ModesCG, deform
from regkit.energies import Bending, Elastic, Hyperelastic
from regkit.flows import NeuralODE
from regkit.freeform import DisplacementField, FreeForm
from regkit.grid import Grid
from regkit.linear import CG, Cholesky
from regkit.optimize import gauss_newton, levenberg_marquardt, newton_trust
from regkit.path_energy import PathEnergy
from regkit.register import register
from regkit.registration import Registration
from regkit.scales import Adaptive
from regkit.spline import coefficients, evaluate
from regkit.templates import register_templates, synthetic
from regkit.transforms import Affine
from regkit.varpro import GolubPereyra, Reduced

Image = torch.Tensor
Run = Callable[[Callable[[Image], Image]], torch.Tensor]  # of what is done to the images

RUNS: dict[str, Run] = {}


def run(function: Run) -> Run:
    RUNS[function.__name__] = function
    return function


@contextmanager
def threads(count: int) -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def head(size: int, dim: int = 2) -> tuple[Image, Image, Grid]:
    """A slice of a head, or a pile of slices, and its copy, turned by 11° and bent by up to 6 mm."""
    image, grid = mri(size)
    x = grid.points()
    u, v = (math.pi * x / 256).T
    y = x + 6 * torch.stack([u.sin() * (2 * v).sin(), -(2 * u).sin() * v.sin()], dim=1)
    y = 128 + (y - 128) @ torch.tensor([[0.98, 0.2], [-0.2, 0.98]]).double()
    moved = evaluate(coefficients(image, 0.0), grid, y).reshape(size, size)
    if dim == 3:
        along = torch.linspace(0, math.pi, 12).double().sin()
        image, moved = image[..., None] * along, moved[..., None] * along
        grid = Grid((256.0, 256.0, 100.0), tuple(image.shape))
    return image, moved, grid


def bent(move, transform, energy) -> torch.Tensor:
    image, moved, grid = head(64)
    return deform(Registration(move(image), move(moved), grid, transform, regulariser=energy)).w


def hands(move, size: int = 32, **options) -> Registration:
    pair = hands_phantom(size)
    options.setdefault("transform", Affine(center=(10.0, 12.5)))
    return Registration(move(pair.template), move(pair.reference), pair.grid, **options)


FREE = FreeForm(Grid((256.0, 256.0), (16, 16)))
FIELD = DisplacementField(Grid((256.0, 256.0), (64, 64)))
for name, energy in {
    "bending": Bending(FREE, 3e4),
    "elastic": Elastic(FREE, 200.0),
    "hyperelastic": Hyperelastic(FREE, 200.0),
    "bending_field": Bending(FIELD, 3e5),
}.items():
    RUNS[name] = partial(bent, transform=energy.transform, energy=energy)


for name, dim, options in (
    ("affine", 2, {}),
    ("rigid_ssd", 2, {"transform": "rigid", "distance": "ssd"}),
    ("overlap", 2, {"outside": "overlap"}),
    ("solid", 3, {"turns": 1}),
    ("freeform", 2, {"transform": "freeform"}),
):

    def registered(move, dim=dim, options=options) -> torch.Tensor:
        image, moved, _ = head(64, dim)
        return register(move(image), move(moved), threads=torch.get_num_threads(), **options).w

    RUNS[name] = registered


for name, make in {
    "gauss_newton": lambda p: gauss_newton(
        p.at(1.0), p.transform.identity(), solver=ModesCG(p.regulariser), iterations=12
    ),
    "newton_krylov": lambda p: newton_trust(
        p.at(1.0), p.transform.identity(), subproblem="krylov", radius=100.0
    ),
}.items():

    def many(move, make=make) -> torch.Tensor:
        free = FreeForm(Grid(hands_phantom(32).grid.extent, (8, 8)))
        return make(hands(move, transform=free, regulariser=Bending(free, 1e4))).x

    RUNS[name] = many


for name, method in {
    "flow_levenberg_marquardt": levenberg_marquardt,
    "flow_newton": newton_trust,
    "flow_gauss_newton": partial(gauss_newton, solver=CG(rtol=0.1, maxiter=15)),
}.items():

    def flow(move, method=method) -> torch.Tensor:
        transform = NeuralODE(hidden=4, steps=3, center=(10.0, 12.5), unit=5.0)
        energy = PathEnergy(transform, Grid((20.0, 25.0), (6, 6)), 1.0)
        problem = hands(move, 16, transform=transform, regulariser=energy).at(10.0)
        found = method(problem, transform.identity(), iterations=8)
        return transform(found.x, problem.problem.points) - problem.problem.points

    RUNS[name] = flow


@run
def multi_level(move) -> torch.Tensor:
    problem = hands(move)
    return pyramid.multilevel(problem, problem.transform.identity(), thetas=[100.0, 1.0, 0.1]).path


@run
def multi_scale(move) -> torch.Tensor:
    problem = hands(move)
    return continuation.follow(problem, np.logspace(2, -2, 12).tolist(), problem.transform.identity()).path


@run
def predicted(move) -> torch.Tensor:
    problem = hands(move)
    start = problem.transform.identity()
    return continuation.follow(problem, Adaptive(100.0, 0.01), start, predictor="heun").path


def reduced(move, solver) -> torch.Tensor:
    """Variable projection: w, and f in units of the brightest."""
    image, grid = mri(16)
    problem = synthetic(move(image), grid, count=3).problem
    start = register_templates(problem, (10.0, 0.1))
    found = levenberg_marquardt(Reduced(problem, solver, GolubPereyra()), start, iterations=2)
    return torch.cat([found.x, found.point.f / 255])


def nudged(random) -> Callable[[Image], Image]:
    return lambda image: image * (1 + 1e-15 * random(*image.shape))


@pytest.mark.filterwarnings("ignore:.*")
@pytest.mark.parametrize("name", RUNS)
def test_a_whole_run_does_not_depend_on_threads_and_rounding(name, random):
    with threads(1):
        first, other = RUNS[name](lambda image: image), RUNS[name](nudged(random))
    with threads(2):
        second = RUNS[name](lambda image: image)
    assert (second - first).norm() <= 1e-10 * first.norm()
    assert (other - first).norm() <= 1e-10 * first.norm()


def test_a_projection_is_as_good_as_its_solver(random):
    """Rounding moves f by the condition number times what a solver leaves: its tolerance, or rounding."""
    image, grid = mri(16)
    A = synthetic(image, grid, count=3).problem
    normal = A.at(A.identity()).normal(torch.eye(A.at(A.identity()).shape[1]).double())
    condition = float(torch.linalg.cond(normal))
    for solver, left in ((Cholesky(), 1e-15), (CG(1e-10), 1e-10)):
        with threads(1):
            first, other = (reduced(move, solver) for move in (lambda image: image, nudged(random)))
        with threads(2):
            second = reduced(lambda image: image, solver)
        for each in (second, other):
            assert (each - first).norm() <= left * condition * first.norm()
