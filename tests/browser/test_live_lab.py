"""Live in JupyterLab: a lesson, its slider between two frames, and a run that is interrupted."""

from __future__ import annotations

import base64
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import nbformat
import numpy as np
import pytest
from playwright.sync_api import Locator, Page, expect

from regbook.experiments import ch09
from regbook.explore import Slider
from regbook.paper import levenberg_marquardt
from regkit.implicit import Implicit
from regkit.linear import CG
from tools.copies import COPIES

pytestmark = [pytest.mark.browser, pytest.mark.slow]

NOTEBOOK = "A2_information.ipynb"  # the quickest lesson with a figure that moves
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
RUNNING = """
import threading
from regbook import setup
from regbook.experiments import ch09 as experiments
from regbook.explore import Choice, Whole, page_widget, running
from regbook.figures import ch09 as figures

setup()
alive, most, another_cell = [], [], threading.Event()


class Watched(experiments.Live):
    def __call__(self, **setting):
        alive.append(setting)
        most.append(len(alive))
        try:
            for known in super().__call__(**setting):
                yield known
                another_cell.wait()
        finally:
            alive.pop()


def draw(figure, state):
    return f"{figures.live(figure, state)} At most {max(most)} at once."


running(
    page_widget("(root) => {}", alt="in the page", title="Iterations"),
    Watched(experiments.pictures()),
    draw,
    alt="Curves and images",
    total=Whole(1, 400, 200, "iterations"),
    last=Whole(0, "total", 100, "differentiated"),
    tail=Choice({figures.NAMES[tail]: tail for tail in experiments.TAILS}, "how"),
    image=["hand", "turned hand", "head"],
    seed=Whole(0, 99, 0, "moved start"),
)
"""
COMPUTED = """
from regbook.explore import page_widget

page_widget("(root, data, kit) => root.append(kit.slider({label: 'k', input: kit.say}).row)", alt="a slider")
"""
RUN = """() => {
  window.ended = false;
  window.jupyterapp.commands.execute("notebook:run-all-cells").finally(() => { window.ended = true; });
}"""
PICTURE = """async (image) => {
  const bytes = new Uint8Array(await (await fetch(image.src)).arrayBuffer());
  return btoa(bytes.reduce((text, byte) => text + String.fromCharCode(byte), ""));
}"""
ANOTHER = f"async ([image, before]) => image.checkVisibility() && await ({PICTURE})(image) !== before"
PATIENCE = 600  # seconds for a start, or for all cells of a chapter, on a busy computer too


@pytest.fixture(scope="module")
def server(root, book, tmp_path_factory) -> Iterator[tuple[str, Path]]:
    """A JupyterLab on a free port, with readers' copies, and settings of its own: (address, folder)."""
    folder = tmp_path_factory.mktemp("lab")
    work = folder / "work"
    shutil.copytree(COPIES, work)
    own = {f"JUPYTER_{name}_DIR": str(folder / name.lower()) for name in ("CONFIG", "DATA", "RUNTIME")}
    own |= {"IPYTHONDIR": str(folder / "ipython"), "MPLBACKEND": "Agg"}
    path = os.pathsep.join(filter(None, [str(root), os.environ.get("PYTHONPATH")]))
    options = [
        "--no-browser",
        "--allow-root",
        "--ServerApp.ip=127.0.0.1",
        "--ServerApp.port_retries=100",
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
    about, end = folder / "runtime" / f"jpserver-{process.pid}.json", time.monotonic() + PATIENCE
    try:
        while not (address := answers(about)):
            if process.poll() is not None or time.monotonic() > end:
                pytest.fail(f"JupyterLab did not start:\n{Path(log.name).read_text()[-3000:]}")
            time.sleep(0.1)
        yield address, work
    finally:
        process.terminate()  # it ends its kernels, too
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait(20)
        log.close()


def answers(about: Path) -> str:
    """The address of the server that this file tells of, or nothing as long as it does not answer."""
    try:
        address = json.loads(about.read_text())["url"].rstrip("/")
        urllib.request.urlopen(f"{address}/api/status", timeout=10).close()
        return address
    except (OSError, ValueError):
        return ""


@pytest.fixture
def lab(server, browser) -> Iterator:
    """Opens a notebook of the copy in JupyterLab and runs all of its cells."""
    address, _ = server
    context = browser.new_context(viewport={"width": 1400, "height": 1000})
    context.set_default_timeout(1000 * PATIENCE)
    elsewhere = []

    def gate(route):
        if route.request.url.startswith((address, "data:", "blob:")):
            route.continue_()
        else:
            elsewhere.append(route.request.url)
            route.abort()

    context.route("**/*", gate)

    def run(name: str, look: Callable[[Page], None] | None = None) -> Page:
        page = context.new_page()
        page.goto(f"{address}/lab/tree/{name}?reset")
        page.locator(".jp-Notebook").first.wait_for()
        page.wait_for_function("window.jupyterapp?.shell.currentWidget?.sessionContext?.isReady")
        if look:
            look(page)
        page.evaluate(RUN)
        page.wait_for_function("window.ended")
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
        self.root: Locator = page.locator(".widget-vbox:has(> .widget-vbox > .widget-image)").first
        self.root.scroll_into_view_if_needed()
        self.image = self.root.locator("> .widget-vbox > .widget-image")
        self.handle = self.root.locator(".noUi-handle:visible").first
        self.number = self.root.locator("input[type=number]:visible").first

    def skip_guess(self) -> None:
        skip = self.root.get_by_role("button", name="Skip")
        expect(skip.or_(self.handle).first).to_be_visible()
        if skip.is_visible():
            skip.click()

    def picture(self) -> bytes:
        return base64.b64decode(self.image.evaluate(PICTURE))

    def wait_for_another_picture(self, before: bytes) -> None:
        seen = [self.image.element_handle(), base64.b64encode(before).decode()]
        self.page.wait_for_function(ANOTHER, arg=seen, polling=200)


def moves_between_frames(figure: Figure) -> float:
    """Moves the slider to a place where there is no frame: picture, number and read-out change."""
    picture, text, number = figure.picture(), figure.root.inner_text(), figure.number.input_value()
    place = float(figure.handle.get_attribute("aria-valuetext"))
    track = figure.root.locator(".noUi-base:visible").first
    box, last = track.bounding_box(), float(figure.handle.get_attribute("aria-valuemax"))
    target = 0.81 if place < last / 2 else 0.19
    track.click(position={"x": target * box["width"], "y": box["height"] / 2}, force=True)
    figure.wait_for_another_picture(picture)  # the kernel's answer to the click comes before any key
    figure.handle.focus()
    for _ in range(20):  # steps are a twentieth of the distance of two frames
        place = float(figure.handle.get_attribute("aria-valuetext"))
        if abs(place - round(place)) > 0.2:
            break
        figure.page.keyboard.press("ArrowRight")
    else:
        raise AssertionError(f"{place} is a frame")
    expect(figure.number).not_to_have_value(number)
    expect(figure.root).not_to_have_text(text, use_inner_text=True)
    return place


def test_small_notebook(server, lab):
    """Guess, slide, type a number, and see what an error in the drawing function says."""
    cells = [nbformat.v4.new_code_cell(source, id=f"cell{k}") for k, source in enumerate([SMALL, COMPUTED])]
    kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    nbformat.write(nbformat.v4.new_notebook(cells=cells, metadata=kernel), server[1] / "small.ipynb")
    figure = Figure(lab("small.ipynb"))
    expect(figure.root.get_by_role("button", name="This is my guess")).to_be_visible()
    for part in (figure.number, figure.image, figure.root.get_by_text("The end is at")):
        expect(part).to_be_hidden()
    expect(figure.root.get_by_role("button", name="This is my guess")).to_be_disabled()
    figure.handle.press("End")  # a single move: Jupyter may tell the kernel of a second one after the click
    figure.root.get_by_role("button", name="This is my guess").click()
    expect(figure.root.get_by_text("You guessed θ = 3.")).to_be_visible()
    expect(figure.image).to_be_visible()
    theta = Slider([0.5, 1.0, 2.0, 3.0]).value_at(moves_between_frames(figure))
    expect(figure.root.get_by_text(f"The end is at {8**theta:.3f}.")).to_be_visible()
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


def test_a_computation_that_is_interrupted(server, lab):
    """Any number of iterations: first what is quick, then nine steps, those of regkit; and never two runs."""
    sources = [RUNNING, "another_cell.set()  # the run waits for it: other cells can run meanwhile"]
    cells = [nbformat.v4.new_code_cell(source, id=f"cell{k}") for k, source in enumerate(sources)]
    kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    nbformat.write(nbformat.v4.new_notebook(cells=cells, metadata=kernel), server[1] / "running.ipynb")
    figure = Figure(lab("running.ipynb"))
    root = figure.root
    expect(root.get_by_text("hand, 200 iterations, the last 100 differentiated (restart)")).to_be_visible()

    def choose(name: str, value: int) -> None:
        root.get_by_label(name, exact=True).fill(str(value))
        root.get_by_label(name, exact=True).press("Enter")

    blank = figure.picture()
    choose("iterations", 300)  # which is interrupted
    expect(root.get_by_label("differentiated", exact=True)).to_have_value("150")
    root.get_by_label("how").select_option("implicit")
    choose("iterations", 173)
    expect(root.get_by_label("differentiated", exact=True)).to_have_value("86")  # the kernel's answer: half
    choose("differentiated", 41)
    said = root.get_by_text("hand, 173 iterations, and 41 more for the tangents (implicit).")
    expect(said).to_contain_text("At the start: cosine of Jᵀr with the true gradient")
    expect(said).to_contain_text("after steps 0 to 9:", timeout=1000 * PATIENCE)
    expect(said).to_contain_text("With the exact Jacobian it ends at", timeout=1000 * PATIENCE)
    expect(root.get_by_role("button", name="Compute")).to_be_visible(timeout=1000 * PATIENCE)
    assert "At most 1 at once." in said.inner_text() and figure.picture() != blank

    problem = ch09.Problem(*ch09.pictures()["hand"])
    reduced = problem.reduced(CG.fixed(173), Implicit(CG.fixed(41)))
    runs = [levenberg_marquardt(reduced, problem.moved(seed), gtol=0.0).history for seed in range(3)]
    errors = np.array([[100 * problem.made.error(problem.picture(step.x)) for step in run] for run in runs])
    spread = np.ptp(errors, axis=0)
    shown = np.array(
        re.search(r"after steps 0 to 9: ([\d., ]+?)\. ", said.inner_text())[1].split(", "), float
    )
    assert spread.max() < 1 and (abs(shown - errors[0]) <= 0.051 + 2 * spread).all()

    root.get_by_label("how").select_option("Chebyshev")
    root.get_by_role("button", name="Stop").press("Enter")
    expect(root.get_by_text("stopped")).to_be_visible()
    root.get_by_role("button", name="Compute").press("Enter")
    expect(root.get_by_text("hand, 173 iterations, the last 41 differentiated (Chebyshev)")).to_be_visible()


def is_whole(page: Page) -> None:
    """A reader's copy as it is opened: with figures, without roles of Sphinx, code folded."""
    expect(page.locator("figure.rk").first).to_be_visible()
    expect(page.locator(".jp-Notebook")).not_to_contain_text(re.compile(r"\{(glue|cite|term)"))
    expect(page.locator(".jp-CodeCell .jp-Placeholder").first).to_be_visible()


def test_lesson(lab, book):
    """An appendix, as a reader runs it; its figure starts with the picture of the built book."""
    figure = Figure(lab(NOTEBOOK, look=is_whole))
    figure.skip_guess()
    expect(figure.handle).to_be_visible()
    page = (book / "book" / NOTEBOOK).with_suffix(".html").read_text(encoding="utf-8")
    still = re.search(r'class="rk-picture">.*? src="data:image/webp;base64,([^"]*)"', page, re.S)
    assert figure.picture() == base64.b64decode(still[1])
    moves_between_frames(figure)
