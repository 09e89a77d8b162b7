"""JMAP (RFC 8620) to real servers: Cyrus on both sides; accounts see their own, whatever connection they come on."""

import json
import os
import subprocess
import sys
from pathlib import Path

from clients.http1 import Http
from lab.endpoint import Endpoint
from lab.web import cyrus, layout

from .web import Web, login_at

JSON = ("Content-Type", "application/json")
HERE = Path(__file__).resolve().parent
MODULES = HERE.parents[2] / "target/lab-python"
USING = ["urn:ietf:params:jmap:core", "urn:ietf:params:jmap:mail"]


class Jmap(Web):
    def setUp(self):
        super().setUp()
        if not cyrus.is_possible():
            self.skipTest("Cyrus wants to be started by root")
        self.backends.with_jmap()

    def call(self, client, side, method, arguments):
        account = layout.account(f"{side}-jmap")
        body = json.dumps({"using": USING, "methodCalls": [[method, {"accountId": account} | arguments, "0"]]}).encode()
        answer = client.request("POST", "/jmap/", [login_at(f"{side}-jmap"), JSON], body)
        self.assertEqual(answer.status, 200, answer)
        name, result, _ = answer.json()["methodResponses"][0]
        self.assertEqual(name, method, result)
        return result

    def directly(self, side):
        """Past the proxy."""
        return self.dial_endpoint(Endpoint(side.host, layout.port("jmap"), True, side.pair.ca, side.hostname), Http)


class Directly(Jmap):
    """Of the laboratory itself."""

    needs_proxy = False

    def test_a_session(self):
        for side in self.lab.sides.values():
            client = self.directly(side)
            self.assertEqual(client.get("/jmap/").status, 401)
            session = client.get("/jmap/", login_at(f"{side.name}-jmap")).json()
            self.assertEqual(session["username"], layout.account(f"{side.name}-jmap"))
            created = self.call(self.directly(side), side.name, "Mailbox/set", {"create": {"a": {"name": "Straight", "parentId": None}}})
            self.assertIn("a", created["created"])


class Library(Jmap):
    """The one from PyPI (`packages-python.txt`)."""

    needs_proxy = False

    def session(self, side, endpoint):
        account = layout.account(f"{side}-jmap")
        done = subprocess.run([sys.executable, HERE.parent / "clients/jmap.py", f"{endpoint.host}:{endpoint.port}", account],
                              input=layout.password(account), capture_output=True, text=True, timeout=60,
                              env={**os.environ, "PYTHONPATH": str(MODULES), "REQUESTS_CA_BUNDLE": str(endpoint.ca)})
        self.assertEqual(done.returncode, 0, done.stderr[-3000:])
        found = json.loads(done.stdout)
        self.assertEqual(found["username"], account)
        self.assertIn("Inbox", found["mailboxes"])
        self.assertEqual(found["subjects"], [f"I am {side}"])

    def test_directly(self):
        for side in self.lab.sides.values():
            self.session(side.name, self.directly(side).endpoint)


class LibraryProxied(Library):
    needs_proxy = True
    test_directly = None

    def test_both_sides(self):
        for side in self.lab.sides:
            self.session(side, self.endpoint())


class Proxied(Jmap):
    def test_sessions_by_turns(self):
        for name, client in self.clients():
            for side in ("old", "new", "old"):
                with self.subTest(name, side=side):
                    session = client.get("/jmap/", login_at(f"{side}-jmap"))
                    self.assertEqual(session.json()["username"], layout.account(f"{side}-jmap"))
                    # What Cyrus says to us of h2c is not for the client.
                    self.assertIsNone(session.get("upgrade"))

    def test_mailboxes_and_blobs(self):
        message = b"From: a@example.org\r\nSubject: uploaded\r\n\r\nHello.\r\n"
        for number, (name, client) in enumerate(self.clients()):
            for side in ("old", "new"):
                with self.subTest(name, side=side):
                    account, mailbox = layout.account(f"{side}-jmap"), f"On {side} {number}"
                    self.call(client, side, "Mailbox/set", {"create": {"a": {"name": mailbox, "parentId": None}}})
                    names = [found["name"] for found in self.call(self.directly(self.lab.sides[side]), side, "Mailbox/get", {})["list"]]
                    self.assertIn(mailbox, names)
                    blob = client.request("POST", f"/jmap/upload/{account}/", [login_at(f"{side}-jmap"), ("Content-Type", "message/rfc822")], message)
                    path = f"/jmap/download/{account}/{blob.json()['blobId']}/a.eml?accept=message/rfc822"
                    self.assertEqual(client.get(path, login_at(f"{side}-jmap")).body, message)

    def test_the_well_known_path(self):
        for name, client in self.clients():
            with self.subTest(name):
                answer = client.get("/.well-known/jmap", login_at("new-jmap"))
                self.assertIn(answer.status, (301, 302, 307))
                self.assertEqual(answer.get("location"), "https://mail.example.org/jmap")
