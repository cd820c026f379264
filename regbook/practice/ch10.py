"""Checkers for the exercises of chapter 10."""

import math

import numpy as np
import torch

from .report import close, exercise, wrong


@exercise
def check_10_2(filter_factors):
    """``filter_factors(A, b, f0, f)``: vᵢᵀ(f − f₀) / vᵢᵀ(f* − f₀) for rising eigenvalues of AᵀA."""
    random = np.random.default_rng(10)
    A, b, f0 = random.normal(size=(9, 5)), random.normal(size=9), random.normal(size=5)
    values, vectors = (x.numpy() for x in torch.linalg.eigh(torch.from_numpy(A.T @ A)))
    exact = np.linalg.lstsq(A, b, rcond=None)[0]
    right = np.array([0.1, 0.3, 0.4, 0.9, 1.1])
    f = f0 + vectors @ (right * (vectors.T @ (exact - f0)))
    given = filter_factors(*(torch.from_numpy(x.copy()) for x in (A, b, f0, f)))
    if close(given, right[::-1]):
        wrong("the order is turned round: the smallest eigenvalue comes first.")
    if close(given, 1 - right):
        wrong("this is the part of the way that is left. Asked for is the part that is done.")
    if close(given, 1 / right):
        wrong("upside down: the way that f has come is the numerator.")
    if close(given, (vectors.T @ f) / (vectors.T @ exact)):
        wrong("f₀ is missing. The way begins there, not at zero.")
    if close(given, (f - f0) / (exact - f0)):
        wrong("these are parts along the pixels. Turn both differences into the eigenvectors first.")
    if close(given, (vectors @ (f - f0)) / (vectors @ (exact - f0))):
        wrong("the eigenvectors are the columns of V, so the components are Vᵀ(f − f₀), not V(f − f₀).")
    if close(given, values * right):
        wrong("multiplied by the eigenvalues: the factors are quotients of components, nothing else.")
    if not close(given, right):
        wrong(f"expected {right}, got {given}.")
    return "Right: near 0 where f still is at its start, near 1 where it has arrived."


@exercise
def check_10_3(work_to_reach):
    """``work_to_reach(products, errors, target)``: the work at which the error is at the target for good."""
    products, errors = [10, 30, 70, 90, 200, 250, 300], [40.0, 12.0, 15.0, 11.0, 9.0, 8.0, 7.5]
    cases = [(12.5, 90), (9.0, 200), (50.0, 10), (7.0, math.inf)]
    for target, right in cases:
        given = work_to_reach(list(products), list(errors), target)
        below = [k for k, error in enumerate(errors) if error <= target]
        if given is None or (right == math.inf and given != math.inf):
            wrong(f"the target {target} is never reached: return math.inf, not {given}.")
        if given == right:
            continue
        if below and given == products[below[0]]:
            wrong(
                f"at {given} products the error is below {target} for the first time, but it rises again. "
                "Asked for is when it stays."
            )
        if right in products and given in (products.index(right), products.index(right) + 1):
            wrong(f"{given} is the number of a step. Give the products at that step.")
        if given == products[-1]:
            wrong("this is the work of the whole run, not that until the target.")
        if target in errors and given != right:
            wrong("an error equal to the target has reached it.")
        if right in products[1:] and given == products[products.index(right) - 1]:
            wrong("one step too early: there the error is still above the target.")
        wrong(f"for the target {target} expected {right}, got {given}.")
    return "Right."
