"""The kit: the whole course in one zip, to be used anywhere without a network; and one for students.

python -m tools.kit            both, in _build/kit, of a book that is built
python -m tools.kit --site     also the pages with links to both, in _build/site, for a web server

A kit holds the pages, the notebooks with the wheel that they need, and a first page, START-HERE.html. What
is for teachers, the slides among it, and the solutions are in the kit of the course only
(`tools/kit_students.py`). The same pages give the same bytes.
"""

from __future__ import annotations

import hashlib
import re
import shutil
import sys
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import nbformat
import yaml
from jinja2 import Environment

from tools import downloads, kit_students
from tools.chapters import appendices, cells, chapters
from tools.copies import COPIES
from tools.release import version
from tools.student import BUILT
from tools.toc import ROOT
from tools.toc import notebooks as book_notebooks
from tools.wheel import wheel

HTML = ROOT / "_build" / "html"
PDF = ROOT / "_build" / "pdf" / "book.pdf"
FOLDER = ROOT / "_build" / "kit"
SITE = ROOT / "_build" / "site"
TEMPLATE = ROOT / "tools" / "kit_files" / "start.html"
START, SUMS = "START-HERE.html", "SHA256SUMS"
PAGES = "book"  # the folder of the pages in a kit
LICENCES = {  # name -> name in a kit, one that Windows opens
    "LICENSE": "LICENSE.txt",
    "LICENSE-content": "LICENSE-content.txt",
    "CITATION.cff": "CITATION.cff",
}
LARGEST = 60_000_000  # bytes: what fits on any stick, and through a slow line
# Of the built book no page of a kit asks for these.
UNUSED = re.compile(r"_sources/|_downloads/|objects\.inv$|\.buildinfo$|.*\.map$")

# The entries of a page's download button that give zips; and a link to one in the text.
_ENTRIES = re.compile(r'(?:<li><a href="((?:\.\./)*)_downloads/[^"]*\.zip".*?</li>\s*)+', re.DOTALL)
_LINK = re.compile(
    r'<a href="((?:\.\./)*)_downloads/regkit-(\w+)-student\.zip">student notebook \(\.zip\)</a>'
)
_ENTRY = """<li><a href="{url}"
   class="btn btn-sm btn-download-notebook-button dropdown-item"
   title="{words}"
   data-bs-placement="left" data-bs-toggle="tooltip"
>
<span class="btn__icon-container">
  <i class="fas {icon}"></i>
  </span>
<span class="btn__text-container">{text}</span>
</a>
</li>
"""


@dataclass(frozen=True)
class Edition:
    """A kit: its name, and for whom it is."""

    stem: str
    teachers: bool
    link: str
    words: str

    @property
    def name(self) -> str:
        """The name of the zip and of the folder in it, without the ending."""
        return f"{self.stem}-{version()}"


COURSE = Edition(
    *("regkit-course", True, "The whole course (.zip)"),
    "Pages, slides and notebooks in one file, to be used without a network",
)
STUDENTS = Edition(
    *("regkit-students", False, "For students (.zip)"),
    "Pages and notebooks without solutions in one file, to be used without a network",
)
EDITIONS = (COURSE, STUDENTS)


def content(edition: Edition, html: Path = HTML, pdf: Path = PDF) -> Iterator[tuple[str, bytes]]:
    """(path, bytes) of all files of a kit, but for the list of checksums."""
    yield START, start(edition, pdf.is_file()).encode()
    yield from _pages(edition, html)
    yield from notebooks("student", sorted(BUILT.iterdir()))
    if edition.teachers:
        yield from notebooks("notebooks", sorted(COPIES.iterdir()))
        if pdf.is_file():
            yield "book.pdf", pdf.read_bytes()
    for name, there in LICENCES.items():
        yield there, (ROOT / name).read_bytes()


def _pages(edition: Edition, html: Path) -> Iterator[tuple[str, bytes]]:
    files = (path.relative_to(html).as_posix() for path in html.rglob("*") if path.is_file())
    names = sorted(name for name in files if not UNUSED.match(name))

    def read(name: str) -> str:
        return in_kit((html / name).read_text(encoding="utf-8"))

    pages = [name for name in names if re.fullmatch(r"(book/.*|search)\.html", name)]
    made = {name: read(name) for name in pages} if edition.teachers else kit_students.pages(pages, read)
    for name in names:
        if name in made:
            yield f"{PAGES}/{name}", made[name].encode()
        elif edition.teachers or not kit_students.for_teachers(name):
            yield f"{PAGES}/{name}", (html / name).read_bytes()


def notebooks(folder: str, files: list[Path]) -> Iterator[tuple[str, bytes]]:
    """Notebooks without their outputs, which the pages show and which are large; what lies beside them."""
    for path in files:
        if path.suffix == ".ipynb":
            notebook = nbformat.read(path, as_version=4)
            for cell in notebook.cells:
                if cell.cell_type == "code":
                    cell.outputs, cell.execution_count = [], None
            yield f"{folder}/{path.name}", (nbformat.writes(notebook) + "\n").encode()
        else:
            yield f"{folder}/{path.name}", path.read_bytes()


def in_kit(page: str) -> str:
    """A page as it is in a kit: notebooks are not downloaded, they lie there already."""

    def entry(found: re.Match) -> str:
        url, words = f"{found[1]}../{START}#notebooks", "Where the notebooks lie in the folder of this kit"
        return _ENTRY.format(url=url, words=words, text="Notebooks of this kit", icon="fa-folder-open")

    page = _ENTRIES.sub(entry, page)
    return _LINK.sub(rf'<a href="\1../{START}#\2">student notebook</a>', page)


def on_site(page: str) -> str:
    """A page as it is where both kits lie beside the notebooks: its download button gives them, too."""

    def entries(found: re.Match) -> str:
        made = []
        for edition in EDITIONS:
            url, look = f"{found[1]}_downloads/{edition.name}.zip", "fa-file-zipper"
            made.append(_ENTRY.format(url=url, words=edition.words, text=edition.link, icon=look))
        return "".join([found[0], *made])

    return _ENTRIES.sub(entries, page)


# ------------------------------------------------------------------------------------- the first page


def start(edition: Edition, pdf: bool) -> str:
    """The first page of a kit."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    environment = Environment(trim_blocks=True, lstrip_blocks=True, autoescape=True)
    page = environment.from_string(TEMPLATE.read_text(encoding="utf-8"))
    needs = project["dependencies"] + project["optional-dependencies"]["book"]
    return page.render(
        edition=edition,
        students=STUDENTS.name,
        version=version(),
        python=project["requires-python"].removeprefix(">="),
        needs=[re.sub(r"[<>=!~].*", "", each) for each in needs],
        wheel=wheel().name,
        groups=_groups(),
        assignments=sorted(path.name for path in BUILT.glob("assignment_*.ipynb")),
        pdf=pdf and edition.teachers,
        sums=SUMS,
        pages=PAGES,
    )


def _groups() -> list[tuple[str, list[dict]]]:
    """The parts of the book that have notebooks, with these."""
    parts = yaml.safe_load((ROOT / "_toc.yml").read_text(encoding="utf-8"))["parts"]
    listed = {path.relative_to(ROOT).with_suffix("").as_posix(): path for path in book_notebooks()}
    groups = []
    for part in parts:
        names = [chapter["file"] for chapter in part["chapters"]]
        if found := [listed[name] for name in names if name in listed]:
            groups.append((part["caption"], [_row(path) for path in found]))
    return groups


def _row(path: Path) -> dict:
    title = cells(path, "markdown")[0].source.splitlines()[0].removeprefix("# ")
    deck = f"{path.name[:2]}.html" if path in chapters() else ""
    return {"title": title, "stem": path.stem, "deck": deck, "appendix": path in appendices()}


# ------------------------------------------------------------------------------------- writing


def write(edition: Edition, folder: Path = FOLDER, html: Path = HTML, pdf: Path = PDF) -> Path:
    """Write the zip of a kit.

    Raises: ValueError if it is larger than it may be.
    """
    files = dict(content(edition, html, pdf))
    sums = (f"{hashlib.sha256(files[name]).hexdigest()}  {name}\n" for name in sorted(files))
    files[SUMS] = "".join(sums).encode()
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.glob(f"{edition.stem}-*.zip"):
        old.unlink()
    path, unfinished = folder / f"{edition.name}.zip", folder / f"{edition.name}.part"
    downloads.pack(unfinished, edition.name, sorted(files.items()))
    if (size := unfinished.stat().st_size) > LARGEST:
        raise ValueError(f"expected a kit of at most {LARGEST:,} bytes, got {size:,} for {path.name}")
    return unfinished.replace(path)


def site(kits: list[Path], folder: Path = SITE, html: Path = HTML) -> None:
    """The pages with the kits beside them, and a link to each in every page's download button."""
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(html, folder)
    for kit in kits:
        shutil.copy(kit, folder / "_downloads")
    for page in folder.rglob("*.html"):
        text = page.read_text(encoding="utf-8")
        if (linked := on_site(text)) != text:
            page.write_text(linked, encoding="utf-8", newline="\n")


def main(options: list[str]) -> None:
    if unknown := {*options} - {"--site"}:
        sys.exit(f"expected --site or nothing, got {' '.join(sorted(unknown))}")
    kits = []
    for edition in EDITIONS:
        try:
            kits.append(write(edition))
        except ValueError as error:
            sys.exit(f"make kit: {error}")
        print(f"{kits[-1]}: {kits[-1].stat().st_size / 1e6:.0f} MB", flush=True)
    if "--site" in options:
        site(kits)
        print(f"The pages, with links to both: {SITE / 'index.html'}")


if __name__ == "__main__":
    main(sys.argv[1:])
