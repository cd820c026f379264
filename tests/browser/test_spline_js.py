"""How a page registers: its splines, distances, derivatives and Newton's method are those of regkit."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from playwright.sync_api import Page

from regbook import widgets
from regkit import NCC, Grid, coefficients, data, evaluate
from regkit.optimize import newton_trust
from regkit.outside import padding
from regkit.registration import Registration
from regkit.transforms import Affine

pytestmark = pytest.mark.browser

SOURCES = [
    Path(widgets.__file__).with_name(f"{name}.js").read_text(encoding="utf-8")
    for name in ("spline", "squared_difference", "correlation")
]
THETA = 0.1
ABOUT = Affine(center=(10, 12.5))


@pytest.fixture(scope="module")
def pair() -> data.Pair:
    return data.hands_phantom(32)


@pytest.fixture(scope="module")
def objective(pair):
    return Registration(pair.template, pair.reference, pair.grid, ABOUT).at(THETA)


@pytest.fixture(scope="module")
def truth(pair) -> torch.Tensor:
    return ABOUT.from_matrix(pair.w_true[:4].reshape(2, 2), pair.w_true[4:])


@pytest.fixture(scope="module")
def page(browser, pair, truth):
    """A page that has the scripts as ``shared``, ``mathematics`` (of the pair) and ``correlation``."""
    context = browser.new_context()
    page = context.new_page()
    given = {
        "template": coefficients(pair.template, THETA).tolist(),
        "reference": coefficients(pair.reference, THETA).tolist(),
        "extent": list(pair.grid.extent),
        "center": list(ABOUT.center),
        "truth": truth.tolist(),
    }
    page.evaluate(
        """([[spline, difference, correlation], data]) => {
          for (const name of ["template", "reference"]) {
            const rows = data[name], shape = [rows.length, rows[0].length];
            data[name] = Object.assign(Float64Array.from(rows.flat()), { shape });
          }
          window.shared = eval(`(${spline})`)();
          window.mathematics = eval(`(${difference})`)(window.shared, data);
          window.correlation = eval(`(${correlation})`);
        }""",
        [SOURCES, given],
    )
    yield page
    context.close()


def moved(truth: torch.Tensor, seed: int) -> torch.Tensor:
    """A map near the true one."""
    noise = torch.randn(6, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))
    return truth + noise * torch.tensor([0.05, 0.05, 0.05, 0.05, 0.5, 0.5])


def derivatives(page: Page, w: torch.Tensor) -> tuple[float, np.ndarray, np.ndarray]:
    found = page.evaluate(
        """w => {
          const { loss, gradient, hessian } = mathematics.derivatives(Float64Array.from(w));
          return [loss, [...gradient], hessian.map((row) => [...row])];
        }""",
        w.tolist(),
    )
    return found[0], np.array(found[1]), np.array(found[2])


def test_splines_and_their_derivatives(page, pair):
    """Inside, across the border, and far outside."""
    x = torch.rand(40, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(0)) * 30 - 4
    x = torch.cat([x, torch.tensor([[-50.0, 3.0], [5.0, 400.0]])])
    found = page.evaluate("xs => xs.map(([x, y]) => [...mathematics.T(x, y)])", x.tolist())
    value, gradient, hessian = evaluate(coefficients(pair.template, THETA), pair.grid, x, order=2)
    expected = torch.cat([value[:, None], gradient, hessian[:, [0, 0, 1], [0, 1, 1]]], dim=1)
    assert np.allclose(found, expected, rtol=1e-9, atol=1e-9 * float(expected.abs().max()))


@pytest.mark.parametrize("seed", range(3))
def test_loss_gradient_and_hessian(page, objective, truth, seed):
    w = moved(truth, seed)
    loss, gradient, hessian = derivatives(page, w)
    assert loss == pytest.approx(float(objective.loss(w)), rel=1e-10)
    assert page.evaluate("w => mathematics.lossAt(w)", w.tolist()) == pytest.approx(loss, rel=1e-12)
    assert np.allclose(gradient, objective.gradient(w), rtol=1e-8, atol=1e-8 * np.abs(gradient).max())
    assert np.allclose(hessian, objective.hessian(w), rtol=1e-8, atol=1e-8 * np.abs(hessian).max())


@pytest.mark.parametrize("definite", [True, False])
def test_steps_in_the_trust_region(page, definite):
    """The conditions of Moré and Sorensen: (H + λI) s = −g with λ ≥ 0, H + λI ≥ 0 and λ (Δ − ‖s‖) = 0."""
    random = np.random.default_rng(3)
    half, g = random.normal(size=(6, 6)), random.normal(size=6)
    H = half @ half.T + np.eye(6) if definite else half + half.T
    for radius in (1e-2, 0.3, 50.0):
        s, edge = page.evaluate(
            "given => { const [s, edge] = mathematics.trusted(...given); return [[...s], edge]; }",
            [H.tolist(), g.tolist(), radius],
        )
        s = np.array(s)
        shift = -s @ (H @ s + g) / (s @ s)
        assert np.allclose(H @ s + shift * s, -g, atol=1e-5 * np.abs(g).max())
        assert np.linalg.eigvalsh(H).min() + shift > -1e-6
        assert np.linalg.norm(s) <= radius * (1 + 1e-9) and shift > -1e-6
        if edge:
            assert np.linalg.norm(s) == pytest.approx(radius, rel=1e-3)
        else:
            assert definite and np.allclose(s, np.linalg.solve(H, -g))


def test_newton_ends_where_regkit_ends(page, objective, truth):
    w = moved(truth, 1)
    end, flat = page.evaluate(
        """w => {
          const { path, flat } = mathematics.newton(Float64Array.from(w));
          return [[...path.at(-1).w], flat];
        }""",
        w.tolist(),
    )
    assert np.allclose(end, newton_trust(objective, w).x, atol=1e-6) and flat < 1e-6


def test_distances_are_means_over_the_points(page, pair, truth):
    w, x = moved(truth, 2), pair.grid.points()
    expected = float((ABOUT(w, x) - ABOUT(truth, x)).norm(dim=1).mean())
    assert page.evaluate("w => mathematics.distance(w)", w.tolist()) == pytest.approx(expected, rel=1e-12)


def test_residuals_are_those_of_the_points(page, pair, objective, truth):
    w = moved(truth, 2)
    found = page.evaluate("([w, n]) => Array.from({ length: n }, (_, k) => mathematics.residual(w, k))",
                          [w.tolist(), pair.grid.count])  # fmt: skip
    expected = objective.residual(w) / pair.grid.cell_volume**0.5
    assert np.allclose(found, expected, atol=1e-9 * float(expected.abs().max()))


@pytest.mark.parametrize(
    ("shape", "theta"), [((9, 14), 0.0), ((30, 7), 0.1), ((1, 2), 3.0), ((64, 5), 100.0)]
)
def test_coefficients(page, shape, theta):
    """Of any axes, those of one or two cells too, and with a value beyond the box."""
    image = torch.randn(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(4))
    found = page.evaluate(
        "([image, shape, theta]) => [...shared.coefficients(image, shape, theta, 0.7)]",
        [image.flatten().tolist(), shape, theta],
    )
    assert np.allclose(found, coefficients(image, theta, 0.7).flatten(), rtol=0, atol=1e-12)


def test_six_numbers_and_back(page):
    """For maps with any turn: the parameters are those of the six numbers that are made of them."""
    w = [[0.8, 0.3, -0.5, 1.1, 2.0, -3.0], [-1.2, 0.1, 0.2, -0.7, 0.0, 5.0], [0.1, -2.0, 1.5, 0.3, 1.0, 1.0]]
    back = page.evaluate("ws => ws.map((w) => [...shared.fromSix(shared.six(w))])", w)
    assert np.allclose(back, w, atol=1e-12)


CORRELATION = """([template, reference, center, ws]) => {
  const of = ({ image, shape, spacing, theta, outside }) =>
    ({ coefficients: shared.coefficients(image, shape, theta, outside), shape, spacing, outside });
  const objective = correlation(shared, of(template), of(reference), center);
  return ws.map((w) => {
    const { loss, gradient, hessian, share, gain, shift } = objective(w);
    return { loss, gradient: [...gradient], hessian: hessian.map((row) => [...row]), share, gain, shift };
  });
}"""


@pytest.fixture(scope="module")
def photographs() -> tuple[Registration, tuple[dict, dict]]:
    """Two pictures of different size that do not end in the dark, and what the page gets of them."""
    noise = torch.randn(1, 1, 60, 60, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    smooth = 50 + 400 * torch.nn.functional.avg_pool2d(noise, 5, 1)[0, 0]
    images, grids = (
        (smooth[:30, :40], smooth[25:50, 3:47]),
        (Grid((33, 40), (30, 40)), Grid((27.5, 44), (25, 44))),
    )
    problem = Registration(
        *images, grids[1], Affine(center=(13.75, 22.0)), NCC(), None, None, grids[0], outside="overlap"
    )
    sent = [
        {"image": image.flatten().tolist(), "shape": image.shape, "spacing": grid.spacing, "theta": THETA,
         "outside": float(padding(image, "edge", torch.ones_like(image, dtype=bool)))}
        for image, grid in zip(images, grids, strict=True)
    ]  # fmt: skip
    return problem, tuple(sent)


def correlations(page: Page, photographs, ws: list[torch.Tensor]) -> list[dict]:
    return page.evaluate(CORRELATION, [*photographs[1], [13.75, 22.0], [w.tolist() for w in ws]])


@pytest.mark.parametrize("seed", range(3))
def test_correlation_over_the_overlap_and_its_gradient(page, photographs, seed):
    """Those of ``NCC`` with ``outside="overlap"``, a part of the reference being outside."""
    objective = photographs[0].at(THETA)
    w = moved(torch.tensor([1, 0.1, -0.1, 1, 4.0, -4.0]).double(), seed)
    (found,) = correlations(page, photographs, [w])
    assert 0.2 < found["share"] < 0.95
    assert found["loss"] == pytest.approx(float(objective.loss(w)), abs=1e-10)
    gradient = np.array(found["gradient"])
    assert np.allclose(gradient, objective.gradient(w), rtol=0, atol=1e-8 * np.abs(gradient).max())
    h = 1e-5
    ends = [w + side * h * e for e in torch.eye(6).double() for side in (1, -1)]
    losses = np.array([end["loss"] for end in correlations(page, photographs, ends)])
    assert np.allclose(
        (losses[::2] - losses[1::2]) / (2 * h), gradient, rtol=0, atol=1e-6 * np.abs(gradient).max()
    )


def test_gauss_newton_of_the_correlation(page, photographs):
    """Where all of the reference lies well inside, the matrix is JᵀJ of regkit's residual."""
    objective = photographs[0].at(THETA)
    w = torch.tensor([0.6, 0.05, -0.05, 0.6, 3.0, -5.0]).double()
    (found,) = correlations(page, photographs, [w])
    J = torch.func.jacfwd(objective.residual)(w)
    expected = (J.T @ J).numpy()
    assert found["share"] == 1
    assert np.allclose(found["hessian"], expected, rtol=0, atol=1e-8 * np.abs(expected).max())


def test_brightness_is_fitted(page, photographs):
    """Gain and shift are the least-squares line from the values of the template to those of the reference."""
    problem, w = photographs[0], torch.tensor([0.6, 0.05, -0.05, 0.6, 3.0, -5.0]).double()
    (found,) = correlations(page, photographs, [w])
    outside = [part["outside"] for part in photographs[1]]
    (t, s) = (
        evaluate(coefficients(image, THETA, v), grid, x, outside=v)
        for image, v, grid, x in zip(
            (problem.template, problem.reference), outside, problem.grids[::-1],
            (problem.motion(w), problem.grid.points()), strict=True,
        )
    )  # fmt: skip
    assert np.allclose(np.polyfit(t, s, 1), [found["gain"], found["shift"]])
