"""What all checkers of the exercises share."""

import importlib
import inspect
from pathlib import Path

import numpy as np
import pytest
import torch

from regbook import practice
from regbook.practice.report import Wrong, close, exercise, sentence, wrong

PRACTICE = Path(practice.__file__).parent


@pytest.mark.parametrize(
    ("given", "right", "verdict"),
    [
        (1.0, 1.0 + 1e-10, True),
        (1.0, 1.0 + 1e-6, False),
        ([1.0, 2.0], np.array([1.0, 2.0]), True),
        (torch.tensor([1, 2]), [1.0, 2.0], True),
        ([1e6, 1.0], [1e6, 1.001], True),  # measured by the largest
        ([1.0, 2.0], [[1.0, 2.0]], False),  # another shape
        (float("nan"), 1.0, False),
    ],
)
def test_close(given, right, verdict):
    assert close(given, right) is verdict


def test_the_tolerance_is_that_of_the_caller():
    assert close(1.0, 1.01, tolerance=0.02) and not close(1.0, 1.01)


def test_wrong_speaks_to_the_reader():
    with pytest.raises(Wrong, match="the sign is the other one"):
        wrong("the sign is the other one")


CHECKERS = [
    check
    for number in range(1, 100)
    if (PRACTICE / f"ch{number:02d}.py").is_file()
    for name, check in vars(importlib.import_module(f"regbook.practice.ch{number:02d}")).items()
    if name.startswith("check_")
]
VALUES = ("check_1_1", "check_4_4")  # these ask for numbers, all others for functions


@pytest.mark.parametrize("nothing", [None, ...])
@pytest.mark.parametrize("check", CHECKERS, ids=lambda check: check.__name__)
def test_a_checker_says_that_nothing_is_done_yet(check, nothing):
    number = check.__name__.removeprefix("check_").replace("_", ".")
    answer = nothing if check.__name__ in VALUES else lambda *_, **__: nothing
    given = {name: answer for name in inspect.signature(check).parameters}
    assert check(**given) == check(*given.values()) == f"{number}: not done yet."
    assert check(*([nothing] * len(given))) == f"{number}: not done yet."


def test_a_function_that_began_may_answer_none():
    @exercise
    def check_7_7(answer):
        return f"{answer(1)}, {answer(2)}"

    assert check_7_7(lambda value: value if value == 1 else None) == "1, None"
    assert check_7_7(lambda value: None if value == 1 else value) == "7.7: not done yet."


def test_jupyter_shows_the_words_of_a_checker_alone():
    assert repr(CHECKERS[0](..., ..., ..., ...)) == "1.1: not done yet."
    with pytest.raises(Wrong) as caught:
        wrong("the sign is the other one")
    assert caught.value._render_traceback_() == ["The sign is the other one"]
    for name in (
        "x is used twice",
        "f.value has changed",
        "w₀ is missing",
        "∂J/∂a is missing",
        "ḃ is missing",
    ):
        assert sentence(name) == name


def test_jupyter_shows_of_an_error_in_an_answer_where_it_is_and_no_checker():
    """Two functions deep, and in what they call, as a cell of Jupyter would raise it."""

    @exercise
    def check_7_7(answer):
        return f"Right: {answer(1)}"

    names: dict = {}
    code = "def helper(x):\n    return [][x]\n\ndef answer(x):\n    return helper(x)\n"
    exec(compile(code, "<a cell>", "exec"), names)
    with pytest.raises(IndexError) as caught:
        check_7_7(names["answer"])
    shown = caught.value._render_traceback_()
    assert shown[0] == "Your function raises IndexError in line 2: list index out of range"
    with pytest.raises(TypeError) as caught:
        check_7_7(lambda: 1)
    assert "takes 0 positional arguments but 1 was given" in caught.value._render_traceback_()[0]

    @exercise
    def check_7_8(answer):
        return answer(1) + 1

    with pytest.raises(TypeError) as caught:  # the checker's own
        check_7_8(str)
    assert not hasattr(caught.value, "_render_traceback_")
