"""The decks in Chromium, opened as files: they fit, they move, a clicker turns them, there are notes."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, expect

from tools.chapters import chapters

from .figures import STATE, fraction, violations

pytestmark = pytest.mark.browser

NUMBERS = [path.name[:2] for path in chapters()]
SIZES = ((1280, 720), (1024, 768), (1920, 1080))
LEAST = 18  # pixels of text, on a screen of 720 lines

# Of all slides, seen or not: what is cut off, and text too small to be read from the last row.
FAULTS = """([least]) => {
  const found = [], screen = 720 / innerHeight;
  const unread = "script, style, mjx-assistive-mml, option, .rk-ghost";
  for (const section of document.querySelectorAll(".slides > section")) {
    const slide = section.querySelector(".slide"), body = section.querySelector(".body");
    const say = (what) => found.push(`${section.querySelector(".title").textContent.slice(0, 40)}: ${what}`);
    section.style.visibility = "visible";
    for (const box of [slide, body]) {
      const [high, wide] = [box.scrollHeight - box.clientHeight, box.scrollWidth - box.clientWidth];
      if (high > 1 || wide > 1) say(`too high by ${high}, too wide by ${wide}`);
    }
    const edge = slide.getBoundingClientRect();
    const pieces = document.createTreeWalker(slide, NodeFilter.SHOW_TEXT);
    while (pieces.nextNode()) {
      const node = pieces.currentNode, parent = node.parentElement;
      if (!node.textContent.trim() || parent.closest(unread)) continue;
      const style = getComputedStyle(parent), range = document.createRange();
      range.selectNodeContents(node);
      const box = range.getBoundingClientRect();
      if (!box.width || style.visibility === "hidden") continue;
      const drawn = parent.closest("svg") && parent.getScreenCTM && parent.getScreenCTM();
      const scale = screen * (drawn ? Math.hypot(drawn.a, drawn.b) : Reveal.getScale());
      const pixels = parseFloat(style.fontSize) * scale, words = node.textContent.trim().slice(0, 30);
      if (pixels < least - 0.05) say(`${pixels.toFixed(1)} pixels: ${words}`);
      const beyond = [box.right - edge.right, box.bottom - edge.bottom, edge.left - box.left];
      if (Math.max(...beyond, edge.top - box.top) > 1) say(`off the slide: ${words}`);
    }
    section.style.visibility = "";
  }
  return found;
}"""
SKIP = """() => {
  for (const skip of document.querySelectorAll(".rk-predict .rk-buttons button:not(.rk-first)")) skip.click();
}"""


def ready(page: Page) -> Page:
    page.wait_for_selector("html[data-deck=ready]")
    return page


def opened(open_page, book: Path, number: str, **options) -> Page:
    page = open_page(book / "slides" / f"{number}.html", **options).page
    return ready(page)


def place(page: Page) -> list[int]:
    return page.evaluate("() => Object.values(Reveal.getIndices()).map((k) => k ?? -1)")


def go(page: Page, selector: str) -> Locator:
    """Go to the slide that holds what is looked for."""
    page.evaluate(
        "selector => Reveal.slide([...document.querySelectorAll('.slides > section')]"
        ".findIndex((section) => section.matches(selector) || section.querySelector(selector)))",
        selector,
    )
    return page.locator(".slides > section.present")


@pytest.mark.parametrize("number", NUMBERS)
def test_every_slide_fits_every_screen(open_page, book, number):
    """With all guesses open and made, light; text in pictures is not counted, text of drawings is."""
    page = opened(open_page, book, number, width=SIZES[0][0], height=SIZES[0][1])
    faults = page.evaluate(FAULTS, [LEAST])
    page.evaluate(SKIP)
    for width, height in SIZES:
        page.set_viewport_size({"width": width, "height": height})
        page.wait_for_function(
            "([w, h]) => innerWidth === w && Math.abs(Reveal.getScale() - h / 720) < 0.01",
            arg=[width, height],
        )
        faults += [f"{width} × {height}, {fault}" for fault in page.evaluate(FAULTS, [LEAST])]
    assert not faults, "\n".join(faults)


@pytest.mark.parametrize(("number", "dark"), [("03", False), ("09", True)])
def test_slides_can_be_read_by_all(open_page, book, number, dark):
    page = opened(open_page, book, number, width=1280, height=720)
    kinds = page.evaluate(
        "() => [...new Set([...document.querySelectorAll('section')].map((s) => s.dataset.kind))]"
    )
    assert {"title", "list", "figure", "claim", "vote"} <= set(kinds)
    if dark:
        page.keyboard.press("t")
    expect(page.locator("html")).to_have_attribute("data-theme", "dark" if dark else "light")
    for kind in kinds:
        go(page, f"[data-kind={kind}]")
        assert violations(page, within=None if kind == "title" else "section.present") == [], kind


# ---------------------------------------------------------------------------------------- figures


def same_figure(page: Page, title: str) -> Locator:
    return page.locator(f'figure.rk[aria-label="Interactive figure: {title}"]')


CONTROLS = "input[type=range]:not(.rk-predict *, .rk-ghost *), select:not(.rk-ghost *)"
SKIP_ONE = "form.rk-predict:not(.rk-unseen) .rk-buttons button:not(.rk-first)"


def shown(figure: Locator) -> dict:
    """What a figure says, and of a picture which frame it is; drawings depend on the width."""
    state = figure.evaluate(STATE)
    return {"readout": state["readout"], "picture": state["picture"] if state["alt"] else None}


@pytest.mark.parametrize("number", ["03", "09"])
def test_each_control_does_what_it_does_on_the_page(open_page, book, number):
    """By keyboard on both; the read-out is the same, and so is the frame of the picture."""
    [chapter] = (book / "book").glob(f"{number}_*.html")
    deck = opened(open_page, book, number, width=1280, height=720)
    page = open_page(chapter).page
    titles = page.locator("figure.rk[role=group]").evaluate_all(
        "figures => figures.map((f) => f.getAttribute('aria-label').replace('Interactive figure: ', ''))"
    )
    assert len(titles) >= 4
    for title in titles:
        figures = [same_figure(where, title) for where in (deck, page)]
        go(deck, f'figure[aria-label="Interactive figure: {title}"]')
        for figure in figures:
            if figure.locator(SKIP_ONE).count():
                figure.locator(SKIP_ONE).evaluate("button => button.click()")
        controls = [figure.locator(CONTROLS) for figure in figures]
        count = controls[0].count()
        assert count == controls[1].count() > 0, title
        for k in range(min(count, 4)):
            for each in controls:
                key = "End" if each.nth(k).evaluate("node => node.type === 'range'") else "ArrowDown"
                each.nth(k).press(key)
            expect(figures[0].locator(".rk-readout")).to_have_text(
                re.compile(re.escape(shown(figures[1])["readout"]))
                if "omputing" not in title
                else re.compile(".")
            )
            assert shown(figures[0]) == shown(figures[1]), f"{title}, control {k}"


def test_a_slider_moves_by_the_mouse_on_a_scaled_slide(open_page, book):
    page = opened(open_page, book, "03", width=1920, height=1080)
    assert page.evaluate("() => Reveal.getScale()") == pytest.approx(1.5, abs=0.01)
    slide = go(page, 'figure[aria-label*="Two models of one loss"]')
    slider = slide.locator("input[type=range]")
    before = slide.locator(".rk-readout").text_content()
    box = slider.bounding_box()
    page.mouse.click(box["x"] + 0.9 * box["width"], box["y"] + box["height"] / 2)
    assert fraction(slider) == pytest.approx(0.9, abs=0.05)
    assert slide.locator(".rk-readout").text_content() != before


def test_what_is_dragged_follows_the_mouse_on_a_scaled_slide(open_page, book):
    """The same drag, as parts of the picture, ends at the same six numbers on the page and on the slide."""
    [chapter] = (book / "book").glob("03_*.html")
    deck = opened(open_page, book, "03", width=1920, height=1080)
    go(deck, ".by-hand")
    ends = []
    for page in (deck, open_page(chapter).page):
        hand = page.locator(".by-hand")
        hand.scroll_into_view_if_needed()
        box = hand.bounding_box()
        at = lambda x, y, box=box: (box["x"] + x * box["width"], box["y"] + y * box["height"])  # noqa: E731
        page.mouse.move(*at(0.3, 0.7))
        page.mouse.down()
        page.mouse.move(*at(0.5, 0.6), steps=3)
        page.mouse.up()
        readout = hand.locator("xpath=ancestor::figure").locator(".rk-readout").text_content()
        ends.append(
            [float(value) for value in re.findall(r"(?:right|up) (−?-?[\d.]+)", readout.replace("−", "-"))]
        )
    assert len(ends[0]) == 2 and ends[0] == pytest.approx(ends[1], abs=0.11)
    assert abs(ends[0][0]) > 1  # it moved


# --------------------------------------------------------------------------- keys, votes, speaker


def test_a_clicker_turns_the_slide_also_after_a_slider_was_used(open_page, book):
    page = opened(open_page, book, "03", width=1280, height=720)
    slide = go(page, 'figure[aria-label*="Two models of one loss"]')
    for control in ("input[type=range]", ".rk-play"):
        start = place(page)
        slide.locator(control).focus()
        page.keyboard.press("ArrowRight" if control.startswith("input") else "Tab")
        assert place(page) == start  # the key was the control's
        page.keyboard.press("PageDown")
        assert place(page)[0] == start[0] + 1
        page.keyboard.press("PageUp")
        assert place(page)[0] == start[0]
    vote = go(page, "[data-kind=vote]")
    vote.locator("input").first.fill("3")
    start = place(page)
    page.keyboard.press("PageDown")  # the answer
    page.keyboard.press("PageDown")
    assert place(page)[0] == start[0] + 1


def test_a_vote_shows_bars_and_its_answer_only_after_a_key(open_page, book):
    page = opened(open_page, book, "09", width=1280, height=720)
    vote = go(page, "[data-kind=vote]")
    answer, bars = vote.locator(".answer"), vote.locator(".bar.counted")
    color = "node => getComputedStyle(node).borderTopColor"
    borders = vote.locator("ul.choices > li").evaluate_all(f"rows => rows.map({color})")
    expect(answer).to_be_hidden()
    assert len(set(borders)) == 1 and bars.count() == 0
    for when, counts in (("before", (6, 3, 3)), ("after", (1, 0, 9))):
        for letter, count in zip("ABC", counts, strict=False):
            vote.get_by_label(f"{letter}, {when} the discussion").fill(str(count))
    told = vote.locator(".bar output").all_text_contents()
    assert told[:6] == ["50 %", "10 %", "25 %", "0 %", "25 %", "90 %"]
    wide = vote.locator(".bar i").evaluate_all("bars => bars.map((bar) => bar.offsetWidth)")
    assert wide[0] == pytest.approx(2 * wide[2], abs=2) and wide[5] > wide[0] > wide[1] > wide[3]
    page.keyboard.press("PageDown")
    expect(answer).to_be_visible()
    right = vote.locator("li[data-right]")
    assert right.count() == 1 and right.evaluate(color) not in borders
    assert page.evaluate("() => localStorage.length + sessionStorage.length + document.cookie.length") == 0


def test_the_speaker_window_has_notes_and_moves_with_the_slides(open_page, book):
    page = opened(open_page, book, "03", width=1280, height=720)
    go(page, 'figure[aria-label*="Does it come home?"]')
    with page.context.expect_page() as waiting:
        page.keyboard.press("s")
    view = waiting.value
    expect(view.locator("#title")).to_have_text("Does it come home?")
    expect(view.locator("#notes")).to_contain_text("Let the slider run from 0°")  # few are right
    expect(view.locator("#plan")).to_contain_text("minutes 10 to 15, students: Guess 1")
    expect(view.locator("#next")).to_have_text("The simplest exact case")
    view.locator("#start").click()
    expect(view.locator("#plan")).to_contain_text("10 min early")
    start = place(page)[0]
    view.keyboard.press("PageDown")
    expect(view.locator("#title")).to_have_text("The simplest exact case")
    assert place(page)[0] == start + 1
    page.keyboard.press("PageUp")
    expect(view.locator("#title")).to_have_text("Does it come home?")
    view.get_by_role("button", name="On").click()
    assert place(page)[0] == start + 1
    go(page, 'figure[aria-label*="Two models of one loss"]')
    formula = view.locator("#notes mjx-container svg").first  # it is set, and as high as the words around it
    expect(formula).to_be_visible()
    assert 5 < formula.bounding_box()["height"] < 60
    view.close()


def test_a_blocked_speaker_window_is_told(open_page, book):
    page = opened(open_page, book, "01", width=1280, height=720)
    page.evaluate("() => { window.open = () => null; }")
    page.keyboard.press("s")
    expect(page.get_by_role("alert")).to_contain_text("Allow pop-ups")


def test_on_paper_each_slide_is_a_page_and_sliders_stand_at_their_start(open_page, book, tmp_path):
    file = book / "slides" / "03.html"
    reader = open_page(file, width=1280, height=720)
    count = ready(reader.page).evaluate("() => Reveal.getTotalSlides()")
    texts = [reader.page.locator("figure.rk .rk-readout").all_text_contents()]
    reader.page.goto(f"{file.resolve().as_uri()}?print-pdf")
    page = ready(reader.page)
    texts.append(page.locator("figure.rk .rk-readout").all_text_contents())
    assert texts[0] == texts[1]
    printed = page.pdf(path=tmp_path / "deck.pdf", prefer_css_page_size=True, print_background=True)
    assert page.locator(".pdf-page").count() == count == len(re.findall(rb"/Type\s*/Page\b(?!s)", printed))
    picture = page.locator('figure[aria-label*="Does it come home?"] .rk-picture')
    assert picture.evaluate("node => getComputedStyle(node).visibility") == "visible"
