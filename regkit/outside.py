"""What an image is beyond its box, and which points count: ``Registration(…, outside=…)``.

A spline falls to zero beyond its box. That is right for a black background. A bright one then ends
in an edge, often the strongest of the image, which the registration tries to match. The choices:

    outside=0.0           zero beyond the box
    outside=None          the same, with a warning where the template's border is bright
    outside=v             T = v + (spline of T − v): both images go on as v
    outside="edge"        each image goes on as the mean of its outermost cells
    outside="mean"        each image goes on as its mean
    outside="overlap"     as "edge", and points that fall outside the template's box do not count

For the last every point gets a factor Mᵢ = M(y(xᵢ; w)) between 0 and 1, and has the weight

    aᵢ = ωᵢMᵢ Σω / ΣωM

in the place of ωᵢ. The sum of all weights stays Σω: for the squared difference J is the *mean* of
½(T − R)² over the overlap, times the volume, and a smaller overlap is no gain in itself. With P the
spline that has 1/6ᵈ for its coefficients, and so lies between 0 and 1,

    M = S(2P − 1)²,    S(q) = q³(10 − 15q + 6q²) for 0 ≤ q ≤ 1, 0 below, 1 above.

M is 0 outside the box, where P ≤ ½, and 1 from one and a half cells inside on. √M is twice
continuously differentiable, as r = √a (T − R) has to be. Cells of the template that do not count,
and their neighbours, have the coefficient 0. Where nothing overlaps J is NaN.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from regkit._require import image_tensor, number, real_tensor, require
from regkit.distances import Distance, ResidualDistance
from regkit.grid import Grid
from regkit.spline import at_centres

Outside = float | Literal["edge", "mean", "overlap"] | None


def known(image: Tensor, weights: Tensor | None) -> Tensor:
    """True for the cells of an image that count, of its shape.

    Args:
        image (m₁, …, m_d): finite numbers, but for cells that do not count.
        weights (as image): zero where they do not count; None if all do.

    Example:
        >>> known(torch.tensor([2.0, 9.0, 4.0]), torch.tensor([1.0, 0.0, 0.5]))
        tensor([ True, False,  True])
    """
    return torch.ones_like(image, dtype=torch.bool) if weights is None else weights != 0


def padding(image: Tensor, outside: Outside, counts: Tensor) -> Tensor:
    """The value with which an image goes on beyond its box, a tensor without dimensions.

    Args:
        image (m₁, …, m_d): the grey values.
        outside: the choice; None for zero.
        counts (as image): True for the cells that are looked at. If no outermost cell is, all others are.

    Raises:
        ValueError: for another word, or a number that is not finite.

    Example:
        >>> image = torch.tensor([2.0, 9.0, 4.0])
        >>> [float(padding(image, outside, image > 0)) for outside in (None, 7.0, "edge", "mean")]
        [0.0, 7.0, 3.0, 5.0]
    """
    if outside is None:
        return image.new_zeros(())
    if not isinstance(outside, str) or outside not in ("edge", "mean", "overlap"):
        return image.new_tensor(number(outside, 'outside as a finite number, "edge", "mean" or "overlap"'))
    border = counts & _outermost(counts)
    if outside != "mean":
        counts = torch.where(border.any(), border, counts)
    return torch.where(counts, image, 0.0).sum() / counts.sum()


def _outermost(cells: Tensor) -> Tensor:
    """True for the cells on the sides of the box."""
    inner = torch.zeros_like(cells, dtype=torch.bool)
    inner[tuple(slice(1, -1) for _ in cells.shape)] = True
    return ~inner


def completed(
    image: object, weights: object, names: tuple[str, str], shape: tuple[int, ...], outside: Outside
) -> tuple[Tensor, Tensor | None]:
    """An image and its weights as tensors of one kind, checked.

    Cells that do not count may be NaN or infinite: they get the value beyond the box.

    Args:
        image (shape): the grey values.
        weights (shape): ≥ 0, or None.
        names: of the two, for messages.
        shape: what is expected.
        outside: the choice.

    Raises:
        ValueError: for another shape, for NaN or infinity where the weight is not zero, and for
            weights that are negative, not finite or all zero.

    Example:
        >>> image, mask = torch.tensor([2.0, torch.nan, 4.0]), [1, 0, 1]
        >>> completed(image, mask, ("template", "mask"), (3,), "edge")
        (tensor([2., 3., 4.]), tensor([1., 0., 1.]))
    """
    image = image_tensor(image, finite=weights is None)
    require(tuple(image.shape) == shape, f"expected {names[0]} of shape {shape}, got {tuple(image.shape)}")
    if weights is None:
        return image, None
    weights, name = real_tensor(weights, names[1], image), names[1]
    require(tuple(weights.shape) == shape, f"expected {name} of shape {shape}, got {tuple(weights.shape)}")
    usable = weights.isfinite().all() & (weights >= 0).all() & (weights > 0).any()
    require(usable, f"expected finite {name} ≥ 0, not all of them zero")
    finite, counts = image.isfinite(), known(image, weights)
    message = f"expected an image of finite numbers where {name} are not zero, got NaN or infinity in it"
    require((finite | ~counts).all(), message)
    return torch.where(finite, image, padding(image, outside, counts)), weights


def warn_of_bright_border(template: Tensor) -> None:
    """A warning if zero beyond the box is an edge: the outermost cells are even, and far from zero.

    That is, their mean is more than twice their standard deviation and a quarter of the image's range.

    Args:
        template (m₁, …, m_d): the grey values.
    """
    border = _outermost(template)
    count, range = border.sum(), template.max() - template.min()
    mean = torch.where(border, template, 0.0).sum() / count
    spread = (torch.where(border, (template - mean) ** 2, 0.0).sum() / count).sqrt()
    try:
        bright = bool((mean.abs() > 2 * spread) & (mean.abs() > 0.25 * range))
    except RuntimeError:  # under vmap a tensor has no single truth value
        return
    if bright:
        warnings.warn(
            f"the template's border is bright, {float(mean):.3g} on average, and beyond it the template is "
            'zero, an edge that is none: choose outside="overlap", "edge" or a value; outside=0.0 keeps zero',
            stacklevel=4,
        )


def cover(template: Tensor, weights: Tensor | None) -> Tensor:
    """The coefficients of P: 1/6ᵈ in cells that are known and have no unknown neighbour, else 0.

    Args:
        template (m₁, …, m_d): whose shape and type the result has.
        weights (as template): zero in the cells that are not known, or None.

    Example:
        >>> 6 * cover(torch.zeros(6), torch.tensor([1, 1, 1, 1, 0, 0]))
        tensor([1., 1., 1., 0., 0., 0.])
    """
    pools = [torch.nn.functional.max_pool1d, torch.nn.functional.max_pool2d, torch.nn.functional.max_pool3d]
    unknown = (~known(template, weights)).to(template)[None, None]
    near = pools[template.ndim - 1](unknown, kernel_size=3, stride=1, padding=1)[0, 0]
    return (1 - near) / 6**template.ndim


def share(P: Tensor) -> Tensor:
    """M = S(2P − 1)², how much points count, from the cover P there (of any shape).

    Example:
        >>> share(torch.tensor([0.5, 0.75, 1.0]))
        tensor([0.0000, 0.2500, 1.0000])
    """
    q = (2 * P - 1).clip(0, 1)
    return (q**3 * (10 - 15 * q + 6 * q**2)) ** 2


def hardly(weights: Tensor, slopes: Tensor, cover: tuple[Tensor, ...], c: Tensor, grid: Grid) -> str:
    """A sentence, if hardly any of the template's edges lie where points count, or else nothing.

    Args:
        weights (n,): of the points.
        slopes (n, d): of the template there.
        cover: P there, (n,), first of all; empty if all points count.
        c (of the shape of the template): its coefficients.
        grid: its box and cells.

    Example:
        >>> grid, slopes = Grid((8.0,), (8,)), torch.tensor([[1e-6]])
        >>> hardly(torch.ones(1), slopes, (), torch.arange(8.0), grid)
        'hardly anything overlaps: the moved template has 1e-14 of its edges'
    """
    all_weights = float(weights.sum())
    seen = (weights * share(cover[0]) if cover else weights) @ slopes.square().sum(1)
    edges = (at_centres(c, k) / h for k, h in enumerate(grid.spacing))
    whole = sum(edge.square().sum() for edge in edges) * grid.cell_volume
    # as a sum and as a mean: the boxes may be of any size
    part = float((seen / whole).detach()) * max(1.0, grid.cell_volume * grid.count / all_weights)
    return f"hardly anything overlaps: the moved template has {part:.0e} of its edges" if part < 1e-6 else ""


@dataclass(frozen=True)
class Overlap(ResidualDistance):
    """A distance of the points that overlap: D(t, s, a) with a = ωM Σω/ΣωM, a function of t and P.

    The two are one vector (2n,), point by point: t₁, P₁, t₂, P₂, …

    Args:
        distance: D.

    Example:
        >>> from regkit.distances import SSD
        >>> t, s, weights = torch.tensor([3.0, 1.0, 9.0, 0.0]), torch.zeros(2), torch.ones(2)
        >>> Overlap(SSD()).value(t, s, weights)  # the second point does not count, the first for both
        tensor(9.)
    """

    distance: Distance

    @staticmethod
    def split(t: Tensor, weights: Tensor) -> tuple[Tensor, Tensor]:
        """t and a, each (n,)."""
        t, P = t.reshape(-1, 2).unbind(1)
        M = weights * share(P)
        return t, M * (weights.sum() / M.sum())

    def value(self, t: Tensor, s: Tensor, weights: Tensor) -> Tensor:
        """D(t, s, a), a tensor without dimensions."""
        t, a = self.split(t, weights)
        return self.distance.value(t, s, a)

    def residual(self, t: Tensor, s: Tensor, weights: Tensor) -> Tensor:
        """r, (n,), of the distance; a ValueError if it has none."""
        t, a = self.split(t, weights)
        return self.distance.residual(t, s, a)
