"""The checkers of chapter 6 accept right answers and name the errors that people make."""

import pytest
import torch

from regbook.practice import ch06 as practice


def left(H, B):
    return (1 - torch.linalg.eigvals(torch.linalg.solve(B, H)).real).abs().max()


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        (lambda H, B: left(B, H), "exchanged"),
        (lambda H, B: (1 - torch.linalg.eigvalsh(H) / torch.linalg.eigvalsh(B)).abs().max(), "quotients"),
        (
            lambda H, B: torch.linalg.norm(torch.eye(5).double() - torch.linalg.solve(B, H), 2),
            "singular value",
        ),
        (lambda H, B: (1 - torch.linalg.eigvals(torch.linalg.solve(B, H)).real).max(), "absolute value"),
        (lambda H, B: torch.linalg.eigvals(torch.linalg.solve(B, H)).abs().max(), "largest \\|λ\\|"),
        (lambda H, B: 0.0, "expected"),
    ],
)
def test_6_2_names_the_error(answer, says):
    with pytest.raises(AssertionError, match=says):
        practice.check_6_2(answer)


def test_6_2_accepts_the_solution():
    assert practice.check_6_2(left).startswith("Right")


def gain(loss, stay, predicted, old, new):
    return (loss(stay, new) - loss(predicted, new)) / loss(stay, new)


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        (lambda f, s, p, a, b: (f(s, a) - f(p, b)) / f(s, a), "first switch"),
        (lambda f, s, p, a, b: (f(s, a) - f(p, a)) / f(s, a), "both are judged at the old"),
        (lambda f, s, p, a, b: -gain(f, s, p, a, b), "sign"),
        (lambda f, s, p, a, b: f(s, b) - f(p, b), "relative"),
        (lambda f, s, p, a, b: (f(s, b) - f(p, b)) / f(p, b), "that of staying"),
        (lambda f, s, p, a, b: 0.5, "expected"),
    ],
)
def test_6_3_names_the_error(answer, says):
    with pytest.raises(AssertionError, match=says):
        practice.check_6_3(answer)


def test_6_3_accepts_the_solution():
    assert practice.check_6_3(gain).startswith("Right")


def step(H, g, mu):
    return -torch.linalg.solve(H + mu * torch.eye(len(g)).double(), g)


def lifted(H, g, change):
    values, V = torch.linalg.eigh(H)
    return -V @ ((V.T @ g) / change(values))


def smallest(H):
    return float(torch.linalg.eigvalsh(H).min())


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        (lambda H, g, least: -step(H, g, max(0.0, least - smallest(H))), "the sign"),
        (lambda H, g, least: step(H, g, 0.0), "plain step"),
        (lambda H, g, least: step(H, g, max(0.0, -least - smallest(H))), "shifted to −least"),
        (lambda H, g, least: step(H, g, least), "does not reach"),
        (lambda H, g, least: lifted(H, g, lambda v: v.abs().clamp(min=least)), "shift all"),
        (lambda H, g, least: lifted(H, g, lambda v: v.clamp(min=least)), "single eigenvalues"),
        (lambda H, g, least: step(H, g, least - smallest(H)), "ever negative"),
        (lambda H, g, least: -g, "not −"),
    ],
)
def test_6_5_names_the_error(answer, says):
    with pytest.raises(AssertionError, match=says):
        practice.check_6_5(answer)


def test_6_5_accepts_the_solution():
    answer = lambda H, g, least: step(H, g, max(0.0, least - smallest(H)))  # noqa: E731
    assert practice.check_6_5(answer).startswith("Right")
