"""Motions: closed forms against torch.func, operators against arrays, and chain rules by Taylor."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import pytest
import torch

from regkit.checks import adjoint_test, taylor_test
from regkit.motions import Motion
from regkit.transforms import Affine, Rigid, Transform, Translation

tensor = partial(torch.tensor, dtype=torch.float64)

CENTRE = (1.0, -2.0, 0.5)
ALL = [
    *(Affine(d) for d in (1, 2, 3)),
    *(Affine(d, CENTRE[:d]) for d in (1, 2, 3)),
    *(Rigid(d) for d in (2, 3)),
    *(Rigid(d, CENTRE[:d]) for d in (2, 3)),
    *(Translation(d, CENTRE[:d]) for d in (1, 2, 3)),
]
each = pytest.mark.parametrize("t", ALL, ids=str)


@dataclass(frozen=True)
class Bend(Transform):
    """A transformation that gives only y: y = x + w₁ sin(w₂ x) + w₃ w₁."""

    parameters = 3

    def __call__(self, w, x):
        return x + w[0] * (w[1] * x).sin() + w[2] * w[0]


def start(t, random):
    return t.identity() + 0.3 * random(t.parameters)


def close(a, b, tolerance=1e-10):
    assert a.shape == b.shape
    assert (a - b).norm() <= tolerance * (1 + b.norm())


@each
def test_closed_derivatives_agree_with_autodiff(t, random):
    w, x = start(t, random), random(9, t.dim)
    g, H = random(9, t.dim), random(9, t.dim, t.dim)
    H = H + H.mT
    closed, plain = t.on(x), Motion(t, x)
    close(closed(w), t(w, x))
    close(closed.jacobian(w), torch.func.jacfwd(lambda v: t(v, x))(w))
    close(t.jacobian(w, x), closed.jacobian(w))
    second = closed.second(w, g)
    expected = torch.func.hessian(lambda v: (g * t(v, x)).sum())(w)
    close(torch.zeros(len(w), len(w)).double() if second is None else second.dense(w), expected)
    close(closed.chain_rows(w, g), plain.chain_rows(w, g))
    close(closed.chain_gradient(w, g), plain.chain_gradient(w, g))
    close(closed.chain_hessian(w, H, g), plain.chain_hessian(w, H, g))
    close(closed.chain_hessian(w, H), plain.chain_hessian(w, H))


@pytest.mark.parametrize("t", [*ALL, Bend(1), Bend(2)], ids=str)
def test_operators_are_the_arrays(t, random):
    """∂y/∂w and gᵀ∂²y/∂w² as operators, against the full arrays; adjoint exact to rounding."""
    w = tensor([0.3, 0.7, -0.2]) if isinstance(t, Bend) else start(t, random)
    motion, p = t.on(random(6, t.dim)), len(w)
    g, v = random(6, t.dim), random(p)
    Y, second = motion.derivative(w), motion.second(w, g)
    assert Y.shape == (6 * t.dim, p)
    close(Y @ v, (motion.jacobian(w) @ v).reshape(-1))
    close(Y.T @ g.reshape(-1), motion.chain_gradient(w, g))
    assert adjoint_test(Y.forward, Y.adjoint, v) < 1e-14
    if second is not None:
        assert second.shape == (p, p)
        slope = lambda u: motion.chain_gradient(u, g)  # noqa: E731
        assert taylor_test(slope, w, v, first=second @ v).passes()
        assert adjoint_test(second.forward, second.adjoint, v) < 1e-13


@pytest.mark.parametrize("t", [*ALL, Bend(1), Bend(2)], ids=str)
def test_chain_rules_pass_taylor(t, random):
    """For Φ(w) = Σ φ(yᵢ(w)) with φ(y) = Π cos y, by hand: ∇φ and ∇²φ go in, ∇Φ and ∇²Φ come out."""
    w = tensor([0.3, 0.7, -0.2]) if isinstance(t, Bend) else start(t, random)
    x, v = random(6, t.dim), random(len(w))
    motion, y = t.on(x), t(w, x)
    phi, tan = y.cos().prod(1), y.tan()
    g = -phi[:, None] * tan
    H = phi[:, None, None] * (tan[:, :, None] * tan[:, None] - torch.diag_embed(1 + tan**2))
    first, second = motion.chain_gradient(w, g) @ v, v @ motion.chain_hessian(w, H, g) @ v
    result = taylor_test(lambda u: t(u, x).cos().prod(1).sum(), w, v, order=2, first=first, second=second)
    assert result.passes(), result.slopes
    close(motion.chain_rows(w, g).sum(0), motion.chain_gradient(w, g))
