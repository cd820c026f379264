"""The chapter that a new one starts from passes what every chapter must."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tools import new_chapter

COPIED = ("book", "regkit", "regbook", "tests", "tools", "_config.yml", "_toc.yml", "pyproject.toml")
COPIED += (
    ".pre-commit-config.yaml",
    "requirements.txt",
    "README.md",
    "LICENSE",
    "LICENSE-content",
    "CITATION.cff",
    "CHANGELOG.md",
)
ALONE = (
    "format: jb-book\nroot: book/13_example\nchapters:\n  - file: book/glossary\n  - file: book/notation\n"
    "  - file: book/references\n  - file: book/teach/13\n"
)
BUILD = """
from tools import book, copies
from tools.executed import stale
assert [path.stem for path in stale()] == ["13_example"]
assert book.execute(stale())
copies.write()
assert book.pages()
"""


@pytest.fixture(scope="module")
def project(root: Path, tmp_path_factory) -> Path:
    """A copy of this project with a new chapter, 13_example."""
    folder = tmp_path_factory.mktemp("new") / "Ü b"
    folder.mkdir()
    for name in COPIED:
        if (root / name).is_dir():
            shutil.copytree(root / name, folder / name, ignore=shutil.ignore_patterns("__pycache__", ".*"))
        elif (root / name).is_file():
            shutil.copy(root / name, folder)
    written = [path.relative_to(folder).as_posix() for path in new_chapter.write("13", "example", folder)]
    assert written == [
        "book/13_example.ipynb",
        "regbook/experiments/ch13.py",
        "regbook/figures/ch13.py",
        "regbook/practice/ch13.py",
        "tests/regbook/test_experiments_13.py",
        "tests/regbook/test_practice_13.py",
        "tests/book/test_claims_13.py",
        "book/teach/13.md",
        "_toc.yml",
        "book/index.ipynb",
    ]
    return folder


def python(project: Path, *arguments: str) -> str:
    environment = os.environ | {"PYTHONPATH": str(project)}
    command = [sys.executable, *arguments]
    done = subprocess.run(command, cwd=project, env=environment, capture_output=True, encoding="utf-8")
    assert done.returncode == 0, done.stdout[-5000:] + done.stderr[-5000:]
    return done.stdout


def test_its_style_is_that_of_the_rest(project):
    new = ["book/13_example.ipynb", *(place.replace("NN", "13") for place in new_chapter.FILES.values())]
    code = [place for place in new if not place.endswith(".md")]
    python(project, "-m", "ruff", "check", *code)
    python(project, "-m", "ruff", "format", "--check", *code)
    python(project, "-m", "codespell_lib", *new)


@pytest.mark.slow
def test_it_passes_the_rules_of_chapters_and_its_own_tests(project):
    named = ("notebooks", "cards", "questions", "exercises", "glossary", "notation", "teach")
    rules = [f"tests/book/test_{name}.py" for name in named]
    own = [place.replace("NN", "13") for place in new_chapter.FILES.values() if place.startswith("tests/")]
    chosen = [
        "-q",
        "-p",
        "no:cacheprovider",
        "-k",
        "13 or first_page or every_test_of_a_claim or stand_alone",
    ]
    said = python(project, "-m", "pytest", *chosen, *rules, *own, "tests/test_layout.py")
    assert re.search(r"^\d+ passed", said, re.M) and "13_example" not in said


@pytest.mark.slow
def test_it_is_executed_copied_and_shown(project):
    toc = (project / "_toc.yml").read_text(encoding="utf-8")
    (project / "_toc.yml").write_text(ALONE, encoding="utf-8")
    try:
        python(project, "-c", BUILD)
    finally:
        (project / "_toc.yml").write_text(toc, encoding="utf-8")
    page = (project / "_build" / "html" / "book" / "13_example.html").read_text(encoding="utf-8")
    assert "How long may a step be?" in page and '<figure class="rk"' in page


def test_it_stands_after_the_chapter_before_it(project, tmp_path):
    toc = (project / "_toc.yml").read_text(encoding="utf-8")
    assert re.search(r"^(?P<entry> *- file: book/)12_\w+\n(?P=entry)13_example\n", toc, re.M)
    first = json.loads((project / "book" / "index.ipynb").read_text(encoding="utf-8"))
    text = "\n".join("".join(cell["source"]) for cell in first["cells"])
    row = "| [13](13_example.ipynb) | How long may a step be? |  | {{ 13 reading }} + {{ 13 exercises }} |"
    assert re.search(r"^\| \[12\].*\n(?:\| \[A\d\].*\n)*" + re.escape(row) + "$", text, re.M)


@pytest.mark.parametrize(
    ("number", "topic", "words"),
    [
        ("13", "other", "expected the number of a new chapter, got 13, which is there"),
        ("eleven", "other", "expected the number of a chapter, such as 13, got eleven"),
        ("0", "other", "expected the number of a chapter"),
        (
            "13",
            "Beyond affine",
            "expected a topic in small letters and _, such as beyond_affine, got Beyond affine",
        ),
    ],
)
def test_what_cannot_be_is_said_and_nothing_is_written(project, number, topic, words):
    before = sorted(project.rglob("*12*"))
    with pytest.raises(ValueError, match=words):
        new_chapter.write(number, topic, project)
    assert sorted(project.rglob("*12*")) == before
