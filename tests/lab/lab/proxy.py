"""The proxy under test: its folder, its certificates, its process, its log."""

import os
import signal
from pathlib import Path

from . import certificates, toml
from .configuration import LISTENERS, configuration, listener_port, mapping
from .endpoint import Endpoint
from .layout import DOMAIN
from .process import Daemon
from .waiting import answers, until

# Certificate names: chosen by SNI, except the default.
SECOND_NAME, WILDCARD = "mail.example.com", "*.example.net"


class Proxy:
    """One `pointsman run` on an address of its own."""

    def __init__(self, lab, binary, name="main", host_number=20, change=None, table=None):
        """`change(document)`: what is different from the usual configuration; `table`: another mapping than the usual."""
        self.lab, self.binary, self.name = lab, binary, name
        self.host, self.dir = lab.block.host(host_number), lab.dir / f"proxy-{name}"
        self.mapping_path, self.config_path = self.dir / "accounts.map", self.dir / "pointsman.toml"
        self.log_path = self.dir / "log"
        self.table, self.daemon = mapping() if table is None else table, None
        # Whether its log leaves out what a trace has.
        self.is_quiet = False
        # What a service manager adds: variables, and a program that starts the proxy.
        self.environment, self.launcher = {}, []
        (self.dir / "state").mkdir(parents=True)
        self.authority = certificates.Authority(self.dir / "tls", f"CA of proxy {name}")
        self.pairs = {"mail": self.authority.issue("mail", [f"mail.{DOMAIN}"], [self.host]),
                      "second": self.authority.issue("second", [SECOND_NAME]),
                      "wildcard": self.authority.issue("wildcard", [WILDCARD])}
        self.document = configuration(lab, self)
        if change:
            change(self.document)
        self.write_mapping()
        self.config_path.write_text(toml.dump(self.document))

    # Running.

    def start(self):
        environment = {key: value for key, value in os.environ.items() if key not in ("RUST_LOG", "NOTIFY_SOCKET")}
        environment |= {"RUST_BACKTRACE": "1"} | self.environment
        with open(self.log_path, "ab") as log:
            self.daemon = Daemon(*self.launcher, self.binary, "run", self.config_path, out=log, env=environment)
        for bind in self._binds():
            until(lambda: self.daemon.has_ended() or answers(*bind), lambda: f"nobody answers on {bind}\n{self.tail()}")
        if self.daemon.has_ended():
            raise RuntimeError(f"the proxy ended at its start\n{self.tail()}")
        return self

    def _binds(self):
        for listener in self.document["listener"].values():
            for bind in listener["bind"]:
                host, _, port = bind.rpartition(":")
                yield host, int(port)

    def stop(self):
        """Ends it as an operator would; returns its exit status."""
        daemon, self.daemon = self.daemon, None
        return daemon.stop() if daemon else 0

    def reload(self):
        self.config_path.write_text(toml.dump(self.document))
        self.daemon.send(signal.SIGHUP)

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
        self.stop()

    # What tests look at.

    def endpoint(self, kind="implicit", protocol="imap"):
        port, is_implicit = listener_port(protocol, kind), LISTENERS[kind][1]["tls"] == "implicit"
        return Endpoint(self.host, port, is_implicit, self.pairs["mail"].ca, f"mail.{DOMAIN}")

    def log(self):
        return self.log_path.read_text(errors="replace") if self.log_path.exists() else ""

    def tail(self, lines=15):
        return "\n".join(self.log().splitlines()[-lines:])

    def memory(self):
        """Resident bytes."""
        with open(f"/proc/{self.daemon.pid}/statm") as statm:
            return int(statm.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")

    def cpu_time(self):
        """Seconds of CPU time of all threads, by the scheduler's accounting."""
        threads = Path(f"/proc/{self.daemon.pid}/task").glob("*/schedstat")
        return sum(int(thread.read_text().split()[0]) for thread in threads) / 1e9

    # The mapping file, edited as a person or a tool would.

    def map(self, account, destination):
        self.table[account] = destination
        self.write_mapping()

    def write_mapping(self):
        self.write_mapping_text("".join(f"{account} {name}\n" for account, name in self.table.items()))

    def write_mapping_text(self, text):
        beside = self.mapping_path.with_suffix(".new")
        beside.write_text("# Which account is where.\n" + text)
        beside.rename(self.mapping_path)
