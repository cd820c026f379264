"""Every page of the built book, from file:// and with the network blocked, as a reader meets it."""

from __future__ import annotations

import base64
import io
import json
from functools import cache
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
from PIL import Image

from .conftest import PAGES
from .figures import figures

pytestmark = pytest.mark.browser

LARGEST = 2_000_000  # bytes
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


def test_every_frame_is_there(open_page, path):
    """As many frames as combinations, all of one size, and the start frame is the still picture."""
    for figure in figures(open_page(path).page):
        if not figure.locator(".rk-picture").count():
            continue
        data = json.loads(figure.locator("script[type='application/json']").text_content())["figure"]
        counts = [len(parameter["texts"]) for parameter in data["parameters"]]
        start = 0
        for count, index in zip(counts, data["start"], strict=True):
            start = start * count + index
        combinations = counts[0] * (counts[1] if len(counts) > 1 else 1)
        assert len(data["frames"]) == combinations and data["frames"][start][0] is None
        image = figure.locator(".rk-picture img").first
        still = base64.b64decode(image.get_attribute("src").split(",")[1])
        size = (int(image.get_attribute("width")), int(image.get_attribute("height")))
        for change, text in data["frames"]:
            picture = Image.open(io.BytesIO(base64.b64decode(change) if change else still))
            assert picture.format == "WEBP" and picture.size == size and text


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
