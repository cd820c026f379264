"""Numbers into the text: ``glue(ratio=r)`` in a cell, ``{glue:text}`ratio:.2f` `` in a cell of text.

The output that carries a number is the one that myst-nb's own ``glue`` makes, so the build of the book finds
it; but neither Sphinx nor myst-nb is needed to run a notebook.
"""

from __future__ import annotations

import numpy as np
from IPython.core.formatters import format_display_data
from IPython.display import display

PREFIX = "application/papermill.record/"


def glue(**numbers: object) -> None:
    """Store each value under its name with the cell's outputs, where the reader does not see it."""
    for name, value in numbers.items():
        # a number of NumPy's would be written as np.float64(1.5)
        plain = value.item() if isinstance(value, np.generic) else value
        data, metadata = format_display_data(plain)
        about = metadata | {"scrapbook": {"name": name, "mime_prefix": PREFIX}}
        display({PREFIX + kind: shown for kind, shown in data.items()}, raw=True, metadata=about)
