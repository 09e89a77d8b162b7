"""SMTP and LMTP clients in a few lines, which do nothing that they are not told to."""

from .talk import Talk


class Smtp(Talk):
    """A reply is its text, all lines of it."""

    protocol, hello = "smtp", "EHLO"

    def greet(self):
        return self.reply()

    def reply(self):
        lines = [self.line()]
        while lines[-1][3:4] == "-":
            lines.append(self.line())
        return "\n".join(lines)

    def command(self, words):
        self.say(words)
        return self.reply()

    def ok(self, words, code="250"):
        """A command that must succeed, which it does with that code; its reply."""
        return self.expect(code, self.command(words), words)

    def expect(self, code, reply, what):
        assert reply.startswith(code), self.report(f"{what!r}: expected {code}, and there was {reply!r}")
        return reply

    def begin(self, sender, recipient):
        """Everything before the message. The keywords that the server offers."""
        offered = self.ok(f"{self.hello} client.example.org")
        self.ok(f"MAIL FROM:<{sender}>")
        self.ok(f"RCPT TO:<{recipient}>")
        return [line[4:].split()[0] for line in offered.splitlines()[1:]]

    def starttls(self):
        self.ok("STARTTLS", "220")
        self.handshake()
        return self

    def data(self, message):
        """The message by DATA; the reply to its end."""
        self.ok("DATA", "354")
        stuffed = message.replace(b"\r\n.", b"\r\n..")
        self.socket.sendall((b"." if stuffed.startswith(b".") else b"") + stuffed + b".\r\n")
        return self.reply()

    def bdat(self, message, size):
        """The message by BDAT, in pieces of that size (RFC 3030); the reply to the last."""
        for begin in range(0, len(message), size):
            piece = message[begin:begin + size]
            last = " LAST" if begin + size >= len(message) else ""
            self.socket.sendall(b"BDAT %d%s\r\n" % (len(piece), last.encode()) + piece)
            reply = self.expect("250", self.reply(), "BDAT")
        return reply

    def quit(self):
        self.ok("QUIT", "221")
        assert self.rest() == b"", self.report("something behind the goodbye")


class Lmtp(Smtp):
    """With one recipient, so that the message has one reply (RFC 2033)."""

    protocol, hello = "lmtp", "LHLO"
