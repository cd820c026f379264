"""The search finds sections, not pages only: their text, in a script that the search page loads.

Sphinx's own index knows which words a page has, and its excerpts are fetched, which a page opened as a file
may not do. So the sections of all pages, and the words of the glossary, go into ``_static/sections.js``; and
``book/_static/search_sections.js`` lists those that match below each page that was found.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from docutils import nodes
from sphinx import addnodes
from sphinx.application import Sphinx

SCRIPTS = ("sections.js", "search_sections.js")
PLAIN = re.compile(r"(?:[^\W_]|[\s()=+*,.-])+")  # a formula that can be read as it is written
LEFT_OUT = (
    *(nodes.raw, nodes.comment, nodes.math_block, nodes.literal_block),
    *(addnodes.desc_signature, addnodes.glossary),  # names and words have places of their own
)


def sections(document: nodes.document) -> Iterator[tuple[str, str, str]]:
    """(anchor, title, text) of each section of a page, without its subsections; of each word explained."""
    for section in document.findall(nodes.section):
        parts = [child for child in section.children if not isinstance(child, nodes.section | nodes.title)]
        yield section["ids"][0], _words(section[0]), " ".join(filter(None, map(_words, parts)))
    for item in document.findall(nodes.definition_list_item):
        for term in item.findall(nodes.term):
            if term["ids"]:
                yield term["ids"][0], _words(term), " ".join(map(_words, item.findall(nodes.definition)))


def _words(node: nodes.Node) -> str:
    """The running text in `node`: no code, no outputs of cells, and only formulas that are letters."""
    return " ".join("".join(_pieces(node)).split())


def _pieces(node: nodes.Node) -> Iterator[str]:
    if isinstance(node, nodes.Text):
        yield node.astext()
    elif isinstance(node, nodes.math):
        yield node.astext() if PLAIN.fullmatch(node.astext()) else "…"
    elif node.get("refdomain") == "cite":
        yield "…"  # a source is not known by its name yet
    elif not isinstance(node, LEFT_OUT) and "cell" not in node.get("classes", ()):
        for child in node.children:
            yield from _pieces(child)
        if not isinstance(node, nodes.Inline):
            yield " "


def write(app: Sphinx, error: Exception | None) -> None:
    """Write the script with the sections of all pages."""
    if error or app.builder.format != "html":
        return
    found = [
        [name, *section]
        for name in sorted(app.env.found_docs)
        for section in sections(app.env.get_doctree(name))
    ]
    script = f"window.bookSections = {json.dumps(found, ensure_ascii=False, separators=(',', ':'))};\n"
    Path(app.outdir, "_static", SCRIPTS[0]).write_text(script, encoding="utf-8")


def load(app: Sphinx, pagename: str, template: str, context: dict[str, Any], doctree: Any) -> None:
    """Load the scripts in the search page, and there only."""
    if pagename == "search":
        for script in SCRIPTS:
            app.add_js_file(script)


def setup(app: Sphinx) -> None:
    app.connect("html-page-context", load)
    app.connect("build-finished", write)
