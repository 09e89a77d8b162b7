"""Submission, every way in by every way out by every mechanism, to Dovecot and to Postfix: their logs name the client."""

from clients import sasl
from clients.submission import Submission
from lab import tokens

from . import matrix


@matrix.fill
class Matrix(matrix.Matrix):
    """The old side submits by Dovecot, the new one by Postfix."""

    client, service = Submission, "submission-login"
    # DESTADDR of XCLIENT is on neither server's list of attributes.
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

    def setUp(self):
        if not self.lab.has_postfix:
            self.skipTest("there is no Postfix without root")

    def assert_logged(self, talk, side, since, account, leg, forwarding):
        if not side.submits_by_postfix:
            super().assert_logged(talk, side, since, account, leg, forwarding)
            return
        is_told = forwarding != "none"
        # Postfix logs the client once it has a recipient.
        talk.ok(f"MAIL FROM:<{account}>")
        talk.ok(f"RCPT TO:<{account}>")
        talk.ok("RSET")
        side.logs.wait(since, service="postfix/smtpd", what="message", user=account,
                       client=talk.source if is_told else "127.0.0.1", **({"port": talk.local_port} if is_told else {}))
