"""Live in JupyterLab: a chapter is run, and a slider moved to a value that the book has no frame for."""

from __future__ import annotations

import base64
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import nbformat
import pytest
from playwright.sync_api import Locator, Page, expect

expect.set_options(timeout=30_000)
pytestmark = [pytest.mark.browser, pytest.mark.slow]

NOTEBOOK = "book/02_spline_images.ipynb"
SMALL = """
import numpy as np
from regbook.explore import explore

def draw(figure, theta):
    if 0.6 < theta < 0.8:
        raise ArithmeticError("no picture here")
    ax = figure.subplots()
    ax.plot(np.arange(9) ** theta)
    return f"The end is at {8**theta:.3f}."

explore(draw, theta=[0.5, 1.0, 2.0, 3.0], guess="At which θ is it a parabola?", dpi=60)
"""
COMPUTED = """
from regbook.explore import page_widget

page_widget("(root, data, kit) => root.append(kit.slider({label: 'k', input: kit.say}).row)", alt="a slider")
"""
RUN = """() => {
  window.ended = false;
  window.jupyterapp.commands.execute("notebook:run-all-cells").finally(() => { window.ended = true; });
}"""
IDLE = "window.jupyterapp.shell.currentWidget.sessionContext.session.kernel.status === 'idle'"
PICTURE = """async (image) => {
  const bytes = new Uint8Array(await (await fetch(image.src)).arrayBuffer());
  return btoa(bytes.reduce((text, byte) => text + String.fromCharCode(byte), ""));
}"""


@pytest.fixture(scope="module")
def server(root, tmp_path_factory) -> Iterator[tuple[str, Path]]:
    """A JupyterLab on a free port, in a copy of the book, with settings of its own: (address, folder)."""
    folder = tmp_path_factory.mktemp("lab")
    work = folder / "work"
    shutil.copytree(root / "book", work / "book", ignore=shutil.ignore_patterns(".ipynb_checkpoints"))
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    own = {f"JUPYTER_{name}_DIR": str(folder / name.lower()) for name in ("CONFIG", "DATA", "RUNTIME")}
    own |= {"IPYTHONDIR": str(folder / "ipython"), "MPLBACKEND": "Agg"}
    path = os.pathsep.join(filter(None, [str(root), os.environ.get("PYTHONPATH")]))
    options = [
        "--no-browser",
        "--allow-root",
        "--ServerApp.ip=127.0.0.1",
        f"--ServerApp.port={port}",
        "--ServerApp.port_retries=0",
        f"--ServerApp.root_dir={work}",
        "--IdentityProvider.token=",
        "--LabApp.expose_app_in_browser=True",
        "--LabApp.news_url=",
        "--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate",
        "--LabApp.collaborative=False",
    ]
    log = (folder / "log.txt").open("w+")
    process = subprocess.Popen(
        [sys.executable, "-m", "jupyterlab", *options],
        env=os.environ | own | {"PYTHONPATH": path},
        stdout=log,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )
    address = f"http://127.0.0.1:{port}"
    try:
        for _ in range(240):
            if process.poll() is not None:
                pytest.fail(f"JupyterLab did not start:\n{Path(log.name).read_text()[-3000:]}")
            try:
                urllib.request.urlopen(f"{address}/api/status", timeout=2).close()
                break
            except OSError:
                time.sleep(0.25)
        else:
            pytest.fail("JupyterLab did not answer within a minute")
        yield address, work
    finally:
        process.terminate()  # it ends its kernels, too
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait(20)
        log.close()


@pytest.fixture
def lab(server, browser) -> Iterator:
    """Opens a notebook of the copy in JupyterLab and runs all of its cells."""
    address, _ = server
    context = browser.new_context(viewport={"width": 1400, "height": 1000})
    context.set_default_timeout(60_000)
    elsewhere = []

    def gate(route):
        if route.request.url.startswith((address, "data:", "blob:")):
            route.continue_()
        else:
            elsewhere.append(route.request.url)
            route.abort()

    context.route("**/*", gate)

    def run(name: str) -> Page:
        page = context.new_page()
        page.goto(f"{address}/lab/tree/{name}?reset")
        page.locator(".jp-Notebook").first.wait_for()
        page.wait_for_function("window.jupyterapp?.shell.currentWidget?.sessionContext?.isReady")
        page.evaluate(RUN)
        page.wait_for_function("window.ended", timeout=240_000)
        errors = page.locator(".jp-OutputArea-output[data-mime-type='application/vnd.jupyter.error']")
        assert errors.all_inner_texts() == []
        return page

    yield run
    for page in context.pages:
        page.evaluate("window.jupyterapp?.serviceManager.sessions.shutdownAll()")
    context.close()
    assert elsewhere == [], "JupyterLab asked the network"


class Figure:
    """The first live figure of a notebook."""

    def __init__(self, page: Page):
        self.page = page
        self.root: Locator = page.locator(".widget-vbox:has(> .widget-image)").first
        self.root.scroll_into_view_if_needed()
        self.image = self.root.locator("> .widget-image")
        self.handle = self.root.locator(".noUi-handle:visible").first
        self.number = self.root.locator("input[type=number]:visible").first

    def skip_guess(self) -> None:
        if self.root.get_by_role("button", name="Skip").count():
            self.root.get_by_role("button", name="Skip").click()

    def picture(self) -> bytes:
        return base64.b64decode(self.image.evaluate(PICTURE))

    def text(self) -> str:
        return self.root.inner_text()

    def settle(self) -> None:
        """Wait until the kernel has answered all that was asked of it."""
        seen = None
        while seen != (seen := (self.number.input_value(), self.text())):
            self.page.wait_for_timeout(1000)
            self.page.wait_for_function(IDLE)

    def wait_for_another_picture(self, before: bytes) -> bytes:
        for _ in range(150):
            if self.image.is_visible() and (now := self.picture()) != before:
                return now
            self.page.wait_for_timeout(200)
        raise AssertionError("the picture does not change")


def moves_between_frames(figure: Figure) -> None:
    """Moves the slider to a place where there is no frame: picture, number and read-out change."""
    picture, text, number = figure.picture(), figure.text(), figure.number.input_value()
    place = float(figure.handle.get_attribute("aria-valuenow"))
    track = figure.root.locator(".noUi-base:visible").first
    box, last = track.bounding_box(), float(figure.handle.get_attribute("aria-valuemax"))
    target = 0.81 if place < last / 2 else 0.19
    track.click(position={"x": target * box["width"], "y": box["height"] / 2}, force=True)
    figure.handle.focus()
    for _ in range(20):  # steps are a twentieth of the distance of two frames
        place = float(figure.handle.get_attribute("aria-valuenow"))
        if abs(place - round(place)) > 0.2:
            break
        figure.page.keyboard.press("ArrowRight")
    else:
        raise AssertionError(f"{place} is a frame")
    figure.wait_for_another_picture(picture)
    expect(figure.number).not_to_have_value(number)
    for _ in range(150):
        if figure.text() != text:
            return figure.settle()
        figure.page.wait_for_timeout(200)
    raise AssertionError(f"the read-out does not change: {text}")


def test_small_notebook(server, lab):
    """Guess, slide, type a number, and see what an error in the drawing function says."""
    cells = [nbformat.v4.new_code_cell(source, id=f"cell{k}") for k, source in enumerate([SMALL, COMPUTED])]
    kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    nbformat.write(nbformat.v4.new_notebook(cells=cells, metadata=kernel), server[1] / "small.ipynb")
    figure = Figure(lab("small.ipynb"))
    assert not figure.number.is_visible()
    figure.root.get_by_role("button", name="This is my guess").click()
    expect(figure.root.get_by_text("You guessed θ = 1.")).to_be_visible()
    moves_between_frames(figure)
    before = figure.picture()
    figure.number.fill("1.7")
    figure.number.press("Enter")
    figure.wait_for_another_picture(before)
    expect(figure.root.get_by_text(f"The end is at {8**1.7:.3f}.")).to_be_visible()
    figure.number.fill("0.7")
    figure.number.press("Enter")
    expect(figure.root.get_by_role("alert")).to_contain_text("ArithmeticError: no picture here")
    expect(figure.image).not_to_be_visible()
    figure.number.fill("3")
    figure.number.press("Enter")
    expect(figure.image).to_be_visible()
    expect(figure.root.get_by_text("The end is at 512.000.")).to_be_visible()
    computed = figure.page.locator("figure.rk")
    computed.get_by_role("slider").press("End")
    expect(computed.locator(".rk-readout")).to_have_text("1")


def test_chapter(lab, root):
    """The chapter on splines, as a reader runs it; its figure starts with the picture of the built book."""
    if not (root / NOTEBOOK).is_file():
        pytest.skip(f"{NOTEBOOK} is not there")
    figure = Figure(lab(NOTEBOOK))
    figure.skip_guess()
    expect(figure.handle).to_be_visible()
    built = root / "_build" / "html" / Path(NOTEBOOK).with_suffix(".html")
    if built.is_file():
        page = built.read_text(encoding="utf-8")
        still = re.search(r'class="rk-picture">.*?base64,([^"]*)"', page, re.S)
        assert figure.picture() == base64.b64decode(still[1])
    moves_between_frames(figure)
