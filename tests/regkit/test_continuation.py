"""Continuation: the tangent against minimisers found again, the orders of the predictors, folds whose place
is known, and the paper's hands.
"""

from __future__ import annotations

import math
from functools import partial
from itertools import pairwise
from statistics import median

import numpy as np
import pytest
import torch

from regkit.continuation import ORDERS, follow, integrate, length, tangent
from regkit.data import hands_phantom, paper_hands
from regkit.optimize import gauss_newton, levenberg_marquardt, newton_trust
from regkit.problems import Formula, Functions
from regkit.registration import Registration
from regkit.scales import Adaptive
from regkit.transforms import Affine

tensor = partial(torch.tensor, dtype=torch.float64)
PREDICTORS = list(ORDERS)


def logspace(start: float, end: float, count: int) -> list[float]:
    return np.logspace(start, end, count).tolist()


@pytest.fixture(scope="module")
def hands() -> Registration:
    """The drawn hands, 32 × 32: the branch from the identity ends in a fold above θ = 100."""
    pair = hands_phantom(32)
    return Registration(pair.template, pair.reference, pair.grid, Affine(center=(10.0, 12.5)))


@pytest.fixture(scope="module")
def found(hands) -> torch.Tensor:
    """The good minimiser at θ = 20."""
    A, b = hands_phantom(32).w_true.split([4, 2])
    return newton_trust(hands.at(20.0), hands.transform.from_matrix(A.reshape(2, 2), b)).x


@pytest.fixture(scope="module")
def paper() -> Registration:
    try:
        pair = paper_hands(32)
    except FileNotFoundError as missing:
        pytest.skip(str(missing))
    return Registration(pair.template, pair.reference, pair.grid)


# J = w⁴/4 − w²/2 − w log(θ)/2: two minima; the right one ends where log(θ)/2 = −2/(3√3), at w = 1/√3.
WELLS = Formula(lambda w, theta: w[0] ** 4 / 4 - w[0] ** 2 / 2 - w[0] * theta.log() / 2)
FOLD = math.exp(-4 / (3 * math.sqrt(3)))


def wells(theta: float) -> list[float]:
    """All stationary points of WELLS, as the roots of a cubic."""
    roots = np.roots([1, 0, -1, -math.log(theta) / 2])
    return sorted(roots[abs(roots.imag) < 1e-12].real)


class Moving:
    """J = ½‖w − a(log θ)‖²_A: a problem whose minimiser is a(s) = (sin s, cos 2s), in plain functions."""

    A = tensor([[2.0, 0.5], [0.5, 1.0]])

    def at(self, theta):
        self_at = Moving()
        self_at.s = math.log(theta)
        self_at.theta = theta
        return self_at

    def path(self, s):
        return tensor([math.sin(s), math.cos(2 * s)])

    def point(self, w, order):
        a = self.path(self.s)
        return Functions(
            lambda w: 0.5 * (w - a) @ self.A @ (w - a), lambda w: self.A @ (w - a), lambda w: self.A
        ).point(w)

    def gradient_theta(self, w):
        return -self.A @ tensor([math.cos(self.s), -2 * math.sin(2 * self.s)]) / self.theta


# ---- the tangent


@pytest.mark.parametrize("variable", ["log", "linear"])
def test_the_tangent_is_the_derivative_of_the_minimiser(hands, found, variable):
    theta = 20.0
    to_theta, at = (math.exp, math.log(theta)) if variable == "log" else (float, theta)
    errors = []
    for h in (0.1 * (1 if variable == "log" else theta), 0.05 * (1 if variable == "log" else theta)):
        ahead, behind = (newton_trust(hands.at(to_theta(at + s * h)), found, gtol=1e-12).x for s in (1, -1))
        difference = (ahead - behind) / (2 * h)
        exact = tangent(hands, found, theta, variable=variable)
        errors.append(float((difference - exact).norm() / exact.norm()))
    assert errors[1] < 1e-2
    assert errors[0] / errors[1] == pytest.approx(4, rel=0.2), "central differences: an error of order h²"


def test_in_log_theta_the_tangent_is_theta_times_as_long(hands, found):
    log, linear = (tangent(hands, found, 20.0, variable=variable) for variable in ("log", "linear"))
    assert torch.allclose(log, 20.0 * linear, rtol=1e-12)


def test_the_gauss_newton_tangent_uses_the_gauss_newton_matrix(hands, found):
    objective = hands.at(20.0)
    jacobian = objective.jacobian(found)
    expected = -torch.linalg.solve(jacobian.T @ jacobian, objective.gradient_theta(found))
    got = tangent(hands, found, 20.0, variable="linear", hessian="gauss-newton")
    assert torch.allclose(got, expected, rtol=1e-9)
    assert not torch.allclose(got, tangent(hands, found, 20.0, variable="linear"), rtol=0.05)


def test_a_family_differentiates_its_formula():
    objective, w = WELLS.at(2.0), tensor([0.7])
    assert float(objective.gradient(w)) == pytest.approx(0.7**3 - 0.7 - math.log(2.0) / 2)
    assert float(objective.hessian(w)) == pytest.approx(3 * 0.7**2 - 1)
    assert float(objective.gradient_theta(w)) == pytest.approx(-1 / 4)
    assert objective.gradient_theta(w).dtype == torch.float64


def test_the_tangent_of_a_saddle_is_given_and_that_of_a_fold_refused():
    # at θ = 1 the maximum lies at w = 0: H = −1, ∂ₛ∇J = −½
    assert float(tangent(WELLS, tensor([0.0]), 1.0)) == pytest.approx(-0.5)
    folded = Formula(lambda w, theta: w[0] ** 3 / 3 - (theta - 1) * w[0] + w[1] ** 2)
    with pytest.raises(ValueError, match="expected an invertible Hessian, got one with eigenvalues"):
        tangent(folded, tensor([0.0, 0.0]), 1.0)


# ---- predictors


@pytest.mark.parametrize("predictor", PREDICTORS)
def test_the_error_of_a_prediction_has_the_order_of_its_predictor(hands, found, predictor):
    """Three scales with steps 1.5 h and h in log θ: error of the last prediction over h."""
    corrector, errors, steps = partial(newton_trust, gtol=1e-12), [], [0.2 / 2**k for k in range(4)]
    for h in steps:
        thetas = [20.0 * math.exp(1.5 * h), 20.0, 20.0 * math.exp(-h)]
        last = follow(hands, thetas, found, predictor=predictor, corrector=corrector).steps[-1]
        errors.append(float((last.prediction - last.w).norm()))
    slope = np.polyfit(np.log(steps), np.log(errors), 1)[0]
    assert slope == pytest.approx(ORDERS[predictor], abs=0.15)


@pytest.mark.parametrize("variable", ["log", "linear"])
def test_predictions_are_those_of_the_formulas(variable):
    """On a path known in closed form, with steps of three different lengths."""
    problem, thetas = Moving(), [3.0, 2.4, 2.0, 1.2]
    s = [math.log(theta) if variable == "log" else theta for theta in thetas]
    w = [problem.path(math.log(theta)) for theta in thetas]
    rates = [tensor([math.cos(math.log(t)), -2 * math.sin(2 * math.log(t))]) for t in thetas]
    t = rates if variable == "log" else [rate / theta for rate, theta in zip(rates, thetas, strict=True)]
    h, rho = s[3] - s[2], (s[3] - s[2]) / (s[2] - s[1])
    expected = {
        "none": w[2],
        "secant": w[2] + rho * (w[2] - w[1]),
        "euler": w[2] + h * t[2],
        "adams2": w[2] + h * ((1 + rho / 2) * t[2] - rho / 2 * t[1]),
        "heun": w[2] + h / 2 * (t[2] + t[3]),  # this path's slope does not depend on w
    }
    assert set(expected) == set(PREDICTORS)
    for predictor, prediction in expected.items():
        path = follow(problem, thetas, w[0], predictor=predictor, variable=variable)
        assert torch.allclose(path.steps[-1].prediction, prediction, atol=1e-8), predictor
        assert torch.allclose(path.path, torch.stack(w), atol=1e-8)


def test_the_record_of_a_step_is_what_the_objective_says(hands, found):
    thetas = [20.0, 10.0, 5.0]
    path = follow(hands, thetas, found)
    for step, theta in zip(path.steps, thetas, strict=True):
        objective = hands.at(theta)
        assert step.theta == theta
        assert step.prediction_loss == pytest.approx(float(objective.loss(step.prediction)), rel=1e-12)
        norm = float(objective.gradient(step.prediction).norm())
        assert step.prediction_gradient_norm == pytest.approx(norm, rel=1e-9)
        newton = torch.linalg.solve(objective.hessian(step.prediction), -objective.gradient(step.prediction))
        assert step.error == pytest.approx(length(hands, step.prediction, newton, theta), abs=1e-9)
        assert step.loss == pytest.approx(float(objective.loss(step.w)), rel=1e-12)
        assert step.gradient_norm <= 1e-6 * step.loss
        assert step.seconds > 0 and step.cells == 32 * 32 and step.note == "" and not step.jump
    assert torch.allclose(path.steps[1].tangent, tangent(hands, path.steps[1].w, 10.0), rtol=1e-9)
    assert path.steps[-1].tangent is None, "nothing is predicted from the last scale"
    assert path.thetas.tolist() == thetas and path.path.shape == (3, 6)
    assert path.evaluations == sum(step.evaluations for step in path.steps) == path.work


def test_evaluations_are_counted_as_they_are_made(hands, found):
    made = []

    class Watched:
        grid, motion = hands.grid, hands.motion

        def at(self, theta):
            objective = hands.at(theta)

            class Spy:
                def point(self, w, order):
                    made.append(w)
                    return objective.point(w, order)

                def gradient_theta(self, w):
                    made.append(w)
                    return objective.gradient_theta(w)

            return Spy()

    for predictor in PREDICTORS:
        made.clear()
        path = follow(Watched(), [20.0, 10.0, 5.0], found, predictor=predictor)
        assert path.evaluations == len(made)


@pytest.mark.parametrize("corrector", [levenberg_marquardt, gauss_newton, partial(newton_trust, radius=0.3)])
def test_any_optimiser_corrects(hands, found, corrector):
    expected = follow(hands, [20.0, 5.0, 1.0], found)
    for hessian in ("exact", "gauss-newton"):
        path = follow(hands, [20.0, 5.0, 1.0], found, corrector=corrector, hessian=hessian)
        assert (path.path - expected.path).norm() < 1e-5
        assert not path.jumps


def test_loose_correction_ends_at_the_same_minimiser_for_less(hands, found):
    thetas = logspace(1.3, -3, 10)
    tight, loose = (follow(hands, thetas, found, accuracy=accuracy) for accuracy in (0.0, 1e-2))
    assert (loose.w - tight.w).norm() < 1e-6
    assert loose.iterations <= 0.6 * tight.iterations


# ---- without correction


@pytest.mark.parametrize(("method", "order"), [("euler", 1), ("heun", 2)])
def test_pure_integration_drifts_and_the_drift_falls_with_the_step(method, order):
    """Moving's path from s = 2 down to s = 0: global error of order 1 and 2."""
    problem, errors, counts = Moving(), [], [20, 40, 80]
    for count in counts:
        thetas = [math.exp(s) for s in np.linspace(2, 0, count + 1)]
        w = integrate(problem, thetas, problem.path(2.0), method=method)
        assert w.shape == (count + 1, 2)
        errors.append(float((w[-1] - problem.path(0.0)).norm()))
    assert np.log2(errors[0] / errors[1]) == pytest.approx(order, abs=0.2)
    assert np.log2(errors[1] / errors[2]) == pytest.approx(order, abs=0.1)


def test_pure_integration_is_no_better_with_gauss_newton(hands, found):
    thetas = logspace(math.log10(20.0), -3, 30)
    exact = follow(hands, thetas, found).path
    drift = {
        kind: (integrate(hands, thetas, found, hessian=kind)[-1] - exact[-1]).norm()
        for kind in ("exact", "gauss-newton")
    }
    assert 0 < drift["exact"] < 0.3
    assert drift["gauss-newton"] > drift["exact"]


# ---- folds


def test_a_fold_is_reported_where_it_is():
    thetas = logspace(1, -1, 41)
    path = follow(WELLS, thetas, tensor([1.3]))
    (jump,) = path.jumps
    assert jump.theta == max(theta for theta in thetas if theta < FOLD)
    assert "jump" in jump.note and float(jump.w) < -1
    before = [step for step in path.steps if step.theta > FOLD]
    assert all(float(step.w) > 1 / math.sqrt(3) for step in before)
    assert not any(step.note for step in before)


@pytest.mark.parametrize("predictor", PREDICTORS)
def test_the_adaptive_run_finds_the_fold_and_goes_on(predictor):
    path = follow(WELLS, Adaptive(10.0, 0.1, tolerance=0.05), tensor([1.3]), predictor=predictor)
    assert path.steps[0].theta == 10.0 and path.steps[-1].theta == 0.1
    assert all(a > b for a, b in pairwise(path.thetas.tolist()))
    rejected = [step for step in path.steps if not step.accepted]
    assert rejected and all("rejected" in step.note and step.iterations == 0 for step in rejected)
    (jump,) = path.jumps
    above, below = (
        [s.theta for s in path.accepted if s.theta > jump.theta],
        [s.theta for s in path.accepted if s.theta <= jump.theta],
    )
    assert min(above) > FOLD > max(below)
    assert float(path.w) == pytest.approx(wells(0.1)[0], abs=1e-6)


def test_steps_are_short_where_the_path_bends():
    """A path that turns a corner at θ = 1: w = log(1 + e^{8 s})/8."""
    bend = Formula(lambda w, theta: (w[0] - torch.nn.functional.softplus(8 * theta.log()) / 8) ** 2)
    plan = Adaptive(100.0, 0.01, tolerance=0.02, first=0.05, shortest=0.001)
    path = follow(bend, plan, tensor([math.log(100.0)]))
    s = path.thetas.log()
    steps = -s.diff()
    near = (s[1:].abs() < 0.5) | (s[:-1].abs() < 0.5)
    assert steps[near].median() < 0.5 * steps[~near].median()
    assert all(step.error <= 0.02 for step in path.accepted[1:])
    assert not path.jumps


def test_an_indefinite_hessian_gives_no_tangent_but_the_corrector_escapes():
    path = follow(WELLS, [1.5, 1.0, 0.9], tensor([0.2]), corrector=partial(newton_trust, iterations=0))
    assert all(step.tangent is None for step in path.steps)
    assert all(step.error == math.inf and "indefinite Hessian" in step.note for step in path.steps)
    assert all("iterations" in step.note for step in path.steps), "the optimiser's reason is passed on"
    escaped = follow(WELLS, [1.5, 1.0, 0.9], tensor([-0.3]))
    assert "indefinite" in escaped.steps[0].note and abs(float(escaped.w)) > 0.9


def test_length_is_in_blur_widths(hands):
    moved = tensor([0.0, 0.0, 0.0, 0.0, 2 * hands.grid.spacing[0], 0.0])
    w = hands.transform.identity()
    assert length(hands, w, moved, 1e-3) == pytest.approx(2.0), "two cells, where the blur is below one cell"
    assert length(hands, w, moved, 16.0) == pytest.approx(1.0), "16^¼ = 2 cells"
    assert length(WELLS, tensor([1.0]), tensor([-0.5]), 16.0) == pytest.approx(0.5)


# ---- adaptive runs on images, and the paper's hands


def test_adaptive_predictor_corrector_needs_less_than_half_on_the_drawn_hands(hands):
    start = hands.transform.identity()
    fixed = follow(hands, logspace(3, -3, 30), start, predictor="none")
    adaptive = follow(hands, Adaptive(1e3, 1e-3), start, accuracy=1e-2)
    assert (adaptive.w - fixed.w).norm() < 1e-5
    assert adaptive.iterations <= 0.5 * fixed.iterations
    assert adaptive.evaluations <= 0.5 * fixed.evaluations
    assert fixed.jumps, "the branch of the identity ends"


def test_the_papers_hands(paper):
    w0, thetas = paper.transform.identity(), logspace(3, -3, 30)
    single, corrected = follow(paper, [1e-3], w0), follow(paper, thetas, w0, variable="linear")
    fixed = follow(paper, thetas, w0, predictor="none")
    assert 2 * single.loss == pytest.approx(9.113003e5, rel=1e-5)
    assert 2 * corrected.loss == pytest.approx(1.990549e5, rel=1e-5)
    expected = tensor([-0.708379, -0.436564, 0.454386, -0.937842, 22.718052, 18.953635])
    assert torch.allclose(corrected.w, expected, rtol=1e-5)
    assert torch.allclose(fixed.w, expected, rtol=1e-5)
    for predictor in PREDICTORS:
        adaptive = follow(paper, Adaptive(1e3, 1e-3), w0, predictor=predictor, accuracy=1e-2)
        assert torch.allclose(adaptive.w, expected, rtol=1e-5), predictor
        assert adaptive.iterations <= 0.5 * fixed.iterations, predictor
        assert adaptive.evaluations <= 0.4 * fixed.evaluations, predictor


@pytest.mark.parametrize(
    ("kind", "factor", "reference"),
    [
        ("exact", 1, (38, 1.7e-3, 39, 0.845, 0.19, 0.96)),
        ("gauss-newton", 1, (39, 1.3e-3, 39, 0.667, 0.61, 0.88)),
        ("gauss-newton", 2, (32, 2.4e-4, 22, 0.120, 0.78, 0.44)),
    ],
)
def test_the_fair_figure_3_of_the_paper(paper, kind, factor, reference):
    """Euler's prediction from w*(θₙ), against w*(θₙ) itself; both judged at θₙ₊₁."""
    path = follow(paper, logspace(3, -3, 40), paper.transform.identity(), predictor="none")
    losses, gradients, distances, drops = [], [], [], []
    for here, there in pairwise(path.steps):
        rate = tangent(paper, here.w, here.theta, variable="linear", hessian=kind)
        prediction = here.w + factor * (there.theta - here.theta) * rate
        objective = paper.at(there.theta)
        loss, norm = float(objective.loss(prediction)), float(objective.gradient(prediction).norm())
        losses.append(1 - loss / there.prediction_loss)
        gradients.append(1 - norm / there.prediction_gradient_norm)
        distances.append(float((prediction - there.w).norm() / (here.w - there.w).norm()))
        drops.append((there.prediction_loss - loss) / (there.prediction_loss - there.loss))
    wins = [sum(value > 0 for value in values) for values in (losses, gradients)]
    assert abs(wins[0] - reference[0]) <= 1 and abs(wins[1] - reference[2]) <= 1
    for values, expected in zip(
        (losses, gradients, distances, drops), (reference[1], *reference[3:]), strict=True
    ):
        assert median(values) == pytest.approx(expected, rel=0.05)


# ---- errors, progress


@pytest.mark.parametrize(
    ("thetas", "options", "message"),
    [
        ([1.0, 2.0], {}, r"expected decreasing scales θ, got \[1.0, 2.0\]"),
        ([1.0, 1.0], {}, "expected decreasing scales"),
        ([], {}, "expected decreasing scales"),
        ([1.0, math.nan], {}, "expected decreasing scales"),
        ([1.0, 0.0], {}, r'expected θ > 0 \(or θ ≥ 0 and variable "linear"\), got 0.0'),
        ([1.0, -1.0], {"variable": "linear"}, "expected θ > 0"),
        (Adaptive(0.1, 10.0), {}, "expected decreasing scales"),
        ([1.0], {"predictor": "leapfrog"}, r'expected predictor "none" or "secant" or .*, got \'leapfrog\''),
        ([1.0], {"variable": "sqrt"}, 'expected variable "log" or "linear", got \'sqrt\''),
        ([1.0], {"hessian": "bfgs"}, 'expected hessian "exact" or "gauss-newton", got \'bfgs\''),
    ],
)
def test_errors_say_what_was_expected(thetas, options, message):
    with pytest.raises(ValueError, match=message):
        follow(WELLS, thetas, tensor([1.0]), **options)


def test_other_errors():
    with pytest.raises(ValueError, match='expected method "euler" or "heun", got \'rk4\''):
        integrate(WELLS, [2.0, 1.0], tensor([1.0]), method="rk4")
    with pytest.raises(ValueError, match='expected kind "exact", got'):
        tangent(WELLS, tensor([1.0]), 2.0, hessian="gauss-newton")
    with pytest.raises(ValueError, match="expected θ > 0"):
        tangent(WELLS, tensor([1.0]), 0.0)


def test_scales_down_to_zero_in_the_linear_variable(hands, found):
    path = follow(hands, [0.02, 0.01, 0.0], found, variable="linear")
    assert path.thetas[-1] == 0.0 and path.steps[-1].gradient_norm < 1e-3
    assert not path.jumps


def test_a_callback_sees_every_step_and_ends_the_run(hands, found, capsys):
    seen = []
    path = follow(hands, [20.0, 10.0, 5.0], found, callback=seen.append)
    assert seen == path.steps
    short = follow(hands, [20.0, 10.0, 5.0], found, callback=lambda step: step.theta == 10.0)
    assert short.thetas.tolist() == [20.0, 10.0] and short.w.equal(path.steps[1].w)
    assert capsys.readouterr() == ("", "")
