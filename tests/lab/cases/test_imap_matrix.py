"""IMAP, every way in by every way out by every mechanism: both servers take the login, and their logs name the client."""

from . import matrix


@matrix.fill
class Matrix(matrix.Matrix):
    service = "imap-login"
    ways = {**matrix.SASL, "the LOGIN command": lambda talk, user, password: talk.login(user, password)}
