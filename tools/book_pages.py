"""A Sphinx extension: pages show what nbval executed, and small repairs of what the theme makes."""

import hashlib
import re
from pathlib import Path
from typing import Any

import nbformat
from pybtex.plugin import register_plugin
from sphinx.application import Sphinx
from sphinx.util import logging

from regbook.explore.page import once
from tools import (
    downloads,
    executed,
    folds,
    launch,
    references,
    sections,
    slide_html,
    teach,
    teach_page,
    times,
)
from tools.chapters import lessons
from tools.toc import ROOT

# A browser may end a line between a formula and the comma or bracket that it touches.
_FORMULA = re.compile(r'([(“]*)(<span class="math notranslate nohighlight">[^<]*</span>)([.,;:!?)”’-]*)')


def together(body: str) -> str:
    """A page whose formulas keep the signs that they touch on their line."""
    parts = r'<span class="together">\1\2\3</span>'
    return _FORMULA.sub(lambda found: found.expand(parts) if found[1] or found[3] else found[0], body)


def outputs(app: Sphinx, docname: str, source: list[str]) -> None:
    """Give Sphinx the notebook as it was executed, in the place of the file without outputs.

    The pages for teachers get their tables.
    """
    path = Path(app.env.doc2path(docname))
    if path.parent == teach_page.FOLDER:
        for used in teach.uses(path):
            app.env.note_dependency(str(used))
        source[0] = teach.filled(path)
    if path.suffix != ".ipynb":
        return
    # The page is made anew when one of these changes: the first page says how long each chapter takes.
    for used in [executed.place(path), *([] if path in lessons() else lessons())]:
        app.env.note_dependency(str(used))
    try:
        notebook = executed.whole(path)
        folds.label(notebook)
        teach.link(notebook, path)
        slide_html.mark(notebook)
        source[0] = nbformat.writes(notebook)
    except ValueError as error:
        logging.getLogger(__name__).warning("%s", error, location=docname)


def repair(app: Sphinx, pagename: str, template: str, context: dict[str, Any], doctree: Any) -> None:
    """Give citations a role that fits their list, folds and arrows a name, and the download button its files.

    Formulas stay on one line with the signs that they touch. The code that all figures of a page have in
    common stands in it once.
    """
    # A list may hold list items only, and "doc-biblioentry" is deprecated (WAI-ARIA, DPUB-ARIA 1.1).
    if "body" in context:
        entry = r'(<div class="citation" id="[^"]*") role="doc-biblioentry"'
        context["body"] = once(re.sub(entry, r'\1 role="listitem"', context["body"]))
        context["body"] = together(context["body"])
        # A fold is called what it says, and not "Toggle hidden content" as all others.
        context["body"] = context["body"].replace('<summary aria-label="Toggle hidden content">', "<summary>")
    # The arrow that unfolds a list in the side bar has no text that a screen reader could read out.
    if "generate_toctree_html" in context:
        generate = context["generate_toctree_html"]

        def named(*options: Any, **more: Any) -> Any:
            lists = generate(*options, **more)
            for summary in lists.find_all("summary") if lists else ():
                summary["aria-label"] = f"Pages of: {summary.find_parent('li').a.get_text(strip=True)}"
            return lists

        context["generate_toctree_html"] = named
    for group in context.get("header_buttons", []):
        if group["label"] == "download-buttons":
            printed = [button for button in group["buttons"] if button["type"] == "javascript"]
            group["buttons"] = [*copies(pagename, context), *printed]
    if context.get("page_source_suffix") == ".ipynb":
        context["header_buttons"][:0] = launch.buttons(pagename)


def copies(pagename: str, context: dict[str, Any]) -> list[dict[str, str]]:
    """The entries of the download button: this page's notebook, if it is one, and all of them."""
    folder = context["pathto"]("_downloads", 1)
    entries = [
        (f"{downloads.ALL}.zip", "All notebooks (.zip)", "All notebooks, and the package that they need")
    ]
    if context.get("page_source_suffix") == ".ipynb":
        words = "This page as a notebook, and the package that it needs"
        entries.insert(0, (downloads.name(pagename), "Notebook (.zip)", words))
    look = {"type": "link", "icon": "fas fa-file-zipper", "label": "download-notebook-button"}
    return [
        look | {"url": f"{folder}/{name}", "text": text, "tooltip": words} for name, text, words in entries
    ]


def setup(app: Sphinx) -> dict[str, Any]:
    register_plugin("pybtex.style.formatting", references.NAME, references.Style)
    app.connect("source-read", outputs)
    app.connect("html-page-context", repair, priority=900)
    folds.setup(app)
    sections.setup(app)
    made_by = [
        Path(module.__file__)
        for module in (folds, launch, references, sections, slide_html, teach, teach_page, times)
    ]
    made_by += [Path(__file__), *sorted((ROOT / "book" / "_static").iterdir())]
    state = hashlib.sha256(b"".join(path.read_bytes() for path in made_by)).hexdigest()
    # Sphinx forgets what it has read when this number changes, and so does when one of these files changes.
    return {"env_version": int(state[:8], 16), "parallel_read_safe": True, "parallel_write_safe": True}
