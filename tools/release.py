"""The files of a release, with checksums, in _build/release; and the release itself.

python -m tools.release --check      are these sources a release, and of the version of the tag in TAG?
python -m tools.release              the files, of a book that is built
python -m tools.release --publish    the same, and a release on GitHub by its program `gh`

Between two releases pyproject.toml says which one comes next, as 1.3.0.dev0, and CHANGELOG.md collects the
news of it under [Unreleased]; what archives read, CITATION.cff and .zenodo.json, still says the last one.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / "_build" / "release"
DOWNLOADS = ROOT / "_build" / "html" / "_downloads"
SUMS = "SHA256SUMS"


def version(root: Path = ROOT) -> str:
    """The version that pyproject.toml says."""
    return tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]


def coming(root: Path = ROOT) -> str:
    """The version that these sources are, or are on their way to: 1.3.0 also where they say 1.3.0.dev0."""
    return version(root).partition(".dev")[0]


def released(root: Path = ROOT) -> tuple[str, str]:
    """The last version in CHANGELOG.md that has a date, and this."""
    text = (root / "CHANGELOG.md").read_text(encoding="utf-8")
    number, date = re.search(r"^## \[(\d\S*)\] - (\d{4}-\d\d-\d\d)$", text, flags=re.M).groups()
    return number, date


def news(number: str, root: Path = ROOT) -> str:
    """What CHANGELOG.md tells of a version.

    Raises: ValueError unless it has a section with a date, and nothing waits above it.
    """
    text = (root / "CHANGELOG.md").read_text(encoding="utf-8")
    sections = re.split(r"^## \[(.+?)\](.*)\n", text, flags=re.M)[1:]
    for name, rest, body in zip(sections[::3], sections[1::3], sections[2::3], strict=True):
        if name == number and re.fullmatch(r" - \d{4}-\d\d-\d\d", rest):
            return body.strip() + "\n"
        if body.strip():
            raise ValueError(
                f"expected the news of {number} to be the first of CHANGELOG.md, got [{name}]{rest}"
            )
    raise ValueError(f"expected a section [{number}] with a date in CHANGELOG.md, got none")


def faults(root: Path = ROOT) -> list[str]:
    """What these sources lack to be a release: files that say another version, or news of it."""
    number, found = coming(root), []
    if version(root) != number:
        found.append(f"expected the version {number} in pyproject.toml, got {version(root)}")
    try:
        news(number, root)
    except ValueError as error:
        found.append(str(error))
    citation = (root / "CITATION.cff").read_text(encoding="utf-8")
    cited = re.search(r"^version: *['\"]?([^'\"\s]+)", citation, flags=re.M)
    archived = json.loads((root / ".zenodo.json").read_text(encoding="utf-8"))["version"]
    for name, said in {"CITATION.cff": cited[1] if cited else None, ".zenodo.json": archived}.items():
        if said != number:
            found.append(f"expected the version {number} in {name}, got {said}")
    date = re.search(
        rf"^## \[{re.escape(number)}\] - (\S+)", (root / "CHANGELOG.md").read_text("utf-8"), flags=re.M
    )
    cited = re.search(r"^date-released: *['\"]?([^'\"\s]+)", citation, flags=re.M)
    if date and (cited is None or cited[1] != date[1]):
        found.append(f"expected the date {date[1]} in CITATION.cff, got {cited[1] if cited else None}")
    return found


def check(tag: str, root: Path = ROOT) -> str:
    """The version, if these sources are a release, and the tag is its own.

    Raises: ValueError otherwise, with all that is missing.
    """
    number = coming(root)
    found = faults(root)
    if tag != f"v{number}":
        found.insert(0, f"expected the tag v{number}, for pyproject.toml says so, got {tag or 'none'}")
    if found:
        raise ValueError("; ".join(found))
    return number


def collect(files: dict[str, Path], folder: Path = FOLDER) -> list[Path]:
    """Copies of these files under the names given, and their checksums."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    copied = [Path(shutil.copy(files[name], folder / name)) for name in sorted(files)]
    sums = [f"{hashlib.sha256(file.read_bytes()).hexdigest()}  {file.name}\n" for file in copied]
    (folder / SUMS).write_text("".join(sums), encoding="utf-8", newline="\n")
    return [*copied, folder / SUMS]


def publish(tag: str, files: list[Path], text: str) -> None:
    """Make the release of a tag that is there, by the program `gh`, which reads GH_TOKEN."""
    command = ["gh", "release", "create", tag, "--verify-tag", "--title", tag, "--notes-file", "-"]
    if not shutil.which("gh"):
        sys.exit("make release: the program gh is missing; the files are in _build/release")
    done = subprocess.run([*command, *map(str, files)], cwd=ROOT, input=text, encoding="utf-8")
    if done.returncode:
        sys.exit(done.returncode)


def main(options: list[str]) -> None:
    tag = os.environ.get("TAG", "")
    if unknown := {*options} - {"--check", "--publish"}:
        sys.exit(f"expected --check, --publish or nothing, got {' '.join(sorted(unknown))}")
    number = version()
    if "--check" in options and not tag:  # by hand, before there is one
        if missing := faults():
            lines = [f"make release: what is to be changed for version {coming()}", *missing]
            sys.exit(
                "\n- ".join(lines) + "\nThen ask again, and tag. CONTRIBUTING.md, Publishing, says more."
            )
        return print(f"make release: these sources can be tagged v{number}: git tag v{number}")
    try:
        if options:
            check(tag)
    except ValueError as error:
        sys.exit(f"make release: {error}")
    if "--check" in options:
        return print(f"make release: {tag} is the version")
    from tools import kit  # it needs what .venv has
    from tools.wheel import wheel

    files = {wheel().name: wheel(), f"regkit-notebooks-{number}.zip": DOWNLOADS / "regkit-notebooks.zip"}
    files |= {path.name: path for path in map(kit.write, kit.EDITIONS)}
    if kit.PDF.is_file():
        files[f"regkit-book-{number}.pdf"] = kit.PDF
    collected = collect(files)
    if "--publish" in options:
        publish(tag, collected, news(number))
    print(f"The release: {', '.join(file.name for file in collected)} in {FOLDER}")


if __name__ == "__main__":
    main(sys.argv[1:])
