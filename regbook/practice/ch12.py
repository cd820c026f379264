"""Checkers for the exercises of chapter 12."""

import torch

from .report import close, exercise, wrong


@exercise
def check_12_2(hessian):
    """``hessian(J_r, r, seconds)``: 2 (JᵀJ + Σ rᵢ∇²rᵢ)."""
    generator = torch.Generator().manual_seed(11)

    def random(*shape):
        return torch.randn(shape, generator=generator, dtype=torch.float64)

    J, r, seconds = random(6, 3), random(6), random(6, 3, 3)
    seconds = seconds + seconds.transpose(1, 2)
    first, second = J.T @ J, torch.einsum("i,ijk->jk", r, seconds)
    given = hessian(J, r, seconds)
    if not isinstance(given, torch.Tensor) or given.shape != (3, 3):
        wrong(f"expected a matrix (3, 3), got {getattr(given, 'shape', given)}.")
    if close(given, first + second):
        wrong("this is the Hessian of ½‖r‖², the formula that the paper prints. Without ½ it has a factor 2.")
    if close(given, 2 * first + second):
        wrong("the factor 2 stands before both terms: it comes from the square, before the product rule.")
    if close(given, first + 2 * second):
        wrong("the factor 2 stands before JᵀJ, too.")
    if close(given, 2 * first):
        wrong("this is Gauss-Newton's matrix. The residual's own second derivatives are missing.")
    if close(given, 2 * (first - second)):
        wrong("the sign of the second term: the product rule adds.")
    if close(given, 2 * (first + seconds.sum(0))):
        wrong("each second derivative is multiplied by its residual.")
    if not close(given, 2 * (first + second)):
        wrong("the product rule on 2 Jᵀr gives 2 JᵀJ + 2 Σ rᵢ∇²rᵢ.")
    return "Right: both terms have the 2."


@exercise
def check_12_3(better):
    """``better(first, second)``: "first", "second" or "undecided"."""
    cases = (
        ([10.0, 11.0], [12.0, 13.0], "first"),
        ([12.0, 13.0], [10.0, 11.0], "second"),
        ([10.0, 12.5], [12.0, 13.0], "undecided"),
        ([10.0, 14.0], [12.0, 13.0], "undecided"),
        ([12.0, 13.0], [10.0, 14.0], "undecided"),
        ([10.0, 12.0], [12.0, 13.0], "undecided"),
        ([13.0, 12.0], [11.0, 10.0], "second"),
        ([12.0, 10.0], [11.0, 13.0], "undecided"),
    )
    for first, second, right in cases:
        given = better(list(first), list(second))
        if given == right:
            continue
        what = f"{first} against {second}: expected {right!r}, got {given!r}."
        if right != "undecided" and given in ("first", "second"):
            wrong(f"{what} The smaller error is the better one.")
        if right != "undecided":
            wrong(f"{what} All runs of one are better here.")
        if max(first) == min(second):
            wrong(f"{what} Where the ranges touch, one run is as good as the other: not every run is better.")
        if given in ("first", "second"):
            wrong(f"{what} The ranges overlap: means and medians do not see it.")
        wrong(what)
    return "Right: no order without a gap."
