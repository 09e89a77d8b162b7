"""The Dovecot of a side, as a server of the matrix."""

import imaplib

from .. import certificates
from ..layout import password
from .server import Server


class Dovecot(Server):
    """Runs with the lab; the matrix neither starts nor ends it."""

    name, protocols, side_name = "dovecot", ("imap", "pop3"), "old"

    def __init__(self, lab, _host_number=0):
        self.lab, self.side = lab, lab.sides[self.side_name]
        self.host, self.hostname, self.pair = self.side.host, self.side.hostname, self.side.pair

    @classmethod
    def is_possible(cls, _lab):
        return True

    def start(self, _accounts):
        """Runs already, with the lab."""

    def wait(self):
        """Answers already."""

    def stop(self):
        """Ends with the lab."""

    def port(self, service):
        return self.side.port(service)

    def reset(self, account):
        self.side.doveadm("expunge", "-u", account, "mailbox", "INBOX", "all")
        self.side.deliver([account], f"I am {self.name}")

    def messages(self, account):
        with imaplib.IMAP4_SSL(self.host, self.side.port("imaps"), ssl_context=certificates.trusting(self.pair.ca), timeout=10) as box:
            box.login(account, password(account))
            box.select("INBOX", readonly=True)
            _, numbers = box.search(None, "ALL")
            return [box.fetch(number, "(BODY.PEEK[])")[1][0][1] for number in numbers[0].split()]
