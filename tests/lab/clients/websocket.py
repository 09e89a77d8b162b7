"""WebSocket frames (RFC 6455) over whatever carries them: an upgraded connection, or a stream of HTTP/2."""

import base64
import os
import struct

from .http1 import Answer
from .talk import Closed

TEXT, BINARY, CLOSE, PING, PONG = 1, 2, 8, 9, 10


class WebSocket:
    """Asks for the upgrade on an HTTP/1.1 client (`Http`)."""

    def __init__(self, talk, target="/socket", fields=(), subprotocol=None):
        self.talk = talk
        self.answer = self.upgrade(target, [*fields, *([("Sec-WebSocket-Protocol", subprotocol)] if subprotocol else [])])
        assert self.answer.status == self.accepted, talk.report(f"no upgrade: {self.answer}")

    accepted = 101

    def upgrade(self, target, fields) -> Answer:
        key = base64.b64encode(os.urandom(16)).decode()
        self.talk.ask("GET", target, [*fields, ("Connection", "Upgrade"), ("Upgrade", "websocket"),
                                      ("Sec-WebSocket-Version", "13"), ("Sec-WebSocket-Key", key)])
        return self.talk.head()

    # Bytes.

    def write(self, data):
        self.talk.send(data)

    def exactly(self, count):
        return b"".join(self.talk.from_peer.pieces(count))

    # Frames.

    def frame(self, opcode, data):
        size, mask = len(data), os.urandom(4)
        head = bytes([0x80 | opcode])
        head += (bytes([0x80 | size]) if size < 126 else struct.pack("!BH", 0xFE, size) if size < 1 << 16
                 else struct.pack("!BQ", 0xFF, size))
        self.write(head + mask + _masked(data, mask))

    def next_frame(self):
        first, second = self.exactly(2)
        size = second & 0x7F
        if size > 125:
            size = int.from_bytes(self.exactly(2 if size == 126 else 8), "big")
        return first, self.exactly(size)

    # Messages.

    def send(self, data):
        self.frame(TEXT if isinstance(data, str) else BINARY, data.encode() if isinstance(data, str) else data)

    def message(self):
        """The next message's bytes."""
        whole = b""
        while True:
            first, data = self.next_frame()
            if first & 0x0F in (0, TEXT, BINARY):
                whole += data
                if first & 0x80:
                    return whole

    def text(self):
        return self.message().decode()

    def close(self, code):
        """Says goodbye; the code that the peer says it with."""
        self.frame(CLOSE, struct.pack("!H", code))
        first, data = self.next_frame()
        assert first & 0x0F == CLOSE, f"expected a close, and there was {first:#x} {data[:50]!r}"
        self.hang_up()
        return struct.unpack("!H", data[:2])[0]

    def hang_up(self):
        """The server closes first (RFC 6455, 7.1.1): its end must have come through before ours."""
        assert self.talk.has_ended()
        self.talk.close()


class WebSocket2(WebSocket):
    """By RFC 8441's extended CONNECT, on an HTTP/2 client (`Http2`)."""

    accepted = 200

    def upgrade(self, target, fields):
        self.stream, self.unread = None, b""
        self.stream = self.talk.ask("CONNECT", target, [*fields, ("sec-websocket-version", "13")], is_last=False, protocol="websocket")
        return self.talk.head(self.stream)

    def hang_up(self):
        self.talk.wait(self.has_ended)
        if self.stream in self.talk.ended:
            self.talk.send_body(self.stream, b"")

    def write(self, data):
        self.talk.send_body(self.stream, data, is_last=False)

    def has_ended(self):
        return self.stream in self.talk.ended or self.stream in self.talk.reset_by_peer

    def exactly(self, count):
        answer = self.talk.answers[self.stream]
        self.talk.wait(lambda: len(answer.body) >= count or self.has_ended())
        if len(answer.body) < count:
            raise Closed(self.talk.report(f"stream {self.stream} ended"))
        data, answer.body = answer.body[:count], answer.body[count:]
        return data


def _masked(data, mask):
    """XOR with the mask, at the speed of big numbers."""
    size = len(data)
    key = (mask * (size // 4 + 1))[:size]
    return (int.from_bytes(data, "big") ^ int.from_bytes(key, "big")).to_bytes(size, "big")
