"""Transformations that are flows: their gradient in little memory, all derivatives by hand.

A flow takes many steps one after the other. Reverse mode keeps what every step has computed: its
memory grows with the number of steps. But each step can be repeated from the point where it
began. So a point is kept at the beginning of every stretch of a few steps, and what is between is
computed anew, one stretch at a time; of many stretches only every so many keep their points.

    z₀ → z₁ → … → z_K,    z̄ₖ = (∂zₖ₊₁/∂zₖ)ᵀ z̄ₖ₊₁,    w̄ = Σₖ (∂zₖ₊₁/∂w)ᵀ z̄ₖ₊₁

Products with the Hessian are taken many times at one w: what does not depend on the vector is kept.

Source:
    Griewank & Walther (2000), https://doi.org/10.1145/347837.347846
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from regkit._require import number, parameters, points_tensor, require
from regkit._stages import _POINTS, Held, Second, Stages
from regkit.grid import Grid
from regkit.motions import Motion
from regkit.operators import Blocks, Diagonal, Jacobian, Operator
from regkit.transforms import Transform, _checked_center, _tensor_of

# So many points are kept at most on the way between two that are kept; of the paper's steps everything.
_PARTS, _WHOLE = 32, 9

Back = Callable[[Tensor], tuple[Tensor, Tensor]]


def pulled_back(
    stretch: Callable[[Tensor, int, int, Tensor], tuple[Tensor, Back]],
    w: Tensor,
    z: Tensor,
    steps: int,
    out: Tensor,
    whole: int = 1,
) -> tuple[Tensor, Tensor]:
    """Reverse mode through z₀ → z₁ → … → z_K, which keeps few of the zₖ.

    Up to ``whole`` steps are one stretch. Of more, the points are kept where stretches begin, and
    every step is computed twice; of more than 32 stretches one point for 32 of them, and so on.

    Args:
        stretch: (w, a, b, zₐ) ↦ z_b, and z̄_b ↦ (w̄, z̄ₐ); as ``torch.func.vjp`` returns the two.
        w (p,): the parameters.
        z (any shape): z₀.
        steps: how many there are, K.
        out (as z): z̄_K, the derivative of a function by z_K.
        whole: how many steps are given to ``stretch`` at one time, at most.

    Returns:
        Its derivatives by w, (p,), and by z₀, of the shape of z.

    Example:
        >>> def grow(w, a, b, z):
        ...     return torch.func.vjp(lambda w, z: (1 + w[0]) ** (b - a) * z, w, z)
        >>> one = torch.ones(1, dtype=torch.float64)
        >>> pulled_back(grow, one, one, 10, one)  # z₁₀ = (1 + w)¹⁰ z₀
        (tensor([5120.], dtype=torch.float64), tensor([1024.], dtype=torch.float64))
    """

    def back(first: int, last: int, z: Tensor, out: Tensor, total: Tensor) -> tuple[Tensor, Tensor]:
        if last - first <= whole:
            change, out = stretch(w, first, last, z)[1](out)
            return total + change, out
        size = whole
        while last - first > _PARTS * size:
            size *= _PARTS
        marks, kept = range(first, last, size), [z]
        for a, b in itertools.pairwise(marks):
            for k in range(a, b, whole):
                z = stretch(w, k, min(k + whole, b), z)[0]
            kept.append(z)
        for a, b in zip(reversed(marks), reversed([*marks[1:], last]), strict=True):
            total, out = back(a, b, kept.pop(), out, total)
        return total, out

    return back(0, steps, z, out, torch.zeros_like(w)) if steps else (torch.zeros_like(w), out)


@dataclass(frozen=True, eq=False, repr=False)
class FlowMotion(Motion):
    """A ``NeuralODE`` at fixed points: the memory of its gradient hardly grows with the steps.

    Args:
        transform: the flow.
        points (n, d): where it begins.
    """

    transform: NeuralODE

    def derivative(self, w: Tensor) -> FlowJacobian:
        """∂y/∂w as an operator n·d ← p: forward mode, and ``pulled_back``."""
        return FlowJacobian(self.flat, w, self)

    def flat(self, w: Tensor) -> Tensor:
        """y point by point, (n·d,)."""
        return self(w).reshape(-1)

    def second(self, w: Tensor, g: Tensor) -> Operator:
        """Σᵢ gᵢᵀ ∂²yᵢ/∂w² as an operator p ← p."""
        return _FlowCurvature(self, w, None, None, g)

    def bent(
        self, w: Tensor, C: Operator, slopes: Tensor, H: Tensor | None = None, g: Tensor | None = None
    ) -> Operator:
        """As ``Motion.bent``: a product is one pass forward and one back, over stages that are kept."""
        if type(C) is Diagonal and slopes.shape[1] == 1:
            slope = slopes[:, 0]
            local = (C.entries[:, None] * slope)[:, :, None] * slope[:, None]
            return _FlowCurvature(self, w, local if H is None else local + H, None, g)
        G = Blocks(slopes)
        return _FlowCurvature(self, w, H, G.T @ C @ G, g)

    def chain_gradient(self, w: Tensor, g: Tensor) -> Tensor:
        """Σᵢ gᵢᵀ ∂yᵢ/∂w, (p,)."""
        flow, total = self.transform, torch.zeros_like(w)

        def stretch(w: Tensor, first: int, last: int, z: Tensor) -> tuple[Tensor, Back]:
            stages = Stages(flow, w, first, last, z)
            return stages.end, stages.gradient

        for x, part in zip(self.points.split(_POINTS), g.split(_POINTS), strict=True):
            out = flow.unit * part.T
            total = total + pulled_back(stretch, w, flow.begin(w, x), flow.steps, out, _WHOLE)[0]
        return total

    def chain_rows(self, w: Tensor, g: Tensor) -> Tensor:
        """Rows gᵢᵀ ∂yᵢ/∂w, (n, p): one pass back, whatever p is."""
        parts = zip(self.points.split(_POINTS), g.split(_POINTS), strict=True)
        return torch.cat(
            [self.transform._stages(w, x).rows(self.transform.unit * part.T) for x, part in parts]
        )

    def chain_hessian(self, w: Tensor, H: Tensor, g: Tensor | None = None) -> Tensor:
        """Σᵢ (∂yᵢ/∂w)ᵀ Hᵢ ∂yᵢ/∂w + gᵢᵀ ∂²yᵢ/∂w², (p, p), for H (n, d, d). Without g: the first term."""
        unit, total = self.transform.unit, torch.zeros(len(w), len(w), dtype=w.dtype, device=w.device)
        for k in range(0, len(self.points), _POINTS):
            part = slice(k, k + _POINTS)
            inner = unit**2 * H[part].permute(1, 2, 0)
            out = None if g is None else unit * g[part].T
            total = total + self.transform._stages(w, self.points[part]).hessian(inner, out)
        return total


@dataclass(frozen=True, eq=False, repr=False)
class FlowJacobian(Jacobian):
    """∂y/∂w of a flow at one w.

    Args:
        function: w (p,) ↦ y, point by point.
        at (p,): w.
        motion: the flow at its points.
    """

    motion: FlowMotion

    @property
    def shape(self) -> tuple[int, int]:
        """(n·d, p)."""
        return self.motion.points.numel(), len(self.at)

    def dense(self, like: Tensor) -> Tensor:
        """All entries (m, n), of the type and on the device of ``like``: one pass back a coordinate."""
        points = self.motion.points
        units = torch.eye(points.shape[1], dtype=points.dtype, device=points.device)
        rows = [self.motion.chain_rows(self.at, unit.expand(points.shape)) for unit in units]
        return torch.stack(rows, 1).flatten(0, 1).to(like)

    def adjoint(self, y: Tensor) -> Tensor:
        """Aᵀ y."""
        if y.ndim > 1:
            return torch.stack([self.adjoint(column) for column in y.T], dim=1)
        return self.motion.chain_gradient(self.at, y.reshape(self.motion.points.shape))


class _FlowCurvature(Held):
    """Σᵢ (∂yᵢ/∂w)ᵀ Mᵢ ∂yᵢ/∂w + Yᵀ R Y + gᵢᵀ ∂²yᵢ/∂w², with Y = ∂y/∂w, for M (n, d, d) and any operator R.

    What belongs to a point alone is one pass forward and one back, the derivative of the gradient
    with the derivative of g by y; R needs all points, and another pass back.
    """

    def __init__(self, motion: FlowMotion, w: Tensor, M: Tensor | None, R: Operator | None, g: Tensor | None):
        self.motion, self.M, self.R, self.g = motion, M, R, g
        self.hold(motion.transform, w, motion.points, g is not None)

    def seed(self, part: slice, stages: Stages) -> tuple[Tensor, None]:
        """g, in the unit of the flow."""
        return self.flow.unit * self.g[part].T, None

    def product(self, v: Tensor) -> Tensor:
        """A v."""
        total, unit, ends = torch.zeros_like(v), self.flow.unit, []
        for part, stages, adjoints in self.parts():
            change = stages.changed(v)
            y = unit * change.end.T
            out = torch.zeros_like(y) if self.M is None else torch.einsum("nij,nj->ni", self.M[part], y)
            second = Second(change, *adjoints) if adjoints else None
            total = total + stages.gradient(unit * out.T, None, second)[0]
            ends.append(y)
        if self.R is None:
            return total
        out = self.R.forward(torch.cat(ends).reshape(-1)).reshape(self.points.shape)
        for part, stages, _ in self.parts():
            total = total + stages.gradient(unit * out[part].T)[0]
        return total

    def dense(self, like: Tensor) -> Tensor:
        """All entries (p, p), of the type and on the device of ``like``: one pass forward for all columns."""
        n, d = self.points.shape
        M = self.points.new_zeros(n, d, d) if self.M is None else self.M
        total = self.motion.chain_hessian(self.at, M, self.g)
        if self.R is not None:
            Y = self.motion.derivative(self.at).dense(like)
            total = total + Y.T @ (self.R @ Y)
        return total.to(like)


@dataclass(frozen=True)
class NeuralODE(Transform):
    """Every point flows for one unit of time through a velocity field that is a small neural network.

    With z = (x − c) / ℓ, the network N has one hidden layer, and time is one of its inputs:

        dz/dt = N(z, t; w) = W₂ tanh(W₁ (z, t) + b₁) + b₂,   z(0) = (x − c) / ℓ,   y = c + ℓ z(1)

    w = (W₁ row by row, b₁, W₂ row by row, b₂) has p = h (d + 2) + d (h + 1) numbers; with h = 8 and
    d = 2 these are 50. A flow cannot fold; its Runge-Kutta steps do not as long as they are short.

    Args:
        dim: the number of dimensions d.
        hidden: h, the number of neurons.
        steps: how many Runge-Kutta steps; nine are those of the times ``linspace(0, 1, 10)``.
        center (d numbers, in the unit of the grid): c; None means 0.
        unit (in the unit of the grid): ℓ. A quarter of the image's side keeps tanh from saturating.

    Raises:
        ValueError: for sizes that are not positive; a wrong number of parameters or coordinates.

    Example:
        >>> flow = NeuralODE()
        >>> w = torch.zeros(flow.parameters)
        >>> w[-2:] = torch.tensor([3.0, 1.0])  # b₂: the same velocity everywhere
        >>> flow(w, torch.tensor([[1.0, 2.0]]))
        tensor([[4., 3.]])

    Source:
        Chen et al. (2018), https://arxiv.org/abs/1806.07366
    """

    hidden: int = 8
    steps: int = 9
    center: tuple[float, ...] | None = None
    unit: float = 1.0

    def __post_init__(self):
        for name in ("dim", "hidden", "steps"):
            value = getattr(self, name)
            require(isinstance(value, int) and value > 0, f"expected {name} to be 1, 2, …, got {value!r}")
        number(self.unit, "a unit above 0", 1e-300)
        object.__setattr__(self, "center", _checked_center(self.center, self.dim))

    @property
    def parameters(self) -> int:
        """Length p of w."""
        return sum(self.sizes)

    @property
    def sizes(self) -> list[int]:
        """How many numbers of w belong to W₁, b₁, W₂ and b₂."""
        d, h = self.dim, self.hidden
        return [h * (d + 1), h, d * h, d]

    def on(
        self, x: Grid | Tensor, dtype: torch.dtype = torch.float64, device: torch.device | str | None = None
    ) -> FlowMotion:
        """As ``Transform.on``."""
        return FlowMotion(self, super().on(x, dtype, device).points)

    def __call__(self, w: Tensor, x: Tensor) -> Tensor:
        """y(x; w), (n, d), for w (p,) and x (n, d)."""
        x = points_tensor(x, self.dim)
        w = parameters(w, self.parameters, x)
        z = self.begin(w, x)
        for k in range(self.steps):
            z = self.step(w, k, z)
        return self.end(z)

    def begin(self, w: Tensor, x: Tensor) -> Tensor:
        """z(0) (d, n) at x (n, d), after a look at both."""
        p, shape = self.parameters, tuple(w.shape)
        require(shape == (p,), f"expected parameters of shape ({p},), got {shape}")
        x = points_tensor(x, self.dim)
        return ((x - _tensor_of(self.center, self.dim, x)) / self.unit).T

    def end(self, z: Tensor) -> Tensor:
        """y (n, d) where the flow ends at z (d, n)."""
        return _tensor_of(self.center, self.dim, z) + self.unit * z.T

    def step(self, w: Tensor, k: int, z: Tensor) -> Tensor:
        """Step k = 0, 1, … of Runge and Kutta: z (d, n) one step later."""
        return Stages(self, w, k, k + 1, z).end

    def _stages(self, w: Tensor, x: Tensor) -> Stages:
        """Those of all steps, for the paths from x (n, d)."""
        return Stages(self, w, 0, self.steps, self.begin(w, x))

    def weights(self, w: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
        """W₁ in the columns of z (h, d) and in that of t (h, 1), b₁ (h, 1), W₂ (d, h), b₂ (d, 1)."""
        W1, b1, W2, b2 = w.split(self.sizes)
        in_space, in_time = W1.reshape(self.hidden, -1).split([self.dim, 1], dim=1)
        return in_space, in_time, b1[:, None], W2.reshape(self.dim, -1), b2[:, None]

    def identity(
        self, dtype: torch.dtype = torch.float64, device: torch.device | str | None = None, seed: int = 0
    ) -> Tensor:
        """A w (p,) with y(x; w) = x: W₂ = b₂ = 0. W₁ is drawn: from W₁ = 0 only b₂ would ever move."""
        draw = torch.randn(self.sizes[0], generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
        w = torch.zeros(self.parameters, dtype=torch.float64)
        w[: len(draw)] = draw / math.sqrt(self.dim + 1)
        return w.to(dtype=dtype, device=device)
