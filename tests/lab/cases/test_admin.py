"""The management API with the clients of runbooks: curl, as docs/management.md has it, in front of real servers."""

import json
import os
import re
import shlex
import ssl
import subprocess

from lab import toml
from lab.certificates import fingerprint
from lab.configuration import NEW, OLD
from lab.layout import ACCOUNTS, DOMAIN, MASTER, MASTER_PASSWORD, address
from lab.waiting import until

from . import base
from .base import Case, secret
from .pages import blocks

PORT = 9443
TOKEN = secret("lab-admin-token-0123456789abcdef0123456789abcdef").decode()
ALICE = address("alice")
PRELUDE = 'set -euo pipefail\napi() { curl --silent --show-error --fail-with-body -H "Authorization: Bearer $TOKEN" "$@"; }\n'


def managed(document):
    """A change of the configuration: the API is there."""
    host = document["listener"]["imap-implicit"]["bind"][0].partition(":")[0]
    document["admin"] = {"bind": f"{host}:{PORT}", "bearer_token": TOKEN, "certificate": "mail"}
    # Long enough to look at a drain; the end of a test is a second signal.
    document["server"]["shutdown_grace"] = "20s"


def as_in_the_guide(document):
    """A change of the configuration: the API as the guide sets it up."""
    managed(document)
    del document["admin"]["bearer_token"]
    document["admin"]["bearer_token_file"] = "admin.token"
    login = {"master_user": MASTER, "password": MASTER_PASSWORD}
    document["moves"] = {"compare": {OLD: login, NEW: login}}


class Managed(Case):
    @property
    def url(self):
        return f"https://{self.managed.host}:{PORT}"

    def start(self, host_number, change=managed):
        self.managed = self.extra_proxy(f"managed-{host_number}", host_number, change)

    def shell(self, script):
        """What a script prints; `api` is the guide's function. It must succeed."""
        environment = os.environ | {"TOKEN": TOKEN, "CURL_CA_BUNDLE": str(self.managed.authority.pem)}
        done = subprocess.run(["bash", "-c", PRELUDE + script], env=environment, cwd=self.managed.dir, timeout=60,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        self.assertEqual(done.returncode, 0, f"{script}\n{done.stdout}\n{self.managed.tail()}")
        return done.stdout

    def call(self, method, target, *more):
        """(status, the answer's JSON)."""
        command = ["curl", "-s", "-X", method, "--cacert", self.managed.authority.pem, "-w", "\n%{http_code}",
                   "-H", f"Authorization: Bearer {TOKEN}", *more, self.url + target]
        body, _, status = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, timeout=60).stdout.rpartition("\n")
        return int(status), json.loads(body) if body else None

    def log_in(self, name="alice"):
        talk = self.dial(proxy=self.managed)
        self.assert_ok(talk.login(address(name), ACCOUNTS[address(name)]))
        return talk


class Guide(Managed):
    """Every block of the guide, in its order, as it stands there but for the address and the destinations' names."""

    def test_every_block(self):
        """The lines of the guide, with the API on loopback and a certificate for the host name alone."""
        self.managed = base.new_proxy("managed-60", 60, as_in_the_guide)
        self.addCleanup(self.managed.stop)
        self.managed.authority.issue("mail", [f"mail.{DOMAIN}"])
        token, prepare = blocks("management.md", "Set it up")
        self.run_block(token)
        self.managed.start()
        others = blocks("management.md")[2:]
        self.assertGreater(len(others), 7)
        for block in others:
            with self.subTest(block):
                self.run_block(prepare + block)
        self.assertIn(f"{ALICE}\t{NEW}", (self.managed.dir / "mappings.tsv").read_text())

    def run_block(self, block):
        """Runs a block with the addresses, the destinations and the folder of this proxy."""
        block = block.replace("127.0.0.1:9443", f"{self.managed.host}:{PORT}").replace("/etc/pointsman", str(self.managed.dir))
        block = re.sub(r"(?m)^pointsman\b", shlex.quote(str(base.BINARY)), block)
        for word, name in (("old", OLD), ("new", NEW)):
            block = re.sub(rf'((?:destination|"to|"from)(?:=|": "))\b{word}\b', rf"\g<1>{name}", block)
        self.shell(block)
        if (self.managed.dir / "admin.token").exists():
            secret((self.managed.dir / "admin.token").read_text().strip())


class Acts(Managed):
    def test_a_mapping_leads_the_next_login(self):
        self.start(61)
        self.assert_at(self.log_in(), "old")
        status, stored = self.call("PUT", f"/mappings?identifier={ALICE}&destination={NEW}")
        self.assertEqual((status, stored["changed"], stored["previous"]), (200, True, OLD))
        self.assert_at(self.log_in(), "new")
        self.assertIn(f"{ALICE} {NEW}\n", self.managed.mapping_path.read_text())
        self.assertEqual(self.call("DELETE", f"/mappings?identifier={ALICE}")[1]["removed"], True)
        self.assert_at(self.log_in(), "old")

    def test_a_kick_ends_sessions_and_no_others(self):
        self.start(62)
        kicked, stays = self.log_in(), self.log_in("carol")
        kicked.ok("SELECT INBOX")
        listed = self.call("GET", f"/connections?identifier={ALICE}")[1]["connections"]
        self.assertEqual([(one["account"], one["protocol"], one["destination"]) for one in listed], [(ALICE, "imap", OLD)])
        self.assertEqual(self.call("POST", f"/connections/kick?identifier={ALICE}"), (200, {"kicked": 1, "logins": 0, "ending": 0}))
        self.assertIn(b"BYE", kicked.rest())
        stays.ok("NOOP")
        self.assertEqual(self.call("GET", f"/connections?identifier={ALICE}")[1]["connections"], [])

    def test_a_broken_configuration_changes_nothing_and_is_told_whole(self):
        self.start(63)
        good = self.managed.config_path.read_text()
        self.managed.config_path.write_text(good.replace("default_destination", "default_destinaton") + "\n[colour]\n")
        status, problem = self.call("POST", "/config/reload")
        self.assertEqual(status, 422)
        keys = {remark["key"] for remark in problem["problems"]}
        self.assertTrue({"routing.default_destination", "routing.default_destinaton", "colour"} <= keys, keys)
        self.assertTrue(all(remark["line"] > 0 for remark in problem["problems"]))
        self.assert_at(self.log_in(), "old")

    def test_a_reload_takes_effect_and_says_what_does_not(self):
        self.start(64)
        session = self.log_in("carol")
        document = self.managed.document
        document["routing"]["default_destination"] = NEW
        document["server"]["threads"] = 3
        self.managed.config_path.write_text(toml.dump(document))
        self.assertEqual(self.call("POST", "/config/reload")[1]["restart_required"], ["server.threads"])
        self.assert_at(self.log_in("carol"), "new")
        self.assert_at(session, "old")
        acts = [(one["act"], one["result"]) for one in self.call("GET", "/audit")[1]["records"]]
        self.assertEqual(acts, [("config.reload", "ok")])

    def test_a_bad_mapping_file_is_refused_with_its_line(self):
        self.start(65)
        self.managed.mapping_path.write_text(f"{ALICE} {NEW}\nsomeone nowhere\n")
        status, problem = self.call("POST", "/mappings/reload")
        self.assertEqual((status, [remark["line"] for remark in problem["problems"]]), (422, [2]))
        self.assert_at(self.log_in(), "old")

    def test_the_certificate_of_its_own_stays_and_clients_find_it(self):
        def unnamed(document):
            managed(document)
            del document["admin"]["certificate"]
        self.start(68, unnamed)

        def shown():
            return fingerprint(ssl.PEM_cert_to_DER_cert(ssl.get_server_certificate((self.managed.host, PORT))))
        first = shown()
        self.assertEqual(re.findall(r'self-signed certificate.*sha256="?([0-9a-f]{64})', self.managed.log()), [first])
        self.managed.stop()
        self.managed.start()
        self.assertEqual(shown(), first, "another start")
        for command in (["curl", "-sf", "--cacert", self.managed.dir / "state" / "admin.crt", f"{self.url}/healthz"],
                        [base.BINARY, "status", "--config", self.managed.config_path]):
            done = subprocess.run(command, capture_output=True, text=True, timeout=60)
            self.assertEqual(done.returncode, 0, done.stderr)

    def test_readiness_while_draining(self):
        self.start(66)
        session = self.log_in()
        self.managed.daemon.send(15)
        until(lambda: self.call("GET", "/readyz")[0] == 503, "ready while it drains")
        self.assertEqual(self.call("GET", "/healthz", "-o", "/dev/null")[0], 200)
        session.close()
