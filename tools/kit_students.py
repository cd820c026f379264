"""The built pages as students get them: no solutions, nothing for teachers, and nothing that leads there.

What counts as a solution is what `tools/student.py` drops from notebooks: cells with the tag `solution`, and
in the section of the exercises every fold that is not a hint. The search neither shows it nor knows its
words.
"""

from __future__ import annotations

import json
import posixpath
import re
from collections.abc import Callable, Iterable, Iterator
from functools import cache, cached_property
from typing import Any
from urllib.parse import unquote

from bs4 import BeautifulSoup, NavigableString, Tag
from sphinx.search.en import SearchEnglish

from tools.sections import PLAIN

FOR_TEACHERS = ("book/teach/", "slides/")  # slides have the teacher's notes in them
INDEX, SECTIONS = "searchindex.js", "_static/sections.js"
LEFT_OUT = ("section", "pre", "style", "script", "summary", "h1", "h2", "h3", "h4")
INLINE = ("a", "em", "strong", "code", "span", "i", "b", "sub", "sup")
_LANGUAGE = SearchEnglish({})
_CALL, _SET = ("Search.setIndex(", ")"), ("window.bookSections = ", ";\n")


def for_teachers(name: str) -> bool:
    """Whether a file of the built book is for teachers only, by its path."""
    return name.startswith(FOR_TEACHERS)


class StudentPage:
    """One page, without what students do not get; `read` gives the text of a page by its path."""

    def __init__(self, name: str, read: Callable[[str], str]):
        self.name, self.read = name, read
        self.soup = BeautifulSoup(read(name), "html.parser")
        self.changed: set[str] = set()  # the anchors of the sections that have lost something
        self._dropped: set[str] = set()  # the words of what is lost
        self._solutions()
        self._links()

    def __str__(self) -> str:
        return str(self.soup)

    @cached_property
    def anchors(self) -> set[str]:
        return {node["id"] for node in self.soup.find_all(id=True)}

    def text(self, anchor: str) -> str:
        """What a section says, in the form in which the search shows it (`tools/sections.py`)."""
        return running(self.soup.find(id=anchor))

    @cached_property
    def lost(self) -> set[str]:
        """The words that this page had, and has no longer."""
        return self._dropped - words(self.soup.find("article") or self.soup) if self._dropped else set()

    def _drop(self, node: Tag) -> None:
        if section := node.find_parent("section"):
            self.changed.add(section["id"])
        self._dropped |= words(node)
        node.decompose()

    def _solutions(self) -> None:
        for cell in self.soup.select(".cell.tag_solution"):
            self._drop(cell)
        for fold in self.soup.select("section#exercises details"):
            if fold.decomposed or fold.find_parent(class_="cell"):
                continue
            if "hint" not in fold.summary.get_text().lower():
                self._drop(fold)

    def _links(self) -> None:
        """Nothing leads to what is left out: neither lists of pages nor arrows nor the text."""
        for link in self.soup.find_all("a", href=True):
            if link.decomposed or not for_teachers(beside(self.name, link["href"])):
                continue
            if link.find_parent(class_="prev-next-area"):
                self._lead_past(link)
            elif entry := link.find_parent("li", class_=re.compile("^toctree-")):
                entry.decompose()
            else:
                self._drop(self._passage(link))
        for link in self.soup.find_all("link", href=True):  # of the head: what is before and after
            if for_teachers(beside(self.name, link["href"])):
                link.decompose()
        for pages in self.soup.select("ul.bd-sidenav"):
            if not pages.find("li"):
                pages.find_previous_sibling(class_="caption").decompose()
                pages.decompose()

    def _passage(self, link: Tag) -> Tag:
        """What goes with a link: its section, also from the list of contents; of the first the paragraph."""
        section = link.find_parent("section")
        if section.find("h1", recursive=False):
            return link.find_parent("p")
        for entry in self.soup.select(f'li.toc-entry:has(> a[href="#{section["id"]}"])'):
            entry.decompose()
        return section

    def _lead_past(self, arrow: Tag) -> None:
        """An arrow leads to the next page that is there."""
        side, target = arrow["class"][0], beside(self.name, arrow["href"])
        while for_teachers(target):
            arrows = self.read(target).partition('<div class="prev-next-area">')[2]
            page = BeautifulSoup(arrows, "html.parser")
            beyond = page.select_one(f"a.{side}")
            if beyond is None:
                return arrow.decompose()
            target, title = beside(target, beyond["href"]), beyond.select_one(".prev-next-title").get_text()
        arrow["href"] = posixpath.relpath(target, posixpath.dirname(self.name))
        arrow.select_one(".prev-next-title").string = title


def running(node: Tag) -> str:
    """The running text of a part of a page: no subsections, no code, and only formulas that are letters."""
    return " ".join("".join(_pieces(node)).split())


def _pieces(node: Tag) -> Iterator[str]:
    for child in node.children:
        if not isinstance(child, Tag):
            yield child if type(child) is NavigableString else ""  # no comments
        elif "math" in child.get("class", ()):
            source = child.get_text().removeprefix("\\(").removesuffix("\\)")
            inline = source if PLAIN.fullmatch(source) else "…"
            yield inline if child.name == "span" else " "
        elif "bibtex-citation" in child.get("class", ()):
            yield "…"
        elif child.name not in LEFT_OUT and "cell" not in child.get("class", ()):
            yield from _pieces(child)
            yield "" if child.name in INLINE else " "


def words(node: Tag) -> set[str]:
    """The words of a part of a page, as Sphinx's index has them: their stems, without the commonest."""
    pieces = [string for string in node.find_all(string=True) if type(string) is NavigableString]
    found = {word for text in (node.get_text(), *pieces) for word in _LANGUAGE.split(text)}
    return set(filter(_LANGUAGE.word_filter, map(_known_as, found)))


@cache
def _known_as(word: str) -> str:
    """What Sphinx writes into its index for a word; nothing comes of the commonest."""
    stem = _LANGUAGE.stem(word).lower()
    return stem if _LANGUAGE.word_filter(stem) else word


def beside(name: str, target: str) -> str:
    """The path of a file that the page `name` leads to by `target`; of an address elsewhere nothing."""
    path = target.partition("#")[0].partition("?")[0]
    if not path or re.match(r"[a-z][a-z0-9+.-]*:|//", path):
        return ""
    return posixpath.normpath(posixpath.join(posixpath.dirname(name), unquote(path)))


def pages(names: Iterable[str], read: Callable[[str], str]) -> dict[str, str]:
    """Path -> text of the pages that students get, and of the two scripts by which the search finds them."""
    made = {name: StudentPage(name, read) for name in names if not for_teachers(name)}
    texts = {name: str(page) for name, page in made.items()}
    by_name = {name.removesuffix(".html"): page for name, page in made.items()}
    return texts | {INDEX: index(read(INDEX), by_name), SECTIONS: sections(read(SECTIONS), by_name)}


def sections(script: str, made: dict[str, StudentPage]) -> str:
    """The script with the sections that the search shows: of these pages, and without what they have lost."""
    kept = []
    for name, anchor, title, text in json.loads(_inside(script, _SET)):
        page = made.get(name)
        if page and anchor in page.anchors:
            kept.append([name, anchor, title, page.text(anchor) if anchor in page.changed else text])
    return json.dumps(kept, ensure_ascii=False, separators=(",", ":")).join(_SET)


def index(script: str, made: dict[str, StudentPage]) -> str:
    """Sphinx's index of words without the pages for teachers, which moves the numbers of the others, and
    without the words that these pages have lost."""
    found = json.loads(_inside(script, _CALL))
    before = found["docnames"]
    stays = [k for k, name in enumerate(before) if not for_teachers(name)]
    new = {old: k for k, old in enumerate(stays)}
    for names in ("docnames", "filenames", "titles"):
        found[names] = [found[names][k] for k in stays]

    def places(entries: list) -> list:
        """Of entries that begin with the number of a page those that stay."""
        return [[new[entry[0]], *entry[1:]] for entry in entries if entry[0] in new]

    def numbers(value: Any, without: set[int]) -> Any:
        """A number of a page, or several."""
        if isinstance(value, int):
            return None if value in without else new.get(value)
        return [new[k] for k in value if k in new and k not in without]

    gone: dict[str, set[int]] = {}  # word -> the pages that have lost it
    for old, name in enumerate(before):
        for word in made[name].lost if name in made else ():
            gone.setdefault(word, set()).add(old)

    for by_place in ("alltitles", "indexentries", "objects"):
        found[by_place] = {key: kept for key, value in found[by_place].items() if (kept := places(value))}
    for by_number in ("terms", "titleterms"):
        without = gone if by_number == "terms" else {}
        kept = {word: numbers(value, without.get(word, set())) for word, value in found[by_number].items()}
        found[by_number] = {word: value for word, value in kept.items() if value not in (None, [])}
    return json.dumps(found, ensure_ascii=False, separators=(",", ":")).join(_CALL)


def _inside(script: str, around: tuple[str, str]) -> str:
    begin, end = around
    if not (script.startswith(begin) and script.rstrip().endswith(end.strip())):
        raise ValueError(f"expected a script that begins with {begin}, got {script[:40]!r}")
    return script.rstrip()[len(begin) :].removesuffix(end.strip())
