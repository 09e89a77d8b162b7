"""POP3, every way in by every way out by every mechanism: both servers take the login, and their logs name the client."""

from clients import sasl
from clients.pop3 import Pop3
from lab import tokens

from . import matrix


@matrix.fill
class Matrix(matrix.Matrix):
    client, service = Pop3, "pop3-login"
    # DESTADDR of XCLIENT is news to Dovecot 2.3, which skips what it does not know.
    tells_local = ("proxy",)
    ways = {
        "USER and PASS": lambda talk, user, password: talk.login(user, password),
        "PLAIN": lambda talk, user, password: talk.authenticate(sasl.plain(user, password)),
        "LOGIN": lambda talk, user, password: talk.authenticate(sasl.login(user, password)),
        "SCRAM-SHA-256": lambda talk, user, password: talk.authenticate(sasl.ScramSha256(user, password)),
        "XOAUTH2": lambda talk, user, _: talk.authenticate(sasl.xoauth2(user, tokens.opaque(user))),
    }
