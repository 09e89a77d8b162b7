"""A backend that says what a test tells it to: for what no real server does, and to see what it is sent."""

import contextlib
import socket
import ssl
import threading


class Scripted:
    """Listens on one port and hands each connection to `converse(connection)`, a function of the test."""

    def __init__(self, host, port, converse, pair=None):
        """`pair`: TLS from the first byte, with this certificate."""
        self.converse, self.connections = converse, []
        self.context = server_context(pair) if pair else None
        self.listener = socket.create_server((host, port))
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                accepted, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(accepted,), daemon=True).start()

    def _serve(self, accepted):
        accepted.settimeout(10)
        # The peer may go at any point: that is what some tests are about, and they ask the connection.
        with contextlib.suppress(OSError), accepted:
            if self.context:
                accepted = self.context.wrap_socket(accepted, server_side=True)
            connection = Connection(accepted)
            self.connections.append(connection)
            try:
                self.converse(connection)
                connection.drain()
            finally:
                connection.has_ended.set()

    def received(self):
        """Everything that came, over all connections."""
        return b"".join(connection.received for connection in self.connections)

    def stop(self):
        if self.listener.fileno() >= 0:
            # Wakes the accept, which a mere close would leave waiting.
            self.listener.shutdown(socket.SHUT_RDWR)
            self.listener.close()


class Connection:
    """The server's end of one connection."""

    def __init__(self, accepted):
        self.socket, self.unread, self.received = accepted, b"", b""
        self.is_resumed = getattr(accepted, "session_reused", None)
        self.has_ended = threading.Event()

    def say(self, *lines):
        """In one segment."""
        self.socket.sendall("".join(f"{line}\r\n" for line in lines).encode())

    def line(self):
        while b"\n" not in self.unread:
            data = self.socket.recv(65536)
            if not data:
                raise ConnectionResetError("the proxy ended the connection")
            self.received += data
            self.unread += data
        line, self.unread = self.unread.split(b"\n", 1)
        return line.rstrip(b"\r").decode("utf-8", "replace")

    def drain(self):
        """Keeps what still comes, until the peer ends it."""
        while data := self.socket.recv(65536):
            self.received += data


def server_context(pair):
    """Shows the certificate of this pair."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pair.cert, pair.key)
    return context
