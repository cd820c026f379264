"""The stages of Runge-Kutta steps through the network of a ``NeuralODE``, and derivatives by hand.

Every point flows by itself: y at one point knows nothing of the others. So one pass back gives a
row of ∂y/∂w for every point, as well as their sum, the gradient. Of second derivatives only the
velocity N has any, all else is linear in w and z. At each stage, with the derivative D of its input
by w, and λ that of the function by its output, λᵀ ∂²N[(D, I), (D, I)] is added up. That needs one
pass forward with all p columns of D, and never a column of a Hessian.

A function of the end is told by its derivative there, one of the way by those by each slope, ``own``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import torch
from torch import Tensor

if TYPE_CHECKING:
    from regkit.flows import NeuralODE

# The classical Runge-Kutta step: stage i begins at t + cᵢ Δt and z + cᵢ Δt k, with the k before it.
_NODES, _SHARES = (0.0, 0.5, 0.5, 1.0), (1 / 6, 1 / 3, 1 / 3, 1 / 6)


class Stages:
    """What the stages of some steps of a flow compute, all kept, and derivatives from it.

    u (d, n) is the input of a stage, s (h, n) its tanh, and v = (u, t, 1) what the first layer multiplies.
    """

    def __init__(self, flow: NeuralODE, w: Tensor, first: int, last: int, z: Tensor):
        self.dim, self.hidden, self.sizes = flow.dim, flow.hidden, flow.sizes
        self.p, self.dt = len(w), 1 / flow.steps
        self.weights, self.inputs, self.tanh, self.times = flow.weights(w), [], [], []
        in_space, in_time, b1, W2, b2 = self.weights
        for k in range(first, last):
            total, slope = z, z
            for node, share in zip(_NODES, _SHARES, strict=True):
                u, t = (z + node * self.dt * slope if node else z), (k + node) * self.dt
                s = torch.addmm(b1 + t * in_time, in_space, u).tanh()
                slope = torch.addmm(b2, W2, s)
                total = total + share * self.dt * slope
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

    def pull(self, out: Tensor, own: Tensor | None, take: Callable[[int, Tensor, Tensor], None]) -> Tensor:
        """From the derivative by the end to that by the beginning, (d, n).

        ``take`` is given each stage's number, from the last to the first, and the derivatives by
        its slope (d, n) and by what is under its tanh (h, n).
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
                under = torch.addcmul(through := W2.T @ slope, through, self.tanh[stage].square(), value=-1)
                by_input = in_space.T @ under
                total = total + by_input
                take(stage, slope, under)
            out = total
        return out

    def back(self, out: Tensor, own: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """From the derivative by the end: those by each stage's slope (S, d, n), and by what is under
        its tanh (S, h, n)."""
        found = []
        self.pull(out, own, lambda stage, slope, under: found.append((slope, under)))
        slopes, unders = zip(*found[::-1], strict=True)
        return torch.stack(slopes), torch.stack(unders)

    def first_layer(self) -> Tensor:
        """v of all stages, (S, d + 2, n)."""
        u = torch.stack(self.inputs)
        t = torch.tensor(self.times, dtype=u.dtype, device=u.device)
        return torch.cat([u, t[:, None, None].expand_as(u[:, :1]), torch.ones_like(u[:, :1])], 1)

    def gradient(self, out: Tensor, own: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """The derivatives by w (p,) and by the beginning (d, n)."""
        by_space, by_time, by_b1, by_W2, by_b2 = (torch.zeros_like(part) for part in self.weights)

        def add(stage: int, slope: Tensor, under: Tensor) -> None:
            nonlocal by_space, by_time, by_b1, by_W2, by_b2
            summed = under.sum(1, keepdim=True)
            by_space, by_W2 = by_space + under @ self.inputs[stage].T, by_W2 + slope @ self.tanh[stage].T
            by_time, by_b1 = by_time + self.times[stage] * summed, by_b1 + summed
            by_b2 = by_b2 + slope.sum(1, keepdim=True)

        out = self.pull(out, own, add)
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
