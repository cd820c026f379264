"""What Jupyter is given of a figure: what a page shows, and where somebody watches a widget as well."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable


def bundle(texts: dict, live: Callable) -> dict:
    """``texts`` by their kinds, and with them the widget that ``live()`` makes, if somebody watches.

    Without ipywidgets Jupyter shows what the page shows.
    """
    if not _somebody_watches():
        return texts
    try:
        return live()._repr_mimebundle_() | texts
    except ModuleNotFoundError as error:
        if error.name != "ipywidgets":
            raise
        return texts


def _somebody_watches() -> bool:
    """Does this kernel belong to a notebook that is open in Jupyter, in VS Code or in Colab?

    Where a program executes a notebook, as ``nbconvert --execute`` does, the outputs are read
    later and without a kernel. Live figures would be dead there, and they would hide the
    self-contained ones.
    """
    if "JPY_SESSION_NAME" in os.environ or "google.colab" in sys.modules:  # set by Jupyter's server; Colab
        return True
    ipython = sys.modules.get("IPython")
    shell = ipython and ipython.get_ipython()
    return shell is not None and "__vsc_ipynb_file__" in shell.user_ns  # set by VS Code
