"""`pointsman check --probe` and `verify` where HTTP is spoken."""

import json
import os
import subprocess

from lab.proxy import Proxy
from lab.web import configuration, cyrus, layout

from . import base
from .web import Web


class Probe(Web):
    def test_every_kind_of_backend(self):
        proxy = Proxy(self.lab, base.BINARY, "probe-web", 67, configuration.web(self.lab), layout.table())
        done = subprocess.run([base.BINARY, "check", "--probe", "--json", proxy.config_path], capture_output=True, text=True, timeout=120)
        rows = {row["destination"]: row for row in json.loads(done.stdout)["probe"]}
        self.assertEqual(done.returncode, 1, "some of the lab's destinations cannot work")
        for side in self.lab.sides:
            for way in ("", "-none", "-clear", "-dav", "-dav2", "-socket"):
                with self.subTest(destination=side + way):
                    row = rows[side + way]
                    self.assertEqual((row["state"], row["problems"]), ("ok", []), row)
                    self.assertRegex(row["greeting"], r"^HTTP/(1\.1|2)\b")
                    self.assertEqual(bool(row["tls"]), way != "-clear")
                    self.assertEqual(row["forwarding"], "PROXY taken" if layout.WAYS[way][1] else "none")
        self.assertEqual(rows["gone"]["state"], "failed")
        self.assertIn("refused", rows["gone"]["problems"][0])

    def test_a_backend_that_wants_a_header_that_it_is_not_sent(self):
        def change(document):
            document["destination"]["untold"] = document["destination"]["old"] | {"forwarding": "none"}
        proxy = Proxy(self.lab, base.BINARY, "probe-untold", 68, configuration.web(self.lab, change), layout.table())
        done = subprocess.run([base.BINARY, "check", "--probe", "--json", proxy.config_path], capture_output=True, text=True, timeout=120)
        row = next(row for row in json.loads(done.stdout)["probe"] if row["destination"] == "untold")
        self.assertEqual(row["state"], "failed", row)
        self.assertTrue(row["problems"])


class Verify(Web):
    def setUp(self):
        super().setUp()
        if not cyrus.is_possible():
            self.skipTest("Cyrus wants to be started by root")
        self.backends.with_jmap()

    def verify(self, account, password=None):
        """Exit status, and outcomes by listener."""
        password = password or layout.password(account)
        trusting = "--ca", self.proxy.pairs["mail"].ca, "--name", "mail.example.org"
        done = subprocess.run([base.BINARY, "verify", "--json", "--user", account, *trusting, self.proxy.config_path],
                              capture_output=True, text=True, timeout=120, env=os.environ | {"POINTSMAN_VERIFY_PASSWORD": password})
        self.assertNotIn(password, done.stdout + done.stderr)
        return done.returncode, {outcome["listener"]: outcome for outcome in json.loads(done.stdout)}

    def test_the_jmap_session(self):
        for side in self.lab.sides:
            status, outcomes = self.verify(layout.account(f"{side}-jmap"))
            self.assertEqual(status, 0, outcomes)
            states = {listener: outcome["state"] for listener, outcome in outcomes.items()}
            self.assertEqual(states, {"implicit": "ok", "trusting": "ok", "plain": "skipped", "required": "skipped"})
            self.assertIn(f"the session of {layout.account(f'{side}-jmap')}", outcomes["implicit"]["detail"])

    def test_what_can_be_wrong(self):
        wrong = base.secret("not-that-of-jmap").decode()
        for account, password, word in ((layout.account("old-jmap"), wrong, "check the password"),
                                        (layout.account("old-none"), None, "not a JMAP session"),
                                        (layout.account("gone"), None, "502|503")):
            with self.subTest(account=account):
                status, outcomes = self.verify(account, password)
                self.assertEqual((status, outcomes["implicit"]["state"]), (1, "failed"))
                self.assertRegex(outcomes["implicit"]["detail"], word)
