"""One answer in a process of its own: with limits, judged by a checker that is not the student's.

These are limits, not a sandbox: they keep accidents from the other marks. Who means harm finds a way, so
grade in an account or a container that has nothing to lose.
"""

from __future__ import annotations

import ast
import builtins
import contextlib
import ctypes
import importlib
import inspect
import io
import json
import os
import re
import resource
import signal
import sys
import tempfile
import time
import traceback
import warnings
from collections import deque
from dataclasses import dataclass
from multiprocessing import get_context
from multiprocessing.connection import wait
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import scipy.linalg
import torch
import torch._dynamo  # torch.func would import it in each process anew, and it makes a folder

from regbook.practice import report

PATIENCE = 6  # times the seconds of computing may pass on the clock: other work, and answers that sleep
MOST_WRITTEN, MOST_SAID, MUCH_PRINTED = 16 << 20, 1500, 1 << 20  # bytes of a file, of a message, of output
OWN, OTHER = "the cell", "another cell"  # as an answer's code is called in its errors
WATCHED = (builtins, report, torch, torch.Tensor, torch.linalg, torch.func, np, np.linalg, scipy.linalg)
CHANGES = {"open", "os.remove", "os.rename", "os.rmdir", "os.mkdir", "os.truncate", "os.chmod", "os.link"}
REFUSED = {
    "asks the network": re.compile(r"socket\.(connect|getaddrinfo|gethostby|send|bind)"),
    "starts or stops a process": re.compile(r"os\.(system|exec|posix_spawn|spawn|fork|kill)|subprocess|pty"),
}
TO_WRITE = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND


@dataclass(frozen=True)
class Task:
    """One answer: what to run before it and of it, the name of its function, and its checker."""

    key: tuple[str, str]
    names: dict  # what the teacher's notebook imports and defines
    before: list[ast.stmt]
    own: list[ast.stmt]
    function: str  # empty: numbers, in the call of the checker
    checkers: str  # the module
    check: str
    note: str
    seed: int
    seconds: int
    memory: int  # bytes


class Counted(io.TextIOBase):
    """Where an answer prints: it is counted and not kept."""

    size = 0

    def write(self, text: str) -> int:
        self.size += len(text)
        return len(text)


def limit(task: Task, folder: str) -> list[str]:
    """Set the limits for this process; the list will hold what was refused."""
    os.setsid()
    libc, new_user_and_network = ctypes.CDLL(None), 0x10000000 | 0x40000000
    if hasattr(libc, "unshare"):
        libc.unshare(new_user_and_network)  # no network, where the kernel allows it
    status = Path("/proc/self/status")
    used = int(re.search(r"VmData:\s*(\d+)", status.read_text())[1]) << 10 if status.exists() else 0
    resource.setrlimit(resource.RLIMIT_DATA, (used + task.memory,) * 2)
    resource.setrlimit(resource.RLIMIT_CPU, (task.seconds, task.seconds + 1))
    resource.setrlimit(resource.RLIMIT_FSIZE, (MOST_WRITTEN,) * 2)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    os.chdir(folder)
    tempfile.tempdir = os.environ["MPLCONFIGDIR"] = folder
    nothing, refused = os.open(os.devnull, os.O_RDWR), []
    for stream in (0, 1, 2):
        os.dup2(nothing, stream)

    def hook(event: str, given: tuple) -> None:
        why = next((words for words, events in REFUSED.items() if events.match(event)), "")
        if event in CHANGES and isinstance(given[0], str | bytes | os.PathLike):
            reads = event == "open" and not (given[2] or 0) & TO_WRITE and not {*(given[1] or "")} & {*"wax+"}
            place = os.path.realpath(os.fsdecode(given[0]))
            if not reads and place != os.devnull and not place.startswith(folder + os.sep):
                why = "changes files outside of its folder"
        if why:
            refused.append(why)
            raise PermissionError(f"this {why}, which is not allowed here")

    sys.addaudithook(hook)
    return refused


def judge(pipe, task: Task, folder: str) -> None:
    """Run one answer and its checker; send a status, a sentence and a note."""
    checkers = importlib.import_module(task.checkers)
    torch.set_default_dtype(torch.float64)  # as in all notebooks
    watched = [(place, dict(vars(place))) for place in (*WATCHED, checkers)]
    refused, printed = limit(task, folder), Counted()
    sys.stdout = sys.stderr = printed
    warnings.simplefilter("ignore")
    torch.manual_seed(task.seed)
    try:
        said = asked(checkers, task)
        status = "right" if said.startswith("Right") else "not done" if "not done yet" in said else "wrong"
    except report.Wrong as wrong:
        status, said = "wrong", report.sentence(str(wrong))
    except BaseException as error:
        status, said = "error", f"Your answer raises {type(error).__name__}{where(error)}: {error}"
        if isinstance(error, MemoryError) or "allocate memory" in said:
            status, said = "memory", "Your answer needs more memory than it may have."
        elif isinstance(error, SystemExit | KeyboardInterrupt):
            status, said = "ended", "Your answer ends the program."
        elif refused:
            status, said = "refused", f"Your answer {refused[0]}, which is not allowed here."
    if any(changed(place, old) for place, old in watched):
        status, said = "changed the checker", "Your answer changes functions that are not its own."
    much = f"printed {printed.size >> 20} MB" if printed.size > MUCH_PRINTED else ""
    note = ", ".join(filter(None, [task.note, much, *sorted({*refused})]))
    os.write(pipe.fileno(), json.dumps([status, said[:MOST_SAID], note]).encode())
    os._exit(0)


def where(error: BaseException) -> str:
    """The last line of the student's cells that an error went through."""
    frames = [f for f in traceback.extract_tb(error.__traceback__) if f.filename in (OWN, OTHER)]
    return f" in line {frames[-1].lineno} of {frames[-1].filename}" if frames else ""


def changed(place, old: dict) -> bool:
    """Is something else there under an old name, or, in a class, something new?"""
    new = vars(place)
    return any(new.get(name) is not value for name, value in old.items()) or (
        isinstance(place, type) and len(new) != len(old)
    )


def asked(checkers, task: Task) -> str:
    """What the checker says of the answer."""
    check, names, calls = getattr(checkers, task.check), dict(task.names), []
    seed = {"seed": task.seed} if "seed" in inspect.signature(check).parameters else {}
    for node in task.before:
        with contextlib.suppress(Exception):
            exec(compile(ast.Module([node], []), OTHER, "exec"), names)
    if not task.function:  # the student's call is one that takes the numbers down
        names["practice"] = SimpleNamespace(**{task.check: lambda **numbers: calls.append(numbers)})
    exec(compile(ast.Module(task.own, []), OWN, "exec"), names)
    return check(names[task.function], **seed) if task.function else check(**calls[-1])


def prepared(sources: tuple[str, ...]) -> dict:
    """What the cells of a notebook import and define; once, before the processes are forked."""
    names: dict = {"__name__": "__main__"}
    for source in sources:
        for node in ast.parse(source).body:
            if isinstance(node, ast.Import | ast.ImportFrom | ast.FunctionDef | ast.ClassDef):
                with contextlib.suppress(Exception):  # one that needs what a cell computes
                    exec(compile(ast.Module([node], []), "given", "exec"), names)
    return names


def heard(here, process, late: bool) -> list[str]:
    """What a process has said; if nothing, why."""
    if late:
        os.kill(process.pid, signal.SIGKILL)
    text = b"" if late else os.read(here.fileno(), 1 << 16)
    process.join()
    here.close()
    try:
        status, said, note = json.loads(text)
        return [str(status), str(said), str(note)]
    except ValueError:
        if late or process.exitcode in (-signal.SIGXCPU, -signal.SIGKILL):
            return ["time", "Your answer takes too long: does a loop never end?", ""]
        return ["ended", "Your answer ends the program, or breaks it.", ""]


def run(tasks: list[Task], jobs: int) -> dict[tuple[str, str], list[str]]:
    """Key of a task -> status, sentence, note. Each process has what is imported here: torch starts once."""
    fork, waiting, running, done = get_context("fork"), deque(tasks), {}, {}
    for name in {task.checkers for task in tasks}:
        importlib.import_module(name)
    while waiting or running:
        while waiting and len(running) < jobs:
            task, (here, there) = waiting.popleft(), fork.Pipe(duplex=False)
            folder = tempfile.TemporaryDirectory()
            process = fork.Process(target=judge, args=(there, task, os.path.realpath(folder.name)))
            process.start()
            there.close()
            running[here] = (task, process, time.monotonic() + PATIENCE * task.seconds, folder)
        first = min(end for _, _, end, _ in running.values())
        ready = wait([*running], max(0.0, first - time.monotonic()))
        now = time.monotonic()
        late = [here for here, (_, _, end, _) in running.items() if here not in ready and end <= now]
        for here in [*ready, *late]:
            task, process, _, folder = running.pop(here)
            done[task.key] = heard(here, process, here in late)
            folder.cleanup()
    return done
