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
