"""A kick ends what would not end by itself, an event stream or a WebSocket, of that account at once; others live on."""

import json
import secrets
import threading
import urllib.parse

from clients.http1 import Http
from clients.http2 import Http2
from clients.talk import Closed
from clients.websocket import WebSocket, WebSocket2
from lab.layout import address
from lab.waiting import until
from lab.web import layout, reading

from . import api
from .web import Web, login, login_at

ALICE, BOB = address("alice"), address("bob")


class Kick(Web):
    needs_proxy = False

    def setUp(self):
        super().setUp()
        self.token = secrets.token_hex(32)

        def with_api(document):
            host = document["listener"]["implicit"]["bind"][0].partition(":")[0]
            document["admin"] = {"bind": [f"{host}:{api.PORT}"], "tls": "implicit", "bearer_token": self.token}
        self.kicked = self.web_proxy(with_api)

    def api(self, method, path, **parameters):
        fields = {"Authorization": f"Bearer {self.token}"}
        return json.loads(api.fetch(self.kicked, f"{path}?{urllib.parse.urlencode(parameters, quote_via=urllib.parse.quote)}", method, fields))

    def events(self, exchange):
        exchange.say(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n9\r\ndata: 1\n\n\r\n")
        self.may_end.wait(30)

    def test_event_streams(self):
        self.may_end = threading.Event()
        self.addCleanup(self.may_end.set)
        with self.backends.told["old"].answering(self.events), self.backends.told["new"].answering(self.events):
            one, many, bobs = self.http1(proxy=self.kicked), self.http2(proxy=self.kicked), self.http1(proxy=self.kicked)
            one.ask("GET", "/jmap/eventsource", [login("alice")])
            pieces = one.pieces(one.head())
            self.assertEqual(next(pieces), b"data: 1\n\n")
            stream = many.ask("GET", "/jmap/eventsource", [login("alice")])
            many.head(stream)
            many.wait(lambda: many.answers[stream].body == b"data: 1\n\n")
            bobs.ask("GET", "/jmap/eventsource", [login("bob")])
            bobs_pieces = bobs.pieces(bobs.head())
            self.assertEqual(next(bobs_pieces), b"data: 1\n\n")
            listed = [(it["account"], it["protocol"], it["destination"]) for it in self.api("GET", "/connections")["connections"]]
            self.assertEqual(sorted(listed), [(ALICE, "http", "old"), (ALICE, "http", "old"), (BOB, "http", "new")])
            self.assertEqual(self.api("POST", "/connections/kick", identifier=ALICE)["kicked"], 2)
            # As if the server had ended it: a browser comes again, and is routed afresh.
            self.assertEqual(list(pieces), [])
            self.assertEqual(many.answer(stream).body, b"data: 1\n\n")
            self.assertEqual([it["account"] for it in self.api("GET", "/connections")["connections"]], [BOB])
            self.may_end.set()

    def test_websockets(self):
        for client, kind in ((Http, WebSocket), (Http2, WebSocket2)):
            with self.subTest(kind.__name__):
                account = layout.account("old-socket")
                sockets = [kind(self.dial_endpoint(self.endpoint(proxy=self.kicked), client), "/jmap/ws", [login_at(f"{side}-socket")])
                           for side in ("old", "new")]
                for socket, side in zip(sockets, ("old", "new"), strict=True):
                    self.assertEqual(socket.text(), f"I am {side}")
                self.assertEqual(self.api("POST", "/connections/kick", identifier=account)["kicked"], 1)
                with self.assertRaises((Closed, ConnectionError, reading.Ended)):
                    sockets[0].text()
                until(lambda: self.backends.sockets["old"].open == 0, "the backend's conversation is still open")
                sockets[1].send(b"still here")
                self.assertEqual(sockets[1].message(), b"still here")
                sockets[1].close(1000)

    def test_a_request_under_way_ends_by_itself_and_the_next_is_routed_afresh(self):
        asked, may_answer = threading.Event(), threading.Event()

        def slow(exchange):
            asked.set()
            may_answer.wait(10)
            exchange.respond(200, b"whole")
        with self.backends.told["old"].answering(slow):
            client = self.http1(proxy=self.kicked)
            client.ask("GET", "/x", [login("alice")])
            self.assertTrue(asked.wait(10))
            self.api("PUT", "/mappings", identifier=ALICE, destination="new")
            kicking = threading.Thread(target=lambda: self.api("POST", "/connections/kick", identifier=ALICE))
            kicking.start()
            may_answer.set()
            self.assertEqual(client.answer().body, b"whole")
            kicking.join()
        self.assertEqual(self.side_of(client.get("/x", login("alice"))), "new")
