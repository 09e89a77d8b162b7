"""A POP3 client in a few lines, which does nothing that it is not told to."""

import base64

from . import sasl
from .talk import Talk


class Pop3(Talk):
    """`command` gives the status line."""

    protocol = "pop3"

    def command(self, words):
        self.say(words)
        return self.line()

    def ok(self, words):
        """A command that must succeed; its status line."""
        done = self.command(words)
        assert done.startswith("+OK"), self.report(f"{words!r} was refused")
        return done

    def listing(self, words):
        """A command with a multi-line response; the lines between its status line and the dot."""
        self.ok(words)
        lines = []
        while (line := self.line()) != ".":
            lines.append(line[1:] if line.startswith(".") else line)
        return lines

    def starttls(self):
        self.ok("STLS")
        self.handshake()
        return self

    def secure(self):
        return self if self.is_encrypted else self.starttls()

    def capabilities(self):
        return self.listing("CAPA")

    def mechanisms(self):
        return next((line.split()[1:] for line in self.capabilities() if line.startswith("SASL ")), [])

    def login(self, user, password):
        """USER and PASS, the second when the first was taken. The last status line."""
        done = self.command(f"USER {user}")
        if not done.startswith("+OK"):
            return done
        self.send(b"PASS " + password + b"\r\n")
        return self.line()

    def authenticate(self, mechanism, is_initial=True):
        """Runs a mechanism of `sasl`; `is_initial`: the first response goes with the command (RFC 5034)."""
        first = mechanism.first
        with_command = "" if first is sasl.NOTHING or not is_initial else f" {sasl.encode(first) or '='}"
        self.say(f"AUTH {mechanism.name}{with_command}")
        is_pending = first is not sasl.NOTHING and not is_initial
        while (line := self.line()) == "+" or line.startswith("+ "):
            challenge = base64.b64decode(line[1:].strip())
            self.say(sasl.encode(first if is_pending else mechanism.answer(challenge)))
            is_pending = False
        return line

    def subjects(self):
        """Of the messages in the mailbox."""
        numbers = [line.split()[0] for line in self.listing("LIST")]
        return [line.partition(":")[2].strip() for number in numbers for line in self.listing(f"TOP {number} 0")
                if line.lower().startswith("subject:")]

    def logout(self):
        self.say("QUIT")
        self.rest()
        self.close()
