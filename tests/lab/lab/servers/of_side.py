"""The Dovecot and the Postfix of a side, as servers of the matrix."""

import imaplib

from .. import certificates
from ..configuration import POSTFIX_SUBMISSION
from ..layout import password
from .server import Server


class OfSide(Server):
    """Runs with the lab; the matrix neither starts nor ends it. Both deliver to the mailboxes of the side's Dovecot."""

    side_name = ""

    def __init__(self, lab, _host_number=0):
        self.lab, self.side = lab, lab.sides[self.side_name]
        self.host, self.hostname, self.pair = self.side.host, self.side.hostname, self.side.pair

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


class Dovecot(OfSide):
    """Its submission service relays to the side's Postfix."""

    name, protocols, side_name = "dovecot", ("imap", "pop3", "managesieve", "submission"), "old"

    @classmethod
    def is_possible(cls, _lab):
        return True


class Postfix(OfSide):
    name, protocols, side_name = "postfix", ("submission",), "new"

    @classmethod
    def is_possible(cls, lab):
        return lab.has_postfix

    def port(self, service):
        kind = "implicit" if service == "submissions" else "starttls"
        return self.side.port(POSTFIX_SUBMISSION[kind])

    def endpoint(self, protocol, kind):
        return self.side.endpoint(POSTFIX_SUBMISSION[kind])
