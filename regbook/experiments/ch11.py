"""Experiments of chapter 11: what derivatives cost over p, hands that bend, flows, and a solid."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch

from regbook import records
from regbook.meter import price
from regkit import data
from regkit.deform import ModesCG, deform
from regkit.energies import Bending
from regkit.flows import NeuralODE
from regkit.freeform import FreeForm
from regkit.grid import Grid
from regkit.linear import CG
from regkit.maps import determinants, gradients
from regkit.optimize import levenberg_marquardt
from regkit.path_energy import PathEnergy
from regkit.problems import Functions
from regkit.registration import Registration
from regkit.transforms import Transform

THETA = 1e-3
CENTRE = tuple(side / 2 for side in data.HAND_BOX)
# Cells a side of lattices with 50, 128, …, 5,000, … parameters: p = 2 (c + 3)².
SIDES = (2, 5, 13, 22, 47, 77, 155)
ALPHAS = tuple(10 ** (k / 2) for k in range(2, -13, -1))


# ---- hands that bend


@dataclass(frozen=True)
class Fit:
    """A free-form deformation for one strength, and how good it is.

    alpha: the strength as a share; w (p,); left (%): the squared difference, of what it is without a map;
    miss (cm): mean distance to the true map where there is a hand; least: the smallest det ∇y; folded: in
    how many cells it is at most zero; converged: what the method says of itself.
    """

    alpha: float
    w: torch.Tensor
    left: float
    miss: float
    least: float
    folded: int
    converged: bool


@dataclass(frozen=True, eq=False)
class Bent:
    """A pair of images with a known map, to be found by a ``FreeForm`` with bending energy.

    pair: the images; transform: the lattice of control points; kind: of energy, such as ``Hyperelastic``.
    """

    pair: data.Pair
    transform: FreeForm
    kind: Callable = Bending

    @property
    def unit(self) -> float:
        """λ for α = 1: bending with the box's radius costs as much as the images differ by."""
        difference = float((self.pair.template - self.pair.reference).square().mean())
        return difference * max(self.pair.grid.extent) ** 2

    def problem(self, alpha: float) -> Registration:
        """The registration with λ = α · unit."""
        energy = self.kind(self.transform, alpha * self.unit)
        images = self.pair.template, self.pair.reference
        return Registration(*images, self.pair.grid, self.transform, regulariser=energy, outside=0.0)

    @cached_property
    def inside(self) -> torch.Tensor:
        """Where the reference shows something, (n,)."""
        return self.pair.reference.reshape(-1) > 30

    @cached_property
    def difference(self) -> Callable:
        """w ↦ the squared difference of the images in the mean."""
        images, grid = (self.pair.template, self.pair.reference), self.pair.grid
        objective = Registration(*images, grid, self.transform, outside=0.0).at(THETA)
        return lambda w: 2 * float(objective.loss(w)) / (grid.cell_volume * grid.count)

    def bare(self, w: torch.Tensor) -> float:
        """The squared difference, % of what it is without a map."""
        return 100 * self.difference(w) / self.difference(self.transform.identity())

    def rms(self, w: torch.Tensor) -> float:
        """The root mean square difference, in grey values."""
        return self.difference(w) ** 0.5

    def miss(self, w: torch.Tensor) -> torch.Tensor:
        """‖y(x; w) − true y(x)‖ at every cell, (n,)."""
        x = self.pair.grid.points()
        return (self.transform(w, x) - self.pair.y_true(x)).norm(dim=1)

    def fit(self, alpha: float, start: Fit | None = None, iterations: int = 100) -> Fit:
        """The map for α, from that for a larger one."""
        w0 = None if start is None else start.w
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a fold is what the chapter looks for, and counts
            found = deform(
                self.problem(alpha), w0, levels=1, theta=THETA, reduction=0.03, iterations=iterations
            )
        det = found.determinant
        return Fit(
            alpha, found.w, self.bare(found.w), float(self.miss(found.w)[self.inside].mean()),
            float(det.min()), int((det <= 0).sum()), found.converged,
        )  # fmt: skip

    def fits(self, alphas: Sequence[float] = ALPHAS) -> list[Fit]:
        """From strong to weak, each from the one before."""
        found = [self.fit(alphas[0])]
        for alpha in alphas[1:]:
            found.append(self.fit(alpha, found[-1]))
        return found


def hands(cells: int = 47, size: int = 64, noise: float = 5.0, kind: Callable = Bending) -> Bent:
    """The drawn hand with straight and with bent fingers; 47 cells a side have 5,000 parameters."""
    pair = data.bent_hands_phantom(size, noise)
    return Bent(pair, FreeForm(Grid(pair.grid.extent, (cells, cells))), kind)


# ---- what derivatives cost, counted in numbers that are computed


def costs(transform: Transform, pair: data.Pair, w: torch.Tensor) -> dict[str, float]:
    """Prices of derivatives by torch.func, in runs of the loss, of the forward program for the Jacobian.

    The price of k columns of a Jacobian or Hessian is a + b k; it is measured for one and two.
    """
    problem = Registration(pair.template, pair.reference, pair.grid, transform, outside=0.0).at(THETA)
    p, v = len(w), torch.ones_like(w)
    gradient = torch.func.grad(problem.loss)

    def columns(function: Callable, k: int) -> int:
        one = lambda v: torch.func.jvp(function, (w,), (v,))[1]  # noqa: E731
        return price(torch.func.vmap(one, out_dims=-1), torch.eye(k, p, dtype=w.dtype))

    def all_columns(function: Callable) -> int:
        once, twice = columns(function, 1), columns(function, 2)
        return once + (p - 1) * (twice - once)

    loss, forward = price(problem.loss, w), price(problem.residual, w)
    return {
        "loss": 1.0,
        "gradient": price(gradient, w) / loss,
        "product with H": price(lambda w: torch.func.jvp(gradient, (w,), (v,))[1], w) / loss,
        "Jacobian": all_columns(problem.residual) / forward,
        "Hessian": all_columns(gradient) / loss,
    }


def costs_over_p(sides: Sequence[int] = SIDES, size: int = 128) -> dict[int, dict[str, float]]:
    """``costs`` of free-form deformations, for every p."""
    pair, found = data.bent_hands_phantom(size), {}
    for cells in sides:
        free = FreeForm(Grid(pair.grid.extent, (cells, cells)))
        found[free.parameters] = costs(free, pair, free.identity())
    return found


def own_products(transform: Transform, w: torch.Tensor, size: int = 128) -> tuple[float, float]:
    """Products with the exact Hessian by regkit, in gradients: the first with all it needs, and one more."""
    pair = data.bent_hands_phantom(size)
    problem = Registration(pair.template, pair.reference, pair.grid, transform, outside=0.0).at(THETA)
    v, curvature = torch.ones_like(w), problem.point(w, 2).curvature("exact")
    first = price(lambda: problem.point(w, 2).curvature("exact") @ v)
    _ = curvature @ v
    another, gradient = price(lambda: curvature @ v), price(problem.gradient, w)
    return first / gradient, another / gradient


def off_the_start(flow: NeuralODE) -> torch.Tensor:
    """Parameters near those of the identity, where all 50 of them count."""
    draw = torch.Generator().manual_seed(0)
    return flow.identity() + 0.01 * torch.randn(flow.parameters, generator=draw, dtype=torch.float64)


def costs_of_a_flow(size: int = 32) -> dict[str, float]:
    """``costs`` of the paper's neural ODE with 50 parameters, at the size of its Table 1."""
    flow = flow_of(9)
    return costs(flow, data.hands_phantom(size), off_the_start(flow))


def products(alpha: float = 1e-2, sides: Sequence[int] = SIDES, rtol: float = 1e-2) -> dict[int, tuple]:
    """Iterations of CG for a Gauss-Newton step at the start, with and without preconditioner, for every p."""
    found = {}
    for cells in sides:
        bent = hands(cells)
        problem, w = bent.problem(alpha), bent.transform.identity()
        point = problem.at(THETA).point(w, 1)
        solvers = ModesCG(problem.regulariser, rtol, 5000), CG(rtol, maxiter=5000)
        curvature = point.curvature("gauss-newton")
        found[len(w)] = tuple(solver.solve(curvature, -point.gradient).iterations for solver in solvers)
    return found


# ---- flows


def flow_of(steps: int) -> NeuralODE:
    """50 parameters, centred on the hand."""
    return NeuralODE(steps=steps, center=CENTRE, unit=5.0)


def swirl(speed: float = 5.0) -> torch.Tensor:
    """Parameters of a whirl, (50,): the velocity (−tanh z₂, tanh z₁) times ``speed``, which keeps areas."""
    w = torch.zeros(50, dtype=torch.float64)
    W1, _, W2, _ = (part for part in w.split([24, 8, 16, 2]))  # parts of w itself
    W1.reshape(8, 3)[0, 0] = W1.reshape(8, 3)[1, 1] = 1.0
    W2.reshape(2, 8)[0, 1], W2.reshape(2, 8)[1, 0] = -speed, speed
    return w


def straightened(
    energy: PathEnergy, start: torch.Tensor, iterations: int = 60
) -> tuple[torch.Tensor, torch.Tensor]:
    """Parameters of the flow that ends where ``start`` does and goes there by a shorter way, and ``start``.

    ½ ∫ |y(x; w) − y(x; start)|² dx + λS(w) by Levenberg-Marquardt. Neurons without weights get some
    first, which change nothing: they would never get any.
    """
    flow, omega = energy.transform, energy.grid.cell_volume
    motion, p = flow.on(energy.grid), flow.hidden * (flow.dim + 1)
    idle = (start[:p].reshape(flow.hidden, -1) == 0).all(1)
    start = start.clone()
    start[:p].reshape(flow.hidden, -1)[idle] = flow.identity()[:p].reshape(flow.hidden, -1)[idle]
    end = motion(start)
    weight = omega * torch.eye(flow.dim, dtype=end.dtype).expand(len(end), flow.dim, flow.dim)
    problem = Functions(
        lambda w: 0.5 * omega * (motion(w) - end).square().sum() + energy.value(w),
        lambda w: omega * motion.chain_gradient(w, motion(w) - end) + energy.gradient(w),
        gauss_newton=lambda w: motion.chain_hessian(w, weight) + energy.hessian(w, "gauss-newton").dense(w),
    )
    return levenberg_marquardt(problem, start, iterations=iterations).x, start


def detour(energy: PathEnergy, w: torch.Tensor) -> float:
    """S(w) as a share of what it would be if every point went straight to its end at one speed."""
    x = energy.grid.points()
    straight = 0.5 * energy.grid.cell_volume * (energy.transform(w, x) - x).square().sum()
    return float(energy.value(w) / (energy.strength * straight))


def smallest_determinant(transform: Transform, w: torch.Tensor, x: torch.Tensor) -> float:
    """The smallest det ∇y at the points x."""
    return float(determinants(gradients(transform, w, x)).min())


def recorded() -> dict[str, dict]:
    """The record: "maps", how good each kind of map is, and "memory", bytes of a flow's gradient."""
    return records.load("beyond_affine.json")


# ---- a solid


def solid(size: int = 32, cells: int = 8, alpha: float = 1e-2) -> tuple[Bent, Fit]:
    """The drawn chest, breathed out and in, and the map between."""
    pair = data.chest_phantom(size, noise=5.0)
    bent = Bent(pair, FreeForm(Grid(pair.grid.extent, (cells,) * 3)))
    return bent, bent.fit(alpha)


def cells_of(bent: Bent, w: torch.Tensor) -> np.ndarray:
    """det ∇y of every cell, of the shape of the grid."""
    return bent.transform.determinant(w, bent.pair.grid).numpy()
