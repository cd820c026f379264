"""One page of the book, made still for paper.

What a page folds is laid out. Code of figures is left out, for on paper it is in the way; answers and
solutions are kept for a last part, and each place that had one says on which page it stands. A figure shows
its first frame, with read-out and caption. Links lead to places of the same document, or are no links any
more.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from bs4 import BeautifulSoup, Comment, Tag

from tools.folds import IMPORTS, SOLUTION
from tools.toc import ROOT

HTML = ROOT / "_build" / "html"
GAMES = ("Bet on the paper",)  # figures without anything to see before a reader plays
ANSWERS = "answers"
FIGURE = re.compile(r'<figure class="rk".*?</figure>', re.DOTALL)
SCRIPT = re.compile(r"<script\b.*?</script>", re.DOTALL)
LETTERS = "ABCDEFG"


@dataclass
class Answer:
    """What a page folds away: what it answers, the anchor of the place where that is asked, and the words."""

    title: str
    anchor: str
    body: list[str] = field(default_factory=list)


@dataclass
class Heading:
    """A heading that the contents and the outline list: level 1 for a page, 2 for a section."""

    level: int
    title: str
    anchor: str


class Sheet:
    """One page of the book, made still."""

    def __init__(self, path: Path, among: Iterable[Path], html: Path = HTML):
        self.path, self.among = path, {other.stem for other in among}
        self.file = html / path.relative_to(ROOT).with_suffix(".html")
        self.answers: list[Answer] = []
        source = FIGURE.sub(_still, self.file.read_text("utf-8"))
        kept = [match.span() for match in FIGURE.finditer(source)]
        outside = lambda match: "" if not any(a <= match.start() < b for a, b in kept) else match[0]  # noqa: E731
        self.article: Tag = BeautifulSoup(SCRIPT.sub(outside, source), "html.parser").find("article")
        self._clean()
        self._figures()
        self._links()
        self._folds()
        self.headings = [
            Heading(int(h.name[1]), _inside(h), h.parent["id"]) for h in self.article.find_all(["h1", "h2"])
        ]

    @property
    def key(self) -> str:
        """What the anchors of this page begin with."""
        return self.path.stem

    @property
    def name(self) -> str:
        """As _toc.yml calls this page."""
        return self.path.relative_to(ROOT).with_suffix("").as_posix()

    def _clean(self) -> None:
        """Away with what leads elsewhere, or is not for this reader."""
        for remark in self.article.find_all(string=lambda string: isinstance(string, Comment)):
            remark.extract()
        for other in self.article.select("a.headerlink, .toctree-wrapper, style, .tag_exercise .cell_output"):
            other.decompose()
        for words in [words for code in self.article.select("pre") for words in code.find_all(string=True)]:
            if "\n\n\n" in words:
                words.replace_with(words.replace("\n\n\n", "\n\n"))
        for link in self.article.select('a[href*="/slides/"]'):
            if not link.decomposed and link.find_parent("p"):
                link.find_parent("p").decompose()  # what a chapter has for teachers

    def _figures(self) -> None:
        """The wide drawing stays; of a game the name, and where its matter stands."""
        for figure in self.article.select("figure.rk"):
            for source in figure.select("source"):
                source.decompose()
            title = figure.select_one(".rk-title")
            if title and title.get_text() in GAMES:
                for other in figure.select("script, .rk-said, .rk-caption"):
                    other.decompose()

    def _folds(self) -> None:
        for fold in self.article.find_all("details"):
            if fold.parent is None:
                continue
            said = fold.summary.find("p") or fold.summary
            name, kinds = said.get_text(strip=True), fold.get("class", ())
            if "choice" in kinds:
                self._vote(fold)
                continue
            fold.summary.extract()
            if "rk-after" in kinds:
                self._guess(fold)
            elif "hide" in kinds and name == IMPORTS:
                fold.unwrap()
            elif "hide" in kinds and name != SOLUTION:
                fold.extract()  # the code of a figure
            elif "after-guess" in kinds:
                fold.name, fold.attrs = "div", {"class": "told"}
                fold.insert(0, _soup(f'<p class="told-title">{_inside(said)}</p>'))
            elif "hint" in name.lower():
                fold.name, fold.attrs = "div", {"class": "hint"}
                fold.find("p").insert(0, _soup(f'<b class="name">{name}.</b>'))
            else:
                self._solution(fold, name)

    def _guess(self, fold: Tag) -> None:
        """The question before a figure keeps its choices. What was folded can be seen, but the answer."""
        figure = fold.find_parent("figure")
        if answer := fold.select_one(".rk-answer"):
            title = figure.select_one(".rk-title")
            name = f"“{_inside(title)}”" if title else self._heading(figure)
            answer.extract().string = answer.get_text().removeprefix("Answer: ")
            figure.select_one(".rk-asked").append(self._pointer(name, [str(answer)], "Answer"))
        fold.unwrap()

    def _solution(self, fold: Tag, name: str) -> None:
        """An answer in words or in code goes to the end of the book."""
        asked = self._asked(fold)
        body = "".join(str(child) for child in fold.children if str(child).strip())
        title = asked if asked else f"{self._heading(fold)}: {name[0].lower()}{name[1:]}"
        fold.replace_with(self._pointer(title, [body], name))

    def _asked(self, fold: Tag) -> str:
        """The number of the exercise that an answer belongs to, if it is in one."""
        if not (part := fold.find_parent(id=f"{self.key}--exercises")):
            return ""
        before = [p for p in fold.find_all_previous("p") if part in p.parents and p.strong]
        numbers = [re.match(r"(A?\d+\.\d+) \(", p.strong.get_text()) for p in before]
        found = next((match[1] for match in numbers if match), "")
        return f"Exercise {found}" if found else ""

    def _vote(self, first: Tag) -> None:
        """Choices that stand together become a list; what is said to each of them goes to the end."""
        together = [first]
        while (after := together[-1].find_next_sibling()) and "choice" in after.get("class", ()):
            together.append(after)
        listed, body = "", ""
        for letter, choice in zip(LETTERS, together, strict=False):
            words = _inside(choice.summary.extract())
            said = "".join(str(child) for child in choice.children).strip()
            listed += f"<li>{words}</li>"
            body += f'<div class="judged"><p><b>{letter}.</b> <em>{words}</em></p>{said}</div>'
        title, question = self._heading(first), first.find_previous_sibling("p")
        if question and (numbered := re.match(r"(\d+)\. ", question.get_text())):
            title = f"{title} {numbered[1]}"
        vote = _soup(f'<div class="vote"><ol class="choices" type="A">{listed}</ol></div>')
        first.insert_before(vote)
        vote.append(self._pointer(title, [body], "Answer"))
        if question and question.find_next_sibling() is vote:
            vote.insert(0, question.extract())
        for choice in together:
            choice.extract()

    def _heading(self, node: Tag) -> str:
        return _inside(node.find_parent("section").find(["h1", "h2", "h3"]))

    def _pointer(self, title: str, body: list[str], name: str) -> Tag:
        """Keep an answer, and say where it will stand."""
        same = [answer for answer in self.answers if answer.title == title]
        if same and title.startswith("Exercise"):
            same[0].body += body
            return _soup("<span></span>")
        others = sum(re.sub(", \\d+$", "", answer.title) == title for answer in self.answers)
        title = f"{title}, {others + 1}" if others else title
        anchor = f"{len(self.answers) + 1}"
        self.answers.append(Answer(title, f"{self.key}--asked-{anchor}", body))
        return _soup(
            f'<p class="pointer" id="{self.key}--asked-{anchor}">'
            f'<a href="#{self.key}--told-{anchor}">{name}: page {place(f"{self.key}--told-{anchor}")}</a></p>'
        )

    def _links(self) -> None:
        """Anchors are unique in the whole book; what is not on paper is no link."""
        for node in self.article.find_all(id=True):
            node["id"] = f"{self.key}--{node['id']}"
        self.article["id"], self.article["data-page"] = self.key, self.key
        for link in self.article.find_all("a", href=True):
            if target := self.target(link["href"]):
                link["href"] = f"#{target}"
            elif not link["href"].startswith(("http:", "https:", "mailto:")):
                link.unwrap()

    def target(self, address: str) -> str | None:
        """The anchor in the whole book that a page's link leads to, if it is on paper."""
        file, _, anchor = address.partition("#")
        if re.match("[a-z]+:", file):
            return None
        key = Path(file).stem if file else self.key
        inside = file.count("/") == 0  # the pages on paper are in one folder
        return (f"{key}--{anchor}" if anchor else key) if inside and key in self.among else None

    def answered(self) -> str:
        """The section with this page's answers."""
        if not self.answers:
            return ""
        entries = []
        for k, answer in enumerate(self.answers, 1):
            back = f'<a href="#{answer.anchor}">page {place(answer.anchor)}</a>'
            entries.append(
                f'<div class="answer" id="{self.key}--told-{k}"><h3>{answer.title}<span>{back}</span></h3>'
                f"{''.join(answer.body)}</div>"
            )
        anchor = f"{self.key}--{ANSWERS}"
        return f'<section id="{anchor}"><h2>{self.headings[0].title}</h2>{"".join(entries)}</section>'


def place(anchor: str) -> str:
    """Where the number of the page with an anchor will stand, which is known when all is laid out."""
    return f'<span class="place" data-of="{anchor}"></span>'


def _still(match: re.Match[str]) -> str:
    """A figure without its scripts, unless it is one that only a script can draw. That one asks nothing."""
    figure = match[0]
    if 'class="rk-stage"' not in figure:
        return SCRIPT.sub("", figure)
    data = re.search(r'(<script type="application/json">)(.*?)(</script>)', figure, re.DOTALL)
    sent = json.loads(data[2]) | {"guess": None}
    text = json.dumps(sent, ensure_ascii=False, separators=(",", ":")).replace("<", "\\u003c")
    return figure.replace(data[0], f"{data[1]}{text}{data[3]}")


def _soup(markup: str) -> Tag:
    return BeautifulSoup(markup, "html.parser").find(True)


def _inside(node: Tag) -> str:
    """What `node` holds, without links."""
    mine = BeautifulSoup(str(node), "html.parser").find(True)
    for link in mine.find_all(["a", "span"], class_=["reference", "xref", "headerlink"]):
        link.unwrap() if "headerlink" not in link["class"] else link.decompose()
    return mine.decode_contents().strip()


def plain(title: str) -> str:
    """A heading as text."""
    return " ".join(BeautifulSoup(title, "html.parser").get_text().split())
