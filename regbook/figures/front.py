"""The pictures that move on the first page."""

from regbook.plots import error, image
from regbook.text import number_text


def hands(run):
    """Moved template, reference and difference, from the images as they came to the last iteration."""

    def draw(figure, iteration):
        moved, still, sharp = run.images(iteration)
        left, middle, right = figure.subplots(1, 3)
        image(left, moved, run.pair.grid, "template, moved")
        image(middle, still, run.pair.grid, "reference")
        error(right, sharp - run.pair.reference, run.pair.grid, 255, "difference")
        theta, _ = run.path[iteration]
        if theta == 0:
            return "As they came: sharp, and not aligned."
        return (
            f"Scale θ = {number_text(theta)}. "
            f"Of the unblurred difference, {100 * run.left(sharp):.0f} % is left."
        )

    return draw


def superres(made, images):
    """The coarse images, the fine one after each step, and its error."""
    problem = made.problem

    def draw(figure, step):
        left, middle, right = figure.subfigures(1, 3)
        for ax, template in zip(left.subplots(2, 2).flat, problem.templates, strict=True):
            image(ax, template, problem.coarse)
        left.suptitle("four coarse images", fontsize=11)
        f = images[step]
        image(middle.subplots(), f, problem.grid, "the fine image")
        error(right.subplots(), f - made.image, problem.grid, 128, "its error")
        when = f"Step {step}" if step else "The coarse images registered to each other"
        return f"{when}: the fine image has an error of {100 * made.error(f):.1f} %."

    return draw
