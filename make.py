"""The commands of this project, on every computer: `python make.py help` lists them.

Needs Python 3.11 or newer and nothing else: what a command uses is installed into .venv first.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent
OLDEST = (3, 11)
VENV = ROOT / ".venv"
PY = VENV / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
BUILD = ROOT / "_build"
HTML = BUILD / "html"
PAGES_FROM = "book regkit regbook tools _config.yml _toc.yml pyproject.toml requirements.txt".split()
PAGES_FROM += ["tests/regbook"]  # the wrong answers on the pages for teachers
PINS = ("requirements.txt", *([] if os.name == "nt" else ["hub/requirements.txt"]))  # no JupyterHub there
MADE = (".venv", "_build", "build", "dist", "regkit.egg-info", ".pytest_cache", ".ruff_cache")


def help(*_: str) -> None:
    """Show this list"""
    me = "make" if "MAKELEVEL" in os.environ else "python make.py"
    for name, command in COMMANDS.items():
        print(f"  {me} {name:9}{command.__doc__}")


def book(*_: str) -> None:
    """Build the book into _build/html (executes the notebooks that must be)"""
    install()
    stamp, state = BUILD / "pages", digest(PAGES_FROM)
    if not (HTML / "index.html").is_file() or not same(stamp, state):
        run(PY, "-m", "tools.book")
        stamp.write_text(state, encoding="utf-8")
    print(f"The book: {HTML / 'index.html'}", flush=True)


def test(*options: str) -> None:
    """Build the book and check everything: packages, chapters, pages in a browser"""
    book()
    chromium()
    if pytest("tests", "regkit", "regbook", *options).returncode:
        sys.exit("make test: FAILED, see above")
    print("make test: everything passed")


def check(*options: str) -> None:
    """The quick checks, in about two minutes: style, and the tests of regkit"""
    lint()
    if pytest("tests/regkit", "regkit", "-m", "not slow", *options).returncode:
        sys.exit("make check: FAILED, see above")


def lint(*_: str) -> None:
    """Check the style of the code, the spelling, and that notebooks are stored without outputs"""
    install()
    checks = ("ruff check .", "ruff format --check .", "codespell_lib", "tools.no_outputs")
    if any([run(PY, "-m", *command.split(), check=False).returncode for command in checks]):
        sys.exit("make lint: FAILED, see above")


def lab(*folder: str) -> None:
    """Open whole copies of the notebooks in JupyterLab, to work in; with the option book, their sources"""
    install()
    if not folder:
        run(PY, "-m", "tools.lab")
    page = f"/lab/tree/{folder[0] if folder else 'notebooks/index.ipynb'}"
    quiet = [
        f"--LabApp.app_settings_dir={ROOT / 'tools' / 'lab_settings'}"
    ]  # asks nobody whether it may fetch
    quiet += ["--LabApp.news_url=None", "--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate"]
    run(PY, "-m", "jupyterlab", "--ServerApp.root_dir=.", f"--LabApp.default_url={page}", *quiet)


def student(*_: str) -> None:
    """Write the notebooks for students, without any solution, into student/"""
    install()
    run(PY, "-m", "tools.student")


def grade(*options: str) -> None:
    """Grade notebooks: make grade SUBMISSIONS=folder SEED=7, or grade folder --seed 7"""
    install()
    given = os.environ.get("SUBMISSIONS"), os.environ.get("SEED")
    named = [*([given[0]] if given[0] else []), *(["--seed", given[1]] if given[1] else [])]
    run(PY, "-m", "tools.grade", *named, *options)


def otter(*options: str) -> None:
    """Write the assignments for Otter-Grader, with Gradescope or Canvas: make otter SEED=7"""
    install()
    seed = os.environ.get("SEED")
    run(PY, "-m", "tools.otter", *(["--seed", seed] if seed else []), *options)


def hub(*options: str) -> None:
    """Start a class server on this computer, for a try; how to have a real one: hub/README.md"""
    install()
    run(PY, "-m", "tools.student")
    run(PY, "-m", "hub.rehearse", *options)


def hub_test(*options: str) -> None:
    """Rehearse a class on this computer, with simulated students; --students 40, --record"""
    install()
    run(PY, "-m", "tools.student")
    run(PY, "-m", "hub.rehearse", *(options or ("--students", "12")))


def pdf(*_: str) -> None:
    """Print the book into one PDF, _build/pdf/book.pdf, by the Chromium of the tests"""
    book()
    chromium()
    run(PY, "-m", "tools.pdf")


def serve(*_: str) -> None:
    """Serve the built book on this computer, at http://localhost:8000"""
    from functools import partial
    from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

    book()
    pages = partial(SimpleHTTPRequestHandler, directory=str(HTML))
    ThreadingHTTPServer.allow_reuse_address = os.name != "nt"  # there it would share a port that is taken
    for port in range(8000, 8100):
        try:
            server = ThreadingHTTPServer(("127.0.0.1", port), pages)
        except OSError:
            continue
        print(f"The book is at http://localhost:{port} until you press Ctrl+C", flush=True)
        return server.serve_forever()
    sys.exit("No port from 8000 to 8099 is free: end another server first")


def records(*options: str) -> None:
    """Make the recorded runs anew, and say which differ; --jobs N, --dask ADDRESS, --fresh"""
    install()
    papers = ("reproduction",) if os.environ.get("REGKIT_DATA") else ()
    always = ("continuation", "superres", "superres_large", "differentiating_cg", "beyond_affine")
    for name in (*always, *papers):
        run(PY, f"benchmarks/{name}.py", "record", *options)


def pins(*options: str) -> None:
    """Fit the files of pinned packages to pyproject.toml anew; with --upgrade to the newest of all"""
    run(sys.executable, "tools/pins.py", *options)


def versions(*words: str) -> None:
    """Test regkit with the oldest and the newest dependencies that are allowed, or with oldest or newest"""
    run(sys.executable, "tools/versions.py", *words)


def links(*_: str) -> None:
    """Ask all addresses outside the book whether they are there (needs a network)"""
    book()
    run(PY, "-m", "tools.links")


def kit(*options: str) -> None:
    """Put the whole course, to be used offline, into one zip, and what students get into another"""
    book()
    run(PY, "-m", "tools.kit", *options)


def release(*options: str) -> None:
    """Put the files of a release and their checksums into _build/release"""
    if "--check" in options:  # before the long work
        return run(sys.executable, "-m", "tools.release", *options)
    book()
    run(PY, "-m", "tools.release", *options)


def here(*_: str) -> None:
    """Install into the Python that runs this, and write notebooks/: for containers"""
    run(sys.executable, "tools/here.py")


def chapter(*words: str) -> None:
    """Write a new chapter to start from, with all that belongs to it: chapter 13 topic"""
    run(sys.executable, "tools/new_chapter.py", *words)


def clean(*_: str) -> None:
    """Remove what the other commands made"""
    for name in MADE:
        shutil.rmtree(ROOT / name, ignore_errors=True)


COMMANDS = {
    f.__name__.replace("_", "-"): f
    for f in (
        help,
        book,
        test,
        check,
        lint,
        lab,
        student,
        grade,
        otter,
        hub,
        hub_test,
        pdf,
        serve,
        records,
        pins,
        versions,
        links,
        kit,
        release,
        here,
        chapter,
        clean,
    )
}


# ---------------------------------------------------------------------------------------- what they use


def install() -> None:
    """Make .venv with the pinned packages and this project, unless it is there and as it should be."""
    import tomllib

    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    asked = [project["project"], project["build-system"], project["tool"]["setuptools"]]
    stamp, state = VENV / "installed", digest(PINS, f"{ROOT} {asked}")
    if PY.is_file() and same(stamp, state):
        return
    if not PY.is_file():
        print(f"Making .venv with Python {sys.version.split()[0]}", flush=True)
        run(sys.executable, "-m", "venv", VENV)
    print("Installing the pinned packages (a few minutes the first time)", flush=True)
    pip = (PY, "-m", "pip", "install", "--disable-pip-version-check")
    run(*pip, "--progress-bar", "on", *(part for name in PINS for part in ("-r", name)))
    run(*pip, "--quiet", "--no-deps", "--no-build-isolation", "--editable", ".")
    stamp.write_text(state, encoding="utf-8")


def digest(names, also: str = "") -> str:
    """A text that changes with the contents of these files and folders, and with `also`."""
    state = hashlib.sha256(also.encode())
    for name in names:
        path = ROOT / name
        for file in sorted(path.rglob("*")) if path.is_dir() else [path]:
            parts = file.relative_to(ROOT).parts
            if file.is_file() and not any(part == "__pycache__" or part.startswith(".") for part in parts):
                state.update(f"{parts} {hashlib.sha256(file.read_bytes()).hexdigest()}".encode())
    return state.hexdigest()


def same(stamp: Path, state: str) -> bool:
    return stamp.is_file() and stamp.read_text(encoding="utf-8") == state


def run(*command, check: bool = True, **options) -> subprocess.CompletedProcess:
    """Run a command in the folder of the project; if it fails, so does this one."""
    done = subprocess.run([str(part) for part in command], cwd=ROOT, **options)
    if check and done.returncode:
        sys.exit(done.returncode)
    return done


def chromium() -> None:
    """Let the variable CHROMIUM name a browser that starts; install one where there is none."""
    found = run(PY, "tools/chromium.py", stdout=subprocess.PIPE, encoding="utf-8")
    os.environ["CHROMIUM"] = found.stdout.strip()


def pytest(*options: str) -> subprocess.CompletedProcess:
    parallel = "-n 2 --dist loadfile --no-loadscope-reorder".split()  # in the order of tests/conftest.py
    return run(PY, "-m", "pytest", *parallel, *options, check=False)


def go_on_with_a_newer_python() -> None:
    """This Python is too old: give the command to one on the PATH that is not."""
    for name in ("python3", "python3.14", "python3.13", "python3.12", "python3.11", "python"):
        path = shutil.which(name)
        new_enough = f"import sys; sys.exit(sys.version_info < {OLDEST})"
        if path and subprocess.run([path, "-c", new_enough], stderr=subprocess.DEVNULL).returncode == 0:
            sys.exit(subprocess.run([path, __file__, *sys.argv[1:]]).returncode)
    sys.exit(
        f"Python 3.11 or newer is needed, this is {sys.version.split()[0]}, and none is on the PATH;\n"
        "if you have one elsewhere, name it: make book PYTHON=/path/to/python3.12"
    )


def main() -> None:
    # Most arrays of the book are small: more threads than one cost time there, above all on a busy computer.
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    os.environ["PYTHONUTF8"] = "1"  # the same text on every system
    name, options = (sys.argv[1] if len(sys.argv) > 1 else "help"), sys.argv[2:]
    if name in ("-h", "--help"):
        name = "help"
    if name not in COMMANDS:
        help()
        sys.exit(f"expected one of these commands, got {name}")
    try:
        COMMANDS[name](*options)
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    if sys.version_info < OLDEST:
        go_on_with_a_newer_python()
    main()
