"""Checkers of the exercises: ``practice.check_2_2(your_function)`` says what is wrong, if anything."""

# ruff: noqa: F401

from .ch01 import check_1_1, check_1_2, check_1_3, check_1_4, check_1_5, check_1_6, check_1_7
from .ch02 import check_2_2, check_2_3, check_2_4, check_2_5
from .ch03 import check_3_2, check_3_3, check_3_4, check_3_5, check_3_6
from .ch04 import check_4_2, check_4_3
from .ch05 import check_5_2, check_5_3
from .ch06 import check_6_2, check_6_3
from .ch07 import check_7_2, check_7_3, check_7_4
from .ch08 import check_8_2, check_8_3, check_8_4
from .ch09 import check_9_2, check_9_3, check_9_4
from .ch10 import check_10_2, check_10_3, check_10_4
