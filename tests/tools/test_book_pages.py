"""Small repairs of the pages that Sphinx has made."""

from __future__ import annotations

import pytest
from bs4 import BeautifulSoup

from tools.book_pages import together

FORMULA = r'<span class="math notranslate nohighlight">\(x\)</span>'


@pytest.mark.parametrize(
    ("page", "kept"),
    [
        (f"along {FORMULA}. Then", [r"\(x\)."]),
        (f"(the point {FORMULA}), then ({FORMULA}) and {FORMULA}", [r"\(x\)),", r"(\(x\))"]),
        (f"{FORMULA}-axis, <em>{FORMULA}</em>", [r"\(x\)-"]),
        ('<div class="math notranslate nohighlight">\n\\[x.\\]</div>.', []),
    ],
)
def test_a_formula_stays_with_the_signs_that_it_touches(page, kept):
    made = together(page)
    soup = BeautifulSoup(made, "html.parser")
    assert [part.get_text() for part in soup.select("span.together")] == kept
    assert soup.get_text() == BeautifulSoup(page, "html.parser").get_text()
