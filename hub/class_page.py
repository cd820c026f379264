"""The first page of a student: the notebooks, a fresh copy of each, and a button to hand one in.

An extension of Jupyter Server, at the address `class` of each student's server.
"""

from __future__ import annotations

import html
import json
import os
import re
import shutil
from pathlib import Path
from urllib.parse import quote, urlencode

from jupyter_server.base.handlers import JupyterHandler
from jupyter_server.utils import url_path_join
from tornado import httpclient, web

PAGE = """<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>Your notebooks</title>
<style>:root {{ color-scheme: light dark }}
body {{ font: 1rem/1.5 system-ui, sans-serif; max-width: 52rem; margin: 2rem auto; padding: 0 1rem }}
table {{ border-collapse: collapse; width: 100% }}
td {{ border-top: 1px solid #8888; padding: .4rem .5rem .4rem 0 }}
td form {{ margin: 0; white-space: nowrap }}
td small {{ display: block; opacity: .75 }}
button {{ font: inherit; padding: .1rem .6rem }}
@media (max-width: 34rem) {{
  td {{ display: block }}
  td + td {{ border: 0; padding-top: 0 }}
}}
p[role=status] {{ border-left: .3rem solid; padding-left: .7rem }}</style>
</head>
<body><main>
<h1>Your notebooks</h1>
{said}
<p>What you write stays. A fresh copy has a name of its own. You may hand in as often as you like.</p>
<table>
{rows}
</table>
<p>You are {user}. <a href="{leave}">Log out</a> before you leave a computer that others use.</p>
</main></body>
</html>
"""
ROW = """<tr><td><a href="{opened}">{title}</a><small>{name}</small></td>
<td><form method="post" action="{page}">{xsrf}<input type="hidden" name="notebook" value="{name}">
<button name="do" value="copy" aria-label="A fresh copy of {name}">A fresh copy</button>
<button name="do" value="hand-in" aria-label="Hand in {name}">Hand in</button></form></td></tr>"""


def folder() -> Path:
    return Path(os.environ["REGKIT_CLASS"])


def original(name: str) -> tuple[str, int]:
    """Of which notebook that was given out this is a copy, and which one: "a-2.ipynb" → ("a.ipynb", 2)."""
    stem, number = re.fullmatch(r"(.*?)(?:-(\d+))?\.ipynb", name, re.DOTALL).groups()
    return f"{stem}.ipynb", int(number or 1)


def notebooks() -> list[str]:
    """The student's, each with its copies after it."""
    return sorted((path.name for path in folder().glob("*.ipynb")), key=original)


def title(name: str) -> str:
    """What a notebook is called: its first heading, as it was given out; of one's own the name."""
    of, number = original(name)
    try:
        cells = json.loads((Path(os.environ["REGKIT_KIT"]) / of).read_text(encoding="utf-8"))["cells"]
    except OSError:
        return name
    text = "\n".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "markdown")
    heading = re.search(r"^# +(.+)", text, re.M)
    words = re.sub(r"[*`$]", "", heading[1]) if heading else of.removesuffix(".ipynb")
    return f"{words} ({number})" if number > 1 else words


def fresh(name: str) -> str:
    """Put the notebook as it was given out beside the student's, under a name that is free; returns it."""
    given = Path(os.environ["REGKIT_KIT"]) / original(name)[0]
    if not given.is_file():
        raise ValueError(f"expected a notebook that was given out, got {name}")
    number = 2
    while (path := folder() / f"{given.stem}-{number}.ipynb").exists():
        number += 1
    shutil.copyfile(given, path)
    return path.name


async def hand_in(name: str) -> str:
    """Send a notebook as it was saved last; returns what the teacher's side says."""
    request = httpclient.HTTPRequest(
        os.environ["REGKIT_HAND_IN"],
        method="POST",
        headers={"Authorization": f"token {os.environ['JUPYTERHUB_API_TOKEN']}"},
        body=(folder() / name).read_bytes(),
    )
    try:
        answer = await httpclient.AsyncHTTPClient().fetch(request, raise_error=False)
        return str(json.loads(answer.body)["said"])
    except (httpclient.HTTPError, OSError, TypeError, ValueError, KeyError):
        return f"{name} was not handed in: the class server does not answer. Please try again."


class ClassPage(JupyterHandler):
    @web.authenticated
    def get(self) -> None:
        said = self.get_query_argument("said", "")
        page, one = (url_path_join(self.base_url, part) for part in ("class", "doc/tree"))
        xsrf = self.xsrf_form_html()
        rows = [
            ROW.format(
                opened=f"{one}/{quote(f'{folder().name}/{name}')}",  # alone, which a phone has room for
                title=html.escape(title(name)),
                name=html.escape(name),
                page=page,
                xsrf=xsrf,
            )
            for name in notebooks()
        ]
        told = f'<p role="status">{html.escape(said)}</p>' if said else ""
        leave = url_path_join(os.environ["JUPYTERHUB_BASE_URL"], "hub/logout")
        user = html.escape(os.environ["JUPYTERHUB_USER"])
        self.finish(PAGE.format(said=told, rows="\n".join(rows), user=user, leave=leave))

    @web.authenticated
    async def post(self) -> None:
        name, do = self.get_body_argument("notebook"), self.get_body_argument("do")
        if name not in notebooks():
            raise web.HTTPError(404, f"expected one of your notebooks, got {name}")
        try:
            said = f"Here is {fresh(name)}." if do == "copy" else await hand_in(name)
        except ValueError as error:
            said = str(error)
        self.redirect(f"{url_path_join(self.base_url, 'class')}?{urlencode({'said': said})}", status=303)


def _jupyter_server_extension_points() -> list[dict]:
    return [{"module": "class_page"}]


def _load_jupyter_server_extension(server) -> None:
    server.web_app.add_handlers(".*$", [(url_path_join(server.base_url, "class"), ClassPage)])
