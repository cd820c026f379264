"""What ``register`` found: the map in the conventions of other packages, warped images, how good it is."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Literal
from zipfile import BadZipFile

import numpy as np
import torch
from torch import Tensor

from regkit._require import number, require, require_words, tensor
from regkit.data import _needed
from regkit.distances import NCC, SSD
from regkit.grid import Grid
from regkit.outside import known, padding
from regkit.registration import Registration
from regkit.similarity import Similarity
from regkit.spline import coefficients, evaluate
from regkit.starts import Weighted, fits
from regkit.transforms import Affine, Rigid, Transform, Translation

Convention = Literal["regkit", "scipy", "opencv", "itk"]
THETA = 1.0  # how much is smoothed where derivatives are taken
_CLASSES = {kind.__name__: kind for kind in (Affine, Rigid, Similarity, Translation, SSD, NCC)}


@dataclass(frozen=True, eq=False)
class RunnerUp:
    """The second-best minimum.

    Args:
        w (p,): where it is.
        distance: J there, on the smallest images on which it was still followed.
        best: J of the best minimum on the same images.
    """

    w: Tensor
    distance: float
    best: float


@dataclass(frozen=True, eq=False, repr=False)
class Registered:
    """Two images and the map between them: what ``register`` returns.

    Args:
        problem: the two images, their grids and masks, transformation and distance.
        w (p,): the parameters of the map from points of the reference to points of the template.
        before: the distance without motion, NaN where nothing overlaps.
        after: the distance with the map.
        runner_up: the second-best minimum; None if all starts ended in the same.
        warnings: what to be careful about, in words; none if empty.

    Example:
        >>> from regkit.data import hands_phantom
        >>> from regkit.register import register
        >>> pair = hands_phantom(32)
        >>> found = register(pair.template, pair.reference, reference_grid=pair.grid, template_grid=pair.grid)
        >>> found.after < 0.1 * found.before
        True
        >>> found.warp(pair.template).shape, found.matrix("scipy").shape
        (torch.Size([32, 32]), (3, 3))
    """

    problem: Registration
    w: Tensor
    before: float
    after: float
    runner_up: RunnerUp | None = None
    warnings: tuple[str, ...] = ()

    def __repr__(self) -> str:
        change = f"distance {self.before:.4g} to {self.after:.4g}"
        precision = f", ±{self.precision:.2g} cells" if fits(self.problem) else ""
        lines = [f"Registered by {self.transform}: {change}{precision}, overlap {self.overlap:.0%}"]
        return "\n".join([*lines, *(f"  ! {warning}" for warning in self.warnings)])

    @property
    def transform(self) -> Transform:
        """y(x; w)."""
        return self.problem.transform

    @cached_property
    def points(self) -> Tensor:
        """y (n, d): where in the template the cells of the reference are."""
        return self.problem.motion(self.w)

    @cached_property
    def overlap(self) -> float:
        """The share of the reference that lies in the template's box, cells of weight zero left out."""
        sides = self.points.new_tensor(self.problem.grids[1].extent)
        inside = ((self.points >= 0) & (self.points <= sides)).all(1).to(self.points)
        return float(self.problem.omega @ inside / self.problem.omega.sum())

    @cached_property
    def precision(self) -> float:
        """How far, in cells, the map is off as noise alone would have it: a root mean square over the object.

        As in any least squares the covariance of w is the inverse of ``starts.Weighted``'s matrix
        times the mean of the squared residuals, without smoothing. Points count as far as the
        reference differs there from what it is beyond its box. Only for ``SSD`` and ``NCC`` and
        affine maps.
        """
        equations = Weighted(self.problem)
        return equations.precision(self.w, equations(self.w)[1])

    def matrix(self, convention: Convention = "regkit") -> np.ndarray:
        """The affine map as one matrix, in the coordinates of another package.

        "regkit"  (d + 1, d + 1): y = A x + b for points in the unit of the grids, first index first.
        "scipy"   (d + 1, d + 1): for ``scipy.ndimage.affine_transform(template, matrix,
                  output_shape=reference.shape)``; cells of the reference to cells of the template.
        "opencv"  (2, 3): for ``cv2.warpAffine(template, matrix, (columns, rows))``; pixels (column, row) of
                  the template to those of the reference, the other way round than all others.
        "itk"     (d + 1, d + 1): points of the reference to points of the template as ITK and SimpleITK
                  have them, last index first and 0 in the middle of the first cell; the images' origins
                  are 0 and their axes are not turned.

        Raises:
            ValueError: for another convention, a map that is not affine, or "opencv" in space.
        """
        require_words(convention=(convention, ("regkit", "scipy", "opencv", "itk")))
        transform, (fixed, moved) = self.transform, self.problem.grids
        require(isinstance(transform, Affine), f"expected an affine map, got {transform}")
        d = transform.dim
        require(convention != "opencv" or d == 2, f"expected two dimensions for OpenCV, got {d}")
        A, b = (part.numpy(force=True) for part in transform.matrix(self.w))
        if convention in ("scipy", "opencv"):
            h, k = np.array(fixed.spacing), np.array(moved.spacing)
            b = (A @ h / 2 + b) / k - 0.5
            A = A * h / k[:, None]
        if convention == "itk":
            b = b + A @ np.array(fixed.spacing) / 2 - np.array(moved.spacing) / 2
        if convention in ("opencv", "itk"):
            A, b = A[::-1, ::-1], b[::-1]
        full = np.eye(d + 1)
        full[:d, :d], full[:d, d] = A, b
        return np.linalg.inv(full)[:2] if convention == "opencv" else full

    def warp(self, image: Any = None, *, nearest: bool = False, outside: float = 0.0) -> Any:
        """An image that lies on the template, moved onto the cells of the reference.

        Args:
            image (cells, or cells with a last axis of colours): the template, if None; or any other
                image of the same box, with as many cells as it likes. A tensor, or anything that
                NumPy knows.
            nearest: the value of the nearest cell, which labels need; else a cubic spline.
            outside: the value beyond the box; may be NaN for an image that is not of whole numbers.

        Returns:
            A tensor for a tensor, else an array, of the type of the image; whole numbers are rounded.

        Raises:
            ValueError: for an image with another number of dimensions.
        """
        value = self.problem.template if image is None else tensor(image, "image")
        real = value.numel() > 0 and not value.is_complex()
        require(real, f"expected an image of real numbers, got {tuple(value.shape)} of {value.dtype}")
        if not (isinstance(outside, float) and math.isnan(outside) and value.is_floating_point()):
            outside = number(outside, "outside as a number, which NaN is for floating-point images only")
        d, box = self.problem.grid.dim, self.problem.grids[1].extent
        fits = value.ndim in (d, d + 1)
        require(fits, f"expected an image in {d} dimensions, or with colours, got shape {tuple(value.shape)}")
        channels = value.reshape(*value.shape[:d], -1).movedim(-1, 0)
        grid = Grid(box, tuple(channels.shape[1:]))
        y = self.points.to(value.device)
        moved = torch.stack([_at(channel, grid, y, nearest, outside) for channel in channels], -1)
        moved = moved.reshape(*self.problem.grid.shape, *value.shape[d:])
        return moved if image is None or isinstance(image, Tensor) else moved.numpy(force=True)

    def plot(self) -> Any:
        """A figure: before and after in two colours, the difference, and a checkerboard of both images.

        Of images in space the middle slice is shown. Needs Matplotlib. ``regbook.explore.compare``
        shows the same with sliders.

        Returns:
            The figure.
        """
        pyplot = _needed("matplotlib.pyplot", "plot", "Matplotlib")
        still = replace(self, w=self.problem.transform.identity())
        start, template, reference = (
            _picture(image) for image in (still.warp(), self.warp(), self.problem.reference)
        )
        squares = sum(np.indices(reference.shape) // max(1, max(reference.shape) // 8)) % 2 == 0
        panels = {
            "before: template orange, reference blue": _coloured(start, reference),
            "after": _coloured(template, reference),
            "template less reference, from −1 to 1": template - reference,
            "checkerboard": np.where(squares, template, reference),
        }
        figure, axes = pyplot.subplots(2, 2, figsize=(7, 7), layout="constrained")
        for ax, (title, image) in zip(axes.flat, panels.items(), strict=True):
            low, look = (-1, "PuOr_r") if "less" in title else (0, "gray")
            ax.imshow(image, cmap=look, vmin=low, vmax=1)
            ax.set(title=title, xticks=[], yticks=[])
        return figure

    def save(self, file: str | Path) -> None:
        """Everything as an .npz file of plain arrays, for ``load``; an affine map, ``SSD`` or ``NCC``."""
        require(fits(self.problem), f"expected an affine map and SSD or NCC, got {self.problem}")
        problem, arrays = self.problem, {}
        words = problem.outside if isinstance(problem.outside, str) else float(problem.outside or 0.0)
        for name in ("template", "reference", "weights", "template_weights"):
            if getattr(problem, name) is not None:
                arrays[name] = getattr(problem, name).numpy(force=True)
        center = problem.transform.center
        np.savez_compressed(
            _named(file),
            kinds=[type(part).__name__ for part in (problem.transform, problem.distance)],
            center=[] if center is None else center,
            extents=[grid.extent for grid in problem.grids],
            outside=str(words),
            w=self.w.numpy(force=True),
            distances=[self.before, self.after],
            warnings=np.array(self.warnings, dtype=str),
            **arrays,
        )

    @staticmethod
    def load(file: str | Path) -> Registered:
        """What ``save`` has written, without the second-best minimum; nothing in the file is run."""
        try:
            with np.load(_named(file), allow_pickle=False) as data:
                arrays = {name: data[name] for name in data.files}
        except (ValueError, EOFError, AttributeError, BadZipFile):
            arrays = {}
        require(
            "kinds" in arrays and "extents" in arrays, f"expected a file that save has written, got {file}"
        )
        images = {
            name: torch.from_numpy(arrays[name]) if name in arrays else None
            for name in ("template", "reference", "weights", "template_weights")
        }
        fixed, moved = (
            Grid(tuple(extent), images[name].shape)
            for extent, name in zip(arrays["extents"], ("reference", "template"), strict=True)
        )
        transform, distance = (_CLASSES[str(name)] for name in arrays["kinds"])
        word = str(arrays["outside"])
        problem = Registration(
            grid=fixed,
            template_grid=moved,
            transform=transform(fixed.dim, tuple(arrays["center"].tolist()) or None),
            distance=distance(),
            outside=word if word in ("edge", "mean", "overlap") else float(word),
            **images,
        )
        before, after = arrays["distances"].tolist()
        return Registered(
            problem, torch.from_numpy(arrays["w"]), before, after, None, tuple(arrays["warnings"].tolist())
        )


def _named(file: Any) -> Any:
    """A name with the ending that NumPy gives it."""
    return Path(f"{file}.npz") if isinstance(file, str | Path) and Path(file).suffix != ".npz" else file


def _at(image: Tensor, grid: Grid, y: Tensor, nearest: bool, outside: float) -> Tensor:
    """One channel at the points y, (n,), of its own type."""
    if not image.is_floating_point():
        least, most = _limits(image.dtype)
        outside = min(max(round(outside), least), most)
    if nearest:
        h = y.new_tensor(grid.spacing)
        cells = (y / h).floor().long()
        last = torch.tensor(grid.shape, device=y.device)
        inside = ((cells >= 0) & (cells < last)).all(1)
        values = image[tuple(torch.minimum(cells.clamp(min=0), last - 1).T)]
        return torch.where(inside, values, torch.full_like(values, outside))
    blank, image_ = math.isnan(outside), image.to(y)  # the spline goes on as the border does
    beyond = padding(image_, "edge", known(image_, None)) if blank else outside
    values = evaluate(coefficients(image_, 0.0, beyond), grid, y, 0, beyond)
    if blank:
        inside = ((y >= 0) & (y <= y.new_tensor(grid.extent))).all(1)
        values = torch.where(inside, values, math.nan)
    if not image.is_floating_point():
        values = values.round().clamp(*_limits(image.dtype))
    return values.to(image.dtype)


def _limits(dtype: torch.dtype) -> tuple[int, int]:
    """The least and the most of a type of whole numbers."""
    return (0, 1) if dtype == torch.bool else (torch.iinfo(dtype).min, torch.iinfo(dtype).max)


def _picture(image: Tensor) -> np.ndarray:
    """Grey values from 0 to 1; of an image in space the middle slice."""
    image = image[len(image) // 2] if image.ndim == 3 else image
    low, high = image.min(), image.max()
    return ((image - low) / (high - low).clamp(min=1e-300)).numpy(force=True)


def _coloured(template: np.ndarray, reference: np.ndarray) -> np.ndarray:
    return np.stack([template, (template + reference) / 2, reference], -1)
