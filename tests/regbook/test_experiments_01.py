"""The experiments of chapter 1, against hand calculations, exact fractions and counts by hand."""

from fractions import Fraction

import numpy as np
import pytest

from regbook.experiments import ch01


@pytest.mark.parametrize(("a", "b", "x", "R"), [(0.25, 0.125, 2.0, 1.0), (0.5, 0.25, 1.5, 0.25)])
def test_the_graph_of_a_pixel_is_right_in_both_directions(a, b, x, R):
    """In exact fractions, by hand."""
    shown = ch01.numbers_of_a_pixel("a pixel", a, b, x, R)
    exact_a, exact_b, exact_x, exact_R = map(Fraction, (a, b, x, R))
    y = exact_a * exact_x + exact_b
    T = y * y * (3 - 2 * y)
    slope_y = (T - exact_R) * 6 * y * (1 - y)
    values = [exact_a * exact_x, y, T, T - exact_R, (T - exact_R) ** 2, (T - exact_R) ** 2 / 2]
    assert np.allclose(shown["values"], [float(v) for v in values], rtol=1e-13)
    assert shown["tangent_a"][-1] == pytest.approx(float(slope_y * exact_x), rel=1e-13)
    assert shown["tangent_b"][-1] == pytest.approx(float(slope_y), rel=1e-13)
    assert shown["bar"][0] * shown["local"][0] == pytest.approx(float(slope_y * exact_x), rel=1e-13)
    assert shown["bar"][1] == pytest.approx(float(slope_y), rel=1e-13) and shown["bar"][-1] == 1


def test_errors_of_differences_are_those_of_the_formula():
    """Of x² at 3: the forward difference is 6 + h, the central one exact."""

    def quotient(h, kind, central):
        h = kind(h)
        return 6 * h / h if central else ((3 + h) ** 2 - 9) / h

    found = ch01.difference_errors([0.5, 0.25, 0.125], [np.float64], quotient, lambda s, kind: abs(s / 6 - 1))
    assert np.allclose(found[np.float64, False], [0.5 / 6, 0.25 / 6, 0.125 / 6])
    assert (found[np.float64, True] == 1e-17).all()
