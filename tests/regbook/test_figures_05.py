"""What the figures of chapter 5 compute."""

from __future__ import annotations

from itertools import pairwise

import torch

from regbook.figures.ch05 import stationary
from regkit.data import bumps
from regkit.registration import Registration
from regkit.transforms import Translation


def test_all_stationary_points_of_the_comb():
    template, grid = bumps()
    problem = Registration(template, bumps(shift=10.0)[0], grid, Translation(1))
    shifts = torch.linspace(-5, 26, 400, dtype=torch.float64)
    for theta, minima in ((1e-3, 5), (10.0, 1)):
        points = stationary(problem, theta, -5, 26, 150)
        losses = torch.stack([problem.at(theta).loss(shift[None]) for shift in shifts])
        inner = losses[1:-1]
        seen = shifts[1:-1][(inner < losses[:-2]) & (inner < losses[2:])]
        found = torch.tensor([w for w, curvature in points if curvature > 0], dtype=torch.float64)
        assert len(found) == minima and torch.allclose(found, seen, atol=0.08)
        for w, _ in points:
            slope = problem.at(theta).gradient(torch.tensor([w], dtype=torch.float64))
            assert abs(float(slope)) < 1e-6
        signs = [curvature > 0 for _, curvature in points]
        assert all(a != b for a, b in pairwise(signs)), "minima and maxima alternate"
