"""HTTP's part of the laboratory, without the proxy: what its other tests take for granted."""

from clients import proxy_header
from clients.addresses import fresh
from clients.http1 import Http
from clients.http2 import Http2
from clients.websocket import WebSocket
from lab.endpoint import Endpoint
from lab.waiting import until
from lab.web import layout, reading

from .web import Web, login_at

PLAIN_GET = b"GET /x HTTP/1.1\r\nHost: a\r\n\r\n"
HIDDEN = b"GET /hidden HTTP/1.1\r\nHost: a\r\n\r\n"


class Readings(Web):
    """A row: a message, and how many requests each reading sees in it."""

    needs_proxy = False

    def counts(self, data):
        return {name: len(reading.requests_in(data, how)) for name, how in reading.READINGS.items()}

    def test_what_is_plain_is_read_alike(self):
        chunked = b"POST /x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3;x=y\r\nabc\r\n0\r\nT: 1\r\n\r\n"
        for data, count in ((PLAIN_GET, 1), (PLAIN_GET * 3, 3), (chunked, 1), (chunked + PLAIN_GET, 2)):
            counts = self.counts(data)
            del counts["of 1.0"]
            self.assertEqual(set(counts.values()), {count}, data)
        self.assertEqual(reading.requests_in(chunked, reading.STRICT)[0].body, b"abc")
        self.assertEqual(reading.requests_in(chunked, reading.STRICT)[0].trailers, [("T", "1")])

    def test_what_is_not_is_read_differently(self):
        both = b"POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" % (5 + len(HIDDEN))
        counts = self.counts(both + HIDDEN)
        self.assertEqual((counts["strict"], counts["the length first"]), (2, 1))
        twice = b"POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\nContent-Length: 0\r\n\r\n" % len(HIDDEN)
        counts = self.counts(twice + HIDDEN)
        self.assertEqual((counts["strict"], counts["the last length"]), (1, 2))
        odd = b"POST /x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding : xchunked\r\nContent-Length: %d\r\n\r\n0\r\n\r\n" % (5 + len(HIDDEN))
        counts = self.counts(odd + HIDDEN)
        self.assertEqual((counts["strict"], counts["lax"]), (1, 2))


class Servers(Web):
    needs_proxy = False

    def direct(self, side, server, client=Http, is_proxied=False, header=b""):
        endpoint = Endpoint(side.host, layout.port(server, is_proxied), server != "clear", side.pair.ca, side.hostname)
        return self.dial_endpoint(endpoint, client, fresh(), **({"header": header} if header else {}))

    def test_recorders_say_who_they_are_and_keep_every_byte(self):
        for side in self.lab.sides.values():
            for server, recorder in (("recorder", self.backends.untold), ("clear", self.backends.clear)):
                talk, mark = self.direct(side, server), recorder[side.name].mark()
                talk.send(PLAIN_GET + b"POST /y HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc")
                self.assertEqual([talk.answer().json()["target"] for _ in range(2)], ["/x", "/y"])
                self.assertEqual(recorder[side.name].since(mark), [PLAIN_GET + b"POST /y HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc"])
                self.assertEqual(talk.get("/z").json()["side"], side.name)

    def test_a_proxy_header_is_believed_and_demanded(self):
        header = proxy_header.v2(("203.0.113.7", 4711), ("198.51.100.9", 443), proxy_header.tlv(2, b"mail.example.org"))
        talk = self.direct(self.old, "recorder", is_proxied=True, header=header)
        self.assertEqual(talk.get("/x").json()["client"], ["203.0.113.7", 4711])
        with self.assertRaises((OSError, AssertionError)):
            self.direct(self.old, "recorder", is_proxied=True)
        talk = self.direct(self.new, "dav", is_proxied=True, header=header)
        self.assertEqual(talk.request("OPTIONS", "/", [login_at("new-dav")]).status, 200)
        # nginx writes the line when it has answered.
        until(lambda: any('"203.0.113.7"' in line for line in self.backends.dav["new"].log()), "nginx does not believe the header")

    def test_webdav_in_both_versions(self):
        for client in (Http, Http2):
            for side in self.lab.sides.values():
                talk, who = self.direct(side, "dav", client), login_at(f"{side.name}-dav")
                self.assertEqual(talk.get("/").status, 401)
                self.assertIn(talk.request("PUT", "/folder/a", [who], b"contents").status, (201, 204))
                self.assertEqual(talk.request("GET", "/folder/a", [who]).body, b"contents")
                self.assertEqual(talk.request("PROPFIND", "/folder/", [who, ("Depth", "1")]).status, 207)
                self.assertEqual(talk.request("GET", "/folder/a", [who]).side, side.name)

    def test_a_websocket(self):
        for side in self.lab.sides.values():
            talk = WebSocket(self.direct(side, "socket"))
            self.assertEqual(talk.text(), f"I am {side.name}")
            for message in (b"", b"x" * 125, b"y" * 126, b"z" * 70000):
                talk.send(message)
                self.assertEqual(talk.message(), message)
            self.assertEqual(talk.close(1000), 1000)
