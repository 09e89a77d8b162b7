"""Submission, every way in by every way out by every mechanism, to Dovecot and to Postfix: their logs name the client."""

from clients.submission import Submission

from . import matrix


@matrix.fill
class Matrix(matrix.Matrix):
    """The old side submits by Dovecot, the new one by Postfix."""

    client, service, needs_postfix = Submission, "submission-login", True
    # DESTADDR of XCLIENT is on neither server's list of attributes.
    tells_local = ("proxy",)

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
