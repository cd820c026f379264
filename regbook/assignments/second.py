"""Checkers on chapters 7 to 10: a camera's transpose, smoothing, projection, implicit derivatives, CG."""

from __future__ import annotations

import numpy as np
import scipy.linalg
import torch
from scipy.sparse.linalg import LinearOperator, cg

from regbook.assignments.properties import derivative_fits, near, numbers, random, tensor
from regbook.practice.report import exercise, wrong


@exercise
def check_g2_1(expand, seed: int = 0):
    """The transpose of the mean over square blocks of cells."""
    draw = random(seed)
    factor = int(draw.integers(2, 5))
    fine, coarse = draw.normal(size=(3 * factor, 4 * factor)), draw.normal(size=(3, 4))
    back = numbers(expand(tensor(coarse), factor), fine.shape)
    seen = fine.reshape(3, factor, 4, factor).mean(axis=(1, 3))
    here, there = float((seen * coarse).sum()), float((fine * back).sum())

    def same(number):
        return abs(number - here) < 1e-10 * np.linalg.norm(fine) * np.linalg.norm(coarse)

    if same(there):
        return "Right. It passes the adjoint test."
    if same(there / factor**2):
        wrong("It fails the adjoint test: a mean divides, and so does its transpose.")
    if same(there / factor):
        wrong("It fails the adjoint test by one factor: a block has as many cells as factor times factor.")
    if same(float((fine * np.tile(coarse, (factor, factor)) / factor**2).sum() - there + here)):
        wrong("The coarse image is repeated as a whole. Each of its pixels should fill one block.")
    wrong("It fails the adjoint test: ⟨K f, d⟩ is not ⟨f, Kᵀd⟩.")


@exercise
def check_g2_2(smoothed, seed: int = 0):
    """The minimiser of ½‖Af − b‖² + ½λ‖Lf‖²."""
    draw = random(seed)
    A, b = draw.normal(size=(6, 8)), draw.normal(size=6)
    L, strength = np.diff(np.eye(8), axis=0) + 0.1 * draw.normal(size=(7, 8)), float(draw.uniform(0.2, 0.7))

    def solved(root):
        stacked, right = np.concatenate([A, root * L]), np.concatenate([b, np.zeros(7)])
        return scipy.linalg.lstsq(stacked, right)[0]

    f = numbers(smoothed(tensor(A), tensor(L), tensor(b), strength), (8,))
    if near(f, solved(strength**0.5), 1e-7):
        return "Right. SciPy finds the same image."
    for root, words in (
        (strength, "λ counts squared: the stacked rows are √λ L"),
        ((2 * strength) ** 0.5, "λ counts twice: both terms have the factor ½"),
        ((strength / 2) ** 0.5, "λ counts by half: both terms have the factor ½"),
        (1.0, "λ is not used"),
    ):
        if near(f, solved(root), 1e-7):
            wrong(f"It minimises something else: {words}.")
    if near(f, scipy.linalg.lstsq(A, b)[0], 1e-6):
        wrong("The penalty is missing.")
    wrong("SciPy finds another image, with a lower value of the objective.")


@exercise
def check_g2_3(reduced_gradient, seed: int = 0):
    """The gradient of ½ min ‖A(w) f − b‖²."""
    draw = random(seed)
    base, turns, b = draw.normal(size=(9, 4)), draw.normal(size=(3, 9, 4)), draw.normal(size=9)
    w = draw.normal(size=3)

    def matrix(w):
        return tensor(base) + torch.sin(torch.einsum("p,pij->ij", w, tensor(turns)))

    def value(w):
        A = matrix(tensor(w)).numpy()
        return 0.5 * float(np.square(A @ scipy.linalg.lstsq(A, b)[0] - b).sum())

    g = numbers(reduced_gradient(matrix, tensor(w), tensor(b)), (3,))
    lines = draw.normal(size=(3, 3))

    def passes(g):
        return all(derivative_fits(lambda h, v=v: value(w + h * v), float(g @ v)) for v in lines)

    if passes(g):
        return "Right. The remainder of the reduced loss has slope 2."
    if passes(-g):
        wrong("The sign is wrong: the residual is A f − b.")
    if passes(g / 2):
        wrong("This is twice the gradient: the loss has a factor ½.")
    if near(g, np.zeros(3)):
        wrong("It is zero: was the matrix, or the residual, taken for a constant?")
    wrong("The remainder has slope 1: this is not the gradient of the reduced loss. At which f is it taken?")


@exercise
def check_g2_4(pull_back, seed: int = 0):
    """Reverse mode through a solve: from x̄ to Ā and b̄."""
    draw = random(seed)
    A = draw.normal(size=(5, 5)) + 4 * np.eye(5)
    b, x_bar, b_dot = draw.normal(size=(3, 5))
    A_dot = draw.normal(size=(5, 5))
    answer = pull_back(tensor(A), tensor(b), tensor(x_bar))
    if not isinstance(answer, tuple | list) or len(answer) != 2:
        wrong("Two things were expected: the sensitivities to A and to b.")
    A_bar, b_bar = numbers(answer[0], (5, 5)), numbers(answer[1], (5,))
    x = scipy.linalg.solve(A, b)
    from_b, from_A = scipy.linalg.solve(A, b_dot), -scipy.linalg.solve(A, A_dot @ x)

    def same(one, other):
        return abs(one - other) < 1e-9

    if not same(b_bar @ b_dot, x_bar @ from_b):
        if same(-b_bar @ b_dot, x_bar @ from_b):
            wrong("The sign of b̄ is wrong.")
        if near(A @ b_bar, x_bar):
            wrong("b̄ solves a system with A. What goes backwards meets the transpose.")
        wrong("b̄ is wrong: ⟨x̄, ẋ⟩ is not ⟨b̄, ḃ⟩ where A stays as it is.")
    if same((A_bar * A_dot).sum(), x_bar @ from_A):
        return "Right. It passes the adjoint test, for A and for b."
    if same(-(A_bar * A_dot).sum(), x_bar @ from_A):
        wrong("b̄ is right. The sign of Ā is wrong: differentiate A x = b.")
    if same((A_bar.T * A_dot).sum(), x_bar @ from_A):
        wrong("b̄ is right. Ā is transposed: its rows belong to b̄, its columns to x.")
    if same(-(A_bar.T * A_dot).sum(), x_bar @ from_A):
        wrong("b̄ is right. Ā is transposed, and has the wrong sign.")
    wrong("b̄ is right, Ā is not: ⟨x̄, ẋ⟩ is not the sum of Ā · Ȧ where b stays as it is.")


@exercise
def check_g2_5(iterate, seed: int = 0):
    """So many iterations of conjugate gradients, from zero."""
    draw = random(seed)
    root, b = draw.normal(size=(12, 12)), draw.normal(size=12)
    A, calls = root @ root.T / 12 + 0.3 * np.eye(12), []

    def product(v):
        calls.append(1)
        return tensor(A) @ v

    def scipy_has(count):
        return cg(LinearOperator((12, 12), lambda v: A @ v), b, rtol=0.0, atol=0.0, maxiter=count)[0]

    for count in (1, 3, 6):
        calls.clear()
        x = numbers(iterate(product, tensor(b), count), (12,))
        right, exact = scipy_has(count), scipy.linalg.solve(A, b)
        if len(calls) > count + 1:
            wrong(f"{count} iterations made {len(calls)} products with A. One in each is enough.")
        if near(x, right, 1e-7):
            continue
        for other in (count - 1, count + 1):
            if near(x, scipy_has(other) if other else np.zeros(12), 1e-7):
                wrong(f"After {count} iterations it is where SciPy is after {other}.")
        if count == 1:
            wrong("The first step is not the one along b that minimises. What is its length?")
        if (x - exact) @ A @ (x - exact) > (right - exact) @ A @ (right - exact):
            wrong("The first step is right, the later ones are not: is each direction conjugate to the last?")
        wrong("It is nearer to the solution than conjugate gradients can be: was A known otherwise?")
    return "Right. SciPy has the same iterates."
