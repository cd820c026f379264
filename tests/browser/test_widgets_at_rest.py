"""The figures that a page computes keep their height, and have a picture where there are no scripts."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from regbook import records, widgets
from regbook.experiments import ch09
from regbook.experiments.ch01 import numbers_of_a_pixel
from regkit import Grid, data
from regkit.templates import synthetic

from .figures import figures, height, sliders, too_wide

pytestmark = pytest.mark.browser


def graph_stepper():
    pixels = [numbers_of_a_pixel(name, 0.25, b, 2.0, 1.0) for name, b in (("here", 0.125), ("there", -0.3))]
    return widgets.graph_stepper(pixels, alt="A graph")


def differentiated_iterations():
    record = records.load("differentiating_cg.npz")
    names = ["restart", "continue", "Chebyshev", "implicit formula"]
    exact, none = np.linspace(0.4, 0.1, 10), np.linspace(0.4, 0.35, 10)
    truth = torch.zeros(20, 20)
    return widgets.differentiated_iterations(record, names, truth, exact, none, (0, 3, 5), alt="Curves")


def live_tangent():
    image = synthetic(torch.rand(8, 12, dtype=torch.float64), Grid((2.0, 3.0), (8, 12)))
    given = ch09.along(image.problem, image.problem.upsampled(), 1.01 * image.w_true)
    exact, none = np.linspace(0.4, 0.1, 10), np.linspace(0.4, 0.35, 10)
    record, names = records.load("differentiating_cg.npz"), ["restart", "continue", "Chebyshev", "implicit"]
    return widgets.live_tangent(given, record, names, exact, none, (0, 30, 10), 60, alt="Curves and images")


def work_accuracy():
    names = ["none, 20", "Kaufman, 10 + 5 growing by 1.2", "implicit, 20 + 20"]
    path = {"color": "blue", "dash": "", "products": [10, 200, 9000], "errors": [40.0, 20.0, 10.0]}
    curves = [path | {"name": name, "on": k < 2} for k, name in enumerate(names)]
    return widgets.work_accuracy(curves, 100, alt="Curves")


MADE = {
    "graph_stepper": graph_stepper,
    "jacobian_chain": lambda: widgets.jacobian_chain(inner=7, n=100, m=1, alt="Matrices"),
    "drag_spline": lambda: widgets.drag_spline(data.signal_1d()[0], alt="A curve"),
    "register_by_hand": lambda: widgets.register_by_hand(data.hands_phantom(32), 0.1, 6.0, alt="Two hands"),
    "differentiated_iterations": differentiated_iterations,
    "stepped_iterations": lambda: widgets.stepped_iterations(
        ch09.toy(n=20), ["restart", "continue", "Chebyshev", "implicit"], (0, 30, 10), 60, alt="Components"
    ),
    "live_tangent": live_tangent,
    "work_accuracy": work_accuracy,
}
PAGE = """<!doctype html><html lang="en"><head><meta charset="utf-8"><title>A widget</title>
<meta name="viewport" content="width=device-width, initial-scale=1"></head><body>{}</body></html>"""


@pytest.fixture(scope="module", params=MADE)
def alone(request, tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("alone") / f"{request.param}.html"
    path.write_text(PAGE.format(MADE[request.param]().html()), encoding="utf-8")
    return path


@pytest.mark.parametrize("width", [1280, 390])
def test_nothing_jumps(turn_to, alone, width):
    """What stands below the figure stays where it is, whatever is moved, chosen or clicked."""
    page = turn_to(alone, width=width).page
    (figure,) = figures(page)
    before = height(figure)
    for names in figure.locator("select").all():
        for k in range(names.locator("option").count()):
            names.select_option(index=k)
            assert height(figure) == before, f"choice {k}"
            for slider in sliders(figure):
                for key in ("Home", "ArrowRight", "End"):
                    slider.press(key)
                    assert height(figure) == before, f"{slider.get_attribute('aria-label')}: {key}"
    buttons = [button for button in figure.get_by_role("button").all() if button.is_enabled()]
    for name in [button.get_attribute("aria-label") or button.inner_text() for button in buttons]:
        figure.get_by_role("button", name=name, exact=True).first.click()
        assert height(figure) == before, name
        for slider in sliders(figure):
            slider.press("End")
            assert height(figure) == before, f"{name}, then {slider.get_attribute('aria-label')}"
    assert too_wide(page) == []


def test_there_is_something_to_see_without_scripts(turn_to, alone):
    (figure,) = figures(turn_to(alone, scripts=False).page)
    if alone.stem not in ("graph_stepper", "jacobian_chain", "work_accuracy"):
        image = figure.locator("img")
        assert image.is_visible() and image.evaluate("image => image.naturalWidth") > 600
        assert image.get_attribute("alt") == figure.locator(".rk-stage").get_attribute("aria-label")
