"""The list of sources, labelled as the text cites them: "Golub and Pereyra, 1973", not "[GP73]"."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from pybtex.database import Entry
from pybtex.style.formatting.unsrt import Style as Plain
from pybtex.style.labels import BaseLabelStyle

NAME = "names_and_year"  # of the style, for bibtex_default_style in _config.yml


def authors(entry: Entry) -> str:
    """Surnames as in the text: one, two with an "and" between them, or the first of more."""
    persons = entry.persons["author"]
    names = [" ".join(map(str, person.rich_prelast_names + person.rich_last_names)) for person in persons]
    return f"{names[0]} et al." if len(names) > 2 else " and ".join(names)


class NamesAndYear(BaseLabelStyle):
    """Labels of authors and year; what would be the same twice is an error, for a label is an address."""

    def format_labels(self, sorted_entries: list[Entry]) -> Iterator[str]:
        labels = [f"{authors(entry)}, {entry.fields['year']}" for entry in sorted_entries]
        twice = [label for label, count in Counter(labels).items() if count > 1]
        if twice:
            raise ValueError(f"expected sources that authors and year tell apart, got {', '.join(twice)}")
        yield from labels


class Style(Plain):
    """As pybtex's plain style, in the order of the labels."""

    default_label_style = NamesAndYear
    default_sorting_style = "author_year_title"
