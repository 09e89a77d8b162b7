"""A service manager as the proxy sees it: the socket of NOTIFY_SOCKET."""

import socket
import threading


class Notified:
    """Receives messages until `close`; each is a dictionary of its assignments."""

    def __init__(self, address):
        """`address`: a path, or `@` and an abstract name."""
        self.address, self.messages = str(address), []
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(self.address.replace("@", "\0", 1))
        threading.Thread(target=self._receive, daemon=True).start()

    def _receive(self):
        while True:
            try:
                data = self.socket.recv(4096)
            except OSError:
                return
            if not data:
                return
            self.messages.append(dict(line.split("=", 1) for line in data.decode().splitlines()))

    def having(self, key):
        return [message for message in self.messages if key in message]

    def close(self):
        if self.socket.fileno() >= 0:
            self.socket.shutdown(socket.SHUT_RDWR)
            self.socket.close()
