"""The pictures that are there on the page "Register your own two pictures"."""

import math

import numpy as np
import pytest
from scipy import ndimage

from regbook.experiments import workshop
from regkit import data


def test_a_picture_has_its_rows_from_the_top():
    """The second index of an image of regkit goes upwards."""
    image, _ = data.mri(64)
    picture = workshop.picture(image)
    assert picture.dtype == np.uint8
    assert abs(float(picture[5, 40]) - float(image[40, 64 - 1 - 5])) <= 0.5


def test_a_photograph_is_what_scipy_makes_of_the_picture():
    """Turned, enlarged and cropped about the middle, as much brighter, and with as much noise."""
    picture = workshop.picture(data.mri(64)[0])
    shape, degrees, size = (50, 44), 37, 1.2
    seen = workshop.photographed(picture, degrees, size, shape, bright=20, seed=0).astype(float)
    a = math.radians(degrees)
    A = np.array([[math.cos(a), -math.sin(a)], [math.sin(a), math.cos(a)]]) / size
    middle = (np.array(shape) - 1) / 2
    offset = (np.array(picture.shape) - 1) / 2 - A @ middle
    expected = 20 + ndimage.affine_transform(picture.astype(float), A, offset, shape, order=3)
    inside = (seen > 10) & (seen < 245)
    difference = (seen - expected)[inside]
    assert abs(np.median(difference)) < 0.3
    assert np.median(np.abs(difference)) / 0.6745 == pytest.approx(2, abs=0.3)


def test_three_pairs_one_of_which_has_two_answers():
    made = workshop.pairs()
    assert len(made) == 3 and len({pair["name"] for pair in made}) == 3
    card = made[2]["reference"]
    assert np.array_equal(card, card[::-1, ::-1])
    assert min(image.std() for pair in made for image in (pair["template"], pair["reference"])) > 20
