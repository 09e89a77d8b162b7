"""What clients are offered before the login: what every server has, and no more."""

import re
import smtplib

from clients.addresses import fresh
from lab import certificates
from lab.configuration import NEW, OLD
from lab.layout import address
from lab.waiting import until

from .base import Case

# Ours to offer, whatever the servers have.
OWN = {"STARTTLS", "AUTH", "SASL-IR", "ID"}


def two_destinations(document):
    """Both sides, and no list of capabilities."""
    document["destination"] = {name: document["destination"][name] for name in (OLD, NEW)}
    del document["capabilities"]
    document["listener"] = {name: listener for name, listener in document["listener"].items() if "implicit" in name}


class Learning(Case):
    """One side submits by Dovecot, the other by Postfix: their EHLO responses differ."""

    def proxy_that_has_learnt(self):
        table = {address("alice"): OLD, address("bob"): NEW}
        proxy = self.extra_proxy("learning", 95, two_destinations, table)
        for protocol in ("imap", "submission", "managesieve"):
            until(lambda: re.search(f'advertised capabilities changed.*protocol="{protocol}"', proxy.log()),
                  lambda: f"{protocol} was not learnt\n{proxy.tail()}")
        return proxy

    def keywords(self, endpoint):
        """Of an EHLO response, without parameters."""
        with smtplib.SMTP_SSL(endpoint.host, endpoint.port, context=certificates.trusting(endpoint.ca),
                              source_address=(fresh(), 0)) as smtp:
            smtp.ehlo()
            return {name.upper() for name in smtp.esmtp_features}

    def test_ehlo_is_what_both_servers_have(self):
        if not self.lab.has_postfix:
            self.skipTest("there is no Postfix without root")
        proxy = self.proxy_that_has_learnt()
        offered = self.keywords(proxy.endpoint("implicit", "submission")) - OWN
        old, new = self.keywords(self.old.endpoint("submissions")), self.keywords(self.new.endpoint("msas"))
        self.assertEqual(offered, (old & new) - OWN - {"XCLIENT", "XFORWARD"})
        # Postfix has these and Dovecot has not, or the other way round: the test tells something.
        self.assertTrue((old ^ new) - OWN)
