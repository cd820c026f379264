"""Pyramids: blocks averaged by hand, and what small images do for the drawn hands."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from regkit.continuation import follow, length
from regkit.data import hands_phantom
from regkit.grid import Grid
from regkit.pyramid import multilevel, pyramid
from regkit.registration import Registration
from regkit.transforms import Affine, Rigid, Translation


@pytest.fixture(scope="module")
def hands() -> Registration:
    """The drawn hands, 32 × 32."""
    pair = hands_phantom(32)
    return Registration(pair.template, pair.reference, pair.grid, Affine(center=(10.0, 12.5)))


def test_a_pyramid_averages_blocks_and_keeps_the_rest(random):
    weights = random(8, 12).abs() + 0.1
    problem = Registration(random(8, 12), random(8, 12), Grid((4.0, 3.0), (8, 12)), Rigid(), weights=weights)
    coarse, middle, fine = pyramid(problem, 3)
    assert fine is problem
    assert [level.grid.shape for level in (coarse, middle)] == [(2, 3), (4, 6)]
    assert all(level.grid.extent == (4.0, 3.0) and level.transform == Rigid() for level in (coarse, middle))
    for name in ("template", "reference", "weights"):
        full = getattr(problem, name)
        quarters = (full[::2, ::2] + full[1::2, ::2] + full[::2, 1::2] + full[1::2, 1::2]) / 4
        assert torch.allclose(getattr(middle, name), quarters)
        assert torch.allclose(getattr(coarse, name)[1, 2], full[4:, 8:].mean())
    with pytest.raises(ValueError, match=r"expected a shape that 4 levels can halve \(by 8\), got \(8, 12\)"):
        pyramid(problem, 4)
    with pytest.raises(ValueError, match="0 levels"):
        pyramid(problem, 0)


def test_a_pyramid_in_one_and_three_dimensions(random):
    line = Registration(random(16), random(16), Grid((4.0,), (16,)), Translation(1))
    assert torch.allclose(pyramid(line, 2)[0].template, line.template.reshape(8, 2).mean(1))
    cube = Registration(random(4, 4, 4), random(4, 4, 4), Grid((1.0, 1.0, 1.0), (4, 4, 4)), Translation(3))
    assert float(pyramid(cube, 3)[0].reference) == pytest.approx(float(cube.reference.mean()))


def test_each_grid_of_two_is_halved(random):
    """Also masks of whole numbers, which have no mean of their own."""
    fine, coarse = Grid((4.0, 3.0), (16, 8)), Grid((2.0, 2.0), (8, 12))
    mask = torch.arange(96).reshape(8, 12) % 5 > 0
    problem = Registration(random(16, 8), random(8, 12), coarse, weights=mask, template_grid=fine)
    small = pyramid(problem, 3)[0]
    assert [grid.shape for grid in small.grids] == [(2, 3), (4, 2)]
    assert [grid.extent for grid in small.grids] == [(2.0, 2.0), (4.0, 3.0)]
    assert torch.allclose(small.template[0, 1], problem.template[:4, 4:].mean())
    assert torch.allclose(small.weights[1, 2], mask[4:, 8:].double().mean())
    with pytest.raises(ValueError, match=r"that 4 levels can halve \(by 8\), got \(8, 12\)"):
        pyramid(problem, 4)
    narrow = Registration(random(6, 8), random(8, 12), coarse, template_grid=Grid((4.0, 3.0), (6, 8)))
    with pytest.raises(ValueError, match=r"that 3 levels can halve \(by 4\), got \(6, 8\)"):
        pyramid(narrow, 3)


def test_multilevel_and_multiscale_on_the_drawn_hands(hands):
    """From the identity: small images alone do not suffice; blur does, and on small images it is cheaper."""
    A, b = hands_phantom(32).w_true.split([4, 2])
    truth = hands.transform.from_matrix(A.reshape(2, 2), b)
    start = hands.transform.identity()

    def apart(path) -> float:
        """Root mean square distance to the true map, in cells."""
        return length(hands, truth, path.w - truth, 1e-3)

    single = follow(hands, [1e-3], start)
    levels = multilevel(hands, start)
    scales = follow(hands, np.logspace(3, -3, 10).tolist(), start)
    both = multilevel(hands, start, thetas=np.logspace(2, -3, 4).tolist())
    assert apart(single) > 5 and apart(levels) > 5
    assert apart(scales) < 0.1 and apart(both) < 0.1
    assert both.work < both.evaluations, "most of its evaluations are of smaller images"
    assert both.work < scales.work
    assert [step.cells for step in levels.steps] == [64, 256, 1024]
    assert levels.work == pytest.approx(sum(s.evaluations * s.cells for s in levels.steps) / 1024)


def test_a_callback_ends_all_levels(hands):
    seen = []
    path = multilevel(
        hands, hands.transform.identity(), callback=lambda step: seen.append(step) or len(seen) == 2
    )
    assert seen == path.steps and [step.cells for step in path.steps] == [64, 256]
