"""The pieces of a chapter's page, in reading order, from which its slides are made."""

from __future__ import annotations

import re
from dataclasses import dataclass

from bs4 import Comment, Tag

from tools.slide_html import BEGIN, DROP, END, text

APART = ("What you will learn", "Exercises", "Take-away", "Further reading")


@dataclass
class Block:
    """A piece of the page, the headings above it, and whether the tag of its cell says what to do with it."""

    node: Tag | Comment
    under: tuple[str, ...]
    heading: str
    part: str  # the heading of level two
    wanted: str = ""


def blocks(article: Tag) -> list[Block]:
    """The page in reading order. A fold that waits for a guess is open; no other fold is there."""
    found: list[Block] = []
    wanted = ""

    def walk(node: Tag, under: tuple[str, ...], heading: str, part: str) -> None:
        nonlocal wanted
        for child in node.children:
            if isinstance(child, Comment):
                mark = child.strip()
                if mark in (BEGIN, DROP, END):
                    wanted = "" if mark == END else mark
                    continue
            elif not isinstance(child, Tag) or child.name == "summary":
                continue
            elif child.name == "section":
                name = text(child.find(["h1", "h2", "h3"]))
                deep = child.find(["h1", "h2", "h3"]).name
                walk(child, (child["id"], *under), name, name if deep in ("h1", "h2") else part)
                continue
            elif child.name == "details" and "after-guess" in child.get("class", ()):
                walk(child, under, heading, part)
                continue
            elif child.name in ("h1", "h2", "h3"):
                continue
            tagged = child.get("class", ()) if isinstance(child, Tag) else ()
            own = next((t for t in (DROP, BEGIN) if f"tag_{t}" in tagged), wanted)
            found.append(Block(child, under, heading, part, own))

    walk(article, (), "", "")
    return found


def claims_of(block: Block, after: Block | None) -> list[tuple[str, Tag]]:
    """The claims that begin in a piece of the page, with their bold words."""
    found = []
    marks = [block.node] if isinstance(block.node, Comment) else block.node.find_all(string=_is_comment)
    for mark in marks:
        label = re.fullmatch(r"claim: ([a-z0-9-]+)", mark.strip())
        if label and block.part not in APART:
            within = mark.parent if mark.parent.name in ("p", "li") else None
            strong = within.find("strong") if within else mark.find_next("strong")
            found.append((label[1], strong))
    return found


def _is_comment(string: str | None) -> bool:
    return isinstance(string, Comment)


def holds(node: Tag | Comment, paragraph: Tag) -> bool:
    return isinstance(node, Tag) and (node is paragraph or paragraph in node.find_all(["p", "li"]))


def is_formula(node: Tag) -> bool:
    return node.name == "div" and "math" in node.get("class", ())


def is_table(node: Tag) -> bool:
    return node.name == "table" or "pst-scrollable-table-container" in node.get("class", ())
