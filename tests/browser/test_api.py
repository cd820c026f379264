"""The pages of reference: every public name has its entry, by the name that links use."""

from __future__ import annotations

import pytest

from tools.api_pages import modules, public

from .test_pages import links


@pytest.mark.parametrize("module", modules(), ids=lambda module: module.__name__)
def test_every_public_name_has_its_entry(book, module):
    page = book / "book" / "api" / f"{module.__name__.split('.')[1]}.html"
    assert {f"{module.__name__}.{name}" for name in public(module)} <= links(page).anchors
