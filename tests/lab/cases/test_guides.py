"""The migration guides, walked: every runnable block in its order, with the published configuration, in front of real servers.

Only places are changed: folders, addresses, ports, certificates, and the accounts, so that other tests keep theirs.
"""

import json
import os
import re
import shutil
import subprocess
import tomllib
from pathlib import Path

from clients.imap import Imap
from lab import toml
from lab.endpoint import Endpoint
from lab.layout import ACCOUNTS, DOMAIN, PLAIN, PROXIED, address, password
from lab.stalwart.version import V0_15_5, V0_16_16
from lab.waiting import until

from . import base
from .pages import blocks
from .stalwart import WithStalwart

ROOT = Path(__file__).resolve().parents[3]
# The accounts of the guides, and the accounts of the laboratory that play them.
PLAYED_BY = {address("test"): address("reader15"), address("alice"): address("reader16"), address("bob"): address("reader17"),
             address("carol"): address("reader18"), address("dave"): address("reader19")}
ALICE, BOB, CAROL = (PLAYED_BY[address(name)] for name in ("alice", "bob", "carol"))
STEPS = ("3. Configure the proxy", "4. Test beside the source", "5. Cut over", "6. Move accounts", "7. Finish")


class Walk(WithStalwart):
    """One guide: its blocks, and a host that has what the guide takes for granted."""

    # The copy command of the guide; `$FROM` and `$TO` are destinations.
    copy = "exit 0"

    def prepare(self, name, host_number):
        self.walked = base.new_proxy(name, host_number)
        self.addCleanup(self.walked.stop)
        folder = self.walked.dir
        self.places = {"/etc/pointsman": folder / "etc", "/var/lib/pointsman": folder / "lib", "/usr/local/sbin": folder / "bin"}
        self.checkout = folder / "checkout"
        shutil.copytree(ROOT / "resources", self.checkout / "resources")
        (self.checkout / "test.password").write_text(password(PLAYED_BY[address("test")]))
        self.program("pointsman", f'[ "$1" = verify ] && set -- "$@" --ca {self.walked.authority.pem}\nexec {base.BINARY} "$@"')
        self.program("systemctl", f'[ "$*" = "reload pointsman" ] && kill -HUP "$(cat {folder}/pid)"')
        self.program("copy-account", self.copy)

    def program(self, name, script):
        path = self.places["/usr/local/sbin"] / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(0o755)

    def configure(self, servers):
        """Edits the copied configuration as the guide asks, for these servers: destination -> server."""
        path = self.places["/etc/pointsman"] / "config.toml"
        document = tomllib.loads(path.read_text())
        for listener in document["listener"].values():
            ports = {int(bound.rpartition(":")[2]) for bound in listener["bind"]}
            listener["bind"] = [f"{self.walked.host}:{port + PLAIN}" for port in ports]
        for name, server in servers.items():
            destination = document["destination"][name]
            destination |= {"host": server.host, "tls_ca": server.pair.ca}
            for leg in destination["protocol"].values():
                leg["port"] += PROXIED if destination["forwarding"] == "proxy" else PLAIN
        pair = self.walked.pairs["mail"]
        document["tls"]["certificate"]["mail"] = {"cert": pair.cert, "key": pair.key}
        document["mapping"]["file"]["path"] = self.places["/var/lib/pointsman"] / "mapping"
        document["server"] |= {"state_dir": self.walked.dir / "state", "shutdown_grace": "2s", "log_level": "trace"}
        document["admin"]["bind"] = [f"{self.walked.host}:18443"]
        path.write_text(toml.dump(document))
        self.walked.config_path, self.walked.document = path, document

    def start(self):
        self.walked.start()
        (self.walked.dir / "pid").write_text(str(self.walked.daemon.process.pid))

    def run_block(self, block):
        """Runs a block in the copy of the repository. Every command must succeed."""
        for place, here in self.places.items():
            block = block.replace(place, str(here))
        block = re.sub(r"[\w.]+@example\.org", lambda account: PLAYED_BY[account[0]], block)
        path = f"{self.places['/usr/local/sbin']}:{os.environ['PATH']}"
        environment = os.environ | {"PATH": path, "POINTSMAN_CONFIG": str(self.places["/etc/pointsman"] / "config.toml")}
        done = subprocess.run(["bash", "-euo", "pipefail", "-c", block], cwd=self.checkout, env=environment, timeout=120,
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        self.assertEqual(done.returncode, 0, f"{block}\n{done.stdout}\n{self.walked.tail()}")
        return done.stdout

    def walk(self, page, steps, servers):
        """Walks a guide: `steps` are the blocks of each step, and the first block of all copies the published files."""
        self.assertEqual([block for step in steps for block in step], page, "a runnable block in a step that is not walked")
        first, *others = steps[0]
        self.run_block(first)
        base.secret((self.places["/etc/pointsman"] / "admin.token").read_text().strip())
        self.configure(servers)
        for block in others:
            self.run_block(block)
        self.start()
        for step in steps[1:]:
            self.assertTrue(step, "a step without a block")
            for block in step:
                self.run_block(block)

    def log_in(self, account=ALICE):
        """A login at the IMAPS listener of the published configuration."""
        proxy = self.walked
        talk = self.dial_endpoint(Endpoint(proxy.host, 993 + PLAIN, True, proxy.pairs["mail"].ca, f"mail.{DOMAIN}"), Imap)
        self.assert_ok(talk.login(account, ACCOUNTS[account]))
        return talk

    def assert_walked(self, source, target):
        """All accounts were moved and taken back, and the target has become the default."""
        moves = json.loads(self.run_block("pointsman move list --json"))["moves"]
        self.assertEqual([move["outcome"] for move in moves], ["done"] * 6)
        exported = dict(line.split("\t") for line in (self.checkout / "moved.tsv").read_text().splitlines())
        self.assertEqual([exported.get(account) for account in (ALICE, BOB, CAROL)], [source] * 3)

        def default():
            mapped = json.loads(self.run_block("pointsman map get --json nobody"))
            return mapped["destination"] if mapped["routed_to_default"] else None
        until(lambda: default() == target, "the reload does not change the default destination")


class FromDovecot(Walk):
    needs_postfix = True

    @property
    def copy(self):
        """Copies between the two Dovecots what the target lacks."""
        def sync(source, target):
            return f'doveadm -c {source.dovecot_conf} sync -1 -u "$ACCOUNT" "maildir:{target.dir}/mail/$ACCOUNT/Maildir"'
        return f'case "$TO" in\nlegacy) {sync(self.new, self.old)} ;;\n*) {sync(self.old, self.new)} ;;\nesac'

    def tidy(self, account):
        """Leaves in each mailbox what was there before: the message that names the side."""
        for side, other in ((self.old, self.new), (self.new, self.old)):
            side.doveadm("expunge", "-u", account, "mailbox", "INBOX", "HEADER", "Subject", f"I am {other.name}")

    def test_the_guide(self):
        self.prepare("guide-dovecot", 240)
        for account in PLAYED_BY.values():
            self.addCleanup(self.tidy, account)
        self.walk(blocks("migrate-dovecot.md"), [blocks("migrate-dovecot.md", step) for step in STEPS], {"legacy": self.old, "stalwart": self.new})
        self.assert_walked("legacy", "stalwart")
        for destination, side in (("legacy", self.old), ("stalwart", self.new)):
            self.run_block(f"pointsman map set {address('alice')} {destination}")
            # The log of the server has the client's address.
            side.logs.wait(client=self.log_in().source, user=ALICE, what="Login")


class FromStalwart(Walk):
    def walk_from(self, name, host_number, source, published):
        old = self.stand_in("old", source, host_number + 1)
        new = self.stand_in("new", V0_16_16, host_number + 2)
        self.prepare(name, host_number)
        configuration = self.checkout / "resources/config.stalwart-upgrade.toml"
        configuration.write_text(published(configuration.read_text()))
        self.walk(blocks("migrate-stalwart.md"), [blocks("migrate-stalwart.md", step) for step in STEPS], {"old": old, "new": new})
        self.assert_walked("old", "new")
        for destination, server in (("old", old), ("new", new)):
            self.run_block(f"pointsman map set {address('alice')} {destination}")
            event = server.wait(protocol="imap", what="login", client=self.log_in().source)
            self.assertEqual(event.account, ALICE)

    def test_the_guide_from_0_15(self):
        self.walk_from("guide-stalwart-15", 241, V0_15_5, lambda text: text)

    def test_the_guide_from_0_16(self):
        """The rules for 0.15 are removed and those for 0.16 uncommented, as the comments of the file say."""
        def edited(text):
            text, count = re.subn(r"(?ms)^# Old server 0\.15 \(begin\).*?^# Old server 0\.15 \(end\)\n", "", text)
            self.assertEqual(count, 1)
            return re.sub(r"(?m)^#\| ?", "", text)
        self.walk_from("guide-stalwart-16", 244, V0_16_16, edited)
