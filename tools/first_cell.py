# The book's packages: nothing happens here where they are installed.
import subprocess
import sys
from importlib import invalidate_caches, metadata
from importlib.util import find_spec
from pathlib import Path

WHEEL, LEAST = "regkit-0.1.0-py3-none-any.whl", {"torch": (2, 4), "numpy": (2, 0)}
RELEASE = ""
MODULES = "regbook regkit torch numpy scipy matplotlib PIL ipywidgets".split()


class MissingPackage(ImportError):
    def _render_traceback_(self):  # Jupyter shows the words alone
        return str(self).splitlines()


def fits(name):
    version = find_spec(name) and metadata.version(name).split(".")
    return version and tuple(map(int, version[:2])) >= LEAST[name]


def install(source):
    keep = [f"{name}=={metadata.version(name)}" for name in LEAST if fits(name)]
    pip = [sys.executable, "-m", "pip", "install", "--quiet", *keep]
    done = subprocess.run([*pip, f"regkit[book] @ {source}"], capture_output=True, text=True)
    invalidate_caches()
    return done.returncode and f"pip says: {done.stderr.strip()[-300:]}"


def absent():
    return [name for name in MODULES if not find_spec(name)]


if missing := absent():
    wheels = sorted(Path().glob("regkit-*.whl"))
    source = wheels[-1].resolve().as_uri() if wheels else RELEASE
    trouble = install(source) if source else f"No {WHEEL} lies beside it."
    if missing := absent():
        raise MissingPackage(
            f"This notebook needs {', '.join(missing)}. {trouble}\n"
            "Three ways to get what it needs:\n"
            f"1. Put {WHEEL} into this notebook's folder, and run this\n"
            "   cell again. (The book's page offers both in one zip.)\n"
            f'2. Where that file is: {sys.executable} -m pip install "{WHEEL}[book]"\n'
            "3. In the project's folder: python make.py lab (it opens all chapters)"
        )
    print(f"Installed {source.rpartition('/')[2]}")
