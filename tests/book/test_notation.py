"""The notation: what the table says of the chapters holds, and letters that clashed keep to one meaning."""

import importlib
import re
from pathlib import Path

import pytest

import regkit
from tools.chapters import cells, chapters, home, lessons
from tools.toc import ROOT

PAGE = (ROOT / "book" / "notation.md").read_text(encoding="utf-8")
GLOSSARY = (ROOT / "book" / "glossary.md").read_text(encoding="utf-8")
ROW = re.compile(r"^\| (\$.+?) \| (.+?) \| ([\d, –]+) \| (.*?) ?\|$", re.MULTILINE)
ROWS = ROW.findall(PAGE)
CHAPTERS = {int(path.name[:2]): path for path in chapters()}
each_lesson = pytest.mark.parametrize("path", lessons(), ids=lambda path: path.stem)

# Letters that once had two meanings in the book, and the chapters that may use them now (an appendix may do
# what its chapter may).
RESERVED = {r"\mu": {2}, r"\omega": {2}, "D": {8, 9}, "x_c": {3}}


GREEK = {"θ": r"\theta", "μ": r"\mu", "ω": r"\omega", "λ": r"\lambda", "δ": r"\delta", "Ω": r"\Omega"}


def formulas(path: Path) -> str:
    """All formulas of a chapter, without the words in them; and the Greek letters in its prose."""
    found = []
    for cell in cells(path, "markdown"):
        text = re.sub(r"<!--.*?-->|`[^`]*`", "", cell.source, flags=re.DOTALL)
        found += [a or b for a, b in re.findall(r"\$\$(.+?)\$\$|\$([^$]+)\$", text, flags=re.DOTALL)]
        found += [name for letter, name in GREEK.items() if letter in text]
    return re.sub(r"\\(?:text|operatorname|begin|end)\*?\{[^}]*\}", " ", "\n".join(found))


def symbols(cell: str) -> list[re.Pattern]:
    """The symbols of a table's cell, as patterns that find them in formulas, however they are spaced."""
    found = []
    for symbol in re.findall(r"\$(.+?)\$", cell):
        pieces = re.findall(r"\\[A-Za-z]+|\S", symbol.split("(")[0] or symbol)
        pattern = r"[\s{}\\,;!]*".join(re.escape(piece) for piece in pieces)
        found.append(re.compile(rf"(?<![A-Za-z\\]){pattern}(?![A-Za-z])"))
    return found


def numbers(text: str) -> list[int]:
    """ "1, 3–5" → 1, 3, 4, 5"""
    found = []
    for part in text.split(","):
        first, _, last = part.strip().partition("–")
        found += range(int(first), int(last or first) + 1)
    return found


def test_the_table_is_whole():
    assert len(ROWS) == PAGE.count("\n| $") > 40


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row[0].replace("$", ""))
def test_a_symbol_is_used_in_the_chapters_that_the_table_names(row):
    for number in numbers(row[2]):
        used = formulas(CHAPTERS[number])
        assert any(symbol.search(used) for symbol in symbols(row[0])), f"{row[0]} in chapter {number}"


@pytest.mark.parametrize("symbol", RESERVED)
@each_lesson
def test_a_letter_has_one_meaning(symbol, path):
    if home(path) not in RESERVED[symbol]:
        found = re.search(rf"(?<![A-Za-z\\_]){re.escape(symbol)}(?![A-Za-z])", formulas(path))
        assert not found, f"{symbol} in {path.name}"


@each_lesson
def test_the_loss_and_the_jacobian_have_letters_of_their_own(path):
    text = "\n".join(cell.source for cell in cells(path, "markdown"))
    assert not re.search(r"(?<![A-Za-z_])J(?:\^\\top|ᵀ|_\*)", text), "J is the loss; write J_r for a Jacobian"


@pytest.mark.parametrize("page", [PAGE, GLOSSARY], ids=["notation", "glossary"])
def test_names_of_regkit_are_there(page):
    names = [name for row in ROWS for name in re.findall(r"`([\w.]+)`", row[3])] if page is PAGE else []
    names += [name.removeprefix("regkit.") for name in re.findall(r"`(regkit\.[\w.]+)`", page)]
    assert names
    for name in names:
        first, *more = name.split(".")
        place = getattr(regkit, first, None) or importlib.import_module(f"regkit.{first}")
        for part in more:
            fields = getattr(place, "__dataclass_fields__", {})
            place = fields[part] if part in fields else getattr(place, part)


def test_the_first_page_and_each_card_lead_to_it():
    for path in (ROOT / "book" / "index.ipynb", *lessons()):
        text = "\n".join(
            cell.source for cell in cells(path, "markdown")[: None if path.stem == "index" else 1]
        )
        assert "](notation.md)" in text and "](glossary.md)" in text, path.name
