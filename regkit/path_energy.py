"""The energy of a flow's path: of all flows that fit equally well, the one that moves least on the way.

A regulariser for a ``NeuralODE``. Every point of the box goes y(t) from t = 0 to t = 1; with unit
mass everywhere the kinetic energy of all of them, summed up over time, is

    S(w) = ½ ∫ ∫ |dy/dt|² dt dx  ≥  ½ ∫ |y(1) − x|² dx

and only points that go straight on at one speed reach the bound. So S looks at the way and not at
the end alone: of two flows that end in the same map, it takes the one without detours. In its steps
the energy is one more coordinate of the flow, e with de/dt = ½ |dy/dt|², that Runge and Kutta's
rule integrates with the others: an error of order Δt⁴, and as the weights of the stages are
positive and their sum is 1, the bound holds for any number of steps.

Source:
    Benamou & Brenier (2000), https://doi.org/10.1007/s002110050002;
    Finlay, Jacobsen, Nurbekyan & Oberman (2020), https://arxiv.org/abs/2002.02798
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from regkit._require import number, require
from regkit._stages import _POINTS, Held, Second, Stages
from regkit.flows import NeuralODE
from regkit.grid import Grid
from regkit.operators import Operator
from regkit.problems import Kind
from regkit.regularizers import Regulariser


@dataclass(frozen=True, eq=False, repr=False)
class PathEnergy(Regulariser):
    """λ ½ ω Σᵢ Σₛ βₛ |vᵢₛ|² over the points xᵢ of a grid and the Runge-Kutta stages s of all steps.

    v = ℓ N(z, t; w) is the velocity, ω the cell volume, and βₛ is Δt/6, Δt/3, Δt/3, Δt/6 within a
    step. For "gauss-newton" the Hessian is λω Σᵢ Σₛ βₛ (∂vᵢₛ/∂w)ᵀ ∂vᵢₛ/∂w. At ``identity``, where
    W₂ = 0, nothing depends on W₁ and b₁, and both Hessians are singular: ``levenberg_marquardt``
    starts there, and ``gauss_newton`` with ``CG``.

    Args:
        transform: the flow.
        grid: where its paths begin; it may be coarser than that of the images.
        strength: λ ≥ 0.

    Raises:
        ValueError: for another transformation, a grid of another dimension, or a negative strength.

    Example:
        >>> flow = NeuralODE()
        >>> w = torch.zeros(flow.parameters)
        >>> w[-2:] = torch.tensor([3.0, 1.0])  # the same velocity everywhere
        >>> PathEnergy(flow, Grid((2.0, 2.0), (4, 4))).value(w)  # ½ (3² + 1²) on an area of 4
        tensor(20.)
    """

    transform: NeuralODE
    grid: Grid
    strength: float = 1.0

    def __post_init__(self):
        flow, grid = self.transform, self.grid
        require(isinstance(flow, NeuralODE), f"expected a NeuralODE, got {flow!r}")
        require(isinstance(grid, Grid), f"expected a Grid, got {grid!r}")
        require(grid.dim == flow.dim, f"expected a grid in {flow.dim} dimensions, got one in {grid.dim}")
        number(self.strength, "a strength ≥ 0", 0)

    def __repr__(self) -> str:
        cells = " × ".join(map(str, self.grid.shape))
        return f"PathEnergy({self.transform}, {cells} paths, {self.strength:g})"

    @property
    def weight(self) -> float:
        """λωℓ²: what |N|² counts for."""
        return self.strength * self.grid.cell_volume * self.transform.unit**2

    def value(self, w: Tensor) -> Tensor:
        """λS(w), a tensor without dimensions."""
        total = w.new_zeros(())
        for part in self._paths(w):
            total = total + (part.shares() * part.slopes().square()).sum()
        return 0.5 * self.weight * total

    def gradient(self, w: Tensor) -> Tensor:
        """λ∇S(w), (p,): one pass back."""
        total = torch.zeros_like(w)
        for part in self._paths(w):
            own = self._by_slopes(part, part.slopes())
            total = total + part.gradient(torch.zeros_like(part.end), own)[0]
        return total

    def hessian(self, w: Tensor, kind: Kind = "exact") -> Operator:
        """λ∇²S(w), or its part that is positive semidefinite, as an operator p ← p."""
        return _Curvature(self, w, kind == "exact")

    def _paths(self, w: Tensor) -> Iterator[Stages]:
        """What the stages compute, for some paths at a time."""
        for x in self._starts(w).split(_POINTS):
            yield self.transform._stages(w, x)

    def _starts(self, w: Tensor) -> Tensor:
        """Where the paths begin, (n, d) of the type and on the device of w."""
        return self.grid.points(w.dtype, w.device)

    def _by_slopes(self, part: Stages, slopes: Tensor) -> Tensor:
        """λωℓ² βₛ times ``slopes`` (S, d, n): of the velocity itself the derivatives by it."""
        return self.weight * part.shares() * slopes


class _Curvature(Held):
    """The Hessian of a ``PathEnergy`` at one w: products, and all entries."""

    def __init__(self, energy: PathEnergy, w: Tensor, exact: bool):
        self.energy = energy
        self.hold(energy.transform, w, energy._starts(w), exact)

    def seed(self, part: slice, stages: Stages) -> tuple[Tensor, Tensor]:
        """Nothing by the end, and what the energy changes by with each slope."""
        return torch.zeros_like(stages.end), self.energy._by_slopes(stages, stages.slopes())

    def product(self, v: Tensor) -> Tensor:
        """A v."""
        total = torch.zeros_like(v)
        for _, stages, adjoints in self.parts():
            change = stages.changed(v)
            own = self.energy._by_slopes(stages, torch.stack(change.slopes))
            second = Second(change, *adjoints) if adjoints else None
            total = total + stages.gradient(torch.zeros_like(stages.end), own, second)[0]
        return total

    def dense(self, like: Tensor) -> Tensor:
        """All entries (p, p), of the type and on the device of ``like``: one pass forward for all columns."""
        weight, total = self.energy.weight, self.at.new_zeros(self.shape)
        for part, stages, adjoints in self.parts():
            shares, end = weight * stages.shares(), torch.zeros_like(stages.end)
            out, own = self.seed(part, stages) if adjoints else (None, None)
            total = total + stages.hessian(end.expand(len(end), *end.shape), out, own, shares.flatten())
        return total.to(like)
