"""The bold claims of chapter 10, with dense NumPy algebra, difference quotients and counters of its own."""

from functools import cache

import numpy as np
import pytest
import torch

from regbook import paper, records
from regkit import data
from regkit.implicit import Unrolled
from regkit.linear import CG, Cholesky
from regkit.optimize import levenberg_marquardt
from regkit.templates import register_templates, synthetic
from regkit.varpro import GolubPereyra, Kaufman, Reduced

H = 1e-6  # step of the difference quotients


@cache
def standard():
    """The problem, its start (p,), b (m,), f₀ (n,): of the package only the model is used."""
    pair = data.hands_phantom(20)
    made = synthetic(pair.reference, pair.grid)
    start = register_templates(made.problem).numpy()
    return made, start, made.problem.b.numpy(), made.problem.upsampled().numpy()


def matrix(w):
    """A(w), dense, (m, n)."""
    made = standard()[0]
    return made.problem.at(torch.from_numpy(w)).forward(torch.eye(400, dtype=torch.float64)).numpy()


@cache
def _moved(key):
    w = np.frombuffer(key).copy()
    return matrix(w), [matrix(w + H * e) for e in np.eye(len(w))]


def matrices(w):
    """A(w), and A(w + h eᵢ) for each parameter."""
    return _moved(w.tobytes())


class Counter:
    """Textbook CG on the columns of a right-hand side, and the products that it makes."""

    def __init__(self):
        self.products = 0

    def __call__(self, A, rhs, x, count):
        G = A.T @ A
        x = np.zeros_like(rhs) if x is None else x
        if x.any():
            self.products += 1
        r = rhs - G @ x
        p, rho = r, (r * r).sum(0)
        for _ in range(count):
            q = G @ p
            self.products += 1 if rhs.ndim == 1 else rhs.shape[1]
            alpha = rho / (p * q).sum(0)
            x, r = x + alpha * p, r - alpha * q
            rho, old = (r * r).sum(0), rho
            p = r + rho / old * p
        return x


def poor(A, N, cg=None, start=None):
    """f after N iterations of CG from f₀."""
    _, _, b, f0 = standard()
    return (cg or Counter())(A, A.T @ b, f0 if start is None else start, N)


def slopes(w, f, h=H):
    """D = ∂(A f)/∂w at fixed f, and the right-hand side E − AᵀD of the tangents, as difference quotients."""
    A, others = matrices(w)
    b = standard()[2]
    D = np.stack([(B @ f - A @ f) / h for B in others], axis=1)
    E = np.stack([(B.T - A.T) @ (b - A @ f) / h for B in others], axis=1)
    return D, E - A.T @ D


def unrolled(w, N):
    """Jacobian of the residual of f_N: textbook CG with a derivative beside every line, for all parameters.

    (Differences of the whole program would drown in rounding errors, which 100 iterations amplify.)
    """
    _, _, b, f0 = standard()
    A, others = matrices(w)
    dA = np.stack([(B - A) / H for B in others])  # (p, m, n)
    G = A.T @ A
    half = dA.transpose(0, 2, 1) @ A
    dG = half + half.transpose(0, 2, 1)
    x, dx = f0, np.zeros((len(w), len(f0)))
    r, dr = A.T @ b - G @ x, dA.transpose(0, 2, 1) @ b - dG @ x
    p, dp, rho, drho = r, dr, r @ r, 2 * dr @ r
    for _ in range(N):
        q, dq = G @ p, dG @ p + dp @ G
        bottom, dbottom = p @ q, dp @ q + dq @ p
        alpha = rho / bottom
        dalpha = drho / bottom - rho * dbottom / bottom**2
        x, dx = x + alpha * p, dx + dalpha[:, None] * p + alpha * dp
        r, dr = r - alpha * q, dr - dalpha[:, None] * q - alpha * dq
        new, dnew = r @ r, 2 * dr @ r
        beta, dbeta = new / rho, dnew / rho - new * drho / rho**2
        p, dp = r + beta * p, dr + dbeta[:, None] * p + beta * dp
        rho, drho = new, dnew
    return (dA @ x + dx @ A.T).T


def implicit(w, f, k, cg=None):
    """Golub and Pereyra's formula at f, with k tangent iterations; all of them if k is None."""
    A = matrices(w)[0]
    D, rhs = slopes(w, f)
    tangents = np.linalg.solve(A.T @ A, rhs) if k is None else (cg or Counter())(A, rhs, None, k)
    return D + A @ tangents


def rows(values):
    return values[: standard()[0].problem.templates.numel()]


def error(w):
    """Image error in % of the least-squares solution at w."""
    made, _, b, _ = standard()
    f = np.linalg.lstsq(matrix(w), b, rcond=None)[0]
    truth = made.image.numpy().reshape(-1)
    return 100 * np.linalg.norm(f - truth) / np.linalg.norm(truth)


def optimise(project, jacobian, warm=False, steps=9):
    """Levenberg-Marquardt as in the paper: identity scaling, first δ = 1e-3 max diag JᵀJ, Nielsen's rule."""
    _, w, b, f0 = standard()
    start, accepted = f0, 0

    def at(w):
        A = matrix(w)
        f = project(A, start)
        return f, rows(A @ f - b)

    f, r = at(w)
    J = rows(jacobian(w, f))
    mu, growth = 1e-3 * (J * J).sum(0).max(), 2.0
    for _ in range(steps):
        g = J.T @ r
        s = -np.linalg.solve(J.T @ J + mu * np.eye(len(w)), g)
        if warm:
            start = f
        new, r_new = at(w + s)
        ratio = (r @ r - r_new @ r_new) / (s @ (mu * s - g))
        if ratio > 0:
            w, f, r, accepted = w + s, new, r_new, accepted + 1
            J = rows(jacobian(w, f))
            mu, growth = mu * max(1 / 3, 1 - (2 * ratio - 1) ** 3), 2.0
        else:
            mu, growth = mu * growth, 2 * growth
    return w, f, accepted


@cache
def run(kind, N, k=None, warm=False):
    """Final error in %, ‖Aᵀr‖/‖Aᵀb‖ at the end, products, accepted steps. ``kind``: which Jacobian."""
    cg = Counter()
    jacobians = {
        "none": lambda w, f: slopes(w, f)[0],
        "unrolled": lambda w, f: unrolled(w, N),
        "implicit": lambda w, f: implicit(w, f, k, cg),
    }
    w, f, accepted = optimise(lambda A, start: poor(A, N, cg, start), jacobians[kind], warm)
    A, b = matrix(w), standard()[2]
    loose = np.linalg.norm(A.T @ (A @ f - b)) / np.linalg.norm(A.T @ b)
    return error(w), loose, cg.products, accepted


def cosine(a, b):
    return a @ b / np.linalg.norm(a) / np.linalg.norm(b)


@pytest.mark.slow
def test_claim_five_differentiated_beat_two_hundred_undifferentiated():
    few, none = run("unrolled", 5)[0], run("none", 200)[0]
    assert few < 15 and none > 30 and none < error(standard()[1])
    assert run("none", 5)[0] < none  # the chapter says so in "Explore"


def test_claim_early_stopped_cg_stays_near_its_start():
    _, w, b, f0 = standard()
    A = matrix(w)
    values, vectors = np.linalg.eigh(A.T @ A)
    whole = vectors.T @ (np.linalg.lstsq(A, b, rcond=None)[0] - f0)
    distances, parts = [], []
    for N in range(1, 31):
        f = poor(A, N)
        distances.append(np.linalg.norm(f - f0))
        parts.append(vectors.T @ (f - f0) / whole)
    assert (np.diff(distances) > 0).all()
    small, large = values < 1e-2 * values[-1], values > 0.3 * values[-1]
    assert np.median(np.abs(parts[9][small])) < 0.1 and np.abs(np.median(parts[9][large]) - 1) < 0.1
    assert (np.median(parts[29][small])) > np.median(parts[9][small])

    # it is the best image of the Krylov space: by a basis of that space, and least squares in it
    vector, basis = A.T @ (b - A @ f0), []
    for _ in range(6):
        basis.append(vector / np.linalg.norm(vector))
        vector = A.T @ (A @ basis[-1])
        for other in basis * 2:
            vector = vector - (other @ vector) * other
    Q = np.stack(basis, axis=1)
    best = f0 + Q @ np.linalg.lstsq(A @ Q, b - A @ f0, rcond=None)[0]
    assert np.linalg.norm(best - poor(A, 6)) < 1e-8 * np.linalg.norm(best - f0)


def test_claim_a_poor_projection_wants_a_poor_tangent():
    _, w, b, _ = standard()
    A = matrix(w)
    for N in (5, 10, 20):
        f = poor(A, N)
        r = rows(A @ f - b)
        truth = rows(unrolled(w, N)).T @ r
        angles = [cosine(rows(implicit(w, f, k)).T @ r, truth) for k in (N, 4 * N, None)]
        assert angles[0] > 0.9 and angles[1] < 0 and angles[2] < 0


def test_claim_the_unrolled_jacobian_is_exact_for_its_own_function():
    """The package's unrolled Jacobian against differences of textbook CG in NumPy, central ones."""
    made, w, _, f0 = standard()
    v = np.random.default_rng(4).normal(size=len(w))
    v /= np.linalg.norm(v)
    for N in (1, 2, 5, 20):
        reduced = Reduced(made.problem, CG.fixed(N), Unrolled(), torch.from_numpy(f0))
        given = reduced.point(torch.from_numpy(w)).jacobian.numpy() @ v
        ends = [matrix(w + h * v) @ poor(matrix(w + h * v), N) for h in (1e-5, -1e-5)]
        quotient = (ends[0] - ends[1]) / 2e-5
        assert np.linalg.norm(given - quotient) < 1e-5 * np.linalg.norm(quotient)


@pytest.mark.slow
def test_claim_implicit_costs_a_half_to_a_quarter_of_unrolled():
    """The unrolled runs' products: in each iteration two for f, and two for each of the p tangents.

    On the hand with runs of its own, and for as many iterations in the record's medians of whole runs.
    """
    small, dear = run("implicit", 20, 20), run("unrolled", 25)
    assert abs(small[0] - dear[0]) < 1
    spent = (1 + dear[3]) * 25 * (2 + 2 * len(standard()[1]))
    assert 0.2 < small[2] / spent < 0.55
    products = {m["name"]: m["products"] for m in records.load("superres.json")["methods"]}
    for N in (10, 20):
        share = np.median(products[f"implicit, {N} + {N}"]) / np.median(products[f"unrolled, {N}"])
        assert 0.2 < share < 0.55


@pytest.mark.slow
def test_claim_every_count_has_a_minimiser_of_its_own():
    """Order after nine steps and after twenty; and from both ends the exact Jacobian leads to one place."""
    made, w, _, f0 = standard()
    start = torch.from_numpy(w)
    exact, ends = Reduced(made.problem, Cholesky(), GolubPereyra(), rows="data"), {}
    for N in (25, 50):
        reduced = Reduced(made.problem, CG.fixed(N), Unrolled(), torch.from_numpy(f0), rows="data")
        found = paper.levenberg_marquardt(reduced, start, iterations=20)
        joint = paper.levenberg_marquardt(exact, found.x, iterations=20)
        assert found.history[-1].gradient_norm < 0.1 * found.history[9].gradient_norm
        ends[N] = [error(x.numpy()) for x in (found.history[9].x, found.x, joint.x)]
    (early, late, joined), (_, other, met) = ends.values()
    assert late > early + 1 and abs(other - late) > 0.5
    assert abs(joined - met) < 0.1 and joined < min(late, other) - 1


@pytest.mark.slow
def test_claim_a_warm_start_undoes_early_stopping():
    cold, warm = (run("implicit", 20, 20, warm) for warm in (False, True))
    assert warm[1] < cold[1] / 5  # the projection becomes more exact
    assert warm[0] > cold[0] + 2  # and the picture does not


def test_claim_at_an_accurate_f_every_tangent_iteration_helps():
    _, w, b, _ = standard()
    A = matrix(w)
    f = np.linalg.lstsq(A, b, rcond=None)[0]
    exact, none = implicit(w, f, None), slopes(w, f)[0]
    misses = [np.linalg.norm(J - exact) for J in (none, *(implicit(w, f, k) for k in (5, 10, 20, 50, 100)))]
    assert (np.diff(misses) < 0).all() and misses[-1] < 0.05 * misses[0]


@pytest.mark.slow
def test_few_tangent_iterations_lead_to_better_motions_than_none():
    errors = [run("none", 200)[0], run("implicit", 200, 10)[0], run("implicit", 200, 50)[0]]
    assert errors[0] > errors[1] + 5 and errors[1] > errors[2] + 5


def test_claim_the_implicit_formula_is_biased_where_the_projection_is_loose():
    """Four iterations, about a tolerance of 0.01: its error is of order h, and its gradient points uphill."""
    _, w, b, _ = standard()
    A = matrix(w)
    f = poor(A, 4)
    biased, own = implicit(w, f, None), unrolled(w, 4)
    v = np.random.default_rng(1).normal(size=len(w))
    v /= np.linalg.norm(v)
    left = {"implicit": [], "unrolled": []}
    steps = (1e-2, 1e-3)
    for h in steps:
        B = matrix(w + h * v)
        change = B @ poor(B, 4) - A @ f
        for name, J in (("implicit", biased), ("unrolled", own)):
            left[name].append(np.linalg.norm(change - h * J @ v))
    orders = {name: np.log10(a / c) for name, (a, c) in left.items()}
    assert abs(orders["implicit"] - 1) < 0.1 and abs(orders["unrolled"] - 2) < 0.15
    r = rows(A @ f - b)
    g, truth = rows(biased).T @ r, rows(own).T @ r
    assert cosine(g, truth) < 0

    # downhill along −truth, uphill along −g
    def loss(x):
        B = matrix(x)
        return np.sum(rows(B @ poor(B, 4) - b) ** 2) / 2

    small = 1e-4 / np.linalg.norm(g)
    assert loss(w - small * g) > loss(w) > loss(w - 1e-4 * truth / np.linalg.norm(truth))


def test_claim_the_record_names_a_bargain():
    """From the record itself, with medians of its own: few iterations, near the best, for little work."""
    record = records.load("superres.json")
    best = min(np.median(method["errors"]) for method in record["methods"])
    near = {}
    for method in record["methods"]:
        if method["products"] and np.median(method["errors"]) <= best + 1:
            ends = [(path, 1.05 * path[-1][1]) for path in method["paths"]]
            works = [min(work for work, value in path if value <= end) for path, end in ends]
            near[method["name"]] = np.median(works)
    name = min(near, key=near.get)
    kind, _, counts = name.partition(", ")
    image, tangents = (int(count) for count in counts.split(" + "))
    assert kind == "Kaufman" and tangents <= image <= 20
    assert all(near[name] < work / 2 for other, work in near.items() if "unrolled" in other)

    # and the two rules that the text repeats
    medians = {method["name"]: np.median(method["errors"]) for method in record["methods"]}
    assert medians["Kaufman, 40 + 10"] > medians["Kaufman, 40 + 20"] + 1
    assert medians["Kaufman, 10 + 10, warm"] > medians["Kaufman, 10 + 10"]


def test_claim_three_repairs_matter_more_than_the_exact_jacobian():
    """The record's medians; and one hand, repaired: Kaufman's Jacobian ends where the exact one does."""
    record = records.load("superres.json")
    names = ("same, nothing differentiated", "exact derivative", "damping by the diagonal", "and Kaufman")
    none, exact, repaired, kaufman = (
        next(np.median(m["errors"]) for m in record["methods"] if m["name"].endswith(name)) for name in names
    )
    assert none - exact > exact - repaired > 5 and abs(repaired - kaufman) < 0.2
    made, w, _, _ = standard()
    ends = []
    for kind in (GolubPereyra(), Kaufman()):
        reduced = Reduced(made.problem, Cholesky(), kind)
        found = levenberg_marquardt(reduced, torch.from_numpy(w), damping=1e-2, iterations=9)
        ends.append(error(found.x.numpy()))
    assert abs(ends[0] - ends[1]) < 0.3
