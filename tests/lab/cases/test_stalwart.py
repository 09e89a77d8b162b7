"""The published examples in front of Stalwart stand-ins: every protocol, tokens of both kinds, a flip and the way back.

Every test also checks that the server logged the client's address.
"""

import itertools
import json

from clients import sasl
from clients.http1 import basic, bearer
from clients.http2 import Http2
from clients.imap import Imap
from clients.managesieve import ManageSieve
from clients.pop3 import Pop3
from clients.smtp import Smtp
from clients.submission import Submission
from clients.websocket import WebSocket, WebSocket2
from lab.layout import ACCOUNTS, address, password
from lab.stalwart.version import V0_15_5, V0_16_16

from .base import secret
from .stalwart import ALICE, BOB, WEB_CLIENTS, Scenario

# (client, well-known port, implicit TLS) of the listeners that both examples have.
IMAPS, POP3S = (Imap, 993, True), (Pop3, 995, True)
SUBMISSION, SUBMISSIONS = (Submission, 587, False), (Submission, 465, True)
SIEVE = (ManageSieve, 4190, False)
LISTENERS = [(Imap, 143, False), IMAPS, POP3S, SUBMISSION, SUBMISSIONS]
# A command after login, and how the stand-in's response begins: the session is bridged.
AFTER_LOGIN = {
    "imap": ("b NAMESPACE", '* NAMESPACE (("" "/")) NIL NIL'),
    "pop3": ("STAT", "+OK 1 5"),
    "managesieve": ("LISTSCRIPTS", "OK"),
    "submission": (f"MAIL FROM:<{ALICE}>", "250 2.1.0 OK"),
}
FORM = ("Content-Type", "application/x-www-form-urlencoded")


class Common:
    """What holds for every account on a stand-in: `residents` are pairs of an account and its server."""

    def residents(self):
        raise NotImplementedError

    def assert_bridged(self, talk, account, server):
        words, response = AFTER_LOGIN[talk.protocol]
        talk.say(words)
        self.assertEqual(talk.line(), response)
        self.assertEqual(server.wait(protocol=talk.protocol, what="login", client=talk.source).account, account)

    def log_in_everywhere(self, listeners):
        for (account, server), listener in itertools.product(self.residents(), listeners):
            with self.subTest(listener[0].protocol, port=listener[1], server=server.name):
                talk = self.mail(*listener)
                self.assert_ok(talk.login(account, ACCOUNTS[account]))
                self.assert_bridged(talk, account, server)

    def test_passwords(self):
        self.log_in_everywhere(LISTENERS)

    def test_managesieve(self):
        self.log_in_everywhere([SIEVE])
        for account, server in self.residents():
            for mechanism in (sasl.xoauth2, sasl.oauthbearer):
                with self.subTest(server=server.name, mechanism=mechanism.__name__):
                    talk = self.mail(*SIEVE)
                    self.assert_ok(talk.authenticate(mechanism(account, server.version.token(account))))
                    self.assert_bridged(talk, account, server)

    def test_tokens(self):
        for (account, server), listener, mechanism in itertools.product(self.residents(), LISTENERS, (sasl.xoauth2, sasl.oauthbearer)):
            with self.subTest(listener[0].protocol, port=listener[1], server=server.name, mechanism=mechanism.__name__):
                talk = self.mail(*listener)
                self.assert_ok(talk.authenticate(mechanism(account, server.version.token(account))))
                self.assert_bridged(talk, account, server)

    def test_a_refused_password(self):
        wrong = secret("wrong-at-stalwart")
        for (account, server), listener in itertools.product(self.residents(), LISTENERS):
            with self.subTest(listener[0].protocol, port=listener[1], server=server.name):
                talk = self.mail(*listener)
                self.assert_no(talk.login(account, wrong))
                self.assertEqual(server.wait(protocol=talk.protocol, what="refused", client=talk.source).account, account)
                self.assert_ok(talk.login(account, ACCOUNTS[account]))
                self.assert_bridged(talk, account, server)

    def test_a_session_keeps_its_account(self):
        account, server = self.residents()[0]
        other = ALICE if account == BOB else BOB
        for words in (b"c UNAUTHENTICATE\r\nd LOGIN %s %s\r\n", b"c APPEND INBOX {9}\r\nd UNAUTHENTICATE\r\ne LOGIN %s %s\r\n",
                      b"c COMPRESS DEFLATE\r\nd LOGIN %s %s\r\n"):
            with self.subTest(words=words):
                talk = self.mail(*IMAPS)
                self.assert_ok(talk.login(account, ACCOUNTS[account]))
                talk.send(words % (other.encode(), ACCOUNTS[other]))
                self.assertRegex(talk.line(), r"^\* BYE ")
                self.assertEqual(talk.rest(), b"")
                self.assertEqual([entry.account for entry in server.seen(client=talk.source, what="login")], [account])
        talk = self.mail(*SIEVE)
        self.assert_ok(talk.login(account, ACCOUNTS[account]))
        talk.say("UNAUTHENTICATE")
        self.assertRegex(talk.line(), r"^BYE \(TRYLATER\) ")
        self.assertEqual(talk.rest(), b"")
        # It is not offered, and a message may contain it.
        talk = self.mail(*IMAPS)
        ok, _ = talk.command(f"LOGIN {account} {ACCOUNTS[account].decode()}")
        self.assertIn("OK [CAPABILITY ", ok)
        self.assertNotIn("UNAUTHENTICATE", ok)
        for literal in ("{22+}", "{22}"):
            talk.send(f"x APPEND INBOX {literal}\r\n".encode())
            if literal == "{22}":
                self.assertRegex(talk.line(), r"^\+")
            talk.send(b"d UNAUTHENTICATE\r\nHi\r\n\r\n")
            self.assertRegex(talk.reply("x")[0], "^OK ")
        self.assert_bridged(talk, account, server)

    def test_port_25_leads_to_the_new_server(self):
        talk = self.dial_endpoint(self.listener(25, False), Smtp)
        self.assertEqual(talk.greeting, f"220 {self.new_server.hostname} Stalwart ESMTP at your service")
        keywords = talk.begin("x@example.net", ALICE)
        self.assertEqual(keywords, ["STARTTLS", "SMTPUTF8", "SIZE", "REQUIRETLS", "PIPELINING", "NO-SOLICITING", "ENHANCEDSTATUSCODES",
                                    "CHUNKING", "BINARYMIME", "8BITMIME"])
        self.new_server.wait(protocol="smtp", what="mail", client=talk.source)


class Upgrade(Common):
    """Two deployments of Stalwart; `versions` are those of the old and the new one."""

    example, versions = "stalwart-upgrade", ()

    @classmethod
    def start(cls, lab):
        old = cls.keep("old", lab, cls.first_host, cls.versions[0])
        new = cls.keep("new", lab, cls.first_host + 1, cls.versions[1])
        return old, new, cls.run_proxy({"old": old, "new": new}, WEB_CLIENTS | {BOB: "new"})

    def residents(self):
        return (ALICE, self.old_server), (BOB, self.new_server)

    def credentials(self, account, server):
        """The header fields that show this account: a password, and a token that the account's server issued.

        An opaque token leads to the default destination, which is the old server.
        """
        shown = [basic(account, password(account))]
        if server is self.old_server or server.version is V0_16_16:
            shown.append(bearer(server.version.token(account)))
        return shown

    def each_http(self):
        """(words for a report, client, field, account, server) for every version of HTTP, account and kind of credential."""
        for account, server in self.residents():
            for field in self.credentials(account, server):
                for version, client in self.http_clients():
                    yield f"{version} to {server.name}, {field[1].split()[0]}", client, field, account, server

    def assert_requested(self, client, account, server, request):
        event = server.wait(protocol="http", what=request, client=client.source)
        self.assertEqual(event.account, account)

    def test_jmap(self):
        for words, client, field, account, server in self.each_http():
            with self.subTest(words):
                found = client.get("/.well-known/jmap", field)
                self.assertEqual((found.status, found.get("location")), (307, "/jmap/session"))
                self.assert_requested(client, account, server, "GET /.well-known/jmap")
                session = client.get("/jmap/session", field)
                self.assertEqual((session.status, session.json()["username"]), (200, account))
                self.assertEqual(session.json()["apiUrl"], f"https://{server.hostname}/jmap/")
                calls = [["Core/echo", {"hello": True}, "c1"]]
                body = json.dumps({"using": ["urn:ietf:params:jmap:core"], "methodCalls": calls}).encode()
                self.assertEqual(client.request("POST", "/jmap/", [field], body).json()["methodResponses"], calls)
                self.assert_requested(client, account, server, "POST /jmap/")

    def test_a_refused_password_over_http(self):
        for version, client in self.http_clients():
            for account, server in self.residents():
                with self.subTest(version, server=server.name):
                    answer = client.get("/jmap/session", basic(account, secret("wrong-over-http").decode()))
                    challenges = [value for name, value in answer.fields if name.lower() == "www-authenticate"]
                    self.assertEqual((answer.status, challenges), (401, [server.version.bearer_challenge, 'Basic realm="Stalwart Server"']))

    def test_event_source(self):
        for words, client, field, account, server in self.each_http():
            with self.subTest(words):
                target = "/jmap/eventsource/?types=*&closeafter=no&ping=1"
                self.assertEqual(self.first_event(client, target, field), b'event: ping\r\ndata: {"interval":1}\r\n\r\n')
                self.assert_requested(client, account, server, "GET /jmap/eventsource/")

    def first_event(self, client, target, field):
        stream = client.ask("GET", target, [field, ("Accept", "text/event-stream")])
        answer = client.head(stream) if isinstance(client, Http2) else client.head()
        self.assertEqual((answer.status, answer.get("content-type")), (200, "text/event-stream"))
        if isinstance(client, Http2):
            client.wait(lambda: answer.body)
            return answer.body
        return next(client.pieces(answer))

    def test_websocket(self):
        for words, client, field, account, server in self.each_http():
            with self.subTest(words):
                kind = WebSocket2 if isinstance(client, Http2) else WebSocket
                socket = kind(client, "/jmap/ws", [field], subprotocol="jmap")
                self.assertEqual(socket.answer.get("sec-websocket-protocol"), "jmap")
                calls = [["Core/echo", {"hello": "x" * 200}, "c1"]]
                socket.send(json.dumps({"@type": "Request", "id": "R1", "using": [], "methodCalls": calls}))
                self.assertEqual(json.loads(socket.text()), {"@type": "Response", "requestId": "R1", "methodResponses": calls})
                self.assertEqual(socket.close(1000), 1000)
                self.assert_requested(client, account, server, "GET /jmap/ws")

    def test_caldav(self):
        for words, client, field, account, server in self.each_http():
            with self.subTest(words):
                found = client.request("PROPFIND", "/.well-known/caldav", [field], b"")
                self.assertEqual((found.status, found.get("location")), (307, "/dav/cal"))
                answer = client.request("PROPFIND", f"/dav/cal/{account}/", [field, ("Depth", "0")], b"")
                self.assertEqual(answer.status, 207)
                self.assertIn(f"<D:displayname>{account}</D:displayname>".encode(), answer.body)
                self.assert_requested(client, account, server, f"PROPFIND /dav/cal/{account}/")

    def test_the_token_endpoint_follows_the_web_client(self):
        for version, client in self.http_clients():
            for name, side in WEB_CLIENTS.items():
                with self.subTest(version, client_id=name):
                    answer = client.request("POST", "/auth/token", [FORM], f"grant_type=x&client_id={name}".encode())
                    self.assertEqual((answer.status, answer.json()), (400, {"error": "invalid_grant"}))
                    server = self.old_server if side == "old" else self.new_server
                    server.wait(protocol="http", what="POST /auth/token", client=client.source)

    def test_a_flip_and_the_way_back(self):
        """The next login and the next request of a moved account go to its new server, and a kick ends its sessions."""
        mover = address("mover")
        session = self.bridged_session(mover, self.old_server)
        for destination, server in (("new", self.new_server), ("old", self.old_server)):
            with self.subTest(destination):
                self.order("PUT", "/mappings", identifier=mover, destination=destination)
                self.order("POST", "/connections/kick", identifier=mover)
                self.assertIn(b"BYE", session.rest())
                session = self.bridged_session(mover, server)

    def bridged_session(self, account, server):
        """An IMAP session of the account, which is on that server; a request of the account's reaches it, too."""
        client = self.http()
        answer = client.get("/jmap/session", basic(account, password(account)))
        self.assertEqual(answer.json()["apiUrl"], f"https://{server.hostname}/jmap/")
        self.assert_requested(client, account, server, "GET /jmap/session")
        talk = self.mail(*IMAPS)
        self.assert_ok(talk.login(account, ACCOUNTS[account]))
        self.assert_bridged(talk, account, server)
        return talk


class UpgradeToTheSameVersion(Upgrade, Scenario):
    first_host = 34
    versions = V0_15_5, V0_15_5


class UpgradeToTheNextVersion(Upgrade, Scenario):
    first_host = 36
    versions = V0_15_5, V0_16_16


class FromDovecot(Common, Scenario):
    """A Dovecot with a Postfix, which learn the client by XCLIENT, and a new Stalwart."""

    example, first_host = "dovecot-postfix", 38

    @classmethod
    def start(cls, lab):
        new = cls.keep("new", lab, cls.first_host, V0_16_16)
        return lab.old, new, cls.run_proxy({"legacy": lab.old, "stalwart": new}, {BOB: "stalwart"})

    def residents(self):
        return [(BOB, self.new_server)]

    def test_a_flip_and_the_way_back(self):
        """An account moves from Dovecot to Stalwart and back; a kick ends the sessions that are at the other server."""
        mover = address("mover")
        session = self.session_at_dovecot(mover)
        self.order("PUT", "/mappings", identifier=mover, destination="stalwart")
        self.order("POST", "/connections/kick", identifier=mover)
        self.assertIn(b"BYE", session.rest())
        for listener in (SUBMISSIONS, POP3S, IMAPS):
            session = self.mail(*listener)
            self.assert_ok(session.login(mover, ACCOUNTS[mover]))
            self.assert_bridged(session, mover, self.new_server)
        self.order("PUT", "/mappings", identifier=mover, destination="legacy")
        self.order("POST", "/connections/kick", identifier=mover)
        self.assertIn(b"BYE", session.rest())
        self.session_at_dovecot(mover)

    def session_at_dovecot(self, account):
        talk = self.mail(*IMAPS)
        self.assert_ok(talk.login(account, ACCOUNTS[account]))
        self.assert_at(talk, "old")
        self.old_server.logs.wait(client=talk.source, user=account, what="Login")
        return talk
