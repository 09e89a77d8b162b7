"""What the line-based protocols of the stand-in share: lines, TLS, and the check of a credential."""

import base64
import binascii
import socket
from dataclasses import dataclass

# The longest line, and the longest literal, that the stand-in reads.
MAX_LINE, MAX_LITERAL = 64 * 1024, 16 * 1024 * 1024


class Ended(Exception):
    """The peer ended the connection."""


@dataclass(frozen=True)
class Verdict:
    """The result of a SASL exchange; `account` is None where the credential is wrong."""

    account: str | None
    is_token: bool = False


class Session:
    """One connection. Subclasses name the `protocol` and implement `run`."""

    protocol = ""

    def __init__(self, server, accepted, proxied, is_encrypted):
        self.server, self.socket, self.proxied, self.is_encrypted = server, accepted, proxied, is_encrypted
        self.unread, self.account = b"", None

    # Bytes.

    def line(self):
        """The next line, without its end."""
        while b"\n" not in self.unread:
            if len(self.unread) > MAX_LINE:
                raise Ended
            self._receive()
        line, self.unread = self.unread.split(b"\n", 1)
        return line.removesuffix(b"\r").decode("utf-8", "surrogateescape")

    def exactly(self, count):
        if count > MAX_LITERAL:
            raise Ended
        while len(self.unread) < count:
            self._receive()
        data, self.unread = self.unread[:count], self.unread[count:]
        return data

    def _receive(self):
        data = self.socket.recv(65536)
        if not data:
            raise Ended
        self.unread += data

    def say(self, *lines):
        """Sends lines in one segment."""
        self.socket.sendall("".join(f"{line}\r\n" for line in lines).encode())

    def start_tls(self):
        # RFC 3207 section 4.2 and its siblings: nothing of the time before TLS may be used.
        if self.unread:
            raise Ended
        self.socket = self.server.context.wrap_socket(self.socket, server_side=True)
        self.is_encrypted = True

    def close(self):
        self.socket.close()

    # Logins.

    def judge(self, mechanism, response):
        """The verdict on a base64 response of PLAIN, XOAUTH2 or OAUTHBEARER."""
        try:
            data = base64.b64decode(response, validate=True)
        except binascii.Error:
            return Verdict(None)
        if mechanism == "PLAIN":
            parts = data.split(b"\0")
            if len(parts) != 3:
                return Verdict(None)
            return self.judge_password(parts[1].decode("utf-8", "surrogateescape"), parts[2])
        fields = data.split(b"\1")
        token = next((field.partition(b"auth=Bearer ")[2] for field in fields if field.startswith(b"auth=Bearer ")), b"")
        return self._logged(Verdict(self.server.account_of_token(token.decode("utf-8", "surrogateescape")), is_token=True), "")

    def judge_password(self, user, password):
        return self._logged(Verdict(self.server.account_of_password(user, password)), user)

    def _logged(self, verdict, user):
        self.account = verdict.account
        self.log("login" if verdict.account else "refused", verdict.account or user)
        return verdict

    def log(self, what, account=""):
        self.server.log(self.protocol, what, self.proxied, account)

    def hang_up(self):
        """Ends the connection after what was sent."""
        self.socket.shutdown(socket.SHUT_RDWR)
        raise Ended
