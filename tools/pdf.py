"""The whole book as a PDF, ``_build/pdf/book.pdf``, from the built pages, by the Chromium of the tests.

python -m tools.pdf

``tools/pdf_pages.py`` makes one document of the pages. Chromium sets its formulas and finds a place for each
figure (``tools/print/fit.js``), and prints it; once more if a number of a page in it is not true. The outline
and the title of the file come last. The same pages, printed by the same Chromium, give the same bytes: no
date goes in.
"""

from __future__ import annotations

import io
import logging
import os
import sys
from collections.abc import Callable
from pathlib import Path

from playwright.sync_api import Browser, Page, sync_playwright
from pypdf import PdfReader, PdfWriter
from pypdf.generic import Fit

from tools import pdf_pages
from tools.chromium import installed
from tools.pdf_pages import Book, plain
from tools.toc import ROOT

FOLDER = ROOT / "_build" / "pdf"
ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--force-color-profile=srgb"]
TIMES = 4  # printed at most, until all numbers of pages are true
MOST = 600_000  # milliseconds, on a slow computer
FILL = """(places) => {
  const wrong = [...document.querySelectorAll(".place")].filter((n) => n.textContent != places[n.dataset.of]);
  for (const node of wrong) node.textContent = places[node.dataset.of];
  return wrong.length;
}"""  # how many numbers of pages were not true


def places(pdf: bytes) -> dict[str, int]:
    """The number of the page on which each anchor stands that a link leads to."""
    reader = PdfReader(io.BytesIO(pdf))
    found = reader.named_destinations.items()
    return {name.lstrip("/"): reader.get_destination_page_number(place) + 1 for name, place in found}


def laid_out(browser: Browser, document: Path) -> Page:
    """The document in Chromium as it will be printed, formulas set and figures drawn. Nothing is fetched."""
    context = browser.new_context(offline=True, viewport={"width": 794, "height": 1123}, color_scheme="light")
    page = context.new_page()
    page.emulate_media(media="print")
    page.goto(document.resolve().as_uri(), wait_until="load", timeout=MOST)
    page.wait_for_selector("html[data-paper=ready]", state="attached", timeout=MOST)
    return page


def printed(page: Page) -> bytes:
    """What Chromium prints, when the numbers of the pages in it are those of the print."""
    for _ in range(TIMES):
        pdf = page.pdf(prefer_css_page_size=True, print_background=True, tagged=True)
        if not page.evaluate(FILL, places(pdf)):
            return pdf
    raise RuntimeError(f"expected the pages to stay where they are, got other ones each of {TIMES} times")


def finished(pdf: bytes, book: Book) -> PdfWriter:
    """The print with an outline, chapters and their sections, and a title instead of dates."""
    from tools.release import version

    writer = PdfWriter(clone_from=io.BytesIO(pdf))
    reader = PdfReader(io.BytesIO(pdf))
    found = {name.lstrip("/"): place for name, place in reader.named_destinations.items()}
    chapter = None
    for heading in book.headings:
        place = found[heading.anchor]
        fit = Fit.xyz(left=0, top=float(place.top))
        item = writer.add_outline_item(
            title=plain(heading.title),
            page_number=reader.get_destination_page_number(place),
            parent=chapter if heading.level > 1 else None,
            fit=fit,
            is_open=False,
        )
        chapter = item if heading.level == 1 else chapter
    writer.page_mode = "/UseOutlines"
    writer.metadata = {
        "/Title": book.title,
        "/Author": book.author,
        "/Producer": "Chromium, pypdf",
        "/Creator": f"regkit {version()}",
    }
    return writer


def make(
    browser: Browser, book: Book, folder: Path = FOLDER, look: Callable[[Page], object] = lambda page: None
) -> Path:
    """Write ``book.pdf`` into a folder; `look` sees the document before it is printed."""
    folder.mkdir(parents=True, exist_ok=True)
    document = folder / "book.html"
    document.write_text(book.document(folder), encoding="utf-8")
    page = laid_out(browser, document)
    look(page)
    path = folder / "book.pdf"
    path.write_bytes(written(finished(printed(page), book)))
    page.context.close()
    document.unlink()
    return path


def written(writer: PdfWriter) -> bytes:
    """The bytes of the file."""
    file = io.BytesIO()
    writer.write(file)
    return file.getvalue()


def main() -> None:
    chromium = os.environ.get("CHROMIUM") or installed()
    if not chromium:
        sys.exit("expected a Chromium, found none: install one, or name it in the variable CHROMIUM")
    logging.getLogger("pypdf").setLevel(logging.ERROR)  # Chromium miscounts the objects of its file
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=ARGUMENTS)
        path = make(browser, pdf_pages.book())
        browser.close()
    pages = len(PdfReader(path).pages)
    print(f"The book on {pages} pages, {path.stat().st_size / 1e6:.1f} MB: {path}")


if __name__ == "__main__":
    main()
