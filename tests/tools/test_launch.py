"""The buttons that open a notebook elsewhere: only with a repository, and only to what is there."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from urllib.parse import parse_qs, urlsplit

import pytest

from tools import book_pages, lab, launch
from tools.toc import ROOT, notebooks

PAGES = [path.relative_to(ROOT).with_suffix("").as_posix() for path in notebooks()]


@pytest.fixture
def configured(tmp_path: Path):
    """A function that writes _config.yml and returns its folder."""

    def write(text: str) -> Path:
        (tmp_path / "_config.yml").write_text(text, encoding="utf-8")
        return tmp_path

    return write


def test_without_a_repository_there_are_none(configured):
    assert launch.buttons("book/02_spline_images", configured("title: a book\n")) == []


@pytest.mark.parametrize("url", ["https://github.com/a-b/c.d", "https://github.com/a-b/c.d.git"])
def test_with_one_they_lead_to_it(configured, url):
    root = configured(f"repository:\n  url: {url}\n  branch: next/one\n")
    [group] = launch.buttons("book/02_spline_images", root)
    binder, codespaces = group["buttons"]
    opened = "urlpath=lab%2Ftree%2Fnotebooks%2F02_spline_images.ipynb"
    assert binder["url"] == f"https://mybinder.org/v2/gh/a-b/c.d/next%2Fone?{opened}"
    assert codespaces["url"] == "https://codespaces.new/a-b/c.d/tree/next%2Fone"


def test_a_notebook_knows_the_wheel_of_its_release_only_if_there_is_one(configured):
    root, wheel = configured("repository: {url: https://github.com/a/b}"), "regkit-1.2.0-py3-none-any.whl"
    (root / "pyproject.toml").write_text('[project]\nversion = "1.2.0"\n', encoding="utf-8")
    address = f"https://github.com/a/b/releases/download/v1.2.0/{wheel}"
    assert launch.released(wheel, root) == address
    assert launch.released(wheel, configured("title: a book\n")) == ""
    configured("repository: {url: https://github.com/a/b}")
    (root / "pyproject.toml").write_text('[project]\nversion = "1.3.0.dev0"\n', encoding="utf-8")
    assert launch.released(wheel, root) == ""


@pytest.mark.parametrize("url", ["https://example.org/a/b", "github.com/a/b", ""])
def test_an_address_elsewhere_is_an_error(configured, url):
    with pytest.raises(
        ValueError, match=f"expected https://github.com/OWNER/NAME in _config.yml, got {url!r}"
    ):
        launch.repository(configured(f"repository:\n  url: '{url}'\n"))


@pytest.mark.parametrize("page", PAGES)
def test_what_they_open_is_there(configured, page):
    """Binder opens a copy of this page's notebook among those that the containers' command writes."""
    [group] = launch.buttons(page, configured("repository: {url: https://github.com/a/b}"))
    binder, _ = group["buttons"]
    [opened] = parse_qs(urlsplit(binder["url"]).query)["urlpath"]
    folder, name = opened.removeprefix("lab/tree/").split("/")
    assert ROOT / folder == lab.WORK and name in {path.name for path in notebooks()}
    assert (ROOT / "binder" / "environment.yml").is_file() and (ROOT / "binder" / "postBuild").is_file()
    assert '"tools.lab"' in (ROOT / "tools" / "here.py").read_text(encoding="utf-8")


def test_they_say_what_they_need_and_how_long_they_take(configured):
    [group] = launch.buttons(PAGES[0], configured("repository: {url: https://github.com/a/b}"))
    asked = json.loads((ROOT / ".devcontainer" / "devcontainer.json").read_text(encoding="utf-8"))
    needs = asked["hostRequirements"]
    for button in group["buttons"]:
        assert (
            "minutes" in button["text"] and "minutes" in button["tooltip"] and "account" in button["tooltip"]
        )
    assert f"{needs['cpus']} cores and {needs['memory'].removesuffix('gb')} GB" in launch.CODESPACES


@pytest.mark.parametrize("suffix", [".ipynb", ".md"])
@pytest.mark.parametrize("named", [True, False])
def test_pages_that_are_notebooks_get_them(monkeypatch, suffix, named):
    monkeypatch.setattr(launch, "repository", lambda _: ("a/b", "main") if named else None)
    context = {"header_buttons": [{"label": "fullscreen-button"}], "page_source_suffix": suffix}
    book_pages.repair(SimpleNamespace(), PAGES[0], "page.html", context, None)
    labels = [button["label"] for button in context["header_buttons"]]
    assert labels == ["launch-buttons"] * (named and suffix == ".ipynb") + ["fullscreen-button"]
