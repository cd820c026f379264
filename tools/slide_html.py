"""Pieces of a built page as they stand on a slide: without links, cut to sentences; votes, exercises."""

from __future__ import annotations

import copy
import html
import re

from bs4 import BeautifulSoup, Comment, NavigableString, Tag
from nbformat import NotebookNode

from tools.chapters import tags

BEGIN, DROP, END = "slide", "no-slide", "end of the cell"  # two tags of cells, and where such a cell ends
LETTERS = "ABCDEFG"
_END = re.compile(r"(?<=[.?!…])(?<!e\.g\.)(?<!i\.e\.)[ \n]+(?=[^a-z ])")


def mark(notebook: NotebookNode) -> None:
    """Bring the tags of cells with text into the page, which knows those of cells with code only."""
    for cell in notebook.cells:
        if cell.cell_type == "markdown" and (tag := tags(cell) & {BEGIN, DROP}):
            cell.source = f"<!-- {tag.pop()} -->\n\n{cell.source}\n\n<!-- {END} -->"


def clean(node: Tag) -> str:
    """The HTML of `node` without what leads away from a slide: links, anchors, remarks, folded code."""
    mine = copy.copy(node)
    for remark in mine.find_all(string=lambda string: isinstance(string, Comment)):
        remark.extract()
    for other in mine.find_all(["details", "a"], class_=["hide", "headerlink"]):
        other.decompose()
    for link in [*mine.find_all("a"), *mine.find_all("span", class_=["xref", "std"])]:
        link.unwrap()
    for tag in [mine, *mine.find_all(id=True)]:
        tag.attrs.pop("id", None)
    return str(mine).strip()


def inside(node: Tag) -> str:
    """What `node` holds, without its own tag."""
    return re.sub(r"\A<[^>]*>|</[^>]*>\Z", "", clean(node)).strip()


def text(node: Tag) -> str:
    """The words of `node` on one line."""
    return " ".join(node.get_text().removesuffix("#").split())


def words(markup: str) -> int:
    """How many words a reader sees; a formula is one."""
    return len(re.sub(r"<[^>]*>", "", re.sub(r"\\\(.*?\\\)", "x", markup, flags=re.DOTALL)).split())


def sentences(paragraph: Tag) -> list[str]:
    """The sentences of a paragraph, each with its markup. A stop within bold or a formula ends none."""
    mine = BeautifulSoup(clean(paragraph), "html.parser").find(True)
    for nested in mine.find_all(["ol", "ul"]):
        nested.extract()
    found, current = [], []
    for child in list(mine.children):
        if not isinstance(child, NavigableString) or isinstance(child, Comment):
            current.append(str(child) if isinstance(child, Tag) else "")
            continue
        first, *others = _END.split(_follows(current) + html.escape(str(child), quote=False))
        current.append(first.removeprefix(_follows(current)))
        for other in others:
            found.append("".join(current))
            current = [other]
    found.append("".join(current))
    return [sentence.strip() for sentence in found if sentence.strip()]


def _follows(current: list[str]) -> str:
    """The stop with which the bold words before this text end: "**It is so.** But why?" are two sentences."""
    before = re.sub(r"<[^>]*>", "", current[-1]) if current else ""
    return before[-1] if before[-1:] in (".", "?", "!") and before else ""


def trimmed(paragraph: Tag | list[str], most: int) -> str:
    """As many of the first sentences as have `most` words together."""
    said = sentences(paragraph) if isinstance(paragraph, Tag) else paragraph
    taken: list[str] = []
    for sentence in said:
        if words(" ".join([*taken, sentence])) > most:
            break
        taken.append(sentence)
    while len(taken) < len(said) and taken and taken[-1].endswith((":", "?")):
        taken.pop()  # what it announces, or asks, is no more there
    return " ".join(taken)


# --------------------------------------------------------------------------- votes and exercises


def _choice(fold: Tag) -> tuple[str, str, bool]:
    """A choice, its feedback, and whether it is right."""
    said = "".join(clean(child) for child in fold.find_all(recursive=False) if child.name != "summary")
    return inside(fold.summary), said, bool(re.match(r"(<p>)?\s*Yes\b", said))


def vote(folds: list[Tag]) -> str:
    """The choices with places for two counts each; the answer waits for a key."""
    rows, answer = [], ""
    for letter, fold in zip(LETTERS, folds, strict=False):
        choice, said, right = _choice(fold)
        counts = "".join(
            f'<input type="number" min="0" max="999" autocomplete="off" data-when="{k}" '
            f'aria-label="{letter}, {when} the discussion">'
            for k, when in enumerate(("before", "after"))
        )
        bars = "".join(f'<div class="bar" data-when="{k}"><i></i><output></output></div>' for k in range(2))
        rows.append(
            f'<li{" data-right" if right else ""}><b>{letter}</b><div class="choice">{choice}</div>'
            f'{counts}<div class="bars">{bars}</div></li>'
        )
        answer = f"<b>{letter}</b><div>{said}</div>" if right else answer
    head = '<p class="counts-head"><span>before</span><span>after</span></p>'
    return (
        f'<div class="vote">{head}<ul class="choices">{"".join(rows)}</ul>'
        f'<div class="fragment answer">{answer}</div></div>'
    )


def feedback(folds: list[Tag]) -> str:
    """What each choice shows, for the lecturer."""
    items = []
    for letter, fold in zip(LETTERS, folds, strict=False):
        choice, said, _ = _choice(fold)
        items.append(f"<li><b>{letter}</b> {choice}: {re.sub('</?p>', ' ', said)}</li>")
    return f'<ul class="feedback">{"".join(items)}</ul>'


def exercise(article: Tag, number: str) -> tuple[str, list[str]]:
    """Number and kind of an exercise, and its text, with code that is given and without any answer.

    Raises: ValueError if the chapter has no such exercise.
    """
    begins = re.compile(rf"{re.escape(number)} \(")
    begun = [p for p in article.find_all("p") if p.strong and begins.match(text(p.strong))]
    if not begun:
        raise ValueError(f"expected exercise {number}, which the plan names, in the chapter")
    paragraph = begun[0]
    said = sentences(paragraph)
    body = [f"<p>{' '.join(said[1:])}</p>"]
    for after in paragraph.find_next_siblings():
        if after.name in ("details", "section") or after.find(
            "strong", string=begins.sub("", number) or None
        ):
            break
        tagged = after.get("class", ())
        if "tag_exercise" in tagged or "tag_solution" in tagged:
            break
        if after.name == "p" and after.strong and re.match(r"A?\d+\.\d+ \(", text(after.strong)):
            break
        body.append(clean(after.find(class_="cell_input") or after if "cell" in tagged else after))
    return re.sub("</?strong>", "", said[0]), body
