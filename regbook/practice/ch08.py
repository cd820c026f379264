"""Checkers for the exercises of chapter 8."""

import numpy as np
import torch

from .report import close, exercise, wrong


def _example(columns=3, parameters=2):
    random = np.random.default_rng(8)
    return tuple(random.normal(size=shape) for shape in ((9, columns), (9, parameters), (9, columns), (9,)))


@exercise
def check_8_2(kaufman):
    """``kaufman(A, D)``: P⊥D = D − A (AᵀA)⁻¹ AᵀD."""
    A, D, *_ = _example()
    right = D - A @ np.linalg.lstsq(A, D)[0]
    given = kaufman(torch.from_numpy(A), torch.from_numpy(D))
    if tuple(given.shape) == (A.shape[1], D.shape[1]):
        wrong("these are coefficients, (n, p). Multiply by A to come back to the rows, (m, p).")
    if close(given, D - right):
        wrong("this is P D, the shadow on the range of A. Kaufman keeps the rest, D − P D.")
    if close(given, right - D) or close(given, -right):
        wrong("the sign: Kaufman's Jacobian is D minus its shadow.")
    if close(given, 2 * D - right):
        wrong("the shadow is added. Subtract it.")
    if close(given, D - A @ (A.T @ D)):
        wrong("AAᵀ is a projection only if the columns of A are orthonormal. Here (AᵀA)⁻¹ is missing.")
    if close(given, D):
        wrong("this is D itself, the Jacobian with f held fixed.")
    if not close(given, right):
        wrong("expected D − A (AᵀA)⁻¹ AᵀD, got something else. Is Aᵀ times your answer zero?")
    return "Right: one projection, nothing differentiated."


@exercise
def check_8_3(slope):
    """``slope(A, dA, b)``: P⊥D + A (AᵀA)⁻¹ E, compared with central differences."""
    A, _, dA, b = _example()

    def residual(t):
        moved = A + t * dA
        return moved @ np.linalg.lstsq(moved, b)[0] - b

    f, inverse = np.linalg.lstsq(A, b)[0], np.linalg.inv(A.T @ A)
    D, E = dA @ f, dA.T @ (b - A @ f)
    right = D - A @ (inverse @ (A.T @ D)) + A @ (inverse @ E)
    differences = (residual(1e-6) - residual(-1e-6)) / 2e-6
    assert close(right, differences, 1e-6), "the checker disagrees with finite differences"
    given = slope(*(torch.from_numpy(part) for part in (A, dA, b)))
    if close(given, D):
        wrong("this is D: f is held. The product rule has a second term, A f′.")
    if close(given, D - A @ (inverse @ (A.T @ D))):
        wrong("this is Kaufman's Jacobian. The first A in Aᵀ(b − Af) contains w, too: E is missing.")
    if close(given, D - A @ (inverse @ (A.T @ D)) - A @ (inverse @ E)):
        wrong("the sign of E: it is (dA)ᵀy with y = b − A f, which is minus the residual.")
    if close(given, D - A @ (inverse @ (A.T @ D)) + A @ (inverse @ (dA.T @ b))):
        wrong("E is (dA)ᵀ(b − A f), not (dA)ᵀb: the second term of the normal equations counts, too.")
    if close(given, D + A @ (inverse @ (A.T @ D)) + A @ (inverse @ E)):
        wrong("the sign of AᵀD: f′ = (AᵀA)⁻¹ (E − AᵀD).")
    if close(given, inverse @ (E - A.T @ D)):
        wrong("this is f′(w). The residual changes by D + A f′.")
    if not close(given, right):
        wrong("expected the derivative of A(w) f(w) − b, got another. Try finite differences.")
    return "Right."


@exercise
def check_8_4(share):
    """``share(A, D)``: ‖P⊥D‖² / ‖D‖²."""
    A, D = _example(parameters=1)[:2]
    D = D[:, 0]
    across = D - A @ np.linalg.lstsq(A, D)[0]
    right = (across @ across) / (D @ D)
    given = float(share(torch.from_numpy(A), torch.from_numpy(D)))
    if close(given, 1 - right):
        wrong("this is cos²: the part that the step leaves. The part that it makes is sin².")
    if close(given, np.sqrt(right)):
        wrong("this is the sine. The matrices hold squares of lengths.")
    if close(given, 1 / right):
        wrong("upside down: the step with D is the shorter one, so the number is below 1.")
    if close(given, np.sqrt(1 - right)):
        wrong("this is the cosine of the angle. Which part of D do the data see, and is it squared?")
    if not close(given, right):
        wrong(f"expected {right:.6f}, got {given:.6f}.")
    return "Right: sin² of the angle between D and the range of A."
