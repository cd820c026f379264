"""The stages of Runge-Kutta steps through the network of a ``NeuralODE``, and derivatives by hand.

Every point flows by itself: y at one point knows nothing of the others. So one pass back gives a
row of ∂y/∂w for every point, as well as their sum, the gradient. Of second derivatives only the
velocity N has any, all else is linear in w and z. At each stage, with the derivative D of its input
by w, and λ that of the function by its output, λᵀ ∂²N[(D, I), (D, I)] is added up. That needs one
pass forward with all p columns of D, and never a column of a Hessian.

A product H v is the derivative of the gradient along v. With a dot for it, u = input, s = tanh a,
λ the derivative by the slope k = W₂ s + b₂, and μ that by a = A u + t τ + b₁, a stage has

    ȧ = A u̇ + Ȧ u + t τ̇ + ḃ₁,    ṡ = (1 − s²) ȧ,    k̇ = W₂ ṡ + Ẇ₂ s + ḃ₂,
    μ = (1 − s²) W₂ᵀλ,    μ̇ = (1 − s²) (W₂ᵀλ̇ + Ẇ₂ᵀλ) − 2 s μ ȧ,    ū̇ = Aᵀμ̇ + Ȧᵀμ.

u, s, λ and μ do not depend on v: they are kept, and a product is one pass forward and one back.

A function of the end is told by its derivative there, one of the way by those by each slope, ``own``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from regkit.operators import Operator, columnwise

if TYPE_CHECKING:
    from regkit.flows import NeuralODE

# The classical Runge-Kutta step: stage i begins at t + cᵢ Δt and z + cᵢ Δt k, with the k before it.
_NODES, _SHARES = (0.0, 0.5, 0.5, 1.0), (1 / 6, 1 / 3, 1 / 3, 1 / 6)
# So many points a time are small enough for a processor's cache; so many numbers are kept for products.
_POINTS, _HELD = 1024, 2**25

Weights = tuple[Tensor, Tensor, Tensor, Tensor, Tensor]
Adjoints = tuple[list[Tensor], list[Tensor]]


@dataclass(frozen=True)
class Change:
    """What the stages change by along a direction of w: dots, stage by stage.

    weights: the direction; end: ż; inputs: u̇ (d, n); unders: ȧ (h, n); tanh: ṡ (h, n); slopes: k̇ (d, n).
    """

    weights: Weights
    end: Tensor
    inputs: list[Tensor]
    unders: list[Tensor]
    tanh: list[Tensor]
    slopes: list[Tensor]


@dataclass(frozen=True)
class Second:
    """A change, and the derivatives by all slopes (d, n) and unders (h, n) as they are without it."""

    change: Change
    slopes: list[Tensor]
    unders: list[Tensor]


class Stages:
    """What the stages of some steps of a flow compute, all kept, and derivatives from it.

    u (d, n) is the input of a stage, s (h, n) its tanh, and v = (u, t, 1) what the first layer multiplies.
    """

    def __init__(self, flow: NeuralODE, w: Tensor, first: int, last: int, z: Tensor):
        self.dim, self.hidden, self.sizes = flow.dim, flow.hidden, flow.sizes
        self.p, self.dt, self.split = len(w), 1 / flow.steps, flow.weights
        self.weights, self.inputs, self.tanh, self.times = flow.weights(w), [], [], []
        in_space, in_time, b1, W2, b2 = self.weights
        for k in range(first, last):
            total, slope = z, z
            for node, share in zip(_NODES, _SHARES, strict=True):
                u, t = z.add(slope, alpha=node * self.dt) if node else z, (k + node) * self.dt
                s = torch.addmm(b1.add(in_time, alpha=t), in_space, u).tanh()
                slope = torch.addmm(b2, W2, s)
                total = total.add(slope, alpha=share * self.dt)
                self.inputs.append(u)
                self.tanh.append(s)
                self.times.append(t)
            z = total
        self.end = z

    def slopes(self) -> Tensor:
        """The velocity N at all stages, (S, d, n)."""
        return self.weights[4] + self.weights[3] @ torch.stack(self.tanh)

    def shares(self) -> Tensor:
        """What each stage's slope counts for in the integral over time, (S, 1, 1); together 1."""
        shares = self.tanh[0].new_tensor(_SHARES) * self.dt
        return shares.repeat(len(self.tanh) // 4)[:, None, None]

    def changed(self, v: Tensor) -> Change:
        """What all of it changes by along v (p,)."""
        in_space, _, _, W2, _ = self.weights
        space_dot, time_dot, b1_dot, W2_dot, b2_dot = weights = self.split(v)
        start = torch.zeros_like(self.inputs[0])
        found = inputs, unders, tanh, slopes = [], [], [], []
        for k in range(0, len(self.times), 4):
            here = total = start
            for i, stage in enumerate(range(k, k + 4)):
                u, s = self.inputs[stage], self.tanh[stage]
                under = torch.addmm(b1_dot.add(time_dot, alpha=self.times[stage]), space_dot, u)
                under = torch.addmm(under, in_space, here)
                bent = torch.addcmul(under, under, s.square(), value=-1)
                slope = torch.addmm(torch.addmm(b2_dot, W2_dot, s), W2, bent)
                for kept, part in zip(found, (here, under, bent, slope), strict=True):
                    kept.append(part)
                total = total.add(slope, alpha=_SHARES[i] * self.dt)
                if i < 3:
                    here = start.add(slope, alpha=_NODES[i + 1] * self.dt)
            start = total
        return Change(weights, start, inputs, unders, tanh, slopes)

    def pull(
        self,
        out: Tensor,
        own: Tensor | None,
        take: Callable[[int, Tensor, Tensor], None],
        second: Second | None = None,
    ) -> Tensor:
        """From the derivative by the end to that by the beginning, (d, n).

        ``take`` is given each stage's number, from the last to the first, and the derivatives by
        its slope (d, n) and by what is under its tanh (h, n). With ``second`` all these are what
        they change by, and so are ``out`` and ``own``.
        """
        (in_space, _, _, W2, _), stage = self.weights, len(self.times)
        while stage:
            total, by_input = out, out
            for i in (3, 2, 1, 0):
                stage -= 1
                slope = _SHARES[i] * self.dt * out
                if i < 3:
                    slope = slope.add(by_input, alpha=_NODES[i + 1] * self.dt)
                if own is not None:
                    slope = slope + own[stage]
                through, s = W2.T @ slope, self.tanh[stage]
                if second is not None:
                    through = torch.addmm(through, second.change.weights[3].T, second.slopes[stage])
                under = torch.addcmul(through, through, s.square(), value=-1)
                if second is not None:
                    bent = s * second.unders[stage]
                    under = torch.addcmul(under, bent, second.change.unders[stage], value=-2)
                by_input = in_space.T @ under
                if second is not None:
                    by_input = torch.addmm(by_input, second.change.weights[0].T, second.unders[stage])
                total = total + by_input
                take(stage, slope, under)
            out = total
        return out

    def adjoints(self, out: Tensor, own: Tensor | None = None) -> Adjoints:
        """From the derivative by the end: those by each stage's slope (d, n) and by what is under its
        tanh (h, n)."""
        found = []
        self.pull(out, own, lambda stage, slope, under: found.append((slope, under)))
        slopes, unders = zip(*found[::-1], strict=True)
        return list(slopes), list(unders)

    def back(self, out: Tensor, own: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """``adjoints`` of all stages, (S, d, n) and (S, h, n)."""
        slopes, unders = self.adjoints(out, own)
        return torch.stack(slopes), torch.stack(unders)

    def first_layer(self) -> Tensor:
        """v of all stages, (S, d + 2, n)."""
        u = torch.stack(self.inputs)
        t = torch.tensor(self.times, dtype=u.dtype, device=u.device)
        return torch.cat([u, t[:, None, None].expand_as(u[:, :1]), torch.ones_like(u[:, :1])], 1)

    def gradient(
        self, out: Tensor, own: Tensor | None = None, second: Second | None = None
    ) -> tuple[Tensor, Tensor]:
        """The derivatives by w (p,) and by the beginning (d, n); with ``second`` what they change by."""
        by_space, by_time, by_b1, by_W2, by_b2 = (torch.zeros_like(part) for part in self.weights)

        def add(stage: int, slope: Tensor, under: Tensor) -> None:
            nonlocal by_space, by_time, by_b1, by_W2, by_b2
            by_space = torch.addmm(by_space, under, self.inputs[stage].T)
            by_W2 = torch.addmm(by_W2, slope, self.tanh[stage].T)
            if second is not None:
                by_space = torch.addmm(by_space, second.unders[stage], second.change.inputs[stage].T)
                by_W2 = torch.addmm(by_W2, second.slopes[stage], second.change.tanh[stage].T)
            summed = under.sum(1, keepdim=True)
            by_time, by_b1 = by_time.add(summed, alpha=self.times[stage]), by_b1 + summed
            by_b2 = by_b2 + slope.sum(1, keepdim=True)

        out = self.pull(out, own, add, second)
        first = torch.cat([by_space, by_time], 1)
        return torch.cat([part.reshape(-1) for part in (first, by_b1, by_W2, by_b2)]), out

    def rows(self, out: Tensor) -> Tensor:
        """The derivatives by w of every point for itself, (n, p)."""
        slopes, unders = self.back(out)
        inner = torch.einsum("shn,sjn->nhj", unders, self.first_layer())
        outer = torch.einsum("sin,shn->nih", slopes, torch.stack(self.tanh))
        parts = inner[:, :, :-1].flatten(1), inner[:, :, -1], outer.flatten(1), slopes.sum(0).T
        return torch.cat(parts, 1)

    def hessian(
        self, H: Tensor, out: Tensor | None, own: Tensor | None = None, bend: Tensor | None = None
    ) -> Tensor:
        """Σ DᵀHD with D = ∂z/∂w at the end, for H (d, d, n), and the second derivative of ⟨out, z⟩.

        With ``own`` that of ⟨own, slopes⟩ as well; with ``bend`` (S,) Σ bendₛ DₛᵀDₛ, Dₛ = ∂slopeₛ/∂w.
        """
        d, h, n = self.dim, self.hidden, H.shape[-1]
        (in_space, _, _, W2, _), v = self.weights, self.first_layer()
        W1, b1 = slice(0, h * (d + 1)), slice(h * (d + 1), h * (d + 2))
        outer, b2 = slice(h * (d + 2), self.p - d), self.p - d
        curved = out is not None
        slopes, unders = self.back(out, own) if curved else (v, v)
        total, bent = in_space.new_zeros(2, self.p, self.p)
        D = in_space.new_zeros(d, self.p, n)
        for k, s in enumerate(self.tanh):
            if k % 4 == 0:
                here, after = D, D.clone()
            prime = 1 - s.square()
            if curved:  # everything with D at this stage: Σᵢ (½ Gᵢ D + Bᵢ) Dᵢᵀ and its transpose
                V = in_space.T[:, :, None] * (-2 * s * unders[k])
                X = _mixed(0.5 * (in_space.T @ V), here)
                for i in range(d):
                    X[i, W1].view(h, d + 1, n).addcmul_(V[i][:, None], v[k, :-1])
                    X[i, W1].view(h, d + 1, n)[:, i].add_(unders[k])
                    X[i, b1].add_(V[i])
                    X[i, outer].view(d, h, n).addcmul_(slopes[k][:, None], in_space[:, i, None] * prime)
                total += torch.bmm(X, here.mT).sum(0)
            Q = W2[:, :, None] * prime
            slope = _mixed(in_space.T @ Q, here)
            for i in range(d):
                slope[i, W1].view(h, d + 1, n).addcmul_(Q[i][:, None], v[k, :-1])
                slope[i, b1].add_(Q[i])
                slope[i, outer].view(d, h, n)[i].add_(s)
                slope[i, b2 + i].add_(1)
            if bend is not None:
                bent += bend[k] * torch.bmm(slope, slope.mT).sum(0)
            after.add_(slope, alpha=_SHARES[k % 4] * self.dt)
            if k % 4 < 3:
                here = torch.add(D, slope, alpha=_NODES[k % 4 + 1] * self.dt)
            else:
                D = after
        total = total + total.T + bent + torch.bmm(_mixed(H, D), D.mT).sum(0)
        return total + self._without(v, slopes, unders) if curved else total

    def _without(self, v: Tensor, slopes: Tensor, unders: Tensor) -> Tensor:
        """What is left of the second derivative at fixed inputs of the stages, (p, p)."""
        d, h = self.dim, self.hidden
        s, index = torch.stack(self.tanh), torch.arange(self.p, device=v.device).split(self.sizes)
        inner, outer = torch.cat([index[0].reshape(h, d + 1), index[1][:, None]], 1), index[2].reshape(d, h)
        pairs = (v[:, :, None] * v[:, None]).flatten(1, 2)
        both = torch.einsum("shn,sqn->hq", -2 * s * unders, pairs).reshape(h, d + 2, d + 2)
        mixed = torch.einsum("sihn,sjn->ihj", slopes[:, :, None] * (1 - s.square())[:, None], v)
        total = v.new_zeros(self.p, self.p)
        total[inner[:, :, None], inner[:, None]] = both
        total[outer[:, :, None], inner] = mixed
        total[inner, outer[:, :, None]] = mixed
        return total


def _mixed(M: Tensor, D: Tensor) -> Tensor:
    """Σⱼ Mᵢⱼ Dⱼ for a matrix at every point, M (d, d, n) and D (d, p, n)."""
    found = torch.empty_like(D)
    for i, row in enumerate(M):
        torch.mul(row[0], D[0], out=found[i])
        for j in range(1, len(row)):
            found[i].addcmul_(row[j], D[j])
    return found


class Held(Operator):
    """A symmetric operator p ← p at one w whose products go along paths, with their stages kept.

    As many paths as fit into ``_HELD`` numbers are kept, others are computed anew for every
    product. A subclass gives ``seed`` and ``product``, and calls ``hold`` when these can be asked.
    """

    def hold(self, flow: NeuralODE, w: Tensor, points: Tensor, curved: bool) -> None:
        """Compute what products at w need; ``curved`` for those with second derivatives of the stages.

        It is made here: made at its first use inside a derivative, it would not outlive that.
        """
        self.flow, self.at, self.points, self.curved = flow, w, points, curved
        each = 4 * flow.steps * (flow.dim + flow.hidden) * (2 if curved else 1)
        self._kept = [self._made(k) for k in range(0, min(len(points), _HELD // each), _POINTS)]

    def seed(self, part: slice, stages: Stages) -> tuple[Tensor, Tensor | None]:
        """The derivative of the function by the end (d, n), and those by the slopes, if any."""
        raise NotImplementedError

    def product(self, v: Tensor) -> Tensor:
        """A v."""
        raise NotImplementedError

    def _made(self, k: int) -> tuple[slice, Stages, Adjoints | None]:
        part = slice(k, k + _POINTS)
        stages = self.flow._stages(self.at, self.points[part])
        return part, stages, stages.adjoints(*self.seed(part, stages)) if self.curved else None

    def parts(self) -> Iterator[tuple[slice, Stages, Adjoints | None]]:
        """Which points, their stages, and the derivatives by these for a curved operator."""
        yield from self._kept
        for k in range(len(self._kept) * _POINTS, len(self.points), _POINTS):
            yield self._made(k)

    @property
    def shape(self) -> tuple[int, int]:
        """(p, p)."""
        return len(self.at), len(self.at)

    def forward(self, x: Tensor) -> Tensor:
        """A x."""
        return columnwise(self.product)(x)

    def adjoint(self, y: Tensor) -> Tensor:
        """Aᵀ y = A y."""
        return self.forward(y)
