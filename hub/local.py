"""A class on this computer, for a try and for the rehearsal: any name, no password, from this computer only.

`make hub` starts it. What it makes lies in the folder REGKIT_HUB_WORK.
"""

import os
import socket
from contextlib import ExitStack
from pathlib import Path

from traitlets.config import get_config

from hub import common

c = get_config()
if os.environ.get(common.SWITCH) != "1":
    raise ValueError(f"expected {common.SWITCH}=1, for here anybody may come in; `make hub` sets it")
work = Path(os.environ["REGKIT_HUB_WORK"])


def free(many: int) -> list[int]:
    """Ports that nobody uses."""
    with ExitStack() as held:
        sockets = [held.enter_context(socket.socket()) for _ in range(many)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]


hub, proxy, hand_in = free(3)
common.share(c, work / "handed_in", int(os.environ["REGKIT_HUB_PORT"]), hand_in)
c.JupyterHub.hub_port = hub
c.ConfigurableHTTPProxy.api_url = f"http://127.0.0.1:{proxy}"
c.ConfigurableHTTPProxy.pid_file = str(work / "proxy.pid")
c.JupyterHub.db_url = f"sqlite:///{work / 'hub.sqlite'}"
c.JupyterHub.cookie_secret_file = str(work / "cookie_secret")

c.JupyterHub.authenticator_class = "dummy"
c.Authenticator.allow_all = True
c.JupyterHub.spawner_class = "simple"
c.SimpleLocalProcessSpawner.home_dir_template = str(work / "students" / "{username}")
c.Spawner.args = ["--allow-root"] if os.name != "nt" and os.geteuid() == 0 else []
c.Spawner.environment |= {
    f"JUPYTER_{name}_DIR": str(work / "jupyter" / "{username}" / name.lower()) for name in ("CONFIG", "DATA")
}
if idle := os.environ.get("REGKIT_HUB_IDLE"):
    c.JupyterHub.services[1]["command"] = common.culler(int(idle), every=1)
    c.JupyterHub.activity_resolution = 1
common.check(c)
