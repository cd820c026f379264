"""Deformable registration of pairs whose map is known, and what makes it quick."""

from __future__ import annotations

import math
import warnings
from dataclasses import replace

import pytest
import torch

from regkit.checks import adjoint_test, taylor_test
from regkit.data import chest_phantom, hands_phantom, mri
from regkit.deform import Changed, ModesCG, bend, deform
from regkit.distances import NCC, SSD
from regkit.energies import Bending, Elastic, Hyperelastic
from regkit.freeform import DisplacementField, FreeForm
from regkit.grid import Grid
from regkit.linear import CG
from regkit.maps import gradients, inverse, landmark_errors
from regkit.multimodal import MutualInformation
from regkit.optimize import gauss_newton, newton_trust
from regkit.register import register
from regkit.registration import Registration
from regkit.regularizers import Quadratic
from regkit.spline import coefficients, evaluate
from regkit.transforms import Affine, Rigid


def wave(x: torch.Tensor) -> torch.Tensor:
    """x moved smoothly by up to 6 mm, within (0, 256 mm)²."""
    u, v = (math.pi * x / 256).T
    return x + 6 * torch.stack([u.sin() * (2 * v).sin(), -(2 * u).sin() * v.sin()], dim=1)


def pair(size: int = 64):
    """A slice of a head and its copy, displaced by ``wave``."""
    image, grid = mri(size)
    return image, evaluate(coefficients(image, 0.0), grid, wave(grid.points())).reshape(size, size), grid


def problem(transform, energy, size: int = 64) -> Registration:
    template, reference, grid = pair(size)
    return Registration(template, reference, grid, transform, regulariser=energy)


def miss(found) -> float:
    """Mean distance to the true map in cells, where there is a head."""
    points, head = found.problem.points, found.problem.reference.reshape(-1) > 25
    return float((found(points) - wave(points))[head].norm(dim=1).mean()) / found.problem.grid.spacing[0]


BOX = (256.0, 256.0)
FREE = FreeForm(Grid(BOX, (16, 16)))
FIELD = DisplacementField(Grid(BOX, (64, 64)))


@pytest.mark.parametrize(
    "energy",
    [
        Bending(FREE, 3e4),
        Elastic(FREE, 200.0),
        Hyperelastic(FREE, 200.0),
        Bending(FIELD, 3e5),
        Hyperelastic(FIELD, 2000.0),
    ],
    ids=repr,
)
def test_a_known_map_is_found(energy):
    """Two thirds of a cell to a quarter or less; no fold; the gradient falls to a hundredth."""
    registration = problem(energy.transform, energy)
    found = deform(registration)
    start, unregularised = energy.transform.identity(), problem(energy.transform, None).at(0.0)
    assert found.converged, found.message
    assert found.determinant.min() > 0.2
    assert float(unregularised.loss(found.w)) < 0.05 * float(unregularised.loss(start))
    assert miss(found) < 0.25
    assert [len(result.x) for result in found.results][-1] == energy.transform.parameters
    objective = registration.at(1e-3)
    assert objective.gradient(found.w).norm() <= 1e-2 * objective.gradient(start).norm()


def test_landmarks_go_where_they_belong():
    """Marks of the reference, which take no part, and what Newton's method says of the way back."""
    found = deform(problem(FREE, Bending(FREE, 3e4)))
    marks = torch.tensor([[90.0, 100.0], [128.0, 150.0], [160.0, 120.0]], dtype=torch.float64)
    errors = landmark_errors(FREE, found.w, marks, wave(marks))
    assert errors.max() < 1.0 < landmark_errors(FREE, FREE.identity(), marks, wave(marks)).max()
    assert torch.allclose(inverse(FREE, found.w, found(marks)), marks, atol=1e-6)


def test_it_starts_from_an_affine_map():
    """Hands that lie 150° apart: no way leads there from the identity."""
    hands = hands_phantom(64)
    affine, free = Affine(), FreeForm(Grid(hands.grid.extent, (8, 10)))
    start = free.of(lambda x: affine(hands.w_true, x))
    registration = Registration(
        hands.template, hands.reference, hands.grid, free, regulariser=Bending(free, 1e3)
    )
    found = deform(registration, start)
    assert found.converged and found.determinant.min() > 0.5
    inside = hands.reference.reshape(-1) > 25
    x = hands.grid.points()
    assert (found(x) - affine(hands.w_true, x))[inside].norm(dim=1).mean() < 0.1  # cm; a cell is 0.3 wide


def test_a_map_that_folds_is_told():
    """With hardly any energy the squared difference is all that counts."""
    template, reference, grid = pair(32)
    free = FreeForm(Grid(BOX, (16, 16)))
    weak = Registration(template, reference.flip(0), grid, free, regulariser=Bending(free, 1.0))
    with pytest.warns(UserWarning, match="the map folds: det ∇y ≤ 0 in .* a larger strength, or the energy"):
        found = deform(weak, iterations=10)
    assert "the map folds" in found.message and "smallest det ∇y = -" in repr(found)
    averse = Registration(
        template, reference.flip(0), grid, free, regulariser=Hyperelastic(free, 10.0, grid=grid)
    )
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert deform(averse, iterations=10).determinant.min() > 0


def test_in_space_surfaces_are_held_as_well():
    """A chest that breathes: with σ its faces grow less, and the map is as near to the true one."""
    chest = chest_phantom(16, noise=5.0)
    free, x = FreeForm(Grid(chest.grid.extent, (4, 4, 4))), chest.grid.points()
    strength = 0.1 * float((chest.template - chest.reference).square().mean())
    inside, largest, off = chest.reference.reshape(-1) > 30, [], []
    for sigma in (0.0, 1.0):
        energy = Hyperelastic(free, strength, sigma=sigma, grid=chest.grid)
        images = chest.template, chest.reference
        found = deform(Registration(*images, chest.grid, free, regulariser=energy, outside=0.0), levels=1)
        assert found.converged and found.determinant.min() > 0.3
        F = gradients(free, found.w, x)
        faces = [torch.linalg.cross(F[:, k - 2].T, F[:, k - 1].T) for k in range(3)]
        largest.append(float(torch.stack(faces).norm(dim=2).max()))
        off.append(float((found(x) - chest.y_true(x))[inside].norm(dim=1).mean()))
    assert largest[0] > 1.6 and largest[1] < 1 + 0.5 * (largest[0] - 1)
    assert off[1] < 1.1 * off[0]


def test_preconditioned_it_takes_few_products_whatever_the_lattice():
    """The first system on finer and finer grids, by conjugate gradients with and without."""
    counts = []
    for size in (32, 64, 128):
        field = DisplacementField(Grid(BOX, (size, size)))
        energy = Bending(field, 3e5)
        point = problem(field, energy, size).at(1e-3).point(field.identity(), 1)
        H, b = point.curvature("gauss-newton"), -point.gradient
        with_, without = (solver.solve(H, b) for solver in (ModesCG(energy, 0.1, 400), CG(0.1, maxiter=400)))
        gain = [float(0.5 * found.x @ (H @ found.x) - b @ found.x) for found in (with_, without)]
        assert with_.converged and gain[0] < 0.99 * gain[1] < 0
        counts.append((with_.iterations, without.iterations))
    assert all(5 * few < many for few, many in counts) and 20 * counts[2][0] < counts[2][1], counts
    assert counts[2][0] <= counts[0][0] + 3


def test_other_variables_have_the_same_minimum(random):
    """Newton-Krylov in v; derivatives in v by Taylor's theorem; S and Sᵀ are adjoint."""
    free = FreeForm(Grid(BOX, (4, 4)))
    energy = Bending(free, 3e4)
    objective, start = problem(free, energy, 32).at(1e-3), free.identity()
    changed = Changed.at(objective, start, energy)
    v, u = random(len(start)), random(len(start))
    assert adjoint_test(changed.modes.spread, changed.modes.collect, v) < 1e-12
    assert torch.allclose(changed.modes.spread(changed.modes.collect(u)), changed.modes.apply(u), rtol=1e-9)
    point, unit = changed.point(100 * v), u / u.norm()
    first, second = point.gradient @ unit, unit @ (point.curvature() @ unit)
    loss = lambda z: changed.point(z, 0).loss  # noqa: E731
    steps = torch.logspace(2, -1, 13, dtype=torch.float64)
    assert taylor_test(loss, 100 * v, unit, order=2, first=first, second=second, steps=steps).passes()
    assert torch.allclose(point.hessian() @ u, point.curvature() @ u, rtol=1e-8, atol=1e-8)
    newton = newton_trust(changed, start, subproblem="krylov", radius=1e3)
    dense = newton_trust(objective, start)
    assert newton.converged and dense.converged
    assert newton.loss == pytest.approx(dense.loss, rel=1e-9)
    assert torch.allclose(changed.parameters(newton.x), dense.x, atol=1e-3)
    free_of_matrices = gauss_newton(changed, start, solver=CG(0.1, maxiter=50))
    assert free_of_matrices.loss == pytest.approx(dense.loss, rel=1e-6)


def test_one_and_two_threads_compute_the_same(random):
    """Gradient and product with the Hessian: what a run is made of."""
    registration, before, found = problem(FREE, Bending(FREE, 3e4)), torch.get_num_threads(), []
    w, v = random(FREE.parameters), random(FREE.parameters)
    try:
        for threads in (1, 2):
            torch.set_num_threads(threads)
            point = registration.at(1e-3).point(w)
            found.append(torch.cat([point.gradient, point.curvature() @ v]))
    finally:
        torch.set_num_threads(before)
    assert (found[0] - found[1]).norm() < 1e-12 * found[0].norm()


@pytest.mark.parametrize("distance", ["ncc", "ssd"])
def test_register_bends_a_map(distance):
    """One call: turned by 30°, moved, and bent by up to 6 mm; sizes that cannot be halved often."""
    image, grid = mri(128)
    rigid = Rigid(center=(128.0, 128.0))
    w = torch.tensor([math.radians(30), 5.0, -3.0], dtype=torch.float64)
    box = Grid((250.0, 246.0), (125, 123))
    known = lambda x: rigid(w, wave(x))  # noqa: E731
    reference = evaluate(coefficients(image, 0.0), grid, known(box.points())).reshape(box.shape)
    bright = 10 + 2 * reference if distance == "ncc" else reference
    options = {"distance": distance, "template_grid": grid, "reference_grid": box}
    straight, found = (register(image, bright, transform=t, **options) for t in ("affine", "freeform"))
    head = reference.reshape(-1) > 25
    errors = [(each.points - known(box.points()))[head].norm(dim=1).mean() / 2 for each in (straight, found)]
    assert errors[1] < 0.2 and errors[1] < 0.3 * errors[0]  # in cells
    assert found.after < 0.2 * straight.after and found.before == straight.before
    assert isinstance(found.transform, FreeForm) and "fold" not in "".join(found.warnings)
    assert found.warp().shape == box.shape and "FreeForm" in repr(found)
    with pytest.raises(ValueError, match="expected an affine map, got FreeForm"):
        found.matrix()


def test_bending_wants_a_residual():
    image = mri(32)[0]
    found = register(image, image, turns=1)
    found = replace(found, problem=replace(found.problem, distance=MutualInformation()))
    with pytest.raises(ValueError, match=r"expected a distance with a residual .*, got MutualInformation"):
        bend(found)


def test_what_does_not_fit_is_refused():
    template, reference, grid = pair(32)
    with pytest.raises(ValueError, match="expected a FreeForm or a DisplacementField, got Affine"):
        deform(Registration(template, reference, grid))
    for energy in (None, Bending(FIELD), Quadratic(1.0, torch.eye(722), torch.zeros(722))):
        with pytest.raises(ValueError, match=r"expected an energy of FreeForm of 16 × 16 cells, .*, such as"):
            deform(Registration(template, reference, grid, FREE, regulariser=energy))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_on_a_gpu_it_finds_the_same():
    template, reference, grid = pair()
    energy = Bending(FREE, 3e4, device="cuda")
    there = Registration(template.cuda(), reference.cuda(), grid, FREE, regulariser=energy)
    here = deform(problem(FREE, Bending(FREE, 3e4)), reduction=1e-6)
    assert torch.allclose(deform(there, reduction=1e-6).w.cpu(), here.w, atol=1e-4)


@pytest.mark.parametrize("distance", [SSD(), NCC()])
def test_an_image_and_itself(distance):
    """Nothing is left to gain but rounding, which is no reason to go on for hundreds of iterations."""
    image, grid = mri(32)
    free = FreeForm(Grid(grid.extent, (4, 4)))
    energy = Bending(free, 1.0)
    found = deform(Registration(image, image, grid, free, distance, outside="edge", regulariser=energy))
    assert found.converged and sum(result.iterations for result in found.results) == 0, found
    assert float((found(grid.points()) - grid.points()).abs().max()) == 0
