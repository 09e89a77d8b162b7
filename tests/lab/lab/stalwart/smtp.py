"""SMTP as Stalwart speaks it: submission, which requires a login, and port 25, which offers none."""

import base64
import binascii
import time

from .session import Session, Verdict

FIRST = ("SMTPUTF8", "SIZE 104857600", "REQUIRETLS", "PIPELINING", "NO-SOLICITING")
SECOND = ("ENHANCEDSTATUSCODES", "CHUNKING", "BINARYMIME")
# Seconds ahead for which FUTURERELEASE names the latest time.
FUTURE = 604800


class Smtp(Session):
    protocol = "smtp"

    def run(self):
        self.say(f"220 {self.server.hostname} Stalwart ESMTP at your service")
        while True:
            name, _, rest = self.line().partition(" ")
            handler = getattr(self, f"do_{name.lower()}", None) if name else None
            if handler is None:
                self.say("500 5.5.1 Invalid command.")
            else:
                handler(rest)

    def do_ehlo(self, _rest):
        lines = [f"{self.server.hostname} you had me at EHLO", *self.keywords()]
        self.say(*(f"250-{line}" for line in lines[:-1]), f"250 {lines[-1]}")

    def keywords(self):
        starttls = () if self.is_encrypted else ("STARTTLS",)
        return (*starttls, *FIRST, *SECOND, *self.mechanisms(), "8BITMIME")

    def mechanisms(self):
        return ()

    def do_starttls(self, _rest):
        self.say("220 2.0.0 Ready to start TLS.")
        self.start_tls()

    def do_mail(self, _rest):
        self.log("mail", self.account or "")
        self.say("250 2.1.0 OK")

    def do_rcpt(self, _rest):
        self.say("250 2.1.5 OK")

    def do_rset(self, _rest):
        self.say("250 2.0.0 OK")

    def do_quit(self, _rest):
        self.say("221 2.0.0 Bye.")
        self.hang_up()


class Submission(Smtp):
    protocol = "submission"

    def keywords(self):
        if self.account is None:
            return super().keywords()
        return ("VRFY", "EXPN", *FIRST, "MT-PRIORITY MIXER", f"FUTURERELEASE {FUTURE} {int(time.time()) + FUTURE}",
                "ENHANCEDSTATUSCODES", "DSN", "DELIVERBY 1296000", "CHUNKING", "BINARYMIME", "8BITMIME")

    def mechanisms(self):
        return ("AUTH PLAIN LOGIN XOAUTH2 OAUTHBEARER" if self.is_encrypted else "AUTH XOAUTH2 OAUTHBEARER",)

    def do_auth(self, rest):
        mechanism, _, response = rest.partition(" ")
        mechanism = mechanism.upper()
        if mechanism == "LOGIN":
            verdict = self.by_login(response)
        else:
            if not response:
                self.say("334 ")
                response = self.line()
            verdict = self.judge(mechanism, response)
        if verdict is None:
            self.say("501 5.7.0 Authentication cancelled.")
        elif verdict.account:
            self.say("235 2.7.0 Authentication succeeded.")
        elif verdict.is_token:
            self.say("454 4.7.0 Temporary authentication failure")
        else:
            self.say("535 5.7.8 Authentication credentials invalid.")

    def by_login(self, response):
        """The verdict on a user name and a password; None where the client cancels."""
        given = [response] if response else []
        for prompt in ("Username:", "Password:")[len(given):]:
            self.say(f"334 {base64.b64encode(prompt.encode()).decode()}")
            given.append(self.line())
            if given[-1] == "*":
                return None
        try:
            user, password = (base64.b64decode(part, validate=True) for part in given)
        except binascii.Error:
            return Verdict(None)
        return self.judge_password(user.decode("utf-8", "surrogateescape"), password)
