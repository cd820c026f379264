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
    """Opens pages from file:// with all else blocked: ``open_page(path, width=360, dark=True)``."""

    def __init__(self, browser: Browser):
        self.browser, self.contexts, self.readers = browser, [], []

    def __call__(self, path: Path, width=1280, height=900, dark=False, scripts=True) -> Reader:
        context: BrowserContext = self.browser.new_context(
            viewport={"width": width, "height": height},
            java_script_enabled=scripts,
            color_scheme="dark" if dark else "light",
            has_touch=width < 500,
        )
        self.contexts.append(context)
        context.set_default_timeout(PATIENCE)
        reader = Reader(context.new_page())
        self.readers.append(reader)

        def gate(route):
            if route.request.url.startswith(LOCAL):
                route.continue_()
            else:
                reader.requests.append(route.request.url)
                route.abort()

        context.route("**/*", gate)
        reader.page.on("websocket", lambda socket: reader.requests.append(socket.url))
        reader.page.on("console", lambda m: m.type == "error" and reader.complaints.append(m.text))
        reader.page.on("pageerror", lambda error: reader.complaints.append(str(error)))
        context.set_offline(True)
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


@pytest.fixture(params=PAGES)
def path(request, book: Path) -> Path:
    """Each page of the table of contents, as it was built."""
    return book / request.param
