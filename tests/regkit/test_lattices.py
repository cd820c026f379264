"""A tensor product on a grid is the sum that it stands for; knots are inserted exactly."""

from __future__ import annotations

import pytest
import torch

from regkit.checks import adjoint_test
from regkit.distances import NCC, SSD
from regkit.freeform import DisplacementField, FreeForm
from regkit.grid import Grid
from regkit.lattices import LatticeMotion
from regkit.maps import determinants, gradients
from regkit.motions import Motion
from regkit.registration import Registration

LATTICES = [
    FreeForm(Grid((3.0,), (6,))),
    FreeForm(Grid((2.0, 2.5), (4, 6))),
    FreeForm(Grid((2.0, 3.0, 4.0), (4, 2, 6))),
    DisplacementField(Grid((3.0,), (12,))),
    DisplacementField(Grid((2.0, 2.5), (8, 10))),
    DisplacementField(Grid((2.0, 3.0, 4.0), (4, 4, 6))),
]
each_lattice = pytest.mark.parametrize("lattice", LATTICES, ids=str)


def finer(lattice, factor: int = 3) -> Grid:
    return Grid(lattice.lattice.extent, tuple(factor * m for m in lattice.lattice.shape))


@each_lattice
def test_on_a_grid_the_products_are_the_sum_at_its_points(lattice, random):
    """And the derivative is that of which torch.func knows only the sum."""
    w, v = 0.1 * random(lattice.parameters), random(lattice.parameters)
    for grid in (lattice.lattice, finer(lattice)):
        motion, plain = lattice.on(grid), Motion(lattice, grid.points())
        assert isinstance(motion, LatticeMotion)
        assert torch.allclose(motion(w), plain(w), atol=1e-13)
        Y, known = motion.derivative(w), plain.derivative(w)
        assert Y.shape == known.shape
        assert torch.allclose(Y @ v, known @ v, atol=1e-12)
        assert adjoint_test(Y.forward, Y.adjoint, v) < 1e-12
        u = random(Y.shape[0])
        assert torch.allclose(Y.T @ u, known.T @ u, atol=1e-12)
        g = u.reshape(-1, lattice.dim)
        assert torch.allclose(motion.chain_gradient(w, g), Y.T @ u, atol=1e-12)
        columns = random(lattice.parameters, 2)
        assert torch.allclose(Y @ columns, torch.stack([Y @ c for c in columns.T], 1), atol=1e-13)
        assert motion.second(w, g) is None


@each_lattice
def test_a_coarser_lattice_is_part_of_the_finer_one(lattice, random):
    """Exactly for B-splines; a displacement field keeps what is affine, and ``coarsen`` leads back."""
    coarse = lattice.coarser()
    v, x = random(coarse.parameters), finer(lattice).points()
    w = lattice.refine(v)
    assert torch.allclose(lattice.coarsen(w), v, atol=1e-11)
    if isinstance(lattice, FreeForm):
        assert torch.allclose(lattice(w, x), coarse(v, x), atol=1e-13)
    A = torch.eye(lattice.dim, dtype=torch.float64) + 0.2 * random(lattice.dim, lattice.dim)
    known = [level.of(lambda x: x @ A + 0.5) for level in (coarse, lattice)]
    assert torch.allclose(lattice.refine(known[0]), known[1], atol=1e-13)
    assert torch.allclose(lattice(known[1], x), x @ A + 0.5, atol=1e-13)
    same = lattice.coarser().coarser().coarser().coarser()
    assert same == same.coarser() and torch.equal(same.refine(same.identity()), same.identity())


@each_lattice
def test_the_gram_matrices_are_integrals(lattice):
    """Against the midpoint rule with many points; a hat's second derivative is that of differences."""
    box = Grid(lattice.lattice.extent[:1], (24000,))  # no centre on a knot
    x, h = box.axis(0), box.spacing[0]
    for orders in ((0, 0), (1, 1), (1, 0), (0, 1), (2, 2)):
        gram = lattice.gram(0, *orders)
        if isinstance(lattice, FreeForm) or orders != (2, 2):
            left, right = (lattice.basis(0, x, order) for order in orders)
            assert torch.allclose(gram, h * left.T @ right, atol=1e-5 * float(gram.abs().max()))
    line = lattice.nodes(0)
    assert torch.allclose(gram @ line, torch.zeros_like(line), atol=1e-9 * float(gram.abs().max()))


@each_lattice
def test_the_determinant_is_that_of_the_gradient(lattice, random):
    w = 0.05 * random(lattice.parameters)
    if isinstance(lattice, FreeForm):
        grid = finer(lattice)
        expected = determinants(gradients(lattice, w, grid.points())).reshape(grid.shape)
    else:  # near a centre, on each of its sides
        grid, sides = lattice.lattice, []
        h = torch.tensor(grid.spacing, dtype=torch.float64)
        corners = torch.cartesian_prod(*[torch.tensor([-1e-9, 1e-9], dtype=torch.float64)] * lattice.dim)
        for corner in corners.reshape(-1, lattice.dim):
            sides.append(determinants(gradients(lattice, w, grid.points() + corner * h)))
        expected = torch.stack(sides).amin(0).reshape(grid.shape)
    assert torch.allclose(lattice.determinant(w, grid), expected, atol=1e-7)


def test_slopes_have_their_adjoint(random):
    for lattice in LATTICES:
        grid = lattice.lattice if isinstance(lattice, DisplacementField) else finer(lattice)
        for slopes in lattice.slopes(grid, torch.empty(0, dtype=torch.float64)):
            fields = random(lattice.dim, *lattice.sizes)
            assert adjoint_test(slopes.change, slopes.adjoint, fields) < 1e-12


@pytest.mark.parametrize("distance", [SSD(), NCC()], ids=str)
@pytest.mark.parametrize("outside", [0.0, "overlap"])
def test_curvature_is_that_of_the_map_of_which_only_y_is_known(distance, outside, random):
    class Plain(FreeForm):
        def on(self, x, dtype=torch.float64, device=None):
            return Motion(self, x.points(dtype, device))

    grid = Grid((4.0, 5.0), (12, 10))
    images = random(12, 10), random(12, 10)
    lattice = Grid(grid.extent, (3, 2))
    ours, theirs = (
        Registration(*images, grid, T(lattice), distance, outside=outside) for T in (FreeForm, Plain)
    )
    w, v = 0.1 * random(60), random(60)
    for kind in ("exact", "gauss-newton"):
        products = [problem.at(0.1).point(w).curvature(kind) @ v for problem in (ours, theirs)]
        assert (products[0] - products[1]).norm() < 1e-11 * products[1].norm()
        dense = theirs.at(0.1).hessian(w, kind) @ v
        assert (products[0] - dense).norm() < 1e-10 * dense.norm()


def test_a_wrong_lattice_or_number_of_parameters_is_refused():
    with pytest.raises(ValueError, match=r"expected a Grid, whose cells .* lattice, got \(4, 4\)"):
        FreeForm((4, 4))
    with pytest.raises(ValueError, match=r"expected parameters of shape \(98,\), got \(97,\)"):
        FreeForm(Grid((1.0, 1.0), (4, 4))).on(Grid((1.0, 1.0), (4, 4)))(torch.zeros(97))
