"""One side of a migration: a Dovecot and, where it can run, a Postfix on one loopback address."""

import imaplib
import re
import secrets
import smtplib
import time
from pathlib import Path

from . import certificates, dovecot, logs, postfix
from .endpoint import Endpoint
from .layout import ACCOUNTS, DOMAIN, IMPLICIT, PLAIN, PORTS, POSTFIX_ONLY, PROXIED, SUBMITS_BY_POSTFIX, password
from .process import run
from .waiting import answers, until


class Side:
    """`old` or `new`, or a server that one test needs.

    `dovecot_settings`, `postfix_settings`: lines that are appended to their configurations.
    """

    def __init__(self, name, host, directory, provider, has_postfix, dovecot_settings="", postfix_settings=""):
        self.name, self.host, self.dir, self.has_postfix = name, host, Path(directory) / name, has_postfix
        self.submits_by_postfix = has_postfix and name == SUBMITS_BY_POSTFIX
        self.provider, self.dovecot_settings, self.postfix_settings = provider, dovecot_settings, postfix_settings
        self.hostname = f"{name}.{DOMAIN}"
        self.dovecot_conf = self.dir / "dovecot.conf"
        self.logs = logs.Logs(name, self.dir / "dovecot.log", self.dir / "postfix.log")
        self.daemons = []

    def port(self, protocol, is_proxied=False):
        return PORTS[protocol] + (PROXIED if is_proxied else PLAIN)

    def protocols(self):
        return [name for name in PORTS if self.has_postfix or name not in POSTFIX_ONLY]

    def endpoint(self, protocol, is_proxied=False):
        """Where a client connects to."""
        return Endpoint(self.host, self.port(protocol, is_proxied), protocol in IMPLICIT, self.pair.ca, self.hostname)

    def mailbox(self, account):
        return self.dir / "mail" / account

    # Running.

    def start(self):
        self.dir.mkdir(parents=True, exist_ok=True)
        self.dir.chmod(0o755)
        self.authority = certificates.Authority(self.dir / "tls", f"CA of {self.name}")
        self.pair = self.authority.issue("server", [self.hostname, f"mail.{DOMAIN}"], [self.host])
        out = open(self.dir / "stderr.log", "ab")
        dovecot.write(self)
        self.daemons.append(dovecot.start(self, out))
        if self.has_postfix:
            postfix.write(self)
            self.daemons.append(postfix.start(self, out))

    def wait(self):
        """Until every port answers."""
        for protocol in self.protocols():
            for is_proxied in (False, True):
                until(lambda: self._is_dead() or answers(self.host, self.port(protocol, is_proxied)),
                      lambda: f"{self.name}: nothing answers for {protocol}\n{self.tail()}", limit=20)
        if self._is_dead():
            raise RuntimeError(f"{self.name}: a server ended\n{self.tail()}")

    def _is_dead(self):
        return any(daemon.has_ended() for daemon in self.daemons)

    def tail(self):
        """The ends of its logs, for reports."""
        paths = [self.dir / "stderr.log", *self.logs.paths]
        return "\n".join(f"--- {path}\n" + "\n".join(path.read_text(errors="replace").splitlines()[-15:])
                         for path in paths if path.exists())

    def stop(self):
        while self.daemons:
            self.daemons.pop().stop()

    # Mail.

    def deliver(self, accounts, subject, body=""):
        """One message into each of these mailboxes, over LMTP."""
        sender = f"lab@{DOMAIN}"
        message = (f"From: <{sender}>\r\nTo: <recipients@{DOMAIN}>\r\nSubject: {subject}\r\n"
                   f"Message-ID: <{secrets.token_hex(8)}@{self.hostname}>\r\n"
                   f"Date: {time.strftime('%a, %d %b %Y %H:%M:%S +0000', time.gmtime())}\r\n\r\n"
                   f"{body or subject}\r\n").encode()
        with smtplib.LMTP(self.host, self.port("lmtp")) as lmtp:
            for account in accounts:
                # One at a time: smtplib reads one answer to DATA, and LMTP gives one for each recipient.
                lmtp.sendmail(sender, [account], message)

    def seed(self):
        """One message in each mailbox, which says where it is."""
        self.deliver(list(ACCOUNTS), f"I am {self.name}")

    def subjects(self, account, mailbox="INBOX"):
        """Of the messages in a mailbox, asked of Dovecot itself."""
        done = self.doveadm("fetch", "-u", account, "hdr.subject", "mailbox", mailbox)
        return re.findall(r"hdr\.subject: (.*)", done.stdout)

    def imaplib(self, account):
        """A session with Python's own client, past the proxy."""
        box = imaplib.IMAP4_SSL(self.host, self.port("imaps"), ssl_context=certificates.trusting(self.pair.ca), timeout=10)
        box.login(account, password(account))
        return box

    def doveadm(self, *arguments, check=True):
        return run("doveadm", "-c", self.dovecot_conf, *arguments, check=check)
