"""ManageSieve, every way in by every way out by every mechanism: both servers take it, and their logs name the client."""

from clients.managesieve import ManageSieve

from . import matrix


@matrix.fill
class Matrix(matrix.Matrix):
    client, service = ManageSieve, "managesieve-login"
    # It has no TLS from the first byte at backends.
    legs = ("starttls", "plain")
    # DESTADDR of XCLIENT is news to Dovecot 2.3, which skips what it does not know.
    tells_local = ("proxy",)
