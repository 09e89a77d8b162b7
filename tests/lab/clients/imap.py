"""An IMAP client in a few lines, which does nothing that it is not told to."""

import base64
import re

from . import sasl
from .talk import Talk


class Imap(Talk):
    """`command` gives (the tagged line's words, the lines before it)."""

    protocol, count = "imap", 0

    def command(self, words):
        tag = self.next_tag()
        self.say(f"{tag} {words}")
        return self.reply(tag)

    def next_tag(self):
        self.count += 1
        return f"t{self.count}"

    def reply(self, tag):
        lines = []
        while not (line := self.line()).startswith(f"{tag} "):
            if literal := re.search(r"\{(\d+)\}$", line):
                line += self.read(int(literal[1])).decode("utf-8", "replace")
            lines.append(line)
        return line[len(tag) + 1:], lines

    def ok(self, words):
        """A command that must succeed; the lines before its OK."""
        done, lines = self.command(words)
        assert done.startswith("OK"), self.report(f"{words!r} was refused")
        return lines

    def starttls(self):
        self.ok("STARTTLS")
        self.handshake()
        return self

    def secure(self):
        return self if self.is_encrypted else self.starttls()

    def capabilities(self):
        return self.ok("CAPABILITY")[0].split()[2:]

    def login(self, user, password):
        """The LOGIN command, in non-synchronising literals: any password fits. The tagged line's words."""
        tag, user = self.next_tag(), user.encode()
        self.send(b"%s LOGIN {%d+}\r\n%s {%d+}\r\n%s\r\n" % (tag.encode(), len(user), user, len(password), password))
        return self.reply(tag)[0]

    def authenticate(self, mechanism, is_initial=True):
        """Runs a mechanism of `sasl`; `is_initial`: the first response goes with the command (SASL-IR)."""
        tag, first = self.next_tag(), mechanism.first
        with_command = "" if first is sasl.NOTHING or not is_initial else f" {sasl.encode(first) or '='}"
        self.say(f"{tag} AUTHENTICATE {mechanism.name}{with_command}")
        is_pending = first is not sasl.NOTHING and not is_initial
        while (line := self.line()).startswith("+") or line.startswith("* "):
            if line.startswith("* "):
                continue
            challenge = base64.b64decode(line[1:].strip())
            self.say(sasl.encode(first if is_pending else mechanism.answer(challenge)))
            is_pending = False
        assert line.startswith(f"{tag} "), self.report("not the tag of the AUTHENTICATE")
        return line[len(tag) + 1:]

    def subjects(self):
        """Of the messages in the INBOX."""
        self.ok("SELECT INBOX")
        lines = self.ok("FETCH 1:* (BODY.PEEK[HEADER.FIELDS (SUBJECT)])")
        return [match[1].strip() for line in lines if (match := re.search(r"(?i)subject: (.*)", line))]

    def logout(self):
        self.say("zz LOGOUT")
        self.rest()
        self.close()
