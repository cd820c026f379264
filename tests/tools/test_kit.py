"""What is in the kits, by the built pages; tests/browser/test_kit.py unpacks them."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest
from bs4 import BeautifulSoup
from sphinx.search.en import SearchEnglish

from tools import kit, kit_students
from tools.chapters import lessons
from tools.toc import pages

from .test_student import FREE, LEAST, told

each_lesson = pytest.mark.parametrize("lesson", lessons(), ids=lambda path: path.stem)


@pytest.fixture
def read(book: Path) -> Callable[[str], str]:
    """The text of a built page, as it is in a kit."""
    return lambda name: kit.in_kit((book / name).read_text(encoding="utf-8"))


MADE: dict[Path, kit_students.StudentPage] = {}  # each lesson's page takes a second


@pytest.fixture
def page(lesson: Path, read) -> kit_students.StudentPage:
    """A lesson's page for students."""
    if lesson not in MADE:
        MADE[lesson] = kit_students.StudentPage(f"book/{lesson.stem}.html", read)
    return MADE[lesson]


def words(node) -> str:
    return " ".join(node.get_text().split())


@each_lesson
def test_a_page_for_students_has_hints_and_no_solution(read, lesson, page):
    whole, text = BeautifulSoup(read(page.name), "html.parser"), words(page.soup)
    code = [cell.get_text() for cell in page.soup.select(".cell.tag_exercise pre")]
    stubs = {line.strip() for cell in code for line in cell.split("\n")}
    solved = {line.strip() for each in told(lesson) for line in each.split("\n")} - stubs - FREE
    left = {line for line in solved if len(line) >= LEAST and line in page.soup.get_text()}
    assert not left  # lines of code; what follows is for text, which a page does not show as it is written
    folds = whole.select("section#exercises details:not(.cell details)")
    hints = [fold for fold in folds if fold.summary.get_text() in ("Hint", "First hint", "Second hint")]
    assert list(map(words, page.soup.select("section#exercises details"))) == list(map(words, hints))
    for said in (words(fold).removeprefix("Solution").strip() for fold in folds if fold not in hints):
        assert said[-60:] not in text and said[:60] not in text
    for kind in (".cell.tag_exercise", "details.choice", "figure.rk"):
        assert len(page.soup.select(kind)) == len(whole.select(kind)), kind


@each_lesson
def test_the_search_of_students_says_what_their_pages_say(book, read, lesson, page):
    """Where nothing is missing the same as Sphinx made of its own tree; elsewhere nothing of solutions."""
    name, before = f"book/{lesson.stem}", (book / kit_students.SECTIONS).read_text(encoding="utf-8")
    script = kit_students.sections(before, {name: page})
    whole, found = (json.loads(t.partition("= ")[2].rstrip(";\n")) for t in (before, script))
    whole = [entry for entry in whole if entry[0] == name]
    assert [entry[:3] for entry in found] == [entry[:3] for entry in whole]
    for (_, anchor, _, text), (*_, shown) in zip(whole, found, strict=True):
        assert shown == page.text(anchor) and (shown == text or anchor in page.changed)
    all_text, all_shown = (" ".join(entry[3] for entry in entries) for entries in (whole, found))
    folds = BeautifulSoup(read(page.name), "html.parser").select("section#exercises > details")
    for fold in folds:
        assert (kit_students.running(fold) in all_shown) == ("int" in fold.summary.get_text())
        assert kit_students.running(fold) in all_text


def test_nothing_leads_students_to_pages_for_teachers(book, read):
    left = [page.stem for page in pages() if page.parent.name == "teach"]
    order = [page for page in pages() if page.parent.name != "teach"]
    assert left
    for name in ("book/index.html", "book/A3_which_derivative.html", "book/glossary.html", "search.html"):
        page = kit_students.StudentPage(name, read)
        for link in page.soup.find_all("a", href=True):
            assert not kit_students.for_teachers(kit_students.beside(name, link["href"])), link
        assert "For teachers" not in page.soup.get_text() and not page.soup.select(
            "ul.bd-sidenav:not(:has(li))"
        )
        here = [place for place, path in enumerate(order) if f"book/{path.stem}.html" == name]
        for side, step in {"left-prev": -1, "right-next": 1}.items():
            for arrow in page.soup.select(f".prev-next-area a.{side}"):
                assert arrow["href"] == f"{order[here[0] + step].stem}.html"
                beyond = BeautifulSoup(read(f"book/{arrow['href']}"), "html.parser").h1.get_text()
                assert arrow.select_one(".prev-next-title").get_text() in beyond


def test_the_index_of_students_knows_their_pages_only(book):
    whole = (book / kit_students.INDEX).read_text(encoding="utf-8")
    before, after = (
        json.loads(text.removeprefix("Search.setIndex(").rstrip("\n)"))
        for text in (whole, kit_students.index(whole, {}))
    )
    assert set(after) == set(before) and "teach" not in str(after["docnames"]) + str(after["filenames"])

    def by_name(found: dict, kind: str) -> dict:
        """Word -> pages, by their names."""
        numbers = {word: [n] if isinstance(n, int) else n for word, n in found[kind].items()}
        return {word: {found["docnames"][k] for k in each} for word, each in numbers.items()}

    for kind in ("terms", "titleterms"):
        kept = {
            word: {n for n in names if "/teach/" not in n} for word, names in by_name(before, kind).items()
        }
        assert by_name(after, kind) == {word: names for word, names in kept.items() if names}
    for title, places in after["alltitles"].items():
        names = [after["docnames"][place] for place, *_ in places]
        assert names == [
            before["docnames"][k] for k, *_ in before["alltitles"][title] if before["docnames"][k] in names
        ]
    with pytest.raises(ValueError, match=r"expected a script that begins with Search.setIndex\("):
        kit_students.index("{}", {})


def test_the_index_of_students_does_not_know_the_words_of_solutions(book, read):
    """A word is known on a page where its text for students has it, and nowhere else."""
    language = SearchEnglish({})

    stem = cache(lambda word: language.stem(word).lower())

    def stems(text: str) -> set[str]:
        return set(map(stem, language.split(text)))

    for lesson in lessons():
        name = f"book/{lesson.stem}.html"
        MADE.setdefault(lesson, kit_students.StudentPage(name, read))
    whole = (book / kit_students.INDEX).read_text(encoding="utf-8")
    made = {f"book/{lesson.stem}": page for lesson, page in MADE.items()}
    before, after = (
        json.loads(text.removeprefix("Search.setIndex(").rstrip("\n)"))
        for text in (whole, kit_students.index(whole, made))
    )

    def known(found: dict, name: str) -> set[str]:
        number = found["docnames"].index(name)
        return {word for word, n in found["terms"].items() if number in ([n] if isinstance(n, int) else n)}

    gone = 0
    for lesson in lessons():
        name = f"book/{lesson.stem}"
        shown = stems(made[name].soup.find("article").get_text(" "))
        shown |= stems(made[name].soup.find("article").get_text())
        solved = stems(" ".join(told(lesson)))
        had, has = known(before, name), known(after, name)
        assert not has & solved - shown, lesson.stem
        assert has <= had and not (had - has) & shown, lesson.stem
        gone += len((had - has) & solved)
    assert gone > 100


def test_a_page_leads_to_the_kits_where_they_lie_beside_it_and_nowhere_else(book, read, tmp_path):
    html, names = tmp_path / "html", ("index.html", "book/glossary.html", "book/teach/02.html", "search.html")
    for name in names:
        (html / name).parent.mkdir(parents=True, exist_ok=True)
        (html / name).write_bytes((book / name).read_bytes())
    (html / "_downloads").mkdir()
    zips = [tmp_path / f"{edition.name}.zip" for edition in kit.EDITIONS]
    for path in zips:
        path.touch()
    kit.site(zips, tmp_path / "site", html)
    for name in names:
        built, on_site = ((folder / name).read_text(encoding="utf-8") for folder in (html, tmp_path / "site"))
        assert not any(path.name in built + read(name) for path in zips)
        if name.startswith("book/"):
            page = BeautifulSoup(on_site, "html.parser")
            for path in zips:
                [link] = page.select(f".dropdown-menu a[href$='{path.name}']")
                assert ((tmp_path / "site" / name).parent / link["href"]).is_file() and link.get_text(
                    strip=True
                )
            assert len(page.select(".dropdown-menu a[href*=regkit-notebooks]")) == 1


def test_the_same_content_gives_the_same_bytes_which_may_not_be_too_many(tmp_path, monkeypatch):
    files = [("a", b"a"), ("b/c", b"c"), ("ä", bytes(10_000))]
    monkeypatch.setattr(kit, "content", lambda *_: reversed(files))
    path = kit.write(kit.COURSE, tmp_path)
    first = path.read_bytes()
    with zipfile.ZipFile(path) as archive:
        assert archive.namelist() == [f"{path.stem}/{name}" for name in ("SHA256SUMS", "a", "b/c", "ä")]
        assert archive.testzip() is None
    monkeypatch.setattr(kit, "content", lambda *_: iter(files))
    (tmp_path / f"{kit.COURSE.stem}-0.0.1.zip").touch()
    assert kit.write(kit.COURSE, tmp_path).read_bytes() == first
    assert [each.name for each in tmp_path.iterdir()] == [path.name]
    monkeypatch.setattr(kit, "LARGEST", 10)
    with pytest.raises(ValueError, match="expected a kit of at most 10 bytes, got"):
        kit.write(kit.COURSE, tmp_path)


def test_options_that_are_unknown_are_named():
    with pytest.raises(SystemExit, match="expected --site or nothing, got --sight"):
        kit.main(["--sight"])
