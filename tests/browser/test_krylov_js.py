"""krylov.js, coarse_images.js and background.js by themselves: tangents in a page are those of regkit."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from playwright.sync_api import Page

from regbook import widgets
from regbook.experiments import ch09
from regbook.explore.page import json_text
from regkit import data
from regkit.linear import CG
from regkit.templates import register_templates, synthetic
from regkit.varpro import Reduced

pytestmark = pytest.mark.browser

READ = """text => JSON.parse(text, (_, value) => {
  if (!value || !value.$array) return value;
  const bytes = Uint8Array.from(atob(value.base64), (c) => c.charCodeAt(0)).buffer;
  return new { float64: Float64Array, int32: Int32Array }[value.$array](bytes);
})"""
RUN = """([system, way, total, last, start, bounds]) => {
  const states = [...krylov.run(window[system], way, total, last, Float64Array.from(start), bounds)];
  return states.map(({ x, dx, k, before }) => ({ x: [...x], dx: [...dx], k, before }));
}"""


def source(name: str) -> str:
    return Path(widgets.__file__).with_name(f"{name}.js").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def toy() -> ch09.Toy:
    return ch09.toy()


@pytest.fixture(scope="module")
def hand():
    """The hand of the chapter: problem, f0, start, and what the page gets of it."""
    pair = data.hands_phantom(20)
    problem = synthetic(pair.reference, pair.grid).problem
    start, f0 = register_templates(problem), problem.upsampled()
    return problem, f0, start, ch09.along(problem, f0, start)


@pytest.fixture(scope="module")
def page(browser, toy, hand):
    """A page that has the scripts as ``krylov``, ``images``, ``toy`` (in full matrices), and nothing else."""
    context = browser.new_context()
    page = context.new_page()
    matrices = {"A": toy.A, "B": toy.B, "b": toy.b}
    page.evaluate(
        f"""([krylov, images, matrices, given]) => {{
          const read = {READ};
          [window.krylov, window.given] = [eval(`(${{krylov}})`)(), read(given)];
          window.equations = eval(`(${{images}})`);
          window.images = window.equations(window.given);
          const {{ A, B, b }} = read(matrices), n = b.length;
          const product = (M, x) => x.map((_, i) => window.krylov.dot(M.subarray(i * n, i * n + n), x));
          const times = (x, dx) => [product(A, x), dx && window.krylov.sum(product(B, x), 1, product(A, dx))];
          window.toy = {{ b, db: new Float64Array(n), times }};
        }}""",
        [source("krylov"), source("coarse_images"), json_text(matrices), json_text(hand[3])],
    )
    yield page
    context.close()


def close(found, expected: torch.Tensor, tolerance: float) -> bool:
    size = max(float(expected.norm()), 1e-300)
    return float((torch.tensor(found, dtype=expected.dtype) - expected).norm()) <= tolerance * size


@pytest.mark.parametrize("way", ch09.TAILS)
def test_every_step_of_the_toy_is_that_of_regkit(page: Page, toy, way):
    """With the first 8 as numbers, the iterates and tangents that follow agree in eight digits.

    Rounding takes the eighth digit of x after 26 iterations; the tangents of *continue* lose it sooner.
    """
    first, last = (4 if way == "implicit" else 8), (7 if way == "continue" else 16)
    total = first + last
    bounds = [float(toy.values[0]), float(toy.values[-1])]
    states = page.evaluate(RUN, ["toy", way, total, last, [0.0] * len(toy.b), bounds])
    assert [s["k"] for s in states] == [*range(total + 1 + (last if way == "implicit" else 0))]
    differentiated = [s for s in states if not s["before"]]
    assert len(differentiated) == last + 1 and close(differentiated[0]["dx"], 0 * toy.b, 0.0)
    for j in (0, 1, 2, 4, 7, 11, 16)[: 5 if way == "continue" else 7]:
        made = total if way == "implicit" else first + j
        derivative = toy.last(way, j)
        expected = toy.solution(derivative, made, toy.b.new_zeros(1))
        assert close(differentiated[j]["x"], expected, 1e-8), f"x, {j} differentiated"
        assert close(differentiated[j]["dx"], toy.tangent(derivative, made), 1e-8), f"ẋ, {j} differentiated"
    for k in range(first + 1):
        assert close(states[k]["x"], toy.value(k), 1e-10)


def test_nothing_and_everything_differentiated(page: Page, toy):
    for way in ch09.TAILS:
        bounds = [float(toy.values[0]), float(toy.values[-1])]
        for last in (0, 20):
            end = page.evaluate(RUN, ["toy", way, 20, last, [0.0] * len(toy.b), bounds])[-1]
            assert close(end["dx"], toy.tangent(toy.last(way, last), 20), 1e-8), f"{way}, last {last} of 20"


def test_polynomials_are_those_of_the_experiments(page: Page, toy):
    found = page.evaluate(
        """([values, bounds]) => {
          const lambdas = Float64Array.from(values), follow = krylov.polynomial(lambdas), met = [];
          for (const state of krylov.run(toy, "restart", 9, 0, new Float64Array(lambdas.length)))
            met.push([...follow(state)]);
          const chebyshev = krylov.chebyshevPolynomial(lambdas, bounds);
          return [met, met.map(() => [...chebyshev.next().value])];
        }""",
        [toy.values.tolist(), [float(toy.values[0]), float(toy.values[-1])]],
    )
    for k in range(10):
        p = ch09.polynomial(toy.A, toy.values, toy.b, k)
        assert np.allclose(found[0][k], p, rtol=1e-7, atol=1e-9)
        # p leaves of the error of x what the iteration leaves: x_k = (1 − p(λ))/λ for the right-hand side 1
        x = ch09.semi_iteration(toy.values, k)
        assert np.allclose(found[1][k], x, rtol=1e-9, atol=1e-9)


def test_the_equations_of_the_images_are_those_of_regkit(page: Page, hand):
    problem, f0, start, given = hand
    v, A = given["direction"], problem.at(start)
    f, f_dot = f0, torch.linspace(-1, 2, len(f0), dtype=f0.dtype) ** 3
    found = page.evaluate(
        """([f, df]) => {
          const images = window.images, [x, dx] = [f, df].map((values) => Float64Array.from(values));
          const [product, slope] = images.times(x, dx);
          return [images.b, images.db, product, slope, images.times(x, null)[0]].map((values) => [...values]);
        }""",
        [f.tolist(), f_dot.tolist()],
    )
    expected = [
        A.adjoint(problem.b),
        A.adjoint_derivative(problem.b) @ v,
        A.normal(f),
        A.normal_derivative(f) @ v + A.normal(f_dot),
        A.normal(f),
    ]
    assert all(close(one, other, 1e-11) for one, other in zip(found, expected, strict=True))


def test_the_slope_of_the_loss(page: Page, hand):
    """Along its gradient, with the exact image and tangent, the loss rises by the length of the gradient."""
    problem, _, start, given = hand
    slope = page.evaluate("images.lossSlope(given.exact, given.exact_dot)")
    assert slope == pytest.approx(float(Reduced(problem, rows="data").point(start).gradient.norm()), rel=1e-5)
    h, v = 1e-4, given["direction"]
    ends = [Reduced(problem, rows="data").point(start + s * h * v).loss for s in (1, -1)]
    assert slope == pytest.approx(float(ends[0] - ends[1]) / (2 * h), rel=1e-4)


def regkits(hand, way: str, total: int, last: int, move: torch.Tensor | float = 0.0) -> torch.Tensor:
    problem, f0, start, given = hand
    derivative = ch09.derivative(way, last, tuple(given["bounds"]))
    return ch09.image_tangent(problem, f0, start + move, given["direction"], CG.fixed(total), derivative)


def pages(page: Page, hand, way: str, total: int, last: int, move: float = 0.0) -> list[float]:
    """The same from the page, with the motions moved along the direction."""
    given = hand[3]
    page.evaluate(
        """h => {
          const weight = given.weight.map((value, e) => value + h * given.slope[e]);
          window.moved = equations({ ...given, weight });
        }""",
        move,
    )
    return page.evaluate(RUN, ["moved", way, total, last, given["start"].tolist(), given["bounds"]])[-1]["dx"]


@pytest.mark.parametrize("way", ch09.TAILS)
@pytest.mark.parametrize("last", [0, 10, 25])
def test_tangents_of_the_hand_where_rounding_does_not_decide(page: Page, hand, way, last):
    assert close(pages(page, hand, way, 25, last), regkits(hand, way, 25, last), 1e-8)


@pytest.mark.parametrize("way", ["restart", "implicit"])
def test_tangents_of_the_hand_where_it_does(page: Page, hand, way):
    """The page's error lies among those that regkit makes, as the middle of three at motions
    that differ by 1e-10: within three times their spread in powers of ten, or a hundredth of a power."""
    exact, direction = hand[3]["exact_dot"], hand[3]["direction"]

    def digits(tangents) -> np.ndarray:
        return np.log10([float((torch.as_tensor(t) - exact).norm() / exact.norm()) for t in tangents])

    moves = [1e-10 * k for k in range(3)]
    expected = digits([regkits(hand, way, 100, 30, h * direction) for h in moves])
    found = digits([pages(page, hand, way, 100, 30, h) for h in moves])
    spread = max(np.ptp(expected), np.ptp(found), 0.003)
    assert abs(np.median(found) - np.median(expected)) < 3 * spread


JOB = """(given) => function* (setting) {
  for (let k = 1; k <= setting.count; k++) yield k % 1000 ? undefined : [given.name, setting.name, k];
}"""


@pytest.mark.parametrize("worker", ["there", "refused", "fails"])
def test_a_new_setting_ends_the_old_one(browser, worker):
    """With a worker, without one, and with one that cannot start: only the last setting's messages end."""
    context = browser.new_context()
    page = context.new_page()
    told = page.evaluate(
        f"""([source, worker]) => new Promise((resolve) => {{
          const told = [], Real = window.Worker, fails = "data:text/javascript,this is none";
          const kinds = {{
            refused: class {{ constructor() {{ throw new Error("refused"); }} }},
            fails: class {{ constructor() {{ return new Real(fails); }} }},
          }};
          window.Worker = kinds[worker] || Real;
          const compute = eval(`(${{source}})`);
          const ask = compute({JOB}, {{ name: "g" }}, (message) => {{
            told.push(message);
            if (message[1] === "new" && message[2] === 3000) resolve(told);
          }});
          ask({{ name: "old", count: 1e12 }});
          setTimeout(() => ask({{ name: "new", count: 3000 }}), 300);
        }})""",
        [source("background"), worker],
    )
    context.close()
    names = [name for _, name, _ in told]
    first = names.index("new")
    assert told[first:] == [["g", "new", k] for k in (1000, 2000, 3000)]
    assert set(names[:first]) <= {"old"} and {each[0] for each in told} == {"g"}
