"""The two sides, the identity provider and a scratch directory: `with Laboratory() as lab:`."""

import os
import shutil
import tempfile
from pathlib import Path

from . import postfix
from .identity_provider import IdentityProvider
from .layout import SIDES, Block
from .process import PATH
from .side import Side

# The servers' sockets live below it, and a socket's path has 108 bytes at most.
MAX_PATH = 64


class Laboratory:
    """Starts everything on entry, ends it and removes the scratch directory on exit (`keep`: leaves it)."""

    def __init__(self, keep=False):
        self.keep = keep
        self.has_postfix = postfix.is_possible()

    def __enter__(self):
        _require("dovecot", "doveadm", "openssl")
        self.dir = Path(tempfile.mkdtemp(prefix="pointsman-lab-")).resolve()
        if len(str(self.dir)) > MAX_PATH:
            raise RuntimeError(f"{self.dir}: {len(str(self.dir))} characters, at most {MAX_PATH} fit: set TMPDIR")
        # Dovecot's and Postfix's own accounts have to come in.
        self.dir.chmod(0o755)
        self.block = Block()
        provider = f"{self.block.provider}:{self.block.provider_port}"
        self.sides = {name: Side(name, self.block.side(name), self.dir, provider, self.has_postfix) for name in SIDES}
        self.provider = None
        try:
            self._start()
        except BaseException:
            self.keep = True
            self.__exit__()
            raise
        return self

    def _start(self):
        self.provider = IdentityProvider(self.block.provider, self.block.provider_port)
        for side in self.sides.values():
            side.start()
        for side in self.sides.values():
            side.wait()
            side.seed()

    def __exit__(self, *_):
        for side in self.sides.values():
            side.stop()
        if self.provider:
            self.provider.stop()
        if not self.keep:
            shutil.rmtree(self.dir, ignore_errors=True)

    @property
    def old(self):
        return self.sides["old"]

    @property
    def new(self):
        return self.sides["new"]

    def limits(self):
        """What this run cannot do, in words."""
        return [] if self.has_postfix else ["not root or no Postfix: the services smtp, msa, msas and msap are absent"]

    def sync(self, account, source, target):
        """Copies an account's mail: the sync step of a move."""
        # env -i: doveadm hands its settings down in the environment, where they would override the other side's -c.
        far = ["env", "-i", f"PATH={PATH}", "doveadm", "-c", self.sides[source].dovecot_conf, "dsync-server", "-u", account]
        return self.sides[target].doveadm("sync", "-1", "-R", "-u", account, *map(str, far))


def _require(*programs):
    missing = [program for program in programs if shutil.which(program) is None]
    if missing:
        raise RuntimeError(f"missing: {', '.join(missing)}; run tests/lab/install.sh (uid is {os.geteuid()})")
