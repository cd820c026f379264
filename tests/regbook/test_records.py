"""Recorded runs: all that are shipped can be read, and a name that is none says which there are."""

import numpy as np
import pytest

from regbook import records

NAMES = sorted(file.name for file in records.path("").iterdir() if file.suffix in (".json", ".npz"))


@pytest.mark.parametrize("name", NAMES)
def test_every_record_is_read(name):
    record = records.load(name)
    assert record
    if name.endswith(".npz"):
        assert all(isinstance(array, np.ndarray) and array.dtype != object for array in record.values())


@pytest.mark.parametrize("name", ["nothing.json", "superres", "__init__.py"])
def test_an_unknown_name_says_what_there_is(name):
    with pytest.raises(ValueError, match=f"expected a record among .*superres.json.*, got '{name}'"):
        records.load(name)
