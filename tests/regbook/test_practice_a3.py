"""The checkers of appendix A3 accept right answers and name the errors that people make."""

import pytest
import torch

from regbook.practice import a3 as practice


def run(residual, w, steps, mark=False, jacobian=torch.func.jacfwd):
    w = w.clone().requires_grad_() if mark else w.detach()
    for _ in range(steps):
        J, r = jacobian(residual)(w), residual(w)
        w = w - torch.linalg.solve(J.T @ J + 1e-300 * torch.eye(2).double(), J.T @ r)
    return w


def only_for_plain(residual, w, steps):
    for _ in range(steps):
        J, r = torch.func.jacfwd(residual)(w), residual(w)
        w = w - torch.linalg.solve(J.T @ J, J.T @ r)
    return w


def twice_as_far(residual, w, steps):
    return run(residual, w, 2 * steps)


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        (lambda f, w, n: run(f, w, n, mark=True), "drags"),
        (only_for_plain, "if the caller"),
        (lambda f, w, n: w.detach(), "not moved"),
        (twice_as_far, "other numbers"),
        (lambda f, w, n: run(f, w, n).requires_grad_(), "again"),
    ],
)
def test_a3_1_names_the_error(answer, says):
    with pytest.raises(AssertionError, match=says):
        practice.check_a3_1(answer)


def test_a3_1_accepts_the_solution():
    assert practice.check_a3_1(run).startswith("Right")
