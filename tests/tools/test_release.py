"""The files of a release, and what must agree before there is one."""

from __future__ import annotations

import hashlib
import json
import re
import subprocess
from pathlib import Path

import pytest
import yaml

from tools import release
from tools.toc import ROOT

NEWS = """\
# Changes

## [Unreleased]
{}
## [1.2.0] - 2026-01-02

- Better.

## [1.1.0] - 2025-01-02

- Good.
"""


@pytest.fixture
def sources(tmp_path: Path) -> Path:
    """Sources of a version 1.2.0."""
    texts = {
        "pyproject.toml": '[project]\nversion = "1.2.0"\n',
        "CHANGELOG.md": NEWS.format(""),
        "CITATION.cff": 'cff-version: 1.2.0\nversion: 1.2.0\ndate-released: "2026-01-02"\n',
        ".zenodo.json": '{"version": "1.2.0"}\n',
    }
    for name, text in texts.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    return tmp_path


def test_the_tag_is_the_version(sources):
    assert release.check("v1.2.0", sources) == "1.2.0"
    for tag in ("v1.2.1", "1.2.0", ""):
        with pytest.raises(ValueError, match=r"expected the tag v1\.2\.0"):
            release.check(tag, sources)


def test_the_news_are_those_of_the_version(sources):
    assert release.news("1.2.0", sources) == "- Better.\n"
    with pytest.raises(ValueError, match=r"expected the news of 1\.3\.0 to be the first .* got \[1\.2\.0\]"):
        release.news("1.3.0", sources)
    (sources / "CHANGELOG.md").write_text(NEWS.format("\n- More.\n"), encoding="utf-8")
    with pytest.raises(ValueError, match=r"to be the first of CHANGELOG.md, got \[Unreleased\]"):
        release.check("v1.2.0", sources)


def test_all_that_is_missing_is_said_at_once(sources):
    assert release.faults(sources) == []
    citation = sources / "CITATION.cff"
    citation.write_text('version: 1.1.0\ndate-released: "2025-01-02"\n', encoding="utf-8")
    (sources / ".zenodo.json").write_text('{"version": "1.1.0"}', encoding="utf-8")
    (sources / "CHANGELOG.md").write_text(NEWS.format("\n- More.\n"), encoding="utf-8")
    said = release.faults(sources)
    assert [re.search(r"CHANGELOG.md|CITATION.cff|.zenodo.json", line)[0] for line in said] == [
        *("CHANGELOG.md", "CITATION.cff", ".zenodo.json", "CITATION.cff")
    ]
    assert "expected the date 2026-01-02" in said[-1] and "got 2025-01-02" in said[-1]


def test_between_two_releases_the_check_says_what_the_next_one_needs(sources):
    """And when this is done, the sources are that release."""

    def change(name: str, before: str, after: str) -> None:
        path = sources / name
        text = path.read_text(encoding="utf-8")
        assert before in text
        path.write_text(text.replace(before, after), encoding="utf-8")

    change("pyproject.toml", "1.2.0", "1.3.0.dev0")
    (sources / "CHANGELOG.md").write_text(NEWS.format("\n- More.\n\n"), encoding="utf-8")
    assert release.coming(sources) == "1.3.0" and release.released(sources) == ("1.2.0", "2026-01-02")
    files = ["pyproject.toml", "CHANGELOG.md", "CITATION.cff", ".zenodo.json"]
    said = release.faults(sources)
    assert [re.search("|".join(map(re.escape, files)), line)[0] for line in said] == files
    for tag in ("v1.3.0", "v1.3.0.dev0"):
        with pytest.raises(ValueError, match=r"expected the version 1\.3\.0 in pyproject\.toml"):
            release.check(tag, sources)
    change("pyproject.toml", "1.3.0.dev0", "1.3.0")
    change("CHANGELOG.md", "## [Unreleased]\n", "## [Unreleased]\n\n## [1.3.0] - 2026-03-04\n")
    change(
        "CITATION.cff",
        'version: 1.2.0\ndate-released: "2026-01-02',
        'version: 1.3.0\ndate-released: "2026-03-04',
    )
    change(".zenodo.json", "1.2.0", "1.3.0")
    assert release.faults(sources) == [] and release.check("v1.3.0", sources) == "1.3.0"
    assert release.news("1.3.0", sources) == "- More.\n"


def test_before_there_is_a_tag_the_check_says_what_to_do(monkeypatch, capsys):
    monkeypatch.delenv("TAG", raising=False)
    monkeypatch.setattr(release, "faults", lambda: [])
    release.main(["--check"])
    said = f"make release: these sources can be tagged v{release.version()}: git tag v{release.version()}\n"
    assert capsys.readouterr().out == said
    monkeypatch.setattr(release, "faults", lambda: ["one", "another"])
    with pytest.raises(SystemExit) as ended:
        release.main(["--check"])
    assert str(ended.value).splitlines()[1:3] == ["- one", "- another"]


def test_a_tag_is_needed_to_publish(monkeypatch):
    monkeypatch.delenv("TAG", raising=False)
    with pytest.raises(SystemExit, match="expected the tag"):
        release.main(["--publish"])


def test_the_files_and_their_checksums(tmp_path):
    given = {"regkit-1.2.0-py3-none-any.whl": b"wheel", "regkit-course-1.2.0.zip": b"kit"}
    for name, content in given.items():
        (tmp_path / f"old-{name}").write_bytes(content)
    folder = tmp_path / "release"
    folder.mkdir()
    (folder / "old").touch()
    files = release.collect({name: tmp_path / f"old-{name}" for name in reversed(given)}, folder)
    assert sorted(folder.iterdir()) == sorted(files)
    assert [path.name for path in files] == [*given, "SHA256SUMS"]
    sums = dict(reversed(line.split("  ")) for line in files[-1].read_text(encoding="utf-8").splitlines())
    assert sums == {name: hashlib.sha256(content).hexdigest() for name, content in given.items()}


def test_the_release_is_made_of_a_tag_that_is_there(tmp_path, monkeypatch):
    asked = []

    def run(command, **options):
        asked.append((command, options["input"]))
        return subprocess.CompletedProcess(command, 0)

    monkeypatch.setattr(release.shutil, "which", lambda name: name)
    monkeypatch.setattr(release.subprocess, "run", run)
    release.publish("v1.2.0", [tmp_path / "a"], "- Better.\n")
    [(command, text)] = asked
    assert command[:4] == ["gh", "release", "create", "v1.2.0"] and "--verify-tag" in command
    assert command[-1] == str(tmp_path / "a") and text == "- Better.\n"


def test_options_that_are_unknown_are_named():
    with pytest.raises(SystemExit, match="expected --check, --publish or nothing, got --publsh"):
        release.main(["--publsh"])


def test_what_archives_read_agrees():
    """Zenodo takes .zenodo.json, others CITATION.cff; both say the last release."""
    zenodo = json.loads((ROOT / ".zenodo.json").read_text(encoding="utf-8"))
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert zenodo["version"] == citation["version"] == release.released()[0]
    assert zenodo["title"] == citation["title"] and zenodo["license"] == citation["license"]
    assert [each["name"] for each in zenodo["creators"]] == [each["name"] for each in citation["authors"]]
    assert zenodo["description"] == re.sub(r"\s+", " ", citation["abstract"]).strip()
    assert set(zenodo["keywords"]) == set(citation["keywords"])
    [paper] = zenodo["related_identifiers"]
    assert paper["identifier"] == citation["references"][0]["doi"]
