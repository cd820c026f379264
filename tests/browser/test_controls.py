"""Every control of every built page, by mouse and by keyboard. In a file of its own: it takes longest."""

from __future__ import annotations

import pytest
from playwright.sync_api import Locator, Page

from .figures import (
    answer_time,
    figures,
    fraction,
    guess,
    move,
    sliders,
    state,
    stop_the_clock,
    wait_for_change,
)

pytestmark = pytest.mark.browser


def test_every_control_works(open_page, path):
    """By mouse and by keyboard, picture, caption and read-out change, and the answer comes at once."""
    if 'class="rk"' not in path.read_text(encoding="utf-8"):
        pytest.skip("a page without figures")
    page = open_page(path).page
    for number, figure in enumerate(figures(page), start=1):
        where = f"figure {number} of {path.name}"
        first = state(figure)
        said = guess(figure)
        if said is not None:
            assert "You guessed" in said, where
            moved = not figure.locator(".rk-stage").count() and state(figure)["picture"] != first["picture"]
            assert not moved, f"{where}: the guess itself moves it"
        for slider in sliders(figure):
            name = f"{where}, {slider.get_attribute('aria-label')}"
            before = state(figure)
            move(slider, 0.93 if fraction(slider) < 0.5 else 0.07)
            wait_for_change(figure, before, f"{name}, by mouse")
            slider.focus()
            page.keyboard.press("Home")
            low, text = state(figure), slider.get_attribute("aria-valuetext")
            page.keyboard.press("ArrowRight")
            assert slider.get_attribute("aria-valuetext") != text, f"{name}, one step by keyboard"
            page.keyboard.press("End")
            wait_for_change(figure, low, f"{name}, by keyboard")
            assert answer_time(slider) < 100, f"{name}: milliseconds to an answer"
        for names in figure.locator("select").all():
            names.select_option(index=0)
            before = state(figure)
            names.select_option(index=names.locator("option").count() - 1)
            wait_for_change(figure, before, f"{where}, {names.get_attribute('aria-label') or 'list'}")

    stop_the_clock(page)
    for number, figure in enumerate(figures(page), start=1):
        assert_plays(page, figure, f"figure {number} of {path.name}")


def assert_plays(page: Page, figure: Locator, where: str) -> None:
    """From its start to its end, while the page's clock goes only where the test lets it."""
    if not figure.get_by_role("button", name="Play", exact=True).count():
        return
    figure.locator(".rk-row:has(button[aria-label='Play']) input[type=range]").press("Home")
    before = state(figure)
    figure.get_by_role("button", name="Play", exact=True).click()
    seen = [state(figure)]
    while figure.get_by_role("button", name="Pause", exact=True).count():
        page.clock.run_for(500)
        seen.append(state(figure))
        assert len(seen) < 500, f"{where} plays on and on"
    for part in ("picture", "readout", "caption"):
        assert {each[part] for each in seen} != {before[part]}, f"{where}: one {part} only"
