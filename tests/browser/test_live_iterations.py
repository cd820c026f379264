"""The computed figures of chapter 9, each in a page of its own: what they say and do."""

from __future__ import annotations

import json
import re

import numpy as np
import pytest
import torch
from playwright.sync_api import Locator, Page

from regbook import records, widgets
from regbook.experiments import ch09
from regkit import Grid
from regkit.linear import CG
from regkit.templates import synthetic

from .figures import STANDARD, violations

pytestmark = pytest.mark.browser

NAMES = ["restart", "continue", "Chebyshev", "implicit"]
PAGE = """<!doctype html><html lang="en" data-theme="{0}"><head><meta charset="utf-8"><title>A widget</title>
<meta name="viewport" content="width=device-width, initial-scale=1"></head>
<body style="background:{1}"><h1>x</h1>{2}</body></html>"""


@pytest.fixture
def opened(open_page, tmp_path):
    def open_it(widget, **how) -> Page:
        file = tmp_path / "page.html"
        theme, ground = ("dark", "#121212") if how.get("dark") else ("light", "#ffffff")
        file.write_text(PAGE.format(theme, ground, widget.html()), encoding="utf-8")
        return open_page(file, **how).page

    return open_it


def slider(page: Page, name: str) -> Locator:
    return page.get_by_role("slider", name=name, exact=True)


def put(page: Page, name: str, value: float) -> None:
    slider(page, name).evaluate(
        "(s, v) => { s.value = v; s.dispatchEvent(new Event('input', {bubbles: true})); }", value
    )


def readout(page: Page) -> str:
    return page.locator(".rk-readout").inner_text()


# ---- the toy


@pytest.fixture(scope="module")
def toy() -> ch09.Toy:
    return ch09.toy(n=30, condition=100.0)


@pytest.fixture(scope="module")
def stepped(toy):
    return widgets.stepped_iterations(toy, NAMES, (0, 16, 6), 40, alt="x", title="Thirty equations")


def shown(page: Page) -> tuple[float, float]:
    """Errors of x and of its tangent, with all their digits."""
    found = page.locator(".rk-stage").evaluate("stage => [stage.dataset.value, stage.dataset.tangent]")
    return float(found[0]), float(found[1])


def expected(toy: ch09.Toy, way: str, total: int, last: int) -> tuple[float, float]:
    derivative = toy.last(way, last)
    x = toy.solution(derivative, total, toy.b.new_zeros(1))
    return toy.error(x), toy.tangent_error(toy.tangent(derivative, total))


def test_the_toy_says_what_regkit_says(opened, toy, stepped):
    page = opened(stepped)
    assert readout(page).startswith("Iteration 10 of 16, not differentiated: ")
    for k, way in enumerate(ch09.TAILS):
        page.get_by_label("the last").select_option(index=k)
        for total, last in ((16, 6), (12, 12), (14, 0)):
            put(page, "iterations", total)
            put(page, "differentiated", last)
            assert shown(page) == pytest.approx(expected(toy, way, total, last), rel=1e-8), (way, total, last)
            length = total + last if way == "implicit" else total
            assert readout(page).startswith(f"Iteration {length} of {length}, ")


def test_it_goes_forwards_and_back(opened, toy, stepped):
    page = opened(stepped)
    at = slider(page, "iteration")
    page.get_by_role("button", name="Step", exact=True).click()
    page.get_by_role("button", name="Step", exact=True).click()
    assert readout(page).startswith("Iteration 12 of 16, differentiated (restart): ")
    assert shown(page) == pytest.approx(expected(toy, "restart", 12, 2), rel=1e-8)
    page.get_by_role("button", name="Back").click()
    at.press("ArrowLeft")
    assert at.input_value() == "10"
    page.clock.install()
    page.get_by_role("button", name="Play").click()
    page.clock.run_for(10 * 150)
    assert readout(page).startswith("Iteration 16 of 16") and page.get_by_role("button", name="Play").count()
    page.get_by_role("button", name="Reset").click()
    assert readout(page).startswith("Iteration 0 of 16") and shown(page) == (1, 1)


def test_the_polynomial_is_that_of_regkit(opened, toy, stepped):
    """The largest value at an eigenvalue, of all that is said of it."""
    page = opened(stepped)
    put(page, "iteration", 16)
    p = ch09.met_by_the_tangent(toy, "restart", 6, 16).abs()
    size, at = re.search(r"multiplies by up to ([\d.]+), at λ = ([\d.]+)\.", readout(page)).groups()
    assert float(size) == pytest.approx(float(p.max()), rel=0.06)
    assert float(at) == pytest.approx(float(toy.values[p.argmax()]), rel=0.01)


def changed(toy: ch09.Toy, component: int, size: float) -> ch09.Toy:
    """The toy with one component of its right-hand side in the eigenvectors changed in size."""
    before = abs(float(toy.vectors[:, component] @ toy.b))
    return ch09.weighted(toy, lambda i: size / before if i == component else 1)


def test_a_component_is_set_with_the_keyboard(opened, toy, stepped):
    page = opened(stepped)
    put(page, "iteration", 16)
    slider(page, "component").press("Home")
    slider(page, "component").press("ArrowRight")
    put(page, "its size", 0.75)
    other = changed(toy, 1, 10**0.75)
    assert shown(page) == pytest.approx(expected(other, "restart", 16, 6), rel=1e-8)
    slider(page, "its size").press("Home")
    other = changed(toy, 1, 0.0)
    assert shown(page) == pytest.approx(expected(other, "restart", 16, 6), rel=1e-8)
    assert "component = λ =" in slider(page, "component").get_attribute("aria-valuetext")


@pytest.mark.parametrize("width", [1280, 360])
def test_components_are_dragged(opened, stepped, width):
    """With the mouse across many of them, with a finger one."""
    page = opened(stepped, width=width, height=740)
    given = page.locator("path.given")
    box, before = given.bounding_box(), given.get_attribute("d")
    left, right, low = box["x"] + 4, box["x"] + box["width"] - 4, box["y"] + box["height"] + 30
    if width == 360:
        page.touchscreen.tap(right, low)
        assert slider(page, "component").input_value() == "30"
    else:
        page.mouse.move(right, low)
        page.mouse.down()
        page.mouse.move((left + right) / 2, low)
        page.mouse.up()
    after = given.get_attribute("d")
    moved = [a != b for a, b in zip(before.split("M"), after.split("M"), strict=True)][1:]
    assert sum(moved) == (1 if width == 360 else pytest.approx(15, abs=2)) and moved[-1] and not moved[0]
    page.get_by_role("button", name="Reset").click()
    assert given.get_attribute("d") == before


def test_right_hand_sides_to_choose_from(opened, toy, stepped):
    page = opened(stepped)
    put(page, "iterations", 10)
    put(page, "differentiated", 10)
    errors = []
    for k in range(4):
        page.get_by_label("right-hand side").select_option(index=k)
        errors.append(shown(page))
    value, tangent = np.array(errors).T
    assert len(set(tangent)) == 4
    for k, factor in ((1, lambda i: i < 15), (2, lambda i: i >= 15), (3, lambda i: 10 ** (-6 * i / 30))):
        assert value[k] == pytest.approx(expected(ch09.weighted(toy, factor), "restart", 10, 10)[0], rel=1e-6)


# ---- the images


@pytest.fixture(scope="module")
def images():
    made = synthetic(torch.rand(8, 12, dtype=torch.float64, generator=torch.Generator().manual_seed(1)),
                     Grid((2.0, 3.0), (8, 12)))  # fmt: skip
    f0, w = made.problem.upsampled(), 1.02 * made.w_true
    return made.problem, f0, w, ch09.along(made.problem, f0, w)


@pytest.fixture(scope="module")
def live(images):
    record, steps = records.load("differentiating_cg.npz"), np.linspace(0.4, 0.1, 10)
    return widgets.live_tangent(images[3], record, NAMES, steps, steps, (0, 20, 10), 400, alt="x", title="y")


def computed(page: Page, setting: list[int]) -> np.ndarray:
    """[start, (error of the image, of the tangent, cosine, slope)], as soon as they are there."""
    page.wait_for_function(
        "setting => document.querySelector('.rk-stage').dataset.setting === setting",
        arg=json.dumps(setting, separators=(",", ":")),
    )
    return np.array(json.loads(page.locator(".rk-stage").get_attribute("data-runs")), dtype=float)


@pytest.mark.parametrize("worker", [True, False])
def test_the_live_tangent_is_that_of_regkit(opened, images, live, worker, browser):
    problem, f0, w, given = images
    page = opened(live)
    if not worker:
        page.add_init_script("window.Worker = class { constructor() { throw new Error('refused'); } };")
        page.reload()
    exact = given["exact_dot"]
    for k, way in enumerate(ch09.TAILS):
        page.get_by_label("the last").select_option(index=k)
        put(page, "differentiated", 8)
        runs = computed(page, [k, 20, 8])
        derivative = ch09.derivative(way, 8, tuple(given["bounds"]))
        tangent = ch09.image_tangent(problem, f0, w, given["direction"], CG.fixed(20), derivative)
        error = float((tangent - exact).norm() / exact.norm())
        assert runs[0, 1] == pytest.approx(error, rel=1e-7)
        assert runs[0, 2] == pytest.approx(float(torch.cosine_similarity(tangent, exact, dim=0)), rel=1e-7)
        assert np.allclose(runs[1:], runs[0], rtol=1e-4), "motions that differ by 1e-10"
    assert f"error of the image {runs[0, 0]:.2g}, of its tangent {runs[0, 1]:.2g} " in readout(page)
    done = (
        "figure => ![...figure.querySelectorAll('text')].some((node) => /computing/.test(node.textContent))"
    )
    page.wait_for_function(f"() => ({done})(document.querySelector('figure'))")


def test_a_new_setting_is_not_kept_waiting(opened, live):
    """The long computation is left; what is said is of the last setting, and of the record nearest to it."""
    page = opened(live)
    page.get_by_label("the last").select_option(index=1)
    for total in (400, 390, 25):
        put(page, "iterations", total)
    computed(page, [1, 25, 13])
    assert readout(page).startswith("Computed here: 25 iterations, the last 13 differentiated (continue).")
    assert "Recorded, 25 iterations and the last 50 %" in readout(page)
    put(page, "differentiated", 0)
    runs = computed(page, [1, 25, 0])
    assert runs[0, 1] == 1 and "none differentiated" in readout(page) and "cosine" in readout(page)


@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("figure", ["stepped", "live"])
def test_everyone_can_read_them(opened, request, figure, dark):
    page = opened(request.getfixturevalue(figure), dark=dark)
    if figure == "live":
        computed(page, [0, 20, 10])
    assert violations(page, STANDARD, "figure") == []
