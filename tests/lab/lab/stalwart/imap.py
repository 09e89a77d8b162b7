"""IMAP as Stalwart speaks it. A fourth failed login ends the connection, without a tagged response."""

import re

from .session import Session

FAILURES = 3
LITERAL = re.compile(r"\{(\d+)(\+?)\}$")
WORD = re.compile(r'"((?:[^"\\]|\\.)*)"|(\S+)')
IDENTITY = '* ID ("name" "Stalwart" "version" "1.0.0" "vendor" "Stalwart Labs LLC" "support-url" "https://stalw.art")'


class Imap(Session):
    protocol = "imap"

    def run(self):
        self.failures, self.messages = 0, 0
        self.say(f"* OK [CAPABILITY {self.server.version.imap_before}] Stalwart IMAP4rev2 at your service.")
        while True:
            line, literals = self.command()
            tag, _, rest = line.partition(" ")
            name, _, rest = rest.partition(" ")
            handler = getattr(self, f"do_{name.lower()}", None)
            if handler is None:
                self.say(f"{tag} BAD [PARSE] Unrecognized command '{name}'.")
            else:
                handler(tag, rest, literals)

    def command(self):
        """A command without its literals, which become `{}` in it, and the literals."""
        whole, literals = "", []
        while True:
            line = self.line()
            literal = LITERAL.search(line)
            if literal is None:
                return whole + line, literals
            if not literal[2]:
                self.say("+ Ready for literal data.")
            literals.append(self.exactly(int(literal[1])))
            whole += line[:literal.start()] + "{}"

    # Before login.

    def do_capability(self, tag, _rest, _literals):
        version = self.server.version
        self.say(f"* CAPABILITY {version.imap_after if self.account else version.imap_before}", f"{tag} OK CAPABILITY completed")

    def do_id(self, tag, _rest, _literals):
        self.say(IDENTITY, f"{tag} OK ID completed")

    def do_login(self, tag, rest, literals):
        words = []
        for quoted, plain in WORD.findall(rest):
            if plain == "{}":
                words.append(literals.pop(0))
            else:
                words.append((plain or re.sub(r"\\(.)", r"\1", quoted)).encode("utf-8", "surrogateescape"))
        user, password = words
        self.conclude(tag, self.judge_password(user.decode("utf-8", "surrogateescape"), password))

    def do_authenticate(self, tag, rest, _literals):
        mechanism, _, response = rest.partition(" ")
        if not response:
            self.say("+ ")
            response = self.line()
        self.conclude(tag, self.judge(mechanism.upper(), response))

    def conclude(self, tag, verdict):
        if verdict.account:
            self.say(f"{tag} OK [CAPABILITY {self.server.version.imap_after}] Authentication successful")
            return
        self.failures += 1
        if self.failures > FAILURES:
            self.say("* NO [AUTHENTICATIONFAILED] Too many authentication attempts")
            self.hang_up()
        self.say(f"{tag} NO [AUTHENTICATIONFAILED] {'wrong' if verdict.is_token else 'Authentication failed'}")

    # After login.

    def do_namespace(self, tag, _rest, _literals):
        if self.is_authenticated(tag):
            self.say('* NAMESPACE (("" "/")) NIL NIL', f"{tag} OK NAMESPACE completed")

    def do_select(self, tag, _rest, _literals):
        if self.is_authenticated(tag):
            self.say(f"* {self.messages} EXISTS", f"* OK [UIDVALIDITY {self.server.version.uid_validity}] UIDs valid",
                     f"{tag} OK [READ-WRITE] SELECT completed")

    def do_append(self, tag, _rest, _literals):
        if self.is_authenticated(tag):
            self.messages += 1
            self.say(f"{tag} OK [APPENDUID {self.server.version.uid_validity} {self.messages}] APPEND completed")

    def do_unauthenticate(self, tag, _rest, _literals):
        if self.is_authenticated(tag):
            self.account = None
            self.say(f"{tag} OK UNAUTHENTICATE completed")

    def is_authenticated(self, tag):
        if self.account is None:
            self.say(f"{tag} NO Not authenticated.")
        return self.account is not None

    def do_logout(self, tag, _rest, _literals):
        self.say("* BYE Stalwart IMAP4rev2 bids you farewell.", f"{tag} OK LOGOUT completed")
        self.hang_up()
