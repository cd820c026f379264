"""Copies of the notebooks for readers: whole in Jupyter, in nbconvert and on paper, and able to run alone.

In the book's notebooks measured numbers and sources are roles that only Sphinx reads. In the copies they are
text: the numbers of the execution that the pages show, and for each source authors and year, with a list at
the end. The first cell makes sure that the book's packages are there. What a page folds is folded.
"""

from __future__ import annotations

import json
import re
import shutil
import tomllib
from collections.abc import Callable
from functools import cache
from pathlib import Path
from urllib.parse import quote, unquote

import nbformat
from myst_nb.core.variables import format_plain_text
from nbformat import NotebookNode
from pybtex.backends.markdown import Backend
from pybtex.database import Entry, parse_file
from pybtex.style.formatting.unsrt import Style

from tools import executed
from tools.toc import ROOT, notebooks, pages
from tools.wheel import wheel

BOOK = ROOT / "book"
COPIES = ROOT / "_build" / "notebooks"
BESIDE = (BOOK / "glossary.md", BOOK / "notation.md")  # pages that lie beside the copies
FOLDED = {
    "hide-input": ("source",),
    "remove-input": ("source",),
    "hide-output": ("outputs",),
    "hide-cell": ("source", "outputs"),
}
RECORD = "application/papermill.record/"

_CODE = re.compile(r"(^ {0,3}(`{3,}|~{3,}).*?^ {0,3}\2`*[ \t]*$)", re.M | re.S)
_PARTS = re.compile(  # of a paragraph, in the order in which they are looked for
    r"""\{(?P<role>[A-Za-z][\w:+.-]*)\}(?P<ticks>`+)(?P<content>.+?)(?<!`)(?P=ticks)(?!`)
    | <!--.*?--> | <code>.*?</code> | </?[a-z][^<>]*> | \\. | \$\$.+?\$\$ | \$[^$]+\$
    | (?P<code>`+).+?(?<!`)(?P=code)(?!`)
    | (?P<picture>!?)\[(?P<words>(?:[^\[\]]|\[[^\[\]]*\])*)\]
      \((?P<target>[^()\s]+(?:\([^()\s]*\)[^()\s]*)*)\)""",
    re.S | re.X,
)
_DIRECTIVE = re.compile(r"^ {0,3}(?::{3,}|`{3,})\{.*$", re.M)
_TARGET = re.compile(r"^\([\w:.-]+\)=\n", re.M)
_HEADING = re.compile(r"^#{1,6} +(.+?) *#*$", re.M)


def copy(notebook: Path) -> NotebookNode:
    """The reader's copy of `notebook`, which has been executed."""
    whole = executed.whole(notebook)
    text = Text(notebook, numbers(whole))
    for cell in whole.cells:
        if cell.cell_type == "markdown":
            cell.source = text.plain(cell.source)
        elif cell.cell_type == "code":
            cell.outputs = [output for output in cell.outputs if not _is_number(output)]
            folded = {part for tag in cell.metadata.get("tags", []) for part in FOLDED.get(tag, ())}
            if folded:
                cell.metadata.jupyter = {f"{part}_hidden": True for part in sorted(folded)}
    whole.cells.insert(0, packages())
    if text.cited:
        whole.cells.append(nbformat.v4.new_markdown_cell(text.references(), id="references"))
    whole.metadata.kernelspec.display_name = (
        "Python 3 (ipykernel)"  # as in JupyterLab: opening changes nothing
    )
    nbformat.validate(whole)
    return whole


def packages() -> NotebookNode:
    """The first cell."""
    first = nbformat.v4.new_code_cell(first_cell(), id="packages", metadata={"tags": ["hide-input"]})
    first.metadata.jupyter = {"source_hidden": True}
    return first


def first_cell() -> str:
    """The source of the first cell, with the name and the bounds of the present wheel, and its release."""
    from tools import launch  # which needs this module

    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    bounds = dict(re.findall(r"(torch|numpy)>=(\d+\.\d+)", " ".join(project["dependencies"])))
    least = {name: tuple(map(int, bounds[name].split("."))) for name in ("torch", "numpy")}
    source = (ROOT / "tools" / "first_cell.py").read_text(encoding="utf-8").strip()
    says = {
        "WHEEL, LEAST": f'"{wheel().name}", {_code(least)}',
        "RELEASE": f'"{launch.released(wheel().name)}"',
    }
    for names, values in says.items():
        source = re.sub(rf"^{names} = .*$", f"{names} = {values}", source, flags=re.M)
    return source


def _code(value: dict) -> str:
    return repr(value).replace("'", '"')


def _is_number(output: NotebookNode) -> bool:
    return any(kind.startswith(RECORD) for kind in output.get("data", {}))


def numbers(notebook: NotebookNode) -> dict[str, str]:
    """What the cells of an executed notebook have stored by ``glue``, under its names."""
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", []) if _is_number(output)]
    return {o.metadata.scrapbook.name: o.data.get(f"{RECORD}text/plain", "") for o in outputs}


# ---------------------------------------------------------------------------------------- text


class Text:
    """Turns the Markdown of a page into what every program shows; remembers which sources it cites."""

    def __init__(self, page: Path, glued: dict[str, str]):
        self.page, self.glued, self.cited = page, glued, set()

    def plain(self, source: str) -> str:
        """`source` without roles, and with links to what lies beside the copy.

        Raises: ValueError for a role, a directive or a picture that a notebook alone could not show.
        """
        parts = _CODE.split(source)
        for k in range(0, len(parts), 3):  # between the blocks of code, each of which takes two places
            parts[k] = self._prose(parts[k])
        del parts[2::3]
        text = "".join(parts)
        if found := _DIRECTIVE.search(text):
            raise ValueError(
                f"expected text that needs no Sphinx in {self.page.name}, got {found[0].strip()}"
            )
        return text

    def _prose(self, source: str) -> str:
        return _PARTS.sub(self._part, _TARGET.sub("", source))

    def _part(self, found: re.Match) -> str:
        if found["role"]:
            return self._role(found["role"], found["content"])
        if not found["target"]:
            return found[0]  # code, formulas, comments
        if not found["picture"]:
            return self._link(self._prose(found["words"]), found["target"])
        if not found["target"].startswith(("https:", "data:")):
            raise ValueError(
                f"expected a picture that a cell draws in {self.page.name}, got {found['target']}"
            )
        return found[0]

    def _role(self, name: str, content: str) -> str:
        label = re.fullmatch(r"(.+?)\s*<(.+)>", content, re.S)
        words = label[1] if label else content
        if name == "glue:text":
            return self._number(content)
        if name in ("cite", "cite:p"):
            return f"({'; '.join(self._cite(key.strip()) for key in content.split(','))})"
        if name == "cite:t":
            return ", ".join(self._cite(key.strip(), in_text=True) for key in content.split(","))
        if name == "term":
            return self._link(words, "glossary.md")
        if name in ("doc", "ref", "numref"):
            return words
        if name.startswith("py:") or name in ("func", "class", "mod", "meth", "attr"):
            return f"`{words.lstrip('~')}`"
        if name == "math":
            return f"${content}$"
        raise ValueError(
            f"expected a role that a notebook can show in {self.page.name}, got {{{name}}}`{content}`"
        )

    def _number(self, content: str) -> str:
        name, _, form = content.rpartition(":") if ":" in content else (content, "", "s")
        if name not in self.glued:
            raise ValueError(
                f"expected a number that a cell of {self.page.name} stores by glue, got {name!r}"
            )
        return format_plain_text(self.glued[name], form)

    def _cite(self, key: str, in_text: bool = False) -> str:
        if key not in bibliography():
            raise ValueError(f"expected an entry of references.bib in {self.page.name}, got {key!r}")
        self.cited.add(key)
        entry = bibliography()[key]
        year = entry.fields["year"]
        words = f"{authors(entry)} ({year})" if in_text else f"{authors(entry)}, {year}"
        doi = entry.fields.get("doi")
        return f"[{words}]({f'https://doi.org/{quote(doi)}' if doi else '#References'})"

    def references(self) -> str:
        """The list of the cited sources, with its heading."""
        entries = [bibliography()[key] for key in sorted(self.cited)]
        style = Style(sorting_style="author_year_title")
        lines = [formatted.text.render(_Markdown()) for formatted in style.format_entries(entries)]
        return "\n\n".join(["## References", *(f"- {' '.join(line.split())}" for line in lines)])

    def _link(self, words: str, target: str) -> str:
        """A link to what a copy has beside it; the words alone for what only the pages have."""
        if re.match(r"[a-z]+:", target):
            return f"[{words}]({target})"
        address, _, anchor = target.partition("#")
        page = self.page if not address else (self.page.parent / unquote(address)).resolve()
        if page.name == "references.md":
            return f"[{words}](#References)" if self.cited else words
        if page.suffix == ".md" and page not in BESIDE:
            return words
        if page not in pages():
            raise ValueError(f"expected a link to a page of the book in {self.page.name}, got {target}")
        place = _heading(page, anchor) if anchor else ""
        target = ("" if page == self.page else page.name) + place
        return f"[{words}]({target})" if target else words


class _Markdown(Backend):
    """pybtex's Markdown, with a backslash only where it is needed."""

    def format_str(self, text: str) -> str:
        return re.sub(r"([\\`*_\[\]<>$])", r"\\\1", text)


@cache
def bibliography() -> dict[str, Entry]:
    return dict(parse_file(str(BOOK / "references.bib")).entries)


def authors(entry: Entry) -> str:
    """Surnames: one, two with an "and" between them, or the first of more."""
    persons = entry.persons["author"]
    names = [" ".join(map(str, person.rich_prelast_names + person.rich_last_names)) for person in persons]
    return names[0] + (" et al." if len(names) > 2 else "".join(f" and {name}" for name in names[1:]))


def _heading(page: Path, anchor: str) -> str:
    """The anchor that Jupyter gives to the heading that Sphinx calls `anchor`; empty if there is none."""
    for title in _HEADING.findall(_markdown(page)):
        slug = re.sub(r"[^\w\u4e00-\u9fff\- ]", "", title.strip().lower().replace(" ", "-"))
        if slug == anchor:
            return "#" + quote(title.replace(" ", "-"))
    return ""


@cache
def _markdown(page: Path) -> str:
    source = page.read_text(encoding="utf-8")
    if page.suffix != ".ipynb":
        return source
    return "\n\n".join(
        "".join(cell["source"]) for cell in json.loads(source)["cells"] if cell["cell_type"] == "markdown"
    )


def glossary() -> str:
    """The glossary as plain Markdown: a bold term, and below it what it means."""
    source = (BOOK / "glossary.md").read_text(encoding="utf-8")
    entries = re.search(r"^:{3,}\{glossary\}\n(.*?)^:{3,}$", source, re.M | re.S)
    terms = re.sub(
        r"^(\S.*)\n((?:  +.*\n?)+)",
        lambda m: f"**{m[1]}**  \n" + re.sub("^ +", "", m[2], flags=re.M),
        entries[1],
        flags=re.M,
    )
    return Text(BOOK / "glossary.md", {}).plain(source.replace(entries[0], terms))


def notation() -> str:
    """The page of symbols as plain Markdown."""
    page = BOOK / "notation.md"
    return Text(page, {}).plain(page.read_text(encoding="utf-8"))


def write(folder: Path = COPIES, of: Callable[[Path], NotebookNode] = copy) -> list[Path]:
    """Write the copies, what lies beside them and the wheel into `folder`, anew; returns the notebooks.

    `of` makes them: from a page of the book what is written under its name.
    """
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    written = []
    for notebook in notebooks():
        path = folder / notebook.name
        path.write_text(nbformat.writes(of(notebook)) + "\n", encoding="utf-8")
        written.append(path)
    for page, text in {"glossary": glossary(), "notation": notation()}.items():
        (folder / f"{page}.md").write_text(text, encoding="utf-8")
    shutil.copy(wheel(), folder)
    return written
