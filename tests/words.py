"""What no person would write, in the words that the figures of the book say."""

from __future__ import annotations

import re

# The 1 of "1 steps" counts; the one of "at level 1 cells are" or of "order 1" does not.
ADJECTIVES = "coarse|fine|accepted|more|inner|outer|small|large"
ONE_OF_MANY = re.compile(
    rf"(?:^|(?P<before>[\w=≈]+)? |[(:;,] )1 (?:(?:{ADJECTIVES}) )?(?P<noun>[a-z]{{2,}}s)\b"
)
NAMES = set("level chapter order figure image template part panel question = ≈ to".split())
NO_NOUNS = set("is was has gives does makes stands costs plus minus less times as its".split())
PROGRAMMERS = re.compile(r"\d(?:\.\d+)?e[-+−]?\d+\b|\b(?:nan|inf)\b|(?<![\w-])-\d")


def strange(text: str) -> list[str]:
    """The places of a text that no person would write: "1 steps", "2.3e+03", "nan", a hyphen as a minus.

    Example:
        >>> strange("After 1 steps 2.32e+03 and -4 are left; image 1 has 1 step."), strange("10³, −4, 1 step")
        (['1 steps', '2.32e+03', '-4'], [])
    """
    many = [
        found
        for found in ONE_OF_MANY.finditer(text)
        if found["noun"] not in NO_NOUNS and (found["before"] or "").lower() not in NAMES
    ]
    return [f"1 {found['noun']}" for found in many] + PROGRAMMERS.findall(text)
