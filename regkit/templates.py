"""Coarse templates made from a known image: super-resolution whose answer is known, and a start for it."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
import torch

from regkit._require import image_tensor, require, whole
from regkit.grid import Grid
from regkit.optimize import newton_trust
from regkit.outside import Outside
from regkit.registration import Registration
from regkit.superres import SuperResolution


@dataclass(frozen=True, eq=False, repr=False)
class Synthetic:
    """A problem made from a known image and known motions.

    Args:
        problem: what is to be solved.
        image (n₁, n₂): the fine image, in grey values.
        w_true (p,): the motions.
    """

    problem: SuperResolution
    image: torch.Tensor
    w_true: torch.Tensor

    def error(self, f: torch.Tensor) -> float:
        """‖f − image‖ / ‖image‖."""
        return float((f.reshape(-1) - self.image.reshape(-1)).norm() / self.image.norm())

    def __repr__(self) -> str:
        return f"Synthetic({self.problem!r})"


def random_affines(
    count: int,
    centre: tuple[float, float],
    seed: int = 2,
    scales: tuple[float, float] = (0.95, 1.3),
    degrees: tuple[float, float] = (0.0, 45.0),
) -> torch.Tensor:
    """Motions y = A (x − c) + c, A = rotation · diag(s₁, s₂), one for each seed from ``seed`` on.

    NumPy's old generator makes the paper's problem the same as here.

    Args:
        count: how many.
        centre: c, in the units of Ω.
        seed: of the first.
        scales: between which s₁ and s₂ are drawn.
        degrees: between which the angle is drawn.

    Returns:
        The parameters of ``Affine()``, (count, 6).

    Example:
        >>> random_affines(2, (0.0, 0.0), scales=(1.0, 1.0), degrees=(90.0, 90.0)).round().abs()
        tensor([[0., 1., 1., 0., 0., 0.],
                [0., 1., 1., 0., 0., 0.]], dtype=torch.float64)
    """
    motions = [torch.empty(0, 6, dtype=torch.float64)]
    for number in range(seed, seed + count):
        draw = np.random.RandomState(number).uniform
        stretch, angle, c = draw(*scales, 2), math.radians(draw(*degrees)), np.array(centre)
        A = np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]]) * stretch
        motions.append(torch.from_numpy(np.concatenate([A.reshape(-1), c - A @ c]))[None])
    return torch.cat(motions)


def observe(
    model: SuperResolution, image: torch.Tensor, w: torch.Tensor, noise: float = 0.0, seed: int = 2
) -> Synthetic:
    """The problem of ``model`` with the templates K f(y(·; w_j)) of an image, plus noise.

    Args:
        model: all but its templates, of which the shape is used.
        image (n₁, n₂): f, in grey values.
        w (p,): the motions.
        noise: its standard deviation, in grey values.
        seed: of the noise.

    Example:
        >>> model = SuperResolution(torch.zeros(2, 1, 2).double(), Grid((4.0, 2.0), (2, 4)))
        >>> observe(model, torch.ones(2, 4).double(), model.identity()).problem.templates[1]
        tensor([[1., 1.]], dtype=torch.float64)
    """
    data = model.at(w).forward(image.reshape(-1))[: model.templates.numel()] / model.scales[0]
    added = torch.randn(len(data), dtype=image.dtype, generator=torch.Generator().manual_seed(seed)).to(image)
    templates = (data + noise * added).reshape(model.templates.shape)
    return Synthetic(replace(model, templates=templates), image, w)


def synthetic(
    image: torch.Tensor,
    grid: Grid,
    *,
    factor: int = 2,
    count: int = 4,
    seed: int = 2,
    noise: float = 0.0,
    **options,
) -> Synthetic:
    """Coarse templates of an image: the first in place, the others moved by ``random_affines``.

    The defaults are the paper's. The templates are made by the model itself, so at ``w_true`` only
    λ and noise stand between f and the image.

    Args:
        image (n₁, n₂): the fine image, in grey values; both sides are multiples of ``factor``.
        grid: of the image.
        factor: fine cells along the side of a coarse one.
        count: how many templates.
        seed: of the first motion.
        noise: standard deviation of what is added to the templates, in grey values.
        options: strength, fixed, window of ``SuperResolution``.

    Raises:
        ValueError: if shapes do not fit, or for count < 1.

    Example:
        >>> made = synthetic(torch.rand(8, 12, dtype=torch.float64), Grid((2.0, 3.0), (8, 12)), count=3)
        >>> made
        Synthetic(SuperResolution(3 templates of 4 × 6, grid of 8 × 12, strength 0.01, 12 parameters))
        >>> made.error(made.image)
        0.0
    """
    require(isinstance(grid, Grid), f"expected a Grid, got {grid!r}")
    image, count = image_tensor(image), whole(count, "at least one template")
    shape, factor = tuple(image.shape), whole(factor, "a whole factor", 0)
    require(shape == grid.shape, f"expected an image of shape {grid.shape}, as the grid, got {shape}")
    fits = factor >= 1 and all(cells % factor == 0 for cells in grid.shape)
    require(fits, f"expected a grid of multiples of the factor {factor}, got {grid.shape}")
    coarse = tuple(cells // factor for cells in grid.shape)
    model = SuperResolution(image.new_zeros(count, *coarse), grid, **options)
    moving = random_affines(count - 1, tuple(side / 2 for side in grid.extent), seed).to(image)
    motions = torch.cat([model.transform.identity(image.dtype, image.device)[None], moving])
    w_true = motions[model.fixed :].reshape(-1)
    return observe(model, image, w_true, noise, seed)


def register_templates(
    problem: SuperResolution,
    thetas: tuple[float, ...] = (100.0, 10.0, 1.0, 0.1, 0.01, 0.001),
    iterations: int = 50,
    outside: Outside = None,
) -> torch.Tensor:
    """A start for w: template 0 registered to every other one, from the coarsest scale θ to the finest.

    Template j is K f(y(x; w_j)), and that is roughly template 0 at y(x; w_j).

    Args:
        problem: with templates that overlap.
        thetas: the scales.
        iterations: limit for Newton's method at each of them.
        outside: what the templates are beyond their boxes, as for ``Registration``.

    Returns:
        w (p,).

    Example:
        >>> from regkit import data
        >>> made = synthetic(*data.mri(16), count=2)
        >>> start, still = register_templates(made.problem, (10.0, 0.1)), made.problem.identity()
        >>> bool((start - made.w_true).norm() < 0.2 * (still - made.w_true).norm())
        True
    """
    found = [problem.transform.identity(problem.templates.dtype, problem.templates.device)]
    for template in problem.templates[1:]:
        images = problem.templates[0], template
        pair = Registration(*images, problem.coarse, transform=problem.transform, outside=outside)
        w = found[0]
        for theta in thetas:
            w = newton_trust(pair.at(theta), w, iterations=iterations).x
        found.append(w)
    return torch.cat(found[problem.fixed :])
