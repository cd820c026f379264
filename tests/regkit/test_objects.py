"""Every public class: its objects copy, pickle, compare and print."""

from __future__ import annotations

import copy
import importlib
import inspect
import pickle
import pkgutil

import pytest
import torch

import regkit
from regkit.branches import arclength
from regkit.checks import taylor_test
from regkit.continuation import follow
from regkit.data import hands_phantom
from regkit.deform import Changed, ModesCG, deform
from regkit.distances import NCC, SSD
from regkit.dual import Dual
from regkit.energies import Bending, Elastic, Hyperelastic
from regkit.flows import NeuralODE
from regkit.freeform import DisplacementField, FreeForm
from regkit.grid import Grid
from regkit.implicit import Chebyshev, Continue, Frozen, Implicit, Last, Restart, System, Unrolled
from regkit.linear import CG, CGLS, Cholesky
from regkit.motions import Motion
from regkit.multimodal import NGF, MutualInformation
from regkit.operators import Blocks, Diagonal, FunctionOperator, Hessian, Jacobian, LowRankUpdate, Matrix
from regkit.optimize import levenberg_marquardt, newton_trust
from regkit.outside import Overlap
from regkit.path_energy import PathEnergy
from regkit.problems import Formula, Functions, Residual
from regkit.register import Stage, register
from regkit.registered import RunnerUp
from regkit.registration import Registration
from regkit.regularizers import Quadratic, Refined
from regkit.scales import Adaptive
from regkit.separable import Band
from regkit.similarity import Similarity
from regkit.spline import SmoothingBasis
from regkit.starts import Together, Weighted
from regkit.strengths import Chosen
from regkit.superres import SuperResolution
from regkit.templates import Synthetic
from regkit.transforms import Affine, Rigid, Translation
from regkit.varpro import GolubPereyra, Kaufman, Matrices, Reduced

ONES, W = torch.ones(2), torch.tensor([3.0, 4.0])


def square(w, theta=1.0):
    return ((w - theta) ** 2).sum()


def identity(w):
    return w


def column(w):
    return torch.stack([torch.ones(2), w], dim=1)[:, :1] * w.sum()


def deformations(pair):
    """Of the modules for thousands of parameters."""
    lattice = FreeForm(Grid(pair.grid.extent, (4, 4)))
    w, energy, motion = lattice.identity(), Bending(lattice, 1e5), lattice.on(pair.grid)
    problem = Registration(pair.template, pair.reference, pair.grid, lattice, regulariser=energy)
    changed, flow = Changed.at(problem.at(1.0), w, energy), NeuralODE().on(pair.grid)
    yield from (lattice, DisplacementField(pair.grid), energy, Elastic(lattice), Hyperelastic(lattice))
    yield from (motion, motion.derivative(w), *lattice.slopes(pair.grid, w), Band.of(torch.eye(3)))
    yield from (energy.operator, ModesCG(energy), changed, changed.modes, changed.point(w), flow)
    yield from (flow.derivative(NeuralODE().identity()), deform(problem, iterations=1))


def examples():
    """Things of all public classes, each once at least."""
    pair, transform = hands_phantom(16), Affine()
    start, pull = transform.identity(), Quadratic(2.0, torch.eye(6).double(), transform.identity())
    problem = Registration(pair.template, pair.reference, pair.grid, regulariser=pull)
    found = newton_trust(problem.at(10.0), start, iterations=2)
    images = SuperResolution(torch.rand(2, 4, 6), Grid((2.0, 3.0), (8, 12)))
    reduced = Reduced(images, CG.fixed(3), Kaufman())
    path = follow(Formula(square), [2.0, 1.0], torch.tensor([5.0]))
    matrix = Matrix(torch.eye(2))
    yield from (pair, transform, pull, problem, found, images, reduced, path, path.steps[0], matrix)
    yield from (found.history[0], found.point, problem.at(1.0), problem.at(1.0).point(start), problem.motion)
    yield from (Motion(transform, pair.grid.points()), Refined(pull, identity), SmoothingBasis(pair.template))
    yield from (Overlap(NCC()), NGF(), MutualInformation(), NeuralODE(), Chosen(0.1, ONES, 2.0))
    yield PathEnergy(NeuralODE(), pair.grid)
    yield from (Rigid(), Translation(), SSD(), NCC(), pair.grid, Adaptive(10.0, 1.0), Formula(square))
    yield from (reduced.point(images.identity()), images.at(images.identity()), GolubPereyra(), Kaufman())
    yield levenberg_marquardt(reduced, images.identity(), iterations=1)
    yield Synthetic(images, torch.rand(8, 12), images.identity())
    yield from (Matrices(column, ONES), Reduced(Matrices(column, ONES)), Dual.variables(W))
    yield from (
        Functions(square),
        Functions(square).point(W),
        Residual(identity),
        Residual(identity).point(W),
    )
    yield from (CG(), CG.fixed(3), Cholesky(), CGLS(), CG().solve(matrix, W), System(matrix, W, None, CG()))
    yield from (
        Frozen(),
        Implicit(),
        Implicit(CG()),
        Unrolled(),
        Last(3),
        Restart(),
        Continue(),
        Chebyshev((1.0, 2.0)),
    )
    yield from (FunctionOperator((2, 2), identity, identity), Diagonal(W), Blocks(torch.ones(2, 1, 2)))
    yield from (LowRankUpdate(W, torch.ones(2, 1), torch.eye(1)), Jacobian(identity, W), Hessian(square, W))
    yield from (
        Similarity(),
        RunnerUp(W, 2.0, 1.0),
        Stage(4, 1, 2, W, 0.5),
        Together(Registration(W[None], W[None], Grid((2.0, 2.0), (1, 2)), outside=0.0).at(1.0)),
        Weighted(Registration(ONES, ONES, Grid((2.0,), (2,)), Affine(1), outside=0.0)),
    )
    yield from deformations(pair)
    yield register(pair.template, pair.reference)
    yield taylor_test(square, W)
    yield arclength(Formula(square), 2.0, torch.tensor([2.0]), count=3)


THINGS = list(examples())
# What others are made from, and what lives in a loop only.
BASES = {"Distance", "ResidualDistance", "Derivative", "Tail", "Solver", "Operator", "ParametricOperator"}
BASES |= {
    "Transform",
    "Regulariser",
    "ReducedJacobian",
    "ResidualPoint",
    "Run",
    "Listed",
    "Controlled",
    "Energy",
    "Lattice",
    "State",
}


def public_classes():
    for module in pkgutil.iter_modules(regkit.__path__, "regkit."):
        if not module.name.rpartition(".")[2].startswith("_"):
            for name, cls in inspect.getmembers(importlib.import_module(module.name), inspect.isclass):
                protocol = getattr(cls, "_is_protocol", False)
                if cls.__module__ == module.name and not name.startswith("_") and not protocol:
                    yield cls


def test_none_is_left_out():
    missing = {cls.__name__ for cls in public_classes()} - {type(thing).__name__ for thing in THINGS}
    assert missing == BASES


@pytest.mark.parametrize("thing", THINGS, ids=lambda thing: type(thing).__name__)
def test_objects_copy_pickle_compare_and_print(thing):
    for make in (copy.copy, copy.deepcopy, lambda thing: pickle.loads(pickle.dumps(thing))):
        again = make(thing)
        assert type(again) is type(thing)
        assert (again == thing) in (True, False) and again != 1
        assert thing in [1, again, thing] and 1 not in [again]
        if type(thing).__repr__ is not object.__repr__:
            assert len(repr(again)) == len(repr(thing))  # one may hold the address of a function
    assert thing == thing
