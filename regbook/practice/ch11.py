"""Checkers for the exercises of chapter 11."""

import torch

from regbook.meter import price

from .report import close, exercise, wrong


@exercise
def check_11_2(gauss_newton_product):
    """``gauss_newton_product(residual, w, v)``: J_rᵀ J_r v without J_r."""
    draw = torch.Generator().manual_seed(112)
    A = torch.randn(6, 4, generator=draw, dtype=torch.float64)
    w, v = torch.randn(2, 4, generator=draw, dtype=torch.float64)

    def residual(w):
        return (A @ w).sin() + (A @ w) ** 2 / 5

    J_r, r = torch.func.jacfwd(residual)(w), residual(w)
    H = torch.func.hessian(lambda w: residual(w).square().sum() / 2)(w)
    right = J_r.T @ (J_r @ v)
    given = gauss_newton_product(residual, w, v)
    if isinstance(given, tuple):
        wrong("this is a tuple: the function that goes back has a result for each argument. Take the first.")
    if tuple(given.shape) == (6,):
        wrong("this has the shape of the residual: it went forward, by J_r, and not back.")
    if tuple(given.shape) != (4,):
        wrong(f"expected a result of shape (4,), as w, got {tuple(given.shape)}.")
    if close(given, J_r.T @ r):
        wrong("this is the gradient, J_rᵀ r. Where is v?")
    if close(given, H @ v):
        wrong("this is the product with the exact Hessian. Gauss-Newton leaves the second derivatives out.")
    if close(given, 2 * right):
        wrong("twice as much: this belongs to ‖r‖² without the ½.")
    if close(given, J_r.square().sum(0) * v):
        wrong("this has the diagonal of the matrix only: one parameter moves the slopes of the others, too.")
    if not close(given, right):
        if float((given - right).norm() / right.norm()) < 1e-3:
            wrong("nearly: this looks like a difference quotient. Differentiate, and there is no error.")
        wrong("these are other numbers than J_rᵀ J_r v.")
    many = torch.ones(2000, dtype=torch.float64)
    numbers = price(gauss_newton_product, lambda w: w**3, many, many)
    if numbers > 100 * len(many):
        wrong(f"right, but for 2,000 parameters it computes {numbers:,} numbers: is the whole matrix built?")
    return "Right, and with thousands of parameters too."


@exercise
def check_11_4(determinants):
    """``determinants(u, x)``: det(I + ∇u) at each point."""
    draw = torch.Generator().manual_seed(114)
    x = 2 * torch.rand(7, 2, generator=draw, dtype=torch.float64)

    def u(point):
        a, b = point
        return torch.stack([0.8 * (2 * b).sin() + 0.3 * a * b, 0.9 * (3 * a).cos() - 0.5 * b**2])

    slopes = torch.func.vmap(torch.func.jacfwd(u))(x)
    F = torch.eye(2, dtype=torch.float64) + slopes
    right = F[:, 0, 0] * F[:, 1, 1] - F[:, 0, 1] * F[:, 1, 0]
    given = determinants(u, x)
    shape = tuple(given.shape)
    if shape != (7,):
        wrong(f"expected a number for each of the 7 points, shape (7,), got {shape}.")
    if close(given, torch.linalg.det(slopes)):
        wrong("this is det ∇u, of the displacement. y is x + u(x): where is the identity?")
    if close(given, 1 + torch.linalg.det(slopes)):
        wrong("1 + det ∇u is not det(I + ∇u): add the identity before the determinant.")
    if close(given, 1 + slopes[:, 0, 0] + slopes[:, 1, 1]):
        wrong("this is 1 + div u, which is right for small displacements only.")
    if close(given, F[:, 0, 0] * F[:, 1, 1] + F[:, 0, 1] * F[:, 1, 0]):
        wrong("a plus for a minus: the determinant is F₁₁F₂₂ − F₁₂F₂₁.")
    if close(given, F[:, 0, 0] * F[:, 1, 1]):
        wrong("this is the product of the diagonal. The other two numbers count, too.")
    if close(given, right.abs()):
        wrong("the absolute value hides what is looked for: where the map is folded the sign is negative.")
    if not close(given, right):
        wrong("these are other numbers than the determinants of I + ∇u.")
    return "Right: and it is negative where this map is folded."


@exercise
def check_11_5(weakest_honest):
    """``weakest_honest(alphas, misfits, noise)``: the largest α with a misfit of at most √2 · noise."""
    alphas = [10.0, 1.0, 0.1, 0.01, 0.001, 1e-4, 1e-5]
    misfits, noise = [9.0, 6.1, 4.4, 3.5, 2.9, 1.9, 1.2], 2.5  # 3.54 is explained
    given = float(weakest_honest(alphas, misfits, noise))
    if close(given, alphas[-1]):
        wrong("this is the smallest α, where the fit is best: it fits the noise. The largest was asked for.")
    if close(given, 1e-4):
        wrong("the noise of one image alone: both have noise, and their difference has √2 times as much.")
    if close(given, 0.1):
        wrong("this α is one too large: its misfit, 4.4, is above √2 · 2.5, or √2 became a 2.")
    if close(given, 10.0):
        wrong("this is the largest α of all, whose misfit is far above the noise.")
    if not close(given, 0.01):
        wrong(f"expected 0.01, the first whose misfit is at most √2 · 2.5, got {given:g}.")
    try:
        last = weakest_honest([1.0, 0.1], [9.0, 8.0], 1.0)
    except (IndexError, ValueError, StopIteration) as error:
        wrong(f"where no misfit is small enough, return the smallest α; there was an error: {error!r}.")
    if last is None or not close(float(last), 0.1):
        wrong(f"where no misfit is small enough, return the smallest α, 0.1; your function returned {last}.")
    return "Right: and the true map was not needed."
