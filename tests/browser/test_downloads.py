"""The download button of a page that was opened as a file: a zip with all that a reader needs."""

from __future__ import annotations

import io
import zipfile

import nbformat
import pytest
from nbconvert import HTMLExporter

from tools.copies import COPIES

from .figures import figures, move, state

pytestmark = pytest.mark.browser


@pytest.fixture
def wheel(book):
    """The wheel that was made with the book."""
    return next(COPIES.glob("*.whl"))


def saved(download) -> tuple[str, zipfile.ZipFile]:
    with open(download.path(), "rb") as file:
        return download.suggested_filename, zipfile.ZipFile(io.BytesIO(file.read()))


@pytest.mark.parametrize(("page", "width"), [("02_spline_images", 1280), ("index", 360)])
def test_the_button_gives_the_notebook_and_its_wheel(open_page, book, wheel, page, width):
    reader = open_page(book / "book" / f"{page}.html", width=width)
    reader.page.get_by_role("button", name="Download this page").click()
    with reader.page.expect_download() as download:
        reader.page.get_by_role("link", name="Notebook (.zip)", exact=True).click()
    name, archive = saved(download.value)
    assert name == f"regkit-{page}.zip"
    folder = name.removesuffix(".zip")
    assert set(archive.namelist()) == {
        f"{folder}/{file}" for file in (f"{page}.ipynb", "glossary.md", "notation.md", wheel.name)
    }
    notebook = nbformat.reads(archive.read(f"{folder}/{page}.ipynb").decode(), as_version=4)
    assert "MissingPackage" in notebook.cells[0].source and "{glue" not in str(notebook)
    assert archive.read(f"{folder}/{wheel.name}") == wheel.read_bytes()
    assert len(reader.page.context.pages) == 1, "a tab was opened"


def test_every_page_offers_all_notebooks(open_page, book, wheel):
    reader = open_page(book / "book" / "glossary.html")
    reader.page.get_by_role("button", name="Download this page").click()
    assert reader.page.get_by_role("link", name="Notebook (.zip)", exact=True).count() == 0
    with reader.page.expect_download() as download:
        reader.page.get_by_role("link", name="All notebooks (.zip)").click()
    name, archive = saved(download.value)
    assert name == "regkit-notebooks.zip"
    inside = {file.partition("/")[2] for file in archive.namelist()}
    assert {"index.ipynb", "10_inexact_projection.ipynb", "glossary.md", wheel.name} <= inside


def test_nbconvert_makes_a_page_whose_figures_move_without_kernel_and_network(browser, book, tmp_path):
    """The page asks for scripts elsewhere (for formulas), which are refused here: the figures need none."""
    exported, _ = HTMLExporter().from_filename(COPIES / "index.ipynb")
    path = tmp_path / "index.html"
    path.write_text(exported, encoding="utf-8")
    context = browser.new_context(offline=True)
    try:
        page = context.new_page()
        page.goto(path.as_uri(), wait_until="load")
        assert len(figures(page)) == 2
        figure = figures(page)[0]
        before = state(figure)
        move(figure.locator("input[type=range]"), 0.8)
        after = state(figure)
        assert after["picture"] != before["picture"] and after["readout"] != before["readout"]
    finally:
        context.close()
