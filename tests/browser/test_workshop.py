"""Register your own two pictures: photographs made by SciPy, given to the page as readers give theirs."""

from __future__ import annotations

import base64
import io
import json
import math
import re
import struct
import zlib
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from matplotlib import cbook
from PIL import Image
from playwright.sync_api import Locator, Page, expect
from scipy import ndimage

from regbook import widgets
from regbook.experiments.workshop import pairs
from regkit.register import register

from .figures import figures, height, too_wide, violations

pytestmark = pytest.mark.browser

PAGE = """<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Workshop</title>
<meta name="viewport" content="width=device-width, initial-scale=1"><style>
body {{ margin: 8px; font-family: sans-serif }} html[data-theme="dark"] {{ background: #121212; color: #eee }}
</style></head><body><main><h1>Workshop</h1>{}</main></body></html>"""
SHAPE = (300, 400)  # rows and columns of both photographs


@pytest.fixture(scope="module")
def path(tmp_path_factory) -> Path:
    """The figure in a page of its own."""
    figure = widgets.workshop(pairs(), title="Register your own two pictures", alt="Two pictures to register")
    file = tmp_path_factory.mktemp("workshop") / "page.html"
    file.write_text(PAGE.format(figure.html()), encoding="utf-8")
    return file


@pytest.fixture
def page(open_page, path) -> Page:
    return ready(open_page(path).page)


def ready(page: Page) -> Page:
    expect(page.locator(".rk-stage[data-says=before]")).to_have_count(1)
    return page


# ---------------------------------------------------------------------------------------- photographs


@cache
def source() -> np.ndarray:
    """A portrait in colour that ships with Matplotlib, 600 × 512."""
    with cbook.get_sample_data("grace_hopper.jpg") as stream:
        return np.asarray(Image.open(stream).convert("RGB"), dtype=float)


def photographs() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Reference, template, truth: a part of the portrait; another, turned by 37°, 1.2 times as large, and
    brighter; the matrix (3, 3) from pixels (row, column) of the first to those of the second."""
    a = math.radians(37)
    A = 1.2 * np.array([[math.cos(a), -math.sin(a)], [math.sin(a), math.cos(a)]])
    reference = source()[150:450, 56:456]
    middle, truth = (np.array(SHAPE) - 1) / 2, np.eye(3)
    truth[:2, :2], truth[:2, 2] = A, middle - A @ middle + [6.5, -4.25]
    back = np.linalg.inv(truth)
    moved = [
        ndimage.affine_transform(c, back[:2, :2], back[:2, 2] + [150, 56], SHAPE)
        for c in np.moveaxis(source(), 2, 0)
    ]
    return reference, 0.85 * np.stack(moved, axis=2) + 36, truth


def file(picture: np.ndarray, kind: str = "PNG", **options) -> dict:
    """The picture as a reader's file."""
    stream = io.BytesIO()
    Image.fromarray(np.clip(np.round(picture), 0, 255).astype(np.uint8)).save(stream, format=kind, **options)
    return upload(stream.getvalue(), f"picture.{kind.lower()}", f"image/{kind.lower()}")


def upload(content: bytes, name: str, kind: str) -> dict:
    return {"name": name, "mimeType": kind, "buffer": content}


SMALL = (120, 160)  # of pictures that are only to be read, or refused


def smooth(seed: int) -> np.ndarray:
    """A small texture that shares nothing with one of another seed."""
    noise = ndimage.gaussian_filter(np.random.default_rng(seed).normal(size=SMALL), 3)
    return 128 + 40 * noise / noise.std()


# ---------------------------------------------------------------------------------------- what a reader does


def stage(page: Page) -> Locator:
    return page.locator(".rk-stage")


def said(page: Page, key: str) -> str:
    """Waits until the page says this, and gives the words."""
    expect(page.locator(f".rk-stage[data-says={key}]")).to_have_count(1)
    return page.locator(".ws-verdict[role=status]").inner_text()


def choose(page: Page, slot: str, given: dict) -> None:
    page.get_by_label(f"Choose a file: {slot}").set_input_files(given)


def choose_both(page: Page, template: dict, reference: dict) -> None:
    choose(page, "template", template)
    said(page, "waiting")
    choose(page, "reference", reference)
    said(page, "before")


def align(page: Page) -> str:
    """Press the button, wait for an answer, and give its kind."""
    page.get_by_role("button", name="Align the pictures").click()
    expect(page.locator(".rk-stage:is([data-phase=aligned], [data-phase=no])")).to_have_count(1)
    return stage(page).get_attribute("data-says")


def matrix(page: Page, convention: str) -> np.ndarray:
    """The numbers that the page writes for a package."""
    page.get_by_role("button", name=convention, exact=True).click()
    rows = re.findall(r"^ +\[(.*)\],$", page.locator("pre").inner_text(), re.MULTILINE)
    return np.array([[float(number) for number in row.split(",")] for row in rows])


def applied(matrix: np.ndarray, x: np.ndarray) -> np.ndarray:
    return x @ matrix[:2, :2].T + matrix[:2, 2]


def error(found: np.ndarray, truth: np.ndarray) -> float:
    """Mean distance over the pixels of the reference that the other photograph shows, in its pixels."""
    x = np.stack(np.meshgrid(*map(np.arange, SHAPE), indexing="ij"), -1).reshape(-1, 2)
    y = applied(truth, x)
    shown = ((y >= 0) & (y <= np.array(SHAPE) - 1)).all(axis=1)
    return float(np.linalg.norm(applied(found, x) - y, axis=1)[shown].mean())


@pytest.fixture(scope="module")
def aligned(browser, path) -> Page:
    """The page with both photographs, aligned; the template came as a JPEG. Each test leaves it as it was."""
    context = browser.new_context(accept_downloads=True)
    page = context.new_page()
    page.goto(path.as_uri())
    reference, template, _ = photographs()
    choose_both(ready(page), file(template, "JPEG", quality=95), file(reference))
    assert align(page) == "aligned"
    yield page
    context.close()


# ---------------------------------------------------------------------------------------- it is right


def test_a_turned_cropped_and_brightened_photograph_is_found(aligned):
    truth = photographs()[2]
    assert error(matrix(aligned, "SciPy"), truth) < 0.3
    found = json.loads(stage(aligned).get_attribute("data-found"))["best"]
    assert found["gain"] == pytest.approx(1 / 0.85, abs=0.02) and found["correlation"] > 0.98
    rows = aligned.locator("tbody tr").all_inner_texts()
    shown = {
        name: words.split("\t") for name, *words in (row.split("\t", 1) for row in rows) for words in words
    }
    assert shown["turn"][0] == "−37.0°" and shown["width"][0] == shown["height"][0] == "0.833"
    assert "details agree" in aligned.locator(".ws-verdict[role=status]").inner_text()


def test_all_matrices_are_the_same_map(aligned):
    """In coordinates of their own: from the corner for regkit, (x, y) for ITK, the way back for OpenCV."""
    scipy, regkit, opencv, itk = (matrix(aligned, name) for name in ("SciPy", "regkit", "OpenCV", "ITK"))
    x = np.array([[0.0, 0.0], [299, 0], [10, 399], [150, 200]])
    y = applied(scipy, x)
    assert np.allclose(applied(regkit, x + 0.5) - 0.5, y, atol=1e-3)
    assert np.allclose(applied(itk, x[:, ::-1])[:, ::-1], y, atol=1e-3)
    assert opencv.shape == (2, 3) and np.allclose(applied(opencv, y[:, ::-1])[:, ::-1], x, atol=1e-3)


def moved_as_the_reference(warped: np.ndarray) -> float:
    """The correlation with the reference of what a package made of the template, where it made something."""
    reference = photographs()[0].mean(axis=2)
    shown = ndimage.binary_erosion(warped > 0, iterations=3)
    assert shown.mean() > 0.4
    return float(np.corrcoef(warped[shown], reference[shown])[0, 1])


def test_scipy_moves_the_template_by_its_matrix(aligned):
    template = photographs()[1].mean(axis=2)
    assert (
        moved_as_the_reference(
            ndimage.affine_transform(template, matrix(aligned, "SciPy"), output_shape=SHAPE)
        )
        > 0.99
    )


def test_opencv_moves_the_template_by_its_matrix(aligned):
    cv2 = pytest.importorskip("cv2", reason="needs OpenCV")
    template = photographs()[1].mean(axis=2)
    assert moved_as_the_reference(cv2.warpAffine(template, matrix(aligned, "OpenCV"), SHAPE[::-1])) > 0.99


def test_itk_moves_the_template_by_its_matrix(aligned):
    sitk = pytest.importorskip("SimpleITK", reason="needs SimpleITK")
    reference, template, _ = photographs()
    found, transform = matrix(aligned, "ITK"), sitk.AffineTransform(2)
    transform.SetMatrix(found[:2, :2].ravel().tolist())
    transform.SetTranslation(found[:2, 2].tolist())
    images = [sitk.GetImageFromArray(image.mean(axis=2)) for image in (template, reference)]
    assert moved_as_the_reference(sitk.GetArrayFromImage(sitk.Resample(*images, transform))) > 0.99


def test_register_in_python_finds_the_same_map(aligned):
    """With the same matrix in all four conventions, to what the JPEG and the reduction of noise leave."""
    reference, template, _ = photographs()
    found = register(template, reference)
    x = np.array([[150.0, 200.0], [100, 150], [200, 250]])
    for name in ("regkit", "SciPy", "ITK"):
        theirs, ours = found.matrix(name.lower()), matrix(aligned, name)
        y = x if name != "ITK" else x[:, ::-1]
        assert np.linalg.norm(applied(theirs, y) - applied(ours, y), axis=1).max() < 0.3, name
    assert np.allclose(found.matrix("opencv"), matrix(aligned, "OpenCV"), rtol=0, atol=0.5)


def test_the_saved_picture_is_the_template_on_the_pixels_of_the_reference(aligned):
    """In colour and of full size, transparent where the template shows nothing."""
    with aligned.expect_download() as download:
        aligned.get_by_role("button", name="Save the aligned picture").click()
    assert download.value.suggested_filename == "aligned.png"
    saved = np.asarray(Image.open(download.value.path()), dtype=float)
    assert saved.shape == (*SHAPE, 4)
    template, scipy = photographs()[1], matrix(aligned, "SciPy")
    expected = np.stack(
        [
            ndimage.affine_transform(c, scipy, output_shape=SHAPE, order=1)
            for c in np.moveaxis(template, 2, 0)
        ],
        2,
    )
    shown = ndimage.binary_erosion(saved[..., 3] == 255, iterations=2)
    assert 0.4 < shown.mean() < 0.9 and saved[..., 3].min() == 0
    assert np.abs(saved[..., :3] - expected)[shown].mean() < 4  # the page had it as a JPEG
    expect(aligned.locator(".rk-readout")).to_contain_text("400 × 300 pixels")


# What the page's own thread does with pixels, as the most of them in one task; its workers have their own.
SPY = """() => {
  window.pixels = {};
  const count = (kind, name, size) => {
    const own = kind?.prototype[name];
    let sum = 0;
    if (own) kind.prototype[name] = function (...given) {
      if (!sum) setTimeout(() => { sum = 0; });
      sum += size(this, given);
      window.pixels[name] = Math.max(window.pixels[name] ?? 0, sum);
      return own.apply(this, given);
    };
  };
  for (const name of ["getImageData", "putImageData", "drawImage"]) {
    for (const kind of [window.CanvasRenderingContext2D, window.OffscreenCanvasRenderingContext2D]) {
      count(kind, name, (_, given) => (name === "getImageData" ? given[2] * given[3] : 1));
    }
  }
  for (const name of ["toDataURL", "toBlob"]) {
    count(window.HTMLCanvasElement, name, ({ width, height }) => width * height);
  }
  const bitmap = window.createImageBitmap;
  window.createImageBitmap = (...given) => {
    window.pixels.createImageBitmap = 1;
    return bitmap(...given);
  };
}"""


def look_at_all(page: Page) -> None:
    """Every view, and the moved picture saved."""
    for name in ("checkerboard", "difference", "blend"):
        page.get_by_role("combobox", name="view").select_option(name)
        expect(page.locator(".rk-stage[data-drawn=yes]")).to_have_count(1)
    with page.expect_download():
        page.get_by_role("button", name="Save the aligned picture").click()


def test_the_page_itself_touches_no_pixel(open_page, path):
    """Pictures are read, aligned, drawn and written in workers, so that no frame waits for them."""
    reader = open_page(path)
    reader.page.add_init_script(f"({SPY})()")
    reader.page.reload()
    large = file(np.tile(smooth(1), (12, 12)), "JPEG")
    choose_both(ready(reader.page), large, file(smooth(2)))
    reader.page.get_by_role("combobox", name="pictures").select_option("a head, photographed twice")
    assert align(ready(reader.page)) == "aligned"
    look_at_all(reader.page)
    assert reader.page.evaluate("pixels") == {}


# ---------------------------------------------------------------------------------------- it says no


def test_textures_noise_and_a_blank_picture(page):
    noise = np.random.default_rng(0).uniform(0, 255, SMALL)
    choose_both(page, file(smooth(1)), file(smooth(2)))
    assert align(page) == "no"
    choose(page, "template", file(noise))
    said(page, "before")
    assert align(page) == "no"
    choose(page, "template", file(np.full(SMALL, 90.0)))
    said(page, "before")
    assert align(page) == "blank"
    assert "the template is blank" in page.locator(".ws-verdict[role=status]").inner_text()


def test_two_pictures_that_share_nothing_and_a_playing_card_with_two_answers(page):
    (figure,) = figures(page)
    before = height(figure)
    page.get_by_role("combobox", name="pictures").select_option("a hand and a head")
    expect(page.locator(".ws-verdict[role=status]")).to_contain_text("a hand and a head", ignore_case=True)
    assert align(page) == "no"
    assert "share nothing" in page.locator(".ws-verdict[role=status]").inner_text()
    expect(page.get_by_role("button", name="Save the aligned picture")).to_be_disabled()
    assert "–" in page.locator("tbody").inner_text() and not re.search(
        r"\d", page.locator("pre").inner_text()
    )
    assert height(figure) == before

    page.get_by_role("combobox", name="pictures").select_option("a playing card")
    expect(page.locator(".ws-verdict[role=status]")).to_contain_text("playing card")
    assert align(page) == "two"
    words = page.locator(".ws-verdict[role=status]").inner_text()
    one, other = (float(turn.replace("−", "-")) for turn in re.findall(r"turned by (\S+)°", words))
    assert abs(one - other) == pytest.approx(180, abs=0.5)
    first = matrix(page, "SciPy")
    page.get_by_role("button", name="Show the second-best").click()
    second = matrix(page, "SciPy")
    assert np.allclose(second[:2, :2], -first[:2, :2], atol=0.01)
    assert "second-best" in page.locator(".rk-readout").inner_text()
    page.get_by_role("button", name="Show the best again").click()
    assert np.array_equal(matrix(page, "SciPy"), first)
    assert height(figure) == before


ROWS, COLUMNS = np.indices(SMALL)
FREE = {
    "stripes": ("slides", np.sin((ROWS + COLUMNS / 2) / 4)),
    "a ramp": ("lines", ROWS + COLUMNS / 2),  # which has no details
    "a disc": ("turns", np.hypot(ROWS - 55, COLUMNS - 85) < 30),
}


@pytest.mark.parametrize("name", FREE)
def test_it_says_where_nothing_tells_the_map(page, name):
    """What may slide or turn; each of the two pictures has noise of its own."""
    expected, image = FREE[name][0], FREE[name][1].astype(float)
    picture = 60 + 120 * (image - image.min()) / np.ptp(image)
    random = np.random.default_rng(0)
    choose_both(page, *(file(picture + 3 * random.normal(size=SMALL)) for _ in range(2)))
    assert align(page) == expected
    words = page.locator(".ws-verdict[role=status]").inner_text()
    assert ("no more than stripes" if expected == "lines" else "nothing tells") in words


def printed(seed: int) -> np.ndarray:
    """Twenty ragged lines of words, of letters that are 5 × 7 points of one size."""
    random, page = np.random.default_rng(seed), np.full((280, 200), 240.0)
    alphabet = np.random.default_rng(0).random((26, 7, 5)) < 0.5
    for line in range(20):
        for column in range(random.integers(8, 33)):
            if random.random() > 0.15:
                letter = alphabet[random.integers(26)]
                page[14 * line + 3 : 14 * line + 10, 6 * column : 6 * column + 5][letter] = 20
    return page


def test_lines_of_two_texts_are_not_one_text_and_one_text_has_one_answer(page):
    """All details agree across the lines, and none along them; a page that was scrolled is found."""
    choose_both(page, file(printed(1)), file(printed(2)))
    assert align(page) in ("lines", "no")
    choose(page, "template", file(printed(2)[42:]))
    said(page, "before")
    assert align(page) == "aligned"
    expected = [[1, 0, -42], [0, 1, 0], [0, 0, 1]]
    assert np.allclose(matrix(page, "SciPy"), expected, atol=0.3)


def test_it_can_be_stopped(page):
    """At once: what the worker had asked for comes to nothing."""
    page.evaluate(
        """() => {
          const press = (name) => [...document.querySelectorAll("button")]
            .find((button) => button.textContent === name).click();
          press("Align the pictures");
          press("Stop");
        }"""
    )
    said(page, "stopped")
    assert stage(page).get_attribute("data-found") == "null"
    assert align(page) == "aligned"


def test_new_pictures_end_what_runs(page):
    """The answer is that for the pictures that are seen, though the others were asked for first."""
    page.get_by_role("button", name="Align the pictures").click()
    choose(page, "reference", file(smooth(1)))
    said(page, "waiting")
    assert stage(page).get_attribute("data-found") == "null"
    choose(page, "template", file(smooth(1)))
    said(page, "before")
    expect(page.get_by_role("progressbar")).to_have_attribute("value", "0")
    assert align(page) == "aligned" and np.allclose(matrix(page, "SciPy"), np.eye(3), atol=0.01)


def test_align_may_be_pressed_while_a_picture_is_read(page):
    """It begins when the picture is there: with that one, not with the one before."""
    page.evaluate(
        """() => {
          const list = document.querySelector(".rk-stage select");
          list.selectedIndex = 2;
          list.dispatchEvent(new Event("change"));
          document.querySelector("button.rk-first").click();
        }"""
    )
    said(page, "two")


def test_a_picture_that_cannot_be_written_is_said(open_page, path):
    """As where a browser has no room for so many pixels."""
    reader = open_page(path)
    reader.page.add_init_script(
        "delete window.OffscreenCanvas; HTMLCanvasElement.prototype.toBlob = (done) => done(null)"
    )
    reader.page.reload()
    assert align(ready(reader.page)) == "aligned"
    reader.page.get_by_role("button", name="Save the aligned picture").click()
    assert "could not be written" in said(reader.page, "full")


# ---------------------------------------------------------------------------------------- what readers bring


def png_of(width: int, height_: int) -> bytes:
    """A PNG that says it is so large, and holds nothing."""
    head = b"IHDR" + struct.pack(">IIBBBBB", width, height_, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + head + struct.pack(">I", zlib.crc32(head)) + bytes(99)
    )


def test_what_was_saved_can_be_brought_back(page, aligned):
    """It is transparent around what the template shows: that is no edge, and hardly anything is to move."""
    with aligned.expect_download() as download:
        aligned.get_by_role("button", name="Save the aligned picture").click()
    content = Path(download.value.path()).read_bytes()
    choose_both(page, upload(content, "aligned.png", "image/png"), file(photographs()[0]))
    assert align(page) == "aligned"
    assert error(matrix(page, "SciPy"), np.eye(3)) < 1


def test_a_drawing_on_nothing_is_seen_on_white(page):
    """A black drawing on a transparent ground, and the same on white."""
    drawing = 255.0 * (smooth(3) < 128)
    seen = np.dstack([0 * drawing, 0 * drawing, 0 * drawing, drawing])
    choose_both(page, file(seen), file(255 - drawing))
    assert align(page) == "aligned"
    assert np.allclose(matrix(page, "SciPy"), np.eye(3), atol=0.1)


BAD = {
    "broken": upload(b"\xff\xd8\xff\xe0 no picture at all", "cut.jpg", "image/jpeg"),
    "heic": upload(b"\x00\x00\x00\x18ftypheic" + bytes(99), "IMG_0001.HEIC", "image/heic"),
    "large": upload(png_of(30000, 20000), "huge.png", "image/png"),
    "small": file(np.zeros((20, 400))),
}


def test_what_cannot_be_read_is_said_and_the_picture_before_is_kept(page):
    before = page.locator(".ws-size").all_inner_texts()
    for key, given in BAD.items():
        choose(page, "reference", given)
        words = said(page, key)
        assert "The picture before it is kept." in words
        assert page.locator(".ws-size").all_inner_texts() == before
    choose(page, "reference", BAD["large"])
    assert "30,000 × 20,000 pixels" in said(page, "large")


def test_a_photograph_that_lies_on_its_side_stands_up(page):
    """The orientation that a camera notes is followed: nothing is left to turn."""
    reference = photographs()[0]
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned clockwise by a quarter before it is shown
    choose_both(page, file(np.rot90(reference), "JPEG", exif=exif, quality=95), file(reference))
    assert page.locator(".ws-size").first.inner_text() == "400 × 300 pixels"
    assert align(page) == "aligned"
    assert np.allclose(matrix(page, "SciPy"), np.eye(3), atol=0.05)


@pytest.mark.parametrize("way", ["drop", "paste"])
def test_pictures_are_dropped_and_pasted(page, way):
    """Two at once are template and reference; one goes where it is dropped, and else to what is missing."""
    sent = [base64.b64encode(file(smooth(seed))["buffer"]).decode() for seed in (1, 2)]
    give = """([where, way, pictures]) => {
      const data = new DataTransfer(), kind = { type: "image/png" };
      for (const text of pictures) {
        const bytes = Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
        data.items.add(new File([bytes], "a.png", kind));
      }
      const more = way === "drop" ? { dataTransfer: data } : { clipboardData: data };
      const made = way === "drop" ? new DragEvent("drop", { bubbles: true, cancelable: true, ...more })
        : new ClipboardEvent("paste", { bubbles: true, cancelable: true, ...more });
      document.querySelector(where).dispatchEvent(made);
    }"""
    page.evaluate(give, [".ws-slot[data-slot=template]" if way == "drop" else "body", way, sent[:1]])
    said(page, "waiting")
    page.evaluate(give, [".ws-view", way, sent[1:]])
    said(page, "before")
    assert page.locator(".ws-size").all_inner_texts()[:2] == ["160 × 120 pixels"] * 2
    page.evaluate(give, [".ws-view", way, sent[::-1]])
    said(page, "before")
    page.evaluate(give, [".ws-view", way, []])  # words, or a link
    assert "no picture in this" in said(page, "nothing")
    page.evaluate(give, [".ws-view", way, [sent[0], sent[0], sent[1]]])  # the first twice
    assert "The first two of 3 files are taken." in said(page, "before")
    assert align(page) == "aligned" and np.allclose(matrix(page, "SciPy"), np.eye(3), atol=0.01)
    broken = base64.b64encode(b"no picture").decode()
    page.evaluate(give, [".ws-view", way, [broken, sent[1]]])
    said(page, "broken")
    assert align(page) == "no"  # the template before it, and the new reference


# ---------------------------------------------------------------------------------------- for everybody


@pytest.mark.parametrize("look", ["light", "phone"])
def test_readable_at_the_end(open_page, path, look):
    """As at the start, which the walks over all pages look at; and nothing has moved the page below."""
    page = ready(open_page(path, width=360 if look == "phone" else 1280).page)
    (figure,) = figures(page)
    before = height(figure)
    assert page.get_by_text("Photograph", exact=True).first.is_visible() == (look == "phone")
    if look == "phone":
        page.evaluate("document.documentElement.dataset.theme = 'dark'")
    assert align(page) == "aligned" and height(figure) == before
    assert violations(page) == [] and too_wide(page) == []
    choose(page, "template", BAD["heic"])
    said(page, "heic")
    assert height(figure) == before


def test_by_keyboard_alone(page):
    """In the order in which things stand: the pictures, the button, the view, what comes out."""
    names = []
    for _ in range(4):
        page.keyboard.press("Tab")
        names.append(page.evaluate("document.activeElement.ariaLabel || document.activeElement.textContent"))
    assert names[1:] == ["Choose a file: template", "Choose a file: reference", "Align the pictures"]
    page.keyboard.press("Enter")
    said(page, "aligned")
    expect(page.get_by_role("button", name="Align the pictures")).to_be_focused()
    page.get_by_role("combobox", name="view").focus()
    page.keyboard.press("ArrowDown")
    expect(page.locator(".rk-readout")).to_contain_text("Checkerboard")
    page.get_by_role("slider", name="amount").press("End")
    expect(page.locator(".rk-readout")).to_contain_text("16 squares")
    assert page.locator(".ws-view").get_attribute("aria-label") == page.locator(".rk-readout").inner_text()


def test_views_show_that_it_is_aligned(aligned):
    """Half of the template over the reference; squares of both; nothing is left in the difference."""
    view, seen = aligned.locator(".ws-view"), {}
    for name in ("blend", "checkerboard", "difference"):
        aligned.get_by_role("combobox", name="view").select_option(name)
        expect(aligned.locator(".rk-stage[data-drawn=yes]")).to_have_count(1)
        png = base64.b64decode(view.evaluate("canvas => canvas.toDataURL()").split(",")[1])
        seen[name] = np.asarray(Image.open(io.BytesIO(png)))
    assert len({seen[name].tobytes() for name in seen}) == 3
    middle = seen["difference"][160:320, 220:420, :3].astype(float)
    neutral = seen["difference"][5, 5, :3]  # a corner that the template does not reach
    assert np.abs(middle - neutral).mean() < 25, "four times the difference"
    aligned.get_by_role("combobox", name="view").select_option("blend")


def test_without_workers_it_is_computed_all_the_same(open_page, path):
    """In slices between two frames: so many pixels at a time of a picture that is read."""
    reader = open_page(path)
    reader.page.add_init_script(f"delete window.Worker; delete window.OffscreenCanvas; ({SPY})()")
    reader.page.reload()
    choose(ready(reader.page), "reference", file(np.tile(smooth(1), (12, 12)), "JPEG"))
    said(reader.page, "waiting")
    reader.page.get_by_role("combobox", name="pictures").select_option("a head, photographed twice")
    assert align(ready(reader.page)) == "aligned"
    look_at_all(reader.page)
    assert 1e5 < reader.page.evaluate("pixels.getImageData") <= 2**17
