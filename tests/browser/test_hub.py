"""A class server as a student's browser has it: log-in, first page, a chapter in JupyterLab, handing in."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator

import nbformat
import pytest
from playwright.sync_api import Browser, Page, expect

from tools.chapters import cells, lessons

from .conftest import PATIENCE
from .figures import too_wide, violations

pytestmark = [
    pytest.mark.browser,
    pytest.mark.slow,
    pytest.mark.skipif(os.name == "nt", reason="JupyterHub needs Linux or macOS"),
]
PHONE, WIDE = {"width": 360, "height": 740}, {"width": 1280, "height": 800}
RUN, ADD = (f"[data-command='notebook:{name}']" for name in ("run-cell-and-select-next", "insert-cell-below"))
CHAPTER = lessons()[0]


@pytest.fixture
def hub(book, tmp_path) -> Iterator:
    """A class server with the notebooks of the built book."""
    if not os.environ.get("CI"):  # there all of hub/requirements.txt is installed, or this is an error
        pytest.importorskip("jupyterhub")
    from hub import trial

    with trial.running(tmp_path) as running:
        yield running
    assert running.left == []


@pytest.fixture
def page(browser: Browser, hub) -> Iterator[Page]:
    """A tab that asks this server only, and has nothing to complain of."""
    context, wrong = browser.new_context(viewport=WIDE), []
    context.set_default_timeout(PATIENCE)
    page = context.new_page()
    page.on("console", lambda message: message.type == "error" and wrong.append(message.text))
    page.on("pageerror", lambda error: wrong.append(str(error)))
    own = (hub.address, "data:", "blob:")
    page.on("request", lambda asked: asked.url.startswith(own) or wrong.append(asked.url))
    yield page
    context.close()
    assert wrong == []


def test_a_student_logs_in_opens_a_chapter_runs_a_cell_and_hands_it_in(hub, page):
    page.goto(hub.address)
    page.get_by_label("Username").fill("anna")
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url("**/user/anna/class")
    for lesson in lessons():
        title = cells(lesson, "markdown")[0].source.splitlines()[0].removeprefix("# ")
        assert page.get_by_role("link", name=title, exact=True).count() == 1, title
    assert violations(page) == []
    page.set_viewport_size(PHONE)
    assert too_wide(page) == []

    title = cells(CHAPTER, "markdown")[0].source.splitlines()[0].removeprefix("# ")
    page.get_by_role("link", name=title, exact=True).click()
    first = page.locator(".jp-CodeCell").first
    expect(first).to_be_visible()
    expect(page.get_by_role("heading", name=title)).to_be_visible()
    assert page.locator(".jp-NotebookPanel").bounding_box()["width"] > 0.7 * PHONE["width"]
    page.set_viewport_size(WIDE)
    expect(page.locator(".jp-Notebook-ExecutionIndicator")).to_have_attribute("data-status", "idle")
    run, add = map(page.locator(".jp-NotebookPanel-toolbar").locator, (RUN, ADD))
    run.click()  # the first cell, which says whether the packages are there; it is folded
    add.click()
    page.locator(".jp-CodeCell.jp-mod-active .cm-content").click()
    page.keyboard.type("6 * 7")
    run.click()
    expect(page.locator(".jp-OutputArea-executeResult")).to_have_text(re.compile(r"\[2\]:\s*42"))
    assert first.locator(".jp-OutputArea-output").count() == 0
    assert page.locator(".Toastify__toast, .jp-Dialog").count() == 0  # nothing asks for a decision

    page.keyboard.press("Control+s")
    expect(page.locator(".jp-Document-dirty, .jp-mod-dirty")).to_have_count(0)
    page.goto(f"{hub.address}/user/anna/class")
    page.get_by_role("button", name=f"Hand in {CHAPTER.name}").click()
    expect(page.get_by_role("status")).to_contain_text(f"Handed in: {CHAPTER.stem}")
    [path] = hub.work.glob(f"handed_in/{CHAPTER.stem}/anna/*.ipynb")
    written = nbformat.read(path, as_version=4).cells
    assert [cell.outputs[0].data["text/plain"] for cell in written if cell.source == "6 * 7"] == ["42"]
    page.get_by_role("link", name="Log out").click()
    expect(page.get_by_label("Username")).to_be_visible()
