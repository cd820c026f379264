"""Finding one's way in the built book: numbers, parts, sources."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

import pytest
import yaml
from bs4 import BeautifulSoup
from playwright.sync_api import expect

from tools.chapters import cells, lessons, number
from tools.toc import ROOT, pages

pytestmark = pytest.mark.browser
TITLES = [cells(path, "markdown")[0].source.splitlines()[0].removeprefix("# ") for path in lessons()]


@cache
def read(path: Path) -> BeautifulSoup:
    return BeautifulSoup(path.read_text(encoding="utf-8"), "html.parser")


def words(element) -> str:
    return " ".join(element.get_text().replace("#", "").split())


@pytest.mark.parametrize("place", range(len(TITLES)), ids=lambda place: lessons()[place].stem)
def test_a_lesson_has_its_number_wherever_it_is_named(book: Path, place: int):
    lesson, title = lessons()[place], TITLES[place]
    page = read(book / "book" / f"{lesson.stem}.html")
    assert title.startswith(f"{number(lesson)}. ")
    assert page.title.get_text().startswith(title)
    assert words(page.h1) == title
    order = pages()
    for name, step in {"left-prev": -1, "right-next": 1}.items():
        neighbour = order[order.index(lesson) + step]  # the first page and the reference are around all
        if neighbour in lessons():
            assert TITLES[lessons().index(neighbour)] in words(page.find(class_=name))
        else:
            assert words(read(book / neighbour.relative_to(ROOT).with_suffix(".html")).h1) in words(
                page.find(class_=name)
            )


def test_the_side_bar_has_the_parts_and_all_numbers(book: Path):
    bar = read(book / "book" / "index.html").find(class_="bd-sidebar-primary")
    parts = [words(caption) for caption in bar.find_all(class_="caption")]
    listed = yaml.safe_load((ROOT / "_toc.yml").read_text(encoding="utf-8"))["parts"]
    assert parts == [part["caption"] for part in listed] and {"Appendices", "Reference"} < set(parts)
    links = [words(link) for link in bar.find_all("a")]
    assert [link for link in links if re.match(r"A?\d+\. ", link)] == TITLES


def test_sources_look_in_the_text_as_in_the_list(book: Path):
    entries = read(book / "book" / "references.html").find_all(class_="citation")
    labels = {words(entry.find(class_="label")).strip("[]") for entry in entries}
    assert labels
    for path in lessons():
        for link in read(book / "book" / f"{path.stem}.html").select("a[href*='references.html#id']"):
            text = words(link)
            if text.isdigit():  # Names [year]
                text = re.sub(r" \[(\d+)\]", r", \1", words(link.parent))
            assert text in labels, f"{path.stem}: {text}"
    assert all(re.search(r", \d{4}$", label) for label in labels)
    assert (ROOT / "book" / "references.bib").read_text(encoding="utf-8").count("\n@") + 1 == len(labels)


@pytest.mark.parametrize(
    ("query", "page", "section", "words"),
    [
        ("restart", "9. How many CG iterations must we differentiate?", "Explore", "Restart"),
        ("trust regions", "3. How do we align two images?", "Four ways to step", "trust"),
        ("krylov", "Glossary", "Krylov space", ""),
    ],
)
def test_the_search_finds_sections_without_a_network(open_page, book: Path, query, page, section, words):
    search = open_page(book / "search.html").page
    search.goto(f"{(book / 'search.html').as_uri()}?q={query}")
    results = search.locator("#search-results ul.search > li").filter(has_text=page)
    link = results.locator("li a").filter(has_text=re.compile(f"^{re.escape(section)}$")).first
    expect(link).to_be_visible()
    if words:
        assert words in link.locator("xpath=..").locator("mark").all_inner_texts()
    link.click()
    target = search.url.partition("#")[2]
    expect(search.locator(f"[id='{target}']")).to_have_count(1)
