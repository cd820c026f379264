"""Checkers for the exercises of chapter 7."""

import numpy as np
import torch

from .report import close, exercise, wrong


def _camera(cells, factor, shift):
    matrix = np.zeros((cells // factor, cells))
    for k in range(cells // factor):
        for cell in range(factor * k + shift, factor * k + shift + factor):
            if 0 <= cell < cells:
                matrix[k, cell] = 1 / factor
    return matrix


@exercise
def check_7_2(camera):
    """``camera(cells, factor, shift)``: means over ``factor`` cells, the first beginning at ``shift``."""
    for cells, factor, shift in ((12, 3, 1), (12, 3, 0), (8, 2, 2), (12, 4, -3), (6, 3, 7)):
        given = camera(cells, factor, shift)
        given = given.numpy() if isinstance(given, torch.Tensor) else np.array(given)
        right, here = _camera(cells, factor, shift), f"for {cells} cells, factor {factor} and shift {shift}"
        if given.shape == right.shape[::-1] and given.shape != right.shape:
            wrong(f"{here} the shape is {given.shape}: transposed. A row belongs to a coarse pixel.")
        if given.shape != right.shape:
            wrong(f"{here} expected the shape {right.shape}, got {given.shape}.")
        if right.any() and close(given, factor * right):
            wrong("a pixel is the mean of its cells, not their sum: divide by the factor.")
        if right.any() and shift and close(given, _camera(cells, factor, -shift)):
            wrong(f"{here} the shift goes the wrong way: row 0 begins at cell {shift}.")
        if right.any() and shift and close(given, _camera(cells, factor, factor * shift)):
            wrong(f"{here} the shift is taken for coarse pixels. It is in fine cells.")
        if shift and close(given, np.roll(_camera(cells, factor, 0), shift, axis=1)):
            wrong(f"{here} what leaves at one end comes in at the other. Outside the signal is zero.")
        if not close(given, right):
            wrong(f"{here} expected\n{right}\ngot\n{given}")
    return "Right."


@exercise
def check_7_3(normal_product):
    """``normal_product(A, f)``: AᵀA f from one call of A and its reverse mode."""
    random = torch.Generator().manual_seed(7)
    M = torch.randn((5, 3), generator=random, dtype=torch.float64)
    f = torch.randn(3, generator=random, dtype=torch.float64)
    calls = []

    def A(x):
        calls.append(x)
        return M @ x

    given, right = normal_product(A, f), M.T @ (M @ f)
    if isinstance(given, tuple):
        wrong("this is a tuple: the function that vjp returns gives one entry for each argument. Take [0].")
    if given.shape == (5,):
        wrong("this has the shape of A f. The last step, the product with Aᵀ, is missing.")
    if close(given, 2 * right):
        wrong("twice too large: the gradient of ‖A f‖² is 2 AᵀA f. Take half of it.")
    if close(given, M.T @ torch.ones(5, dtype=torch.float64)):
        wrong("this is Aᵀ times ones: reverse mode must start with A f.")
    if close(given, -right):
        wrong("the sign is wrong.")
    if not close(given, right):
        wrong(f"expected {right.numpy().round(4)}, got {given.detach().numpy().round(4)}.")
    if len(calls) > 1:
        wrong(f"the value is right, but A was called {len(calls)} times. vjp returns A f along with Aᵀ.")
    return "Right: one call of A, and one sweep back."


@exercise
def check_7_4(discrepancy):
    """``discrepancy(strengths, norms, noise, m)``: the largest λ with norm ≤ noise √m."""
    strengths = torch.tensor([0.3, 0.01, 3.0, 0.1, 1.0, 0.03], dtype=torch.float64)
    sizes = torch.tensor([1.8, 0.8, 9.0, 1.2, 2.1, 0.9], dtype=torch.float64)  # misfits for a noise of 2
    m, noise = 400, 2.0
    given = float(discrepancy(strengths, sizes * m**0.5, noise, m))
    if close(given, 0.01):
        wrong("this is the smallest λ: it fits best, noise included. Take the largest that is allowed.")
    if close(given, 1.0):
        wrong("here the misfit is above the noise, if by little: nearest is not good enough.")
    if close(given, 3.0):
        wrong("at this λ the norm is far above that of the noise. Its norm is noise · √m, not noise · m.")
    if close(given, 0) and not isinstance(discrepancy(strengths, sizes * m**0.5, noise, m), torch.Tensor):
        wrong("this is the position in the list. Return the λ that stands there.")
    if not close(given, 0.3):
        wrong(f"expected 0.3, got {given:g}.")
    if not close(float(discrepancy(strengths, sizes * 10, noise, 100)), 0.3):
        wrong("right for 400 measurements, and wrong for 100: the norm of m errors is noise · √m.")
    if not close(float(discrepancy(strengths[:3], torch.full((3,), noise * 20.0), noise, m)), 3.0):
        wrong("a misfit equal to the noise is allowed.")
    return "Right."
