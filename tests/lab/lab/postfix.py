"""One side's Postfix: SMTP in, and a submission service of its own. It insists on being started by root."""

import os
import pwd
import shutil

from .layout import ACCOUNTS, DOMAIN, TRUSTED
from .process import Daemon, run
from .template import fill


def is_possible():
    return os.geteuid() == 0 and shutil.which("postconf") is not None


def write(side):
    """Writes the configuration of `side` (a `Side`)."""
    base = side.dir / "postfix"
    for folder in ("etc", "queue", "data"):
        (base / folder).mkdir(parents=True, exist_ok=True)
    owner = pwd.getpwnam("postfix")
    os.chown(base / "data", owner.pw_uid, owner.pw_gid)
    (base / "data").chmod(0o700)
    (base / "mailboxes").write_text("".join(f"{account} {account}\n" for account in ACCOUNTS))
    (base / "etc/main.cf").write_text(fill(
        "main.cf", dir=side.dir, host=side.host, hostname=side.hostname, domain=DOMAIN, lmtp=side.port("lmtp"),
        trusted=TRUSTED, cert=side.pair.cert, key=side.pair.key) + side.postfix_settings)
    listeners = "".join(_listeners(side, is_proxied) for is_proxied in (False, True))
    (base / "etc/master.cf").write_text(fill("master.cf", listeners=listeners))


def start(side, out):
    etc = str(side.dir / "postfix/etc")
    run("postfix", "-c", etc, "check")
    # `postfix start-fg` keeps a shell between us and the master, which would outlive it: run the master itself.
    programs = run("postconf", "-c", etc, "-h", "daemon_directory").stdout.strip()
    return Daemon(f"{programs}/master", "-c", etc, "-d", out=out, env={**os.environ, "MAIL_CONFIG": etc})


def _listeners(side, is_proxied):
    header = " -o smtpd_upstream_proxy_protocol=haproxy" if is_proxied else ""
    sasl = (" -o smtpd_sasl_auth_enable=yes -o smtpd_relay_restrictions=permit_sasl_authenticated,reject"
            " -o smtpd_recipient_restrictions=permit_sasl_authenticated,reject -o smtpd_tls_security_level=encrypt")
    options = {"smtp": header, "msa": header + sasl, "msas": header + sasl + " -o smtpd_tls_wrappermode=yes",
               "msap": header + sasl + " -o smtpd_tls_security_level=may -o smtpd_tls_auth_only=no"}
    return "".join(f"{side.host}:{side.port(name, is_proxied)} inet n - n - - smtpd{option}\n"
                   for name, option in options.items())
