"""Thousands of parameters: a free-form transformation, as a reader would write it, without one matrix.

Its products are those of ∂y/∂w; against it stand the same map of which only y is known, and dense algebra.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import pytest
import scipy.optimize
import scipy.sparse.linalg
import torch

from regkit.checks import adjoint_test
from regkit.data import mri
from regkit.grid import Grid
from regkit.linear import CG, Cholesky, Solution, Solver
from regkit.motions import Motion
from regkit.operators import FunctionOperator, columnwise
from regkit.optimize import gauss_newton, newton_trust, steihaug
from regkit.pyramid import pyramid
from regkit.registration import Registration
from regkit.regularizers import Quadratic
from regkit.spline import coefficients, evaluate
from regkit.transforms import Transform


def cubic(u: torch.Tensor) -> torch.Tensor:
    """The cubic B-spline with unit integral."""
    a = u.abs()
    return torch.where(a < 1, (4 - 6 * a**2 + 3 * a**3) / 6, (2 - a).clamp(min=0) ** 3 / 6)


@dataclass(frozen=True)
class FreeForm(Transform):
    """y = x + Σⱼₖ wⱼₖ b(x₁/h − j) b(x₂/h − k): a lattice of ``cells`` over a square, and what overlaps it."""

    cells: int = 8
    side: float = 256.0

    @property
    def parameters(self):
        return 2 * (self.cells + 3) ** 2

    def basis(self, x):
        return cubic(x[:, None] * self.cells / self.side - torch.arange(-1, self.cells + 2).to(x))

    def __call__(self, w, x):
        w = w.reshape(2, self.cells + 3, -1)
        return x + torch.einsum("nj,cjk,nk->nc", self.basis(x[:, 0]), w, self.basis(x[:, 1]))

    def coarser(self):
        return FreeForm(2, self.cells // 2, self.side)

    def refine(self, w):
        """A B-spline is a sum of five on half the spacing, with the weights 1, 4, 6, 4, 1 over 8."""
        fine, coarse = (torch.arange(-1, cells + 2).to(w) for cells in (self.cells, self.cells // 2))
        away = (fine[:, None] - 2 * coarse).abs()
        R = 6 / 8 * (away == 0) + 4 / 8 * (away == 1) + 1 / 8 * (away == 2)
        return (R.to(w) @ w.reshape(2, len(coarse), -1) @ R.T.to(w)).reshape(-1)


@dataclass(frozen=True)
class Separable(FreeForm):
    """The same on a grid, where the sum is two products with small matrices."""

    def on(self, x, dtype=torch.float64, device=None):
        bases = [self.basis(x.axis(k, dtype, device)) for k in range(2)]
        return SeparableMotion(self, super().on(x, dtype, device).points, *bases)

    def coarser(self):
        return Separable(2, self.cells // 2, self.side)


@dataclass(frozen=True, eq=False, repr=False)
class SeparableMotion(Motion):
    B1: torch.Tensor
    B2: torch.Tensor

    def spread(self, w):
        w = w.reshape(2, self.transform.cells + 3, -1)
        return (self.B1 @ w @ self.B2.T).flatten(1).T

    def collect(self, y):
        y = y.reshape(len(self.B1), len(self.B2), 2).movedim(-1, 0)
        return (self.B1.T @ y @ self.B2).reshape(-1)

    def __call__(self, w):
        return self.points + self.spread(w)

    def derivative(self, w):
        shape = 2 * len(self.points), len(w)
        return FunctionOperator(shape, lambda v: self.spread(v).reshape(-1), self.collect)

    def second(self, w, g):
        return None

    def jacobian(self, w):
        raise AssertionError("the Jacobian was asked for in full")

    chain_rows = chain_hessian = jacobian


def bending(transform: FreeForm) -> FunctionOperator:
    """The square of the five-point Laplacian of the lattice, periodic: large where w is rough."""

    def laplacian(v: torch.Tensor) -> torch.Tensor:
        v = v.reshape(2, transform.cells + 3, -1)
        rolled = sum(v.roll(step, axis) for axis in (1, 2) for step in (1, -1))
        return (4 * v - rolled).reshape(-1)

    square = columnwise(lambda v: laplacian(laplacian(v)))
    return FunctionOperator((transform.parameters, transform.parameters), square, square)


class SciPyCG(Solver):
    """SciPy's conjugate gradients as a solver of one's own; counts the products."""

    def __init__(self, rtol: float, maxiter: int):
        self.rtol, self.maxiter, self.products = rtol, maxiter, 0

    def prepare(self, A):
        def times(x):
            self.products += 1
            return (A @ torch.from_numpy(x)).numpy()

        def solve(b, x0=None):
            operator = scipy.sparse.linalg.LinearOperator(A.shape, times, dtype=float)
            x, _ = scipy.sparse.linalg.cg(operator, b.numpy(), rtol=self.rtol, maxiter=self.maxiter)
            return Solution(torch.from_numpy(x), torch.zeros(2), "converged", "by SciPy")

        return solve


def wave(x: torch.Tensor) -> torch.Tensor:
    """A smooth displacement of up to 6 mm, zero at the border of (0, 256 mm)²."""
    u, v = (math.pi * x / 256).T
    return 6 * torch.stack([u.sin() * (2 * v).sin(), -(2 * u).sin() * v.sin()], dim=1)


def problem(transform: FreeForm, size: int, strength: float = 0.5) -> Registration:
    """A slice of a head and its copy, displaced by ``wave``."""
    image, grid = mri(size)
    moved = evaluate(coefficients(image, 0.0), grid, grid.points() + wave(grid.points()))
    start = torch.zeros(transform.parameters, dtype=torch.float64)
    smooth = Quadratic(strength * float(image.square().mean()), bending(transform), start)
    return Registration(image, moved.reshape(size, size), grid, transform, regulariser=smooth)


def miss(problem: Registration, w: torch.Tensor) -> float:
    """Mean distance to the true map in cells, where there is a head."""
    head = problem.reference.reshape(-1) > 25
    off = problem.motion(w) - problem.points - wave(problem.points)
    return float(off[head].norm(dim=1).mean()) / problem.grid.spacing[0]


def test_products_are_those_of_the_map_of_which_only_y_is_known(random):
    """∂y/∂w, its adjoint, gradient and curvatures, by hand and by torch.func."""
    plain, fast = problem(FreeForm(2, 4), 32), problem(Separable(2, 4), 32)
    w, v = 2 * random(98), random(98)
    assert torch.allclose(fast.motion(w), plain.motion(w), atol=1e-12)
    Y, known = fast.motion.derivative(w), plain.motion.derivative(w)
    assert torch.allclose(Y @ v, known @ v, atol=1e-13)
    u = random(2 * 32 * 32)
    assert torch.allclose(Y.T @ u, known.T @ u, atol=1e-12)
    ours, theirs = fast.at(1.0).point(w), plain.at(1.0).point(w)
    assert torch.allclose(ours.gradient, theirs.gradient, rtol=1e-9)
    for kind in ("exact", "gauss-newton"):
        product = theirs.hessian(kind) @ v
        assert (ours.curvature(kind) @ v - product).norm() < 1e-11 * product.norm()
        assert (theirs.curvature(kind) @ v - product).norm() < 1e-11 * product.norm()
    assert torch.allclose(fast.at(1.0).gradient_theta(w), plain.at(1.0).gradient_theta(w), rtol=1e-7)


def test_a_coarser_lattice_is_part_of_the_finer_one(random):
    fine, grid = Separable(2, 8), Grid((256.0, 256.0), (16, 16))
    coarse = fine.coarser()
    w = random(coarse.parameters)
    assert coarse == Separable(2, 4) and len(fine.refine(w)) == fine.parameters
    assert torch.allclose(fine.on(grid)(fine.refine(w)), coarse.on(grid)(w), atol=1e-12)
    small, large = pyramid(problem(fine, 32), 2)
    assert small.transform == coarse and small.grid.shape == (16, 16)
    assert torch.allclose(small.regulariser.value(w), large.regulariser.value(fine.refine(w)))


def test_without_a_matrix_gauss_newton_takes_the_same_steps():
    """H s = −g by Cholesky's factorisation, and by conjugate gradients that end at rounding."""
    objective = problem(FreeForm(2, 4), 32).at(1.0)
    start = torch.zeros(98, dtype=torch.float64)
    dense = gauss_newton(objective, start, iterations=6)
    for solver in (SciPyCG(1e-13, 1000), CG(rtol=1e-13), Cholesky()):
        free = gauss_newton(objective, start, iterations=6, solver=solver)
        assert torch.allclose(free.path, dense.path, atol=1e-6 * float(dense.x.norm()))
        assert [a.control for a in free.history[1:]] == [a.control for a in dense.history[1:]]
    with pytest.raises(ValueError, match=r"expected a solver of A x = b, such as CG\(\), got 'cg'"):
        gauss_newton(objective, start, solver="cg")


def test_without_a_matrix_newton_finds_the_same_minimum():
    objective = problem(FreeForm(2, 4), 32).at(1.0)
    start = torch.zeros(98, dtype=torch.float64)
    dense = newton_trust(objective, start, gtol=1e-10)
    free = newton_trust(objective, start, gtol=1e-10, subproblem="krylov")
    assert dense.converged and free.converged, free.message
    assert (free.x - dense.x).norm() < 1e-6 * dense.x.norm()
    assert free.loss == pytest.approx(dense.loss, rel=1e-12)
    assert np.linalg.eigvalsh(objective.hessian(free.x).numpy()).min() > 0
    with pytest.raises(ValueError, match='expected subproblem "exact" or "krylov", got \'cg\''):
        newton_trust(objective, start, subproblem="cg")


@pytest.mark.parametrize(
    ("cells", "size", "strength"), [(20, 64, 0.05), (64, 128, 0.5)], ids=["p=1058", "p=8978"]
)
def test_thousands_of_parameters_without_one_matrix(cells, size, strength, random):
    """Ten Gauss-Newton steps with at most 60 iterations each: the loss falls to a hundredth or two."""
    transform = Separable(2, cells)
    registration = problem(transform, size, strength)
    objective, start = registration.at(1.0), torch.zeros(transform.parameters, dtype=torch.float64)
    point = objective.point(start + 0.1 * random(len(start)))
    operators = [registration.motion.derivative(start), *map(point.curvature, ("exact", "gauss-newton"))]
    for operator in operators:
        assert adjoint_test(operator.forward, operator.adjoint, random(operator.shape[1])) < 1e-12
    found = gauss_newton(objective, start, iterations=10, solver=CG(rtol=0.1, maxiter=60))
    assert found.loss < 0.02 * found.history[0].loss
    assert miss(registration, found.x) < 0.1 * miss(registration, start)
    newton = newton_trust(objective, start, iterations=10, subproblem="krylov", radius=10.0)
    assert newton.loss < 0.1 * newton.history[0].loss


def test_from_a_coarse_lattice_to_a_fine_one():
    """Images and lattice grow together; each level begins where the one before ended."""
    registration, w, shapes = problem(Separable(2, 16), 64), None, []
    for level in pyramid(registration, 3):
        w = torch.zeros(98).double() if w is None else level.transform.refine(w)
        w = gauss_newton(level.at(1.0), w, iterations=5, solver=CG(rtol=0.1, maxiter=40)).x
        shapes.append((level.grid.shape[0], len(w)))
    assert shapes == [(16, 98), (32, 242), (64, 722)]
    assert miss(registration, w) < 0.2 * miss(registration, torch.zeros_like(w))


def test_steihaug_solves_what_lies_inside_and_stops_at_the_border(random):
    """Against the exact solution of the trust-region problem, from its eigenvalues."""
    A, g = random(6, 6), random(6)
    for H in (A.T @ A + torch.eye(6), A + A.T):  # positive definite, and indefinite
        operator = FunctionOperator((6, 6), lambda v, H=H: H @ v, lambda v, H=H: H @ v)
        for radius in (1e-3, 0.1, 1.0, 1e3):
            s, Hs = steihaug(operator, g, radius, 1e-12)
            model = float(g @ s + 0.5 * s @ H @ s)
            assert torch.allclose(Hs, H @ s, atol=1e-9 * radius) and s.norm() <= radius * (1 + 1e-12)
            values, vectors = torch.linalg.eigh(H)
            coordinates, low = vectors.T @ g, max(0.0, -float(values[0]))
            step = lambda shift, c=coordinates, v=values: -c / (v + shift)  # noqa: E731
            away = lambda shift, f=step, r=radius: float(f(shift).norm()) / r - 1  # noqa: E731
            inside = low == 0.0 and away(0.0) < 0
            best = step(0.0 if inside else scipy.optimize.brentq(away, low + 1e-12, 1e6, xtol=1e-14))
            least = float(coordinates @ best + 0.5 * best @ (values * best))
            # At least the decrease along −g, and at most the best; inside, the best itself.
            slope, bend = float(g @ g), float(g @ H @ g)
            t = min(radius / math.sqrt(slope), slope / bend if bend > 0 else math.inf)
            along = -t * slope + 0.5 * t**2 * bend
            assert least * (1 + 1e-9) <= model <= along * (1 - 1e-9)
            assert (s.norm() < 0.999 * radius) == inside
            if inside:
                assert torch.allclose(s, torch.linalg.solve(H, -g), atol=1e-8)
