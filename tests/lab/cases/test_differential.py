"""Generated login conversations with real servers, direct and through the proxy: the same verdicts, the same response codes, and
the same number of failed logins in the log of the server and in ours.

`make differential` runs 2,000 of them; the suite runs some. The seed is printed, and POINTSMAN_SEED repeats it.
"""

import os
import random
import re
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from clients.addresses import fresh
from lab.layout import ACCOUNTS, address
from lab.waiting import until

from .base import Case
from .conversations import CLIENTS, draw, speak

COUNT = int(os.environ.get("POINTSMAN_CONVERSATIONS", "200"))
SEED = int(os.environ.get("POINTSMAN_SEED", random.randrange(2**32)))
WORKERS = 16
# Ports of the servers themselves. Submission is Postfix's.
DIRECT = {
    "imap": {"implicit": "imaps", "starttls": "imap"},
    "pop3": {"implicit": "pop3s", "starttls": "pop3"},
    "managesieve": {"implicit": "sieve", "starttls": "sieve"},
    "submission": {"implicit": "msas", "starttls": "msa"},
}
# One failed login. Postfix has the passwords checked by the Dovecot of its side.
THEIR_FAILURE = re.compile(r" auth: Info: passwd-file\([^,]*,(127\.2\.[\d.]+)[,)].*: (?:Password mismatch|unknown user)$")
OUR_FAILURE = re.compile(r"login failed: protocol=\w+ client=(127\.2\.[\d.]+) ")


@dataclass(frozen=True)
class Outcome:
    # Verdicts and response codes: what must be the same.
    seen: tuple
    # The conversation, for the report.
    said: list


class Differential(Case):
    needs_postfix = True

    def test_generated_conversations(self):
        print(f"differential: POINTSMAN_SEED={SEED}, {COUNT} conversations", flush=True)
        generator = random.Random(SEED)
        # All of them are on the side whose submission service is Postfix.
        accounts = [(address(name), ACCOUNTS[address(name)]) for name in ("bob", "new-implicit-proxy", "new-starttls-proxy")]
        plans = [draw(generator, accounts) for _ in range(COUNT)]
        sources = [(fresh(), fresh()) for _ in plans]
        with ThreadPoolExecutor(WORKERS) as pool:
            outcomes = list(pool.map(self.both, plans, sources))
        different = [report(plan, direct, proxied) for plan, (direct, proxied) in zip(plans, outcomes) if direct.seen != proxied.seen]
        self.assertEqual(len(different), 0, f"{len(different)} of {COUNT} differ, seed {SEED}\n" + "\n".join(different[:5]))
        succeeded = [direct for direct, _ in outcomes if direct.seen[-1][1].lstrip("+").startswith(("OK", "250 2.1.0"))]
        self.assertGreater(len(succeeded), COUNT // 4)
        self.assert_counts(plans, sources)

    def both(self, plan, sources):
        return tuple(self.outcome(plan, source, is_direct) for source, is_direct in zip(sources, (True, False)))

    def outcome(self, plan, source, is_direct):
        client = CLIENTS[plan.protocol]
        # ManageSieve has no implicit TLS at Dovecot; the proxy's listener does.
        kind = "starttls" if plan.protocol == "managesieve" else plan.kind
        endpoint = self.new.endpoint(DIRECT[plan.protocol][kind]) if is_direct else self.proxy.endpoint(kind, plan.protocol)
        with client(endpoint, source) as talk:
            return Outcome(speak(plan, talk.secure()), talk.said)

    def assert_counts(self, plans, sources):
        """Every failed attempt is in the server's log for both clients, and in ours for the proxied one."""
        expected = Counter()
        for plan, (direct, proxied) in zip(plans, sources):
            failed = sum(not step.is_right and step.name != "cancelled" for step in plan.steps)
            if failed:
                expected[direct] = expected[proxied] = failed
        clients = {source for pair in sources for source in pair}
        until(lambda: self.theirs(clients) == expected,
              lambda: f"seed {SEED}: (expected, found) in the servers' log: {differing(expected, self.theirs(clients))}")
        proxied = {source for _, source in sources}
        expected = Counter({source: count for source, count in expected.items() if source in proxied})
        until(lambda: self.ours(proxied) == expected,
              lambda: f"seed {SEED}: (expected, found) in our log: {differing(expected, self.ours(proxied))}")

    def ours(self, clients):
        return Counter(match[1] for match in OUR_FAILURE.finditer(self.proxy.log()) if match[1] in clients)

    def theirs(self, clients):
        # An account that nobody has is on the default destination.
        found = (THEIR_FAILURE.search(line) for side in (self.old, self.new) for line in side.logs.lines())
        return Counter(match[1] for match in found if match and match[1] in clients)


def report(plan, direct, proxied):
    return "\n".join([f"{plan}", "--- direct", f"{direct.seen}", *direct.said, "--- proxied", f"{proxied.seen}", *proxied.said])


def differing(expected, found):
    sources = [source for source in expected | found if expected[source] != found[source]]
    return {source: (expected[source], found[source]) for source in sources[:10]}
