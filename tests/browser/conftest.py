"""A Chromium in which nothing may be fetched, and the pages that it opens."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, Playwright, expect, sync_playwright

from tools.chromium import installed
from tools.toc import ROOT, pages

ARGUMENTS = (
    "--no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking "
    "--disable-component-update --disable-sync --force-color-profile=srgb"
).split()
PAGES = [str(path.relative_to(ROOT).with_suffix(".html")) for path in pages()]
PATIENCE = 60_000  # milliseconds until what must appear counts as missing, on a busy computer too
expect.set_options(timeout=PATIENCE)
LOCAL = ("file:", "data:", "blob:", "about:")


@pytest.fixture(scope="session")
def playwright() -> Iterator[Playwright]:
    with sync_playwright() as running:
        yield running


@pytest.fixture(scope="session")
def browser(playwright: Playwright) -> Iterator[Browser]:
    """The Chromium that the variable CHROMIUM names, or one that is installed."""
    path = os.environ.get("CHROMIUM") or installed()
    if not path:
        pytest.fail("no Chromium: install one, or name it in the environment variable CHROMIUM")
    running = playwright.chromium.launch(executable_path=path, args=ARGUMENTS)
    yield running
    running.close()


@dataclass
class Reader:
    """A page as a reader has it: what it asked the network for, and what it complained about."""

    page: Page
    requests: list[str] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)

    def assert_quiet(self) -> None:
        assert not self.requests, f"asked the network for {self.requests}"
        assert not self.complaints, "\n".join(self.complaints)


class Opener:
    """Opens pages from file:// with all else blocked: ``open_page(path, width=360, dark=True)``.

    What a page asks the network for is noted, not stopped on its way: to stop it each file of each page would
    have to be let through one by one. The contexts are offline, so that nothing comes back.
    """

    def __init__(self, browser: Browser):
        self.browser, self.contexts, self.readers = browser, [], []

    def __call__(self, path: Path, width=1280, height=900, dark=False, scripts=True) -> Reader:
        context: BrowserContext = self.browser.new_context(
            viewport={"width": width, "height": height},
            java_script_enabled=scripts,
            color_scheme="dark" if dark else "light",
            has_touch=width < 500,
            offline=True,
        )
        self.contexts.append(context)
        context.set_default_timeout(PATIENCE)
        reader = Reader(context.new_page())
        self.readers.append(reader)

        def note(request):
            if not request.url.startswith(LOCAL):
                reader.requests.append(request.url)

        context.on("request", note)
        reader.page.on("websocket", lambda socket: reader.requests.append(socket.url))
        reader.page.on("console", lambda m: m.type == "error" and reader.complaints.append(m.text))
        reader.page.on("pageerror", lambda error: reader.complaints.append(str(error)))
        reader.page.goto(path.resolve().as_uri(), wait_until="load")
        return reader


@pytest.fixture
def open_page(browser: Browser) -> Iterator[Opener]:
    """Opens pages; after the test none of them may have asked the network, or complained."""
    opener = Opener(browser)
    yield opener
    for context in opener.contexts:
        context.close()
    for reader in opener.readers:
        reader.assert_quiet()


class Turner:
    """Opens pages one after the other in the same tab, which takes half as long: for walks over all pages.

    Scripts begin anew with each page, and nothing is stored from one to the next. A test that stops the
    clock, or brings scripts of its own, needs a tab of its own: ``open_page``.
    """

    def __init__(self, browser: Browser):
        self.opener, self.tabs, self.used = Opener(browser), {}, []

    def __call__(self, path: Path, width=1280, height=900, dark=False, scripts=True) -> Reader:
        kind = (width < 500, dark, scripts)
        if kind not in self.tabs:
            reader = self.tabs[kind] = self.opener(path, width, height, dark, scripts)
        else:
            reader = self.tabs[kind]
            reader.page.set_viewport_size({"width": width, "height": height})
            reader.page.emulate_media(media="null")
            reader.page.goto(path.resolve().as_uri(), wait_until="load")
        self.used.append(reader)
        return reader

    def leave(self) -> None:
        """Take away what pages may have stored, and say what they asked for or complained of."""
        readers, self.used = self.used, []
        for reader in readers:
            reader.page.evaluate("() => { localStorage.clear(); sessionStorage.clear(); }")
            found = Reader(reader.page, [*reader.requests], [*reader.complaints])
            reader.requests.clear()
            reader.complaints.clear()
            found.assert_quiet()


@pytest.fixture(scope="session")
def turner(browser: Browser) -> Iterator[Turner]:
    turner = Turner(browser)
    yield turner
    for context in turner.opener.contexts:
        context.close()


@pytest.fixture
def turn_to(turner: Turner) -> Iterator[Turner]:
    """Opens a page in the tab of the page before; it, too, may not ask the network, or complain."""
    yield turner
    turner.leave()


@pytest.fixture(params=PAGES)
def path(request, book: Path) -> Path:
    """Each page of the table of contents, as it was built."""
    return book / request.param
