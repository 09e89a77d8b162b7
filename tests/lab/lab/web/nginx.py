"""One side's nginx: WebDAV behind HTTP Basic, in HTTP/1.1 and HTTP/2, with and without a PROXY header."""

import os

from ..process import Daemon
from ..template import fill
from . import layout


class Nginx:
    def __init__(self, side):
        self.side, self.dir = side, side.dir / "nginx"
        self.files = self.dir / "files"
        self.daemon = None

    def start(self):
        self.files.mkdir(parents=True)
        users = {layout.account(name): layout.password(layout.account(name)) for name in layout.DESTINATIONS}
        (self.dir / "users").write_text("".join(f"{name}:{{PLAIN}}{password}\n" for name, password in users.items()))
        (self.dir / "conf").write_text(fill(
            "nginx.conf", dir=self.side.dir, name=self.side.name, host=self.side.host, cert=self.side.pair.cert,
            key=self.side.pair.key, port=layout.port("dav"), proxied=layout.port("dav", True),
            user="user root;" if os.geteuid() == 0 else ""))
        out = open(self.dir / "stderr.log", "ab")
        self.daemon = Daemon("nginx", "-p", self.dir, "-e", self.dir / "error.log", "-c", self.dir / "conf", "-g", "daemon off;", out=out)

    def log(self):
        """One line for each request: address, the PROXY header's, version, request line, status, X-Forwarded-For."""
        path = self.dir / "access.log"
        return path.read_text(errors="replace").splitlines() if path.exists() else []

    def stop(self):
        if self.daemon:
            self.daemon.stop()
