"""A submission client in a few lines: SMTP with a login, which does nothing that it is not told to."""

import base64

from . import sasl
from .smtp import Smtp

HELO = "client.example.org"


class Submission(Smtp):
    """`login` and `authenticate` say EHLO first, where it was not said."""

    protocol, offered = "submission", None

    def ehlo(self, name=HELO):
        """The lines of the answer, without their codes; the first is the server's name."""
        self.offered = [line[4:] for line in self.ok(f"EHLO {name}").splitlines()]
        return self.offered

    def starttls(self):
        super().starttls()
        self.offered = None
        return self

    def secure(self):
        return self if self.is_encrypted else self.starttls()

    def capabilities(self):
        return self.ehlo()[1:]

    def mechanisms(self):
        return next((line.split()[1:] for line in self.capabilities() if line.startswith("AUTH ")), [])

    def login(self, user, password):
        return self.authenticate(sasl.plain(user, password))

    def authenticate(self, mechanism, is_initial=True):
        """Runs a mechanism of `sasl`; `is_initial`: the first response goes with the command. The last reply."""
        if self.offered is None:
            self.ehlo()
        first = mechanism.first
        with_command = "" if first is sasl.NOTHING or not is_initial else f" {sasl.encode(first) or '='}"
        self.say(f"AUTH {mechanism.name}{with_command}")
        is_pending = first is not sasl.NOTHING and not is_initial
        while (reply := self.reply()).startswith("334 "):
            challenge = base64.b64decode(reply[4:])
            self.say(sasl.encode(first if is_pending else mechanism.answer(challenge)))
            is_pending = False
        return reply

    def side(self):
        return self.ehlo()[0].split(".")[0]

    def logout(self):
        self.say("QUIT")
        self.rest()
        self.close()
