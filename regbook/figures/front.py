"""The pictures that move on the first page."""

import numpy as np

from regbook.plots import show_image
from regbook.text import number_text
from regkit import SmoothingBasis, data, evaluate
from regkit.optimize import newton_trust
from regkit.registration import Registration
from regkit.superres import register_templates, synthetic
from regkit.varpro import Reduced, minimise


def hands(size=64, scales=7):
    """The drawn hands, registered by Newton's method from a coarse scale to the finest.

    Returns the drawing and the numbers of the iterations that it shows.
    """
    pair = data.hands_phantom(size)
    problem = Registration(pair.template, pair.reference, pair.grid)
    w, path = problem.transform.identity(), []
    for theta in np.logspace(3, -3, scales):
        result = newton_trust(problem.at(theta), w)
        path += [(theta, entry.x) for entry in result.history if entry.accepted]
        w = result.x
    template, reference = SmoothingBasis(pair.template), SmoothingBasis(pair.reference)
    x = pair.grid.points()
    start = (pair.template - pair.reference).norm()

    def draw(figure, iteration):
        theta, w = path[iteration]
        y = problem.transform(w, x)
        moved, still, sharp = (
            evaluate(basis.coefficients(t), pair.grid, points).reshape(pair.grid.shape)
            for basis, t, points in ((template, theta, y), (reference, theta, x), (template, 0.0, y))
        )
        difference = sharp - pair.reference
        panels = (
            ("template, moved", moved, 0, 255, "gray"),
            ("reference", still, 0, 255, "gray"),
            ("difference, unblurred", difference, -255, 255, "PuOr"),
        )
        for ax, (name, image, low, high, colors) in zip(figure.subplots(1, 3), panels, strict=True):
            show_image(ax, image, pair.grid, low, high, colors, title=name)
            ax.axis("off")
        left = 100 * float(difference.norm() / start)
        return f"Scale θ = {number_text(theta)}. Of the unblurred difference, {left:.0f} % are left."

    return draw, range(len(path))


def superres(size=32):
    """A hand from four coarse images, by variable projection.

    Returns the drawing and the numbers of the steps that it shows.
    """
    pair = data.hands_phantom(size)
    made = synthetic(pair.reference, pair.grid)
    problem, start = made.problem, register_templates(made.problem)
    steps = minimise(Reduced(problem, kind="kaufman", exact=True), start, steps=8).history

    def draw(figure, step):
        left, right, error = figure.subfigures(1, 3)
        for ax, template in zip(left.subplots(2, 2).flat, problem.templates, strict=True):
            show_image(ax, template, problem.coarse, 0, 255)
            ax.axis("off")
        left.suptitle("four coarse images", fontsize=11)
        f = steps[step].f.reshape(pair.grid.shape)
        panels = (
            (right, "the fine image", f, 0, 255, "gray"),
            (error, "its error", f - pair.reference, -128, 128, "PuOr"),
        )
        for part, name, image, low, high, colors in panels:
            ax = part.subplots()
            show_image(ax, image, pair.grid, low, high, colors, title=name)
            ax.axis("off")
        wrong = 100 * made.error(f)
        when = f"Step {step}" if step else "The coarse images registered to each other"
        return f"{when}: the fine image has an error of {wrong:.1f} %."

    return draw, range(len(steps))
