"""What every test stands on: the laboratory and the proxy of this run, and clients that clean up after themselves."""

import unittest

from clients.addresses import fresh
from clients.imap import Imap
from lab.layout import ACCOUNTS, MASTER_PASSWORD, address
from lab.proxy import Proxy

# Of this run; set once by the runner.
LAB = None
PROXY = None
BINARY = None
# Every proxy that was started, for the test that reads all logs.
PROXIES = []
# What else ends with the run.
ENDINGS = []
# Every secret that was sent, beside the passwords and tokens that the laboratory knows.
SECRETS = {MASTER_PASSWORD.encode(), *ACCOUNTS.values()}


def begin(lab, binary):
    """Starts the proxy that the tests share."""
    global LAB, PROXY, BINARY
    LAB, BINARY = lab, binary
    if binary:
        PROXY = start_proxy("main", 20)


def new_proxy(name, host_number, change=None, table=None):
    """A proxy that is not started yet."""
    proxy = Proxy(LAB, BINARY, name, host_number, change, table)
    PROXIES.append(proxy)
    return proxy


def start_proxy(name, host_number, change=None, table=None):
    return new_proxy(name, host_number, change, table).start()


def end():
    for proxy in PROXIES:
        proxy.stop()
    while ENDINGS:
        ENDINGS.pop()()


def at_end(call):
    """For what a test has started for those after it, too."""
    ENDINGS.append(call)


def secret(text):
    """A secret that only one test uses; registered, so that the logs are searched for it."""
    data = text if isinstance(text, bytes) else text.encode()
    SECRETS.add(data)
    return data


class Case(unittest.TestCase):
    """A test with the laboratory; `needs_proxy` false: it is about the laboratory itself."""

    needs_proxy, needs_postfix = True, False
    maxDiff = None
    # Who dials, unless the test says otherwise.
    client = Imap

    def setUp(self):
        if self.needs_postfix and not LAB.has_postfix:
            self.skipTest("there is no Postfix without root")

    @property
    def lab(self):
        return LAB

    @property
    def proxy(self):
        return PROXY

    @property
    def old(self):
        return LAB.old

    @property
    def new(self):
        return LAB.new

    def dial(self, kind="implicit", client=None, proxy=None, **how):
        """A conversation with a listener of the proxy, from an address that nobody else has."""
        client = client or self.client
        return self.dial_endpoint((proxy or PROXY).endpoint(kind, client.protocol), client, **how)

    def dial_endpoint(self, endpoint, client=None, source=None, **how):
        talk = (client or self.client)(endpoint, source or fresh(), **how)
        self.addCleanup(talk.close)
        return talk

    def extra_proxy(self, name, host_number, change=None, table=None):
        """A proxy with another configuration, for the rest of this test."""
        proxy = start_proxy(name, host_number, change, table)
        self.addCleanup(proxy.stop)
        return proxy

    def assert_ok(self, words):
        self.assertRegex(words, r"^(\+?OK|235)\b")

    def assert_no(self, words):
        self.assertRegex(words, r"^(NO|-ERR|5\d\d)\b")

    def assert_at(self, talk, side):
        """The session is bridged to that side: it says so itself."""
        self.assertEqual(talk.side(), side)

    def assert_at_prompt(self, talk, name="alice", side="old"):
        """The client is at our prompt: a login works, and leads where it should."""
        self.assert_ok(talk.login(address(name), ACCOUNTS[address(name)]))
        self.assert_at(talk, side)

    def assert_unseen(self, side, since, **fields):
        """The side logged nothing with these fields. A later login of ours was logged: the log has come that far."""
        source = fresh()
        with Imap(side.endpoint("imaps"), source) as talk:
            self.assert_ok(talk.login(address("carol"), ACCOUNTS[address("carol")]))
        side.logs.wait(since, client=source)
        found = [entry for entry in side.logs.seen(since) if all(entry.get(key) == value for key, value in fields.items())]
        self.assertEqual(found, [])
