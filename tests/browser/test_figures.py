"""Figures in a small page of their own: all kinds of controls, predictions, errors, no scripts."""

from __future__ import annotations

import base64
import io
import re
from dataclasses import replace
from pathlib import Path

import matplotlib
import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.colors import rgb_to_hsv, to_rgb
from matplotlib.patches import Rectangle
from PIL import Image
from playwright.sync_api import expect

from regbook.explore import Guess, explore, page_widget
from regbook.explore.frames import base64_text, decode
from regbook.explore.page import once
from regbook.plots import COLORS, show, style

from .figures import (
    answer_time,
    data,
    figures,
    fraction,
    guess,
    height,
    leaks,
    move,
    sliders,
    state,
    stop_the_clock,
    text_size,
    told,
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


def photograph(figure, theta):
    """Patches in the colours of the book, letters, and a picture that is brighter than grey."""
    left, right = figure.subplots(1, 2)
    for k, color in enumerate(COLORS.values()):
        left.add_patch(Rectangle((k, 0), 1, 1, color=color))
    left.set(xlim=(0, len(COLORS)), ylim=(0, 1), title="letters")
    right.imshow(np.linspace(0.3, 1, 99).reshape(9, 11) * theta, cmap="gray", vmin=0, vmax=1)
    right.axis("off")
    return f"As bright as {theta}."


def write(figure, a, b):
    figure.text(0.4, 0.5, f"{a} and {b}")


def make(**options):
    return explore(draw, theta=THETAS, start=1.0, figsize=(4.8, 2.7), dpi=100, **options)


@pytest.fixture(scope="module")
def shown() -> dict:
    where = {"question": "Where is it half as high?", "answer": 1.0, "explain": "1 / (1 + 1)."}
    options = ["the value", "the slope"]
    which = Guess("Which is larger?", options=options, answer=0, explain="Look at the axis.")
    x = {"x": np.linspace(-1, 1, 41)}
    computed = {
        "alt": "A curve",
        "title": "Computed",
        "still": "<p>A parabola.</p>",
        "caption": "A fixed text.",
    }
    return {
        "one": make(title="One slider", caption="A fixed text.", alt="A curve"),
        "two": make(title="Slider and list", view=["value", "slope"]),
        "sliders": explore(write, a=[1, 2, 3], b=[0.5, 1.5], dpi=80),
        "choice": explore(draw, view=["value", "slope"], theta=[0.5, 1.0], dpi=80),
        "where": make(title="Guess where", guess=Guess(**where), caption="A fixed text."),
        "which": make(title="Guess which", guess=which),
        "start": make(
            title="Guess with a picture", guess=Guess(**where, before="start"), caption="A fixed text."
        ),
        "computed": page_widget(COMPUTED, x, **computed),
        "asked": page_widget(COMPUTED, x, guess=which, **computed),
        "seen": page_widget(COMPUTED, x, guess=replace(which, before="start"), **computed),
        "photo": explore(photograph, theta=[0.5, 1.0], dpi=80),
        "wrapping": explore(wrapping, k=[1, 2, 12], view=["one", "a name that is somewhat longer"], dpi=60),
    }


def wrapping(figure, k, view):
    figure.subplots().plot([0, k])
    return f"{view}:" + " words that wrap where the page is narrow," * k


@pytest.fixture(scope="module")
def demo(shown, tmp_path_factory) -> Path:
    """A page with all of them, and something below each."""
    path = tmp_path_factory.mktemp("demo") / "demo.html"
    fold = '<details class="after-guess"><summary>What {0} shows</summary><p>This is {0}.</p></details>'
    parts = [figure.html() + fold.format(name) for name, figure in shown.items()]
    with matplotlib.rc_context(style()):
        still, axes = plt.subplots(1, 2, figsize=(6.4, 2.4))
        axes[0].plot([1, 2], label="a line")
        axes[0].legend(fontsize=6)
    parts.append(show(still, alt="A line that rises, and nothing.").html())
    path.write_text(once(PAGE.format("\n".join(parts))), encoding="utf-8")
    return path


@pytest.fixture
def page(open_page, demo):
    return open_page(demo).page


@pytest.fixture
def figure(page, shown):
    return lambda name: named(page, shown, name)


def named(page, shown, name):
    return page.locator("figure.rk[role=group]").nth(list(shown).index(name))


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


def test_nothing_answers_before_the_guess(page, figure, shown):
    """No answer, no explanation, no read-out, no caption, and no picture unless it is asked for."""
    for name in ("where", "which", "start", "asked", "seen"):
        asked = figure(name)
        assert leaks(asked) == []
        early = name in ("start", "seen")
        assert asked.get_by_text("after your guess").is_visible() != early
        picture = asked.locator(".rk-picture, .rk-stage")
        assert picture.is_visible() == early
    assert not page.locator("details.after-guess p:visible").count(), "folds that wait"


@pytest.mark.parametrize("way", ["This is my guess", "Skip"])
def test_everything_appears_at_once_after_the_guess(page, figure, shown, way):
    for name, answer in (("where", "θ ≈ 1. 1 / (1 + 1)."), ("start", "θ ≈ 1. 1 / (1 + 1)."),
                         ("which", "the value. Look at the axis."), ("asked", "the value. Look at the axis."),
                         ("seen", "the value. Look at the axis.")):  # fmt: skip
        asked = figure(name)
        before = state(asked)
        said = guess(asked) if way != "Skip" else asked.get_by_role("button", name="Skip").click()
        seen = told(asked)
        assert answer in seen and before["readout"] in seen, name
        assert said in (None, "▲ You guessed θ = 10.", "You guessed: the slope")
        assert said is None or said in seen
        assert "A fixed text." in seen or name == "which"
        assert asked.locator(".rk-picture, .rk-stage").is_visible()
        assert asked.locator(".rk-controls").first.is_visible()
        assert not asked.get_by_text("after your guess").is_visible()
        assert state(asked)["picture"] == before["picture"], "the guess does not move the picture"
        assert page.get_by_text(f"This is {name}.").is_visible(), "the fold below has opened"
        move(next(sliders(asked)), 0.05)
        wait_for_change(asked, before, name)
    assert not page.get_by_text("This is one.").is_visible(), "nobody asked"


def test_an_untouched_slider_is_no_guess(page, figure):
    asked = figure("where")
    sure, pick = asked.get_by_role("button", name="This is my guess"), asked.locator(".rk-predict input")
    assert sure.is_disabled() and fraction(pick) == 0
    assert asked.locator(".rk-predict output").inner_text() == "?"
    pick.focus()
    page.keyboard.press("Enter")
    assert leaks(asked) == []
    page.keyboard.press("ArrowRight")
    assert sure.is_enabled() and asked.locator(".rk-predict output").inner_text() != "?"
    for option in figure("which").locator(".rk-predict input").all():
        assert not option.is_checked()
    assert figure("which").get_by_role("button", name="This is my guess").is_disabled()


def test_guess_and_truth_are_marked_on_the_slider(figure):
    asked = figure("where")
    guess(asked)
    (slider,) = sliders(asked)
    for place, kind in ((0.75, "guess"), (0.5, "truth")):
        move(slider, place)
        thumb = slider.bounding_box()
        mark = asked.locator(f".rk-mark.rk-{kind}").bounding_box()
        centre = thumb["x"] + 12 + place * (thumb["width"] - 24)
        assert mark["x"] + mark["width"] / 2 == pytest.approx(centre, abs=1.5)


def test_guess_by_keyboard(page, figure, shown):
    asked = figure("where")
    asked.locator("form.rk-predict input").focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Home")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    assert asked.locator(".rk-result .rk-guess").first.inner_text() == "▲ You guessed θ = 0.01."
    page.keyboard.press("End")  # the focus is on the slider that has appeared
    assert state(asked)["readout"] == shown["where"].texts[-1]


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
    assert page.evaluate("() => ['rk', 'figure', 'names', 'pictures'].filter((name) => name in window)") == []


def test_without_scripts_a_still_picture_and_the_answer(open_page, demo, shown):
    page = open_page(demo, scripts=False).page
    for name in shown:
        figure = named(page, shown, name)
        assert not figure.locator("input, select, button").count(), name
        if name in ("where", "which", "start", "asked", "seen"):
            assert leaks(figure) == [] and figure.get_by_text("Predict:").is_visible()
            figure.locator("summary").click()
            assert data(figure)["guess"]["answer"] in told(figure)
        if name in ("computed", "asked", "seen"):
            assert figure.get_by_text("A parabola.").is_visible()
        else:
            image = figure.locator("img")
            assert image.is_visible() and image.bounding_box()["height"] > 100
            told_in_alt = image.get_attribute("alt").endswith(figure.locator(".rk-readout").inner_text())
            assert told_in_alt != (name == "start"), "what can be seen before the guess says nothing of it"


def test_slider_answers_at_once(figure):
    (slider,) = sliders(figure("one"))
    assert answer_time(slider) < 100, "milliseconds"


@pytest.mark.parametrize("width", [1280, 390])
def test_nothing_jumps(open_page, demo, shown, width):
    """What stands below a figure stays where it is, whatever is moved or guessed above it."""
    page = open_page(demo, width=width).page
    for name in shown:
        figure = named(page, shown, name)
        before = height(figure)
        guess(figure)
        assert height(figure) == before, f"{name}: the guess"
        for slider in sliders(figure):
            for key in ("Home", "ArrowRight", "End"):
                slider.press(key)
                assert height(figure) == before, f"{name}: {key}"
        for names in figure.locator("select").all():
            for k in range(names.locator("option").count()):
                names.select_option(index=k)
                assert height(figure) == before, f"{name}: choice {k}"
        for button in figure.get_by_role("button", name="Again").all():
            button.click()
            assert height(figure) == before, f"{name}: button"


def test_skipping_does_not_jump_either(page, figure):
    for name in ("where", "which", "start", "asked"):
        before = height(figure(name))
        figure(name).get_by_role("button", name="Skip").click()
        assert height(figure(name)) == before


def test_room_that_a_widget_reserves(open_page, tmp_path):
    """A read-out as long as it says, and a part that comes later."""
    js = """(root, data, kit) => {
      const result = kit.el("div", {}), text = "words that wrap ".repeat(30);
      root.append(kit.reserve(result, kit.el("p", {}, text)), kit.row(kit.button("Go", () => {
        result.replaceChildren(kit.el("p", {}, text));
        kit.say(text);
      })));
    }"""
    figure = page_widget(js, alt="nothing", longest="words that wrap " * 30)
    path = tmp_path / "page.html"
    path.write_text(PAGE.format(figure.html()), encoding="utf-8")
    for width in (1280, 390):
        (widget,) = figures(open_page(path, width=width).page)
        before = height(widget)
        widget.get_by_role("button", name="Go").click()
        assert "words that wrap" in told(widget) and height(widget) == before


# --- phones


def test_drawing_is_chosen_by_the_width_of_the_figure(open_page, demo, shown):
    for width, narrow in ((1280, 0), (390, 1)):
        page = open_page(demo, width=width).page
        image = named(page, shown, "one").locator(".rk-picture img").first
        expect(image).to_have_attribute("width", str(shown["one"].films[narrow].first.pixels.shape[1]))
    page.set_viewport_size({"width": 1000, "height": 800})
    expect(image).to_have_attribute("width", str(shown["one"].films[0].first.pixels.shape[1]))
    assert image.get_attribute("src").endswith(base64_text(shown["one"].films[0].still))


def test_text_can_be_read_on_a_phone(open_page, demo):
    page = open_page(demo, width=360).page
    sizes = [text_size(each) for each in page.locator("figure.rk:has(.rk-picture)").all()]
    assert len(sizes) == 10 and min(sizes) >= 9


def test_narrow_frames_are_those_that_were_drawn(open_page, demo, shown):
    figure = named(open_page(demo, width=390).page, shown, "one")
    (slider,) = sliders(figure)
    slider.press("Home")
    for theta in THETAS[::4]:
        png = base64.b64decode(figure.evaluate(PIXELS))
        seen = np.asarray(Image.open(io.BytesIO(png)).convert("RGB"))
        assert np.array_equal(seen, shown["one"].static_frame(theta=theta, narrow=True))
        for _ in range(4):
            slider.press("ArrowRight")


def test_controls_stay_on_the_screen_of_a_phone(open_page, demo, shown):
    page = open_page(demo, width=390, height=400).page
    figure = named(page, shown, "photo")
    assert height(figure) > 420, "it is higher than the screen"
    figure.evaluate("figure => window.scrollTo(0, figure.getBoundingClientRect().top + window.scrollY)")
    box = next(sliders(figure)).bounding_box()
    assert 0 <= box["y"] and box["y"] + box["height"] <= 400


# --- the picture in a window of its own


def test_picture_can_be_enlarged(page, figure):
    one = figure("one")
    move(next(sliders(one)), 1.0)
    enlarge = one.get_by_role("button", name="Enlarge the picture")
    enlarge.click()
    dialog = one.get_by_role("dialog")
    expect(dialog).to_be_visible()
    large = dialog.locator("canvas")
    assert large.get_attribute("aria-label") == state(one)["alt"]
    page.wait_for_function("canvas => canvas.width === 480", arg=large.element_handle())
    assert large.bounding_box()["width"] > one.locator(".rk-picture").bounding_box()["width"]
    assert violations(page, within="dialog") == []
    page.keyboard.press("Escape")
    expect(dialog).to_have_count(0)
    assert enlarge.evaluate("button => button === document.activeElement")
    page.keyboard.press("Enter")
    expect(dialog).to_be_visible()
    dialog.get_by_role("button", name="Close").click()
    expect(dialog).to_have_count(0)


def test_picture_is_larger_on_a_phone_too(open_page, demo):
    page = open_page(demo, width=360, height=740).page
    still = page.locator("figure.rk").last
    still.get_by_role("button", name="Enlarge the picture").tap()
    box = still.get_by_role("dialog").bounding_box()
    assert box["x"] >= 0 and box["x"] + box["width"] <= 360 and box["y"] + box["height"] <= 740
    assert still.locator("dialog canvas").bounding_box()["width"] >= 700
    assert still.locator("dialog .rk-scroll").evaluate("node => node.scrollWidth > node.clientWidth")


# --- the dark

CANVAS = """async ([figure, points]) => {
  const canvas = figure.querySelector(".rk-picture canvas"), pen = canvas.getContext("2d");
  return points.map(([x, y]) => [...pen.getImageData(x, y, 1, 1).data.slice(0, 3)]);
}"""


def in_the_dark(page, figure, points):
    """What the picture of a figure shows in the dark at these points: (n, 3)."""
    page.evaluate("document.documentElement.dataset.theme = 'dark'")
    figure.scroll_into_view_if_needed()
    expect(figure.locator(".rk-picture canvas")).to_be_visible()
    return np.array(page.evaluate(CANVAS, [figure.element_handle(), points]))


def luminance(colors):
    c = np.asarray(colors) / 255
    return np.where(c <= 0.04045, c / 12.92, ((c + 0.055) / 1.055) ** 2.4) @ [0.2126, 0.7152, 0.0722]


def contrast(a, b):
    high, low = np.maximum(luminance(a), luminance(b)), np.minimum(luminance(a), luminance(b))
    return (high + 0.05) / (low + 0.05)


def test_drawing_is_dark_in_the_dark_and_its_colours_keep_their_hues(page, figure, shown):
    """What is called blue in the text is blue, and words can be read."""
    pixels = shown["photo"].static_frame(theta=0.5)
    named = [to_rgb(color) for color in COLORS.values()]
    levels = np.round(np.round(np.array(named) * 23) * 255 / 23)  # as frames round them
    places = []
    for color in levels:
        rows, columns = np.nonzero(np.abs(pixels - color).max(-1) <= 4)
        places.append([int(np.median(columns)), int(np.median(rows))])
    seen = in_the_dark(page, figure("photo"), [[2, 2], *places])
    card, colors = seen[0], seen[1:]
    assert np.abs(card - [0x1D, 0x21, 0x25]).max() <= 5, "as the cards of the page"
    assert (contrast(colors, card) >= 4.5).all(), dict(zip(COLORS, contrast(colors, card), strict=True))
    for name, before, after in zip(COLORS, named, colors / 255, strict=True):
        (h, s, _), (hue, saturation, _) = rgb_to_hsv(before), rgb_to_hsv(after)
        if name in ("black", "grey"):
            assert saturation < 0.1, name
        else:
            assert min(abs(h - hue), 1 - abs(h - hue)) < 0.05 and saturation > 0.35, name
            assert s > 0.3


def test_letters_keep_their_contrast_in_the_dark(page, figure, shown):
    """From light to dark and back: black on white was 15 to 1, and is not much less."""
    pixels = shown["photo"].static_frame(theta=0.5)
    row, column = np.argwhere(pixels.sum(-1) < 150)[0]
    card, ink = in_the_dark(page, figure("photo"), [[2, 2], [int(column), int(row)]])
    assert contrast(card, ink) > 10


def test_photographs_stay_as_they_are_in_the_dark(page, figure, shown):
    photo = figure("photo")
    ((x, y, w, h),) = data(photo)["figure"]["drawings"][0]["photos"][0]
    points = [[x + 3, y + 3], [x + w // 2, y + h // 2], [x + w - 4, y + h - 4]]
    for theta, key in ((0.5, "Home"), (1.0, "End")):
        pixels = shown["photo"].static_frame(theta=theta)
        next(sliders(photo)).press(key)
        in_the_dark(page, photo, points)
        page.wait_for_function(
            f"async (given) => {{ const seen = await ({CANVAS})(given[0]); "
            "return seen.every((c, k) => c.every((v, i) => Math.abs(v - given[1][k][i]) <= 1)); }",
            arg=[[photo.element_handle(), points], [pixels[v, u].tolist() for u, v in points]],
        )


def test_light_comes_back(page, figure):
    one = figure("one")
    in_the_dark(page, one, [])
    page.evaluate("document.documentElement.dataset.theme = 'light'")
    expect(one.locator(".rk-picture canvas")).to_be_hidden()
    assert one.locator(".rk-picture img").first.evaluate("image => getComputedStyle(image).opacity") == "1"


# --- paper


def test_on_paper_all_is_light_and_nothing_is_folded(page, figure):
    page.evaluate("document.documentElement.dataset.theme = 'dark'")
    expect(figure("one").locator(".rk-picture canvas")).to_be_visible()
    page.emulate_media(media="print")
    assert figure("one").locator(".rk-picture canvas").is_hidden()
    image = figure("one").locator(".rk-picture img").first
    assert image.evaluate("image => getComputedStyle(image).opacity") == "1"
    color = figure("one").evaluate("figure => getComputedStyle(figure).color")
    assert contrast([255] * 3, [int(v) for v in re.findall(r"\d+", color)]) > 10
    for name in ("where", "which", "asked"):
        assert data(figure(name))["guess"]["answer"] in told(figure(name)), "on paper nobody clicks"
        assert figure(name).locator(".rk-picture, .rk-stage").is_visible()
        assert figure(name).get_by_role("button", name="Skip").is_hidden()
    assert figure("one").evaluate("figure => getComputedStyle(figure).breakInside") == "avoid"


# --- for everybody


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
