"""The questions with choices: every choice is answered, and its place gives nothing away."""

import re
from collections import Counter
from itertools import groupby
from pathlib import Path

import nbformat
import pytest

from tools.chapters import Question, chapters, lessons, questions

LESSONS = lessons()
each_lesson = pytest.mark.parametrize("path", LESSONS, ids=lambda path: path.stem)
OFTEN = 2  # times in a row that the right choice may stand in the same place


@each_lesson
def test_one_choice_is_right_and_every_choice_has_its_feedback(path: Path):
    asked = questions(path)
    assert len(asked) >= 3 or path not in chapters(), f"expected three questions or more, got {len(asked)}"
    for question in asked:
        assert len(question.choices) >= 2, f"expected several choices, got {question.choices}"
        for choice, words in zip(question.choices, question.feedback, strict=True):
            assert re.match(r"(Yes|Not quite)\b", words), (
                f"expected Yes or Not quite for {choice!r}, got {words!r}"
            )
            assert not words.startswith("Not quite") or len(words.split()) > 4, f"no reason why: {choice!r}"
        assert len(question.right) == 1, f"expected one right choice among {question.choices}"


@each_lesson
def test_the_right_choice_changes_its_place(path: Path):
    places = [question.right[0] for question in questions(path)]
    assert max((len(list(run)) for _, run in groupby(places)), default=0) <= OFTEN, places


def test_the_right_choice_stands_about_equally_often_in_each_place():
    """Among all questions with as many choices, no place comes up much more often than another."""
    asked: list[Question] = [question for path in LESSONS for question in questions(path)]
    for many in {len(question.choices) for question in asked}:
        places = Counter(question.right[0] for question in asked if len(question.choices) == many)
        counts = [places[place] for place in range(many)]
        assert max(counts) - min(counts) <= 2, f"of {many} choices the right one stands {counts} times"


WAITING = re.compile(r"<details\b.*?</details>", re.DOTALL)
HEADING_OR_CLAIM = re.compile(r"^#{2,} +(?P<heading>.+)$|<!-- claim: (?P<claim>[a-z0-9-]+) -->", re.MULTILINE)


@each_lesson
def test_a_claim_below_a_guess_waits_for_it(path: Path):
    """It stands in a fold, for the guess or the reader to open, from the figure to the next section."""
    asking, told = False, []
    for cell in nbformat.read(path, as_version=4).cells:
        if cell.cell_type == "code":
            asking = asking or "guess=" in cell.source
            continue
        for found in HEADING_OR_CLAIM.finditer(WAITING.sub("", cell.source)):
            if found["heading"]:
                asking = asking and found["heading"].startswith("Predict")
            elif asking:
                told.append(found["claim"])
    assert not told, f"these claims answer before the guess: {told}"
