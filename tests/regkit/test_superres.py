"""The super-resolution model: fast products against the model as written, adjoints, derivatives, problems."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
import torch

from regkit import Grid, data
from regkit.checks import adjoint_test, taylor_test
from regkit.linear import cg
from regkit.superres import (
    SuperResolution,
    pool,
    random_affines,
    register_templates,
    slopes,
    slopes_adjoint,
    synthetic,
    unpool,
)
from regkit.transforms import Rigid
from regkit.varpro import Reduced

grid = Grid((3.0, 4.0), (8, 12))


@pytest.fixture
def problem(random):
    """Three templates of a random image, one of them moved far enough to leave Ω."""
    made = synthetic(random(8, 12), grid, count=3)
    w = made.w_true + 0.05 * random(12)
    w[10:] += 1.0
    return made.problem, w


def test_pooling_and_slopes_have_the_right_adjoints(random):
    image = random(2, 6, 9)
    assert torch.equal(pool(image, 3)[1, 1, 2], image[1, 3:6, 6:9].mean())
    assert adjoint_test(lambda x: pool(x, 3), lambda y: unpool(y, 3), image) < 1e-15
    f, d = random(96, 2), Grid((3.0, 4.0), (8, 12)).spacing
    ramp = grid.points() @ torch.tensor([2.0, -3.0], dtype=torch.float64)
    slope = slopes(ramp[:, None], grid)[:, 0]
    torch.testing.assert_close(slope, torch.tensor([2.0] * 84 + [-3.0] * 88, dtype=torch.float64))
    assert adjoint_test(lambda x: slopes(x, grid), lambda y: slopes_adjoint(y, grid), f) < 1e-15
    by_ad = torch.func.vjp(lambda x: slopes(x, grid), f)[1]
    y = random(172, 2) / d[0]
    torch.testing.assert_close(slopes_adjoint(y, grid), by_ad(y)[0])


@pytest.mark.parametrize("fixed", [0, 1])
def test_operator_agrees_with_the_model_as_written(problem, random, fixed):
    model, w = problem
    if fixed == 0:
        model, w = replace(model, fixed=0), torch.cat([model.transform.identity(), w])
    A, f, y = model.at(w), random(96), random(len(model.b))
    torch.testing.assert_close(A.forward(f), model.model(w, f))
    assert adjoint_test(A.forward, A.adjoint, f) < 1e-15
    torch.testing.assert_close(A.adjoint(y), torch.func.vjp(lambda f: model.model(w, f), f)[1](y)[0])
    torch.testing.assert_close(A.derivative(f), torch.func.jacfwd(lambda w: model.model(w, f))(w))
    pulled = torch.func.jacrev(lambda w: torch.func.vjp(lambda f: model.model(w, f), f)[1](y)[0])(w)
    torch.testing.assert_close(A.adjoint_derivative(y), pulled)
    assert taylor_test(lambda w: model.at(w).forward(f), w, w, first=A.derivative(f) @ w).passes()
    assert taylor_test(lambda w: model.at(w).adjoint(y), w, w, first=A.adjoint_derivative(y) @ w).passes()


def test_columns_and_gram(problem, random):
    model, w = problem
    A, F = model.at(w), random(96, 3)
    torch.testing.assert_close(A.forward(F)[:, 1], A.forward(F[:, 1]))
    Y = A.forward(F)
    torch.testing.assert_close(A.adjoint(Y)[:, 2], A.adjoint(Y[:, 2]))
    torch.testing.assert_close(A.normal(F), A.adjoint(Y))
    torch.testing.assert_close(A.gram, A.gram.T)


def test_large_problems_do_not_form_the_gram_matrix(random):
    made = synthetic(random(36, 36), Grid((1.0, 1.0), (36, 36)), factor=3, count=2)
    A, f = made.problem.at(made.w_true), random(36 * 36)
    torch.testing.assert_close(A.normal(f), A.adjoint(A.forward(f)))
    assert "gram" not in vars(A)


def test_at_the_identity_the_model_pools_and_takes_slopes(random):
    image = random(8, 12)
    model = SuperResolution(random(2, 4, 6), grid, strength=0.5)
    rows = model.at(model.identity()).forward(image.reshape(-1))
    expected = model.scales[0] * pool(image, 2).reshape(-1)
    torch.testing.assert_close(rows[:48], torch.cat([expected, expected]))
    penalty = 0.5 * grid.cell_volume**0.5 * slopes(image.reshape(-1, 1), grid)[:, 0]
    torch.testing.assert_close(rows[48:], penalty)
    torch.testing.assert_close(model.b[:48], model.scales[0] * model.templates.reshape(-1))
    assert (model.b[48:] == 0).all()


def test_other_transformations_and_dtypes(random):
    model = SuperResolution(random(3, 4, 6), grid, transform=Rigid(2, center=(1.5, 2.0)))
    w, f = 0.3 * random(6), random(96)
    assert model.parameters == 6
    torch.testing.assert_close(model.at(w).derivative(f), torch.func.jacfwd(lambda w: model.model(w, f))(w))
    half = SuperResolution(model.templates.float(), grid)
    A = half.at(half.identity())
    assert A.forward(f.float()).dtype == A.derivative(f.float()).dtype == torch.float32


def test_cut_edge_drops_what_lies_beyond_one_cell(random):
    made = synthetic(random(8, 12), grid, count=2)
    w = made.problem.identity()
    w[4] = 0.8 * grid.spacing[0] + 0.5 * grid.spacing[0]  # the last centre comes to 1.3 cells beyond itself
    f = torch.ones(96, dtype=torch.float64)
    right, cut = (
        replace(made.problem, cut_edge=flag).at(w).forward(f)[24:48].reshape(4, 6) for flag in (False, True)
    )
    torch.testing.assert_close(right[:3], cut[:3])
    assert (right[3] > cut[3]).all()


def test_synthetic_templates(random):
    image = 100 + 20 * random(8, 12)
    clean = synthetic(image, grid, count=4)
    torch.testing.assert_close(clean.problem.templates[0], pool(image, 2))
    assert clean.error(image) == 0 and clean.error(1.1 * image.reshape(-1)) == pytest.approx(0.1)
    noisy = synthetic(image, grid, count=4, noise=3.0)
    assert float((noisy.problem.templates - clean.problem.templates).std()) == pytest.approx(3.0, rel=0.15)
    again = synthetic(image, grid, count=4, noise=3.0)
    assert torch.equal(noisy.problem.templates, again.problem.templates)
    centre = torch.tensor([[1.5, 2.0]], dtype=torch.float64)
    for motion in random_affines(3, (1.5, 2.0)):
        torch.testing.assert_close(clean.problem.transform(motion, centre), centre)
    everything = synthetic(image, grid, count=4, fixed=0)
    torch.testing.assert_close(everything.w_true[6:], clean.w_true)


def test_registration_of_the_templates_is_a_good_start():
    image, box = data.mri(64)
    made = synthetic(image, box, factor=2, count=3)
    start = register_templates(made.problem)
    assert start.shape == (12,)
    points = box.points()

    def distance(w):
        pairs = zip(made.problem.motions(w), made.problem.motions(made.w_true), strict=True)
        return torch.cat(
            [made.problem.transform(a, points) - made.problem.transform(b, points) for a, b in pairs]
        )

    assert distance(start).norm(dim=1).mean() < 0.5 * box.spacing[0]
    assert distance(made.problem.identity()).norm(dim=1).mean() > 5 * box.spacing[0]


def test_bad_input(random):
    with pytest.raises(ValueError, match=r"a multiple of \(m1, m2\), got \(2, 4, 5\) and \(8, 12\)"):
        SuperResolution(random(2, 4, 5), grid)
    with pytest.raises(ValueError, match="strength λ ≥ 0"):
        SuperResolution(random(2, 4, 6), grid, strength=-1.0)
    with pytest.raises(ValueError, match="expected 0 to 1 fixed templates, got 2"):
        SuperResolution(random(2, 4, 6), grid, fixed=2)
    model = SuperResolution(random(2, 4, 6), grid)
    with pytest.raises(ValueError, match=r"expected parameters of shape \(6,\), got \(12,\)"):
        model.at(random(12))
    with pytest.raises(ValueError, match="finite parameters"):
        model.at(random(6) * torch.nan)


def test_bad_problems_are_refused(random):
    for image, options, words in (
        (random(12, 8), {}, r"expected an image of shape \(8, 12\), as the grid, got \(12, 8\)"),
        (random(96), {}, "as the grid"),
        (random(8, 12), {"factor": 5}, "multiples of the factor 5"),
        (random(8, 12), {"factor": 0}, "multiples of the factor 0"),
        (random(8, 12), {"count": 0}, "at least one template"),
    ):
        with pytest.raises(ValueError, match=words):
            synthetic(image, grid, **options)
    with pytest.raises(ValueError, match="multiples of the factor 4"):
        pool(random(6, 8), 4)
    for templates in (torch.ones(1, 4, 6, dtype=torch.int64), random(1, 4, 6) * torch.nan):
        with pytest.raises(ValueError, match="finite floating-point"):
            SuperResolution(templates, grid)
    with pytest.raises(ValueError, match="a multiple of"):
        SuperResolution(torch.ones(2, 0, 0), grid)
    alone = synthetic(random(8, 12), grid, count=1, fixed=0)
    assert alone.problem.templates.shape == (1, 4, 6) and len(alone.w_true) == 6


def test_slopes_of_a_single_line(random):
    for shape in ((1, 5), (5, 1)):
        line = Grid((1.0, 1.0), shape)
        pair = (lambda x, g=line: slopes(x, g)), (lambda y, g=line: slopes_adjoint(y, g))
        assert adjoint_test(*pair, random(5, 2)) < 1e-14


def test_the_papers_problem(paper_data):
    """Its start, its true answer and its rank, with the edge cut as the authors cut it, and with ours."""
    image = data.paper_hands(20)
    start = torch.tensor(
        json.loads((paper_data / "superres_start.json").read_text())["norm"], dtype=torch.float64
    )
    expected = {True: (363, 0.3723, 3.168, 14.567, 0.0684), False: (372, 0.3704, 3.302, 14.726, 0.0670)}
    for cut_edge, (rank, at_start, data_norm, norm, at_truth) in expected.items():
        made = synthetic(image.reference, image.grid, fixed=0, cut_edge=cut_edge)
        reduced = Reduced(made.problem, exact=True)
        A, point = made.problem.at(start), reduced.point(start)
        rows = A.forward(torch.eye(400, dtype=torch.float64))[:400]
        assert torch.linalg.matrix_rank(rows) == rank
        assert made.error(point.f) == pytest.approx(at_start, abs=5e-5)
        assert float(point.residual.norm()) == pytest.approx(norm, abs=5e-4)
        assert float(point.residual[:400].norm()) / made.problem.scales[0] == pytest.approx(
            data_norm, abs=5e-4
        )
        assert made.error(reduced.point(made.w_true).f) == pytest.approx(at_truth, abs=5e-5)
        assert made.error(made.problem.upsampled()) == pytest.approx(0.242, abs=5e-4)
        by_cg = cg(
            A.normal, A.adjoint(made.problem.b), made.problem.upsampled(), rtol=0, atol=1e-3, maxiter=500
        )
        assert 280 <= by_cg.iterations <= 400
