"""Every page of the built book by the Web Content Accessibility Guidelines, levels A and AA: axe-core."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page

from .figures import figures, guess, too_wide, violations

pytestmark = pytest.mark.browser


def open_all(page: Page) -> None:
    """Answer the questions of the figures and unfold what is folded."""
    for figure in figures(page):
        guess(figure)
    for summary in page.locator("article summary").all():
        summary.evaluate("summary => { summary.parentElement.open = true; }")


def test_page_in_the_light(open_page, path):
    page = open_page(path).page
    assert page.evaluate("document.documentElement.dataset.theme") == "light"
    asked = violations(page, within=".rk-predict") if page.locator(".rk-predict").count() else []
    open_all(page)
    assert asked + violations(page) == []


def test_page_in_the_dark(open_page, path):
    """What the dark can spoil: contrasts."""
    page = open_page(path, dark=True).page
    assert page.evaluate("document.documentElement.dataset.theme") == "dark"
    rules = ["color-contrast", "link-in-text-block"]
    asked = violations(page, rules, ".rk-predict") if page.locator(".rk-predict").count() else []
    open_all(page)
    assert asked + violations(page, rules) == []


def test_page_on_a_phone(open_page, path):
    """Nothing makes the page scroll sideways, and what a phone rearranges stays accessible."""
    page = open_page(path, width=360, height=740).page
    open_all(page)
    assert too_wide(page) == []
    assert violations(page, without=["color-contrast"]) == []
