"""The pages for teachers: plans fit a session, all is mapped, and the checkers say what the pages say."""

from __future__ import annotations

import importlib
import inspect
import re
import sys
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType

import nbformat
import pytest

from regbook.practice.report import Wrong
from tools import teach, teach_chapter, teach_checkers, teach_page, times
from tools.chapters import appendices, cells, chapters, module, number
from tools.toc import ROOT, pages

each_chapter = pytest.mark.parametrize("path", chapters(), ids=lambda path: path.stem)
LINK = re.compile(r"\]\((?P<file>[\w./]+\.(?:ipynb|md))(?:#(?P<anchor>[^)]+))?\)")
PAGES = pages()
VOTE, HANDS = 3, 1  # minutes: alone, in pairs, and the answer; or by a show of hands
FILLER = re.compile(
    r"\b(just|obviously|simply|clearly|trivial(?:ly)?|of course|most (?:people|students))\b", re.I
)


def text(path: Path) -> str:
    return teach_page.page(path).read_text(encoding="utf-8")


def test_every_chapter_has_its_page_and_the_book_lists_it():
    shared = {teach_page.INDEX, teach_page.APPENDICES}
    assert {*shared, *map(teach_page.page, chapters())} <= set(PAGES)
    assert {teach_page.page(path) for path in chapters()} == set(teach_page.FOLDER.glob("*.md")) - shared


# ---------------------------------------------------------------------------------------- the plan


@each_chapter
def test_a_plan_fills_a_session_and_can_be_cut_to_an_hour(path: Path):
    rows = teach_page.plan(teach_page.page(path))
    assert {row.who for row in rows} <= {teach_page.TEACHER, teach_page.STUDENTS}
    assert sum(row.minutes for row in rows) == teach_page.SESSION
    assert sum(row.minutes for row in rows if not row.optional) <= teach_page.LEAST
    doing = sum(row.minutes for row in rows if row.who == teach_page.STUDENTS)
    assert doing >= teach_page.DOING * teach_page.SESSION, f"students act in {doing} minutes only"
    [last] = [k for k, row in enumerate(rows) if row.split]
    assert sum(row.minutes for row in rows[: last + 1]) == teach_page.HALF, (
        "expected two halves of 45 minutes"
    )


def counted(numbers: str) -> int:
    """ "1", "1 and 2", "1 to 3" """
    found = [int(number) for number in re.findall(r"\d", numbers)]
    return found[-1] - found[0] + 1 if " to " in numbers else len(found)


def least(row: teach_page.Row, kinds: dict[str, str]) -> float:
    """The minutes that a row needs for its votes and for its exercise, the shorter one of two."""
    what = row.what.lower()
    found = re.findall(r"\b(?:guess|checkpoint)s? (\d(?:(?:, | and | to )\d)*)( by hands)?", what)
    minutes = sum(counted(each) * (HANDS if by_hands else VOTE) for each, by_hands in found)
    minutes += VOTE * ("“predict”" in what)
    named = re.findall(r"\ba?\d+\.\d+\b", what)
    exercises = [times.exercise(kinds[name.upper()]) for name in named if name.upper() in kinds]
    part = 0.5 if re.search("first half|begins", what) else 1
    return minutes + part * min(exercises, default=0)


@each_chapter
def test_a_row_has_the_minutes_that_its_votes_and_its_exercise_need(path: Path):
    for row in teach_page.plan(teach_page.page(path)):
        needs = least(row, teach_chapter.exercises(path))
        assert row.minutes >= needs, f"{row.what} needs {needs} minutes, and has {row.minutes}"


def test_minutes_are_counted():
    kinds = {"9.1": "on paper", "9.2": "find the bug"}

    def needs(what: str) -> float:
        return least(teach_page.Row(5, what, "", teach_page.STUDENTS), kinds)

    assert needs("A figure") == 0 and needs("“Predict”: bug or CG?") == 3
    assert needs("Guess 1, then checkpoints 1 and 2") == needs("Checkpoints 1 to 3 as votes") == 9
    assert needs("Checkpoint 1 as a vote, checkpoint 2 by hands") == 4
    assert needs("Exercise 9.1 or 9.2") == 5 and needs("Exercise 9.1, first half; checkpoint 3") == 7


@each_chapter
def test_every_row_is_somewhere_in_the_chapter(path: Path):
    there = teach_chapter.headings(path)
    assert all(there.count(row.where) == 1 for row in teach_page.plan(teach_page.page(path)))


@pytest.mark.parametrize("path", appendices(), ids=lambda path: path.stem)
def test_an_appendix_is_half_a_session(path: Path):
    rows, asked = teach_page.half_plan(path), {vote.name for vote in teach_chapter.votes(path)}
    assert {row.who for row in rows} <= {teach_page.TEACHER, teach_page.STUDENTS}
    assert 30 <= sum(row.minutes for row in rows) <= teach_page.HALF
    doing = sum(row.minutes for row in rows if row.who == teach_page.STUDENTS)
    assert doing >= teach_page.DOING * sum(row.minutes for row in rows)
    there = teach_chapter.headings(path)
    for row in rows:
        assert there.count(row.where) == 1 and row.minutes >= least(row, teach_chapter.exercises(path)), row
        named = re.findall(r"\bcheckpoints? (\d)(?: and (\d))?", row.what.lower())
        assert {f"checkpoint {k}" for pair in named for k in pair if k} <= asked
    assert f"{{{{ {number(path)} }}}}" in teach_page.APPENDICES.read_text("utf-8")


@each_chapter
def test_what_a_plan_names_is_there(path: Path):
    """ "Exercise 5.2", "guess 1", "checkpoints 2 and 3" in the words of the page."""
    asked = {vote.name for vote in teach_chapter.votes(path)}
    words = teach_page.FRONT.sub("", text(path)) + " ".join(
        row.what for row in teach_page.plan(teach_page.page(path))
    )
    for kind, numbers in re.findall(r"\b(guess|checkpoint)s? (\d(?:(?:, | and | to )\d)*)", words.lower()):
        for each in re.findall(r"\d", numbers):
            assert f"{kind} {each}" in asked, f"{kind} {each} is not in {path.stem}"
    own = set(teach_chapter.exercises(path))
    others = {name for other in chapters() for name in teach_chapter.exercises(other)}
    named = re.findall(r"\b[Ee]xercises? (\d+\.\d+)", words)
    assert set(named) <= others and named and set(named) & own


# ---------------------------------------------------------------------------------------- objectives


@each_chapter
def test_each_objective_has_an_exercise_and_a_vote_or_a_claim(path: Path):
    known, asked, said = (
        teach_chapter.exercises(path),
        {vote.name for vote in teach_chapter.votes(path)},
        teach_chapter.claims(path),
    )
    served = teach_chapter.served(path)
    assert 3 <= len(served) == len(teach_chapter.objectives(path)) <= 5
    for words, names in zip(teach_chapter.objectives(path), served, strict=True):
        unknown = [name for name in names if name not in known and name not in asked and name not in said]
        assert not unknown, f"expected exercises, votes and claims of {path.stem}, got {unknown}"
        assert set(names) & set(known), f"no exercise for: {words}"
        assert set(names) & (asked | set(said)), f"no vote and no claim for: {words}"
    idle = set(known) - {name for names in served for name in names}
    assert not idle, f"these exercises serve no objective: {sorted(idle)}"


def test_what_a_chapter_says_of_its_objectives_is_read():
    assert teach_chapter.stated("do this (exercises 1.1 to 1.3)") == ["1.1", "1.2", "1.3"]
    assert teach_chapter.stated("choose (1.4, 1.7)") == ["1.4", "1.7"]
    assert teach_chapter.stated("test it (checkpoint 3, 1.6)") == ["1.6", "checkpoint 3"]
    assert teach_chapter.stated("a minimum $w^*(θ)$") == []


# ---------------------------------------------------------------------------------------- votes


@each_chapter
def test_every_vote_has_its_advice(path: Path):
    said, asked = teach_page.front(teach_page.page(path))["votes"], teach_chapter.votes(path)
    assert list(said) == [vote.name for vote in asked]
    for vote in asked:
        words = said[vote.name]
        assert vote.question and all(vote.choices), vote
        assert {"few", "half", "most"} <= set(words) <= {"few", "half", "most", "reveals"}, vote.name
        waiting = len(vote.choices) - 1 if vote.choices and not vote.feedback else 0
        assert len(words.get("reveals", ())) == waiting, (
            f"expected a reason for each wrong option of {vote.name}"
        )


@each_chapter
def test_every_choice_of_a_vote_is_on_the_page(path: Path):
    shown = teach.filled(teach_page.page(path))
    for vote in teach_chapter.votes(path):
        assert vote.name.capitalize() in shown
        for words in vote.choices:
            assert words.split("<")[0].rstrip(".") in shown
    assert shown.count("**Right:**") == sum(vote.right is not None for vote in teach_chapter.votes(path))


# ---------------------------------------------------------------------------------------- misconceptions


def practice_tests(path: Path) -> ModuleType:
    """The tests of a chapter's checkers, as a module of its own."""
    name = f"wrong_answers_{path.name[:2]}"
    spec = spec_from_file_location(name, teach_checkers.tests(path))
    sys.modules[name] = made = module_from_spec(spec)
    spec.loader.exec_module(made)
    return made


def told(path: Path, monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str]]:
    """(exercise, what the checker said) for every wrong answer of the tests, in their order."""
    tests = practice_tests(path)
    said: list[str] = []

    def listening(checker):
        def check(*answers, **named):
            try:
                return checker(*answers, **named)
            except Wrong as wrong:
                said.append(str(wrong))
                raise

        return check

    practice = importlib.import_module(f"regbook.practice.{module(path)}")
    for name, checker in list(vars(practice).items()):
        if name.startswith("check_"):
            monkeypatch.setattr(practice, name, listening(checker))
    found = []
    for name, test in vars(tests).items():
        if number := re.fullmatch(r"test_(\d+_\d+)_names_the_error", name):
            [mark] = [mark for mark in test.pytestmark if mark.name == "parametrize"]
            names = inspect.signature(test).parameters
            for case in mark.args[1]:
                said.clear()
                test(**dict(zip(names, case, strict=True)))
                found.append((number[1].replace("_", "."), said[-1]))
    return found


@each_chapter
def test_a_wrong_answer_gets_the_sentence_of_the_page(path: Path, monkeypatch: pytest.MonkeyPatch):
    shown, known = teach.filled(teach_page.page(path)), teach_checkers.cases(path)
    answers = told(path, monkeypatch)
    assert len(answers) == len(known)
    other = []
    for (exercise, said), case in zip(answers, known, strict=True):
        assert exercise == case.exercise and teach.escaped(case.sentence) in shown
        pattern = ".*".join(map(re.escape, case.sentence.split(teach_chapter.GAP)))
        if not re.search(pattern, said, re.DOTALL):
            other.append(f"{case.exercise}: {case.says!r} finds {case.sentence!r}, the checker says {said!r}")
    assert not other, "\n".join(other)


@each_chapter
def test_there_are_five_misconceptions_each_with_an_answer_and_a_pointer(path: Path):
    part = re.search(r"^## What goes wrong in class\n(.+?)^## ", text(path), re.M | re.S)[1]
    by_hand = [item for item in re.split(r"^- ", part, flags=re.M)[1:] if LINK.search(item)]
    assert (
        len(by_hand) >= 4 and len(by_hand) + len({case.sentence for case in teach_checkers.cases(path)}) >= 5
    )


# ---------------------------------------------------------------------------------------- marking


@each_chapter
def test_paper_and_open_exercises_have_points_that_are_their_minutes(path: Path):
    marked = dict(re.findall(r"^- \*(\d+\.\d+), [\w ]+ \((\d+) points\):\*", text(path), re.M))
    kinds = teach_chapter.exercises(path)
    assert {name for name, kind in kinds.items() if kind in ("on paper", "open")} <= set(marked)
    for name, points in marked.items():
        assert int(points) == times.exercise(kinds[name]), (
            f"{name} takes {times.exercise(kinds[name])} minutes"
        )


# ---------------------------------------------------------------------------------------- courses and links


@pytest.mark.parametrize("course", teach_page.courses(), ids=lambda course: course.name)
def test_a_course_has_every_chapter_after_those_that_it_needs(course: teach_page.Course):
    assert not teach_page.unprepared(course)


def test_the_courses_are_those_that_are_promised():
    lengths = [len(course.sessions) for course in teach_page.courses()]
    assert {10, 5, 4, 2} <= set(lengths)
    taught = [each for session in teach_page.courses()[0].sessions for each in session["chapters"]]
    assert taught == list(range(1, 11))


def test_a_course_in_a_wrong_order_is_found():
    early = teach_page.Course("early", "", ({"chapters": [1]}, {"chapters": [3]}))
    assert teach_page.unprepared(early) == ["early: chapter 3 needs 2"]
    read = teach_page.Course("read", "", ({"chapters": [1]}, {"read": [2], "chapters": [3]}))
    assert not teach_page.unprepared(read)


@pytest.mark.parametrize("page", sorted(teach_page.FOLDER.glob("*.md")), ids=lambda page: page.stem)
def test_links_lead_to_headings_and_words_are_not_filled(page: Path):
    shown = teach.filled(page)
    assert "{{" not in shown and not FILLER.findall(page.read_text(encoding="utf-8"))
    for found in LINK.finditer(shown):
        target = (page.parent / found["file"]).resolve()
        assert target in PAGES, found[0]
        if found["anchor"] and target.suffix == ".ipynb":
            assert found["anchor"] in map(teach_chapter.slug, teach_chapter.headings(target)), found[0]


def test_the_card_of_a_chapter_leads_to_its_page_and_the_file_stays_as_it_is():
    path = chapters()[4]
    notebook = nbformat.read(path, as_version=4)
    teach.link(notebook, path)
    row = notebook.cells[0].source.rpartition("For teachers: ")[2]
    assert "(teach/05.md)" in row and "../slides/05.html" in row and "05_scale_ode-student.zip" in row
    assert "teach/" not in cells(path, "markdown")[0].source


def test_the_first_page_leads_to_them():
    first = "\n".join(cell.source for cell in cells(ROOT / "book" / "index.ipynb", "markdown"))
    assert "](teach/index.md)" in first
