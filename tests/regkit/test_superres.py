"""The super-resolution model: fast products against the model as written, adjoints, derivatives."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from regkit import Grid, coefficients
from regkit.checks import adjoint_test, taylor_test
from regkit.superres import SuperResolution, pool, slopes, slopes_adjoint, unpool
from regkit.templates import synthetic
from regkit.transforms import Rigid

grid = Grid((3.0, 4.0), (8, 12))


@pytest.fixture
def problem(random):
    """Three templates of a random image, one of them moved far enough to leave Ω."""
    made = synthetic(random(8, 12), grid, count=3)
    w = made.w_true + 0.05 * random(12)
    w[10:] += 1.0
    return made.problem, w


def test_first_use_may_happen_inside_torch_func(random):
    """Whatever a problem keeps must not remember the derivative that asked for it first."""
    problem, f = SuperResolution(random(2, 3, 4), Grid((3.0, 4.0), (6, 8))), random(48)
    w = problem.identity() + 0.01

    def energy(w):
        return (problem.model(w, f) - problem.b).square().sum()

    gradient = torch.func.grad(energy)
    product = torch.func.grad(lambda u: gradient(u) @ w)(w)
    torch.testing.assert_close(product, torch.func.jvp(gradient, (w,), (w,))[1])


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


def lower_left(grid, y):
    """A window with an oblique edge through the image."""
    return y.sum(1) < 4.0


@pytest.mark.parametrize("window", [None, lower_left])
@pytest.mark.parametrize("fixed", [0, 1])
def test_operator_agrees_with_the_model_as_written(problem, random, fixed, window):
    model, w = problem
    model = replace(model, window=window)
    if fixed == 0:
        model, w = replace(model, fixed=0), torch.cat([model.transform.identity(), w])
    A, f, y = model.at(w), random(96), random(len(model.b))
    torch.testing.assert_close(A.forward(f), model.model(w, f))
    assert adjoint_test(A.forward, A.adjoint, f) < 1e-15
    torch.testing.assert_close(A.adjoint(y), torch.func.vjp(lambda f: model.model(w, f), f)[1](y)[0])
    torch.testing.assert_close(A.derivative(f), torch.func.jacfwd(lambda w: model.model(w, f))(w))
    pulled = torch.func.jacrev(lambda w: torch.func.vjp(lambda f: model.model(w, f), f)[1](y)[0])(w)
    torch.testing.assert_close(A.adjoint_derivative(y), pulled)
    normal = torch.func.jacfwd(lambda w: torch.func.vjp(lambda f: model.model(w, f), f)[1](model.model(w, f)))
    torch.testing.assert_close(A.normal_derivative(f), normal(w)[0])
    assert A.shape == (len(y), 96)
    if window is None:  # at a window's edge A jumps
        assert taylor_test(lambda w: model.at(w).forward(f), w, w, first=A.derivative(f) @ w).passes()
        assert taylor_test(lambda w: model.at(w).adjoint(y), w, w, first=A.adjoint_derivative(y) @ w).passes()


@pytest.mark.parametrize("fixed", [0, 1])
def test_entries_are_those_of_the_matrix_and_its_derivative(problem, random, fixed):
    """W and Ẇ on the coefficients of f, against A and its derivative on f."""
    model, w = problem
    if fixed == 0:
        model, w = replace(model, fixed=0), torch.cat([model.transform.identity(), w])
    A, f, v = model.at(w), random(96), random(len(w))
    row, column, weight, slope = A.entries(v)
    c = coefficients(f.reshape(model.grid.shape), 0.0).reshape(-1)

    def product(entries):
        return torch.zeros(A.data_rows, dtype=f.dtype).index_add_(0, row, entries * c[column])

    torch.testing.assert_close(product(weight), A.forward(f)[: A.data_rows])
    torch.testing.assert_close(product(slope), (A.derivative(f) @ v)[: A.data_rows])


def test_what_a_window_hides_counts_as_zero(random):
    """At the identity, with only the lower half seen: the other half of the pixels measures nothing."""
    model = SuperResolution(random(2, 4, 6), grid, window=lambda grid, y: y[:, 0] < 1.5)
    rows = model.at(model.identity()).forward(1 + random(96) ** 2)[:48].reshape(2, 4, 6)
    assert (rows[:, 2:] == 0).all() and (rows[:, :2] > 0).all()


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


def test_a_model_says_what_it_is(random):
    model = SuperResolution(random(3, 4, 6), grid, strength=0.5)
    assert repr(model) == (
        "SuperResolution(3 templates of 4 × 6, grid of 8 × 12, strength 0.5, 12 parameters)"
    )
    assert model == model and model != replace(model)


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


def test_bad_templates_are_refused(random):
    with pytest.raises(ValueError, match="multiples of the factor 4"):
        pool(random(6, 8), 4)
    for templates in (torch.ones(1, 4, 6, dtype=torch.int64), random(1, 4, 6) * torch.nan):
        with pytest.raises(ValueError, match="finite floating-point"):
            SuperResolution(templates, grid)
    with pytest.raises(ValueError, match="a multiple of"):
        SuperResolution(torch.ones(2, 0, 0), grid)


def test_slopes_of_a_single_line(random):
    for shape in ((1, 5), (5, 1)):
        line = Grid((1.0, 1.0), shape)
        pair = (lambda x, g=line: slopes(x, g)), (lambda y, g=line: slopes_adjoint(y, g))
        assert adjoint_test(*pair, random(5, 2)) < 1e-14
