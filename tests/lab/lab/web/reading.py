"""HTTP/1 requests as different servers read them: strictly, and in the ways from which request smuggling lives.

A recorder serves by one reading; a test reads the same recorded bytes by all of them.
"""

import re
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Reading:
    """How a server takes what the standard leaves no doubt about, and servers differ in all the same."""

    # With both Content-Length and Transfer-Encoding, the length counts.
    prefers_length: bool = False
    # Of several Content-Length fields, the last counts.
    takes_last_length: bool = False
    # `chunked` anywhere in Transfer-Encoding will do; spaces around a field's name are none of it.
    is_lax: bool = False
    # A fold joins the line before it; else it is a field of its own.
    joins_folds: bool = False
    # Knows nothing of Transfer-Encoding (an HTTP/1.0 server).
    ignores_encoding: bool = False


STRICT = Reading()
READINGS = {
    "strict": STRICT,
    "the length first": Reading(prefers_length=True),
    "the last length": Reading(prefers_length=True, takes_last_length=True),
    "lax": Reading(is_lax=True, joins_folds=True),
    "lax, the length first": Reading(is_lax=True, joins_folds=True, prefers_length=True),
    "of 1.0": Reading(ignores_encoding=True),
}


@dataclass
class Request:
    method: str
    target: str
    version: str
    # (name, value) as they came.
    fields: list
    body: bytes = b""
    trailers: list = field(default_factory=list)

    def all(self, name):
        return [value for key, value in self.fields if key.lower() == name.lower()]

    def get(self, name, default=None):
        return next(iter(self.all(name)), default)


class Ended(Exception):
    """The peer ended the connection inside a message."""


class Source:
    """Bytes that come in pieces, by lines and by counts."""

    def __init__(self, receive, unread=b""):
        """`receive()`: more bytes, empty at the end."""
        self.receive, self.unread = receive, unread

    def line(self):
        """Without its end; None at the end of all."""
        while b"\n" not in self.unread:
            data = self.receive()
            if not data:
                return None
            self.unread += data
        line, self.unread = self.unread.split(b"\n", 1)
        return line.removesuffix(b"\r").decode("latin-1")

    def pieces(self, count):
        """So many bytes, as they come; `count` None: until the end."""
        while count is None or count > 0:
            piece = self.unread or self.receive()
            self.unread = b""
            if not piece:
                if count is None:
                    return
                raise Ended
            if count is not None:
                piece, self.unread = piece[:count], piece[count:]
                count -= len(piece)
            yield piece


def head(source, reading=STRICT):
    """The next request without its body; None at the end."""
    while (first := source.line()) == "":
        pass
    if first is None:
        return None
    method, _, rest = first.partition(" ")
    target, _, version = rest.rpartition(" ")
    fields = read_fields(source, reading)
    return None if fields is None else Request(method, target, version, fields)


def read_fields(source, reading=STRICT):
    """Until the empty line; None where the connection ends first."""
    fields = []
    while line := source.line():
        if line[0] in " \t" and reading.joins_folds and fields:
            fields[-1] = (fields[-1][0], f"{fields[-1][1]} {line.strip()}")
            continue
        name, _, value = line.partition(":")
        fields.append((name.strip() if reading.is_lax else name, value.strip(" \t")))
    return None if line is None else fields


def body(source, request, reading=STRICT):
    """The body in pieces; fills in the trailers."""
    if is_chunked(request, reading):
        while size := _chunk_size(source):
            yield from source.pieces(size)
            if source.line() is None:
                raise Ended
        trailers = read_fields(source, reading)
        if trailers is None:
            raise Ended
        request.trailers = trailers
    else:
        yield from source.pieces(length(request, reading))


def is_chunked(request, reading=STRICT):
    lengths, codings = request.all("content-length"), ",".join(request.all("transfer-encoding")).lower()
    if reading.ignores_encoding or (lengths and reading.prefers_length):
        return False
    if reading.is_lax:
        return "chunked" in codings
    return codings.rpartition(",")[2].strip(" \t") == "chunked"


def length(request, reading=STRICT):
    lengths = request.all("content-length")
    if not lengths:
        return 0
    digits = re.match(r"[+ ]*(\d+)", lengths[-1 if reading.takes_last_length else 0])
    return int(digits[1]) if digits else 0


def _chunk_size(source):
    line = source.line()
    if line is None:
        raise Ended
    digits = re.match(r"[0-9a-fA-F]+", line)
    return int(digits[0], 16) if digits else 0


def requests_in(data, reading):
    """All the requests, whole or begun, that a server of this reading sees in these bytes."""
    source, found = Source(lambda: b"", data), []
    while request := head(source, reading):
        found.append(request)
        try:
            request.body = b"".join(body(source, request, reading))
        except Ended:
            break
    return found
