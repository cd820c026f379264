"""A class on this computer: for a try, or rehearsed by students who are simulated.

python -m hub.rehearse                       a try: a class until Ctrl+C
python -m hub.rehearse --students 40         all come within ten seconds, work, hand in and leave
python -m hub.rehearse --chapters            a student goes through every cell of each lesson

The students are programs, but the rest is real: JupyterHub, its proxy, a server and a kernel for each, forms
and cookies, websockets. All of it listens at 127.0.0.1, at ports that are free, in a folder of its own, and
ends with this. `--record` puts what was measured into hub/measured.json.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import re
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote

import aiohttp
import nbformat
import psutil
from yarl import URL

from hub import common, sizing
from tools.chapters import lessons

ROOT = common.HERE.parent
WITHIN = 10.0  # seconds in which all come
LONGEST = 1800.0  # seconds for a rehearsal
PATIENCE = 600.0  # seconds for any one step, on a busy computer too
MOST = 100  # students
FIRST_CELLS = 3  # of code
EXERCISE = {"01_ad_basics": "ex-1-2"}
HIDDEN_XSRF = re.compile(r'name="_xsrf" value="([^"]*)"')


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


# ------------------------------------------------------------------------------------------ a student


@dataclass
class Student:
    """One that comes, works and leaves; what happened to it is in `times`, `memory` and `failures`."""

    hub: Hub
    name: str
    notebook: str
    does: str = "exercise"  # or "light", "greedy": no torch; or "chapter": every cell
    times: dict[str, float] = field(default_factory=dict)
    memory: dict[str, float] = field(default_factory=dict)
    said: list[str] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)

    async def day(self, delay: float) -> None:
        """From the log-in to the end; a failure is written down, and the others go on."""
        await asyncio.sleep(delay)
        async with self.visit():
            try:
                await self.come()
                await self.work()
                await self.hand_in()
                await self.leave()
            except Exception as error:
                self.failures.append(f"{self.name}: {type(error).__name__}: {error}")

    @asynccontextmanager
    async def visit(self) -> AsyncIterator[Student]:
        """A browser of the student's own."""
        jar = aiohttp.CookieJar(unsafe=True)  # for an address of numbers
        limit = aiohttp.ClientTimeout(total=PATIENCE)
        async with aiohttp.ClientSession(cookie_jar=jar, timeout=limit) as self.session:
            yield self

    async def ask(self, method: str, path: str, expect: tuple[int, ...] = (200,), **options) -> str:
        """The body of an answer whose status is as expected."""
        async with self.session.request(method, self.hub.address + path, **options) as answer:
            body = await answer.text()
            if answer.status not in expect:
                raise RuntimeError(
                    f"{method} {path}: expected status {expect}, got {answer.status}: {body[-300:]}"
                )
            return body

    def xsrf(self, path: str) -> dict[str, str]:
        cookies = self.session.cookie_jar.filter_cookies(URL(self.hub.address + path))
        return {"X-XSRFToken": cookies["_xsrf"].value} if "_xsrf" in cookies else {}

    async def log_in(self) -> None:
        """By the form."""
        form = await self.ask("GET", "/hub/login")
        token = HIDDEN_XSRF.search(form)[1]
        data = {"username": self.name, "password": "", "_xsrf": token}
        await self.ask("POST", "/hub/login?next=%2Fhub%2Fhome", data=data)

    async def come(self) -> None:
        """Log in, ask for the server, wait for it, and look at the first page."""
        start = time.monotonic()
        await self.log_in()
        await self.ask("GET", f"/hub/spawn/{self.name}")
        await self.ready()
        page = await self.ask("GET", f"/user/{self.name}/class")
        if self.notebook not in page:
            raise RuntimeError(f"expected {self.notebook} on the first page, got {page[-300:]}")
        self.times["server"] = time.monotonic() - start

    async def ready(self) -> None:
        """What the page that waits does: it reads how far the start is."""
        path = f"/hub/api/users/{self.name}/server/progress"
        async with self.session.get(self.hub.address + path, headers=self.xsrf("/hub/")) as answer:
            answer.raise_for_status()
            async for line in answer.content:
                if line.startswith(b"data:"):
                    event = json.loads(line[5:])
                    if event.get("failed"):
                        raise RuntimeError(f"the server did not start: {event}")
                    if event.get("ready"):
                        return
        raise RuntimeError("nothing more is said of the start of the server")

    async def work(self) -> None:
        """Open a notebook, run its first cells, solve an exercise, save."""
        base = f"/user/{self.name}"
        folder = re.search(
            rf"lab/tree/([^\"]+)/{re.escape(self.notebook)}", await self.ask("GET", f"{base}/class")
        )[1]
        path = f"{folder}/{self.notebook}.ipynb"
        headers = self.xsrf(f"{base}/")
        model = json.loads(await self.ask("GET", f"{base}/api/contents/{quote(path)}?type=notebook"))
        asked = {"path": path, "type": "notebook", "name": "", "kernel": {"name": "python3"}}
        start = time.monotonic()
        body = await self.ask("POST", f"{base}/api/sessions", expect=(201,), json=asked, headers=headers)
        kernel = json.loads(body)["kernel"]["id"]
        notebook = nbformat.from_dict(model["content"])
        url = f"{self.hub.address}{base}/api/kernels/{kernel}/channels"
        async with self.session.ws_connect(url, max_msg_size=0) as self.socket:
            await self.run("1 + 1")
            self.times["kernel"] = time.monotonic() - start
            await self.cells_of(notebook)
            self.measure()
        notebook.metadata["worked"] = self.name
        await self.ask(
            "PUT",
            f"{base}/api/contents/{quote(path)}",
            json={"type": "notebook", "content": notebook},
            headers=headers,
        )

    async def cells_of(self, notebook: nbformat.NotebookNode) -> None:
        code = [cell for cell in notebook.cells if cell.cell_type == "code" and cell.source.strip()]
        start = time.monotonic()
        if self.does == "light":
            await self.run("import statistics; statistics.mean(range(100))")
        elif self.does == "greedy":
            await self.too_much()
        elif self.does == "chapter":
            for cell in code:
                await self.run(cell.source)
        else:
            for cell in [*code[:FIRST_CELLS], *(c for c in code if "from regbook.practice" in c.source)]:
                await self.run(cell.source)
            self.times["first cells"] = time.monotonic() - start
            [exercise] = [cell for cell in code if cell.id == EXERCISE[self.notebook]]
            exercise.source = solution(self.notebook)
            said = await self.run(exercise.source)
            if "Right" not in said:
                raise RuntimeError(f"expected Right, got {said[-300:]}")

    async def too_much(self) -> None:
        """Ask for four gigabytes: an error says so, and the kernel goes on."""
        try:
            await self.run("import numpy; kept = numpy.ones(2**29)")
        except RuntimeError as error:
            self.said.append(str(error))
        self.said.append(await self.run("6 * 7"))
        told = re.match(r"\w*MemoryError: Unable to allocate 4.00 GiB", self.said[0])
        if not told or self.said[1] != "42":
            raise RuntimeError(f"expected to be told that there is no such memory, got {self.said}")

    async def run(self, code: str) -> str:
        """What a cell puts out; Raises: RuntimeError for an error in it."""
        number = uuid.uuid4().hex
        header = {"msg_id": number, "msg_type": "execute_request", "username": self.name, "session": number}
        content = {
            "code": code,
            "silent": False,
            "store_history": True,
            "allow_stdin": False,
            "stop_on_error": True,
        }
        message = {
            "header": header | {"version": "5.3"},
            "parent_header": {},
            "metadata": {},
            "content": content,
        }
        await self.socket.send_json(message | {"channel": "shell", "buffers": []})
        said, wrong = [], ""
        while True:
            answer = await self.socket.receive(timeout=PATIENCE)
            if answer.type is not aiohttp.WSMsgType.TEXT:
                if answer.type is aiohttp.WSMsgType.BINARY:
                    continue
                raise RuntimeError(f"the connection to the kernel ended: {answer}")
            told = json.loads(answer.data)
            if (
                told["header"].get("msg_type") == "status"
                and told["content"]["execution_state"] == "restarting"
            ):
                raise RuntimeError("the kernel died")
            if told["parent_header"].get("msg_id") != number:
                continue
            kind, content = told["header"]["msg_type"], told["content"]
            if kind == "error":
                wrong = f"{content['ename']}: {content['evalue']}"
            if kind in ("stream", "execute_result", "display_data"):
                said.append(content.get("text") or str(content.get("data", {}).get("text/plain", "")))
            if kind == "status" and content["execution_state"] == "idle":
                if wrong:
                    raise RuntimeError(wrong)
                return "".join(said)

    def measure(self) -> None:
        """What the student's server and kernel took: memory at most, and seconds of computing."""
        home, seconds = str(self.hub.work / "students" / self.name), 0.0
        for process in family(self.hub.process):
            with suppress(psutil.NoSuchProcess):
                if process.cwd().startswith(home) and (what := kind(process)):
                    self.memory[what] = peak(process)
                    seconds += sum(process.cpu_times()[:2])
        self.times["computing"] = seconds

    async def press(self, button: str) -> str:
        """The first page after a button at the notebook was pressed."""
        page = f"/user/{self.name}/class"
        token = HIDDEN_XSRF.search(await self.ask("GET", page))[1]
        data = {"notebook": f"{self.notebook}.ipynb", "do": button, "_xsrf": token}
        return await self.ask("POST", page, data=data)

    async def hand_in(self) -> None:
        """Get a fresh copy, and hand in one's own."""
        if f"Here is {self.notebook}-2.ipynb" not in (said := await self.press("copy")):
            raise RuntimeError(f"expected a fresh copy, got {said[:1000]}")
        if "Handed in:" not in (said := await self.press("hand-in")):
            raise RuntimeError(f"expected to have handed in, got {said[:1000]}")

    async def leave(self) -> None:
        await self.ask("GET", "/hub/home")
        path = f"/hub/api/users/{self.name}/server"
        await self.ask("DELETE", path, expect=(202, 204), headers=self.xsrf("/hub/"))
        await self.stopped()

    async def stopped(self) -> None:
        """Wait until the server is gone."""
        path = f"/hub/api/users/{self.name}"
        while json.loads(await self.ask("GET", path, headers=self.xsrf("/hub/")))["servers"]:
            await asyncio.sleep(0.3)


# ---------------------------------------------------------------------------------------- a rehearsal


def solution(notebook: str) -> str:
    """The code that solves the exercise of a notebook, from the chapter."""
    number = EXERCISE[notebook].removeprefix("ex-").replace("-", "_")
    whole = nbformat.read(ROOT / "book" / f"{notebook}.ipynb", as_version=4)
    sources = [c.source for c in whole.cells if "solution" in c.metadata.get("tags", [])]
    [found] = [source for source in sources if f"check_{number}(" in source]
    return found


async def arrive(hub: Hub, students: int, with_chapter: int, notebook: str) -> list[Student]:
    """All come within ten seconds; the last asks for too much memory, and those before it do light work."""
    everybody = []
    for k in range(students):
        does = "exercise" if k < with_chapter else "light"
        if k == students - 1 > 0 and sys.platform == "linux":
            does = "greedy"
        everybody.append(Student(hub, f"student{k:02d}", notebook, does))
    days = [student.day(WITHIN * k / students) for k, student in enumerate(everybody)]
    await asyncio.wait_for(asyncio.gather(*days), LONGEST)
    return everybody


async def one_by_one(hub: Hub) -> list[Student]:
    """A student for each lesson, who runs all of its cells."""
    everybody = []
    for path in lessons():
        everybody.append(Student(hub, path.stem.lower().replace("_", "-"), path.stem, "chapter"))
        await everybody[-1].day(0)
        print(path.stem, everybody[-1].memory, everybody[-1].failures, flush=True)
    return everybody


def summary(everybody: list[Student], hub_mb: float) -> dict:
    """What is recorded of a class."""
    workers = [student for student in everybody if student.does == "exercise"]
    every = {
        name: times
        for name in ("server", "kernel", "first cells")
        if (times := [student.times[name] for student in everybody if name in student.times])
    }
    return {
        "students": len(everybody),
        "with_chapter": len(workers),
        "cores": os.cpu_count(),
        "hub_mb": round(hub_mb),
        "cpu_seconds": round(statistics.median(s.times.get("computing", 0) for s in workers), 1),
        "times": {
            name: {"median": round(statistics.median(times), 1), "worst": round(max(times), 1)}
            for name, times in every.items()
        },
    }


def failures(everybody: list[Student], hub: Hub) -> list[str]:
    """What went wrong: for a student, in an answer of the server, or after the end."""
    found = [failure for student in everybody for failure in student.failures]
    found += re.findall(r"^.*\b5\d\d (?:GET|POST|PUT|DELETE|PATCH) .*$", hub.log, re.M)
    return found + [f"still there after the end: {process}" for process in hub.left]


def rehearse(work: Path, students: int, with_chapter: int, notebook: str) -> tuple[dict, list[str]]:
    """Rehearse a class; returns what was measured, and what failed."""
    with running(work) as hub:
        everybody = asyncio.run(arrive(hub, students, with_chapter, notebook))
        hub_mb = sum(peak(process) for process in family(hub.process) if not kind(process))
    return summary(everybody, hub_mb), failures(everybody, hub)


def chapters(work: Path) -> tuple[dict, list[str]]:
    """Go through all lessons; returns what each took, and what failed."""
    with running(work) as hub:
        everybody = asyncio.run(one_by_one(hub))
    taken = {s.notebook: {f"{what}_mb": round(mb) for what, mb in s.memory.items()} for s in everybody}
    return taken, failures(everybody, hub)


def main() -> None:
    ask = argparse.ArgumentParser(prog="hub", description=__doc__.partition("\n")[0])
    ask.add_argument("--students", type=int, default=0, help=f"how many come; at most {MOST}")
    ask.add_argument(
        "--with-chapter", type=int, help="how many of them open a chapter; all but one unless given"
    )
    ask.add_argument("--notebook", default="01_ad_basics", choices=[*EXERCISE])
    ask.add_argument("--chapters", action="store_true", help="one student goes through all lessons")
    ask.add_argument("--port", type=int, default=0, help="of a try; a free one unless given")
    ask.add_argument("--record", action="store_true", help="write what was measured into hub/measured.json")
    options = ask.parse_args()
    if os.name == "nt":
        sys.exit("A class server needs Linux or macOS: JupyterHub does not run on Windows.")
    if not 0 <= options.students <= MOST:
        ask.error(f"expected at most {MOST} students, got {options.students}")
    work = Path(tempfile.mkdtemp(prefix="regkit-hub-")).resolve()
    try:
        if options.chapters:
            part, (found, wrong) = "chapters", chapters(work)
        elif options.students:
            many = options.students if options.with_chapter is None else options.with_chapter
            part, (found, wrong) = "class", rehearse(work, options.students, many, options.notebook)
        else:
            return attended(work, options.port)
    finally:
        shutil.rmtree(work, ignore_errors=True)
    print(json.dumps(found, indent=1))
    if wrong:
        sys.exit("\n".join(["The rehearsal failed:", *wrong]))
    if options.record:
        record = sizing.measured() | {part: found}
        sizing.MEASURED.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")


def attended(work: Path, port: int) -> None:
    with running(work, port) as hub:
        print(
            f"A class is at {hub.address} until Ctrl+C: any name, no password, this computer only", flush=True
        )
        try:
            hub.process.wait()
        except KeyboardInterrupt:
            print()


if __name__ == "__main__":
    main()
