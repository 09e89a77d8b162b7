"""Where HTTP's backends are, what destinations lead to them, and which accounts follow those."""

from ..layout import ACCOUNTS, PLAIN, PROXIED, SIDES, address

# Ports of a side, to which the mail ports' offsets are added: PROXIED demands a PROXY header.
PORTS = {"recorder": 443, "clear": 80, "dav": 444, "socket": 445, "jmap": 446, "jmap-lmtp": 447}

# Destination -> (server, is it told by a PROXY header, settings of the destination, settings of its leg).
# `old` and `new` are what the published scenarios have.
WAYS = {
    "": ("recorder", True, {}, {}),
    "-none": ("recorder", False, {}, {}),
    "-quiet": ("recorder", False, {"forwarded": False}, {}),
    "-clear": ("clear", False, {"allow_plaintext_auth": True}, {"tls": "plain"}),
    "-dav": ("dav", True, {}, {}),
    "-dav2": ("dav", False, {}, {"version": "2"}),
    "-socket": ("socket", False, {}, {}),
    "-jmap": ("jmap", False, {}, {}),
}
DESTINATIONS = [side + way for side in SIDES for way in WAYS]

# Listener -> (port, settings).
BALANCERS = "127.3.0.0/16"
LISTENERS = {
    "implicit": (8443, {"tls": "implicit"}),
    "plain": (8080, {"tls": "plain"}),
    "required": (8444, {"tls": "implicit", "proxy_protocol": "required", "proxy_trusted": [BALANCERS]}),
    "trusting": (8445, {"tls": "implicit", "forwarded": "trust"}),
}

# Where a test puts a backend of its own, behind the destination `made`.
MADE_HOST, MADE_PORT = 31, 10443

# Ten accounts, by turns on one side and the other.
TEN = {f"crowd{number}": SIDES[number % 2] for number in range(10)}
PEOPLE = {"alice": "old", "bob": "new", "mover": "old"}
NAMES = {**PEOPLE, **TEN, **{f"web-{name}": name for name in [*DESTINATIONS, "made", "gone", "mute"]}}


def account(destination):
    """Whose requests go there."""
    return address(f"web-{destination}")


def table():
    """The mapping: accounts, and the web clients of the published scenario."""
    return {address(name): destination for name, destination in NAMES.items()} | {"webadmin": "old", "stalwart-webui": "new"}


def password(name):
    return f"{name.partition('@')[0]}-secret"


def port(server, is_proxied=False):
    return PORTS[server] + (PROXIED if is_proxied else PLAIN)


# Those that the mail servers do not know.
PASSWORDS = {address(name): password(name) for name in NAMES if address(name) not in ACCOUNTS}
