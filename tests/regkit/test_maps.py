"""Folds, inverse and landmarks, for maps with and without a lattice."""

from __future__ import annotations

import math

import pytest
import torch

from regkit.flows import NeuralODE
from regkit.freeform import FreeForm
from regkit.grid import Grid
from regkit.maps import (
    cofactors,
    cofactors_change,
    determinants,
    fold_message,
    gradients,
    inverse,
    landmark_errors,
)
from regkit.transforms import Affine, Rigid


@pytest.mark.parametrize("d", [1, 2, 3])
def test_determinants_and_cofactors_are_those_of_linear_algebra(d, random):
    F = random(d, d, 7)
    matrices = F.movedim(-1, 0)
    assert torch.allclose(determinants(F), torch.linalg.det(matrices), atol=1e-13)
    expected = torch.linalg.det(matrices)[:, None, None] * torch.linalg.inv(matrices).mT
    assert torch.allclose(cofactors(F).movedim(-1, 0), expected, atol=1e-11)
    by_ad = torch.func.jacrev(lambda G: determinants(G).sum())(F)
    assert torch.allclose(by_ad, cofactors(F), atol=1e-13)
    U, V = random(d, d, 7), random(d, d, 7)
    change = cofactors_change(F, U)
    assert torch.allclose(change, torch.func.jvp(cofactors, (F,), (U,))[1], atol=1e-13)
    assert torch.allclose((change * V).sum(), (U * cofactors_change(F, V)).sum(), atol=1e-12)


def test_the_gradient_of_a_flow_against_differences(random):
    flow = NeuralODE(unit=2.0)
    w, x = 0.3 * random(flow.parameters), random(9, 2)
    F, h = gradients(flow, w, x), 1e-6
    for k in range(2):
        step = torch.zeros(2, dtype=torch.float64)
        step[k] = h
        assert torch.allclose(F[:, k].T, (flow(w, x + step) - flow(w, x - step)) / (2 * h), atol=1e-8)
    assert (determinants(F) > 0).all()  # a flow does not fold


@pytest.mark.parametrize(
    "transform",
    [FreeForm(Grid((4.0, 5.0), (4, 5))), NeuralODE(unit=2.0), FreeForm(Grid((4.0, 5.0, 3.0), (4, 4, 2)))],
)
def test_an_inverse_leads_back(transform, random):
    w = 0.2 * random(transform.parameters)
    x = 1 + 2 * torch.rand(50, transform.dim, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    back = inverse(transform, w, transform(w, x))
    assert torch.allclose(back, x, atol=1e-7)
    assert torch.equal(inverse(transform, w, transform(w, x), start=x), x)  # it is there already
    single = inverse(transform, w.float(), transform(w, x).float())
    assert single.dtype == torch.float32 and torch.allclose(single, x.float(), atol=1e-3)


def test_what_has_no_inverse_says_so():
    flat = torch.tensor([1.0, 0.0, 0.0, 0.0, 0.0, 0.0], dtype=torch.float64)  # y₂ = 0
    points = torch.tensor([[1.0, 0.0], [1.0, 2.0]], dtype=torch.float64)
    with pytest.raises(ValueError, match="expected a map that can be inverted, got none at 1 of 2 points"):
        inverse(Affine(), flat, points)
    with pytest.raises(ValueError, match=r"expected a start of shape \(2, 2\), got \(1, 2\)"):
        inverse(Affine(), flat, points, start=points[:1])
    assert inverse(Affine(), flat, points[:0]).shape == (0, 2)


def test_a_fold_is_told_and_where():
    determinant = torch.ones(4, 5)
    assert fold_message(determinant) == ""
    determinant[2, 3], determinant[0, 0] = -0.5, 0.0
    assert fold_message(determinant) == (
        "the map folds: det ∇y ≤ 0 in 2 of 20 cells (10 %), smallest -0.5 in cell (2, 3)"
    )


def test_landmarks_are_mapped_from_the_reference_to_the_template(random):
    rigid = Rigid(center=(1.0, 1.0))
    w = torch.tensor([math.pi / 2, 0.0, 0.0], dtype=torch.float64)
    reference = torch.tensor([[2.0, 1.0], [1.0, 3.0]], dtype=torch.float64)
    template = torch.tensor([[1.0, 2.0], [2.0, 1.0]], dtype=torch.float64)
    errors = landmark_errors(rigid, w, reference, template)
    assert torch.allclose(errors, torch.tensor([0.0, 3.0], dtype=torch.float64), atol=1e-12)
    with pytest.raises(ValueError, match=r"expected landmarks of shape \(2, 2\), got \(1, 2\)"):
        landmark_errors(rigid, w, reference, template[:1])
