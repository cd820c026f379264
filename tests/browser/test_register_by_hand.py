"""Register by hand: what the page computes is what regkit computes, by mouse, by finger and by keyboard."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from playwright.sync_api import Locator, Page

from regbook import widgets
from regkit import data
from regkit.optimize import newton_trust
from regkit.registration import Registration
from regkit.transforms import Affine

from .figures import answer_time, sliders, too_wide, violations

pytestmark = pytest.mark.browser

THETA = 0.1
PAGE = """<!doctype html><html lang="en"><head><meta charset="utf-8"><title>By hand</title>
<meta name="viewport" content="width=device-width, initial-scale=1"><style>
body {{ margin: 8px; font-family: sans-serif }} html[data-theme="dark"] {{ background: #121212; color: #eee }}
</style></head><body><main><h1>By hand</h1>{}</main></body></html>"""


@pytest.fixture(scope="module")
def pair() -> data.Pair:
    return data.hands_phantom(64)


@pytest.fixture(scope="module")
def objective(pair):
    about = Affine(center=(10, 12.5))
    return Registration(pair.template, pair.reference, pair.grid, about).at(THETA)


@pytest.fixture(scope="module")
def path(pair, tmp_path_factory) -> Path:
    """The figure in a page of its own."""
    figure = widgets.register_by_hand(pair, THETA, reach=6.0, title="Register by hand", alt="Two hands")
    file = tmp_path_factory.mktemp("by_hand") / "page.html"
    file.write_text(PAGE.format(figure.html()), encoding="utf-8")
    return file


def shown(page: Page) -> tuple[torch.Tensor, float]:
    """The parameters and the loss that the page stands at."""
    data = page.locator(".rk-stage").evaluate("stage => ({...stage.dataset})")
    return torch.tensor(json.loads(data["w"]), dtype=torch.float64), float(data["loss"])


def assert_as_regkit(page: Page, objective) -> torch.Tensor:
    w, loss = shown(page)
    assert loss == pytest.approx(float(objective.loss(w)), rel=1e-9)
    return w


def slider(page: Page, name: str) -> Locator:
    return page.get_by_role("slider", name=name, exact=True)


def put(page: Page, **values) -> None:
    for name, value in values.items():
        slider(page, name).evaluate(
            "(s, v) => { s.value = v; s.dispatchEvent(new Event('input', {bubbles: true})); }", value
        )


def finish(page: Page) -> None:
    """Let Newton finish, and go to its last step."""
    page.get_by_role("button", name="Let Newton finish").click()
    slider(page, "step").press("End")


def test_losses_are_those_of_regkit(open_page, path, objective):
    page = open_page(path).page
    w = assert_as_regkit(page, objective)
    assert torch.equal(w, torch.tensor([1.0, 0, 0, 1, 0, 0], dtype=torch.float64))
    for values in (
        {"turn": -40},
        {"right": 3.5, "up": -2.2},
        {"width": 1.3, "height": 0.8, "shear": 0.35},
        {"turn": 177.5, "right": -6, "up": 6},
    ):
        put(page, **values)
        assert_as_regkit(page, objective)


def test_parameters_mean_what_they_say(open_page, path):
    """A turn by 90° and a shift of the template are, seen from the reference, the inverse map."""
    page = open_page(path).page
    put(page, turn=90, right=1, up=2)
    w, _ = shown(page)
    A, b = w[:4].reshape(2, 2), w[4:]
    turn = torch.tensor([[0.0, -1.0], [1.0, 0.0]], dtype=torch.float64)
    assert torch.allclose(A @ turn, torch.eye(2, dtype=torch.float64), atol=1e-12)
    assert torch.allclose(turn @ b, torch.tensor([-1.0, -2.0], dtype=torch.float64), atol=1e-12)


def assert_waiting(page: Page) -> None:
    """The table has the reader's numbers, and none of Newton's and of the truth's."""
    rows = [row.locator("td").all_inner_texts() for row in page.locator("table:visible tbody tr").all()]
    assert [row[1:] for row in rows] == [["?", "?"]] * 8 and rows[-1][0] == "?"
    for row, name in zip(rows, ("turn", "right", "up", "width", "height", "shear"), strict=False):
        value = slider(page, name).get_attribute("aria-valuetext").partition(" = ")[2]
        assert row[0] == value.rstrip("° cm")
    assert rows[-2][0] in page.locator(".rk-readout").inner_text()


def test_before_newton_the_table_follows_the_reader_and_gives_nothing_away(open_page, path):
    page = open_page(path).page
    assert_waiting(page)
    put(page, turn=-40, up=1.5, width=1.2)
    assert_waiting(page)


def test_newton_in_the_page_ends_where_regkit_does(open_page, path, objective):
    page = open_page(path).page
    page.get_by_label("start").select_option("nearly there")
    start = assert_as_regkit(page, objective)
    finish(page)
    w, loss = shown(page)
    ours = newton_trust(objective, start)
    assert loss == pytest.approx(ours.loss, rel=1e-9)
    assert torch.allclose(w, ours.x, atol=1e-6)
    assert "Newton is home" in page.locator("p[role=status]:visible").inner_text()
    cells = page.locator("table:visible tr").last.locator("td").all_inner_texts()
    assert float(cells[1]) < 0.05 and cells[2] == "0"


def test_newton_from_afar_converges_and_is_lost(open_page, path, objective):
    page = open_page(path).page
    finish(page)
    _, loss = shown(page)
    ours = newton_trust(objective, objective.problem.transform.identity())
    assert loss == pytest.approx(ours.loss, rel=1e-6) and loss > 0.4 * ours.history[0].loss
    assert "the bottom of another valley" in page.locator("p[role=status]:visible").inner_text()


def test_a_move_after_newton_starts_from_there(open_page, path, objective):
    page = open_page(path).page
    page.get_by_label("start").select_option("nearly there")
    finish(page)
    assert "?" not in page.locator("table:visible").inner_text()
    put(page, right=0.5)
    assert_as_regkit(page, objective)
    assert_waiting(page)
    assert page.get_by_role("button", name="Play").count() == 0


def test_drag_and_knob(open_page, path, objective):
    """Dragging by a tenth of the picture moves by 2 cm; a quarter circle with the knob turns by 90°."""
    page = open_page(path).page
    canvas = page.locator("canvas.by-hand")
    canvas.scroll_into_view_if_needed()
    box = canvas.bounding_box()
    cm = box["width"] / 20

    def drag(x, y, to_x, to_y):
        page.mouse.move(box["x"] + x * cm, box["y"] + (25 - y) * cm)
        page.mouse.down()
        page.mouse.move(box["x"] + (x + to_x) / 2 * cm, box["y"] + (25 - (y + to_y) / 2) * cm)
        page.mouse.move(box["x"] + to_x * cm, box["y"] + (25 - to_y) * cm)
        page.mouse.up()

    drag(10, 18, 15.5, 12.5)
    assert float(slider(page, "turn").input_value()) == pytest.approx(-90, abs=1)
    assert float(slider(page, "width").input_value()) == pytest.approx(1, abs=0.02)
    drag(6, 6, 8, 7)
    assert float(slider(page, "right").input_value()) == pytest.approx(2, abs=0.06)
    assert float(slider(page, "up").input_value()) == pytest.approx(1, abs=0.06)
    assert_as_regkit(page, objective)


def test_keyboard(open_page, path, objective):
    page = open_page(path).page
    page.locator("canvas.by-hand").focus()
    for key in ("ArrowRight", "ArrowRight", "ArrowUp", "q", "q", "q", "e", "+"):
        page.keyboard.press(key)
    w = assert_as_regkit(page, objective)
    assert abs(float(torch.linalg.det(w[:4].reshape(2, 2))) - 1.01**-2) < 1e-9
    readout = page.locator(".rk-readout").inner_text()
    assert "Turn 2.0°, right 0.20 cm, up 0.10 cm, width 1.010, height 1.010" in readout
    page.get_by_role("button", name="Let Newton finish").press("Enter")
    slider(page, "step").press("End")
    assert "Newton, step" in page.locator(".rk-readout").inner_text()


@pytest.mark.parametrize("look", ["light", "dark", "phone"])
def test_readable_everywhere(open_page, path, look):
    page = open_page(path, dark=look == "dark", width=360 if look == "phone" else 1280).page
    if look == "dark":
        page.evaluate("document.documentElement.dataset.theme = 'dark'")
    finish(page)
    assert violations(page) == [] and too_wide(page) == []
    stage, table = page.locator(".rk-stage").bounding_box(), page.locator("table:visible").bounding_box()
    assert table["x"] + table["width"] <= stage["x"] + stage["width"]
    assert slider(page, "step").bounding_box()["width"] > 80


def test_answers_at_once(open_page, path):
    page = open_page(path).page
    for each in sliders(page.locator("figure")):
        assert answer_time(each) < 100, "milliseconds"
