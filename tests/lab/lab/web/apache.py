"""An Apache with WebDAV, without TLS. Nothing of /etc is used."""

import os
import shutil

from ..process import Daemon
from ..template import fill


class Apache:
    def __init__(self, folder, host, port, keep_alive):
        """`keep_alive`: seconds after which it closes an idle connection; its default is 5."""
        self.folder = folder
        (folder / "files").mkdir(parents=True)
        user = ""
        if os.geteuid() == 0:
            # It refuses to serve as root.
            user = "User www-data\nGroup www-data"
            for path in (folder, folder / "files"):
                shutil.chown(path, "www-data", "www-data")
        (folder / "conf").write_text(fill("apache.conf", dir=folder, host=host, port=port, keep_alive=keep_alive, user=user))
        out = open(folder / "stderr.log", "ab")
        self.daemon = Daemon("apache2", "-DFOREGROUND", "-d", folder, "-f", folder / "conf", out=out)

    def stop(self):
        self.daemon.stop()
