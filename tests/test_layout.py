"""What may stand where: each rule is read from the source, none is left to memory."""

import ast
import importlib
import io
import json
import re
import sys
import tokenize
import tomllib
from importlib import metadata
from pathlib import Path

import pytest
import yaml
from packaging.version import Version

from tools import release
from tools.api_pages import modules, public
from tools.toc import ROOT, notebooks, pages

MATHEMATICS = {"torch", "numpy", "scipy", "regkit", *sys.stdlib_module_names}
CHAPTERS = ("experiments", "figures", "practice")  # folders of regbook with a module a chapter
LONGEST = 400  # lines of a module of regkit
# Lines of code, without docstrings, comments and empty lines: what a reader can take in.
MOST_CODE = {
    ("grid", "spline", "transforms", "distances", "registration", "optimize"): 900,
    ("motions", "runs"): 230,  # what transforms and optimize stand on
    ("linear", "dual", "implicit", "varpro", "superres"): 750,
}


def files(*folders: str) -> list[Path]:
    """The Python files of the project, or of some of its folders."""
    found = (path for folder in folders or (".",) for path in sorted((ROOT / folder).rglob("*.py")))
    return [path for path in found if not path.relative_to(ROOT).parts[0].startswith((".", "_", "build"))]


def name(path: Path) -> str:
    return str(path.relative_to(ROOT))


def code_cells(path: Path) -> str:
    """The code of a notebook; a line of IPython's own is left out."""
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    sources = ("".join(cell["source"]) for cell in cells if cell["cell_type"] == "code")
    return "\n".join(line for source in sources for line in source.splitlines() if line[:1] not in "%!")


def source(path: Path) -> str:
    return code_cells(path) if path.suffix == ".ipynb" else path.read_text(encoding="utf-8")


def imports(path: Path, inside: bool = True) -> set[str]:
    """The modules that a file imports, by their full names, with what is taken from them; or only those that
    it imports when it is itself imported, not those ``inside`` its functions."""
    found, waiting = set(), [ast.parse(source(path))]
    package = list(path.relative_to(ROOT).parent.parts)
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) + 1 - node.level] if node.level else []
            home = ".".join([*base, *([node.module] if node.module else [])])
            found |= {f"{home}.{alias.name}" for alias in node.names}
        elif inside or not isinstance(node, ast.FunctionDef | ast.Lambda):
            waiting += ast.iter_child_nodes(node)
    return found


def tops(path: Path, inside: bool = True) -> set[str]:
    return {module.split(".")[0] for module in imports(path, inside)}


each_file = pytest.mark.parametrize("path", [*files(), *notebooks()], ids=name)


@pytest.mark.parametrize("path", files("regkit"), ids=name)
def test_regkit_needs_torch_numpy_and_scipy_only(path: Path):
    assert tops(path, inside=False) <= MATHEMATICS
    assert not tops(path) & {"regbook", "book", "tests", "benchmarks", "tools"}


@pytest.mark.parametrize("path", files("regbook"), ids=name)
def test_regbook_knows_nothing_of_what_uses_it(path: Path):
    assert not tops(path) & {"book", "tests", "benchmarks", "tools"}


@each_file
def test_nobody_imports_scripts_or_tests(path: Path):
    inside = {path.relative_to(ROOT).parts[0]} & {"tests"}  # the tests in the browser share helpers
    assert not tops(path) & ({"benchmarks", "tests"} - inside)


@each_file
def test_nobody_bends_the_path(path: Path):
    assert "sys" + ".path" not in source(path)


@pytest.mark.parametrize("path", notebooks(), ids=name)
def test_notebooks_can_be_moved(path: Path):
    """Downloaded alone a notebook runs where regkit and regbook are installed."""
    assert "../" not in code_cells(path) and not re.search(r"\bopen\(", code_cells(path))


def test_for(path: Path) -> str:
    """The file of tests that belongs to a module.

    regkit/spline.py has tests/regkit/test_spline.py, regbook/plots.py has tests/regbook/test_plots.py, a
    folder such as regbook/explore/ has tests/regbook/test_explore.py for all that is in it. Where a folder
    has a module a chapter, each has its own: regbook/practice/ch03.py has tests/regbook/test_practice_03.py.
    """
    package, *folders = path.relative_to(ROOT).parts[:-1]
    of_a_chapter = [re.sub(r"^ch(?=\d\d$)", "", path.stem)] * (path.stem != "__init__")
    parts = [*folders, *of_a_chapter] if {*folders} <= {*CHAPTERS} else folders
    return f"tests/{package}/test_{'_'.join(parts)}.py"


test_for.__test__ = False


def has_tests(path: Path) -> bool:
    """Those with code of their own, but not what every other test runs: the checks of input, the setup of all
    notebooks, and the drawings, which notebooks run and a browser shows."""
    if name(path) in ("regkit/_require.py", "regbook/__init__.py") or path.parent.name == "figures":
        return False
    return any(isinstance(node, ast.FunctionDef | ast.ClassDef) for node in ast.parse(source(path)).body)


@pytest.mark.parametrize("path", [*filter(has_tests, files("regkit", "regbook"))], ids=name)
def test_every_module_has_its_file_of_tests(path: Path):
    assert (ROOT / test_for(path)).is_file(), f"expected {test_for(path)}"


@pytest.mark.parametrize("package", ["regkit", "regbook"])
def test_the_docstring_of_a_package_lists_its_modules(package: str):
    listed = re.findall(
        r"^(?: {4})?([a-z]\w*) {2,}\S", importlib.import_module(package).__doc__, re.MULTILINE
    )
    there = [
        path.stem
        for path in (ROOT / package).iterdir()
        if path.name[0] not in "_." and (path.suffix == ".py" or (path / "__init__.py").is_file())
    ]
    assert sorted(listed) == sorted(there)


@pytest.mark.parametrize("path", files("regkit"), ids=name)
def test_modules_of_regkit_are_short(path: Path):
    assert len(source(path).splitlines()) <= LONGEST


def code_lines(path: Path) -> int:
    """How many lines hold code: neither docstrings nor comments nor nothing."""
    text = source(path)
    lines = set()
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type not in (
            tokenize.COMMENT,
            tokenize.NL,
            tokenize.NEWLINE,
            tokenize.INDENT,
            tokenize.DEDENT,
        ):
            lines |= set(range(token.start[0], token.end[0] + 1)) if token.string else set()
    for node in ast.walk(ast.parse(text)):
        if (
            isinstance(node, ast.Expr)
            and isinstance(node.value, ast.Constant)
            and isinstance(node.value.value, str)
        ):
            lines -= set(range(node.lineno, node.end_lineno + 1))
    return len(lines)


@pytest.mark.parametrize(("names", "most"), MOST_CODE.items())
def test_regkit_can_be_read(names: tuple[str, ...], most: int):
    paths = [ROOT / "regkit" / f"{module}.py" for module in names]
    assert sum(code_lines(path) for path in paths if path.is_file()) <= most


@pytest.mark.parametrize("module", modules(), ids=lambda module: module.__name__)
def test_every_public_name_has_a_page(module):
    """Its page documents all members of the module (tests/browser looks at the names on the built page)."""
    page = ROOT / "book" / "api" / f"{module.__name__.split('.')[1]}.md"
    assert public(module)
    assert page in pages(), f"expected {name(page)} in _toc.yml"
    assert f".. automodule:: {module.__name__}\n" in page.read_text(encoding="utf-8")


def test_the_overview_lists_what_there_is():
    listed = (ROOT / "book" / "api" / "index.md").read_text(encoding="utf-8")
    assert set(re.findall(r"^   (reg\S+)$", listed, re.MULTILINE)) == {
        module.__name__ for module in modules()
    }
    regkit = importlib.import_module("regkit")
    homes = {f"{getattr(regkit, name).__module__}.{name}" for name in regkit.__all__}
    assert set(re.findall(r"^   ~(\S+)$", listed, re.MULTILINE)) == homes


@pytest.mark.parametrize("path", [page for page in pages() if page.parent.name == "book"], ids=name)
def test_links_to_the_reference_lead_to_something(path: Path):
    for page, target in re.findall(r"\]\(api/(\w+)\.md#([\w.]+)\)", path.read_text(encoding="utf-8")):
        module = next(module for module in modules() if module.__name__.split(".")[1] == page)
        home, _, names = target.removeprefix(module.__name__ + ".").partition(".")
        assert home in public(module), f"{target} is not on the page {page}"
        assert not names or hasattr(getattr(module, home), names)


@pytest.mark.parametrize("folder", CHAPTERS)
def test_chapters_stand_alone(folder: str):
    """No chapter and no appendix draws, computes or checks with what belongs to another one."""
    of_a_lesson = re.compile(r"(?:ch\d\d|a\d)$")
    for path in (ROOT / "regbook" / folder).glob("*.py"):
        if not of_a_lesson.match(path.stem):
            continue
        others = {part for module in imports(path) for part in module.split(".") if of_a_lesson.match(part)}
        assert others <= {path.stem}, f"{name(path)} imports {others - {path.stem}}"


def test_hooks_check_with_the_pinned_versions():
    """What pre-commit runs is what `make lint` runs."""
    hooks = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text(encoding="utf-8"))["repos"][0][
        "hooks"
    ]
    used = {package for hook in hooks for package in hook.get("additional_dependencies", [])}
    assert used and used <= set((ROOT / "requirements.txt").read_text(encoding="utf-8").split())


def test_versions_agree():
    """What cites says the last release of the history; pyproject.toml that one, or which one comes next."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    last = release.released()
    assert last == (citation["version"], str(citation["date-released"]))
    version, waiting = Version(project["version"]), release.faults()
    assert version == Version(last[0]) or (version.is_devrelease and version > Version(last[0]))
    assert waiting if version.is_devrelease else not waiting, "news under [Unreleased] need a next version"
    assert importlib.import_module("regkit").__version__ in (project["version"], "0+unknown")
    try:
        assert metadata.version("regkit") == project["version"], (
            "installed from an older state: install it anew"
        )
    except metadata.PackageNotFoundError:
        pass  # run from the folder, without an installation
