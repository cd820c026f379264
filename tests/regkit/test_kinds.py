"""What holds for all of a kind: every method, every function that takes numbers, every loop."""

from __future__ import annotations

import dataclasses
import inspect
import math
from functools import partial

import numpy as np
import pytest
import scipy.optimize
import torch
from PIL import Image

from regkit import continuation, pyramid, spline
from regkit.data import mri
from regkit.deform import deform
from regkit.distances import NCC, SSD
from regkit.energies import Bending
from regkit.freeform import FreeForm
from regkit.grid import Grid
from regkit.implicit import Frozen, solve
from regkit.linear import CG, Cholesky
from regkit.multimodal import NGF, MutualInformation
from regkit.optimize import gauss_newton, gradient_descent, levenberg_marquardt, newton_trust
from regkit.problems import Functions, Residual
from regkit.register import register
from regkit.registration import Registration
from regkit.spline import SmoothingBasis, coefficients, evaluate
from regkit.strengths import by_discrepancy
from regkit.superres import SuperResolution
from regkit.templates import synthetic
from regkit.transforms import Affine, Rigid, Translation
from regkit.varpro import Kaufman, Matrices, Reduced


def krylov(objective, w, **limits):
    return newton_trust(objective, w, subproblem="krylov", **limits)


def by_cg(objective, w, **limits):
    return gauss_newton(objective, w, solver=CG(rtol=0.1, maxiter=5), **limits)


def identity(objective, w, **limits):
    return levenberg_marquardt(objective, w, scaling="identity", **limits)


METHODS = [newton_trust, krylov, levenberg_marquardt, identity, gauss_newton, by_cg, gradient_descent]
methods = pytest.mark.parametrize("method", METHODS, ids=lambda m: m.__name__)


def blob(shift=0.0, unit=1.0, grey=1.0, dtype=torch.float64, transform=Translation, distance=SSD):
    """Two hills on 24 × 24 cells, one of them moved by ``shift``, in any units."""
    box = Grid((24.0 * unit, 24.0 * unit), (24, 24))
    x = box.points() / unit

    def hill(x):
        return grey * torch.exp(-0.5 * (((x - 12) / torch.tensor([3.0, 4.0])) ** 2).sum(1)).reshape(24, 24)

    images = hill(x), hill(x + shift)
    return Registration(*(image.to(dtype) for image in images), box, transform(), distance())


# 1. Who says converged has arrived.


def decrease_left(objective, w):
    """The share of J that Newton's step would still win, in double precision."""
    H, g = objective.hessian(w, "gauss-newton"), objective.gradient(w)
    return float(0.5 * g @ torch.linalg.pinv(H) @ g)


@methods
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32], ids=str)
@pytest.mark.parametrize("limits", [{}, {"damping": 1e12}, {"radius": 1e-9}, {"iterations": 0}], ids=str)
def test_converged_means_that_nothing_is_left(method, dtype, limits):
    if not {*limits} <= {*inspect.signature(method).parameters, "iterations"}:
        pytest.skip("it has no such option")
    objective, exact = blob(1.3, dtype=dtype).at(0.1), blob(1.3).at(0.1)
    start = torch.zeros(2, dtype=dtype)
    found = method(objective, start, **limits)
    first = float(exact.loss(start.double()))
    left = decrease_left(exact, found.x.double())
    rounding = 1e-14 if dtype == torch.float64 else 1e-6
    assert not found.converged or left <= rounding * first, found
    if not limits:
        assert found.converged, found
        assert (found.x - 1.3).abs().max() < 0.1 and found.iterations < 60
    if limits == {"iterations": 0}:
        assert not found.converged and found.message.startswith("iterations: 0 made")


@methods
def test_where_nothing_overlaps_nothing_converges(method):
    for distance in (SSD, NCC):
        objective = blob(1.3, distance=distance).at(0.1)
        try:
            found = method(objective, torch.full((2,), 1e4).double())
        except ValueError as error:
            assert "finite loss" in str(error)
        else:
            assert not found.converged
    with pytest.raises(ValueError, match="finite loss"):
        problem = dataclasses.replace(blob(1.3), outside="overlap")
        method(problem.at(0.1), torch.full((2,), 1e4).double())


@methods
@pytest.mark.parametrize("distance", [SSD, NCC])
@pytest.mark.parametrize("outside", [0.0, "overlap"])
@pytest.mark.parametrize("where", [23.2, 24.0, 24.4])
def test_where_hardly_anything_overlaps_nothing_converges(method, distance, outside, where):
    """In a corner, where the gradient is tiny since all grey values are."""
    objective = dataclasses.replace(blob(1.3, distance=distance), outside=outside).at(0.1)
    start = torch.full((2,), where).double()
    try:
        found = method(objective, start)
    except ValueError as error:
        assert "finite loss" in str(error)
        return
    gone = (found.x - 1.3).abs().max() > 22
    assert not (gone and found.converged), found
    if found.iterations == 0 and "singular" not in found.message:
        assert found.message.startswith("hardly anything overlaps: the moved template has"), found


def test_what_overlaps_by_a_third_may_converge():
    for outside in (0.0, "overlap"):
        found = newton_trust(
            dataclasses.replace(blob(8.0), outside=outside).at(0.1), torch.full((2,), 8.0).double()
        )
        assert found.converged, found


def test_a_projection_that_gave_up_has_not_converged():
    """Where the gradient of a reduced problem is zero by chance, as the inner solver ended too early."""

    t = torch.linspace(0, 2, 9, dtype=torch.float64)

    def matrix(w):
        return torch.stack([torch.exp(-w[0] * t), torch.exp(-2 * w[0] * t), t], 1)

    problem = Matrices(matrix, 1 + (2 * t).cos())

    def slope(w, solver):
        return float(Reduced(problem, solver, Frozen()).point(torch.tensor([w]).double()).gradient)

    solver = CG.fixed(1)
    at = scipy.optimize.brentq(slope, 1.0, 1.5, args=(solver,), xtol=1e-15)
    start = torch.tensor([at]).double()
    for solver in (CG.fixed(1), CG(maxiter=1)):
        found = levenberg_marquardt(Reduced(problem, solver, Frozen()), start, gtol=1e-6)
        assert not found.converged and found.message.startswith("the projection has not converged: "), found
    assert abs(slope(at, Cholesky())) > 1e-3  # which it is not
    exact = levenberg_marquardt(Reduced(problem, Cholesky()), torch.tensor([1.3]).double())
    assert exact.converged, exact


def test_a_solver_that_gave_up_is_told():
    """Where only x is returned there is nobody to ask."""
    askew, b = torch.tensor([[2.0, 5.0], [0.0, 3.0]]).double(), torch.tensor([3.0, 4.0]).double()
    with pytest.raises(
        ValueError, match="expected a system with a solution, got none: is A singular, or not sym"
    ):
        solve(lambda w, x: askew @ x, b, torch.ones(1).double())
    made = synthetic(*mri(16), count=2)
    with pytest.raises(
        ValueError, match=r"expected a solver that solves, got Solution\(limit of 2 iterations"
    ):
        by_discrepancy(made.problem, made.w_true, 5.0, [0.1], CG(maxiter=2))


@pytest.mark.parametrize(("condition", "rtol"), [(1e2, 1e-8), (1e8, 1e-14)])
def test_conjugate_gradients_do_not_call_a_residual_small_that_is_not(condition, rtol):
    """The one of the recurrence goes on falling where rounding keeps b − A x from it."""
    random = torch.Generator().manual_seed(0)
    Q = torch.linalg.qr(torch.randn(30, 30, generator=random, dtype=torch.float64))[0]
    A = Q @ torch.diag(torch.logspace(0, math.log10(condition), 30, dtype=torch.float64)) @ Q.T
    A, b, products = (A + A.T) / 2, torch.ones(30).double(), []
    found = CG(rtol, maxiter=5000).solve(lambda x: products.append(1) or A @ x, b)
    true = float((b - A @ found.x).norm() / b.norm())
    assert found.converged == (true < 10 * rtol) == (condition == 1e2), (found, true)
    if condition == 1e2:
        assert len(products) == found.iterations  # and none for the look
    else:
        assert found.status == "limit" and found.message == "limit of rounding reached"
    far = CG().solve(A.matmul, b, torch.full((30,), 1e12).double())
    assert far.converged == (float((b - A @ far.x).norm() / b.norm()) < 1e-7)


# 3. Units do not matter.


@pytest.mark.parametrize("method", [newton_trust, levenberg_marquardt, gauss_newton, gradient_descent])
@pytest.mark.parametrize("distance", [SSD, NCC])
@pytest.mark.parametrize("grey", [1e-9, 1e9])
def test_grey_values_in_any_unit_give_the_same_path(method, distance, grey):
    start = torch.zeros(2, dtype=torch.float64)
    paths = [
        method(blob(1.3, grey=unit, distance=distance).at(0.1), start, iterations=6).path
        for unit in (1.0, grey)
    ]
    assert torch.allclose(*paths, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("method", [levenberg_marquardt, gauss_newton, gradient_descent])
@pytest.mark.parametrize("unit", [1e-9, 1e9])
def test_lengths_in_any_unit_give_the_same_path(method, unit):
    start = torch.zeros(2, dtype=torch.float64)
    paths = [method(blob(1.3, u).at(0.1), start, iterations=6).path / u for u in (1.0, unit)]
    for one, other in zip(*paths, strict=False):  # one may end a step earlier
        assert torch.allclose(one, other, rtol=1e-6, atol=1e-6)
    assert torch.allclose(paths[0][-1], paths[1][-1], rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("method", [newton_trust, krylov, levenberg_marquardt, gauss_newton])
@pytest.mark.parametrize("unit", [1e-9, 1e9])
@pytest.mark.parametrize("transform", [Translation, Rigid, Affine])
def test_lengths_in_any_unit_are_found(method, unit, transform):
    problem = blob(1.3, unit, transform=transform)
    start = transform().identity()
    found = method(problem.at(0.1), start)
    away = (problem.motion(found.x) - problem.points) / unit - 1.3
    assert away.abs().max() < 0.2, found


# Powers of two, by which nothing is rounded: what does not depend on the unit is the same to the last digit.
FAR = 2.0**30


def descended(image, moved, box, unit):
    problem = Registration(image, moved, box, Translation(), NGF(), outside="overlap")
    return levenberg_marquardt(problem.at(1.0), torch.zeros(2).double(), iterations=5, xtol=0.0).x / unit


def told(image, moved, box, unit):
    """Mutual information, whose Newton steps have a radius: only the grey values may change."""
    problem = Registration(image, moved, box, Translation(), MutualInformation(), outside="overlap")
    found = newton_trust(problem.at(1.0), torch.zeros(2).double(), iterations=3).x / unit
    return found if unit == 1 else torch.zeros(2)


def deformed(image, moved, box, unit):
    free = FreeForm(Grid(box.extent, (4, 4)))
    strength = 1e-2 * float((image - image.mean()).square().mean()) * unit**2
    problem = Registration(image, moved, box, free, regulariser=Bending(free, strength), outside="edge")
    return deform(problem).w / unit


def followed(image, moved, box, unit):
    problem = Registration(image, moved, box, Translation(), outside="edge")
    start, corrector = torch.zeros(2).double(), levenberg_marquardt
    return pyramid.multilevel(problem, start, levels=2, thetas=[10.0, 1.0], corrector=corrector).w / unit


def resolved(image, moved, box, unit):
    templates = torch.stack([image[::2, ::2], moved[::2, ::2]])
    problem = SuperResolution(templates, box, strength=0.05 * unit, transform=Translation())
    reduced = Reduced(problem, CG.fixed(20), Kaufman())
    return levenberg_marquardt(reduced, torch.zeros(2).double(), iterations=3, xtol=0.0).x / unit


def registered(distance, image, moved, box, unit):
    found = register(image, moved, distance=distance, template_grid=unit, reference_grid=unit, turns=4)
    return found.points / unit


@pytest.mark.parametrize(
    "run",
    [descended, told, deformed, followed, resolved, partial(registered, "ssd"), partial(registered, "ncc")],
    ids=lambda run: getattr(run, "__name__", "register"),
)
def test_any_unit_gives_the_same_to_the_last_digit(run):
    image, _ = mri(32)
    moved = image.roll((2, -1), (0, 1))
    expected = run(image, moved, Grid((32.0, 32.0), (32, 32)), 1.0)
    for unit, grey in ((FAR, 1.0), (1 / FAR, 1.0), (1.0, 2.0**20), (1.0, 2.0**-20)):
        if run is told and unit != 1:
            continue
        found = run(grey * image, grey * moved, Grid((32 * unit, 32 * unit), (32, 32)), unit)
        assert torch.allclose(found, expected, rtol=0, atol=1e-7), (unit, grey)


# 4. Every loop ends.


def test_a_loss_that_falls_without_end_ends():
    """Its reduction, over what was promised, is more than a number can hold when it is cubed."""
    fall = Functions(lambda w: -w.exp().sum(), gauss_newton=lambda w: torch.eye(1).to(w))
    found = levenberg_marquardt(fall, torch.zeros(1).double())
    assert not found.converged and found.iterations <= 200


NOTHING = {"gtol": 0.0, "xtol": 0.0, "ftol": 0.0}


@methods
def test_loops_without_tolerances_end(method):
    for objective in (
        blob(1.3).at(0.1),
        Functions(lambda w: 1 + 0 * w.sum(), gauss_newton=lambda w: torch.eye(2).to(w)),
    ):
        for limits in (NOTHING, {**NOTHING, "iterations": 0}):
            found = method(objective, torch.zeros(2).double(), **limits)
            assert found.iterations <= 200 and found.message


@methods
@pytest.mark.parametrize("wrong", [math.nan, math.inf, -math.inf])
def test_loops_end_where_nothing_is_finite(method, wrong):
    """Finite at the start, nowhere else; or never."""
    hole = Residual(
        lambda w: torch.where(w == 1, w, wrong * torch.ones_like(w)), lambda w: torch.eye(2).to(w)
    )
    if method in (newton_trust, krylov):
        method = {newton_trust: lambda o, w: newton_trust(o, w, hessian="gauss-newton")}.get(
            method, lambda o, w: newton_trust(o, w, hessian="gauss-newton", subproblem="krylov")
        )
    found = method(hole, torch.ones(2).double())
    assert not found.converged and found.x.tolist() == [1, 1]
    with pytest.raises(ValueError, match="expected a finite loss at the start"):
        method(hole, torch.zeros(2).double())


def test_generators_are_lists():
    """Whatever is gone through twice may come from a generator."""
    problem, w = blob(1.3), torch.zeros(2).double()
    for run in (continuation.follow, lambda p, t, w: pyramid.multilevel(p, w, levels=2, thetas=t)):
        listed, generated = run(problem, [10.0, 1.0], w), run(problem, (t for t in (10.0, 1.0)), w)
        assert listed.w.equal(generated.w) and len(listed.steps) == len(generated.steps) > 1
    assert Grid((side for side in (2.0, 3.0)), (cells for cells in (4, 5))) == Grid((2.0, 3.0), (4, 5))
    assert Affine(2, center=(c for c in (1.0, 2.0))) == Affine(2, center=(1.0, 2.0))
    image = torch.ones(4, 5).double()
    basis = SmoothingBasis(image, (f for f in (1.0, 2.0)))
    assert basis.coefficients(1.0).equal(SmoothingBasis(image, (1.0, 2.0)).coefficients(1.0))
    assert basis.coefficients(1.0).equal(basis.coefficients(1.0))


# 2. Any container and type of numbers: right, or a ValueError that says what to do.

VALUES = np.arange(30.0).reshape(6, 5) % 7
BOX = Grid((6.0, 5.0), (6, 5))
CONTAINERS = {
    "tensor": torch.tensor(VALUES),
    "float32": torch.tensor(VALUES).float(),
    "float16": torch.tensor(VALUES).half(),
    "bfloat16": torch.tensor(VALUES).bfloat16(),
    "int64": torch.tensor(VALUES).long(),
    "uint8": torch.tensor(VALUES).to(torch.uint8),
    "bool": torch.tensor(VALUES) > 3,
    "complex": torch.tensor(VALUES) * 1j,
    "numpy": VALUES,
    "numpy32": VALUES.astype(np.float32),
    "numpy int": VALUES.astype(int),
    "numpy bool": VALUES > 3,
    "other bytes": VALUES.astype(">f8"),
    "flipped": VALUES[::-1, ::-1][::-1, ::-1],
    "list": VALUES.tolist(),
    "list of int": VALUES.astype(int).tolist(),
    "PIL": Image.fromarray(VALUES.astype(np.uint8)),
    "PIL float": Image.fromarray(VALUES.astype(np.float32)),
    "words": "picture.png",
    "nothing": None,
    "object": object(),
}
W = torch.tensor([0.4, -0.3], dtype=torch.float64)
PICTURES = {
    "SmoothingBasis": lambda image: SmoothingBasis(image).coefficients(0.5),
    "coefficients": lambda image: coefficients(image, 0.5),
    "evaluate": lambda c: evaluate(c, BOX, BOX.points()),
    "Registration": lambda image: (
        Registration(image, image, BOX, Translation(), outside=0.0).at(0.5).loss(W.to(_kind(image)))
    ),
    "SuperResolution": lambda image: SuperResolution(_stack(image), Grid((6.0, 5.0), (12, 10))).b,
}


def _kind(image):
    single = getattr(image, "dtype", None) in (torch.float32, np.float32) or getattr(image, "mode", "") == "F"
    return torch.float32 if single else torch.float64


def _stack(image):
    return torch.stack([image, image]) if isinstance(image, torch.Tensor) else [image, image]


@pytest.mark.parametrize("what", CONTAINERS)
@pytest.mark.parametrize("function", PICTURES)
def test_pictures_in_any_container(function, what):
    expected = PICTURES[function](CONTAINERS["tensor"])
    try:
        found = PICTURES[function](CONTAINERS[what])
    except ValueError as error:
        assert str(error).startswith("expected ") and "got " in str(error)
        assert what not in (
            "tensor",
            "float32",
            "numpy",
            "numpy32",
            "other bytes",
            "flipped",
            "list",
            "PIL float",
        )
    else:
        assert found.is_floating_point()
        if "bool" not in what:
            assert torch.allclose(found.double(), expected, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("what", CONTAINERS)
def test_masks_in_any_container(what):
    image, mask = torch.tensor(VALUES), CONTAINERS[what]
    if what == "nothing":
        return

    def make(mask):
        return Registration(image, image, BOX, Translation(), weights=mask, outside=0.0).at(0.5).loss(W)

    try:
        found = make(mask)
    except ValueError as error:
        assert str(error).startswith("expected ") and "got " in str(error)
        assert what in ("complex", "words", "object")
    else:
        expected = make(torch.tensor((VALUES > 3) if "bool" in what else VALUES).double())
        assert torch.allclose(found, expected)


@pytest.mark.parametrize("what", [name for name in CONTAINERS if name != "nothing"])
def test_parameters_and_points_in_any_container(what):
    """Two of the values, as w and as points."""
    rows = {name: value for name, value in CONTAINERS.items() if name not in ("words", "object")}
    value = rows.get(what, CONTAINERS[what])
    short = [0.0, 1.0] if what.startswith("list") else value
    if isinstance(value, torch.Tensor | np.ndarray):
        short = value[0, :2]
    elif what.startswith("PIL"):
        short = value.crop((0, 0, 2, 1))
    objective = Registration(*[torch.tensor(VALUES)] * 2, BOX, Translation(), outside=0.0).at(0.5)
    expected = torch.tensor([0.0, 1.0], dtype=torch.float64)
    for call in (objective.loss, objective.gradient, objective.hessian):
        try:
            found = call(short)
        except ValueError as error:
            assert str(error).startswith("expected ") and "got " in str(error)
            assert what in ("complex", "words", "object", "PIL", "PIL float")
        else:
            assert "bool" in what or torch.allclose(found.double(), call(expected), rtol=1e-3)


JUNK = pytest.mark.parametrize(
    "junk", ["words", None, object(), [[1.0], [2.0, 3.0]]], ids=["words", "None", "object", "ragged"]
)


@JUNK
@methods
def test_no_objective_and_no_start_are_refused_in_words(method, junk):
    with pytest.raises(ValueError, match=r"expected an objective with point\(w, order\)"):
        method(junk, torch.zeros(2).double())
    with pytest.raises(ValueError, match="expected a flat floating-point tensor of parameters"):
        method(blob().at(1.0), junk)


@JUNK
def test_junk_is_refused_in_words_by_all_that_takes_pictures(junk):
    """Every public function of the spline, found by looking, and what is made of pictures."""
    fitting = {"theta": 1.0, "grid": BOX, "x": BOX.points()}
    public = [f for name, f in inspect.getmembers(spline, inspect.isfunction) if name[0] != "_"]
    walked = set()
    for function in (f for f in public if f.__module__ == spline.__name__):
        names = [p.name for p in inspect.signature(function).parameters.values() if p.default is p.empty]
        with pytest.raises(ValueError, match=r"expected .*got "):
            function(junk, *(fitting[each] for each in names[1:]))
        walked.add(function.__name__)
    assert walked >= {"coefficients", "evaluate"}
    image = torch.tensor(VALUES)
    for make in (
        lambda: SmoothingBasis(junk),
        lambda: Registration(junk, image, BOX, Translation(), outside=0.0),
        lambda: Registration(image, junk, BOX, Translation(), outside=0.0),
        lambda: SuperResolution(junk, BOX),
        lambda: evaluate(image, BOX, junk),
    ):
        with pytest.raises(ValueError, match=r"expected .*got "):
            make()
