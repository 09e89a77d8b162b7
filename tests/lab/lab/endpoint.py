"""Where a client connects to: a listener of the proxy and a port of a backend are the same to it."""

from dataclasses import dataclass, replace
from pathlib import Path


@dataclass(frozen=True)
class Endpoint:
    host: str
    port: int
    # TLS from the first byte; else STARTTLS may be asked for.
    is_implicit: bool
    # The CA that signed its certificate.
    ca: Path
    # For SNI and verification.
    server_name: str

    def named(self, server_name):
        """The same, called by another name."""
        return replace(self, server_name=server_name)
