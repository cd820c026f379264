"""Checkers for the exercises of chapter 9."""

import numpy as np
import torch

from .report import close, exercise, wrong


def _system(seed=9, n=5):
    random = np.random.default_rng(seed)
    root, change = random.normal(size=(n, n)), random.normal(size=(n, n))
    matrices = root @ root.T + n * np.eye(n), change + change.T
    return *matrices, random.normal(size=n), random.normal(size=n)


@exercise
def check_9_2(tangent):
    """``tangent(A, A_dot, b, b_dot)``: ẋ = A⁻¹(ḃ − Ȧ x)."""
    A, A_dot, b, b_dot = _system()
    given = tangent(*map(torch.from_numpy, (A, A_dot, b, b_dot)))
    x = np.linalg.solve(A, b)
    right = np.linalg.solve(A, b_dot - A_dot @ x)
    if close(given, np.linalg.solve(A, b_dot + A_dot @ x)):
        wrong("the sign of Ȧ x: from Ȧ x + A ẋ = ḃ it goes to the other side.")
    if close(given, -np.linalg.solve(A, A_dot @ x)):
        wrong("ḃ is missing: the right-hand side moves, too.")
    if close(given, np.linalg.solve(A, b_dot)):
        wrong("Ȧ x is missing: the matrix moves, too.")
    if close(given, b_dot - A_dot @ x):
        wrong("this is the right-hand side of the tangent's system. Solve it.")
    if close(given, np.linalg.solve(A_dot, b_dot - A_dot @ x)):
        wrong("solve with A, not with Ȧ.")
    if close(given, np.linalg.solve(A, b_dot - A_dot @ b)):
        wrong("Ȧ is applied to b. It belongs to the solution x.")
    if not close(given, right):
        wrong(f"expected {right.round(6)}, got {given}.")
    return "Right: the same matrix, another right-hand side."


@exercise
def check_9_3(residual_polynomial):
    """``residual_polynomial(alphas, betas, value)``: p(λ) with p ← p − αλq, q ← p + βq."""
    alphas, betas, value = [0.5, 0.25, 0.4], [0.3, 0.6, 0.2], 3.0

    def recurrence(sign=-1.0, new_p=True, shifted=False):
        p = q = 1.0
        for alpha, beta in zip(alphas, [0.0, *betas] if shifted else betas, strict=False):
            old, p = p, p + sign * alpha * value * q
            q = (p if new_p else old) + beta * q
        return p, q

    given = float(residual_polynomial(alphas, betas, value))
    if close(given, recurrence(sign=1.0)[0]):
        wrong("the sign: a step takes α A direction away from the residual.")
    if close(given, recurrence()[1]):
        wrong("this is q, the polynomial of the direction. The residual's was asked for.")
    if close(given, recurrence(new_p=False)[0]):
        wrong("q is made from the old p. CG updates the residual first, and the direction with the new one.")
    if close(given, recurrence(shifted=True)[0]):
        wrong("the betas are off by one: β₀ makes the direction of the second iteration.")
    if close(given, np.prod([1 - alpha * value for alpha in alphas])):
        wrong("this is gradient descent: the direction has a memory, β times the last one.")
    if not close(given, recurrence()[0]):
        wrong(f"expected {recurrence()[0]:.6f}, got {given:.6f}.")
    return "Right."


@exercise
def check_9_4(depends_on_rounding):
    """``depends_on_rounding(f, x)``: does f(x) change by more than 1 % for moves of 1e-10?"""
    x = torch.linspace(1, 2, 4, dtype=torch.float64)

    def calm(x):
        return 1e3 * x

    def offset(x):  # a large constant and a small part that jumps
        return torch.cat([torch.full((1,), 1e6, dtype=x.dtype), torch.sin(1e12 * x)])

    def wild(x):
        return 1e-4 * torch.sin(1e12 * x)

    if not isinstance(depends_on_rounding(calm, x), bool | np.bool_):
        wrong("return True or False.")
    if depends_on_rounding(calm, x):
        wrong("f(x) = 1000 x is called noisy. Are the moves 1e-10, and is the change compared with f(x)?")
    if not depends_on_rounding(wild, x):
        wrong("a function that oscillates with a period of 1e-12 is called calm; its values are near 1e-4. "
              "Compare the change with the norm of f(x), not with 1.")  # fmt: skip
    if depends_on_rounding(offset, x):
        wrong("compare the norm of the change with the norm of f(x), not each entry with itself.")
    before = x.clone()
    depends_on_rounding(calm, x)
    if not torch.equal(before, x):
        wrong("your function changes x itself. Make a new tensor, x + move.")
    return "Right."
