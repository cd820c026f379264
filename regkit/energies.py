"""Energies of a deformation: which of many maps that fit equally well is meant.

Regularisers for a displacement u = y − x on a ``Lattice``, as integrals over the box:

    Bending        λ ½ ∫ Σᵢⱼₖ (∂ⱼ∂ₖuᵢ)²                           nothing for an affine map
    Elastic        λ ∫ μ ‖ε‖² + ½ κ (div u)²,   ε = ½(∇u + ∇uᵀ)    as a body resists small changes
    Hyperelastic   λ ∫ ½ μ ‖∇u‖² + σ ψ(cof ∇y) + κ φ(det ∇y)      infinite for a map that folds

The first two are quadratic, ½ λ uᵀM u, and M is a sum of Kronecker products: the integrals of each
axis, exact. φ(v) = ((v − 1)²/v)² is convex, zero for v = 1, and the same for v and 1/v: to double a
volume costs as much as to halve it. ψ is for areas of surfaces, in three dimensions.

Every energy knows an operator that is close to its Hessian and that can be inverted: in the modes
of the axes it is diagonal. That is what ``deform`` takes to precondition.

Source:
    Fischer & Modersitzki (2003), https://doi.org/10.1023/A:1021897212261;
    Burger, Modersitzki & Ruthotto (2013), https://doi.org/10.1137/110835955;
    Modersitzki, FAIR (2009), chapter 8, https://doi.org/10.1137/1.9780898718843
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from regkit._require import number, parameters, require
from regkit.grid import Grid
from regkit.maps import cofactors, cofactors_change, determinants
from regkit.operators import FunctionOperator, Operator, columnwise
from regkit.problems import Kind
from regkit.regularizers import Regulariser
from regkit.separable import Factor, Separable, factor, generalised_modes

if TYPE_CHECKING:
    from regkit.lattices import Lattice


@dataclass(frozen=True, eq=False, repr=False)
class Energy(Regulariser):
    """½ λ uᵀM u for the numbers u of a displacement on a lattice: a child gives ``terms``.

    Args:
        transform: a ``FreeForm`` or ``DisplacementField``.
        strength: λ ≥ 0.
        w0 (p,): where the energy is zero, such as the parameters of an affine map; 0 if None.
        dtype, device: of w.

    Raises:
        ValueError: for a negative strength, or a w0 of another length.
    """

    transform: Lattice
    strength: float = 1.0
    w0: Tensor | None = None
    dtype: torch.dtype = torch.float64
    device: torch.device | str | None = None
    operator: Separable = field(init=False)

    def __post_init__(self):
        known = hasattr(self.transform, "gram")
        require(known, f"expected a FreeForm or a DisplacementField, got {self.transform!r}")
        number(self.strength, "a strength ≥ 0", 0)
        if self.w0 is not None:
            p, shape = self.transform.parameters, tuple(getattr(self.w0, "shape", ()))
            require(shape == (p,), f"expected w0 of shape ({p},), got {shape}")
        sizes = self.transform.sizes
        object.__setattr__(self, "operator", Separable(len(sizes), (sizes, sizes), self.terms()))

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.transform}, {self.strength:g})"

    def gram(self, axis: int, first: int, second: int) -> Factor:
        """∫ b⁽ᵖ⁾ b⁽ᵠ⁾ of one axis, as a factor."""
        gram = self.transform.gram(axis, first, second)
        return factor(gram.to(dtype=self.dtype, device=self.device))

    def kronecker(self, orders: dict[int, tuple[int, int]]) -> list[Factor]:
        """∫ b⁽ᵖ⁾ b⁽ᵠ⁾ of every axis, with (p, q) as given, else (0, 0)."""
        return [self.gram(k, *orders.get(k, (0, 0))) for k in range(self.transform.dim)]

    def terms(self) -> list[tuple]:
        """Of M, as ``Separable`` wants them."""
        raise NotImplementedError

    def spectrum(self) -> tuple[list[Tensor], Tensor]:
        """Modes of the axes, V with Vᵀ(∫ b b)V = I, and what M is in them but for the rest.

        Returns:
            V of each axis (m, m), and the diagonal (d, m₁, …, m_d).
        """
        raise NotImplementedError

    def coarser(self, refine: object = None) -> Regulariser:
        """The same energy on the coarser lattice."""
        w0 = None if self.w0 is None else self.transform.coarsen(self.w0)
        return replace(self, transform=self.transform.coarser(), w0=w0)

    def away(self, w: Tensor) -> Tensor:
        """w − w₀."""
        w = self.alike(w)
        return w if self.w0 is None else w - self.w0

    def alike(self, w: Tensor) -> Tensor:
        """w itself, after a look at it."""
        w = parameters(w, self.transform.parameters)
        kinds = w.dtype, self.dtype
        require(kinds[0] == kinds[1], f"expected w of {kinds[1]}, as the energy, got {kinds[0]}: see dtype")
        return w

    def value(self, w: Tensor) -> Tensor:
        """½ λ (w − w₀)ᵀM(w − w₀), a tensor without dimensions."""
        u = self.away(w)
        return 0.5 * self.strength * (u @ self.operator.forward(u))

    def gradient(self, w: Tensor) -> Tensor:
        """λM(w − w₀), (p,)."""
        return self.strength * self.operator.forward(self.away(w))

    def hessian(self, w: Tensor | None = None, kind: Kind = "exact") -> Operator:
        """λM as an operator p ← p, for both kinds."""
        return self.strength * self.operator

    def _modes(self, order: int) -> list[tuple[Tensor, Tensor]]:
        """λ and V of ∫ b⁽ᵠ⁾ b⁽ᵠ⁾ against ∫ b b, for each axis."""
        grams = [(self.transform.gram(k, order, order), self.transform.gram(k, 0, 0)) for k in self._axes]
        pairs = [generalised_modes(*pair) for pair in grams]
        return [tuple(part.to(dtype=self.dtype, device=self.device) for part in pair) for pair in pairs]

    @property
    def _axes(self) -> range:
        return range(self.transform.dim)

    def _shaped(self, values: Tensor, axis: int) -> Tensor:
        return values.reshape([-1 if k == axis else 1 for k in self._axes])


class Bending(Energy):
    """The bending energy of a thin plate: λ ½ ∫ Σᵢ ‖∇²uᵢ‖².

    An affine map costs nothing, so it needs no start near the answer's rotation. M is the sum over
    pairs of axes of ∫(∂ⱼ∂ₖu)²: ∫b″b″ along an axis, and twice ∫b′b′ along two.

    Example:
        >>> from regkit.freeform import FreeForm
        >>> free = FreeForm(Grid((1.0, 1.0), (4, 4)))
        >>> bending = Bending(free, 2.0)
        >>> affine = free.of(lambda x: 1.1 * x.flip(1) + 3)
        >>> bowl = free.of(lambda x: x + 0.5 * (x**2).sum(1, keepdim=True))  # ∂ⱼ∂ₖuᵢ = δⱼₖ
        >>> round(float(bending.value(affine)), 9), round(float(bending.value(bowl)), 9)
        (0.0, 4.0)
    """

    def terms(self) -> list[tuple]:
        """∫(∂ₖ∂ₖu)² and 2∫(∂ⱼ∂ₖu)²."""
        single = [(None, None, 1.0, self.kronecker({k: (2, 2)})) for k in self._axes]
        mixed = [
            (None, None, 2.0, self.kronecker({j: (1, 1), k: (1, 1)})) for k in self._axes for j in range(k)
        ]
        return single + mixed

    def spectrum(self) -> tuple[list[Tensor], Tensor]:
        """In the modes of ∫b″b″ those of ∫b′b′ are all but diagonal; affine maps keep the value 0.

        Of the two modes of value 0, of which any rotation would do, ∫b′b′ says which they are.
        """
        pairs = self._modes(2)
        values = [self._shaped(pair[0], k) for k, pair in enumerate(pairs)]
        slopes = []
        for k, (_, V) in enumerate(pairs):
            gram = self.transform.gram(k, 1, 1).to(V)
            V[:, :2] = V[:, :2] @ torch.linalg.eigh(V[:, :2].T @ gram @ V[:, :2])[1]
            slopes.append(self._shaped((V * (gram @ V)).sum(0), k))
        mixed = [2 * slopes[j] * slopes[k] for k in self._axes for j in range(k)]
        total = sum(values[1:] + mixed, start=values[0]).expand(self.transform.sizes)
        return [V for _, V in pairs], total.expand(self.transform.dim, *self.transform.sizes)


@dataclass(frozen=True, eq=False, repr=False)
class Elastic(Energy):
    """Linear elasticity: λ ∫ μ ‖ε‖² + ½ κ (div u)² with the strain ε = ½(∇u + ∇uᵀ).

    μ and κ are Lamé's constants; κ, often called λ, resists a change of volume. Shifts and
    infinitesimal turns cost nothing, a large rotation does: give w₀ where there is one.

    Args:
        transform: a ``FreeForm`` or ``DisplacementField``.
        strength: λ ≥ 0.
        w0 (p,): where the energy is zero; 0 if None.
        dtype, device: of w.
        mu: μ > 0.
        kappa: κ ≥ 0.

    Raises:
        ValueError: as ``Energy``, and for constants out of range.

    Example:
        >>> from regkit.freeform import FreeForm
        >>> free = FreeForm(Grid((1.0, 1.0), (4, 4)))
        >>> larger = free.of(lambda x: 1.5 * x)  # ε = I/2, div u = 1
        >>> round(float(Elastic(free, mu=1.0, kappa=3.0).value(larger)), 9)
        2.0
    """

    mu: float = 1.0
    kappa: float = 0.0

    def __post_init__(self):
        for constant, least in ((self.mu, 1e-300), (self.kappa, 0)):
            number(constant, "constants μ > 0 and κ ≥ 0", least, got=(self.mu, self.kappa))
        super().__post_init__()

    def terms(self) -> list[tuple]:
        """μ Σₖ ∫(∂ₖuᵢ)² + (μ + κ) ∫(∂ᵢuᵢ)² for each i, and μ ∂ⱼuᵢ ∂ᵢuⱼ + κ ∂ᵢuᵢ ∂ⱼuⱼ between two."""
        terms = []
        for i in self._axes:
            terms += [(i, i, self.mu, self.kronecker({k: (1, 1)})) for k in self._axes]
            terms.append((i, i, self.mu + self.kappa, self.kronecker({i: (1, 1)})))
            for j in self._axes:
                if j != i:
                    # b′ of this row's function along j, of that column's along i; and the other way
                    terms.append((i, j, self.mu, self.kronecker({j: (1, 0), i: (0, 1)})))
                    terms.append((i, j, self.kappa, self.kronecker({i: (1, 0), j: (0, 1)})))
        return [term for term in terms if term[2]]

    def spectrum(self) -> tuple[list[Tensor], Tensor]:
        """The blocks of each coordinate by itself, exactly."""
        pairs = self._modes(1)
        values = [self._shaped(pair[0], k).expand(self.transform.sizes) for k, pair in enumerate(pairs)]
        total = self.mu * sum(values[1:], start=values[0])
        return [V for _, V in pairs], torch.stack([total + (self.mu + self.kappa) * v for v in values])


@dataclass(frozen=True, eq=False, repr=False)
class Hyperelastic(Energy):
    """Hyperelasticity: λ ∫ ½ μ ‖∇u‖² + σ ψ(cof ∇y) + κ φ(det ∇y), for lengths, areas and volumes.

        φ(v) = ((v − 1)²/v)², infinite for v ≤ 0
        ψ(C) = Σₖ max(‖C eₖ‖² − 1, 0)²

    A piece of surface across axis k with area 1 has the area ‖cof ∇y eₖ‖ after the map: ψ is what
    larger ones cost, 0 for a rotation, and convex. In the plane cof ∇y has the entries of ∇y, so
    that lengths are all there is. The minimiser cannot fold where det ∇y is looked at: at the
    centres of ``grid``; of a ``DisplacementField`` on all sides of each of its own. With G v = ∇v
    and F = ∇y, ``hessian(w, "gauss-newton")`` is λ times

        μ M + Gᵀ ω (κ φ″(det F) cof F cof Fᵀ + σ cof′(F)ᵀ ψ″(cof F) cof′(F)) G,

    positive semidefinite, as φ and ψ are convex; "exact" has the curvature of det and cof as well.

    Args:
        transform: a ``FreeForm`` or ``DisplacementField``.
        strength: λ ≥ 0.
        w0 (p,): where the energy is zero; 0 if None.
        dtype, device: of w.
        mu: μ ≥ 0, against lengths.
        kappa: κ ≥ 0, against volumes.
        grid: of the images; None for the lattice's own.
        sigma: σ ≥ 0, against areas; in three dimensions only.

    Raises:
        ValueError: as ``Energy``, and for constants out of range.

    Example:
        >>> from regkit.freeform import FreeForm
        >>> free = FreeForm(Grid((1.0, 1.0), (4, 4)))
        >>> energy = Hyperelastic(free, mu=0.0, kappa=1.0)
        >>> for factor in (1.0, 2.0, 0.5, -1.0):  # of the area
        ...     w = free.of(lambda x: x * torch.tensor([factor, 1.0]))
        ...     print(round(float(energy.value(w)), 9))
        0.0
        0.25
        0.25
        inf
        >>> solid = FreeForm(Grid((1.0, 1.0, 1.0), (2, 2, 2)))
        >>> longer = solid.of(lambda x: x * torch.tensor([2.0, 1.0, 1.0]))  # two kinds of faces double
        >>> surfaces = Hyperelastic(solid, mu=0.0, kappa=0.0, sigma=1.0)
        >>> round(float(surfaces.value(longer)), 9)  # 2 (2² − 1)²
        18.0

    Source:
        Burger, Modersitzki & Ruthotto (2013), https://doi.org/10.1137/110835955
    """

    mu: float = 1.0
    kappa: float = 1.0
    grid: Grid | None = None
    sigma: float = 0.0

    def __post_init__(self):
        given = self.mu, self.kappa, self.sigma
        for constant in given:
            number(constant, "constants μ ≥ 0, κ ≥ 0 and σ ≥ 0", 0, got=given)
        fits = self.sigma == 0 or self.transform.dim == 3
        require(fits, f"expected σ = 0 in fewer than three dimensions, for lengths do it, got {self.sigma}")
        super().__post_init__()
        require(isinstance(self.grid, Grid | None), f"expected a Grid, or None, got {self.grid!r}")
        like, grid = torch.empty(0, dtype=self.dtype, device=self.device), self.grid or self.transform.lattice
        object.__setattr__(self, "_slopes", self.transform.slopes(grid, like))
        object.__setattr__(self, "_weight", self.strength * grid.cell_volume / len(self._slopes))

    def coarser(self, refine: object = None) -> Regulariser:
        """The same on the coarser lattice, and for a ``DisplacementField`` on its coarser grid."""
        coarse = self.transform.coarser()
        own = self.grid == self.transform.lattice
        w0 = None if self.w0 is None else self.transform.coarsen(self.w0)
        return replace(self, transform=coarse, w0=w0, grid=coarse.lattice if own else self.grid)

    def terms(self) -> list[tuple]:
        """Of ∫ ‖∇u‖² alone."""
        return [(None, None, self.mu, self.kronecker({k: (1, 1)})) for k in self._axes]

    def spectrum(self) -> tuple[list[Tensor], Tensor]:
        """Of the lengths: φ″(1) = 0, so near a map that keeps areas there is nothing else."""
        pairs = self._modes(1)
        values = [self._shaped(pair[0], k).expand(self.transform.sizes) for k, pair in enumerate(pairs)]
        total = self.mu * sum(values[1:], start=values[0])
        return [V for _, V in pairs], total.expand(self.transform.dim, *self.transform.sizes)

    def value(self, w: Tensor) -> Tensor:
        """λ ∫ ½ μ ‖∇u‖² + σ ψ + κ φ, a tensor without dimensions; infinite where the map folds."""
        total = super().value(w)
        for F in self._at(w):
            if self.kappa:
                total = total + self.kappa * self._weight * _phi(determinants(F))[0].sum()
            if self.sigma:
                total = total + self.sigma * self._weight * _larger(cofactors(F)).square().sum()
        return total

    def gradient(self, w: Tensor) -> Tensor:
        """Of the value, (p,)."""
        total = 0.0
        for slopes, F in zip(self._slopes, self._at(w), strict=True):
            C = cofactors(F)
            change = self.kappa * _phi(determinants(F))[1] * C
            if self.sigma:
                change = change + self.sigma * cofactors_change(F, 4 * _larger(C) * C)
            total = total + slopes.adjoint(self._weight * change)
        return super().gradient(w) + total.reshape(-1)

    def hessian(self, w: Tensor, kind: Kind = "exact") -> Operator:
        """The second derivative, or its part that is positive semidefinite, as an operator p ← p."""
        parts, sigma, exact = [], self.sigma, kind == "exact"
        for slopes, F in zip(self._slopes, self._at(w), strict=True):
            C, (_, first, second) = cofactors(F), _phi(determinants(F))
            parts.append(
                (slopes, F, C, self.kappa * first, self.kappa * second, _larger(C) if sigma else None)
            )

        def bend(v: Tensor) -> Tensor:
            fields, total = self.transform.fields(v), 0.0
            for slopes, F, C, first, second, larger in parts:
                U = slopes.change(fields)
                change = second * (C * U).sum((0, 1)) * C
                turned = cofactors_change(F, U) if exact or sigma else None
                if exact:
                    change = change + first * turned
                if sigma:
                    stretch = torch.where(larger > 0, 2 * (C * turned).sum(0), 0.0)
                    change = change + sigma * cofactors_change(F, 4 * (stretch * C + larger * turned))
                if sigma and exact:
                    change = change + sigma * cofactors_change(U, 4 * larger * C)
                total = total + slopes.adjoint(self._weight * change)
            return total.reshape(-1)

        both = columnwise(bend)
        return super().hessian() + FunctionOperator((len(w), len(w)), both, both)

    def _at(self, w: Tensor) -> list[Tensor]:
        """∇y in each of the ways in which it is looked at."""
        fields = self.transform.fields(self.alike(w))
        return [slopes(fields) for slopes in self._slopes]


def _phi(v: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """φ, φ′ and φ″ of s²: s = v − 2 + 1/v."""
    fits = v > 0
    v = torch.where(fits, v, 1.0)
    s, ds = (v - 1) ** 2 / v, 1 - v**-2
    return torch.where(fits, s**2, math.inf), 2 * s * ds, 2 * (ds**2 + 2 * s * v**-3)


def _larger(C: Tensor) -> Tensor:
    """max(‖C eₖ‖² − 1, 0) of each column, (d, …): by how much squared areas are larger than 1."""
    return (C.square().sum(0) - 1).clamp(min=0)
