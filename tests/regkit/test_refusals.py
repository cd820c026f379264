"""What makes no sense is refused, in one sentence that says what was expected and what came: never torch's or
Python's own complaint, and never a number that means nothing."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from regkit import data
from regkit.branches import arclength
from regkit.checks import adjoint_test, taylor_test
from regkit.continuation import follow, integrate, tangent
from regkit.deform import deform
from regkit.energies import Bending, Elastic, Hyperelastic
from regkit.flows import NeuralODE
from regkit.freeform import FreeForm
from regkit.grid import Grid
from regkit.linear import CG, CGLS, Cholesky
from regkit.maps import fold_message, inverse
from regkit.operators import Diagonal, Matrix
from regkit.optimize import gauss_newton, gradient_descent, levenberg_marquardt, newton_trust
from regkit.path_energy import PathEnergy
from regkit.problems import Formula, Functions
from regkit.pyramid import multilevel
from regkit.registration import Registration
from regkit.regularizers import Quadratic
from regkit.scales import Adaptive
from regkit.spline import SmoothingBasis, at_centres, coefficients, evaluate, smoothing_modes
from regkit.strengths import by_discrepancy
from regkit.superres import SuperResolution
from regkit.templates import synthetic
from regkit.transforms import Affine, Translation

nan, inf = math.nan, math.inf
MADE = synthetic(
    torch.rand(4, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(2)),
    Grid((4.0, 4.0), (4, 4)),
    count=2,
)
DOUBLE = torch.float64
IMAGE = torch.rand(6, 5, dtype=DOUBLE, generator=torch.Generator().manual_seed(0))
BOX, X = Grid((6.0, 5.0), (6, 5)), Grid((6.0, 5.0), (6, 5)).points()
C = coefficients(IMAGE, 0.0)
A, B = torch.tensor([[2.0, 1.0], [1.0, 3.0]], dtype=DOUBLE), torch.tensor([3.0, 4.0], dtype=DOUBLE)
W = torch.zeros(2, dtype=DOUBLE)
BOWL = Functions(lambda w: ((w - 1) ** 2).sum() + 1, gauss_newton=lambda w: 2 * torch.eye(len(w)).to(w))
PATH = Formula(lambda w, theta: ((w - theta) ** 2).sum())


def registered(**options):
    return Registration(IMAGE, IMAGE, **{"grid": BOX, "outside": 0.0, **options})


def cube(x):
    return (x**3).sum()


NO_NUMBERS = {
    "words": "a",
    "nothing": None,
    "NaN": nan,
    "complex": 1j,
    "two": np.array([1.0, 2.0]),
    "object": object(),
}
SPLINE = {
    **{
        f"θ of {name}": lambda v=value: SmoothingBasis(IMAGE).coefficients(v)
        for name, value in NO_NUMBERS.items()
    },
    **{f"at θ of {name}": lambda v=value: registered().at(v) for name, value in NO_NUMBERS.items()},
    **{
        f"outside of {name}": lambda v=value: coefficients(IMAGE, 1.0, v)
        for name, value in NO_NUMBERS.items()
    },
    **{f"value of {name}": lambda v=value: evaluate(C, BOX, X, 0, v) for name, value in NO_NUMBERS.items()},
    "θ without end": lambda: SmoothingBasis(torch.rand(600, dtype=DOUBLE)).coefficients(inf),
    "two θ": lambda: SmoothingBasis(IMAGE).theta_derivative(torch.tensor([1.0, 2.0])),
    "factor of NaN": lambda: SmoothingBasis(IMAGE, (1.0, nan)),
    "factor without end": lambda: SmoothingBasis(IMAGE, (1.0, inf)),
    "one factor": lambda: SmoothingBasis(IMAGE, 2.0),
    "factors in words": lambda: SmoothingBasis(IMAGE, "ab"),
    "outside of the image's side": lambda: SmoothingBasis(IMAGE, None, torch.ones(5)),
    "outside without end": lambda: evaluate(C, BOX, X, 0, inf),
    "half an order": lambda: evaluate(C, BOX, X, 1.0),
    "no grid": lambda: evaluate(C, None, X),
    "a pair for a grid": lambda: evaluate(C, (6.0, 5.0), X),
    "points elsewhere": lambda: evaluate(C, BOX, X.to("meta")),
    "coefficients elsewhere": lambda: evaluate(C.to("meta"), BOX, X),
    "sparse": lambda: SmoothingBasis(torch.eye(6).double().to_sparse()),
    "masked": lambda: SmoothingBasis(np.ma.masked_array(IMAGE.numpy(), mask=IMAGE.numpy() > 0.5)),
    "no cells": lambda: at_centres(torch.empty(0)),
    "the sixth axis": lambda: at_centres(C, 5),
    "the axis before the first": lambda: at_centres(C, -1),
    "an axis in words": lambda: at_centres(C, "x"),
    "half a cell": lambda: smoothing_modes(4.5),
    "a registration without a grid": lambda: registered(grid=None),
    "sides for a grid": lambda: registered(template_grid=[1.0, 1.0]),
    "masked images": lambda: registered(weights=np.ma.masked_array(np.ones((6, 5)), mask=np.eye(6, 5))),
    "a list outside": lambda: registered(outside=[1.0]),
    "eight values outside": lambda: registered(outside=torch.ones(8)),
}
CHECKS = {
    **{
        f"{test.__name__} at {name}": lambda v=value, t=test: (
            t(cube, v) if t is taylor_test else t(cube, cube, v)
        )
        for test in (taylor_test, adjoint_test)
        for name, value in {
            "whole numbers": torch.tensor([1, 2]),
            "half precision": torch.ones(2).half(),
            "complex numbers": torch.ones(2) * 1j,
            "nothing": None,
        }.items()
    },
    "no direction": lambda: taylor_test(cube, B, torch.zeros(2)),
    "a direction of NaN": lambda: taylor_test(cube, B, [nan, 1.0]),
    "a direction of another shape": lambda: taylor_test(cube, B, torch.ones(3)),
    "a derivative of another shape": lambda: taylor_test(cube, B, first=B),
    "no steps": lambda: taylor_test(cube, B, steps=[0.0, 0.0, 0.0]),
    "steps of NaN": lambda: taylor_test(cube, B, steps=[nan] * 3),
    "steps backwards": lambda: taylor_test(cube, B, steps=[-1.0, -0.1, -0.01]),
    "half an order of Taylor": lambda: taylor_test(cube, B, order=1.0),
}
PICTURES = (
    data.hands_phantom,
    data.bent_hands_phantom,
    data.chest_phantom,
    data.mri,
    data.bumps,
    data.paper_hands,
)
DATA = {
    **{
        f"{make.__name__} of {name}": lambda v=value, make=make: make(v)
        for make in PICTURES
        for name, value in {
            "words": "big",
            "nothing": None,
            "2.5 cells": 2.5,
            "no cells": 0,
            "no end": inf,
        }.items()
    },
    **{
        f"{make.__name__} with noise of {value}": lambda v=value, make=make: make(4, v)
        for make in PICTURES[:3]
        for value in (nan, inf, -1.0, "a", None)
    },
    "a shift of NaN": lambda: data.bumps(8, nan),
    "fingers bent by NaN": lambda: data.bent_hands_phantom(8, bend=nan),
    "fingers bent by words": lambda: data.bent_hands_phantom(8, bend="far"),
}
SOLVERS = (CG(), CG.fixed(3), CGLS(), Cholesky())
LINEAR = {
    **{
        f"{solver} with A = {name}": lambda s=solver, v=value: s.solve(v, B)
        for solver in SOLVERS
        for name, value in {
            "a tensor": A,
            "an array": A.numpy(),
            "nothing": None,
            "a word": "A",
            "three rows": Matrix(torch.ones(3, 2, dtype=DOUBLE)),
            "another size": Matrix(torch.eye(3, dtype=DOUBLE)),
            "single precision": Matrix(A.float()),
        }.items()
        if not (name == "single precision" and isinstance(solver, Cholesky))  # which writes it out anew
    },
    **{
        f"{solver} with b = {name}": lambda s=solver, v=value: s.solve(Matrix(A), v)
        for solver in SOLVERS
        for name, value in {
            "a number": torch.tensor(1.0).double(),
            "a box": torch.ones(2, 2, 2, dtype=DOUBLE),
            "three rows": torch.ones(3, dtype=DOUBLE),
            "sparse": B.to_sparse(),
        }.items()
    },
    **{
        f"{solver} from {name}": lambda s=solver, v=value: s.solve(Matrix(A), B, v)
        for solver in SOLVERS
        for name, value in {"words": "a", "NaN": [nan, 0.0], "three numbers": np.ones(3)}.items()
    },
    **{
        f"{kind.__name__} with {options}": lambda kind=kind, options=options: kind(**options)
        for kind in (CG, CGLS)
        for options in (
            {"rtol": "a"},
            {"rtol": nan},
            {"atol": None},
            {"maxiter": 2.5},
            {"maxiter": "3"},
            {"maxiter": inf},
        )
    },
    "A x of another shape": lambda: CG().solve(lambda x: torch.ones(3, dtype=DOUBLE), B),
    "a matrix that is not symmetric": lambda: Cholesky().solve(
        Matrix(torch.tensor([[2.0, 1.0], [-1.0, 3.0]])), B.float()
    ),
    "a list as a matrix": lambda: Matrix([[1.0, 2.0], [3.0, 4.0]]),
    "a vector as a matrix": lambda: Matrix(B),
    "a matrix as a diagonal": lambda: Diagonal(A),
    "a list as a diagonal": lambda: Diagonal([1.0, 2.0]),
    "whole numbers times double ones": lambda: Matrix(torch.eye(2, dtype=torch.int64)) @ B,
    "M that is not symmetric": lambda: Quadratic(1.0, torch.tensor([[1.0, 5.0], [0.0, 1.0]]), torch.zeros(2)),
    "M of NaN": lambda: Quadratic(1.0, nan * A, W),
    "M as a list": lambda: Quadratic(1.0, [[1.0, 0.0], [0.0, 1.0]], W),
    "w0 as a list": lambda: Quadratic(1.0, A, [0.0, 0.0]),
    "a strength in words": lambda: Quadratic("a", A, W),
    "a strength without end": lambda: Quadratic(inf, A, W),
    "one parameter of two": lambda: Quadratic(1.0, A, W).value(torch.ones(1, dtype=DOUBLE)),
}
METHODS = (newton_trust, levenberg_marquardt, gauss_newton, gradient_descent)
OPTIMIZE = {
    **{
        f"{method.__name__} with {options}": lambda m=method, o=options: m(BOWL, W, **o)
        for method in METHODS
        for options in (
            {"gtol": nan},
            {"xtol": -1.0},
            {"ftol": "a"},
            {"atol": None},
            {"iterations": -1},
            {"iterations": None},
            {"iterations": nan},
            {"callback": "a"},
        )
    },
    **{
        f"{method.__name__} from {name}": lambda m=method, v=value: m(BOWL, v)
        for method in METHODS
        for name, value in {"a list": [0.0, 0.0], "an array": np.zeros(2), "half precision": W.half()}.items()
    },
    **{
        f"a radius of {radius!r} by {name}": lambda r=radius, n=name: newton_trust(
            BOWL, W, radius=r, subproblem=n
        )
        for radius in (0.0, -1.0, nan, inf, "a", None)
        for name in ("exact", "krylov")
    },
    **{
        f"a damping of {d!r}": lambda d=d: levenberg_marquardt(BOWL, W, damping=d)
        for d in (-1.0, nan, inf, "a", None)
    },
    "no advance": lambda: levenberg_marquardt(BOWL, W, advance="a"),
    "a gradient of another shape": lambda: gauss_newton(Functions(cube, lambda w: torch.ones(3).to(w)), W),
    "a gradient of NumPy's": lambda: gradient_descent(Functions(cube, lambda w: w.numpy()), B),
}
CONTINUATION = {
    **{
        f"{run.__name__} over {thetas!r}": lambda run=run, t=thetas: run(PATH, t, W)
        for run in (follow, integrate)
        for thetas in ([], 3.0, "abc", None, [3.0, nan], [inf, 1.0], [1j], [[3.0], [1.0]])
    },
    **{
        f"{run.__name__} from {name}": lambda run=run, v=value: run(PATH, [3.0, 1.0], v)
        for run in (
            follow,
            integrate,
            lambda p, t, w: tangent(p, w, 1.0),
            lambda p, t, w: arclength(p, 1.0, w),
        )
        for name, value in {
            "a list": [1.0],
            "whole numbers": torch.tensor([1]),
            "half": torch.ones(1).half(),
        }.items()
    },
    **{
        f"Adaptive with {options}": lambda o=options: Adaptive(10.0, 0.1, **o)
        for options in (
            {"tolerance": 0.0},
            {"tolerance": nan},
            {"tolerance": "a"},
            {"first": 0.0},
            {"first": nan},
            {"first": 5.0},
            {"shortest": 0.0},
            {"shortest": nan},
            {"shortest": 0.5},
            {"longest": 0.0},
            {"longest": 1e-3},
            {"longest": nan},
            {"first": 1e-9, "shortest": 1e-9},
        )
    },
    **{
        f"arclength with {options}": lambda o=options: arclength(PATH, o.pop("theta", 1.0), B[:1] / 3, **o)
        for options in (
            {"theta": 0.0},
            {"theta": "a"},
            {"step": 0.0},
            {"step": -0.1},
            {"step": nan},
            {"step": inf},
            {"count": 0},
            {"count": 2.5},
            {"scale": 0.0},
            {"scale": nan},
            {"low": 10.0, "high": 1.0},
            {"low": nan},
            {"low": -1.0},
        )
    },
    "no corrector": lambda: follow(PATH, [3.0, 1.0], W, corrector="newton"),
    "a callback in words": lambda: follow(PATH, [3.0, 1.0], W, callback="a"),
    "an accuracy of NaN": lambda: follow(PATH, [3.0, 1.0], W, accuracy=nan),
    "no parameters": lambda: tangent(PATH, W[:0], 1.0),
}
AWAY = torch.tensor([3.0, 4.0], dtype=DOUBLE)
MAPS = {
    "a point of NaN": lambda: inverse(Translation(), AWAY, torch.tensor([[1.0, 1.0], [nan, 1.0]]).double()),
    "a start of NaN": lambda: inverse(Translation(), AWAY, X, start=nan * X),
    "a map of NaN": lambda: inverse(Translation(), nan * AWAY, X),
    "a tolerance of NaN": lambda: inverse(Translation(), AWAY, X, tolerance=nan),
}
FREE = FreeForm(Grid(BOX.extent, (2, 2)))
STILL = FREE.identity()
ENERGIES = {
    **{
        f"{kind.__name__} with {name}": lambda kind=kind, o=options: kind(FREE, **o)
        for kind in (Bending, Elastic, Hyperelastic)
        for name, options in {
            "strength NaN": {"strength": nan},
            "strength without end": {"strength": inf},
            "w0 as a list": {"w0": [0.0] * 50},
        }.items()
    },
    **{
        f"{kind.__name__} of {name}": lambda kind=kind, v=value: kind(FREE).gradient(v)
        for kind in (Bending, Elastic, Hyperelastic)
        for name, value in {"single precision": STILL.float(), "three numbers": STILL[:3]}.items()
    },
    **{f"{kind.__name__} of no lattice": lambda kind=kind: kind(Affine()) for kind in (Bending, Elastic)},
    "mu without end": lambda: Elastic(FREE, mu=inf),
    "kappa in words": lambda: Hyperelastic(FREE, kappa="a"),
    "a grid in words": lambda: Hyperelastic(FREE, grid="a"),
    "images of single precision": lambda: (
        Registration(IMAGE.float(), IMAGE.float(), BOX, FREE, regulariser=Hyperelastic(FREE), outside=0.0)
        .at(1.0)
        .gradient(STILL)
    ),
    "a path of NaN's strength": lambda: PathEnergy(NeuralODE(), BOX, nan),
    "a path without a grid": lambda: PathEnergy(NeuralODE(), None),
}
BENT = Registration(IMAGE, IMAGE.roll(1, 0), BOX, FREE, regulariser=Bending(FREE, 1.0), outside=0.0)
COARSE = torch.rand(2, 3, 5, dtype=DOUBLE, generator=torch.Generator().manual_seed(1))
FINE = Grid((6.0, 10.0), (6, 10))
MANY = {
    **{
        f"deform with {options}": lambda o=options: deform(BENT, **o)
        for options in (
            {"levels": 0},
            {"levels": 1.5},
            {"levels": "a"},
            {"theta": nan},
            {"reduction": nan},
            {"reduction": -1.0},
            {"rtol": nan},
            {"products": 2.5},
            {"w0": [0.0] * 50},
            {"callback": "a"},
        )
    },
    **{
        f"multilevel with {options}": lambda o=options: multilevel(registered(), Affine().identity(), **o)
        for options in ({"levels": 2.5}, {"levels": "a"}, {"thetas": None}, {"thetas": 1.0}, {"callback": 3})
    },
    **{
        f"super-resolution with {options}": lambda o=options: SuperResolution(COARSE, FINE, **o)
        for options in (
            {"strength": nan},
            {"strength": inf},
            {"strength": "a"},
            {"fixed": 1.5},
            {"fixed": 2},
            {"fixed": "a"},
            {"transform": None},
        )
    },
    **{
        f"strengths {given!r}": lambda g=given: by_discrepancy(MADE.problem, MADE.w_true, 1.0, g)
        for given in ([], "ab", [nan, 1.0], [inf], 3.0, [0.0])
    },
    "half precision of templates": lambda: SuperResolution(COARSE.half(), FINE),
    "a grid that is none": lambda: SuperResolution(COARSE, None),
    "noise in words": lambda: by_discrepancy(MADE.problem, MADE.w_true, "a", [1.0]),
    "2.5 templates": lambda: synthetic(IMAGE, BOX, factor=1, count=2.5),
    "a factor of 1.5": lambda: synthetic(IMAGE, BOX, factor=1.5),
    "an image as words": lambda: synthetic("a", BOX),
    "no box": lambda: synthetic(IMAGE, None),
    "a centre of NaN": lambda: Affine(2, (nan, 1.0)),
    "a centre in words": lambda: Affine(2, "ab"),
    "A and b of another size": lambda: Affine().from_matrix(torch.eye(3), torch.zeros(3)),
    "two and a half dimensions": lambda: Affine(2.5),
}
GROUPS = (SPLINE, CHECKS, DATA, LINEAR, OPTIMIZE, CONTINUATION, MAPS, ENERGIES, MANY)
ALL = {name: call for group in GROUPS for name, call in group.items()}


def test_no_case_hides_another():
    assert len(ALL) == sum(map(len, GROUPS))


@pytest.mark.parametrize("call", ALL.values(), ids=ALL)
def test_it_is_refused_in_words(call):
    with pytest.raises(
        ValueError, match=r"(?s)expected .+, got .+|expected .+ symmetric|expected points and a start"
    ):
        call()


def test_what_looks_alike_is_taken():
    """Numbers in other clothes."""
    assert Grid((1, 2), (3.0, np.int64(4))) == Grid((1.0, 2.0), (3, 4))
    assert SmoothingBasis(IMAGE).coefficients(np.float32(2)).equal(SmoothingBasis(IMAGE).coefficients(2))
    assert evaluate(C, BOX, X.half()).equal(evaluate(C, BOX, X))  # these are exact in half precision
    assert CG().solve(Matrix(A), B, [1, 1]).iterations == 0
    assert torch.allclose(CG().solve(Matrix(A), B, np.ones(2, dtype=np.float32)).x, torch.ones(2).double())
    path = integrate(PATH, (t for t in (3.0, 1.0)), torch.full((1,), 3.0).double())
    assert path.shape == (2, 1)
    assert data.hands_phantom(np.int64(8)).grid.shape == (8, 8)
    assert adjoint_test(lambda x: 0 * x, lambda y: 0 * y, B) == 0.0
    for transform in (Affine(), Translation(), FREE, NeuralODE()):
        w = 0.25 * torch.ones(transform.parameters, dtype=DOUBLE)
        for other in (w.tolist(), w.numpy(), w.float(), w.half()):
            assert transform(other, X).equal(transform(w, X))
    assert Affine().from_matrix([[1, 0], [0, 1]], [0.0, 0.0]).equal(Affine().identity())


def test_a_map_that_is_nowhere_folds():
    assert "in 1 of 3 cells" in fold_message(torch.tensor([1.0, nan, 2.0]))


def test_masked_arrays_without_a_mask_are_arrays():
    assert SmoothingBasis(np.ma.masked_array(IMAGE.numpy())).coefficients(1.0).equal(coefficients(IMAGE, 1.0))


def test_affine_of_an_unknown_dimension():
    with pytest.raises(ValueError, match="expected dimension 1, 2 or 3, got 4"):
        Affine(4)
