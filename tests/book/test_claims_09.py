"""The bold claims of chapter 9, against conjugate gradients of their own, in NumPy.

The derivative of a real program is taken by the complex step: f(w + ih) = f(w) + ih f′(w) + O(h²). Nothing of
regkit takes part in it; the program below uses products without conjugation, as that step wants it.
"""

from itertools import pairwise

import mpmath
import numpy as np
import pytest
import torch

from regbook import records
from regbook.experiments import ch09 as experiments
from regkit import data
from regkit.implicit import Chebyshev, Implicit, Last
from regkit.linear import CG, Cholesky
from regkit.templates import register_templates, synthetic
from regkit.varpro import Reduced

STEP = 1e-30


def conjugate_gradients(A, b, x, iterations):
    """x after so many iterations, and the step lengths α and β."""
    r = b - A @ x
    p, rho, lengths = r, r @ r, []
    for _ in range(iterations):
        q = A @ p
        alpha = rho / (p @ q)
        x, r = x + alpha * p, r - alpha * q
        rho, old = r @ r, rho
        p = r + rho / old * p
        lengths.append((alpha, rho / old))
    return x, lengths


def restarted_tangent(A, A_dot, b, total, last, b_dot=0.0, x0=None):
    """ẋ of the last iterations, after a restart from the undifferentiated iterate."""
    first, _ = conjugate_gradients(A, b, np.zeros_like(b) if x0 is None else x0, total - last)
    x, _ = conjugate_gradients(A + 1j * STEP * A_dot, b + 1j * STEP * b_dot, first + 0j, last)
    return x.imag / STEP


def system(seed, n=60, condition=200.0):
    """A, Ȧ, b, x and ẋ of a random system with the given condition number."""
    random = np.random.default_rng(seed)
    vectors = np.linalg.qr(random.normal(size=(n, n)))[0]
    values = np.geomspace(1, condition, n)
    A, B, b = vectors * values @ vectors.T, random.normal(size=(n, n)) / np.sqrt(n), random.normal(size=n)
    x = np.linalg.solve(A, b)
    return A, B + B.T, b, x, -np.linalg.solve(A, (B + B.T) @ x), values, vectors


def relative(a, b):
    return np.linalg.norm(a - b) / np.linalg.norm(b)


def from_numpy(A, A_dot, b, x, x_dot, values, vectors):
    """The same system as chapter 9 has it."""
    return experiments.Toy(*map(torch.from_numpy, (A, A_dot, b, values, vectors, x, x_dot)))


def test_claim_the_tangent_has_another_right_hand_side():
    A, A_dot, b, x, _, *_ = system(0)
    b_dot, h = np.random.default_rng(1).normal(size=60), 1e-6
    ahead, behind = (np.linalg.solve(A + s * h * A_dot, b + s * h * b_dot) for s in (1, -1))
    assert relative(np.linalg.solve(A, b_dot - A_dot @ x), (ahead - behind) / (2 * h)) < 1e-7


def test_claim_one_step_multiplies_the_error_of_the_tangent():
    for w in (3.0, 100.0):
        A, A_dot, b = np.diag([1.0, w]), np.diag([0.0, 1.0]), np.ones(2)
        x, truth = np.array([1, 1 / w]), np.array([0, -1 / w**2])
        tangent = restarted_tangent(A, A_dot, b, 1, 1, x0=x + [1e-6, 0])
        assert tangent[1] - truth[1] == pytest.approx((1 - w) * -truth[1], rel=1e-4)
        tangent = restarted_tangent(A, A_dot, b, 1, 1, x0=x + [0, 1e-6])
        assert abs(tangent[1] - truth[1]) < 1e-3 * abs(truth[1])


def test_claim_the_polynomial_of_the_restart_explains_the_error():
    for seed in (3, 4):
        A, A_dot, b, _, x_dot, values, vectors = system(seed)
        for last in (4, 6, 8, 10, 12, 16):
            first, _ = conjugate_gradients(A, b, np.zeros(60), 30 - last)
            _, lengths = conjugate_gradients(A, b, first, last)
            p = q = np.ones(60)
            for alpha, beta in lengths:
                p = p - alpha * values * q
                q = p + beta * q
            expected = np.linalg.norm(p * (vectors.T @ x_dot)) / np.linalg.norm(x_dot)
            observed = relative(restarted_tangent(A, A_dot, b, 30, last), x_dot)
            assert 1 / 5 < expected / observed < 5


def test_claim_the_hump_is_there_in_exact_arithmetic():
    """The restart, its tangent carried along by the product rule, with sixty digits."""
    toy = experiments.toy()
    with mpmath.workdps(60):
        exact = np.vectorize(mpmath.mpf, otypes=[object])
        A, B, b = (exact(part.numpy()) for part in (toy.A, toy.B, toy.b))
        for last in (6, 10, 16):
            x, _ = conjugate_gradients(A, b, 0 * b, 30 - last)
            x_dot, r, r_dot = 0 * b, b - A @ x, -(B @ x)
            p, p_dot, rho, rho_dot = r, r_dot, r @ r, 2 * (r @ r_dot)
            for _ in range(last):
                q, q_dot = A @ p, A @ p_dot + B @ p
                c, c_dot = p @ q, p_dot @ q + p @ q_dot
                alpha, alpha_dot = rho / c, rho_dot / c - rho * c_dot / c**2
                x_dot = x_dot + alpha_dot * p + alpha * p_dot
                r, r_dot = r - alpha * q, r_dot - alpha_dot * q - alpha * q_dot
                new, new_dot = r @ r, 2 * (r @ r_dot)
                beta, beta_dot = new / rho, new_dot / rho - new * rho_dot / rho**2
                p, p_dot = r + beta * p, r_dot + beta_dot * p + beta * p_dot
                rho, rho_dot = new, new_dot
            expected = toy.tangent_error(torch.from_numpy(x_dot.astype(float)))
            assert toy.tangent_error(toy.tangent(Last(last), 30)) == pytest.approx(expected, rel=0.05)
            assert last != 10 or expected > 50


def test_claim_a_fixed_polynomial_needs_the_root_of_the_condition_number(hand):
    """Never above 1 on systems of any condition number, but late; and on the hand neither early nor safe."""
    for seed, total, end in ((3, 30, 0.15), (4, 30, 0.15), (3, 60, 0.01), (4, 60, 0.01)):
        toy = from_numpy(*system(seed))
        tails = [Last(k, Chebyshev((1.0, 200.0))) for k in range(0, total + 1, 3)]
        errors = [toy.tangent_error(toy.tangent(tail, total)) for tail in tails]
        assert max(errors) <= 1 and errors[-1] < end
        assert all(b < a for a, b in pairwise(errors) if a > 0.2)
    hard = from_numpy(*system(3, condition=20000.0))
    errors = [hard.tangent_error(hard.tangent(Last(k, Chebyshev((1.0, 20000.0))), 30)) for k in (10, 20, 30)]
    assert 0.9 < min(errors) and max(errors) <= 1
    for condition in (200.0, 2000.0, 20000.0):  # a digit at the smallest eigenvalue, by NumPy's polynomials
        T = np.polynomial.chebyshev.Chebyshev.basis(round(1.5 * np.sqrt(condition)))
        assert 0.05 < 1 / T((condition + 1) / (condition - 1)) < 0.2

    problem, f0, w = hand
    exact = Reduced(problem, Cholesky(), rows="data").point(w).jacobian
    missed = {}
    for k in (0, 200):
        way = experiments.derivative("chebyshev", k)
        J = Reduced(problem, CG.fixed(200), way, f0, rows="data").point(w).jacobian
        missed[k] = float((J - exact).norm())
    assert missed[200] > 2 * missed[0]
    record = records.load("differentiating_cg.npz")
    ends = np.median(experiments.final_errors(record, "chebyshev", 200), axis=1)
    percents = record["percents"].tolist()
    for percent in (20, 30):
        assert ends[percents.index(percent)] > max(ends[0], 100 * record["start_error"])


def test_claim_implicit_obeys_the_bound_of_cg():
    """In the norm of A; the floor is A⁻¹Ȧ(x̄ − x*), the tangent that the error of x̄ pretends."""
    root = np.sqrt(200.0)
    for seed, total in ((3, 30), (4, 30), (3, 60)):
        A, A_dot, b, x, x_dot, *_ = system(seed)
        toy = from_numpy(*system(seed))

        def size(e, A=A):
            return np.sqrt(e @ A @ e)

        first, _ = conjugate_gradients(A, b, np.zeros(60), total)
        floor = size(np.linalg.solve(A, A_dot @ (first - x)))
        for k in (4, 8, 12, 20, 28):
            error = size(toy.tangent(Implicit(CG.fixed(k)), total).numpy() - x_dot)
            assert error <= 2 * ((root - 1) / (root + 1)) ** k * (size(x_dot) + floor) + 1.001 * floor


def test_claim_a_converged_solver_hides_the_fault():
    """Medians over right-hand sides 1e-10 apart: how high the hump is after 28, rounding decides."""
    for seed in (3, 4):
        A, A_dot, b, x, x_dot, *_ = system(seed)
        errors, starts = {}, b + 1e-10 * np.random.default_rng(seed).normal(size=(7, 60))
        for before in (0, 28, 140):
            tangents = [restarted_tangent(A, A_dot, start, before + 20, 20) for start in starts]
            errors[before] = np.median([relative(tangent, x_dot) for tangent in tangents])
        assert relative(conjugate_gradients(A, b, np.zeros(60), 140)[0], x) < 1e-13
        assert errors[28] > 30 and errors[140] < 0.2 and errors[0] < 1


@pytest.fixture(scope="module")
def hand():
    pair = data.hands_phantom(20)
    made = synthetic(pair.reference, pair.grid)
    return made.problem, made.problem.upsampled(), register_templates(made.problem)


def test_claim_half_is_worse_than_none(hand):
    """Each column by the complex step, with AᵀA and its derivative from differences."""
    problem, f0, w = hand

    def parts(w):
        A = problem.at(w)
        return A.gram.numpy(), A.adjoint(problem.b).numpy()

    def seen(tangent):  # a column of the Jacobian is D v + A ẋ: an error of ẋ counts as A sees it
        return np.linalg.norm(problem.at(w).forward(torch.from_numpy(tangent))[: problem.templates.numel()])

    (G, b), h, errors = parts(w), 1e-6, []
    for v in torch.eye(len(w), dtype=w.dtype):
        (G1, b1), (G2, b2) = parts(w + h * v), parts(w - h * v)
        G_dot, b_dot = (G1 - G2) / (2 * h), (b1 - b2) / (2 * h)
        x_dot = np.linalg.solve(G, b_dot - G_dot @ np.linalg.solve(G, b))
        half = restarted_tangent(G, G_dot, b, 200, 100, b_dot, f0.numpy())
        errors.append((seen(half - x_dot), seen(x_dot)))
    half, none = np.linalg.norm(errors, axis=0)
    assert half > 100 * none


def test_claim_after_two_hundred_iterations_the_value_is_noise(hand):
    """Textbook iterations on the dense matrix, at places that differ in the twelfth digit."""
    problem, f0, w = hand

    def residual(w, iterations):
        A = problem.at(w).dense(problem.b).numpy()
        b = problem.b.numpy()
        f = conjugate_gradients(A.T @ A, A.T @ b, f0.numpy(), iterations)[0]
        return (A @ f - b)[: problem.templates.numel()]

    moves = 1e-12 * torch.randn(4, len(w), dtype=w.dtype, generator=torch.Generator().manual_seed(3))
    changed = {
        N: np.median([np.linalg.norm(residual(w + move, N) - residual(w, N)) for move in moves])
        for N in (25, 200)
    }
    assert changed[25] < 1e-7 and 1e-3 < changed[200] < 0.2
    floor = records.load("differentiating_cg.npz")["taylor"][
        0, 3, -1, 7:
    ]  # all of 200, for the shorter steps
    assert changed[200] / 20 < np.median(floor) < 20 * changed[200]


def test_claim_the_error_of_a_jacobian_is_one_number_for_two_questions(hand):
    """At starts 1e-10 apart: nearly the same error, another direction and length; and the record's ends."""
    problem, f0, w = hand
    exact = Reduced(problem, Cholesky(), rows="data").point(w)
    J, g = exact.jacobian.numpy(), exact.gradient.numpy()

    def step(J, r):
        H = J.T @ J
        return np.linalg.solve(H + 1e-3 * H.diagonal().max() * np.eye(len(H)), J.T @ r)

    noise = 1e-10 * torch.randn(3, len(w), dtype=w.dtype, generator=torch.Generator().manual_seed(8))
    found = {}
    for tail, k in (("restart", 190), ("chebyshev", 40)):
        reduced = Reduced(problem, CG.fixed(200), experiments.derivative(tail, k), f0, rows="data")
        rows = []
        for move in noise:
            point = reduced.point(w + move)
            own, r = point.jacobian.numpy(), point.residual.numpy()
            cosine = g @ (own.T @ r) / np.linalg.norm(g) / np.linalg.norm(own.T @ r)
            length = np.linalg.norm(step(own, r)) / np.linalg.norm(step(J, exact.residual.numpy()))
            rows.append((relative(own, J), cosine, length))
        found[tail] = np.median(rows, axis=0)
    (error, cosine, length), (other, turned, shorter) = found.values()
    assert 1 / 2 < error / other < 2 and cosine > 0.98 and turned < 0.96 and length > 1.5 * shorter
    record = records.load("differentiating_cg.npz")
    percents = record["percents"].tolist()
    ends = {
        t: np.median(experiments.final_errors(record, t, 200)[percents.index(p)])
        for t, p in (("restart", 95), ("chebyshev", 20))
    }
    assert ends["restart"] < 16 and ends["chebyshev"] > 35


def test_the_record_is_what_the_code_gives(hand):
    """Entries of the record that rounding does not decide."""
    problem, f0, w = hand
    record = records.load("differentiating_cg.npz")
    totals, percents = record["totals"].tolist(), record["percents"].tolist()
    there = Reduced(problem, Cholesky(), rows="data").point(w)
    exact, gradient, step = there.jacobian, there.gradient, experiments.first_step(there)
    entries = (("restart", 25, 100), ("chebyshev", 50, 50), ("implicit", 50, 20), ("restart", 50, 0))
    for tail, total, percent in entries:
        way = experiments.derivative(tail, total * percent // 100)
        point = Reduced(problem, CG.fixed(total), way, f0, rows="data").point(w)
        J, g = point.jacobian, point.gradient
        place = experiments.TAILS.index(tail), totals.index(total), percents.index(percent)
        found = float((J - exact).norm() / exact.norm())
        assert record["jacobian_error"][place][0] == pytest.approx(found, rel=1e-3)
        cosine, length = g @ gradient / (g.norm() * gradient.norm()), experiments.first_step(point).norm()
        assert record["cosine"][place][0] == pytest.approx(float(cosine), rel=1e-3)
        assert record["step"][place][0] == pytest.approx(float(length / step.norm()), rel=1e-3)


def test_claim_restarted_jacobians_depend_on_rounding(hand):
    problem, f0, w = hand
    noise = torch.randn(4, len(w), dtype=w.dtype, generator=torch.Generator().manual_seed(5))
    spread = {}
    for name, way in {"restart": Last(180), "implicit": Implicit(CG.fixed(180))}.items():
        reduced = Reduced(problem, CG.fixed(200), way, f0, rows="data")
        found = torch.stack([reduced.point(w + 1e-10 * n).jacobian for n in noise])
        spread[name] = float((found - found[0]).flatten(1).norm(dim=1).max() / found[0].norm())
    assert spread["restart"] > 0.1 and spread["implicit"] < 0.03


@pytest.mark.parametrize("seed", range(3))
def test_claim_all_iterations_are_no_guarantee(seed):
    """Nothing is held and nothing restarted; and with a component everywhere the same program is right."""
    toy = experiments.toy(seed=seed)
    V, values = toy.vectors.numpy(), toy.values.numpy()
    B, b = V.T @ toy.B.numpy() @ V, V.T @ toy.b.numpy()
    A = np.diag(values) + 1j * STEP * B
    errors = {}
    for name, kept in (("some", np.arange(60) < 30), ("all", np.ones(60))):
        x, _ = conjugate_gradients(A, (kept * b).astype(complex), np.zeros(60, dtype=complex), 30)
        x_exact = kept * b / values
        tangent = -(B @ x_exact) / values
        errors[name] = [
            np.linalg.norm(found - exact) / np.linalg.norm(exact)
            for found, exact in ((x.real, x_exact), (x.imag / STEP, tangent))
        ]
    assert errors["some"][0] < 1e-3 and errors["some"][1] > 1e4
    assert errors["all"][1] < 0.1
    some = experiments.weighted(toy, lambda i: i < 30)
    assert some.tangent_error(some.tangent(Implicit(CG.fixed(30)), 30)) < 0.05
