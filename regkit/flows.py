"""Transformations that are flows: their gradient in little memory, their Jacobian and Hessian by hand.

A flow takes many steps one after the other. Reverse mode keeps what every step has computed: its
memory grows with the number of steps. But each step can be repeated from the point where it
began. So a few such points are kept, at eighths of the way, then at eighths of the last eighth, …;
for K steps that is one point for every log₈ K eighths, and what a few steps compute.

    z₀ → z₁ → … → z_K,    z̄ₖ = (∂zₖ₊₁/∂zₖ)ᵀ z̄ₖ₊₁,    w̄ = Σₖ (∂zₖ₊₁/∂w)ᵀ z̄ₖ₊₁

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

from regkit._require import points_tensor, require
from regkit._stages import Stages
from regkit.grid import Grid
from regkit.motions import Motion
from regkit.operators import Hessian, Jacobian
from regkit.transforms import Transform, _checked_center, _tensor_of

# Between two points that are kept, so many are kept when the way between them is gone back.
_PARTS = 8
# Of so many steps of a flow all is kept, and so many points a time are small enough for a processor's cache.
_KEPT, _POINTS = 10, 1024


Several = Callable[[Tensor, int, int, Tensor, Tensor], tuple[Tensor, Tensor]]


def pulled_back(
    step: Callable[[Tensor, int, Tensor], Tensor],
    w: Tensor,
    z: Tensor,
    steps: int,
    out: Tensor,
    several: Several | None = None,
    most: int = 1,
) -> tuple[Tensor, Tensor]:
    """Reverse mode through zₖ₊₁ = step(w, k, zₖ), which keeps few of the zₖ.

    Every step is computed about log₈ K + 1 times. torch.func.jvp of this function is a product with
    the second derivative.

    Args:
        step: (w, k, z) ↦ z one step later.
        w (p,): the parameters.
        z (any shape): z₀.
        steps: how many there are, K.
        out (as z): z̄_K, the derivative of a function by z_K.
        several: (w, a, b, zₐ, z̄_b) ↦ what this function returns, for the steps from a to b; None
            for torch.func and one step.
        most: how many steps it is given at one time, at most.

    Returns:
        Its derivatives by w, (p,), and by z₀, of the shape of z.

    Example:
        >>> grow = lambda w, k, z: z + w[0] * z
        >>> one = torch.ones(1, dtype=torch.float64)
        >>> pulled_back(grow, one, one, 10, one)  # z₁₀ = (1 + w)¹⁰ z₀
        (tensor([5120.], dtype=torch.float64), tensor([1024.], dtype=torch.float64))
    """

    def single(w: Tensor, first: int, last: int, z: Tensor, out: Tensor) -> tuple[Tensor, Tensor]:
        return torch.func.vjp(lambda w, z: step(w, first, z), w, z)[1](out)

    leaf = several or single

    def back(first: int, last: int, z: Tensor, out: Tensor, total: Tensor) -> tuple[Tensor, Tensor]:
        if last - first <= most:
            change, out = leaf(w, first, last, z, out)
            return total + change, out
        marks = sorted({first + (last - first) * part // _PARTS for part in range(_PARTS)})
        kept = [z]
        for a, b in itertools.pairwise(marks):
            for k in range(a, b):
                z = step(w, k, z)
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

    def second(self, w: Tensor, g: Tensor) -> Hessian:
        """Σᵢ gᵢᵀ ∂²yᵢ/∂w² as an operator p ← p: forward mode through ``pulled_back``."""
        return Hessian(lambda v: self.chain_gradient(v, g), w)

    def chain_gradient(self, w: Tensor, g: Tensor) -> Tensor:
        """Σᵢ gᵢᵀ ∂yᵢ/∂w, (p,)."""
        flow = self.transform

        def several(w: Tensor, first: int, last: int, z: Tensor, out: Tensor) -> tuple[Tensor, Tensor]:
            return Stages(flow, w, first, last, z).gradient(out)

        z, out = flow.begin(w, self.points), flow.unit * g.T
        return pulled_back(flow.step, w, z, flow.steps, out, several, _KEPT)[0]

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
        require(math.isfinite(self.unit) and self.unit > 0, f"expected a unit above 0, got {self.unit}")
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
