"""Energies of a deformation, against integrals by many points and against torch.func."""

from __future__ import annotations

import math
from functools import reduce
from itertools import pairwise

import numpy as np
import pytest
import torch

from regkit.checks import adjoint_test, taylor_test
from regkit.energies import Bending, Elastic, Hyperelastic
from regkit.freeform import DisplacementField, FreeForm
from regkit.grid import Grid
from regkit.maps import determinants, gradients

LATTICES = [
    FreeForm(Grid((2.0,), (5,))),
    FreeForm(Grid((2.0, 2.5), (4, 6))),
    FreeForm(Grid((1.0, 1.5, 2.0), (2, 2, 3))),
    DisplacementField(Grid((4.0, 5.0), (8, 10))),
    DisplacementField(Grid((2.0, 1.0, 1.5), (4, 2, 3))),
]
MAKERS = {
    "bending": lambda lattice, **options: Bending(lattice, 2.0, **options),
    "elastic": lambda lattice, **options: Elastic(lattice, 2.0, mu=1.2, kappa=0.7, **options),
    "hyperelastic": lambda lattice, **options: Hyperelastic(lattice, 2.0, mu=0.5, kappa=3.0, **options),
}
SURFACES = {
    "surfaces": lambda lattice, **options: Hyperelastic(
        lattice, 2.0, mu=0.5, kappa=3.0, sigma=1.5, **options
    ),
    "surfaces alone": lambda lattice, **options: Hyperelastic(
        lattice, 2.0, mu=0.0, kappa=0.0, sigma=1.5, **options
    ),
}
each = pytest.mark.parametrize("lattice", LATTICES, ids=str)
every = pytest.mark.parametrize("name", MAKERS)


def second(lattice, w, x):
    """∂ⱼ∂ₖyᵢ at points, (d, d, d, n)."""
    return torch.func.jacfwd(lambda shift: gradients(lattice, w, x + shift))(
        x.new_zeros(lattice.dim)
    ).movedim(-1, 0)


def density(name, lattice, w, x):
    """What the energies integrate, from the map alone."""
    if name == "bending":
        return 0.5 * second(lattice, w, x).square().sum((0, 1, 2))
    F = gradients(lattice, w, x)
    du = F - torch.eye(lattice.dim, dtype=F.dtype)[:, :, None]
    if name == "elastic":
        strain = (du + du.transpose(0, 1)) / 2
        return 1.2 * strain.square().sum((0, 1)) + 0.35 * du.diagonal().sum(-1) ** 2
    v = determinants(F)
    return 0.25 * du.square().sum((0, 1)) + 3.0 * ((v - 1) ** 2 / v) ** 2


@every
def test_an_energy_is_the_integral_of_its_density(name, random):
    """By the midpoint rule; the volume part of a hyperelastic energy is one on its own grid."""
    lattice = LATTICES[1]
    w, grid = 0.05 * random(lattice.parameters), Grid(lattice.lattice.extent, (120, 120))
    options = {"grid": grid} if name == "hyperelastic" else {}
    value = MAKERS[name](lattice, **options).value(w)
    integral = 2.0 * grid.cell_volume * density(name, lattice, w, grid.points()).sum()
    assert float(value) == pytest.approx(float(integral), rel=2e-3)


@pytest.mark.parametrize(
    ("name", "lattice"),
    [(name, lattice) for name in MAKERS for lattice in LATTICES]
    + [(name, lattice) for name in SURFACES for lattice in LATTICES if lattice.dim == 3],
    ids=str,
)
def test_derivatives_of_an_energy(name, lattice, random):
    """By torch.func, by Taylor's expansion to second order; symmetric, Gauss-Newton's part not negative."""
    energy, w = (MAKERS | SURFACES)[name](lattice), 0.02 * random(lattice.parameters)
    assert torch.allclose(energy.gradient(w), torch.func.grad(energy.value)(w), rtol=1e-9, atol=1e-10)
    v = random(len(w))
    known = torch.func.jvp(torch.func.grad(energy.value), (w,), (v,))[1]
    assert torch.allclose(energy.hessian(w) @ v, known, rtol=1e-9, atol=1e-10 * float(known.abs().max()))
    v /= v.norm()
    H = energy.hessian(w)
    steps = torch.logspace(-1, -5, 17, dtype=torch.float64)
    first, twice = energy.gradient(w) @ v, v @ (H @ v)
    assert taylor_test(energy.value, w, v, order=2, first=first, second=twice, steps=steps).passes()
    for kind in ("exact", "gauss-newton"):
        operator = energy.hessian(w, kind)
        assert adjoint_test(operator.forward, operator.adjoint, v) < 1e-12
        columns = random(len(w), 2)
        product = torch.stack([operator @ c for c in columns.T], 1)
        assert torch.allclose(operator @ columns, product, atol=1e-9 * float(product.abs().max()))
    values = torch.linalg.eigvalsh(energy.hessian(w, "gauss-newton").dense(w))
    assert values[0] > -1e-12 * values[-1]


@each
def test_what_costs_nothing(lattice, random):
    """Bending: affine maps. Elasticity: shifts and infinitesimal turns. Lengths: shifts."""
    d = lattice.dim
    null = {"bending": d * (d + 1), "elastic": d + d * (d - 1) // 2, "hyperelastic": d}
    for name, make in MAKERS.items():
        energy = make(lattice)
        values = torch.linalg.eigvalsh(
            energy.hessian(lattice.identity(), "gauss-newton").dense(lattice.identity())
        )
        assert int((values < 1e-10 * values[-1]).sum()) == null[name], name
    A = torch.eye(d, dtype=torch.float64) + 0.1 * random(d, d)
    w0 = lattice.of(lambda x: x @ A)
    for make in (Bending, Elastic):
        energy = make(lattice, w0=w0)
        assert energy.value(w0) == 0 and not energy.gradient(w0).any()


@each
@every
def test_in_the_modes_an_energy_is_nearly_diagonal(name, lattice):
    """What preconditions is within a small factor of the energy, but for few directions."""
    energy, w = MAKERS[name](lattice), lattice.identity()
    V, diagonal = energy.spectrum()
    for k, modes in enumerate(V):
        unit = modes.T @ lattice.gram(k, 0, 0) @ modes
        assert torch.allclose(unit, torch.eye(len(modes), dtype=torch.float64), atol=1e-9)
    K = reduce(torch.kron, [modes.contiguous() for modes in V])
    K = torch.kron(torch.eye(lattice.dim, dtype=torch.float64), K)
    inside, shift = K.T @ energy.operator.dense(w) @ K, 0.05 * float(diagonal.max()) ** 0.5
    scale = (diagonal.reshape(-1) + shift).rsqrt()
    values = torch.linalg.eigvalsh(scale[:, None] * (inside + shift * torch.eye(len(w))) * scale)
    assert 0.02 < values[0] and values[-1] < 5


@every
def test_a_coarser_energy_is_the_same_on_what_the_coarser_lattice_holds(name, random):
    lattice = FreeForm(Grid((2.0, 2.5), (4, 6)))
    grid, w0 = Grid((2.0, 2.5), (16, 20)), lattice.of(lambda x: 1.1 * x)
    options = {"grid": grid} if name == "hyperelastic" else {}
    energy = MAKERS[name](lattice, w0=w0, **options)
    coarse = energy.coarser()
    v = 0.05 * random(coarse.transform.parameters)
    assert type(coarse) is type(energy) and coarse.transform == lattice.coarser()
    assert float(coarse.value(v)) == pytest.approx(float(energy.value(lattice.refine(v))), rel=1e-9)


def test_what_folds_costs_infinitely_much():
    field = DisplacementField(Grid((4.0, 4.0), (4, 4)))
    energy, w = Hyperelastic(field), field.identity()
    assert energy.value(w) == 0
    w[0] = 1.5  # beyond its neighbour
    assert energy.value(w) == math.inf
    coarse = Hyperelastic(field, grid=field.lattice).coarser()
    assert coarse.grid == coarse.transform.lattice == field.coarser().lattice


@pytest.mark.parametrize("make", [FreeForm, DisplacementField])
def test_surfaces_cost_what_their_areas_say(make, random):
    """Edges of cells become parallelograms, whose areas are cross products; a rotation costs nothing."""
    lattice = make(Grid((1.0, 1.5, 2.0), (3, 3, 3)))
    energy, w = SURFACES["surfaces alone"](lattice), 0.1 * random(lattice.parameters)
    total = 0.0
    for slopes in lattice.slopes(lattice.lattice, w):
        F = slopes(lattice.fields(w)).flatten(2).numpy()
        edges = [np.moveaxis(F[:, k], 0, -1) for k in range(3)]
        areas = [np.linalg.norm(np.cross(edges[k - 2], edges[k - 1]), axis=1) for k in range(3)]
        total += sum(np.square(np.maximum(area**2 - 1, 0)).mean() for area in areas)
    known = 2.0 * 1.5 * 3.0 * total / len(lattice.slopes(lattice.lattice, w))
    assert known > 0.1 and float(energy.value(w)) == pytest.approx(known, rel=1e-12)
    Q = torch.linalg.qr(random(3, 3))[0]
    assert energy.value(lattice.of(lambda x: x @ Q)) < 1e-25


def test_with_surfaces_a_map_still_does_not_fold():
    """Towards det ∇y = 0 the value grows as 1/det², whatever surfaces cost; beyond it is infinite."""
    lattice = FreeForm(Grid((1.0, 1.0, 1.0), (2, 2, 2)))
    energy, values = SURFACES["surfaces"](lattice), []
    for least in (1e-2, 1e-3, 1e-4):
        values.append(float(energy.value(lattice.of(lambda x, t=least: x * x.new_tensor([1.0, 1.0, t])))))
    assert [b / a for a, b in pairwise(values)] == pytest.approx([100, 100], rel=0.05)
    assert energy.value(lattice.of(lambda x: x * x.new_tensor([1.0, 1.0, -0.1]))) == math.inf
    assert math.isfinite(SURFACES["surfaces alone"](lattice).value(lattice.of(lambda x: -2 * x)))


def test_options_out_of_range_are_refused():
    lattice = LATTICES[0]
    with pytest.raises(ValueError, match="expected a strength ≥ 0, got -1"):
        Bending(lattice, -1)
    with pytest.raises(ValueError, match=r"expected w0 of shape \(8,\), got \(7,\)"):
        Bending(lattice, w0=torch.zeros(7))
    with pytest.raises(ValueError, match="expected constants μ > 0 and κ ≥ 0, got \\(0, 1\\)"):
        Elastic(lattice, mu=0, kappa=1)
    with pytest.raises(
        ValueError, match=r"expected constants μ ≥ 0, κ ≥ 0 and σ ≥ 0, got \(-1, 1\.0, 0\.0\)"
    ):
        Hyperelastic(lattice, mu=-1)
    with pytest.raises(ValueError, match=r"expected σ = 0 in fewer than three dimensions, .*, got 2"):
        Hyperelastic(lattice, sigma=2)
    assert repr(Bending(lattice, 3.0)) == "Bending(FreeForm of 5 cells, p = 8, 3)"
