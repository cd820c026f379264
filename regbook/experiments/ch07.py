"""Experiments of chapter 7: what coarse images know of a fine one, and what noise and wrong motions do."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cached_property

import numpy as np
import torch

from regkit.grid import Grid
from regkit.linear import CG
from regkit.spline import coefficients, evaluate
from regkit.superres import SuperResolution
from regkit.templates import Synthetic, observe, random_affines

WEAK = 1e-2  # a singular value below this part of the largest one counts as weak
PATTERN = ((0, 0), (1, 0), (0, 1), (1, 1), (-1, 0), (0, -1))  # who is shifted where, in steps


def shifts(step: Sequence[float], count: int = 6) -> torch.Tensor:
    """Affine motions of so many images, shifted by ``step`` (s₁, s₂) times (0, 0), (1, 0), …: (count, 6)."""
    moves = [(1.0, 0.0, 0.0, 1.0, a * step[0], b * step[1]) for a, b in PATTERN[:count]]
    return torch.tensor(moves, dtype=torch.float64)


def motions(grid: Grid, factor: int = 2, count: int = 6) -> dict[str, torch.Tensor]:
    """Three ways to move the camera: name ↦ (count, 6)."""
    coarse = [factor * h for h in grid.spacing]
    turned = random_affines(count - 1, tuple(side / 2 for side in grid.extent))
    still = torch.tensor([[1.0, 0, 0, 1.0, 0, 0]], dtype=torch.float64)
    return {
        "by whole pixels": shifts(coarse, count),
        "by half pixels": shifts([h / 2 for h in coarse], count),
        "turned and stretched": torch.cat([still, turned]),
    }


def observed(
    image: torch.Tensor, grid: Grid, moves: torch.Tensor, *, factor: int = 2, noise: float = 0.0
) -> Synthetic:
    """One coarse image of ``image`` for each row of ``moves``; the first stays in place."""
    coarse = [cells // factor for cells in grid.shape]
    model = SuperResolution(image.new_zeros(len(moves), *coarse), grid)
    return observe(model, image, moves[1:].reshape(-1), noise)


class Dense:
    """A small problem at one w as full matrices. data: K I(w), (q·m, n); slopes: L; without their weights."""

    def __init__(self, problem: SuperResolution, w: torch.Tensor):
        A = problem.at(w)
        every = A.dense(problem.templates)
        self.grid, self.coarse, self.templates = problem.grid, problem.coarse, problem.templates
        self.data = every[: A.data_rows] / problem.scales[0]
        self.slopes = every[A.data_rows :] / problem.scales[1]
        self.gram = self.slopes.T @ self.slopes

    @cached_property
    def sigma(self) -> torch.Tensor:
        """The singular values of the data, the largest first."""
        return torch.linalg.svdvals(self.data)

    @property
    def rank(self) -> int:
        """How many equations are independent."""
        return int(torch.linalg.matrix_rank(self.data))

    def first(self, images: int) -> tuple[torch.Tensor, torch.Tensor]:
        """The rows of the first so many images, and their data."""
        rows = images * self.coarse.count
        return self.data[:rows], self.templates.reshape(-1)[:rows]

    def normal(self, lam: float, images: int | None = None) -> torch.Tensor:
        """h_d MᵀM + λ² h_f LᵀL, with M the rows of the first so many images."""
        M, _ = self.first(len(self.templates) if images is None else images)
        return self.coarse.cell_volume * M.T @ M + lam**2 * self.grid.cell_volume * self.gram

    def solve(self, lam: float, images: int | None = None) -> torch.Tensor:
        """The f that minimises ½‖A f − b‖², by a Cholesky factorisation."""
        M, d = self.first(len(self.templates) if images is None else images)
        rhs, factor = self.coarse.cell_volume * (M.T @ d), torch.linalg.cholesky(self.normal(lam, images))
        return torch.cholesky_solve(rhs[:, None], factor)[:, 0]

    def taken_up(self, lam: float) -> float:
        """Of the m squares of noise, how many the fit takes up, on average: m − ‖I − H‖², H: d ↦ K I f."""
        H = self.data @ torch.linalg.solve(self.normal(lam), self.coarse.cell_volume * self.data.T)
        return len(H) - float((torch.eye(len(H), dtype=H.dtype) - H).square().sum())

    def misfit(self, f: torch.Tensor) -> float:
        """Root mean square of K I(w) f − d, in grey values."""
        return float((self.data @ f - self.templates.reshape(-1)).square().mean().sqrt())

    def roughness(self, f: torch.Tensor) -> float:
        """Root mean square of the slopes L f, in grey values per unit of length."""
        return float((self.slopes @ f).square().mean().sqrt())


def strong(sigma: torch.Tensor) -> int:
    """How many singular values are not weak."""
    return int((sigma > WEAK * sigma[0]).sum())


def apart(problem: SuperResolution, w: torch.Tensor, v: torch.Tensor) -> float:
    """How far two motions take the same points apart: mean over Ω and the moved images, in coarse pixels."""
    pairs = list(zip(problem.motions(w), problem.motions(v), strict=True))[problem.fixed :]
    away = [problem.transform(a, problem.points) - problem.transform(b, problem.points) for a, b in pairs]
    return float((torch.cat(away) / torch.tensor(problem.coarse.spacing)).norm(dim=1).mean())


def moved(problem: SuperResolution, f: torch.Tensor, move: torch.Tensor) -> torch.Tensor:
    """I(w_j) f: the spline of f at the moved fine points."""
    c = coefficients(f.reshape(problem.grid.shape), 0.0)
    return evaluate(c, problem.grid, problem.transform(move, problem.points))


def toy_spectra(rows: Callable[[float], torch.Tensor], shifts: Sequence[float]) -> np.ndarray:
    """Singular values of two coarse images together, (shifts, 4). rows: shift ↦ the matrix of one image."""
    return np.array([torch.linalg.svdvals(torch.cat([rows(0.0), rows(s)])).numpy() for s in shifts])


def shifted(
    image: torch.Tensor, grid: Grid, shift: float, count: int = 4, noise: float = 2.0
) -> tuple[Synthetic, Dense]:
    """Images shifted by so many coarse pixels, along x, y and both."""
    coarse = [2 * h for h in grid.spacing]
    made = observed(image, grid, shifts([shift * h for h in coarse], count), noise=noise)
    return made, Dense(made.problem, made.w_true)


class Trade:
    """All reconstructions of one noisy problem over λ."""

    def __init__(self, made: Synthetic, noise: float, lams: Sequence[float]):
        self.made, self.noise, self.lams = made, noise, np.asarray(lams)
        self.full = Dense(made.problem, made.w_true)
        images = [self.full.solve(lam) for lam in self.lams]
        self.misfits = np.array([self.full.misfit(f) for f in images])
        self.roughness = np.array([self.full.roughness(f) for f in images])
        self.errors = np.array([made.error(f) for f in images])

    @property
    def best(self) -> float:
        """The λ of the smallest error, which only those know who know the image."""
        return self.lams[self.errors.argmin()]

    @property
    def discrepancy(self) -> float:
        """The largest λ whose misfit is no larger than the noise; nan if there is none."""
        allowed = self.lams[self.misfits <= self.noise]
        return allowed.max() if len(allowed) else np.nan

    @property
    def corner(self) -> float:
        """The λ where the L-curve is bent most, over log λ."""
        x, y, t = np.log(self.misfits), np.log(self.roughness), np.log(self.lams)
        dx, dy = np.gradient(x, t), np.gradient(y, t)
        bend = dx * np.gradient(dy, t) - dy * np.gradient(dx, t)
        curvature = bend / np.maximum((dx**2 + dy**2) ** 1.5, 1e-12)
        inner = slice(3, -3)
        return self.lams[inner][np.abs(curvature[inner]).argmax()]

    def error_at(self, lam: float) -> float:
        """The error at the λ of the list that is nearest."""
        return self.errors[np.abs(np.log(self.lams / lam)).argmin()]

    def misfit_at(self, lam: float) -> float:
        """The misfit at the λ of the list that is nearest, in grey values."""
        return self.misfits[np.abs(np.log(self.lams / lam)).argmin()]

    def parts(self) -> tuple[np.ndarray, np.ndarray]:
        """The relative error over λ in two parts: without noise, and by noise alone, on average."""
        full, truth = self.full, self.made.image.reshape(-1)
        size, bias, spread = float(truth.norm()), [], []
        for lam in self.lams:
            inverse = torch.linalg.solve(full.normal(lam), full.coarse.cell_volume * full.data.T)  # d ↦ f
            bias.append(float((inverse @ (full.data @ truth) - truth).norm()) / size)
            spread.append(self.noise * float(inverse.norm()) / size)
        return np.array(bias), np.array(spread)


def patterns(made: Synthetic) -> tuple[torch.Tensor, torch.Tensor]:
    """Singular values (n,) and right singular vectors (n, n) of the data, a row each, the best seen first."""
    _, sigma, V = torch.linalg.svd(Dense(made.problem, made.w_true).data)
    for v in V:  # a singular vector has no sign of its own
        v *= torch.sign(v[v.abs().argmax()])
    return sigma, V


def some(made: Synthetic, images: int) -> tuple[SuperResolution, torch.Tensor]:
    """The problem with the first so many images only, and their w; of one image alone, its own motion."""
    problem = made.problem
    fixed = min(problem.fixed, images - 1)
    w = problem.motions(made.w_true)[fixed:images].reshape(-1)
    return replace(problem, templates=problem.templates[:images], fixed=fixed), w


def from_some(made: Synthetic, images: int, lam: float) -> tuple[SuperResolution, torch.Tensor]:
    """The problem with the first so many images, and its fine image with the true motions."""
    few, w = some(made, images)
    few, start = replace(few, strength=lam), made.problem.upsampled()
    A = few.at(w)
    return few, CG(rtol=1e-5).solve(A.normal, A.adjoint(few.b), start).x


def between(
    made: Synthetic, start: torch.Tensor, part: float, lam: float
) -> tuple[torch.Tensor, torch.Tensor]:
    """w so far on the way from the true motions to ``start``, and the fine image there."""
    w = made.w_true + part * (start - made.w_true)
    return w, Dense(made.problem, w).solve(lam)
