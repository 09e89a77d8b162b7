"""The configuration that the tests' proxy runs with: a listener of each kind, and a destination for each way to a backend."""

from .layout import DOMAIN, FORWARDINGS, LEG_NAMES, LEGS, SIDES, UNLUCKY, address, leg_name

# Port names of a side by protocol and leg. ManageSieve has no implicit TLS: destinations whose other legs have it
# reach ManageSieve by STARTTLS.
LEG_PORTS = {
    "imap": {"implicit": "imaps", "starttls": "imap", "plain": "imap"},
    "pop3": {"implicit": "pop3s", "starttls": "pop3", "plain": "pop3"},
    "managesieve": {"starttls": "sieve", "plain": "sieve"},
    "submission": {"implicit": "submissions", "starttls": "submission", "plain": "submission"},
}
# Submission at sides where it is Postfix's; it takes no password in the clear but at a port of its own.
POSTFIX_SUBMISSION = {"implicit": "msas", "starttls": "msa", "plain": "msap"}
# Which of them are spoken by the proxy under test.
SPOKEN = ("imap", "pop3", "managesieve", "submission")

MECHANISMS = ["PLAIN", "LOGIN", "SCRAM-SHA-1", "SCRAM-SHA-256", "OAUTHBEARER", "XOAUTH2"]
# What the servers of the two sides have in common, and more that no test here relies on.
ADVERTISED = {
    "imap": {"advertise": ["IMAP4rev2", "IMAP4rev1", "ENABLE", "SASL-IR", "LITERAL+", "ID", "UTF8=ACCEPT"]},
    "submission": {"ehlo": ["ENHANCEDSTATUSCODES", "8BITMIME", "BINARYMIME", "SMTPUTF8", "PIPELINING", "CHUNKING",
                            "REQUIRETLS", "SIZE"]},
    "managesieve": {"sieve": ["fileinto", "reject", "envelope", "body", "copy", "variables", "vacation", "imap4flags",
                              "relational"]},
}
# What remains of them without encryption.
CLEARTEXT_MECHANISMS = ["SCRAM-SHA-1", "SCRAM-SHA-256"]
# Who may send us a PROXY header, and whose ID and XCLIENT we take.
BALANCERS, FRONTS = "127.3.0.0/16", "127.4.0.0/16"
# Where a test puts a backend of its own, behind the destinations `scripted` and `scripted-starttls`.
SCRIPTED_HOST = 30
OLD, NEW = leg_name("old", "implicit", "proxy"), leg_name("new", "implicit", "proxy")

# Listener -> (port, settings). All of one protocol; `port` is added to the protocol's base.
LISTENERS = {
    "implicit": (0, {"tls": "implicit"}),
    "starttls": (1, {"tls": "starttls"}),
    "plain": (2, {"tls": "plain"}),
    "optional": (3, {"tls": "starttls", "proxy_protocol": "optional", "proxy_trusted": [BALANCERS]}),
    "required": (4, {"tls": "implicit", "proxy_protocol": "required", "proxy_trusted": [BALANCERS]}),
    "fronted": (5, {"tls": "implicit", "trusted_fronts": [FRONTS]}),
}
LISTENER_BASE = {"imap": 1430, "pop3": 1100, "managesieve": 4190, "submission": 5870, "smtp": 2500, "lmtp": 2400}
# What passes through, and the listeners that there can be for it: STARTTLS is the backend's.
PASSING, PASSING_LISTENERS = ("smtp", "lmtp"), ("implicit", "plain")


def listener_port(protocol, kind):
    return LISTENER_BASE[protocol] + LISTENERS[kind][0]


def configuration(lab, proxy):
    """As a dict, for tests to change before it is written."""
    return {
        "server": {
            "hostname": f"proxy.{DOMAIN}", "log_level": "trace", "state_dir": proxy.dir / "state",
            "shutdown_grace": "2s", "backend_timeout": "5s", "host_down_threshold": 0,
        },
        "tls": {"certificate": {stem: _certificate(pair, stem) for stem, pair in proxy.pairs.items()}},
        "listener": {f"{protocol}-{kind}": _listener(proxy, protocol, kind)
                     for protocol in SPOKEN for kind in LISTENERS},
        "destination": _destinations(lab),
        "routing": {"default_destination": OLD, "master_user_separators": ["*", "%"]},
        "mapping": {"source": "file", "normalize": "lowercase", "file": {"path": proxy.mapping_path}},
        # Not learnt: some destinations never answer.
        "capabilities": {protocol: {"sasl": MECHANISMS, "learn": False, **ADVERTISED.get(protocol, {})} for protocol in SPOKEN},
        # Failures are slowed down, which the tests of failures would feel; all come from one machine.
        "limits": {"auth_delay_max": "50ms", "logins_in_flight_per_account": 256},
    }


def passing(host, side, forwarding):
    """A change of the configuration: nothing but SMTP and LMTP listeners, all of which lead to `host`."""
    legs = {protocol: {"port": side.port(protocol, forwarding == "proxy"), "tls": "plain"} for protocol in PASSING}

    def change(document):
        bind = document["listener"]["imap-implicit"]["bind"][0].partition(":")[0]
        document["listener"] = {
            f"{protocol}-{kind}": {"protocol": protocol, "bind": [f"{bind}:{listener_port(protocol, kind)}"], "tls": kind}
            for protocol in PASSING for kind in PASSING_LISTENERS}
        document["destination"]["mail"] = {"host": host, "forwarding": forwarding, "protocol": legs}
        document["routing"]["smtp_passthrough_destination"] = "mail"
    return change


def mapping():
    """The accounts that are mapped at the start; the rest is where the default destination leads."""
    table = {address(name): name for name in LEG_NAMES}
    table |= {address("alice"): OLD, address("bob"): NEW, address("mover"): OLD}
    return table | {address(name): name for name in UNLUCKY}


def _certificate(pair, stem):
    return {"cert": pair.cert, "key": pair.key, "default": stem == "mail"}


def _listener(proxy, protocol, kind):
    return {"protocol": protocol, "bind": [f"{proxy.host}:{listener_port(protocol, kind)}"], **LISTENERS[kind][1]}


def _destinations(lab):
    """Every way to both sides, and some that cannot work or that a test answers for."""
    found = {leg_name(side, leg, forwarding): destination(lab.sides[side], leg, forwarding)
             for side in SIDES for leg in LEGS for forwarding in FORWARDINGS}
    implicit, starttls = (destination(lab.old, leg, "none") for leg in ("implicit", "starttls"))
    # Nobody listens there; the other side's CA vouches for nobody here; that port speaks another protocol.
    found["down"] = implicit | {"host": lab.block.host(99)}
    found["unproven"] = implicit | {"tls_ca": lab.new.pair.ca}
    found["plainless"] = starttls | {"protocol": {
        protocol: leg | {"port": lab.old.port("lmtp")} for protocol, leg in starttls["protocol"].items()}}
    found["scripted"] = implicit | {"host": lab.block.host(SCRIPTED_HOST)}
    found["scripted-starttls"] = starttls | {"host": lab.block.host(SCRIPTED_HOST)}
    found["scripted-xclient"] = destination(lab.old, "plain", "xclient") | {"host": lab.block.host(SCRIPTED_HOST)}
    return found


def destination(side, leg, forwarding):
    """One way to one side. `proxy` goes to the ports that demand a PROXY header."""
    legs = {protocol: _leg(side, protocol, leg, forwarding == "proxy") for protocol in SPOKEN}
    settings = {"host": side.host, "tls_server_name": side.hostname, "tls_ca": side.pair.ca,
                "forwarding": forwarding, "protocol": legs}
    return settings | ({"allow_plaintext_auth": True} if leg == "plain" else {})


def _leg(side, protocol, leg, is_proxied):
    ports = POSTFIX_SUBMISSION if protocol == "submission" and side.submits_by_postfix else LEG_PORTS[protocol]
    leg = leg if leg in ports else "starttls"
    return {"port": side.port(ports[leg], is_proxied), "tls": leg}
