"""What the matrix needs of a server."""

from .. import certificates
from ..endpoint import Endpoint
from ..layout import DOMAIN, IMPLICIT, PLAIN, PORTS
from ..waiting import answers, until
from . import unpacked
from .maildir import subject

# Port names of the protocols, by the kind of listener.
SERVICES = {
    "imap": {"implicit": "imaps", "starttls": "imap"},
    "pop3": {"implicit": "pop3s", "starttls": "pop3"},
    "managesieve": {"starttls": "sieve"},
    "submission": {"implicit": "submissions", "starttls": "submission"},
}


class Server:
    """Subclasses name the protocols that they serve, and implement `start`, `stop`, `reset` and `messages`."""

    name, protocols = "", ()

    def __init__(self, lab, host_number):
        self.lab, self.host, self.dir = lab, lab.block.host(host_number), lab.dir / self.name
        self.hostname = f"{self.name}.{DOMAIN}"
        self.dir.mkdir()
        self.dir.chmod(0o755)
        self.pair = certificates.Authority(self.dir / "tls", f"CA of {self.name}").issue("server", [self.hostname], [self.host])
        self.daemon = None

    @classmethod
    def is_possible(cls, _lab):
        """Whether it can run here: some servers need root."""
        return unpacked.is_possible(cls.name)

    def port(self, service):
        return PORTS[service] + PLAIN

    def endpoint(self, protocol, kind):
        service = SERVICES[protocol][kind]
        return Endpoint(self.host, self.port(service), service in IMPLICIT, self.pair.ca, self.hostname)

    def destination(self):
        """The proxy's destination. Connections are made as clients make them, with no word about the client."""
        # The first kind: implicit TLS, where there is such a thing.
        kinds = {protocol: next(iter(SERVICES[protocol])) for protocol in self.protocols}
        legs = {protocol: {"port": self.port(SERVICES[protocol][kind]), "tls": kind} for protocol, kind in kinds.items()}
        return {"host": self.host, "tls_server_name": self.hostname, "tls_ca": self.pair.ca, "forwarding": "none", "protocol": legs}

    def wait(self):
        """Until every port answers."""
        for protocol in self.protocols:
            for service in SERVICES[protocol].values():
                until(lambda: self.daemon.has_ended() or answers(self.host, self.port(service)),
                      lambda: f"{self.name} does not answer for {service}\n{self.tail()}", limit=20)
        if self.daemon.has_ended():
            raise RuntimeError(f"{self.name} ended\n{self.tail()}")

    def tail(self):
        path = self.dir / "stderr.log"
        return path.read_text(errors="replace")[-3000:] if path.exists() else ""

    def subjects(self, account):
        return sorted(subject(message) or "" for message in self.messages(account))

    def stop(self):
        if self.daemon:
            self.daemon.stop()
