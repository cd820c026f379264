"""Buttons that open a page's notebook on a computer elsewhere, where _config.yml names the repository.

    repository:
      url: https://github.com/OWNER/NAME
      branch: main

Without these lines there are none, for nothing could be opened. The buttons are links, and ask for nothing by
themselves. A page that was opened as a file hides them (book/_static/launch.js).
"""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import quote

import yaml

from tools.lab import WORK
from tools.release import version
from tools.toc import ROOT

BINDER = (
    "JupyterLab in the browser, with 2 GB and without an account. It starts within minutes, the first time "
    "after a change of the book in many; it forgets what you do; it is no place for a class"
)
CODESPACES = (
    "An editor in the browser, with 2 cores and 8 GB, for those with an account on GitHub, who have some "
    "hours a month. The first start installs everything, which takes many minutes; it keeps what you do"
)


def repository(root: Path = ROOT) -> tuple[str, str] | None:
    """Owner/name and branch of the repository that _config.yml names, if it does.

    Raises: ValueError if it names something else.
    """
    settings = yaml.safe_load((root / "_config.yml").read_text(encoding="utf-8")).get("repository")
    if not settings:
        return None
    found = re.fullmatch(r"https://github\.com/([\w.-]+/[\w.-]+?)(?:\.git)?/?", str(settings.get("url")))
    if not found:
        raise ValueError(
            f"expected https://github.com/OWNER/NAME in _config.yml, got {settings.get('url')!r}"
        )
    return found[1], str(settings.get("branch", "main"))


def released(wheel: str, root: Path = ROOT) -> str:
    """The address of a file of the release that these sources are; nothing between two releases, or without
    a repository."""
    named, number = repository(root), version(root)
    if named is None or ".dev" in number:
        return ""
    return f"https://github.com/{named[0]}/releases/download/v{number}/{wheel}"


def buttons(page: str, root: Path = ROOT) -> list[dict]:
    """The buttons for a page that is a notebook, as the theme wants them; none without a repository."""
    named = repository(root)
    if named is None:
        return []
    name, branch = named
    opened = quote(f"lab/tree/{WORK.name}/{Path(page).name}.ipynb", safe="")
    branch = quote(branch, safe="")
    links = [
        (f"https://mybinder.org/v2/gh/{name}/{branch}?urlpath={opened}", "Binder (minutes; 2 GB)", BINDER),
        (f"https://codespaces.new/{name}/tree/{branch}", "Codespaces (minutes; account)", CODESPACES),
    ]
    look = {"type": "link", "icon": "fas fa-rocket", "label": "launch-button"}
    return [
        {
            "type": "group",
            "tooltip": "Run this page elsewhere",
            "icon": "fas fa-rocket",
            "label": "launch-buttons",
            "buttons": [look | {"url": url, "text": text, "tooltip": words} for url, text, words in links],
        }
    ]
