"""Ask every address outside the book that a page links to whether it is still there.

python -m tools.links

One address after the other, a pause between two of the same host, no more of an answer than its first line,
and a second try for who says "later". Addresses that may fail stand in tools/links_may_fail.txt, with the
reason.
"""

from __future__ import annotations

import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterable
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import urldefrag, urlsplit

ROOT = Path(__file__).resolve().parent.parent
MAY_FAIL = ROOT / "tools" / "links_may_fail.txt"
# A DOI is there if it leads on. Many a publisher behind it turns away all who are not a browser.
LEAD_ON = ("doi.org",)
NO_HEAD = (403, 404, 405, 501)  # what servers answer that know GET only
LATER = (429, 500, 502, 503, 504)
AGENT = "Mozilla/5.0 (compatible; regkit-links; once a week)"


class _Addresses(HTMLParser):
    def __init__(self):
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag, attributes):
        named = dict(attributes)
        if named.get("rel") in ("canonical", "preconnect", "dns-prefetch"):
            return
        for value in (named.get("href"), named.get("src")):
            if value and urlsplit(value).scheme in ("http", "https"):
                self.found.append(urldefrag(value).url)


def addresses(folder: Path) -> dict[str, str]:
    """Every address outside, and the first page that has it."""
    found: dict[str, str] = {}
    for page in sorted(folder.rglob("*.html")):
        parser = _Addresses()
        parser.feed(page.read_text(encoding="utf-8"))
        for address in parser.found:
            found.setdefault(address, page.relative_to(folder).as_posix())
    return found


def may_fail(text: str) -> dict[str, str]:
    """Beginnings of addresses and why they may fail, from lines `beginning  # reason`.

    Raises: ValueError for a line without a reason.
    """
    allowed = {}
    for line in text.splitlines():
        beginning, _, reason = (part.strip() for part in line.partition(" #"))
        if not beginning or beginning.startswith("#"):
            continue
        if not reason:
            raise ValueError(f"expected a line such as https://host/path  # reason, got {line!r}")
        allowed[beginning] = reason
    return allowed


class _Stay(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_):
        return None


@dataclass
class Asker:
    """Asks politely: `pause` seconds between two questions to a host, `patience` before a second try."""

    pause: float = 2.0
    patience: float = 30.0
    timeout: float = 30.0
    lead_on: tuple[str, ...] = LEAD_ON
    last: dict[str, float] = field(default_factory=dict)

    def trouble(self, address: str) -> str:
        """What is wrong with an address; nothing if it is there."""
        said = ""
        for turn in range(2):
            time.sleep(self.patience * turn)
            for method in ("HEAD", "GET"):
                status, said = self._ask(address, method)
                if status not in NO_HEAD:
                    break
            if status and status < 400:
                return ""
            if status and status not in LATER:
                break
        return said

    def _ask(self, address: str, method: str) -> tuple[int, str]:
        """The status of the answer, or 0 if there is none, and what to say of it."""
        host = urlsplit(address).netloc
        time.sleep(max(0.0, self.last.get(host, 0.0) + self.pause - time.monotonic()))
        stay = [_Stay()] if host in self.lead_on else []
        opener = urllib.request.build_opener(*stay)
        asked = urllib.request.Request(address, method=method, headers={"User-Agent": AGENT})
        try:
            with opener.open(asked, timeout=self.timeout) as answer:
                return answer.status, ""
        except urllib.error.HTTPError as error:
            error.close()
            return error.code, f"answers {error.code} {error.reason}"
        except (OSError, ValueError) as error:
            return 0, f"does not answer: {error}"
        finally:
            self.last[host] = time.monotonic()


def ask(found: dict[str, str], allowed: dict[str, str], asker: Asker) -> tuple[list[str], list[str]]:
    """What is broken, and what may be taken out of the list of those that may fail."""
    broken, works, used = [], [], set()
    for address, page in found.items():
        beginning = next((each for each in allowed if address.startswith(each)), None)
        trouble = asker.trouble(address)
        if beginning:
            used.add(beginning)
            if not trouble:
                works.append(f"{address} works again, but stands in the list of those that may fail")
        elif trouble:
            broken.append(f"{address} {trouble} ({page})")
    works += [f"{each} may fail, but no page has it" for each in allowed if each not in used]
    return broken, works


def show(lines: Iterable[str]) -> None:
    for line in lines:
        print(line, flush=True)


def main() -> None:
    found = addresses(ROOT / "_build" / "html")
    print(f"Asking for {len(found)} addresses, some seconds each", flush=True)
    broken, works = ask(found, may_fail(MAY_FAIL.read_text(encoding="utf-8")), Asker())
    show(works + broken)
    if broken:
        sys.exit(f"make links: {len(broken)} of {len(found)} addresses do not answer as they should")
    print("make links: all are there")


if __name__ == "__main__":
    main()
