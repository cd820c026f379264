"""What every unit test can use."""

from __future__ import annotations

import math

import pytest
import torch


@pytest.fixture
def random():
    """Random numbers from a fixed seed: ``random(4, 2)`` is a (4, 2) tensor of standard normals."""
    generator = torch.Generator().manual_seed(0)
    return lambda *shape: torch.randn(shape, dtype=torch.float64, generator=generator)


@pytest.fixture
def spd(random):
    """Symmetric positive definite matrices: ``spd(n, c)`` is (n, n) with eigenvalues from 1 to c."""

    def make(size: int, condition: float = 200.0) -> torch.Tensor:
        Q = torch.linalg.qr(random(size, size))[0]
        values = torch.logspace(0, math.log10(condition), size, dtype=torch.float64)
        return Q @ torch.diag(values) @ Q.T

    return make


@pytest.fixture
def bent(random, spd):
    """Positive definite systems that bend with w: ``bent(n, p)`` is w (p,) ↦ A(w) (n, n), and some b (n,)."""

    def make(n: int, p: int):
        S, B, b = spd(n), random(p, n, n), random(n)
        B = B @ B.transpose(1, 2) / n
        return (lambda w: S + torch.einsum("k,kij->ij", w.exp(), B)), b

    return make
