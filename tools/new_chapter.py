"""Write what a new chapter needs: `python make.py chapter 13 topic`.

A small chapter on gradient descent that passes all tests, to be rewritten section by section: notebook,
experiments, figures, checkers of the exercises, tests of the three and of the claim, a page for teachers; and
its entries in _toc.yml and in the list of the first page.
"""

from __future__ import annotations

import hashlib
import json
import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PARTS = Path(__file__).resolve().parent / "new_chapter_files"
FILES = {
    "experiments.txt": "regbook/experiments/chNN.py",
    "figures.txt": "regbook/figures/chNN.py",
    "practice.txt": "regbook/practice/chNN.py",
    "test_experiments.txt": "tests/regbook/test_experiments_NN.py",
    "test_practice.txt": "tests/regbook/test_practice_NN.py",
    "test_claims.txt": "tests/book/test_claims_NN.py",
    "teach.txt": "book/teach/NN.md",
}
ENTRY = re.compile(r"^( *- file: book/)(\d\d)_\w+\n", re.M)
PAGE = re.compile(r"^( *- file: book/teach/)(\d\d)\n", re.M)  # for teachers
# A row of the first page's table, with those of the chapter's appendices below it.
ROW = re.compile(r"^\| \[(\d+)\]\((\d\d)_\w+\.ipynb\) \|.*\n?(?:\| \[A\d\].*\n?)*", re.M)


def write(number: str, topic: str, root: Path = ROOT) -> list[Path]:
    """Write the files of chapter `number`, "13" for one, on `topic`; returns those that are new or changed.

    Raises: ValueError for a number or a topic that cannot be, or that is there already.
    """
    if not re.fullmatch(r"[1-9]\d?", number.lstrip("0") or "0"):
        raise ValueError(f"expected the number of a chapter, such as 13, got {number}")
    if not re.fullmatch(r"[a-z][a-z0-9_]*", topic):
        raise ValueError(f"expected a topic in small letters and _, such as beyond_affine, got {topic}")
    two = f"{int(number):02d}"
    toc = (root / "_toc.yml").read_text(encoding="utf-8")
    if two in (entry[2] for entry in ENTRY.finditer(toc)) or sorted((root / "book").glob(f"{two}_*.ipynb")):
        raise ValueError(f"expected the number of a new chapter, got {number}, which is there")
    contents = {root / "book" / f"{two}_{topic}.ipynb": _notebook(_filled("notebook.txt", two))}
    for part, place in FILES.items():
        contents[root / place.replace("NN", two)] = _filled(part, two).replace("TOPIC", topic)
    if there := [path for path in contents if path.exists()]:
        raise ValueError(f"expected no file {there[0].relative_to(root)}, but it is there")
    toc = _after(toc, ENTRY, two, rf"\g<1>{two}_{topic}\n")
    contents[root / "_toc.yml"] = _after(toc, PAGE, two, rf"\g<1>{two}\n")
    contents[root / "book" / "index.ipynb"] = _first_page(root / "book" / "index.ipynb", two, topic)
    for path, content in contents.items():
        path.write_text(content, encoding="utf-8", newline="\n")
    return list(contents)


def _filled(part: str, two: str) -> str:
    text = (PARTS / part).read_text(encoding="utf-8")
    return text.replace("NUMBER", str(int(two))).replace("NN", two)


def _notebook(text: str) -> str:
    """A notebook from cells that begin with lines such as ``%% code hide-input``."""
    cells = []
    for head, source in re.findall(r"^%% ([^\n]+)\n(.*?)(?=^%% |\Z)", text, re.M | re.S):
        kind, *tags = head.split()
        identity = hashlib.sha256(f"{len(cells)} {source}".encode()).hexdigest()[:8]
        lines = source.strip("\n").splitlines(keepends=True)
        cell = {"cell_type": "markdown", "id": identity, "metadata": {}, "source": lines}
        if kind == "code":
            folded = {"outputs_hidden": True, "source_hidden": True}
            metadata = ({"jupyter": folded} if "solution" in tags else {}) | ({"tags": tags} if tags else {})
            cell = {"cell_type": "code", "execution_count": None, "id": identity}
            cell |= {"metadata": metadata, "outputs": [], "source": lines}
        cells.append(cell)
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    about = {"kernelspec": kernel, "language_info": {"name": "python"}}
    return _json({"cells": cells, "metadata": about, "nbformat": 4, "nbformat_minor": 5})


def _json(notebook: dict) -> str:
    return json.dumps(notebook, ensure_ascii=False, indent=1) + "\n"


def _after(text: str, line: re.Pattern, two: str, new: str) -> str:
    """`text` with a new line below that of the last chapter before this one."""
    before = [found for found in line.finditer(text) if found[2] < two]
    if not before:
        raise ValueError(f"expected a list of chapters with one before {two}, got none")
    last = before[-1]
    end = "" if last[0].endswith("\n") else "\n"
    return text[: last.end()] + end + last.expand(new).rstrip("\n" if end else "") + text[last.end() :]


def _first_page(path: Path, two: str, topic: str) -> str:
    """The first page with the chapter in its list: number, question, what it needs, minutes."""
    question = re.search(r"^# \w+\. (.+)$", (PARTS / "notebook.txt").read_text(encoding="utf-8"), re.M)[1]
    times = f"{{{{ {two} reading }}}} + {{{{ {two} exercises }}}}"
    row = rf"| [{int(two)}]({two}_{topic}.ipynb) | {question} |  | {times} |" + "\n"
    notebook = json.loads(path.read_text(encoding="utf-8"))
    for cell in notebook["cells"]:
        source = "".join(cell["source"])
        if ROW.search(source):
            cell["source"] = _after(source, ROW, two, row.replace("\\", r"\\")).splitlines(keepends=True)
            return _json(notebook)
    raise ValueError(f"expected a list of the chapters on {path.name}, found none")


def main() -> None:
    if len(sys.argv) != 3:
        sys.exit("expected a number and a topic: python make.py chapter 13 topic")
    try:
        written = write(*sys.argv[1:])
    except ValueError as error:
        sys.exit(str(error))
    for path in written:
        print(path.relative_to(ROOT).as_posix())
    print("Rewrite these; CONTRIBUTING.md says how a chapter is made.")


if __name__ == "__main__":
    main()
