"""The files of a release, with checksums, in _build/release; and the release itself.

python -m tools.release --check      the tag in the variable TAG is the version, and CHANGELOG.md tells of it
python -m tools.release              the files, of a book that is built
python -m tools.release --publish    the same, and a release on GitHub by its program `gh`
"""

from __future__ import annotations

import hashlib
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


def check(tag: str, root: Path = ROOT) -> str:
    """The version, if the tag is that of a release of these sources.

    Raises: ValueError otherwise.
    """
    number = version(root)
    if tag != f"v{number}":
        raise ValueError(f"expected the tag v{number}, for pyproject.toml says {number}, got {tag or 'none'}")
    news(number, root)
    return number


def collect(wheel: Path, number: str, downloads: Path = DOWNLOADS, folder: Path = FOLDER) -> list[Path]:
    """Copies of the wheel and the notebooks' zip, with the version in their names, and their checksums."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    shutil.copy(wheel, folder)
    shutil.copy(downloads / "regkit-notebooks.zip", folder / f"regkit-notebooks-{number}.zip")
    files = sorted(folder.iterdir())
    sums = [f"{hashlib.sha256(file.read_bytes()).hexdigest()}  {file.name}\n" for file in files]
    (folder / SUMS).write_text("".join(sums), encoding="utf-8", newline="\n")
    return [*files, folder / SUMS]


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
    try:
        number = check(tag) if options else version()
    except ValueError as error:
        sys.exit(f"make release: {error}")
    if "--check" in options:
        return print(f"make release: {tag} is the version")
    from tools.wheel import wheel  # it needs what .venv has

    files = collect(wheel(), number)
    if "--publish" in options:
        publish(tag, files, news(number))
    print(f"The release: {', '.join(file.name for file in files)} in {FOLDER}")


if __name__ == "__main__":
    main(sys.argv[1:])
