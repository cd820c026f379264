"""The experiments of chapter 8, against SciPy, dense matrices and angles between subspaces."""

import numpy as np
import pytest
import scipy.linalg
import scipy.optimize
import torch

from regbook import paper
from regbook.experiments import ch08
from regkit.data import hands_phantom
from regkit.implicit import Frozen, Implicit
from regkit.linear import CG, Cholesky
from regkit.templates import register_templates, synthetic
from regkit.varpro import GolubPereyra, Kaufman, Reduced


@pytest.fixture(scope="module")
def hand():
    pair = hands_phantom(12)
    made = synthetic(pair.reference, pair.grid, count=3)
    return made, register_templates(made.problem)


def test_the_best_spot_is_scipys():
    problem = ch08.spot()

    def residual(z):
        return z[1] * ch08.spot_shape(torch.tensor([z[0]]))[:, 0].numpy() - problem.b.numpy()

    found = scipy.optimize.least_squares(residual, [7.0, 1.0], xtol=1e-14, gtol=1e-14, ftol=1e-14)
    assert np.allclose(ch08.best_spot(problem), found.x, atol=1e-6)


def test_walkers_make_the_steps_that_they_are_named_after():
    problem, w, f = ch08.spot(), 6.0, 1.5
    a, slope, best = ch08.at_spot(problem, w)
    assert best == pytest.approx(np.linalg.lstsq(a[:, None], problem.b.numpy())[0][0])
    h = 1e-6
    assert np.allclose(slope, (ch08.at_spot(problem, w + h)[0] - ch08.at_spot(problem, w - h)[0]) / (2 * h))
    points = {name: walk.points for name, walk in ch08.walks(problem, w, f, 3).items()}
    assert all(len(each) == 4 for each in points.values())
    J = np.stack([f * slope, a], axis=1)
    joint = np.linalg.lstsq(J, problem.b.numpy() - f * a)[0]
    assert np.allclose(points["joint Gauss-Newton"][1], [w + joint[0], f + joint[1]])
    assert points["alternating"][1][1] == best
    there = points["variable projection"][1]
    assert there[1] == pytest.approx(ch08.at_spot(problem, there[0])[2])
    kaufman = Reduced(problem, Cholesky(), Kaufman()).point(torch.tensor([w]).double())
    step = -float(kaufman.gradient / kaufman.hessian()[0])
    assert there[0] == pytest.approx(w + step)


def test_starts_lie_on_a_line_between_the_two_named_ones():
    ends = ch08.STARTS.values()
    assert [ch08.on_the_line(w) for w, _ in ends] == list(ends)
    assert ch08.on_the_line(6.5) == pytest.approx(tuple(np.mean(list(ends), axis=0)))


def test_arrivals_are_for_good():
    problem = ch08.spot()
    target = ch08.best_spot(problem)[0]
    for name, count in ch08.arrivals(problem, *ch08.STARTS["near and bright"]).items():
        away = np.abs(ch08.walks(problem, *ch08.STARTS["near and bright"])[name].points[:, 0] - target)
        assert (away[count:] < ch08.NEAR).all() and away[count - 1] >= ch08.NEAR
    assert ch08.arrivals(problem, *ch08.STARTS["far and faint"])["joint Gauss-Newton"] is None


@pytest.mark.parametrize(
    ("solver", "jacobian"), [(Cholesky(), Frozen()), (CG.fixed(5), Implicit(CG.fixed(5)))], ids=str
)
def test_a_run_is_the_papers_with_the_images_of_exact_projections(hand, solver, jacobian):
    made, w = hand
    one = ch08.run(made, w, jacobian, "data", solver)
    reduced = Reduced(made.problem, solver, jacobian, made.problem.upsampled(), "data")
    found = paper.levenberg_marquardt(reduced, w)
    assert np.array_equal(one.loss, [entry.loss for entry in found.history])
    assert len(one.images) == len(one.path) == len(one.error) == len(one.gradient) == len(one.loss)
    for k in (0, 4, len(one.loss) - 1):
        A = made.problem.at(one.path[k]).dense(made.problem.b)
        best = torch.linalg.lstsq(A, made.problem.b[:, None]).solution[:, 0]
        torch.testing.assert_close(one.images[k], best, rtol=1e-6, atol=1e-5)
        assert one.error[k] == pytest.approx(100 * made.error(best), abs=1e-4)
    assert len(ch08.run(made, w, jacobian, iterations=2).loss) == 3


def test_true_jacobian_and_judgement(hand):
    made, w = hand
    truth = ch08.finite_difference(made.problem, w)
    exact = Reduced(made.problem, Cholesky(), GolubPereyra()).point(w).jacobian
    assert float((truth - exact).norm() / exact.norm()) < 1e-6
    found = ch08.judged(made.problem, w, truth)
    assert ch08.along(made.problem, [w])[0].keys() == found.keys()
    for rows in ("data", "full"):
        same = found[rows, "Golub-Pereyra"]
        assert max(same["gradient"], same["matrix"], abs(same["step"] - 1)) < 1e-5 and same["angle"] < 1e-2
    D = Reduced(made.problem, Cholesky(), Frozen()).point(w).jacobian
    T = (truth / truth.norm(dim=0)).numpy()
    D = (D / truth.norm(dim=0)).numpy()
    expected = np.linalg.norm(D.T @ D - T.T @ T) / np.linalg.norm(T.T @ T)
    assert found["full", "none"]["matrix"] == pytest.approx(expected, rel=1e-4)


def test_shares_are_sines_of_angles_between_subspaces(hand):
    made, w = hand
    A = made.problem.at(w)
    f = Reduced(made.problem, Cholesky()).point(w).f
    angles = scipy.linalg.subspace_angles(A.dense(f).numpy(), A.derivative(f).numpy())
    shares = np.sort(ch08.shares(made.problem, w).numpy())
    assert np.allclose(shares, np.sort(np.sin(angles) ** 2), rtol=1e-5)


def test_a_drift_is_undone(hand):
    """The true image seen through a shift, and the motions that make the same data of it."""
    made, _ = hand
    pair = hands_phantom(12)
    free = synthetic(pair.reference, pair.grid, count=3, fixed=0)
    h = free.problem.grid.spacing[0]
    w = free.problem.identity().clone()
    w[4] = h  # template 0 looks one cell further, at an image that was moved there
    image = torch.roll(free.image, 1, 0)
    image[0] = 0
    back = ch08.undone(free.problem, w, image.reshape(-1)).reshape(12, 12)
    torch.testing.assert_close(back[:-1], free.image[:-1])
    run = ch08.Run(*[np.zeros(1)] * 3, [image.reshape(-1)], [w])
    assert ch08.undrifted(free, run)[0] == pytest.approx(100 * free.error(back))
    assert made.error(back) < 0.5 * made.error(image)
    alone = ch08.drift_alone(free, run)[0]
    expected = torch.cat([free.image[1:], torch.zeros(1, 12).double()])  # looked at one cell further
    assert alone == pytest.approx(100 * free.error(expected), rel=0.05)
    w[0] = 1.1
    cells, stretched = ch08.drift(free.problem, w)
    middle = [1 + 0.1 * (k + 0.5) for k in range(12)]  # cells along x, by the shift and by the stretch
    assert cells == pytest.approx(np.mean(middle)) and stretched == pytest.approx((0.1, 0.0))


def test_the_penalty_is_its_part_of_the_loss(hand):
    made, w = hand
    f = made.problem.upsampled()
    h1, h2 = made.problem.grid.spacing
    slopes = np.concatenate(
        [np.diff(f.reshape(12, 12).numpy(), axis=k).ravel() / h for k, h in enumerate((h1, h2))]
    )
    expected = 0.5 * made.problem.strength**2 * h1 * h2 * np.sum(slopes**2)
    assert ch08.penalty(made.problem, w, f) == pytest.approx(expected)
