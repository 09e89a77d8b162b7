"""A server of Node's, in one version of HTTP over TLS; see `scripts/server.js`."""

from pathlib import Path

from ..process import Daemon

SCRIPT = Path(__file__).parent / "scripts" / "server.js"


class Node:
    def __init__(self, folder, version, host, port, pair, keep_alive):
        """`keep_alive`: seconds after which it closes an idle connection; its default is 5."""
        folder.mkdir(parents=True)
        out = open(folder / "server.log", "ab")
        self.daemon = Daemon("node", SCRIPT, version, host, port, pair.key, pair.cert, int(keep_alive * 1000), out=out)

    def stop(self):
        self.daemon.stop()
