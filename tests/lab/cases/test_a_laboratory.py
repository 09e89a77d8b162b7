"""The laboratory itself, without the proxy: what the other tests take for granted. Runs first."""

import json
import urllib.request

from clients import proxy_header, sasl
from clients.addresses import fresh
from lab import tokens
from lab.layout import ACCOUNTS, MASTER, MASTER_PASSWORD, ODD_PASSWORDS, address

from .base import Case

ALICE = address("alice")
PASSWORD = ACCOUNTS[ALICE]


class Laboratory(Case):
    needs_proxy = False

    def direct(self, side, protocol="imaps", **how):
        return self.dial_endpoint(side.endpoint(protocol), **how)

    def test_every_mechanism_on_both_sides(self):
        for side in self.lab.sides.values():
            for protocol in ("imap", "imaps"):
                for mechanism in (sasl.plain(ALICE, PASSWORD), sasl.login(ALICE, PASSWORD),
                                  sasl.ScramSha256(ALICE, PASSWORD), sasl.xoauth2(ALICE, tokens.opaque(ALICE)),
                                  sasl.oauthbearer(ALICE, tokens.opaque(ALICE))):
                    with self.subTest(side.name, protocol=protocol, mechanism=mechanism.name):
                        talk = self.direct(side, protocol, source="127.0.0.1").secure()
                        self.assert_ok(talk.authenticate(mechanism))
                        self.assert_at(talk, side.name)

    def test_refusals(self):
        talk = self.direct(self.old)
        self.assert_no(talk.authenticate(sasl.plain(ALICE, b"wrong")))
        for token in (tokens.expired(ALICE), "unknown", tokens.opaque(address("bob"))):
            self.assert_no(talk.authenticate(sasl.xoauth2(ALICE, token)))
            self.assert_no(talk.authenticate(sasl.oauthbearer(ALICE, token)))
        self.assert_ok(talk.login(ALICE, PASSWORD))

    def test_every_shape_of_token(self):
        for shape in (tokens.opaque, tokens.footed, tokens.jwt, tokens.long):
            with self.subTest(shape.__name__):
                self.assert_ok(self.direct(self.old).authenticate(sasl.oauthbearer(ALICE, shape(ALICE))))

    def test_odd_passwords(self):
        for name, password in ODD_PASSWORDS.items():
            with self.subTest(name):
                self.assert_ok(self.direct(self.old).authenticate(sasl.plain(address(name), password)))
                self.assert_ok(self.direct(self.old).login(address(name), password))

    def test_master_user(self):
        talk = self.direct(self.new)
        self.assert_ok(talk.login(f"{ALICE}*{MASTER}", MASTER_PASSWORD.encode()))
        self.assert_at(talk, "new")
        talk = self.direct(self.new)
        self.assert_ok(talk.authenticate(sasl.plain(MASTER, MASTER_PASSWORD.encode(), authzid=ALICE)))
        self.assert_at(talk, "new")

    def test_the_log_names_the_client(self):
        source = fresh()
        talk = self.direct(self.old, source=source)
        self.assert_ok(talk.login(ALICE, PASSWORD))
        entry = self.old.logs.wait(client=source, what="Login")
        self.assertEqual((entry["user"], entry["port"], entry["local"], entry["is_tls"]),
                         (ALICE, str(talk.local_port), self.old.host, True))

    def test_a_proxy_header_is_believed_and_demanded(self):
        endpoint = self.old.endpoint("imaps", is_proxied=True)
        header = proxy_header.v2(("203.0.113.7", 4711), ("198.51.100.9", 993))
        self.assert_ok(self.dial_endpoint(endpoint, header=header).login(ALICE, PASSWORD))
        entry = self.old.logs.wait(client="203.0.113.7", port=4711, what="Login")
        self.assertEqual(entry["local"], "198.51.100.9")
        with self.assertRaises((OSError, AssertionError)):
            self.dial_endpoint(endpoint)

    def test_id_is_believed_from_us_alone(self):
        for source, expected in (("127.0.0.1", "203.0.113.8"), (fresh(), None)):
            talk = self.direct(self.old, source=source)
            talk.ok('ID ("x-originating-ip" "203.0.113.8" "x-originating-port" "4712" "x-session-id" "FORWARDED0000001")')
            self.assert_ok(talk.login(ALICE, PASSWORD))
            entry = self.old.logs.wait(client=expected or source, what="Login")
            self.assertEqual(entry["session"] == "FORWARDED0000001", expected is not None)

    def test_strangers_need_encryption(self):
        self.assertIn("LOGINDISABLED", self.direct(self.old, "imap").greeting)
        self.assertNotIn("LOGINDISABLED", self.direct(self.old, "imap", source="127.0.0.1").greeting)

    def test_transcripts(self):
        talk = self.direct(self.old)
        talk.script("""
            C: a LOGIN $user $password
            C: b SELECT INBOX
            S: a OK ... Logged in
            S: ...
            S: * 1 EXISTS
            S: ...
            S: b OK ...
            C: c LOGOUT
            S: * BYE ...
            S: c OK ...
            END
            """, user=ALICE, password=PASSWORD.decode())
        with self.assertRaises(AssertionError):
            self.direct(self.old).script("C: a NOOP\nS: a BAD ...")

    def test_what_was_sent_alone_was_read_alone(self):
        talk = self.direct(self.old)
        for byte in b"a NOOP\r\n":
            talk.send_alone(bytes([byte]))
        self.assertEqual(talk.reply("a")[0][:2], "OK")

    def test_identity_provider(self):
        base = f"http://{self.lab.block.provider}:{self.lab.block.provider_port}"
        token = tokens.opaque(ALICE)
        with urllib.request.urlopen(f"{base}/introspect", f"token={token}".encode(), timeout=5) as answer:
            self.assertEqual(json.load(answer)["username"], ALICE)
        request = urllib.request.Request(f"{base}/userinfo", headers={"Authorization": f"Bearer {token}"})
        with urllib.request.urlopen(request, timeout=5) as answer:
            self.assertEqual(json.load(answer)["email"], ALICE)

    def test_sync(self):
        account = address("crowd39")
        self.old.deliver([account], "written on old")
        self.lab.sync(account, "old", "new")
        self.assertEqual(sorted(self.new.subjects(account)), ["I am new", "I am old", "written on old"])
