"""The pages of reference: every public name has its entry, by the name that links use."""

from __future__ import annotations

import re

import pytest

from tools.api_pages import modules, public

from .test_pages import links


@pytest.mark.parametrize("module", modules(), ids=lambda module: module.__name__)
def test_every_public_name_has_its_entry(book, module):
    page = book / "book" / "api" / f"{module.__name__.split('.')[1]}.html"
    assert {f"{module.__name__}.{name}" for name in public(module)} <= links(page).anchors


def test_names_of_the_neighbours_fit_a_phone(open_page, book):
    """Those with the longest names of all, before and after a page, and the arrows beside them."""
    titles = re.compile(r'<p class="prev-next-title">(.*?)</p>')
    words = {
        path: len(re.sub("<.*?>", "", "".join(titles.findall(path.read_text(encoding="utf-8")))))
        for path in (book / "book" / "api").glob("*.html")
    }
    page = open_page(max(words, key=words.get), width=320, height=640).page
    parts = page.locator(".prev-next-area *")
    edges = parts.evaluate_all("nodes => nodes.map((node) => node.getBoundingClientRect().right)")
    assert len(edges) > 8 and max(edges) <= 320
    inner = "nodes => nodes.filter((node) => node.scrollWidth > node.clientWidth + 1).map((n) => n.outerHTML)"
    assert page.locator(".prev-next-area :is(a, div, p)").evaluate_all(inner) == []
