"""Which server answers: the published rules one by one, and what else there can be said in rules."""

import urllib.parse
from dataclasses import replace

from clients.http1 import basic, bearer
from clients.imap import Imap
from lab import tokens
from lab.layout import PLAIN, address
from lab.web import configuration, layout

from . import base
from .web import Web, login

FORM = ("Content-Type", "application/x-www-form-urlencoded")
ALICE, BOB = login("alice"), login("bob")
PINNED = {
    "old": ["/api/oauth", "/api/oauth/", "/authorize", "/authorize/", "/authorize/code", "/authorize/a/b/c"],
    "new": ["/api/auth", "/api/auth/", "/api/discover/x@example.org", "/api/discover/a/b", "/admin/", "/admin/settings",
            "/account/a", "/account/a/b", "/login", "/login/", "/device", "/device/"],
}
# Beside a rule, and not below it.
BESIDE = ["/api", "/api/oauth2", "/api/oauth/token", "/authorizer", "/api/authx", "/administrator", "/accounts", "/login/x", "/devices", "/"]
# Body of a token request -> the side that it is for.
TOKEN_REQUESTS = {
    "client_id=webadmin": "old",
    "client_id=stalwart-webui": "new",
    "grant_type=authorization_code&client_id=stalwart-webui&code=abc": "new",
    "client_id=stalwart%2Dwebui&code=1": "new",
    "client_id=STALWART-WEBUI": "new",
    "client_id=bob%40example.org": "new",
    "client_id=unknown": "old",
    "client_id=": "old",
    "grant_type=refresh_token": "old",
    "": "old",
}


class Rules:
    """Every rule of the published pair of configurations, whoever runs them."""

    def test_a_pinned_path_asks_nobody(self):
        for name, client in self.clients():
            for side, paths in PINNED.items():
                for path in paths:
                    for who in ([], [ALICE], [BOB]):
                        with self.subTest(path, version=name, who=who):
                            self.assertEqual(self.side_of(client.get(path, *who)), side)

    def test_beside_a_pinned_path_the_account_counts(self):
        client = self.http1()
        for path in BESIDE:
            with self.subTest(path):
                self.assertEqual([self.side_of(client.get(path, *who)) for who in ([], [ALICE], [BOB])], ["old", "old", "new"])

    def test_a_token_request_goes_by_the_client_in_its_body(self):
        for name, client in self.clients():
            for body, side in TOKEN_REQUESTS.items():
                with self.subTest(body, version=name):
                    # Who is logged in does not count here, but with the rule's own fallback.
                    answer = client.request("POST", "/auth/token", [FORM, BOB], body.encode())
                    self.assertEqual(self.side_of(answer), side)
                    self.assertEqual(answer.json()["size"], len(body))

    def test_everything_else_follows_the_account(self):
        shapes = {
            "Basic": lambda account: basic(account, layout.password(account)),
            "Basic, capitals": lambda account: basic(account.upper(), layout.password(account)),
            "a token with a footer": lambda account: bearer(tokens.footed(account)),
            "a long token": lambda account: bearer(tokens.long(account)),
            "a JWT": lambda account: bearer(tokens.jwt(account)),
        }
        for name, client in self.clients():
            for shape, shown in shapes.items():
                with self.subTest(shape, version=name):
                    sides = [self.side_of(client.get("/jmap/", shown(address(who)))) for who in ("alice", "bob", "carol")]
                    self.assertEqual(sides, ["old", "new", "old"])

    def test_nobody_goes_to_the_default(self):
        for name, client in self.clients():
            for field in (("Authorization", "Digest username=bob"), ("Authorization", "Basic"), bearer("opaque-of-nobody"), ("X-Other", "1")):
                with self.subTest(field, version=name):
                    self.assertEqual(self.side_of(client.get("/jmap/session", field)), "old")

    def test_who_cannot_be_anybody_is_a_failed_login(self):
        for name, client in self.clients():
            for field in (("Authorization", "Basic !!"), basic("bob\n@example.org", "x"),
                          basic("bob\r\nX: y", "x"), basic("bob ", "x"), basic("", "x"), basic("b" * 321, "x")):
                with self.subTest(field, version=name):
                    answer = client.get("/jmap/session", field)
                    self.assertEqual((answer.status, answer.get("content-type")), (401, "application/problem+json"))
                    self.assertIn("Basic", answer.get("www-authenticate"))


class OwnConfiguration(Rules, Web):
    def test_query_and_header(self):
        client = self.http1()
        bob = urllib.parse.quote(address("bob"))
        rows = [
            (f"/by/query?account={bob}", [], "new"), (f"/by/query?x=1&account={address('alice')}", [], "old"),
            ("/by/query?x=1", [], "new"), ("/by/query", [ALICE], "new"), (f"/by/query?Account={bob}", [], "new"),
            ("/by/header", [("X-Account", address("bob"))], "new"), ("/by/header", [("x-account", address("alice"))], "old"),
            ("/by/header", [], "old"), ("/by/header", [("X-Account", "nobody@example.org")], "old"),
        ]
        for path, fields, side in rows:
            with self.subTest(path, fields=fields):
                self.assertEqual(self.side_of(client.get(path, *fields)), side)

    def test_a_path_has_no_query(self):
        client = self.http1()
        self.assertEqual(self.side_of(client.get("/login?x=/authorize/", ALICE)), "new")
        self.assertEqual(self.side_of(client.get("/x?/admin/", ALICE)), "old")

    def test_body_rules_by_every_framing(self):
        """Chunked, in pieces, with and without waiting for 100; the backend gets the body whole."""
        body = b"grant_type=authorization_code&client_id=stalwart-webui&code=abc"
        chunked = b"".join(b"%x\r\n%c\r\n" % (1, byte) for byte in body) + b"0\r\n\r\n"
        head = b"POST /auth/token HTTP/1.1\r\nHost: mail.example.org\r\n"
        for name, fields, sent in (("chunked", b"Transfer-Encoding: chunked\r\n", chunked), ("length", b"Content-Length: %d\r\n" % len(body), body)):
            for expects in (False, True):
                with self.subTest(name, expects=expects):
                    client = self.http1()
                    client.send(head + fields + (b"Expect: 100-continue\r\n" if expects else b"") + b"\r\n")
                    if expects:
                        self.assertEqual(client.head(skips_1xx=False).status, 100)
                    for byte in sent[:20]:
                        client.send_alone(bytes([byte]))
                    client.send(sent[20:])
                    answer = client.answer()
                    self.assertEqual((self.side_of(answer), answer.json()["size"]), ("new", len(body)))

    def test_a_body_over_the_cap_is_the_fallbacks_and_whole(self):
        proxy = self.web_proxy(lambda document: document["http"].update(body_extract_cap="1KiB"))
        inside, outside = b"client_id=stalwart-webui&x=" + b"a" * 900, b"x=" + b"a" * 2000 + b"&client_id=stalwart-webui"
        for client in (self.http1(proxy=proxy), self.http2(proxy=proxy)):
            for body, side in ((inside, "new"), (outside, "old"), (outside + b"z" * 3_000_000, "old")):
                answer = client.request("POST", "/auth/token", [FORM], body)
                self.assertEqual((self.side_of(answer), answer.json()["size"]), (side, len(body)))


class Nowhere(Web):
    """Requests that cannot be answered by a backend: each says why by its status, and the connection lives on."""

    def test_no_rule(self):
        def only_one(document):
            document["http"]["route"] = [{"match": "/only/**", "destination": "new"}]
        proxy = self.web_proxy(only_one)
        for client in (self.http1(proxy=proxy), self.http2(proxy=proxy)):
            self.assertEqual(client.get("/other", ALICE).status, 404)
            self.assertEqual(self.side_of(client.get("/only/this")), "new")

    def test_no_leg_and_nobody_there(self):
        for name, client in self.clients():
            with self.subTest(name):
                self.assertEqual(client.get("/mute/x").status, 502)
                answer = client.get("/gone/x")
                self.assertEqual(answer.status, 503)
                self.assertRegex(answer.get("retry-after", ""), r"^\d+$")
                self.assertEqual(self.side_of(client.get("/x", BOB)), "new")

    def test_a_backend_that_says_nothing(self):
        def impatient(document):
            document["http"]["relay_idle"] = "1s"
        proxy, silence = self.web_proxy(impatient), self.made(lambda exchange: exchange.hear())
        for client in (self.http1(proxy=proxy), self.http2(proxy=proxy)):
            self.assertEqual(client.get("/made/silence").status, 504)
        silence.hang_up()

    def test_a_backend_that_proves_nothing(self):
        def distrusting(document):
            document["destination"]["gone"] = document["destination"]["old-none"] | {"tls_ca": self.new.pair.ca}
        mark = self.backends.untold["old"].mark()
        client = self.http1(proxy=self.web_proxy(distrusting))
        self.assertEqual(client.get("/gone/x", ALICE).status, 503)
        self.assertEqual(self.backends.untold["old"].since(mark), [])


class Published(Rules, Web):
    """The pair of Stalwarts, with nothing changed but where things are."""

    running = None

    def setUp(self):
        super().setUp()
        if Published.running is None:
            change = configuration.scenario(self.lab, "stalwart-upgrade", {"old": "old", "new": "new"})
            names = {**layout.PEOPLE, **layout.TEN}
            table = {address(name): side for name, side in names.items()} | {"webadmin": "old", "stalwart-webui": "new"}
            Published.running = base.start_proxy("published", 58, change, table)

    def endpoint(self, via="implicit", proxy=None):
        return replace(super().endpoint(via, proxy or Published.running), port=443 + PLAIN)

    def test_mail_runs_beside_it(self):
        for port, is_implicit in ((993, True), (143, False)):
            for name, side in (("alice", "old"), ("bob", "new")):
                talk = self.dial_endpoint(replace(self.endpoint(), port=port + PLAIN, is_implicit=is_implicit), Imap).secure()
                self.assert_ok(talk.login(address(name), base.ACCOUNTS[address(name)]))
                self.assert_at(talk, side)


class FromDovecot(Web):
    """The other published scenario: mail alone; its web is added by a listener and one rule."""

    def test_web_of_the_new_server_alone(self):
        def with_web(document):
            configuration.scenario(self.lab, "dovecot-postfix", {"legacy": "old", "stalwart": "new"})(document)
            bind = document["listener"]["imap"]["bind"][0].partition(":")[0]
            document["listener"]["https"] = {"protocol": "http", "bind": [f"{bind}:10443"], "tls": "implicit"}
            document["destination"]["stalwart"]["protocol"]["http"] = {"port": layout.port("recorder", True), "tls": "implicit"}
            document["http"] = {"route": [{"match": "/**", "destination": "stalwart"}]}
        proxy = base.start_proxy("from-dovecot", 59, with_web, {address("bob"): "stalwart"})
        self.addCleanup(proxy.stop)
        client = self.dial_endpoint(replace(self.endpoint(proxy=proxy), port=10443))
        for who in ([], [ALICE], [BOB]):
            for path in ("/", "/jmap/", "/login", "/authorize", "/.well-known/jmap"):
                self.assertEqual(self.side_of(client.get(path, *who)), "new")
