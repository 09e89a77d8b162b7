"""The proxy's configuration for the tests of HTTP: no mail, the published rules, and some of our own."""

import secrets
import tomllib
from pathlib import Path

from ..layout import PLAIN, PROXIED
from . import layout

RESOURCES = Path(__file__).resolve().parents[4] / "resources"
# Before the last of the published rules, which takes everything.
OWN_RULES = [
    {"match": "/by/query", "extract": {"from": "query", "param": "account"}, "fallback": "new"},
    {"match": "/by/header", "extract": {"from": "header", "header": "X-Account"}, "fallback": "old"},
    {"match": "/pinned/old/**", "destination": "old"},
    {"match": "/pinned/new/**", "destination": "new"},
    {"match": "/made/**", "destination": "made"},
    {"match": "/open/**", "destination": "old-dav"},
    {"match": "/gone/**", "destination": "gone"},
    {"match": "/mute/**", "destination": "mute"},
]


def example(name):
    return tomllib.loads((RESOURCES / f"config.{name}.toml").read_text())


def rules():
    published = example("stalwart-upgrade")["http"]["route"]
    return [*published[:-1], *OWN_RULES, published[-1]]


def web(lab, change=None):
    """A change of the mail tests' configuration: HTTP alone."""
    def apply(document):
        bind = document["listener"]["imap-implicit"]["bind"][0].partition(":")[0]
        document["listener"] = {
            kind: {"protocol": "http", "bind": [f"{bind}:{port}"], **settings}
            for kind, (port, settings) in layout.LISTENERS.items()}
        document["destination"] = destinations(lab)
        document["routing"] = {"default_destination": "old", "master_user_separators": ["*"]}
        document["http"] = {"route": rules()}
        # Tests open many connections from one address, and fail backends on purpose.
        document["server"] |= {"host_down_threshold": 0, "backend_timeout": "5s"}
        document.pop("capabilities")
        if change:
            change(document)
    return apply


def destinations(lab):
    found = {name + way: _destination(side, *settings)
             for name, side in lab.sides.items() for way, settings in layout.WAYS.items()}
    found["made"] = found["old-none"] | {
        "host": lab.block.host(layout.MADE_HOST), "protocol": {"http": {"port": layout.MADE_PORT, "tls": "implicit"}}}
    # Nobody listens there; no HTTP is spoken there.
    found["gone"] = found["old-none"] | {"host": lab.block.host(99)}
    found["mute"] = found["old-none"] | {"protocol": {"imap": {"port": lab.old.port("imaps"), "tls": "implicit"}}}
    return found


def _destination(side, server, is_proxied, settings, leg):
    return {"host": side.host, "tls_server_name": side.hostname, "tls_ca": side.pair.ca,
            "forwarding": "proxy" if is_proxied else "none", "forwarded": True,
            # nginx 1.22 takes a PROXY header of 107 bytes at most: none with TLVs.
            "proxy_tlvs": server != "dav",
            "protocol": {"http": {"port": layout.port(server, is_proxied), "tls": "implicit"} | leg}} | settings


def scenario(lab, name, places):
    """As `scenario_at`; `places`: destination -> name of a side."""
    return scenario_at(name, {destination: lab.sides[side] for destination, side in places.items()})


def scenario_at(name, places):
    """A change to a published example that replaces only places; `places`: destination -> server with a host and a certificate."""
    def apply(usual):
        bind = usual["listener"]["imap-implicit"]["bind"][0].partition(":")[0]
        document = example(name)
        for listener in document["listener"].values():
            ports = {int(bound.rpartition(":")[2]) for bound in listener["bind"]}
            listener["bind"] = [f"{bind}:{number + PLAIN}" for number in ports]
        for destination, server in places.items():
            _place(document["destination"][destination], server)
        mail = usual["tls"]["certificate"]["mail"]
        document["tls"]["certificate"]["mail"] = {"cert": mail["cert"], "key": mail["key"]}
        document["mapping"]["file"]["path"] = usual["mapping"]["file"]["path"]
        document["server"] |= {key: usual["server"][key] for key in ("log_level", "state_dir", "shutdown_grace")}
        token = Path(usual["server"]["state_dir"]).parent / "admin.token"
        token.write_text(secrets.token_hex(32))
        document["admin"] |= {"bind": [f"{bind}:18443"], "bearer_token_file": token}
        usual.clear()
        usual.update(document)
    return apply


def _place(destination, server):
    destination |= {"host": server.host, "tls_ca": server.pair.ca}
    for leg in destination["protocol"].values():
        leg["port"] += PROXIED if destination["forwarding"] == "proxy" else PLAIN
