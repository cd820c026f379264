"""The list of sources has the labels of the text."""

import pytest
from pybtex.database import parse_file, parse_string

from tools.references import Style, authors
from tools.toc import ROOT

ENTRY = "@misc{{{key}, author = {{{author}}}, title = {{T}}, year = {{{year}}}}}\n"


def labels(*entries: tuple[str, str]) -> list[str]:
    source = "".join(
        ENTRY.format(key=f"k{number}", author=author, year=year)
        for number, (author, year) in enumerate(entries)
    )
    bibliography = parse_string(source, "bibtex")
    return [entry.label for entry in Style().format_entries(bibliography.entries.values())]


@pytest.mark.parametrize(
    ("author", "words"),
    [
        ("Unser, Michael", "Unser, 1999"),
        ("Golub, Gene and Pereyra, Victor", "Golub and Pereyra, 1999"),
        ("Gratton, Serge and Toint, Philippe and Tshimanga Ilunga, Jean", "Gratton et al., 1999"),
        ("van der Vorst, Henk", "van der Vorst, 1999"),
        (r"Bolte, J{\'e}r{\^o}me and Llinares-L{\'o}pez, Felipe", "Bolte and Llinares-López, 1999"),
    ],
)
def test_a_label_is_authors_and_year(author, words):
    assert labels((author, "1999")) == [words]


def test_labels_that_are_the_same_are_an_error():
    with pytest.raises(ValueError, match="tell apart, got Unser, 1999"):
        labels(("Unser, Michael", "1999"), ("Unser, Max", "1999"))


def test_the_books_sources_have_labels_of_their_own():
    entries = parse_file(str(ROOT / "book" / "references.bib")).entries
    found = [entry.label for entry in Style().format_entries(entries.values())]
    assert len(set(found)) == len(entries)
    assert authors(entries["gratton2014"]) == "Gratton et al."
