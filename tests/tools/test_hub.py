"""The class server: its settings, its parts, and a whole class that is rehearsed."""

from __future__ import annotations

import asyncio
import importlib.util
import json
import os
import re
import runpy
import socket
import sys
from collections.abc import Coroutine
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import ModuleType, SimpleNamespace

import nbformat
import pytest
import yaml
from traitlets.config import Config

from tools.chapters import lessons
from tools.toc import ROOT

pytestmark = pytest.mark.skipif(os.name == "nt", reason="JupyterHub needs Linux or macOS")
if os.name != "nt":
    if not os.environ.get("CI"):  # there all of hub/requirements.txt is installed, or this is an error
        pytest.importorskip("jupyterhub")
    from hub import common, rehearse, sizing

HUB = ROOT / "hub"
NOW = datetime(2026, 1, 2, 3, 4, 5, 6, tzinfo=UTC)


def done(work: Coroutine):
    """What it returns, from a thread of its own: in this one browser tests may have left a loop that runs."""
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(asyncio.run, work).result()


def script(name: str) -> ModuleType:
    """A file of hub/ that runs where the rest of the project is not."""
    spec = importlib.util.spec_from_file_location(name, HUB / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


# ------------------------------------------------------------------------------------------ settings


@pytest.fixture
def settings(tmp_path, monkeypatch):
    """Reads a file of settings, with lines of one's own before the last one, as JupyterHub does."""
    monkeypatch.setenv(common.SWITCH, "1")
    monkeypatch.setenv("REGKIT_HUB_WORK", str(tmp_path))
    monkeypatch.setenv("REGKIT_HUB_PORT", "8000")

    def read(name: str, *lines: str) -> Config:
        made = Config()
        monkeypatch.setattr("traitlets.config.get_config", lambda: made)
        source = (HUB / f"{name}.py").read_text(encoding="utf-8")
        before, last = source.rsplit("common.check(c)", 1)
        (tmp_path / f"{name}.py").write_text("\n".join([before, *lines, "common.check(c)", last]), "utf-8")
        return runpy.run_path(str(tmp_path / f"{name}.py"))["c"]

    return read


@pytest.mark.parametrize("name", ["local", "machine"])
def test_settings_are_those_of_jupyterhub(name: str, settings):
    """Each has the name of a setting that there is, and a value that it takes."""
    from jupyterhub.app import JupyterHub
    from jupyterhub.auth import Authenticator, DummyAuthenticator, LocalAuthenticator
    from jupyterhub.proxy import ConfigurableHTTPProxy
    from jupyterhub.spawner import SimpleLocalProcessSpawner, Spawner
    from systemdspawner import SystemdSpawner

    known = (JupyterHub, Authenticator, DummyAuthenticator, LocalAuthenticator, ConfigurableHTTPProxy)
    known = {each.__name__: each for each in (*known, Spawner, SimpleLocalProcessSpawner, SystemdSpawner)}
    c = settings(name)
    assert len(c.Spawner) >= 8
    for part, values in c.items():
        traits = known[part].class_traits(config=True)
        for key, value in values.items():
            assert key in traits, f"{part}.{key}"
            if part != "JupyterHub":
                of = {"user": SimpleNamespace(name="anna", id=1)} if issubclass(known[part], Spawner) else {}
                setattr(known[part](**of), key, value)


@pytest.mark.parametrize("name", ["local", "machine"])
def test_settings_let_nobody_in_who_should_not_be(name: str, settings, monkeypatch):
    monkeypatch.setenv(common.TEACHERS, "anna, ben")
    c = settings(name)
    assert c.JupyterHub.bind_url == "http://127.0.0.1:8000" and c.JupyterHub.hub_ip == "127.0.0.1"
    assert all("//127.0.0.1:" in service["url"] for service in c.JupyterHub.services if "url" in service)
    assert not c.Authenticator.get("admin_users")
    [teacher] = [role for role in c.JupyterHub.load_roles if role["name"] == "teacher"]
    assert teacher["users"] == ["anna", "ben"]
    from jupyterhub.scopes import expand_scopes  # what the words of the role come to

    assert not any(
        scope.startswith(("access:servers", "admin:", "tokens")) for scope in expand_scopes(teacher["scopes"])
    )


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("c.JupyterHub.authenticator_class = 'dummy'", "expected a log-in that asks who comes, got 'dummy'"),
        ("c.JupyterHub.authenticator_class = 'shared-password'", "asks who comes, got 'shared-password'"),
        ("c.JupyterHub.authenticator_class = 'jupyterhub.auth.DummyAuthenticator'", "asks who comes"),
        ("c.JupyterHub.bind_url = 'http://0.0.0.0:8000'", "expected to listen at 127.0.0.1"),
        ("c.JupyterHub.bind_url = 'http://:8000'", "expected to listen at 127.0.0.1"),
        ("c.Authenticator.admin_users = {'anna'}", "expected no admins"),
    ],
)
def test_a_class_that_is_open_is_refused(line: str, said: str, settings, monkeypatch):
    monkeypatch.delenv(common.SWITCH)
    settings("machine")
    with pytest.raises(ValueError, match=re.escape(said)):
        settings("machine", line)
    if "authenticator" in line:
        monkeypatch.setenv(common.SWITCH, "1")
        settings("machine", line)


def test_a_try_needs_its_switch(settings, monkeypatch):
    monkeypatch.delenv(common.SWITCH)
    with pytest.raises(ValueError, match=f"expected {common.SWITCH}=1"):
        settings("local")


# ---------------------------------------------------------------------------------------- what is needed


def test_the_tables_are_those_of_the_record():
    text = (HUB / "README.md").read_text(encoding="utf-8")
    assert sizing.filled(text, sizing.measured()) == text, "run: python -m hub.sizing"
    changed = sizing.measured()
    changed["chapters"]["01_ad_basics"]["kernel_mb"] += 5000
    assert sizing.filled(text, changed) != text
    assert sizing.measured()["class"]["students"] == 40


def test_every_lesson_is_measured():
    """One that is missing: make hub-test ARGS="--chapters NAME --record", then python -m hub.sizing."""
    assert [*sizing.measured()["chapters"]] == [path.stem for path in lessons()]


def test_a_lesson_is_measured_among_those_that_were_before():
    first, second, *others = (path.stem for path in lessons())
    before = {"class": {"students": 40}, "chapters": {second: {"kernel_mb": 1}, others[-1]: {"kernel_mb": 2}}}
    after = rehearse.recorded(before, "chapters", {first: {"kernel_mb": 3}, second: {"kernel_mb": 4}})
    assert [*after["chapters"]] == [first, second, others[-1]] and after["class"] == {"students": 40}
    assert [each["kernel_mb"] for each in after["chapters"].values()] == [3, 4, 2]
    assert rehearse.recorded(after, "class", {"students": 12}) == after | {"class": {"students": 12}}


def test_sizes_by_hand():
    record = {
        "chapters": {"a": {"server_mb": 100, "kernel_mb": 400}, "b": {"server_mb": 90, "kernel_mb": 500}},
        "class": {"hub_mb": 300, "cpu_seconds": 12.0},
    }
    record["chapters"]["c"] = {"server_mb": 100, "kernel_mb": 900}
    assert sizing.sizes(record) == {"guarantee": 768, "kernel": 2304, "limit": 3072}
    # up to 256: 100 + 500, 2.5 × 900, 100 + 2304 + 500; 300 + 30 × 768 × 1.25 = 29,100 MB; 30 × 12 s in 120 s
    assert sizing.need(record, 30) == (29, 3)


# What values.yaml uses of the names in the schema of the chart of Zero to JupyterHub.
CHART = {
    "hub": "concurrentSpawnLimit activeServerLimit config loadRoles services service networkPolicy "
    "extraFiles db",
    "proxy": "https",
    "singleuser": "image cmd defaultUrl startTimeout uid fsGid memory cpu extraEnv extraLabels storage",
    "scheduling": "userPlaceholder",
    "prePuller": "hook continuous",
    "cull": "enabled timeout every",
}


def test_kubernetes_has_the_same_numbers(settings):
    values = yaml.safe_load((HUB / "values.yaml").read_text(encoding="utf-8"))
    assert {part: [*names] for part, names in values.items()} == {
        p: names.split() for p, names in CHART.items()
    }
    c, student = settings("machine"), values["singleuser"]
    assert student["memory"] == {"guarantee": c.Spawner.mem_guarantee, "limit": c.Spawner.mem_limit}
    for name in ("REGKIT_KERNEL_MB", "OMP_NUM_THREADS"):
        assert student["extraEnv"][name] == c.Spawner.environment[name]
    assert set(student["extraEnv"]) == {*c.Spawner.environment, "REGKIT_HOME"}
    assert student["extraEnv"]["REGKIT_HOME"] == student["storage"]["homeMountPath"]
    assert values["cull"]["timeout"] == common.IDLE and student["startTimeout"] == c.Spawner.start_timeout
    assert student["cmd"][-1].endswith("/hub/start.py") and student["defaultUrl"] == c.Spawner.default_url
    hub = values["hub"]
    assert hub["config"]["KubeSpawner"]["server_token_scopes"] == c.Spawner.server_token_scopes
    assert hub["loadRoles"]["user"]["scopes"] == c.JupyterHub.load_roles[0]["scopes"]
    assert hub["concurrentSpawnLimit"] == c.JupyterHub.concurrent_spawn_limit
    assert (
        not hub["config"]["Authenticator"]["allow_all"] and not hub["config"]["Authenticator"]["admin_users"]
    )
    assert not any(name in hub["config"]["JupyterHub"]["authenticator_class"] for name in common.OPEN)


# ------------------------------------------------------------------------------------------ its parts


@pytest.fixture
def kit(tmp_path, monkeypatch) -> Path:
    """Two notebooks to give out."""
    folder = tmp_path / "kit"
    folder.mkdir()
    for name in ("a", "b"):
        notebook = nbformat.v4.new_notebook(metadata={"regkit": {"notebook": name}})
        nbformat.write(notebook, folder / f"{name}.ipynb")
    (folder / "regkit-0.1.0-py3-none-any.whl").write_text("", encoding="utf-8")
    monkeypatch.setenv("REGKIT_KIT", str(folder))
    return folder


def test_the_second_start_changes_nothing_and_a_new_version_comes_beside(kit, tmp_path):
    start, home = script("start"), tmp_path / "home"
    home.mkdir()
    folder = start.unpack(kit, home)
    assert (
        folder == home / "regkit-0.1.0"
        and (folder / "a.ipynb").read_bytes() == (kit / "a.ipynb").read_bytes()
    )
    (folder / "a.ipynb").write_text("mine", encoding="utf-8")
    (folder / "b.ipynb").unlink()
    (kit / "a.ipynb").write_text("newer", encoding="utf-8")
    assert start.unpack(kit, home) == folder
    assert (folder / "a.ipynb").read_text(encoding="utf-8") == "mine" and not (folder / "b.ipynb").exists()
    (kit / "regkit-0.1.0-py3-none-any.whl").rename(kit / "regkit-0.2.0-py3-none-any.whl")
    assert (start.unpack(kit, home) / "a.ipynb").read_text(encoding="utf-8") == "newer"
    assert {path.name for path in home.iterdir()} == {"regkit-0.1.0", "regkit-0.2.0"}


def test_a_fresh_copy_has_a_name_of_its_own(kit, tmp_path, monkeypatch):
    folder = script("start").unpack(kit, tmp_path)
    monkeypatch.setenv("REGKIT_CLASS", str(folder))
    page = script("class_page")
    (folder / "a.ipynb").write_text("mine", encoding="utf-8")
    assert [page.fresh("a.ipynb"), page.fresh("a.ipynb"), page.fresh("a-2.ipynb")] == [
        f"a-{number}.ipynb" for number in (2, 3, 4)
    ]
    assert (folder / "a.ipynb").read_text(encoding="utf-8") == "mine"
    assert (folder / "a-3.ipynb").read_bytes() == (kit / "a.ipynb").read_bytes()
    with pytest.raises(ValueError, match=r"a notebook that was given out, got mine\.ipynb"):
        page.fresh("mine.ipynb")


def test_the_first_page_lists_titles_and_copies_after_what_they_are_of(kit, tmp_path, monkeypatch):
    heading = nbformat.v4.new_markdown_cell("*First*, an import.\n\n# 1. How `a` $x$ works\n\n# No")
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("# no"), heading])
    nbformat.write(notebook, kit / "a.ipynb")
    folder = script("start").unpack(kit, tmp_path)
    monkeypatch.setenv("REGKIT_CLASS", str(folder))
    page = script("class_page")
    for _ in range(10):
        page.fresh("a.ipynb")
    (folder / "my own.ipynb").write_text("{}", encoding="utf-8")
    copies = [f"a-{number}.ipynb" for number in range(2, 12)]
    assert page.notebooks() == ["a.ipynb", *copies, "b.ipynb", "my own.ipynb"]
    titles = ["1. How a x works", "1. How a x works (11)", "b", "my own.ipynb"]
    assert [page.title(name) for name in ("a.ipynb", "a-11.ipynb", "b.ipynb", "my own.ipynb")] == titles


def test_jupyterlab_asks_no_student_whether_it_may_fetch_news():
    """By settings that are those of its schema; tests/browser/test_hub.py sees that nothing asks."""
    settings = json.loads((script("start").LAB / "overrides.json").read_text(encoding="utf-8"))
    schemas = Path(sys.prefix, "share", "jupyter", "lab", "schemas")
    for name, values in settings.items():
        plugin, _, part = name.partition(":")
        schema = json.loads((schemas / plugin / f"{part}.json").read_text(encoding="utf-8"))
        assert set(values) <= set(schema["properties"])
    assert str(script("start").LAB.relative_to(ROOT)) in (ROOT / "Dockerfile").read_text(encoding="utf-8")


def test_what_is_handed_in_is_kept_each_time(kit, tmp_path):
    kept, folder, content = script("hand_in").kept, tmp_path / "in", (kit / "a.ipynb").read_bytes()
    name, digest = kept(folder, "anna/../x", content, NOW)
    kept(folder, "anna/../x", content, NOW + timedelta(seconds=1))
    kept(folder, "ben", content, NOW)
    files = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*.ipynb"))
    stamp = "a/{}/2026-01-02T03-04-0{}-000006Z_" + f"{digest}.ipynb"
    assert files == [
        stamp.format("anna%2F..%2Fx", 5),
        stamp.format("anna%2F..%2Fx", 6),
        stamp.format("ben", 5),
    ]
    assert name == "a" and all((folder / file).read_bytes() == content for file in files)
    with pytest.raises(FileExistsError):
        kept(folder, "ben", content, NOW)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"[]",
        b"{",
        b'{"cells": []}',
        b'{"metadata": {"regkit": {"notebook": "../a"}}, "cells": []}',
        b'{"metadata": {"regkit": {"notebook": "a"}}, "cells": 3}',
        b'{"metadata": {"regkit": {"notebook": ["a"]}}, "cells": []}',
        b"\xff\xfe" + b"[" * 100_000,
    ],
)
def test_what_is_no_notebook_is_not_taken(content: bytes, tmp_path):
    with pytest.raises(ValueError, match="expected a notebook that was given out"):
        script("hand_in").kept(tmp_path, "anna", content, NOW)
    assert not any(tmp_path.iterdir())


# ------------------------------------------------------------------------------------------ a class


@pytest.mark.slow
def test_twelve_students_come_work_hand_in_and_leave(book, tmp_path):
    """Three of them run a chapter: torch takes four seconds of computing each time."""
    with rehearse.running(tmp_path) as hub:
        everybody = done(rehearse.arrive(hub, 12, 3, "01_ad_basics"))
        folder = hub.work / "handed_in" / "01_ad_basics"
        handed_in = {path.parent.name: path for path in folder.rglob("*.ipynb")}
    assert rehearse.failures(everybody, hub) == []
    assert {student.name for student in everybody} == {*handed_in} and len(everybody) == 12
    for student in everybody:
        notebook = nbformat.read(handed_in[student.name], as_version=4)
        assert notebook.metadata["worked"] == student.name
        assert student.memory["server"] > 30 and student.memory["kernel"] > 20
    assert sum("du - q * dv" in path.read_text(encoding="utf-8") for path in handed_in.values()) == 3
    if sys.platform == "linux":  # the last one asked for four gigabytes, and went on
        assert "MemoryError" in everybody[-1].said[0]
    assert_nothing_listens(hub)


def assert_nothing_listens(hub):
    with socket.socket() as asked:
        assert asked.connect_ex(("127.0.0.1", int(hub.address.rsplit(":", 1)[1]))) != 0


@pytest.mark.slow
def test_a_server_that_idles_stops_and_what_was_written_is_there_again(book, tmp_path):
    """It is stopped at the first chance; the files are looked at where they lie, whatever the server does."""
    anna = rehearse.Student(rehearse.Hub("", tmp_path, None), "anna", "01_ad_basics")
    pattern = "students/anna/regkit-*/01_ad_basics.ipynb"

    async def visit() -> Path:
        async with anna.visit():
            await anna.log_in()
            await anna.ask("GET", "/hub/home")
            asked = {"headers": anna.xsrf("/hub/"), "json": {}}
            await anna.ask("POST", "/hub/api/users/anna/server", expect=(201, 202), **asked)
            await anna.stopped()
        [path] = tmp_path.glob(pattern)
        return path

    with rehearse.running(tmp_path, REGKIT_HUB_IDLE="1") as anna.hub:
        path = done(visit())
        path.write_text(path.read_text(encoding="utf-8").replace("the", "THE"), encoding="utf-8")
        mine = path.read_bytes()
        assert done(visit()) == path and path.read_bytes() == mine
    log = anna.hub.log
    assert log.count("User anna took") == 2 and log.count("Culling server anna") >= 2  # started, stopped
    assert anna.hub.left == []
    assert_nothing_listens(anna.hub)
