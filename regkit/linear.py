"""Conjugate gradients for A x = b, and four ways to differentiate the answer.

A is symmetric positive definite and is only ever applied: x ↦ A x. Right-hand sides may be the columns of a
matrix, b (n, k); then all of them are solved at once.

If A = A(w) and b = b(w), then x(w) is a function too, and its derivative obeys  A ẋ = ḃ − Ȧ x:  the *same*
matrix, *another* right-hand side. ``solve`` lets the caller choose what becomes of that:

    "none"       ẋ = 0
    "unrolled"   differentiate every iteration of the program that computed x
    "last"       differentiate only the last k of them
    "implicit"   solve A ẋ = ḃ − Ȧ x, to a tolerance of its own

Sources: Hestenes & Stiefel (1952), https://doi.org/10.6028/jres.049.044; Saad (2003), chapters 6 and 12,
https://doi.org/10.1137/1.9780898718003; Gratton et al. (2014), https://doi.org/10.1137/120889848; Blondel
et al. (2022), https://arxiv.org/abs/2105.15183.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import torch

from regkit._require import require

Map = Callable[[torch.Tensor], torch.Tensor]


@dataclass(frozen=True)
class Solution:
    """x, of the shape of b; residuals, (iterations + 1,) or (iterations + 1, k): ‖b − A x‖ from the start on,
    as the recurrence knows it (``cgls``: ‖Aᵀ(b − A x)‖); converged: did every column meet its tolerance;
    message: why it ended."""

    x: torch.Tensor
    residuals: torch.Tensor
    converged: bool
    message: str

    @property
    def iterations(self) -> int:
        """How many there were."""
        return len(self.residuals) - 1


class _State(NamedTuple):
    """Iterate x, residual r = b − A x, search direction p, and ρ = ⟨r, M r⟩, for each column."""

    x: torch.Tensor
    r: torch.Tensor
    p: torch.Tensor
    rho: torch.Tensor


def _dot(a, b):
    return a @ b if a.ndim == 1 else (a * b).sum(0)


def _ratio(a, b):
    """a / b, and 0 where b is 0: a column that has arrived takes steps of length 0."""
    zero = b.detach() == 0
    return a / (b + zero) * ~zero


def _begin(A: Map, b: torch.Tensor, x0: torch.Tensor | None, M: Map | None) -> _State:
    x, r = (torch.zeros_like(b.detach()), b) if x0 is None else (x0, b - A(x0))
    p = r if M is None else M(r)
    return _State(x, r, p, _dot(r, p))


def _iterate(A: Map, state: _State, target: torch.Tensor, limit: int, M: Map | None):
    """The loop of conjugate gradients, at most ``limit`` times: returns the state, all ‖r‖, and the message.

    It is an ordinary program, so AD goes through it; the tests that end it look at values only.
    """
    norms = []
    for k in range(limit + 1):
        x, r, p, rho = state
        norms.append((rho if M is None else _dot(r, r)).detach().sqrt())
        if _holds((norms[-1] <= target).all()):
            return state, norms, f"converged in {k} iterations"
        if k == limit:
            break
        q = A(p)
        curvature = _dot(p, q)
        matters = ~(norms[-1] <= target.clamp(min=torch.finfo(target.dtype).eps * norms[0]))
        if _holds((matters & ~(curvature.detach() > 0)).any()):  # true for NaN as well
            worst = float(curvature.detach().min())
            return (
                state,
                norms,
                f"breakdown: pᵀAp = {worst:.1e} in iteration {k}: A is not positive definite",
            )
        alpha = _ratio(rho, curvature)
        x, r = x + alpha * p, r - alpha * q
        z = r if M is None else M(r)
        rho, old = _dot(r, z), rho
        state = _State(x, r, z + _ratio(rho, old) * p, rho)
    return state, norms, f"limit of {limit} iterations reached"


def _holds(condition: torch.Tensor) -> bool:
    """The truth of a condition; False under ``vmap``, where it has none: the loop then runs to its limit."""
    try:
        return bool(condition)
    except RuntimeError:
        return False


def _target(b: torch.Tensor, rtol: float, atol: float) -> torch.Tensor:
    """The residual norm at which to stop, max(atol, rtol ‖b‖), of each column.

    A tolerance below ten units of rounding cannot be met; rtol = 0 asks for all iterations, whatever is left.
    """
    require(rtol >= 0 and atol >= 0, f"expected tolerances ≥ 0, got rtol {rtol} and atol {atol}")
    require(b.isfinite().all(), "expected a right-hand side of finite numbers, got NaN or infinity in it")
    square = _dot(b, b)
    fits = square.isfinite() & ((square > 0) | (b == 0).all(0))
    require(fits.all(), f"expected ‖b‖² within the range of {b.dtype}: scale b")
    if rtol > 0:
        rtol = max(rtol, 10 * torch.finfo(b.dtype).eps)
    return (rtol * square.sqrt()).clamp(min=atol)


def _limit(b: torch.Tensor, x0: torch.Tensor | None, maxiter: int | None) -> int:
    """How many iterations there may be for a solution of the shape of b, after a look at the start."""
    require(maxiter is None or maxiter >= 0, f"expected a number of iterations ≥ 0, got {maxiter}")
    if x0 is not None:
        require(x0.shape == b.shape, f"expected a start of shape {tuple(b.shape)}, got {tuple(x0.shape)}")
        require(x0.detach().isfinite().all(), "expected a start of finite numbers, got NaN or infinity in it")
    return 10 * b.shape[0] if maxiter is None else maxiter


def cg(
    A: Map,
    b: torch.Tensor,
    x0: torch.Tensor | None = None,
    *,
    rtol: float = 1e-8,
    atol: float = 0.0,
    maxiter: int | None = None,
    preconditioner: Map | None = None,
) -> Solution:
    """Solve A x = b for symmetric positive definite A by conjugate gradients.

    A: function of x (n,), and of X (n, k) if b is (n, k). x0: where to start (warm start), zero if None.
    preconditioner: r ↦ M r with M ≈ A⁻¹, symmetric positive definite. A column is done when
    ‖b − A x‖ ≤ max(atol, rtol ‖b‖); the run ends when all are, or after ``maxiter`` (10 n) iterations. A
    direction with pᵀAp ≤ 0 is a breakdown: the run ends with the iterate before it, and the message says so.

    Errors: ValueError for NaN in b or x0, norms that overflow, negative tolerances, an x0 of another shape.
    """
    limit = _limit(b, x0, maxiter)
    if x0 is not None:
        x0 = x0 * (b != 0).any(0)  # where b = 0 the solution is known
    start = _begin(A, b, x0, preconditioner)
    state, norms, message = _iterate(A, start, _target(b, rtol, atol), limit, preconditioner)
    return Solution(state.x, torch.stack(norms), message.startswith("converged"), message)


def cgls(
    A: Map,
    At: Map,
    b: torch.Tensor,
    x0: torch.Tensor | None = None,
    *,
    rtol: float = 1e-8,
    atol: float = 0.0,
    maxiter: int | None = None,
) -> Solution:
    """Solve min ‖A x − b‖ by conjugate gradients on AᵀA x = Aᵀb, with the residual d = b − A x kept apart.

    A: (n,) ↦ (m,) or (n, k) ↦ (m, k); At: its adjoint. Aᵀd is computed from the small d, where ``cg`` on the
    normal equations subtracts large vectors: it reaches a smaller error if A is ill-conditioned. Stops as
    ``cg`` does, with ‖Aᵀd‖ ≤ max(atol, rtol ‖Aᵀb‖). Source: Björck (1996), section 7.4,
    https://doi.org/10.1137/1.9781611971484.
    """
    rhs = At(b)
    limit, target = _limit(rhs, x0, maxiter), _target(rhs, rtol, atol)
    if x0 is not None:
        x0 = x0 * (rhs != 0).any(0)
    d = b if x0 is None else b - A(x0)
    s = rhs if x0 is None else At(d)
    x, p, rho = torch.zeros_like(s) if x0 is None else x0, s, _dot(s, s)
    norms = [rho.sqrt()]
    while not (norms[-1] <= target).all() and len(norms) <= limit:
        q = A(p)
        alpha = _ratio(rho, _dot(q, q))
        x, d = x + alpha * p, d - alpha * q
        s = At(d)
        rho, old = _dot(s, s), rho
        p = s + _ratio(rho, old) * p
        norms.append(rho.sqrt())
    converged, steps = bool((norms[-1] <= target).all()), len(norms) - 1
    message = f"converged in {steps} iterations" if converged else f"limit of {limit} iterations reached"
    return Solution(x, torch.stack(norms), converged, message)


def chebyshev(A: Map, b: torch.Tensor, x0: torch.Tensor, iterations: int, bounds: tuple[float, float]):
    """A fixed number of steps of Chebyshev's semi-iteration for A x = b, whose eigenvalues lie in ``bounds``.

    Its polynomial in A depends on ``bounds`` alone, so x is *linear* in b and x0. Conjugate gradients choose
    the polynomial that suits b. Source: Saad (2003), algorithm 12.1.
    """
    low, high = bounds
    require(0 < low < high, f"expected bounds 0 < low < high of the eigenvalues, got {bounds}")
    centre, radius = (high + low) / 2, (high - low) / 2
    x, r = x0, b - A(x0)
    d, rho = r * (1 / centre), radius / centre
    for k in range(iterations):
        x = x + d
        if k == iterations - 1:
            break
        r = r - A(d)
        rho, old = 1 / (2 * centre / radius - rho), rho
        d = d * (rho * old) + r * (2 * rho / radius)
    return x


# Derivatives. A program made of torch operations needs none of this; what follows is for maps that are given
# as plain functions, such as a sparse matrix or a whole solver.


class _Linear(torch.autograd.Function):
    """y = A(w) x. A linear map is its own derivative in x; for w the caller gives D(x) = ∂(A x)/∂w, (m, p):

        forward mode   ẏ = A ẋ + D(x) ẇ          reverse mode   x̄ = Aᵀ ȳ,   w̄ = D(x)ᵀ ȳ

    and under ``vmap`` the batch becomes the columns of one call: if A is a solver, one batched solve.
    """

    @staticmethod
    def forward(x, w, A, At, D):
        return A(x)

    @staticmethod
    def setup_context(ctx, inputs, output):
        x, _, *ctx.maps = inputs
        ctx.save_for_backward(x)
        ctx.save_for_forward(x)
        ctx.set_materialize_grads(False)

    @staticmethod
    def _slope(ctx):
        shape = tuple(ctx.saved_tensors[0].shape)
        require(len(shape) == 1, f"expected a vector x for a derivative in w, got columns, {shape}")
        return _Linear.apply(ctx.saved_tensors[0].detach(), None, ctx.maps[2], None, None)

    @staticmethod
    def jvp(ctx, x_dot, w_dot, *_):
        A, At, D = ctx.maps
        parts = [] if x_dot is None else [_Linear.apply(x_dot, None, A, At, None)]
        parts += [] if w_dot is None or D is None else [_Linear._slope(ctx) @ w_dot]
        return parts[0] if len(parts) == 1 else parts[0] + parts[1]

    @staticmethod
    def backward(ctx, y_bar):
        (A, At, D), (for_x, for_w, *_) = ctx.maps, ctx.needs_input_grad
        x_bar = _Linear.apply(y_bar, None, At, A, None) if for_x else None
        w_bar = _Linear._slope(ctx).T @ y_bar if for_w and D is not None else None
        return x_bar, w_bar, None, None, None

    @staticmethod
    def vmap(info, in_dims, x, w, A, At, D):
        require(in_dims[1] is None, "expected one w for the whole batch: A(w) was built for one w")
        columns = x.movedim(in_dims[0], -1)  # (n, batch), or (n, k, batch) if x had columns already
        y = _Linear.apply(columns.flatten(1), w, A, At, D)
        return y.unflatten(1, columns.shape[1:]), columns.ndim - 1


def apply_linear(x, A: Map, At: Map, w=None, D: Map | None = None):
    """A(w) x by plain functions, differentiable once in x and w: by torch.func, or if they are ``Dual``.

    A: (n,) ↦ (m,) and (n, k) ↦ (m, k); At: its adjoint; D: (n,) ↦ ∂(A(w) x)/∂w (m, p). All at the present w.
    """
    if not isinstance(x, Dual) and not isinstance(w, Dual):
        return _Linear.apply(x, w, A, At, D)
    slopes = [A(x.tangents)] if isinstance(x, Dual) else []
    slopes += [D(x.detach()) @ w.tangents] if isinstance(w, Dual) and D is not None else []
    return Dual(A(x.detach()), sum(slopes[1:], start=slopes[0])) if slopes else A(x)


def _wide(a):
    return a[..., None] if isinstance(a, torch.Tensor) else a


@dataclass(frozen=True)
class Dual:
    """A vector (n,) or number () with p tangents, (n, p) or (p,): dual numbers, a whole Jacobian at a time.

    torch.func does the same for any program. Here the tangents are the columns of one matrix, so that one
    product with A serves them all, and the many small steps of conjugate gradients cost a third.
    """

    value: torch.Tensor
    tangents: torch.Tensor

    @classmethod
    def variables(cls, w: torch.Tensor) -> Dual:
        """w (p,) as the variables, ẇ = I: ``f(Dual.variables(w)).tangents`` is the Jacobian of f."""
        return cls(w, torch.eye(len(w), dtype=w.dtype, device=w.device))

    shape = property(lambda self: self.value.shape, doc="Shape of the value.")
    ndim = property(lambda self: self.value.ndim, doc="Dimensions of the value.")

    def detach(self) -> torch.Tensor:
        """The value alone."""
        return self.value

    def __add__(self, other):
        if isinstance(other, Dual):
            return Dual(self.value + other.value, self.tangents + other.tangents)
        return Dual(self.value + other, self.tangents)

    def __mul__(self, other):
        if isinstance(other, Dual):
            tangents = _wide(self.value) * other.tangents + _wide(other.value) * self.tangents
            return Dual(self.value * other.value, tangents)
        return Dual(self.value * other, self.tangents * _wide(other))

    def __matmul__(self, other):
        if isinstance(other, Dual):
            tangents = self.value @ other.tangents + other.value @ self.tangents
            return Dual(self.value @ other.value, tangents)
        return Dual(self.value @ other, other @ self.tangents)

    def __rtruediv__(self, other):
        ratio = other / self.value
        return Dual(ratio, -_wide(ratio / self.value) * self.tangents)

    def __truediv__(self, other):
        if not isinstance(other, Dual):
            return self * (1 / other)
        ratio = self.value / other.value  # (ȧ − (a/b) ḃ)/b: b² would underflow where residuals are tiny
        return Dual(ratio, (self.tangents - _wide(ratio) * other.tangents) / _wide(other.value))

    def __neg__(self):
        return self * -1.0

    def __sub__(self, other):
        return self + (-other)

    def __rsub__(self, other):
        return -self + other

    def __rmatmul__(self, other):
        return Dual(other @ self.value, other @ self.tangents)

    __radd__, __rmul__ = __add__, __mul__


def solve(
    A: Callable[[torch.Tensor, torch.Tensor], torch.Tensor],
    b: torch.Tensor,
    w: torch.Tensor,
    x0: torch.Tensor | None = None,
    *,
    derivative: str = "implicit",
    last: int | None = None,
    tail: str = "restart",
    bounds: tuple[float, float] | None = None,
    rtol: float = 1e-8,
    atol: float = 0.0,
    maxiter: int | None = None,
    tangent_rtol: float | None = None,
    tangent_maxiter: int | None = None,
    preconditioner: Map | None = None,
) -> torch.Tensor:
    """x(w) with A(w) x = b(w) by conjugate gradients, with the derivative of your choice.

    A: (w, x) ↦ A(w) x, symmetric positive definite, for x (n,) and (n, k), made of torch operations or
    ``apply_linear``. b: (n,), may depend on w. x0, rtol, atol, maxiter, preconditioner: as in ``cg``.
    derivative:

    "none"      x is a constant.
    "unrolled"  all iterations are differentiated. ẋ converges like x, some way behind it, until rounding
                errors, which it amplifies, take over. From a start x0 that is right already there are no
                iterations, and ẋ = 0.
    "last"      of ``maxiter`` iterations the ``last`` k are differentiated. tail: "restart" runs k new
                iterations from the undifferentiated iterate; "continue" keeps residual and direction, as
                constants; "chebyshev" runs k steps of ``chebyshev`` with ``bounds``. Only the third is sound.
    "implicit"  A ẋ = ḃ − Ȧ x, to ``tangent_rtol`` or for ``tangent_maxiter`` iterations (by default rtol and
                maxiter), all tangents in one batched run. Its error is that tolerance and that of x.

    Differentiable in forward or reverse mode, or with w and b as ``Dual``; "implicit" once only, a second
    derivative of it is wrong. ``vmap`` over b runs one batched solve. ``vmap`` over w needs an A of torch
    operations, and "implicit" cannot be differentiated under it (use a loop, or "unrolled"). Under ``vmap``
    no run ends before ``maxiter``, and a breakdown goes unseen.
    Errors: ValueError for an unknown name, k outside 0 … maxiter, a start of another shape, a breakdown of an
    iteration, or a tangent system without a solution.
    """
    require(derivative in ("none", "unrolled", "last", "implicit"), f"unknown derivative {derivative!r}")
    require(tail in ("restart", "continue", "chebyshev"), f"unknown tail {tail!r}")
    limit = _limit(b, x0, maxiter)
    target, M = _target(b.detach(), rtol, atol), preconditioner

    def traced(x):
        return A(w, x)

    def frozen(x):
        return A(w.detach(), x)

    def run(matrix, state, iterations, target=target):
        state, _, message = _iterate(matrix, state, target, iterations, M)
        require(not message.startswith("breakdown"), message)
        return state

    if derivative == "unrolled":
        return run(traced, _begin(traced, b, x0, M), limit).x

    start = _begin(frozen, b.detach(), None if x0 is None else x0.detach(), M)
    if derivative == "last":
        require(last is not None and 0 <= last <= limit, f"expected 0 ≤ last ≤ {limit}, got {last}")
        state = run(frozen, start, limit - last)
        if tail == "chebyshev":
            require(bounds is not None, "expected bounds of the eigenvalues for a Chebyshev tail, got None")
            return chebyshev(traced, b, state.x, last, bounds)
        if tail == "restart" or last == limit:  # with nothing before it, a tail is the whole run
            state = _begin(traced, b, state.x, M)
        return run(traced, state, last, torch.zeros_like(target)).x  # all k of them, also where x is right

    x = run(frozen, start, limit).x
    if derivative == "none":
        return x

    tolerance = rtol if tangent_rtol is None else tangent_rtol
    steps = maxiter if tangent_maxiter is None else tangent_maxiter

    def inverse(rhs):
        return inverse_of(frozen, rhs, tolerance, steps, M)

    # At fixed x the defect b(w) − A(w) x has the derivative ḃ − Ȧ x: the right-hand side of the tangent
    # system. Its value is subtracted, so that x stays what it is and only the derivative passes through A⁻¹.
    defect = b - A(w, x)
    return x + apply_linear(defect - defect.detach(), inverse, inverse)


def inverse_of(A: Map, rhs: torch.Tensor, rtol: float, maxiter: int | None, M: Map | None):
    """A⁻¹ of all columns of ``rhs``, for the systems of tangents: what ``cg`` gives, or an error.

    If nobody limited the iterations, a residual that stays means that there is no solution.
    """
    found = cg(A, rhs, rtol=rtol, maxiter=maxiter, preconditioner=M)
    require(not found.message.startswith("breakdown"), f"tangent system: {found.message}")
    if maxiter is None:
        size = _dot(rhs, rhs).sqrt()
        solved = found.residuals[-1] <= max(1e-3, 10 * rtol) * size
        require(solved.all(), "expected a tangent system with a solution, and found none: is A singular?")
    return found.x


def least_squares(A, At, b: torch.Tensor, w: torch.Tensor, x0: torch.Tensor | None = None, **options):
    """x(w) = argmin ‖A(w) x − b‖², by ``solve`` on A(w)ᵀA(w) x = A(w)ᵀb, with the same ``options``.

    A: (w, x) ↦ A(w) x; At: (w, y) ↦ A(w)ᵀ y, or None to have it from A by reverse mode (then x0 is needed,
    for its shape). b: (m,). "implicit" solves  AᵀA ẋ = Ȧᵀ r + Aᵀ(ḃ − Ȧ x)  with r = b − A x
    (Golub & Pereyra, 1973, https://doi.org/10.1137/0710036).
    """
    if At is None:
        require(x0 is not None, "expected a start x0, whose shape the adjoint needs, got None")

        def At(w, y):
            zero = x0.new_zeros(len(x0), *y.shape[1:])
            return torch.func.vjp(lambda x: A(w, x), zero)[1](y)[0]

    return solve(lambda w, x: At(w, A(w, x)), At(w, b), w, x0, **options)
