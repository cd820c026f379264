"""A student's server: gives out the notebooks, limits what a kernel may take, and starts Jupyter.

JupyterHub calls it as the student, in the student's folder. It reads REGKIT_KIT, the folder of the notebooks,
REGKIT_KERNEL_MB, and REGKIT_HOME if that is not the folder that it is called in.
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from pathlib import Path

LAB = Path(__file__).resolve().parent.parent / "tools" / "lab_settings"


def unpack(kit: Path, home: Path) -> Path:
    """The folder with the notebooks of this version, which is made if it is not there, and never changed."""
    [wheel] = kit.glob("regkit-*.whl")
    folder = home / "-".join(wheel.name.split("-")[:2])
    if not folder.exists():
        made = Path(tempfile.mkdtemp(dir=home, prefix=".kit-"))  # whole or not at all
        for path in sorted(kit.iterdir()):
            shutil.copyfile(path, made / path.name)
        made.chmod(0o700)
        made.rename(folder)
    return folder


def limit(megabytes: int) -> None:
    """From here on a process that asks for more gets an error, in Python a MemoryError, and goes on."""
    import resource

    resource.setrlimit(resource.RLIMIT_DATA, (megabytes << 20, megabytes << 20))


def main() -> None:
    home = Path(os.environ.get("REGKIT_HOME") or Path.cwd())
    home.mkdir(exist_ok=True)
    os.chdir(home)
    os.environ["REGKIT_CLASS"] = str(unpack(Path(os.environ["REGKIT_KIT"]), home))
    if sys.platform == "linux":
        limit(int(os.environ["REGKIT_KERNEL_MB"]))
    from jupyterhub.singleuser import main as serve

    sys.argv += [
        f"--ServerApp.root_dir={home}",
        "--ServerApp.jpserver_extensions=class_page=True",
        f"--LabApp.app_settings_dir={LAB}",  # it would ask everybody whether to fetch news
        "--LabApp.news_url=None",
        "--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate",
    ]
    serve()


if __name__ == "__main__":
    main()
