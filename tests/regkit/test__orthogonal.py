"""Conjugate gradients whose residuals are kept orthogonal: what changes by rounding, and what does not."""

from __future__ import annotations

import pytest
import torch

from regkit import _orthogonal
from regkit._orthogonal import Orthogonal
from regkit.linear import CG


@pytest.fixture
def outliers(random):
    """A diagonal A with entries from 1 to 2 and eight far above, which amplify rounding; and b (60,)."""
    values = torch.cat([torch.linspace(1, 2, 52), torch.logspace(1, 5, 8)]).double()
    return values.mul, random(60)


def runs(A, b, wrap, iterations, count=4):
    """x after so many iterations, for right-hand sides that differ in the fifteenth digit."""
    draw = torch.Generator().manual_seed(1)
    noise = torch.randn(count, len(b), generator=draw, dtype=b.dtype)
    return [CG.fixed(iterations, wrap()).solve(A, b * (1 + 1e-15 * each)).x for each in noise]


def test_kept_orthogonal_a_run_does_not_depend_on_rounding(outliers):
    A, b = outliers
    spread = []
    for wrap in (lambda: None, lambda: Orthogonal(lambda r: r, 60)):
        first, *others = runs(A, b, wrap, 11)
        spread.append(max(float((other - first).norm() / first.norm()) for other in others))
    assert spread[1] < 1e-12 and spread[0] > 1e3 * spread[1], spread


def test_it_needs_as_many_iterations_as_there_are_kinds_of_eigenvalues(outliers):
    """Eight outliers and a cluster; plain conjugate gradients look for the outliers again and again."""
    A, b = outliers
    plain = CG(1e-6).solve(A, b)
    kept = CG(1e-6, preconditioner=Orthogonal(lambda r: r, 60)).solve(A, b)
    assert kept.converged and kept.iterations <= 20 < plain.iterations, (kept, plain)
    assert (A(kept.x) - b).norm() < 2e-6 * b.norm()


def test_without_rounding_to_speak_of_nothing_changes(spd, random, monkeypatch):
    """With a preconditioner, few kept ones, and none: the iterates of plain conjugate gradients."""
    A, M, b = spd(30, 10.0), spd(30, 3.0), random(30)
    plain = CG.fixed(8, M.matmul).solve(A.matmul, b)
    for numbers in (1 << 24, 100, 0):
        monkeypatch.setattr(_orthogonal, "_NUMBERS", numbers)
        kept = Orthogonal(M.matmul, 8)
        found = CG.fixed(8, kept).solve(A.matmul, b)
        assert torch.allclose(found.x, plain.x, rtol=1e-12, atol=0) and kept.count == min(8, numbers // 30)
        assert torch.allclose(found.residuals, plain.residuals, rtol=1e-8)
