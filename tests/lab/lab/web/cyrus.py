"""One side's JMAP server: the httpd of Cyrus IMAP, which Debian builds with JMAP. It insists on being started by root.

Debian's `cyrus-caldav` has it, which gets on with Dovecot (`cyrus-imapd` does not, and is not needed).
"""

import os
import pwd
import shutil
import smtplib
import socket
import struct
import threading
from pathlib import Path

from ..layout import DOMAIN
from ..process import Daemon
from ..template import fill
from ..waiting import answers, until
from . import layout

PROGRAMS = Path("/usr/lib/cyrus/bin")


def is_possible():
    return os.geteuid() == 0 and (PROGRAMS / "httpd").exists()


class Cyrus:
    def __init__(self, side):
        self.side, self.dir = side, side.dir / "cyrus"
        self.passwords = self.daemon = None

    def start(self):
        for folder in ("conf/proc", "conf/lock", "conf/socket", "conf/log", "conf/msg", "conf/db", "mail", "sieve"):
            (self.dir / folder).mkdir(parents=True)
        mux = self.dir / "mux"
        # Cyrus reads the key as its own user.
        key, cert = (Path(shutil.copy(path, self.dir)) for path in (self.side.pair.key, self.side.pair.cert))
        self.passwords = Passwords(mux)
        place = {"dir": self.dir, "hostname": self.side.hostname, "host": self.side.host, "port": layout.port("jmap"),
                 "lmtp": layout.port("jmap-lmtp"), "mux": mux,
                 "cert": cert, "key": key, "programs": PROGRAMS}
        for name in ("imapd.conf", "cyrus.conf"):
            (self.dir / name).write_text(fill(name, **place))
        owner = pwd.getpwnam("cyrus")
        for path in (self.dir, *self.dir.rglob("*")):
            os.chown(path, owner.pw_uid, owner.pw_gid)
        out = open(self.dir / "stderr.log", "ab")
        self.daemon = Daemon(PROGRAMS / "master", "-C", self.dir / "imapd.conf", "-M", self.dir / "cyrus.conf",
                             "-p", self.dir / "pid", "-D", out=out)
        until(lambda: self.daemon.has_ended() or answers(self.side.host, layout.port("jmap")), "Cyrus does not answer", limit=20)
        # Mail makes the mailbox: an account has none before.
        with smtplib.LMTP(self.side.host, layout.port("jmap-lmtp")) as lmtp:
            text = f"From: <lab@{DOMAIN}>\r\nSubject: I am {self.side.name}\r\n\r\nHello.\r\n"
            lmtp.sendmail(f"lab@{DOMAIN}", [layout.account(f"{self.side.name}-jmap")], text)

    def stop(self):
        if self.daemon:
            self.daemon.stop()
        if self.passwords:
            self.passwords.stop()


class Passwords:
    """What Cyrus takes for saslauthd: four counted strings come, and OK or NO goes."""

    def __init__(self, path):
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(str(path))
        self.listener.listen(64)
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                accepted, _ = self.listener.accept()
            except OSError:
                return
            with accepted, accepted.makefile("rb") as asked:
                user, password, _service, _realm = (asked.read(struct.unpack("!H", asked.read(2))[0]).decode() for _ in range(4))
                answer = b"OK" if password == layout.password(user) else b"NO"
                accepted.sendall(struct.pack("!H", len(answer)) + answer)

    def stop(self):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
