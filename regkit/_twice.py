"""Derivatives that are differentiated again: right, or refused."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor


class ImplicitSolve(torch.autograd.Function):
    """x(w) = A(w)⁻¹ b for a symmetric A, whose derivatives are functions of the same kind:

        forward mode   ẋ = A⁻¹ (ḃ − Ȧ x)          reverse mode   b̄ = A⁻¹ x̄,   w̄ = −(∂(A x)/∂w)ᵀ b̄

    So they can be differentiated again, as often as A can. Under ``vmap`` the right-hand sides
    become the columns of one solve.
    """

    @staticmethod
    def forward(
        w: Tensor, b: Tensor, x0: Tensor | None, A: Callable, first: Callable, later: Callable
    ) -> Tensor:
        """``first`` solves for x, ``later`` for all tangents; A: (w, x) ↦ A(w) x."""
        return first(w, b, x0)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple, output: Tensor) -> None:
        """Keep w and x."""
        ctx.A, ctx.later = inputs[3], inputs[5]
        ctx.save_for_backward(inputs[0], output)
        ctx.save_for_forward(inputs[0], output)
        ctx.set_materialize_grads(False)

    @staticmethod
    def _solve(ctx: Any, rhs: Tensor) -> Tensor:
        return ImplicitSolve.apply(ctx.saved_tensors[0], rhs, None, ctx.A, ctx.later, ctx.later)

    @staticmethod
    def jvp(ctx: Any, w_dot: Tensor | None, b_dot: Tensor | None, *_) -> Tensor:
        """A⁻¹ (ḃ − Ȧ x)."""
        A, ad = ctx.A, torch.autograd.forward_ad
        w, x = (ad.unpack_dual(each).primal for each in ctx.saved_tensors)
        dots = [torch.zeros_like(a) if dot is None else dot for a, dot in ((w, w_dot), (x, b_dot))]
        with ad._set_fwd_grad_enabled(True):  # for derivatives of this one: torch stops forward mode in here
            rhs = torch.func.jvp(lambda w, b: b - A(w, x), (w, x), tuple(dots))[1]
        return ImplicitSolve._solve(ctx, rhs)

    @staticmethod
    def backward(ctx: Any, x_bar: Tensor) -> tuple:
        """w̄ and b̄."""
        (w, x), A = ctx.saved_tensors, ctx.A
        b_bar = ImplicitSolve._solve(ctx, x_bar)
        w_bar = -torch.func.vjp(lambda w: A(w, x), w)[1](b_bar)[0] if ctx.needs_input_grad[0] else None
        return w_bar, b_bar, None, None, None, None

    @staticmethod
    def vmap(info: Any, in_dims: tuple, w: Tensor, b: Tensor, x0: Tensor | None, *maps: Callable) -> tuple:
        """One solve for all columns, or one for each w."""
        if in_dims[0] is None and in_dims[2] is None:
            columns = b.movedim(in_dims[1], -1)  # (n, batch), or (n, k, batch) if b had columns already
            start = None if x0 is None else x0[..., None].expand(columns.shape).flatten(1)
            x = ImplicitSolve.apply(w, columns.flatten(1), start, *maps)
            return x.unflatten(1, columns.shape[1:]), columns.ndim - 1
        return torch.func.vmap(maps[1], in_dims[:3])(w, b, x0), 0


class Once(torch.autograd.Function):
    """A derivative that cannot be differentiated again in ``variables``: asking for it is an error."""

    generate_vmap_rule = True

    @staticmethod
    def forward(derivative: Tensor, *variables: Tensor | None) -> Tensor:
        """The derivative as it is."""
        return derivative.clone()

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple, output: Tensor) -> None:
        """Nothing is kept."""
        ctx.set_materialize_grads(False)

    @staticmethod
    def _refuse() -> None:
        raise ValueError(
            "expected one derivative in w of a map that is given as plain functions, got a second one, "
            "which they do not have: write the map in torch operations"
        )

    @staticmethod
    def jvp(ctx: Any, dot: Tensor | None, *dots: Tensor | None) -> Tensor | None:
        """The map of tangents is the identity."""
        if any(each is not None for each in dots):
            Once._refuse()
        return None if dot is None else dot.clone()

    @staticmethod
    def backward(ctx: Any, bar: Tensor) -> tuple:
        """And so is that of cotangents."""
        if any(ctx.needs_input_grad[1:]):
            Once._refuse()
        return bar, *[None] * (len(ctx.needs_input_grad) - 1)


def once(part: Tensor, D: Callable | None, ctx: Any) -> Tensor:
    """Part of a derivative of A(w) x at the x and w that are kept, where A depends on w if there is a D."""
    w = ctx.saved_tensors[1]
    return part if w is None or D is None else Once.apply(part, w)
