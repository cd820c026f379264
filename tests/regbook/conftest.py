"""What the tests of the experiments share."""

import pytest

from regkit import data


@pytest.fixture(scope="session")
def pair() -> data.Pair:
    """The drawn hands at 32 × 32."""
    return data.hands_phantom(32)
