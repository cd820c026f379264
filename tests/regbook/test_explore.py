"""explore: what it accepts, what it shows, and that its two surfaces show the same."""

import base64
import json
import re
import sys
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest
import torch

from regbook.explore import Choice, Guess, Slider, explore, live, page_widget
from regbook.explore.frames import compose, decode
from regbook.explore.page import once

THETAS = np.logspace(-2, 2, 5)
SIZE = {"figsize": (3.2, 2.0), "dpi": 80}
TEXTS = {"title": "A sine & more", "caption": "Fixed.", "alt": "A curve"}


def draw(figure, theta, view="value"):
    ax = figure.subplots()
    x = np.linspace(0, 6, 200)
    ax.plot(x, (np.sin if view == "value" else np.cos)(x) / (1 + theta))
    ax.set_ylim(-1.1, 1.1)
    return f"The {view} reaches {1 / (1 + theta):.4f}."


def photograph(figure, theta):
    x, y = np.meshgrid(np.linspace(0, 9, 300), np.linspace(0, 5, 200))
    shades = np.sin(x * y + theta) + 0.1 * np.random.default_rng(0).standard_normal(x.shape)
    figure.subplots().imshow(shades, vmin=-1, vmax=1, cmap="gray")


@pytest.fixture(scope="module")
def one():
    return explore(draw, theta=THETAS, start=1.0, **TEXTS, **SIZE)


@pytest.fixture(scope="module")
def two():
    return explore(draw, theta=THETAS, view=["value", "slope"], start={"view": "slope", "theta": 100}, **SIZE)


def page_data(page):
    return json.loads(re.search(r'<script type="application/json">(.*?)</script>', page, re.S)[1])


# --- two surfaces, one picture


@pytest.mark.parametrize("theta", THETAS)
def test_static_frame_is_live_frame(one, theta):
    """Pixel for pixel: what the page shows at a value is what the live figure draws there."""
    assert np.array_equal(one.static_frame(theta=theta), decode(one.frame(theta=theta)))


def test_static_frame_is_live_frame_with_two_parameters(two):
    for theta in THETAS:
        for view in ("value", "slope"):
            static, live_frame = two.static_frame(theta=theta, view=view), two.frame(theta=theta, view=view)
            assert np.array_equal(static, decode(live_frame))


def test_photographs_are_lossy_but_close():
    figure = explore(photograph, theta=[0.0, 0.5, 1.0], **SIZE)
    assert not figure.films[0].lossless
    for narrow in (False, True):
        for theta in (0.0, 0.5, 1.0):
            pixels = figure.drawn({"theta": theta}).drawings[narrow].pixels
            difference = figure.static_frame(theta=theta, narrow=narrow).astype(float) - pixels
            assert np.abs(difference).mean() < 6
        assert len(figure.films[narrow].still) < pixels.nbytes / 5


def test_the_page_holds_these_frames(two):
    page = two.html()
    data = page_data(page)["figure"]
    for narrow, attribute in enumerate(("src", "srcset")):
        changes, k = data["drawings"][narrow]["changes"], 0
        still = base64.b64decode(re.search(rf'{attribute}="data:image/webp;base64,([^"]*)"', page)[1])
        assert len(changes) == len(data["texts"]) == 10
        assert still == two.films[narrow].still == two.frame(theta=100.0, view="slope", narrow=narrow)
        for theta in THETAS:
            for view in ("value", "slope"):
                change = changes[k] and base64.b64decode(changes[k])
                shown = two.frame(theta=theta, view=view, narrow=narrow)
                assert np.array_equal(compose(still, change), decode(shown))
                assert data["texts"][k] == f"The {view} reaches {1 / (1 + theta):.4f}."
                k += 1


def test_frames_are_the_same_in_every_run(one):
    assert one.html() == explore(draw, theta=THETAS, start=1.0, **TEXTS, **SIZE).html()


# --- the bundle and the page


@pytest.fixture
def watched(monkeypatch):
    monkeypatch.setenv("JPY_SESSION_NAME", "notebook.ipynb")


def test_bundle_has_both_surfaces(one, watched):
    bundle = one._repr_mimebundle_()
    assert {"application/vnd.jupyter.widget-view+json", "text/html", "text/plain"} <= set(bundle)
    assert bundle["text/html"] == one.html()


def test_a_program_that_executes_a_notebook_gets_what_the_page_shows(one, monkeypatch):
    """Its outputs are read without a kernel, where a live figure would be dead, and hide the other."""
    monkeypatch.delenv("JPY_SESSION_NAME", raising=False)
    assert set(one._repr_mimebundle_()) == {"text/html", "text/plain"}


@pytest.mark.parametrize("where", ["VS Code", "Colab"])
def test_editors_that_are_no_jupyter_servers_get_the_live_figure(one, monkeypatch, where):
    monkeypatch.delenv("JPY_SESSION_NAME", raising=False)
    if where == "VS Code":
        shell = SimpleNamespace(user_ns={"__vsc_ipynb_file__": "notebook.ipynb"})
        monkeypatch.setattr("IPython.get_ipython", lambda: shell)
    else:
        monkeypatch.setitem(sys.modules, "google.colab", ModuleType("google.colab"))
    assert "application/vnd.jupyter.widget-view+json" in one._repr_mimebundle_()


def test_without_ipywidgets_jupyter_shows_the_page(one, watched, monkeypatch):
    monkeypatch.delitem(sys.modules, "regbook.explore.live")
    monkeypatch.setitem(sys.modules, "ipywidgets", None)
    assert set(one._repr_mimebundle_()) == {"text/html", "text/plain"}


def test_no_other_missing_module_is_passed_over(one, watched, monkeypatch):
    monkeypatch.setitem(sys.modules, "regbook.explore.live", None)
    with pytest.raises(ModuleNotFoundError, match=r"regbook\.explore\.live"):
        one._repr_mimebundle_()


def test_page_needs_nothing_from_elsewhere(one):
    page = one.html()
    assert not re.search(r"""(?:src|href)=["'](?!data:)""", page)
    assert "@import" not in page and "url(" not in page
    assert "http" not in page.replace("http://www.w3.org/2000/svg", "")
    assert not re.search(r'\sid="', page), "ids would clash where a page holds two figures"


def test_the_code_of_all_figures_stands_in_a_page_once(one):
    widget = page_widget("(root) => {}", alt="nothing").html()
    page = f"<p>above</p>{one.html()}<p>between</p>{widget}<p>below</p>"
    short = once(page)
    for word in ("const pictures =", "const rk =", "Object.assign(rk", ".rk .rk-picture {"):
        assert short.count(word) == 1 <= page.count(word)
    assert len(page) - len(short) > 20_000, "bytes, for two figures"
    assert re.sub(r"<(style|script).*?</\1>", "", short, flags=re.S) == re.sub(
        r"<(style|script).*?</\1>", "", page, flags=re.S
    )
    assert page_data(short) == page_data(page) and short.count("\nrk.start(figure, rk.") == 2
    assert once("<p>no figure</p>") == "<p>no figure</p>"


def test_page_has_caption_and_alternative_text(one):
    page = one.html()
    assert "A sine &amp; more" in page and ">Fixed.</p>" in page
    assert 'alt="A curve. The value reaches 0.5000."' in page
    assert re.search(r'class="rk-readout"[^>]*>The value reaches 0.5000.</p>', page)
    assert re.search(r'<img class="dark-light" width="256" height="160"', page), (
        "the size is known before the picture is decoded"
    )


def test_page_survives_any_text():
    nasty = "</script><b>&\"'"
    figure = explore(
        lambda fig, k: nasty, k=[1, 2], title=nasty, caption=nasty, alt=nasty, guess=nasty, **SIZE
    )
    page = figure.html()
    assert page.count("</script>") == 2 and "<b>" not in page
    assert page_data(page)["figure"]["texts"][0] == nasty


def test_readout_falls_back_to_the_values():
    figure = explore(lambda fig, theta, view: None, theta=[0.5, 1.0], view={"one": 1, "two": 2}, **SIZE)
    assert figure.texts[:2] == ["θ = 0.5, view = one.", "θ = 0.5, view = two."]


# --- sliders


@pytest.mark.parametrize(
    "values",
    [
        np.logspace(-3, 4, 22),
        [0.0, *np.logspace(-2, 3, 6)],
        np.linspace(-1, 2, 7),
        [4.0, 2.0, 1.0, 0.5],
        range(10),
        [1, 2, 5, 10, 20, 50],
    ],
)
def test_positions_and_values_are_inverse(values):
    slider = explore(lambda fig, v: None, v=values, **SIZE).parameters["v"]
    assert [slider.value_at(k) for k in range(len(values))] == list(values), "at a frame, its exact value"
    assert [slider.position(v) for v in slider.values] == pytest.approx(list(range(len(values))))
    if isinstance(slider.values[0], float):
        for position in np.linspace(0, len(values) - 1, 31):
            assert slider.position(slider.value_at(position)) == pytest.approx(position, abs=1e-9)


def test_logarithmic_spacing_is_recognised():
    assert Slider(list(np.logspace(-3, 4, 22))).is_log and Slider([0.0, 1.0, 10.0, 100.0]).is_log
    assert not Slider(list(np.linspace(1, 9, 5))).is_log and not Slider([-1.0, 0.0, 10.0]).is_log
    assert Slider([1.0, 10.0, 100.0]).value_at(0.5) == pytest.approx(10**0.5)
    assert Slider([0.0, 1.0, 10.0, 100.0]).value_at(0.5) == 0.5, "from zero on, evenly"


def test_whole_numbers_stay_whole():
    seen = []
    figure = explore(lambda fig, count: seen.append(count), count=[1, 10, 100], **SIZE)
    assert all(type(v) is int for v in seen)
    between = figure.parameters["count"].value_at(0.5)
    assert between == 3 and type(between) is int


def test_labels_units_and_formats():
    parameters = {"lam": Slider([1.0, 2.0], unit="mm", format=".2f"), "step_size": Slider([1, 2], label="h")}
    figure = explore(lambda fig, lam, step_size: None, **parameters, **SIZE)
    assert [p.label for p in figure.parameters.values()] == ["λ", "h"]
    assert figure.texts[0] == "λ = 1.00 mm, h = 1."
    assert (
        explore(lambda fig, my_name: None, my_name=Choice({"a": 1, "b": 2}), **SIZE).texts[1]
        == "my name = b."
    )


def test_tensors_and_ranges_are_sequences():
    assert len(explore(lambda fig, k: None, k=torch.linspace(0, 1, 3), **SIZE).positions) == 3
    assert len(explore(lambda fig, k: None, k=range(4), **SIZE).positions) == 4


# --- errors


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({}, "expected one or two parameters to slide over, got 0: none"),
        ({"a": [1, 2], "b": [1, 2], "c": [1, 2]}, "got 3: a, b, c"),
        ({"theta": []}, "expected two or more finite numbers"),
        ({"theta": [1.0]}, "expected two or more finite numbers"),
        ({"theta": [1.0, float("nan")]}, "finite"),
        ({"theta": [1.0, 3.0, 2.0]}, "rising or falling, for theta"),
        ({"theta": [1.0, 1.0]}, "rising or falling"),
        ({"theta": 3.0}, "expected a sequence of numbers or of names for theta, got 3.0"),
        ({"theta": "value"}, "expected a sequence"),
        ({"theta": [1.0, None]}, "expected numbers, or names, for theta"),
        ({"theta": [1, "two"]}, "expected numbers, or names, for theta"),
        ({"view": ["one"]}, "expected two or more names for view"),
        ({"theta": range(121)}, "expected at most 120 frames, got 121"),
        ({"theta": range(20), "view": list("abcdefg")}, "got 140"),
    ],
)
def test_bad_parameters_are_refused(parameters, message):
    with pytest.raises(ValueError, match=message):
        explore(lambda fig, **values: None, **parameters, **SIZE)


def test_bad_start_guess_and_readout_are_refused():
    nothing = lambda fig, **values: None  # noqa: E731
    with pytest.raises(ValueError, match="expected a start for theta, got one for eta"):
        explore(nothing, theta=[1, 2], start={"eta": 1}, **SIZE)
    with pytest.raises(ValueError, match=r"expected a start among \['a', 'b'\], got 'c'"):
        explore(nothing, view=["a", "b"], start="c", **SIZE)
    with pytest.raises(ValueError, match="no slider to guess on"):
        explore(nothing, view=["a", "b"], guess="Which?", **SIZE)
    with pytest.raises(ValueError, match="expected an answer from 0 to 1, got 2"):
        Guess("Which?", options=["a", "b"], answer=2)
    with pytest.raises(ValueError, match='expected before="nothing" or before="start", got \'all\''):
        Guess("Which?", options=["a", "b"], before="all")
    with pytest.raises(ValueError, match="expected draw to return a text or None, got int"):
        explore(lambda fig, k: 1, k=[1, 2], **SIZE)


def test_errors_of_draw_fail_the_build():
    with pytest.raises(ZeroDivisionError):
        explore(lambda fig, k: f"{1 / k}", k=[2, 1, 0], **SIZE)


# --- the live figure


def find(widget, kind):
    found = [widget] if type(widget).__name__ == kind else []
    return found + [hit for child in getattr(widget, "children", ()) for hit in find(child, kind)]


def test_live_figure_draws_any_value(two):
    view = live.view(two)
    (picture,), (slider,), (number,) = (find(view, k) for k in ("Image", "FloatSlider", "BoundedFloatText"))
    (names,) = find(view, "Dropdown")
    assert picture.value == two.frame(theta=100.0, view="slope")
    slider.value = 2.5  # between two frames
    between = 10**0.5
    assert picture.value == two.frame(theta=between, view="slope")
    assert number.value == pytest.approx(between, rel=1e-3)
    assert any(f"The slope reaches {1 / (1 + between):.4f}." in text.value for text in find(view, "HTML"))
    number.value = 37.0
    assert picture.value == two.frame(theta=37.0, view="slope")
    assert slider.value == pytest.approx(two.parameters["theta"].position(37.0))
    names.value = "value"
    assert picture.value == two.frame(theta=37.0, view="value")
    slider.value = 1.0
    assert picture.value == two.frame(theta=0.1, view="value"), "at a frame, the exact value"


def test_typed_number_survives_the_rounding_of_the_slider(one):
    """The slider in the browser has steps, and tells the kernel where it has put itself."""
    view = live.view(one)
    (slider,), (number,) = find(view, "FloatSlider"), find(view, "BoundedFloatText")
    number.value = 37.0
    drawn = find(view, "Image")[0].value
    slider.value = round(slider.value / slider.step) * slider.step
    assert number.value == 37.0 and find(view, "Image")[0].value == drawn
    slider.value += slider.step
    assert number.value > 37.0 and find(view, "Image")[0].value != drawn


def test_live_figure_plays(one):
    view = live.view(one)
    (play,), (slider,) = find(view, "Play"), find(view, "FloatSlider")
    play.value = 3
    assert slider.value == 3 and find(view, "Image")[0].value == one.frame(theta=THETAS[3])


def test_live_figure_shows_errors_of_draw():
    def fragile(figure, theta):
        if 1 < theta < 2:
            raise ArithmeticError("between one & two")
        return "fine"

    view = live.view(explore(fragile, theta=[1.0, 2.0, 3.0], **SIZE))
    (slider,), (picture,) = find(view, "FloatSlider"), find(view, "Image")
    slider.value = 0.5
    shown = [
        text.value for text in find(view, "HTML") if "ArithmeticError: between one &amp; two" in text.value
    ]
    assert shown and "role='alert'" in shown[0] and picture.layout.display == "none"
    slider.value = 1.0
    assert not any("ArithmeticError" in text.value for text in find(view, "HTML"))
    assert picture.layout.display != "none"


# --- predictions


def test_guess_on_the_slider_is_in_the_page():
    guess = Guess("Where?", answer=10.0, explain="Because.")
    page = explore(draw, theta=THETAS, guess=guess, **SIZE).html()
    expected = {"question": "Where?", "options": None, "answer": "θ ≈ 10. Because.", "on": 0, "place": 0.75}
    assert page_data(page)["guess"] == expected | {"before": "nothing"}
    assert '<div class="rk-asked"><p>Predict: Where?</p></div>' in page


@pytest.mark.parametrize("before", ["nothing", "start"])
def test_without_scripts_what_answers_is_folded_away(before):
    guess = Guess("Where?", answer=10.0, explain="Because.", before=before)
    page = explore(draw, theta=THETAS, guess=guess, caption="Fixed.", **SIZE).html()
    page = re.sub(r"<(style|script).*?</\1>", "", page, flags=re.S)
    open_part, folded = page.split('<details class="rk-after">')
    assert "Where?" in open_part and ("<picture>" in open_part) == (before == "start")
    assert not re.search(r"Because|Fixed|rk-readout", open_part)
    assert all(word in folded for word in ("Because.", "Fixed.", "The value reaches"))


def test_guess_among_options_is_in_the_page():
    guess = Guess("Which?", options=["this", "that"], answer=1, explain="Look.")
    page = explore(draw, theta=THETAS, guess=guess, **SIZE).html()
    assert page_data(page)["guess"]["answer"] == "Answer: that. Look."
    assert page_data(page)["guess"]["place"] is None
    assert (
        page_data(page_widget("() => {}", alt="x", guess=guess).html())["guess"]["answer"]
        == "Answer: that. Look."
    )


def seen(widget):
    """The widgets that are to be seen, in their order."""
    if widget.layout.display == "none":
        return []
    return [widget, *(hit for child in getattr(widget, "children", ()) for hit in seen(child))]


def kinds(widget, *names):
    return [part for part in seen(widget) if type(part).__name__ in names]


def words(widget):
    return " ".join(part.value for part in kinds(widget, "HTML"))


@pytest.mark.parametrize("before", ["nothing", "start"])
def test_live_figure_answers_nothing_before_the_guess(before):
    guess = Guess("Where?", answer=10.0, explain="Because.", before=before)
    view = live.view(explore(draw, theta=THETAS, guess=guess, caption="Fixed.", **SIZE))
    assert len(kinds(view, "Image")) == (before == "start") and not kinds(view, "FloatSlider")
    assert "Where?" in words(view) and not re.search(r"Because|Fixed|reaches", words(view))
    (pick,), (sure, _skip) = kinds(view, "SelectionSlider"), kinds(view, "Button")
    assert sure.disabled, "an untouched slider is no guess"
    pick.value = 1
    assert not sure.disabled
    sure.click()
    assert all(
        word in words(view) for word in ("Because.", "Fixed.", "reaches", "You guessed θ = 0.1.", "θ ≈ 10.")
    )
    assert "left:25.00%" in words(view) and "left:75.00%" in words(view), "both are marked on the slider"
    assert kinds(view, "Image") and kinds(view, "FloatSlider") and not kinds(view, "Button")


def test_live_guess_among_options():
    guess = Guess("Which?", options=["this", "that"], answer=0)
    view = live.view(explore(draw, theta=THETAS, guess=guess, **SIZE))
    sure, _skip = kinds(view, "Button")
    assert sure.disabled and "this." not in words(view)
    kinds(view, "RadioButtons")[0].index = 1
    sure.click()
    assert "You guessed: that" in words(view) and "this." in words(view)


def test_live_guess_can_be_skipped():
    view = live.view(explore(draw, theta=THETAS, guess=Guess("Where?", answer=10.0), **SIZE))
    kinds(view, "Button")[1].click()
    assert not kinds(view, "Button") and "You guessed" not in words(view) and "θ ≈ 10." in words(view)


# --- figures that the page computes


def test_page_widget_carries_numbers():
    data = {"c": torch.arange(6, dtype=torch.float64).reshape(2, 3), "k": np.float32([1.5]), "n": np.int64(3),
            "i": np.arange(3), "text": "<b>", "nested": [{"x": np.array([2.0])}]}  # fmt: skip
    page = page_widget("(root, data, kit) => {};", data, alt="numbers", still="<p>still</p>").html()
    sent = page_data(page)["figure"]
    assert sent["c"]["$array"] == "float64" and sent["c"]["shape"] == [2, 3]
    assert np.frombuffer(base64.b64decode(sent["c"]["base64"])).tolist() == [0, 1, 2, 3, 4, 5]
    assert sent["k"]["$array"] == "float32" and sent["n"] == 3 and sent["i"]["$array"] == "float64"
    assert sent["nested"][0]["x"]["shape"] == [1] and sent["text"] == "<b>"
    assert "<p>still</p>" in page and 'aria-label="numbers"' in page and "\\u003cb>" in page


def test_page_widget_is_html_only():
    bundle = page_widget("(root) => {}", alt="x")._repr_mimebundle_()
    assert set(bundle) == {"text/html", "text/plain"}


@pytest.mark.parametrize("js", ["", 3, "let x = 1", "() => '</script>'"])
def test_page_widget_refuses_what_is_no_function(js):
    with pytest.raises(ValueError, match="expected the source of a function"):
        page_widget(js, alt="x")


@pytest.mark.parametrize("data", [object(), {"x": float("nan")}, {"x": np.array(["a"])}])
def test_page_widget_refuses_other_data(data):
    with pytest.raises(ValueError):
        page_widget("() => {}", data, alt="x")
