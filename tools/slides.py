"""A deck of slides for each chapter, ``_build/html/slides/NN.html``, made of its built page.

python -m tools.slides

Nothing is written for the slides: a chapter marks already what a lecture shows. One slide each get the title,
the objectives, every figure, every claim with the figure after it, every question as a vote, the simplest
exact case, the exercises that the teacher's plan names, and the take-away. A part of the plan that has none
of these shows its table or its formulas. A cell with the tag ``slide`` gets a slide of its own, one with
``no-slide`` gets none. What the lecturer says comes from ``book/teach/NN.md``, see ``tools/slide_notes.py``;
how a file is put together, ``tools/slide_files.py``; how a page is taken apart, ``tools/slide_blocks.py``.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

from bs4 import BeautifulSoup, Comment, Tag

from tools import slide_files, slide_html
from tools.chapters import chapters
from tools.slide_blocks import APART, Block, blocks, claims_of, holds, is_formula, is_table
from tools.slide_html import BEGIN, DROP, clean, inside, sentences, text, trimmed, words
from tools.slide_notes import Row, Teacher
from tools.toc import ROOT

HTML = ROOT / "_build" / "html"
WORDS = 45  # on a slide without a figure, besides its title
LEAD = 24  # words above a figure
LEANS = re.compile("(It|Its|They|She|He|Both|And|Which|How|With|Each)\\b")  # on the sentence before


@dataclass
class Slide:
    """One slide: what it shows, the headings that it stands under, and what only the lecturer sees."""

    kind: str
    title: str
    body: list[str] = field(default_factory=list)
    under: tuple[str, ...] = ()  # anchors, the innermost first
    kicker: str = ""
    name: str = ""  # of a claim, a vote, an exercise
    notes: list[str] = field(default_factory=list)
    row: int = 0


class Deck:
    """The slides of one chapter."""

    def __init__(self, page: BeautifulSoup, teacher: Teacher):
        self.article, self.teacher = page.find("article"), teacher
        self.blocks = blocks(self.article)
        self.slides: list[Slide] = []
        self.left_out: list[str] = []
        self.counted: dict[str, int] = {}
        self._first()
        for k, block in enumerate(self.blocks):
            if block.wanted == DROP:
                self.left_out += [name for name, _ in claims_of(block, self._next(k))]
            elif block.part not in APART:
                self._block(k, block)
        self._last()
        self._planned()
        self.teacher.annotate(self.slides)

    # ------------------------------------------------------------------------------ the rule

    def _first(self) -> None:
        title = self.article.find("h1")
        card = self.article.find("p")
        self._add(Slide("title", inside(title), [f"<p>{sentences(card)[0]}</p>"], (title.parent["id"],)))
        part = self._part("What you will learn")
        lead, items = part.find("p"), part.find("ol")
        self._add(Slide("list", inside(part.h2), [clean(lead), clean(items)], (part["id"],)))

    def _last(self) -> None:
        part = self._part("Take-away")
        self._add(Slide("list", inside(part.h2), [clean(part.find("ol"))], (part["id"],)))

    def _part(self, heading: str) -> Tag:
        return next(h2.parent for h2 in self.article.find_all("h2") if text(h2).startswith(heading))

    def _block(self, k: int, block: Block) -> None:
        node = block.node
        if block.heading.startswith("The simplest exact case") and not self._under(block):
            self._exact(k, block)
        for name, claim in claims_of(block, self._next(k)):
            self._claim(k, block, name, claim)
        if not isinstance(node, Tag):
            return
        if node.name == "details" and "choice" in node.get("class", ()):
            self._vote(k, block)
        elif figure := node.find("figure", class_="rk"):
            self._figure(k, block, figure)
        elif block.wanted == BEGIN:
            self._cell(block)

    def _exact(self, k: int, block: Block) -> None:
        """The first paragraph, and the first formulas or the first table with what leads to them."""
        body, before = [], ""
        shown = [b.node for b in self.blocks[k : k + 12] if b.under == block.under]
        for node in shown:
            if not isinstance(node, Tag) or claims_of(Block(node, (), "", ""), None):
                break
            if node.name == "p":
                body += [f"<p>{trimmed(node, WORDS)}</p>"] if not body else []
                before = f"<p>{sentences(node)[-1]}</p>" if len(body) > 1 or node is not shown[0] else ""
            elif is_formula(node) or is_table(node):
                body += [before, clean(node)]
                before = ""
            else:
                break
            if len([part for part in body if "math" in part[:40] or "<table" in part]) == 2:
                break
        self._add(self._of(block, "text", block.heading, body))

    def _claim(self, k: int, block: Block, name: str, strong: Tag) -> None:
        """A claim is the title; the figure after it, or the rest of its paragraph, stands below."""
        paragraph = strong.find_parent(["p", "li"])
        said = sentences(paragraph)
        at = next(n for n, words in enumerate(said) if "<strong>" in words)
        slide = self._of(block, "claim", said[at], [], name)
        slide.kicker = block.heading
        rest = trimmed(said[at + 1 :], WORDS)
        slide.body = [f"<p>{rest}</p>"] if rest else []
        for near in (self._after(k, paragraph), self.blocks[k - 1].node if k else None):
            if isinstance(near, Tag) and is_formula(near) and not self._shown(near):
                slide.body.append(clean(near))
                break
        slide.notes.append("".join(f"<p>{words}</p>" for words in [" ".join(said[at + 1 :])] if words))
        self._add(slide)

    def _figure(self, k: int, block: Block, figure: Tag) -> None:
        """A figure that moves has a title and a slide of its own; a still one goes to the claim before it."""
        name = self._count("guess") if figure.find(class_="rk-asked") else ""
        heading, caption = figure.find(class_="rk-title"), figure.find(class_="rk-caption")
        for part in filter(None, (heading, caption)):
            part.extract()
        last = self.slides[-1]
        if not heading and last.kind == "claim" and last.under == block.under and self._near(k):
            last.kind, last.body = "figure", [str(figure)]
        else:
            title, lead = (inside(heading), "") if heading else (block.heading, self._lead(k))
            self._add(self._of(block, "figure", title, [lead, str(figure)], name))
        slide = self.slides[-1]
        slide.kicker = block.heading if heading else slide.kicker
        slide.notes += [f"<p>{inside(caption)}</p>"] if caption else []
        slide.notes += self._observe(k)
        self.teacher.screen(slide, text(heading) if heading else "")

    def _lead(self, k: int) -> str:
        """What the text says right before a still figure, if that is short and can stand alone."""
        before = [b.node for b in self.blocks[max(0, k - 4) : k] if b.under == self.blocks[k].under]
        paragraph = next((n for n in reversed(before) if isinstance(n, Tag) and n.name == "p"), None)
        said = sentences(paragraph)[-1] if paragraph else ""
        alone = said and "<strong>" not in said and not LEANS.match(said) and words(said) <= LEAD
        return f'<p class="lead">{said}</p>' if alone else ""

    def _observe(self, k: int) -> list[str]:
        """The numbered questions after a figure, and what should be seen."""
        found = []
        for block in self.blocks[k + 1 : k + 4]:
            node = block.node
            if not isinstance(node, Tag) or block.under != self.blocks[k].under:
                break
            if node.name == "ol":
                found.append(clean(node))
            elif node.name == "details" and "What you should see" in text(node.summary):
                found += [
                    clean(child) for child in node.find_all(recursive=False) if child is not node.summary
                ]
                break
        return found

    def _vote(self, k: int, block: Block) -> None:
        """All choices that stand together are one vote; the first of them makes its slide."""
        before = self.blocks[k - 1].node
        if isinstance(before, Tag) and "choice" in before.get("class", ()):
            return
        choices = []
        for other in self.blocks[k:]:
            if not isinstance(other.node, Tag) or "choice" not in other.node.get("class", ()):
                break
            choices.append(other.node)
        question = re.sub(r"^(<strong>)?\d+\. ", r"\1", inside(before))
        name = self._count("checkpoint") if block.part == "Checkpoint" else "predict"
        slide = self._of(block, "vote", re.sub("</?strong>", "", question), [], name)
        slide.kicker = block.heading
        slide.body = [slide_html.vote(choices)]
        slide.notes.append(slide_html.feedback(choices))
        self._add(slide)

    def _cell(self, block: Block) -> None:
        """A part of a cell with the tag ``slide``: parts of one cell share a slide."""
        last = self.slides[-1]
        if last.kind != "cell" or last.under != block.under:
            self._add(last := self._of(block, "cell", block.heading, []))
        last.body.append(clean(block.node))

    # ------------------------------------------------------------------------------ the plan

    def _planned(self) -> None:
        """The order of the plan; a part of it that shows nothing yet gets its exercise, table or formulas."""
        first, last = self.slides[:2], self.slides.pop()
        row = 1
        for slide in self.slides:
            row = slide.row = self.teacher.row(slide, row)
        for each in self.teacher.rows:
            for number in each.exercises:
                title, body = slide_html.exercise(self.article, number)
                exercise = Slide(
                    "exercise", title, body, ("exercises",), "Exercises", number, row=each.number
                )
                self.slides.append(exercise)
            if not any(slide.row == each.number for slide in self.slides if slide not in first):
                self.slides += self._formulas(each)
        self.slides[2:] = sorted(self.slides[2:], key=lambda slide: slide.row)
        last.row = self.slides[-1].row
        self.slides.append(last)

    def _formulas(self, row: Row) -> list[Slide]:
        """A part of the plan without figure, claim and question: its table, formulas, list or words."""
        own = [b for b in self.blocks if b.under and b.under[0] == row.where and isinstance(b.node, Tag)]
        body: list[str] = []
        for before, block in pairwise(own):
            if not (is_formula(block.node) or is_table(block.node)):
                continue
            lead = [f"<p>{sentences(before.node)[-1]}</p>"] if before.node.name == "p" else []
            if is_table(block.node):
                body = [*lead, clean(block.node)]
                break
            body += [*lead, clean(block.node)] if len(body) < 4 else []
        if own and not body:
            listed = next((b.node for b in own if b.node.name in ("ol", "ul")), None)
            body = [clean(listed) if listed else f"<p>{trimmed(own[0].node, 2 * WORDS)}</p>"]
        if not body:
            return []
        slide = self._of(own[0], "text", own[0].heading, body)
        slide.row = row.number
        return [slide]

    # ------------------------------------------------------------------------------ small helpers

    def _add(self, slide: Slide) -> None:
        self.slides.append(slide)

    def _of(self, block: Block, kind: str, title: str, body: list[str], name: str = "") -> Slide:
        kicker = block.part if block.part != title else ""
        return Slide(kind, title, [part for part in body if part], block.under, kicker, name)

    def _under(self, block: Block) -> bool:
        return any(slide.under == block.under for slide in self.slides)

    def _count(self, kind: str) -> str:
        self.counted[kind] = self.counted.get(kind, 0) + 1
        return f"{kind} {self.counted[kind]}"

    def _next(self, k: int) -> Block | None:
        return self.blocks[k + 1] if k + 1 < len(self.blocks) else None

    def _after(self, k: int, paragraph: Tag) -> Tag | Comment | None:
        """What stands after the paragraph of a claim."""
        found = [n for n in range(k, min(k + 2, len(self.blocks))) if holds(self.blocks[n].node, paragraph)]
        after = self._next(found[0]) if found else None
        return after.node if after and after.under == self.blocks[k].under else None

    def _near(self, k: int) -> bool:
        """Is this the first figure after the claim, with no more than two other pieces between them?"""
        label = self.slides[-1].name
        between = 0
        for block in reversed(self.blocks[:k]):
            if label in [name for name, _ in claims_of(block, None)]:
                return between <= 4
            between += isinstance(block.node, Tag)
        return False

    def _shown(self, node: Tag) -> bool:
        return any(clean(node) in slide.body for slide in self.slides)

    def claims(self) -> Iterator[str]:
        """The labels of all claims that are on a slide."""
        labels = {name for block in self.blocks for name, _ in claims_of(block, None)}
        return (slide.name for slide in self.slides if slide.name in labels)


def deck(chapter: Path, html: Path = HTML) -> Deck:
    """The slides of a chapter, from its built page and that of its teachers."""
    page = BeautifulSoup((html / "book" / f"{chapter.stem}.html").read_text("utf-8"), "html.parser")
    number = chapter.name[:2]
    notes = BeautifulSoup((html / "book" / "teach" / f"{number}.html").read_text("utf-8"), "html.parser")
    return Deck(page, Teacher(notes))


def write(html: Path = HTML) -> list[Path]:
    """Write the decks of all chapters beside the pages that they are made of."""
    folder = html / "slides"
    folder.mkdir(exist_ok=True)
    written = []
    for chapter in chapters():
        written.append(folder / f"{chapter.name[:2]}.html")
        written[-1].write_text(slide_files.document(chapter, deck(chapter, html), html), encoding="utf-8")
    return written


if __name__ == "__main__":
    for path in write():
        print(path)
