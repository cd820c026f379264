"""The bold claims of appendix A1. What the reader sees is read from the notebook."""

import ast
import math
from types import SimpleNamespace

import nbformat
import numpy as np
import pytest
import torch
from torch.func import grad, jacfwd

from regbook.experiments.a1 import on_tape
from tools.toc import ROOT

pytestmark = pytest.mark.usefixtures("double_precision")


@pytest.fixture(scope="module")
def appendix():
    """What the notebook defines at top level, by name."""
    book = nbformat.read(ROOT / "book" / "A1_torch.ipynb", as_version=4)
    nodes = [node for cell in book.cells if cell.cell_type == "code" for node in ast.parse(cell.source).body]
    wanted = [node for node in nodes if isinstance(node, ast.FunctionDef | ast.ClassDef)]
    names = {"torch": torch}
    exec(compile(ast.Module(wanted, []), "A1_torch.ipynb", "exec"), names)
    return SimpleNamespace(**names)


def test_claim_never_in_place(appendix):
    x = np.array([1.0, 2.0])
    square = appendix.Slot(x)
    assert square.slope().tolist() == [2.0, 4.0]
    x += 10.0
    assert square.value.tolist() == [1.0, 4.0] and square.slope().tolist() != [2.0, 4.0]

    t = torch.tensor([1.0, 2.0], requires_grad=True)
    y = t.exp()
    y.add_(1.0)
    with pytest.raises(RuntimeError, match="inplace"):
        y.sum().backward()
    appendix.behind_its_back(t).backward()
    truth = [math.exp(1.0), math.exp(2.0)]  # adding a constant does not change a derivative
    assert t.grad.tolist() != pytest.approx(truth, rel=0.1)


def test_claim_forward_over_reverse(appendix):
    """The two warnings must still be true, too: if a new torch repairs them, the text must say so."""
    z = torch.tensor(0.3)
    matrix, rhs = torch.tensor([[2.0, 1.0], [1.0, 3.0]]), torch.tensor([1.0, 2.0])

    def solve(z):
        return torch.linalg.solve((1 + z * z) * matrix, rhs).sum()

    total = (3 * 1 - 1 * 2 + 2 * 2 - 1 * 1) / 5.0  # sum of M⁻¹ b by Cramer's rule
    by_hand = {appendix.Sine.apply: -math.sin(0.3), solve: total * (6 * 0.3**2 - 2) / (1 + 0.3**2) ** 3}
    for f, truth in by_hand.items():
        assert float(jacfwd(grad(f))(z)) == pytest.approx(truth, rel=1e-12)
        assert float(grad(grad(f))(z)) == pytest.approx(truth, rel=1e-12)
        assert float(jacfwd(f)(z)) == pytest.approx(float(grad(f)(z)), rel=1e-12)  # once is right
        assert abs(float(jacfwd(jacfwd(f))(z)) - truth) > 0.1
    assert abs(float(grad(jacfwd(solve))(z)) - by_hand[solve]) > 0.1


def test_claim_the_tape_grows():
    x = torch.linspace(0, 1, 1000, requires_grad=True)
    y = (x.sin() * x.cos()).sum()
    # sum, product, sin, cos and the input; sin and cos keep x, the product keeps both its factors
    assert on_tape(y) == (5, pytest.approx(3 * 8000 / 1e6))

    def remembered(w, forget=False):
        after = []
        for _ in range(6):
            w = w - 1e-3 * grad(lambda z: z.square().sum() ** 2)(w)
            w = w.detach().requires_grad_(w.requires_grad) if forget else w
            after.append(on_tape(w))
        return np.array(after)

    growing = remembered(torch.ones(1000, requires_grad=True))
    steps = np.diff(growing, axis=0)
    assert (steps > 0).all() and np.allclose(steps[1:], steps[1])
    assert (remembered(torch.ones(1000)) == 0).all()
    assert (remembered(torch.ones(1000, requires_grad=True), forget=True)[:, 0] <= 1).all()
