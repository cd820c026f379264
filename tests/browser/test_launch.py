"""Pages that a server sent offer to run their notebook elsewhere; pages that were opened as files do not."""

from __future__ import annotations

import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import sphinx_book_theme
from jinja2 import Environment, FileSystemLoader

from tools import launch
from tools.toc import ROOT

pytestmark = pytest.mark.browser
STATIC = ROOT / "book" / "_static"


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass


@pytest.fixture
def page_with_buttons(tmp_path: Path) -> Path:
    """A page with the buttons as the theme writes them, and our style and script."""
    (tmp_path / "_config.yml").write_text("repository: {url: https://github.com/a/b}", encoding="utf-8")
    macros = Path(sphinx_book_theme.__file__).parent / "theme" / "sphinx_book_theme" / "macros"
    environment = Environment(loader=FileSystemLoader(macros))
    environment.globals["translate"] = str
    render = environment.get_template("buttons.html").module.render_button_group
    [group] = launch.buttons("book/02_spline_images", tmp_path)
    html = render(**{name: value for name, value in group.items() if name != "type"})
    style, script = ((STATIC / name).read_text(encoding="utf-8") for name in ("custom.css", "launch.js"))
    page = tmp_path / "page.html"
    page.write_text(
        f"<!doctype html><style>{style}</style><script>{script}</script><p>Text</p>{html}", encoding="utf-8"
    )
    return page


def test_a_page_opened_as_a_file_hides_them(open_page, page_with_buttons):
    page = open_page(page_with_buttons).page
    assert page.get_by_role("link").count() == 0 and not page.locator(".dropdown-launch-buttons").is_visible()


def test_a_page_that_is_served_shows_them_and_asks_for_nothing(browser, page_with_buttons):
    handler = partial(Quiet, directory=str(page_with_buttons.parent))
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    context = browser.new_context()
    try:
        page, asked = context.new_page(), []
        page.on("request", lambda request: asked.append(request.url))
        here = f"http://127.0.0.1:{server.server_port}"
        page.goto(f"{here}/page.html", wait_until="load")
        names = page.get_by_role("link").all_inner_texts()
        assert [name.split()[0] for name in names] == ["Binder", "Codespaces"]
        assert not [url for url in asked if not url.startswith(here)]
    finally:
        context.close()
        server.shutdown()
        server.server_close()
