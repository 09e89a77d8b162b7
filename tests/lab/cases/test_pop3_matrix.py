"""POP3, every way in by every way out by every mechanism: both servers take the login, and their logs name the client."""

from clients.pop3 import Pop3

from . import matrix


@matrix.fill
class Matrix(matrix.Matrix):
    client, service = Pop3, "pop3-login"
    # DESTADDR of XCLIENT is news to Dovecot 2.3, which skips what it does not know.
    tells_local = ("proxy",)
    ways = {**matrix.SASL, "USER and PASS": lambda talk, user, password: talk.login(user, password)}
