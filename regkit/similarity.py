"""Turning, shifting and one scale for all directions: the map between two images of one rigid thing."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from regkit._require import require
from regkit.transforms import Rigid


@dataclass(frozen=True)
class Similarity(Rigid):
    """y = e^σ R (x − c) + c + b with a rotation R: angles are kept, lengths all change by one factor.

    In the plane w = (angle, σ, b), p = 4; in space w = (α, β, γ, σ, b), p = 7. Angles and R are
    those of ``Rigid``.

    Args:
        dim: the number of dimensions d, 2 or 3.
        center (d numbers, in the unit of the grid): c; None means 0.

    Raises:
        ValueError: as ``Affine``.

    Example:
        >>> w = torch.tensor([torch.pi / 2, 0.0, 0.0, 0.0])
        >>> w[1] = torch.tensor(3.0).log()
        >>> Similarity(center=(1.0, 1.0))(w, torch.tensor([[2.0, 1.0]]))
        tensor([[1., 4.]])
    """

    @property
    def parameters(self) -> int:
        """Length p of w."""
        return self.turns + 1 + self.dim

    @property
    def _rigid(self) -> Rigid:
        return Rigid(self.dim, self.center)

    def _parts(self, w: Tensor) -> tuple[Tensor, Tensor]:
        """The parameters of ``Rigid``, and e^σ."""
        turns = self.turns
        return torch.cat([w[:turns], w[turns + 1 :]]), w[turns].exp()

    def lift(self, w: Tensor, order: int = 0) -> Tensor | None:
        """As ``Affine.lift``: only A is scaled, and ∂/∂σ scales it once more."""
        turns, count = self.turns, self.dim**2
        rigid, scale = self._parts(w)
        lifted = self._rigid.lift(rigid, order)
        assert lifted is not None
        lifted = torch.cat([scale * lifted[:count], lifted[count:]])
        if order == 0:
            return lifted
        others = [k for k in range(self.parameters) if k != turns]
        full = w.new_zeros(len(lifted), *[self.parameters] * order)
        if order == 1:
            full[:, others] = lifted
        else:
            full[:, torch.tensor(others)[:, None], torch.tensor(others)] = lifted
        lower = self.lift(w, order - 1)
        assert lower is not None
        full[:count, ..., turns] = lower[:count]
        if order == 2:
            full[:count, turns] = lower[:count]
        return full

    def lower(self, A: Tensor, b: Tensor) -> Tensor:
        """The angles and σ of A, and b; a ValueError unless A is a rotation times a factor above 0."""
        determinant = torch.linalg.det(A)
        require(determinant > 0, lambda: f"expected a rotation times a factor, got {A.tolist()}")
        scale = determinant ** (1 / self.dim)
        rigid = self._rigid.lower(A / scale, b)
        return torch.cat([rigid[: self.turns], scale.log()[None], rigid[self.turns :]])
