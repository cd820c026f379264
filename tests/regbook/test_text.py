"""Read-outs are written as people write."""

import doctest

import pytest

from regbook import text
from regbook.text import counted, number_text, power_text, signed


def test_the_examples_are_right():
    assert doctest.testmod(text).failed == 0


@pytest.mark.parametrize(
    ("value", "text"),
    [(100.0, "100"), (1e-3, "0.001"), (37.52, "37.5"), (1e4, "10000"), (1e-4, "10⁻⁴"), (2.5e6, "2.5·10⁶"),
     (0, "0"), (-0.5, "−0.5"), (99999, "10⁵"), (-1e-7, "−10⁻⁷"), (3, "3"), (12345.0, "12300")],
)  # fmt: skip
def test_numbers_are_written_as_people_write_them(value, text):
    assert number_text(value) == text


@pytest.mark.parametrize("exponent", [-16, -1, 0, 1, 12])
def test_powers_are_those_of_numbers(exponent):
    assert power_text(exponent).translate(str.maketrans("⁻⁰¹²³⁴⁵⁶⁷⁸⁹", "-0123456789")) == f"10{exponent}"


@pytest.mark.parametrize(
    ("text", "shown"),
    [("-1.5", "−1.5"), ("-0.00", "0.00"), ("-0", "0"), ("-0.05", "−0.05"), ("Gauss-Newton", "Gauss-Newton"),
     ("-0.0 and -10", "0.0 and −10"), ("1e-05", "1e−05")],
)  # fmt: skip
def test_minus_signs_stand_before_numbers_only(text, shown):
    assert signed(text) == shown


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((1, "image"), "1 image"),
        ((2, "image"), "2 images"),
        ((0, "image"), "0 images"),
        ((12000, "step"), "12,000 steps"),
        ((1, "minimum", "minima"), "1 minimum"),
        ((3, "minimum", "minima"), "3 minima"),
    ],
)
def test_one_and_many(arguments, words):
    assert counted(*arguments) == words
