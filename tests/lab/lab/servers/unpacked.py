"""Starts a server from Debian packages that conflict with those of the lab. `install.sh` unpacks them below `target/lab-servers`."""

import os
import signal
from pathlib import Path

from ..process import Daemon

PACKAGES = Path(__file__).resolve().parents[4] / "target/lab-servers"
SCRIPT = Path(__file__).with_name("unpacked.sh")


def is_possible(name):
    """Whether the packages are unpacked and this process may create namespaces."""
    return os.geteuid() == 0 and (PACKAGES / name).is_dir()


def start(name, folder, command):
    """Runs `command` with the packages of `name` on top of the machine's files; it can write to `folder` only."""
    scratch = folder / "scratch"
    scratch.mkdir()
    out = open(folder / "stderr.log", "ab")
    # The server's processes leave its process group, so they get a process namespace, which ends with its first process.
    # unshare blocks SIGTERM.
    return Daemon("unshare", "--mount", "--propagation", "private", "--pid", "--fork", "--kill-child",
                  SCRIPT, scratch, PACKAGES / name, folder, *command, out=out, end_signal=signal.SIGKILL)
