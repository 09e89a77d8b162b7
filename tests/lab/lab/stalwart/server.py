"""One stand-in: all listeners of a Stalwart server on one loopback address, and the log of who connected.

Every port requires a PROXY header, as a server does that is configured for the published examples.
"""

import contextlib
import socket
import threading
from dataclasses import dataclass

from .. import certificates
from ..endpoint import Endpoint
from ..layout import ACCOUNTS, DOMAIN, PORTS, PROXIED
from ..proxied import read_proxy_header
from ..scripted import server_context
from ..waiting import until
from ..web.recorder import Recorder
from .imap import Imap
from .managesieve import ManageSieve
from .pop3 import Pop3
from .session import Ended
from .smtp import Smtp, Submission
from .web import Web

# Seconds without a byte after which a connection is closed.
PATIENCE = 20
# Port name -> (session, TLS starts with the first byte).
SERVICES = {
    "imaps": (Imap, True), "pop3s": (Pop3, True), "sieve": (ManageSieve, False), "submissions": (Submission, True),
    "submission": (Submission, False), "smtp": (Smtp, False),
}
HTTPS_PORT = 443


@dataclass(frozen=True)
class Event:
    """A login, a refusal, a request or an SMTP transaction. `client` is the address in the PROXY header."""

    protocol: str
    what: str
    client: str
    account: str


class Stalwart:
    """`name` is the side that it plays, `old` or `new`."""

    def __init__(self, name, host, directory, version):
        self.name, self.host, self.version = name, host, version
        self.hostname = f"{name}.{DOMAIN}"
        self.pair = certificates.Authority(directory / f"stalwart-{name}", f"CA of {name}").issue(
            "server", [self.hostname, f"mail.{DOMAIN}"], [host])
        self.context = server_context(self.pair)
        self.events, self._lock = [], threading.Lock()
        self.tokens = {version.token(account): account for account in ACCOUNTS}
        self.listeners = [self._listen(name, *service) for name, service in SERVICES.items()]
        self.web = Recorder(name, host, HTTPS_PORT + PROXIED, self.pair, is_proxied=True)
        self.web.answer = Web(self).answer

    def _listen(self, port_name, session, is_implicit):
        listener = socket.create_server((self.host, PORTS[port_name] + PROXIED))
        threading.Thread(target=self._accept, args=(listener, session, is_implicit), daemon=True).start()
        return listener

    def _accept(self, listener, session, is_implicit):
        while True:
            try:
                accepted, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(accepted, session, is_implicit), daemon=True).start()

    def _serve(self, accepted, session, is_implicit):
        accepted.settimeout(PATIENCE)
        # The proxy may close the connection at any time: tests look at what it did before.
        with contextlib.suppress(OSError, Ended), accepted:
            proxied = read_proxy_header(accepted)
            if is_implicit:
                accepted = self.context.wrap_socket(accepted, server_side=True)
            conversation = session(self, accepted, proxied, is_implicit)
            with contextlib.closing(conversation):
                conversation.run()

    def endpoint(self, port_name):
        """Where a client connects that sends a PROXY header itself."""
        is_implicit = SERVICES[port_name][1]
        return Endpoint(self.host, PORTS[port_name] + PROXIED, is_implicit, self.pair.ca, self.hostname)

    def https_endpoint(self):
        return Endpoint(self.host, HTTPS_PORT + PROXIED, True, self.pair.ca, self.hostname)

    # Accounts.

    def account_of_password(self, user, password):
        """The account, or None where the password is wrong."""
        return user if ACCOUNTS.get(user) == password else None

    def account_of_token(self, token):
        return self.tokens.get(token)

    # The log.

    def log(self, protocol, what, proxied, account):
        client = proxied.source[0] if proxied.source else ""
        with self._lock:
            self.events.append(Event(protocol, what, client, account))

    def seen(self, **fields):
        with self._lock:
            return [event for event in self.events if all(getattr(event, name) == value for name, value in fields.items())]

    def wait(self, **fields):
        """The first event with these fields."""
        return until(lambda: self.seen(**fields), lambda: f"{self.name} logged no {fields}: {self.seen()[-5:]}")[0]

    def stop(self):
        while self.listeners:
            listener = self.listeners.pop()
            listener.shutdown(socket.SHUT_RDWR)  # wakes the accept, which closing the socket would not
            listener.close()
        self.web.stop()
