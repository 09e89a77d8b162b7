"""What the tests of SMTP and LMTP stand on: one destination takes all mail, so each forwarding has a proxy of its own."""

from lab.configuration import passing

from . import base
from .base import Case

FIRST_HOST = 40


class Passing(Case):
    """Subclasses name the client, which names the protocol. All mail goes to the new side."""

    # (Backend's address, forwarding) -> proxy, of this run; started when the first test wants it.
    proxies = {}

    def setUp(self):
        if self.client.protocol == "smtp" and not self.lab.has_postfix:
            self.skipTest("there is no Postfix without root")

    def passing(self, forwarding, host=None):
        """The proxy for that forwarding, to the new side or to another address with the same ports."""
        key = host or self.new.host, forwarding
        if key not in self.proxies:
            number = FIRST_HOST + len(self.proxies)
            self.proxies[key] = base.start_proxy(f"passing-{number}", number, passing(key[0], self.new, forwarding))
        return self.proxies[key]

    def through(self, forwarding, kind="plain", host=None, **how):
        return self.dial(kind, proxy=self.passing(forwarding, host), **how)
