"""What backends learn of the client: the headers we add, those we take away, and those that pass as they are."""

import re

from clients import proxy_header
from clients.addresses import fresh

from .web import Web, login, login_at

FORGED = ["Forwarded: for=6.6.6.6", "X-Forwarded-For: 6.6.6.6", "X-Forwarded-Proto: gopher", "X-Forwarded-Host: evil.example",
          "X-Real-IP: 6.6.6.6", "X_Forwarded_For: 6.6.6.6", "X-Forwarded-For : 6.6.6.6", "x-forwarded-for: 6.6.6.6", "X-Forwarded_For: 6.6.6.6",
          "X_Real_IP: 6.6.6.6", "X-Forwarded-Port: 6", "X-Forwarded-Server: evil.example", "X-Client-IP: 6.6.6.6", "True-Client-IP: 6.6.6.6"]


class Forwarded(Web):
    def fields(self, answer):
        """As the backend saw them: name in lower case -> values."""
        self.assertEqual(answer.status, 200, answer)
        found = {}
        for name, value in answer.json()["fields"]:
            found.setdefault(name.lower(), []).append(value)
        return found

    def assert_told(self, fields, address, proto="https"):
        self.assertEqual(fields["x-forwarded-for"], [address])
        self.assertEqual(fields["x-forwarded-proto"], [proto])
        self.assertEqual(fields["x-forwarded-host"], ["mail.example.org"])
        self.assertEqual(len(fields["forwarded"]), 1)
        node = re.search(r'for=("[^"]*"|[^;,]*)', fields["forwarded"][0])[1]
        self.assertRegex(node, rf'^"?\[?{re.escape(address)}\]?(:\d+)?"?$')
        if ":" in address:
            self.assertRegex(node, r'^"\[.*\](:\d+)?"$')
        self.assertIn(f"proto={proto}", fields["forwarded"][0])
        self.assertIn("by=_pointsman", fields["forwarded"][0])
        self.assertRegex(fields["forwarded"][0], r'host="?mail\.example\.org"?')

    def test_the_client_is_named(self):
        for destination in ("old", "new-none", "old-clear"):
            for name, client in self.clients():
                with self.subTest(destination, version=name):
                    fields = self.fields(client.get("/x", login_at(destination)))
                    self.assert_told(fields, client.source)
                    self.assertEqual(fields["host"], ["mail.example.org"])

    def test_in_the_clear(self):
        client = self.http1("plain")
        self.assert_told(self.fields(client.get("/x")), client.source, "http")

    def test_an_ipv6_client(self):
        header = proxy_header.v2(("2001:db8::7", 4711), ("2001:db8::9", 443))
        client = self.http1("required", source=fresh(3), header=header)
        answer = client.get("/x")
        self.assert_told(self.fields(answer), "2001:db8::7")
        self.assertEqual(answer.json()["client"], ["2001:db8::7", 4711])

    def test_forged_ones_are_taken_away(self):
        for name, client in self.clients():
            for line in FORGED:
                field, _, value = line.partition(": ")
                if field.endswith(" "):
                    continue  # refused whole, as the tests of desync show
                with self.subTest(line, version=name):
                    answer = client.get("/x", (field, value), login("bob"))
                    fields = self.fields(answer)
                    self.assert_told(fields, client.source)
                    self.assertFalse([pair for pair in answer.json()["fields"] if pair[1] in ("6.6.6.6", "gopher", "evil.example", "for=6.6.6.6", "6")])

    def test_forged_ones_are_taken_away_where_we_add_none(self):
        client = self.http1()
        for line in FORGED:
            field, _, value = line.partition(": ")
            if not field.endswith(" "):
                fields = self.fields(client.get("/x", (field, value), login_at("old-quiet")))
                self.assertFalse([name for name in fields if "forwarded" in name or "real" in name], fields)

    def test_connection_takes_nothing_of_ours(self):
        client = self.http1()
        for names in ("x-forwarded-for", "X-Forwarded-For, close-not", "forwarded", "x-forwarded-proto", "host", "authorization",
                      "host, authorization, x-forwarded-host, forwarded", "content-length"):
            with self.subTest(names):
                fields = self.fields(client.request("POST", "/x", [("Connection", names), login("bob"), ("X-Forwarded-For", "6.6.6.6")], b"hello"))
                self.assert_told(fields, client.source)
                self.assertEqual(fields["authorization"], [login("bob")[1]])
                self.assertEqual(fields["host"], ["mail.example.org"])

    def test_a_trusted_listener_goes_on_with_them(self):
        client = self.http1("trusting")
        fields = self.fields(client.get("/x", ("X-Forwarded-For", "203.0.113.9"), ("Forwarded", "for=203.0.113.9"),
                                        ("X-Forwarded-Proto", "https"), login("bob")))
        self.assertEqual(re.split(r",\s*", ", ".join(fields["x-forwarded-for"])), ["203.0.113.9", client.source])
        self.assertRegex(", ".join(fields["forwarded"]), rf"^for=203\.0\.113\.9, .*{re.escape(client.source)}")


class HopByHop(Web):
    def test_they_end_at_us(self):
        """And so does what `Connection` lists; everything else passes as it came, in its order."""
        client = self.http1()
        for name, value in (("Connection", "keep-alive, X-Mine"), ("Connection", "x-mine")):
            answer = client.get("/x", (name, value), ("X-Mine", "1"), ("Keep-Alive", "timeout=5"), ("Proxy-Connection", "keep-alive"),
                                ("TE", "gzip"), ("Proxy-Authorization", "Basic YTpi"), ("X-Yours", "2"))
            names = [field.lower() for field, _ in answer.json()["fields"]]
            for gone in ("x-mine", "keep-alive", "proxy-connection", "proxy-authorization", "upgrade"):
                self.assertNotIn(gone, names)
            self.assertIn("x-yours", names)

    def test_of_answers_too(self):
        def say(exchange):
            exchange.respond(200, b"x", [("Connection", "X-Mine"), ("X-Mine", "1"), ("Keep-Alive", "timeout=5"), ("X-Yours", "2"),
                                         ("Set-Cookie", "a=1"), ("Set-Cookie", "b=2")])
        self.made(say)
        for name, client in self.clients():
            with self.subTest(name):
                answer = client.get("/made/x")
                names = [field.lower() for field, _ in answer.fields]
                self.assertEqual([names.count(field) for field in ("x-mine", "keep-alive", "x-yours", "set-cookie")], [0, 0, 1, 2])

    def test_what_is_the_clients_passes_unchanged(self):
        sent = [("X-Empty", ""), ("X-Latin", "caf\xe9"), ("Accept", "a"), ("Accept", "b;q=0.5, c"), ("Cookie", "a=1; b=2"),
                ("If-None-Match", '"x", W/"y"'), ("Depth", "infinity"), ("Destination", "https://mail.example.org/a%20b"), ("X-Long", "y" * 8000)]
        for name, client in self.clients():
            with self.subTest(name):
                if name == "HTTP/2":
                    sent = [field for field in sent if field[0] != "X-Latin"]
                seen = [(field.lower(), value) for field, value in client.get("/x", *sent).json()["fields"]]
                for field, value in sent:
                    self.assertIn((field.lower(), value), seen)

    def test_cookies_of_an_h2_client_are_one_field(self):
        """RFC 9113, 8.2.3: pieces of a cookie are joined for HTTP/1.1."""
        fields = self.http2().get("/x", ("cookie", "a=1"), ("cookie", "b=2")).json()["fields"]
        self.assertEqual([value for name, value in fields if name.lower() == "cookie"], ["a=1; b=2"])
