"""Every way in by every way out by every mechanism: both servers take the login, and their logs name the client."""

import itertools

from clients import sasl
from clients.addresses import fresh
from lab import tokens
from lab.layout import ACCOUNTS, FORWARDINGS, LEGS, SIDES, address, leg_name

from .base import Case

# What our session ids look like (base32); Dovecot's own have 12 to 16 characters of base64.
SESSION_ID = r"^[A-Za-z2-7]{16}$"

WAYS = {
    "PLAIN": lambda talk, user, password: talk.authenticate(sasl.plain(user, password)),
    "LOGIN": lambda talk, user, password: talk.authenticate(sasl.login(user, password)),
    "the LOGIN command": lambda talk, user, password: talk.login(user, password),
    "SCRAM-SHA-256": lambda talk, user, password: talk.authenticate(sasl.ScramSha256(user, password)),
    "OAUTHBEARER": lambda talk, user, _: talk.authenticate(sasl.oauthbearer(user, tokens.opaque(user))),
    "XOAUTH2": lambda talk, user, _: talk.authenticate(sasl.xoauth2(user, tokens.opaque(user))),
}


class Matrix(Case):
    """Its tests are made below, one for each listener, leg and forwarding."""

    def one_cell(self, listener, side, leg, forwarding, way):
        account, source, since = address(leg_name(side, leg, forwarding)), fresh(), self.lab.sides[side].logs.mark()
        talk = self.dial(listener, source=source).secure()
        self.assert_ok(WAYS[way](talk, account, ACCOUNTS[account]))
        self.assert_at(talk, side)
        is_told = forwarding != "none"
        entry = self.lab.sides[side].logs.wait(
            since, what="Login", user=account, service="imap-login",
            client=source if is_told else "127.0.0.1", **({"port": talk.local_port} if is_told else {}))
        self.assertEqual(entry["is_tls"], leg != "plain")
        self.assertEqual(entry["local"], self.proxy.host if is_told else self.lab.sides[side].host)
        if forwarding == "xclient":
            self.assertRegex(entry["session"], SESSION_ID)
            self.assertIn(entry["session"], self.proxy.log())
        talk.logout()


def _cell_test(listener, leg, forwarding):
    def test(self):
        for side, way in itertools.product(SIDES, WAYS):
            with self.subTest(side=side, way=way):
                self.one_cell(listener, side, leg, forwarding, way)
    return test


for _listener, _leg, _forwarding in itertools.product(("implicit", "starttls"), LEGS, FORWARDINGS):
    setattr(Matrix, f"test_{_listener}_to_{_leg}_{_forwarding}", _cell_test(_listener, _leg, _forwarding))
