"""Checkers for the exercises of chapter 1. Each says what is wrong for the errors that are easily made."""

import math

import torch

from .report import close, exercise, wrong


@exercise
def check_1_1(da, db, dx, dR):
    """The four derivatives of J at a = 1/6, b = 1/4, x = 3, R = 11/32."""
    right = {"da": 27 / 16, "db": 9 / 16, "dx": 3 / 32, "dR": -1 / 2}
    given = {"da": da, "db": db, "dx": dx, "dR": dR}
    if close([da, dx], [right["dx"], right["da"]]):
        wrong("∂J/∂a and ∂J/∂x are swapped: the derivative of a · x with respect to a is x.")
    if close(list(given.values()), [2 * value for value in right.values()]):
        wrong("all are twice too large: J = ½ r², so ∂J/∂r = r, not 2 r.")
    if close(list(given.values()), [-value for value in right.values()]):
        wrong("all have the wrong sign: the residual is T − R, here ½.")
    if close(dR, -right["dR"]):
        wrong("∂J/∂R has the wrong sign: R enters with a minus.")
    if close([da, db], [1.5, 0.5]):
        wrong("the slope of the edge, T′(y) = 6y(1 − y) = 9/8, is missing.")
    if close(da, right["db"]):
        wrong("∂J/∂a lacks the last factor: through a · x it is multiplied by x = 3.")
    for name, value in right.items():
        if not close(given[name], value):
            wrong(f"{name} is off: you have {float(given[name]):.4f}. Go up its path once more.")
    return "Right: two of them would have cost a run each forwards; backwards all four came at once."


@exercise
def check_1_2(divide):
    """``divide(u, du, v, dv)`` → (value, tangent) of the quotient of two dual numbers."""
    u, du, v, dv = 3.0, 0.7, -1.6, 0.4
    given = divide(u, du, v, dv)
    if not (isinstance(given, tuple | list) and len(given) == 2):
        wrong("expected a pair (value, tangent).")
    value, tangent = (float(part) for part in given)
    if not close(value, u / v):
        wrong(f"the value is u / v = {u / v:.4f}, you have {value:.4f}.")
    right = (du * v - u * dv) / v**2
    for other, message in (
        (-right, "the tangent has the wrong sign: it is u̇v − uv̇, in this order."),
        (
            (du * v + u * dv) / v**2,
            "a plus where a minus should be: a larger divisor makes the quotient smaller.",
        ),
        ((du * v - u * dv) / v, "divide by v², not by v."),
        (du * v - u * dv, "the division by v² is missing."),
        (du / dv, "the quotient of the tangents is not the tangent of the quotient."),
        (du / v, "this holds v fixed: its tangent v̇ is missing."),
    ):
        if close(tangent, other):
            wrong(message)
    if not close(tangent, right):
        wrong(f"for (3 + 0.7ε) / (−1.6 + 0.4ε) the tangent is {right:.4f}, you have {tangent:.4f}.")
    return "Right: (q + q̇ε)(v + v̇ε) = u + u̇ε."


@exercise
def check_1_3(play_back):
    """``play_back(tape, output)``: sensitivities of entry ``output`` to all entries."""
    # z = x · y + x with x = 3, y = 5, and one entry after the output that has nothing to do with it
    tape = [[], [], [(0, 5.0), (1, 3.0)], [(2, 1.0), (0, 1.0)], [(0, 100.0)]]
    try:
        given = [float(value) for value in play_back(tape, 3)]
    except IndexError as error:
        wrong(f"an index ran out of range ({error}): there is one sensitivity for each entry of the tape.")
    if len(given) != len(tape):
        wrong(f"expected one sensitivity for each of the {len(tape)} entries, got {len(given)}.")
    if not any(given):
        wrong("all are zero: the output's own sensitivity, the seed, is 1.")
    if close(given[:4], [1.0, 0.0, 1.0, 1.0]):
        wrong("the loop runs forwards: an entry must be complete before it hands on. Go backwards.")
    if given[0] == 5.0:
        wrong("x is used twice and must collect from both uses: `+=`, not `=`.")
    if given[0] == 100.0 or given[0] == 106.0:
        wrong("the seed belongs to `output`, not to the last entry of the tape.")
    if given[1] == 1.0:
        wrong("the derivative is missing: hand on the sensitivity *times* the derivative of the operation.")
    if not close(given, [6.0, 3.0, 1.0, 1.0, 0.0]):
        wrong(f"for z = x·y + x at (3, 5) the sensitivities are 6, 3, 1, 1, 0; you have {given}.")
    deep = [[]] + [[(k, 2.0)] for k in range(20)]
    if not close(play_back(deep, 20)[0], 2.0**20):
        wrong("right for a short tape, wrong for a chain of twenty operations.")
    return "Right: this is reverse mode."


class _Cube(torch.autograd.Function):
    """x³ with derivative rules of its own: forward mode inside a second derivative goes wrong here."""

    generate_vmap_rule = True

    @staticmethod
    def forward(x):
        return x**3

    @staticmethod
    def setup_context(ctx, inputs, output):
        ctx.save_for_backward(*inputs)
        ctx.save_for_forward(*inputs)

    @staticmethod
    def backward(ctx, bar):
        return 3 * ctx.saved_tensors[0] ** 2 * bar

    @staticmethod
    def jvp(ctx, dot):
        return 3 * ctx.saved_tensors[0] ** 2 * dot


@exercise
def check_1_4(hessian_times):
    """``hessian_times(f, w, v)``: H v, shape (p,)."""
    w, v = (torch.tensor(z, dtype=torch.float64) for z in ([0.5, -1.0, 2.0], [1.0, 3.0, -2.0]))

    def f(w):
        return w.prod() + w[0] * w[2] ** 2 + _Cube.apply(w).sum()

    x, y, z = w.tolist()  # by hand
    H = torch.tensor(
        [[6 * x, z, y + 2 * z], [z, 6 * y, x], [y + 2 * z, x, 2 * x + 6 * z]], dtype=torch.float64
    )
    gradient = torch.tensor(
        [y * z + z**2 + 3 * x**2, x * z + 3 * y**2, x * y + 2 * x * z + 3 * z**2], dtype=w.dtype
    )
    given = hessian_times(f, w, v)
    if not isinstance(given, torch.Tensor):
        wrong(f"expected a tensor of shape (3,), got {type(given).__name__}. `jvp` returns a pair.")
    if given.shape == H.shape:
        wrong("this is a matrix. Multiply by v, and better: never form H.")
    if given.shape == ():
        for number, message in ((gradient @ v, "vᵀ∇f, a first derivative"), (v @ H @ v, "vᵀHv, one number")):
            if close(given, number):
                wrong(f"this is {message}. H v has shape (3,): push v through the *gradient*.")
    if given.shape != v.shape:
        wrong(f"expected the shape of v, (3,), got {tuple(given.shape)}.")
    cubes = 6 * w * v
    for other, message in (
        (gradient, "this is the gradient: `jvp` returns (value, tangent), take the second."),
        (H.diagonal() * v, "this uses only the diagonal of H."),
        (2 * (H @ v), "twice too large."),
        (-(H @ v), "the wrong sign."),
        (H @ w, "this is H w: the direction is v, the point is w."),
        (H.sum(1), "this is H times a vector of ones: the gradient's sum was differentiated. Use v."),
        (
            H @ v - cubes,
            "forward mode inside: a second derivative in f got lost, silently. Put `grad` inside.",
        ),
    ):
        if close(given, other):
            wrong(message)
    if not close(given, H @ v):
        wrong(f"by hand H v = {(H @ v).tolist()}, you have {given.tolist()}.")
    return "Right: forward over reverse, and no Hessian was formed."


@exercise
def check_1_5(adjoint):
    """``adjoint(A, x, y)``: Aᵀy, of the shape of x."""
    generator = torch.Generator().manual_seed(0)
    matrix = torch.randn(7, 12, dtype=torch.float64, generator=generator)
    square = torch.randn(4, 4, dtype=torch.float64, generator=generator)
    x, y, z = (
        torch.randn(*shape, dtype=torch.float64, generator=generator) for shape in ((3, 4), (7,), (4,))
    )

    def tall(image):
        return matrix @ image.reshape(-1)

    try:
        given = adjoint(tall, x, y)
    except (RuntimeError, ValueError) as error:
        if "shape" in str(error) or "size" in str(error):
            wrong(
                f"torch stopped on a shape: `jvp` wants one of the shape of x, y has that of A x. ({error})"
            )
        raise
    right = (matrix.T @ y).reshape(3, 4)
    if isinstance(given, tuple):
        wrong("this is a tuple: the pull-back returns one entry for each input. Take the first.")
    if callable(given) and not isinstance(given, torch.Tensor):
        wrong("this is a function: `vjp` returns (value, pull-back). Call the pull-back with y.")
    if given.shape == (7,):
        wrong("this has the shape of y: you pushed forwards, A instead of Aᵀ.")
    if given.shape == (12,):
        wrong("the numbers are in a row: Aᵀy has the shape of x, here (3, 4).")
    if given.shape != right.shape:
        wrong(f"expected the shape of x, (3, 4), got {tuple(given.shape)}.")
    if close(given, 2 * right) or close(given, -right):
        wrong("off by a factor of 2, or by the sign.")
    if close(given, (matrix.T @ tall(x)).reshape(3, 4)):
        wrong("this is AᵀA x: pull back y, not the value.")
    if not close(given, right):
        wrong("this is not Aᵀy. Compare ⟨A x, y⟩ with ⟨x, Aᵀy⟩ for a small matrix.")
    again = adjoint(lambda w: square @ w, torch.zeros(4, dtype=torch.float64), z)
    if close(again, square @ z):
        wrong("for a square matrix you return A y: forwards. Shapes cannot tell the two apart there.")
    if not close(again, square.T @ z):
        wrong("right for one operator, wrong for a square one at x = 0: does your result depend on x?")
    return "Right: the adjoint, from the code of A alone."


@exercise
def check_1_6(safe_length):
    """``safe_length(v)``: ‖v‖ with gradient 0 at 0."""
    v, origin = torch.tensor([0.6, -0.8, 1.2], dtype=torch.float64), torch.zeros(3, dtype=torch.float64)
    length = math.sqrt(0.36 + 0.64 + 1.44)
    if float(safe_length(origin)) != 0.0:
        wrong(
            f"the value at 0 is 0, you have {float(safe_length(origin)):.1e}. A small number under the root?"
        )
    if not close(safe_length(v), length, 1e-13):
        wrong(f"the value has changed: {float(safe_length(v)):.12f} instead of {length:.12f}.")
    at_zero = torch.func.grad(safe_length)(origin)
    if at_zero.isnan().any():
        wrong("the gradient at 0 is still NaN: the argument of `sqrt` is 0, even if the result is not used.")
    if not close(at_zero, origin):
        wrong(f"the gradient at 0 should be 0, you have {at_zero.tolist()}.")
    away = torch.func.grad(safe_length)(v)
    if close(away, origin):
        wrong("the gradient is 0 everywhere: something cut the graph (`detach`, `item`, `float`).")
    if not close(away, v / length, 1e-12):
        wrong(f"away from 0 the gradient is v / ‖v‖ = {(v / length).tolist()}, you have {away.tolist()}.")
    small = 1e-9 * v
    if not close(torch.func.grad(safe_length)(small), v / length, 1e-9):
        wrong("wrong for short vectors: the repair is for v = 0 only.")
    return "Right: the argument is safe before the root is taken."


@exercise
def check_1_7(tridiagonal):
    """``tridiagonal(push, n)``: the matrix, from at most three products J v."""
    for n in (2, 7, 12):
        bands = [
            torch.randn(n - abs(k), dtype=torch.float64, generator=torch.Generator().manual_seed(k + 2))
            for k in (-1, 0, 1)
        ]
        right = sum(torch.diag(band, k) for k, band in zip((-1, 0, 1), bands, strict=True))
        calls = []

        def push(v, right=right, calls=calls):
            calls.append(1)
            return right @ torch.as_tensor(v, dtype=torch.float64)

        given = torch.as_tensor(tridiagonal(push, n), dtype=torch.float64)
        if given.shape != right.shape:
            wrong(f"expected shape ({n}, {n}), got {tuple(given.shape)}.")
        if close(given, right.T) and not close(right, right.T):
            wrong("transposed: J_F e_j is a *column*.")
        if close(given, torch.diag(right.diagonal())):
            wrong("only the diagonal is there.")
        lower, upper = right.tril(), right.triu()
        if close(given, lower) or close(given, upper):
            wrong("one of the two side diagonals is missing.")
        if not close(given, right):
            wrong(
                f"wrong for n = {n}: entry (i, j) is in product j mod 3, at row i, and only for |i − j| ≤ 1."
            )
        if len(calls) > 3:
            wrong(f"the matrix is right, but took {len(calls)} products for n = {n}. The target is three.")
    return "Right: three products, for every n."
