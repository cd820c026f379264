"""Transformations: what they do to points, their algebra, and closed-form derivatives against torch.func."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import partial

import pytest
import torch

from regkit.checks import adjoint_test, taylor_test
from regkit.grid import Grid
from regkit.transforms import Affine, Motion, Rigid, Transform, Translation

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


def test_affine_by_hand():
    w = tensor([1, 2, 3, 4, 5, 6])
    x = tensor([[1, 1], [2, 0]])
    assert Affine()(w, x).tolist() == [[8, 13], [7, 12]]
    assert Affine(center=(1, 1))(w, x).tolist() == [[6, 7], [5, 6]]  # the centre itself moves by b
    A, b = Affine(center=(1, 1)).matrix(w)
    close(x @ A.T + b, Affine(center=(1, 1))(w, x))


def test_rotations_turn_counter_clockwise():
    quarter = math.pi / 2
    turned = Rigid()(tensor([quarter, 0, 0]), tensor([[1.0, 0.0]]))
    close(turned, tensor([[0.0, 1.0]]))
    unit = torch.eye(3, dtype=torch.float64)
    for axis, (before, after) in enumerate([(1, 2), (2, 0), (0, 1)]):  # about x: y to z; about y: z to x; …
        w = torch.zeros(6, dtype=torch.float64)
        w[axis] = quarter
        close(Rigid(3)(w, unit[before : before + 1]), unit[after : after + 1])
    w = tensor([0.3, -0.4, 0.5, 0, 0, 0])
    single = [torch.where(torch.arange(6) == k, w, 0.0) for k in range(3)]
    product = Rigid(3).matrix(single[2])[0] @ Rigid(3).matrix(single[1])[0] @ Rigid(3).matrix(single[0])[0]
    close(Rigid(3).matrix(w)[0], product)


@each
def test_identity_inverse_and_composition(t, random):
    x, w1, w2 = random(7, t.dim), start(t, random), start(t, random)
    assert len(t.identity()) == t.parameters
    close(t(t.identity(), x), x)
    close(t(t.inverse(w1), t(w1, x)), x)
    close(t(w1, t(t.inverse(w1), x)), x)
    close(t(t.compose(w1, w2), x), t(w1, t(w2, x)))
    close(t.from_matrix(*t.matrix(w1)), w1)


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


def test_a_grid_stands_for_its_points():
    grid = Grid((4.0, 6.0), (3, 2))
    for t, w in ((Bend(2), tensor([0.3, 0.7, -0.2])), (Affine(center=(2, 3)), tensor([1, 2, 3, 4, 5, 6]))):
        motion = t.on(grid)
        assert motion.points.equal(grid.points())
        close(motion(w), t(w, grid.points()), 1e-15)
        assert repr(motion).endswith(f"of 6 points: {t}")
        assert t.on(grid, torch.float32).points.dtype == torch.float32
    with pytest.raises(ValueError, match=r"expected points of shape \(n, 3\), got \(6, 2\)"):
        Affine(3).on(grid)


def test_parameters_mean_the_same_at_every_size(random):
    for t in ALL:
        w = start(t, random)
        assert t.coarser() == t and t.refine(w) is w


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


def test_dtype_is_inherited(random):
    for t in ALL:
        w = t.identity(dtype=torch.float32)
        assert t(w, random(3, t.dim).float()).dtype == torch.float32
        H = random(3, t.dim, t.dim).float()
        assert t.on(random(3, t.dim).float()).chain_hessian(w, H).dtype == torch.float32


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Affine(4), r"expected dimension 1, 2 or 3, got 4"),
        (lambda: Rigid(1), r"expected dimension 2 or 3 for a rigid map, got 1"),
        (lambda: Affine(2, (1, 2, 3)), r"expected a centre in 2 dimensions, got \(1.0, 2.0, 3.0\)"),
        (
            lambda: Affine()(torch.zeros(5), torch.zeros(1, 2)),
            r"expected parameters of shape \(6,\), got \(5,\)",
        ),
        (
            lambda: Affine()(torch.zeros(6), torch.zeros(2, 50)),
            r"expected points of shape \(n, 2\), got \(2, 50\)",
        ),
        (lambda: Affine().inverse(torch.zeros(6)), r"expected an invertible matrix A"),
        (lambda: Rigid().from_matrix(2 * torch.eye(2), torch.zeros(2)), r"expected a rotation matrix"),
        (
            lambda: Rigid().from_matrix(torch.diag(torch.tensor([1.0, -1])), torch.zeros(2)),
            r"rotation matrix",
        ),
        (lambda: Translation().from_matrix(2 * torch.eye(2), torch.zeros(2)), r"expected the unit matrix"),
    ],
)
def test_bad_input_says_what_is_wrong(make, message):
    with pytest.raises(ValueError, match=message):
        make()
