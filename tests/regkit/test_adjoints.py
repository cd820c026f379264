"""Every linear operator with its adjoint, and every energy with its Taylor expansion to second order.

In one, two and three dimensions, as far as a thing is there. What else is true of each is in the test of its
module.
"""

from __future__ import annotations

import pytest
import torch

from regkit._stages import Held
from regkit.checks import adjoint_test, taylor_test
from regkit.deform import Changed, Modes
from regkit.distances import NCC, SSD
from regkit.energies import Bending, Elastic, Hyperelastic
from regkit.flows import NeuralODE
from regkit.freeform import DisplacementField, FreeForm
from regkit.grid import Grid
from regkit.multimodal import NGF, MutualInformation
from regkit.operators import (
    Blocks,
    Diagonal,
    FunctionOperator,
    Hessian,
    LowRankUpdate,
    Matrix,
    Operator,
    ParametricOperator,
)
from regkit.path_energy import PathEnergy
from regkit.registration import Registration
from regkit.regularizers import Quadratic, Refined, Regulariser
from regkit.separable import product, transposed
from regkit.similarity import Similarity
from regkit.spline import at_centres, coefficients, evaluate
from regkit.superres import SuperResolution, pool, slopes, slopes_adjoint, unpool
from regkit.transforms import Affine, Rigid, Transform, Translation
from regkit.varpro import Matrices

KINDS = "exact", "gauss-newton"


def drawn(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


class Wave(Transform):
    """Only its points are given: all derivatives are by torch.func."""

    parameters = 3

    def __init__(self, dim: int):
        object.__setattr__(self, "dim", dim)

    def __call__(self, w, x):
        return x + w[0] * (w[1] * x).sin() + w[2] * w[0]


class Barrier(Regulariser):
    """Only its value is given."""

    def value(self, w):
        return (w**2 + 1).log().sum()


def box(d: int) -> Grid:
    return Grid((2.0, 2.5, 3.0)[:d], (6, 4, 4)[:d])


def lattices(d: int) -> list:
    cells = Grid(box(d).extent, (4, 2, 2)[:d])
    return [FreeForm(cells), DisplacementField(box(d))]


def transforms(d: int) -> list[Transform]:
    turning = [Rigid(d), Similarity(d)] if d > 1 else []
    flows = [NeuralODE(d, hidden=3, steps=2), NeuralODE(d, hidden=3, steps=11)]
    return [*lattices(d), *flows, Affine(d), Translation(d), *turning, Wave(d)]


def start(transform: Transform) -> torch.Tensor:
    """Parameters near the identity, if there is one."""
    return 0.1 * drawn(transform.parameters) + (0 if isinstance(transform, Wave) else transform.identity())


def energies(d: int) -> list[Regulariser]:
    """Of lattices, of flows and of parameters."""
    found = [PathEnergy(NeuralODE(d, hidden=3, steps=2), box(d)), Barrier()]
    for lattice in lattices(d):
        found += [Bending(lattice, 0.7), Elastic(lattice, 0.7, kappa=2.0), Hyperelastic(lattice, 0.7)]
        found += [Hyperelastic(lattice, 0.7, sigma=2.0)] if d == 3 else []
        found.append(Refined(found[-1], lattice.refine))
    M = drawn(5, 5)
    return [*found, Quadratic(0.5, M @ M.T, drawn(5)), Quadratic(0.5, Diagonal(drawn(5) ** 2), drawn(5))]


def weights_of(energy: Regulariser) -> torch.Tensor:
    """Parameters for an energy at which it is finite."""
    if isinstance(energy, Refined):
        p = energy.refine.__self__.coarser().parameters
    else:
        p = energy.transform.parameters if hasattr(energy, "transform") else 5
    return (0.5 if isinstance(energy, PathEnergy) else 0.02) * drawn(p)


def of_energies(d: int):
    for energy in energies(d):
        for kind in KINDS:
            yield f"{type(energy).__name__} {kind}", energy.hessian(weights_of(energy), kind)
        if isinstance(energy, Bending):
            yield "its matrix", energy.operator
            modes, p = Modes(energy, energy.hessian()), energy.transform.parameters
            yield "modes, S", FunctionOperator((p, p), modes.spread, modes.collect)
            yield "modes, S Sᵀ", FunctionOperator((p, p), modes.apply, modes.apply)


def of_transforms(d: int):
    for transform in transforms(d):
        w, scattered = start(transform), 0.3 + drawn(5, d).abs()
        for x in (box(d), scattered):
            motion = transform.on(x)
            n = len(motion.points)
            H, C = drawn(n, d, d), Diagonal(drawn(n))
            yield f"{transform}: ∂y/∂w", motion.derivative(w)
            second = motion.second(w, drawn(n, d))
            if second is not None:
                yield f"{transform}: ∂²y/∂w²", second
            yield f"{transform}: bent", motion.bent(w, C, drawn(n, 1, d), H + H.mT, drawn(n, d))
            pairs = Blocks(drawn(n, 2, 2))
            yield f"{transform}: of pairs", motion.bent(w, pairs.T @ pairs, drawn(n, 2, d))
    for lattice in lattices(d):
        axes = [lattice.refinement(k) for k in range(d)]
        shape = lattice.parameters, lattice.coarser().parameters
        back = lambda v, t=lattice, axes=axes: product(transposed(axes), t.fields(v)).reshape(-1)  # noqa: E731
        yield f"{lattice}: refine", FunctionOperator(shape, lattice.refine, back)
        for k, each in enumerate(lattice.slopes(lattice.lattice, drawn(1))):
            change = lambda v, t=lattice, s=each: s.change(t.fields(v)).reshape(-1)  # noqa: E731
            P = (d, d, *lattice.lattice.shape)
            back = lambda y, s=each, P=P: s.adjoint(y.reshape(P)).reshape(-1)  # noqa: E731
            shape = d * d * lattice.lattice.count, lattice.parameters
            yield f"{lattice}: slopes {k}", FunctionOperator(shape, change, back)


def of_distances(d: int):
    n, distances = box(d).count, (SSD(), NCC(), MutualInformation(), *([NGF()] if d > 1 else []))
    for distance in distances:
        images = drawn(n, seed=1), drawn(n, seed=2), 0.1 + drawn(n, seed=3).abs()
        for kind in KINDS[: 2 - isinstance(distance, MutualInformation)]:
            yield f"{distance} {kind}", distance.on(box(d)).curvature(*images, kind)


def of_registrations(d: int):
    images = drawn(*box(d).shape, seed=1), drawn(*box(d).shape, seed=2)
    for lattice in lattices(d):
        energy = Bending(lattice, 0.1)
        for distance, outside in ((SSD(), 0.0), (NCC(), "overlap")):
            problem = Registration(*images, box(d), lattice, distance, regulariser=energy, outside=outside)
            objective = problem.at(0.1)
            changed = Changed.at(objective, start(lattice), energy)
            for kind in KINDS:
                yield f"{problem} {kind}", objective.point(start(lattice)).curvature(kind)
                yield "in other variables", changed.point(0.1 * start(lattice)).curvature(kind)


def of_splines(d: int):
    """The prefilter, the values at points and at centres: of the adjoints torch.func knows the first two."""
    shape, n, x = box(d).shape, box(d).count, box(d).points() + 0.1
    ways = {
        "prefilter": (lambda f: coefficients(f.reshape(shape), 0.0).reshape(-1), n),
        "smoothing": (lambda f: coefficients(f.reshape(shape), 0.3).reshape(-1), n),
        "values": (lambda c: evaluate(c.reshape(shape), box(d), x), n),
        "at centres": (lambda c: at_centres(c.reshape(shape)).reshape(-1), n),
    }
    for name, (forward, size) in ways.items():
        back = lambda y, f=forward, n=n: torch.func.vjp(f, y.new_zeros(n))[1](y)[0]  # noqa: E731
        yield name, FunctionOperator((size, n), forward, back)


def of_super_resolution(d: int):
    problem = SuperResolution(drawn(2, 3, 2), Grid((3.0, 2.0), (6, 4)))
    A = problem.at(problem.identity() + 0.05 * drawn(6))
    yield "stacked", A
    yield "normal", FunctionOperator((24, 24), A.normal, A.normal)
    flat = lambda f: pool(f.reshape(6, 4), 2).reshape(-1)  # noqa: E731
    yield "pool", FunctionOperator((6, 24), flat, lambda y: unpool(y.reshape(3, 2), 2).reshape(-1))
    one = lambda f: slopes(f[:, None], problem.grid)[:, 0]  # noqa: E731
    back = lambda y: slopes_adjoint(y[:, None], problem.grid)[:, 0]  # noqa: E731
    yield "slopes", FunctionOperator((38, 24), one, back)
    M = drawn(5, 3)
    yield "matrices", Matrices(lambda w: M * w.sum(), drawn(5)).at(drawn(2))


def of_algebra(d: int):
    A, update = Matrix(drawn(4, 6)), LowRankUpdate(drawn(6), drawn(6, 2), torch.diag(drawn(2)))
    yield from (("matrix", A), ("low rank", update), ("transposed", A.T), ("blocks", Blocks(drawn(3, 2, 4))))
    yield from (("composed", A @ update @ A.T), ("sum and factor", A.T @ A + 2.5 * update))
    yield "Hessian", Hessian(torch.func.grad(lambda x: x.prod() + x.exp().sum()), drawn(4))


TABLE = {
    (make.__name__, d): make
    for d in (1, 2, 3)
    for make in (of_energies, of_transforms, of_distances, of_registrations, of_splines)
} | {("of_super_resolution", 2): of_super_resolution, ("of_algebra", 0): of_algebra}


@pytest.mark.parametrize(("name", "d"), TABLE, ids=lambda part: str(part).removeprefix("of_"))
def test_an_operator_and_its_adjoint_belong_together(name, d):
    for said, operator in TABLE[name, d](d):
        x, y = drawn(operator.shape[1], seed=4), drawn(operator.shape[0], seed=5)
        if not (operator @ x).any():  # the second derivative of a map that is linear in w
            assert "∂²y" in said and not operator.adjoint(y).any()
            continue
        off = adjoint_test(operator.forward, operator.adjoint, x)
        assert off < 1e-12, f"{said}: {off}"


def test_no_operator_is_left_out():
    met = {type(operator) for (_, d), make in TABLE.items() for _, operator in make(d)}
    known = {Operator, ParametricOperator, Held}  # of which others are made
    left = {cls for cls in subclasses(Operator) if cls.__module__.startswith("regkit.")} - known - met
    assert not left


def subclasses(cls: type) -> set[type]:
    return {cls}.union(*(subclasses(child) for child in cls.__subclasses__()))


@pytest.mark.parametrize("d", [1, 2, 3])
def test_energies_have_their_taylor_expansion_to_second_order(d):
    steps = torch.logspace(-1, -5, 17, dtype=torch.float64)
    for energy in energies(d):
        w = weights_of(energy)
        v = drawn(len(w), seed=1) / len(w) ** 0.5
        first, second = energy.gradient(w) @ v, v @ (energy.hessian(w) @ v)
        found = taylor_test(energy.value, w, v, order=2, first=first, second=second, steps=steps)
        assert found.passes(), (type(energy), found.slopes)


@pytest.mark.parametrize("d", [1, 2, 3])
def test_functions_of_moved_points_have_their_taylor_expansion_to_second_order(d):
    """Of Σ exp(a·y) + ½ |y|², with the gradient by the chain rule and the second by one product, on a grid
    and at any points."""
    a = torch.tensor([0.3, 0.5, 0.2], dtype=torch.float64)[:d]
    for transform in transforms(d):
        for x in (box(d), 0.3 + drawn(5, d).abs()):
            w, motion = start(transform), transform.on(x)
            v, y = drawn(len(w), seed=1) / len(w) ** 0.5, motion(w)
            phi = (y @ a).exp()[:, None]
            g, H = phi * a + y, phi[:, None] * torch.outer(a, a) + torch.eye(d)
            nothing = Diagonal(torch.zeros(len(y)).to(y)), torch.zeros_like(y)[:, None]
            first, second = motion.chain_gradient(w, g) @ v, v @ (motion.bent(w, *nothing, H, g) @ v)
            value = lambda u, m=motion: ((m(u) @ a).exp() + m(u).square().sum(1) / 2).sum()  # noqa: E731
            found = taylor_test(value, w, v, order=2, first=first, second=second)
            assert found.passes(), (transform, found.slopes)
