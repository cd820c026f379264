"""What moves on the first page."""

import pytest
import torch

from regbook.experiments import front


@pytest.fixture(scope="module")
def run():
    return front.hands(size=24, scales=3)


def test_the_hands_start_as_they_are(run):
    """Sharp and where they are; the next pictures are blurred, and still there."""
    moved, still, sharp = run.images(0)
    for seen, image in ((moved, run.pair.template), (sharp, run.pair.template), (still, run.pair.reference)):
        torch.testing.assert_close(seen, image)
    assert run.left(sharp) == pytest.approx(1)
    contrasts = []
    for k in range(4):
        moved, still, sharp = run.images(k)
        torch.testing.assert_close(sharp, run.pair.template)
        contrasts.append((float(moved.std()), float(still.std())))
    assert contrasts == sorted(contrasts, reverse=True) and len(set(contrasts)) == 4


def test_the_hands_end_at_the_fine_scale_and_nearer(run):
    thetas = [theta for theta, _ in run.path[3:]]
    assert thetas == sorted(thetas, reverse=True) and len(set(thetas)) == 3
    _, still, sharp = run.images(len(run.path) - 1)
    assert run.left(sharp) < 0.5
    assert float((still - run.pair.reference).abs().max()) < 3, "θ = 0.001 hardly smooths"


def test_each_image_solves_the_least_squares_problem_of_its_motions():
    made, images = front.superres(size=16)
    A = made.problem.at(front.register_templates(made.problem))
    right = A.adjoint(made.problem.b)
    left = A.normal(images[0].reshape(-1))
    torch.testing.assert_close(left, right, rtol=1e-6, atol=1e-6 * float(right.abs().max()))
    assert made.error(images[-1]) < made.error(images[0])
