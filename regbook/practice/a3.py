"""Checkers for the exercises of appendix A3."""

import numpy as np
import torch

from .report import close, exercise, wrong


@exercise
def check_a3_1(steps_without_a_tape):
    """``steps_without_a_tape(residual, w, steps)``: Gauss-Newton's steps, and no tape behind the result."""
    times = torch.linspace(0, 1, 7, dtype=torch.float64)

    def residual(w):
        return torch.exp(-w[0] * times) + w[1] * times - 1 / (1 + times)

    for marked in (False, True):
        start = torch.tensor([0.6, 0.1], dtype=torch.float64, requires_grad=marked)
        given = steps_without_a_tape(residual, start, 3)
        if given.grad_fn is not None:
            where = " if the caller's w carries the mark" if marked else ""
            wrong(f"the result still has a grad_fn{where}: it drags a tape along.")
        w = start.detach().numpy().copy()
        for _ in range(3):
            e = np.exp(-w[0] * times.numpy())
            J = np.stack([-times.numpy() * e, times.numpy()], axis=1)
            w = w - np.linalg.lstsq(J, e + w[1] * times.numpy() - 1 / (1 + times.numpy()), rcond=None)[0]
        if close(given.detach(), start.detach()):
            wrong("w has not moved. Is the Jacobian zero because r was detached?")
        if not close(given.detach(), w):
            wrong(f"no tape, but other numbers: expected {w}, got {given.detach().numpy()}.")
        if given.requires_grad:
            wrong("the result asks for a tape again (requires_grad): the next caller will grow one.")
    return "Right: the same numbers, and nothing behind them."
