"""Print the path of a Chromium that starts; install one where there is none.

In this order: the environment variable CHROMIUM, a browser on the PATH, one that Playwright has installed;
then the distribution's package (Debian and its relatives, as root), or else Playwright's own build.
What is done is said on stderr.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
APPLICATIONS = (
    "/Applications/Chromium.app/Contents/MacOS/Chromium",
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
)


def starts(path: str | None) -> bool:
    """Whether the browser at `path` runs: some distributions ship a stand-in that only prints advice."""
    if not path or not Path(path).is_file():
        return False
    try:
        return subprocess.run([path, "--version"], capture_output=True, timeout=60).returncode == 0
    except (OSError, subprocess.TimeoutExpired):
        return False


def installed() -> str | None:
    """The first browser found, or None."""
    places = [*map(shutil.which, NAMES), *APPLICATIONS]
    return next((path for path in places if starts(path)), None) or playwrights()


def playwrights() -> str | None:
    """The browser that Playwright has installed, or None."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        path = playwright.chromium.executable_path
    return path if starts(path) else None


def install() -> None:
    """Install a browser: the distribution's where this may be done, else Playwright's."""
    if shutil.which("apt-get") and os.geteuid() == 0:
        say("No Chromium found: installing the distribution's package chromium.")
        quiet = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
        for command in (["update"], ["install", "--yes", "--no-install-recommends", "chromium"]):
            subprocess.run(["apt-get", *command], stdout=sys.stderr, env=quiet)
        if installed():
            return
    say("No Chromium found: installing Playwright's own (about 150 MB).")
    subprocess.run([sys.executable, "-m", "playwright", "install", "chromium"], stdout=sys.stderr)


def say(text: str) -> None:
    print(text, file=sys.stderr)


def main() -> None:
    wanted = os.environ.get("CHROMIUM")
    if wanted:
        if not starts(wanted):
            sys.exit(f"expected CHROMIUM to name a browser that starts, got {wanted}")
        path = wanted
    else:
        path = installed()
        if path is None:
            install()
            path = installed()
        if path is None:
            sys.exit(
                "A Chromium is needed, for tests of the pages and for the PDF, and none could be installed.\n"
                "Install one (its package is mostly called chromium), or name the one that you have:\n"
                "make test CHROMIUM=/path/to/chrome (or make pdf)"
            )
    say(f"Chromium: {path}")
    print(path)


if __name__ == "__main__":
    main()
