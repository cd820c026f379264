"""What a lecturer reads beside the slides: parts of a built page ``book/teach/NN.html``, each at its slide.

The plan gives every slide its minutes; votes, the order on the screen and what goes wrong in class stand with
the question, the figure and the heading that they are about.
"""

from __future__ import annotations

import copy
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bs4 import BeautifulSoup, Tag

from tools.slide_html import clean, inside, text

if TYPE_CHECKING:
    from tools.slides import Slide


@dataclass(frozen=True)
class Row:
    """A line of the plan: when, how long, what, where in the chapter, and who acts."""

    number: int  # from 1 on
    begin: int
    minutes: int
    what: str
    where: str
    who: str

    @property
    def exercises(self) -> list[str]:
        """The exercises that it names: ["3.1"]."""
        return re.findall(r"\b[Ee]xercises? (\d+\.\d+)", self.what)

    @property
    def votes(self) -> list[str]:
        """The votes that it names: ["checkpoint 2", "checkpoint 3"]."""
        found = []
        for kind, numbers in re.findall(
            r"\b(guess|checkpoint)(?:es|s)? (\d(?:(?:, | and | to )\d)*)", self.what.lower()
        ):
            found += [f"{kind} {number}" for number in re.findall(r"\d", numbers)]
        return found


class Teacher:
    """The page for the teachers of a chapter."""

    def __init__(self, page: BeautifulSoup):
        self.article = page.find("article")
        lines = [line.find_all("td") for line in self._part("the-plan").select("tbody tr")]
        self.rows = [
            Row(k, *(int(text(cell)) for cell in line[:2]), _what(line[2]), _where(line[2]), text(line[3]))
            for k, line in enumerate(lines, 1)
        ]
        self.wrong = [(_where(item), inside(item.p)) for item in self._items("what-goes-wrong-in-class")]
        self.order = [(text(item.find("em")) if item.find("em") else "", inside(item.p))
                      for item in self._items("on-the-screen")]  # fmt: skip

    def _part(self, anchor: str) -> Tag:
        return self.article.find(id=anchor) or BeautifulSoup("", "html.parser")

    def _items(self, anchor: str) -> list[Tag]:
        return [item for item in self._part(anchor).find_all("li") if item.p]

    def _advice(self, vote: str) -> str:
        """What to say if few, half or most are right."""
        part = self._part(vote.replace(" ", "-"))
        return "".join(clean(p) for p in part.find_all("p", recursive=False) if "Few are right" in text(p))

    def screen(self, slide: Slide, figure: str) -> None:
        """What the order on the screen says of a figure goes first."""
        name = figure.casefold()
        for title, words in self.order:
            if title and name and (name.startswith(title.casefold()) or title.casefold().startswith(name)):
                slide.notes.insert(0, f"<p>{words}</p>")

    def row(self, slide: Slide, before: int) -> int:
        """The part of the plan that names a vote or a figure; else that of the innermost heading with one.

        Where there are several it is the one of the slide before, if it may be.
        """
        named = [row for row in self.rows if slide.name and slide.name in row.votes]
        if named:
            return named[0].number
        for anchor in slide.under:
            if fitting := [row for row in self.rows if row.where == anchor]:
                title = re.sub("<[^>]*>", "", slide.title).casefold()
                titled = [row.number for row in fitting if row.what.casefold().startswith(title)]
                numbers = [row.number for row in fitting]
                return (titled or [before] * (before in numbers) or numbers)[0]
        return before

    def annotate(self, slides: list[Slide]) -> None:
        """What the page says of each slide."""
        told = set()
        for slide in slides:
            if advice := self._advice(slide.name) if slide.name else "":
                slide.notes.insert(0, advice)
            for k, (where, words) in enumerate(self.wrong):
                if k not in told and where in slide.under and slide.kind not in ("vote", "exercise"):
                    told.add(k)
                    slide.notes.append(f'<p class="wrong">{words}</p>')
        slides[0].notes += [clean(p) for p in self._part("when-time-runs-out").find_all("p")]


def _what(cell: Tag) -> str:
    """What is done in a part of the plan, without the link to its place and what follows."""
    mine = copy.copy(cell)
    for rest in [*mine.a.find_next_siblings(), *mine.a.next_siblings, mine.a]:
        rest.extract()
    return text(mine).rstrip(". ")


def _where(item: Tag) -> str:
    """The heading that the last link of an item leads to."""
    links = [link["href"] for link in item.find_all("a", href=True)]
    return links[-1].partition("#")[2] if links else ""
