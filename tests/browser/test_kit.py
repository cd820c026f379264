"""The kits as somebody has them who was given the zips: unpacked into some folder, without a network."""

from __future__ import annotations

import hashlib
import os
import re
import zipfile
from pathlib import Path

import pytest
from playwright.sync_api import expect

from tools import kit
from tools.chapters import appendices, chapters, lessons
from tools.copies import COPIES
from tools.release import version
from tools.student import ASSIGNMENTS
from tools.toc import ROOT, notebooks, pages
from tools.wheel import wheel

from .figures import figures, fraction, guess, move, sliders, state, violations, wait_for_change
from .test_pages import broken

pytestmark = pytest.mark.browser

LONGEST = 120  # letters of a path in a kit: Windows takes 260, with the folders above
FORBIDDEN = re.compile(
    r'[<>:"\\|?*\x00-\x1f]|[ .](/|$)|(^|/)(CON|PRN|AUX|NUL|COM\d|LPT\d)(\.|/|$)', re.IGNORECASE
)
PROGRAMS = (".exe", ".bat", ".cmd", ".com", ".sh", ".ps1", ".command", ".app", ".msi")
each_edition = pytest.mark.parametrize("edition", kit.EDITIONS, ids=lambda edition: edition.stem)


@pytest.fixture(scope="module")
def zips(book: Path, tmp_path_factory) -> dict[kit.Edition, Path]:
    """Both, made of the built book."""
    folder = tmp_path_factory.mktemp("made")
    return {edition: kit.write(edition, folder) for edition in kit.EDITIONS}


@pytest.fixture(scope="module")
def unpacked(zips, tmp_path_factory) -> dict[kit.Edition, Path]:
    """The folders of the kits, in one with a name that not every program likes."""
    folder = tmp_path_factory.mktemp("kits") / "Kurs für Übungen"
    for path in zips.values():
        with zipfile.ZipFile(path) as archive:
            archive.extractall(folder)
    return {edition: folder / edition.name for edition in kit.EDITIONS}


@each_edition
def test_the_names_are_such_that_any_system_takes_them(zips, edition):
    with zipfile.ZipFile(zips[edition]) as archive:
        names = [entry.filename for entry in archive.infolist()]
        assert {entry.date_time for entry in archive.infolist()} == {(1980, 1, 1, 0, 0, 0)}
    assert {name.partition("/")[0] for name in names} == {edition.name}
    assert names == sorted(names) and len({name.lower() for name in names}) == len(names)
    assert not [name for name in names if FORBIDDEN.search(name) or not name.isascii() or len(name) > LONGEST]
    assert not [name for name in names if name.lower().endswith(PROGRAMS)]
    assert FORBIDDEN.search("a/aux.js") and FORBIDDEN.search("a./b") and FORBIDDEN.search("what?")


@each_edition
def test_all_that_belongs_to_it_is_there(unpacked, edition):
    folder = unpacked[edition]
    there = {path.name for path in folder.iterdir()} - {"book.pdf"}
    assert there == {
        *("START-HERE.html", "SHA256SUMS", "LICENSE.txt", "LICENSE-content.txt", "CITATION.cff"),
        *("book", "student", *(["notebooks"] if edition.teachers else [])),
    }
    assert edition.teachers or not (folder / "book.pdf").exists()
    handed = {path.name for path in (*notebooks(), *ASSIGNMENTS.glob("*.ipynb"))}
    beside = {"glossary.md", "notation.md", wheel().name}
    assert {path.name for path in (folder / "student").iterdir()} == handed | beside
    assert (folder / "student" / wheel().name).read_bytes() == next(COPIES.glob("*.whl")).read_bytes()
    for path in pages():
        page = folder / "book" / path.relative_to(ROOT).with_suffix(".html")
        assert page.is_file() == (edition.teachers or path.parent.name != "teach"), page
    decks = {path.name for path in (folder / "book" / "slides").glob("*")}
    assert decks == ({f"{path.name[:2]}.html" for path in chapters()} if edition.teachers else set())


@each_edition
def test_the_checksums_are_those_of_all_files(unpacked, edition):
    folder = unpacked[edition]
    listed = dict(
        reversed(line.split("  ", 1)) for line in (folder / kit.SUMS).read_text("utf-8").splitlines()
    )
    files = {path.relative_to(folder).as_posix(): path for path in folder.rglob("*") if path.is_file()}
    del files[kit.SUMS]
    assert listed == {name: hashlib.sha256(path.read_bytes()).hexdigest() for name, path in files.items()}


@each_edition
def test_every_link_leads_to_what_is_there(unpacked, edition):
    """All pages, slides and the first page: each file and each anchor."""
    found = [
        f"{path.relative_to(unpacked[edition])}: {target}"
        for path in sorted(unpacked[edition].rglob("*.html"))
        if "_static" not in path.parts
        for target in broken(path, unpacked[edition])
    ]
    assert not found, "\n".join(found)


def test_the_same_pages_give_the_same_content(unpacked, tmp_path, monkeypatch):
    """Whenever the files were written, wherever it is made."""
    os.utime(kit.HTML / "index.html")
    monkeypatch.chdir(tmp_path)
    for name, content in kit.content(kit.COURSE):
        assert content == (unpacked[kit.COURSE] / name).read_bytes(), name


def test_one_version_everywhere(unpacked):
    first = (unpacked[kit.COURSE] / kit.START).read_text(encoding="utf-8")
    assert f"Version {version()}." in first and f"regkit-students-{version()}.zip" in first
    assert wheel().name == f"regkit-{version()}-py3-none-any.whl" and f"{wheel().name}[book,lab]" in first


@each_edition
@pytest.mark.parametrize(("width", "dark"), [(1280, False), (360, True)])
def test_the_first_page_can_be_read_by_all(open_page, unpacked, edition, width, dark):
    page = open_page(unpacked[edition] / kit.START, width=width, dark=dark).page
    assert violations(page) == []
    assert page.evaluate("() => document.documentElement.scrollWidth <= innerWidth")
    listed = page.locator("tr[id]").evaluate_all("rows => rows.map((row) => row.id)")
    assert listed == [path.stem for path in notebooks()[1:]]  # each once, in the order of the book
    for lesson in lessons():
        links = page.locator(f"tr[id='{lesson.stem}'] a").all_inner_texts()
        in_class = ["notes"] if lesson in appendices() else ["slides", "notes"]
        assert links[1:] == in_class * edition.teachers


@each_edition
def test_from_the_first_page_into_a_chapter_and_a_slider_moves(open_page, unpacked, edition):
    page = open_page(unpacked[edition] / kit.START).page
    page.get_by_role("link", name="4. Why does blurring help?").click()
    page.wait_for_url(re.compile("04_multiscale"), wait_until="load")
    figure = figures(page)[0]
    guess(figure)
    slider, before = next(sliders(figure)), state(figure)
    move(slider, 0.2 if fraction(slider) > 0.5 else 0.8)
    wait_for_change(figure, before, "chapter 4")
    page.get_by_role("button", name="Download this page").click()
    page.get_by_role("link", name="Notebooks of this kit").click()
    assert page.url == f"{(unpacked[edition] / kit.START).as_uri()}#notebooks"


@each_edition
def test_the_search_finds(open_page, unpacked, edition):
    search = open_page(unpacked[edition] / "book" / "search.html").page
    search.goto(f"{search.url}?q=blurring")
    results = search.locator("#search-results ul.search > li")
    expect(results.filter(has_text="4. Why does blurring help?").first).to_be_visible()
    expect(search.locator("#search-results .search-summary")).to_contain_text("page")
    in_class = results.filter(has_text="Chapter 4 in class")
    expect(in_class).to_have_count(1 if edition.teachers else 0)


def test_the_slides_turn(open_page, unpacked):
    deck = open_page(unpacked[kit.COURSE] / "book" / "slides" / "04.html", height=720).page
    deck.wait_for_selector("html[data-deck=ready]")
    deck.keyboard.press("PageDown")
    assert deck.evaluate("() => Reveal.getIndices().h") == 1
