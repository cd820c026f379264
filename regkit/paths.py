"""The record of a continuation: what happened at each scale, and the path of the minimiser that is left."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch

from regkit._require import require


@dataclass(frozen=True, eq=False)
class Step:
    """What happened at one scale.

    Args:
        theta: the scale θ.
        prediction (p,): where the corrector starts.
        prediction_loss, prediction_gradient_norm: there, at this θ.
        error (in blur widths): the length of Newton's step from there; inf where H is indefinite.
        w (p,): what the corrector made of it; the prediction if it was rejected.
        loss, gradient_norm: there.
        tangent (p,): dw*/ds there, if it was needed.
        iterations: of the corrector.
        evaluations: of the images, at a w or for a ∂_θ∇J.
        cells: of these images.
        seconds: all that this scale took.
        accepted: False if the prediction was too poor to be corrected.
        jump: Newton's step from the prediction explains less than half of the way to w (with
            Gauss-Newton: the way is longer than a blur width). The branch may have ended in a fold,
            and w may lie on another.
        note: in words, what is not as usual.
    """

    theta: float
    prediction: torch.Tensor = field(repr=False)
    prediction_loss: float
    prediction_gradient_norm: float
    error: float
    w: torch.Tensor = field(repr=False)
    loss: float
    gradient_norm: float
    tangent: torch.Tensor | None = field(default=None, repr=False)
    iterations: int = 0
    evaluations: int = 0
    cells: int = 1
    seconds: float = 0.0
    accepted: bool = False
    jump: bool = False
    note: str = "rejected: the prediction is too poor"


@dataclass(frozen=True, eq=False, repr=False)
class Path:
    """All steps of a run, and what they have in common.

    Args:
        steps: in the order of the run, rejected ones included.

    Example:
        >>> from regkit.continuation import follow
        >>> from regkit.problems import Formula
        >>> problem = Formula(lambda w, theta: (w[0] - theta) ** 2)
        >>> path = follow(problem, [4.0, 2.0, 1.0], torch.tensor([5.0]))
        >>> path.thetas.tolist(), path.w.tolist(), path.jumps
        ([4.0, 2.0, 1.0], [1.0], [])
    """

    steps: list[Step]

    def __repr__(self) -> str:
        thetas = [step.theta for step in self.accepted]
        ends = f"θ = {thetas[0]:g} to {thetas[-1]:g}, J = {self.loss:.6g}" if thetas else "no step"
        return f"Path of {len(thetas)} scales: {ends}"

    @property
    def accepted(self) -> list[Step]:
        """The steps without the rejected ones."""
        return [step for step in self.steps if step.accepted]

    @property
    def jumps(self) -> list[Step]:
        """The accepted steps that may have ended on another branch."""
        return [step for step in self.accepted if step.jump]

    @property
    def thetas(self) -> torch.Tensor:
        """θ of the accepted steps, (k,)."""
        return torch.tensor([step.theta for step in self.accepted], dtype=torch.float64)

    @property
    def losses(self) -> torch.Tensor:
        """J at their ends, (k,)."""
        return torch.tensor([step.loss for step in self.accepted], dtype=torch.float64)

    @property
    def path(self) -> torch.Tensor:
        """w at their ends, (k, p)."""
        lengths = {len(step.w) for step in self.accepted}
        require(len(lengths) == 1, f"expected steps with equally many parameters, got {sorted(lengths)}")
        return torch.stack([step.w for step in self.accepted])

    @property
    def w(self) -> torch.Tensor:
        """Where the run ended, (p,)."""
        return self.accepted[-1].w

    @property
    def loss(self) -> float:
        """J there."""
        return self.accepted[-1].loss

    @property
    def iterations(self) -> int:
        """Iterations of the corrector, over all steps."""
        return sum(step.iterations for step in self.steps)

    @property
    def evaluations(self) -> int:
        """Evaluations of the images, over all steps."""
        return sum(step.evaluations for step in self.steps)

    @property
    def seconds(self) -> float:
        """Seconds, over all steps."""
        return sum(step.seconds for step in self.steps)

    @property
    def work(self) -> float:
        """Evaluations, counted in the finest images: one of an image with a quarter of the cells counts ¼."""
        return sum(step.evaluations * step.cells for step in self.steps) / max(s.cells for s in self.steps)
