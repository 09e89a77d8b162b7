"""A backend for HTTP/1.1 that keeps every byte it was sent, says which side it is, and otherwise what a test wants."""

import contextlib
import hashlib
import json
import socket
import threading

from ..proxied import read_proxy_header
from ..scripted import server_context
from . import reading as readings

PATIENCE = 20
PIECE = 1 << 18


class Recorder:
    """Listens on one port. Each request goes to `answer(exchange)`; without a test's own, to `describe`."""

    def __init__(self, name, host, port, pair=None, is_proxied=False, reading=readings.STRICT, keeps=True):
        """`pair`: TLS with this certificate; `is_proxied`: demands a PROXY header; `keeps` false: counts bytes alone."""
        self.name, self.reading, self.is_proxied, self.keeps = name, reading, is_proxied, keeps
        self.host, self.port, self.context = host, port, server_context(pair) if pair else None
        self.answer, self.connections = describe, []
        self.listener = socket.create_server((host, port), backlog=256)
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                accepted, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(accepted,), daemon=True).start()

    def _serve(self, accepted):
        accepted.settimeout(PATIENCE)
        accepted.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection = None
        try:
            proxied = read_proxy_header(accepted) if self.is_proxied else None
            if self.context:
                accepted = self.context.wrap_socket(accepted, server_side=True)
            connection = Connection(self, accepted, proxied)
            self.connections.append(connection)
            connection.serve()
        except (OSError, readings.Ended):
            pass  # The peer may go at any point: that is what some tests are about, and they ask the connection.
        finally:
            with contextlib.suppress(OSError):
                accepted.close()
            if connection:
                connection.has_ended.set()

    @contextlib.contextmanager
    def answering(self, answer):
        """For a while, with a test's own answer."""
        self.answer = answer
        try:
            yield self
        finally:
            self.answer = describe

    def requests(self):
        return [request for connection in list(self.connections) for request in list(connection.requests)]

    def received_for(self, source):
        """The bytes of each connection whose PROXY header names this client address."""
        return [bytes(connection.received) for connection in list(self.connections)
                if connection.proxied and connection.proxied.source and connection.proxied.source[0] == source and connection.received]

    def mark(self):
        """What has been seen by now; see `since`."""
        return {id(connection): (len(connection.received), len(connection.requests)) for connection in list(self.connections)}

    def since(self, mark):
        """The bytes of each connection since then, connections without any left out."""
        pieces = ((connection.received[mark.get(id(connection), (0, 0))[0]:]) for connection in list(self.connections))
        return [bytes(piece) for piece in pieces if piece]

    def requests_since(self, mark):
        return [request for connection in list(self.connections)
                for request in connection.requests[mark.get(id(connection), (0, 0))[1]:]]

    def stop(self):
        if self.listener.fileno() >= 0:
            self.listener.shutdown(socket.SHUT_RDWR)  # wakes the accept, which a mere close would leave waiting
            self.listener.close()
        self.hang_up()

    def hang_up(self):
        """Ends every connection, as a backend does whose patience with idle ones is over."""
        for connection in list(self.connections):
            connection.close()


class Connection:
    """One connection of the proxy's."""

    def __init__(self, recorder, accepted, proxied):
        self.recorder, self.socket, self.proxied = recorder, accepted, proxied
        self.received, self.count, self.requests = bytearray(), 0, []
        self.has_ended = threading.Event()
        self.source = readings.Source(self._receive)

    def _receive(self):
        data = self.socket.recv(PIECE)
        self.count += len(data)
        if self.recorder.keeps:
            self.received += data
        return data

    def serve(self):
        reading = self.recorder.reading
        while request := readings.head(self.source, reading):
            self.requests.append(request)
            exchange = Exchange(self, request, readings.body(self.source, request, reading))
            self.recorder.answer(exchange)
            if exchange.is_last:
                return
            for _ in exchange.pieces:
                pass

    def close(self):
        with contextlib.suppress(OSError):
            self.socket.shutdown(socket.SHUT_RDWR)


class Exchange:
    """A request, and the ways to answer it."""

    def __init__(self, connection, request, pieces):
        self.connection, self.request, self.pieces, self.is_last = connection, request, pieces, False

    @property
    def side(self):
        return self.connection.recorder.name

    def read(self):
        """The body, which the request keeps."""
        self.request.body += b"".join(self.pieces)
        return self.request.body

    def say(self, data):
        self.connection.socket.sendall(data)

    def hear(self):
        """Bytes as they come, past all framing: for upgraded connections."""
        if unread := self.connection.source.unread:
            self.connection.source.unread = b""
            return unread
        return self.connection._receive()

    def respond(self, status=200, body=b"", fields=()):
        lines = [f"HTTP/1.1 {status} Because", f"Content-Length: {len(body)}", *(f"{name}: {value}" for name, value in fields)]
        self.say("".join(f"{line}\r\n" for line in lines).encode("latin-1") + b"\r\n"
                 + (b"" if self.request.method == "HEAD" else body))

    def end(self):
        """Closes after this answer."""
        self.is_last = True


def describe(exchange):
    """The usual answer: who answers, and what was asked."""
    request, proxied = exchange.request, exchange.connection.proxied
    if request.get("expect", "").lower() == "100-continue":
        exchange.say(b"HTTP/1.1 100 Continue\r\n\r\n")
    digest, size = hashlib.sha256(), 0
    for piece in exchange.pieces:
        digest.update(piece)
        size += len(piece)
    document = {"side": exchange.side, "method": request.method, "target": request.target, "fields": request.fields,
                "size": size, "sha256": digest.hexdigest(), "trailers": request.trailers,
                "client": proxied.source if proxied else None}
    exchange.respond(200, json.dumps(document).encode(), [("Content-Type", "application/json"), ("X-Side", exchange.side)])
