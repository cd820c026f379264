"""Whether the pictures tell the map: what the page computes is what regkit does."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from playwright.sync_api import Page

from regbook import widgets
from regkit import NCC, Affine, Grid, _determined
from regkit.registration import Registration

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def page(browser) -> Page:
    """A page that has the script as ``determined``."""
    context = browser.new_context()
    page = context.new_page()
    script = Path(widgets.__file__).with_name("determined.js").read_text(encoding="utf-8")
    page.evaluate(
        "([script, known]) => { window.determined = eval(`(${script})`)(known) }",
        [script, widgets.DETERMINED],
    )
    yield page
    context.close()


def images(kind: str) -> tuple[Registration, torch.Tensor]:
    """Two noisy images whose cells are not square, the template on a grid of its own, and a map."""
    random = np.random.default_rng(0)
    boxes = Grid((60.0, 45.0), (50, 36)), Grid((54.0, 50.0), (44, 40))
    w = torch.tensor([0.8, -0.3, 0.25, 0.9, 2.0, -1.0]).double()
    transform = Affine(center=(30.0, 22.5))
    A, b = transform.matrix(w)
    reached = boxes[0].points(), torch.linalg.solve(A, (boxes[1].points() - b).T).T
    pictures = []
    for grid, points in zip(boxes, reached, strict=True):
        x, y = points.T.numpy()
        shown = {"a disc": np.hypot(x - 30, y - 22) < 12, "stripes": np.sin(x / 3 + y / 4), "noise": 0 * x}
        picture = shown[kind] + 0.03 * random.normal(size=len(x))
        pictures.append(torch.from_numpy(picture).reshape(grid.shape))
    reference, template = pictures
    own = {"template_grid": boxes[1], "outside": "overlap"}
    return Registration(template, reference, boxes[0], transform, NCC(), **own), w


def sent(problem: Registration, w: torch.Tensor) -> list:
    """Template, reference and the map, as the page reads them."""
    pairs = zip((problem.template, problem.reference), problem.grids[::-1], strict=True)
    levels = [{"image": i.flatten().tolist(), "shape": i.shape, "spacing": g.spacing} for i, g in pairs]
    A, b = problem.transform.matrix(w)
    return [*levels, A.flatten().tolist(), b.tolist()]


@pytest.mark.parametrize("kind", ["a disc", "stripes", "noise"])
def test_the_share_that_is_seen_and_its_noise(page, kind):
    """Of all motions, and of shifts alone; the template laid on the reference, too."""
    problem, w = images(kind)
    ((moved, fixed, counts, spacing),) = _determined._pairs(problem, w)
    laid, shown, *found = page.evaluate(
        """([template, reference, [a, b, c, d], [e, f]]) => {
          const at = (x, y) => [a * x + b * y + e, c * x + d * y + f];
          const [moved, counts] = determined.laid(template, reference, at);
          const { image, shape, spacing } = reference;
          const sums = determined.sums(moved, image, counts, shape, spacing);
          const both = [determined.ALL, determined.SHIFTS].map((ways) => determined.least(sums, ways));
          return [[...moved], [...counts], ...both];
        }""",
        sent(problem, w),
    )
    assert np.array_equal(np.array(shown, bool), counts.ravel())
    assert np.allclose(np.array(laid)[counts.ravel()], moved[counts], rtol=0, atol=1e-12)
    slopes = _determined.Slopes(moved, fixed, counts, spacing)
    for shifts, theirs in zip((False, True), found, strict=True):
        ours = slopes.least(_determined._ways(problem, w, shifts))
        assert theirs == pytest.approx(ours, rel=1e-7, abs=1e-10)


@pytest.mark.parametrize(("kind", "expected"), [("a disc", "turns"), ("stripes", "slides"), ("noise", None)])
def test_the_answer_is_that_of_register(page, kind, expected):
    problem, w = images(kind)
    answer = page.evaluate(
        """([template, reference, [a, b, c, d], [e, f]]) => determined.asked(
          [template], [reference], (x, y) => [a * x + b * y + e, c * x + d * y + f])""",
        sent(problem, w),
    )
    words = _determined.undetermined([problem], w)
    start = {"turns": "about a point", "slides": "along one direction", None: "None"}[expected]
    assert answer["free"] == expected and str(words).startswith(start)
    slopes = _determined.Slopes(*next(_determined._pairs(problem, w)))
    share, noise = slopes.least(_determined._ways(problem, w, shifts=True))
    assert answer["sure"] == pytest.approx(max(0, share / noise), rel=1e-6, abs=1e-10)
