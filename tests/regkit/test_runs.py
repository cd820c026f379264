"""The record of a run: what it notes, the reasons to stop, and how its objects copy, compare and print."""

from __future__ import annotations

import copy
import math

import pytest
import torch

from regkit.optimize import gauss_newton, gradient_descent, levenberg_marquardt, newton_trust
from regkit.problems import Functions, Residual
from regkit.runs import Run

W = torch.tensor([3.0, -1.0], dtype=torch.float64)


def bowl(w):
    return (w**2).sum() + 1


def run(**limits) -> Run:
    return Run(Functions(bowl, gauss_newton=lambda w: 2 * torch.eye(2).to(w)), W, "gauss-newton", **limits)


@pytest.mark.parametrize(
    ("limits", "where", "step", "promised", "message", "converged"),
    [
        ({"gtol": 1.0}, 1.0, 0.1, 1.0, "gradient: norm", True),
        ({"gtol": 0.0, "ftol": 1e-3}, 1e-3, 0.1, 1e-3, "loss: promised decrease", True),
        ({"gtol": 0.0, "xtol": 1e-3}, 5e-4, 1e-3, 1.0, "step: length", True),
        ({"gtol": 0.0, "iterations": 1}, 1.0, 0.1, 1.0, "iterations: 1 made", False),
        ({"gtol": 0.0, "callback": lambda entry: entry.number == 1}, 1.0, 0.1, 1.0, "callback", False),
        ({"gtol": 0.0}, 1.0, 0.1, 1.0, "", False),
        ({"gtol": 0.0, "ftol": 1e-3}, 1.0, 0.1, 1e-3, "", False),  # a step may be damped: Newton's would win
        ({"gtol": 0.0, "xtol": 1e-3}, 1.0, 1e-3, 1.0, "", False),
        ({"gtol": 0.0, "xtol": 0.0}, 1.0, 0.0, 1.0, "step: stalled", False),
    ],
)
def test_each_limit_ends_the_run(limits, where, step, promised, message, converged):
    record = run(**limits)
    record.note(record.evaluate(where * W), step, 1.0, promised)
    assert record.message.startswith(message) and bool(record.message) == bool(message)
    assert record.converged == converged
    if not message:
        record.note(None, 1e-13, 1.0, 1.0)
        assert record.message.startswith("step: stalled") and not record.converged
        record.stop("later")
        assert record.message.startswith("step: stalled"), "the first reason counts"


def test_result_is_what_was_noted():
    record = run(gtol=0.0)
    record.note(None, 2.0, 7.0, 1.0)
    record.note(record.evaluate(W / 2), 1.5, 3.0, 1.0)
    result = record.result()
    assert result.path.tolist() == [[3, -1], [1.5, -0.5]] and result.iterations == 2
    assert [entry.accepted for entry in result.history] == [True, False, True]
    assert [entry.loss for entry in result.history] == [11.0, 11.0, 3.5] and result.loss == 3.5
    assert result.history[1].control == 7.0 and result.history[2].step == 1.5
    assert result.evaluations == {"loss": 2, "gradient": 2, "hessian": 0}


def test_results_copy_compare_and_print():
    result = gauss_newton(Residual(lambda w: w - 1), W)
    again = copy.deepcopy(result)
    assert again.x.equal(result.x) and again != result and result in [again, result]
    assert repr(again) == repr(result) and repr(result).startswith(
        "Result: converged after 1 iterations, J = 0"
    )
    assert "tensor" not in repr(result.history) and result.history[1] in result.history
    assert again.point.hessian("gauss-newton").equal(torch.eye(2).double())


@pytest.mark.parametrize("method", [newton_trust, levenberg_marquardt, gauss_newton, gradient_descent])
def test_a_gradient_that_is_not_finite_ends_the_run(method):
    """√|w| + 1 has an infinite slope at 0; no method may go on for ever, and none may call that a success."""
    root = Functions(
        lambda w: (w.abs().sqrt() + 1).square().sum() / 2, gauss_newton=lambda w: torch.eye(1).to(w)
    )
    result = method(root, torch.zeros(1, dtype=torch.float64))
    assert not result.converged and result.message.startswith("not finite")
    assert not math.isfinite(result.history[0].gradient_norm)
