"""A conversation in lines over a socket, and transcripts to hold it to."""

import socket

from lab import certificates
from lab.waiting import until

from . import transcript

TIMEOUT = 10.0


class Closed(AssertionError):
    """The peer ended the connection where more was expected."""


class Talk:
    """Connects, and remembers what was said for the report of a failure."""

    def __init__(self, endpoint, source="127.2.0.1", header=b"", is_greeted=True):
        """`header` goes before anything else, TLS included; `is_greeted`: wait for the greeting."""
        self.endpoint, self.source = endpoint, source
        self.said, self.unread, self.is_encrypted = [], b"", False
        self.socket = self.raw = socket.create_connection((endpoint.host, endpoint.port), TIMEOUT, (source, 0))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.local_port = self.socket.getsockname()[1]
        try:
            if header:
                self.socket.sendall(header)
            if endpoint.is_implicit:
                self.handshake()
            self.greeting = self.greet() if is_greeted else None
        except BaseException:
            self.close()
            raise

    def greet(self):
        """Reads the greeting; protocols with a longer one have their own."""
        return self.line()

    # TLS.

    def handshake(self, context=None, session=None):
        assert not self.unread, f"bytes behind the answer to STARTTLS: {self.unread!r}"
        context = context or certificates.trusting(self.endpoint.ca)
        self.socket = context.wrap_socket(self.socket, server_hostname=self.endpoint.server_name, session=session)
        self.is_encrypted = True

    def certificate(self):
        """SHA-256 of the certificate that was shown."""
        return certificates.fingerprint(self.socket.getpeercert(binary_form=True))

    # Bytes and lines.

    def send(self, data):
        self.said.append(f"C: {data!r}" if len(data) < 500 else f"C: {len(data)} bytes")
        self.socket.sendall(data)

    def say(self, line):
        self.send(line.encode() + b"\r\n")

    def send_alone(self, data):
        """Sends it and waits until the peer has read it: what follows comes to it in another piece."""
        self.send(data)
        peer, ours = (self.endpoint.host, self.endpoint.port), (self.source, self.local_port)
        until(lambda: _has_read(peer, ours), f"the peer did not read {data!r}", every=0.001)

    def receive(self):
        """More bytes into `unread`; false at the end."""
        try:
            data = self.socket.recv(262144)
        except ConnectionResetError:
            data = b""
        self.unread += data
        return bool(data)

    def line(self):
        while b"\n" not in self.unread:
            if not self.receive():
                raise Closed(self.report("the connection ended"))
        line, self.unread = self.unread.split(b"\n", 1)
        text = line.rstrip(b"\r").decode("utf-8", "replace")
        self.said.append(f"S: {text}")
        return text

    def read(self, count):
        parts, missing = [], count
        while missing:
            if not self.unread and not self.receive():
                raise Closed(self.report(f"the connection ended {missing} bytes too early"))
            parts.append(self.unread[:missing])
            self.unread = self.unread[missing:]
            missing -= len(parts[-1])
        return b"".join(parts)

    def rest(self):
        """Everything until the peer ends the connection."""
        while self.receive():
            pass
        rest, self.unread = self.unread, b""
        self.said.append(f"S: {rest!r} and the end")
        return rest

    def side(self):
        """The side that a session is bridged to; its mailbox says so."""
        return self.subjects()[0].removeprefix("I am ")

    def script(self, text, **names):
        """Holds the conversation to a transcript: see `transcript.py`."""
        transcript.play(self, text, names)

    # The end.

    def report(self, problem):
        return f"{problem}\nclient {self.source}:{self.local_port}, server {self.endpoint}\n" + "\n".join(self.said[-30:])

    def reset(self):
        """Ends it with a RST."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        self.close()

    def close(self):
        self.socket.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def _has_read(socket_name, peer_name):
    """Whether the receive queue of that socket, connected to that peer, is empty."""
    wanted = [_in_table(socket_name), _in_table(peer_name)]
    with open("/proc/net/tcp") as table:
        for row in table:
            fields = row.split()
            if fields[1:3] == wanted:
                return fields[4].endswith(":00000000")
    return True


def _in_table(name):
    """(address, port) as /proc/net/tcp has it."""
    return f"{int.from_bytes(socket.inet_aton(name[0]), 'little'):08X}:{name[1]:04X}"
