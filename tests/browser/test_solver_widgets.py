"""The computed figures of chapters 9 and 10 say what their data say."""

from __future__ import annotations

import base64
import json
import re
from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import Locator, Page

from regbook import records

pytestmark = pytest.mark.browser


def opened(open_page, book: Path, chapter: str, title: str) -> tuple[Page, Locator]:
    """The page of a chapter and its figure with this title, with the question skipped."""
    page = open_page(book / "book" / f"{chapter}.html").page
    figure = page.locator("figure.rk").filter(has_text=title).first
    skip = figure.get_by_role("button", name="Skip")
    if skip.count():
        skip.click()
    return page, figure


def slide(slider: Locator, value: float) -> None:
    slider.evaluate("(s, v) => { s.value = v; s.dispatchEvent(new Event('input', {bubbles: true})); }", value)


def number(text: str) -> float:
    """0.12, or 8·10⁴."""
    digits, _, power = text.partition("·10")
    exponent = power.translate(str.maketrans("⁻⁰¹²³⁴⁵⁶⁷⁸⁹", "-0123456789")) or "0"
    return float(digits) * 10.0 ** int(exponent)


def test_differentiated_iterations_agree_with_the_record(open_page, book):
    record = records.load("differentiating_cg.npz")
    _, figure = opened(open_page, book, "09_differentiating_cg", "How many of the iterations")
    total, percent = figure.locator("input[type=range]").all()
    readout = figure.locator(".rk-readout")
    for place in ((0, 3, 4), (0, 3, 6), (0, 2, 9), (1, 2, 6), (2, 1, 3), (3, 3, 1), (3, 0, 0)):
        tail, n, p = place
        figure.locator("select").select_option(index=tail)
        slide(total, n)
        slide(percent, p)
        text, figures = readout.inner_text(), r"([\d.]+(?:·10[⁻⁰¹²³⁴⁵⁶⁷⁸⁹]+)?)"
        said = re.search(rf"relative error is {figures}(?: to {figures})?", text)
        least, most = (float(bound(record["jacobian_error"][place])) for bound in (np.min, np.max))
        assert number(said[1]) == pytest.approx(least, rel=0.06), text
        assert number(said[2] or said[1]) == pytest.approx(most, rel=0.06), text
        none = float(np.median(record["jacobian_error"][(tail, n, 0)]))
        if p:  # it says by how much the Jacobian is worse than none, or better, or that it is either
            words = "smaller than" if most < none else "times that" if least > none else "above or below"
            assert words in text
        assert text.startswith(f"{record['totals'][n]} iterations")
        ends = 100 * record["image_error"][place][:, -1]
        said = [float(v) for v in re.findall(r"(\d+\.\d) %|between (\d+\.\d)", text)[-1] if v]
        assert min(abs(said[0] - end) for end in ends) < 0.06, text


def test_work_and_accuracy_agree_with_the_curves(open_page, book):
    page, figure = opened(open_page, book, "10_inexact_projection", "What a smaller error costs")
    data = json.loads(figure.locator("script[type='application/json']").text_content())["figure"]

    def values(given):
        if isinstance(given, dict):
            return np.frombuffer(base64.b64decode(given["base64"]), dtype=given["$array"])
        return np.array(given, dtype=float)

    budget = figure.locator("input[type=range]").first
    figure.get_by_role("button", name="all", exact=True).click()
    for position in (2.6, 3.1, 4.2):
        slide(budget, position)
        reached = []
        for curve in data["curves"]:
            errors = values(curve["errors"])[values(curve["products"]) <= 10**position]
            reached += [(errors[-1], curve["name"])] if len(errors) else []
        best = sorted(reached)[0]
        text = figure.locator(".rk-readout").inner_text()
        assert f": {best[1]} {best[0]:.1f} %" in text
    figure.get_by_role("button", name="no curve").click()
    assert "No curve is ticked" in figure.locator(".rk-readout").inner_text()
    figure.locator("input[type=checkbox]").first.focus()
    page.keyboard.press("Space")
    assert "Nearest of the 1 ticked" in figure.locator(".rk-readout").inner_text()


def test_a_bet_is_answered_and_counted(open_page, book):
    """Chapter 12: nothing answers before the bet; after it the verdict, the numbers and the score."""
    _, figure = opened(open_page, book, "12_reproduction", "Bet on the paper")
    answer, said = figure.locator("dl:visible:not(.rk-ghost *)"), figure.locator(".rk-readout")
    assert answer.count() == 0 and "What do you bet?" in said.inner_text()
    figure.get_by_role("button", name="holds", exact=True).click()
    assert answer.count() == 1 and re.search(r"You bet: holds\..* [01] of 1 bet right", said.inner_text())
    figure.get_by_role("button", name="comes out differently").click(force=True)  # one bet a claim
    assert "You bet: holds." in said.inner_text()
    figure.get_by_role("button", name="Next claim").click()
    assert answer.count() == 0 and said.inner_text().startswith("Claim 2 of")
    figure.get_by_role("button", name=re.compile("Claim 1: bet (right|wrong)")).click()
    assert answer.count() == 1 and "You bet: holds." in said.inner_text()
