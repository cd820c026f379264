"""The checkers of chapter 7 accept right answers and name the errors that people make."""

import pytest
import torch

from regbook.practice import ch07 as practice


def camera(cells, factor, shift):
    first = factor * torch.arange(cells // factor)[:, None] + shift
    cell = torch.arange(cells)
    return ((cell >= first) & (cell < first + factor)).double() / factor


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        (lambda n, k, s: camera(n, k, s).T, "transposed"),
        (lambda n, k, s: camera(n, k, s)[:-1], "expected the shape"),
        (lambda n, k, s: k * camera(n, k, s), "mean of its cells"),
        (lambda n, k, s: camera(n, k, -s), "wrong way"),
        (lambda n, k, s: camera(n, k, k * s), "taken for coarse pixels"),
        (lambda n, k, s: camera(n, k, 0).roll(s, 1), "comes in at the other"),
        (lambda n, k, s: camera(n, k, s + 1), "expected\n"),
    ],
)
def test_7_2_names_the_error(answer, says):
    with pytest.raises(AssertionError, match=says):
        practice.check_7_2(answer)


def test_7_2_accepts_the_solution():
    assert practice.check_7_2(camera) == "Right."


def product(A, f):
    value, pull = torch.func.vjp(A, f)
    return pull(value)[0]


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        (lambda A, f: torch.func.vjp(A, f)[1](A(f)), "tuple"),
        (lambda A, f: A(f), "shape of A f"),
        (lambda A, f: torch.func.grad(lambda f: A(f).square().sum())(f), "twice"),
        (lambda A, f: torch.func.grad(lambda f: A(f).sum())(f), "ones"),
        (lambda A, f: -product(A, f), "sign"),
        (lambda A, f: 3 * product(A, f), "expected"),
        (lambda A, f: torch.func.vjp(A, f)[1](A(f))[0], "called 2 times"),
    ],
)
def test_7_3_names_the_error(answer, says):
    with pytest.raises(AssertionError, match=says):
        practice.check_7_3(answer)


def test_7_3_accepts_the_solution():
    assert practice.check_7_3(product).startswith("Right")
    assert practice.check_7_3(lambda A, f: torch.func.grad(lambda f: A(f).square().sum() / 2)(f)).startswith(
        "R"
    )


def discrepancy(strengths, norms, noise, m):
    return strengths[norms <= noise * m**0.5].max()


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        (lambda s, r, e, m: s[r <= e * m**0.5].min(), "smallest"),
        (lambda s, r, e, m: s[(r - e * m**0.5).abs().argmin()], "nearest"),
        (lambda s, r, e, m: s[r <= e * m].max(), "not noise · m"),
        (lambda s, r, e, m: int(s[r <= e * m**0.5].argmax()), "position"),
        (lambda s, r, e, m: s[r <= e * 20].max(), "wrong for 100"),
        (
            lambda s, r, e, m: s[r < e * m**0.5].max() if (r < e * m**0.5).any() else 0.0,
            "equal to the noise is allowed",
        ),
        (lambda s, r, e, m: 7.0, "expected"),
    ],
)
def test_7_4_names_the_error(answer, says):
    with pytest.raises(AssertionError, match=says):
        practice.check_7_4(answer)


def test_7_4_accepts_the_solution():
    assert practice.check_7_4(discrepancy) == "Right."
