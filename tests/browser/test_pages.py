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

from .conftest import PAGES
from .figures import data

pytestmark = pytest.mark.browser

LARGEST = 3_000_000  # bytes
LOADED = """async () => {
  await window.MathJax?.startup?.promise;
  await document.fonts.ready;
  const seen = [...document.images].filter((image) => image.checkVisibility());
  for (const image of seen) image.loading = "eager";
  await Promise.allSettled(seen.map((image) => image.decode()));
  await new Promise((resolve) => requestIdleCallback(resolve));
  return seen.filter((image) => !image.naturalWidth).map((image) => image.src.slice(0, 99));
}"""


def test_page_needs_no_network_and_complains_of_nothing(open_page, path):
    page = open_page(path).page  # the fixture checks both when the test ends
    page.evaluate("window.scrollTo(0, document.body.scrollHeight)")
    missing = page.evaluate(LOADED)
    assert not missing, f"pictures that do not load: {missing}"


def test_page_is_small_enough(path):
    assert path.stat().st_size < LARGEST, f"{path.name} has {path.stat().st_size} bytes"


STILLS = """figure => {
  const image = figure.querySelector(".rk-picture img"), source = figure.querySelector(".rk-picture source");
  const size = (node) => ["width", "height"].map((name) => Number(node.getAttribute(name)));
  return [[image.src, ...size(image)], [source.srcset, ...size(source)]];
}"""


def test_every_frame_is_there(open_page, path):
    """Wide and narrow: as many as combinations, of one size; the start frame is the still picture."""
    page = open_page(path, scripts=False).page
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
        self.targets, self.anchors = [], {"", "top"}

    def handle_starttag(self, tag, attributes):
        for name, value in attributes:
            if value and (name == "id" or (name == "name" and tag == "a")):
                self.anchors.add(value)
            if value and name in ("href", "src") and ("rel", "canonical") not in attributes:
                self.targets.append(value)


@cache
def links(path: Path) -> _Links:
    parser = _Links()
    parser.feed(path.read_text(encoding="utf-8"))
    return parser


def test_links_resolve(book, path):
    """Every link, script, picture and style inside the book is there, and so is every #anchor."""
    broken = []
    for target in links(path).targets:
        parts = urlsplit(target)
        if parts.scheme in ("http", "https", "mailto", "data", "javascript") or parts.netloc:
            continue
        file = (path.parent / unquote(parts.path)).resolve() if parts.path else path
        file = file / "index.html" if file.is_dir() else file
        if not file.is_file() or not file.is_relative_to(book.resolve()):
            broken.append(target)
        elif file.suffix == ".html" and unquote(parts.fragment) not in links(file).anchors:
            broken.append(target)
    assert not broken


def test_first_page_leads_into_the_book(open_page, book):
    page = open_page(book / "index.html").page
    page.wait_for_url(lambda url: url.endswith(PAGES[0]))


def test_paper_is_light_and_nothing_is_folded(open_page, path):
    page = open_page(path, dark=True).page
    closed = "document.querySelectorAll('details:not([open])').length"
    theme = "document.documentElement.dataset.theme"
    folds = page.evaluate(closed)
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert page.evaluate(closed) == 0 and page.evaluate(theme) == "light"
    page.emulate_media(media="print")
    for figure in page.locator(".bd-article figure").all():
        assert figure.evaluate("figure => getComputedStyle(figure).breakInside") == "avoid"
    page.emulate_media(media="screen")
    page.evaluate("dispatchEvent(new Event('afterprint'))")
    assert page.evaluate(closed) == folds and page.evaluate(theme) == "dark"
