"""POP3 as Stalwart speaks it."""

from .session import Session

CAPABILITIES = ("USER", "SASL PLAIN OAUTHBEARER XOAUTH2", "TOP", "RESP-CODES", "PIPELINING", "EXPIRE NEVER", "UIDL", "UTF8",
                "IMPLEMENTATION Stalwart Server")


class Pop3(Session):
    protocol = "pop3"

    def run(self):
        self.user = ""
        self.say("+OK Stalwart POP3 at your service.")
        while True:
            name, _, rest = self.line().partition(" ")
            handler = getattr(self, f"do_{name.lower()}", None)
            if handler is None:
                self.say("-ERR Unknown command")
            else:
                handler(rest)

    def do_capa(self, _rest):
        self.say("+OK Capability list follows", *CAPABILITIES, ".")

    def do_auth(self, rest):
        mechanism, _, response = rest.partition(" ")
        if not mechanism:
            self.say("-ERR Missing arguments")
            return
        if not response:
            self.say("+ ")
            response = self.line()
        self.conclude(self.judge(mechanism.upper(), response))

    def do_user(self, rest):
        self.user = rest
        self.say(f"+OK {rest} is a valid mailbox")

    def do_pass(self, rest):
        self.conclude(self.judge_password(self.user, rest.encode("utf-8", "surrogateescape")))

    def conclude(self, verdict):
        self.say("+OK Authentication successful" if verdict.account else "-ERR Authentication failed")

    def do_stat(self, _rest):
        self.say("+OK 1 5" if self.account else "-ERR Not authenticated")

    def do_quit(self, _rest):
        self.say("+OK Stalwart POP3 bids you farewell (no messages deleted).")
        self.hang_up()
