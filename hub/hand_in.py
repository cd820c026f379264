"""Takes what students hand in: a service of JupyterHub, which knows who sends it.

python hub/hand_in.py FOLDER

Each notebook becomes a file of its own, FOLDER/NOTEBOOK/STUDENT/TIME_DIGEST.ipynb; none is ever written over.
`make grade SUBMISSIONS=FOLDER/NOTEBOOK` reads them. It needs JupyterHub and nothing of this project.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import re
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import quote, urlparse

from jupyterhub.services.auth import HubAuth
from tornado import web
from tornado.httpserver import HTTPServer

LARGEST = 20 << 20  # bytes
NAME = re.compile(r"[\w-]{1,60}")


def kept(folder: Path, student: str, content: bytes, now: datetime) -> tuple[str, str]:
    """Write what a student handed in into a file; returns the notebook's name and the digest.

    Raises: ValueError for what is no notebook of the book.
    """
    try:
        notebook = json.loads(content)
        name = notebook["metadata"]["regkit"]["notebook"]
        if not (isinstance(notebook["cells"], list) and isinstance(name, str) and NAME.fullmatch(name)):
            raise ValueError
    except (ValueError, KeyError, TypeError, RecursionError):
        raise ValueError("expected a notebook that was given out, as Jupyter saves it") from None
    digest = hashlib.sha256(content).hexdigest()[:12]
    path = folder / name / quote(student, safe="") / f"{now:%Y-%m-%dT%H-%M-%S-%f}Z_{digest}.ipynb"
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=path.parent, prefix=".", delete=False) as file:
        file.write(content)
    os.link(file.name, path)  # fails where there is one already
    os.unlink(file.name)
    return name, digest


class HandIn(web.RequestHandler):
    async def post(self) -> None:
        hub, user = self.settings["hub"], None
        if token := hub.get_token(self, in_cookie=False):
            user = await hub.user_for_token(token, sync=False)
        if not user or user["kind"] != "user" or not hub.check_scopes(hub.access_scopes, user):
            raise web.HTTPError(403)
        now = datetime.now(UTC)
        try:
            name, digest = kept(self.settings["folder"], user["name"], self.request.body, now)
        except ValueError as error:
            self.set_status(400)
            self.finish({"said": f"Not handed in: {error}."})
        else:
            self.finish({"said": f"Handed in: {name}, {now:%H:%M:%S} UTC, {digest}."})


async def main(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    place = urlparse(os.environ["JUPYTERHUB_SERVICE_URL"])
    app = web.Application([(os.environ["JUPYTERHUB_SERVICE_PREFIX"], HandIn)], folder=folder, hub=HubAuth())
    HTTPServer(app, max_buffer_size=LARGEST).listen(
        place.port, place.hostname if place.hostname == "127.0.0.1" else ""
    )
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]).resolve()))
