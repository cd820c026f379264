"""Transformations: what they do to points, their algebra, and closed-form derivatives against torch.func."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import partial

import pytest
import torch

from regkit.flows import NeuralODE
from regkit.grid import Grid
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
        (lambda: Affine(2, (1, 2, 3)), r"expected a centre in 2 dimensions, got \(1, 2, 3\)"),
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
        (lambda: NeuralODE(steps=0), r"expected steps to be 1, 2, …, got 0"),
        (lambda: NeuralODE(hidden=2.5), r"expected hidden to be 1, 2, …, got 2.5"),
        (lambda: NeuralODE(unit=-1.0), r"expected a unit above 0, got -1.0"),
        (lambda: NeuralODE(center=(1.0,)), r"expected a centre in 2 dimensions, got \(1.0,\)"),
        (
            lambda: NeuralODE()(torch.zeros(6), torch.zeros(1, 2)),
            r"expected parameters of shape \(50,\), got \(6,\)",
        ),
        (
            lambda: NeuralODE()(torch.zeros(50), torch.zeros(2, 50)),
            r"expected points of shape \(n, 2\), got \(2, 50\)",
        ),
    ],
)
def test_bad_input_says_what_is_wrong(make, message):
    with pytest.raises(ValueError, match=message):
        make()
