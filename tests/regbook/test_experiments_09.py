"""The experiments of chapter 9, against dense algebra, difference quotients and NumPy's polynomials."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from regbook import records
from regbook.experiments import ch09
from regkit import Grid, data
from regkit.dual import Dual
from regkit.implicit import Chebyshev, Continue, Frozen, Implicit, Last, Restart, Unrolled
from regkit.linear import CG, Cholesky
from regkit.operators import Matrix
from regkit.optimize import levenberg_marquardt
from regkit.problems import Residual
from regkit.templates import synthetic
from regkit.varpro import Reduced


@pytest.fixture(scope="module")
def toy():
    return ch09.toy(n=20, condition=50.0)


def test_the_toys_solution_and_tangent_are_true(toy):
    A, B, b = (part.numpy() for part in (toy.A, toy.B, toy.b))
    assert np.allclose(A, A.T) and np.allclose(B, B.T)
    assert np.allclose(np.linalg.eigvalsh(A), np.geomspace(1, 50, 20))
    assert np.allclose(A @ toy.vectors.numpy(), toy.vectors.numpy() * toy.values.numpy())
    assert np.allclose(toy.x.numpy(), np.linalg.solve(A, b))
    h = 1e-6
    quotient = (np.linalg.solve(A + h * B, b) - np.linalg.solve(A - h * B, b)) / (2 * h)
    assert np.allclose(toy.x_dot.numpy(), quotient, rtol=1e-5, atol=1e-8)
    w, x = torch.tensor([0.3]), torch.arange(20.0).double()
    assert np.allclose(toy.product(w, x), (A + 0.3 * B) @ x.numpy())
    assert toy.error(2 * toy.x) == pytest.approx(1) and toy.tangent_error(0 * toy.x_dot) == pytest.approx(1)


def test_a_toy_with_another_right_hand_side(toy):
    other = ch09.weighted(toy, lambda i: 3.0 if i == 2 else 0.0)
    V, v = toy.vectors, toy.vectors[:, 2]
    assert (other.b[:2] == 0).all() and torch.allclose(V @ other.b, 3 * (v @ toy.b) * v)
    assert torch.allclose(V @ other.A @ V.T, toy.A) and torch.allclose(V @ other.B @ V.T, toy.B)
    assert torch.allclose(other.A @ other.x, other.b)
    assert torch.allclose(other.A @ other.x_dot, -(other.B @ other.x))


def test_ways_to_spend_iterations(toy):
    assert ch09.derivative("restart", 0) == ch09.derivative("implicit", 0) == Frozen()
    assert ch09.derivative("restart", 3) == Last(3, Restart())
    assert ch09.derivative("continue", 3) == Last(3, Continue())
    assert ch09.derivative("implicit", 3) == Implicit(CG.fixed(3))
    assert ch09.derivative("chebyshev", 3, (1.0, 2.0)) == Last(3, Chebyshev((1.0, 2.0)))
    assert ch09.derivative("chebyshev", 3).tail.bounds(Matrix(toy.A)) == pytest.approx((1, 50))
    assert toy.last("chebyshev", 4).tail.bounds == pytest.approx((1, 50))


def test_tangents_of_the_program_are_difference_quotients(toy):
    """All iterations differentiated; and Chebyshev's, from a start that is held."""
    h = 1e-6
    ends = [toy.solution(Unrolled(), 6, torch.tensor([s * h])) for s in (1, -1)]
    quotient = (ends[0] - ends[1]) / (2 * h)
    torch.testing.assert_close(toy.tangent(Unrolled(), 6), quotient, rtol=1e-5, atol=1e-8)
    assert (toy.tangent(Frozen(), 6) == 0).all()
    held, method = toy.value(10), Chebyshev((1.0, 50.0))
    ends = [method.iterate(lambda x, s=s: toy.product([s * h], x), toy.b, held, 5) for s in (1, -1)]
    quotient = (ends[0] - ends[1]) / (2 * h)
    torch.testing.assert_close(toy.tangent(toy.last("chebyshev", 5), 15), quotient, rtol=1e-5, atol=1e-8)


def test_the_polynomial_is_what_is_left_of_the_residual(toy):
    r = toy.b - toy.A @ toy.value(4)
    for k in (0, 1, 5):
        left = r - toy.A @ CG.fixed(k).solve(toy.A.matmul, r).x
        p = ch09.polynomial(toy.A, toy.values, r, k)
        torch.testing.assert_close(toy.vectors @ (p * (toy.vectors.T @ r)), left, rtol=1e-8, atol=1e-8)


def test_what_a_restart_meets(toy):
    """Against iterations that carry the coefficients of the polynomial along, in NumPy."""
    A, b, before, after = toy.A.numpy(), toy.b.numpy(), 7, 5
    values, vectors = np.linalg.eigh(A)
    x, r = np.zeros(20), b
    for count in (before, after):
        start, p = r, r
        left = way = np.polynomial.Polynomial([1.0])
        for _ in range(count):
            alpha = (r @ r) / (p @ A @ p)
            x, new = x + alpha * p, r - alpha * (A @ p)
            beta = (new @ new) / (r @ r)
            left = left - alpha * np.polynomial.Polynomial([0.0, 1.0]) * way
            r, p, way = new, new + beta * p, left + beta * way
    sizes = np.abs(left(values))
    found = ch09.at_restart(toy.A, toy.b, torch.zeros(20).double(), before, after)
    assert (found.before, found.after) == (7, 5)
    assert found.highest == pytest.approx(sizes.max(), rel=1e-4)
    k = sizes.argmax()
    assert found.left == pytest.approx(abs(vectors[:, k] @ start / (vectors[:, k] @ b)), rel=1e-4)


def test_the_first_step_is_that_of_the_papers_method():
    random = np.random.default_rng(2)
    J, r = random.normal(size=(9, 4)), random.normal(size=9)
    point = SimpleNamespace(jacobian=torch.from_numpy(J), residual=torch.from_numpy(r))
    delta = 1e-3 * (J * J).sum(0).max()
    longer = np.vstack([J, np.sqrt(delta) * np.eye(4)])  # the same by least squares
    expected = np.linalg.lstsq(longer, np.concatenate([-r, np.zeros(4)]), rcond=None)[0]
    assert np.allclose(ch09.first_step(point).numpy(), expected)


def test_the_semi_iteration_is_the_polynomial_of_chebyshev(toy):
    t = (51 - 2 * toy.values.numpy()) / 49  # the interval, mapped to −1 … 1
    for k in (1, 4, 9):
        T = np.polynomial.chebyshev.Chebyshev.basis(k)
        assert np.allclose(ch09.semi_iteration(toy.values, k), T(t) / T(51 / 49))


def test_what_the_tangent_meets(toy):
    """Implicit: the error of its tangent is the polynomial on what is to be found; others by definition."""
    k, total = 6, 60
    p = ch09.met_by_the_tangent(toy, "implicit", k, total)
    exact = toy.vectors.T @ toy.x_dot
    found = toy.vectors.T @ toy.tangent(Implicit(CG.fixed(k)), total)
    torch.testing.assert_close(found - exact, -p * exact, rtol=1e-6, atol=1e-9)
    r = toy.b - toy.A @ toy.value(total - k)
    torch.testing.assert_close(
        ch09.met_by_the_tangent(toy, "restart", k, total), ch09.polynomial(toy.A, toy.values, r, k)
    )
    chebyshev = ch09.met_by_the_tangent(toy, "chebyshev", k, total)
    torch.testing.assert_close(chebyshev, ch09.semi_iteration(toy.values, k))


def test_curves_hold_the_errors_of_single_runs(toy):
    curves = ch09.tangent_errors(toy, 8)
    assert list(curves) == list(ch09.TAILS) and all(len(errors) == 9 for errors in curves.values())
    assert all(errors[0] == pytest.approx(1) for errors in curves.values())
    assert curves["restart"][8] == curves["continue"][8] == toy.tangent_error(toy.tangent(Unrolled(), 8))
    assert curves["implicit"][3] == toy.tangent_error(toy.tangent(Implicit(CG.fixed(3)), 8))
    before, after = ch09.restarted(toy, 5, 3)
    assert before == toy.error(toy.value(5)) and after == toy.tangent_error(toy.tangent(Last(3), 8))


def test_final_errors_of_the_record():
    record = records.load("differentiating_cg.npz")
    total, percent = list(record["totals"]).index(100), list(record["percents"]).index(20)
    errors = ch09.final_errors(record, "implicit", 100)
    assert errors.shape == (len(record["percents"]), 3)
    assert np.array_equal(errors[percent], 100 * record["image_error"][3, total, percent, :, -1])


def test_the_problem_along_one_direction():
    """The exact image and its tangent against difference quotients; the direction is that of the gradient."""
    made = synthetic(torch.rand(8, 12, dtype=torch.float64), Grid((2.0, 3.0), (8, 12)), strength=0.1)
    problem, f0, w = made.problem, made.problem.upsampled(), 1.01 * made.w_true
    given, h = ch09.along(problem, f0, w), 1e-5
    v = given["direction"]
    ends = [Reduced(problem, Cholesky(), rows="data").point(w + s * h * v) for s in (1, -1)]
    torch.testing.assert_close(given["exact_dot"], (ends[0].f - ends[1].f) / (2 * h), rtol=1e-5, atol=1e-6)
    here = Reduced(problem, Cholesky(), rows="data").point(w)
    torch.testing.assert_close(given["exact"], here.f)
    assert float((ends[0].loss - ends[1].loss) / (2 * h)) == pytest.approx(
        float(here.gradient.norm()), rel=1e-5
    )
    low, high = given["bounds"]
    assert [low, high] == pytest.approx(torch.linalg.eigvalsh(problem.at(w).gram)[[0, -1]].tolist(), rel=1e-6)
    for way in ("restart", "chebyshev"):  # the tangents of an implicit run depend on what is solved at once
        found = ch09.image_tangent(problem, f0, w, v, CG.fixed(9), ch09.derivative(way, 4))
        all_of_them = Reduced(problem, CG.fixed(9), ch09.derivative(way, 4), f0).point(w)
        expected = all_of_them.project(Dual.variables(w)).tangents @ v
        torch.testing.assert_close(found, expected, rtol=1e-7, atol=1e-9)
    assert (ch09.image_tangent(problem, f0, w, v, CG.fixed(9), Frozen()) == 0).all()


# ---- for any setting, while it is computed


@pytest.fixture(scope="module")
def live():
    return ch09.Live(ch09.pictures(12))


@pytest.fixture(scope="module")
def run(live):
    """All that one setting yields: 30 iterations, the last 12 after a restart."""
    return list(live(total=30, last=12, tail="restart", image="hand", seed=0))


def direct(problem, solver, way, w):
    """The same by one call of the optimiser: the point at the start, and the errors of the image."""
    reduced = Reduced(problem.made.problem, solver, way, problem.f0, rows="data")
    found = levenberg_marquardt(reduced, w, damping=1e-3, scaling="identity", iterations=9, gtol=0.0)
    truth = Reduced(problem.made.problem, Cholesky())
    return reduced.point(w), [problem.made.error(truth.point(step.x).f) for step in found.history]


def test_what_is_quick_comes_first_and_then_step_after_step(run):
    shares, states = zip(*run, strict=True)
    assert list(shares) == sorted(shares) and shares[-1] == 1
    assert [len(state.errors) for state in states[:11]] == list(range(11))
    assert all(len(state.errors) == 10 for state in states[10:])
    assert states[0].found is None and states[1].found is not None
    assert not states[10].taylor and states[11].taylor and not states[11].exact and states[13].none


def test_the_numbers_are_those_of_direct_calls(live, run):
    problem, state = live.problem("hand"), run[-1][1]
    point, errors = direct(problem, CG.fixed(30), Last(12), problem.start)
    exact, exact_errors = direct(problem, Cholesky(), Implicit(), problem.start)
    _, none_errors = direct(problem, Cholesky(), Frozen(), problem.start)
    frozen = problem.reduced(CG.fixed(30), Frozen()).point(problem.start)
    J, gradient = exact.jacobian, torch.autograd.functional.jacobian(problem_loss(problem), problem.start)
    assert state.errors == pytest.approx(errors, rel=1e-6)
    assert state.exact == pytest.approx(exact_errors, rel=1e-6)
    assert state.none == pytest.approx(none_errors, rel=1e-6)
    assert state.jacobian_error == pytest.approx(float((point.jacobian - J).norm() / J.norm()), rel=1e-6)
    assert state.step == pytest.approx(float(ch09.first_step(point).norm() / ch09.first_step(exact).norm()))
    cosine = torch.cosine_similarity(point.jacobian.T @ point.residual, gradient, dim=0)
    assert state.cosine == pytest.approx(float(cosine), abs=1e-6)
    assert state.jacobian_errors["", 0, 0] == state.frozen
    assert state.frozen == pytest.approx(float((frozen.jacobian - J).norm() / J.norm()), rel=1e-6)
    assert {k for tail, k, _ in state.jacobian_errors if tail} == {12, *range(3, 31, 3)}
    assert problem.made.error(state.found) == state.errors[-1]


def problem_loss(problem):
    """½‖r(w)‖² of the data, by dense algebra, for AD."""
    model = problem.made.problem

    def loss(w):
        A = torch.func.jacfwd(lambda f: model.model(w, f))(torch.zeros(model.grid.count, dtype=w.dtype))
        f = torch.linalg.solve(A.T @ A, A.T @ model.b)
        rows = model.templates.numel()
        return 0.5 * ((A @ f - model.b)[:rows] ** 2).sum()

    return loss


def test_the_taylor_test_of_a_true_derivative_has_slope_two(live):
    """All iterations differentiated: the derivative belongs to the program, and the remainder to a square."""
    states = [state for _, state in live(total=20, last=20, tail="restart", image="hand", seed=0)]
    lengths = np.log(ch09.LENGTHS[6:13])
    for rest, slope in ((states[-1].taylor, 2), (states[-1].first, 1)):
        assert np.polyfit(lengths, np.log(rest[6:13]), 1)[0] == pytest.approx(slope, abs=0.05)


def test_it_remembers_what_was_computed_before(live, run):
    states = [state for _, state in live(total=30, last=6, tail="implicit", image="hand", seed=0)]
    assert ("restart", 12, 0) in states[0].jacobian_errors and states[0].exact == run[-1][1].exact
    other = next(live(total=30, last=6, tail="implicit", image="turned hand", seed=0))[1]
    assert not other.exact and set(other.jacobian_errors) == {("", 0, 0), ("implicit", 6, 0)}


def test_a_start_is_moved_by_a_seed(live):
    problem = live.problem("hand")
    assert torch.equal(problem.moved(0), problem.start)
    moves = [(problem.moved(seed) - problem.start) for seed in (1, 2)]
    assert all(1e-11 < float(move.abs().max()) < 1e-9 for move in moves)
    assert not torch.equal(*moves) and torch.equal(problem.moved(1) - problem.start, moves[0])


def test_a_run_that_ends_early_says_why(live):
    whole = ch09.Remembered(live.problem("hand").reduced(Cholesky(), Frozen()))
    steps = list(ch09.step_by_step(whole, live.problem("hand").start))
    assert [k for k, _, _ in steps] == list(range(10)) and not any(message for _, _, message in steps)

    found = Residual(lambda w: w - 1)  # what the damping leaves of it is not gone after nine steps
    assert len(list(ch09.step_by_step(ch09.Remembered(found), torch.full((2,), 3.0).double()))) > 3
    steps = list(ch09.step_by_step(ch09.Remembered(found), torch.ones(2).double()))
    assert len(steps) == 1 and steps[0][0] == 0 and steps[0][2]


def test_chebyshev_without_bounds_is_an_error():
    live = ch09.Live(ch09.pictures(12), lambda A: (0.0, 1.0))
    assert next(live(total=9, last=4, tail="implicit", image="hand", seed=0))
    with pytest.raises(ValueError, match="expected bounds"):
        next(live(total=9, last=4, tail="chebyshev", image="hand", seed=0))


def test_the_pictures_are_three_of_that_size():
    pictures = ch09.pictures(20)
    assert {tuple(image.shape) for image, _ in pictures.values()} == {(20, 20)}
    whole, _ = data.mri()
    head, grid = pictures["head"]
    assert grid.extent == (240.0, 240.0) and float(head[0, 0]) == pytest.approx(
        float(whole[8:20, 8:20].mean())
    )
