"""The pages for teachers: what stands in ``book/teach/NN.md``, and what is made of it and of the chapter.

By hand is written what no code can know: the plan of the session, what goes wrong, what to say to a vote, how
to mark. All else is said in one place already, and is taken from there when the page is built: the questions
and the feedback on their choices from the notebook, the sentences for wrong answers from the checkers and
their tests, objectives and minutes from the chapter.

The text of a page has ``{{ plan }}``, ``{{ votes }}`` and their like where the tables go; see ``FILLS``. Its
front matter is read by ``tools/teach_page.py``, the chapter by ``tools/teach_chapter.py``, the checkers and
their tests by ``tools/teach_checkers.py``.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nbformat

from tools import downloads, times
from tools.chapters import appendices, cells, chapters, lessons, number
from tools.teach_chapter import GAP, Vote, claims, exercises, objectives, one_line, served, slug, votes
from tools.teach_checkers import cases, checkers, tests
from tools.teach_page import (
    APPENDICES,
    FRONT,
    HALF,
    INDEX,
    STUDENTS,
    Row,
    chapter_of,
    courses,
    front,
    half_plan,
    page,
    plan,
)
from tools.toc import pages

FILL = re.compile(r"^\{\{ *(\w+) *\}\}$", re.MULTILINE)


def filled(page: Path) -> str:
    """The text of a page with all its tables, as Sphinx gets it.

    Raises: ValueError for a table that there is not.
    """
    text = FRONT.sub("", page.read_text(encoding="utf-8"))
    fills = COURSE if page == INDEX else HALVES if page == APPENDICES else FILLS

    def fill(found: re.Match) -> str:
        if found[1] not in fills:
            raise ValueError(f"expected one of {', '.join(fills)} in {page.name}, got {found[1]}")
        return fills[found[1]](page)

    return FILL.sub(fill, text)


def uses(page: Path) -> list[Path]:
    """The files that a page is made of, besides itself."""
    if page in (INDEX, APPENDICES):
        return lessons()
    chapter = chapter_of(page)
    return [chapter, tests(chapter), checkers(chapter)]


def _about(page: Path) -> str:
    chapter = chapter_of(page)
    title = cells(chapter, "markdown")[0].source.splitlines()[0].lstrip("# ")
    spent = times.minutes(chapter)
    return (
        f"For those who teach [{title}]({_to(chapter)}) A reader needs {spent['reading']} minutes for "
        f"the chapter and {spent['exercises']} for its exercises; a session shows less and asks more.\n\n"
        f"For the session: {_row(chapter, '../..')}"
    )


def _plan(page: Path) -> str:
    chapter, rows = chapter_of(page), plan(page)
    must = sum(row.minutes for row in rows if not row.optional)
    last = next(row for row in rows if row.split)
    after = rows[rows.index(last) + 1]
    return (
        f"{_table(chapter, rows)} Without the rows that may be left out it takes {must}. In two sessions of "
        f"{HALF} minutes, the second begins with “{after.what}”."
    )


def _table(lesson: Path, rows: list[Row]) -> str:
    """A plan as a table, and below it how much of it the students do."""
    lines = ["| from | minutes | what | who acts |", "|---:|---:|---|---|"]
    begin = 0
    for row in rows:
        what = f"{_plain(row.what)} {_where(lesson, row.where)}{'. *May be left out.*' * row.optional}"
        lines.append(f"| {begin} | {row.minutes} | {what} | {row.who} |")
        begin += row.minutes
    doing = sum(row.minutes for row in rows if row.who == STUDENTS)
    return "\n".join([*lines, "", f"Students act in {doing} of the {begin} minutes."])


def _where(chapter: Path, heading: str) -> str:
    return f"[{heading}]({_to(chapter)}#{slug(heading)})"


def _to(chapter: Path) -> str:
    return f"../{chapter.name}"


def _votes(page: Path) -> str:
    chapter, said = chapter_of(page), front(page)["votes"]
    parts = []
    for vote in votes(chapter):
        words = said[vote.name]
        parts += [f"### {vote.name.capitalize()}", f"{vote.question} ({_where(chapter, vote.where)})"]
        if vote.choices:
            parts.append("\n".join(_choices(vote, words)))
        else:
            parts.append("A place on the slider is asked for; the figure shows the right one.")
        parts.append(
            f"*Few are right:* {words['few']}\\\n*About half:* {words['half']}\\\n*Most:* {words['most']}"
        )
    return _moved("\n\n".join(parts))


def _choices(vote: Vote, words: dict[str, Any]) -> list[str]:
    reveals = iter(words.get("reveals", ()))
    lines = []
    for k, choice in enumerate(vote.choices):
        if k == vote.right:
            why = vote.feedback[k].removeprefix("Yes").lstrip(".,: ") if vote.feedback else ""
            lines.append(f"- **Right:** “{_html(choice)}”. {_sentence_case(why)}".rstrip())
        else:
            why = re.sub("^Not quite[.:,]? ?", "", vote.feedback[k]) if vote.feedback else next(reveals)
            lines.append(f"- “{_html(choice)}”: {_sentence_case(why)}")
    return lines


def _sentence_case(words: str) -> str:
    return words[:1].upper() + words[1:]


def _html(words: str) -> str:
    return re.sub(r"</?code>", "`", words).rstrip(".")


def _moved(text: str) -> str:
    """Links of a chapter, as they are one folder deeper."""
    return re.sub(r"\]\((?=[\w/]+\.(?:ipynb|md))", "](../", text)


def _bank(page: Path) -> str:
    """The wrong answers that the checkers know, each with the sentence that it gets."""
    chapter = chapter_of(page)
    groups: dict[str, dict[str, list[str]]] = {}
    for case in cases(chapter):
        groups.setdefault(case.exercise, {}).setdefault(case.sentence, []).append(case.answer)
    parts = [
        "What students write in the exercises, and what the checker answers. "
        f"{GAP} stands for a number that the checker puts there."
    ]
    for exercise, said in groups.items():
        parts.append(f"**{exercise}** ({_where(chapter, 'Exercises')})")
        lines = []
        for sentence, answers in said.items():
            short = [f"`{answer}`" for answer in answers if "`" not in answer and len(answer) <= 76]
            lines.append(f"- {escaped(sentence)}" + (f"\n  ({', '.join(short)})" if short else ""))
        parts.append("\n".join(lines))
    return "\n\n".join(parts)


def escaped(sentence: str) -> str:
    """A sentence of a checker, which is plain text, as Markdown; code in it stays code."""
    parts = re.split(r"(`[^`]*`)", one_line(sentence))
    return "".join(
        part if k % 2 else re.sub(r"([\\_*$<|\[\]{}])", r"\\\1", part) for k, part in enumerate(parts)
    )


def _objectives(page: Path) -> str:
    chapter = chapter_of(page)
    kinds, said, questions = exercises(chapter), claims(chapter), {vote.name for vote in votes(chapter)}
    lines = ["| after the chapter one can | exercises | votes and claims |", "|---|---|---|"]
    for words, names in zip(objectives(chapter), served(chapter), strict=True):
        own = [f"{name} ({kinds[name]})" for name in names if name in kinds]
        asked = ", ".join(name for name in names if name in questions)
        proved = [_plain(said[name]) for name in names if name in said]
        lines.append(f"| {words} | {', '.join(own)} | {' '.join([*[f'{asked}.'] * bool(asked), *proved])} |")
    return _moved("\n".join(lines))


def _plain(claim: str) -> str:
    """A sentence in the cell of a table, with its stop, and gaps for the numbers of the chapter."""
    text = re.sub(r"\{glue:text\}`[^`]*`", GAP, claim).replace("|", r"\|")
    return text if text.endswith((".", "?")) else f"{text}."


def _exercises(page: Path) -> str:
    chapter = chapter_of(page)
    lines = ["| exercise | kind | minutes |", "|---|---|---:|"]
    for name, kinds in exercises(chapter).items():
        lines.append(f"| {name} | {kinds} | {times.exercise(kinds)} |")
    return "\n".join(lines)


FILLS: dict[str, Callable[[Path], str]] = {
    "about": _about,
    "plan": _plan,
    "votes": _votes,
    "bank": _bank,
    "objectives": _objectives,
    "exercises": _exercises,
}


def _courses(page: Path) -> str:
    by_number = {number(path): path for path in chapters()}

    def linked(names: list) -> str:
        return ", ".join(f"[{name}]({_to(by_number[str(name)])})" for name in names)

    parts = []
    for course in courses():
        lines = [f"### {course.name}", "", course.about, ""]
        lines += ["| | read before | chapters | what |", "|---:|---|---|---|"]
        for k, each in enumerate(course.sessions, 1):
            lines.append(
                f"| {k} | {linked(each.get('read', []))} | {linked(each['chapters'])} | {each['what']} |"
            )
        parts.append("\n".join(lines))
    return "\n\n".join(parts)


def _pages(page: Path) -> str:
    lines = []
    for chapter in chapters():
        title = cells(chapter, "markdown")[0].source.splitlines()[0].lstrip("# ")
        lines.append(f"- [{title}]({chapter.name[:2]}.md)")
    return "\n".join(lines)


HALVES: dict[str, Callable[[Path], str]] = {
    number(appendix): lambda _, appendix=appendix: _table(appendix, half_plan(appendix))
    for appendix in appendices()
}
COURSE: dict[str, Callable[[Path], str]] = {"courses": _courses, "pages": _pages}


# --------------------------------------------------------------------------- links to the pages


def link(notebook: nbformat.NotebookNode, chapter: Path) -> None:
    """Add the row for teachers to the card of a chapter with a page for them; readers' copies have none."""
    if chapter in chapters() and page(chapter) in pages():
        notebook.cells[0].source += f"\n\nFor teachers: {_row(chapter, '..', f'teach/{page(chapter).name}')}"


def _row(chapter: Path, root: str, notes: str = "") -> str:
    """What there is for those who teach a chapter; `root` leads to the top of the built book."""
    parts = [
        f'<a href="{root}/slides/{chapter.name[:2]}.html">slides</a>',
        *([f"[notes]({notes})"] if notes else []),
        f'<a href="{root}/_downloads/{downloads.student(chapter.name)}">student notebook (.zip)</a>',
    ]
    return " · ".join(parts)
