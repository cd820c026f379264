"""The paper for the Journal of Open Source Education: short, with sources, and what it names is there."""

from __future__ import annotations

import re

import pytest
import yaml
from pybtex.database import parse_file

import make
from tools.chapters import appendices, chapters
from tools.toc import ROOT

FOLDER = ROOT / "paper"
_, HEAD, BODY = (FOLDER / "paper.md").read_text(encoding="utf-8").split("---\n", 2)
TABLE = re.findall(
    r"^\| (?!item|-)(.+?) \| (.+) \|$", (FOLDER / "README.md").read_text(encoding="utf-8"), re.M
)
SECTIONS = ["Summary", "Statement of need", "Learning objectives and content", "Instructional design"]
SECTIONS += ["How it can be adopted", "Story", "Acknowledgements", "References"]
WORDS = {12: "twelve", 3: "three"}


def test_it_is_shorter_than_a_thousand_words():
    assert 500 < len(BODY.split()) < 1000


def test_it_has_the_parts_that_reviewers_look_for():
    assert re.findall(r"^# (.+)$", BODY, re.M) == SECTIONS
    head = yaml.safe_load(HEAD)
    assert {author["affiliation"] for author in head["authors"]} == {a["index"] for a in head["affiliations"]}
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert head["title"] == citation["title"] and (FOLDER / head["bibliography"]).is_file()
    assert [author["name"] for author in head["authors"]] == [
        author["name"] for author in citation["authors"]
    ]


def test_its_sources_are_those_of_the_book_with_their_dois():
    cited = set(re.findall(r"@([a-z]+\d{4})\b", BODY))
    own, book = parse_file(FOLDER / "paper.bib").entries, parse_file(ROOT / "book/references.bib").entries
    assert set(own) == cited
    assert all(own[key] == book[key] and own[key].fields["doi"] for key in cited)


def test_what_it_counts_is_true():
    assert f"{WORDS[len(chapters())]} chapters and {WORDS[len(appendices())]} appendices" in BODY


def test_it_claims_no_use_in_a_class():
    """This sentence goes when a class has used the book, with what replaces it."""
    assert "has not been used in a class yet" in BODY and "no claim about learning outcomes" in BODY


def test_commands_that_it_names_exist():
    named = set(re.findall(r"`make\s+(\w+)`", BODY))
    assert len(named) >= 6 and named <= set(make.COMMANDS)


@pytest.mark.parametrize(("item", "where"), TABLE)
def test_what_a_reviewer_looks_for_is_there(item: str, where: str):
    for path in re.findall(r"`([\w./*-]+)`", where):
        assert list(ROOT.glob(path)), f"{item}: {path}"
    for path, heading in re.findall(r'`([\w./-]+\.md)`,? "([^"]+)"', where):
        text = (ROOT / path).read_text(encoding="utf-8")
        assert re.search(rf"^(#+ |- \*\*){re.escape(heading)}", text, re.M), f"{item}: {path}, {heading}"


def test_the_whole_checklist_is_answered():
    items = " ".join(item for item, _ in TABLE).lower()
    for word in (
        "repository license version authorship need installation usage community objectives scope pedagogy "
        "quality design affiliations description adopted story references"
    ).split():
        assert word in items
