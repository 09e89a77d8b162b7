"""A ManageSieve client in a few lines, which does nothing that it is not told to."""

import base64
import re

from . import sasl
from .talk import Talk

STATUS = re.compile(r"(OK|NO|BYE)\b")
STRING = re.compile(r'"((?:[^"\\]|\\.)*)"')


class ManageSieve(Talk):
    """`command` gives (the line with the status, the lines before it). A literal stands in its line, in quotes."""

    protocol = "managesieve"

    def greet(self):
        self.opening = self.reply()
        return self.opening[0]

    def line(self):
        line = super().line()
        while literal := re.search(r"\{(\d+)\}$", line):
            text = self.read(int(literal[1])).decode("utf-8", "replace")
            line = f'{line[:literal.start()]}"{escaped(text)}"{super().line()}'
        return line

    def reply(self):
        lines = []
        while not STATUS.match(line := self.line()):
            lines.append(line)
        return line, lines

    def command(self, words):
        self.say(words)
        return self.reply()

    def ok(self, words):
        """A command that must succeed; the lines before its OK."""
        done, lines = self.command(words)
        assert done.startswith("OK"), self.report(f"{words!r} was refused")
        return lines

    def starttls(self):
        self.ok("STARTTLS")
        self.handshake()
        # RFC 5804 section 2.2: the block comes again, unasked.
        self.opening = self.reply()
        return self

    def secure(self):
        return self if self.is_encrypted else self.starttls()

    def capabilities(self):
        """Name -> value, `None` where there is none."""
        return parsed(self.ok("CAPABILITY"))

    def mechanisms(self):
        return self.capabilities()["SASL"].split()

    def login(self, user, password):
        return self.authenticate(sasl.plain(user, password))

    def authenticate(self, mechanism, is_initial=True):
        """Runs a mechanism of `sasl`; `is_initial`: the first response goes with the command. The last line."""
        first = mechanism.first
        with_command = "" if first is sasl.NOTHING or not is_initial else f' "{sasl.encode(first)}"'
        self.say(f'AUTHENTICATE "{mechanism.name}"{with_command}')
        is_pending = first is not sasl.NOTHING and not is_initial
        while match := STRING.fullmatch(line := self.line()):
            challenge = base64.b64decode(match[1])
            self.say(f'"{sasl.encode(first if is_pending else mechanism.answer(challenge))}"')
            is_pending = False
        if final := re.match(r'OK \(SASL "([^"]*)"\)', line):
            # The server's last word stands in its OK (RFC 5804 section 1.3).
            mechanism.answer(base64.b64decode(final[1]))
        return line

    def side(self):
        return self.capabilities()["IMPLEMENTATION"].removeprefix("Dovecot ")

    def put(self, name, script, verb="PUTSCRIPT"):
        """A script by PUTSCRIPT; the line with the status."""
        self.send(b'%s "%s" {%d+}\r\n%s\r\n' % (verb.encode(), name.encode(), len(script), script))
        return self.reply()[0]

    def logout(self):
        self.say("LOGOUT")
        self.rest()
        self.close()


def parsed(lines):
    """A capability block: name -> value."""
    strings = [STRING.findall(line) for line in lines]
    return {found[0]: found[1] if len(found) > 1 else None for found in strings}


def escaped(text):
    return text.replace("\\", r"\\").replace('"', r"\"")
