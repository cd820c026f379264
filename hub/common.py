"""The settings of the class server that every place shares, and what none may have.

A file of settings calls `share` first, then says what is particular to its place, and calls `check` last.
JupyterHub reads it: ``python -m jupyterhub -f hub/machine.py``, in the folder of the project.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from traitlets.config import Config

from hub import sizing

HERE = Path(__file__).resolve().parent
KIT = HERE.parent / "_build" / "student"
SIZES = sizing.sizes(sizing.measured())  # megabytes

IDLE = 3600  # seconds without anything done, then a server stops
SWITCH = "REGKIT_HUB_TRIAL"  # what `make hub` sets: anybody may come in, from this computer only
OPEN = ("dummy", "shared-password", "Dummy", "SharedPassword")  # ways in that ask nobody who they are
TEACHERS = "REGKIT_TEACHERS"  # names, with commas between them

# The proxy is written in Python, so that no Node is needed. It would pass on ten requests at once, and wait
# twenty seconds for an answer, and for a kernel: of forty students who came together most got a 503. Nor
# would it tell a browser in which form a kernel answers: the first try of each to reach its kernel failed.
PROXY = """
from tornado.httpclient import AsyncHTTPClient, HTTPRequest
HTTPRequest._DEFAULTS.update(connect_timeout=600.0, request_timeout=600.0)  # of websockets, too
AsyncHTTPClient.configure(None, max_clients=2000)
from configurable_http_proxy.handlers import ProxyHandler

def pass_on(self, message):
    if self.ws_client:
        self.proxy.update_last_activity(self.target["prefix"])
        self.ws_client.write_message(message, binary=isinstance(message, bytes))

ProxyHandler.on_message = pass_on
ProxyHandler.select_subprotocol = lambda self, offered: self.ws_client and self.ws_client.selected_subprotocol
from configurable_http_proxy.cli import main
main()
"""
TEACHER = ["list:users", "read:users", "read:servers", "delete:servers", "admin-ui"]  # no way into a server
HAND_IN = "access:services!service=hand-in"


def share(c: Config, handed_in: Path, port: int, hand_in_port: int, kit: Path = KIT) -> None:
    """What is the same everywhere: the notebooks, the limits, handing in, and who may do what.

    `port` is the one of the whole class server, `hand_in_port` any other one.
    """
    c.JupyterHub.bind_url = (
        f"http://127.0.0.1:{port}"  # what reaches it from elsewhere speaks TLS: see README
    )
    c.JupyterHub.hub_ip = "127.0.0.1"
    c.ConfigurableHTTPProxy.command = [sys.executable, "-c", PROXY]
    c.JupyterHub.concurrent_spawn_limit = (
        100  # a whole class comes at once; who is refused presses again and again
    )
    c.JupyterHub.allow_named_servers = False
    c.JupyterHub.shutdown_on_logout = True
    c.JupyterHub.template_vars = {"announcement": "Your notebooks stay as you leave them."}

    c.Spawner.cmd = [sys.executable, str(HERE / "start.py")]
    c.Spawner.default_url = "/class"
    c.Spawner.start_timeout = c.Spawner.http_timeout = 300  # thirty starts on a few cores take a while
    c.Spawner.mem_limit = f"{SIZES['limit']}M"
    c.Spawner.mem_guarantee = f"{SIZES['guarantee']}M"
    c.Spawner.environment = {
        "REGKIT_KIT": str(kit),
        "REGKIT_KERNEL_MB": str(SIZES["kernel"]),
        "REGKIT_HAND_IN": f"http://127.0.0.1:{hand_in_port}/services/hand-in/",
        "OMP_NUM_THREADS": "1",  # otherwise each kernel computes on every core
    }
    c.Spawner.server_token_scopes = ["users:activity!user", "access:servers!server", HAND_IN]

    c.JupyterHub.services = [
        {
            "name": "hand-in",
            "url": f"http://127.0.0.1:{hand_in_port}",
            "command": [sys.executable, str(HERE / "hand_in.py"), str(handed_in)],
            "display": False,
        },
        {"name": "idle-culler", "command": culler(IDLE, every=300)},
    ]
    c.JupyterHub.load_roles = [
        {"name": "user", "scopes": ["self", HAND_IN]},
        {
            "name": "idle-culler",
            "scopes": ["list:users", "read:users:activity", "read:servers", "delete:servers"],
            "services": ["idle-culler"],
        },
    ]
    teachers = [name.strip() for name in os.environ.get(TEACHERS, "").split(",") if name.strip()]
    if teachers:
        c.JupyterHub.load_roles.append({"name": "teacher", "scopes": TEACHER, "users": teachers})
        c.Authenticator.allowed_users = set(teachers)


def culler(idle: int, every: int) -> list[str]:
    """The command that stops servers with which nobody works, after `idle` seconds."""
    return [sys.executable, "-m", "jupyterhub_idle_culler", f"--timeout={idle}", f"--cull-every={every}"]


def check(c: Config) -> None:
    """Hold the settings to what a class needs.

    Raises: ValueError for what lets in or listens to everybody, or lets teachers into students' servers.
    """
    chosen, trial = str(c.JupyterHub.get("authenticator_class", "")), os.environ.get(SWITCH) == "1"
    if any(name in chosen for name in OPEN) and not trial:
        raise ValueError(
            f"expected a log-in that asks who comes, got {chosen!r}; for a try there is `make hub`"
        )
    address = str(c.JupyterHub.bind_url)
    if not address.startswith("http://127.0.0.1:"):
        raise ValueError(f"expected to listen at 127.0.0.1, with TLS before it, got {address}")
    if c.Authenticator.get("admin_users"):
        raise ValueError(
            f"expected no admins, for they may open students' servers, got {c.Authenticator.admin_users}; "
            f"{TEACHERS} names who may see and stop servers"
        )
