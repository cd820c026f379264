"""A class server that runs on this computer for a while, its processes, and what each of them takes.

All of it listens at 127.0.0.1, at ports that are free, in a folder of its own, and ends with this.
"""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from hub import common

ROOT = common.HERE.parent
PATIENCE = 600.0  # seconds for any one step, on a busy computer too


@dataclass
class Hub:
    """A class server that runs, and what was still there after its end."""

    address: str
    work: Path
    process: psutil.Process
    left: list[str] = field(default_factory=list)

    @property
    def log(self) -> str:
        return (self.work / "log.txt").read_text(encoding="utf-8", errors="replace")


@contextmanager
def running(work: Path, port: int = 0, **more: str) -> Iterator[Hub]:
    """A class server in the folder `work`; on leaving all its processes end."""
    port = port or free()
    settings = {common.SWITCH: "1", "REGKIT_HUB_WORK": str(work), "REGKIT_HUB_PORT": str(port)} | more
    command = [sys.executable, "-m", "jupyterhub", "-f", str(common.HERE / "local.py")]
    with (work / "log.txt").open("w") as log:
        process = subprocess.Popen(
            command, cwd=ROOT, env=os.environ | settings, stdout=log, stderr=log, start_new_session=True
        )
    hub = Hub(f"http://127.0.0.1:{port}", work, psutil.Process(process.pid))
    try:
        end = time.monotonic() + PATIENCE
        while "JupyterHub is now running" not in hub.log:
            if process.poll() is not None or time.monotonic() > end:
                raise RuntimeError(f"the class server did not start:\n{hub.log[-3000:]}")
            time.sleep(0.1)
        yield hub
    finally:
        seen = {each: words(each) for each in family(hub.process)}
        process.send_signal(signal.SIGINT)  # ends the students' servers, the services and the proxy, too
        with suppress(subprocess.TimeoutExpired):
            process.wait(120)
        for left in {*psutil.wait_procs([*seen], 30)[1], *orphans(work)}:
            hub.left.append(" ".join(seen.get(left) or words(left))[:200])
            left.kill()


def free() -> int:
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        return held.getsockname()[1]


def family(process: psutil.Process) -> list[psutil.Process]:
    """A process and all that it started, as far as they live."""
    try:
        return [process, *process.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []


def orphans(work: Path) -> list[psutil.Process]:
    """What works in a folder, whoever started it."""
    found = []
    for process in psutil.process_iter():
        with suppress(psutil.Error, OSError):
            if Path(process.cwd()).is_relative_to(work):
                found.append(process)
    return found


def words(process: psutil.Process) -> list[str]:
    try:
        return process.cmdline()
    except psutil.Error:
        return []


def kind(process: psutil.Process) -> str:
    """Whether it is a student's server, a kernel, or neither."""
    started = words(process)
    if str(common.HERE / "start.py") in started:
        return "server"
    return "kernel" if "ipykernel_launcher" in started else ""


def peak(process: psutil.Process) -> float:
    """The most megabytes that a process has had in memory so far; where nobody says, those that it has."""
    status = Path(f"/proc/{process.pid}/status")
    if status.is_file():
        return int(re.search(r"VmHWM:\s+(\d+)", status.read_text(encoding="ascii"))[1]) / 1024
    return process.memory_info().rss / 2**20
