"""Checkers for the exercises of chapter 5."""

import math

import torch

from regkit.paths import Path, Step

from .report import close, exercise, wrong


@exercise
def check_5_2(euler):
    """``euler(w, H, rate, theta, following)``: Euler's prediction, straight in log θ; rate = ∂θ∇J."""
    generator = torch.Generator().manual_seed(5)
    root = torch.randn(4, 4, dtype=torch.float64, generator=generator)
    H, theta, following = root @ root.T + torch.eye(4).double(), 8.0, 2.0
    w, rate = torch.randn(2, 4, dtype=torch.float64, generator=generator)
    velocity, step = -torch.linalg.solve(H, rate), math.log(following / theta)
    right = w + step * theta * velocity
    given = euler(w, H, rate, theta, following)
    if close(given, w - step * theta * velocity):
        wrong("the step goes to the wrong side: check the sign of H⁻¹ ∂θ∇J, and of log θ₊ − log θ.")
    if close(given, w + step * velocity):
        wrong("the chain rule: dw/d(log θ) = θ · dw/dθ. A factor θ is missing.")
    if close(given, w + step / theta * velocity):
        wrong("divided by θ. The chain rule multiplies: dw/d(log θ) = θ · dw/dθ.")
    if close(given, w + (following - theta) * velocity):
        wrong("this is straight in θ. The step in log θ is log(θ₊/θ), and the velocity is θ · dw/dθ.")
    if close(given, w + (following - theta) * theta * velocity):
        wrong("the velocity is in log θ, but the step is in θ. Both must use the same variable.")
    if close(given, w + math.log10(following / theta) * theta * velocity):
        wrong("this is the logarithm to base 10. The factor θ belongs to the natural one.")
    if close(given, w - step * theta * (H @ rate)):
        wrong("multiplied by H. The velocity solves H v = −∂θ∇J.")
    if close(given, step * theta * velocity):
        wrong("this is the step alone. Add it to w.")
    if not close(given, right):
        wrong("not the prediction w + (log θ₊ − log θ) · θ · v with H v = −∂θ∇J.")
    return "Right."


@exercise
def check_5_3(adams):
    """``adams(w, t, t_before, h, h_before)``: the line through two tangents, integrated over h."""
    w, h, before = torch.tensor([1.0, -2.0]).double(), 0.3, 0.5
    t, last = torch.tensor([[2.0, 1.0], [-1.0, 3.0]]).double()
    rho = h / before
    right = w + h * ((1 + rho / 2) * t - rho / 2 * last)
    given = adams(w, t, last, h, before)
    if close(given, w + h * (1.5 * t - 0.5 * last)):
        wrong("this is right for steps of one length only. The last step had another one: use ρ = h/h₋.")
    if close(given, w + h * ((1 + 1 / rho / 2) * t - 1 / rho / 2 * last)):
        wrong("ρ is upside down: it is the new step divided by the old one.")
    if close(given, w + h * ((1 + rho) * t - rho * last)):
        wrong(
            "this takes the tangent at the end of the step. Its mean over the step is half of the way there."
        )
    if close(given, w + h * ((1 - rho / 2) * t + rho / 2 * last)):
        wrong("this looks back: it is the mean of tangents behind w. Extrapolate forwards: swap the signs.")
    if close(given, w + h * (t + last) / 2):
        wrong("this is the mean of the two known tangents, which is the rule for the step that is done.")
    if close(given, w + h * t):
        wrong("this is Euler's method. Use the tangent before, too.")
    if not close(given, right):
        wrong("not w + h ((1 + ρ/2) t − ρ/2 t₋) with ρ = h/h₋.")
    return "Right: of order two, for one new tangent a step."


def _run(counts: list[tuple[int, int, bool]]) -> Path:
    """A run of which only this is known: iterations, evaluations, and whether there is a tangent, a step."""
    w = torch.zeros(1, dtype=torch.float64)
    return Path([
        Step(10.0 - k, w, 1.0, 1.0, 0.1, w, 1.0, 1.0, w if known else None, iterations, evaluations,
             accepted=True)
        for k, (iterations, evaluations, known) in enumerate(counts)
    ])  # fmt: skip


@exercise
def check_5_5(balance):
    """``balance(plain, ahead)``: the evaluations that predictions save the corrector, and those they cost."""
    plain = _run([(5, 6, False), (4, 5, False), (4, 6, False), (5, 6, False), (4, 4, False)])
    # the second step has no tangent, for there H was not positive definite
    ahead = _run([(5, 7, True), (3, 4, False), (2, 4, True), (2, 3, True), (3, 4, False)])
    given = balance(plain, ahead)
    if not isinstance(given, tuple | list | torch.Tensor) or len(given) != 2:
        wrong(f"expected two numbers, (saved, spent), got {given!r}.")
    saved, spent = (float(number) for number in given)
    if spent == len(ahead.steps):
        wrong("a step without a tangent makes no prediction, and costs none. Look at step.tangent.")
    if spent == len(ahead.steps) - 1:
        wrong("one of the steps before the last has no tangent either: there H was not positive definite.")
    if spent == 2:
        wrong("this counts the steps without a tangent. Those with one cost an evaluation.")
    if (saved, spent) == (5, 3):
        wrong(
            "ahead.evaluations includes those of the tangents. The corrector has saved more: take them out."
        )
    if (saved, spent) == (2, 3):
        wrong("subtracted twice: take the tangents out of the evaluations of the run with predictions.")
    if (saved, spent) == (7, 3):
        wrong("these are iterations. One iteration may take more than one evaluation.")
    if (saved, spent) == (-8, 3):
        wrong("the sign: what the run with predictions needs less is saved.")
    if (saved, spent) == (3, 8):
        wrong("exchanged: first what is saved, then what is spent.")
    if (saved, spent) != (8, 3):
        wrong(f"expected 8 saved and 3 spent, got {saved:g} and {spent:g}.")
    return "Right: their difference is what a prediction is worth."
