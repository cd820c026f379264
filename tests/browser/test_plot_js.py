"""plot.js: the numbers, axes and images that the figures of a page draw with."""

from __future__ import annotations

import math

import numpy as np
import pytest
from playwright.sync_api import Page

from regbook.explore import page_widget
from regbook.plots import ERROR_COLORS, ERROR_MAP
from regbook.text import number_text, power_text

pytestmark = pytest.mark.browser

KEEP = "(root, data, kit) => { window.kit = kit; }"  # the page hands its helpers out


@pytest.fixture(scope="module")
def page(browser, tmp_path_factory):
    file = tmp_path_factory.mktemp("kit") / "page.html"
    file.write_text(
        f"<!doctype html><meta charset='utf-8'>{page_widget(KEEP, alt='x').html()}", encoding="utf-8"
    )
    context = browser.new_context()
    page = context.new_page()
    page.goto(file.as_uri())
    yield page
    context.close()


def test_numbers_are_written_as_in_python(page: Page):
    values = [
        0,
        1,
        -1,
        0.5,
        -0.25,
        1e-3,
        9.99e-4,
        1e-4,
        -1e-7,
        2.5e6,
        37.52,
        12345,
        99949,
        99951,
        -2.46e-8,
        1 / 3,
    ]
    values += [sign * 10.0**e * m for sign in (1, -1) for e in range(-9, 9) for m in (1, 1.234, 7.89)]
    assert page.evaluate("vs => vs.map((v) => kit.number(v))", values) == [number_text(v) for v in values]
    assert page.evaluate("kit.number(1234567, 2)") == "1.2·10⁶" and page.evaluate("kit.number(NaN)") == "NaN"
    assert page.evaluate("[-10, 0, 12].map(kit.power)") == [power_text(e) for e in (-10, 0, 12)]
    assert page.evaluate("kit.whole(1234567.4)") == "1,234,567"
    assert page.evaluate("kit.minus('-1 to -2, Gauss-Newton')") == "−1 to −2, Gauss-Newton"


def test_a_slider_over_powers_of_ten(page: Page):
    seen = page.evaluate(
        """() => {
          const seen = [];
          const slider = kit.logSlider({ label: "θ", low: -4, high: 4, step: 0.5, value: 0, zero: true,
            text: (v) => `θ is ${v}`, input: (v) => seen.push(v) });
          const put = (place) => {
            slider.input.value = place;
            slider.input.dispatchEvent(new Event("input"));
          };
          const texts = [slider.input.getAttribute("aria-valuetext")];
          put(2); put(-0.5); put(-4);
          slider.set(1000);
          return [seen, [...texts, slider.input.getAttribute("aria-valuetext")], slider.input.value];
        }"""
    )
    assert seen[0] == pytest.approx([100, 10**-0.5, 0])
    assert seen[1] == ["θ = θ is 0", "θ = θ is 1000"] and seen[2] == "3"


def test_places_of_numbers_on_the_axes(page: Page):
    places = page.evaluate(
        """() => {
          const svg = kit.drawing(200, 100);
          const x = { low: 1, high: 100, scale: "log", ticks: [1, 10, 100], rules: true };
          const y = { low: 0, high: 2, ticks: [0, 1, 2], clamp: true };
          const plot = kit.plot({ svg, box: [20, 10, 180, 80], x, y });
          const line = plot.line({ stroke: "red" }), dot = plot.dot({ r: 3 });
          const rule = plot.rule({ stroke: "blue" });
          line([[1, 0], [10, NaN], [100, 5]]);
          dot(10, 1, { fill: "green" });
          rule(10);
          const read = (node, ...names) => names.map((name) => +node.getAttribute(name));
          const found = {
            px: [1, 10, 100].map(plot.px),
            py: [0, 1, 2, 9].map(plot.py),
            path: line.node.getAttribute("d"),
            dot: read(dot.node, "cx", "cy"),
            fill: dot.node.getAttribute("fill"),
            rule: read(rule.node, "x1", "x2", "y1", "y2"),
            words: [...svg.querySelectorAll("text")].map((node) => node.textContent),
            lines: svg.querySelectorAll("line").length,
          };
          x.high = 10;
          return { ...found, later: plot.px(10) };
        }"""
    )
    assert places["px"] == [20, 100, 180] and places["py"] == [80, 45, 10, 10]
    assert places["path"] == "M20.0,80.0L180.0,10.0", (
        "what is no number is left out, what is too large is at the top"
    )
    assert places["dot"] == [100, 45] and places["fill"] == "green" and places["rule"] == [100, 100, 10, 80]
    assert places["words"] == ["0", "1", "2", "1", "10", "100"] and places["lines"] == 7
    assert places["later"] == 180


@pytest.mark.parametrize("size", [{}, {"width": 30, "height": 20}])
def test_images_have_their_first_index_along_x(page: Page, size):
    """Cell (i, j) of a 3 × 2 picture has the red value 40 i and the green value 100 j."""
    pixels = page.evaluate(
        """(size) => {
          const { node, paint } = kit.image([3, 2], size);
          paint((k) => [40 * Math.floor(k / 2), 100 * (k % 2), 7]);
          const { width, height } = node;
          return [width, height, [...node.getContext("2d").getImageData(0, 0, width, height).data]];
        }""",
        size,
    )
    width, height, data = pixels[0], pixels[1], np.array(pixels[2]).reshape(pixels[1], pixels[0], 4)
    assert (width, height) == ((30, 20) if size else (3, 2))
    for i in range(3):
        for j in range(2):
            row, column = int((1.5 - j) * height / 2), int((i + 0.5) * width / 3)
            assert np.abs(data[row, column] - [40 * i, 100 * j, 7, 255]).max() <= 3


def test_errors_have_the_colours_of_the_book(page: Page):
    values = np.linspace(-1, 1, 41).tolist()
    found = page.evaluate("([colors, vs]) => vs.map(kit.ramp(colors))", [list(ERROR_COLORS), values])
    expected = [[255 * c for c in ERROR_MAP((v + 1) / 2)[:3]] for v in values]
    assert np.abs(np.array(found) - expected).max() < 4
    assert page.evaluate("colors => kit.ramp(colors)(-7)", list(ERROR_COLORS)) == pytest.approx(
        [int(ERROR_COLORS[0][k : k + 2], 16) for k in (1, 3, 5)]
    )
    assert not any(math.isnan(c) for c in found[-1])
