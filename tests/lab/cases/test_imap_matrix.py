"""IMAP, every way in by every way out by every mechanism: both servers take the login, and their logs name the client."""

from clients import sasl
from lab import tokens

from . import matrix


@matrix.fill
class Matrix(matrix.Matrix):
    service = "imap-login"
    ways = {
        "PLAIN": lambda talk, user, password: talk.authenticate(sasl.plain(user, password)),
        "LOGIN": lambda talk, user, password: talk.authenticate(sasl.login(user, password)),
        "the LOGIN command": lambda talk, user, password: talk.login(user, password),
        "SCRAM-SHA-256": lambda talk, user, password: talk.authenticate(sasl.ScramSha256(user, password)),
        "OAUTHBEARER": lambda talk, user, _: talk.authenticate(sasl.oauthbearer(user, tokens.opaque(user))),
        "XOAUTH2": lambda talk, user, _: talk.authenticate(sasl.xoauth2(user, tokens.opaque(user))),
    }
