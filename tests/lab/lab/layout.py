"""Where everything is and who has an account: the one place with addresses, ports, names and secrets.

Everything listens on 127.0.0.0/8. Laboratories that run at once differ in the third octet, which is locked.
"""

import fcntl
import socket
import tempfile
from pathlib import Path

DOMAIN = "example.org"
SIDES = ("old", "new")

# The well-known ports, to which an offset is added: the plain set, and the set that demands a PROXY header.
PORTS = {"imap": 143, "imaps": 993, "pop3": 110, "pop3s": 995, "sieve": 4190,
         "submission": 587, "submissions": 465, "lmtp": 24, "smtp": 25, "msa": 1587, "msas": 1465, "msap": 1588}
PLAIN, PROXIED = 10000, 20000
IMPLICIT = frozenset({"imaps", "pop3s", "submissions", "msas"})
# Postfix's own submission service; `msap` takes passwords in the clear. `submission` is Dovecot's, which relays to `smtp`.
POSTFIX_ONLY = frozenset({"smtp", "msa", "msas", "msap"})
# Where the proxy submits by Postfix, if there is one; to the other side it does by Dovecot.
SUBMITS_BY_POSTFIX = "new"

# Whose XCLIENT and ID the backends believe: ours. Clients come from elsewhere (`addresses.py`).
TRUSTED = "127.0.0.0/16"
MASTER, MASTER_PASSWORD, MASTER_SEPARATOR = "master", "master-secret", "*"

LEGS = ("implicit", "starttls", "plain")
FORWARDINGS = ("proxy", "xclient", "none")
CROWD = 40
# Accounts of those who are at it while everything changes around them; nobody else writes to their mailboxes.
READERS = 20
# Accounts whose mailboxes are copied and compared, one for each test.
COPIED = 16

# Passwords that something on the way might want to mend. A passwd-file cannot hold an empty one.
ODD_PASSWORDS = {
    "odd-spaces": b"  leading and trailing  ",
    "odd-quotes": b'say "hi" \\ \\" and {5}',
    "odd-percent": b"%u%25 %s $HOME `id` *",
    "odd-utf8": "pässwörd-\u4f60\u597d".encode(),
    "odd-latin1": b"p\xe4ssw\xf6rd-\xff",
    "odd-long": b"long-" + b"0123456789abcdef" * 60,
}


def address(name):
    """`alice` -> `alice@example.org`."""
    return f"{name}@{DOMAIN}"


def leg_name(side, leg, forwarding):
    """Of a destination, and of the account that is mapped to it."""
    return f"{side}-{leg}-{forwarding}"


LEG_NAMES = [leg_name(side, leg, forwarding) for side in SIDES for leg in LEGS for forwarding in FORWARDINGS]
PEOPLE = ["alice", "bob", "carol", "mover", "big", "syncer"]
# Mapped to destinations that cannot be reached, or whose answers a test makes up.
UNLUCKY = ["down", "unproven", "plainless", "scripted", "scripted-starttls", "scripted-xclient"]
NUMBERED = [f"{name}{number}" for name, count in (("crowd", CROWD), ("reader", READERS), ("copied", COPIED)) for number in range(count)]
NAMES = PEOPLE + UNLUCKY + LEG_NAMES + NUMBERED

# Account -> password, the same on both sides, as after a migration that copied them.
ACCOUNTS = {address(name): f"{name}-secret".encode() for name in NAMES}
ACCOUNTS |= {address(name): password for name, password in ODD_PASSWORDS.items()}


def password(account):
    """As text, for the clients that take text."""
    return ACCOUNTS[account].decode()


class Block:
    """127.0.N.0/24 for one N that nobody else uses, as long as this process lives."""

    def __init__(self):
        for number in range(256):
            if self._take(number):
                return
        raise RuntimeError("all 256 address blocks 127.0.N.0/24 are in use by laboratories: end some")

    def _take(self, number):
        path = Path(tempfile.gettempdir()) / f"pointsman-lab-{number}.lock"
        try:
            # Held until the process ends; the kernel gives it back, whatever happens.
            self._lock = open(path, "w")
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return False
        self.number = number
        return all(_is_free(self.host(host), PORTS["imap"] + PLAIN) for host in (11, 12, 20)) \
            and _is_free(self.provider, self.provider_port)

    def host(self, last):
        return f"127.0.{self.number}.{last}"

    @property
    def provider(self):
        return self.host(10)

    provider_port = 18080

    def side(self, name):
        return self.host(11 + SIDES.index(name))


def _is_free(host, port):
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
    return True
