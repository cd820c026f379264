"""The bold claims of chapter 5. From regkit come the loss and its gradient, and the runs that are judged;
minimisers are SciPy's, and Hessians and ∂θ∇J are central differences of the gradient."""

import math
from itertools import pairwise

import numpy as np
import pytest
import scipy.optimize
import torch

from regkit import data
from regkit.branches import arclength
from regkit.continuation import follow, integrate
from regkit.problems import Formula
from regkit.registration import Registration
from regkit.scales import Adaptive

H = 1e-5


@pytest.fixture(scope="module")
def hands():
    pair = data.hands_phantom(32, noise=15.0)
    return Registration(pair.template, pair.reference, pair.grid)


def gradient(problem, w, theta):
    return problem.at(theta).gradient(torch.as_tensor(w)).numpy()


def hessian(problem, w, theta):
    steps = H * np.eye(len(w))
    rows = [(gradient(problem, w + e, theta) - gradient(problem, w - e, theta)) / (2 * H) for e in steps]
    return (np.array(rows) + np.array(rows).T) / 2


def velocity(problem, w, theta):
    """dw*/dθ by differences."""
    high, low = (gradient(problem, w, theta * factor) for factor in (1 + H, 1 - H))
    return -np.linalg.solve(hessian(problem, w, theta), (high - low) / (2 * H * theta))


def minimiser(problem, w, theta):
    """SciPy's trust region, polished by Newton steps: (w, iterations)."""
    objective = problem.at(theta)
    found = scipy.optimize.minimize(
        lambda v: float(objective.loss(torch.from_numpy(v))), np.asarray(w), method="trust-exact",
        jac=lambda v: gradient(problem, v, theta), hess=lambda v: hessian(problem, v, theta),
        options={"gtol": 1e-5},
    )  # fmt: skip
    w = found.x
    for _ in range(2):
        w = w - np.linalg.solve(hessian(problem, w, theta), gradient(problem, w, theta))
    return w, found.nit


def cells(problem, v, w):
    """Root mean square distance of the moved points."""
    x, h = problem.points.numpy(), np.array(problem.grid.spacing)
    (A, b), (B, c) = ((u[:4].reshape(2, 2), u[4:]) for u in (np.asarray(v), np.asarray(w)))
    return np.sqrt((((x @ (A - B).T + b - c) / h) ** 2).sum(1).mean())


@pytest.fixture(scope="module")
def path(hands):
    """Minimisers at 1000, …, 0.001, four to a decade, with the iterations from the one before."""
    thetas, w, found = np.geomspace(1e3, 1e-3, 25), hands.transform.identity().numpy(), {}
    for theta in thetas:
        w, _ = minimiser(hands, w, theta)
        found[round(math.log10(theta) * 4)] = w
    return lambda theta: found[round(math.log10(theta) * 4)]


@pytest.mark.parametrize("theta", [30.0, 1.0, 0.03])
def test_claim_the_minimiser_obeys_an_ode(hands, path, theta):
    near = path(10 ** (round(math.log10(theta) * 4) / 4))
    step = 1e-3 * theta
    w, above, below = (minimiser(hands, near, t)[0] for t in (theta, theta + step, theta - step))
    measured = (above - below) / (2 * step)
    assert np.allclose(measured, velocity(hands, w, theta), rtol=1e-3, atol=1e-3 * np.abs(measured).max())


def test_claim_euler_errs_by_h_squared_heun_and_adams_by_h_cubed(hands, path):
    theta = 10**0.5
    w = minimiser(hands, path(theta), theta)[0]

    def rate(v, t):
        return t * velocity(hands, v, t)

    errors = []
    for h in (0.12, 0.06, 0.03):
        end, before = theta * math.exp(-h), theta * math.exp(h)
        target, last = minimiser(hands, w, end)[0], minimiser(hands, w, before)[0]
        euler = w - h * rate(w, theta)
        heun = w - h / 2 * (rate(w, theta) + rate(euler, end))
        adams = w - h * (1.5 * rate(w, theta) - 0.5 * rate(last, before))
        errors.append([cells(hands, v, target) for v in (euler, heun, adams)])
    slopes = np.log2(np.array(errors[:-1]) / np.array(errors[1:]))
    assert np.allclose(slopes, [2, 3, 3], atol=0.2)
    assert errors[-1][1] < errors[-1][2] < errors[-1][0]  # Heun's is the smallest


def test_claim_no_variable_is_best_everywhere(hands, path):
    def missed(here, there):
        w, target = path(here), minimiser(hands, path(here), there)[0]
        rate, way = velocity(hands, w, here), cells(hands, w, target)
        in_width = (there**0.25 - here**0.25) / (0.25 * here**-0.75)
        steps = {"θ": there - here, "width": in_width, "log": here * math.log(there / here)}
        return {name: cells(hands, w + step * rate, target) / way for name, step in steps.items()}

    coarse, middle, fine = missed(100.0, 10**1.5), missed(0.1, 10**-1.5), missed(0.01, 0.001)
    assert min(coarse, key=coarse.get) == "θ" and coarse["log"] > 1
    assert min(middle, key=middle.get) == "log"
    ten = missed(10.0, 10**0.5)
    assert min(ten, key=ten.get) == "width"
    assert min(fine, key=fine.get) == "θ" and fine["log"] > 1
    for here, best, worse in ((100.0, "θ", {"width", "log"}), (1.0, "width", set()), (0.1, "log", set())):
        ten = missed(here, here / 10)
        assert min(ten, key=ten.get) == best
        assert {name for name, value in ten.items() if value > 1} == worse


def folding(w, theta):
    return (w**4 / 4 - 1.5 * w**2 + (4 - theta) * w).sum()


def test_claim_integration_alone_does_not_see_a_fold():
    family, thetas = Formula(folding), np.linspace(4, 1, 12)

    def minima(theta):
        roots = np.roots([1, 0, -3, 4 - theta])
        real = roots[np.abs(roots.imag) < 1e-9].real
        return real[3 * real**2 - 3 > 0]

    assert len(minima(2.01)) == 2 and len(minima(1.99)) == 1
    w = torch.tensor([math.sqrt(3)], dtype=torch.float64)
    alone = integrate(family, thetas, w, variable="linear")
    by_hand = [math.sqrt(3)]
    for theta, following in pairwise(thetas):
        by_hand.append(by_hand[-1] + (following - theta) / (3 * by_hand[-1] ** 2 - 3))
    assert np.allclose(alone[:, 0], by_hand)
    assert np.abs(float(alone[-1, 0]) - minima(1.0)).min() > 0.5
    run = follow(family, thetas, w, variable="linear")
    assert any(step.jump and step.theta < 2 for step in run.steps)
    assert not any(step.jump for step in run.steps if step.theta > 2)
    assert float(run.w) == pytest.approx(minima(1.0).item(), abs=1e-6)


def test_claim_a_fold_and_not_the_step_decides(hands, path):
    """Euler by differences. At the fold H is singular, and the gradient still vanishes."""

    def off(coarsest, count):
        w = path(coarsest)
        for theta, following in pairwise(np.geomspace(coarsest, 1e-3, count + 1)):
            w = w + math.log(following / theta) * theta * velocity(hands, w, theta)
        return cells(hands, w, path(1e-3))

    good = [off(100.0, count) for count in (10, 30, 100)]
    assert good[0] > 2 * good[1] > 4 * good[2] and good[2] < 0.01
    assert good[0] / good[2] == pytest.approx(10, rel=0.2)  # the errors of all steps, of size h², add up to h
    assert min(off(1000.0, count) for count in (10, 30, 100)) > 10
    lost = [
        cells(hands, integrate(hands, np.geomspace(1e3, 1e-3, count + 1), torch.from_numpy(path(1e3)))[-1],
              path(1e-3))
        for count in (100, 300)
    ]  # fmt: skip
    assert min(lost) > 10 and lost[1] == pytest.approx(lost[0], rel=0.1)  # a plateau
    walk = arclength(hands, 1e3, torch.from_numpy(path(1000.0)), count=60)
    (fold,) = walk.folds
    w, theta = walk.w[fold].numpy(), float(walk.thetas[fold])
    assert 100 < theta < 1000 and theta == walk.thetas.min()
    values = np.linalg.eigvalsh(hessian(hands, w, theta))
    assert abs(values[0]) < 1e-2 * values[-1]
    assert np.linalg.norm(gradient(hands, w, theta)) < 1e-4 * np.linalg.norm(gradient(hands, w, 2 * theta))


def test_claim_fixed_scales_save_iterations_and_hardly_evaluations(hands):
    """Counted at SciPy's optimiser, with a prediction that is computed here."""
    counts, start = {}, hands.transform.identity().numpy()
    for predict in (False, True):
        w, iterations, evaluations, before = start, 0, 0, None
        for theta in np.geomspace(1e3, 1e-3, 30):
            if predict and before:
                step = before * math.log(theta / before) * velocity(hands, w, before)
                w, evaluations = w + step, evaluations + 1
            objective = hands.at(theta)
            found = scipy.optimize.minimize(
                lambda v, objective=objective: float(objective.loss(torch.from_numpy(v))), w,
                method="trust-exact", jac=lambda v, theta=theta: gradient(hands, v, theta),
                hess=lambda v, objective=objective: objective.hessian(torch.from_numpy(v)).numpy(),
                options={"gtol": 1e-7 * np.linalg.norm(gradient(hands, start, theta))},
            )  # fmt: skip
            w, iterations, evaluations = found.x, iterations + found.nit, evaluations + found.nfev
            before = theta if np.linalg.eigvalsh(hessian(hands, w, theta)).min() > 0 else None
        counts[predict] = iterations, evaluations
    assert counts[True][0] < 0.95 * counts[False][0]
    assert 0.8 * counts[False][1] < counts[True][1] < 1.3 * counts[False][1]
    start, thetas = hands.transform.identity(), np.geomspace(1e3, 1e-3, 30)
    none, euler = (follow(hands, thetas, start, predictor=name) for name in ("none", "euler"))
    assert euler.iterations < 0.9 * none.iterations
    assert 0.9 * none.evaluations < euler.evaluations < 1.1 * none.evaluations


def work(problem, plan, predictor, accuracy=1e-3):
    return follow(problem, plan, problem.transform.identity(), predictor=predictor, accuracy=accuracy)


@pytest.fixture(scope="module")
def thirty(hands):
    """The scales of the paper, with a corrector that converges at each."""
    return work(hands, np.geomspace(1e3, 1e-3, 30), "none", accuracy=0.0)


def test_claim_few_scales_and_an_early_stop_save_the_work(hands, path, thirty):
    """Counted by ``follow``, and the five scales, converged, by SciPy's optimiser."""
    five = work(hands, np.geomspace(1e3, 1e-3, 5), "none")
    early = work(hands, np.geomspace(1e3, 1e-3, 30), "none")
    for run in (thirty, five, early):
        assert cells(hands, run.w, path(1e-3)) < 1e-3
    for what in ("iterations", "evaluations"):
        all_of_it = getattr(thirty, what)
        assert getattr(five, what) < all_of_it / 3
        assert getattr(five, what) < getattr(early, what) < 0.75 * all_of_it
    w, iterations = hands.transform.identity().numpy(), 0
    for theta in np.geomspace(1e3, 1e-3, 5):
        w, used = minimiser(hands, w, theta)
        iterations += used
    assert five.iterations <= iterations < thirty.iterations / 2 and cells(hands, w, path(1e-3)) < 1e-3


def test_claim_three_scales_from_1000_are_too_few(hands, path):
    """Also if the start or the images move by a little."""
    for nudge in (0.0, 1e-6, -1e-6):
        moved = Registration(hands.template * (1 + nudge), hands.reference, hands.grid)
        for predictor in ("none", "euler"):
            run = work(moved, np.geomspace(1e3, 1e-3, 3), predictor)
            assert cells(hands, run.w, path(1e-3)) > 1
            assert run.loss > 1.2 * float(hands.at(1e-3).loss(torch.from_numpy(path(1e-3))))


def test_claim_many_short_steps_are_not_worth_a_prediction(hands):
    for coarsest in (1e3, 1e2):
        for count, least, most in ((4, 0.7, 1.15), (5, 0.7, 1.15), (30, 1.1, 2.0)):
            plan = np.geomspace(coarsest, 1e-3, count)
            none, euler = (work(hands, plan, name) for name in ("none", "euler"))
            assert least < euler.evaluations / none.evaluations < most
            tangents = sum(step.tangent is not None for step in euler.steps)
            saved = none.evaluations - (euler.evaluations - tangents)
            assert saved < tangents if count == 30 else saved > 0


def test_claim_adaptive_scales_are_few_unasked(hands, path, thirty):
    for coarsest in (1e3, 1e2):
        for predictor in ("none", "euler"):
            chosen = work(hands, Adaptive(coarsest, 1e-3), predictor)
            assert 6 <= len(chosen.accepted) <= 14
            assert chosen.iterations < thirty.iterations / 2
            assert chosen.evaluations < thirty.evaluations / 2
            assert cells(hands, chosen.w, path(1e-3)) < 1e-3
