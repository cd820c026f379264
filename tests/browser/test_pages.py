"""Every page of the built book, from file:// and with the network blocked, as a reader meets it."""

from __future__ import annotations

import base64
import io
from functools import cache
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
from PIL import Image
from playwright.sync_api import Page

from .conftest import PAGES
from .figures import data, told, too_wide
from .walks import spoilers

pytestmark = pytest.mark.browser

LARGEST = 3_000_000  # bytes


def test_page_is_small_enough(path):
    assert path.stat().st_size < LARGEST, f"{path.name} has {path.stat().st_size} bytes"


STILLS = """figure => {
  const image = figure.querySelector(".rk-picture img"), source = figure.querySelector(".rk-picture source");
  const size = (node) => ["width", "height"].map((name) => Number(node.getAttribute(name)));
  return [[image.src, ...size(image)], [source.srcset, ...size(source)]];
}"""


EMPTY = """() => [...document.querySelectorAll(".rk .rk-stage, .rk .rk-picture")].filter((box) => {
  const shown = [...box.querySelectorAll("img, svg, table, p")].filter((node) => node.checkVisibility());
  return !shown.some((node) => node.getBoundingClientRect().height > 16);
}).map((box) => box.closest("figure").getAttribute("aria-label"))"""


def test_page_without_scripts(turn_to, path):
    """Nothing answers before a fold is opened; then all is there, and no box is empty."""
    page = turn_to(path, scripts=False).page
    assert_every_frame_is_there(page)
    for width in (1280, 360):
        page.set_viewport_size({"width": width, "height": 800})
        assert spoilers(page) + too_wide(page) == [], f"at {width} px"
    for figure in page.locator("figure.rk:has(details.rk-after)").all():
        figure.locator("summary").click()
        assert data(figure)["guess"]["answer"] in told(figure) and figure.locator(".rk-readout").is_visible()
    for fold in page.locator("details.after-guess > summary").all():
        fold.click()
    assert not page.locator("details.after-guess:not([open])").count()
    assert page.evaluate(EMPTY) == []


def assert_every_frame_is_there(page: Page) -> None:
    """Wide and narrow: as many as combinations, of one size; the start frame is the still picture."""
    for figure in page.locator("figure.rk:has(.rk-picture):not(:has(.rk-stage))").all():
        sent, start, combinations = data(figure), 0, 1
        drawings = sent if isinstance(sent, list) else sent["figure"]["drawings"]
        if isinstance(sent, dict):
            counts = [len(parameter["texts"]) for parameter in sent["figure"]["parameters"]]
            for count, index in zip(counts, sent["figure"]["start"], strict=True):
                start, combinations = start * count + index, combinations * count
            assert len(sent["figure"]["texts"]) == combinations and all(sent["figure"]["texts"])
        for drawing, (source, *size) in zip(drawings, figure.evaluate(STILLS), strict=True):
            assert len(drawing["changes"]) == combinations and drawing["changes"][start] is None
            assert size == [drawing["width"], drawing["height"]]
            for picture in (source.split(",")[1], *filter(None, drawing["changes"])):
                image = Image.open(io.BytesIO(base64.b64decode(picture)))
                assert image.format == "WEBP" and list(image.size) == size


class _Links(HTMLParser):
    def __init__(self):
        super().__init__()
        self.targets, self.fetched, self.anchors = [], [], {"", "top"}

    def handle_starttag(self, tag, attributes):
        for name, value in attributes:
            if value and (name == "id" or (name == "name" and tag == "a")):
                self.anchors.add(value)
            if value and name in ("href", "src") and ("rel", "canonical") not in attributes:
                self.targets.append(value)
                if name == "src" or ("rel", "stylesheet") in attributes:
                    self.fetched.append(value)


@cache
def links(path: Path) -> _Links:
    parser = _Links()
    parser.feed(path.read_text(encoding="utf-8"))
    return parser


def broken(path: Path, folder: Path) -> list[str]:
    """What a page leads to or loads that is not in the folder: files, and places in pages."""
    found = []
    for target in links(path).targets:
        parts = urlsplit(target)
        if parts.scheme in ("http", "https", "mailto", "data", "javascript") or parts.netloc:
            continue
        file = (path.parent / unquote(parts.path)).resolve() if parts.path else path
        file = file / "index.html" if file.is_dir() else file
        if not file.is_file() or not file.is_relative_to(folder.resolve()):
            found.append(target)
        elif file.suffix == ".html" and unquote(parts.fragment) not in links(file).anchors:
            found.append(target)
    return found


def test_links_resolve(book, path):
    """Every link, script, picture and style inside the book is there, and so is every #anchor."""
    assert not broken(path, book)


def test_first_page_leads_into_the_book(open_page, book):
    page = open_page(book / "index.html").page
    page.wait_for_url(lambda url: url.endswith(PAGES[0]))
