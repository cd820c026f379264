"""Docstrings are plain text: what reStructuredText would make of it is not what they say."""

from __future__ import annotations

import inspect

import pytest
from docutils import nodes
from docutils.core import publish_doctree

from tools.api_pages import modules, public, restructured


def texts() -> dict[str, str]:
    """The sentences of all Args and Returns, each alone as napoleon gives it on, by where they stand."""
    found = {}
    for module in modules():
        for name in public(module):
            thing = getattr(module, name)
            for member in (thing, *(vars(thing).values() if inspect.isclass(thing) else ())):
                lines = restructured(inspect.getdoc(member) or "")
                parts = [line.partition(": ")[2] or line.strip() for line in lines if line[:4].isspace()]
                found[f"{module.__name__}.{name}.{getattr(member, '__name__', '')}"] = parts
    return found


def test_a_meaning_of_one_letter_begins_no_list():
    """``at (p,): w.`` says what it is, and does not count w, x, y."""
    wrong = [
        f"{where}: {part}"
        for where, parts in texts().items()
        for part in parts
        if len(part) < 5 and publish_doctree(part).next_node(nodes.enumerated_list)
    ]
    assert not wrong


@pytest.mark.parametrize("text", ["Args:\n    at (p,): w.", "The vector z.\n\nReturns:\n    w."])
def test_a_letter_at_the_end_stays_a_letter(text):
    plain = publish_doctree("\n".join(restructured(text)), settings_overrides={"report_level": 5})
    assert not plain.next_node(nodes.enumerated_list)
    assert plain.astext().rstrip().endswith("w.")


def test_what_stands_as_it_is_has_no_signs_for_code():
    lines = restructured("One call.\n\n    first   as ``b`` has it\n    second  the same")
    assert "    " + "    first   as b has it" in lines
