"""A class of 30 to 60 on one machine with systemd; its students have accounts there, and log in with them."""

from pathlib import Path

from traitlets.config import get_config

from hub import common

c = get_config()
state = Path("/var/lib/regkit-hub")  # the unit of systemd makes it, for root only
common.share(c, state / "handed_in", port=8000, hand_in_port=8010)
c.JupyterHub.db_url = f"sqlite:///{state / 'hub.sqlite'}"
c.JupyterHub.cookie_secret_file = str(state / "cookie_secret")

c.JupyterHub.authenticator_class = "pam"
c.LocalAuthenticator.allowed_groups = {"class"}  # sudo usermod --append --groups class NAME
c.JupyterHub.spawner_class = "systemd"
c.SystemdSpawner.isolate_tmp = True
c.SystemdSpawner.isolate_devices = True
c.SystemdSpawner.disable_user_sudo = True
c.SystemdSpawner.unit_extra_properties = {"OOMPolicy": "continue"}  # a kernel dies, its server goes on
common.check(c)
