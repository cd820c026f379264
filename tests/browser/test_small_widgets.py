"""The computed figures of chapters 1 and 2, each in a page of its own, say what regkit and fractions say."""

from __future__ import annotations

import re
from fractions import Fraction

import numpy as np
import pytest
import torch
from playwright.sync_api import Page

from regbook import widgets
from regbook.experiments.ch01 import numbers_of_a_pixel
from regkit import SmoothingBasis, data, evaluate

pytestmark = pytest.mark.browser


@pytest.fixture
def opened(open_page, tmp_path):
    def open_it(widget) -> Page:
        file = tmp_path / "page.html"
        start = "<!doctype html><html lang='en'><meta charset='utf-8'><title>x</title>"
        file.write_text(start + widget.html(), encoding="utf-8")
        return open_page(file).page

    return open_it


def put(page: Page, name: str, value: float) -> None:
    page.get_by_role("slider", name=name, exact=True).evaluate(
        "(s, v) => { s.value = v; s.dispatchEvent(new Event('input', {bubbles: true})); }", value
    )


def readout(page: Page) -> str:
    return page.locator(".rk-readout").inner_text().replace("−", "-")


def test_the_graph_ends_with_the_derivatives(opened):
    a, b, x, R = map(Fraction, ("1/4", "1/8", "2", "1"))
    y = a * x + b
    slope = (y * y * (3 - 2 * y) - R) * 6 * y * (1 - y)
    page = opened(widgets.graph_stepper([numbers_of_a_pixel("here", 0.25, 0.125, 2.0, 1.0)], alt="x"))
    assert readout(page).startswith("Step 0 of 6"), "it opens where one begins"
    put(page, "step", 6)
    assert float(re.search(r"= ([-\d.]+)\. One run", readout(page))[1]) == pytest.approx(
        float(slope * x), rel=1e-3
    )
    for mode, name, expected in ((1, "a", slope * x), (2, "b", slope)):
        page.get_by_label("direction").select_option(index=mode)
        put(page, "step", 6)
        found = float(re.search(rf"∂J/∂{name} = (-?[\d.]+)\.", readout(page))[1])
        assert found == pytest.approx(float(expected), rel=1e-3)
    page.get_by_role("button", name="Back").click()
    assert readout(page).startswith("Step 5 of 6")


def test_the_chain_counts_the_multiplications(opened):
    page = opened(widgets.jacobian_chain(inner=7, n=100, m=1, alt="x"))
    k, n, m = 7, 100, 1
    for _ in range(2):
        forwards, reverse = k * k * n + m * k * n, m * k * k + m * k * n
        assert f"{forwards:,} forwards, {reverse:,} in reverse" in readout(page)
        put(page, "m outputs", 3)
        m = 1000
    page.get_by_role("button", name="square").click()
    assert "n = 100 inputs, m = 100 outputs" in readout(page) and "Both cost the same" in readout(page)


def test_the_dragged_spline_is_that_of_regkit(opened):
    values, grid = data.signal_1d()
    page = opened(widgets.drag_spline(values, alt="x"))
    assert "is multiplied by 0.268 a gap" in readout(page), "2 − √3"
    changed = values.clone()
    changed[4] = 2.0
    put(page, "point", 5)
    put(page, "its value", 2.0)
    for place, theta in ((-4, 0.0), (0, 1.0), (2.5, 10**2.5)):
        put(page, "θ", place)
        c = SmoothingBasis(changed).coefficients(theta)
        off = abs(float(evaluate(c, grid, grid.points()[4:5])) - 2.0)
        assert float(re.search(r"at a distance of ([\d.]+)\.", readout(page))[1]) == pytest.approx(
            off, abs=6e-4
        )
        unit = SmoothingBasis(torch.eye(len(values), dtype=torch.float64)[4]).coefficients(theta)
        # between points 6 and 7, and between 10 and 11: the second gap from the fifth point, and the sixth
        inside = torch.arange(0.1, 1, 0.1, dtype=torch.float64)[:, None] * grid.spacing[0]
        gaps = (evaluate(unit, grid, grid.points()[k] + inside) for k in (5, 9))
        second, sixth = (float(gap.abs().max()) for gap in gaps)
        assert float(re.search(r"multiplied by ([\d.]+) a gap", readout(page))[1]) == pytest.approx(
            (sixth / second) ** 0.25, abs=1e-3
        )


def test_a_point_is_dragged_with_the_mouse(opened):
    values, _ = data.signal_1d()
    page = opened(widgets.drag_spline(values, alt="x"))
    page.locator("[data-point='12']").hover()
    page.mouse.down()
    page.mouse.move(*np.add(centre(page, "12"), (0, -40)))
    page.mouse.up()
    assert readout(page).startswith("Point 12 at") and f"at {values[11]:.2f}" not in readout(page)


def centre(page: Page, point: str) -> tuple[float, float]:
    box = page.locator(f"[data-point='{point}']").bounding_box()
    return box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
