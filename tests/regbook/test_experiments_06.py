"""The experiments of chapter 6."""

import numpy as np
import pytest
import torch

from regbook.experiments import ch06, euler


def test_one_step_of_newton_instead_of_a_prediction(predicted):
    problem, scales = predicted
    row = ch06.newton_instead(problem, scales)
    scale, new = scales[2], problem.at(scales[2].following)
    step = scale.w - torch.linalg.solve(new.hessian(scale.w), new.gradient(scale.w))
    gain = euler.gains(problem, [scale], [step], "at the new θ")[0]
    assert gain[1] == pytest.approx(1 - float(new.gradient(step).norm() / new.gradient(scale.w).norm()))
    assert row["loss"] <= len(scales) and row["miss"] < 0.5


def test_the_work_of_all_predictions(predicted):
    problem, _ = predicted
    runs = ch06.work(problem, np.geomspace(1e3, 1.0, 5), problem.transform.identity())
    made = {name: sum(step.tangent is not None for step in run.steps) for name, run in runs.items()}
    assert made == {"no prediction": 0, "exact Hessian": 4, "Gauss-Newton": 4}
    torch.testing.assert_close(runs["exact Hessian"].w, runs["no prediction"].w, rtol=1e-4, atol=1e-4)


def test_the_record_has_every_matrix_at_every_size():
    rows = ch06.recorded()
    assert list(rows) == [32, 64, 128]
    assert all(list(table) == list(euler.MATRICES) for table in rows.values())


def test_gains_are_relative_and_judged_at_the_new_scale(predicted):
    problem, scales = predicted
    gains = ch06.compare(problem, scales, euler.MATRICES["exact Hessian"])
    scale, new = scales[0], problem.at(scales[0].following)
    stay, went = float(new.loss(scale.w)), float(new.loss(scale.prediction(scale.exact)))
    assert gains[0, 0] == pytest.approx(1 - went / stay)
    unfair = ch06.compare(problem, scales, euler.MATRICES["exact Hessian"], "at the old θ")
    old = float(problem.at(scale.theta).loss(scale.w))
    assert unfair[0, 0] == pytest.approx(1 - went / old) and unfair[0, 0] != gains[0, 0]


def test_the_table_counts_the_gains(predicted):
    problem, scales = predicted
    rows = ch06.table(problem, scales)
    for name, row in rows.items():
        gains = ch06.compare(problem, scales, euler.MATRICES[name])
        assert (row["loss"], row["gradient"]) == tuple(int(n) for n in (gains > 0).sum(0))
        assert row["median"] == pytest.approx(float(np.median(gains[:, 1])))
    assert rows["exact Hessian"]["miss"] < 1


def test_losses_along_a_step_begin_at_one(predicted):
    problem, scales = predicted
    objective, w = problem.at(scales[0].theta), scales[0].w + 0.01
    step = -objective.gradient(w)
    losses = ch06.along(objective, w, step, torch.tensor([0.0, 0.5], dtype=torch.float64))
    expected = float(objective.loss(w + 0.5 * step) / objective.loss(w))
    assert losses.tolist() == pytest.approx([1, expected])
