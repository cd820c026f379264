"""Problems with a known answer, and the start that registration finds."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from regkit import Grid, data
from regkit.superres import SuperResolution, pool
from regkit.templates import observe, random_affines, register_templates, synthetic

grid = Grid((3.0, 4.0), (8, 12))


def test_synthetic_templates(random):
    image = 100 + 20 * random(8, 12)
    clean = synthetic(image, grid, count=4)
    torch.testing.assert_close(clean.problem.templates[0], pool(image, 2))
    assert clean.error(image) == 0 and clean.error(1.1 * image.reshape(-1)) == pytest.approx(0.1)
    noisy = synthetic(image, grid, count=4, noise=3.0)
    assert float((noisy.problem.templates - clean.problem.templates).std()) == pytest.approx(3.0, rel=0.15)
    again = synthetic(image, grid, count=4, noise=3.0)
    assert torch.equal(noisy.problem.templates, again.problem.templates)
    everything = synthetic(image, grid, count=4, fixed=0)
    torch.testing.assert_close(everything.w_true[6:], clean.w_true)
    assert repr(clean) == f"Synthetic({clean.problem!r})" and clean == clean


def test_observed_templates_are_those_of_the_model(random):
    model, image = SuperResolution(torch.zeros(3, 4, 6).double(), grid, strength=0.3), random(8, 12)
    w = model.identity() + 0.1 * random(12)
    made = observe(model, image, w)
    as_written = model.model(w, image.reshape(-1))[:72] / model.scales[0]
    torch.testing.assert_close(made.problem.templates.reshape(-1), as_written)
    assert made.problem.strength == 0.3 and made.w_true is w


def test_random_affines_keep_the_centre_and_stay_in_their_ranges():
    centre = torch.tensor([[1.5, 2.0]], dtype=torch.float64)
    motions = random_affines(30, (1.5, 2.0), scales=(0.9, 1.1), degrees=(10.0, 20.0))
    for motion in motions:
        A, b = motion[:4].reshape(2, 2), motion[4:]
        torch.testing.assert_close(centre @ A.T + b, centre)
        values = np.linalg.svd(A.numpy(), compute_uv=False)
        angle = math.degrees(math.atan2(A[1, 0], A[0, 0]))
        assert 0.9 <= values[-1] and values[0] <= 1.1 and 10 <= angle <= 20
    torch.testing.assert_close(random_affines(29, (1.5, 2.0), 3, (0.9, 1.1), (10.0, 20.0)), motions[1:])


def test_registration_of_the_templates_is_a_good_start():
    image, box = data.mri(64)
    made = synthetic(image, box, factor=2, count=3)
    start = register_templates(made.problem)
    assert start.shape == (12,)
    points = box.points()

    def distance(w):
        pairs = zip(made.problem.motions(w), made.problem.motions(made.w_true), strict=True)
        return torch.cat(
            [made.problem.transform(a, points) - made.problem.transform(b, points) for a, b in pairs]
        )

    assert distance(start).norm(dim=1).mean() < 0.5 * box.spacing[0]
    assert distance(made.problem.identity()).norm(dim=1).mean() > 5 * box.spacing[0]


def test_bad_problems_are_refused(random):
    for image, options, words in (
        (random(12, 8), {}, r"expected an image of shape \(8, 12\), as the grid, got \(12, 8\)"),
        (random(96), {}, "as the grid"),
        (random(8, 12), {"factor": 5}, "multiples of the factor 5"),
        (random(8, 12), {"factor": 0}, "multiples of the factor 0"),
        (random(8, 12), {"count": 0}, "at least one template"),
    ):
        with pytest.raises(ValueError, match=words):
            synthetic(image, grid, **options)
    alone = synthetic(random(8, 12), grid, count=1, fixed=0)
    assert alone.problem.templates.shape == (1, 4, 6) and len(alone.w_true) == 6
