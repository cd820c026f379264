"""Checkers for the exercises of chapter 3. Each says what is wrong for the errors that are easily made."""

import math

import torch

from regkit import coefficients, data, evaluate
from regkit.optimize import newton_trust
from regkit.registration import Registration
from regkit.transforms import Affine

from .report import close, exercise, wrong


def _shape(given, expected: tuple):
    if not isinstance(given, torch.Tensor) or tuple(given.shape) != expected:
        wrong(f"expected a tensor of shape {expected}, got {tuple(getattr(given, 'shape', ()))}.")


@exercise
def check_3_2(turn):
    """``turn(degrees, x, center)``: points (n, 2) rotated counter-clockwise about ``center``."""
    x = torch.rand(7, 2, generator=torch.Generator().manual_seed(5), dtype=torch.float64) * 20
    center, degrees = (4.0, 11.0), 35.0

    def right(degrees=degrees, center=center, x=x):
        z = torch.view_as_complex((x - torch.tensor(center, dtype=x.dtype)).contiguous())
        moved = torch.view_as_real(
            z * complex(math.cos(math.radians(degrees)), math.sin(math.radians(degrees)))
        )
        return moved + torch.tensor(center, dtype=x.dtype)

    given = turn(degrees, x, center)
    _shape(given, (7, 2))
    c = torch.tensor(center, dtype=x.dtype)
    for message, other in {
        "degrees taken for radians: convert the angle with math.radians.": right(math.degrees(degrees)),
        "this turns clockwise: for rows of points, x @ R.T is the rotation by R.": right(-degrees),
        "this turns about the corner (0, 0). Subtract the centre first, and add it again.": right(
            center=(0.0, 0.0)
        ),
        "the centre was subtracted and not added again.": right() - c,
        "the centre was added after the rotation and not subtracted before it.": right(center=(0.0, 0.0)) + c,
        "the signs of the centre are exchanged: subtract it before the rotation, add it after.": right(
            center=(-4.0, -11.0)
        ),
    }.items():
        if close(given, other):
            wrong(message)
    if not close(given, right()):
        wrong(
            "this is not the rotation. Does a point at the centre stay where it is? Do lengths stay the same?"
        )
    return "Right: points turn counter-clockwise, and the centre stays."


def _affine_case():
    """A small pair with cells that are not square, and a w that is not the identity."""
    pair = data.hands_phantom(32)
    c, reference = coefficients(pair.template, 1.0), pair.reference.reshape(-1)
    w = torch.tensor([0.9, -0.3, 0.25, 1.05, 2.5, -1.2], dtype=torch.float64)
    return c, pair.grid, reference, w


def _differences(loss, w, step=1e-5):
    """The gradient by central differences."""
    unit = step * torch.eye(len(w), dtype=w.dtype)
    return torch.stack([(loss(w + e) - loss(w - e)) / (2 * step) for e in unit])


@exercise
def check_3_3(affine_gradient):
    """``affine_gradient(c, grid, reference, w)``: ∇J of ½ h₁h₂ Σ (T(Ax + b) − R)², shape (6,)."""
    c, grid, reference, w = _affine_case()
    x, volume = grid.points(), grid.cell_volume

    def loss(w):
        return (
            0.5 * volume * (evaluate(c, grid, x @ w[:4].reshape(2, 2).T + w[4:]) - reference).square().sum()
        )

    right = _differences(loss, w)
    given = affine_gradient(c, grid, reference, w)
    _shape(given, (6,))
    y = x @ w[:4].reshape(2, 2).T + w[4:]
    value, g = evaluate(c, grid, y, order=1)
    force, at_x = volume * (value - reference)[:, None] * g, evaluate(c, grid, x, order=1)[1]
    with_y = torch.cat([(force.T @ y).flatten(), force.sum(0)])
    unmoved = volume * (value - reference)[:, None] * at_x
    for message, other in {
        "the sign is wrong. The residual is T(y) − R, not R − T(y).": -right,
        "twice too large: J = ½‖r‖², so the ½ cancels the 2 from the square.": 2 * right,
        "the volume of a cell is missing: multiply by grid.cell_volume.": right / volume,
        "the weight is the volume of a cell, not its root: r and its Jacobian carry one root each.": right
        / volume**0.5,
        "the entries of A come column by column. They go row by row: a₁₁, a₁₂, a₂₁, a₂₂.": right[
            [0, 2, 1, 3, 4, 5]
        ],
        "the derivative of y = A x + b with respect to A holds the coordinates of x, not those of y.": with_y,
        "the gradient of the template is needed at y, where its value is taken, not at x.": torch.cat(
            [(unmoved.T @ x).flatten(), unmoved.sum(0)]
        ),
        "b comes last in w: (A row by row, b).": right[[4, 5, 0, 1, 2, 3]],
        "the mean over the pixels is not the integral: sum, and multiply by the volume of a cell.": right
        / volume
        / len(x),
    }.items():
        if close(given, other, 1e-6):
            wrong(message)
    if not close(given, right, 1e-6):
        wrong("central differences disagree. Try it at w = identity first, and for b alone.")
    return "Right: it agrees with central differences."


class _Counted:
    """An objective that counts, and offers residual and Jacobian only."""

    def __init__(self, objective):
        self._objective, self.jacobians, self.residuals = objective, 0, 0

    def residual(self, w):
        self.residuals += 1
        return self._objective.residual(w)

    def jacobian(self, w):
        self.jacobians += 1
        return self._objective.jacobian(w)


def _head():
    """The head of the chapter with its motion, and the minimiser from the truth."""
    image, grid = data.mri(64)
    about = Affine(center=(128, 128))
    angle = math.radians(8)
    R = torch.tensor(
        [[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]], dtype=torch.float64
    )
    A = R @ torch.tensor([[1.06, 0.08], [0.0, 0.95]], dtype=torch.float64)
    w_true = torch.cat([A.flatten(), torch.tensor([6.0, -4.0], dtype=torch.float64)])
    head = evaluate(coefficients(image, 0.0), grid, about(w_true, grid.points())).reshape(grid.shape)
    objective = Registration(image, head, grid, about).at(1.0)
    return objective, about.identity(), newton_trust(objective, w_true)


@exercise
def check_3_4(register, most=20):
    """``register(objective, w)``: at most ``most`` Jacobians to the minimum of the head."""
    objective, start, best = _head()
    counted = _Counted(objective)
    try:
        w = register(counted, start.clone())
    except AttributeError as error:
        wrong(f"only objective.residual and objective.jacobian are there ({error}).")
    _shape(w, (6,))
    if not bool(w.isfinite().all()):
        wrong("the parameters are not finite any more: a step was far too long. Refuse what raises the loss.")
    loss, first = float(objective.loss(w)), float(objective.loss(start))
    if loss >= first:
        wrong("the loss has not fallen. The step is −(JᵣᵀJᵣ)⁻¹Jᵣᵀr: mind its sign.")
    if loss > best.loss * (1 + 1e-6):
        wrong(f"the loss is {loss:.6g}, at the minimum it is {best.loss:.6g}. Go on a little, or brake less.")
    if counted.jacobians > most:
        wrong(
            f"it gets there, with {counted.jacobians} Jacobians; {most} are enough. "
            "Does every step use the Jacobian and r at the new w?"
        )
    return f"Right: at the minimum with {counted.jacobians} Jacobians and {counted.residuals} residuals."


@exercise
def check_3_5(shift_gradient):
    """``shift_gradient(c, grid, reference, w)``: ∇J of a shift, away from w = 0 too."""
    c, grid, reference, _ = _affine_case()
    x, volume = grid.points(), grid.cell_volume
    zero, w = torch.zeros(2, dtype=torch.float64), torch.tensor([1.3, -0.8], dtype=torch.float64)

    def loss(w):
        return 0.5 * volume * (evaluate(c, grid, x + w) - reference).square().sum()

    given, right = shift_gradient(c, grid, reference, w), _differences(loss, w)
    _shape(given, (2,))
    if close(given, right, 1e-6) and close(
        shift_gradient(c, grid, reference, zero), _differences(loss, zero), 1e-6
    ):
        return "Right: it agrees with central differences at w = 0 and away from it."
    at_x = evaluate(c, grid, x, order=1)[1]
    if close(given, volume * (evaluate(c, grid, x + w) - reference) @ at_x, 1e-6):
        wrong("the slope is still taken at x. The loss looks at T(x + w), so its derivative is ∇T(x + w).")
    if close(given, volume * (evaluate(c, grid, x) - reference) @ evaluate(c, grid, x + w, order=1)[1], 1e-6):
        wrong("now the slope is right and the value is taken at x.")
    if close(given, -right, 1e-6):
        wrong("the sign is wrong: the derivative of x + w with respect to w is +1.")
    wrong("central differences at w = (1.3, −0.8) disagree.")


@exercise
def check_3_6(is_right):
    """``is_right(objective, w, starts)``: False if Newton finds a lower loss from one of the starts."""
    pair = data.hands_phantom(32)
    about = Affine(center=(10, 12.5))
    objective = Registration(pair.template, pair.reference, pair.grid, about).at(0.1)
    truth = about.from_matrix(pair.w_true[:4].reshape(2, 2), pair.w_true[4:])
    wrong_run, right_run = (newton_trust(objective, w) for w in (about.identity(), truth))
    near = right_run.x + 0.01
    verdicts = {
        "upside down": is_right(objective, wrong_run.x, [about.identity(), near]),
        "right": is_right(objective, right_run.x, [about.identity(), near]),
        "unmasked": is_right(objective, wrong_run.x, [about.identity()]),
    }
    if not all(isinstance(v, bool | torch.Tensor) for v in verdicts.values()):
        wrong("expected True or False.")
    if verdicts["upside down"]:
        wrong("the hand upside down passes, although one of the starts leads to a lower loss.")
    if not verdicts["right"]:
        wrong(
            "the right minimum is refused: leave a margin, for another start ends at the same loss "
            "up to rounding."
        )
    if not verdicts["unmasked"]:
        wrong("with a single start that leads to the same minimum there is no evidence against it.")
    return "Right: it can refute a minimum, and it can never prove one."
