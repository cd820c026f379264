"""spline.js by itself: splines, loss, derivatives and Newton's method in the page are those of regkit."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from playwright.sync_api import Page

from regbook import widgets
from regkit import coefficients, data, evaluate
from regkit.optimize import newton_trust
from regkit.registration import Registration
from regkit.transforms import Affine

pytestmark = pytest.mark.browser

SOURCE = Path(widgets.__file__).with_name("spline.js")
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
    """A page with the mathematics of the pair as ``mathematics``, and nothing else."""
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
        """([source, data]) => {
          for (const name of ["template", "reference"]) {
            const rows = data[name], shape = [rows.length, rows[0].length];
            data[name] = Object.assign(Float64Array.from(rows.flat()), { shape });
          }
          window.mathematics = eval(`(${source})`)(data);
        }""",
        [SOURCE.read_text(encoding="utf-8"), given],
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
