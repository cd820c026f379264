"""The glossary: every chapter and every appendix links a term where it uses it for the first time."""

import re
from pathlib import Path

import pytest

from tools.chapters import cells, lessons
from tools.toc import ROOT, pages

GLOSSARY = (ROOT / "book" / "glossary.md").read_text(encoding="utf-8")
TERMS = re.findall(r"^(\S.*)\n +\S", GLOSSARY.partition(":::{glossary}")[2], re.MULTILINE)

# How a term looks in the text, where that is not the term itself or its plural.
FORMS = {
    "Chebyshev's iteration": "Chebyshev",
    "Euler's prediction": "Euler's (?:prediction|method|step)",
    "Golub-Pereyra Jacobian": "Golub and Pereyra|Golub-Pereyra",
    "Hessian": "Hessians?",
    "affine map": "affine",
    "automatic differentiation": "(?i:automatic differentiation)|AD",
    "basin of attraction": "basins? of attraction",
    "conjugate gradients": "(?i:conjugate gradients)|CG",
    "converged": "converged",
    "early stopping": "early stopping|stops early|stop early",
    "evaluation": "evaluations",
    "implicit differentiation": "implicit(?:ly)?",
    "minimum": "minim(?:um|a|isers?)",
    "jvp": "Jacobian-vector product",
    "product": "products? with",
    "sensitivity": "sensitivit(?:y|ies)",
    "unrolled": "unroll(?:ed|ing)",
    "vjp": "vector-Jacobian product",
}
# Where the same words mean something else.
OTHER = {
    "branch": r"branch (?:that|not|for|is)|that of the branch|left-falling branch|\*both\* branches",
    "distance": r"(?:a|at|the|mean|in) distance|distance (?:from|of)",
    "fold": r"folds of",
    "gradient": r"(?i:conjugate gradients|gradient descent)",
    "grid": r"grid of",
    "implicit differentiation": r"implicit function",
    "loss": r"not a loss|is a loss",
    "minimum": r"minimum norm",
    "reference": r"a reference|the reference is taken",
    "residual": r"reduced residual",
    "scale": r"logarithmic scales?|this scale|to scale",
    "sensitivity": r"shows sensitivity",
    "strength": r"times the strength",
    "tangent": r"its tangent,|their tangent|a tangent plane|are tangents|is tangent|tangent to",
}
# What is not running text: code, comments, formulas, choices, tags, headings, tables, links, bold claims.
SKIPPED = (
    r"^```.*?^```", r"<!--.*?-->", r"\$\$.*?\$\$", r"<summary>.*?</summary>", r"<[^<>\n]+>", r"`[^`]*`",
    r"\$[^$]+\$", r"^#+ [^\n]*$", r"^\|[^\n]*$", r"\[[^\]]*\]\([^)]*\)",
    r"\*\*(?:[^*\s]+\s+){5,}[^*]*?\*\*", r"\{[\w:]+\}",
)  # fmt: skip
LINK = re.compile(r"\{term\}`(?:[^`<]*<)?([^`<>]+)>?`")


def running_text(source: str, *more: str) -> str:
    """`source` with blanks, as many letters, in the place of what is skipped."""
    for pattern in (*SKIPPED, *more):
        blank = lambda found: re.sub(r"[^\n]", " ", found[0])  # noqa: E731
        source = re.sub(pattern, blank, source, flags=re.MULTILINE | re.DOTALL)
    return source


def form(term: str) -> re.Pattern:
    words = FORMS.get(term, re.escape(term) + "(?:s|es)?")
    return re.compile(rf"(?<![\w-])(?:{words})(?![\w-])", 0 if "(?i:" in words else re.IGNORECASE)


def first_use(source: str, term: str) -> int | None:
    """Where `term` stands in the running text for the first time, but for its links."""
    found = form(term).search(running_text(source, *filter(None, [OTHER.get(term)])))
    return found.start() if found else None


def text(path: Path) -> str:
    return "\n\n".join(cell.source for cell in cells(path, "markdown"))


@pytest.mark.parametrize("path", lessons(), ids=lambda path: path.stem)
def test_a_term_is_linked_where_a_chapter_uses_it_first(path: Path):
    source, missing = text(path), []
    linked = {}
    for found in LINK.finditer(source):
        linked.setdefault(found[1], found.start())
    for term in TERMS:
        use = first_use(source, term)
        if use is not None and linked.get(term, len(source)) > use:
            missing.append(f"{{term}}`{term}` at {' '.join(source[max(0, use - 40) : use + 40].split())!r}")
    assert not missing, "expected links to the glossary:\n" + "\n".join(missing)


@pytest.mark.parametrize("path", lessons(), ids=lambda path: path.stem)
def test_a_term_is_linked_once(path: Path):
    linked = LINK.findall(text(path))
    assert len(linked) == len(set(linked)), sorted(term for term in set(linked) if linked.count(term) > 1)


def test_terms_are_in_order_and_each_is_used():
    assert sorted(TERMS, key=str.casefold) == TERMS
    others = [path for path in pages() if path.stem != "glossary"]  # chapters, guides, the reference
    linked = {term for path in others for term in LINK.findall(path.read_text(encoding="utf-8"))}
    explained = set(LINK.findall(GLOSSARY))
    assert explained <= set(TERMS)
    assert not set(TERMS) - linked, f"on no page: {sorted(set(TERMS) - linked)}"


def test_the_first_page_leads_to_the_glossary():
    assert "](glossary.md)" in text(ROOT / "book" / "index.ipynb")
