"""WebSocket: by HTTP/1.1's upgrade and by HTTP/2's extended CONNECT, to a real server; and what is upgraded to nothing."""

from clients.http1 import Http
from clients.http2 import Http2
from clients.websocket import PING, PONG, WebSocket, WebSocket2
from lab.layout import SIDES
from lab.waiting import until

from .web import Web, login, login_at

KINDS = ((Http, WebSocket), (Http2, WebSocket2))


class Upgraded(Web):
    def open(self, kind, side="old", **how):
        client, socket = kind
        talk = self.dial_endpoint(self.endpoint(), client)
        return socket(talk, "/jmap/ws", [login_at(f"{side}-socket")], **how)

    def test_there_and_back(self):
        for kind in KINDS:
            for side in SIDES:
                with self.subTest(kind[1].__name__, side=side):
                    socket = self.open(kind, side)
                    self.assertEqual(socket.text(), f"I am {side}")
                    for message in (b"", b"x", b"y" * 70_000, b"z" * 4_000_000):
                        socket.send(message)
                        self.assertEqual(socket.message(), message)
                    self.assertEqual(socket.close(1000), 1000)
                    until(lambda: self.backends.sockets[side].open == 0, "the backend's conversation is still open")

    def test_control_frames_and_subprotocol(self):
        for kind in KINDS:
            with self.subTest(kind[1].__name__):
                socket = self.open(kind, subprotocol="jmap")
                self.assertEqual(socket.answer.get("sec-websocket-protocol"), "jmap")
                socket.text()
                socket.frame(PING, b"are you there?")
                self.assertEqual(socket.next_frame(), (0x80 | PONG, b"are you there?"))

    def test_a_client_that_vanishes(self):
        for kind in KINDS:
            with self.subTest(kind[1].__name__):
                socket = self.open(kind)
                socket.text()
                socket.talk.reset()
                until(lambda: self.backends.sockets["old"].open == 0, "the backend's conversation is still open")

    def test_frames_sent_with_the_request_are_not_lost(self):
        """A client that does not wait for the 101."""
        talk = self.http1()
        talk.ask("GET", "/jmap/ws", [login_at("new-socket"), ("Connection", "Upgrade"), ("Upgrade", "websocket"), ("Sec-WebSocket-Version", "13"),
                                     ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ==")])
        talk.send(b"\x81\x82\0\0\0\0hi")
        answer = talk.head()
        self.assertEqual((answer.status, answer.get("sec-websocket-accept")), (101, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="))
        self.assertEqual(b"".join(talk.from_peer.pieces(10)), b"\x81\x08I am new")
        self.assertEqual(b"".join(talk.from_peer.pieces(4)), b"\x81\x02hi")

    def test_others_on_the_same_h2_connection(self):
        talk = self.http2()
        sockets = [WebSocket2(talk, "/jmap/ws", [login_at(f"{side}-socket")]) for side in ("old", "new", "old")]
        self.assertEqual([socket.text() for socket in sockets], ["I am old", "I am new", "I am old"])
        self.assertEqual(self.side_of(talk.get("/x", login("bob"))), "new")
        for number, socket in enumerate(sockets):
            socket.send(f"message {number}")
        self.assertEqual([socket.text() for socket in sockets], ["message 0", "message 1", "message 2"])

    def test_h2_offers_it(self):
        talk = self.http2()
        talk.get("/x")
        self.assertEqual(talk.settings.get(8), 1)  # SETTINGS_ENABLE_CONNECT_PROTOCOL


class NotUpgraded(Web):
    UPGRADE = [("Connection", "Upgrade"), ("Upgrade", "websocket"), ("Sec-WebSocket-Version", "13"), ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ==")]

    def test_an_answer_with_a_body_keeps_the_framing_in_step(self):
        def refuse(exchange):
            if exchange.request.get("upgrade"):
                exchange.respond(403, b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n" + b"x" * 5000)
            else:
                exchange.respond(200, b"in step")
        backend = self.made(refuse)
        client = self.http1()
        for _ in range(3):
            answer = client.request("GET", "/made/ws", self.UPGRADE)
            self.assertEqual((answer.status, len(answer.body)), (403, 5038))
            self.assertEqual(client.get("/made/x").body, b"in step")
            self.assertEqual(self.side_of(client.get("/x", login("bob"))), "new")
        client = self.http2()
        stream = client.ask("CONNECT", "/made/ws", [("sec-websocket-version", "13")], is_last=False, protocol="websocket")
        self.assertEqual(client.head(stream).status, 403)
        self.assertEqual(client.get("/made/x").body, b"in step")
        backend.stop()

    def test_h2c_and_connect_are_refused(self):
        for target, fields in (("/x", [("Connection", "Upgrade, HTTP2-Settings"), ("Upgrade", "h2c"), ("HTTP2-Settings", "AAMAAABkAAQAAP__")]),
                               ("/x", [("Connection", "Upgrade"), ("Upgrade", "h2c, websocket")])):
            mark = self.backends.told["old"].mark()
            answer = self.http1("plain").request("GET", target, fields)
            self.assertNotEqual(answer.status, 101)
            for request in self.backends.told["old"].requests_since(mark):
                self.assertNotIn("h2c", request.get("upgrade", ""))
                self.assertIsNone(request.get("http2-settings"))
        self.assertEqual(self.http1().request("CONNECT", "mail.example.org:443").status // 100, 4)

    def test_an_upgrade_that_is_not_named_by_connection_is_none(self):
        mark = self.backends.told["old"].mark()
        self.assertEqual(self.side_of(self.http1().get("/x", *self.UPGRADE[1:])), "old")
        self.assertEqual([request.get("upgrade") for request in self.backends.told["old"].requests_since(mark)], [None])

    def test_101_to_something_else(self):
        """The backend switches to what was not asked for."""
        def switch(exchange):
            exchange.say(b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: irc\r\n\r\n")
            exchange.end()
        self.made(switch)
        self.assertEqual(self.http1().request("GET", "/made/x", self.UPGRADE).status, 502)

    def test_other_protocols_of_extended_connect(self):
        client = self.http2()
        stream = client.ask("CONNECT", "/x", is_last=False, protocol="connect-udp")
        answer = client.head(stream)
        self.assertTrue(answer is None or answer.status // 100 in (4, 5), answer)
        self.assertEqual(self.side_of(client.get("/x", login("bob"))), "new")
