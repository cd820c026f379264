"""A student who is simulated, but whose forms, cookies, websockets, server and kernel are real."""

from __future__ import annotations

import asyncio
import json
import re
import time
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from urllib.parse import quote

import aiohttp
import nbformat
import psutil
from yarl import URL

from hub.trial import PATIENCE, ROOT, Hub, family, kind, peak

FIRST_CELLS = 3  # of code
EXERCISE = {"01_ad_basics": "ex-1-2"}
HIDDEN_XSRF = re.compile(r'name="_xsrf" value="([^"]*)"')


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
            rf"doc/tree/([^\"]+)/{re.escape(self.notebook)}", await self.ask("GET", f"{base}/class")
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


def solution(notebook: str) -> str:
    """The code that solves the exercise of a notebook, from the chapter."""
    number = EXERCISE[notebook].removeprefix("ex-").replace("-", "_")
    whole = nbformat.read(ROOT / "book" / f"{notebook}.ipynb", as_version=4)
    sources = [c.source for c in whole.cells if "solution" in c.metadata.get("tags", [])]
    [found] = [source for source in sources if f"check_{number}(" in source]
    return found
