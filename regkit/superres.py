"""Super-resolution: one fine image f from q coarse ones, and the motions w between them.

Coarse image j is the fine one, moved and averaged:  d_j = K f(y(·; w_j)). The spline through the
values f is linear in f, so f(y(·; w_j)) = I(w_j) f with a matrix I that depends on w. Together with
a penalty on the slope of f this is one linear least-squares problem in f:

    ½‖A(w) f − b‖²,    A(w) = [ √h_d (K I(w_1); …; K I(w_q)) ]      b = [ √h_d d ]
                              [ λ √h_f L                     ],         [ 0      ]

K averages blocks of factor × factor cells, L takes differences divided by the side of a cell, h_d
and h_f are the areas of a coarse and of a fine cell. The problem is a ``varpro.Separable`` one.
Source:
    Chung, Haber & Nagy (2006), https://doi.org/10.1088/0266-5611/22/4/009
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property

import torch

from regkit._require import number, real_tensor, require, tensor
from regkit.grid import Grid
from regkit.operators import ParametricOperator
from regkit.spline import coefficients, evaluate, smoothing_modes
from regkit.transforms import Affine, Transform

Window = Callable[[Grid, torch.Tensor], torch.Tensor]
_DENSE = 400  # up to so many unknowns AᵀA is formed, once per w: cheaper than two sparse products


def pool(image: torch.Tensor, factor: int) -> torch.Tensor:
    """K: means over blocks of factor × factor cells.

    Args:
        image (…, m₁, m₂): one image or several.
        factor: the side of a block, in cells; it divides m₁ and m₂.

    Returns:
        The coarse images (…, m₁/factor, m₂/factor).

    Raises:
        ValueError: for sides that are no multiples of the factor.

    Example:
        >>> pool(torch.tensor([[1.0, 2.0], [3.0, 6.0]]), 2)
        tensor([[3.]])
    """
    *batch, m1, m2 = image.shape
    fits = factor >= 1 and m1 % factor == 0 and m2 % factor == 0
    require(fits, f"expected sides that are multiples of the factor {factor}, got {m1} × {m2}")
    return image.reshape(*batch, m1 // factor, factor, m2 // factor, factor).mean((-3, -1))


def unpool(image: torch.Tensor, factor: int) -> torch.Tensor:
    """Kᵀ, the adjoint of ``pool``: every value spread over its block and divided by factor².

    Args:
        image (…, m₁, m₂): one coarse image or several.
        factor: the side of a block, in cells.

    Returns:
        Fine images (…, factor m₁, factor m₂).
    """
    return image.repeat_interleave(factor, -2).repeat_interleave(factor, -1) / factor**2


def slopes(f: torch.Tensor, grid: Grid) -> torch.Tensor:
    """L: differences of neighbours divided by h, first along x, then along y.

    Args:
        f (n, k): k images of m₁ × m₂ cells, each as a column.
        grid: the box and the cells of each.

    Returns:
        The slopes (2n − m₁ − m₂, k), in the unit of f over that of the grid.
    """
    image, (h1, h2) = f.reshape(*grid.shape, -1), grid.spacing
    return torch.cat([(image.diff(dim=0) / h1).flatten(0, 1), (image.diff(dim=1) / h2).flatten(0, 1)])


def slopes_adjoint(g: torch.Tensor, grid: Grid) -> torch.Tensor:
    """Lᵀ, minus the divergence: along each axis minus the differences of (0, g, 0), divided by h.

    Args:
        g (2n − m₁ − m₂, k): slopes, as ``slopes`` gives them.
        grid: the box and the cells of the images.

    Returns:
        k images as columns (n, k).
    """
    (m1, m2), (h1, h2), pad, count = grid.shape, grid.spacing, torch.nn.functional.pad, g.shape[1]
    along_x = g[: (m1 - 1) * m2].reshape(m1 - 1, m2, count)
    along_y = g[(m1 - 1) * m2 :].reshape(m1, m2 - 1, count)
    image = pad(along_x, (0, 0, 0, 0, 1, 1)).diff(dim=0) / h1 + pad(along_y, (0, 0, 1, 1)).diff(dim=1) / h2
    return -image.flatten(0, 1)


@dataclass(frozen=True, eq=False, repr=False)
class SuperResolution:
    """Coarse images and the model that explains them; everything but f and w.

    Args:
        templates (q, m₁, m₂): the coarse images.
        grid: of the fine image; its shape is ``factor`` times (m₁, m₂).
        strength: λ ≥ 0, a length.
        transform: y(x; w_j).
        fixed: so many templates, counted from the first, are known to be in place; w (p,) holds the
            parameters of the others, one after the other. With 0 nothing ties f to a frame: it and
            all motions can drift together.
        window: (grid, y (n, 2)) ↦ (n,) which points of f are seen at all, True or False; all if
            None. What is not seen counts as zero, as if f ended there.

    Raises:
        ValueError: if shapes do not fit, for integers, NaN or infinity in the templates, for λ < 0.

    Example:
        >>> problem = SuperResolution(torch.ones(2, 4, 6), Grid((2.0, 3.0), (8, 12)))
        >>> problem
        SuperResolution(2 templates of 4 × 6, grid of 8 × 12, strength 0.01, 6 parameters)
        >>> problem.at(problem.identity())
        Stacked 220 × 96
    """

    templates: torch.Tensor
    grid: Grid
    strength: float = 1e-2
    transform: Transform = field(default_factory=Affine)
    fixed: int = 1
    window: Window | None = None

    def __post_init__(self):
        object.__setattr__(self, "templates", tensor(self.templates, "templates"))
        known = isinstance(self.grid, Grid) and isinstance(self.transform, Transform)
        require(known, f"expected a Grid and a Transform, got {self.grid!r} and {self.transform!r}")
        shape, fine = tuple(self.templates.shape), self.grid.shape
        fits = len(shape) == 3 and min(shape) > 0 and len(fine) == 2 and fine[0] % shape[1] == 0
        fits = fits and (fine[0] // shape[1] * shape[1], fine[0] // shape[1] * shape[2]) == fine
        require(
            fits,
            f"expected templates (q, m1, m2) and a grid of a multiple of (m1, m2), got {shape} and {fine}",
        )
        usable = self.templates.dtype in (torch.float32, torch.float64) and bool(
            self.templates.isfinite().all()
        )
        kind = f"{self.templates.dtype} (NaN counts as none; for integers use .double())"
        require(usable, f"expected templates of finite floating-point numbers, got {kind}")
        number(self.strength, "a strength λ ≥ 0", 0)
        require(
            self.fixed in range(shape[0]), f"expected 0 to {shape[0] - 1} fixed templates, got {self.fixed}"
        )
        _ = self.points, self.b  # made here: first made inside a derivative, they would not outlive that

    def __repr__(self) -> str:
        (count, m1, m2), (n1, n2) = self.templates.shape, self.grid.shape
        shapes = f"{count} templates of {m1} × {m2}, grid of {n1} × {n2}"
        return f"SuperResolution({shapes}, strength {self.strength:g}, {self.parameters} parameters)"

    @property
    def factor(self) -> int:
        """Fine cells along the side of a coarse one."""
        return self.grid.shape[0] // self.templates.shape[1]

    @cached_property
    def coarse(self) -> Grid:
        """The grid of the templates."""
        return Grid(self.grid.extent, tuple(self.templates.shape[1:]))

    @property
    def parameters(self) -> int:
        """Length p of w."""
        return self.transform.parameters * (len(self.templates) - self.fixed)

    @cached_property
    def points(self) -> torch.Tensor:
        """The centres of the fine cells, (n, 2)."""
        return self.grid.points(self.templates.dtype, self.templates.device)

    @cached_property
    def scales(self) -> tuple[float, float]:
        """√h_d and λ √h_f: the weights of the data and of the penalty."""
        return math.sqrt(self.coarse.cell_volume), self.strength * math.sqrt(self.grid.cell_volume)

    @cached_property
    def b(self) -> torch.Tensor:
        """The right-hand side (√h_d d, 0), (m,)."""
        m1, m2 = self.grid.shape
        zeros = self.templates.new_zeros((m1 - 1) * m2 + m1 * (m2 - 1))
        return torch.cat([self.scales[0] * self.templates.reshape(-1), zeros])

    def identity(self) -> torch.Tensor:
        """The w of no motion at all."""
        still = self.transform.identity(self.templates.dtype, self.templates.device)
        return still.repeat(len(self.templates) - self.fixed)

    def motions(self, w: torch.Tensor) -> torch.Tensor:
        """The parameters of all templates, (q, p_j): the fixed ones, and then those in w."""
        shape = tuple(getattr(w, "shape", ()))
        require(
            shape == (self.parameters,), f"expected parameters of shape ({self.parameters},), got {shape}"
        )
        still = self.transform.identity(w.dtype, w.device).expand(self.fixed, -1)
        return torch.cat([still, w.reshape(-1, self.transform.parameters)])

    def model(self, w: torch.Tensor, f: torch.Tensor) -> torch.Tensor:
        """A(w) f, (n,) → (m,), as written on paper: slow, but torch.func differentiates it in w and f."""
        c = coefficients(f.reshape(self.grid.shape), 0.0)
        y = torch.cat([self.transform(motion, self.points) for motion in self.motions(w)])
        moved = evaluate(c, self.grid, y) * (1 if self.window is None else self.window(self.grid, y))
        data = pool(moved.reshape(-1, *self.grid.shape), self.factor)
        return torch.cat(
            [self.scales[0] * data.reshape(-1), self.scales[1] * slopes(f[:, None], self.grid)[:, 0]]
        )

    def at(self, w: torch.Tensor) -> Stacked:
        """A(w) with all its weights computed: fast products."""
        return Stacked(self, w)

    def upsampled(self, theta: float = 1e-2) -> torch.Tensor:
        """The spline of template 0 at the fine points, (n,): what one template alone can give."""
        return evaluate(coefficients(self.templates[0], theta), self.coarse, self.points)


class Stacked(ParametricOperator):
    """A(w) at one w, the rows of all templates above those of the penalty.

    A row of the data belongs to a coarse pixel: the 4 × 4 weights of each of its fine points,
    averaged, with their derivatives. ``data_rows`` is the number of these rows.

    Args:
        problem: the model.
        w (p,): the motions.
    """

    def __init__(self, problem: SuperResolution, w: torch.Tensor):
        w = real_tensor(w, "parameters", problem.templates).detach()
        require(w.isfinite().all(), "expected finite parameters, got NaN or infinity among them")
        self.problem, self.w, self.data_rows = problem, w, problem.templates.numel()
        self.shape = len(problem.b), problem.grid.count
        self._inverse = [_interpolation(cells, w) for cells in problem.grid.shape]

        parts = [_pooled_weights(problem, motion) for motion in problem.motions(w)]
        self._template = torch.cat([torch.full_like(pixel, j) for j, (pixel, _, _) in enumerate(parts)])
        pixel, self._column, weights = (torch.cat(part) for part in zip(*parts, strict=True))
        self._pixel = pixel + self._template * problem.coarse.count
        self._weights, self._slopes = problem.scales[0] * weights[:, 0], problem.scales[0] * weights[:, 1:]
        shape = (self.data_rows, self.shape[1])
        self._matrix = _sparse(self._pixel, self._column, self._weights, shape)
        self._transposed = _sparse(self._column, self._pixel, self._weights, shape[::-1])

    def __reduce__(self):
        """A copy is made anew: torch cannot copy sparse matrices."""
        return type(self), (self.problem, self.w)

    def entries(self, direction: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """The rows of the data as a sparse matrix that acts on spline coefficients, and its derivative.

        Args:
            direction (p,): of the derivative in w.

        Returns:
            Row, column, weight, and derivative of the weight along the direction, of each entry; (e,).
        """
        moved = self.problem.motions(direction)
        moved[: self.problem.fixed] = 0  # what is known does not move
        slope = (self._slopes * moved[self._template]).sum(1)
        return self._pixel, self._column, self._weights, slope

    def _filter(self, f: torch.Tensor) -> torch.Tensor:
        """Values to spline coefficients, (n, k): B⁻¹ along both axes. It is its own adjoint."""
        (m1, m2), (along_x, along_y) = self.problem.grid.shape, self._inverse
        return (along_y @ (along_x @ f.reshape(m1, -1)).reshape(m1, m2, -1)).flatten(0, 1)

    @staticmethod
    def _columns(f: torch.Tensor, name: str, n: int) -> torch.Tensor:
        shape = tuple(f.shape)
        require(
            shape[:1] == (n,), f"expected {name} of shape ({n},) or ({n}, k), got {shape}: flatten images"
        )
        return f.reshape(n, -1)

    def forward(self, f: torch.Tensor) -> torch.Tensor:
        """A f: (n,) → (m,), or (n, k) → (m, k)."""
        columns = self._columns(f, "f", self.shape[1])
        data = self._matrix @ self._filter(columns)
        rows = torch.cat([data, self.problem.scales[1] * slopes(columns, self.problem.grid)])
        return rows.reshape(-1, *f.shape[1:])

    def adjoint(self, y: torch.Tensor) -> torch.Tensor:
        """Aᵀ y: (m,) → (n,), or (m, k) → (n, k)."""
        columns = self._columns(y, "y", self.shape[0])
        data = self._filter(self._transposed @ columns[: self.data_rows])
        smooth = self.problem.scales[1] * slopes_adjoint(columns[self.data_rows :], self.problem.grid)
        return (data + smooth).reshape(-1, *y.shape[1:])

    @cached_property
    def gram(self) -> torch.Tensor:
        """AᵀA as a full matrix (n, n), for small problems."""
        return self.adjoint(self.forward(torch.eye(self.problem.grid.count).to(self.problem.templates)))

    def normal(self, f: torch.Tensor) -> torch.Tensor:
        """AᵀA f, for vectors or columns."""
        return self.gram @ f if len(f) <= _DENSE else super().normal(f)

    def derivative(self, f: torch.Tensor) -> torch.Tensor:
        """D(f) = ∂(A(w) f)/∂w, (m, p). The rows of template j depend on w_j alone: D is block diagonal."""
        q, k = len(self.problem.templates), self._slopes.shape[1]
        terms = self._slopes * self._filter(f[:, None])[self._column]
        blocks = terms.new_zeros(self.data_rows, k).index_add_(0, self._pixel, terms).reshape(q, -1, k)
        data = torch.block_diag(*blocks)[:, -self.problem.parameters :]
        return torch.nn.functional.pad(data, (0, 0, 0, self.shape[0] - self.data_rows))

    def adjoint_derivative(self, y: torch.Tensor) -> torch.Tensor:
        """E(y) = ∂(A(w)ᵀ y)/∂w, (n, p): column by column, the adjoint of what ``derivative`` does."""
        q, n, k = len(self.problem.templates), self.problem.grid.count, self._slopes.shape[1]
        terms = self._slopes * y[self._pixel, None]
        blocks = terms.new_zeros(n * q, k).index_add_(0, self._column * q + self._template, terms)
        return self._filter(blocks.reshape(n, q * k)[:, -self.problem.parameters :])


def _pooled_weights(problem: SuperResolution, motion: torch.Tensor):
    """K I(w_j) and its derivative as entries of a sparse matrix: coarse pixel (e,), coefficient
    (e,), and values (e, 1 + p_j), the weight and its derivative in w_j. Entries with the same
    place are added."""
    grid, y = problem.grid, problem.transform(motion, problem.points)
    index, weights = _weights(grid, y)
    if problem.window is not None:
        weights = weights * problem.window(grid, y)[:, None, None]
    slope = torch.bmm(weights[..., 1:], problem.transform.jacobian(motion, problem.points))
    values = torch.cat([weights[..., :1], slope], dim=-1) / problem.factor**2

    # the coarse pixel of every fine point
    pixel = torch.arange(problem.coarse.count, device=index.device).reshape(problem.coarse.shape)
    pixel = pixel.repeat_interleave(problem.factor, 0).repeat_interleave(problem.factor, 1)
    entries = torch.stack([pixel.reshape(-1, 1).expand(-1, 16), index]).flatten(1)
    shape = (problem.coarse.count, grid.count, values.shape[-1])
    summed = torch.sparse_coo_tensor(entries, values.flatten(0, 1), shape, check_invariants=False).coalesce()
    return *summed.indices(), summed.values()


def _weights(grid: Grid, y: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """The spline at y (n, 2) as a sum over 16 coefficients: their index (n, 16), and the weights of
    the value and of its derivatives along x and y, (n, 16, 3). Outside the grid coefficients, so
    weights, are zero."""
    h, cells = y.new_tensor(grid.spacing), torch.tensor(grid.shape, device=y.device)
    u = y / h - 0.5
    cell = u.floor()
    tap = torch.arange(-1, 3, device=y.device)[:, None, None] + cell.clamp(-5, max(grid.shape) + 5).long()
    inside = (tap >= 0) & (tap < cells)  # (4, n, 2)
    t = u - cell
    s = 1 - t  # the four pieces of the cubic B-spline, as in ``spline``, and their derivatives
    value = torch.stack([s**3, (3 * t - 6) * t**2 + 4, (3 * s - 6) * s**2 + 4, t**3]) * inside
    slope = torch.stack([-3 * s**2, (9 * t - 12) * t, (12 - 9 * s) * s, 3 * t**2]) * inside / h

    tap = tap.clamp(min=0).minimum(cells - 1)
    index = tap[:, None, :, 0] * grid.shape[1] + tap[None, :, :, 1]  # (4, 4, n)
    (v1, v2), (s1, s2) = value.unbind(-1), slope.unbind(-1)
    weights = [along_x[:, None] * along_y for along_x, along_y in ((v1, v2), (s1, v2), (v1, s2))]
    return index.flatten(0, 1).T, torch.stack(weights, dim=-1).flatten(0, 1).transpose(0, 1)


def _interpolation(cells: int, like: torch.Tensor) -> torch.Tensor:
    """B⁻¹ of one axis: values to interpolating coefficients."""
    _, modes, analysis = smoothing_modes(cells)
    return (modes @ analysis).to(like)


def _sparse(
    row: torch.Tensor, column: torch.Tensor, values: torch.Tensor, shape: tuple[int, int]
) -> torch.Tensor:
    """A matrix in compressed rows."""
    matrix = torch.sparse_coo_tensor(torch.stack([row, column]), values, shape, check_invariants=False)
    return matrix.coalesce().to_sparse_csr()
