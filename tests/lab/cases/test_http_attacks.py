"""What is done to HTTP/2 servers by those who mean them ill: it costs them their connection, and nobody else anything."""

import struct
import threading
import time

from clients.http2 import CONTINUATION, END_HEADERS, END_STREAM, HEADERS, RST_STREAM, raw_frame
from clients.talk import Closed
from lab.waiting import until
from lab.web import reading

from .web import Web, login

DATA, PRIORITY, SETTINGS, PING, GOAWAY, WINDOW_UPDATE = 0, 2, 4, 6, 7, 8
# `GET https://mail.example.org/` in HPACK: three entries of the static table, and a literal.
REQUEST = b"\x82\x87\x84" + b"\x01\x10mail.example.org"
CANCEL = struct.pack("!I", 8)
MIB = 1024 * 1024
ROOM = 12 * MIB


class Floods(Web):
    def flood(self, pieces):
        """Sends these until the proxy ends the connection; whether it did. Meanwhile and afterwards others are served."""
        before, bystander = self.proxy.memory(), self.http2()
        attacker = self.http2()
        attacker.get("/x")
        has_ended = False
        for number, piece in enumerate(pieces):
            try:
                attacker.socket.sendall(piece)
            except TimeoutError:
                break  # it is not read any more, which is no end
            except OSError:
                has_ended = True
                break
            if number % 50 == 0:
                self.assertEqual(self.side_of(bystander.get("/x", login("bob"))), "new")
        if not has_ended:
            has_ended = self.ends(attacker)
        self.assertEqual(self.side_of(bystander.get("/x", login("bob"))), "new")
        self.assertEqual(self.side_of(self.http2().get("/x", login("alice"))), "old")
        self.assertLess(self.proxy.memory() - before, ROOM)
        return has_ended

    def ends(self, attacker):
        """Whether the proxy says goodbye, having read it all."""
        attacker.socket.settimeout(5)
        try:
            while attacker.goodbye is None:
                attacker.pump()
        except (Closed, ConnectionError):
            return True
        except TimeoutError:
            return False
        return True

    def test_rapid_reset(self):
        """CVE-2023-44487."""
        def pieces():
            stream = 3
            for _ in range(400):
                piece = b""
                for _ in range(100):
                    piece += raw_frame(HEADERS, END_HEADERS | END_STREAM, stream, REQUEST) + raw_frame(RST_STREAM, 0, stream, CANCEL)
                    stream += 2
                yield piece
        self.assertTrue(self.flood(pieces()), "40000 streams were begun and reset, and the connection lives")

    def test_reset_when_work_has_begun(self):
        """The same, for who waits until each request has been passed on: the count of open streams never tells."""
        may_go, waiting = threading.Event(), REQUEST[:2] + REQUEST[3:] + b"\x04\x0a/made/wait"

        def wait(exchange):
            may_go.wait(20)
            exchange.end()
        self.made(wait)
        self.addCleanup(may_go.set)
        def patient(document):
            # At this many everybody is asked to come again.
            document["http"]["max_keepalive_requests"] = 1_000_000
        attacker, stream, has_ended = self.http2(proxy=self.web_proxy(patient)), 3, False
        attacker.get("/x")
        # What was given up is counted when its work has been stopped, which on a busy machine is a moment later.
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            streams = range(stream, stream + 20, 2)
            stream += 20
            try:
                attacker.socket.sendall(b"".join(raw_frame(HEADERS, END_HEADERS | END_STREAM, number, waiting) for number in streams)
                                        + raw_frame(PING, 0, 0, b"begun  ?"))
                if not self.is_answered(attacker):
                    has_ended = True
                    break
                attacker.socket.sendall(b"".join(raw_frame(RST_STREAM, 0, number, CANCEL) for number in streams))
            except TimeoutError:
                raise
            except OSError:
                has_ended = True
                break
        self.assertTrue(has_ended, "streams are begun, passed on and reset without end, and the connection lives")
        self.assertEqual(self.side_of(self.http2().get("/x", login("bob"))), "new")

    def is_answered(self, attacker):
        """Reads up to the answer to a PING; false where the proxy says goodbye instead."""
        source = reading.Source(lambda: attacker.socket.recv(65536))
        try:
            while True:
                head = b"".join(source.pieces(9))
                b"".join(source.pieces(int.from_bytes(head[:3], "big")))
                if head[3] == PING and head[4] & 1:
                    return True
                if head[3] == GOAWAY:
                    return False
        except reading.Ended:
            return False

    def test_continuation(self):
        """CVE-2024-27316 and its sisters: a head that never ends."""
        def pieces():
            yield raw_frame(HEADERS, END_STREAM, 3, REQUEST)
            for _ in range(20_000):
                yield raw_frame(CONTINUATION, 0, 3, b"\x00\x01x\x7f\x01" + b"y" * 128)
        self.assertTrue(self.flood(pieces()), "20000 frames of one head, and the connection lives")

    def test_empty_continuation(self):
        def pieces():
            yield raw_frame(HEADERS, END_STREAM, 3, REQUEST)
            for _ in range(2000):
                yield raw_frame(CONTINUATION, 0, 3) * 100
        self.assertTrue(self.flood(pieces()), "200000 empty frames of one head, and the connection lives")

    def test_hpack_bomb(self):
        """One entry of 4 KiB in the table, then named again and again by one byte each."""
        entry = b"\x40\x01x\x7f\x81\x1e" + b"y" * 4000  # literal with indexing; length 127 + 3873
        def pieces():
            stream = 3
            for _ in range(100):
                block = (REQUEST + entry if stream == 3 else REQUEST) + b"\xbe" * 16_000
                yield raw_frame(HEADERS, END_HEADERS | END_STREAM, stream, block[:16_384])
                stream += 2
        self.flood(pieces())

    def test_frames_that_ask_for_an_answer(self):
        """CVE-2019-9512 and 9515: the attacker reads none of the answers."""
        for name, frame in (("pings", raw_frame(PING, 0, 0, b"12345678")), ("settings", raw_frame(SETTINGS, 0, 0))):
            with self.subTest(name):
                before, attacker = self.proxy.memory(), self.http2()
                attacker.socket.settimeout(1)
                try:
                    for _ in range(2000):
                        attacker.socket.sendall(frame * 100)
                except OSError:
                    pass  # it is no longer read, or ended
                self.assertEqual(self.side_of(self.http2().get("/x", login("bob"))), "new")
                self.assertLess(self.proxy.memory() - before, ROOM)

    def test_streams_past_the_limit(self):
        attacker = self.http2()
        attacker.get("/x")
        self.assertEqual(attacker.settings.get(3), 128)  # SETTINGS_MAX_CONCURRENT_STREAMS
        attacker.socket.sendall(b"".join(raw_frame(HEADERS, END_HEADERS, 3 + 2 * number, REQUEST) for number in range(400)))
        # Refused ones are reset, or the connection ends; either way nobody else notices.
        self.assertEqual(self.side_of(self.http2().get("/x", login("bob"))), "new")

    def test_no_protocol_at_all(self):
        for sent in (b"\x16\x03\x01" + b"\0" * 100, b"x" * 70_000, b"PRI * HTTP/2.0\r\n\r\nnonsense" + b"y" * 1000):
            talk = self.http2()
            try:
                talk.socket.sendall(sent)
                talk.rest()
            except TimeoutError:
                raise  # it lives on
            except OSError:
                pass
        self.assertEqual(self.side_of(self.http2().get("/x", login("bob"))), "new")


class Crowds(Web):
    def test_many_connections_that_say_nothing(self):
        crowd = [self.http1("plain") for _ in range(200)]
        for talk in crowd[::2]:
            talk.send(b"GET / HTTP/1.1\r\nHost: mail.example.org\r\nX: ")
        self.assertEqual(self.side_of(self.http2().get("/x", login("bob"))), "new")
        for talk in crowd:
            talk.close()


class Late(Web):
    def test_a_head_that_stops_is_answered_and_logged(self):
        def change(document):
            document["listener"]["implicit"]["preauth_timeout"] = "1s"
        proxy = self.web_proxy(change)
        client = self.http1(proxy=proxy)
        client.send(b"GET / HTTP/1.1\r\nHost: ")
        self.assertEqual(client.answer().status, 408)
        lines = until(lambda: [line for line in proxy.log().splitlines() if "request refused" in line], "it was not logged")
        self.assertIn("the head of the request did not arrive in time", lines[0])
