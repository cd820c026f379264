"""A Sphinx extension: small repairs of the pages that the book's theme and its other extensions make."""

import re
from typing import Any

from sphinx.application import Sphinx


def repair(app: Sphinx, pagename: str, template: str, context: dict[str, Any], doctree: Any) -> None:
    """Give citations a role that fits their list, and drop what the page stores but cannot use."""
    # A list may hold list items only, and "doc-biblioentry" is deprecated (WAI-ARIA, DPUB-ARIA 1.1).
    if "body" in context:
        entry = r'(<div class="citation" id="[^"]*") role="doc-biblioentry"'
        context["body"] = re.sub(entry, r'\1 role="listitem"', context["body"])
    # The state of the live widgets: the pages show the self-contained figures, and load no widget scripts.
    if "script_files" in context:
        state = "application/vnd.jupyter.widget-state+json"
        context["script_files"] = [
            script
            for script in context["script_files"]
            if getattr(script, "attributes", {}).get("type") != state
        ]


def setup(app: Sphinx) -> dict[str, bool]:
    app.connect("html-page-context", repair, priority=900)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
