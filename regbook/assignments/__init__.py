"""Checkers of the two graded assignments: ``check_g1_1(your_function, seed=5)``.

They hold no answers. They test what is true of every right answer, a Taylor slope, an adjoint, agreement with
SciPy, on data that are drawn from a seed: students see some, the grader chooses another.
"""
