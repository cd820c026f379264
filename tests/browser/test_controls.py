"""Every control of every built page, by mouse and by keyboard. In a file of its own: it takes longest."""

from __future__ import annotations

import pytest

from .figures import answer_time, figures, fraction, guess, move, sliders, state

pytestmark = pytest.mark.browser


def test_every_control_works(open_page, path):
    """By mouse and by keyboard, picture, caption and read-out change; and the answer comes at once."""
    page = open_page(path).page
    for number, figure in enumerate(figures(page), start=1):
        where = f"figure {number} of {path.name}"
        first = state(figure)
        said = guess(figure)
        if said is not None:
            assert "You guessed" in said, where
            moved = not figure.locator(".rk-stage").count() and state(figure) != first
            assert not moved, f"{where}: the guess itself moves it"
        for slider in sliders(figure):
            name = f"{where}, {slider.get_attribute('aria-label')}"
            before = state(figure)
            move(slider, 0.93 if fraction(slider) < 0.5 else 0.07)
            assert_changed(before, state(figure), f"{name}, by mouse")
            slider.focus()
            page.keyboard.press("Home")
            low, text = state(figure), slider.get_attribute("aria-valuetext")
            page.keyboard.press("ArrowRight")
            assert slider.get_attribute("aria-valuetext") != text, f"{name}, one step by keyboard"
            page.keyboard.press("End")
            assert_changed(low, state(figure), f"{name}, by keyboard")
            assert answer_time(slider) < 100, f"{name}: milliseconds to an answer"
        for names in figure.locator("select").all():
            seen = []
            for option in range(names.locator("option").count()):
                names.select_option(index=option)
                seen.append(state(figure))
            assert_changed(seen[0], seen[-1], f"{where}, {names.get_attribute('aria-label') or 'list'}")
        if figure.get_by_role("button", name="Play", exact=True).count():
            before = state(figure)
            figure.get_by_role("button", name="Play", exact=True).click()
            page.wait_for_timeout(900)
            figure.locator(".rk-play").click()
            assert_changed(before, state(figure), f"{where}, played")


def assert_changed(before: dict, after: dict, where: str) -> None:
    for part in ("picture", "readout", "caption"):
        assert before[part] != after[part], f"{where}: the {part} does not change"
    assert after["alt"] is None or after["alt"].endswith(after["readout"]), f"{where}: alternative text"
