"""The reader's copies: their text is that of the pages, and they need nothing that a reader has not."""

from __future__ import annotations

import ast
import html
import re
import sys
import tomllib
from importlib import metadata
from pathlib import Path

import nbformat
import pytest
from bs4 import BeautifulSoup
from nbconvert import HTMLExporter

from tools import copies
from tools.copies import Text, authors, bibliography
from tools.toc import ROOT, notebooks

NOTEBOOKS = notebooks()
CHAPTER = ROOT / "book" / "03_registration.ipynb"
each_notebook = pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda path: path.stem)


@pytest.fixture(scope="session")
def folder(book) -> Path:
    """The copies that were made with the book."""
    return ROOT / "_build" / "notebooks"


# ---------------------------------------------------------------------------------------- text


def plain(source: str, **glued: str) -> str:
    return Text(CHAPTER, glued).plain(source)


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("It is {glue:text}`a:.2f`.", "It is 1.23."),
        ("{glue:text}`a` and {glue:text}`name`", "1.2345 and Newton"),
        ("**{glue:text}`a:.0f` times**", "**1 times**"),
        ("see {cite}`unser1999`.", "see ([Unser, 1999](https://doi.org/10.1109/79.799930))."),
        ("{cite:t}`golub1973`", "[Golub and Pereyra (1973)](https://doi.org/10.1137/0710036)"),
        ("{cite}`unser1999,golub1973`", "([Unser, 1999](https://doi.org/10.1109/79.799930); "
         "[Golub and Pereyra, 1973](https://doi.org/10.1137/0710036))"),
        ("a {term}`residual` and {term}`two <tangent>`", "a [residual](glossary.md) and [two](glossary.md)"),
        ("[the glossary](glossary.md), [chapter 1](01_ad_basics.ipynb)",
         "[the glossary](glossary.md), [chapter 1](01_ad_basics.ipynb)"),
        ("[here](#what-goes-wrong)", "[here](#What-goes-wrong)"),
        ("[there](02_spline_images.ipynb#take-away)", "[there](02_spline_images.ipynb#Take-away)"),
        ("[`mri`](api/data.md#regkit.data.mri)", "`mri`"),
        ("(a-label)=\n## Title", "## Title"),
        ("`f[1](u)`, $J[v](u)$, <code>f[1](u)</code>", "`f[1](u)`, $J[v](u)$, <code>f[1](u)</code>"),
        ("``{glue:text}`a` ``", "``{glue:text}`a` ``"),
        ("```python\nf[1](u), {cite}`x`\n```\n{glue:text}`a`", "```python\nf[1](u), {cite}`x`\n```\n1.2345"),
        ("[a source](https://doi.org/10.1/x(1)2)", "[a source](https://doi.org/10.1/x(1)2)"),
        ("[on {glue:text}`name`](02_spline_images.ipynb)", "[on Newton](02_spline_images.ipynb)"),
    ],
)  # fmt: skip
def test_text_that_only_sphinx_reads_becomes_text_for_all(source, expected):
    assert plain(source, a="1.2345", name="'Newton'") == expected


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("{glue:text}`b`", "expected a number that a cell of 03_registration.ipynb stores by glue, got 'b'"),
        ("{cite}`nobody1999`", "expected an entry of references.bib .* got 'nobody1999'"),
        ("{download}`a.csv`", "expected a role that a notebook can show .* got {download}`a.csv`"),
        (":::{note}\nText\n:::", "expected text that needs no Sphinx .* got :::{note}"),
        ("![A plot](plot.png)", "expected a picture that a cell draws .* got plot.png"),
        ("[elsewhere](99_nothing.ipynb)", "expected a link to a page of the book .* got 99_nothing.ipynb"),
    ],
)
def test_text_that_a_notebook_cannot_show_is_an_error(source, words):
    with pytest.raises(ValueError, match=words):
        plain(source, a="1")


def test_references_are_those_cited_in_the_order_of_their_authors():
    text = Text(CHAPTER, {})
    text.plain("{cite}`unser1999` {cite}`golub1973` {cite}`unser1999`")
    lines = text.references().split("\n\n")
    assert lines[0] == "## References" and len(lines) == 3
    assert lines[1].startswith("- Gene") and lines[2].startswith("- Michael Unser. Splines: a perfect fit")
    assert "[doi:10.1109/79.799930](https://doi.org/10.1109/79.799930)" in lines[2]


def test_the_glossary_is_plain_markdown():
    text = copies.glossary()
    assert "**adjoint**  \nThe operator $A^\\top$" in text
    assert "{" not in re.sub(r"\$[^$]*\$", "", text) and ":::" not in text


# ---------------------------------------------------------------------------------------- against the pages


def words(text: str) -> str:
    """Text without what Markdown and Sphinx set differently: spaces, quotes, the signs around formulas."""
    text = re.sub(r"\\[()\[\]]|\$|\\(begin|end)\{split\}", "", html.unescape(text))
    text = re.sub(r"[’‘]", "'", re.sub(r"[“”]", '"', text)).replace("–", "-").replace("…", "...")
    return re.sub(r"[\s¶#]+", "", text)


def paragraphs(soup: BeautifulSoup) -> list[str]:
    for cell in soup.select(".jp-CodeCell, div.cell, .headerlink"):
        cell.decompose()
    return [words(part.get_text()) for part in soup.select("p, li, h1, h2, h3, td, div.math")]


@each_notebook
def test_each_paragraph_says_what_the_page_says(notebook, folder, book):
    """As nbconvert renders it: numbers, and sources, included."""
    copy = nbformat.read(folder / notebook.name, as_version=4)
    if copy.cells[-1].get("id") == "references":
        copy.cells.pop()
    exported, _ = HTMLExporter(exclude_input=True, exclude_output=True).from_notebook_node(copy)
    ours = BeautifulSoup(exported, "html.parser").select_one("main, body")
    page = BeautifulSoup((book / "book" / f"{notebook.stem}.html").read_text("utf-8"), "html.parser")
    page = page.select_one("article")
    for span in page.select(".bibtex-citation"):  # [Unser, 1999] and Golub [1973]; ours have round brackets
        span.string = span.get_text().replace("[", "(").replace("]", ")")
    theirs = paragraphs(page)
    missing = [text for text in paragraphs(ours) if text and text not in theirs]
    assert not missing


@each_notebook
def test_every_number_of_the_page_is_in_the_copy(notebook, folder, book):
    page = BeautifulSoup((book / "book" / f"{notebook.stem}.html").read_text("utf-8"), "html.parser")
    copy = nbformat.read(folder / notebook.name, as_version=4)
    text = "\n".join(cell.source for cell in copy.cells if cell.cell_type == "markdown")
    source = "\n".join(cell.source for cell in nbformat.read(notebook, as_version=4).cells)
    shown = [span.get_text() for span in page.select("span.pasted-text")]
    assert len(shown) == len(re.findall(r"\{glue:text\}`", source))
    position = 0
    for number in shown:  # in the page's order
        position = text.find(number, position) + len(number)
        assert position >= len(number), f"{number!r} is missing, or not in its place"
    assert "{glue" not in text and "{cite" not in text


# ---------------------------------------------------------------------------------------- what a reader has


@each_notebook
def test_outputs_hold_the_figures_of_the_page_and_nothing_for_a_kernel(notebook, folder):
    copy = nbformat.read(folder / notebook.name, as_version=4)
    nbformat.validate(copy)
    kinds = {
        kind for cell in copy.cells for output in cell.get("outputs", []) for kind in output.get("data", {})
    }
    assert "text/html" in kinds
    assert not [kind for kind in kinds if "widget" in kind or "papermill" in kind]
    assert "widgets" not in copy.metadata


@each_notebook
def test_what_the_page_folds_is_folded(notebook, folder):
    copy = nbformat.read(folder / notebook.name, as_version=4)
    for cell in copy.cells:
        tags, jupyter = set(cell.metadata.get("tags", [])), cell.metadata.get("jupyter", {})
        assert jupyter.get("source_hidden", False) == bool(tags & {"hide-input", "remove-input", "hide-cell"})
        assert jupyter.get("outputs_hidden", False) == bool(tags & {"hide-output", "hide-cell"})
        assert "solution" not in tags or jupyter["source_hidden"]


def declared() -> set[str]:
    """The modules of the packages that `pip install regkit[book]` asks for by name."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    asked = [*project["dependencies"], *project["optional-dependencies"]["book"]]
    names = {re.match(r"[\w.-]+", line)[0].lower() for line in asked}
    modules = metadata.packages_distributions()
    found = {module for module, packages in modules.items() if names & {name.lower() for name in packages}}
    return found | {
        "cycler",
        "IPython",
        "regkit",
        "regbook",
    }  # the first with Matplotlib, IPython with ipywidgets


@each_notebook
def test_imports_only_what_is_declared_and_reads_nothing_by_a_relative_path(notebook, folder):
    allowed = declared() | set(sys.stdlib_module_names)
    copy = nbformat.read(folder / notebook.name, as_version=4)
    for cell in (cell for cell in copy.cells if cell.cell_type == "code"):
        tree = ast.parse(cell.source)
        for node in ast.walk(tree):
            names = []
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom):
                assert node.level == 0
                names = [node.module]
            assert {name.split(".")[0] for name in names} <= allowed, cell.source
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                assert not re.search(r"\.\.?[/\\]", node.value), cell.source
            if isinstance(node, ast.Call):
                assert getattr(node.func, "id", "") != "open", cell.source


def test_regbook_imports_only_what_is_declared():
    allowed = declared() | set(sys.stdlib_module_names)
    on_many_cores = {ROOT / "regbook" / name for name in ("records/making.py", "batch.py")}  # extra "cluster"
    for path in {*(ROOT / "regbook").rglob("*.py")} - on_many_cores:
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module] if isinstance(node, ast.ImportFrom) and not node.level else []
            assert {name.split(".")[0] for name in names} <= allowed, path


def test_authors():
    assert authors(bibliography()["unser1999"]) == "Unser"
    assert authors(bibliography()["hovland2024"]) == "Hovland and Hückelheim"
    assert authors(bibliography()["golub1973"]) == "Golub and Pereyra"
    assert authors(bibliography()["gratton2014"]) == "Gratton et al."
