"""Branches: folds whose place is known, all the way around them, and in six parameters beside ``follow``."""

from __future__ import annotations

import copy
import math
from functools import partial

import numpy as np
import pytest
import torch

from regkit.branches import arclength
from regkit.continuation import follow
from regkit.data import hands_phantom
from regkit.optimize import newton_trust
from regkit.problems import Formula
from regkit.registration import Registration
from regkit.transforms import Affine

tensor = partial(torch.tensor, dtype=torch.float64)

# J = w⁴/4 − w²/2 − w log(θ)/2: two minima; the right one ends where log(θ)/2 = −2/(3√3), at w = 1/√3.
WELLS = Formula(lambda w, theta: w[0] ** 4 / 4 - w[0] ** 2 / 2 - w[0] * theta.log() / 2)
FOLD = math.exp(-4 / (3 * math.sqrt(3)))


def test_arclength_walks_around_both_folds_of_the_double_well():
    """Right minimum, fold at FOLD, maximum, fold at 1/FOLD, left minimum: one smooth curve."""
    w = tensor([max(np.roots([1, 0, -1, -math.log(3.0) / 2]).real)])
    branch = arclength(WELLS, 3.0, w, step=0.05, count=200, high=3.0)
    first, second = branch.folds
    assert float(branch.thetas[first]) == pytest.approx(FOLD, rel=2e-3)
    assert float(branch.thetas[second]) == pytest.approx(1 / FOLD, rel=2e-3)
    assert float(branch.w[first, 0]) == pytest.approx(1 / math.sqrt(3), abs=0.05)
    assert float(branch.w[second, 0]) == pytest.approx(-1 / math.sqrt(3), abs=0.05)
    assert branch.negative[:first].max() == 0 and branch.negative[second + 1 :].max() == 0, "minima"
    assert branch.negative[first + 1 : second].min() == 1, "maxima between the folds"
    assert float(branch.w[-1, 0]) < -1
    slope = branch.w[:, 0] ** 3 - branch.w[:, 0] - branch.thetas.log() / 2
    assert slope.abs().max() < 1e-9
    gaps = torch.stack([branch.w[:, 0], branch.thetas.log()]).diff().norm(dim=0)
    assert gaps.max() < 0.06, "steps of the length asked for"
    with pytest.raises(ValueError, match="expected a stationary point at θ = 3"):
        arclength(WELLS, 3.0, tensor([0.4]), step=0.01)


def test_arclength_in_six_parameters_agrees_with_following():
    pair = hands_phantom(32)
    hands = Registration(pair.template, pair.reference, pair.grid, Affine(center=(10.0, 12.5)))
    A, b = pair.w_true.split([4, 2])
    found = newton_trust(hands.at(20.0), hands.transform.from_matrix(A.reshape(2, 2), b)).x
    branch = arclength(hands, 20.0, found, step=0.3, count=12, scale=1.0)
    path = follow(hands, branch.thetas.tolist(), found)
    assert (path.path - branch.w).norm() < 1e-5 and branch.negative.max() == 0 and not branch.folds
    upwards = arclength(hands, float(branch.thetas[3]), branch.w[3], step=0.3, count=5, upwards=True)
    assert upwards.thetas[-1] > upwards.thetas[0]


def test_a_branch_copies_compares_and_prints():
    branch = arclength(WELLS, 3.0, tensor([max(np.roots([1, 0, -1, -math.log(3.0) / 2]).real)]), count=5)
    again = copy.deepcopy(branch)
    assert branch in [again, branch] and again != branch and again.w.equal(branch.w)
    assert repr(branch).startswith("Branch of 5 points: θ = 3 to ") and repr(again) == repr(branch)
