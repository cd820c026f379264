"""The pages for teachers: what stands in ``book/teach/NN.md``, and what is made of it and of the chapter.

By hand is written what no code can know: the plan of the session, what goes wrong, what to say to a vote, how
to mark. All else is said in one place already, and is taken from there when the page is built: the questions
and the feedback on their choices from the notebook, the sentences for wrong answers from the checkers and
their tests, objectives and minutes from the chapter.

The front matter of a page has these entries:

    plan        rows: minutes, what, where (a heading of the chapter), who (teacher or students), and perhaps
                optional: true, or split: true for the last row of the first of two sessions of 45 minutes
    objectives  for each objective of the chapter the exercises, votes and claims that serve it: "5.1",
                "guess 1", "the-label-of-a-claim"; those that the chapter names itself are left out
    votes       for each vote what to say if few, half or most are right; for a guess also what each of its
                wrong options reveals, in their order

and its text has ``{{ plan }}``, ``{{ votes }}`` and their like where the tables go; see ``FILLS``.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import nbformat
import yaml

from tools import downloads, times
from tools.chapters import (
    CHOICE,
    CHOICES,
    appendices,
    cells,
    chapters,
    lessons,
    module,
    needed,
    number,
    sections,
)
from tools.toc import ROOT, pages

FOLDER = ROOT / "book" / "teach"
INDEX = FOLDER / "index.md"
APPENDICES = (
    FOLDER / "appendices.md"
)  # one page for all: when to use them, and a plan of half a session for each
SESSION, LEAST, DOING, HALF = 90, 60, 0.4, 45  # minutes, minutes, part of them, minutes
TEACHER, STUDENTS = "teacher", "students"
HEADING = re.compile(r"^#{2,3} +(.+)$", re.MULTILINE)
CLAIM = re.compile(r"<!-- claim: ([a-z0-9-]+) -->\s*\*\*(.+?)\*\*", re.DOTALL)
NUMBER = re.compile(r"A?\d+\.\d+")
FRONT = re.compile(r"\A---\n(.*?)^---\n", re.DOTALL | re.MULTILINE)
FILL = re.compile(r"^\{\{ *(\w+) *\}\}$", re.MULTILINE)
GAP = "…"  # stands where a sentence has a number that is computed


# --------------------------------------------------------------------------- the page as it is written


@dataclass(frozen=True)
class Row:
    """One line of a plan."""

    minutes: int
    what: str
    where: str
    who: str
    optional: bool = False
    split: bool = False


def page(chapter: Path) -> Path:
    """Where the page for the teachers of a chapter is."""
    return FOLDER / f"{chapter.name[:2]}.md"


def chapter_of(page: Path) -> Path:
    """The chapter that a page belongs to."""
    return next(path for path in chapters() if path.name[:2] == page.stem)


def front(page: Path) -> dict[str, Any]:
    """The front matter of a page.

    Raises: ValueError where there is none.
    """
    if not (found := FRONT.match(page.read_text(encoding="utf-8"))):
        raise ValueError(f"expected front matter between two lines --- in {page.name}, got none")
    return yaml.safe_load(found[1])


def plan(page: Path) -> list[Row]:
    return [Row(**row) for row in front(page)["plan"]]


def half_plan(appendix: Path) -> list[Row]:
    """The plan for an appendix."""
    return [Row(**row) for row in front(APPENDICES)["plans"][number(appendix)]]


# --------------------------------------------------------------------------- what the chapter says


@dataclass(frozen=True)
class Vote:
    """A question to vote on; the right one of its choices, or None where a place on a slider is asked for."""

    name: str
    where: str
    question: str
    choices: tuple[str, ...]
    feedback: tuple[str, ...]
    right: int | None


@cache
def votes(chapter: Path) -> list[Vote]:
    """All guesses and all questions of a chapter, in reading order: "guess 1", "predict", "checkpoint 3"."""
    found: list[Vote] = []
    where = ""

    def named(kind: str) -> str:
        return f"{kind} {1 + sum(vote.name.split()[0] == kind for vote in found)}"

    for cell in nbformat.read(chapter, as_version=4).cells:
        if cell.cell_type == "code":
            found += [_guess(call, named("guess"), where) for call in _guesses(cell.source)]
            continue
        end = 0
        for together in CHOICES.finditer(cell.source):
            before = cell.source[end : together.start()]
            where = (HEADING.findall(cell.source[: together.start()]) or [where])[-1]
            pairs = [(_one_line(a), _one_line(b)) for a, b in CHOICE.findall(together[0])]
            choices, feedback = zip(*pairs, strict=True)
            right = next(k for k, words in enumerate(feedback) if words.startswith("Yes"))
            name = named("checkpoint") if where == "Checkpoint" else "predict"
            found.append(Vote(name, where, _asked(before), choices, feedback, right))
            end = together.end()
        where = (HEADING.findall(cell.source) or [where])[-1]
    return found


def _asked(text: str) -> str:
    """The question above its choices: the last paragraph, without its number."""
    paragraph = _one_line(text.strip().rpartition("\n\n")[2])
    return re.sub(r"^\d+\. ", "", paragraph.strip("*"))


def _one_line(text: str) -> str:
    return " ".join(text.split())


def _guesses(source: str) -> list[ast.Call]:
    if "Guess(" not in source:
        return []
    calls = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Call)]
    return [call for call in calls if isinstance(call.func, ast.Name) and call.func.id == "Guess"]


def _guess(call: ast.Call, name: str, where: str) -> Vote:
    given = dict(zip(("question", "options", "answer", "explain"), call.args, strict=False))
    given |= {keyword.arg: keyword.value for keyword in call.keywords}
    options = given.get("options")
    choices = tuple(map(_text, options.elts)) if isinstance(options, ast.List) else ()
    right = ast.literal_eval(given["answer"]) if choices else None
    return Vote(name, where, _text(given["question"]), choices, (), right)


def _text(node: ast.expr) -> str:
    """A string of the code, with a gap where a value stands in it."""
    if isinstance(node, ast.JoinedStr):
        return "".join(part.value if isinstance(part, ast.Constant) else GAP for part in node.values)
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else ""


@cache
def objectives(chapter: Path) -> list[str]:
    """The objectives of a chapter, in its own words."""
    text = next(text for title, text in sections(chapter) if title.startswith("What you will learn"))
    return [_one_line(item) for item in re.findall(r"^\d+\. (.+?)[;.]?$", text, re.MULTILINE)]


def stated(objective: str) -> list[str]:
    """What an objective names itself: "(exercises 1.1 to 1.3)", "(checkpoint 3, 1.6)"."""
    names = []
    for inside in re.findall(r"\(([^()]+)\)", objective):
        for first, last in re.findall(r"(\d+\.\d+)(?: to (\d+\.\d+))?", inside):
            chapter, _, start = first.partition(".")
            end = last.partition(".")[2] or start
            names += [f"{chapter}.{k}" for k in range(int(start), int(end) + 1)]
        names += re.findall(r"checkpoint \d+", inside)
    return names


def served(chapter: Path) -> list[list[str]]:
    """For each objective what serves it: the names in the chapter, then those of the page."""
    more = front(page(chapter))["objectives"]
    return [
        list(dict.fromkeys([*stated(words), *map(str, names)]))
        for words, names in zip(objectives(chapter), more, strict=True)
    ]


@cache
def exercises(chapter: Path) -> dict[str, str]:
    """The numbers of the exercises, and their kinds: {"5.1": "on paper"}."""
    text = "\n".join(cell.source for cell in cells(chapter, "markdown"))
    return dict(times.ANNOUNCED.findall(text))


@cache
def claims(chapter: Path) -> dict[str, str]:
    """The labels of the claims, and their words."""
    text = "\n\n".join(cell.source for cell in cells(chapter, "markdown"))
    return {label: _one_line(words) for label, words in CLAIM.findall(text)}


@cache
def headings(chapter: Path) -> list[str]:
    return [title for cell in cells(chapter, "markdown") for title in HEADING.findall(cell.source)]


def slug(heading: str) -> str:
    """The anchor of a heading."""
    return re.sub(r"[^\w\u4e00-\u9fff\- ]", "", heading.strip().lower().replace(" ", "-"))


# --------------------------------------------------------------------------- what the checkers say


@dataclass(frozen=True)
class Case:
    """A wrong answer that the tests give to a checker, and the sentence that it gets."""

    exercise: str
    answer: str
    says: str
    sentence: str


@cache
def cases(chapter: Path) -> list[Case]:
    """Every wrong answer of ``tests/regbook/test_practice_NN.py``, with the checker's sentence for it.

    Raises: ValueError where the checker has no such sentence.
    """
    tree = ast.parse(tests(chapter).read_text(encoding="utf-8"))
    found = []
    for test in tree.body:
        name = re.fullmatch(r"test_(\d+_\d+)_names_the_error", getattr(test, "name", ""))
        if name and isinstance(test, ast.FunctionDef):
            for answer, says in _parameters(test):
                sentence = _sentence(chapter, f"check_{name[1]}", says)
                found.append(Case(name[1].replace("_", "."), _code(answer), says, sentence))
    return found


def tests(chapter: Path) -> Path:
    return ROOT / "tests" / "regbook" / f"test_practice_{chapter.name[:2]}.py"


def checkers(chapter: Path) -> Path:
    return ROOT / "regbook" / "practice" / f"{module(chapter)}.py"


def _parameters(test: ast.FunctionDef) -> list[tuple[ast.expr, str]]:
    """The pairs (answer, what the checker says) that a test runs with."""
    pairs = []
    for decorator in test.decorator_list:
        if isinstance(decorator, ast.Call) and ast.unparse(decorator.func) == "pytest.mark.parametrize":
            for case in decorator.args[1].elts:
                *_, answer, says = case.elts
                pairs.append((answer, ast.literal_eval(says)))
    return pairs


def _code(answer: ast.expr) -> str:
    """What a wrong answer computes: the body of a lambda, or the name that the tests gave it."""
    return ast.unparse(answer.body if isinstance(answer, ast.Lambda) else answer)


@cache
def _messages(chapter: Path) -> dict[str, list[str]]:
    """The sentences of each checker, with a gap where a value stands."""
    found: dict[str, list[str]] = {}
    for function in ast.parse(checkers(chapter).read_text(encoding="utf-8")).body:
        if isinstance(function, ast.FunctionDef):
            inside = {
                id(part)
                for node in ast.walk(function)
                if isinstance(node, ast.JoinedStr)
                for part in node.values
            }
            texts = [
                _text(node) for node in ast.walk(function) if isinstance(node, ast.Constant | ast.JoinedStr)
                and id(node) not in inside
            ]  # fmt: skip
            found[function.name] = [
                text
                for text in texts
                if " " in text and not text.startswith("Right") and text != ast.get_docstring(function)
            ]
    return found


def _sentence(chapter: Path, checker: str, says: str) -> str:
    """The sentence of a checker in which a test looks for ``says``."""
    messages = _messages(chapter)
    others = [text for name, texts in messages.items() if not name.startswith("check_") for text in texts]
    for text in [*messages[checker], *others]:
        if re.search(says, text):
            return text
    words = re.findall(r"'?\w+'?", says)
    for pattern in [
        re.sub(r"\d+", GAP, says),
        *(says.replace(word, GAP, 1) for word in words),
    ]:  # one is computed
        for text in [*messages[checker], *others]:
            if re.search(pattern, text):
                return text
    raise ValueError(f"expected a sentence of {checker} with {says!r}, found none")


# --------------------------------------------------------------------------- what the page shows


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
    parts = re.split(r"(`[^`]*`)", _one_line(sentence))
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


# --------------------------------------------------------------------------- the course


@dataclass(frozen=True)
class Course:
    """A plan over several sessions: the chapters of each, as "03", and those to be read before it."""

    name: str
    about: str
    sessions: tuple[dict[str, Any], ...]


def courses() -> list[Course]:
    return [Course(each["name"], each["about"], tuple(each["sessions"])) for each in front(INDEX)["courses"]]


def unprepared(course: Course) -> list[str]:
    """The chapters of a course that come before one that they need, in words: none, in a plan that works."""
    by_number = {number(path): path for path in chapters()}
    known: set[str] = set()
    wrong = []
    for session in course.sessions:
        for name in [*map(str, session.get("read", [])), *map(str, session["chapters"])]:
            missing = {str(int(each)) for each in needed(by_number[name])} - known
            wrong += [f"{course.name}: chapter {name} needs {each}" for each in sorted(missing)]
            known.add(name)
    return wrong


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
