"""Checkers of the exercises, a module a chapter: ``check_2_2(your_function)`` says what is wrong with it.

A chapter imports its own: ``from regbook.practice import ch02 as practice``.
"""
