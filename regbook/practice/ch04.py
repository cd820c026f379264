"""Checkers for the exercises of chapter 4."""

import numpy as np

from regbook.experiments import ch04 as experiments
from regkit import Registration, data

from .report import close, exercise, wrong


@exercise
def check_4_2(count_minima):
    """``count_minima(values)``: local minima inside a list; a flat valley counts once."""
    wave = list(np.cos(np.linspace(0.01, 6 * np.pi, 400)))
    cases = [
        ([3, 1, 2, 0, 4], 2, "[3, 1, 2, 0, 4] has minima at 1 and 0"),
        (wave, 3, "three turns of a cosine have three valleys"),
        ([1, 3, 2], 0, "the ends of the list do not count: nobody knows what lies beyond"),
        ([0, 1, 2, 3], 0, "a list that only rises has none inside"),
        ([5, 2, 2, 2, 5], 1, "a flat valley is one minimum: here the values 2, 2, 2"),
        ([5, 3, 3, 1, 4], 1, "a step on the way down is no minimum: here the values 3, 3"),
    ]
    maxima = [-1, 2, -1, 0.5, -3]
    if count_minima(maxima) == 2 and count_minima([-v for v in maxima]) == 1:
        wrong("you count maxima. A minimum lies below both of its neighbours.")
    for values, right, reason in cases:
        given = count_minima(values)
        if given != right:
            wrong(f"expected {right}, got {given}: {reason}.")
    return "Right."


@exercise
def check_4_3(scales_between):
    """``scales_between(coarsest, finest, number)``: equal factors, from coarse to fine."""
    coarsest, finest, number = 1e3, 1e-2, 6
    given = np.asarray(scales_between(coarsest, finest, number), dtype=float)
    right = 10 ** np.linspace(3, -2, 6)
    if given.shape != right.shape:
        wrong(f"expected {number} scales, got {given.shape}.")
    if close(given, right[::-1]):
        wrong("from fine to coarse. The method starts at the coarsest scale.")
    if close(given, np.linspace(coarsest, finest, number)):
        wrong("these differ by equal amounts. Sizes go with θ^(1/4): make the factors equal.")
    if close(given, np.linspace(coarsest**0.25, finest**0.25, number) ** 4):
        wrong("here the sizes differ by equal amounts. Asked for are equal factors.")
    if not (close(given[0], coarsest) and close(given[-1], finest)):
        wrong(f"expected {coarsest:g} first and {finest:g} as the last, got {given[0]:g} and {given[-1]:g}.")
    if not close(np.log(given), np.log(right)):
        wrong("the factors from one scale to the next are not all the same.")
    return "Right: evenly spaced in log θ."


@exercise
def check_4_4(coarsest, scales):
    """At most 30 evaluations, through so many scales from ``coarsest`` on, to a map right to 0.1 cells."""
    if not coarsest >= 1e-3 or scales != int(scales) or scales < 1:
        wrong(f"expected a coarsest θ from 0.001 on and a number of scales, got {coarsest} and {scales}.")
    pair = data.hands_phantom(32)
    problem = Registration(pair.template, pair.reference, pair.grid)
    w, work = experiments.schedule(problem, float(coarsest), int(scales))
    error = experiments.map_error(pair, w)
    if error > 0.1 and scales == 1:
        wrong(f"one scale is the finest alone; its map is wrong by {error:.1f} cells.")
    if error > 0.1:
        wrong(f"the map is wrong by {error:.1f} cells: the first scale is too fine, or far from the next.")
    if work > 30:
        wrong(f"the map is right, after {work} evaluations; 30 are allowed. Do you need all these scales?")
    return f"Right: {work} evaluations, and a map that is right to {error:.3f} cells."
