"""The figures that a page computes: what they are given, and what they refuse."""

import base64
import io
import json
import re
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from regbook import records, widgets
from regbook.experiments import ch09
from regbook.experiments.ch01 import numbers_of_a_pixel
from regbook.plots import ERROR_COLORS
from regkit import Grid, SmoothingBasis, coefficients, data
from regkit.templates import synthetic


def sent(widget):
    """What the page gets."""
    found = json.loads(re.search(r'<script type="application/json">(.*?)</script>', widget.html(), re.S)[1])
    return found["figure"]


def numbers(array):
    return np.frombuffer(base64.b64decode(array["base64"]), array["$array"]).reshape(array["shape"])


def pixel(**changes):
    return numbers_of_a_pixel("a pixel", 0.2, 0.1, 2.0, 1.0) | changes


def curve(**changes):
    known = {"name": "a", "color": "blue", "dash": "", "on": True, "products": [1, 2], "errors": [9.0, 8.0]}
    return known | changes


def iterations(**changes):
    record = records.load("differentiating_cg.npz")
    given = {
        "record": record,
        "names": ["a", "b", "c", "d"],
        "truth": torch.zeros(20, 20),
        "exact": np.zeros(10),
        "none": np.zeros(10),
        "start": (0, 3, 5),
    }
    return widgets.differentiated_iterations(**(given | changes), alt="x")


TOY, NAMES = ch09.toy(n=12), ["restart", "continue", "Chebyshev", "implicit"]


def stepped(**changes):
    given = {"toy": TOY, "names": NAMES, "start": (0, 10, 4), "most": 20}
    return widgets.stepped_iterations(**(given | changes), alt="x")


@cache
def given_along() -> dict:
    made = synthetic(torch.rand(8, 12, dtype=torch.float64), Grid((2.0, 3.0), (8, 12)))
    return ch09.along(made.problem, made.problem.upsampled(), 1.01 * made.w_true)


def live(**changes):
    known = {
        "given": given_along(),
        "record": records.load("differentiating_cg.npz"),
        "names": NAMES,
        "exact": np.zeros(10),
        "none": np.zeros(10),
        "start": (0, 30, 10),
    }
    return widgets.live_tangent(**(known | changes), alt="x")


def test_the_toy_in_the_page_is_the_toy_in_its_eigenvectors():
    page = sent(stepped())
    coupling, b, values = (numbers(page[name]) for name in ("coupling", "b", "values"))
    assert np.allclose(numbers(page["values"]), np.linalg.eigvalsh(TOY.A))
    x = b / values
    assert np.linalg.norm(x) == pytest.approx(float(TOY.x.norm()))
    assert np.linalg.norm(coupling @ x / values) == pytest.approx(float(TOY.x_dot.norm()))
    assert page["tails"] == list(ch09.TAILS) and page["start"] == {"way": 0, "total": 10, "last": 4}


def test_the_problem_in_the_page_is_the_problem():
    page, expected = sent(live()), given_along()
    given = page["given"]
    assert set(given) == set(expected) - {"direction"}
    assert np.array_equal(numbers(given["weight"]), expected["weight"]) and given["row"]["$array"] == "int32"
    recorded = records.load("differentiating_cg.npz")["image_error"]
    assert np.array_equal(numbers(page["record"]["image_error"]), recorded, equal_nan=True)


def test_the_texts_are_those_of_a_figure():
    page = widgets.jacobian_chain(64, 1000, 1, title="A title", alt="Bars", caption="Below.").html()
    assert 'aria-label="Bars"' in page and ">A title</p>" in page and ">Below.</p>" in page
    assert sent(widgets.jacobian_chain(64, 1000, 1, alt="Bars")) == {"k": 64, "n": 1000, "m": 1, "log_max": 3}


def test_the_spline_in_the_page_is_that_of_regkit():
    values, _ = data.signal_1d()
    page = sent(widgets.drag_spline(values, alt="x"))
    V, mu, P = (numbers(page[name]) for name in ("modes", "mu", "projection"))
    for theta in (0.0, 0.3, 100.0):
        by_page = V @ ((P @ numbers(page["values"])) / (1 + theta * mu))
        assert np.allclose(by_page, SmoothingBasis(values).coefficients(theta), atol=1e-12)


def test_the_pair_in_the_page_is_the_pair():
    pair = data.hands_phantom(16)
    page = sent(widgets.register_by_hand(pair, 0.1, reach=6.0, alt="x"))
    assert np.allclose(numbers(page["template"]), coefficients(pair.template, 0.1))
    assert page["center"] == [side / 2 for side in pair.grid.extent] and page["reach"] == 6
    A, b = numbers(page["truth"])[:4].reshape(2, 2), numbers(page["truth"])[4:]
    x = pair.grid.points().numpy()
    y = (x - page["center"]) @ A.T + page["center"] + b
    assert np.allclose(y, x @ pair.w_true[:4].reshape(2, 2).T.numpy() + pair.w_true[4:].numpy())


def bet(**other):
    return {"says": "a", "place": "b", "verdict": "holds", "why": "c", "numbers": ["1"]} | other


def two_pictures(**other):
    image = np.arange(48, dtype=np.uint8).reshape(6, 8)
    return {"name": "a", "says": "b", "template": image, "reference": image.T} | other


def test_the_pictures_in_the_page_are_the_pictures():
    """Without a loss, the rows from the top."""
    (page,) = sent(widgets.workshop([two_pictures()], alt="x"))["pairs"]
    for name in ("template", "reference"):
        picture = np.asarray(Image.open(io.BytesIO(base64.b64decode(page[name]))))
        assert np.array_equal(picture, two_pictures()[name])


def test_the_record_in_the_page_is_the_record():
    page, record = sent(iterations()), records.load("differentiating_cg.npz")
    assert np.array_equal(numbers(page["jacobian_error"]), record["jacobian_error"], equal_nan=True)
    assert page["totals"] == record["totals"].tolist() and page["error_colors"] == list(ERROR_COLORS)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda: widgets.graph_stepper([pixel(values=[1.0] * 5)], alt="x"),
            r"expected values of shape \(6,\), got \(5,\)",
        ),
        (
            lambda: widgets.graph_stepper([{"name": "a"}], alt="x"),
            "expected a pixel with name, a, b, .* got name",
        ),
        (lambda: widgets.graph_stepper([3], alt="x"), "expected a pixel with .* got 3"),
        (
            lambda: widgets.jacobian_chain(64, 2000, 1, alt="x"),
            "from 1 to 1000, got inner = 64, n = 2000, m = 1",
        ),
        (
            lambda: widgets.drag_spline(torch.zeros(12, 2), alt="x"),
            r"expected values of shape \(12,\), got \(12, 2\)",
        ),
        (lambda: widgets.drag_spline(torch.zeros(9), alt="x"), "expected ten values or more, got 9"),
        (
            lambda: widgets.register_by_hand(data.hands_phantom(16), 0.1, reach=0, alt="x"),
            "positive reach, got 0",
        ),
        (
            lambda: widgets.register_by_hand(
                replace(data.hands_phantom(16), reference=torch.zeros(16, 15)), 0.1, reach=6, alt="x"
            ),
            r"expected reference of shape \(16, 16\), got \(16, 15\)",
        ),
        (
            lambda: iterations(truth=torch.zeros(20, 21)),
            r"expected truth of shape \(20, 20\), got \(20, 21\)",
        ),
        (
            lambda: iterations(names=["a"]),
            r"expected jacobian_error of shape \(1, 4, 10, 3\), got \(4, 4, 10, 3\)",
        ),
        (lambda: iterations(exact=[0.0]), r"expected exact of shape \(10,\), got \(1,\)"),
        (lambda: iterations(start=(0, 4, 0)), r"expected a start below \(4, 4, 10\), got \(0, 4, 0\)"),
        (lambda: stepped(names=["a"]), r"expected names of restart, .*, implicit, got \['a'\]"),
        (lambda: stepped(start=(0, 10, 11)), r"1 to 20 iterations and how many of them, got \(0, 10, 11\)"),
        (lambda: live(start=(4, 10, 1)), r"expected a way, 1 to 400 iterations .* got \(4, 10, 1\)"),
        (lambda: live(exact=np.zeros(9)), r"expected exact of shape \(10,\), got \(9,\)"),
        (
            lambda: live(given=given_along() | {"row": torch.zeros(3)}),
            r"expected column of shape \(3,\), got",
        ),
        (lambda: widgets.work_accuracy([], 100, alt="x"), "expected 1 to 26 curves, got 0"),
        (
            lambda: widgets.work_accuracy([curve(errors=[1.0])], 100, alt="x"),
            r"errors of shape \(2,\), got \(1,\)",
        ),
        (
            lambda: widgets.work_accuracy([curve(color="pink")], 100, alt="x"),
            "colour of the page, got 'pink'",
        ),
        (lambda: widgets.work_accuracy([{"name": "a"}], 100, alt="x"), "expected a curve with name, color"),
        (lambda: widgets.workshop([], alt="x"), "expected a pair to begin with, got none"),
        (lambda: widgets.workshop([{"name": "a"}], alt="x"), "expected a pair with name, says, .* got name"),
        (
            lambda: widgets.workshop([two_pictures(reference=np.zeros((9, 9)))], alt="x"),
            r"expected pictures as arrays uint8 \(rows, columns\), got array",
        ),
        (lambda: widgets.bets([{"says": "a"}], ["holds"], [], alt="x"), "expected a claim with says, place"),
        (
            lambda: widgets.bets([bet(verdict="perhaps")], ["holds"], ["here"], alt="x"),
            r"expected one of the verdicts \['holds'\] and 1 numbers, got",
        ),
        (lambda: widgets.bets([bet()], ["holds"], [], alt="x"), "and 0 numbers, got"),
    ],
)
def test_other_data_are_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_good_curves_are_sent():
    page = sent(widgets.work_accuracy([curve(), curve(name="b", color="text")], 100, alt="x"))
    assert [c["name"] for c in page["curves"]] == ["a", "b"] and page["budget"] == 100


SCRIPTS = sorted(path for path in Path(widgets.__file__).parents[1].rglob("*.js"))


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.name)
def test_scripts_are_read_without_scrolling(path):
    lines = path.read_text(encoding="utf-8").splitlines()
    assert [k for k, line in enumerate(lines, start=1) if len(line) > 120 or line != line.rstrip()] == []
