"""An HTTP/1.1 client that sends the bytes it is told to, and reads answers strictly."""

import base64
import json
from dataclasses import dataclass

from lab.web import reading

from .talk import Closed, Talk


@dataclass
class Answer:
    status: int
    # (name, value) as they came; a client for HTTP/2 has the names in lower case.
    fields: list
    body: bytes = b""
    trailers: list = None

    def get(self, name, default=None):
        return next((value for key, value in self.fields if key.lower() == name.lower()), default)

    def json(self):
        return json.loads(self.body)

    @property
    def side(self):
        return self.get("x-side")


class Http(Talk):
    """`name`: what it calls the server in Host."""

    protocol = "http"

    def __init__(self, endpoint, source="127.2.0.1", header=b""):
        super().__init__(endpoint, source, header, is_greeted=False)
        self.name = endpoint.server_name
        self.from_peer = reading.Source(self._more)
        self.methods = []

    def _more(self):
        self.unread = b""
        self.receive()
        data, self.unread = self.unread, b""
        return data

    def rest(self):
        """Everything until the peer ends the connection."""
        parts = [self.from_peer.unread]
        self.from_peer.unread = b""
        while data := self._more():
            parts.append(data)
        return b"".join(parts)

    # Requests.

    def ask(self, method, target, fields=(), body=None, host=None):
        """Sends a whole request; `body` None: without any length."""
        lines = [f"{method} {target} HTTP/1.1", f"Host: {host or self.name}", *(f"{name}: {value}" for name, value in fields)]
        if body is not None:
            lines.append(f"Content-Length: {len(body)}")
        self.methods.append(method)
        self.send("".join(f"{line}\r\n" for line in lines).encode("latin-1") + b"\r\n" + (body or b""))

    def request(self, method, target, fields=(), body=None, host=None):
        """The answer to one request."""
        self.ask(method, target, fields, body, host)
        return self.answer()

    def get(self, target, *fields):
        return self.request("GET", target, fields)

    # Answers.

    def head(self, skips_1xx=True):
        """Status and fields of the next answer."""
        while True:
            line = self.from_peer.line()
            if line is None:
                raise Closed(self.report("the connection ended where an answer was expected"))
            version, status, *_ = line.split(" ", 2)
            assert version == "HTTP/1.1", self.report(f"no answer: {line!r}")
            fields = reading.read_fields(self.from_peer)
            self.said.append(f"S: {line} {fields}")
            if fields is None:
                raise Closed(self.report("the connection ended inside a head"))
            if not (skips_1xx and 100 <= int(status) < 200 and int(status) != 101):
                return Answer(int(status), fields)

    def pieces(self, answer, method="GET"):
        """The body as it comes."""
        if method == "HEAD" or answer.status in (101, 204, 304):
            return iter(())
        message = reading.Request(method, "", "", answer.fields)
        if reading.is_chunked(message) or answer.get("content-length") is not None:
            return self._framed(answer, message)
        return self.from_peer.pieces(None)

    def _framed(self, answer, message):
        yield from reading.body(self.from_peer, message)
        answer.trailers = message.trailers

    def answer(self):
        method = self.methods.pop(0) if self.methods else "GET"
        answer = self.head()
        try:
            answer.body = b"".join(self.pieces(answer, method))
        except reading.Ended:
            raise Closed(self.report("the connection ended inside a body")) from None
        return answer

    def has_ended(self):
        """Waits for the end, which must be all that still comes."""
        rest = self.rest()
        assert not rest, self.report(f"expected the end, and there was {rest!r}")
        return True


def basic(name, password):
    return "Authorization", "Basic " + base64.b64encode(f"{name}:{password}".encode()).decode()


def bearer(token):
    return "Authorization", f"Bearer {token}"
