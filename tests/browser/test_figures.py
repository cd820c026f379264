"""Figures in a small page of their own: all kinds of controls, predictions, errors, no scripts."""

from __future__ import annotations

import base64
import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import expect

from regbook.explore import Guess, explore, page_widget
from regbook.explore.frames import decode

from .figures import (
    answer_time,
    figures,
    fraction,
    guess,
    move,
    sliders,
    state,
    stop_the_clock,
    too_wide,
    violations,
    wait_for_change,
)

pytestmark = pytest.mark.browser

THETAS = np.logspace(-2, 2, 9)
PAGE = """<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Figures</title>
<meta name="viewport" content="width=device-width, initial-scale=1"><style>
body {{ margin: 8px; font-family: sans-serif }} html[data-theme="dark"] {{ background: #121212; color: #eee }}
</style></head><body><main><h1>Figures</h1>{}</main></body></html>"""

COMPUTED = """
// a comment before the function
(root, data, kit) => {
  const line = kit.svg("path", { fill: "none", stroke: kit.colors.blue, "stroke-width": 3 });
  const picture = kit.svg("svg", { viewBox: "0 0 100 40", role: "img", "aria-label": "A parabola" }, line);
  const show = (a) => {
    const points = Array.from(data.x, (x) => `${50 + 40 * x},${38 - 30 * a * x * x}`);
    line.setAttribute("d", "M" + points.join("L"));
    kit.say(`The curve at its end is ${(a * data.x[data.x.shape[0] - 1] ** 2).toFixed(2)}.`);
  };
  const text = (a) => a.toFixed(2);
  const slider = kit.slider({ label: "a", min: 0, max: 1, step: 0.05, value: 0.5, text, input: show });
  const set = (a) => { slider.set(a); show(a); };
  const list = kit.select({ label: "start", options: ["low", "high"], input: set });
  root.append(picture, slider.row, list.row, kit.row(kit.button("Again", () => set(0.5))));
  show(0.5);
};"""


def draw(figure, theta, view="value"):
    ax = figure.subplots()
    x = np.linspace(0, 6, 200)
    ax.plot(x, (np.sin if view == "value" else np.cos)(x) / (1 + theta), label=view)
    ax.set_ylim(-1.1, 1.1)
    ax.legend(loc="upper right")
    return f"The {view} reaches {1 / (1 + theta):.4f}."


def write(figure, a, b):
    figure.text(0.4, 0.5, f"{a} and {b}")


def make(**options):
    return explore(draw, theta=THETAS, start=1.0, figsize=(4.8, 2.7), dpi=100, **options)


@pytest.fixture(scope="module")
def shown() -> dict:
    where = Guess("Where is it half as high?", answer=1.0, explain="1 / (1 + 1).")
    options = ["the value", "the slope"]
    which = Guess("Which is larger?", options=options, answer=0, explain="Look at the axis.")
    computed = {"alt": "A curve", "title": "Computed", "still": "<p>A parabola.</p>"}
    return {
        "one": make(title="One slider", caption="A fixed text.", alt="A curve"),
        "two": make(title="Slider and list", view=["value", "slope"]),
        "sliders": explore(write, a=[1, 2, 3], b=[0.5, 1.5], dpi=80),
        "choice": explore(draw, view=["value", "slope"], theta=[0.5, 1.0], dpi=80),
        "where": make(title="Guess where", guess=where),
        "which": make(title="Guess which", guess=which),
        "computed": page_widget(COMPUTED, {"x": np.linspace(-1, 1, 41)}, **computed),
        "asked": page_widget(COMPUTED, {"x": np.linspace(-1, 1, 41)}, alt="A curve", guess=which),
    }


@pytest.fixture(scope="module")
def demo(shown, tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("demo") / "demo.html"
    path.write_text(PAGE.format("\n".join(figure.html() for figure in shown.values())), encoding="utf-8")
    return path


@pytest.fixture
def page(open_page, demo):
    return open_page(demo).page


@pytest.fixture
def figure(page, shown):
    return lambda name: page.locator("figure.rk").nth(list(shown).index(name))


def test_mouse_moves_picture_caption_and_readout(figure):
    for name in ("one", "two", "sliders", "computed"):
        for slider in sliders(figure(name)):
            before = state(figure(name))
            move(slider, 0.9 if fraction(slider) < 0.5 else 0.1)
            wait_for_change(figure(name), before, name)


def test_slider_can_be_dragged(page, figure):
    (slider,) = sliders(figure("one"))
    box = slider.bounding_box()
    y, thumb = box["y"] + box["height"] / 2, 12
    seen = [state(figure("one"))["readout"]]
    page.mouse.move(box["x"] + thumb + fraction(slider) * (box["width"] - 2 * thumb), y)
    page.mouse.down()
    for share in (0.6, 0.8, 1.0):
        page.mouse.move(box["x"] + thumb + share * (box["width"] - 2 * thumb), y, steps=4)
        seen.append(state(figure("one"))["readout"])
    page.mouse.up()
    assert len(set(seen)) == 4 and fraction(slider) == 1


def test_touch_moves_the_slider(open_page, demo):
    figure = figures(open_page(demo, width=360, height=740).page)[0]
    (slider,) = sliders(figure)
    before, box = state(figure), slider.bounding_box()
    slider.tap(position={"x": box["width"] - 14, "y": box["height"] / 2})
    assert state(figure)["readout"] != before["readout"] and fraction(slider) == 1


def test_keys_move_the_slider(page, figure, shown):
    (slider,) = sliders(figure("one"))
    slider.focus()
    for key, k in (("Home", 0), ("ArrowRight", 1), ("ArrowUp", 2), ("ArrowLeft", 1), ("End", 8)):
        page.keyboard.press(key)
        assert state(figure("one"))["readout"] == shown["one"].texts[k]
        text = shown["one"].parameters["theta"].text(THETAS[k])
        assert slider.get_attribute("aria-valuetext") == f"θ = {text}"
        assert figure("one").locator("output").inner_text() == text


def test_list_changes_the_picture(figure, shown):
    before = state(figure("two"))
    figure("two").get_by_label("view").select_option("slope")
    after = state(figure("two"))
    assert before["picture"] != after["picture"] and after["readout"] == "The slope reaches 0.5000."
    figure("choice").get_by_label("view").select_option("slope")
    assert state(figure("choice"))["readout"] == "The slope reaches 0.6667."


PIXELS = """figure => {
  const [still, change] = figure.querySelectorAll(".rk-picture img");
  const canvas = new OffscreenCanvas(still.naturalWidth, still.naturalHeight), pen = canvas.getContext("2d");
  return (change.hidden ? Promise.resolve() : change.decode()).then(() => {
    pen.drawImage(still, 0, 0);
    if (!change.hidden) pen.drawImage(change, 0, 0);
    return canvas.convertToBlob({ type: "image/png" });
  }).then((blob) => new Promise((resolve) => {
    const reader = new FileReader();
    reader.onload = () => resolve(reader.result.split(",")[1]);
    reader.readAsDataURL(blob);
  }));
}"""


def test_browser_shows_the_pixels_that_the_live_figure_draws(page, figure, shown):
    """The whole way, drawn - encoded - embedded - decoded - composed, changes no pixel."""
    (slider,) = sliders(figure("one"))
    slider.focus()
    page.keyboard.press("Home")
    for theta in THETAS:
        png = base64.b64decode(figure("one").evaluate(PIXELS))
        seen = np.asarray(Image.open(io.BytesIO(png)).convert("RGB"))
        assert np.array_equal(seen, decode(shown["one"].frame(theta=theta)))
        page.keyboard.press("ArrowRight")


def test_play_and_pause(page, figure):
    one = figure("one")
    play, readout = one.get_by_role("button", name="Play"), one.locator(".rk-readout")
    (slider,) = sliders(one)
    before, start = state(one), fraction(slider)
    stop_the_clock(page)
    play.click()
    pause = one.get_by_role("button", name="Pause")
    assert readout.get_attribute("aria-live") == "off"
    page.clock.run_for(900)
    assert fraction(slider) == start + 2 / 8, "a frame every 400 milliseconds"
    pause.click()
    moved = state(one)
    assert moved["picture"] != before["picture"] and readout.get_attribute("aria-live") == "polite"
    page.clock.run_for(5000)
    assert state(one) == moved, "paused"
    move(slider, 1.0)
    play.click()
    assert fraction(slider) == 0, "from the end it starts again"
    page.clock.run_for(8 * 400)
    assert play.is_visible() and fraction(slider) == 1, "and stops there"


def test_reader_who_moves_the_slider_stops_the_play(page, figure):
    one = figure("one")
    stop_the_clock(page)
    one.get_by_role("button", name="Play").click()
    (slider,) = sliders(one)
    move(slider, 0.0)
    page.clock.run_for(5000)
    assert fraction(slider) == 0


def test_guess_on_the_slider(page, figure, shown):
    asked = figure("where")
    controls = asked.locator(".rk-controls")
    before = state(asked)
    assert not controls.is_visible() and asked.get_by_text("Where is it half as high?").is_visible()
    assert guess(asked) == "▲ You guessed θ = 10."  # 0.8 of 8 steps, rounded to the sixth
    assert state(asked) == before, "the guess does not move the picture"
    assert controls.is_visible()
    mark = asked.locator(".rk-mark.rk-guess")
    slider = asked.locator(".rk-controls input[type=range]")
    move(slider, 0.75)
    thumb = slider.bounding_box()
    centre = mark.evaluate("m => { const box = m.getBoundingClientRect(); return box.left + box.width / 2; }")
    assert centre == pytest.approx(thumb["x"] + 12 + 0.75 * (thumb["width"] - 24), abs=1.5)
    answer = asked.get_by_text("θ ≈ 1. 1 / (1 + 1).")
    assert not answer.is_visible() and not asked.locator(".rk-mark.rk-truth").count()
    asked.get_by_text("Compare with the answer").click()
    expect(answer).to_be_visible()
    expect(asked.locator(".rk-mark.rk-truth")).to_be_visible()  # set when "toggle" is told, a moment later


def test_guess_among_options(page, figure):
    for name, hidden in (("which", ".rk-controls"), ("asked", ".rk-stage")):
        asked = figure(name)
        assert not asked.locator(hidden).is_visible()
        asked.get_by_role("button", name="This is my guess").click()
        assert not asked.locator(hidden).is_visible(), "nothing chosen yet"
        assert guess(asked) == "You guessed: the slope"
        assert asked.locator(hidden).is_visible()
        asked.get_by_text("Compare with the answer").click()
        assert asked.get_by_text("the value. Look at the axis.").is_visible()


def test_guess_by_keyboard(page, figure, shown):
    asked = figure("where")
    asked.locator("form.rk-predict input").focus()
    page.keyboard.press("Home")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    assert asked.locator(".rk-result .rk-guess").first.inner_text() == "▲ You guessed θ = 0.01."
    page.keyboard.press("End")  # the focus is on the slider that has appeared
    assert state(asked)["readout"] == shown["where"].texts[-1]


def test_guess_can_be_skipped(figure):
    asked = figure("where")
    asked.get_by_role("button", name="Skip").click()
    assert asked.locator(".rk-controls").is_visible() and not asked.get_by_text("You guessed").count()
    assert asked.get_by_text("Compare with the answer").is_visible()


def test_computed_figure(page, figure):
    computed = figure("computed")
    assert state(computed)["readout"] == "The curve at its end is 0.50."
    assert not computed.get_by_text("A parabola.").count(), "the still is replaced"
    computed.get_by_label("start").select_option("high")
    assert state(computed)["readout"] == "The curve at its end is 1.00."
    computed.get_by_role("button", name="Again").click()
    assert state(computed)["readout"] == "The curve at its end is 0.50."


def test_error_in_a_computed_figure_is_shown(open_page, tmp_path, shown):
    broken = page_widget("(root) => { throw new Error('no data'); }", alt="x").html()
    path = tmp_path / "broken.html"
    path.write_text(PAGE.format(broken + shown["one"].html()), encoding="utf-8")
    reader = open_page(path)
    first, second = figures(reader.page)
    assert first.get_by_role("alert").inner_text() == "This figure could not start: no data"
    assert second.get_by_role("slider").is_visible(), "the next figure works"
    assert any("no data" in text for text in reader.complaints)
    reader.complaints.clear()


def test_figures_leave_no_names_behind(page):
    assert page.evaluate("() => ['rk', 'figure', 'names'].filter((name) => name in window)") == []


def test_without_scripts_a_still_picture_and_the_answer(open_page, demo, shown):
    page = open_page(demo, scripts=False).page
    for name, figure in zip(shown, figures(page), strict=True):
        assert not figure.locator("input, select, button").count(), name
        if name not in ("computed", "asked"):
            image = figure.locator("img").first
            assert image.is_visible() and image.bounding_box()["height"] > 100
            assert figure.locator("img").count() == 2 and not figure.locator("img").nth(1).is_visible()
            assert image.get_attribute("alt").endswith(figure.locator(".rk-readout").inner_text())
    where = figures(page)[list(shown).index("where")]
    assert where.get_by_text("Predict: Where is it half as high?").is_visible()
    assert page.get_by_text("A parabola.").first.is_visible()


def test_slider_answers_at_once(figure):
    (slider,) = sliders(figure("one"))
    assert answer_time(slider) < 100, "milliseconds"


def test_nothing_jumps(page, figure):
    """Picture and controls stay where they are while the slider moves."""
    one = figure("one")
    (slider,) = sliders(one)
    before = (one.locator(".rk-picture").bounding_box(), slider.bounding_box())
    slider.focus()
    for key in ("Home", "End"):
        page.keyboard.press(key)
        assert (one.locator(".rk-picture").bounding_box(), slider.bounding_box()) == before


@pytest.mark.parametrize("width", [1280, 360])
@pytest.mark.parametrize("dark", [False, True])
def test_accessible_and_not_too_wide(open_page, demo, width, dark):
    page = open_page(demo, width=width).page
    page.evaluate("dark => { document.documentElement.dataset.theme = dark ? 'dark' : 'light'; }", dark)
    assert violations(page) == []
    for figure in figures(page):
        guess(figure)
    for summary in page.locator("summary").all():
        summary.click()
    assert violations(page) == []
    assert too_wide(page) == []


def test_targets_are_large_enough_for_a_finger(open_page, demo):
    page = open_page(demo, width=360).page
    for figure in figures(page):
        guess(figure)
    for target in page.locator(".rk button:visible, .rk select:visible, .rk input[type=range]:visible").all():
        box = target.bounding_box()
        assert box["height"] >= 40 and box["width"] >= 40
