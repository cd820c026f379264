"""Every page as readers meet it: wide and on a phone, light and dark, before and after they have guessed.

Each page is opened once a kind of screen, for that takes longest; other widths are tried by resizing.
"""

from __future__ import annotations

import pytest
from playwright.sync_api import Page

from tests.words import strange

from .figures import AT_REST, data, faint, figures, guess, height, told, too_wide, violations
from .walks import CROWDED, MOVES, OUT_OF_VIEW, SIZES, SMALLEST, STRAYS, UNMARKED, spoilers

pytestmark = pytest.mark.browser

LOADED = """async () => {
  await window.MathJax?.startup?.promise;
  await document.fonts.ready;
  const seen = [...document.images].filter((image) => image.checkVisibility());
  for (const image of seen) image.loading = "eager";
  await Promise.allSettled(seen.map((image) => image.decode()));
  await new Promise((resolve) => requestIdleCallback(resolve));
  return seen.filter((image) => !image.naturalWidth).map((image) => image.src.slice(0, 99));
}"""
CONTRAST = ["color-contrast", "link-in-text-block"]  # what the dark can spoil
ALIKE = ("mjx-container", "pre")  # formulas and code have the same colours on all pages


def put(page: Page, width: int) -> None:
    page.set_viewport_size({"width": width, "height": page.viewport_size["height"]})


def paint(page: Page, theme: str) -> None:
    page.evaluate("theme => { document.documentElement.dataset.theme = theme; }", theme)


def narrower(page: Page, widths: list[int], look) -> list[str]:
    """What `look` finds at these widths; afterwards the page is as wide as before."""
    first, found = page.viewport_size["width"], []
    for width in widths:
        put(page, width)
        found += [f"at {width} px: {words}" for words in look(page)]
    put(page, first)
    return found


def answer_all(page: Page) -> list[str]:
    """Make a guess at every figure that asks for one. What does not appear, and what moves the page below?"""
    found = []
    for figure in figures(page):
        before = height(figure)
        if (said := guess(figure)) is None:
            continue
        seen, sent = told(figure), data(figure)["guess"]
        parts = {
            "the guess": said in seen,
            "the answer": " ".join(sent["answer"].split()) in seen,
            "the read-out": figure.locator(".rk-readout").is_visible(),
            "the picture": figure.locator(".rk-picture, .rk-stage").first.is_visible(),
            "its height": height(figure) == before,
        }
        found += [
            f"{figure.get_attribute('aria-label')}: {part}" for part, right in parts.items() if not right
        ]
    closed = page.locator("details.after-guess:not([open])").count()
    return found + [f"{closed} folds still wait for a guess"] * (closed > 0)


def unfold(page: Page) -> None:
    page.evaluate("document.querySelectorAll('article details').forEach((fold) => { fold.open = true; })")


def asked(page: Page) -> list[str]:
    """What is wrong with the questions, while they can be seen, in the light and in the dark."""
    if not page.locator(".rk-predict").count():
        return []
    found = violations(page, within=".rk-predict", without=CONTRAST)
    for theme in ("light", "dark"):
        paint(page, theme)
        found += faint(page, CONTRAST, ".rk-predict")
    return found


def moved(page: Page) -> list[str]:
    """What moves the page below a figure, and what no person would write, wherever the controls stand."""
    found = page.evaluate(MOVES)
    return found["jumps"] + [f"{wrong} in: {words}" for words in found["said"] if (wrong := strange(words))]


def too_small(page: Page) -> list[str]:
    return [
        f"{name}: {what} has {size:.1f} px" for name, what, size in page.evaluate(SIZES) if size < SMALLEST
    ]


@pytest.fixture(autouse=True)
def alike(request):
    """The pages of the reference are made alike, without figures: two of them stand for all."""
    path = request.node.callspec.params.get("path", "") if hasattr(request.node, "callspec") else ""
    if "/api/" in path and not path.endswith(("/index.html", "/spline.html")):
        pytest.skip("a page of the reference like the two that are walked")


def test_page_on_a_wide_screen(turn_to, path):
    page = turn_to(path).page
    missing = page.evaluate(LOADED)
    assert not missing, f"pictures that do not load: {missing}"
    assert page.evaluate("document.documentElement.dataset.theme") == "light"
    assert narrower(page, [1280, 768], lambda page: spoilers(page) + too_wide(page)) == []
    assert asked(page) == []
    assert answer_all(page) == []
    unfold(page)
    assert_accessible_in_the_dark_and_in_the_light(page)
    assert moved(page) == []


def test_page_on_a_phone(turn_to, path):
    page = turn_to(path, width=360, height=740, dark=True).page
    page.evaluate(LOADED)
    assert page.evaluate("document.documentElement.dataset.theme") == "dark"
    assert_paper_is_light_and_nothing_is_folded(page)
    assert narrower(page, [320, 360, 390], lambda page: spoilers(page) + too_wide(page)) == []
    assert answer_all(page) == []
    unfold(page)
    assert narrower(page, [320, 390], lambda page: too_wide(page) + page.evaluate(STRAYS)) == []
    page.evaluate(AT_REST)  # what was unfolded is measured in the next frame
    assert page.evaluate(UNMARKED) == [], "scrolls sideways, and does not say so"
    assert too_small(page) == []
    assert page.evaluate(CROWDED) == []
    assert page.evaluate(OUT_OF_VIEW) == []
    assert_accessible_in_the_dark_and_in_the_light(page)
    assert moved(page) == []


def assert_accessible_in_the_dark_and_in_the_light(page: Page) -> None:
    paint(page, "dark")
    assert faint(page, CONTRAST, spare=ALIKE) == [], "in the dark"
    paint(page, "light")
    assert violations(page, without=CONTRAST) == []
    assert faint(page, CONTRAST, spare=ALIKE) == [], "in the light"


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_formulas_and_code_can_be_read(open_page, book, theme):
    """They look alike on all pages: one is enough."""
    page = open_page(book / "book" / "04_multiscale.html").page
    paint(page, theme)
    assert page.locator("mjx-container").count() and page.locator("pre").count()
    assert violations(page, CONTRAST, within="article") == []


def assert_paper_is_light_and_nothing_is_folded(page: Page) -> None:
    closed = "document.querySelectorAll('details:not([open])').length"
    theme = "document.documentElement.dataset.theme"
    folds = page.evaluate(closed)
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert page.evaluate(closed) == 0 and page.evaluate(theme) == "light"
    page.emulate_media(media="print")
    whole = "figure => getComputedStyle(figure).breakInside === 'avoid'"
    assert page.evaluate(f"[...document.querySelectorAll('.bd-article figure')].every({whole})")
    page.emulate_media(media="screen")
    page.evaluate("dispatchEvent(new Event('afterprint'))")
    assert page.evaluate(closed) == folds and page.evaluate(theme) == "dark"
