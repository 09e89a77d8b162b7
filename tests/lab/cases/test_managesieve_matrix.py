"""ManageSieve, every way in by every way out by every mechanism: both servers take it, and their logs name the client."""

from clients import sasl
from clients.managesieve import ManageSieve
from lab import tokens

from . import matrix


@matrix.fill
class Matrix(matrix.Matrix):
    client, service = ManageSieve, "managesieve-login"
    # It has no TLS from the first byte at backends.
    legs = ("starttls", "plain")
    # DESTADDR of XCLIENT is news to Dovecot 2.3, which skips what it does not know.
    tells_local = ("proxy",)
    ways = {
        "PLAIN": lambda talk, user, password: talk.authenticate(sasl.plain(user, password)),
        "PLAIN when asked": lambda talk, user, password: talk.authenticate(sasl.plain(user, password), is_initial=False),
        "LOGIN": lambda talk, user, password: talk.authenticate(sasl.login(user, password)),
        "LOGIN with a name": lambda talk, user, password: talk.authenticate(sasl.login_with_name(user, password)),
        "SCRAM-SHA-1": lambda talk, user, password: talk.authenticate(sasl.ScramSha1(user, password)),
        "SCRAM-SHA-256": lambda talk, user, password: talk.authenticate(sasl.ScramSha256(user, password)),
        "OAUTHBEARER": lambda talk, user, _: talk.authenticate(sasl.oauthbearer(user, tokens.opaque(user))),
        "XOAUTH2": lambda talk, user, _: talk.authenticate(sasl.xoauth2(user, tokens.opaque(user))),
    }
