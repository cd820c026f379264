"""A Sphinx extension: pages of reference from the docstrings of the packages, which are plain text.

Formulas and tables stand indented in a docstring; a page shows them as they are. A name in double backticks
that is a public one becomes a link to its entry, and a chapter links to an entry as it does to a heading:
``[evaluate](api/spline.md#regkit.spline.evaluate)``.
"""

from __future__ import annotations

import dataclasses
import hashlib
import importlib
import inspect
import pkgutil
import re
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx

_SECTION = re.compile(r"(Args|Returns|Raises|Example|Source):$")
_COLUMNS = re.compile(r"\S {3,}\S")
_KEPT = re.compile(r"(``.+?``|https?://\S+)")  # code and addresses
_LETTER = re.compile(r"(?<!\S)([A-Za-z])\.$")  # "w." alone would begin a list that counts w, x, y
_LIST_IN_SIGNATURE = re.compile(r'<dl>\n((?:<dd><em class="sig-param">.*?</dd>\n)+)</dl>\n')


def modules() -> list[ModuleType]:
    """What has a page of its own: the public modules of regkit, and regbook.explore."""
    path = importlib.import_module("regkit").__path__
    names = [f"regkit.{found.name}" for found in pkgutil.iter_modules(path) if found.name[0] != "_"]
    return [importlib.import_module(name) for name in [*names, "regbook.explore"]]


def public(module: ModuleType) -> list[str]:
    """The names of the classes and functions that ``module`` has for others."""
    own = [
        name
        for name, value in vars(module).items()
        if name[0] != "_" and callable(value) and getattr(value, "__module__", None) == module.__name__
    ]
    return list(getattr(module, "__all__", own))


@cache
def entries() -> dict[str, str]:
    """Where each public name is documented; a name that two modules have is left out."""
    places: dict[str, list[str]] = {}
    for module in modules():
        for name in public(module):
            places.setdefault(name, []).append(f"{module.__name__}.{name}")
    return {name: found[0] for name, found in places.items() if len(found) == 1}


def _linked(code: str) -> str:
    """```name``` as a link, if it is the name of an entry."""
    name = code.strip("`")
    return f":py:obj:`{name} <{entries()[name]}>`" if name in entries() else code


def _plain(line: str) -> str:
    """``line`` with nothing in it that reStructuredText would take for its own, but code and addresses."""
    parts = enumerate(_KEPT.split(line))
    plain = "".join(_linked(part) if k % 2 else re.sub(r"([\\*|_`])", r"\\\1", part) for k, part in parts)
    return _LETTER.sub(r"\1\\.", plain)


def restructured(docstring: str) -> list[str]:
    """A docstring's lines as reStructuredText with the sections that sphinx.ext.napoleon reads."""
    result, section = [], None
    for paragraph in re.split(r"\n{2,}", docstring.strip("\n")):
        lines = paragraph.split("\n")
        if heading := _SECTION.match(lines[0]):
            section = heading[1]
        if section is None and any(line[:4].isspace() or _COLUMNS.search(line) for line in lines):
            result += [".. code-block:: none", "", *(f"    {line}".replace("``", "") for line in lines), ""]
        else:
            result += [*(lines if section == "Example" else map(_plain, lines)), ""]
    return result


def _docstring(app: Sphinx, what: str, name: str, obj: Any, options: Any, lines: list[str]) -> None:
    """In the place of every docstring, before napoleon sees it."""
    lines[:] = restructured("\n".join(lines))


def _property(app: Sphinx, what: str, name: str, obj: Any, options: Any, lines: list[str]) -> None:
    """What napoleon did to a property is undone: it takes words before a colon for the type."""
    if what == "property":
        lines[:] = restructured(inspect.getdoc(obj) or "")


def _signature(
    app: Sphinx, what: str, name: str, obj: Any, options: Any, signature: str | None, returned: str | None
) -> tuple[str | None, str | None]:
    """No signature for a protocol, which is not called; defaults as in the source where Sphinx has others."""
    if getattr(obj, "_is_protocol", False):
        return "", None
    if signature and dataclasses.is_dataclass(obj):
        factories = (field.default_factory for field in dataclasses.fields(obj))
        made = (f"{factory.__name__}()" for factory in factories if factory is not dataclasses.MISSING)
        signature = re.sub("<factory>", lambda _: next(made), signature)
        signature = re.sub(r"<function (\w+)>", r"\1", signature)
    return signature, returned


def _anchors(app: Sphinx, document: nodes.document) -> None:
    """The entries of a page, next to its headings, as targets of MyST's links."""
    slugs = app.env.metadata[app.env.docname].setdefault("myst_slugs", {})
    for name, entry in app.env.get_domain("py").objects.items():
        if entry.docname == app.env.docname:
            slugs[name] = (0, entry.node_id, name)


def _page(app: Sphinx, pagename: str, template: str, context: dict[str, Any], doctree: Any) -> None:
    """The parameters of a signature, one a line: as Sphinx writes them, they are a list without terms."""
    if "body" in context:
        context["body"] = _LIST_IN_SIGNATURE.sub(
            lambda found: found[1].replace("<dd>", '<span class="sig-line">').replace("</dd>", "</span>"),
            context["body"],
        )


def setup(app: Sphinx) -> dict[str, Any]:
    app.connect("autodoc-process-docstring", _docstring, priority=400)
    app.connect("autodoc-process-docstring", _property, priority=600)
    app.connect("autodoc-process-signature", _signature)
    app.connect("doctree-read", _anchors)
    app.connect("html-page-context", _page, priority=900)
    state = hashlib.sha256(Path(__file__).read_bytes()).hexdigest()
    # Sphinx forgets what it has read when this number changes, and so does when this file changes.
    return {"env_version": int(state[:8], 16), "parallel_read_safe": True, "parallel_write_safe": True}
