"""`pointsman check --probe` and `verify` with real servers: what is well is said to be well, and what is not is told by its
cause."""

import json
import os
import subprocess

from clients.terminal import Terminal
from lab.configuration import FORWARDINGS, LEGS, NEW, SCRIPTED_HOST, SIDES, leg_name, passing
from lab.layout import ACCOUNTS, address
from lab.proxy import Proxy
from lab.scripted import Scripted
from lab.waiting import until

from . import base
from .base import Case


class Probe(Case):
    def probe(self, name, number, change=None):
        """Exit status and rows by destination and protocol, with a proxy that is configured and never started."""
        proxy = Proxy(self.lab, base.BINARY, name, number, change)
        done = subprocess.run([base.BINARY, "check", "--probe", "--json", proxy.config_path], capture_output=True, text=True,
                              timeout=120)
        rows = json.loads(done.stdout)["probe"]
        return done.returncode, {(row["destination"], row["protocol"]): row for row in rows}

    def test_every_way_to_a_real_server(self):
        status, rows = self.probe("probe", 61)
        self.assertEqual(status, 1, "some of the lab's destinations cannot work")
        taken = {"proxy": "PROXY taken", "xclient": "XCLIENT/ID taken", "none": "none"}
        for side in SIDES:
            for leg in LEGS:
                for forwarding in FORWARDINGS:
                    name = leg_name(side, leg, forwarding)
                    found = [row for (destination, _), row in rows.items() if destination == name]
                    self.assertTrue(found, name)
                    for row in found:
                        with self.subTest(destination=name, protocol=row["protocol"]):
                            self.assertEqual(row["problems"], [])
                            self.assertEqual(row["forwarding"], taken[forwarding])
                            self.assertTrue(row["capabilities"])
                            self.assertEqual(bool(row["certificate"]), leg != "plain")
        for name, word in (("down", "refused"), ("unproven", "trusted authority"), ("plainless", "greeting")):
            row = rows[name, "imap"]
            self.assertEqual(row["state"], "failed")
            self.assertIn(word, row["problems"][0])

    def test_a_pin_that_is_not_the_servers(self):
        def change(document):
            good = document["destination"][leg_name("old", "implicit", "none")]
            bad = {key: value for key, value in good.items() if key != "tls_ca"} | {"tls_pinned_cert_sha256": ["00" * 32]}
            document["destination"]["mispinned"] = bad
        _, rows = self.probe("probe-pin", 62, change)
        row = rows["mispinned", "imap"]
        self.assertEqual(row["state"], "failed")
        self.assertIn("not pinned", row["problems"][0])


    def test_certificates_that_end(self):
        host = self.lab.block.host(SCRIPTED_HOST)
        for number, (days, state, words) in enumerate(((-1, "failed", "expired 24 hours ago"), (10, "warning", "its certificate expires in "), (60, "warning", ""))):
            with self.subTest(days=days):
                pair = self.lab.old.authority.issue(f"ending-{number}", [self.old.hostname], [host], days)
                backend = Scripted(host, self.old.port("imaps"), greet, pair)
                try:
                    _, rows = self.probe(f"probe-ending-{number}", 64 + number)
                finally:
                    backend.stop()
                row = rows["scripted", "imap"]
                self.assertEqual(row["state"], state, row)
                # That it offers less than clients are promised is told in any case.
                about = [text for text in row["problems"] + row["remarks"] if "clients are offered" not in text]
                self.assertEqual([words in text for text in about], [True] if words else [], about)


def greet(connection):
    """An IMAP server as far as a probe goes."""
    connection.say("* OK [CAPABILITY IMAP4rev1 AUTH=PLAIN] ready")
    while words := connection.line().split():
        connection.say(f"{words[0]} OK done")


class Verify(Case):
    def verify(self, *arguments, user=address("bob"), password=None, proxy=None):
        """Exit status, and outcomes by listener, against the proxy that the tests share or another."""
        password = ACCOUNTS[user] if password is None else password
        environment = {**os.environ, "POINTSMAN_VERIFY_PASSWORD": password.decode()}
        done = subprocess.run([base.BINARY, "verify", "--json", "--user", user, *arguments, (proxy or self.proxy).config_path],
                              capture_output=True, text=True, timeout=300, env=environment)
        self.assertNotIn(password.decode(), done.stdout + done.stderr)
        outcomes = json.loads(done.stdout) if done.stdout else []
        return done.returncode, {outcome["listener"]: outcome for outcome in outcomes}, done.stderr

    @property
    def trusting(self):
        return "--ca", self.proxy.pairs["mail"].ca, "--name", "mail.example.org"

    def test_every_listener(self):
        status, outcomes, _ = self.verify(*self.trusting)
        self.assertEqual(status, 0, outcomes)
        expected = {"implicit": "ok", "starttls": "ok", "optional": "ok", "fronted": "ok", "plain": "skipped",
                    "required": "skipped"}
        for listener, outcome in outcomes.items():
            with self.subTest(listener=listener):
                self.assertEqual(outcome["state"], expected[listener.partition("-")[2]], outcome["detail"])

    def test_a_certificate_that_nobody_vouches_for(self):
        status, outcomes, _ = self.verify("--name", "mail.example.org")
        self.assertEqual(status, 1)
        self.assertIn("--ca", outcomes["imap-implicit"]["detail"])

    def test_a_wrong_password(self):
        status, outcomes, _ = self.verify(*self.trusting, password=base.secret("not-that-of-bob"))
        self.assertEqual(status, 1)
        self.assertEqual(outcomes["imap-implicit"]["state"], "failed")
        self.assertIn("refused", outcomes["imap-implicit"]["detail"])

    def test_a_password_that_is_typed(self):
        environment = {key: value for key, value in os.environ.items() if key != "POINTSMAN_VERIFY_PASSWORD"}
        user = address("bob")

        def asked():
            terminal = Terminal(base.BINARY, "verify", "--user", user, *self.trusting, self.proxy.config_path, env=environment)
            self.addCleanup(terminal.close)
            terminal.wait_for(f"Password of {user}: ".encode())
            until(lambda: not terminal.is_as_before(), "what is typed would be seen")
            return terminal
        terminal = asked()
        terminal.type(ACCOUNTS[user] + b"\n")
        self.assertEqual(terminal.end(timeout=60), 0, terminal.drawn)
        self.assertNotIn(ACCOUNTS[user], terminal.drawn)
        self.assertTrue(terminal.is_as_before())
        for keys in (b"half\x03", b"\x04"):
            terminal = asked()
            terminal.type(keys)
            self.assertEqual(terminal.end(), 2, terminal.drawn)
            self.assertIn(b"no password was given", terminal.drawn)
            self.assertTrue(terminal.is_as_before(), "whoever gives up gets the terminal back")

    def test_a_message_through_port_25(self):
        if not self.lab.has_postfix:
            self.skipTest("there is no Postfix without root")

        def change(document, side=self.new):
            imap = document["listener"]["imap-implicit"]
            passing(side.host, side, "none")(document)
            document["listener"] = {"imap-implicit": imap, "smtp-plain": document["listener"]["smtp-plain"]}
        # Its message stays in the mailbox: not in one whose messages others count.
        user = address("crowd7")
        proxy = base.start_proxy("verified", 63, change, {user: NEW})
        self.addCleanup(proxy.stop)
        trusting = "--ca", proxy.pairs["mail"].ca, "--name", "mail.example.org"
        status, outcomes, _ = self.verify(*trusting, user=user, proxy=proxy)
        self.assertEqual(status, 0, outcomes)
        self.assertIn("found by IMAP", outcomes["smtp-plain"]["detail"])
        status, outcomes, _ = self.verify(*trusting, "--no-message", user=user, proxy=proxy)
        self.assertEqual((status, list(outcomes)), (0, ["imap-implicit"]))
