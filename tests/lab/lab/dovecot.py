"""One side's Dovecot: IMAP, POP3, ManageSieve, submission and LMTP, each with and without a PROXY header."""

import base64
import grp
import os
import pwd

from .layout import ACCOUNTS, DOMAIN, IMPLICIT, MASTER, MASTER_PASSWORD, MASTER_SEPARATOR, TRUSTED
from .process import Daemon
from .template import fill

# Owner of the mailboxes when root starts us; no such account needs to exist.
MAIL_UID = 5000


def write(side):
    """Writes the configuration of `side` (a `Side`)."""
    for folder in ("run", "state", "mail"):
        (side.dir / folder).mkdir(parents=True, exist_ok=True)
    is_root = os.geteuid() == 0
    uid, gid = (MAIL_UID, MAIL_UID) if is_root else (os.geteuid(), os.getegid())
    if is_root:
        os.chown(side.dir / "mail", uid, gid)
    side.dovecot_conf.write_text(fill(
        "dovecot.conf", dir=side.dir, host=side.host, hostname=side.hostname, name=side.name, domain=DOMAIN,
        cert=side.pair.cert, key=side.pair.key, trusted=TRUSTED, separator=MASTER_SEPARATOR, uid=uid, gid=gid,
        smtp=side.port("smtp"), auth=_postfix_socket() if side.has_postfix else "", **_owners(is_root),
        **_services(side)) + side.dovecot_settings)
    side.dovecot_conf.chmod(0o644)
    (side.dir / "oauth2.conf").write_text(fill("oauth2.conf", provider=side.provider))
    (side.dir / "masters").write_text(f"{MASTER}:{MASTER_PASSWORD}\n")
    (side.dir / "users").write_text("".join(
        f"{account}:{base64.b64encode(password).decode()}:{uid}:{gid}::{side.mailbox(account)}::\n"
        for account, password in ACCOUNTS.items()))


def start(side, out):
    return Daemon("dovecot", "-F", "-c", side.dovecot_conf, out=out)


def _owners(is_root):
    """Which accounts the processes run as: ours, where we are not root."""
    if is_root:
        return {"internal_user": "dovecot", "internal_group": "dovecot", "login_user": "dovenull"}
    me, group = pwd.getpwuid(os.geteuid()).pw_name, grp.getgrgid(os.getegid()).gr_name
    return {"internal_user": me, "internal_group": group, "login_user": me}


def _services(side):
    protocols = {"imap": ("imap", "imaps"), "pop3": ("pop3", "pop3s"), "sieve": ("sieve",),
                 "submission": ("submission", "submissions"), "lmtp": ("lmtp",)}
    return {service: "".join(_listeners(side, name) for name in names) for service, names in protocols.items()}


def _listeners(side, name):
    return "".join(
        f"  inet_listener {name}{suffix} {{\n    address = {side.host}\n    port = {side.port(name, is_proxied)}\n"
        f"    ssl = {'yes' if name in IMPLICIT else 'no'}\n    haproxy = {'yes' if is_proxied else 'no'}\n  }}\n"
        for suffix, is_proxied in (("", False), ("-proxied", True)))


def _postfix_socket():
    return "  unix_listener auth-postfix {\n    mode = 0600\n    user = postfix\n  }\n"
