"""The record of a continuation: what is accepted, what is counted, and how it copies, compares and prints."""

from __future__ import annotations

import copy
from dataclasses import replace

import pytest
import torch

from regkit.paths import Path, Step


def step(theta: float, w: list[float], **values) -> Step:
    w = torch.tensor(w, dtype=torch.float64)
    known = {"iterations": 2, "evaluations": 3, "seconds": 0.5, "accepted": True, "cells": 4, "note": ""}
    return Step(theta, w, 2.0, 1.0, 0.1, w, theta / 2, 0.0, **known | values)


PATH = Path([step(4.0, [1, 2]), step(2.0, [9, 9], accepted=False), step(1.0, [3, 4], jump=True, cells=16)])


def test_accepted_steps_make_the_path_and_all_of_them_the_work():
    assert [one.theta for one in PATH.accepted] == PATH.thetas.tolist() == [4.0, 1.0]
    assert PATH.path.tolist() == [[1, 2], [3, 4]] and PATH.w.tolist() == [3, 4]
    assert PATH.losses.tolist() == [2.0, 0.5] and PATH.loss == 0.5
    assert PATH.jumps == [PATH.steps[2]]
    assert (PATH.iterations, PATH.evaluations, PATH.seconds) == (6, 9, 1.5)
    assert PATH.work == 3 * 4 / 16 + 3 * 4 / 16 + 3


def test_parameters_of_different_numbers_are_no_one_path():
    mixed = Path([step(4.0, [1, 2]), step(2.0, [1, 2, 3])])
    assert len(mixed.w) == 3
    with pytest.raises(ValueError, match=r"expected steps with equally many parameters, got \[2, 3\]"):
        mixed.path  # noqa: B018


def test_paths_copy_compare_and_print():
    again = copy.deepcopy(PATH)
    assert PATH in [again, PATH] and again != PATH and PATH.steps[0] in PATH.steps
    assert again.path.equal(PATH.path)
    assert repr(PATH) == repr(again) == "Path of 2 scales: θ = 4 to 1, J = 0.5"
    assert "tensor" not in repr(PATH.steps) and replace(PATH.steps[0], theta=8.0).theta == 8.0
    assert repr(Path([])) == "Path of 0 scales: no step"
