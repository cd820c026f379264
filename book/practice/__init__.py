"""Checkers for the code exercises: ``practice.check_2_2(your_function)`` says what is wrong, or that it is right."""

from .ch02 import check_2_2, check_2_3, check_2_4, check_2_5

__all__ = ["check_2_2", "check_2_3", "check_2_4", "check_2_5"]
