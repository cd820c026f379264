"""Numbers into the text: the outputs are those of myst-nb's own ``glue``, which the build looks for."""

import numpy as np
import pytest
from IPython.core.interactiveshell import InteractiveShell
from IPython.utils.capture import capture_output
from myst_nb import glue as glue_of_myst

from regbook import glue


@pytest.fixture(autouse=True)
def shell():
    """IPython, which displays."""
    yield InteractiveShell.instance()
    InteractiveShell.clear_instance()


@pytest.mark.parametrize("value", [0.25, 3, "a text", [1, 2]])
def test_outputs_are_those_of_myst(value):
    with capture_output() as ours:
        glue(number=value)
    with capture_output() as theirs:
        glue_of_myst("number", value, display=False)
    assert [output.data for output in ours.outputs] == [output.data for output in theirs.outputs]
    assert [output.metadata for output in ours.outputs] == [output.metadata for output in theirs.outputs]


@pytest.mark.parametrize("value", [np.float64(1.5), np.float32(1.5), np.int64(3), np.bool_(True)])
def test_numbers_of_numpy_are_numbers(value):
    """As text they would be np.float64(1.5), which no format can read."""
    with capture_output() as captured:
        glue(number=value)
    (output,) = captured.outputs
    assert output.data["application/papermill.record/text/plain"] == repr(value.item())


def test_several_at_once_and_the_reader_sees_nothing():
    with capture_output() as captured:
        glue(first=1.5, second=2)
    names = [output.metadata["scrapbook"]["name"] for output in captured.outputs]
    assert names == ["first", "second"] and not captured.stdout
    assert all(kind.startswith("application/") for output in captured.outputs for kind in output.data)
