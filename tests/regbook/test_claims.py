"""The claims of the paper: every one has its chapter and its test, and a verdict that could be another."""

import copy
import re

import pytest
from markdown_it import MarkdownIt

from regbook import claims, records
from regbook.experiments import ch12


@pytest.fixture
def record():
    costs = {"gradient": 2.5, "Hessian": 6.0, "Jacobian": 11.0}
    table = {6: costs, 50: {"gradient": 2.7, "Hessian": 24.0, "Jacobian": 17.0}}
    return {**records.load("reproduction.json"), "table_1": table, "pairs": ch12.fifty_pairs()}


def test_each_claim_leads_to_a_page_and_to_a_test(root, record):
    for row in claims.judged(record, record):
        assert (root / "book" / f"{row['chapter']}.ipynb").is_file(), row["chapter"]
        file, test = row["test"].split("::")
        assert f"\ndef {test}(" in (root / "tests" / file).read_text(encoding="utf-8"), row["test"]
        assert row["theirs"] and row["why"].endswith(".") and row["says"].endswith(".")


def test_every_part_that_makes_claims_has_some():
    places = " ".join(claim.place for claim in claims.CLAIMS)
    for part in ("abstract", "2.2", "3.3", "4.3", "5", "Table 1", *(f"Fig {k}" for k in (2, 3, 4, 7, 8))):
        assert re.search(rf"\b{re.escape(part)}\b", places), part


def verdict(results, says):
    (row,) = (row for row in claims.judged(results, results) if row["says"].startswith(says))
    return row["verdict"]


def test_the_verdicts_on_the_papers_images(record):
    """Those that the reference runs of the paper's program decide."""
    assert verdict(record, "A gradient costs") == claims.HOLDS
    assert verdict(record, "The prediction helps only") == claims.DIFFERS
    assert verdict(record, "Differentiating through all") == claims.HOLDS
    assert verdict(record, "The problem of super-resolution is well") == claims.DIFFERS
    assert verdict(record, "More than 70 %") == claims.BOUND
    assert verdict(record, "Differentiating all iterations is the best") == claims.BOUND
    assert verdict(record, "Registration at the finest") == claims.HOLDS
    assert verdict(record, "In some problems") == claims.BOUND
    assert verdict(record, "A projection of few iterations") == claims.HOLDS


def changed(record, path, value):
    found = copy.deepcopy(record)
    place = found
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    return found


@pytest.mark.parametrize(
    ("says", "path", "value", "then"),
    [
        ("A gradient costs", ("table_1", 50, "gradient"), 50.0, claims.DIFFERS),
        ("From 6 to 50", ("table_1", 50, "Hessian"), 6.0, claims.DIFFERS),
        ("Registration at the finest", ("figure_2", "predictor-corrector", "ratio"), 0.9, claims.DIFFERS),
        (
            "The prediction helps only",
            ("figure_3", "32", "Gauss-Newton", "new", "gradient better"),
            2,
            claims.HOLDS,
        ),
        ("In some problems", ("pairs", "only predicted"), 0, claims.OPEN),
        (
            "Differentiating all iterations is the best",
            ("runs", "last 100 %"),
            [{"error": 9.0}],
            claims.HOLDS,
        ),
        (
            "Differentiating all iterations is the best",
            ("runs", "last 100 %"),
            [{"error": 30.0}],
            claims.DIFFERS,
        ),
        ("Exact Hessians bring", ("corrector_iterations", "exact"), 500, claims.DIFFERS),
        ("The problem of super", ("figure_4", "rank"), 400, claims.HOLDS),
        ("Differentiating through all", ("runs", "none", 0, "error"), 11.0, claims.DIFFERS),
        ("A Jacobian that does not", ("figure_7", "0", "jacobian_error"), 0.1, claims.DIFFERS),
        ("Differentiating the last 70", ("figure_7", "70", "jacobian_error"), 0.1, claims.DIFFERS),
        ("More than 70 %", ("runs", "last 70 %", 0, "error"), 12.0, claims.DIFFERS),
    ],
)
def test_other_results_give_another_verdict(record, says, path, value, then):
    assert verdict(record, says) != then
    assert verdict(changed(record, path, value), says) == then


def test_the_table_has_a_row_for_each_claim_and_links_that_resolve(record):
    text = claims.table(claims.judged(record, record))
    assert text.count("<tbody>") == len(claims.CLAIMS) and text.count("<td>") == 4 * len(claims.CLAIMS)
    assert "\n\n[chapter 6](06_exact_hessians.ipynb)\n\n" in text  # between empty lines: read as Markdown


def test_the_table_needs_no_tables_of_markdown(record):
    """The pages read what a cell puts out by CommonMark, which has none: a table of pipes stays pipes."""
    parsed = MarkdownIt("commonmark").render(claims.table(claims.judged(record, record)))
    assert "|" not in parsed and parsed.count("<a href=") == len(claims.CLAIMS)


def test_what_was_not_recorded_is_not_shown_as_if_it_were(record):
    """Costs are measured on the drawn hands only: the column of the paper's images does not repeat them."""
    for row in claims.judged(record, record):
        assert (row["theirs"] == claims.UNRECORDED) == ("Table 1" in row["place"])
