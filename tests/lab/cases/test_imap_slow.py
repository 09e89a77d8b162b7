"""A server that delays its verdicts after failed logins, as every Dovecot does, is slow and not unreachable."""

from lab.configuration import OLD
from lab.layout import ACCOUNTS, address
from lab.side import Side
from lab.waiting import until

from .base import Case

# Dovecot's own defaults, which the laboratory turns off: two seconds for each failure, and a penalty for the address.
DELAYS = """
auth_failure_delay = 2 secs
service anvil {
  unix_listener anvil-auth-penalty {
    mode = 0600
  }
}
"""


class SlowVerdict(Case):
    def test_a_delayed_verdict_is_the_backends_own(self):
        provider = f"{self.lab.block.provider}:{self.lab.block.provider_port}"
        slow = Side("slow", self.lab.block.host(97), self.lab.dir, provider, False, DELAYS)
        self.addCleanup(slow.stop)
        slow.start()
        slow.wait()
        slow.deliver([address("alice")], "I am slow")

        def change(document):
            # Less than either delay.
            document["server"] |= {"backend_timeout": "1s", "host_down_threshold": 0}
            document["destination"][OLD] |= {
                "host": slow.host, "tls_server_name": slow.hostname, "tls_ca": slow.pair.ca}
        proxy = self.extra_proxy("slow", 96, change)
        talk = self.dial(proxy=proxy)
        self.assertRegex(talk.login(address("alice"), b"guess"), r"^NO \[AUTHENTICATIONFAILED\]")
        until(lambda: "login failed:" in proxy.log(), "the refusal is not logged")
        self.assert_at_prompt(talk, "alice", "slow")
