"""The bold claims of chapter 1. The machines tested are those that the reader sees, read from the notebook.

Each is held against something else: a hand calculation, a count, a difference quotient, a dense matrix.
"""

import ast
import math
from fractions import Fraction
from typing import ClassVar

import nbformat
import numpy as np
import pytest
import torch
from torch.func import grad, hessian, jvp, vjp

from regbook.meter import price
from regkit import coefficients, data, evaluate
from tools.toc import ROOT

pytestmark = pytest.mark.usefixtures("double_precision")


class Chapter:
    """What the notebook defines at top level, by name: ``chapter.Dual``."""

    def __init__(self):
        book = nbformat.read(ROOT / "book" / "01_ad_basics.ipynb", as_version=4)
        sources = [cell.source.replace(";\n", "\n") for cell in book.cells if cell.cell_type == "code"]
        wanted = [
            node
            for source in sources
            for node in ast.parse(source).body
            if isinstance(node, ast.FunctionDef | ast.ClassDef)
        ]
        names = {"torch": torch, "math": math, "np": np, "Fraction": Fraction, "A0": 0.23, "B0": 0.1}
        exec("from dataclasses import dataclass\nfrom torch.func import grad, jacfwd, jvp, vjp", names)
        exec(compile(ast.Module(wanted, []), "01_ad_basics.ipynb", "exec"), names)
        self.__dict__.update(names)


@pytest.fixture(scope="module")
def chapter():
    return Chapter()


def slopes_by_hand(a, b, x=2.0, R=1.0):
    """∂J/∂a and ∂J/∂b of the pixel, worked out on paper."""
    y = a * x + b
    pull = (y * y * (3 - 2 * y) - R) * 6 * y * (1 - y)
    return pull * x, pull


class Counted:
    """A number that counts the operations it takes part in."""

    operations: ClassVar[dict] = {"+": 0, "*": 0}

    def __init__(self, value):
        self.value = getattr(value, "value", value)

    def __add__(self, other):
        self.operations["+"] += 1
        return Counted(self.value + Counted(other).value)

    def __mul__(self, other):
        self.operations["*"] += 1
        return Counted(self.value * Counted(other).value)

    __radd__, __rmul__ = __add__, __mul__

    @classmethod
    def count(cls, run):
        """Operations in run()."""
        cls.operations.update({"+": 0, "*": 0})
        run()
        return sum(cls.operations.values())


@pytest.mark.parametrize("p", [1, 6, 60, 600])
def test_claim_five_operations_at_most(chapter, p):
    values = np.random.default_rng(p).uniform(0.5, 1.0, p).tolist()

    def program(*w):
        total = w[0]
        for k in range(1, p):
            total = total * w[k] + w[k] * w[k]
        return chapter.edge(total)

    def gradient():
        tape = chapter.Tape()
        inputs = [tape.variable(Counted(value)) for value in values]
        bar = tape.gradient(program(*inputs))
        gradient.result = [bar[v.index].value for v in inputs]

    alone = Counted.count(lambda: program(*map(Counted, values)))
    together = Counted.count(gradient)
    assert alone <= together <= 5 * alone
    tensors = torch.tensor(values)
    assert torch.allclose(torch.tensor(gradient.result), grad(lambda w: program(*w))(tensors), rtol=1e-10)


@pytest.mark.parametrize(("n", "m"), [(2, 9), (9, 2), (5, 5), (1, 8), (8, 1), (4, 5)])
def test_claim_columns_if_fewer_inputs(n, m, k=4):
    def matrix(rows, columns):
        return np.array([[Counted(1.0) for _ in range(columns)] for _ in range(rows)])

    def multiplications(run):
        Counted.count(run)
        return Counted.operations["*"]

    C, B, A = matrix(m, k), matrix(k, k), matrix(k, n)
    forwards = multiplications(lambda: C @ (B @ A))
    reverse = multiplications(lambda: (C @ B) @ A)
    assert (forwards, reverse) == (k * k * n + m * k * n, m * k * k + m * k * n)
    assert (forwards < reverse) == (n < m) and (forwards == reverse) == (n == m)


@pytest.mark.parametrize(("a", "b"), [(0.2, 0.1), (0.05, 0.6), (0.31, -0.02)])
def test_claim_dual_numbers_on_the_tape(chapter, a, b, v=(1.0, -0.7)):
    tape = chapter.Tape()
    inputs = [tape.variable(chapter.Dual(value, rate)) for value, rate in zip((a, b), v, strict=True)]
    bar = tape.gradient(chapter.pixel_loss(*inputs))
    assert [bar[w.index].value for w in inputs] == pytest.approx(slopes_by_hand(a, b), rel=1e-12)
    h = 1e-5
    ahead, behind = (slopes_by_hand(a + s * h * v[0], b + s * h * v[1]) for s in (1, -1))
    by_difference = [(p - q) / (2 * h) for p, q in zip(ahead, behind, strict=True)]
    assert [bar[w.index].tangent for w in inputs] == pytest.approx(by_difference, rel=1e-7)
    Dual = chapter.Dual  # our forward mode nests, too
    nested = chapter.pixel_loss(Dual(Dual(a, 1.0), Dual(1.0)), Dual(Dual(b)))
    second = hessian(lambda w: chapter.pixel_loss(w[0], w[1]))(torch.tensor([a, b]))
    assert nested.tangent.tangent == pytest.approx(float(second[0, 0]), rel=1e-12)


def test_claim_reverse_mode_is_the_adjoint():
    A = torch.randn(5, 3, generator=torch.Generator().manual_seed(4))
    x, y = torch.zeros(3), torch.arange(5.0)
    assert torch.allclose(vjp(lambda z: A @ z, x)[1](y)[0], y @ A)
    assert torch.allclose(jvp(lambda z: A @ z, (x,), (y[:3],))[1], A @ y[:3])
    with pytest.raises((RuntimeError, ValueError)):
        jvp(lambda z: A @ z, (x,), (y,))  # forward mode cannot even take a vector of the outputs' shape

    image, grid = data.mri(8)
    points = grid.points() * 0.9 + 3.0

    def sample(image):
        return evaluate(coefficients(image, 0.1), grid, points)

    columns = torch.stack([sample(e.reshape(8, 8)) for e in torch.eye(64)], dim=1)
    weights = torch.linspace(-1, 1, 64)
    assert torch.allclose(vjp(sample, image)[1](weights)[0].reshape(-1), columns.T @ weights, atol=1e-12)


def test_claim_ad_differentiates_the_program(chapter):
    def three(f, at):
        t = torch.tensor(at, requires_grad=True)
        value = f(t)
        slope = torch.autograd.grad(value, t, create_graph=True)[0]
        second = torch.autograd.grad(slope, t)[0] if slope.requires_grad else torch.zeros(())
        return [float(part.detach()) for part in (value, slope, second)]

    h = 1e-3
    sinc = [math.sin(s) / s for s in (h, 2 * h)]
    truth = [1.0, 0.0, -1 / 3]  # sin(x)/x = 1 − x²/6 + …, an even function
    assert 2 * (sinc[0] - 1) / h**2 == pytest.approx(truth[2], rel=1e-5)
    assert three(chapter.guard_x, 0.0) == [0.0, 1.0, 0.0]
    assert three(chapter.guard_1, 0.0) == [1.0, 0.0, 0.0]
    assert three(chapter.guard_series, 0.0) == pytest.approx(truth)
    for guard in (chapter.guard_x, chapter.guard_1):  # one step away all is well
        assert three(guard, 0.5) == pytest.approx(three(chapter.guard_series, 0.5))


def test_claim_half_the_digits(chapter):
    """And AD has no error of its own: its slope is as exact as the value that the program computes."""
    for kind in (np.float64, np.float32):
        eps = float(np.finfo(kind).eps)
        best_forward, worst_dual, worst_value = [], 0.0, 0.0
        for a in np.linspace(0.03, 0.4, 41):
            a, b = kind(a), kind(0.1)
            exact = chapter.slope_by_hand(a, b)
            errors = []
            for h in np.geomspace(eps**0.5 / 30, eps**0.5 * 30, 9).astype(kind):
                slope = (chapter.pixel_loss(a + h, b) - chapter.pixel_loss(a, b)) / h
                assert slope.dtype == kind
                errors.append(abs(float(Fraction(float(slope)) / exact - 1)))
            best_forward.append(np.median(sorted(errors)[:3]))
            dual = chapter.pixel_loss(chapter.Dual(a, kind(1)), chapter.Dual(b))
            assert dual.tangent.dtype == kind
            worst_dual = max(worst_dual, abs(float(Fraction(float(dual.tangent)) / exact - 1)))
            y = Fraction(float(a)) * 2 + Fraction(float(b))
            value = (y * y * (3 - 2 * y) - 1) ** 2 / 2
            worst_value = max(worst_value, abs(float(Fraction(float(dual.value)) / value - 1)))
        digits = math.log10(np.median(best_forward)) / math.log10(eps)
        assert 0.4 < digits < 0.62  # a half
        assert worst_dual < worst_value + 4 * eps < 100 * eps  # no more than the program itself loses


def test_claim_sensitivities_add_up(chapter):
    def by(tape_class, program):
        tape = tape_class()
        a, b = tape.variable(0.2), tape.variable(0.1)
        bar = tape.gradient(program(a, b))
        return [bar[a.index], bar[b.index]]

    assert by(chapter.Tape, chapter.pixel_loss) == pytest.approx(slopes_by_hand(0.2, 0.1))
    assert by(chapter.ColleaguesTape, chapter.pixel_loss) != pytest.approx(slopes_by_hand(0.2, 0.1))
    used_once = lambda a, b: a * 3.0 + b * 5.0  # noqa: E731
    assert by(chapter.ColleaguesTape, used_once) == by(chapter.Tape, used_once) == [3.0, 5.0]


def test_claim_where_needs_a_safe_argument(chapter):
    zero = torch.tensor(0.0)
    assert chapter.root(zero) == chapter.root_repaired(zero) == 0
    assert grad(chapter.root)(zero).isnan() and grad(chapter.root_repaired)(zero) == 0
    for x in (0.3, 2.0, -1.0):
        x, h = torch.tensor(x), 1e-6
        slope = (chapter.root(x + h) - chapter.root(x - h)) / (2 * h)
        assert torch.isclose(grad(chapter.root_repaired)(x), slope, rtol=1e-8, atol=1e-12)


def test_claim_kinks():
    zero = torch.tensor(0.0)

    def identity(x):
        return torch.relu(x) - torch.relu(-x)

    points = torch.linspace(-1, 1, 11)
    assert torch.equal(identity(points), points)
    assert grad(identity)(zero) == 0  # while every difference quotient is 1
    answers = [torch.relu, lambda x: torch.maximum(x, zero), lambda x: x.clamp(min=0)]
    assert [float(grad(f)(zero)) for f in answers] == [0.0, 0.5, 1.0]


def test_claim_same_price():
    image, grid = data.mri(64)
    points, target = grid.points() * 0.97 + 2.0, image.reshape(-1)
    identity = torch.tensor([1.0, 0.0, 0.0, 1.0, 0.0, 0.0])

    def loss(w, image):
        y = points @ w[:4].reshape(2, 2).T + w[4:]
        return 0.5 * (evaluate(coefficients(image, 1.0), grid, y) - target).square().sum()

    in_w, in_image = grad(loss, argnums=(0, 1))(identity, image)
    assert in_image.numel() == 4096
    bump = torch.zeros_like(image)
    bump[30, 28] = 1e-2
    difference = (loss(identity, image + bump) - loss(identity, image - bump)) / 2e-2
    assert torch.isclose(in_image[30, 28], difference, rtol=1e-6)
    step = torch.zeros(6).index_fill(0, torch.tensor(4), 1e-4)
    difference = (loss(identity + step, image) - loss(identity - step, image)) / 2e-4
    assert torch.isclose(in_w[4], difference, rtol=1e-6)

    once, six, all_pixels = (price(f, identity, image) for f in (loss, grad(loss), grad(loss, argnums=1)))
    assert once > 4096 and all_pixels < 5 * once and all_pixels < 2 * six  # a run for each pixel: 4096
