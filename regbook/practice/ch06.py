"""Checkers for the exercises of chapter 6."""

import numpy as np
import scipy.linalg
import torch

from .report import close, exercise, wrong


@exercise
def check_6_2(gradient_left):
    """``gradient_left(H, B)``: max |1 − λ| over the eigenvalues of B⁻¹H."""
    random = np.random.default_rng(6)
    root = random.normal(size=(5, 5))
    B = root @ root.T + np.eye(5)
    H = B + 0.4 * np.diag([-3.0, 1.0, 2.0, 0.5, 4.0])
    given = float(gradient_left(torch.from_numpy(H), torch.from_numpy(B)))
    values = scipy.linalg.eigh(H, B, eigvals_only=True)
    if close(given, np.abs(1 - scipy.linalg.eigh(B, H, eigvals_only=True)).max()):
        wrong("H and B are exchanged: the eigenvalues wanted are those of B⁻¹H.")
    if close(given, np.abs(1 - np.linalg.eigvalsh(H) / np.linalg.eigvalsh(B)).max()):
        wrong("the eigenvalues of B⁻¹H are not quotients of the eigenvalues of H and B.")
    if close(given, np.linalg.norm(np.eye(5) - np.linalg.solve(B, H), 2)):
        wrong("this is the largest singular value of I − B⁻¹H. Components in eigenvectors shrink by |1 − λ|.")
    if close(given, np.max(1 - values)):
        wrong("take the absolute value of 1 − λ: an overshoot counts too.")
    if close(given, np.abs(values).max()):
        wrong("this is the largest |λ|. What is left of a component is 1 − λ of it.")
    if not close(given, np.abs(1 - values).max()):
        wrong(f"expected {np.abs(1 - values).max():.6f}, got {given:.6f}.")
    return "Right."


@exercise
def check_6_3(fair_gain):
    """``fair_gain(loss, stay, predicted, theta_old, theta_new)``: both judged at the new θ."""

    def loss(w, theta):
        return (w - theta) ** 2 + 5 / theta

    stay, predicted, old, new = 2.0, 1.1, 2.0, 1.0
    right = (loss(stay, new) - loss(predicted, new)) / loss(stay, new)
    given = float(fair_gain(loss, stay, predicted, old, new))
    if close(given, (loss(stay, old) - loss(predicted, new)) / loss(stay, old)):
        wrong("staying is judged at the old θ: this is the slip of the first switch. Use the new θ for both.")
    if close(given, (loss(stay, old) - loss(predicted, old)) / loss(stay, old)):
        wrong("both are judged at the old θ. The next correction is made at the new one.")
    if close(given, -right):
        wrong("the sign: a gain is positive where predicting lowers the loss.")
    if close(given, right * loss(stay, new)):
        wrong("divide by the loss of staying: a relative gain was asked for.")
    if close(given, right * loss(stay, new) / loss(predicted, new)):
        wrong("divided by the loss of the prediction. Divide by that of staying.")
    if not close(given, right):
        wrong(f"expected {right:.6f}, got {given:.6f}.")
    return "Right: both are judged on the same problem."


@exercise
def check_6_5(descent_step):
    """``descent_step(H, g, least)``: −(H + δI)⁻¹g, δ ≥ 0 as small as it can be."""
    random = np.random.default_rng(65)
    V = np.linalg.qr(random.normal(size=(4, 4)))[0]
    g = random.normal(size=4)
    for values, delta in (
        ([-3.0, -1.0, 2.0, 8.0], 3.5),
        ([1.0, 2.0, 4.0, 9.0], 0.0),
        ([0.2, 1.0, 2.0, 3.0], 0.3),
    ):
        H = V @ np.diag(values) @ V.T
        given = descent_step(torch.from_numpy(H), torch.from_numpy(g), 0.5)

        def shifted(by, H=H):
            return torch.from_numpy(-np.linalg.solve(H + by * np.eye(4), g))

        right, smallest = shifted(delta), min(values)
        if close(given, right):
            continue
        if close(given, -right):
            wrong("the sign: the step is −(H + δI)⁻¹g.")
        if smallest < 0 and close(given, shifted(0.0)):
            wrong("this is Newton's plain step. H has a negative eigenvalue here: shift it.")
        if smallest < 0 and close(given, shifted(-smallest - 0.5)):
            wrong(
                "shifted to −least. The smallest eigenvalue of H + δI must be at least least: δ = least − λ."
            )
        if smallest < 0 and close(given, shifted(0.5)):
            wrong("δ = least does not reach: it must lift the smallest eigenvalue of H, whatever that is.")
        if close(given, torch.from_numpy(-V @ np.diag(1 / np.maximum(np.abs(values), 0.5)) @ V.T @ g)):
            wrong(
                "this takes |λ| of each eigenvalue. It leads downhill, too, but is another method: shift all."
            )
        if close(given, torch.from_numpy(-V @ np.diag(1 / np.maximum(values, 0.5)) @ V.T @ g)):
            wrong("this lifts single eigenvalues. A trust region adds the same δ to all of them.")
        if smallest >= 0.5:
            wrong(
                "H has no eigenvalue below least here: δ is 0, and the step is Newton's. Is δ ever negative?"
            )
        wrong("not −(H + δI)⁻¹g with the smallest δ ≥ 0 that lifts all eigenvalues to least.")
    return "Right: downhill always, and Newton's own step where H allows it."
