"""Every way in by every way out by every mechanism, for one protocol: its cases name the client and the ways to log in."""

import itertools

from clients import sasl
from lab import tokens
from lab.layout import ACCOUNTS, FORWARDINGS, LEGS, SIDES, address, leg_name
from lab.waiting import until

from .base import Case

# What our session ids look like (base32); Dovecot's own have 12 to 16 characters of base64.
SESSION_ID = r"^[A-Za-z2-7]{16}$"

# Way -> function of (talk, user, password): what all protocols have.
SASL = {
    "PLAIN": lambda talk, user, password: talk.authenticate(sasl.plain(user, password)),
    "PLAIN when asked": lambda talk, user, password: talk.authenticate(sasl.plain(user, password), is_initial=False),
    "LOGIN": lambda talk, user, password: talk.authenticate(sasl.login(user, password)),
    "LOGIN with a name": lambda talk, user, password: talk.authenticate(sasl.login_with_name(user, password)),
    "SCRAM-SHA-1": lambda talk, user, password: talk.authenticate(sasl.ScramSha1(user, password)),
    "SCRAM-SHA-256": lambda talk, user, password: talk.authenticate(sasl.ScramSha256(user, password)),
    "OAUTHBEARER": lambda talk, user, _: talk.authenticate(sasl.oauthbearer(user, tokens.opaque(user))),
    "XOAUTH2": lambda talk, user, _: talk.authenticate(sasl.xoauth2(user, tokens.opaque(user))),
}


class Matrix(Case):
    """Its tests are made by `fill`, one for each listener, leg and forwarding."""

    # Dovecot's name of what takes the login, and the ways to log in.
    service, ways = None, SASL
    listeners, legs = ("implicit", "starttls"), LEGS
    # The forwardings by which it takes the address that the client connected to.
    tells_local = ("proxy", "xclient")

    def one_cell(self, listener, side, leg, forwarding, way):
        account, since = address(leg_name(side, leg, forwarding)), self.lab.sides[side].logs.mark()
        talk = self.dial(listener).secure()
        self.assert_ok(self.ways[way](talk, account, ACCOUNTS[account]))
        self.assert_at(talk, side)
        self.assert_logged(talk, self.lab.sides[side], since, account, leg, forwarding)
        talk.logout()

    def assert_logged(self, talk, side, since, account, leg, forwarding):
        """The server knows the client as the forwarding lets it."""
        is_told = forwarding != "none"
        entry = side.logs.wait(
            since, what="Login", user=account, service=self.service,
            client=talk.source if is_told else "127.0.0.1", **({"port": talk.local_port} if is_told else {}))
        self.assertEqual(entry["is_tls"], leg != "plain")
        self.assertEqual(entry["local"], self.proxy.host if forwarding in self.tells_local else side.host)
        if forwarding == "xclient":
            self.assertRegex(entry["session"], SESSION_ID)
            until(lambda: entry["session"] in self.proxy.log(), "the session of the server's log is not in ours")


def fill(case):
    for listener, leg, forwarding in itertools.product(case.listeners, case.legs, FORWARDINGS):
        setattr(case, f"test_{listener}_to_{leg}_{forwarding}", _cell_test(listener, leg, forwarding))
    return case


def _cell_test(listener, leg, forwarding):
    def test(self):
        for side, way in itertools.product(SIDES, self.ways):
            with self.subTest(side=side, way=way):
                self.one_cell(listener, side, leg, forwarding, way)
    return test
