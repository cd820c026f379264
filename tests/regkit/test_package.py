"""What importing the package does, in a process of its own."""

from __future__ import annotations

import subprocess
import sys

FORWARD = """
import torch.jit._script
torch.jit._script.DeprecationWarning = FutureWarning  # as newer versions of torch have it, for users to see
import regkit
w = torch.ones(2)
torch.func.jvp(torch.sin, (w,), (w,))
torch.func.vmap(torch.func.hessian(lambda w: (w**3).sum()))(w[None])
"""


def test_forward_mode_warns_of_nothing():
    """torch itself calls its deprecated torch.jit.script for it: no concern of who uses regkit."""
    command = [sys.executable, "-W", "error:`torch.jit.script`", "-c", FORWARD]
    run = subprocess.run(command, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
