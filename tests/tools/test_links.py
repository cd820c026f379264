"""What `make links` finds, by a server of this computer."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tools import links

NOBODY = "http://127.0.0.1:9/"  # the port "discard", where nothing listens


class Host(BaseHTTPRequestHandler):
    """Answers by the path: /404, /302, /get-only, /later (the first time). Remembers who asked for what."""

    def answer(self):
        asked = self.server.asked
        asked.append((self.command, self.path, self.headers["User-Agent"]))
        name = self.path.strip("/")
        if name == "get-only":
            status = 405 if self.command == "HEAD" else 200
        elif name == "later":
            status = 503 if len([each for each in asked if each[1] == self.path]) == 1 else 200
        else:
            status = int(name)
        self.send_response(status)
        if status == 302:
            self.send_header("Location", "/403")
        self.end_headers()

    do_HEAD = do_GET = answer

    def log_message(self, *_):
        pass


@pytest.fixture
def host() -> Iterator[ThreadingHTTPServer]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Host)
    server.asked = []
    server.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def asker() -> links.Asker:
    return links.Asker(pause=0, patience=0)


def test_addresses_outside_are_found_once_and_without_what_is_not_asked_for(tmp_path: Path):
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "one.html").write_text(
        '<link rel="canonical" href="https://h/canonical"><script src="https://h/s.js"></script>'
        '<a href="https://h/p?q=1&amp;r=2#part">x</a><a href="other.html">x</a><a href="mailto:a@b">x</a>',
        encoding="utf-8",
    )
    (tmp_path / "two.html").write_text('<a href="https://h/p?q=1&r=2#else">x</a><img src="data:,">', "utf-8")
    assert links.addresses(tmp_path) == {"https://h/s.js": "a/one.html", "https://h/p?q=1&r=2": "a/one.html"}


@pytest.mark.parametrize("path", ["/200", "/get-only", "/later"])
def test_an_address_that_is_there(host, asker, path: str):
    assert asker.trouble(host.url + path) == ""
    assert all("regkit" in agent for _, _, agent in host.asked)


@pytest.mark.parametrize(("path", "times"), [("/404", 2), ("/410", 1), ("/500", 2), ("/403", 2)])
def test_an_address_that_is_not(host, asker, path: str, times: int):
    """A second time it is asked by GET, for servers that know no HEAD, or later; not more often."""
    assert path[1:] in asker.trouble(host.url + path)
    assert len(host.asked) == times


def test_nobody_answers(asker):
    assert asker.trouble(NOBODY).startswith("does not answer")


def test_of_some_hosts_it_is_enough_that_they_lead_on(host, asker):
    assert "403" in asker.trouble(host.url + "/302")
    asker.lead_on = (host.url.removeprefix("http://"),)
    host.asked.clear()
    assert asker.trouble(host.url + "/302") == ""
    assert [path for _, path, _ in host.asked] == ["/302"]
    assert "404" in asker.trouble(host.url + "/404")


def test_a_pause_between_two_questions_to_a_host(host, monkeypatch):
    waits = []
    monkeypatch.setattr(links.time, "sleep", waits.append)
    asker = links.Asker(pause=3600)
    asker.trouble(host.url + "/200")
    assert max(waits) == 0
    asker.trouble(host.url + "/200")
    assert 3000 < max(waits) <= 3600
    waits.clear()
    asker.trouble(NOBODY + "elsewhere")  # another host: no wait before the first question
    assert waits[1] == 0


def test_what_may_fail_does_not_and_is_named_when_it_works(host, asker):
    allowed = links.may_fail(f"# a comment\n\n{host.url}/4  # for browsers only\nhttps://gone  # moved\n")
    found = {f"{host.url}{path}": "page.html" for path in ("/403", "/410", "/200")}
    broken, works = links.ask(found, allowed, asker)
    assert broken == [] and works == ["https://gone may fail, but no page has it"]
    broken, works = links.ask(found, {f"{host.url}/200": "down"}, asker)
    assert [line.split()[0] for line in broken] == [f"{host.url}/403", f"{host.url}/410"]
    assert all("(page.html)" in line for line in broken) and "works again" in works[0]


def test_an_exception_needs_a_reason():
    with pytest.raises(ValueError, match=r"expected a line such as .* got 'https://h/x'"):
        links.may_fail("https://h/x")
    links.may_fail(links.MAY_FAIL.read_text(encoding="utf-8"))
