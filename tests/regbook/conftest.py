"""What the tests of the experiments share."""

import numpy as np
import pytest

from regbook.experiments import euler
from regkit import data
from regkit.registration import Registration


@pytest.fixture(scope="session")
def pair() -> data.Pair:
    """The drawn hands at 32 × 32."""
    return data.hands_phantom(32)


@pytest.fixture(scope="session")
def predicted() -> tuple[Registration, list[euler.Scale]]:
    """The drawn hands with noise, and five predictions on their path."""
    pair = data.hands_phantom(16, noise=15.0)
    problem = Registration(pair.template, pair.reference, pair.grid)
    return problem, euler.path(problem, np.geomspace(1e3, 30, 6), problem.transform.identity())
